"""Who is held out by chance, so that a campaign shows what it earned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clv.decide.scores import draw_by_id
from clv.schema import Floats

TENTHS = 10


def hold_out(
    draw: Floats, control_share: float, strata: NDArray[np.intp] | None, seed: int
) -> NDArray[np.bool_]:
    """Who is held out, each with the chance ``control_share``; shape (customers,).

    Without ``strata`` everybody is drawn alone, by id and seed, whoever the others are. With them,
    the customers of a stratum are put in the order of their draws and every so many-th is held
    out, from a random start: the share is kept in each stratum within a customer.

    >>> held = hold_out(draw_by_id(range(100), 0), 0.1, np.repeat([0, 1], 50), seed=0)
    >>> int(held[:50].sum()), int(held[50:].sum())
    (5, 5)
    """
    if strata is None:
        return np.asarray(draw < control_share)
    order = np.lexsort((draw, strata))
    start = draw_by_id(["start"], seed)[0]
    whole = np.floor(start + control_share * np.arange(len(draw) + 1))
    held = np.zeros(len(draw), dtype=bool)
    held[order] = np.diff(whole) > 0
    return held


def tenths(values: Floats, draw: Floats) -> NDArray[np.intp]:
    """Ten strata of equal size by ``values``, ties by the draw."""
    rank = np.empty(len(values), dtype=np.intp)
    rank[np.lexsort((draw, values))] = np.arange(len(values))
    return rank * TENTHS // max(len(values), 1)


def levels(values: Sequence[object]) -> NDArray[np.intp]:
    """A stratum for every distinct text."""
    texts = [str(value) for value in values]
    stratum = {text: k for k, text in enumerate(sorted(set(texts)))}
    return np.array([stratum[text] for text in texts], dtype=np.intp)
