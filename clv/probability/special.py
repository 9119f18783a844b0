"""The special functions and the quadrature that the models share."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sc

from clv.errors import InputError
from clv.schema import Floats

# Where SciPy's 2F1(a, d; a+b; z), d = a+b-s, holds to 1e-9: beyond, its series cancels.
_TRUST_A, _TRUST_D = 20.0, (-200.0, 1e5)
# Nodes that integrate to 1e-12 where neither a nor b is below a bound: the narrower, the fewer.
_NODES = ((300.0, 48), (60.0, 64), (20.0, 96), (0.0, 256))
_MOMENTS = 20  # of p, which settle its mean power where p hardly varies
PIECE, DEGREE = 0.5, 14  # of a table: how long its pieces are, and terms of the series on each
LONG = 5.0  # a horizon in logs of the time in which rates fall
CACHED = 16_384  # values looked up at a time, which stay in the cache


@lru_cache
def legendre(nodes: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on [0, 1].

    >>> x, w = legendre(32)
    >>> bool(abs(w @ x**5 - 1 / 6) < 1e-15)
    True
    """
    x, w = np.polynomial.legendre.leggauss(nodes)
    return (x + 1) / 2, w / 2


def log_rising(z: ArrayLike, k: ArrayLike) -> Floats:
    """The log of Gamma(z+k)/Gamma(z), which keeps its digits when z grows without bound.

    The difference of two log-gammas loses them there, just where models of customers who are all
    alike have their maximum; from z = 30 on Stirling's series takes the difference term by term.

    >>> float(log_rising(1e12, 2.0) - 2 * np.log(1e12)) < 1e-11  # log (1 + 1/z)
    True
    """
    z, k = np.asarray(z, dtype=np.float64), np.asarray(k, dtype=np.float64)
    far = (z + k - 0.5) * np.log1p(k / z) + k * (np.log(z) - 1)
    far += _stirling(np.maximum(z + k, 30.0)) - _stirling(np.maximum(z, 30.0))
    return np.asarray(np.where(z < 30, sc.gammaln(z + k) - sc.gammaln(z), far))


def digamma_rise(z: ArrayLike, k: ArrayLike) -> Floats:
    """digamma(z+k) - digamma(z), the derivative of ``log_rising`` by z."""
    z, k = np.asarray(z, dtype=np.float64), np.asarray(k, dtype=np.float64)
    far = np.log1p(k / z) + k / (2 * z * (z + k))
    far += _stirling_slope(np.maximum(z + k, 30.0)) - _stirling_slope(np.maximum(z, 30.0))
    return np.asarray(np.where(z < 30, sc.digamma(z + k) - sc.digamma(z), far))


def _stirling(z: Floats) -> Floats:
    # The next term, 1 / (1680 z^7), is 3e-14 at z = 30.
    return (1 / 12 - (1 / 360 - 1 / (1260 * z**2)) / z**2) / z


def _stirling_slope(z: Floats) -> Floats:
    return -(1 / 12 - (1 / 120 - 1 / (252 * z**2)) / z**2) / z**2


def beta_mean_power(a: ArrayLike, b: ArrayLike, s: ArrayLike, y: ArrayLike) -> Floats:
    """E[(1 + p y)^-s] for p ~ Beta(a, b), which is 2F1(s, a; a+b; -y).

    All arguments broadcast; a, b > 0, s >= 1, y >= 0. By Pfaff's transformation this is
    (1-z)^a 2F1(a, a+b-s; a+b; z) with z = y/(1+y), which SciPy evaluates well as long as a and
    a+b-s are moderate, however many purchases b and s contain. Outside that region the mean is
    integrated over the logit of p.

    >>> float(beta_mean_power(1.0, 1.0, 2.0, 1.0))  # the integral of (1+p)^-2 over [0, 1]
    0.5
    """
    a, b, s, y = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, s, y)))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.asarray(np.exp(-a * np.log1p(y)) * sc.hyp2f1(a, a + b - s, a + b, y / (1 + y)))
    d = a + b - s
    # Outside, SciPy's 2F1 loses digits without a word.
    trusted = (a <= _TRUST_A) & (_TRUST_D[0] <= d) & (d <= _TRUST_D[1])
    trusted &= (mean >= 0) & (mean <= 1 + 1e-9)  # and so no NaN
    if not np.all(trusted):
        hard = ~trusted
        mean[hard] = _hard_mean_power(a[hard], b[hard], s[hard], y[hard])
    return np.asarray(np.minimum(mean, 1.0))


def _hard_mean_power(a: Floats, b: Floats, s: Floats, y: Floats) -> Floats:
    """The same mean by a series of moments where it settles, else by quadrature."""
    mean = 1 - s * y * a / (a + b)
    # What two terms leave out is at most the third.
    third = s * (s + 1) * y**2 / 2 * (a / (a + b)) * ((a + 1) / (a + b + 1))
    rest, upper = third > 1e-14, np.inf
    narrow, settled = _mean_power_of_narrow(a[rest], b[rest], s[rest], y[rest])
    mean[rest] = narrow
    rest[rest] = ~settled
    for least, nodes in _NODES:
        group = np.flatnonzero(rest & (np.minimum(a, b) >= least) & (np.minimum(a, b) < upper))
        for i in range(0, len(group), 2048):  # rows x nodes at a time
            rows = group[i : i + 2048]
            mean[rows] = _mean_power_by_quadrature(a[rows], b[rows], s[rows], y[rows], nodes)
        upper = least
    return mean


def _mean_power_of_narrow(
    a: Floats, b: Floats, s: Floats, y: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """The same mean for a p that hardly varies, and where this settles it to the last digits.

    In the limit of a and b it is (1 + m y)^-s, m = a/(a+b); the terms beyond, (s)_k/k! (-h)^k mu_k
    with h = y/(1 + m y), follow from the central moments mu_k of p, and these from each other.
    """
    n, m = a + b, a / (a + b)
    skew, spread = (1 - 2 * m), a / n * (b / n)
    h = -y / (1 + m * y)
    # before, term: mu_(k-1) and mu_k, each times (s)_k/k! h^k, so that none overflows
    before, term = np.ones_like(a), np.zeros_like(a)
    total, last = np.ones_like(a), np.zeros_like(a)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(1, _MOMENTS):
            grow = (s + k) / (k + 1) * h  # from (s)_k/k! h^k to that of k + 1
            after = k / (n + k) * grow * (skew * term + spread * before * (s + k - 1) / k * h)
            before, term = term, after
            total, last = total + term, np.abs(before) + np.abs(term)
        settled = (last <= 1e-16 * total) & np.isfinite(total)
        return np.where(settled, np.exp(-s * np.log1p(m * y)) * total, 0.0), settled


def _mean_power_by_quadrature(a: Floats, b: Floats, s: Floats, y: Floats, nodes: int) -> Floats:
    """The same mean, integrated over w = logit(p) where both Beta(a, b) and the power matter."""
    # The density of w peaks at log(a/b), like a normal one of precision ab/(a+b), with tails that
    # fall like exp(aw) and exp(-bw): beyond these ends it is below e^-40 of its peak.
    peak, width = np.log(a / b), 9 * np.sqrt(1 / a + 1 / b)
    low, high = peak - width - 45 / a, peak + width + 45 / b
    # Tiny a or b pile mass up at p = 0 or 1, where the power is flat to 1e-14: taken whole. And
    # where the power is below e^-40, nothing is left to count.
    lower = np.maximum(low, sc.logit(1e-14 / (s * y + b + 1)))
    upper = np.minimum(high, -sc.logit(1e-14 / (s + a + 1)))
    vanished = np.expm1(np.minimum(40 / s, 700.0)) / y
    end = sc.logit(np.minimum(vanished, 0.5))
    upper = np.where((vanished < 0.5) & (end > lower + 1), np.minimum(upper, end), upper)
    u, weight = legendre(nodes)
    w = lower[:, None] + (upper - lower)[:, None] * u
    softplus = np.maximum(w, 0.0) + np.log1p(np.exp(-np.abs(w)))  # -log(1 - p)
    log_density = a[:, None] * w - (a + b)[:, None] * softplus
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True)) * weight
    power = np.exp(-s[:, None] * np.log1p(np.exp(w - softplus) * y[:, None]))
    inner = (density * power).sum(axis=1) / density.sum(axis=1)
    below, above = np.zeros_like(a), np.zeros_like(a)
    cut = lower > low
    below[cut] = sc.betainc(a[cut], b[cut], sc.expit(lower[cut]))
    cut = upper < high
    above[cut] = sc.betainc(b[cut], a[cut], sc.expit(-upper[cut]))
    tail = above * np.exp(-s * np.log1p(sc.expit(upper) * y))
    return np.asarray((1 - below - above) * inner + below + tail)


def by_table(
    function: Callable[[NDArray[np.intp], Floats], Floats], level: NDArray[np.intp], v: ArrayLike
) -> Floats:
    """A smooth function of v for each of few levels, tabled where it is needed and looked up.

    The table consists of Chebyshev series on pieces of v that are the same whoever is asked, so
    one value comes out the same, to the last bit, alone and among millions. On a piece of 1/2, of
    a function that is analytic within pi of it, they are right to 1e-14.

    Parameters
    ----------
    function
        Maps levels and v, both of shape (m,), to k values each: shape (k, m).
    level, v
        Whole numbers from 0, and finite numbers; they broadcast.

    Returns
    -------
    Floats
        Shape (k, *v.shape).

    Examples
    --------
    >>> powers = by_table(lambda i, v: np.exp(i * v)[None], np.array([1, 2]), np.array([0.3, 0.3]))
    >>> bool(np.all(abs(powers - np.exp([0.3, 0.6])) < 1e-14))
    True
    """
    level, v = np.broadcast_arrays(level, np.asarray(v, dtype=np.float64))
    place = np.floor(v.ravel() / PIECE)
    lowest = place.min(initial=0.0)
    pieces = int(place.max(initial=0.0) - lowest) + 1
    key = level.ravel() * pieces + (place - lowest).astype(np.intp)
    met = np.zeros(int(key.max(initial=0)) + 1, dtype=bool)
    met[key] = True
    row = (np.cumsum(met) - 1)[key]
    of_node, piece = np.divmod(np.repeat(np.flatnonzero(met), DEGREE), pieces)
    angles = (np.arange(DEGREE) + 0.5) * np.pi / DEGREE
    at = np.tile(np.cos(angles), int(met.sum()))
    values = function(of_node, (piece + lowest + (at + 1) / 2) * PIECE)
    # A discrete cosine transform turns the values at the nodes into the series.
    to_series = np.cos(np.outer(angles, np.arange(DEGREE))) * 2 / DEGREE
    to_series[:, 0] /= 2
    series = np.einsum("kin,nj->jki", values.reshape(len(values), -1, DEGREE), to_series)
    result = np.empty((len(values), v.size))
    position = 4 * (v.ravel() / PIECE - place) - 2  # twice the place from -1 to 1
    for i in range(0, v.size, CACHED):
        part = slice(i, i + CACHED)
        result[:, part] = _clenshaw(series, row[part], position[part])
    return result.reshape(len(values), *v.shape)


def _clenshaw(series: Floats, row: NDArray[np.intp], twice: Floats) -> Floats:
    """Chebyshev series ``row`` of (DEGREE, k, rows) at half of ``twice``, shape (k, n)."""
    above, here = np.zeros((2, series.shape[1], len(row)))
    for order in range(DEGREE - 1, 0, -1):
        above, here = here, np.take(series[order], row, axis=1) + twice * here - above
    return np.asarray(np.take(series[0], row, axis=1) + twice / 2 * here - above)


def end_of_horizon(horizon: ArrayLike, delta: ArrayLike) -> Floats:
    """Where to stop counting: at the horizon, or at 60/delta, where what is left is below e^-60.

    Of several discount rates the least decides.

    Raises
    ------
    InputError
        For a negative horizon or rate, or an infinite horizon without discounting.
    """
    horizon, delta = np.asarray(horizon, dtype=np.float64), np.asarray(delta, dtype=np.float64)
    if not np.all(delta >= 0):
        raise InputError(f"the discount rate per unit is {delta}; it must be 0 or more.")
    if not np.all(horizon >= 0):
        raise InputError(
            "a horizon is negative or missing.", hint="give t >= 0 in the data's unit."
        )
    least = delta.min(initial=np.inf)
    end = np.minimum(horizon, np.inf if least == 0 else 60.0 / least)
    if np.isinf(end).any():
        raise InputError(
            "the horizon is infinite and nothing is discounted: the value can be infinite.",
            hint="give a finite horizon, or a positive discount rate.",
        )
    return np.asarray(end)


def integrate_rate(
    rate: Callable[[NDArray[np.intp], Floats], Floats],
    scale: ArrayLike,
    horizon: ArrayLike,
    delta: ArrayLike,
) -> Floats:
    """The integral of rate(t) exp(-delta t) over (0, horizon], one value per row.

    Several discount rates add a last axis; the rates of purchase are computed once for all.

    The substitution t = scale (e^u - 1) straightens rates that decay like a power of
    1 + t/scale, after which 32 Gauss-Legendre nodes reach 1e-14 and, where the horizon is many
    scales long and rates may die out on the way, 96; an endless horizon is cut at 60/delta, where
    what is left is below e^-60.

    Parameters
    ----------
    rate
        Maps rows (m,) and their times (m, nodes) to rates of that shape.
    scale, horizon
        Broadcast to shape (n,), in the data's time unit; ``horizon`` may be infinite if delta > 0.
    delta
        Continuous discount rate per unit, >= 0; a number, or several.

    Raises
    ------
    InputError
        For a negative horizon or rate, or an infinite horizon without discounting.
    """
    scale, horizon = np.broadcast_arrays(
        np.asarray(scale, dtype=np.float64), np.asarray(horizon, dtype=np.float64)
    )
    delta = np.asarray(delta, dtype=np.float64)
    end = end_of_horizon(horizon, delta)
    length = np.log1p(end / scale)
    long = ((horizon > end) | (length > LONG)).ravel()
    result = np.empty((scale.size, delta.size))
    for rows, nodes in ((np.flatnonzero(~long), 32), (np.flatnonzero(long), 96)):
        u, weight = legendre(nodes)
        u = length.ravel()[rows, None] * u
        t = scale.ravel()[rows, None] * np.expm1(u)
        integrand = rate(rows, t) * scale.ravel()[rows, None] * np.exp(u)
        integrand *= weight
        # added up row by row: a matrix product adds in an order that depends on how many there are
        for i, d in enumerate(delta.ravel()):
            result[rows, i] = (integrand * np.exp(-d * t)).sum(axis=-1) * length.ravel()[rows]
    return result.reshape(scale.shape + (delta.shape and (delta.size,)))


def spans(t: ArrayLike) -> Floats:
    """Time spans in which purchases are counted."""
    spans = np.asarray(t, dtype=np.float64)
    if not np.all((spans >= 0) & (spans < np.inf)):
        raise InputError(
            "a time span is negative, infinite or missing.", hint="give t >= 0 in the data's unit."
        )
    return spans


def whole_counts(k: ArrayLike) -> Floats:
    """Numbers of purchases that are asked for."""
    ks = np.asarray(k, dtype=np.float64)
    if np.any(ks < 0) or np.any(ks != np.floor(ks)):
        raise InputError("k counts purchases: whole numbers >= 0.")
    return ks
