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

from clv.decide.budget.response import Parameter, Response
from clv.schema import Floats

LOWEST, HIGHEST = 1e-100, 1e100  # spend between which the inverse is looked for


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
        """(1 - d) (n(s) / n0)^-d n'(s)."""
        with np.errstate(divide="ignore"):
            quality = (self.inner.customers(spend) / self.n0) ** -np.asarray(self.decline)
        return np.asarray((1 - self.decline) * quality * self.inner.marginal(spend))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend with that marginal, by bisection on its logarithm."""
        slope = np.asarray(marginal, dtype=np.float64)
        low, high = np.full_like(slope, LOWEST), np.full_like(slope, HIGHEST)
        for _ in range(70):
            middle = np.sqrt(low) * np.sqrt(high)
            above = self.marginal(middle) > slope
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.where(low > LOWEST, low, 0.0)

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
