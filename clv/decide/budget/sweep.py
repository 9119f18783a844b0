"""Many budget problems at once: one row per budget, or per draw of the curves.

The same conditions as in ``budget.py``, with a multiplier per row and one search for all of them.
Shared by all functions: ``m`` rows, ``c`` channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clv.decide.budget.draws import falling_root
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.response import Response
from clv.decide.budget.solver import LARGEST_LOG_MULTIPLIER, TINY
from clv.schema import Floats

BESIDE = 1e-10  # how far beside a multiplier the two plans lie that meet a budget together


@dataclass(frozen=True)
class Sweep:
    """What money can be spent on, in every row.

    Parameters
    ----------
    value
        Worth of one attributed customer, shape (c,) or (m, c).
    lo, hi
        Bounds of the spend, shape (c,).
    curves
        (which channels, their curve), its parameters of shape (channels,) or (m, channels).
    retention
        G(R), the same in every row.
    """

    value: Floats
    lo: Floats
    hi: Floats
    curves: tuple[tuple[NDArray[np.intp], Response], ...]
    retention: GainCurve

    def spend_at(self, mu: Floats, most: Floats) -> Floats:
        """The spend where the next unit is worth ``mu``, at most ``most``, shape (m, c)."""
        with np.errstate(divide="ignore", over="ignore"):
            price = mu[:, None] / self.value
        spend = np.empty((len(mu), len(self.lo)))
        for which, curve in self.curves:
            spend[:, which] = curve.spend_at(price[:, which])
        spend[spend < TINY] = 0.0
        return np.clip(spend, self.lo, np.minimum(self.hi, np.maximum(most[:, None], self.lo)))

    def customers(self, spend: Floats) -> Floats:
        """n(s), shape (m, c); spend (c,) or (m, c)."""
        rows = max(np.atleast_2d(spend).shape[0], self._rows)
        spend = np.broadcast_to(spend, (rows, len(self.lo)))
        out = np.empty(spend.shape)
        for which, curve in self.curves:
            out[:, which] = curve.customers(spend[:, which])
        return out

    def total_value(self, spend: Floats) -> Floats:
        """Value of the customers that ``spend`` wins, summed over channels, shape (m,)."""
        return np.asarray((self.value * self.customers(spend)).sum(axis=1))

    def retention_spend(self, mu: Floats) -> Floats:
        """Spend on customers who return more than ``mu`` per unit of cost, shape (m,)."""
        count = np.searchsorted(-self.retention.ratio, -mu, side="left")
        return self._spent[count]

    def gain(self, spend: Floats) -> Floats:
        """G(R), shape (m,)."""
        gained = np.concatenate([[0.0], self.retention.gained])
        return np.asarray(np.interp(spend, self._spent, gained))

    def total(self, mu: Floats, budget: Floats) -> Floats:
        """All the money spent at ``mu``, shape (m,)."""
        return np.asarray(self.spend_at(mu, 2 * budget).sum(axis=1) + self.retention_spend(mu))

    @cached_property
    def _spent(self) -> Floats:
        return np.concatenate([[0.0], self.retention.spent])

    @property
    def _rows(self) -> int:
        return self.value.shape[0] if self.value.ndim == 2 else 1


def multipliers(sweep: Sweep, budget: Floats) -> Floats:
    """The multiplier mu of every row, shape (m,): 1 where the budget does not bind."""
    highest = _highest(sweep, budget)

    def excess(log_mu: Floats) -> Floats:
        return np.log(sweep.total(np.exp(log_mu), budget) / budget)

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(falling_root(excess, np.zeros_like(budget), highest))


def greatest_profit(sweep: Sweep, budget: Floats) -> Floats:
    """The greatest profit of every row, shape (m,).

    By strong duality it is min over mu of sum_c max (v n - mu s) + max (G - mu R) + (mu - 1) B, so
    an error of the multiplier matters only squared, and it does not matter where a plan jumps.
    """
    mu = multipliers(sweep, budget)
    spend, retention = sweep.spend_at(mu, 2 * budget), sweep.retention_spend(mu)
    earned = sweep.total_value(spend) + sweep.gain(retention) - mu * (spend.sum(axis=1) + retention)
    with np.errstate(invalid="ignore"):  # no limit: mu is 1, and the budget has no price
        return np.asarray(earned + np.where(mu > 1, (mu - 1) * budget, 0.0))


def best_plans(sweep: Sweep, budget: Floats) -> tuple[Floats, Floats, Floats]:
    """Spend (m, c), spend on retention (m,) and multiplier (m,) of the best plan per row.

    Beside the multiplier two plans spend a little too much and a little too little; their mix
    spends the budget. Where the lower bounds use it up the multiplier is infinite.
    """
    mu = multipliers(sweep, budget)
    fits = sweep.total(np.ones_like(mu), budget) <= budget
    below, above = np.where(fits, 1.0, mu * (1 - BESIDE)), np.where(fits, 1.0, mu * (1 + BESIDE))
    over, under = (sweep.spend_at(price, 2 * budget) for price in (below, above))
    more, less = sweep.retention_spend(below), sweep.retention_spend(above)
    spare = budget - under.sum(axis=1) - less
    gap = over.sum(axis=1) + more - under.sum(axis=1) - less
    share = np.clip(np.divide(spare, gap, out=np.zeros_like(gap), where=gap > 0), 0.0, 1.0)
    spend, retention = under + share[:, None] * (over - under), less + share * (more - less)
    floor = budget <= sweep.lo.sum()
    return spend, np.where(floor, 0.0, retention), np.where(floor, np.inf, mu)


def _highest(sweep: Sweep, budget: Floats) -> Floats:
    """The log of a multiplier at which every row spends less than its budget."""
    high = np.ones_like(budget)
    while np.any(too_much := sweep.total(np.exp(high), budget) > budget):
        if np.max(high[too_much]) >= LARGEST_LOG_MULTIPLIER:
            break  # lower bounds use the budget up
        high = np.where(too_much, np.minimum(2 * high, LARGEST_LOG_MULTIPLIER), high)
    return high


def grid(highest: float, points: int = 50) -> Floats:
    """Budgets from nothing up to ``highest``, closer together where they matter more.

    >>> grid(100.0, 5)
    array([  0.  ,   6.25,  25.  ,  56.25, 100.  ])
    """
    if not 0 < highest < math.inf:
        return np.zeros(1)
    return np.asarray(highest * np.linspace(0, 1, points) ** 2)
