"""A budget problem ready to be solved: checked, with all bounds worked out, as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clv.decide.budget import Market, Plan, Side, group_curves, kkt_residual, solve
from clv.decide.feasible import (
    bound_problems,
    mixed_horizons,
    plan_problems,
    raise_all,
    target_out_of_reach,
    without_limit,
)
from clv.decide.gain import GainCurve, as_gain_curve
from clv.decide.modes import MinimumCost, Target
from clv.decide.quality import Declining
from clv.decide.response import Response
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.allocate import Channel


@dataclass(frozen=True)
class Problem:
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
    """

    channels: tuple[Channel, ...]
    market: Market
    counted: Market
    share: Floats
    budget: float
    target: Target | None
    periods: float

    @classmethod
    def of(
        cls,
        channels: Sequence[Channel],
        budget: float | None = None,
        retention: object = None,
        target: Target | None = None,
        periods: float = 1.0,
    ) -> Problem:
        """The checked problem; ``PlanError`` names all that is wrong with it."""
        curve = as_gain_curve(retention)
        limit = math.inf if budget is None else budget
        raise_all(plan_problems(channels, limit, target, periods))
        raise_all(mixed_horizons([*(c.horizon for c in channels), curve.horizon]))
        market, counted = _markets(channels, curve, periods)
        share = _column([c.incrementality for c in channels])
        problem = cls(tuple(channels), market, counted, share, limit, target, periods)
        bounded = problem.bounded()
        raise_all(bound_problems(channels, bounded, limit, target))
        raise_all(target_out_of_reach(target, bounded, share, limit))
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

    def solve(self) -> Plan:
        """The best plan; ``PlanError`` if its spend is too large for a number."""
        plan = solve(self.bounded(), self.budget, self.side())
        if not math.isfinite(plan.total):
            raise without_limit(self.channels, plan.spend)
        return plan

    def residual(self, plan: Plan) -> float:
        """The certificate: the largest relative breach of any condition of optimality."""
        return kkt_residual(self.bounded(), plan, self.budget, self.side())

    def profit(self, plan: Plan) -> float:
        """Value minus spend, retention included."""
        value = float(self.market.value @ self.market.customers(plan.spend))
        return value + self.market.retention.gain_at(plan.retention) - plan.total

    def target_cost(self, plan: Plan) -> float | None:
        """Profit that a target costs: that of the best plan without it, less that of ``plan``.

        None without a target, for one of customers (which is what the plan is for), and where the
        plan without it is beyond all numbers.
        """
        if self.target is None or isinstance(self.target, MinimumCost):
            return None
        free = solve(self.market, self.budget)
        return self.profit(free) - self.profit(plan) if math.isfinite(free.total) else None

    def allows(self, plan: Plan) -> bool:
        """Whether a plan respects bounds, budget and target."""
        market, side = self.bounded(), self.side()
        inside = (market.lo <= plan.spend) & (plan.spend <= market.hi)
        meets = side is None or side.surplus(self.market, plan) >= 0
        return bool(inside.all()) and plan.total <= self.budget and meets

    def with_bounds(self, lo: Floats, hi: Floats) -> Problem:
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
