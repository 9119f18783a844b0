"""A pooled forecast that learned from made-up customers: quickly made, and it reads every input."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from clv.forecast import Pool
from clv.forecast.inputs import INPUTS
from clv.forecast.learner import TREES, Learner
from clv.periods import Duration
from clv.probability.gamma_gamma import GammaGamma

FEW = {**TREES, "max_iter": 12, "min_samples_leaf": 10}


def made_pool(horizon: Duration, spend: GammaGamma) -> Pool:
    """Of 600 customers whose inputs, all of them, say something about what they do."""
    rng = np.random.default_rng(1)
    X = rng.gamma(2.0, size=(600, len(INPUTS))) - 1.0
    pull = (X - X.mean(axis=0)).sum(axis=1) / np.sqrt(len(INPUTS))
    bought = (rng.logistic(size=600) < pull).astype(float)
    among, counts = X[bought > 0], rng.poisson(np.exp(0.3 * pull[bought > 0]))
    poisson = HistGradientBoostingRegressor(loss="poisson", **FEW)
    learner = Learner(
        HistGradientBoostingRegressor(loss="poisson", **FEW).fit(X, np.exp(pull / 3)),
        HistGradientBoostingClassifier(**FEW).fit(X, bought),
        poisson.fit(among, counts),
        HistGradientBoostingRegressor(loss="gamma", **FEW).fit(among, 20 + 5 * counts),
        size=1.5,
    )
    days = ("1997-03-01", "1997-02-01")
    return Pool(horizon, "week", spend, learner, 0.1, -0.2, 0.05, days, 600, 600, fade=0.5)
