r"""EASE^R: which items go together, as weights from item to item, in closed form [1]_.

With X the customers' purchases (1 where an item was bought) and P = (X'X + lambda I)^-1,

    B = I - P diag(1 / P_jj),    score of item i for customer u = sum over j of x_uj B_ji.

The diagonal is 0, so an item never speaks for itself; x_uj B_ji is what item j says for item i, an
exact reason. Column i of B is the ridge regression of item i on all others. A large catalogue stays
small by three limits:

- Of what an item says only its ``STRONGEST`` weights stay: recall@10 of new items on Online Retail
  is .122 with them, .120 with all.
- Beyond ``EXACT`` items the regression of an item is on the ``NEIGHBOURS`` others that alone would
  explain most of it. On Online Retail that changes recall@10 of new items by -.0014 (standard error
  .0016) as of 2011-09-01 and by +.0004 (.0018) as of 2011-06-01, and the strongest weights alone
  change it by -.0004 and +.0004 (.0009) once more; with 100,000 simulated customers and 20,000
  items by -.0002 (.0002), where a quarter of the scores is left to compute.
- X'X is dense: of more than ``most_items`` those with the most revenue enter it.

References
----------
.. [1] Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, WWW '19.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from clv.offers.interactions import Interactions, Matrix
from clv.offers.largest import largest_of_rows
from clv.schema import Floats
from clv.threads import side_by_side

PENALTY = 300.0  # lambda; on Online Retail 200 to 1,000 are the same
EXACT = 6_000  # 36 million weights: 290 MB, and a quarter of a minute
MOST_ITEMS = 20_000  # 400 million counts in single precision: 1.6 GB
NEIGHBOURS = 100  # of an item in a large catalogue
BLOCK = 1_000  # items whose counts are made at a time
STRONGEST = 200  # weights of an item


@dataclass(frozen=True)
class Ease:
    """Weights from item to item.

    Attributes
    ----------
    weights
        items x items, a row per item that speaks; float32.
    penalty
        lambda.
    items
        How many it is about.
    """

    weights: Matrix
    penalty: float
    items: int

    def scores(self, bought: Matrix) -> Matrix:
        """Scores of items, customers x items; minus infinity where they were bought already.

        >>> ease = fit_ease(sparse.csr_array(np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1.0]])), 1.0)
        >>> ease.scores(sparse.csr_array(np.array([[1, 0, 0.0]]))).toarray().round(3) + 0
        array([[-inf,  0.5,  0. ]])
        """
        return bought @ self._against_repeats  # type: ignore[no-any-return]

    @cached_property
    def said_for(self) -> Matrix:
        """The weights by the item that they speak for, a row each."""
        return self.weights.T.tocsr()

    @cached_property
    def _against_repeats(self) -> Matrix:
        """The weights, where each item rules itself out."""
        itself = sparse.eye_array(self.weights.shape[0], dtype=np.float32, format="csr")
        itself.data[:] = -np.inf
        return (self.weights + itself).tocsr()


def fit_ease(
    bought: Matrix,
    penalty: float = PENALTY,
    *,
    revenue: Floats | None = None,
    most_items: int = MOST_ITEMS,
) -> Ease:
    """Learn which items go together.

    Parameters
    ----------
    bought
        1 where a customer bought an item, customers x items.
    penalty
        lambda: the larger, the less is believed of rare items.
    revenue
        Of each item, shape (items,): of too many the largest are taken; without it the most bought.
    most_items
        How many at most.
    """
    sizes = np.bincount(bought.indices, minlength=bought.shape[1])
    rank = np.asarray(sizes if revenue is None else revenue, dtype=np.float64)
    items = np.flatnonzero(sizes > 0)
    if len(items) > most_items:
        items = np.sort(items[np.argsort(-rank[items], kind="stable")[:most_items]])
    X = bought[:, items].astype(np.float32)
    if len(items) <= EXACT:
        gram = _bought_together(X, np.float64)
        gram[np.diag_indices_from(gram)] += penalty
        weights = _strongest(_inverse(gram), items, bought.shape[1])
    else:
        weights = _neighbours(_bought_together(X, np.float32), penalty, items, bought.shape[1])
    return Ease(weights, penalty, len(items))


def _bought_together(X: Matrix, dtype: Any) -> NDArray[Any]:
    """X'X, items x items, as the linear algebra wants it; counts are exact up to 16 million."""
    of_items, size = X.T.tocsr(), X.shape[1]
    gram: NDArray[Any] = np.empty((size, size), dtype, order="F")

    def count(block: slice) -> None:
        gram[:, block] = (of_items[block] @ X).toarray().T

    list(side_by_side(_blocks(size), count))
    return gram


def _blocks(size: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]


def _neighbours(gram: Floats, penalty: float, items: NDArray[np.int64], catalogue: int) -> Matrix:
    """Each item's regression on the others that alone would explain most of it."""
    bought = gram.diagonal() + np.float32(penalty)
    parts = side_by_side(
        _blocks(len(items)), lambda block: _regressions(gram, bought, penalty, block)
    )
    near, weights = map(np.concatenate, zip(*parts, strict=True))
    return _strongest_of_rows(
        _rows(weights, items[near].astype(np.int32), items, catalogue).T.tocsr()
    )


def _regressions(
    gram: Floats, bought: Floats, penalty: float, block: slice
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Of each item of a block its neighbours and their weights."""
    size = len(gram)
    places = range(size)[block]
    sources = np.empty((len(places), NEIGHBOURS), np.int32)
    weights = np.empty((len(places), NEIGHBOURS), dtype=np.float32)
    among, (rows, columns) = np.empty((NEIGHBOURS,) * 2, order="F"), np.triu_indices(NEIGHBOURS)
    for row, item in enumerate(places):
        together = gram[:, item].copy()
        together[item] = 0.0
        explained = together**2 / bought
        some = np.flatnonzero(explained)
        some = some if len(some) > NEIGHBOURS else np.arange(size)
        near = some[largest_of_rows(explained[None, some], NEIGHBOURS)[0]]
        among[rows, columns] = gram[near[rows], near[columns]]  # as it is symmetric
        among[np.diag_indices(NEIGHBOURS)] += penalty
        _, found, failed = linalg.lapack.dposv(among, together[near], overwrite_a=1)
        assert failed == 0, "X'X + lambda I is positive definite for lambda > 0"
        sources[row], weights[row] = near, found
    return sources, weights


def _strongest_of_rows(weights: Matrix) -> Matrix:
    """The strongest weights of each item that speaks."""
    for start, end in pairwise(weights.indptr):
        if end - start > STRONGEST:
            row = weights.data[start:end]
            row[~largest_of_rows(np.abs(row)[None], STRONGEST)[0]] = 0.0
    weights.eliminate_zeros()
    return weights


def _inverse(gram: Floats) -> Floats:
    """The inverse of a positive definite matrix, in its place; only its lower triangle is right."""
    factor, failed = linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
    assert failed == 0, "X'X + lambda I is positive definite for lambda > 0"
    inverse, _ = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    return np.asarray(inverse)


def _strongest(inverse: Floats, items: NDArray[np.int64], catalogue: int) -> Matrix:
    """The strongest weights of each item as a matrix over the whole catalogue."""
    size, keep = len(items), min(STRONGEST, len(items))
    diagonal = inverse.diagonal().copy()
    columns = np.empty((size, keep), dtype=np.int32)
    weights = np.empty((size, keep), dtype=np.float32)
    for row in range(size):
        line = np.concatenate([inverse[row, :row], inverse[row:, row]])
        line = -line / diagonal
        line[row] = 0.0
        chosen = np.sort(np.argpartition(-np.abs(line), keep - 1)[:keep])
        columns[row], weights[row] = items[chosen], line[chosen]
    return _rows(weights, columns, items, catalogue)


def _rows(
    weights: NDArray[np.float32], columns: NDArray[np.int32], items: NDArray[np.int64], whole: int
) -> Matrix:
    """As many weights for each of some items, as a matrix over the whole catalogue."""
    counts = np.zeros(whole, dtype=np.int64)
    counts[items] = weights.shape[1]
    pointer = np.concatenate([[0], np.cumsum(counts)])
    matrix = sparse.csr_array((weights.ravel(), columns.ravel(), pointer), (whole, whole))
    matrix.eliminate_zeros()
    return matrix


def revenue_of(history: Interactions) -> Floats:
    """Of each item, shape (items,)."""
    items = history.orders.shape[1]
    total = np.bincount(history.orders.indices, weights=history.money, minlength=items)
    return np.asarray(total, dtype=np.float64)
