"""The mean of drawn S-shaped curves within one period, as it is: no draw alternates.

Each draw bends upwards and then downwards. So does their mean, unless the draws lie far apart: then
it may do so more than once, and its ``valleys`` are where it begins anew. ``within`` two of them
every question has one answer. Where it bends is read off a table; figures are of the draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv.decide.budget.draws import MeanOfDraws, falling_root
from clv.schema import Floats

NODES, REACH = 1000, 1e4  # spends in the table, and how far beyond all K it reaches
TINY = np.finfo(np.float64).tiny
FLAT = 1e-9  # a valley of the log of n' that is no deeper is rounding


@dataclass(frozen=True)
class OnePeriodMean(MeanOfDraws):
    """n(s) = the mean over draws of S-shaped curves, what is bought within one period.

    Parameters
    ----------
    draws
        A ``OnePeriodHill`` whose parameters are arrays over the draws.
    between
        The spends between which it is asked, each of shape (channels,); None for any spend.

    Examples
    --------
    >>> from clv.decide.budget.whole_periods import OnePeriodHill
    >>> mean = OnePeriodMean(OnePeriodHill(V=1000.0, K=np.array([8e3, 12e3]), exponent=2.0))
    >>> round(float(mean.customers(5_000)))  # of 281 and 148
    214
    >>> round(float(mean.convex_until()), -3), mean.valleys
    (5000.0, ((),))
    """

    between: tuple[Floats, Floats] | None = None

    def within(self, lo: Floats, hi: Floats) -> Self:
        """The same curve, asked between two spends."""
        curve = replace(self, between=(lo, hi))
        curve.__dict__["table"] = self.table  # which is the costly part
        return curve

    @cached_property
    def table(self) -> tuple[Floats, Floats, Floats]:
        """Spends, n(s) and n'(s), each of shape (nodes,) or (nodes, channels)."""
        K = np.broadcast_to(np.asarray(self.draws.K, dtype=np.float64), self._shape)  # type: ignore[attr-defined]
        low, high = K.min(axis=0) / REACH, K.max(axis=0) * REACH
        share = np.linspace(0, 1, NODES).reshape(-1, *(1,) * low.ndim)
        spend = low * (high / low) ** share
        return spend, self.customers(spend), self.marginal(spend)

    @property
    def valleys(self) -> tuple[tuple[float, ...], ...]:
        """By channel, the spends from which the curve bends upwards once more."""
        spend, _, slope = (each.reshape(NODES, -1) for each in self.table)
        log_slope = np.log(np.maximum(slope, TINY))
        return tuple(
            tuple(s[_valleys(y)].tolist()) for s, y in zip(spend.T, log_slope.T, strict=True)
        )

    @property
    def tangent(self) -> Floats:
        """Where n(s) / s is largest: what alternating would spend, over several periods."""
        spend, won, _ = self.table
        return np.asarray(_at(spend, (won / spend).argmax(axis=0)))

    def s_shaped(self, spend: ArrayLike) -> Floats:
        """n(s) itself, as of a Hill curve."""
        return self.customers(spend)

    def convex_until(self, power: ArrayLike = 1.0) -> Floats:
        """Where n(s)^power is steepest; where it is concave from the first unit on, that."""
        spend, won, slope = self.table
        more = np.asarray(power, dtype=np.float64) - 1
        log_slope = np.log(np.maximum(slope, TINY)) + more * np.log(np.maximum(won, TINY))
        inside = self._inside(spend)
        top = np.where(inside, log_slope, -np.inf).argmax(axis=0)
        first = 0.0 if self.between is None else self.between[0]
        return np.asarray(np.where(top > inside.argmax(axis=0), _at(spend, top), first))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The largest spend with n'(s) = ``marginal``; 0 where none has it."""
        spend, _, slope = self.table
        target = np.broadcast_to(np.asarray(marginal, dtype=np.float64), self._shape[1:])
        enough = self._inside(spend) & (slope >= target)
        last = NODES - 1 - enough[::-1].argmax(axis=0)
        beyond = np.clip(self._beside(target).spend_at(target), 0.0, 1e300).max(axis=0)
        low, next_ = _at(spend, last), _at(spend, np.minimum(last + 1, NODES - 1))
        high = np.where(last < NODES - 1, next_, np.maximum(beyond, low))

        def excess(log_spend: Floats) -> Floats:
            slopes = np.maximum(self.marginal(np.exp(log_spend)), TINY)
            return np.asarray(np.log(slopes) - np.log(np.maximum(target, TINY)))

        root = np.exp(falling_root(excess, np.log(low), np.log(high)))
        return np.asarray(np.where(enough.any(axis=0), root, 0.0))

    def _inside(self, spend: Floats) -> NDArray[np.bool_]:
        if self.between is None:
            return np.ones(spend.shape, dtype=bool)
        lo, hi = self.between
        return np.asarray((spend >= lo) & (spend <= hi))


def _at(table: Floats, row: NDArray[np.intp]) -> Floats:
    """One entry of each column."""
    return np.asarray(np.take_along_axis(table, row[None], axis=0)[0])


def _valleys(values: Floats) -> NDArray[np.intp]:
    """Where values that fall begin to rise, by more than rounding."""
    steps = np.diff(values)
    turns = np.flatnonzero(np.abs(steps) > FLAT)
    falls, then = steps[turns[:-1]] < 0, steps[turns[1:]] > 0
    return np.asarray(turns[1:][falls & then])
