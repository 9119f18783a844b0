"""Trees read all at once say what scikit-learn says, to the last bit, whoever is asked beside."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from clv.errors import ModelError
from clv.forecast.forest import BLOCK, Forest


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(3 * BLOCK + 1, 5)).round(2)
    return X, rng.poisson(np.exp(X[:, 0] * (X[:, 1] > 0)))


@pytest.fixture(scope="module")
def grown(data):
    X, y = data
    settings = {"max_iter": 15, "max_leaf_nodes": 8, "random_state": 0}
    counts = HistGradientBoostingRegressor(loss="poisson", **settings).fit(X, y)
    stump = {**settings, "max_leaf_nodes": 2}
    return counts, HistGradientBoostingClassifier(**stump).fit(X, y > 0)


def test_scores_are_those_of_scikit_learn_to_the_last_bit(data, grown):
    X, _ = data
    counts, chance = Forest.of(grown).scores(X)
    np.testing.assert_array_equal(np.exp(counts), grown[0].predict(X))
    np.testing.assert_array_equal(chance, grown[1].decision_function(X))


@pytest.mark.parametrize("customers", [1, 2, 3, BLOCK, BLOCK + 1])
def test_a_customer_scores_alone_as_among_others(data, grown, customers):
    forest, X = Forest.of(grown), data[0]
    np.testing.assert_array_equal(forest.scores(X[:customers]), forest.scores(X)[:, :customers])


def test_a_value_on_a_threshold_goes_left(data, grown):
    nodes = grown[0]._predictors[0][0].nodes
    X = data[0][:1].copy()
    X[0, nodes[0]["feature_idx"]] = nodes[0]["num_threshold"]
    np.testing.assert_array_equal(np.exp(Forest.of(grown).scores(X)[0]), grown[0].predict(X))


def test_larger_trees_are_refused(data):
    X, y = data
    large = HistGradientBoostingRegressor(max_leaf_nodes=9, max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ModelError, match="larger than those of this package"):
        Forest.of([large])
