"""How far spend depends on frequency, which the Gamma-Gamma model assumes it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clv.schema import Floats


@dataclass(frozen=True)
class Dependence:
    """How far spend depends on frequency, which the model assumes it does not.

    Attributes
    ----------
    correlation, low, high
        corr(x, zbar) over repeat buyers, with its 95% interval by Fisher's z.
    effect
        Mean value of a purchase over mean value of a customer, minus 1: what money is lost or
        invented when every customer's spend is taken to be independent of how often they buy.
    """

    correlation: float
    low: float
    high: float
    effect: float

    @classmethod
    def from_sample(cls, x: Floats, zbar: Floats, weight: Floats) -> Dependence:
        """Measure it; the correlation is NaN for fewer than 4 customers or no variation."""
        n = float(weight.sum())
        mean = float(weight @ zbar) / n
        effect = float((weight * x) @ zbar / (weight @ x) / mean - 1)
        if n < 4 or np.ptp(x) == 0 or np.ptp(zbar) <= 1e-12 * mean:
            return cls(float("nan"), float("nan"), float("nan"), effect)
        spread = np.cov(x, zbar, aweights=weight)
        r = float(spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]) * (1 - 1e-15))
        z, half = np.arctanh(r), 1.959964 / np.sqrt(n - 3)
        return cls(r, float(np.tanh(z - half)), float(np.tanh(z + half)), effect)

    def to_dict(self) -> dict[str, float | None]:
        """As JSON values, which have no NaN."""
        return {name: value if np.isfinite(value) else None for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, float | None]) -> Dependence:
        """What ``to_dict`` wrote."""
        return cls(**{name: np.nan if value is None else value for name, value in saved.items()})
