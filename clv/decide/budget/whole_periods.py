"""S-shaped curves over a few periods, each of which is spent on or is not.

Over many periods a channel can be on in any share of them, which is what the concave envelope of
its curve counts. Of two periods nobody spends on a tenth: it is none, one or both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from clv.decide.budget.response import Hill, Parameter, not_negative
from clv.schema import Floats


@dataclass(frozen=True)
class OnePeriodHill(Hill):
    """The Hill curve itself, S-shaped as it is: what is bought within one period.

    Examples
    --------
    >>> tv = OnePeriodHill(V=1000, K=10_000, exponent=2)
    >>> float(tv.customers(5_000)), float(Hill(V=1000, K=10_000, exponent=2).customers(5_000))
    (200.0, 250.0)
    """

    def convex_until(self, power: ArrayLike = 1.0) -> Floats:
        """K ((a p - 1) / (a + 1))^(1 / a), where h(s)^p is steepest; 0 if a p is at most 1."""
        a = np.asarray(self.exponent, dtype=np.float64)
        bend = np.maximum(a * np.asarray(power, dtype=np.float64) - 1, 0.0)
        return np.asarray(self.K * (bend / (a + 1)) ** (1 / a))

    @property
    def concave_from(self) -> Floats:
        """Where the curve is steepest; 0 where the exponent is at most 1."""
        return self.convex_until()

    def customers(self, spend: ArrayLike) -> Floats:
        """h(s)."""
        return self.s_shaped(spend)

    def marginal(self, spend: ArrayLike) -> Floats:
        """h'(s)."""
        return self._slope(not_negative(spend))

    def over(self, periods: float) -> OnePeriodHill:
        """N(S), of whole periods on which is spent."""
        return WholePeriodsHill(self.V, self.K, self.exponent, periods)


@dataclass(frozen=True)
class WholePeriodsHill(OnePeriodHill):
    """N(S) = the most of L h(S / L): total spend S spread evenly over L of W periods.

    Parameters
    ----------
    periods
        W, the same for all channels; L is 1, 2 and so on, or W itself.

    Examples
    --------
    >>> tv = WholePeriodsHill(V=1000, K=10_000, exponent=2, periods=2)
    >>> [round(float(tv.customers(s))) for s in (4_000, 20_000)]  # in one period, in both
    [138, 1000]
    >>> [[round(s) for s in valleys] for valleys in tv.valleys]
    [[14142]]
    """

    periods: Parameter = 1.0

    @property
    def lengths(self) -> Floats:
        """In how many periods money may be spent."""
        most = float(np.max(self.periods))
        whole = np.arange(1.0, math.floor(most) + 1)
        return whole if len(whole) and whole[-1] == most else np.append(whole, most)

    @property
    def valleys(self) -> tuple[tuple[float, ...], ...]:
        """By channel, the spends from which one period more brings more."""
        K, a = np.broadcast_arrays(*map(np.atleast_1d, (self.K, self.exponent)))
        fewer, more = self.lengths[:-1], self.lengths[1:]
        return tuple(
            tuple((k * ((fewer * more**e - more * fewer**e) / (more - fewer)) ** (1 / e)).tolist())
            if e > 1
            else ()
            for k, e in zip(K, a, strict=True)
        )

    def within(self, lo: Floats, hi: Floats) -> OnePeriodHill:  # type: ignore[override]
        """The same curve between two of its valleys: that of one length."""
        passed = [
            sum(s <= least * (1 + 1e-9) for s in each) if each else -1
            for each, least in zip(self.valleys, lo, strict=True)
        ]
        length = self.lengths[passed]
        return OnePeriodHill(self.V * length, self.K * length, self.exponent)

    def length_at(self, spend: ArrayLike) -> Floats:
        """In how many periods a total is spent best."""
        s = np.asarray(spend, dtype=np.float64)
        won = np.array([length * self.s_shaped(s / length) for length in self.lengths])
        return np.asarray(self.lengths[won.argmax(axis=0)])

    def customers(self, spend: ArrayLike) -> Floats:
        """N(S)."""
        s = not_negative(spend)
        won = (length * self.s_shaped(s / length) for length in self.lengths)
        return np.asarray(reduce(np.maximum, won))

    def marginal(self, spend: ArrayLike) -> Floats:
        """N'(S) = h'(S / L)."""
        s = not_negative(spend)
        return self._slope(s / self.length_at(s))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The largest S with N'(S) = ``marginal``; 0 where none has it."""
        each = OnePeriodHill(self.V, self.K, self.exponent).spend_at(marginal)
        best = np.zeros_like(each)
        for length in self.lengths:
            best = np.where(self.length_at(length * each) == length, length * each, best)
        return best
