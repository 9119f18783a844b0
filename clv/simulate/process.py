"""How one SIMULATED customer buys: exact BG/NBD purchases [1]_ at Gamma-Gamma values [2]_.

While alive a customer buys at the rate lambda ~ Gamma(r, rate alpha); after each repeat purchase
the customer leaves with chance p ~ Beta(a, b). Over a span H an alive customer would make n ~
Poisson(lambda H) purchases and leaves at number g ~ Geometric(p), so makes k = min(n, g): the first
k of n sorted uniforms on (0, H). No loop over events is needed.

References
----------
.. [1] Fader, Hardie & Lee 2005, "Counting Your Customers" the Easy Way.
.. [2] Fader & Hardie 2013, The Gamma-Gamma Model of Monetary Value.
.. [3] Devroye 1986, Non-Uniform Random Variate Generation, chapter V: spacings of sorted uniforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import hyp2f1

from clv.errors import InputError
from clv.periods import DAYS, as_unit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Random = np.random.Generator

CDNOW = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259, "p": 6.25, "q": 3.74, "v": 15.44}
"""Published parameters of the CDNOW sample [1]_ [2]_, in weeks and dollars."""


@dataclass(frozen=True)
class Purchases:
    """Purchases of n customers: how many each, when (customer after customer), and who left."""

    count: Ints
    time: Floats
    churned: Flags


def draw_purchases(rng: Random, rate: Floats, dropout: Floats, span: Floats) -> Purchases:
    """Purchases of customers who are alive when their span begins.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    rate
        lambda of each customer, per time unit, shape (n,).
    dropout
        p of each customer, shape (n,).
    span
        H of each customer, shape (n,).

    Returns
    -------
    Purchases
        ``count`` (n,), ``time`` from the start of the span (count.sum(),), ``churned`` (n,):
        whether the customer left at the last of these purchases.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draw_purchases(rng, np.array([2.0]), np.array([1.0]), np.array([50.0])).count
    array([1])
    """
    n = rng.poisson(rate * span)
    leaving = _leaving_purchase(rng, dropout)
    k = np.minimum(n, leaving).astype(np.int64)
    time = _first_sorted_uniforms(rng, k, n) * np.repeat(span, k)
    return Purchases(k, time, leaving <= n)


def draw_spend(rng: Random, p: Floats, nu: Floats) -> Floats:
    """One Gamma-Gamma order value each, z ~ Gamma(p, rate nu), in whole cents and at least one."""
    return np.maximum(np.round(rng.gamma(p, 1 / nu), 2), 0.01)


def purchases_while_alive(rate: Floats, dropout: Floats, H: float, delta: float = 0.0) -> Floats:
    """Discounted expected purchases over H of customers alive now whose lambda and p are known.

    Alive at t with chance e^(-lambda p t), so lambda (1 - e^(-(lambda p + delta) H)) / (lambda p +
    delta).
    """
    decay = rate * dropout + delta
    return -rate * np.expm1(-decay * H) / decay


def discounted_purchases(
    r: ArrayLike, alpha: ArrayLike, a: ArrayLike, b: ArrayLike, H: ArrayLike, delta: float
) -> Floats:
    """Discounted expected repeat purchases DET(H, delta) of a new customer; delta = 0: E[X(H)].

    Integral of rho(t) e^(-delta t) with rho(t) = r/alpha (1-z)^a 2F1(a, a+b-r-1; a+b; z),
    z = t/(alpha+t), by Gauss-Legendre in u, t = alpha (e^u - 1). Shapes broadcast.

    >>> round(float(discounted_purchases(0.2426, 4.4136, 0.7929, 2.4259, 52, 0.0)), 6)
    1.44406
    """
    r, alpha, a, b, H = (np.asarray(value, float)[..., None] for value in (r, alpha, a, b, H))
    node, weight = np.polynomial.legendre.leggauss(32)
    half = np.log1p(H / alpha) / 2
    t = alpha * np.expm1(half * (node + 1))
    z = t / (alpha + t)
    rho = r / alpha * (1 - z) ** a * hyp2f1(a, a + b - r - 1, a + b, z)
    total: Floats = (weight * half * (alpha + t) * rho * np.exp(-delta * t)).sum(axis=-1)
    return total


def simulate_customers(
    n: int,
    params: Mapping[str, float] = CDNOW,
    T: tuple[int, int] = (100, 730),
    seed: int = 0,
    unit: str = "week",
) -> pd.DataFrame:
    """A summary of n SIMULATED customers, for benchmarks and tests of recovery.

    Ages are whole days; a last purchase is rounded up to the next day, so that a repeat purchase
    is never at age 0, and purchases on one day are not merged.

    Parameters
    ----------
    n
        How many.
    params
        r, alpha, a, b of BG/NBD in ``unit`` and p, q, v of Gamma-Gamma.
    T
        Shortest and longest age in days; ages are uniform between them.
    seed
        Of NumPy's default generator.
    unit
        The time unit of ``recency`` and ``T``.

    Examples
    --------
    >>> simulate_customers(3, T=(365, 365), unit="day", params=CDNOW | {"alpha": 30.9})[
    ...     ["customer_id", "T", "unit"]]
       customer_id      T unit
    0            1  365.0  day
    1            2  365.0  day
    2            3  365.0  day
    """
    _check_params(params)
    rng, day = np.random.default_rng(seed), 1 / DAYS[as_unit(unit)]
    age = rng.integers(T[0], T[1], n, endpoint=True).astype(np.float64)
    rate = rng.gamma(params["r"], 1 / params["alpha"], n)
    would = rng.poisson(rate * age * day)
    x = np.minimum(would, _leaving_purchase(rng, rng.beta(params["a"], params["b"], n)))
    last = np.ceil(age * _last_sorted_uniform(rng, x, would))
    nu = rng.gamma(params["q"], 1 / params["v"], n)
    total = rng.gamma(params["p"] * x) / nu  # the sum of x Gamma(p) values
    return pd.DataFrame(
        {
            "customer_id": np.arange(1, n + 1),
            "frequency": x.astype(np.int64),
            "recency": last * day,
            "T": age * day,
            "monetary_value": np.divide(total, x, out=np.zeros(n), where=x > 0),
            "first_amount": draw_spend(rng, np.full(n, params["p"]), nu),
            "days_since_last": age - last,
            "unit": as_unit(unit),
        }
    )


def _leaving_purchase(rng: Random, dropout: Floats) -> Floats:
    """Number of the purchase after which a customer leaves, Geometric(p); infinite at p = 0."""
    with np.errstate(divide="ignore"):
        return np.floor(rng.standard_exponential(dropout.shape) / -np.log1p(-dropout)) + 1


def _first_sorted_uniforms(rng: Random, k: Ints, n: Ints) -> Floats:
    """The first k[i] of n[i] sorted uniforms on (0, 1), customer after customer.

    Sorted uniforms are running sums of n + 1 exponentials over their total [3]_; those after the
    first k only enter the total, as one Gamma(n + 1 - k).
    """
    running = np.concatenate([[0.0], np.cumsum(rng.standard_exponential(int(k.sum())))])
    end = np.cumsum(k)
    before = running[end - k]
    total = running[end] - before + rng.standard_gamma(n - k + 1.0)
    first: Floats = (running[1:] - np.repeat(before, k)) / np.repeat(total, k)
    return first


def _last_sorted_uniform(rng: Random, k: Floats, n: Ints) -> Floats:
    """The k-th of n sorted uniforms, Beta(k, n + 1 - k); 0 where k = 0."""
    last = np.zeros(len(k))
    positive = k > 0
    last[positive] = rng.beta(k[positive], n[positive] + 1 - k[positive])
    return last


def _check_params(params: Mapping[str, float]) -> None:
    bad = [name for name in CDNOW if not params.get(name, np.nan) > 0]
    if bad:
        raise InputError(
            f"the parameters lack a positive {', '.join(bad)}.",
            hint="give r, alpha, a, b, p, q and v, as in clv.simulate.CDNOW.",
        )
