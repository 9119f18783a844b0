"""Why an item is offered: what the customer bought before, to the last part of the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv.offers.candidates import cells, usual_gap
from clv.offers.ease import Ease
from clv.offers.interactions import Interactions, Matrix
from clv.offers.order_lines import Codes
from clv.schema import Floats


def contributions(history: Interactions, ease: Ease, customers: Codes, items: Codes) -> Matrix:
    """What a customer's purchases say for an item; they sum to its score.

    Parameters
    ----------
    history, ease
        Of the model.
    customers, items
        Of the offers; shape (offers,).

    Returns
    -------
    Points, offers x items bought; those that say nothing have no cell.
    """
    return (history.bought_by(customers) * ease.said_for[items]).tocsr()  # type: ignore[no-any-return]


def words_for_new(
    history: Interactions, ease: Ease, customers: Codes, items: Codes, names: pa.Array
) -> pa.Array:
    """For each offer the two purchases that speak for it most, with their share of all that do."""
    points = contributions(history, ease, customers, items)
    points = cells(points, np.flatnonzero(points.data > 0))
    total = np.asarray(points.sum(axis=1, dtype=np.float64))
    first, most = _largest_of_rows(points)
    points.data[first] = 0.0
    second, more = _largest_of_rows(points)
    percent = pa.array([f" ({whole}% of what speaks for it)" for whole in range(101)])
    also = pa.array([f" ({whole}%)" for whole in range(101)])
    shares, others = (np.rint(100 * x / total).astype(np.int64) for x in (most, more))
    said, added = (names.take(pa.array(points.indices[place])) for place in (first, second))
    text = pc.binary_join_element_wise("bought ", said, percent.take(pa.array(shares)), "")
    two = pc.binary_join_element_wise(text, ", ", added, also.take(pa.array(others)), "")
    return pc.if_else(pa.array(more > 0), two, text)


def _largest_of_rows(matrix: Matrix) -> tuple[NDArray[np.int64], Floats]:
    """The first place of each row's largest cell, and the cell; no row is empty."""
    starts, counts = matrix.indptr[:-1], np.diff(matrix.indptr)
    largest = np.maximum.reduceat(matrix.data, starts) if len(starts) else matrix.data
    rows = np.repeat(np.arange(len(starts)), counts)
    there = np.flatnonzero(matrix.data == largest[rows])
    return there[np.searchsorted(rows[there], np.arange(len(starts)))], largest.astype(np.float64)


def words_for_repeat(history: Interactions, pair: NDArray[np.int64]) -> tuple[pa.Array, Any]:
    """For reminders: how often, how regularly, when last and when due; and the days when due.

    ``pair`` are places in ``history.orders.data``.
    """
    orders = history.orders.data[pair].astype(np.int64)
    gap = np.rint(usual_gap(history, pair)).astype(np.int64)
    last = history.last[pair].astype(np.int64)
    days = (pa.array(x.astype("datetime64[D]")) for x in (last, last + gap))
    bought, due = days
    times = pc.if_else(
        pa.array(orders == 1),
        "bought once, others again after ",
        pc.binary_join_element_wise("bought ", _text(orders), " times, every ", ""),
    )
    words = pc.binary_join_element_wise(
        times, _text(gap), " days; last on ", bought.cast(pa.string()), ", due ",
        due.cast(pa.string()), ""
    )  # fmt: skip
    return words, due


def _text(numbers: NDArray[np.int64]) -> pa.Array:
    return pa.array(numbers).cast(pa.string())
