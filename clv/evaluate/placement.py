"""Where what happened lies in what was predicted: is a distribution as wide as it says?

A customer's forecast is a distribution with atoms: whole numbers of purchases, or money with an
atom at 0. What happened lies between ``below`` = P(Y < y) and ``upto`` = P(Y <= y), the two values
that all of this needs; where there is no atom they are equal.

References
----------
.. [1] Czado, Gneiting & Held 2009, Predictive model assessment for count data, Biometrics 65(4).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.evaluate.metrics import as_arrays
from clv.schema import Floats, reject_rows

LEVELS = (0.80, 0.90, 0.95)


def count_placement(actual: ArrayLike, chances: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Log score, ``below`` and ``upto`` of counts, each of shape (n,).

    Parameters
    ----------
    actual
        Purchases of each customer in the holdout, whole numbers, shape (n,).
    chances
        P(exactly k purchases) for k = 0, 1, ..., shape (n, K) with K beyond the largest count.

    Examples
    --------
    >>> score, below, upto = count_placement([1, 0], [[0.5, 0.25], [0.5, 0.25]])
    >>> score.round(4), below, upto
    (array([1.3863, 0.6931]), array([0.5, 0. ]), array([0.75, 0.5 ]))
    """
    p = np.asarray(chances, dtype=np.float64)
    k, rows = np.asarray(actual).astype(np.intp), np.arange(len(p))
    probability = p[rows, k]
    upto = np.minimum(np.cumsum(p, axis=1)[rows, k], 1.0)
    with np.errstate(divide="ignore"):  # a count held to be impossible scores infinity
        return -np.log(probability), np.maximum(upto - probability, 0.0), upto


def interval_coverage(
    below: ArrayLike, upto: ArrayLike, levels: Sequence[float] = LEVELS
) -> pd.DataFrame:
    """How often central intervals of these levels held what happened.

    Columns: nominal; inside, the share of customers between the two quantiles, both included:
    with atoms it lies above the nominal level even for a perfect forecast; randomized, the share
    of the randomised PIT [1]_ between them, which for a perfect forecast is the nominal level. It
    is averaged over the random numbers, so it needs none.

    >>> interval_coverage([0.0, 0.5], [0.5, 0.75], [0.8])
       nominal  inside  randomized
    0      0.8     1.0         0.9
    """
    low, high = _placed(below, upto)
    rows = []
    for level in levels:
        start, end = (1 - level) / 2, (1 + level) / 2
        rows.append(
            {
                "nominal": level,
                "inside": float(((high >= start) & (low < end)).mean()),
                "randomized": float(_share_between(low, high, start, end).mean()),
            }
        )
    return pd.DataFrame(rows)


def pit_histogram(below: ArrayLike, upto: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Share of the randomised PIT in equal bins from 0 to 1, each 1/bins for a perfect forecast.

    Columns: start, end, share [1]_.

    >>> pit_histogram([0.0, 0.5], [0.5, 1.0], bins=2)["share"].tolist()
    [0.5, 0.5]
    """
    low, high = _placed(below, upto)
    edges = np.linspace(0, 1, bins + 1)
    share = [
        _share_between(low, high, start, end).mean() for start, end in itertools.pairwise(edges)
    ]
    return pd.DataFrame({"start": edges[:-1], "end": edges[1:], "share": share})


def _share_between(low: Floats, high: Floats, start: float, end: float) -> Floats:
    """The part of [low, high] that lies within [start, end]; 0 or 1 where it is a point."""
    common = np.minimum(high, end) - np.maximum(low, start)
    width = high - low
    point = ((low >= start) & (low < end)).astype(np.float64)
    share = np.divide(np.maximum(common, 0.0), width, out=point, where=width > 1e-12)
    return np.asarray(share)


def _placed(below: ArrayLike, upto: ArrayLike) -> tuple[Floats, Floats]:
    low, high = as_arrays(below=below, upto=upto)
    rows = {"row": np.arange(len(low)), "below": low, "upto": high}
    outside = (low < 0) | (high > 1 + 1e-9) | (low > high)
    reject_rows(outside, "0 <= P(Y < y) <= P(Y <= y) <= 1 does not hold", rows)
    return low, np.minimum(high, 1.0)
