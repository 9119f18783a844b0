"""A channel whose customers get worse as it grows: its curve in customers of today's quality.

The next customer is worth (n / n0)^-d of today's, where n0 is how many today's spend wins, so that
all of them together are worth n0 (n / n0)^(1 - d) customers of today's quality. That is concave
where n(s) is, and equal to n0 at today's spend, where the value was measured.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from clv.decide.budget.draws import falling_root
from clv.decide.budget.response import Parameter, Response
from clv.schema import Floats

LOWEST, HIGHEST = 1e-100, np.log(1e100)  # spend, and its log, between which an inverse lies
STEEPEST = 1e3  # a log beyond all slopes


@dataclass(frozen=True)
class Declining(Response):
    """Customers of today's quality, n0 (n(s) / n0)^(1 - d).

    Parameters
    ----------
    inner
        n(s), customers however good.
    n0
        Customers at the spend where their value was measured.
    decline
        d in [0, 1): 1% more customers make the next one d% less valuable.

    Examples
    --------
    >>> from clv.decide.budget.response import Power
    >>> curve = Declining(Power(12, 0.6), n0=3000.0, decline=0.5)
    >>> spend = Power(12, 0.6).spend_at(1 / 10)
    >>> bool(np.isclose(curve.spend_at(curve.marginal(spend)), spend))
    True
    """

    inner: Response
    n0: Parameter
    decline: Parameter

    def customers(self, spend: ArrayLike) -> Floats:
        """n0 (n(s) / n0)^(1 - d)."""
        return np.asarray(self.n0 * (self.inner.customers(spend) / self.n0) ** (1 - self.decline))

    def marginal(self, spend: ArrayLike) -> Floats:
        """(1 - d) (n(s) / n0)^-d n'(s); 0 where an S-shaped curve has not brought anybody yet."""
        slope, won = self.inner.marginal(spend), self.inner.customers(spend)
        with np.errstate(divide="ignore", invalid="ignore"):
            quality = (won / self.n0) ** -np.asarray(self.decline)
            rises = (1 - self.decline) * quality * slope
        return np.asarray(np.where((won > 0) | ~(self.convex_until() > 0), rises, 0.0))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend with that marginal where the curve is concave, by its logarithms."""
        slope = np.asarray(marginal, dtype=np.float64)
        lowest = np.maximum(np.full_like(slope, LOWEST), self.convex_until())
        with np.errstate(divide="ignore"):
            target = np.clip(np.log(slope), -STEEPEST, STEEPEST)

        def excess(log_spend: Floats) -> Floats:
            with np.errstate(divide="ignore"):
                slopes = np.log(self.marginal(np.exp(log_spend)))
            return np.asarray(np.clip(slopes, -STEEPEST, STEEPEST) - target)

        found = np.exp(falling_root(excess, np.log(lowest), np.full_like(slope, HIGHEST)))
        return np.asarray(np.where(found > lowest * (1 + 1e-9), found, 0.0))

    def within(self, lo: Floats, hi: Floats) -> Self:
        """The curve as it is asked between two spends."""
        return replace(self, inner=self.inner.within(lo, hi))

    @property
    def valleys(self) -> tuple[tuple[float, ...], ...]:
        """Those of the curve itself."""
        return self.inner.valleys

    def convex_until(self, power: ArrayLike = 1.0) -> Floats:
        """The spend up to which n(s)^(1 - d) bends upwards."""
        return self.inner.convex_until(np.asarray(power) * (1 - np.asarray(self.decline)))

    def over(self, periods: float) -> Declining:
        """N(S) = W n(S / W)."""
        return replace(self, inner=self.inner.over(periods), n0=self.n0 * periods)

    @property
    def kind(self) -> Hashable:
        """Those whose inner curves can be stacked."""
        return Declining, self.inner.kind

    @classmethod
    def stack(cls, curves: Sequence[Self]) -> Self:
        """One curve for many whose inner curves are of one class."""
        inner = type(curves[0].inner).stack([curve.inner for curve in curves])
        n0, decline = (np.array([getattr(c, name) for c in curves]) for name in ("n0", "decline"))
        return cls(inner, n0, decline)
