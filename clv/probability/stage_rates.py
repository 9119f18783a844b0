"""How often customers buy whose every k-th event is a purchase, and who leave at purchases.

With m = lambda t, q = 1 - p and j the stage at time 0, purchases come at the rate

    lambda e^-m sum_y q^(y-1) m^(ky-j-1) / (ky-j-1)!,    y = 1, 2, ...

By the k-th roots of unity w the sum is one of k exponentials, of which lambda ~ Gamma(r, alpha)
makes powers: with s = q^(1/k), in units of r/alpha,

    s^(j+1-k) mean_l w^(l(j+1)) (1 + (1 - w^l s) t/alpha)^-(r+1),    l = 0 .. k-1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special as sc

from clv.history import distinct
from clv.probability.special import PIECE, legendre
from clv.schema import Floats

NODES = 128  # over the chance to leave
ROWS = 2_048  # taken through them at a time
NEVER_STAYS = 1e-9  # a chance to stay below which all is as if there were none


def mean_by_stage(k: int, r: Floats, a: Floats, b: Floats, stage: Floats, y: Floats) -> Floats:
    """The mean rate over p ~ Beta(a, b), in r/alpha, at y = t/alpha; the arguments broadcast.

    >>> one = np.ones(1)
    >>> mean_by_stage(2, one, one, 1e9 * one, one, 0 * one).round(6)  # a purchase is due
    array([1.])
    """
    columns = np.broadcast_arrays(r, a, b, stage, y)
    rows = [np.ravel(column).astype(np.float64) for column in columns]
    mean = np.empty(columns[0].size)
    for i in range(0, len(mean), ROWS):
        mean[i : i + ROWS] = _mean(k, *(row[i : i + ROWS] for row in rows))
    return np.asarray(mean.reshape(columns[0].shape))


def _mean(k: int, r: Floats, a: Floats, b: Floats, stage: Floats, y: Floats) -> Floats:
    """The same for rows of one shape, integrated over w = logit(p)."""
    peak, width = np.log(a / b), 9 * np.sqrt(1 / a + 1 / b)
    # Nodes that would do for the end of a piece of a table do for all of it, so the density, and
    # what else does not depend on y, is worked out once. Within a piece the mean stays smooth.
    slow = np.exp((np.floor(np.log1p((r + 1) * y) / PIECE) + 1) * PIECE) + b
    lower = np.maximum(peak - width - 45 / a, sc.logit(1e-13 / slow))
    upper = np.minimum(peak + width + 45 / b, -sc.logit(NEVER_STAYS))
    (a, b, lower, upper), row = distinct(a, b, np.minimum(lower, upper - 1e-3), upper)
    u, weight = legendre(NODES)
    w = lower[:, None] + (upper - lower)[:, None] * u
    log_density = a[:, None] * w - (a + b)[:, None] * np.logaddexp(0.0, w)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True)) * weight
    density /= density.sum(axis=1, keepdims=True)
    below, above = sc.betainc(a, b, sc.expit(lower)), sc.betainc(b, a, sc.expit(-upper))
    ends = np.concatenate([w, lower[:, None], upper[:, None]], axis=1)
    share = np.concatenate(
        [density * (1 - below - above)[:, None], below[:, None], above[:, None]], axis=1
    )
    rates = _rate_given(k, r[:, None], stage[:, None], y[:, None], ends, row)
    return np.asarray(np.maximum((share[row] * rates).sum(axis=1), 0.0))


def _rate_given(
    k: int, r: Floats, stage: Floats, y: Floats, w: Floats, row: NDArray[np.intp]
) -> Floats:
    """The rate of customers whose logit of the chance to leave is a row of w, in r/alpha.

    Of the roots, l and k - l are conjugate: one of the two is taken, and counts twice.
    """
    log_s = sc.log_expit(-w) / k
    s, leaves = np.exp(log_s)[row], -np.expm1(log_s)[row]
    total = np.exp(-(r + 1) * np.log1p(leaves * y))
    for root in range(1, k // 2 + 1):
        real = 2 * root == k  # whose powers are sooner worked out than those of complex numbers
        turn, twice = (-1.0, 1) if real else (np.exp(2j * np.pi * root / k), 2)
        power = np.exp(-(r + 1) * np.log1p((1 - turn * s) * y)) * turn ** (stage + 1)
        total = total + twice * power.real
    return np.asarray(total / k * np.exp((stage + 1 - k) * log_s[row]))
