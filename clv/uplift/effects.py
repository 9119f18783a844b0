"""Doubly robust pseudo-outcomes by cross-fitting, and T- and X-learner beside them.

For an outcome y, W = contacted, e = P(contacted), mu_w = E[y | x, W = w] of the other folds:

    psi = mu_1 - mu_0 + (W - e) / (e (1 - e)) (y - mu_W)

Its mean is the average effect and its regression on x the effect at x, whether or not mu is right,
as long as e is [1]_. The T-learner's effect is mu_1 - mu_0; the X-learner regresses y - mu_0 of the
contacted and mu_1 - y of the others, and weighs the two by 1 - e and e [2]_.

References
----------
.. [1] Kennedy 2023, Towards optimal doubly robust estimation of heterogeneous causal effects.
.. [2] Künzel, Sekhon, Bickel & Yu 2019, Metalearners for estimating heterogeneous effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.evaluate.heavy_tails import tail_factor
from clv.evaluate.policy import PolicyValue
from clv.schema import Floats

FOLDS = 5
PENALTIES = np.logspace(-1, 5, 13)
T_LEARNER, X_LEARNER = "T-learner", "X-learner"
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class CrossFitEffects:
    """What one outcome says of the effect; arrays of shape (n,), each row seen by others only.

    Attributes
    ----------
    mu0, mu1
        Expected outcome without and with a contact.
    psi
        The pseudo-outcome.
    tail_factor
        By which the standard error is widened for the tails of the outcome.
    """

    mu0: Floats
    mu1: Floats
    psi: Floats
    tail_factor: float = 1.0

    @property
    def ate(self) -> tuple[float, float]:
        """Average effect and its standard error."""
        effect = PolicyValue.from_terms(self.psi, self.tail_factor)
        return effect.mean, effect.standard_error

    @property
    def settled(self) -> bool:
        """Whether the average effect lies 2 standard errors or more from nothing."""
        mean, error = self.ate
        return abs(mean) >= 2 * error


def split(W: Floats) -> Ints:
    """A fold for every row, dealt out evenly in their order within the contacted and the others."""
    fold = np.empty(len(W), dtype=np.intp)
    for arm in (0, 1):
        rows = np.flatnonzero(arm == W)
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def pseudo_outcome(y: Floats, W: Floats, e: Floats, mu0: Floats, mu1: Floats) -> Floats:
    """psi, see the top of this module."""
    mu_W = np.where(W == 1, mu1, mu0)
    return mu1 - mu0 + (W - e) / (e * (1 - e)) * (y - mu_W)


def effects(y: Floats, Z: Floats, W: Floats, e: Floats, fold: Ints) -> CrossFitEffects:
    """Cross-fitted effects on ``y``: by logistic regression if it is 0 or 1, else by ridge."""
    mu0, mu1 = (_cross_fit(y, Z, np.equal(W, arm), fold) for arm in (0, 1))
    tails = tail_factor(y - np.where(W == 1, mu1, mu0), W)
    return CrossFitEffects(mu0, mu1, pseudo_outcome(y, W, e, mu0, mu1), tails)


def learners(y: Floats, Z: Floats, W: Floats, e: Floats) -> dict[str, tuple[Floats, Floats]]:
    """T- and X-learner by ridge regressions, so that each is a line in the features.

    The X-learner's weights are the mean propensity, as any weights do.

    Returns
    -------
    By name the coefficients, level first, shape (1 + k,), and their covariance.
    """
    (mu0, V0), (mu1, V1) = (_line(y[arm == W], Z[arm == W]) for arm in (0, 1))
    expected0, expected1 = (theta[0] + Z @ theta[1:] for theta in (mu0, mu1))
    treated, control = W == 1, W == 0
    theta1, _ = _line((y - expected0)[treated], Z[treated])
    theta0, _ = _line((expected1 - y)[control], Z[control])
    share, covariance = float(e.mean()), V0 + V1
    # Without penalties the two are one line, and so is how sure they are.
    return {
        T_LEARNER: (mu1 - mu0, covariance),
        X_LEARNER: (share * theta0 + (1 - share) * theta1, covariance),
    }


def _line(y: Floats, Z: Floats) -> tuple[Floats, Floats]:
    """Level and slopes of a ridge regression, and their covariance by its penalised curvature."""
    fitted = fit_mean(y, Z)
    A = np.column_stack([np.ones(len(Z)), Z])
    curvature = A.T @ A + np.diag([0.0, *np.full(Z.shape[1], fitted.alpha_)])
    theta = np.array([fitted.intercept_, *fitted.coef_])
    return theta, np.linalg.inv(curvature) * float(((y - A @ theta) ** 2).mean())


def fit_mean(y: Floats, Z: Floats) -> Any:
    """E[y | Z]: a fitted ridge regression whose penalty is chosen by leave-one-out."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(PENALTIES).fit(Z, y)


def _cross_fit(y: Floats, Z: Floats, taught_by: NDArray[np.bool_], fold: Ints) -> Floats:
    """E[y | Z] at every row, learned from the rows ``taught_by`` in other folds."""
    expected = np.empty(len(y))
    for held in range(FOLDS):
        rows, out = taught_by & (fold != held), fold == held
        expected[out] = _predict(y[rows], Z[rows], Z[out])
    return expected


def _predict(y: Floats, Z: Floats, Z_new: Floats) -> Floats:
    from sklearn.linear_model import LogisticRegression

    if np.ptp(y) == 0:
        return np.full(len(Z_new), y[0])
    if ((y == 0) | (y == 1)).all():
        fitted = LogisticRegression(C=1.0, max_iter=1000).fit(Z, y)
        return np.asarray(fitted.predict_proba(Z_new)[:, 1], dtype=np.float64)
    return np.asarray(fit_mean(y, Z).predict(Z_new), dtype=np.float64)
