"""Contributions: exact sums, and Shapley values as their definition gives them."""

import itertools
import math
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from clv.errors import ModelError
from clv.forecast.attribution import (
    TESTED,
    boosted_average,
    boosted_contributions,
    boosted_trees,
    product_contributions,
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 5))
    X[:, 4] = rng.integers(0, 3, len(X))
    odds = X[:, 0] * X[:, 1] + X[:, 2] + (X[:, 4] == 1)
    return X, (odds + rng.logistic(size=len(X)) > 0).astype(float)


@pytest.fixture(scope="module")
def boosted(data):
    return HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=15, random_state=0).fit(*data)


def worth(nodes, x, known, place=0):
    """What a tree is expected to say when only the inputs ``known`` are: by its definition."""
    node = nodes[place]
    if node["is_leaf"]:
        return float(node["value"])
    left, right = int(node["left"]), int(node["right"])
    i = int(node["feature_idx"])
    if i in known:
        return worth(nodes, x, known, left if x[i] <= node["num_threshold"] else right)
    weight = nodes[left]["count"] / node["count"]
    return weight * worth(nodes, x, known, left) + (1 - weight) * worth(nodes, x, known, right)


def shapley(nodes, x):
    """Shapley values by summing over all coalitions."""
    players, values = range(len(x)), np.zeros(len(x))
    for i in players:
        others = [j for j in players if j != i]
        for size in range(len(x)):
            share = math.factorial(size) * math.factorial(len(x) - size - 1)
            for known in itertools.combinations(others, size):
                with_i, without = worth(nodes, x, {*known, i}), worth(nodes, x, {*known})
                values[i] += share / math.factorial(len(x)) * (with_i - without)
    return values


def test_trees_get_the_shapley_values_of_all_coalitions(data, boosted):
    X = data[0][:4]
    by_definition = [sum(shapley(nodes, x) for nodes in boosted_trees(boosted)) for x in X]
    np.testing.assert_allclose(boosted_contributions(boosted, X), by_definition, atol=1e-12)


def test_tree_contributions_add_up_to_the_score(data, boosted):
    X, _ = data
    total = boosted_average(boosted) + boosted_contributions(boosted, X).sum(axis=1)
    np.testing.assert_allclose(total, boosted.decision_function(X), atol=1e-12)
    assert boosted_average(boosted) == pytest.approx(boosted.decision_function(X).mean())


def test_an_input_that_no_tree_splits_on_moves_nothing(data):
    X, y = data
    idle = np.column_stack([X, np.zeros(len(X))])
    fitted = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(idle, y)
    assert not boosted_contributions(fitted, idle)[:, 5].any()


def test_a_product_is_shared_as_the_average_over_both_orders():
    rng = np.random.default_rng(2)
    a, b = rng.uniform(size=(2, 50))
    found = product_contributions(a, b, a.mean(), b.mean(), (a * b).mean())
    np.testing.assert_allclose(found.sum(axis=1), a * b - (a * b).mean())
    first = a * b.mean() - (a * b).mean()  # a becomes known before b
    last = a * b - a.mean() * b  # a becomes known after b
    np.testing.assert_allclose(found[:, 0], (first + last) / 2)


def test_private_attributes_are_those_of_a_tested_version():
    """If this fails after an update: see that NODE still means the same, then widen TESTED."""
    low, high = (bound.strip("<>=").split(".") for bound in TESTED.split(","))
    installed = [int(part) for part in version("scikit-learn").split(".")[:2]]
    assert [int(part) for part in low] <= installed < [int(part) for part in high]


def test_a_version_that_hides_its_trees_is_named():
    hidden = SimpleNamespace(decision_function=None)
    with pytest.raises(ModelError, match="does not show its trees as scores need them"):
        list(boosted_trees(hidden))
    with pytest.raises(ModelError, match=r"pip install .scikit-learn>=1.6,<1.10"):
        boosted_average(hidden)
