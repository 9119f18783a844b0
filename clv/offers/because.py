"""Why an item is offered: what the customer bought before, to the last part of the score."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv.offers.candidates import places, ranges, usual_gap
from clv.offers.ease import Ease
from clv.offers.interactions import Interactions
from clv.offers.order_lines import Codes
from clv.schema import Floats

CHUNK = 500_000  # offers at a time


class ReasonPoints(NamedTuple):
    """What each purchase says for each offer; shape (offers x purchases of their customers,)."""

    offer: NDArray[np.int64]
    source: Codes
    points: Floats


def contributions(
    history: Interactions, ease: Ease, customers: Codes, items: Codes
) -> ReasonPoints:
    """What a customer's purchases say for an item; they sum to its score.

    Parameters
    ----------
    history, ease
        Of the model.
    customers, items
        Of the offers; shape (offers,).
    """
    counts = np.diff(history.orders.indptr)[customers]
    offer = np.repeat(np.arange(len(customers)), counts)
    source = history.orders.indices[ranges(history.orders.indptr[customers], counts)]
    place = places(ease.weights, source, items[offer])
    points = np.where(place >= 0, ease.weights.data[place], 0.0).astype(np.float64)
    return ReasonPoints(offer, source.astype(np.int32), points)


def words_for_new(
    history: Interactions, ease: Ease, customers: Codes, items: Codes, names: pa.Array
) -> pa.Array:
    """For each offer the two purchases that speak for it most, with their share of all that do."""
    parts = [
        _words_for_new(history, ease, customers[start:][:CHUNK], items[start:][:CHUNK], names)
        for start in range(0, len(items), CHUNK)
    ]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())


def _words_for_new(
    history: Interactions, ease: Ease, customers: Codes, items: Codes, names: pa.Array
) -> pa.Array:
    offer, source, points = contributions(history, ease, customers, items)
    for_it = points > 0
    offer, source, points = offer[for_it], source[for_it], points[for_it]
    total = np.bincount(offer, weights=points, minlength=len(items))
    order = np.lexsort((source, -points, offer))
    offer, source, share = offer[order], source[order], points[order] / total[offer[order]]
    first = np.searchsorted(offer, np.arange(len(items)))
    second = np.minimum(first + 1, len(offer) - 1)
    more = offer[second] == np.arange(len(items))
    more &= second > first
    percent = pa.array([f" ({whole}% of what speaks for it)" for whole in range(101)])
    also = pa.array([f" ({whole}%)" for whole in range(101)])
    shares = np.rint(100 * share).astype(np.int64)
    text = pc.binary_join_element_wise(
        "bought ", names.take(source[first]), percent.take(shares[first]), ""
    )
    added = pc.binary_join_element_wise(
        text, ", ", names.take(source[second]), also.take(shares[second]), ""
    )
    return pc.if_else(pa.array(more), added, text)


def words_for_repeat(history: Interactions, pair: NDArray[np.int64]) -> tuple[pa.Array, Any]:
    """For reminders: how often, how regularly, when last and when due; and the days when due.

    ``pair`` are places in ``history.orders.data``.
    """
    orders = history.orders.data[pair].astype(np.int64)
    gap = np.rint(usual_gap(history)[pair]).astype(np.int64)
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
