"""How much wider than a normal one the interval of a mean is, where few customers bring most.

A small group mostly misses the customers who bring most of a heavy-tailed margin, and then both its
mean and its spread come out too small. So no group counts as varying less than both together, and
the interval is Student's, with as many degrees of freedom as the spread itself is known by [1]_.

References
----------
.. [1] O'Neill (2014), Some useful moment results in sampling problems, The American Statistician
   68(4): 2 n / (kurtosis - 1).
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from clv.schema import Floats

NORMAL = 1.6448536269514722  # standard errors to either side of a 90% interval


def tail_factor(residual: Floats, W: Floats, *, cautious: bool = True) -> float:
    """How much wider a 90% interval of a difference between two groups is than a normal one.

    Parameters
    ----------
    residual
        Outcomes less what was expected of them, shape (n,).
    W
        1 in one group, 0 in the other, shape (n,).
    cautious
        No group counts as varying less than both together, which covers more than 90%; else both
        count as varying alike, which holds 90% on real spend, held-out shares of 10% included.

    Returns
    -------
    By what a standard error of group means is to be multiplied; at least 1 where cautious.

    Examples
    --------
    >>> few = np.repeat([1.0, 0.0], [50, 5000])
    >>> even, rare = np.tile([-1.0, 1.0], 2525), np.arange(5050) % 100 == 99  # none of the few
    >>> [round(tail_factor(y, few), 1) for y in (even, 99.0 * rare)]
    [1.0, 10.1]
    """
    centred = residual - residual.mean()
    groups = [centred[arm == W] / np.abs(centred).max() for arm in (0, 1) if centred.any()]
    if not groups or min(map(len, groups)) < 2 or not any(map(np.ptp, groups)):
        return 1.0
    share = 1 / np.array([len(group) for group in groups])
    variances, all_of = np.array([group.var(ddof=1) for group in groups]), np.concatenate(groups)
    pooled = (all_of**2).mean()
    counted = np.maximum(variances, pooled) if cautious else np.full(2, pooled)
    wider = (counted @ share) / (variances @ share)
    kurtosis = (all_of**4).mean() / pooled**2
    freedom = 2 * len(all_of) / max(kurtosis - 1, 1e-9)
    return float(stdtrit(max(freedom, 1.0), 0.95) / NORMAL * np.sqrt(wider))
