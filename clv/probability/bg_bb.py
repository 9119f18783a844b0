"""The BG/BB model of Fader, Hardie & Shang (2010), in discrete time: functions, then the model.

Time is a row of opportunities to buy: years of giving, mailings, cruises. At the start of each a
customer leaves with probability theta ~ Beta(gamma, delta); who is still there buys, once, with
probability p ~ Beta(alpha, beta).

Shared by all functions: ``theta`` = (alpha, beta, gamma, delta), scalars or arrays that broadcast
with the other arguments; ``t`` a time span in opportunities, of which whole ones count; ``history``
= (x, t_x, T) of shape (n,): x of T opportunities used, the t_x-th as the last (0 if none was).

**Given alive, a customer is a new customer** with ``theta`` = (alpha+x, beta+T-x, gamma,
delta+T). So each formula below stands once, for new customers, and depends on the history through
(x, T) only.

All sums run over opportunities, term by term from the ratio of neighbours: nothing cancels, and
gamma = 1, where the closed forms are 0/0, is nothing special.

References
----------
.. [1] Fader, Hardie & Shang (2010), Customer-base analysis in a discrete-time noncontractual
   setting, Marketing Science 29(6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sc
from scipy.linalg import lapack

from clv.errors import InputError, RowError
from clv.findings import Finding, finding
from clv.format import number
from clv.history import Cells, History, distinct
from clv.probability.estimator import Histories, PurchaseModel
from clv.probability.optimize import Contributions
from clv.probability.special import digamma_rise, end_of_horizon, log_rising
from clv.schema import Floats

MOST = 1_000_000  # opportunities in a sum, which take seconds
SOLVED = 2_000_000  # equations at a time, which bound the memory


class BgBbTheta(NamedTuple):
    """alpha, beta of the chance to buy; gamma, delta of the chance to leave."""

    alpha: float | Floats
    beta: float | Floats
    gamma: float | Floats
    delta: float | Floats


def whole(t: ArrayLike) -> Floats:
    """How many opportunities a time span has.

    >>> whole([0.3, 3.0, 12 - 1e-13])  # a year in months, less a rounding error
    array([ 0.,  3., 12.])
    """
    return np.asarray(np.floor(np.asarray(t, dtype=np.float64) + 1e-9))


def _check_length(length: Floats) -> None:
    longest = length.max(initial=0.0)
    if longest > MOST:
        raise InputError(
            f"a sum over {number(longest, 0)} opportunities is too long.",
            hint="give a shorter horizon, a higher discount rate, or time in longer units.",
        )


def _longest_first(length: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An order of rows, and how many of the first have more than i = 0, 1, ... steps to go."""
    _check_length(length)
    steps = np.maximum(length, 0).astype(np.intp)
    longer = np.cumsum(np.bincount(steps)[::-1])[::-1]
    return np.argsort(-steps, kind="stable"), longer[1:]


def silence(theta: BgBbTheta, history: History, slopes: bool = False) -> Floats:
    """P(no purchase in (t_x, T] | alive at t_x), and with ``slopes`` its derivatives by theta.

    Nothing is heard after t_x of those who leave before they would buy, R(t_x), nor of those who
    are still silent at T, C, and buy before they would leave, 1 - R(T): S = R(t_x) + C (1 - R(T)).
    This holds for every R that obeys R(m) = leaves + stays misses R(m + 1), so it is solved
    backwards from 0 at an end beyond T, once per x. Shape (1, n) or (5, n).
    """
    _check_length(history.T)
    silent = np.empty((5 if slopes else 1, len(history)))
    # An end for all T up to a power of two, so that a row is worked out alike in every company.
    size = np.maximum(np.ceil(np.log2(history.T + 1)), 5)
    for power in np.unique(size):
        of_size = np.flatnonzero(size == power)
        (xs,), level = distinct(history.x[of_size])
        end, order = int(2**power), np.argsort(level, kind="stable")
        most = max(SOLVED // end, 1)  # values of x at a time
        for first in range(0, len(xs), most):
            part = slice(*np.searchsorted(level[order], [first, first + most]))
            rows = of_size[order[part]]
            R = _leaves_first(theta, xs[first : first + most], end, slopes)
            place = (level[order[part]] - first) * end
            silent[:, rows] = _either(theta, history.where(rows), R, place)
    return silent


def _leaves_first(theta: BgBbTheta, x: Floats, end: int, slopes: bool) -> Floats:
    """R(m) for m = 0, ..., end - 1 of each x, and its derivatives by theta: (1 or 5, rows)."""
    alpha, beta, gamma, delta = map(float, theta)
    m = np.tile(np.arange(float(end)), len(x))
    x = np.repeat(x, end)
    p_total, q_total = alpha + beta + m, gamma + delta + m  # of the Beta of p, of theta
    leaves, stays = gamma / q_total, (delta + m) / q_total
    misses = np.maximum(beta + m - x, 0.0) / p_total  # nobody reads what m < x gives
    quiet = stays * misses
    quiet[end - 1 :: end] = 0.0
    R = _backwards(quiet, leaves[:, None])
    if not slopes:
        return R.T
    later = np.append(R[1:, 0], 0.0)
    later[end - 1 :: end] = 0.0
    # The product rule: a miss is less likely by alpha, staying by gamma.
    by_alpha, by_gamma = -quiet / p_total * later, stays / q_total * (1 - misses * later)
    by_beta = stays / p_total * later * (alpha + x) / p_total
    by_delta = -leaves / q_total * (1 - misses * later)
    return np.vstack(
        [R.T, _backwards(quiet, np.column_stack([by_alpha, by_beta, by_gamma, by_delta])).T]
    )


def _backwards(factor: Floats, term: Floats) -> Floats:
    """The solution of R(m) = term(m) + factor(m) R(m + 1), from the last row to the first."""
    one, none = np.ones(len(factor)), np.zeros(len(factor) - 1)
    *_, solved, _ = lapack.dgtsv(none, one, -factor[:-1], term)
    return np.asarray(solved)


def _either(theta: BgBbTheta, history: History, R: Floats, place: NDArray[np.intp]) -> Floats:
    """S = R(t_x) + C (1 - R(T)) of each row, and its derivatives if R has them."""
    alpha, beta, gamma, delta = map(float, theta)
    last, now = (R[:, place + t.astype(np.intp)] for t in (history.t_x, history.T))
    missed, t_x, gap = history.t_x - history.x, history.t_x, history.T - history.t_x
    risen = [beta + missed, alpha + beta + t_x, delta + t_x, gamma + delta + t_x]
    C = np.exp(log_rising(risen[0], gap) - log_rising(risen[1], gap))
    C *= np.exp(log_rising(risen[2], gap) - log_rising(risen[3], gap))
    S = last - C * now
    S[0] += C
    if len(R) > 1:
        by_beta, by_both, by_delta, by_life = (C * digamma_rise(z, gap) for z in risen)
        by_C = [-by_both, by_beta - by_both, -by_life, by_delta - by_life]
        S[1:] += np.array(by_C) * (1 - now[0])
    return S


def contributions(theta: BgBbTheta, cells: Cells) -> Contributions:
    """The log-likelihood of cells and its derivatives by theta [1]_.

    x purchases up to t_x, still there, then silence. Ratios of gamma functions are taken once per
    whole number.
    """
    alpha, beta, gamma, delta = map(float, theta)
    xs = cells.levels.values
    by_x = np.zeros((5, len(xs)))
    by_x[:2] = log_rising(alpha, xs), digamma_rise(alpha, xs)

    last, missed = cells.t_x.astype(np.intp), (cells.t_x - cells.x).astype(np.intp)
    k = np.arange(last.max(initial=0) + 1.0)
    of_beta, of_both, of_delta, of_life = (
        np.array([log_rising(z, k), digamma_rise(z, k)])[:, index]
        for z, index in ((beta, missed), (alpha + beta, last), (delta, last), (gamma + delta, last))
    )
    quiet = silence(theta, cells, slopes=True)
    by_row = quiet / quiet[0]
    by_row[0] = np.log(quiet[0]) + of_beta[0] - of_both[0] + of_delta[0] - of_life[0]
    by_row[1] -= of_both[1]
    by_row[2] += of_beta[1] - of_both[1]
    by_row[3] -= of_life[1]
    by_row[4] += of_delta[1] - of_life[1]
    return Contributions(cells.levels, cells.count, by_x, by_row)


def log_likelihood(theta: BgBbTheta, cells: Cells) -> tuple[float, Floats]:
    """The total log-likelihood of cells and its gradient by (alpha, beta, gamma, delta)."""
    return contributions(theta, cells).total()


def probability_alive(theta: BgBbTheta, history: History) -> Floats:
    """P(alive at T | x, t_x, T): 1 for T = t_x, and below 1 for one-time buyers too.

    [1]_ and other packages print P(alive at T + 1), who is still there for the next opportunity:
    see ``probability_alive_next``.
    """
    alpha, beta, gamma, delta = map(float, theta)
    x, t_x, gap = history.x, history.t_x, history.T - history.t_x
    stayed = log_rising(beta + t_x - x, gap) - log_rising(alpha + beta + t_x, gap)
    stayed += log_rising(delta + t_x, gap) - log_rising(gamma + delta + t_x, gap)
    return np.asarray(np.minimum(np.exp(stayed) / silence(theta, history)[0], 1.0))


def probability_alive_next(theta: BgBbTheta, history: History) -> Floats:
    """P(alive at T + 1 | x, t_x, T), as [1]_ prints it: at T, and staying once more."""
    _, _, gamma, delta = map(float, theta)
    stays = (delta + history.T) / (gamma + delta + history.T)
    return np.asarray(probability_alive(theta, history) * stays)


def given_alive(theta: BgBbTheta, x: Floats, T: Floats) -> BgBbTheta:
    """The parameters under which a customer who is alive at T is a new customer.

    More purchases than opportunities, which a table over (x, T) may ask for, count as T.
    """
    alpha, beta, gamma, delta = map(np.asarray, theta)
    return BgBbTheta(alpha + x, beta + np.maximum(T - x, 0.0), gamma + 0 * T, delta + T)


def latent(theta: BgBbTheta) -> dict[str, Any]:
    """How p and theta are spread over customers, as SciPy's distributions by name."""
    from scipy import stats

    alpha, beta, gamma, delta = map(float, theta)
    return {
        "chance to buy at an opportunity": stats.beta(alpha, beta),
        "chance to leave before an opportunity": stats.beta(gamma, delta),
    }


def discounted_purchases(theta: BgBbTheta, t: ArrayLike, discount: ArrayLike) -> Floats:
    """Expected purchases of a new customer in (0, t], the one at j worth exp(-discount j).

    E[p] times the opportunities at which the customer is alive. Several discount rates add a last
    axis.
    """
    alpha, beta, _, _ = (np.asarray(value, dtype=np.float64) for value in theta)
    rates = np.asarray(discount, dtype=np.float64)
    alive = _while_alive(theta, t, lambda j: np.exp(-rates * j))
    return np.asarray((alpha / (alpha + beta))[(..., *[None] * rates.ndim)] * alive)


def discounted_pairs(theta: BgBbTheta, t: ArrayLike, discount: float) -> Floats:
    """The mean of exp(-discount (i + j)) over ordered pairs of purchases i != j, summed over them.

    E[p^2] times the pairs of opportunities at which the customer is alive, as at the later one.
    """
    alpha, beta, _, _ = (np.asarray(value, dtype=np.float64) for value in theta)
    n = alpha + beta
    first = np.exp(-discount)

    def with_earlier(j: int) -> Floats:
        earlier = first * (j - 1) * sc.exprel(-discount * (j - 1)) / sc.exprel(-discount)
        return np.asarray(2 * np.exp(-discount * j) * earlier)

    return np.asarray(alpha / n * ((alpha + 1) / (n + 1)) * _while_alive(theta, t, with_earlier))


def _while_alive(theta: BgBbTheta, t: ArrayLike, weight: Callable[[int], Floats]) -> Floats:
    """The sum over opportunities j = 1, 2, ... in (0, t] of P(alive at j) weight(j).

    Once per distinct (gamma, delta, t); the axes of ``weight`` come last.
    """
    alpha, _, gamma, delta, n = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (*theta, whole(t)))
    )
    (gammas, deltas, ns), of_row = distinct(gamma.ravel(), delta.ravel(), n.ravel())
    order, longer = _longest_first(ns)
    gammas, deltas, shape = gammas[order], deltas[order], weight(1).shape
    alive, total = np.ones((len(ns), 1)), np.zeros((len(ns), weight(1).size))
    for j, rows in enumerate(longer, 1):
        # P(alive at j) = (delta + j - 1) / (gamma + delta + j - 1) P(alive at j - 1)
        lives = deltas[:rows] + (j - 1)
        alive[:rows, 0] *= lives / (gammas[:rows] + lives)
        total[:rows] += alive[:rows] * weight(j).ravel()
    result = np.empty_like(total)
    result[order] = total
    return result[of_row].reshape(alpha.shape + shape)


def probability_of_purchases(theta: BgBbTheta, k: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) = k) of a new customer; eq. 7 of [1]_."""
    return _over_lives(theta, k, t, _ends)


def probability_of_at_least(theta: BgBbTheta, k: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) >= k), k >= 1: alive at an opportunity of (0, t] that is used as the k-th."""

    def is_last(k: Floats, n: Floats, m: Floats, leaves: Floats) -> Floats:
        return k / m  # the chance that the last of m opportunities is among the k that are used

    return np.minimum(_over_lives(theta, k, t, is_last), 1.0)


def mean_discount(theta: BgBbTheta, k: ArrayLike, t: ArrayLike, delta: float) -> Floats:
    """The mean of exp(-delta j) over the opportunities j that are used, given X(t) = k >= 1.

    Of a customer who stays for m opportunities, any k of them are as likely; 1 where X(t) = k
    cannot be.
    """

    def discount_weight(k: Floats, n: Floats, m: Floats, leaves: Floats) -> Floats:
        mean = np.exp(-delta) * sc.exprel(-delta * m) / sc.exprel(-delta)
        return np.asarray(_ends(k, n, m, leaves) * mean)

    chance, total = probability_of_purchases(theta, k, t), _over_lives(theta, k, t, discount_weight)
    return np.divide(total, chance, out=np.ones_like(chance), where=chance > 0)


def _ends(k: Floats, n: Floats, m: Floats, leaves: Floats) -> Floats:
    """The chance that m opportunities are all: the customer leaves then, or they are over."""
    return np.where(m < n, leaves, 1.0)


Weight = Callable[[Floats, Floats, Floats, Floats], Floats]


def _over_lives(theta: BgBbTheta, k: ArrayLike, t: ArrayLike, weight: Weight) -> Floats:
    """The sum over m = k, ..., t of P(alive at m, having bought k times) weight(k, t, m, leaves).

    ``leaves`` is the chance that the customer leaves before the next opportunity.
    """
    arrays = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (*theta, k, whole(t)))
    )
    columns = np.stack([value.ravel() for value in arrays])
    order, longer = _longest_first(columns[5] - columns[4] + 1)
    columns = columns[:, order]
    alpha, beta, gamma, delta, ks, _ = columns
    log_chance = log_rising(alpha, ks) - log_rising(alpha + beta, ks)
    log_chance += log_rising(delta, ks) - log_rising(gamma + delta, ks)
    total = np.zeros(len(order))
    for i, rows in enumerate(longer):
        alpha, beta, gamma, delta, ks, n = columns[:, :rows]
        m, chance = ks + i, log_chance[:rows]
        lived = gamma + delta + m
        total[:rows] += np.exp(chance) * weight(ks, n, m, gamma / lived)
        # One more opportunity, missed: C(m + 1, k) / C(m, k), P(miss), P(stay); all three in logs,
        # as the binomial coefficient overflows at m = 1,030.
        chance += np.log((m + 1) / (i + 1) * ((beta + i) / (alpha + beta + m)))
        chance += np.log((delta + m) / lived)
    result = np.empty_like(total)
    result[order] = total
    return result.reshape(arrays[0].shape)


def simulate(theta: BgBbTheta, T: Floats, rng: np.random.Generator) -> History:
    """Draw histories of shape (n,) for new customers observed for T, of which whole ones count.

    Without an event loop: backwards from the end of a customer's life, the last purchase is as far
    away as the first success of many trials, and each opportunity before it is used or not.
    """
    alpha, beta, gamma, delta = (np.broadcast_to(value, T.shape) for value in theta)
    p = np.clip(rng.beta(alpha, beta), 1e-15, 1.0)
    lives = rng.geometric(np.clip(rng.beta(gamma, delta), 1e-15, 1.0)) - 1
    last = np.minimum(lives, whole(T)) - (rng.geometric(p) - 1)
    before = rng.binomial(np.maximum(last - 1, 0).astype(np.intp), p)
    bought = last > 0
    return History(np.where(bought, 1.0 + before, 0.0), np.where(bought, last, 0.0), whole(T))


class BetaGeoBetaBinomial(PurchaseModel):
    """BG/BB: as ``BetaGeoNBD``, for customers who can buy once at each of a row of opportunities.

    recency and T count opportunities: the T-th was the last one observed, and the customer used
    ``frequency`` of them. A horizon counts the whole opportunities in it. A summary in days is one
    as well: each day is an opportunity, as all orders of a day are one.

    Parameters
    ----------
    unit
        The unit of time from one opportunity to the next, such as "year"; taken from the ``unit``
        column of the summaries if not given.
    engine
        ``"native"``, or ``"lifetimes"`` to fit through that package.

    Examples
    --------
    >>> import pandas as pd
    >>> model = BetaGeoBetaBinomial.from_params(alpha=1.204, beta=.750, gamma=.657, delta=2.783)
    >>> X = pd.DataFrame({"frequency": [4, 0], "recency": [5, 0], "T": [6, 6]})
    >>> model.probability_alive(X).round(3)
    array([0.749, 0.116])
    >>> model.probability_alive_next(X).round(3)  # as in the paper
    array([0.697, 0.108])
    >>> model.conditional_expected_purchases(10, X).round(2)
    array([3.63, 0.13])
    """

    names: ClassVar[tuple[str, ...]] = ("alpha", "beta", "gamma", "delta")
    times: ClassVar[tuple[str, ...]] = ()
    starts: ClassVar = ((1.0, 1.0, 0.5, 3.0), (0.5, 5.0, 0.3, 10.0), (0.5, 2.0, 1e-3, 0.03))

    _theta = BgBbTheta
    _contributions = staticmethod(contributions)
    _probability_alive = staticmethod(probability_alive)
    _given_alive = staticmethod(given_alive)
    _latent = staticmethod(latent)
    _probability_of_purchases = staticmethod(probability_of_purchases)
    _probability_of_at_least = staticmethod(probability_of_at_least)
    _mean_discount = staticmethod(mean_discount)

    def _discounted(
        self, theta: BgBbTheta, horizon: Floats, delta: ArrayLike, tabled: bool = False
    ) -> Floats:
        return discounted_purchases(theta, end_of_horizon(horizon, delta), delta)

    def probability_alive_next(self, X: Histories) -> Floats:
        """P(the customer is there for the opportunity T + 1), shape (n,), as papers and peers say.

        ``probability_alive`` is at T, the end of what was observed, as for every model here: nobody
        has then left before the next opportunity yet.
        """
        return probability_alive_next(self._parameters(), self._read(X))

    def discounted_purchase_pairs(self, t: ArrayLike, delta: float, X: Histories) -> Floats:
        """As for every model: the mean of exp(-delta (i + j)) over pairs of purchases, summed."""

        def pairs(theta: BgBbTheta, horizon: Floats) -> Floats:
            return discounted_pairs(theta, end_of_horizon(horizon, delta), delta)

        alive, given_alive = self._given_alive_by_pair(X, t, pairs)
        return alive * given_alive

    def _check(self, history: History) -> None:
        """Histories are rows of whole opportunities, each used at most once."""
        x, t_x, T = history.x, history.t_x, history.T
        for bad, what in (
            ((t_x != np.floor(t_x)) | (np.floor(T) != T), "recency or T is not a whole number"),
            (x > t_x, "frequency is above recency, more purchases than opportunities,"),
        ):
            if bad.any():
                examples = np.flatnonzero(bad)[:3]
                count = history.count[bad].sum() if isinstance(history, Cells) else bad.sum()
                raise RowError.of(
                    what,
                    int(count),
                    [f"frequency={x[i]} recency={t_x[i]} T={T[i]}" for i in examples],
                    hint="BG/BB counts opportunities to buy, each used once or not: summarize in "
                    "days, or number the weeks, years or mailings; BG/NBD takes any time.",
                )

    def _boundary(self, theta: BgBbTheta, scale: float) -> list[Finding]:
        alpha, beta, gamma, delta = map(float, theta)
        return [*_about_buying(alpha, beta), *_about_leaving(gamma, delta)]


def _about_buying(alpha: float, beta: float) -> list[Finding]:
    buys = alpha / (alpha + beta)
    if buys > 1 - 1e-4:
        return [finding("fit.always_buy")]
    if alpha + beta > 1e4:
        return [finding("fit.buy_alike", chance=buys)]
    if alpha + beta < 1e-4:
        return [finding("fit.buy_or_never", share=buys)]
    return [finding("fit.few_buyers", parameter="alpha")] if alpha < 1e-4 else []


def _about_leaving(gamma: float, delta: float) -> list[Finding]:
    leaves, both = gamma / (gamma + delta), "gamma and delta"
    if leaves < 1e-4:
        return [finding("fit.nobody_leaves_discrete")]
    if leaves > 1 - 1e-4:
        when = "before the first opportunity"
        return [finding("fit.all_leave", parameter="delta", when=when)]
    if gamma + delta > 1e4:
        alike = {"parameters": both, "event": "an opportunity", "of": ""}
        return [finding("fit.leave_alike_before", chance=leaves, **alike)]
    if gamma + delta < 1e-4:
        when = "before the first opportunity"
        return [finding("fit.leave_or_never", parameters=both, share=leaves, when=when)]
    return []
