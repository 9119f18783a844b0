"""The exact solver: one multiplier at which every option's next unit of money is worth the same.

Maximise sum_c v_c n_c(s_c) + G(R) - sum_c s_c - R subject to lo <= s <= hi and sum_c s_c + R <= B.
All curves are concave, so the conditions of Karush, Kuhn and Tucker are sufficient: there is one
multiplier mu >= 1 with v n'(s) = mu inside the bounds, <= mu at lo, >= mu at hi, and a customer is
retained if and only if gain / cost >= mu. Spend at a given mu is a closed form, and total spend
falls with mu, so the budget is a search for one number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv.decide.gain import GainCurve
from clv.decide.response import Response
from clv.schema import Floats

TINY = np.finfo(np.float64).tiny
LARGEST_LOG_MULTIPLIER = 700.0  # exp overflows at 709


@dataclass(frozen=True)
class Market:
    """What money can be spent on: channels as arrays of shape (channels,), and retention.

    Parameters
    ----------
    value
        v: worth of one attributed new customer, in currency.
    lo, hi
        Bounds of the spend per channel.
    curves
        Channels grouped by the class of their curve: (which channels, their stacked curve).
    retention
        G(R).
    """

    value: Floats
    lo: Floats
    hi: Floats
    curves: tuple[tuple[NDArray[np.intp], Response], ...]
    retention: GainCurve

    def customers(self, spend: Floats) -> Floats:
        """n(s) of every channel."""
        out = np.empty_like(spend)
        for which, curve in self.curves:
            out[which] = curve.customers(spend[which])
        return out

    def marginal(self, spend: Floats) -> Floats:
        """n'(s) of every channel."""
        out = np.empty_like(spend)
        for which, curve in self.curves:
            out[which] = curve.marginal(spend[which])
        return out

    def worth(self, spend: Floats) -> Floats:
        """Worth v n'(s) of every channel: what the next unit of money buys there."""
        with np.errstate(invalid="ignore"):  # worthless customers at an infinite rate
            return np.where(self.value > 0, self.value * self.marginal(spend), 0.0)

    def demand(self, mu: float, most: float = np.inf) -> Plan:
        """The spend at which each option's next unit is worth ``mu``, at most ``most`` each."""
        spend = np.empty_like(self.lo)
        with np.errstate(divide="ignore", over="ignore"):  # worthless customers
            wanted = mu / self.value
        for which, curve in self.curves:
            spend[which] = curve.spend_at(wanted[which])
        spend[spend < TINY] = 0.0
        spend = np.clip(spend, self.lo, np.minimum(self.hi, np.maximum(most, self.lo)))
        return Plan(spend, self.retention.spend_above(mu), mu)


@dataclass(frozen=True)
class Plan:
    """Spend per channel, spend on retention, and the multiplier mu."""

    spend: Floats
    retention: float
    mu: float

    @property
    def total(self) -> float:
        """All the money spent."""
        return float(self.spend.sum()) + self.retention


def group_curves(curves: Sequence[Response]) -> tuple[tuple[NDArray[np.intp], Response], ...]:
    """Stack curves of one class into one curve with array parameters."""
    kinds: dict[type[Response], list[int]] = {}
    for index, curve in enumerate(curves):
        kinds.setdefault(type(curve), []).append(index)
    return tuple(
        (np.array(which), kind.stack([curves[index] for index in which]))
        for kind, which in kinds.items()
    )


def solve(market: Market, budget: float = np.inf) -> Plan:
    """The plan of greatest profit within ``budget``; infinite for no limit.

    The bounds must be feasible: sum(lo) <= budget.
    """
    if market.lo.sum() >= budget:
        return Plan(market.lo.copy(), 0.0, _steepest(market))
    free = market.demand(1.0)
    if free.total <= budget:
        return free  # money below the line of 1 for 1 stays unspent
    return _between(*_bracket(market, budget), budget)


def kkt_residual(market: Market, plan: Plan, budget: float = np.inf) -> float:
    """How far the plan is from optimal: the largest relative breach of any KKT condition.

    It is computed from the plan itself, through n' and gain / cost, not through the inverse
    curves that found it.
    """
    if np.isinf(plan.mu):
        return 0.0  # nothing can be spent, and anything would be worth more
    # a spend below the smallest normal float is none, so look no closer to 0 than that
    worth = market.worth(np.maximum(plan.spend, TINY)) / plan.mu
    last, next_ = market.retention.edges(plan.retention)
    breaches = [
        np.where(plan.spend < market.hi, worth - 1, 0.0).max(initial=0.0),
        np.where(plan.spend > market.lo, 1 - worth, 0.0).max(initial=0.0),
        1 - last / plan.mu,
        next_ / plan.mu - 1,
    ]
    if 0 < budget < np.inf:
        gap = (plan.total - budget) / budget
        breaches.append(abs(gap) if plan.mu > 1 else gap)
    return float(max(0.0, *breaches))


def _steepest(market: Market) -> float:
    """The multiplier when every option stays at its lower bound: the best next unit of money."""
    best = np.where(market.lo < market.hi, market.worth(market.lo), 0.0).max(initial=0.0)
    return max(1.0, float(best), market.retention.edges(0.0)[1])


def _bracket(market: Market, budget: float) -> tuple[Plan, Plan]:
    """Two plans whose multipliers are neighbouring numbers: one spends too much, one does not."""
    low, high = 0.0, 1.0
    most = 2 * budget  # keeps spend finite where a small mu asks for more than a number holds
    over = market.demand(1.0, most)
    under = market.demand(math.exp(high), most)
    while under.total > budget and high < LARGEST_LOG_MULTIPLIER:
        low, over = high, under
        high = min(2 * high, LARGEST_LOG_MULTIPLIER)
        under = market.demand(math.exp(high), most)
    while low < (middle := (low + high) / 2) < high:
        plan = market.demand(math.exp(middle), most)
        if plan.total > budget:
            low, over = middle, plan
        else:
            high, under = middle, plan
    return over, under


def _between(over: Plan, under: Plan, budget: float) -> Plan:
    """The last step: the mix of both plans that spends the budget exactly.

    Smooth curves differ by rounding only; a retention customer at the margin, or several with
    the same gain / cost, is funded in part.
    """
    share = (budget - under.total) / (over.total - under.total)
    return Plan(
        under.spend + share * (over.spend - under.spend),
        under.retention + share * (over.retention - under.retention),
        under.mu,
    )
