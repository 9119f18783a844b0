"""S-shaped curves within one period or a few, in which nobody alternates as often as is best.

Over many periods a channel with an S-shaped curve can alternate between nothing and s*, which is
what its concave envelope counts. Within a few it cannot, and the problem has many local
optima. It is solved by branch and bound: the concave hulls of the curves between bounds give the
most that any plan within them can earn, and their best plan says where to divide the bounds.
Real plans come from below: each curve is replaced by its tangent at a plan, where it bends
upwards, which gives a better plan that is real, until it stays (the convex-concave procedure).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from heapq import heappop, heappush
from itertools import pairwise, product
from typing import Any, Self, TypeGuard

import numpy as np

from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.modes import MinimumCost, Target, largest_spend
from clv.decide.budget.one_period_mean import OnePeriodMean
from clv.decide.budget.problem import ROUNDING, AllocationProblem
from clv.decide.budget.response import Hill
from clv.decide.budget.solver import Market, Side, SpendPlan, kkt_residual, most_slack, solve
from clv.decide.budget.straightened import hull, tangent
from clv.decide.budget.whole_periods import OnePeriodHill
from clv.schema import Floats

PARTS = 60  # divisions of the bounds after which the best plan so far is taken
CLOSE = 1e-4  # a plan is as good as the best if no plan earns more than this share more
WAYS = 40  # in how many periods each channel is spent on, all of them together, that are tried
STEPS = 15  # tangents taken one after the other


Part = tuple[float, Market, SpendPlan]  # the most within bounds, and the plan on the hulls


class Aim(ABC):
    """What is to be largest, and within what."""

    @abstractmethod
    def best(self, market: Market) -> SpendPlan | None:
        """The plan that does most in a market of concave curves; None if none is allowed."""

    def safest(self, market: Market) -> SpendPlan:
        """A plan that is allowed, if any is, to begin with."""
        return SpendPlan(market.lo, 0.0, 1.0)

    @abstractmethod
    def worth(self, market: Market, plan: SpendPlan) -> float:
        """What a plan does."""


@dataclass(frozen=True)
class Profit(Aim):
    """Profit, within a budget and a side condition."""

    budget: float
    side: Side | None

    def best(self, market: Market) -> SpendPlan | None:
        """As ``solve``."""
        if np.any(market.lo > market.hi) or market.lo.sum() > self.budget * (1 + ROUNDING):
            return None
        plan = solve(market, self.budget, self.side)
        met = self.side is None or self.side.slack(market, plan) >= -ROUNDING
        return plan if met else None

    def safest(self, market: Market) -> SpendPlan:
        """The plan that does most for the side condition."""
        if self.side is None:
            return super().safest(market)
        return most_slack(market, self.side, self.budget)

    def worth(self, market: Market, plan: SpendPlan) -> float:
        """Value minus spend."""
        value = float(market.value @ market.customers(plan.spend))
        return value + market.retention.gain_at(plan.retention) - plan.total


@dataclass(frozen=True)
class Surplus(Aim):
    """What is left of a side condition, within a budget."""

    budget: float
    side: Side

    def best(self, market: Market) -> SpendPlan | None:
        """As ``most_slack``."""
        if np.any(market.lo > market.hi) or market.lo.sum() > self.budget * (1 + ROUNDING):
            return None
        return most_slack(market, self.side, self.budget)

    def worth(self, market: Market, plan: SpendPlan) -> float:
        """By how much the plan exceeds the condition."""
        return self.side.surplus(market, plan)


class OnePeriodProblem(AllocationProblem):
    """A problem with S-shaped curves, for one period or a few."""

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
        as_they_are = [
            replace(c, response=within_one_period(c.response)) if starts_slowly(c) else c
            for c in channels
        ]
        return super().from_channels(as_they_are, budget, retention, target, periods, currency)

    def bounded(self) -> Market:
        """The market within its bounds; what must be spent is enough for a channel's target."""
        market = super().bounded()
        held = (self.market.lo > 0) & (self.least() > self.market.lo)
        return replace(market, lo=np.where(held, self.least(), market.lo))

    def least(self) -> Floats:
        """The least spend that a target allows each channel, if any at all; 0 without one."""
        target, market = self.target, self.market
        if target is None or target.per == "portfolio":
            return np.zeros_like(market.lo)
        assert not isinstance(target, MinimumCost)  # which holds over all channels
        side = replace(target, per="portfolio").side(market, self.share)
        assert side is not None
        return _least_spend(market, side, marginal=target.per == "marginal")

    def best(self, market: Market, side: Side | None = None) -> SpendPlan:
        """The plan of greatest profit, by branch and bound."""
        least = self.least() if market is not self.market else np.zeros_like(market.lo)
        plan = best_plan(market, np.where(market.lo > 0, 0.0, least), Profit(self.budget, side))
        return solve(market, self.budget, side) if plan is None else plan

    def most(self, market: Market, side: Side) -> SpendPlan:
        """The plan that does most for a side condition, by branch and bound."""
        plan = best_plan(market, np.zeros_like(market.lo), Surplus(self.budget, side))
        return most_slack(market, side, self.budget) if plan is None else plan

    def residual(self, plan: SpendPlan) -> float:
        """The largest relative breach of a condition that the best plan meets."""
        market = self.bounded()
        least = np.maximum(market.lo, np.where(plan.spend > 0, self.least(), 0.0))
        market = replace(market, lo=np.minimum(least, plan.spend))
        return kkt_residual(market, plan, self.budget, self.side())


def kind_of_problem(channels: Sequence[Channel], periods: float) -> type[AllocationProblem]:
    """Whether curves are taken as they are within a few periods, or as over many.

    Each may be spent on in any number of the periods: where these are too many ways to try, and
    where curves are means of draws, a channel may be on in any share of them.
    """
    slow = [channel.response for channel in channels if starts_slowly(channel)]
    few = math.ceil(periods) ** len(slow) <= WAYS and not any(map(_is_mean, slow))
    return OnePeriodProblem if slow and (few or periods == 1) else AllocationProblem


def starts_slowly(channel: Channel) -> bool:
    """Whether a channel has an S-shaped curve."""
    curve = channel.response.draws if _is_mean(channel.response) else channel.response
    return isinstance(curve, Hill) and bool(np.any(curve.tangent > 0))


def _is_mean(curve: Any) -> TypeGuard[MeanOfDraws]:
    return isinstance(curve, MeanOfDraws)


def within_one_period(curve: Any) -> Any:
    """An S-shaped curve, or the mean of some, as it is: nobody alternates."""
    if _is_mean(curve):
        return OnePeriodMean(within_one_period(curve.draws), assumed=curve.assumed)
    return OnePeriodHill(**{field.name: getattr(curve, field.name) for field in fields(curve)})


def _least_spend(market: Market, side: Side, *, marginal: bool) -> Floats:
    """From which spend on a channel has credit n(s) >= charge s, or credit n'(s) >= charge."""
    low = np.zeros_like(market.lo)
    high = largest_spend(market, side.credit, side.charge, "marginal")
    for _ in range(200):
        middle = (low + high) / 2
        if marginal:
            enough = side.credit * market.marginal(middle) >= side.charge
        else:
            enough = side.credit * market.customers(middle) >= side.charge * middle
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(low > 0, high, 0.0)


def best_plan(market: Market, least: Floats, aim: Aim) -> SpendPlan | None:
    """The plan that does most in a market with S-shaped curves; None if none is allowed.

    ``least``: a channel gets at least so much, or nothing; shape (channels,).
    """
    best: SpendPlan | None = None
    most = -math.inf
    waiting: list[tuple[float, int, Part]] = []
    for number, part in enumerate(_parts(market, aim, _between_valleys(market))):
        heappush(waiting, (-part[0], number, part))
    for number in range(1, PARTS + 1):
        if not waiting or -waiting[0][0] <= most + CLOSE * abs(most):
            break
        _, _, (_, within, upper) = heappop(waiting)
        plan = _settled(within, least, aim, upper)
        if plan is None:
            plan = _settled(within, least, aim, aim.safest(hull(within)))
        if plan is not None and aim.worth(market, plan) > most:
            best, most = plan, aim.worth(market, plan)
        divided = _divided(within, least, upper)
        for k, part in enumerate(_parts(market, aim, divided)):
            heappush(waiting, (-part[0], 2 * number + k, part))
    return best


def _between_valleys(market: Market) -> list[tuple[Floats, Floats]]:
    """Bounds within which each curve bends upwards once at most."""
    ends = [[lo, hi] for lo, hi in zip(market.lo, market.hi, strict=True)]
    for which, curve in market.curves:
        for channel, valleys in zip(which, curve.valleys, strict=False):
            lo, hi = ends[channel]
            ends[channel] = [lo, *(s for s in valleys if lo < s < hi), hi]
    spans = product(*(pairwise(each) for each in ends))
    return [(np.array(lo), np.array(hi)) for lo, hi in (zip(*each, strict=True) for each in spans)]


def _parts(market: Market, aim: Aim, bounds: Sequence[tuple[Floats, Floats]]) -> Iterator[Part]:
    """Markets within bounds, the most that can be done there, and the plan on the hulls."""
    for lo, hi in bounds:
        within = replace(market, lo=lo, hi=hi)
        above = hull(within) if np.all(lo <= hi) else within
        plan = aim.best(above)
        if plan is not None:
            yield aim.worth(above, plan), within, plan


def _divided(within: Market, least: Floats, plan: SpendPlan) -> list[tuple[Floats, Floats]]:
    """The bounds in two, at the channel whose hull promises most beyond its curve."""
    above, spend = hull(within), plan.spend
    none = (within.lo == 0) & (spend > 0) & (spend < least)
    gap = above.customers(spend) - within.customers(spend)
    gap = gap / np.maximum(within.customers(spend), np.finfo(float).tiny) + none
    index = int(np.argmax(gap))
    if not gap[index] > 1e-9:
        return []
    ends = (0.0, float(least[index])) if none[index] else (float(spend[index]),) * 2
    lo, hi = within.lo.copy(), within.hi.copy()
    hi[index], lo[index] = ends
    return [(within.lo, hi), (lo, within.hi)]


def _settled(within: Market, least: Floats, aim: Aim, plan: SpendPlan) -> SpendPlan | None:
    """A real plan near one on the hulls: the best on tangents, again and again."""
    small = (within.lo == 0) & (plan.spend < least / 2)
    within = replace(
        within,
        lo=np.where(small, 0.0, np.maximum(within.lo, least)),
        hi=np.where(small & (least > 0), 0.0, within.hi),
    )
    best, most = None, -math.inf
    spend = np.clip(plan.spend, within.lo, within.hi)
    for _ in range(STEPS):
        found = aim.best(tangent(within, spend))
        if found is None:
            break
        profit = aim.worth(within, found)
        gained, most = profit - most, max(profit, most)
        best, spend = found, found.spend
        if gained <= 1e-14 * abs(most):
            break
    return best
