"""A challenger without a theory: gradient boosting on features and on what the models say.

A hurdle: does a customer buy at all, and if so how often and for how much. It learns from the
latest origin whose holdout has ended, so it knows nothing that was not known at the cutoff. It
forecasts one horizon and says nothing beyond, so it can judge a purchase model but not replace it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from clv.data.features import features
from clv.evaluate.backtest.forecast import Forecast
from clv.evaluate.backtest.origin import Calibration
from clv.evaluate.backtest.spread import Spread
from clv.schema import Floats

CHALLENGER = "gradient boosting"
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Hurdle:
    """P(buys), the purchases of who buys, and the money of who buys, as functions of features.

    Attributes
    ----------
    buys
        Classifier of who buys.
    more, pays
        Regressors on who bought: purchases beyond the first, and money.
    spread
        How purchases beyond the first spread around their mean.
    """

    buys: Any
    more: Any
    pays: Any
    spread: Spread

    @classmethod
    def fit(cls, columns: Floats, purchases: Floats, money: Floats) -> Self:
        """Learn from features (n, m) and what followed, shape (n,) each."""
        with threadpool_limits(1):  # on a busy machine, threads that wait cost 100 times more
            return cls._fit(columns, purchases, money)

    @classmethod
    def _fit(cls, columns: Floats, purchases: Floats, money: Floats) -> Self:
        from sklearn.base import clone

        bought = purchases > 0
        buys, more, pays = _trees()
        beyond, among = purchases[bought] - 1, columns[bought]
        paid = np.maximum(money[bought], 1e-6 * money.mean())  # a gamma has no zeros
        spread = Spread.fit(_unseen(clone(more), among, beyond), beyond)
        return cls(
            buys.fit(columns, bought),
            more.fit(among, beyond) if beyond.any() else _nothing(among),
            pays.fit(among, paid),
            spread,
        )

    def forecast(self, columns: Floats) -> Forecast:
        """Means and P(exactly k): 0, or 1 and a negative binomial around the mean beyond it."""
        with threadpool_limits(1):
            p = np.asarray(self.buys.predict_proba(columns)[:, 1], dtype=np.float64)
            paid = np.asarray(self.pays.predict(columns), dtype=np.float64)
            beyond = self.spread.means(np.maximum(self.more.predict(columns), 1e-9))
        plain = Spread(0.0, self.spread.size)

        def chances(k: Floats) -> Floats:
            k = np.asarray(k, dtype=np.float64)
            beyond_one = plain.chances(beyond, np.maximum(k - 1, 0.0))
            return np.asarray(np.where(k > 0, p[:, None] * beyond_one, 1 - p[:, None]))

        return Forecast(CHALLENGER, False, p * (1 + beyond), p * paid, chances)


def challenger(calibration: Calibration) -> Forecast | None:
    """The forecast of a hurdle that learned at ``calibration.earlier``; None if there is none."""
    earlier = calibration.earlier
    if earlier is None:
        return None
    learned = Hurdle.fit(columns(earlier.calibration), earlier.purchases, earlier.money)
    return learned.forecast(columns(calibration))


def columns(calibration: Calibration) -> Floats:
    """The features of the summary, and of each model P(no purchase) and expected purchases; (n, m).

    The models are fitted on the same summary, so at an earlier origin they know less.
    """
    table, t = calibration.summary, calibration.horizon
    parts = [np.log1p(calibration.spend.expected_spend(table))]
    for model in calibration.purchases.values():
        parts.append(model.probability_of_no_purchase(t, table))
        parts.append(np.log1p(model.conditional_expected_purchases(t, table)))
    return np.column_stack([features(table), *parts])


def _trees() -> tuple[Any, Any, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    small = {
        "learning_rate": 0.05,
        "max_iter": 100,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 50,
        "early_stopping": False,
        "random_state": 0,
    }
    return (
        HistGradientBoostingClassifier(**small),
        HistGradientBoostingRegressor(loss="poisson", **small),
        HistGradientBoostingRegressor(loss="gamma", **small),
    )


def _unseen(trees: Any, columns: Floats, beyond: Floats) -> Floats:
    """Predictions for customers that the trees were not fitted on: the spread around those."""
    from sklearn.base import clone

    fold, predicted = np.arange(len(beyond)) % FOLDS, np.full(len(beyond), beyond.mean())
    for i in range(FOLDS):
        rest = fold != i
        if beyond[rest].any():
            predicted[~rest] = clone(trees).fit(columns[rest], beyond[rest]).predict(columns[~rest])
    return np.asarray(np.maximum(predicted, 1e-9))


def _nothing(columns: Floats) -> Any:
    """A regressor where nobody bought twice."""
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="constant", constant=0.0).fit(columns, np.zeros(len(columns)))
