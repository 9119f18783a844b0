"""What a plan earns above today's split in every draw of the response curves and of the values.

A page asks this again and again, so it is apart from ``uncertainty``, which adds what it would be
worth to know more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from clv.decide.budget.allocation import Allocation
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.one_period import kind_of_problem
from clv.decide.budget.problem import AllocationProblem
from clv.decide.budget.response import Response
from clv.decide.budget.solver import group_curves
from clv.decide.budget.sweep import Sweep
from clv.errors import InputError, PlanError
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.budget.channel import Channel

ENDS = (0.05, 0.95)


@dataclass(frozen=True)
class PlanGain:
    """What a plan earns above today's split; money for the period of the budget.

    Attributes
    ----------
    mean, low, high
        Over the draws; 90% of them lie between the ends.
    probability_better
        Share of the draws in which the plan beats today's.
    """

    mean: float
    low: float
    high: float
    probability_better: float


def plan_gain(
    channels: Sequence[Channel],
    plan: Allocation,
    retention: object = None,
    *,
    values: Mapping[str, ArrayLike] | None = None,
    retained: ArrayLike = 1.0,
    periods: float = 1.0,
) -> PlanGain | None:
    """The gain of a plan over today's with its interval; None where today's spend is not known.

    Parameters
    ----------
    channels, plan, retention, values, periods
        As for :func:`clv.decide.budget.uncertainty.plan_uncertainty`.
    retained
        Draws of what retention gains as a multiple of what is expected, as many as of the curves;
        1 takes it as certain. What it costs stays what was planned.

    Raises
    ------
    InputError, PlanError
        As ``plan_uncertainty``.

    Examples
    --------
    >>> from clv.decide.budget.allocate import allocate
    >>> from clv.decide.budget.channel import Channel
    >>> from clv.decide.budget.response import Power
    >>> search = MeanOfDraws(Power(np.array([10.0, 14.0]), np.array([0.6, 0.6])))
    >>> channels = [
    ...     Channel("search", search, 60, current=5_000),
    ...     Channel("social", Power(30, 0.45), 80, current=25_000),
    ... ]
    >>> gain = plan_gain(channels, allocate(channels, 30_000))
    >>> gain is not None and 0 < gain.low < gain.mean < gain.high
    True
    """
    problem, sweep = drawn_market(channels, plan.budget, retention, values or {}, periods)
    ours, today = profit_draws(problem, sweep, plan, np.asarray(retained, dtype=np.float64))
    if today is None:
        return None
    gain = ours - today
    low, high = np.quantile(gain, ENDS).tolist()
    return PlanGain(float(gain.mean()), low, high, float((gain > 0).mean()))


def drawn_market(
    channels: Sequence[Channel],
    budget: float | None,
    retention: object,
    values: Mapping[str, ArrayLike],
    periods: float,
) -> tuple[AllocationProblem, Sweep]:
    """The problem of a plan, and its market with one row per draw."""
    kind = kind_of_problem(channels, periods)
    problem = kind.from_channels(channels, budget, retention, None, periods)
    return problem, _drawn(problem, values, periods)


def profit_draws(
    problem: AllocationProblem, sweep: Sweep, plan: Allocation, retained: Floats | float = 1.0
) -> tuple[Floats, Floats | None]:
    """Profit of the plan and of today's split in every draw; None where that is not known."""
    spend = np.array([plan.spend[name] for name in problem.names])
    ours = _profit(sweep, spend, plan.retention_spend, retained)
    if plan.current is None:
        return ours, None
    today = np.array([plan.current[name] for name in problem.names])
    return ours, _profit(sweep, today, plan.current["retention"], retained)


def _profit(sweep: Sweep, spend: Floats, retention: float, retained: Floats | float) -> Floats:
    """Profit of one split of the money in every draw, shape (draws,)."""
    gain = float(sweep.gain(np.array([retention]))[0])
    return sweep.total_value(spend) + gain * retained - float(spend.sum()) - retention


def _drawn(problem: AllocationProblem, values: Mapping[str, ArrayLike], periods: float) -> Sweep:
    """The market with one row per draw."""
    if any(channel.decline for channel in problem.channels):
        raise PlanError(
            "the uncertainty of a channel whose quality declines cannot be worked out.",
            hint="leave decline out to see how sure the plan is otherwise.",
        )
    value_draws = {name: np.asarray(draws, dtype=np.float64) for name, draws in values.items()}
    if unknown := sorted(set(value_draws) - set(problem.names)):
        raise InputError(f"values names {unknown[0]!r}, which is no channel of this plan.")
    curves = [c.response if periods == 1 else c.response.over(periods) for c in problem.channels]
    count = _count(curves, value_draws)
    columns = [
        np.broadcast_to(value_draws.get(c.name, np.asarray(c.value)), count) * c.incrementality
        for c in problem.channels
    ]
    grouped = group_curves([_rows(curve, count) for curve in curves])
    beside = tuple((which, _turned(curve)) for which, curve in grouped)
    market = problem.market
    return Sweep(np.column_stack(columns), market.lo, market.hi, beside, market.retention)


def _count(curves: Sequence[Response], values: Mapping[str, Floats]) -> int:
    """The number of draws, the same for everything that has any."""
    counts = {len(_parameter(c.draws)) for c in curves if isinstance(c, MeanOfDraws)}
    counts |= {len(draws) for draws in values.values() if draws.ndim == 1}
    if any(draws.ndim != 1 for draws in values.values()) or len(counts) != 1:
        raise InputError(
            f"there are {' and '.join(map(str, sorted(counts))) or 'no'} draws.",
            hint="give as many draws of each value as of the curves; channel_curves() draws these.",
        )
    return counts.pop()


def _parameter(curve: Response) -> Floats:
    arrays = [np.atleast_1d(getattr(curve, name)) for name in _names(curve)]
    return np.asarray(max(arrays, key=len))


def _rows(curve: Response, count: int) -> Response:
    """The draws of a curve as one whose parameters have the shape (draws,)."""
    drawn = curve.draws if isinstance(curve, MeanOfDraws) else curve
    full = {name: np.broadcast_to(getattr(drawn, name), count) for name in _names(drawn)}
    return replace(drawn, assumed=(), **cast(dict[str, Any], full))


def _turned(curve: Response) -> Response:
    """A stacked curve with parameters of shape (draws, channels)."""
    turned = {name: np.asarray(getattr(curve, name)).T for name in _names(curve)}
    return replace(curve, **cast(dict[str, Any], turned))


def _names(curve: Response) -> list[str]:
    return [f.name for f in fields(curve) if f.name != "assumed"]
