"""The learner: boosted trees that correct a purchase model, and a hurdle beside it.

The correction is a Poisson factor on the model's expectation E: the target is Y / E with weight E,
so the trees start from the model and say what it misses. The hurdle needs no model: P(buys), the
purchases beyond the first of who buys, a negative binomial around them, and the money of who buys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special as sc
from scipy.optimize import minimize_scalar

from clv.errors import FitError, ModelError
from clv.forecast.windows import Window
from clv.schema import Floats
from clv.threads import one_thread

TREES = {
    "learning_rate": 0.05,
    "max_iter": 60,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 100,
    "l2_regularization": 20.0,
    "early_stopping": False,
    "random_state": 0,
}
FOLDS = 5
MOST = 1.5  # a log factor is cut here
STEP = 1 / 16  # and rounded to so much, so that customers alike share a horizon
# What a saved learner may consist of; anything else in its file is refused.
TRUSTED = (
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfGammaLoss",
    "sklearn._loss._loss.CyHalfPoissonLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


def negative_binomial(k: ArrayLike, mean: ArrayLike, size: float) -> Floats:
    """P(N = k): variance mean + mean^2 / size.

    >>> negative_binomial([0, 1], 1.0, 1.0)
    array([0.5 , 0.25])
    """
    k, mean = np.asarray(k, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    log_p = sc.gammaln(size + k) - sc.gammaln(size) - sc.gammaln(k + 1)
    log_p = log_p - size * np.log1p(mean / size) + sc.xlogy(k, mean / (size + mean))
    return np.asarray(np.exp(log_p))


def hurdle_chances(k: Floats, buys: Floats, beyond: Floats, size: float) -> Floats:
    """P(N = k): nothing, or one purchase and a negative binomial of mean ``beyond``."""
    more = negative_binomial(np.maximum(k - 1.0, 0.0), beyond, size)
    return np.where(k > 0, buys * more, 1 - buys)


@dataclass(frozen=True, eq=False)
class Learner:
    """Fitted trees.

    Attributes
    ----------
    corrects
        The factor on the purchase model's expectation.
    buys, beyond, pays
        The hurdle: P(buys), purchases beyond the first, money of who buys. ``beyond`` is None where
        nobody bought twice.
    size
        Of the negative binomial around ``beyond``.
    """

    corrects: Any
    buys: Any
    beyond: Any
    pays: Any
    size: float

    @classmethod
    def fit(cls, windows: Sequence[Window]) -> Self:
        """Learn from what followed each window.

        Raises
        ------
        FitError
            Everybody bought in every window, or nobody.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        X = np.concatenate([window.customers.X for window in windows])
        purchases = np.concatenate([window.purchases for window in windows])
        money = np.concatenate([window.money for window in windows])
        expected = np.concatenate([_levelled(window) for window in windows])
        bought = purchases > 0
        if bought.all() or not bought.any():
            raise FitError("all customers did the same, so nothing can be learned from them.")
        beyond, among = purchases[bought] - 1, X[bought]
        paid = np.maximum(money[bought], 1e-6 * money.mean())  # a gamma has no zeros
        poisson = HistGradientBoostingRegressor(loss="poisson", **TREES)
        pays = HistGradientBoostingRegressor(loss="gamma", **TREES)
        with one_thread():
            several, size = _beyond(poisson, among, beyond)
            return cls(
                poisson.fit(X, purchases / expected, sample_weight=expected),
                HistGradientBoostingClassifier(**TREES).fit(X, bought),
                several,
                pays.fit(among, paid),
                size,
            )

    def log_factor(self, X: Floats) -> Floats:
        """The log of the factor on the model's expectation, on a grid, shape (n,)."""
        with one_thread():
            factor = np.log(self.corrects.predict(X))
        return np.asarray(np.round(np.clip(factor, -MOST, MOST) / STEP) * STEP)

    def hurdle(self, X: Floats) -> tuple[Floats, Floats, Floats]:
        """Log odds of buying, mean purchases beyond the first and money of who buys; (n,) each."""
        with one_thread():
            odds = self.buys.decision_function(X)
            e = self.beyond.predict(X) if self.beyond is not None else np.zeros(len(X))
            return np.asarray(odds), np.maximum(e, 1e-9), np.asarray(self.pays.predict(X))

    @property
    def parts(self) -> list[Any]:
        """The trees, in the order of the attributes."""
        return [self.corrects, self.buys, self.beyond, self.pays]

    def save(self, path: Path) -> None:
        """Write the trees with skops."""
        from skops.io import dump

        dump(self.parts, path)

    @classmethod
    def load(cls, path: Path, size: float) -> Self:
        """The learner of a file, if it holds nothing but types in ``TRUSTED``.

        Raises
        ------
        ModelError
            The file holds other types, and nothing of it was loaded.
        """
        from skops.io import get_untrusted_types, load

        if unknown := sorted(set(get_untrusted_types(file=path)) - set(TRUSTED)):
            raise ModelError(
                f"{path.name} contains types that no model of this package has: "
                f"{', '.join(unknown)}.",
                hint="do not load it; train the model again from its data.",
            )
        corrects, buys, beyond, pays = load(path, trusted=list(TRUSTED))
        return cls(corrects, buys, beyond, pays, size)


def _levelled(window: Window) -> Floats:
    """The model's expectations at the level of what came: the level is not the learner's task."""
    expected = window.customers.expected
    return np.asarray(expected * (window.purchases.sum() / expected.sum()))


def _beyond(trees: Any, X: Floats, beyond: Floats) -> tuple[Any, float]:
    """Fitted trees, and the size of a negative binomial around predictions of unseen customers."""
    from sklearn.base import clone

    if not beyond.any():
        return None, 1.0
    fold, mean = np.arange(len(beyond)) % FOLDS, np.full(len(beyond), beyond.mean())
    for i in range(FOLDS):
        rest = fold != i
        if beyond[rest].any():
            mean[~rest] = clone(trees).fit(X[rest], beyond[rest]).predict(X[~rest])

    def cost(log_size: float) -> float:
        chance = negative_binomial(beyond, np.maximum(mean, 1e-9), float(np.exp(log_size)))
        return float(-np.log(np.maximum(chance, 1e-300)).mean())

    size = minimize_scalar(cost, bounds=(-6, 8), method="bounded").x
    return clone(trees).fit(X, beyond), float(np.exp(size))
