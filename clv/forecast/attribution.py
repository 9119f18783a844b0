"""Which inputs moved a score: contributions that add up exactly to score minus average score.

Every method here gives an array of shape (n, k), one column per input, whose rows add up to the
customer's score minus the average score of the examples that the estimator was fitted on:

- a linear score: coefficient times (value minus average value);
- boosted trees: Shapley values in which an input that is not known follows the share of training
  examples that each split sent either way (path-dependent, as in [1]_);
- a product of two numbers: Shapley values against the customers of the base.

References
----------
.. [1] Lundberg et al. 2020, From local explanations to global understanding with explainable AI
   for trees, Nature Machine Intelligence 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.errors import ModelError
from clv.schema import Floats

TESTED = ">=1.6,<1.10"  # the versions whose private attributes are as boosted_trees expects
MOST_NODES = 63  # of a tree that is read: ours have 29 at most
BLOCK = 16_384  # customers at a time: what a processor's cache holds


@dataclass(frozen=True)
class Leaf:
    """A leaf of a tree: the box of inputs that it holds, and the share of examples either way.

    The box is ``lower < x[inputs] <= upper``; ``share`` is, for each input, the product over its
    splits on the path of the share of examples that went the path's way.
    """

    value: float
    inputs: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    share: tuple[float, ...]


def linear_contributions(coefficients: Floats, average: Floats, X: Floats) -> Floats:
    """Contributions to ``X @ coefficients``, shape (n, k).

    >>> linear_contributions(np.array([2.0, 1.0]), np.array([1.0, 0.0]), np.array([[3.0, 5.0]]))
    array([[4., 5.]])
    """
    return np.asarray((X - average) * coefficients)


def product_contributions(
    a: Floats, b: Floats, average_a: float, average_b: float, average_product: float
) -> Floats:
    """Shapley values of a and b in the product a b, against the customers of a base, shape (n, 2).

    The averages are those of the base; the rows add up to ``a b - average_product``.

    >>> product_contributions(np.array([0.5]), np.array([0.4]), 0.5, 0.2, 0.1)
    array([[0. , 0.1]])
    """
    both = a * b - average_product
    gap = a * average_b - average_a * b
    return np.column_stack([(both + gap) / 2, (both - gap) / 2])


def boosted_contributions(boosted: Any, X: Floats) -> Floats:
    """Contributions to the raw score of fitted boosted trees, shape (n, k).

    Of a regressor or two classes; numeric inputs without gaps. The work is one look-up per
    customer, leaf and input of the leaf: which of its inputs lie in the box is a pattern of bits,
    and the Shapley values of all patterns are computed once.
    """
    grown = [leaf for tree in boosted_trees(boosted) for leaf in leaves(tree)]
    contributions = np.zeros(X.shape)
    for start in range(0, len(X), BLOCK):
        columns = np.ascontiguousarray(X[start : start + BLOCK].T)
        total = np.zeros(columns.shape)
        for leaf in grown:
            _add_leaf(total, columns, leaf)
        contributions[start : start + BLOCK] = total.T
    return contributions


def boosted_average(boosted: Any) -> float:
    """The average raw score of the examples that the trees were grown on."""
    grown = (leaf for tree in boosted_trees(boosted) for leaf in leaves(tree))
    return baseline(boosted) + sum(leaf.value * float(np.prod(leaf.share)) for leaf in grown)


# scikit-learn offers no public way to what its boosted trees consist of: these functions are the
# only ones that read private attributes, and NODE names the fields of a node that are read. A test
# holds both against the version that is installed.
NODE = ("is_leaf", "value", "left", "right", "feature_idx", "num_threshold", "count")


def boosted_trees(boosted: Any) -> Iterator[NDArray[Any]]:
    """The trees as arrays of nodes.

    Raises
    ------
    ModelError
        The installed scikit-learn keeps its trees otherwise.
    """
    trees = [tree.nodes for (tree,) in getattr(boosted, "_predictors", [])]
    if not trees or not set(NODE) <= set(trees[0].dtype.names):
        raise _unreadable()
    yield from trees


def require_sound_trees(boosted: Any, inputs: int) -> None:
    """Raise ``ModelError`` unless trees that were read from a file lead each customer to a leaf.

    scikit-learn follows them without looking: a wrong child reads foreign memory, or never ends.
    """
    kinds, bins = getattr(boosted, "is_categorical_", None), getattr(boosted, "_bin_mapper", None)
    binned = getattr(bins, "is_categorical_", None)
    plain = kinds is None and np.array_equal(np.asarray(binned), np.zeros(inputs))
    classes = getattr(boosted, "classes_", (0, 1))  # a regressor has none
    fits = getattr(boosted, "n_features_in_", None) == inputs and len(classes) == 2
    if not (plain and fits and getattr(boosted, "_preprocessor", None) is None):
        raise ModelError("the boosted trees are not those of the model's inputs.")
    for nodes in boosted_trees(boosted):
        n, split = len(nodes), nodes[nodes["is_leaf"] == 0]
        place = np.flatnonzero(nodes["is_leaf"] == 0)
        ends = np.concatenate([split["left"], split["right"]])
        sound = (
            0 < n <= MOST_NODES
            and nodes.dtype == _node_type()
            and bool((split["left"] > place).all() and (split["right"] > place).all())
            and len(set(ends.tolist())) == len(ends) == n - 1
            and (n == 1 or int(ends.max()) < n)
            and bool(((split["feature_idx"] >= 0) & (split["feature_idx"] < inputs)).all())
            and not nodes["is_categorical"].any()
            and bool((nodes["count"] > 0).all())
            and bool(np.isfinite(nodes["value"]).all())
            and bool(np.isfinite(split["num_threshold"]).all())
        )
        if not sound:
            raise ModelError("the boosted trees are damaged.")


def _node_type() -> Any:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    return PREDICTOR_RECORD_DTYPE


def baseline(boosted: Any) -> float:
    """The raw score that the trees add to."""
    if not hasattr(boosted, "_baseline_prediction"):
        raise _unreadable()
    return float(np.ravel(boosted._baseline_prediction)[0])


def _unreadable() -> ModelError:
    return ModelError(
        f"scikit-learn {version('scikit-learn')} does not show its trees as scores need them.",
        hint=f'pip install "scikit-learn{TESTED}".',
    )


def leaves(nodes: NDArray[Any]) -> Iterator[Leaf]:
    """The leaves of a tree, with the boxes that the splits above them leave."""
    stack: list[tuple[int, dict[int, tuple[float, float, float]]]] = [(0, {})]
    while stack:
        place, box = stack.pop()
        node = nodes[place]
        if node["is_leaf"]:
            lower, upper, share = zip(*box.values(), strict=True) if box else ((), (), ())
            yield Leaf(float(node["value"]), tuple(box), lower, upper, share)
            continue
        threshold, i = float(node["num_threshold"]), int(node["feature_idx"])
        low, high, share_so_far = box.get(i, (-np.inf, np.inf, 1.0))
        for side, ends in (
            ("left", (low, min(high, threshold))),
            ("right", (max(low, threshold), high)),
        ):
            child = int(node[side])
            share_here = share_so_far * float(nodes[child]["count"]) / float(node["count"])
            stack.append((child, {**box, i: (*ends, share_here)}))


def _add_leaf(total: Floats, columns: Floats, leaf: Leaf) -> None:
    if not leaf.inputs:
        return
    pattern = np.zeros(columns.shape[1], dtype=np.intp)
    for bit, (i, low, high) in enumerate(zip(leaf.inputs, leaf.lower, leaf.upper, strict=True)):
        inside = columns[i] <= high
        if low > -np.inf:
            inside &= columns[i] > low
        pattern |= inside.astype(np.intp) << bit
    for i, values in zip(leaf.inputs, _shapley(leaf.share), strict=True):
        total[i] += leaf.value * values.take(pattern)


@cache
def _nodes(players: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes on (0, 1) that are exact for a polynomial of degree players - 1."""
    u, weight = np.polynomial.legendre.leggauss((players + 1) // 2)
    return (u + 1) / 2, weight / 2


def _shapley(share: tuple[float, ...]) -> Floats:
    """Shapley values in a game of a product, shape (inputs, 2**inputs): one column per pattern.

    The game is worth the product over the known inputs of 1 (in the box) or 0 and over the others
    of their share; by the multilinear extension each value is an integral over u of
    (o_i - r_i) prod_{j != i} (u o_j + (1 - u) r_j).
    """
    size = len(share)
    u, weight = _nodes(size)
    inside = (np.arange(2**size)[:, None] >> np.arange(size)) & 1  # (patterns, inputs)
    r = np.asarray(share)
    terms = u[:, None, None] * inside + (1 - u)[:, None, None] * r  # (nodes, patterns, inputs)
    values = np.empty((size, 2**size))
    for i in range(size):
        others = np.delete(terms, i, axis=2).prod(axis=2)
        values[i] = (inside[:, i] - r[i]) * (weight @ others)
    return values
