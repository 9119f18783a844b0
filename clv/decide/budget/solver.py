"""The exact solver: one multiplier at which every option's next unit of money is worth the same.

Maximise sum_c v_c n_c(s_c) + G(R) - sum_c s_c - R subject to lo <= s <= hi and sum_c s_c + R <= B,
and to at most one side condition sum_c u_c n_c(s_c) - c sum_c s_c >= N (a target of customers, of
cost per customer, of value per unit of cost; see ``modes.py``).

All curves are concave, so the conditions of Karush, Kuhn and Tucker are sufficient. There is one
multiplier mu >= 1 of the budget and one lambda >= 0 of the side condition with

    (v + lambda u) n'(s) = mu + lambda c   inside the bounds, <= at lo, >= at hi,

and a customer is retained if and only if gain / cost >= mu. Spend at given multipliers is a closed
form; total spend falls with mu, and what the side condition asks for rises with lambda, so each is
a search for one number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.response import Response
from clv.schema import Floats

TINY = np.finfo(np.float64).tiny
MOST = 1e100  # spend beyond which nothing is looked for, in any currency
LARGEST_LOG_MULTIPLIER = 700.0  # exp overflows at 709
MET = 1e-12  # a condition that is missed by less of its largest term is met
LARGEST_LOG_SIDE = 350.0  # lambda stays where mu can still outweigh it


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
        Channels grouped by the kind of their curve: (which channels, their stacked curve).
    retention
        G(R).
    """

    value: Floats
    lo: Floats
    hi: Floats
    curves: tuple[tuple[NDArray[np.intp], Any], ...]  # each a Response, or concave like one
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

    def marginal_value(self, spend: Floats, customer_value: Floats | None = None) -> Floats:
        """Worth v n'(s) of every channel: what the next unit of money buys there."""
        value = self.value if customer_value is None else customer_value
        with np.errstate(invalid="ignore"):  # worthless customers at an infinite rate
            return np.where(value > 0, value * self.marginal(spend), 0.0)

    def spend_at(self, marginal: Floats) -> Floats:
        """The spend of every channel at which n' is ``marginal``, within the bounds."""
        spend = np.empty_like(self.lo)
        for which, curve in self.curves:
            spend[which] = curve.spend_at(marginal[which])
        spend[spend < TINY] = 0.0
        return np.clip(spend, self.lo, self.hi)

    def demand(
        self, mu: float, side: Side | None = None, shadow: float = 0.0, most: float = np.inf
    ) -> SpendPlan:
        """The plan at which each option's next unit is worth its price, at most ``most`` each."""
        customer_value, price = _terms(self.value, mu, side, shadow)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # worthless customers
            slope = np.where(customer_value > 0, price / customer_value, np.inf)
        spend = np.minimum(self.spend_at(slope), np.maximum(most, self.lo))
        return SpendPlan(spend, self.retention.spend_above(mu), mu, shadow)


@dataclass(frozen=True)
class Side:
    """A side condition: sum(credit n(s)) - charge sum(s) >= need; credit of shape (channels,)."""

    credit: Floats
    charge: float
    need: float = 0.0

    def surplus(self, market: Market, plan: SpendPlan) -> float:
        """By how much the plan exceeds the condition."""
        credit, charge = self._terms(market, plan)
        return credit - charge - self.need

    def slack(self, market: Market, plan: SpendPlan) -> float:
        """The surplus relative to its largest term."""
        largest = max(*self._terms(market, plan), self.need)
        return self.surplus(market, plan) / largest if largest > 0 else 0.0

    def _terms(self, market: Market, plan: SpendPlan) -> tuple[float, float]:
        credit = float(self.credit @ market.customers(plan.spend))
        return credit, self.charge * float(plan.spend.sum())


@dataclass(frozen=True)
class SpendPlan:
    """Spend per channel, spend on retention, the multiplier mu, and lambda of a side condition."""

    spend: Floats
    retention: float
    mu: float
    shadow: float = 0.0

    @property
    def total(self) -> float:
        """All the money spent."""
        return float(self.spend.sum()) + self.retention

    def mixed(self, other: SpendPlan, share: float) -> SpendPlan:
        """A ``share`` of the way from here to the other plan, at the multipliers of this one."""
        return replace(
            self,
            spend=self.spend + share * (other.spend - self.spend),
            retention=self.retention + share * (other.retention - self.retention),
        )


def group_curves(curves: Sequence[Response]) -> tuple[tuple[NDArray[np.intp], Response], ...]:
    """Stack curves of one kind into one curve with array parameters."""
    kinds: dict[Hashable, list[int]] = {}
    for index, curve in enumerate(curves):
        kinds.setdefault(curve.kind, []).append(index)
    return tuple(
        (np.array(which), type(curves[which[0]]).stack([curves[index] for index in which]))
        for which in kinds.values()
    )


def solve(market: Market, budget: float = np.inf, side: Side | None = None) -> SpendPlan:
    """The plan of greatest profit within ``budget`` (infinite: no limit) and a side condition.

    Both must be feasible: sum(lo) <= budget, and ``most_slack`` not below 0.
    """
    free = _within(market, budget, None, 0.0)
    if side is None or side.surplus(market, free) >= 0:
        return free
    return _meeting(market, budget, side)


def most_slack(market: Market, side: Side, budget: float = np.inf) -> SpendPlan:
    """The plan that does most for the side condition, whatever it earns."""
    return _within(market, budget, side, math.exp(LARGEST_LOG_SIDE))


def kkt_residual(
    market: Market, plan: SpendPlan, budget: float = np.inf, side: Side | None = None
) -> float:
    """How far the plan is from optimal: the largest relative breach of any KKT condition.

    It is computed from the plan itself, through n' and gain / cost, not through the inverse
    curves that found it.
    """
    if np.isinf(plan.mu):
        return 0.0  # nothing can be spent, and anything would be worth more
    customer_value, price = _terms(market.value, plan.mu, side, plan.shadow)
    # a spend below the smallest normal float is none, so look no closer to 0 than that
    with np.errstate(over="ignore"):  # infinite is right where a channel may spend nothing at all
        ratio = market.marginal_value(np.maximum(plan.spend, TINY), customer_value) / price
    last, next_ = market.retention.edges(plan.retention)
    breaches = [
        np.where(plan.spend < market.hi, ratio - 1, 0.0).max(initial=0.0),
        np.where(plan.spend > market.lo, 1 - ratio, 0.0).max(initial=0.0),
        1 - last / plan.mu,
        next_ / plan.mu - 1,
    ]
    if 0 < budget < np.inf:
        gap = (plan.total - budget) / budget
        breaches.append(abs(gap) if plan.mu > 1 else gap)
    if side is not None:
        missing = -side.slack(market, plan)
        breaches.append(abs(missing) if plan.shadow > 0 else missing)
    return float(max(0.0, *breaches))


def _terms(value: Floats, mu: float, side: Side | None, shadow: float) -> tuple[Floats, float]:
    """Worth of a customer v + lambda u and price of money mu + lambda c, over max(1, lambda)."""
    if side is None or shadow == 0:
        return value, mu
    weight, side_weight = (1.0, shadow) if shadow <= 1 else (1 / shadow, 1.0)
    return weight * value + side_weight * side.credit, weight * mu + side_weight * side.charge


def _within(market: Market, budget: float, side: Side | None, shadow: float) -> SpendPlan:
    """The best plan within the budget at a given multiplier of the side condition."""
    if market.lo.sum() >= budget:
        return SpendPlan(market.lo.copy(), 0.0, _steepest(market, side, shadow), shadow)
    most = MOST if side is not None and math.isinf(budget) else np.inf
    free = market.demand(1.0, side, shadow, most)
    if free.total <= budget:
        return free  # money below the line of 1 for 1 stays unspent
    most = 2 * budget  # keeps spend finite where a small mu asks for more than a number holds

    def plan_at(log_mu: float) -> SpendPlan:
        return market.demand(math.exp(log_mu), side, shadow, most)

    high = 1.0
    while plan_at(high).total > budget and high < LARGEST_LOG_MULTIPLIER:
        high = min(2 * high, LARGEST_LOG_MULTIPLIER)
    over, under = neighbours(plan_at, 0.0, high, lambda plan: plan.total > budget)
    # Smooth curves differ by rounding only; a retention customer at the margin, or several with
    # the same gain / cost, is funded in part, so that the budget is spent exactly.
    return under.mixed(over, (budget - under.total) / (over.total - under.total))


def _steepest(market: Market, side: Side | None, shadow: float) -> float:
    """The multiplier when every option stays at its lower bound: the best next unit of money."""
    customer_value = market.value if side is None else market.value + shadow * side.credit
    best = np.where(
        market.lo < market.hi, market.marginal_value(market.lo, customer_value), 0.0
    ).max(initial=0.0)
    charged = 0.0 if side is None else shadow * side.charge
    return max(1.0, float(best) - charged, market.retention.edges(0.0)[1])


def _meeting(market: Market, budget: float, side: Side) -> SpendPlan:
    """The best plan that meets the side condition exactly, where without it one would not."""
    if math.isfinite(budget):
        free = _meeting(market, np.inf, side)
        if free.total <= budget and side.slack(market, free) >= -MET:
            return free  # a budget that does not bind needs no multiplier of its own

    def plan_at(log_shadow: float) -> SpendPlan:
        return _within(market, budget, side, math.exp(log_shadow))

    def short(plan: SpendPlan) -> bool:
        return side.surplus(market, plan) < 0

    best = plan_at(LARGEST_LOG_SIDE)
    if short(best):
        return best  # it can be met up to rounding only, and this is the one plan that does
    under, over = neighbours(plan_at, -LARGEST_LOG_SIDE, LARGEST_LOG_SIDE, short)
    missing, spare = side.surplus(market, under), side.surplus(market, over)
    if spare == missing:
        return over
    # customers are linear in spend where a plan can jump, so a mix of both meets it exactly
    return over.mixed(under, spare / (spare - missing))


def neighbours(
    plan_at: Callable[[float], SpendPlan],
    low: float,
    high: float,
    below_root: Callable[[SpendPlan], bool],
) -> tuple[SpendPlan, SpendPlan]:
    """The plans at two neighbouring numbers, ``below_root`` at the one and not at the other."""
    below, above = plan_at(low), plan_at(high)
    while high - low > 2e-16 * max(1.0, abs(low)) and low < (middle := (low + high) / 2) < high:
        plan = plan_at(middle)
        if below_root(plan):
            low, below = middle, plan
        else:
            high, above = middle, plan
    return below, above
