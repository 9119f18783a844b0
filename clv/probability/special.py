"""The special functions and the quadrature that the models share."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special as sc

from clv.errors import InputError
from clv.schema import Floats

# Where SciPy's 2F1(a, d; a+b; z), d = a+b-s, holds to 1e-9: beyond, its series cancels.
_TRUST_A, _TRUST_D = 20.0, (-200.0, 1e5)
# Nodes that integrate to 1e-12 where neither a nor b is below a bound: the narrower, the fewer.
_NODES = ((300.0, 48), (60.0, 64), (20.0, 96), (0.0, 256))


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
    """The same mean by two terms of its series where they suffice, else by quadrature."""
    mean = 1 - s * y * a / (a + b)
    # What two terms leave out is at most the third.
    third = s * (s + 1) * y**2 / 2 * (a / (a + b)) * ((a + 1) / (a + b + 1))
    rest, upper = third > 1e-14, np.inf
    for least, nodes in _NODES:
        group = np.flatnonzero(rest & (np.minimum(a, b) >= least) & (np.minimum(a, b) < upper))
        for i in range(0, len(group), 2048):  # rows x nodes at a time
            rows = group[i : i + 2048]
            mean[rows] = _mean_power_by_quadrature(a[rows], b[rows], s[rows], y[rows], nodes)
        upper = least
    return mean


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
    rate: Callable[[Floats], Floats], scale: ArrayLike, horizon: ArrayLike, delta: ArrayLike
) -> Floats:
    """The integral of rate(t) exp(-delta t) over (0, horizon], one value per row.

    Several discount rates add a last axis; the rates of purchase are computed once for all.

    The substitution t = scale (e^u - 1) straightens rates that decay like a power of
    1 + t/scale, after which 32 Gauss-Legendre nodes reach 1e-14; an endless horizon is cut at
    60/delta, where what is left is below e^-60, and takes 96.

    Parameters
    ----------
    rate
        Maps times of shape (n, nodes) to rates of that shape; row i belongs to row i.
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
    u, weight = legendre(96 if (horizon > end).any() else 32)
    length = np.log1p(end / scale)[..., None]
    stretched = np.exp(length * u)
    t = scale[..., None] * np.expm1(length * u)
    integrand = rate(t) * scale[..., None] * stretched
    integrand *= weight
    # added up row by row: a matrix product adds in an order that depends on how many rows there are
    integrals = [(integrand * np.exp(-d * t)).sum(axis=-1) * length[..., 0] for d in delta.ravel()]
    return np.stack(integrals, axis=-1) if delta.ndim else np.asarray(integrals[0])
