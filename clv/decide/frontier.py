"""The budget frontier: what every budget would buy, and how it would be split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike

from clv.decide.problem import Problem
from clv.decide.sweep import Sweep, best_plans, grid
from clv.decide.words import kind_of_customers
from clv.errors import InputError
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.allocate import Channel


def budget_frontier(
    channels: Sequence[Channel],
    budgets: ArrayLike | None = None,
    retention: object = None,
    *,
    periods: float = 1.0,
    backend: Literal["pandas", "polars", "pyarrow"] = "pandas",
) -> Any:
    """The best plan at each of many budgets, all from one sweep over the multiplier.

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
    >>> from clv.decide.allocate import Channel
    >>> from clv.decide.response import Power
    >>> channels = [Channel("search", Power(12, 0.6), 60), Channel("social", Power(30, 0.45), 80)]
    >>> table = budget_frontier(channels, [10_000, 30_000])
    >>> table[["budget", "spend: search", "multiplier"]].round(4)
        budget  spend: search  multiplier
    0  10000.0      6768.8545     12.6846
    1  30000.0     22307.9315      7.8723
    """
    problem = Problem.of(channels, None, retention, None, periods)
    market = problem.market
    tried = _budgets(problem, budgets)
    sweep = Sweep(market.value, market.lo, market.hi, market.curves, market.retention)
    spend, kept, mu = best_plans(sweep, tried)
    counted = Sweep(problem.share, market.lo, market.hi, problem.counted.curves, market.retention)
    value = sweep.worth(spend) + sweep.gain(kept)
    spent = spend.sum(axis=1) + kept
    columns = {
        "budget": tried,
        "spent": spent,
        "value": value,
        "profit": value - spent,
        "new_customers": counted.worth(spend),
        "multiplier": mu,
        **{f"spend: {name}": spend[:, index] for index, name in enumerate(problem.names)},
        "spend: retention": kept,
    }
    table = nw.from_dict({k: v.tolist() for k, v in columns.items()}, backend=backend)
    are = kind_of_customers(problem.share.tolist())
    return table.with_columns(nw.lit(are).alias("new_customers_are")).to_native()


def _budgets(problem: Problem, budgets: ArrayLike | None) -> Floats:
    least = float(problem.market.lo.sum())
    if budgets is None:
        return least + grid(_highest(problem) - least)
    tried = np.atleast_1d(np.asarray(budgets, dtype=np.float64))
    if not np.all(np.isfinite(tried) & (tried >= least)):
        raise InputError(
            f"a budget is missing, infinite or below {least:,.6g}, what the lower bounds cost.",
            hint="give finite amounts of money.",
        )
    return tried


def _highest(problem: Problem) -> float:
    today = [channel.current for channel in problem.channels]
    known = [spend for spend in today if spend is not None]
    if known and len(known) == len(today):
        return max(2 * float(sum(known)), float(problem.market.lo.sum()))
    return problem.solve().total
