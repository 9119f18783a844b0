"""What may be offered to customers, with what is known of each pair of customer and item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clv.offers.ease import Ease
from clv.offers.interactions import Interactions, Matrix
from clv.offers.largest import largest_of_rows
from clv.offers.order_lines import Codes, Flags
from clv.schema import Floats

MOST = 100  # new items of a customer that are looked at, the best scores first
BLOCK = 8_000_000  # scores at a time


class Pairs(NamedTuple):
    """Customers and items as arrays of shape (pairs,), and what is known: (pairs, features)."""

    customer: Codes
    item: Codes
    score: Floats
    features: Floats


def blocks(history: Interactions, ease: Ease, customers: Codes) -> Iterator[Codes]:
    """Customers in blocks of like size, those with few items to choose from first."""
    speaks = np.diff(ease.weights.indptr).astype(np.float32)  # for how many items each does
    reached = (history.bought() @ speaks)[customers]
    ordered = customers[np.argsort(reached, kind="stable")]
    width = np.minimum(np.sort(reached), history.orders.shape[1]).astype(np.int64) + 1
    start = 0
    if not len(ordered):
        yield customers  # nobody is one block, so that what is made of blocks has its columns
    while start < len(ordered):
        within = width[start : start + BLOCK // int(width[start]) + 1]  # widths rise from here
        scores = np.arange(1, len(within) + 1) * within
        stop = start + max(int(np.searchsorted(scores, BLOCK, "right")), 1)
        yield ordered[start:stop]
        start = stop


def new_pairs(history: Interactions, ease: Ease, customers: Codes, allowed: Flags) -> Pairs:
    """Items that customers did not buy yet and that their purchases speak for.

    Features: logarithms of the score, of the customer's orders and different items, and of the
    days since the last order.
    """
    scores = ease.scores(history.bought_by(customers))
    scores.data[~allowed[scores.indices]] = 0.0
    rows, places = top_of_rows(scores, MOST)
    good = scores.data[places] > 0
    rows, places = rows[good], places[good]
    score = scores.data[places].astype(np.float64)
    bought = np.diff(history.orders.indptr)[customers]
    since = history.day - history.last_day[customers]
    of_customer = (np.log1p(x) for x in (history.order_count[customers], bought, since))
    features = np.column_stack([np.log(score), *(x[rows] for x in of_customer)])
    return Pairs(customers[rows], scores.indices[places].astype(np.int32), score, features)


def repeat_pairs(history: Interactions, customers: Codes, allowed: Flags) -> Pairs:
    """Items that customers bought before; the score is the number of orders.

    Features: logarithms of the pair's orders, of the days since its last one, also over its usual
    gap, of the customer's orders and the days since the last, of how many bought the item lately.
    """
    counts = np.diff(history.orders.indptr)[customers]
    places = ranges(history.orders.indptr[customers], counts)
    customer = np.repeat(customers, counts)
    item = history.orders.indices[places].astype(np.int32)
    keep = allowed[item]
    places, customer, item = places[keep], customer[keep], item[keep]
    orders = history.orders.data[places].astype(np.float64)
    since = history.day - history.last[places].astype(np.float64)
    features = np.column_stack(
        [
            np.log(orders),
            np.log1p(since),
            np.log1p(since / usual_gap(history, places)),
            np.log1p(history.order_count[customer]),
            np.log1p(history.day - history.last_day[customer]),
            np.log1p(history.popularity[item]),
        ]
    )
    return Pairs(customer, item, orders, features)


def usual_gap(history: Interactions, pair: NDArray[np.int64]) -> Floats:
    """Days between purchases of pairs: their own, drawn to those of all who buy the item again.

    ``pair`` are places in ``history.orders.data``.
    """
    span = (history.last[pair] - history.first[pair]).astype(np.float64)
    of_item = history.gap_of_item[history.orders.indices[pair]]
    return np.asarray((span + of_item) / history.orders.data[pair]).clip(1.0)


def cells(matrix: Matrix, places: NDArray[np.int64]) -> Matrix:
    """A matrix of some cells of another; ``places`` are theirs in its data, in order."""
    pointer = np.searchsorted(places, matrix.indptr)
    return Matrix((matrix.data[places], matrix.indices[places], pointer), matrix.shape)


def top_of_rows(scores: Matrix, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and places in ``scores.data`` of the ``most`` largest scores of each row."""
    counts = np.diff(scores.indptr)
    width = int(counts.max(initial=0))
    if width <= most:
        return np.repeat(np.arange(len(counts)), counts), np.arange(scores.nnz)
    padded = np.full((len(counts), width), -np.inf, dtype=scores.dtype)
    padded[np.arange(width) < counts[:, None]] = scores.data
    rows, place = np.nonzero(largest_of_rows(padded, most) & (padded > -np.inf))
    return rows, scores.indptr[:-1][rows] + place


def reaches(rows: Codes, values: Floats, most: int) -> Flags:
    """Which are among the ``most`` largest of their row, or level with them; rows are together.

    >>> reaches(np.array([7, 7, 7, 3]), np.array([2.0, 1.0, 2.0, 0.0]), 1).tolist()
    [True, False, True, True]
    """
    starts = np.flatnonzero(np.append(True, rows[1:] != rows[:-1])[: len(rows)])
    pointer = np.append(starts, len(rows))
    place = np.arange(len(rows))
    among, best = top_of_rows(Matrix((values, place, pointer), (len(starts), len(rows))), most)
    least = np.full(len(starts), np.inf)
    np.minimum.at(least, among, values[best])
    return values >= np.repeat(least, np.diff(pointer))


def ranges(starts: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """starts[0], starts[0] + 1, ... for each count, one after the other.

    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    ends = np.cumsum(counts)
    return np.repeat(starts - ends + counts, counts) + np.arange(int(ends[-1]) if len(ends) else 0)


def places(matrix: Matrix, rows: Codes, columns: Codes) -> NDArray[np.int64]:
    """Where cells stand in ``matrix.data``, -1 for those that do not; shape (rows,).

    >>> from scipy import sparse
    >>> places(sparse.csr_array(np.array([[0, 2.0], [3, 0]])), np.array([0, 1]), np.array([1, 1]))
    array([ 0, -1])
    """
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    first, end = int(rows.min()), int(rows.max()) + 1
    pointer = matrix.indptr[first : end + 1].astype(np.int64)
    key = np.repeat(np.arange(first, end), np.diff(pointer))
    key = key * matrix.shape[1] + matrix.indices[pointer[0] : pointer[-1]]
    wanted = rows.astype(np.int64) * matrix.shape[1] + columns
    place = np.searchsorted(key, wanted)
    within = np.minimum(place, max(len(key) - 1, 0))
    there = key[within] == wanted if len(key) else place < 0
    return np.where(there, within + pointer[0], -1)
