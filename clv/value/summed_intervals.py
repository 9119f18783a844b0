"""The interval of a sum of values that do not depend on each other.

Quantiles do not add: that several values are all low, or all high, is rarer than that one is. Each
value is stood for by values that are equally likely; the sums of all pairs are as likely again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clv.defaults import LEVEL
from clv.schema import Floats

NODES = 40  # equally likely values that stand for a distribution
CHUNK = 2_000  # sums at a time: NODES squared of each are sorted
LEVELS = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
NODE_LEVELS = tuple((k + 0.5) / NODES for k in range(NODES))


def summed_quantiles(of_sum: Any, nodes: Callable[[Any], Floats]) -> tuple[Any, Floats]:
    """Low end, median and high end of sums of independent values.

    Parameters
    ----------
    of_sum
        Which sum each value belongs to, whole numbers or texts, shape (n,).
    nodes
        From places among the values, shape (k,), to what stands for each: as many equally likely
        values, rising, shape (k, 40).

    Returns
    -------
    The sums by name, rising, shape (m,), and their quantiles at 5%, 50% and 95%, shape (3, m).

    Examples
    --------
    >>> evenly = 20 * np.array([NODE_LEVELS, NODE_LEVELS])  # two values from 0 to 20
    >>> names, ends = summed_quantiles([7, 7], evenly.__getitem__)
    >>> names.tolist(), ends.round().T.tolist()  # not 2 and 38
    ([7], [[6.0, 20.0, 34.0]])
    """
    names, sums = np.unique(np.asarray(of_sum), return_inverse=True)
    order = np.argsort(sums, kind="stable")
    size = np.bincount(sums, minlength=len(names))
    first = np.cumsum(size) - size
    total = np.empty((len(names), NODES))
    for start in range(0, len(names), CHUNK):
        part = slice(start, start + CHUNK)
        added = nodes(order[first[part]])
        for k in range(1, int(size[part].max())):
            longer = size[part] > k
            more = nodes(order[(first[part] + k)[longer]])
            added[longer] = _sum(added[longer], more)
        total[part] = added
    return names, np.array([_at(total, level) for level in LEVELS])


def nodes_between(mean: Floats, quantiles: Floats, ends: Any) -> Floats:
    """What stands for values of 0 or more of which a mean and three quantiles are known.

    Between the quantiles, their function is bent as much as makes the mean right. Above the highest
    it ends there, or goes on as that of an exponential tail does.

    Parameters
    ----------
    mean
        Of each value, shape (n,).
    quantiles
        At 5%, 50% and 95%, shape (3, n).
    ends
        Whether a value ends at its highest quantile, as one of a last payment does, shape (n,).

    Returns
    -------
    Shape (n, 40), rising.
    """
    low, median, high = quantiles
    tail = np.where(ends, 0.0, (high - median) / np.log(10.0))
    p = np.array(NODE_LEVELS)
    inner = (LEVELS[1] - LEVELS[0]) * (high - low)
    rest = (
        LEVELS[0] * low / 2 + (LEVELS[1] - LEVELS[0]) * (low + median) + LEVELS[0] * (high + tail)
    )
    share = np.clip((mean - rest) / np.where(inner > 0, inner, 1.0), 0.15, 0.8)
    bend = (1 / share - 1)[:, None]
    below = np.clip((p - LEVELS[0]) / (LEVELS[1] - LEVELS[0]), 0, 1) ** bend
    above = np.clip((p - LEVELS[1]) / (LEVELS[2] - LEVELS[1]), 0, 1) ** bend
    beyond = np.where(p > LEVELS[2], -np.log((1 - p) / LEVELS[0]), 0.0)
    start = np.minimum(p / LEVELS[0], 1.0)
    return np.asarray(
        low[:, None] * start
        + (median - low)[:, None] * below
        + (high - median)[:, None] * above
        + tail[:, None] * beyond
    )


def _sum(one: Floats, other: Floats) -> Floats:
    """Of each two distributions, that of their sum, as many values again."""
    sums = (one[:, :, None] + other[:, None, :]).reshape(len(one), -1)
    sums.sort(axis=1)
    return np.asarray(sums.reshape(len(one), NODES, -1).mean(axis=2))


def _at(nodes: Floats, level: float) -> Floats:
    place = level * NODES - 0.5
    k = min(int(place), NODES - 2)
    return np.asarray(nodes[:, k] + (place - k) * (nodes[:, k + 1] - nodes[:, k]))
