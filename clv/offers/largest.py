"""The largest of many values, without putting them all in order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.offers.order_lines import Flags


def largest_of_rows(values: NDArray[Any], most: int) -> Flags:
    """Which cells are among the ``most`` largest of their row; of level ones the first.

    >>> largest_of_rows(np.array([[3, 1, 2], [5, 5, 5]]), 2).tolist()
    [[True, False, True], [True, True, False]]
    """
    width = values.shape[1]
    if width <= most:
        return np.ones(values.shape, dtype=bool)
    least = np.partition(values, width - most, axis=1)[:, width - most, None]
    chosen = values >= least
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > most)
    if len(crowded):
        level = values[crowded] == least[crowded]
        above = np.count_nonzero(chosen[crowded], axis=1) - np.count_nonzero(level, axis=1)
        places_left = np.cumsum(level, axis=1) + above[:, None] <= most
        chosen[crowded] &= ~level | places_left
    return chosen
