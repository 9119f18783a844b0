"""Plans side by side: one row per named scenario."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike

from clv.decide.budget.allocation import Allocation
from clv.decide.budget.allocation_findings import bound_of
from clv.decide.budget.modes import MinimumCost, Target, TargetLtvToCac
from clv.decide.budget.one_period import CLOSE, OnePeriodProblem, kind_of_problem
from clv.decide.budget.problem import AllocationProblem
from clv.decide.budget.solver import SpendPlan
from clv.decide.budget.sweep import Sweep, best_plans, grid
from clv.errors import InputError, PlanError
from clv.findings import Finding, finding
from clv.format import ATTRIBUTED, kind_of_customers, money
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.budget.channel import Channel

FIELDS = (
    "budget",
    "unspent",
    "profit",
    "value",
    "expected_customers",
    "portfolio_cac",
    "portfolio_ltv_to_cac",
    "retention_share",
    "multiplier",
    "target",
    "horizon",
)
TEXT = ("target", "horizon")


def compare(
    plans: Mapping[str, Allocation],
    backend: Literal["pandas", "polars", "pyarrow"] = "pandas",
) -> Any:
    """Named plans side by side, in the order given.

    Returns
    -------
    One row per plan: scenario, spent, profit_above_first (against the first plan), the totals of
    ``Allocation``, one column per channel and for retention, called "spend: NAME", and
    new_customers_are ("attributed, not incremental" where any plan takes them so).

    Raises
    ------
    InputError
        There is no plan, or values are stated at different horizons.

    Examples
    --------
    >>> from clv.decide.budget.allocate import allocate
    >>> from clv.decide.budget.channel import Channel
    >>> from clv.decide.budget.modes import TargetLtvToCac
    >>> from clv.decide.budget.response import Power
    >>> channels = [Channel("search", Power(12, 0.6), 60), Channel("social", Power(30, 0.45), 80)]
    >>> plans = {
    ...     "30k": allocate(channels, 30_000),
    ...     "best": allocate(channels),
    ...     "3 : 1": allocate(channels, target=TargetLtvToCac(3)),
    ... }
    >>> compare(plans)[["scenario", "spent", "profit"]].round()
      scenario      spent     profit
    0      30k    30000.0   397255.0
    1     best  4206486.0  2986312.0
    2    3 : 1  1096138.0  2192277.0
    """
    if not plans:
        raise InputError("there are no plans to compare.", hint="give at least one by name.")
    horizons = {plan.horizon for plan in plans.values()} - {None}
    if len(horizons) > 1:
        raise InputError(f"the plans count values over {' and '.join(sorted(map(str, horizons)))}.")
    first = next(iter(plans.values()))
    rows = [_row(name, plan, first.profit) for name, plan in plans.items()]
    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    text = ("scenario", "new_customers_are", *TEXT)
    schema = {name: nw.String if name in text else nw.Float64 for name in names}
    return nw.from_dict(columns, schema=schema, backend=backend).to_native()


def _row(name: str, plan: Allocation, profit: float) -> dict[str, Any]:
    attributed = any(note.code == "basis.attributed" for note in plan.notes)
    return {
        "scenario": name,
        "spent": sum(plan.spend.values()) + plan.retention_spend,
        "profit_above_first": plan.profit - profit,
        **{field: getattr(plan, field) for field in FIELDS},
        **{f"spend: {channel}": spend for channel, spend in plan.spend.items()},
        "spend: retention": plan.retention_spend,
        "new_customers_are": ATTRIBUTED if attributed else "incremental",
    }


# The budget frontier: what every budget would buy, and how it would be split.


def budget_frontier(
    channels: Sequence[Channel],
    budgets: ArrayLike | None = None,
    retention: object = None,
    *,
    periods: float = 1.0,
    backend: Literal["pandas", "polars", "pyarrow"] = "pandas",
) -> Any:
    """The best plan at each of many budgets, all from one sweep over the multiplier.

    Within one period S-shaped curves are taken as they are, and each budget is planned by itself.

    Parameters
    ----------
    channels, retention, periods
        As ``allocate`` takes them.
    budgets
        Budgets to try, in currency, none below the channels' lower bounds. Default: 50 of them
        from these up to twice today's spend, or to the spend of greatest profit.
    backend
        The kind of table to return.

    Returns
    -------
    One row per budget: budget, spent (the rest would buy less value than it costs), value, profit,
    new_customers, multiplier (what the next unit of budget buys; infinite where the lower bounds
    use the budget up), one column of spend per channel and for retention, "spend: NAME", and
    new_customers_are ("attributed, not incremental" or "incremental").

    Raises
    ------
    PlanError, InputError
        The plan is ill-defined, or a budget is below the lower bounds.

    Examples
    --------
    >>> from clv.decide.budget.channel import Channel
    >>> from clv.decide.budget.response import Power
    >>> channels = [Channel("search", Power(12, 0.6), 60), Channel("social", Power(30, 0.45), 80)]
    >>> table = budget_frontier(channels, [10_000, 30_000])
    >>> table[["budget", "spend: search", "multiplier"]].round(4)
        budget  spend: search  multiplier
    0  10000.0      6768.8545     12.6846
    1  30000.0     22307.9315      7.8723
    """
    kind = kind_of_problem(channels, periods)
    problem = kind.from_channels(channels, None, retention, None, periods)
    market = problem.market
    tried = _budgets(problem, budgets)
    sweep = Sweep(market.value, market.lo, market.hi, market.curves, market.retention)
    spend, retention_spend, mu = _plans(problem, sweep, tried)
    counted = Sweep(problem.share, market.lo, market.hi, problem.counted.curves, market.retention)
    value = sweep.total_value(spend) + sweep.gain(retention_spend)
    spent = spend.sum(axis=1) + retention_spend
    columns = {
        "budget": tried,
        "spent": spent,
        "value": value,
        "profit": value - spent,
        "new_customers": counted.total_value(spend),
        "multiplier": mu,
        **{f"spend: {name}": spend[:, index] for index, name in enumerate(problem.names)},
        "spend: retention": retention_spend,
    }
    table = nw.from_dict({k: v.tolist() for k, v in columns.items()}, backend=backend)
    are = kind_of_customers(problem.share.tolist())
    return table.with_columns(nw.lit(are).alias("new_customers_are")).to_native()


def _plans(
    problem: AllocationProblem, sweep: Sweep, budgets: Floats
) -> tuple[Floats, Floats, Floats]:
    """As ``best_plans``: all at once where curves are concave, else one after the other."""
    if not isinstance(problem, OnePeriodProblem):
        return best_plans(sweep, budgets)
    plans = [replace(problem, budget=float(budget)).solve() for budget in budgets]
    spend = np.array([plan.spend for plan in plans])
    return spend, np.array([p.retention for p in plans]), np.array([p.mu for p in plans])


def _budgets(problem: AllocationProblem, budgets: ArrayLike | None) -> Floats:
    least = float(problem.market.lo.sum())
    if budgets is None:
        return least + grid(_highest(problem) - least)
    tried = np.atleast_1d(np.asarray(budgets, dtype=np.float64))
    if tried.ndim != 1 or not tried.size:
        raise InputError("budgets are no list of amounts.", hint="give one or several.")
    if not np.all(np.isfinite(tried) & (tried >= least)):
        raise InputError(
            f"a budget is missing, infinite or below {money(least)}, what the lower bounds cost.",
            hint="give finite amounts of money.",
        )
    return tried


def _highest(problem: AllocationProblem) -> float:
    today = [channel.current for channel in problem.channels]
    stated = [spend for spend in today if spend is not None]
    if stated and len(stated) == len(today):
        return max(2 * float(sum(stated)), float(problem.market.lo.sum()))
    return problem.solve().total


# What each constraint of a plan costs: the best plan without it, less the best plan with it.


MOST = 50  # bounds that are tried, those that hold most money down or up first
NOTHING = 1e-9  # of the profit: less than this is rounding


@dataclass(frozen=True)
class ConstraintCost:
    """One constraint that binds.

    Parameters
    ----------
    constraint
        What it is, such as "holding search at 5,000 or less".
    cost
        Profit that the best plan without it has above the best plan with it, in currency (with a
        target of customers: money saved); infinite where the plan without it is beyond all numbers.
    words
        The same in a sentence.
    """

    constraint: Finding
    cost: float
    words: Finding

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values; a cost beyond all numbers is None."""
        cost = self.cost if math.isfinite(self.cost) else None
        return {"constraint": str(self.constraint), "cost": cost, "words": str(self.words)}


def constraint_costs(
    channels: Sequence[Channel],
    budget: float | None = None,
    retention: object = None,
    *,
    target: Target | None = None,
    periods: float = 1.0,
    currency: str = "",
) -> tuple[ConstraintCost, ...]:
    """What the budget, the target and every bound that binds cost, dearest first.

    Each is left out by itself and the plan is solved again, so the costs do not add up. Bounds that
    a target sets are part of the target. The arguments are those of ``allocate``.

    Examples
    --------
    >>> from clv.decide.budget.channel import Channel
    >>> from clv.decide.budget.response import Power
    >>> channels = [
    ...     Channel("search", Power(12, 0.6), 60, hi=5_000),
    ...     Channel("social", Power(30, 0.45), 80),
    ... ]
    >>> for found in constraint_costs(channels, 30_000):
    ...     print(found.words)
    The budget of 30,000 costs 196,665 of profit.
    Holding search at 5,000 or less costs 79,225 of profit.
    """
    kind = kind_of_problem(channels, periods)
    problem = kind.from_channels(channels, budget, retention, target, periods, currency)
    plan = problem.solve()
    had = _objective(problem, plan)
    rounding = CLOSE if isinstance(problem, OnePeriodProblem) else NOTHING
    costs = []
    for name, without in _relaxed(problem, plan):
        cost = _gain(without, had)
        if cost > rounding * max(1.0, abs(had)):
            costs.append(_cost(name.within(problem.currency), cost, problem.target))
    return tuple(sorted(costs, key=lambda c: -c.cost))


def _objective(problem: AllocationProblem, plan: SpendPlan) -> float:
    """Profit, or with a target of customers the money not spent."""
    cheapest = isinstance(problem.target, MinimumCost)
    return -plan.total if cheapest else problem.profit(plan)


def _gain(problem: AllocationProblem, had: float) -> float:
    try:
        return _objective(problem, problem.solve()) - had
    except PlanError:
        return math.inf  # without the constraint the plan is beyond all numbers


def _relaxed(
    problem: AllocationProblem, plan: SpendPlan
) -> Iterator[tuple[Finding, AllocationProblem]]:
    """The problem without one of its constraints, for each that may bind."""
    if math.isfinite(problem.budget) and plan.mu > 1:
        without = replace(problem, budget=math.inf)
        yield finding("constraint.budget", amount=problem.budget), without
    if problem.target is not None and not isinstance(problem.target, MinimumCost):
        clause = finding("constraint.target", target=problem.target.clause)
        yield clause, replace(problem, target=None)
    lo, hi = problem.market.lo, problem.market.hi
    moved = np.flatnonzero((plan.spend <= lo) & (lo > 0) | (plan.spend >= hi))
    marginal_value = problem.market.marginal_value(plan.spend)[moved]
    weight = np.abs(marginal_value / min(plan.mu, 1e300) - 1) * np.maximum(plan.spend[moved], 1.0)
    for index in moved[np.argsort(-weight)][:MOST]:
        yield _bound_name(problem, plan, int(index)), _without_bounds(problem, int(index))


def _without_bounds(problem: AllocationProblem, index: int) -> AllocationProblem:
    lo, hi = problem.market.lo.copy(), problem.market.hi.copy()
    lo[index], hi[index] = 0.0, math.inf
    return problem.with_bounds(lo, hi)


def _bound_name(problem: AllocationProblem, plan: SpendPlan, index: int) -> Finding:
    code = f"constraint.{bound_of(problem, plan, index)}"
    spend = float(plan.spend[index])
    return finding(code, channel=problem.channels[index].name, spend=spend)


def _cost(constraint: Finding, cost: float, target: Target | None) -> ConstraintCost:
    code = "costs_money" if isinstance(target, MinimumCost) else "costs_profit"
    if math.isinf(cost):
        words = finding("constraint.costs_beyond", constraint=constraint)
    elif isinstance(target, TargetLtvToCac) and constraint.code == "constraint.target":
        words = finding("constraint.ratio_costs", constraint=constraint, cost=cost)
    else:
        words = finding(f"constraint.{code}", constraint=constraint, cost=cost)
    return ConstraintCost(constraint, cost, words.within(constraint.currency))
