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

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sc

from clv.findings import Finding, finding
from clv.history import Cells, History, distinct
from clv.probability.clock_model import ClockModel
from clv.probability.optimize import Contributions, blocks
from clv.probability.special import beta_mean_power, by_table, digamma_rise, legendre, log_rising
from clv.schema import Floats


class BgNbdTheta(NamedTuple):
    """r, alpha (in the data's time unit), a, b."""

    r: float | Floats
    alpha: float | Floats
    a: float | Floats
    b: float | Floats


def by_count(theta: BgNbdTheta, xs: Floats, events: Floats, first: int) -> tuple[Floats, Floats]:
    """What of the log-likelihood and its derivatives depends on x alone, and occasions to leave.

    ``events`` are those of the Poisson process until the last purchase, the repeat purchases ``xs``
    themselves where each event is one.
    """
    r, alpha, a, b = map(float, theta)
    occasions = xs + first
    rise_ab = digamma_rise(a + b, occasions)
    purchases = log_rising(r, events) - events * np.log(alpha)
    rows = [
        purchases + log_rising(b, occasions) - log_rising(a + b, occasions),
        digamma_rise(r, events),
        -events / alpha,
        -rise_ab,
        digamma_rise(b, occasions) - rise_ab,
    ]
    return np.array(rows), occasions


def contributions(theta: BgNbdTheta, cells: Cells, first: int = 0) -> Contributions:
    """The log-likelihood of cells and its derivatives by (r, alpha, a, b); eq. 6 of [1]_.

    Powers stay in logs, gamma functions are taken once per distinct x and as ratios that stay
    exact when a parameter grows without bound, and log1p keeps small t/alpha.

    ``first`` is 1 where customers can leave after the first purchase too (MBG/NBD): then a
    customer had x + 1 occasions to leave instead of x.
    """
    r, alpha, a, b = map(float, theta)
    levels = cells.levels
    by_x, occasions = by_count(theta, levels.values, levels.values, first)
    after = np.where(occasions > 0, b + (occasions - 1), np.inf)  # without one nobody leaves
    by_row = np.empty((5, len(cells)))
    for rows in blocks(len(cells)):
        x, T, t_x, of_row = cells.x[rows], cells.T[rows], cells.t_x[rows], levels.of_row[rows]
        part = by_row[:, rows]
        log_T, log_t = np.log1p(T / alpha), np.log1p(t_x / alpha)
        # The two terms of eq. 6, left at t_x or stayed until T, as log odds: where one vanishes the
        # other does not overflow.
        odds = (np.log(a) - np.log(after))[of_row] + (r + x) * (log_T - log_t)  # left : stayed
        log_either = np.maximum(odds, 0.0) + np.log1p(np.exp(-np.abs(odds)))
        # P(left at t_x | data): the share of that term in every derivative.
        share_left = np.exp(odds - log_either)
        in_T, in_t = T / (alpha + T), t_x / (alpha + t_x)
        part[0] = log_either - (r + x) * log_T
        part[1] = share_left * (log_T - log_t) - log_T
        part[2] = (r + x) * (in_T + share_left * (in_t - in_T)) / alpha
        part[3] = share_left / a
        part[4] = -share_left * (1 / after)[of_row]
    return Contributions(levels, cells.count, by_x, by_row)


def log_likelihood(theta: BgNbdTheta, cells: Cells, first: int = 0) -> tuple[float, Floats]:
    """The total log-likelihood of cells and its gradient by (r, alpha, a, b)."""
    return contributions(theta, cells, first).total()


def probability_alive(theta: BgNbdTheta, history: History, first: int = 0) -> Floats:
    """P(alive | x, t_x, T) [1]_: 1 for x = 0, as nobody leaves before a repeat purchase.

    In place, as for many millions of customers memory is what takes the time.
    """
    r, alpha, a, b = theta
    x, occasions = history.x, history.x + first
    # log(a / (b + x - 1)) + (r + x) log((alpha + T) / (alpha + t_x)): the log odds of having left
    odds = history.T - history.t_x
    odds /= alpha + history.t_x
    np.log1p(odds, out=odds)
    odds *= r + x
    odds += np.log(a) - np.log(np.where(occasions > 0, b + (occasions - 1), 1.0))
    alive = sc.expit(np.negative(odds, out=odds), out=odds)
    alive[occasions == 0] = 1.0
    return np.asarray(alive)


def given_alive(theta: BgNbdTheta, x: Floats, T: Floats, first: int = 0) -> BgNbdTheta:
    """The parameters under which a customer who is alive at T is a new customer."""
    r, alpha, a, b = map(np.asarray, theta)
    return BgNbdTheta(r + x, alpha + T, a, b + x + first)


def latent(theta: BgNbdTheta) -> dict[str, Any]:
    """How lambda and p are spread over customers, as SciPy's distributions by name."""
    from scipy import stats

    r, alpha, a, b = map(float, theta)
    return {
        "purchases per {unit} while a customer": stats.gamma(r, scale=1 / alpha),
        "chance to leave after a purchase": stats.beta(a, b),
    }


def purchase_rate(theta: BgNbdTheta, t: ArrayLike) -> Floats:
    """Expected purchases per unit of time at age t, dE[X(t)]/dt = E[lambda exp(-lambda p t)].

    It equals (r/alpha) E[(1 + p t/alpha)^-(r+1)], finite where the textbook expectation is 0/0.
    """
    r, alpha, a, b = map(np.asarray, theta)
    return np.asarray(r / alpha * beta_mean_power(a, b, r + 1, np.asarray(t) / alpha))


def tabled_rate(theta: BgNbdTheta, t: ArrayLike) -> Floats:
    """``purchase_rate`` by a table per distinct (r, a, b): for many customers of few kinds.

    Within a kind the mean power depends on y = t/alpha alone, and is smooth in log(1 + (r+1) y).
    """
    r, alpha, a, b = map(np.asarray, theta)
    r, a, b = np.broadcast_arrays(r, a, b)
    (r_kind, a_kind, b_kind), kind = distinct(r.ravel(), a.ravel(), b.ravel())
    s = r + 1

    def mean_power(of: NDArray[np.intp], v: Floats) -> Floats:
        s = r_kind[of] + 1
        return beta_mean_power(a_kind[of], b_kind[of], s, np.expm1(v) / s)[None]

    y = np.asarray(t) / alpha
    (power,) = by_table(mean_power, kind.reshape(r.shape), np.log1p(s * y))
    return np.asarray(r / alpha * np.clip(power, 0.0, 1.0))


def slowing_time(theta: BgNbdTheta) -> Floats:
    """The time scale on which the purchase rate of a new customer falls.

    The rate is r/alpha E[(1 + p t/alpha)^-(r+1)], so it has fallen noticeably when t reaches
    alpha, or 1 over its initial slope where many purchases give many occasions to leave.
    """
    r, alpha, a, b = map(np.asarray, theta)
    return np.asarray(alpha * np.minimum(1.0, (1 + b / a) / (r + 1)))


def probability_of_purchases(theta: BgNbdTheta, k: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) = k) of a new customer; eq. 8 of [1]_."""
    stayed, churned = _stayed_or_left(theta, k, t)
    return stayed + churned


def _stayed_or_left(theta: BgNbdTheta, k: ArrayLike, t: ArrayLike) -> tuple[Floats, Floats]:
    """P(X(t) = k) of those still there at t, and of those who left at their k-th purchase."""
    r, alpha, a, b = map(np.asarray, theta)
    k, t = np.asarray(k, dtype=np.float64), np.asarray(t, dtype=np.float64)
    k_positive = np.maximum(k, 1.0)
    log_nb = log_rising(r, k) - sc.gammaln(k + 1) - r * np.log1p(t / alpha)
    log_nb += sc.xlogy(k, t / (alpha + t))
    stayed = np.exp(log_rising(b, k) - log_rising(a + b, k) + log_nb)
    churned = a * np.exp(log_rising(b, k_positive - 1) - log_rising(a + b, k_positive))
    return stayed, np.asarray((k > 0) * churned * sc.betainc(k_positive, r, t / (alpha + t)))


def probability_of_at_least(theta: BgNbdTheta, k: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) >= k), k >= 1: the k-th purchase would come in time, and k - 1 before it kept."""
    r, alpha, a, b = map(np.asarray, theta)
    k, t = np.asarray(k, dtype=np.float64), np.asarray(t, dtype=np.float64)
    stays = np.exp(log_rising(b, k - 1) - log_rising(a + b, k - 1))
    return np.asarray(stays * sc.betainc(k, r, t / (alpha + t)))


def mean_discount(
    theta: BgNbdTheta,
    k: ArrayLike,
    t: ArrayLike,
    delta: float,
    chances: tuple[Floats, Floats] | None = None,
) -> Floats:
    """The mean of exp(-delta s) over the times s of the purchases, given X(t) = k >= 1.

    Those who stayed bought at uniform times in (0, t]; those who left at tau, their k-th purchase,
    at tau and k - 1 uniform times before it, with tau/(alpha + tau) ~ Beta(k, r) up to t.
    ``chances`` are those of the two ways, if they are not those of this model.
    """
    r, alpha, _, _ = (np.asarray(value)[..., None] for value in theta)
    stayed, churned = chances or _stayed_or_left(theta, k, t)
    k, t = np.asarray(k, dtype=np.float64), np.asarray(t, dtype=np.float64)
    ks, end = k[..., None], np.log(np.where(t > 0, t, 1.0)[..., None] / alpha)
    # In w = log(tau/alpha) the density k w - (r+k) log(1+e^w) has its mode at log(k/r), the
    # curvature kr/(k+r) there, and tails that fall like e^(kw) and e^(-rw).
    mode, width = np.log(ks / r), 5 * np.sqrt(1 / ks + 1 / r)
    high = np.minimum(mode + width + 24 / r, end)
    low = np.minimum(mode, high) - width - 24 / ks
    u, weight = legendre(48)
    w = low + (high - low) * u
    log_density = ks * w - (r + ks) * np.logaddexp(0.0, w)
    density = weight * np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    tau = delta * alpha * np.exp(w)
    discount = ((ks - 1) * sc.exprel(-tau) + np.exp(-tau)) / ks
    at_leaving = (density * discount).sum(axis=-1) / density.sum(axis=-1)
    either = stayed + churned
    share_churned = np.divide(churned, either, out=np.zeros_like(either), where=either > 0)
    return np.asarray((1 - share_churned) * sc.exprel(-delta * t) + share_churned * at_leaving)


def simulate(theta: BgNbdTheta, T: Floats, rng: np.random.Generator, first: int = 0) -> History:
    """Draw histories of shape (n,) for new customers observed for T.

    Without an event loop: of the N ~ Poisson(lambda T) purchases a customer would make, the first
    min(N, G) happen, G ~ Geometric(p); the x-th of N uniform arrival times is Beta(x, N-x+1) T.
    """
    r, alpha, a, b = (np.broadcast_to(value, T.shape) for value in theta)
    would = rng.poisson(rng.gamma(r, 1 / alpha) * T)
    leaves = rng.geometric(np.clip(rng.beta(a, b), 1e-15, 1.0)) - first
    x = np.minimum(would, leaves)
    last = rng.beta(np.maximum(x, 1), np.maximum(would - x, 0) + 1)
    return History(x.astype(np.float64), np.where(x > 0, last * T, 0.0), T)


class BetaGeoNBD(ClockModel):
    """BG/NBD: how often customers buy, and whether they are still customers.

    Parameters
    ----------
    unit
        Time unit of the summaries it reads; taken from their ``unit`` column if not given.
    engine
        ``"native"``, or ``"lifetimes"`` to fit through that package.
    covariates, effect_sd
        Columns of the summary that move the parameters, such as ``["channel"]``, and how far: the
        standard deviation of a normal prior of each effect, None for no prior. See
        ``CovariateModel``. Those that change over time, see ``with_changes`` and ``with_season``,
        move purchases alone.

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
    times: ClassVar[tuple[str, ...]] = ("alpha",)
    moves: ClassVar = (
        ("purchases", "alpha", -1),
        ("leaving", "a", 1),
        ("staying", "b", 1),
    )
    # The last start is for data in which a few leave at once and the others never.
    starts: ClassVar = ((0.5, 0.5, 0.7, 2.0), (2.0, 1.0, 0.1, 5.0), (0.5, 0.5, 1e-3, 0.03))

    _theta = BgNbdTheta
    _contributions = staticmethod(contributions)
    _probability_alive = staticmethod(probability_alive)
    _given_alive = staticmethod(given_alive)
    _latent = staticmethod(latent)
    _purchase_rate = staticmethod(purchase_rate)
    _tabled_rate = staticmethod(tabled_rate)
    _slowing_time = staticmethod(slowing_time)
    _probability_of_purchases = staticmethod(probability_of_purchases)
    _probability_of_at_least = staticmethod(probability_of_at_least)
    _mean_discount = staticmethod(mean_discount)

    def _boundary(self, theta: BgNbdTheta, scale: float) -> list[Finding]:
        r, alpha, a, b = map(float, theta)
        findings = []
        if r > 1e3:
            findings.append(finding("fit.same_rate", rate=r / alpha))
        leaving, first = a / (a + b), "right after the first repeat purchase"
        if leaving < 1e-4:
            when = " after a purchase"
            findings.append(finding("fit.nobody_leaves", parameter="a", when=when))
        elif leaving > 1 - 1e-4:
            findings.append(finding("fit.all_leave", parameter="b", when=first))
        elif a + b > 1e4:
            alike = {"parameters": "a and b", "when": "after each purchase"}
            findings.append(finding("fit.leave_alike", chance=leaving, **alike))
        elif a + b < 1e-4:
            says = finding("fit.leave_or_never", parameters="a and b", share=leaving, when=first)
            findings.append(says)
        if r < 1e-4 or alpha / scale < 1e-6:
            findings.append(finding("fit.few_buyers", parameter="r or alpha"))
        return findings
