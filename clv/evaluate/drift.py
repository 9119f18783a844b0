"""How far a distribution has moved: the population stability index and Kolmogorov-Smirnov distance.

PSI = sum over bins of (q - p) ln(q / p), with p and q the shares before and now, in bins at the
deciles of before. By convention 0.1 is worth a look and 0.25 is a shift (Siddiqi 2006, Credit Risk
Scorecards); neither is a test. Without any shift PSI is about chi-squared with bins - 1 degrees of
freedom, times 1/n + 1/m (Yurdakul and Naranjo 2020): with few customers it passes 0.25 by chance
alone, so a shift is only called one beyond what chance allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

from clv.schema import Floats

BINS = 10
CHANCE = 0.001  # how often chance alone may call a column that has not moved


@dataclass(frozen=True)
class Drift:
    """How far a column has moved.

    Attributes
    ----------
    psi
        Population stability index, 0 for no shift.
    psi_by_chance
        What chance alone exceeds once in a thousand columns that have not moved.
    ks
        Kolmogorov-Smirnov distance, the largest gap between the two shares below a value, in
        [0, 1]; None for categories.
    before, now
        Customers counted.
    bins
        Among how many; fewer than ten where many share a value.
    """

    psi: float
    psi_by_chance: float
    ks: float | None
    before: int
    now: int
    bins: int


def drift(before: ArrayLike, now: ArrayLike) -> Drift:
    """The drift between two samples of numbers, shape (n,) and (m,); missing values are left out.

    A sample without values drifts by NaN.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> same = drift(rng.normal(size=5000), rng.normal(size=5000))
    >>> same.psi < same.psi_by_chance < 0.02
    True
    >>> moved = drift(rng.normal(size=5000), rng.normal(loc=1.0, size=5000))
    >>> round(moved.psi, 1), round(moved.ks, 1)  # a normal shifted by one: PSI 1, distance 0.38
    (0.9, 0.4)
    """
    old, new = _finite(before), _finite(now)
    if not (len(old) and len(new)):
        return Drift(np.nan, np.nan, np.nan, len(old), len(new), 0)
    edges = np.unique(np.quantile(old, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    counts = [np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) for x in (old, new)]
    occupied = (counts[0] + counts[1]) > 0
    return _of_counts(counts[0][occupied], counts[1][occupied], ks_distance(old, new))


def category_drift(before: Sequence[object], now: Sequence[object]) -> Drift:
    """The drift between two samples of categories, such as channels; None is one of them.

    Examples
    --------
    >>> found = category_drift(["search"] * 60 + ["social"] * 40, ["search"] * 40 + ["social"] * 60)
    >>> round(found.psi, 2), found.bins
    (0.16, 2)
    """
    if not (len(before) and len(now)):
        return Drift(np.nan, np.nan, None, len(before), len(now), 0)
    names, code = np.unique([str(name) for name in (*before, *now)], return_inverse=True)
    old, new = np.split(code, [len(before)])
    size = len(names)
    return _of_counts(np.bincount(old, minlength=size), np.bincount(new, minlength=size), None)


def ks_distance(before: Floats, now: Floats) -> float:
    """The largest gap between two empirical distribution functions.

    >>> ks_distance(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    old, new = np.sort(before), np.sort(now)
    points = np.concatenate([old, new])
    below = [np.searchsorted(x, points, side="right") / len(x) for x in (old, new)]
    return float(np.abs(below[0] - below[1]).max())


def _of_counts(old: NDArray[Any], new: NDArray[Any], ks: float | None) -> Drift:
    """PSI of counts per bin, with half a customer added to each so that none is empty."""
    n, m, bins = int(old.sum()), int(new.sum()), len(old)
    p, q = ((count + 0.5) / (count.sum() + 0.5 * bins) for count in (old, new))
    psi = float(np.sum((q - p) * np.log(q / p)))
    chance = float(chdtri(bins - 1, CHANCE)) * (1 / n + 1 / m) if bins > 1 else 0.0
    return Drift(psi, chance, ks, n, m, bins)


def _finite(values: ArrayLike) -> Floats:
    """Without missing values, to twelve digits: sums of another order must not part equals."""
    x = np.asarray(values, dtype=np.float64)
    mantissa, exponent = np.frexp(x[np.isfinite(x)])
    return np.ldexp(np.round(mantissa * 2.0**40) / 2.0**40, exponent)
