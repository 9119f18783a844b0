r"""The average effect of a test by chance, adjusted for what was known before, with its interval.

For customer i: W treated (0 or 1), e the chance of it, y the outcome, mu_w(x) a regression on what
was known before, in either group by itself, weighted by the chance to be in it [1]_:

    psi_i    = mu_1 - mu_0 + W (y - mu_1) / e - (1 - W) (y - mu_0) / (1 - e)
    effect   = mean psi               of everybody
    earned   = sum of W (y - mu_0) - (1 - W) e / (1 - e) (y - mu_0)    of those treated, in total

Residuals are divided by sqrt(1 - leverage) [2]_. Where few customers are held out and few bring
most, a group's own spread is hardly known: both groups count as varying alike, and the interval is
Student's, see ``clv.evaluate.heavy_tails``.

References
----------
.. [1] Lin 2013, Agnostic notes on regression adjustments to experimental data.
.. [2] MacKinnon & White 1985, Some heteroskedasticity-consistent covariance matrix estimators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from clv.evaluate.heavy_tails import tail_factor
from clv.schema import Floats


@dataclass(frozen=True)
class AdjustedEffect:
    """An effect and its standard error; in the unit of the outcome.

    Attributes
    ----------
    mean, standard_error
        Per customer.
    earned, earned_error
        By all who were treated, in total, and its standard error.
    baseline
        What a customer brings without treatment.
    """

    mean: float
    standard_error: float
    earned: float
    earned_error: float
    baseline: float

    def interval(self, level: float) -> tuple[float, float]:
        """In which the effect lies, with that chance."""
        return self._around(self.mean, self.standard_error, level)

    def earned_interval(self, level: float) -> tuple[float, float]:
        """The same of the total."""
        return self._around(self.earned, self.earned_error, level)

    @staticmethod
    def _around(mean: float, error: float, level: float) -> tuple[float, float]:
        away = float(ndtri((1 + level) / 2)) * error
        return mean - away, mean + away


def adjusted_effect(y: Floats, W: Floats, e: Floats, x: Floats | None = None) -> AdjustedEffect:
    """The effect on ``y``, adjusted for the columns of ``x``, of shape (n, k), if there are any.

    >>> rng = np.random.default_rng(0)
    >>> x, W = rng.normal(size=(4000, 1)), np.arange(4000) % 2
    >>> y = 3 * x[:, 0] + W + rng.normal(size=4000)
    >>> half = np.full(4000, 0.5)
    >>> plain, adjusted = adjusted_effect(y, W, half), adjusted_effect(y, W, half, x)
    >>> round(plain.standard_error, 2), round(adjusted.standard_error, 2)
    (0.1, 0.03)
    """
    X = _centred(x, len(y))
    mu1, left1 = _regression(y, X, W == 1, 1 / e)
    mu0, left0 = _regression(y, X, W == 0, 1 / (1 - e))
    factor = tail_factor(np.where(W == 1, left1, left0), W, cautious=False)
    psi = mu1 - mu0 + W * left1 / e - (1 - W) * left0 / (1 - e)
    treated = W * (y - mu0) - (1 - W) * e / (1 - e) * left0
    exact = mu1 - mu0 + W * (y - mu1) / e - (1 - W) * (y - mu0) / (1 - e)
    n = len(y)
    return AdjustedEffect(
        mean=float(exact.mean()),
        standard_error=factor * float(psi.std(ddof=1)) / math.sqrt(n),
        earned=float((W * (y - mu0) - (1 - W) * e / (1 - e) * (y - mu0)).sum()),
        earned_error=factor * _error_of_total(treated, W),
        baseline=float((mu0 + (1 - W) * (y - mu0) / (1 - e)).mean()),
    )


def _error_of_total(terms: Floats, W: Floats) -> float:
    """Standard error of a total over those treated, whose number is given."""
    away = terms - terms.sum() / W.sum() * W
    return math.sqrt(float(away @ away))


def _centred(x: Floats | None, n: int) -> Floats:
    """Level first, then the columns that vary, standardised."""
    if x is None:
        return np.ones((n, 1))
    away = x - x.mean(axis=0)
    spread = away.std(axis=0)
    varies = spread > 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300)
    return np.column_stack([np.ones(n), away[:, varies] / spread[varies]])


def _regression(y: Floats, X: Floats, arm: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """What the arm expects of everybody; and its residuals, widened for their leverage."""
    root = np.sqrt(weight[arm])
    A = X[arm] * root[:, None]
    gram = np.linalg.pinv(A.T @ A, hermitian=True)
    expected: Floats = X @ (gram @ (A.T @ (y[arm] * root)))
    leverage = np.zeros(len(y))
    leverage[arm] = np.minimum(((A @ gram) * A).sum(axis=1), 1 - 1e-6)
    return expected, (y - expected) / np.sqrt(1 - leverage)
