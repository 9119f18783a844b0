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

from clv.decide.budget.channel_problems import is_amount, is_number, raise_all
from clv.decide.budget.modes import TargetLtvToCac, best_within_reach
from clv.decide.budget.solver import most_slack
from clv.errors import InputError, PlanError
from clv.findings import finding
from clv.format import listed, money
from clv.periods import Duration


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
    period
        What one of the periods is called.
    """

    channels: tuple[Channel, ...]
    market: Market
    counted: Market
    share: Floats
    budget: float
    target: Target | None
    periods: float
    currency: str = ""
    period: str = "period"

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


def without_limit(channels: Sequence[Channel], spend: Floats) -> PlanError:
    """The error for a plan whose best spend no number holds."""
    names = [c.name for c, s in zip(channels, spend, strict=True) if not math.isfinite(s)]
    return PlanError(
        f"the most profitable spend of {', '.join(names[:5])} is too large for a number.",
        hint="give a budget, or an upper bound hi within what has been observed.",
    )


def _target_problems(channels: Sequence[Channel], target: Target | None) -> Iterator[str]:
    if target is None:
        return
    declining = [c.name for c in channels if c.decline]
    if declining and not isinstance(target, TargetLtvToCac):
        yield (
            f"the target counts customers, however good, and the quality of those of "
            f"{listed(declining)} declines; a target of LTV:CAC counts their value"
        )


def _days(horizon: str) -> float | str:
    try:
        return round(Duration.parse(horizon).to("day"), 6)
    except InputError:
        return horizon
