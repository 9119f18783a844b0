"""Boosted trees read all at once: one customer in a tenth of a millisecond, a million in seconds.

scikit-learn walks every tree for every customer. Here each split is one comparison of a whole
column, made once for all trees that have it, and a tree is a byte with a bit for each of its
leaves: a split that a customer fails takes away the leaves on its left, and the first leaf that is
left is theirs [1]_. The sums are scikit-learn's own, to the last bit.

References
----------
.. [1] Lucchese et al. 2015, QuickScorer: a fast algorithm to rank documents with additive ensembles
   of regression trees, SIGIR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clv.errors import ModelError
from clv.forecast.attribution import baseline, boosted_trees
from clv.history import distinct
from clv.schema import Floats

LEAVES = 8  # of a tree at most: they share a byte
SPLITS = LEAVES - 1
BLOCK = 512  # customers at a time: what a processor's cache holds

Tree = tuple[list[tuple[int, float, int]], list[float]]  # splits with their left leaves; values


@dataclass(frozen=True, eq=False)
class Forest:
    """Several ensembles of t trees in all; the first tree of each is its starting value.

    Attributes
    ----------
    thresholds
        Of each column, those above which a customer fails a split, shape (splits of it, 1): all
        columns one after the other are the distinct splits.
    split, lost
        Which of these each tree has, shape (SPLITS, t), and the leaves that are lost by failing
        it, (SPLITS, t, 1).
    values
        Of each tree, by the leaves that were lost, shape (t * 256,).
    ends
        How many trees there are up to the end of each ensemble.
    """

    thresholds: tuple[Floats, ...]
    split: NDArray[np.intp]
    lost: NDArray[np.uint8]
    values: Floats
    ends: tuple[int, ...]

    @classmethod
    def of(cls, ensembles: Sequence[Any]) -> Self:
        """The forest of fitted ensembles of scikit-learn.

        Raises
        ------
        ModelError
            A tree has more than ``LEAVES`` leaves, or scikit-learn keeps its trees otherwise.
        """
        trees: list[Tree] = []
        ends = []
        for boosted in ensembles:
            trees.append(([], [baseline(boosted)]))
            trees += [_taken_apart(nodes) for nodes in boosted_trees(boosted)]
            ends.append(len(trees))
        nowhere = (0, np.inf, 0)  # what a tree of fewer splits is filled up with
        splits = np.array([[*found, *[nowhere] * (SPLITS - len(found))] for found, _ in trees])
        (column, threshold), which = distinct(splits[:, :, 0].ravel(), splits[:, :, 1].ravel())
        columns = np.arange(column.max() + 1)
        return cls(
            tuple(threshold[column == i, None] for i in columns),
            which.reshape(splits.shape[:2]).T,
            splits[:, :, 2].T[:, :, None].astype(np.uint8),
            np.concatenate([_by_lost(values) for _, values in trees]),
            tuple(ends),
        )

    def scores(self, X: Floats) -> Floats:
        """The raw score of each ensemble, shape (ensembles, n), of inputs of shape (n, k)."""
        scores = np.empty((len(self.ends), len(X)))
        starts = (0, *self.ends[:-1])
        place = 256 * np.arange(self.split.shape[1])[:, None]
        for i in range(0, len(X), BLOCK):
            rows = X[i : i + BLOCK]
            # a sum over trees of one customer alone would be taken in pairs: in another order
            columns = np.ascontiguousarray((rows if len(rows) > 1 else rows[[0, 0]]).T)
            values = self.values.take(self._lost(columns) + place)
            for j, (start, end) in enumerate(zip(starts, self.ends, strict=True)):
                scores[j, i : i + BLOCK] = values[start:end].sum(axis=0)[: len(rows)]
        return scores

    def _lost(self, columns: Floats) -> NDArray[np.uint8]:
        """The leaves that customers have lost in each tree, shape (t, n), of columns (k, n)."""
        compared = zip(columns, self.thresholds, strict=False)
        fails = np.concatenate([column > thresholds for column, thresholds in compared])
        mask = np.negative(fails.view(np.uint8))  # all bits of who fails
        lost = mask.take(self.split[0], axis=0) & self.lost[0]
        for split, leaves in zip(self.split[1:], self.lost[1:], strict=True):
            lost |= mask.take(split, axis=0) & leaves
        return np.asarray(lost)


def _taken_apart(nodes: NDArray[Any]) -> Tree:
    """The splits of a tree and the values of its leaves, numbered from the left."""
    splits: list[tuple[int, float, int]] = []
    values: list[float] = []

    def leaves_below(place: int) -> int:
        node = nodes[place]
        if node["is_leaf"]:
            values.append(float(node["value"]))
            return 1 << (len(values) - 1)
        left = leaves_below(int(node["left"]))
        splits.append((int(node["feature_idx"]), float(node["num_threshold"]), left))
        return left | leaves_below(int(node["right"]))

    if len(nodes) > 2 * LEAVES - 1:
        raise ModelError("the boosted trees are larger than those of this package.")
    leaves_below(0)
    return splits, values


def _by_lost(values: list[float]) -> Floats:
    """The value of the first leaf that is left, for each of 256 sets of lost leaves."""
    kept = [[i for i in range(len(values)) if not lost >> i & 1] for lost in range(256)]
    return np.array([values[leaves[0]] if leaves else 0.0 for leaves in kept])
