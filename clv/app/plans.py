"""From plan files to worked-out plans: read, estimate, allocate, and say how sure it is.

::

    plan.toml [+ spend table + order log + model] --read_plan()--> Planned --> terminal, JSON, page

``work_out`` does the same for channels that are at hand. Decisions take tables; this is where the
files behind a plan are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.app.estimates import Estimates, estimate
from clv.app.outlook import Outlook, outlook
from clv.app.plan_files.plan_file import EstimatedPlan, Plan
from clv.app.plan_gains import values_drawn
from clv.app.plan_view import PlanView, retention_basis
from clv.decide.budget.allocate import allocate
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.gain_curve import as_gain_curve
from clv.decide.budget.modes import Target, TargetLtvToCac
from clv.decide.budget.scenarios import ConstraintCost, budget_frontier, compare, constraint_costs
from clv.decide.budget.uncertainty import PlanUncertainty, plan_uncertainty
from clv.errors import InputError, PlanError
from clv.findings import Finding, finding, within

if TYPE_CHECKING:
    import pyarrow as pa


REVENUE = "basis.revenue"
RATIO = 3.0  # the ratio of LTV:CAC that people ask for
SHIFT = 0.2  # how far the budget of the scenarios beside a plan lies from its own


@dataclass(frozen=True)
class Planned:
    """A plan with all that follows from it; money in ``currency``, for all ``periods`` together.

    Parameters
    ----------
    name
        What to call it beside others.
    channels
        As they were allocated.
    allocation
        The best plan.
    costs
        What each constraint costs, dearest first.
    ratio
        What LTV:CAC of 3 : 1 would cost; None where the plan has another target.
    frontier
        What other budgets would buy, as a PyArrow table.
    scenarios
        This plan beside the same with other budgets, unless it has a target, as a PyArrow table;
        see ``compare``.
    outlook
        Per channel: CAC, LTV:CAC and payback at the plan, with intervals where there are draws.
    uncertainty
        How sure the plan is; None where nothing has draws, and ``unsure`` says why.
    retention
        What keeping customers would gain, as ``allocate`` took it.
    """

    name: str
    channels: tuple[Channel, ...]
    periods: float
    currency: str
    estimates: Estimates
    allocation: Allocation
    costs: tuple[ConstraintCost, ...]
    ratio: Finding | None
    frontier: pa.Table
    scenarios: pa.Table
    outlook: tuple[Outlook, ...]
    uncertainty: PlanUncertainty | None
    unsure: Finding | None
    retention: object = None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the plan says, the price of the budget first."""
        sure = () if self.uncertainty is None else self.uncertainty.findings[:-1]
        ratio = () if self.ratio is None else (self.ratio,)
        return (*self.allocation.findings, *self.cautions, *sure, *self.unsure_of, *ratio)

    @cached_property
    def view(self) -> PlanView:
        """The plan as people look at it."""
        sure = None if self.uncertainty is None else self.uncertainty.over_today
        retained = retention_basis(as_gain_curve(self.retention))
        return PlanView.of(self.allocation, sure, self.channels, self.periods, retained)

    @property
    def unsure_of(self) -> tuple[Finding, ...]:
        """What the draws leave out."""
        if self.uncertainty is None or not self.allocation.retention_gain:
            return ()
        return (finding("uncertainty.retention_certain"),)

    @property
    def cautions(self) -> tuple[Finding, ...]:
        """Where the plan counts revenue as profit, or goes beyond what was observed."""
        beyond = _beyond(self.channels, self.allocation, self.periods, self.estimates.period)
        return (*self._in_revenue, *within(beyond, self.currency))

    @property
    def _in_revenue(self) -> tuple[Finding, ...]:
        """That profit counts revenue, where the terms of values or the scores say so."""
        terms, said = self.estimates.terms, finding(REVENUE)
        of_scores = any(note.code == REVENUE for note in self.allocation.notes)
        return (said,) if of_scores or (terms and terms.money == "revenue") else ()

    @cached_property
    def notes(self) -> tuple[Finding, ...]:
        """What the plan rests on."""
        curves = self.estimates.curves
        lines = [note for note in self.allocation.notes if note.code != REVENUE]
        if curves is not None:
            lines += curves.findings
            lines += [note for note in curves.notes if note.code != "basis.attributed"]
        lines += [*_on_caps(self.channels, self.periods), finding("basis.media_spend")]
        lines += [] if self.unsure is None else [self.unsure]
        return tuple({str(note): note for note in within(lines, self.currency)}.values())

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values: the fields of the allocation, then what belongs to it."""
        curves = self.estimates.curves
        return {
            **self.allocation.to_dict(),
            "currency": self.currency or None,
            "periods": self.periods,
            "period": self.estimates.period,
            "channels": [row.to_dict() for row in self.outlook],
            "constraint_costs": [cost.to_dict() for cost in self.costs],
            "cost_of_3_to_1": None if self.ratio is None else str(self.ratio),
            "uncertainty": None if self.uncertainty is None else self.uncertainty.to_dict(),
            "frontier": self.frontier.to_pylist(),
            "scenarios": self.scenarios.to_pylist(),
            "curves": None if curves is None else curves.to_frame("pyarrow").to_pylist(),
            "terms": None if self.estimates.terms is None else str(self.estimates.terms),
            "findings": [each.to_dict() for each in self.findings],
            "notes": [each.to_dict() for each in self.notes],
        }


def read_plan(path: str | Path, name: str | None = None, learn: str | None = None) -> Planned:
    """A plan file worked out, with the files that it names; ``name`` is the file's by default.

    ``learn`` is the first day on which such a plan ran, as ``plan_from`` of its curves.

    Raises
    ------
    InputError, PlanError, ModelError
        The plan or a file that it names cannot be used, or no allocation satisfies it.
    """
    plan = Plan.read(path)
    if learn is not None:
        plan = plan.learning_from(learn)
    estimates = Estimates(period=plan.period)
    if isinstance(plan, EstimatedPlan):
        plan, estimates = estimate(plan)
    return work_out(
        plan.to_channels(),
        plan.budget,
        plan.retention_curve(),
        plan.current(),
        target=plan.to_target(),
        periods=plan.periods,
        estimates=estimates,
        name=name or Path(path).stem,
        currency=plan.currency or (estimates.terms.currency if estimates.terms else ""),
    )


def work_out(
    channels: Sequence[Channel],
    budget: float | None = None,
    retention: object = None,
    current: Mapping[str, float] | None = None,
    *,
    target: Target | None = None,
    periods: float = 1.0,
    estimates: Estimates | None = None,
    name: str = "plan",
    currency: str = "",
) -> Planned:
    """Allocate, and find out all that belongs to the plan. The arguments are ``allocate``'s.

    Raises
    ------
    PlanError
        The plan is infeasible or ill-defined.

    Examples
    --------
    >>> from clv.decide.budget.response import Power
    >>> channels = [Channel("search", Power(12, 0.6), 60), Channel("social", Power(30, 0.45), 80)]
    >>> planned = work_out(channels, 30_000)
    >>> print(planned.costs[0].words)
    The budget of 30,000 costs 2,589,058 of profit.
    """
    basis = estimates or Estimates()
    stated: Any = {"target": target, "periods": periods, "currency": currency}
    best = allocate(channels, budget, retention, current, period=basis.period, **stated)
    ratio, at_ratio = _three_to_one(channels, budget, retention, target, periods)
    costs = constraint_costs(channels, budget, retention, **stated)
    sure, unsure = _uncertainty(channels, best, retention, basis, periods)
    others = {} if target else _other_budgets(channels, budget, retention, periods)
    return Planned(
        name=name,
        channels=tuple(channels),
        periods=periods,
        currency=currency,
        estimates=basis,
        allocation=best,
        costs=costs,
        ratio=None if ratio is None else ratio.within(currency),
        frontier=budget_frontier(channels, None, retention, periods=periods, backend="pyarrow"),
        scenarios=compare({"this plan": best, **others, **at_ratio}, backend="pyarrow"),
        outlook=tuple(
            outlook(channel, best, periods, basis.values, basis.models, basis.terms)
            for channel in channels
        ),
        uncertainty=sure,
        unsure=unsure,
        retention=retention,
    )


def side_by_side(plans: Sequence[Planned]) -> pa.Table:
    """Plans in one table, one row each; see ``compare``.

    Raises
    ------
    InputError
        Two plans have one name, or they count values over different horizons or in different
        currencies.
    """
    names = [plan.name for plan in plans]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"two plans are called {twice[0]}.", hint="name them: --scenario NAME=FILE."
        )
    if len(currencies := {plan.currency for plan in plans} - {""}) > 1:
        raise InputError(f"the plans are in {' and '.join(sorted(currencies))}.")
    return compare({plan.name: plan.allocation for plan in plans}, backend="pyarrow")


def _three_to_one(
    channels: Sequence[Channel],
    budget: float | None,
    retention: object,
    target: Target | None,
    periods: float,
) -> tuple[Finding | None, dict[str, Allocation]]:
    """What LTV:CAC of 3 : 1 would cost, and the plan that has it."""
    if target is not None or not channels:
        return None, {}
    three_to_one = TargetLtvToCac(RATIO)
    try:
        plan = allocate(channels, budget, retention, target=three_to_one, periods=periods)
    except PlanError as error:
        why = _first_reason(error)
        return finding("target.three_to_one_beyond", ratio=RATIO, why=why), {}
    if not plan.target_cost or plan.target_multiplier == 0:
        return finding("target.three_to_one_free", ratio=RATIO), {}
    spend, cost = sum(plan.spend.values()), plan.target_cost
    costs = finding("target.three_to_one", ratio=RATIO, cost=cost, spend=spend)
    return costs, {"LTV:CAC 3:1": plan}


def _first_reason(error: PlanError) -> str:
    return error.message.splitlines()[0]


def _uncertainty(
    channels: Sequence[Channel],
    best: Allocation,
    retention: object,
    estimates: Estimates,
    periods: float,
) -> tuple[PlanUncertainty | None, Finding | None]:
    if not any(isinstance(channel.response, MeanOfDraws) for channel in channels):
        return None, finding("uncertainty.stated")
    values = values_drawn(channels, estimates.values)
    try:
        return plan_uncertainty(channels, best, retention, values=values, periods=periods), None
    except PlanError as error:
        return None, finding("uncertainty.not_possible", why=_first_reason(error))


def _other_budgets(
    channels: Sequence[Channel],
    budget: float | None,
    retention: object,
    periods: float,
) -> dict[str, Allocation]:
    """The same plan with less and with more money, as far as its bounds allow that."""
    plans: dict[str, Allocation] = {}
    if budget is None or not math.isfinite(budget):
        return plans
    for share in (-SHIFT, SHIFT):
        try:
            plans[f"budget {share:+.0%}"] = allocate(
                channels, (1 + share) * budget, retention, periods=periods
            )
        except PlanError:
            continue  # its bounds need more money
    return plans


def _beyond(
    channels: Sequence[Channel], plan: Allocation, periods: float, period: str
) -> Iterator[Finding]:
    """Where a plan spends more than was ever observed, at the same pace."""
    for channel in channels:
        each, observed = plan.spend[channel.name] / periods, channel.observed
        if observed is not None and each > observed[1] * (1 + 1e-9):
            amounts = {"most": observed[1], "spend": each}
            yield finding("limit.beyond_observed", channel=channel.name, period=period, **amounts)


def _on_caps(channels: Sequence[Channel], periods: float) -> Iterator[Finding]:
    """How far channels may move that have no bounds of their own."""
    capped = [c.name for c in channels if c.bounds(periods) != (c.lo, c.hi)]
    if capped:
        yield finding("basis.step_limits", channels=capped)
