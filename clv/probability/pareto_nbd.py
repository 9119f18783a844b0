"""The Pareto/NBD model of Schmittlein, Morrison & Colombo (1987): pure functions, then the model.

While alive, a customer buys as a Poisson process with rate lambda ~ Gamma(r, rate alpha); the
customer leaves at any time, with hazard mu ~ Gamma(s, rate beta), whether buying or not.

Shared by all functions: ``theta`` = (r, alpha, s, beta), scalars or arrays that broadcast with the
other arguments; ``t`` a time span in the data's unit; ``history`` = (x, t_x, T) of shape (n,).

**Given alive, a customer is a new customer** with ``theta`` = (r+x, alpha+T, s, beta+T). So each
formula below stands once, for new customers, and depends on the history through (x, T) only.

**No purchase in (t_x, T]** means one of two things: the next thing to happen after t_x is that the
customer leaves, whenever that is, or it is a purchase after T. The first depends on (x, t_x) only,
the second on (x, T) only, and both are probabilities, so nothing cancels: two numbers per distinct
pair take the place of an integral per customer.

References
----------
.. [1] Schmittlein, Morrison & Colombo (1987), Counting your customers: who are they and what will
   they do next?, Management Science 33(1).
.. [2] Fader & Hardie (2005), A note on deriving the Pareto/NBD model and related expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sc

from clv.findings import Finding, finding
from clv.history import Cells, History, distinct
from clv.probability.changing_model import ChangingModel
from clv.probability.optimize import Contributions
from clv.probability.special import by_table, digamma_rise, legendre, log_rising
from clv.schema import Floats

NODES = 32  # of a quadrature; four times as many where it spans many scales of time
ROWS = 4_096  # taken through a quadrature at a time, so that they stay in the processor's cache
WIDTHS = np.array([20.0, 45.0])  # of an integral over log time, up to which few nodes do
NEGLIGIBLE = 37.0  # e^-37 is below the last digit


class ParetoNbdTheta(NamedTuple):
    """r, alpha, s, beta; alpha and beta in the data's time unit."""

    r: float | Floats
    alpha: float | Floats
    s: float | Floats
    beta: float | Floats


class Next(NamedTuple):
    """What comes next after time t, a purchase or the end, per distinct (x, t).

    ``survived``: log P(neither before t), given x; ``leaves``, ``buys``: the probabilities that
    add up to one; ``slope``: the derivatives of ``leaves`` by (R, s, log k), of shape (3, n).
    """

    x: Floats
    t: Floats
    of_row: NDArray[np.intp]
    survived: Floats
    leaves: Floats
    buys: Floats
    slope: Floats


def leaves_first(R: Floats, s: float, k: Floats) -> tuple[Floats, Floats, Floats]:
    """P(a clock of rate mu rings before one of rate lambda), its complement, and its slope.

    lambda ~ Gamma(R, rate 1), mu ~ Gamma(s, rate k): the mean of mu/(lambda+mu), a 2F1. The share
    of mu in the hazard of a pair that has been silent for v moves from s/(s+Rk) at v = 0 to
    s/(s+R) at the end; the mean lies between the two as the chance of silence tells, averaged
    over v with density m/(m+v)^2. Right to 1e-11, k from .001 to 1000; at k = 1 without integral.

    Returns
    -------
    The probability, its complement, and its derivatives by (R, s, log k), shape (3, n).
    """
    silent, by_R, by_s, by_k, by_m = _silence_by_level(R, s, k)
    first, last = s / (s + R * k), s / (s + R)
    gap = s * R * (k - 1) / ((s + R * k) * (s + R))  # last - first
    m = (s + R * k) / (s + R)
    slope_first = np.array([-k * first**2 / s, R * k * first**2 / s**2, -R * k * first**2 / s])
    slope_last = np.array([-(last**2) / s, R * last**2 / s**2, 0 * R])
    slope_m = np.array([(k - m) / (s + R), (1 - m) / (s + R), R * k / (s + R)])
    slope_silent = np.array([by_R, by_s, by_k]) + by_m * slope_m
    slope = (1 - silent) * slope_first + silent * slope_last + gap * slope_silent
    buys = (1 - silent) * (R * k / (s + R * k)) + silent * (R / (s + R))
    return (1 - silent) * first + silent * last, buys, slope


def _silence_by_level(R: Floats, s: float, k: Floats) -> Floats:
    """``_silence`` of many rows, by a table in log k per distinct R."""
    (levels,), of_row = distinct(R)

    def silence(of: NDArray[np.intp], log_k: Floats) -> Floats:
        k = np.exp(log_k)
        return _in_blocks(lambda rows: _silence(levels[of[rows]], s, k[rows]), len(of))

    return by_table(silence, of_row, np.log(k))


def _in_blocks(function: Callable[[slice], Floats], size: int) -> Floats:
    """Columns of ``function`` side by side, few enough at a time to stay in the cache."""
    return np.concatenate(
        [function(slice(i, i + ROWS)) for i in range(0, max(size, 1), ROWS)], axis=1
    )


def _silence(R: Floats, s: float, k: Floats) -> Floats:
    """The mean of (1+v)^-R (1+v/k)^-s over v of density m/(m+v)^2, and its derivatives.

    By R, s, log k and m; shape (5, n). Integrated over y, v = c (e^y - 1), from the shortest time
    scale c to where nothing is left.
    """
    m = (s + R * k) / (s + R)
    c = 1 / (R + s / k + 1 / m)
    end = np.maximum(1.0, k) * np.expm1(NEGLIGIBLE / (R + s + 1))  # each of the three is far enough
    # exp overflows at 709, and so far out nothing is left to add.
    end = np.minimum(end, np.expm1(np.minimum(NEGLIGIBLE / R, 600.0)))
    end = np.minimum(end, k * np.expm1(min(NEGLIGIBLE / s, 600.0)))
    length = np.log1p(end / c)
    moments = np.empty((5, len(R)))
    long = length > 12.0  # few purchases, little spread of time
    for rows, nodes in ((~long, NODES), (long, 4 * NODES)):
        moments[:, rows] = _mean(R[rows], s, k[rows], m[rows], c[rows], length[rows], nodes)
    return moments


def _mean(
    R: Floats, s: float, k: Floats, m: Floats, c: Floats, length: Floats, nodes: int
) -> Floats:
    u, weight = legendre(nodes)
    y = length[:, None] * u
    v = np.expm1(y) * c[:, None]
    k, m = k[:, None], m[:, None]
    log_buy, log_leave = np.log1p(v), np.log1p(v / k)
    mass = np.exp(y - R[:, None] * log_buy - s * log_leave)
    mass *= weight * (c * length)[:, None] * m / (m + v) ** 2
    # Minus the slopes of the log integrand by R and s; by log k over s; by m, 1/m - 2/(v + m).
    moments = (log_buy, log_leave, v / (k + v), (v - m) / (v + m) / m)
    by_R, by_s, by_k, by_m = (np.einsum("ij,ij->i", mass, moment) for moment in moments)
    return np.array([mass.sum(axis=1), -by_R, -by_s, s * by_k, by_m])


def _next(theta: ParetoNbdTheta, x: Floats, t: Floats, of_row: NDArray[np.intp]) -> Next:
    """What comes next after t in the life of a customer with x purchases by then."""
    r, alpha, s, beta = map(float, theta)
    leaves, buys, slope = leaves_first(r + x, s, (beta + t) / (alpha + t))
    survived = -(r + x) * np.log1p(t / alpha) - s * np.log1p(t / beta)
    return Next(x, t, of_row, survived, leaves, buys, slope)


def _slopes(theta: ParetoNbdTheta, after: Next, chance: Floats, sign: float) -> Floats:
    """Derivatives of survived + log(chance) by (r, alpha, s, beta); shape (4, n)."""
    r, alpha, s, beta = map(float, theta)
    # k = (beta + t) / (alpha + t): log k falls by alpha, 1/(alpha + t), and rises by beta.
    by_R, by_s, by_k = sign * after.slope / chance
    x, t = after.x, after.t
    return np.array(
        [
            by_R - np.log1p(t / alpha),
            (r + x) * t / (alpha * (alpha + t)) - by_k / (alpha + t),
            by_s - np.log1p(t / beta),
            s * t / (beta * (beta + t)) + by_k / (beta + t),
        ]
    )


def contributions(theta: ParetoNbdTheta, cells: Cells) -> Contributions:
    """The log-likelihood of cells and its derivatives by (r, alpha, s, beta).

    L = Gamma(r+x)/Gamma(r) alpha^-x (P(leaves next, after t_x) + P(buys next, after T)), each
    with the chance of neither up to then; equal to the form of [2]_ by parts.
    """
    r, alpha = float(theta.r), float(theta.alpha)
    last, now = _next(theta, *cells.last_pairs), _next(theta, *cells.pairs)
    xs = cells.levels.values
    by_x = np.zeros((5, len(xs)))
    by_x[0] = log_rising(r, xs) - xs * np.log(alpha)
    by_x[1], by_x[2] = digamma_rise(r, xs), -xs / alpha

    log_left = (last.survived + np.log(last.leaves))[last.of_row]
    log_stayed = (now.survived + np.log(now.buys))[now.of_row]
    log_either = np.logaddexp(log_left, log_stayed)
    by_row = np.empty((5, len(cells)))
    by_row[0] = log_either
    # The slope of log(e^u + e^w): each term's own, by its share.
    by_row[1:] = _slopes(theta, last, last.leaves, 1.0)[:, last.of_row]
    by_row[1:] *= np.exp(log_left - log_either)
    by_row[1:] += (
        np.exp(log_stayed - log_either) * _slopes(theta, now, now.buys, -1.0)[:, now.of_row]
    )
    return Contributions(cells.levels, cells.count, by_x, by_row)


def log_likelihood(theta: ParetoNbdTheta, cells: Cells) -> tuple[float, Floats]:
    """The total log-likelihood of cells and its gradient by (r, alpha, s, beta)."""
    return contributions(theta, cells).total()


def probability_alive(theta: ParetoNbdTheta, history: History) -> Floats:
    """P(alive | x, t_x, T): 1 for T = t_x, and below 1 for one-time buyers too."""
    r, alpha, s, beta = map(float, theta)
    x, t_x, T = history.x, history.t_x, history.T
    last, now = _next(theta, *history.last_pairs), _next(theta, *history.pairs)
    quiet = (r + x) * np.log1p((T - t_x) / (alpha + t_x)) + s * np.log1p((T - t_x) / (beta + t_x))
    log_odds_left = np.log(last.leaves)[last.of_row] + quiet
    alive = np.exp(-np.logaddexp(log_odds_left, np.log(now.buys)[now.of_row]))
    # leaves + buys = 1 where T = t_x, but for rounding
    return np.where(t_x == T, 1.0, np.minimum(alive, 1.0))


def given_alive(theta: ParetoNbdTheta, x: Floats, T: Floats) -> ParetoNbdTheta:
    """The parameters under which a customer who is alive at T is a new customer."""
    r, alpha, s, beta = map(np.asarray, theta)
    return ParetoNbdTheta(r + x, alpha + T, s + 0 * T, beta + T)


def latent(theta: ParetoNbdTheta) -> dict[str, Any]:
    """How lambda and mu are spread over customers, as SciPy's distributions by name."""
    from scipy import stats

    r, alpha, s, beta = map(float, theta)
    return {
        "purchases per {unit} while a customer": stats.gamma(r, scale=1 / alpha),
        "departures per {unit}": stats.gamma(s, scale=1 / beta),
    }


def purchase_rate(theta: ParetoNbdTheta, t: ArrayLike) -> Floats:
    """Expected purchases per unit of time at age t: E[lambda] P(alive at t)."""
    r, alpha, s, beta = map(np.asarray, theta)
    return np.asarray(r / alpha * np.exp(-s * np.log1p(np.asarray(t) / beta)))


def slowing_time(theta: ParetoNbdTheta) -> Floats:
    """The time scale on which the purchase rate of a new customer, (1 + t/beta)^-s, falls."""
    _, _, s, beta = map(np.asarray, theta)
    return np.asarray(beta / np.maximum(s, 1.0))


def probability_of_purchases(theta: ParetoNbdTheta, k: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) = k) of a new customer: those alive at t, and those who left before.

    A customer who leaves at u has made a negative binomial number of purchases by then; this is
    integrated over u, exact to 1e-12 for any k.
    """
    return _discounted_probability(theta, k, t, 0.0)


def mean_discount(theta: ParetoNbdTheta, k: ArrayLike, t: ArrayLike, delta: float) -> Floats:
    """The mean of exp(-delta s) over the times s of the purchases, given X(t) = k >= 1.

    Of a customer who stays until u the times are uniform in (0, u].
    """
    chance = probability_of_purchases(theta, k, t)
    discounted = _discounted_probability(theta, k, t, delta)
    return np.divide(discounted, chance, out=np.ones_like(chance), where=chance > 0)


def probability_of_at_least(theta: ParetoNbdTheta, k: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) >= k), k >= 1: the k-th purchase comes in time, and before the customer leaves."""
    r, alpha, s, beta, k, t = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (*theta, k, t))
    )
    # tau^(k-1) (alpha+tau)^-(r+k) is the density of that time, (beta/(beta+tau))^s the chance to
    # be there still: the integrand of those who leave, with one less of k and s and one more of r.
    log_ways = log_rising(r, k) - sc.gammaln(k)
    flat = (value.ravel() for value in (r + 1, alpha, s - 1, beta, k - 1, t, log_ways))
    columns = np.stack(list(flat))
    parts = [_over_end(0.0, *columns[:, i : i + ROWS]) for i in range(0, columns.shape[1], ROWS)]
    return np.asarray(np.minimum(np.concatenate([*parts, np.zeros(0)]).reshape(k.shape), 1.0))


def _discounted_probability(
    theta: ParetoNbdTheta, k: ArrayLike, t: ArrayLike, delta: float
) -> Floats:
    """P(X(t) = k), times the mean discount of a purchase then."""
    r, alpha, s, beta, k, t = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (*theta, k, t))
    )
    log_ways = log_rising(r, k) - sc.gammaln(k + 1)
    log_nb = log_ways - r * np.log1p(t / alpha) + sc.xlogy(k, t / (alpha + t))
    stayed = np.exp(log_nb - s * np.log1p(t / beta)) * sc.exprel(-delta * t)
    log_ways = log_ways + np.log(s * alpha / beta)
    flat = (value.ravel() for value in (r, alpha, s, beta, k, t, log_ways))
    columns = np.stack(list(flat))
    churned = [
        _over_end(delta, *columns[:, i : i + ROWS]) for i in range(0, columns.shape[1], ROWS)
    ]
    return np.asarray(stayed + np.concatenate([*churned, np.zeros(0)]).reshape(stayed.shape))


class Bump(NamedTuple):
    """The log of NB_k(u) f(u) u, f the density of leaving at u, in w = log(u/alpha): concave."""

    r: Floats
    s: Floats
    k: Floats
    rho: Floats  # alpha / beta

    def height(self, w: Floats) -> Floats:
        """Up to the constants of NB_k and f."""
        r, s, k, rho = self
        odds = np.exp(w)
        return np.asarray((k + 1) * w - (r + k) * np.log1p(odds) - (s + 1) * np.log1p(rho * odds))

    def slope(self, w: Floats) -> Floats:
        """The derivative of ``height``."""
        r, s, k, rho = self
        odds = np.exp(w)
        return np.asarray(
            k + 1 - (r + k) * odds / (1 + odds) - (s + 1) * rho * odds / (1 + rho * odds)
        )

    def mode(self) -> Floats:
        """Where the height is greatest: e^w is the root of a quadratic equation."""
        r, s, k, rho = self
        half = (1 - r + rho * (k - s)) / 2
        root = np.sqrt(half**2 + rho * (r + s) * (k + 1))
        odds = np.where(half > 0, (half + root) / (rho * (r + s)), (k + 1) / (root + np.abs(half)))
        return np.log(odds)

    def reach(self, floor: Floats, end: Floats) -> tuple[Floats, Floats]:
        """From where to where, and not beyond ``end``, the height is above ``floor``.

        Newton steps from the asymptotes, which lie above a concave height, stay outside.
        """
        r, s, k, rho = self
        low = floor / (k + 1)
        high = np.minimum((-floor - (s + 1) * np.log(rho)) / (r + s), end)
        for _ in range(8):
            low = low + np.maximum(floor - self.height(low), 0.0) / self.slope(low)
            beyond = np.maximum(floor - self.height(high), 0.0)
            fall = -self.slope(high)
            high = high - np.divide(beyond, fall, out=np.zeros_like(high), where=beyond > 0)
        return low, high


def _over_end(
    delta: float,
    r: Floats,
    alpha: Floats,
    s: Floats,
    beta: Floats,
    k: Floats,
    t: Floats,
    log_ways: Floats,
) -> Floats:
    """The bump integrated over the end u < t, times the mean discount before u, shape (n,)."""
    bump = Bump(r, s, k, alpha / beta)
    lasting = t > 0
    end = np.log(np.where(lasting, t / alpha, 1.0))
    peak = np.minimum(bump.mode(), end)
    top = bump.height(peak)
    low, high = bump.reach(top - NEGLIGIBLE, end)
    total = np.empty_like(top)
    # The nearest singularities in w are at +-i pi: the wider the range, the more nodes.
    group = np.searchsorted(WIDTHS, high - low)
    for i, nodes in enumerate(2 * NODES * np.array([1, 2, 4])):
        rows = np.flatnonzero(group == i)
        u, weight = legendre(int(nodes))
        w = low[rows, None] + (high - low)[rows, None] * u
        column = Bump(*(value[rows, None] for value in bump))
        mass = weight * np.exp(column.height(w) - top[rows, None])
        if delta > 0:
            mass *= sc.exprel(-delta * alpha[rows, None] * np.exp(w))
        total[rows] = mass.sum(axis=1)  # row by row: a matrix product adds as the shape suits it
    return np.where(lasting, np.exp(log_ways + top) * total * (high - low), 0.0)


def simulate(theta: ParetoNbdTheta, T: Floats, rng: np.random.Generator) -> History:
    """Draw histories of shape (n,) for new customers observed for T.

    Without an event loop: Poisson(lambda min(life, T)) purchases, of which the last of x uniform
    arrival times is Beta(x, 1) min(life, T).
    """
    r, alpha, s, beta = (np.broadcast_to(value, T.shape) for value in theta)
    rate, hazard = rng.gamma(r, 1 / alpha), rng.gamma(s, 1 / beta)
    stay = np.minimum(rng.exponential(size=T.shape) / np.maximum(hazard, 1e-300), T)
    x = rng.poisson(rate * stay)
    last = rng.beta(np.maximum(x, 1), 1.0)
    return History(x.astype(np.float64), np.where(x > 0, last * stay, 0.0), T)


class ParetoNBD(ChangingModel):
    """Pareto/NBD: as ``BetaGeoNBD``, with customers who leave at any time, not after a purchase.

    Parameters
    ----------
    engine, unit, covariates, effect_sd
        As in ``BetaGeoNBD``.

    Examples
    --------
    >>> import pandas as pd
    >>> model = ParetoNBD.from_params(r=.553, alpha=10.578, s=.606, beta=11.669)
    >>> X = pd.DataFrame({"frequency": [26, 0], "recency": [30.86, 0.0], "T": [31.0, 38.86]})
    >>> model.probability_alive(X).round(4)
    array([0.9979, 0.2953])
    >>> model.conditional_expected_purchases(52, X).round(2)
    array([25.46,  0.14])
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    times: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    moves: ClassVar = (("purchases", "alpha", -1), ("leaving", "beta", -1))
    # The last start is for data in which a few leave at once and the others hardly ever.
    starts: ClassVar = ((0.5, 0.5, 0.5, 0.5), (2.0, 1.0, 0.3, 3.0), (0.5, 0.5, 0.01, 1e-4))

    _theta = ParetoNbdTheta
    _contributions = staticmethod(contributions)
    _probability_alive = staticmethod(probability_alive)
    _given_alive = staticmethod(given_alive)
    _latent = staticmethod(latent)
    _purchase_rate = staticmethod(purchase_rate)
    _tabled_rate = staticmethod(purchase_rate)
    _slowing_time = staticmethod(slowing_time)
    _probability_of_purchases = staticmethod(probability_of_purchases)
    _probability_of_at_least = staticmethod(probability_of_at_least)
    _mean_discount = staticmethod(mean_discount)

    def _boundary(self, theta: ParetoNbdTheta, scale: float) -> list[Finding]:
        r, alpha, s, beta = map(float, theta)
        findings = []
        if r > 1e3:
            findings.append(finding("fit.same_rate", rate=r / alpha))
        if r < 1e-4 or alpha / scale < 1e-6:
            findings.append(finding("fit.few_buyers", parameter="r or alpha"))
        hazard = s / beta
        if hazard * scale < 1e-4:
            findings.append(finding("fit.nobody_leaves", parameter="s / beta", when=""))
        elif s > 1e3:
            findings.append(finding("fit.leave_at_one_rate", rate=hazard))
        elif beta / scale < 1e-6:
            share = -float(np.expm1(-s * np.log1p(scale / beta)))
            findings.append(finding("fit.leave_soon", share=share))
        return findings
