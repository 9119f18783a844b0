"""One budget for acquisition and retention, allocated exactly.

``allocate`` checks the plan, hands arrays to the solver in ``budget.py`` and returns an
``Allocation``: what to spend where, what it brings, and how good the plan is provably.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clv.decide.allocation import Allocation, CurrentPlan
from clv.decide.budget import Market, group_curves, solve
from clv.decide.gain import GainCurve, as_gain_curve
from clv.decide.response import Response
from clv.errors import InputError, PlanError
from clv.periods import Duration
from clv.schema import Floats

ROUNDING = 1e-9  # bounds that meet the budget to this relative precision meet it


@dataclass(frozen=True)
class Channel:
    """An acquisition channel that money can be spent on.

    Parameters
    ----------
    name
        Its name, unique in a plan and not "retention".
    response
        New customers against spend, in the period of the budget.
    value
        CLV of one NEW customer of this channel (first purchase included), in currency, as
        discounted contribution margin. Not the mean of the existing customers.
    lo, hi
        Bounds of its spend, in currency; equal bounds lock it.
    current
        Today's spend, if known.
    incrementality
        Share of the attributed customers that would not have come anyway, in (0, 1].
    horizon
        Horizon of the value, such as "3 years"; plans do not mix horizons.

    Examples
    --------
    >>> from clv.decide.response import Power
    >>> Channel("search", Power(k=12, b=0.6), value=60, hi=20_000).name
    'search'
    """

    name: str
    response: Response
    value: float
    lo: float = 0.0
    hi: float = math.inf
    current: float | None = None
    incrementality: float = 1.0
    horizon: str | None = None


def allocate(
    channels: Sequence[Channel],
    budget: float | None = None,
    retention: object = None,
    current: Mapping[str, float] | None = None,
) -> Allocation:
    """The plan of greatest expected profit within a budget.

    Money goes where its next unit buys most present value, until that is the same everywhere
    (the multiplier mu) or the bounds are met. Below 1 for 1 it stays unspent.

    Parameters
    ----------
    channels
        Acquisition channels; may be empty when there is retention.
    budget
        Money for one period, in currency. None: no limit, the plan of greatest profit.
    retention
        Customers to keep: what ``retention_targets`` or ``gain_curve`` returns, two arrays
        (cost, gain), or a table with these columns. It competes for the same budget; the last
        customer may be funded in part.
    current
        Today's spend by channel name, and under "retention" that on retention (0 if it is not
        named). Default: each channel's ``current``, when all of them have one.

    Raises
    ------
    PlanError
        The plan is infeasible or ill-defined; every reason is named, before anything is solved.

    References
    ----------
    Karush-Kuhn-Tucker conditions of a concave programme, e.g. Boyd & Vandenberghe, Convex
    Optimization (2004), section 5.5.

    Examples
    --------
    >>> from clv.decide.response import MichaelisMenten, Power
    >>> plan = allocate(
    ...     [
    ...         Channel("search", Power(k=12, b=0.6), value=60),
    ...         Channel("social", Power(k=30, b=0.45), value=80),
    ...         Channel("video", MichaelisMenten(V=900, K=20_000), value=100),
    ...     ],
    ...     budget=30_000,
    ...     retention=([2000, 3000, 1500, 4000, 2500], [26000, 30000, 9000, 20000, 3000]),
    ... )
    >>> {name: round(spend) for name, spend in plan.spend.items()}
    {'search': 18331, 'social': 6669, 'video': 0}
    >>> round(plan.retention_spend), round(plan.multiplier, 4)
    (5000, 8.5154)
    >>> print(plan.findings[0])
    The next 1,000 of budget buys about 8,515 of value.
    """
    curve = as_gain_curve(retention)
    limit = math.inf if budget is None else budget
    _raise_all(_problems(channels, limit))
    _raise_all(_mixed_horizons([*(c.horizon for c in channels), curve.horizon]))
    market = _market(channels, curve)
    solution = solve(market, limit)
    if not math.isfinite(solution.total):
        raise _without_limit(channels, solution.spend)
    today = _current_plan(channels, current)
    return Allocation.of(channels, market, solution, limit, today)


def _market(channels: Sequence[Channel], retention: GainCurve) -> Market:
    return Market(
        _column([c.value * c.incrementality for c in channels]),
        _column([c.lo for c in channels]),
        _column([c.hi for c in channels]),
        group_curves([c.response for c in channels]),
        retention,
    )


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _current_plan(
    channels: Sequence[Channel], current: Mapping[str, float] | None
) -> CurrentPlan | None:
    """Today's spend in the channels' order, or None when it is not known for all of them."""
    if current is None:
        known = {c.name: c.current for c in channels if c.current is not None}
        if not channels or len(known) < len(channels):
            return None
        current = known
    _raise_all(_current_problems([c.name for c in channels], current))
    spend = _column([current[c.name] for c in channels])
    return CurrentPlan(spend, float(current.get("retention", 0.0)), "retention" in current)


def _current_problems(names: Sequence[str], current: Mapping[str, float]) -> Iterator[str]:
    known = {*names, "retention"}
    yield from (f"the current plan says nothing about {n!r}" for n in names if n not in current)
    for name, spend in current.items():
        if name not in known:
            yield f"the current plan names {name!r}, which is no channel of this plan"
        elif not (_is_number(spend) and 0 <= spend < math.inf):
            yield f"the current spend of {name!r} is {spend!r}"


def _problems(channels: Sequence[Channel], budget: float) -> Iterator[str]:
    """Everything that makes the plan infeasible or ill-defined, in words."""
    if not (_is_number(budget) and budget >= 0):
        yield f"the budget is {budget!r}, not an amount of money"
        budget = math.inf
    for name, count in Counter(c.name for c in channels).items():
        if count > 1:
            yield f"{count} channels are called {name!r}"
        if name == "retention":
            yield "a channel is called 'retention', which names the spend on existing customers"
    bad = [problem for channel in channels for problem in _channel_problems(channel)]
    yield from bad
    least = math.fsum(c.lo for c in channels) if not bad else 0.0
    if least > budget * (1 + ROUNDING):
        yield f"the lower bounds add up to {least:,.6g}, more than the budget of {budget:,.6g}"


def _channel_problems(channel: Channel) -> Iterator[str]:
    name, lo, hi = f"channel {channel.name!r}", channel.lo, channel.hi
    response: object = channel.response
    if not isinstance(response, Response):
        yield f"{name}: its response is a {type(response).__name__}, not a curve"
    if not (_is_number(channel.value) and 0 <= channel.value < math.inf):
        yield f"{name}: the value of a new customer is {channel.value!r}"
    if not (_is_number(lo) and 0 <= lo < math.inf):
        yield f"{name}: lo is {lo!r}"
    elif not (_is_number(hi) and hi >= 0):
        yield f"{name}: hi is {hi!r}"
    elif lo > hi:
        yield f"{name}: lo {lo:,.6g} is above hi {hi:,.6g}"
    if not (_is_number(channel.incrementality) and 0 < channel.incrementality <= 1):
        yield f"{name}: incrementality is {channel.incrementality!r}, not in (0, 1]"


def _mixed_horizons(horizons: Sequence[str | None]) -> Iterator[str]:
    """One problem when values of different horizons would compete for the same money."""
    distinct = {_days(horizon): horizon for horizon in horizons if horizon is not None}
    if len(distinct) > 1:
        yield f"values are stated at different horizons: {', '.join(distinct.values())}"


def _days(horizon: str) -> float | str:
    try:
        return round(Duration.parse(horizon).to("day"), 6)
    except InputError:
        return horizon


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not math.isnan(value)


def _raise_all(problems: Iterator[str]) -> None:
    """Raise one ``PlanError`` for all ``problems``, the first five spelt out."""
    found = list(problems)
    if not found:
        return
    more = f"; and {len(found) - 5:,} more" if len(found) > 5 else ""
    raise PlanError(
        f"no allocation can satisfy this plan: {'; '.join(found[:5])}{more}.",
        hint="amounts are in currency, 0 or more; lo <= hi; lower bounds fit in the budget; "
        "values share one horizon.",
    )


def _without_limit(channels: Sequence[Channel], spend: Floats) -> PlanError:
    names = [c.name for c, s in zip(channels, spend, strict=True) if not math.isfinite(s)]
    return PlanError(
        f"the most profitable spend of {', '.join(names[:5])} is too large for a number.",
        hint="give a budget, or an upper bound hi within what has been observed.",
    )
