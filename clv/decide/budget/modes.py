"""What a plan is for, beside the greatest profit within a budget: targets that people set.

``MinimumCost``
    N new customers for the least money.
``TargetCPA``
    the greatest profit at a cost per new customer of at most so much.
``TargetLtvToCac``
    the greatest profit at a value per unit of cost of at least so much.

The latter two hold over all channels together ("portfolio"), for each channel on its own
("channel"), or for the next customer of each channel ("marginal"). Over all channels a target is
one side condition with a multiplier of its own; for each channel it is an upper bound of its
spend, as the cost of a customer only rises with spend. They count acquisition alone: money spent on
existing customers wins no new ones.

At the profit optimum of a power curve LTV : average CAC is 1 / b. So a ratio of 3 : 1 is right for
an elasticity of 1/3 and costs profit everywhere else; ``constraint_costs`` says how much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from clv.decide.budget.channel_problems import raise_all, target_problems
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.solver import MOST, Market, Side, SpendPlan
from clv.findings import Finding, finding
from clv.schema import Floats

Per = Literal["portfolio", "channel", "marginal"]
ROUNDING = 1e-12


@dataclass(frozen=True)
class MinimumCost:
    """At least so many new (incremental) customers for the least money; their value is not asked.

    Parameters
    ----------
    customers
        How many, over all channels and periods.

    Examples
    --------
    >>> print(MinimumCost(2_000))
    2,000 new customers at the lowest cost
    """

    customers: float

    per = "portfolio"

    def __post_init__(self) -> None:
        raise_all(target_problems(self.customers, self.per, customers=True))

    def __str__(self) -> str:
        return str(self.clause)

    @property
    def clause(self) -> Finding:
        """The target inside a sentence."""
        return finding("target.customers", customers=self.customers)

    @property
    def amount(self) -> float:
        """The number that was asked for."""
        return self.customers

    def market(self, market: Market, share: Floats) -> Market:
        """The market whose greatest profit is the least cost: nothing in it is worth anything."""
        return replace(
            market, value=np.zeros_like(share), retention=GainCurve.from_customers([], [])
        )

    def side(self, market: Market, share: Floats) -> Side | None:
        """At least N incremental customers."""
        return Side(share, 0.0, self.customers)

    def reached(self, market: Market, share: Floats, plan: SpendPlan) -> float:
        """New customers of a plan."""
        return float(share @ market.customers(plan.spend))

    def falls_short(self, best: float) -> Finding:
        """That the target cannot be met; ``best`` is what can be reached."""
        return finding("target.short_of_customers", best=best, wanted=self.customers)


@dataclass(frozen=True)
class _Efficiency:
    """A target between money and new customers, over all channels, in each or at the margin."""

    CODE: ClassVar[str]

    amount: float
    per: Per = "portfolio"

    def __post_init__(self) -> None:
        raise_all(target_problems(self.amount, self.per))

    def __str__(self) -> str:
        return str(self.clause)

    @property
    def clause(self) -> Finding:
        """The target inside a sentence."""
        return finding(f"target.{self.CODE}_{self.per}", amount=self.amount)


@dataclass(frozen=True)
class TargetCPA(_Efficiency):
    """At most so much money per new (incremental) customer.

    Parameters
    ----------
    amount
        Money per customer, in currency.
    per
        "portfolio", "channel" or "marginal": where the target holds, see the top of this file.

    Examples
    --------
    >>> print(TargetCPA(12.5))
    at most 12.50 per new customer over all channels
    """

    CODE: ClassVar[str] = "cac"

    def market(self, market: Market, share: Floats) -> Market:
        """The market with the bounds that the target sets for single channels."""
        return _bounded(market, self.amount * share, 1.0, self.per)

    def side(self, market: Market, share: Floats) -> Side | None:
        """sum(s) <= target x customers."""
        return Side(self.amount * share, 1.0) if self.per == "portfolio" else None

    def reached(self, market: Market, share: Floats, plan: SpendPlan) -> float:
        """Cost per new customer of a plan."""
        return _over(float(plan.spend.sum()), float(share @ market.customers(plan.spend)))

    def falls_short(self, best: float) -> Finding:
        """That the target cannot be met over all channels; ``best`` is what can be reached."""
        return finding("target.short_of_cac", best=best, wanted=self.amount)


@dataclass(frozen=True)
class TargetLtvToCac(_Efficiency):
    """At least so much value of new customers per unit of money spent on winning them.

    Parameters
    ----------
    amount
        Value of a new customer per unit of cost, such as 3.
    per
        "portfolio", "channel" or "marginal": where the target holds, see the top of this file.

    Examples
    --------
    >>> print(TargetLtvToCac(3, per="channel"))
    LTV:CAC of at least 3 : 1 in each channel
    """

    CODE: ClassVar[str] = "ltv"

    def market(self, market: Market, share: Floats) -> Market:
        """The market with the bounds that the target sets for single channels."""
        return _bounded(market, market.value, self.amount, self.per)

    def side(self, market: Market, share: Floats) -> Side | None:
        """Value >= target x sum(s)."""
        return Side(market.value, self.amount) if self.per == "portfolio" else None

    def reached(self, market: Market, share: Floats, plan: SpendPlan) -> float:
        """Value of the new customers of a plan per unit of money."""
        return _over(float(market.value @ market.customers(plan.spend)), float(plan.spend.sum()))

    def falls_short(self, best: float) -> Finding:
        """That the target cannot be met over all channels; ``best`` is what can be reached."""
        return finding("target.short_of_ltv", best=best, wanted=self.amount)


Target = MinimumCost | TargetCPA | TargetLtvToCac


def best_within_reach(
    target: Target, market: Market, share: Floats, most: Callable[[Side], SpendPlan]
) -> float:
    """The number that a target which cannot be met could be set to.

    A ratio is improved by Dinkelbach's steps: make the most of the condition at the ratio reached
    so far, and take the ratio that this plan has.
    """
    for _ in range(50):
        side = target.side(market, share)
        if side is None:
            break
        plan = most(side)
        reached = target.reached(market, share, plan)
        if isinstance(target, MinimumCost):
            return reached
        if not 0 < reached < math.inf or math.isclose(reached, target.amount, rel_tol=1e-12):
            break
        target = replace(target, amount=reached)
    return target.amount


def largest_spend(market: Market, credit: Floats, charge: float, per: Per) -> Floats:
    """Up to which spend each channel has credit n(s) >= charge s, or credit n'(s) >= charge.

    Shape (channels,). n(s) / s falls with s and is never below n'(s), so the first is found by
    bisection upwards from the second.
    """
    free = replace(market, lo=np.zeros_like(market.lo), hi=np.full_like(market.hi, MOST))
    with np.errstate(divide="ignore", over="ignore"):  # next to worthless customers
        slope = np.where(credit > 0, charge / np.where(credit > 0, credit, 1.0), np.inf)
    low = free.spend_at(slope)
    if per == "marginal":
        return low
    high = np.full_like(low, MOST)
    # where not even the first unit brings enough, or no spend of an S-shaped curve, none does
    fundable = (low > 0) & (credit * market.customers(low) >= charge * low * (1 - ROUNDING))
    low, high = np.where(fundable, low, 1.0), np.where(fundable, high, 1.0)
    for _ in range(70):
        middle = np.sqrt(low) * np.sqrt(high)
        enough = credit * market.customers(middle) >= charge * middle
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return np.where(fundable, low, 0.0)


def _bounded(market: Market, credit: Floats, charge: float, per: Per) -> Market:
    """The market with channels held below the spend where their own ratio falls short."""
    if per == "portfolio":
        return market
    return replace(market, hi=np.minimum(market.hi, largest_spend(market, credit, charge, per)))


def _over(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan
