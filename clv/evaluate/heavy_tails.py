"""How much wider than a normal one the interval of a mean is, where few customers bring most.

A small group mostly misses the customers who bring most of a heavy-tailed margin, and then both its
mean and its spread come out too small.
"""

from __future__ import annotations

import numpy as np

from clv.schema import Floats

DRAWS, LARGE = 1_000, 2_000  # of a difference; customers of whom a mean is normal anyway
NORMAL = 1.6448536269514722  # standard errors to either side of a 90% interval


def tail_factor(residual: Floats, W: Floats) -> float:
    """How much wider a 90% interval of a difference between two groups is than a normal one.

    The residuals of both groups together show the tails that a small group has hardly seen. As many
    as each group has are drawn from them: the factor is the 90% point of |t| of the difference,
    over that of a normal variable, and at least 1.

    >>> tail_factor(np.array([-1.0, 1.0] * 3000), np.array([0.0, 1.0] * 3000))
    1.0
    """
    rng, centred = np.random.default_rng(0), residual - residual.mean()
    difference, variance = np.zeros(DRAWS), np.zeros(DRAWS)
    sizes = (int(W.sum()), int(len(W) - W.sum()))
    for size, sign in zip(sizes, (1.0, -1.0), strict=True):
        if min(sizes) > LARGE or size < 2:
            return 1.0
        if size > LARGE:
            spread = centred.var() / size
            difference += np.sqrt(spread) * rng.standard_normal(DRAWS)
            variance += spread
        else:
            drawn = centred[rng.integers(0, len(centred), (DRAWS, size))]
            difference += sign * drawn.mean(axis=1)
            variance += drawn.var(axis=1, ddof=1) / size
    t = np.divide(np.abs(difference), np.sqrt(variance), out=np.zeros(DRAWS), where=variance > 0)
    return max(float(np.quantile(t, 0.9)) / NORMAL, 1.0)
