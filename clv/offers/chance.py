"""The chance that a customer buys an item within the horizon, learned at an earlier day.

A logistic regression puts what is known of a pair in order, and an isotonic regression [1]_ turns
that order into chances: of those who get 5%, 5% bought.

References
----------
.. [1] Zadrozny, Elkan 2002, Transforming Classifier Scores into Accurate Multiclass Probability
   Estimates, KDD '02.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.offers.order_lines import Flags
from clv.schema import Floats


@dataclass(frozen=True)
class Chance:
    """From features of pairs to chances.

    Attributes
    ----------
    centre, scale, slopes
        Of the features, shape (features,).
    index, chance
        The steps of the isotonic regression: chances at values of the index.
    """

    centre: Floats
    scale: Floats
    slopes: Floats
    index: Floats
    chance: Floats

    def __call__(self, features: Floats) -> Floats:
        """Chances, shape (pairs,)."""
        index = ((features - self.centre) / self.scale) @ self.slopes
        return np.interp(index, self.index, self.chance)


def learn_chance(features: Floats, happened: Flags) -> Chance:
    """Learn from pairs of an earlier day and what was bought after it.

    Parameters
    ----------
    features
        Shape (pairs, features).
    happened
        Which were bought within the horizon; shape (pairs,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(5000, 1))
    >>> happened = rng.random(5000) < 1 / (1 + np.exp(2 - features[:, 0]))
    >>> chance = learn_chance(features, happened)
    >>> bool(abs(chance(features).mean() - happened.mean()) < 1e-9)
    True
    """
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    if not happened.any() or happened.all():
        share = np.array([happened.mean()])
        return Chance(centre, scale, np.zeros(len(centre)), np.zeros(1), share)
    standard = (features - centre) / scale
    line = LogisticRegression(C=1.0, solver="newton-cholesky").fit(standard, happened)
    slopes = np.asarray(line.coef_[0], dtype=np.float64)
    steps = IsotonicRegression(out_of_bounds="clip").fit(standard @ slopes, happened)
    return Chance(centre, scale, slopes, steps.X_thresholds_, steps.y_thresholds_)
