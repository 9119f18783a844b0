"""All trees at once: what scikit-learn says, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from clv.churn.classifier import BOOSTED, assemble
from clv.churn.fast_trees import BLOCK, MOST, Forest
from clv.schema import Floats


def fitted(leaves: int, trees: int = 30, inputs: int = 5) -> HistGradientBoostingClassifier:
    rng = np.random.default_rng(leaves)
    X = rng.normal(size=(4000, inputs)).round(1)  # values that lie on thresholds' either side
    odds = X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2])
    happened = odds + rng.logistic(size=len(X)) > 0
    model = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=5, random_state=0
    )
    return model.fit(X, happened)


def rows_at_the_edge(forest: Forest, n: int) -> Floats:
    """Rows on the thresholds, next to them and far from them."""
    rng = np.random.default_rng(1)
    near = [-np.inf, -1.0, -1e-9, 0.0, 0.0, 0.0, 1e-9, 1.0, np.inf]
    columns = [rng.choice(np.append(at, 0.0), n) + rng.choice(near, n) for at in forest.thresholds]
    return np.column_stack(columns)


@pytest.mark.parametrize("leaves", [2, 8, 9, 15, 31, MOST])
def test_every_row_gets_the_score_of_scikit_learn(leaves):
    model = fitted(leaves)
    forest = Forest.of(model)
    assert forest is not None
    for n in (0, 1, 16, BLOCK + 1):
        X = rows_at_the_edge(forest, n)
        expected = model.decision_function(X) if n else np.empty(0)
        np.testing.assert_array_equal(forest.raw_score(X), expected)


def test_an_input_that_no_tree_asks_and_a_tree_of_one_leaf():
    X = np.column_stack([np.repeat([0.0, 1.0], 50), np.zeros(100)])
    model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=40).fit(X, X[:, 0] > 0)
    alone = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=90).fit(X, X[:, 0] > 0)
    for one in (model, alone):
        forest = Forest.of(one)
        assert forest is not None
        np.testing.assert_array_equal(forest.raw_score(X), one.decision_function(X))


@pytest.mark.parametrize("case", ["missing", "many leaves"])
def test_what_the_patterns_cannot_say_is_left_to_scikit_learn(case):
    model = fitted(MOST + 40 if case == "many leaves" else 15)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(50, 5))
    if case == "missing":
        X[::7, 2] = np.nan
    else:
        assert Forest.of(model) is None
    classifier = assemble(BOOSTED, [f"x{i}" for i in range(5)], {BOOSTED: model}, X)
    np.testing.assert_array_equal(classifier.log_odds(X), model.decision_function(X))
