"""The learner: boosted trees that correct a purchase model, and a hurdle beside it.

The correction is a Poisson factor on the model's expectation E: the target is Y / E with weight E,
so the trees start from the model and say what it misses. The hurdle needs no model: P(buys), the
purchases beyond the first of who buys, a negative binomial around them, and the money of who buys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special as sc
from scipy.optimize import minimize_scalar

from clv.errors import FitError, ModelError
from clv.forecast.attribution import require_sound_trees
from clv.forecast.forest import LEAVES, Forest
from clv.forecast.inputs import INPUTS
from clv.forecast.windows import Window
from clv.io.estimators import load_estimators, save_estimators
from clv.schema import Floats
from clv.threads import one_thread

BINS = 64  # of each input
TREES = {
    "learning_rate": 0.05,
    "max_iter": 60,
    "max_leaf_nodes": LEAVES,
    "max_bins": BINS,
    "min_samples_leaf": 100,
    "l2_regularization": 20.0,
    "early_stopping": False,
    "random_state": 0,
}
FOLDS = 2
ROUGH = {
    "max_iter": 20,
    "learning_rate": 0.15,
}  # as good to measure a spread by, in a third of time
MOST = 1.5  # a log factor is cut here
STEP = 1 / 16  # and rounded to so much, so that customers alike share a horizon


def negative_binomial(k: ArrayLike, mean: ArrayLike, size: float) -> Floats:
    """P(N = k): variance mean + mean^2 / size.

    >>> negative_binomial([0, 1], 1.0, 1.0)
    array([0.5 , 0.25])
    """
    k, mean = np.asarray(k, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    none = -size * np.log1p(mean / size)
    return np.asarray(np.exp(none + sc.xlogy(k, mean / (size + mean)) + log_ways(k, size)))


def log_negative_binomial(mean: Floats, size: float) -> tuple[Floats, Floats]:
    """The log of P(N = 0), and what each unit of k adds to that of P(N = k) beside ``log_ways``."""
    return -size * np.log1p(mean / size), np.log(mean / (size + mean))


def log_ways(k: ArrayLike, size: float) -> Floats:
    """The log of Gamma(size + k) / (Gamma(size) k!)."""
    k = np.asarray(k, dtype=np.float64)
    return np.asarray(sc.gammaln(size + k) - sc.gammaln(size) - sc.gammaln(k + 1))


def hurdle_chances(k: Floats, buys: Floats, beyond: Floats, size: float) -> Floats:
    """P(N = k): nothing, or one purchase and a negative binomial of mean ``beyond``."""
    more = negative_binomial(np.maximum(k - 1.0, 0.0), beyond, size)
    return np.where(k > 0, buys * more, 1 - buys)


@dataclass(frozen=True, eq=False)
class Reading:
    """What the trees say of n customers, shape (n,) each.

    Attributes
    ----------
    factor
        The log of the factor on the model's expectation, on a grid of ``STEP``.
    odds
        The log odds of buying.
    beyond, pays
        Mean purchases beyond the first, and mean money, of who buys.
    """

    factor: Floats
    odds: Floats
    beyond: Floats
    pays: Floats


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
        if not differ(windows):
            raise FitError("all customers did the same, so nothing can be learned from them.")
        beyond, among = purchases[bought] - 1, X[bought]
        paid = np.maximum(money[bought], 1e-6 * money.mean())  # a gamma has no zeros
        poisson = HistGradientBoostingRegressor(loss="poisson", **TREES)
        pays = HistGradientBoostingRegressor(loss="gamma", **TREES)
        with one_thread():
            several, size = _beyond(poisson, among, beyond)
            return cls(
                poisson.fit(binned(X, expected), purchases / expected, sample_weight=expected),
                HistGradientBoostingClassifier(**TREES).fit(X, bought),
                several,
                pays.fit(among, paid),
                size,
            )

    @cached_property
    def forest(self) -> Forest:
        """All trees, to be read at once."""
        return Forest.of([part for part in self.parts if part is not None])

    def read(self, X: Floats) -> Reading:
        """What the trees say of n customers, of ``INPUTS`` of shape (n, k)."""
        raw = [*self.forest.scores(X)]
        if self.beyond is None:
            raw.insert(2, np.full(len(X), -np.inf))
        factor, odds, beyond, pays = raw
        factor = np.round(np.clip(factor, -MOST, MOST) / STEP) * STEP
        return Reading(factor, odds, np.maximum(np.exp(beyond), 1e-9), np.exp(pays))

    @property
    def parts(self) -> list[Any]:
        """The trees, in the order of the attributes."""
        return [self.corrects, self.buys, self.beyond, self.pays]

    def save(self, path: Path) -> None:
        """Write the trees with skops."""
        save_estimators(path, self.parts)

    @classmethod
    def load(cls, path: Path, size: float) -> Self:
        """The learner of a file, if it holds nothing but its trees, and these are sound.

        Raises
        ------
        ModelError
            The file holds other types, and nothing of it was loaded; or other trees than a
            learner's.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        parts, grown = load_estimators(path), HistGradientBoostingRegressor
        kinds = [type(part) for part in parts if part is not None]
        if kinds != [grown, HistGradientBoostingClassifier, *[grown] * (len(kinds) - 2)] or not (
            len(parts) == 4 and None not in (parts[0], parts[1], parts[3])
        ):
            raise ModelError(f"{path.name} does not hold the trees of a pooled forecast.")
        for part in parts:
            if part is not None:
                require_sound_trees(part, len(INPUTS))
        corrects, buys, beyond, pays = parts
        return cls(corrects, buys, beyond, pays, size)


def differ(windows: Sequence[Window]) -> bool:
    """Whether there is something to learn: some customers bought, and some did not."""
    shares = [float((window.purchases > 0).mean()) for window in windows]
    return max(shares, default=0.0) > 0 and min(shares, default=1.0) < 1


def binned(X: Floats, weight: Floats) -> Floats:
    """Inputs (n, k) with at most ``BINS`` values each: the nearest of their weighted quantiles.

    Trees split midway between two values, which is where a customer changes bins here, so they read
    ``X`` itself as they would read this. scikit-learn makes bins of weighted rows, too, but takes
    as long for it as for the trees.

    >>> binned(np.arange(6.0)[:, None], np.ones(6))[:, 0]
    array([0., 1., 2., 3., 4., 5.])
    """
    middles = (np.arange(BINS) + 0.5) / BINS
    columns = []
    for column in X.T:
        values = np.unique(column)
        if len(values) > BINS:
            order = np.argsort(column, kind="stable")
            upto = np.cumsum(weight[order])
            values = np.unique(column[order][np.searchsorted(upto, middles * upto[-1])])
        columns.append(values[np.searchsorted((values[:-1] + values[1:]) / 2, column)])
    return np.column_stack(columns)


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
    rough = clone(trees).set_params(**ROUGH)
    for i in range(FOLDS):
        rest = fold != i
        if beyond[rest].any():
            mean[~rest] = rough.fit(X[rest], beyond[rest]).predict(X[~rest])

    def cost(log_size: float) -> float:
        chance = negative_binomial(beyond, np.maximum(mean, 1e-9), float(np.exp(log_size)))
        return float(-np.log(np.maximum(chance, 1e-300)).mean())

    size = minimize_scalar(cost, bounds=(-6, 8), method="bounded").x
    return clone(trees).fit(X, beyond), float(np.exp(size))
