"""S-shaped curves within one period, in which nobody can alternate between little and much.

Over many periods a channel with an S-shaped curve can alternate between nothing and s*, which is
what its concave envelope counts. Within one period it cannot. At the optimum of one period every
such channel is at its lower bound, or where its curve is concave, and at most one lies in between
and takes what the others leave: of two that do, either could better give to the other. Which is
which is found on a grid of money, channel by channel; given that, the rest is concave and solved
exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from clv.decide.budget.channel import Channel
from clv.decide.budget.problem import AllocationProblem
from clv.decide.budget.response import Hill, Response, not_negative
from clv.decide.budget.solver import Market, SpendPlan, solve
from clv.schema import Floats

GRID = 1_500  # amounts of money between which it is decided who gets nothing
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class OnePeriodHill(Hill):
    """The Hill curve itself, S-shaped as it is: what is bought within one period.

    It is concave from the spend K ((a - 1) / (a + 1))^(1 / a) on, where it is steepest.

    Examples
    --------
    >>> tv = OnePeriodHill(V=1000, K=10_000, exponent=2)
    >>> float(tv.customers(5_000)), float(Hill(V=1000, K=10_000, exponent=2).customers(5_000))
    (200.0, 250.0)
    """

    @property
    def concave_from(self) -> Floats:
        """Where the curve is steepest; 0 where the exponent is at most 1."""
        a = np.asarray(self.exponent, dtype=np.float64)
        return np.asarray(self.K * (np.maximum(a - 1, 0.0) / (a + 1)) ** (1 / a))

    def customers(self, spend: ArrayLike) -> Floats:
        """h(s)."""
        return self.s_shaped(spend)

    def marginal(self, spend: ArrayLike) -> Floats:
        """h'(s)."""
        return self._slope(not_negative(spend))


def s_shaped(channels: Sequence[Channel]) -> Ints:
    """Which channels have an S-shaped curve, of customers that stay as good."""
    return np.flatnonzero(
        [
            isinstance(c.response, Hill) and bool(c.response.tangent > 0) and not c.decline
            for c in channels
        ]
    )


def within_one_period(problem: AllocationProblem) -> AllocationProblem:
    """The same problem with S-shaped curves as they are, where it is for one period."""
    shaped = s_shaped(problem.channels)
    if problem.periods != 1 or problem.target is not None or not len(shaped):
        return problem
    channels = [
        replace(c, response=_as_it_is(c.response)) if i in shaped else c
        for i, c in enumerate(problem.channels)
    ]
    return AllocationProblem.from_channels(
        channels, problem.budget, problem.market.retention, None, 1.0, problem.currency
    )


def _as_it_is(curve: Response) -> OnePeriodHill:
    known: Any = {field.name: getattr(curve, field.name) for field in fields(curve)}
    return OnePeriodHill(**known)


def best_plan(problem: AllocationProblem) -> SpendPlan:
    """The plan of greatest profit of a problem with S-shaped curves, for one period."""
    market, shaped = problem.market, s_shaped(problem.channels)
    steep = np.zeros_like(market.lo)
    responses: list[Any] = [problem.channels[i].response for i in shaped]
    steep[shaped] = [curve.concave_from for curve in responses]
    free = _without_limit(market, shaped, steep)
    if free.total <= problem.budget:
        return free
    spend = _on_a_grid(problem, shaped)
    between = (spend > market.lo) & (spend < np.minimum(steep, market.hi))
    between[[i for i in range(len(spend)) if i not in shaped]] = False
    lo = np.where(spend > market.lo, np.clip(steep, market.lo, market.hi), market.lo)
    hi = np.where(np.isin(np.arange(len(spend)), shaped) & (spend <= market.lo), lo, market.hi)
    for index in np.flatnonzero(between):

        def lost(at: float, index: int = int(index)) -> float:
            held = np.where(np.arange(len(spend)) == index, at, spend)
            return -_profit(market, _fixed(market, problem.budget, lo, hi, between, held))

        step, most = 2 * problem.budget / GRID, min(steep[index], market.hi[index])
        ends = (max(spend[index] - step, market.lo[index]), min(spend[index] + step, most))
        spend[index] = minimize_scalar(lost, bounds=ends, options={"xatol": 1e-7 * step}).x
    plan = _fixed(market, problem.budget, lo, hi, between, spend)
    returned = market.marginal_value(plan.spend)[between & (plan.spend < market.hi)]
    return replace(plan, mu=max(plan.mu, returned.max(initial=1.0)))


def _fixed(
    market: Market, budget: float, lo: Floats, hi: Floats, between: NDArray[np.bool_], spend: Floats
) -> SpendPlan:
    """The best plan where channels lie where they are concave, or are held where they are."""
    lo, hi = np.where(between, spend, lo), np.where(between, spend, hi)
    over = float(lo.sum()) - budget
    if over > 0:  # the grid is coarse: who lies between gives way
        lo = np.where(between, np.maximum(lo - over, market.lo), lo)
        hi = np.where(between, lo, hi)
    return solve(replace(market, lo=lo, hi=hi), budget)


def _profit(market: Market, plan: SpendPlan) -> float:
    value = float(market.value @ market.customers(plan.spend))
    return value + market.retention.gain_at(plan.retention) - plan.total


def _without_limit(market: Market, shaped: Ints, steep: Floats) -> SpendPlan:
    """The best plan without a budget: each S-shaped channel at a bound, or where it is concave."""
    plan = market.demand(1.0)
    top = np.clip(plan.spend, np.minimum(steep, market.hi), market.hi)
    spends = np.array([market.lo, top, np.where(np.isfinite(market.hi), market.hi, top)])
    profit = np.array([market.value * market.customers(s) - s for s in spends])
    best = spends[np.argmax(profit, axis=0), np.arange(len(market.lo))]
    spend = plan.spend.copy()
    spend[shaped] = best[shaped]
    return replace(plan, spend=spend)


def _on_a_grid(problem: AllocationProblem, shaped: Ints) -> Floats:
    """Spend of each S-shaped channel, to a step of the grid, by dynamic programming."""
    market = problem.market
    spare = max(problem.budget - float(market.lo.sum()), 0.0)
    money = np.linspace(0.0, spare, GRID)
    best, choices = _of_others(market, shaped, money), []
    earlier = np.arange(GRID)[:, None] - np.arange(GRID)
    for index in shaped:
        spend = market.lo[index] + money
        earned = market.value[index] * problem.channels[index].response.customers(spend) - spend
        earned[spend > market.hi[index]] = -np.inf
        total = np.where(earlier >= 0, best[np.maximum(earlier, 0)] + earned, -np.inf)
        choices.append(np.argmax(total, axis=1))
        best = total[np.arange(GRID), choices[-1]]
    left, spend = int(np.argmax(best)), market.lo.copy()
    for index, choice in zip(shaped[::-1], choices[::-1], strict=True):
        spend[index] = market.lo[index] + money[choice[left]]
        left -= int(choice[left])
    return spend


def _of_others(market: Market, shaped: Ints, money: Floats) -> Floats:
    """Profit of the concave channels and retention from each amount of money on top of ``lo``."""
    others = replace(market, hi=market.hi.copy())
    others.hi[shaped] = market.lo[shaped]
    plans = [others.demand(mu) for mu in np.exp(np.linspace(0.0, 30.0, 600))]
    total = np.array([plan.total for plan in plans]) - float(market.lo.sum())
    profit = np.array([_profit(others, plan) for plan in plans])
    order = np.argsort(total)
    return np.asarray(np.interp(money, total[order], profit[order]))
