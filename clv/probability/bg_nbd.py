"""The BG/NBD model of Fader, Hardie & Lee (2005): pure functions, then the estimator.

While alive, a customer buys as a Poisson process with rate lambda ~ Gamma(r, rate alpha); after
each repeat purchase the customer leaves with probability p ~ Beta(a, b).

Shared by all functions: ``theta`` = (r, alpha, a, b), scalars or arrays that broadcast with the
other arguments; ``t`` a time span in the data's unit; ``history`` = (x, t_x, T) of shape (n,).

**Given alive, a customer is a new customer** with ``theta`` = (r+x, alpha+T, a, b+x). So each
formula below stands once, for new customers, and depends on the history through (x, T) only.

References
----------
.. [1] Fader, Hardie & Lee (2005), "Counting your customers" the easy way, Marketing Science 24(2).
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special as sc

from clv.probability.estimator import PurchaseModel
from clv.probability.special import beta_mean_power
from clv.schema import Floats, History


class Theta(NamedTuple):
    """r, alpha (in the data's time unit), a, b."""

    r: float | Floats
    alpha: float | Floats
    a: float | Floats
    b: float | Floats


def log_likelihood(theta: Theta, history: History, count: Floats) -> tuple[float, Floats]:
    """The total log-likelihood of cells and its gradient by (r, alpha, a, b); eq. 6 of [1]_.

    Powers stay in logs, gammaln is taken once per distinct x, and ratios of gamma functions are
    written as beta functions, which stay exact when r or b grows without bound.
    """
    r, alpha, a, b = map(float, theta)
    x, repeat = history.x, history.x > 0
    xs, of_cell = np.unique(x, return_inverse=True)
    per_x = np.bincount(of_cell, weights=count)
    some = np.maximum(xs, 1.0)
    by_x = np.where(xs > 0, sc.gammaln(some) - sc.betaln(r, some), 0.0)  # G(r+x) / G(r)
    by_x += sc.betaln(a, b + xs) - sc.betaln(a, b) - xs * np.log(alpha)
    log_T, log_t = np.log1p(history.T / alpha), np.log1p(history.t_x / alpha)
    after = np.where(repeat, b + x - 1, 1.0)
    alive = -(r + x) * log_T
    dead = np.where(repeat, np.log(a) - np.log(after) - (r + x) * log_t, -np.inf)
    either = np.logaddexp(alive, dead)
    total = float(per_x @ by_x + count @ either)

    is_dead = np.exp(dead - either)
    is_alive = 1 - is_dead
    in_T, in_t = history.T / (alpha + history.T), history.t_x / (alpha + history.t_x)
    psi_ab = sc.digamma(a + b) - sc.digamma(a + b + xs)
    gradient = [
        per_x @ (sc.digamma(r + xs) - sc.digamma(r)) - count @ (is_alive * log_T + is_dead * log_t),
        (count @ ((r + x) * (is_alive * in_T + is_dead * in_t)) - per_x @ xs) / alpha,
        per_x @ psi_ab + count @ is_dead / a,
        per_x @ (psi_ab + sc.digamma(b + xs) - sc.digamma(b)) - count @ (is_dead / after),
    ]
    return total, np.array(gradient)


def probability_alive(theta: Theta, history: History) -> Floats:
    """P(alive | x, t_x, T) [1]_: 1 for x = 0, as nobody leaves before a repeat purchase."""
    r, alpha, a, b = theta
    x = history.x
    odds = np.log(a) - np.log(np.where(x > 0, b + x - 1, 1.0))
    odds += (r + x) * (np.log(alpha + history.T) - np.log(alpha + history.t_x))
    return np.where(x > 0, sc.expit(-odds), 1.0)


def given_alive(theta: Theta, x: Floats, T: Floats) -> Theta:
    """The parameters under which a customer who is alive at T is a new customer."""
    r, alpha, a, b = map(np.asarray, theta)
    return Theta(r + x, alpha + T, a, b + x)


def purchase_rate(theta: Theta, t: ArrayLike) -> Floats:
    """Expected purchases per unit of time at age t, dE[X(t)]/dt = E[lambda exp(-lambda p t)].

    It equals (r/alpha) E[(1 + p t/alpha)^-(r+1)], finite where the textbook expectation is 0/0.
    """
    r, alpha, a, b = map(np.asarray, theta)
    return np.asarray(r / alpha * beta_mean_power(a, b, r + 1, np.asarray(t) / alpha))


def probability_of_purchases(theta: Theta, k: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) = k) of a new customer; eq. 8 of [1]_."""
    r, alpha, a, b = map(np.asarray, theta)
    k, t = np.asarray(k, dtype=np.float64), np.asarray(t, dtype=np.float64)
    some = np.maximum(k, 1.0)
    log_binomial = np.where(k > 0, -np.log(some) - sc.betaln(r, some), 0.0)
    log_nb = log_binomial - r * np.log1p(t / alpha) + sc.xlogy(k, t / (alpha + t))
    stayed = np.exp(sc.betaln(a, b + k) - sc.betaln(a, b) + log_nb)
    left = np.exp(sc.betaln(a + 1, b + some - 1) - sc.betaln(a, b))
    return np.asarray(stayed + (k > 0) * left * sc.betainc(some, r, t / (alpha + t)))


def simulate(theta: Theta, T: Floats, rng: np.random.Generator) -> History:
    """Draw histories of shape (n,) for new customers observed for T.

    Without an event loop: of the N ~ Poisson(lambda T) purchases a customer would make, the first
    min(N, G) happen, G ~ Geometric(p); the x-th of N uniform arrival times is Beta(x, N-x+1) T.
    """
    r, alpha, a, b = (np.broadcast_to(value, T.shape) for value in theta)
    would = rng.poisson(rng.gamma(r, 1 / alpha) * T)
    leaves = rng.geometric(np.clip(rng.beta(a, b), 1e-15, 1.0))
    x = np.minimum(would, leaves)
    last = rng.beta(np.maximum(x, 1), np.maximum(would - x, 0) + 1)
    return History(x.astype(np.float64), np.where(x > 0, last * T, 0.0), T)


class BetaGeoNBD(PurchaseModel):
    """BG/NBD: how often customers buy, and whether they are still customers.

    Parameters
    ----------
    unit
        Time unit of the summaries it reads; taken from their ``unit`` column if not given.
    engine
        ``"native"``, or ``"lifetimes"`` to fit through that package.

    Examples
    --------
    >>> import pandas as pd
    >>> model = BetaGeoNBD.from_params({"r": .2426, "alpha": 4.4136, "a": .7929, "b": 2.4259})
    >>> X = pd.DataFrame({"frequency": [2, 0], "recency": [30.43, 0.0], "T": [38.86, 38.86]})
    >>> model.probability_alive(X).round(5)
    array([0.72661, 1.     ])
    >>> model.conditional_expected_purchases(39, X).round(4)
    array([1.2259, 0.1948])
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    time_like: ClassVar[str] = "alpha"
    starts: ClassVar = ((0.5, 0.5, 0.7, 2.0), (0.1, 0.1, 0.2, 1.0), (2.0, 1.0, 0.1, 5.0))

    _theta = Theta
    _log_likelihood = staticmethod(log_likelihood)
    _probability_alive = staticmethod(probability_alive)
    _given_alive = staticmethod(given_alive)
    _purchase_rate = staticmethod(purchase_rate)
    _probability_of_purchases = staticmethod(probability_of_purchases)

    def _boundary(self, theta: Theta, scale: float) -> list[str]:
        r, alpha, a, b = map(float, theta)
        found = []
        if r > 1e3:
            found.append(
                "r and alpha grow without bound: all customers buy at nearly the same rate, "
                f"{r / alpha:.4g} per unit of time."
            )
        if a / (a + b) < 1e-4:
            found.append(
                "a goes to 0: in this window nobody is seen to leave after a purchase, so "
                "everybody counts as alive and the forecast is that of a pure NBD. It will be too "
                "high as soon as customers do leave; a longer window would tell."
            )
        elif a + b > 1e4:
            found.append(
                "a and b grow without bound: after each purchase all customers leave with nearly "
                f"the same probability, {a / (a + b):.4g}."
            )
        elif b < 1e-4:
            found.append("b goes to 0: nearly everybody leaves right after the first repeat.")
        if r < 1e-4 or alpha / scale < 1e-6:
            found.append("r or alpha goes to 0: nearly all purchases come from very few customers.")
        return found
