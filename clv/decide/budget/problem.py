"""A budget problem ready to be solved: checked, with all bounds worked out, as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from clv.decide.budget.gain_curve import GainCurve, as_gain_curve
from clv.decide.budget.modes import MinimumCost, Target
from clv.decide.budget.quality import Declining
from clv.decide.budget.response import Response
from clv.decide.budget.solver import Market, Side, SpendPlan, group_curves, kkt_residual, solve
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.budget.channel import Channel
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from clv.decide.budget.modes import PER, TargetLtvToCac, best_within_reach
from clv.decide.budget.solver import most_slack
from clv.errors import InputError, PlanError
from clv.findings import finding
from clv.format import count, listed, money
from clv.periods import Duration
from clv.shares import hint_of_percent, outside


@dataclass(frozen=True)
class AllocationProblem:
    """What is to be decided; arrays of shape (channels,).

    Parameters
    ----------
    channels
        As they were given.
    market
        Their curves in customers of today's quality, with bounds and step caps, and retention.
    counted
        The same with curves that count customers, however good.
    share
        Incrementality.
    budget
        Infinite for no limit.
    target
        What the plan is for, beside profit.
    periods
        W: how many periods of the channels' curves the money is for.
    currency
        Of all money; empty if it is not stated.
    """

    channels: tuple[Channel, ...]
    market: Market
    counted: Market
    share: Floats
    budget: float
    target: Target | None
    periods: float
    currency: str = ""

    @classmethod
    def from_channels(
        cls,
        channels: Sequence[Channel],
        budget: float | None = None,
        retention: object = None,
        target: Target | None = None,
        periods: float = 1.0,
        currency: str = "",
    ) -> Self:
        """The checked problem; ``PlanError`` names all that is wrong with it."""
        curve = as_gain_curve(retention)
        limit = math.inf if budget is None else budget
        raise_all(plan_problems(channels, limit, target, periods))
        raise_all(mixed_horizons([*(c.horizon for c in channels), curve.horizon]))
        currency = currency or curve.currency or ""
        market, counted = _markets(channels, curve, periods)
        share = _column([c.incrementality for c in channels])
        problem = cls(tuple(channels), market, counted, share, limit, target, periods, currency)
        bounded = problem.bounded()
        raise_all(bound_problems(channels, bounded, limit, target, currency))
        raise_all(problem.out_of_reach())
        return problem

    @property
    def names(self) -> list[str]:
        """The channels' names."""
        return [channel.name for channel in self.channels]

    @property
    def horizon(self) -> str | None:
        """The horizon of all values, where one is stated."""
        named = (c.horizon for c in self.channels if c.horizon)
        return next(named, self.market.retention.horizon)

    def bounded(self) -> Market:
        """The market whose greatest profit is what the target asks for, within its bounds."""
        if self.target is None:
            return self.market
        return self.target.market(self.market, self.share)

    def side(self) -> Side | None:
        """The condition that a target over all channels adds."""
        return None if self.target is None else self.target.side(self.market, self.share)

    def solve(self) -> SpendPlan:
        """The best plan; ``PlanError`` if its spend is too large for a number."""
        plan = self.best(self.bounded(), self.side())
        if not math.isfinite(plan.total):
            raise without_limit(self.channels, plan.spend)
        return plan

    def best(self, market: Market, side: Side | None = None) -> SpendPlan:
        """The plan of greatest profit in a market, within the budget and a side condition."""
        return solve(market, self.budget, side)

    def most(self, market: Market, side: Side) -> SpendPlan:
        """The plan that does most for a side condition."""
        return most_slack(market, side, self.budget)

    def out_of_reach(self) -> Iterator[str]:
        """One problem when no plan within bounds and budget meets a target over all channels."""
        target, market, side = self.target, self.bounded(), self.side()
        if target is None or side is None:
            return
        if side.slack(market, self.most(market, side)) < -ROUNDING:
            best = best_within_reach(target, market, self.share, lambda s: self.most(market, s))
            budget = money(self.budget, self.currency)
            limit = f" with a budget of {budget}" if math.isfinite(self.budget) else ""
            yield f"{target.falls_short(best).within(self.currency)}{limit}"

    def residual(self, plan: SpendPlan) -> float:
        """The certificate: the largest relative breach of any condition of optimality."""
        return kkt_residual(self.bounded(), plan, self.budget, self.side())

    def profit(self, plan: SpendPlan) -> float:
        """Value minus spend, retention included."""
        value = float(self.market.value @ self.market.customers(plan.spend))
        return value + self.market.retention.gain_at(plan.retention) - plan.total

    def target_cost(self, plan: SpendPlan) -> float | None:
        """Profit that a target costs: that of the best plan without it, less that of ``plan``.

        None without a target, for one of customers (which is what the plan is for), and where the
        plan without it is beyond all numbers.
        """
        if self.target is None or isinstance(self.target, MinimumCost):
            return None
        free = self.best(self.market)
        return self.profit(free) - self.profit(plan) if math.isfinite(free.total) else None

    def allows(self, plan: SpendPlan) -> bool:
        """Whether a plan respects bounds, budget and target."""
        market, side = self.bounded(), self.side()
        inside = (market.lo <= plan.spend) & (plan.spend <= market.hi)
        meets = side is None or side.surplus(self.market, plan) >= 0
        return bool(inside.all()) and plan.total <= self.budget and meets

    def with_bounds(self, lo: Floats, hi: Floats) -> AllocationProblem:
        """The same problem within other bounds."""
        return replace(self, market=replace(self.market, lo=lo, hi=hi))


def _markets(
    channels: Sequence[Channel], retention: GainCurve, periods: float
) -> tuple[Market, Market]:
    bounds = [c.bounds(periods) for c in channels]
    value = _column([c.value * c.incrementality for c in channels])
    lo, hi = _column([b[0] for b in bounds]), _column([b[1] for b in bounds])
    responses = [c.response if periods == 1 else c.response.over(periods) for c in channels]
    counted = Market(value, lo, hi, group_curves(responses), retention)
    if not any(c.decline for c in channels):
        return counted, counted
    aging = [_aging(c, curve) for c, curve in zip(channels, responses, strict=True)]
    return replace(counted, curves=group_curves(aging)), counted


def _aging(channel: Channel, curve: Response) -> Response:
    """The channel's curve in customers of today's quality."""
    if not channel.decline:
        return curve
    return Declining(curve, float(curve.customers(channel.current or 0.0)), channel.decline)


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


# What makes a plan infeasible or ill-defined, in words, before anything is solved.


ROUNDING = 1e-9  # bounds that meet the budget to this relative precision meet it


def plan_problems(
    channels: Sequence[Channel], budget: float, target: Target | None, periods: float
) -> Iterator[str]:
    """Everything wrong with the parts of a plan, each by itself."""
    if not (is_number(budget) and budget >= 0):
        yield f"the budget is {budget!r}, not an amount of money"
    if not (is_number(periods) and 0 < periods < math.inf):
        yield f"periods is {periods!r}, not a number of periods"
    yield from _target_problems(channels, target)
    for name, times in Counter(c.name for c in channels).items():
        if times > 1:
            yield f"{times} channels are called {name!r}"
        if name == "retention":
            yield "a channel is called 'retention', which names the spend on existing customers"
    for channel in channels:
        yield from _channel_problems(channel)


def bound_problems(
    channels: Sequence[Channel],
    market: Market,
    budget: float,
    target: Target | None,
    currency: str,
) -> Iterator[str]:
    """Bounds that leave nothing to choose from: with the budget, and with a channel's target."""
    least = math.fsum(market.lo.tolist())
    if least > budget * (1 + ROUNDING):
        capped = [c.name for c, lo in zip(channels, market.lo, strict=True) if lo > c.lo]
        why = f" (of which step caps hold up {', '.join(capped[:3])})" if capped else ""
        sums = f"{money(least, currency)}, more than the budget of {money(budget, currency)}"
        yield f"the lower bounds add up to {sums}{why}"
    for channel, lo, hi in zip(channels, market.lo, market.hi, strict=True):
        if target is not None and lo > hi * (1 + ROUNDING):
            amounts = {"minimum": float(lo), "allowed": float(hi)}
            clause = target.clause
            breach = finding(
                "limit.minimum_breaks_target", channel=channel.name, target=clause, **amounts
            )
            yield str(breach.within(currency))


def current_problems(names: Sequence[str], current: Mapping[str, float]) -> Iterator[str]:
    """Today's plan names every channel, nothing else, and amounts of money."""
    options = {*names, "retention"}
    yield from (f"the current plan says nothing about {n!r}" for n in names if n not in current)
    for name, spend in current.items():
        if name not in options:
            yield f"the current plan names {name!r}, which is no channel of this plan"
        elif not is_amount(spend):
            yield f"the current spend of {name!r} is {spend!r}"


def mixed_horizons(horizons: Iterable[str | None]) -> Iterator[str]:
    """One problem when values of different horizons would compete for the same money."""
    distinct = {_days(horizon): horizon for horizon in horizons if horizon is not None}
    if len(distinct) > 1:
        yield f"values are stated at different horizons: {', '.join(distinct.values())}"


def raise_all(problems: Iterator[str]) -> None:
    """Raise one ``PlanError`` for all ``problems``, the first five spelt out."""
    listed = list(problems)
    if not listed:
        return
    more = f"; and {count(len(listed) - 5)} more" if len(listed) > 5 else ""
    raise PlanError(
        f"no allocation can satisfy this plan: {'; '.join(listed[:5])}{more}.",
        hint="amounts are in currency, 0 or more; lo <= hi; lower bounds fit in the budget, and so "
        "do step caps (step=(0, 2) lets a channel fall to 0); values share one horizon.",
    )


def without_limit(channels: Sequence[Channel], spend: Floats) -> PlanError:
    """The error for a plan whose best spend no number holds."""
    names = [c.name for c, s in zip(channels, spend, strict=True) if not math.isfinite(s)]
    return PlanError(
        f"the most profitable spend of {', '.join(names[:5])} is too large for a number.",
        hint="give a budget, or an upper bound hi within what has been observed.",
    )


def is_number(value: object) -> bool:
    """A number that is not NaN."""
    return isinstance(value, int | float | np.integer | np.floating) and not math.isnan(value)


def is_amount(value: object) -> bool:
    """A finite number, 0 or more."""
    return is_number(value) and 0 <= value < math.inf  # type: ignore[operator]


def _target_problems(channels: Sequence[Channel], target: Target | None) -> Iterator[str]:
    if target is None:
        return
    if not (is_amount(target.amount) and target.amount > 0):
        what = "customers" if isinstance(target, MinimumCost) else "amount"
        yield f"the {what} of the target is {target.amount!r}, not a number above 0"
    if target.per not in PER:
        yield f"the target holds per {target.per!r}, which is none of {', '.join(PER)}"
    declining = [c.name for c in channels if c.decline]
    if declining and not isinstance(target, TargetLtvToCac):
        yield (
            f"the target counts customers, however good, and the quality of those of "
            f"{listed(declining)} declines; a target of LTV:CAC counts their value"
        )


def _channel_problems(channel: Channel) -> Iterator[str]:
    name, lo, hi = f"channel {channel.name!r}", channel.lo, channel.hi
    response: object = channel.response
    if not isinstance(response, Response):
        yield f"{name}: its response is a {type(response).__name__}, not a curve"
    if not is_amount(channel.value):
        yield f"{name}: the value of a new customer is {channel.value!r}"
    if not is_amount(lo):
        yield f"{name}: lo is {lo!r}"
    elif not (is_number(hi) and hi >= 0):
        yield f"{name}: hi is {hi!r}"
    elif lo > hi:
        yield f"{name}: lo {money(lo)} is above hi {money(hi)}"
    if channel.current is not None and not is_amount(channel.current):
        yield f"the current spend of {channel.name!r} is {channel.current!r}"
    shares = (("incrementality", "(0, 1]"), ("decline", "[0, 1)"))
    for what, within in shares:
        if outside(share := getattr(channel, what), within):
            percent = hint_of_percent(share).rstrip(".")
            yield f"{name}: {what} is {share!r}, not in {within}" + (percent and f" ({percent})")
    if is_amount(channel.decline) and channel.decline > 0 and not channel.current:
        yield f"{name}: decline needs current, the spend at which its value was measured"
    elif _wins_nobody(channel):
        yield f"{name}: its value was measured at a spend that wins no customers"
    yield from _range_problems(name, "observed", channel.observed)
    yield from _range_problems(name, "step", channel.step)


def _wins_nobody(channel: Channel) -> bool:
    """Whether today's spend, where a value that declines was measured, wins no customers."""
    declines = is_amount(channel.decline) and channel.decline > 0 and is_amount(channel.current)
    if not (declines and isinstance(channel.response, Response)):
        return False
    return not np.all(channel.response.customers(channel.current or 0.0) > 0)


def _range_problems(name: str, field: str, value: object) -> Iterator[str]:
    if value is None:
        return
    low, high = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
    if not (is_amount(low) and is_number(high) and low <= high):  # type: ignore[operator]
        yield f"{name}: {field} is {value!r}, not (low, high)"


def _days(horizon: str) -> float | str:
    try:
        return round(Duration.parse(horizon).to("day"), 6)
    except InputError:
        return horizon
