"""Counts around a forecast that is only a mean: how wide they spread, learned from the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as sc
from scipy.optimize import minimize

from clv.forecast.learner import negative_binomial
from clv.history import distinct
from clv.schema import Floats

LIMITS = ((-9.0, 9.0), (-7.0, 9.0))  # of logit(share) and log(size)


@dataclass(frozen=True)
class Spread:
    """Counts are negative binomial around a forecast that was drawn toward the population's mean.

    Attributes
    ----------
    share
        w: of the population's mean in each customer's, so that a forecast of 0 excludes nothing.
    size
        Of the negative binomial; small means widely spread.
    """

    share: float
    size: float

    @classmethod
    def fit(cls, mean: Floats, counts: Floats) -> Spread:
        """Share and size under which ``counts`` are likeliest, given forecasts of them."""
        centre = float(mean.mean())
        (m, k), row = distinct(mean, counts)
        weight = np.bincount(row).astype(np.float64)

        def cost(theta: Floats) -> float:
            p = negative_binomial(k, _drawn(m, centre, sc.expit(theta[0])), np.exp(theta[1]))
            return float(-weight @ np.log(np.maximum(p, 1e-300)) / len(counts))

        best = minimize(cost, [-2.0, 0.0], method="L-BFGS-B", bounds=LIMITS)
        return cls(float(sc.expit(best.x[0])), float(np.exp(best.x[1])))

    def means(self, mean: Floats) -> Floats:
        """The forecasts drawn toward their mean; their total stays."""
        return _drawn(mean, float(mean.mean()), self.share)

    def chances(self, mean: Floats, k: Floats, rows: Any = slice(None)) -> Floats:
        """P(exactly k), shape (n, K), around forecasts of shape (n,); or of some ``rows``."""
        return negative_binomial(k, self.means(mean)[rows, None], self.size)


def _drawn(mean: Floats, centre: float, share: float) -> Floats:
    return (1 - share) * mean + share * centre
