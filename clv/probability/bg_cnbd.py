"""The BG/CNBD-k model of Reutterer, Platzer & Schröder (2021): customers who buy regularly.

As BG/NBD, but a purchase is every k-th event of the Poisson process, so that waiting times are
Erlang-k: nearer to their mean the larger k is. The events between two purchases are *stages* that
nobody sees; ``theta`` = (r, alpha, a, b, k, stage), lambda being the rate of stages and ``stage``
how many of them have passed since the last purchase. k = 1 is BG/NBD.

**Given alive and a stage, a customer is a new customer** who has got that far. The stage of a
customer who is alive is known by chances alone, which depend on (x, t_x, T); an x with a fraction
of j/k stands for stage j.

References
----------
.. [1] Reutterer, Platzer & Schröder (2021), Leveraging purchase regularity for predicting customer
   behavior the easy way, International Journal of Research in Marketing 38(1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sc

from clv.errors import InputError
from clv.findings import Finding
from clv.history import Cells, History, distinct
from clv.periods import Unit
from clv.probability import bg_nbd
from clv.probability.estimator import Histories, PurchaseModel
from clv.probability.fitted import Engine
from clv.probability.optimize import Contributions
from clv.probability.special import beta_mean_power, by_table, digamma_rise, legendre, log_rising
from clv.probability.stage_rates import mean_by_stage
from clv.schema import Floats

MOST = 12  # the largest k that is tried
STEPS = 24  # of time within which pairs of purchases are discounted alike


class CnbdTheta(NamedTuple):
    """r, alpha (in the data's time unit), a, b, k, and the stage a customer has reached."""

    r: float | Floats
    alpha: float | Floats
    a: float | Floats
    b: float | Floats
    k: int = 1
    stage: float | Floats = 0.0


def contributions(theta: CnbdTheta, cells: Cells, first: int = 0) -> Contributions:
    """The log-likelihood of cells and its derivatives by (r, alpha, a, b); [1]_, eq. 5.

    That of (x, t_x, T), over what Poisson purchases would give to the times between: whatever the
    k, it stands beside that of BG/NBD. ``first`` is as there.
    """
    r, alpha, a, b = map(float, theta[:4])
    k, levels = int(theta.k), cells.levels
    xs, n = levels.values, theta.k * levels.values
    by_x, occasions = bg_nbd.by_count(bg_nbd.BgNbdTheta(*theta[:4]), xs, n, first)
    by_x[0] -= np.where(xs > 0, sc.gammaln(np.maximum(n, 1)) - sc.gammaln(np.maximum(xs, 1)), 0.0)

    after = np.where(occasions > 0, b + (occasions - 1), np.inf)
    s = r + k * cells.x
    log_T, log_t = np.log1p(cells.T / alpha), np.log1p(cells.t_x / alpha)
    log_u = np.log(np.maximum((cells.T - cells.t_x) / (alpha + cells.T), 1e-300))
    share, log_stages = stage_shares(s, log_u, k)
    j = np.arange(k)[:, None]
    odds = (np.log(a) - np.log(after))[levels.of_row] + s * (log_T - log_t) - log_stages
    log_either = np.maximum(odds, 0.0) + np.log1p(np.exp(-np.abs(odds)))
    left = np.exp(odds - log_either)
    in_T, in_t = cells.T / (alpha + cells.T), cells.t_x / (alpha + cells.t_x)
    mean_stage = (share * j).sum(axis=0)
    by_r = (share * digamma_rise(s[None], j)).sum(axis=0)
    by_row = np.empty((5, len(s)))
    between = (k - 1) * cells.x * np.log(np.maximum(cells.t_x, 1e-300))
    by_row[0] = log_either - s * log_T + log_stages + between
    by_row[1] = left * (log_T - log_t) - log_T + (1 - left) * by_r
    by_row[2] = s * (in_T + left * (in_t - in_T)) / alpha
    by_row[2] -= (1 - left) * mean_stage / (alpha + cells.T)
    by_row[3] = left / a
    by_row[4] = -left * (1 / after)[levels.of_row]
    return Contributions(levels, cells.count, by_x, by_row)


def log_likelihood(theta: CnbdTheta, cells: Cells, first: int = 0) -> tuple[float, Floats]:
    """The total log-likelihood of cells and its gradient by (r, alpha, a, b)."""
    return contributions(theta, cells, first).total()


def stage_shares(s: Floats, log_u: Floats, k: int) -> tuple[Floats, Floats]:
    """The chances of each stage given alive, shape (k, n), and the log of what they are shares of.

    By ``s`` = r + k x and u = (T - t_x) / (alpha + T): in proportion Gamma(s+j)/Gamma(s) u^j / j!.
    """
    j = np.arange(k)[:, None]
    terms = np.where(j > 0, log_rising(s[None], j) - sc.gammaln(j + 1) + j * log_u, 0.0)
    total = np.asarray(_log_sum(terms))
    return np.exp(terms - total), total


def _log_sum(terms: Floats) -> Floats:
    most = terms.max(axis=0)
    return np.asarray(most + np.log(np.exp(terms - most).sum(axis=0)))


def _stages_of(theta: CnbdTheta, history: History) -> tuple[Floats, Floats]:
    r, alpha = np.asarray(theta.r), np.asarray(theta.alpha)
    u = (history.T - history.t_x) / (alpha + history.T)
    return stage_shares(r + theta.k * history.x, np.log(np.maximum(u, 1e-300)), int(theta.k))


def probability_alive(theta: CnbdTheta, history: History, first: int = 0) -> Floats:
    """P(alive | x, t_x, T); 1 for x = 0 where nobody leaves before a repeat purchase."""
    r, alpha, a, b = map(np.asarray, theta[:4])
    occasions = history.x + first
    odds = (r + theta.k * history.x) * np.log1p((history.T - history.t_x) / (alpha + history.t_x))
    odds += np.log(a) - np.log(np.where(occasions > 0, b + (occasions - 1), 1.0))
    odds -= _stages_of(theta, history)[1]
    return np.where(occasions > 0, sc.expit(-odds), 1.0)


def given_alive(theta: CnbdTheta, x: Floats, T: Floats, first: int = 0) -> CnbdTheta:
    """The parameters under which a customer alive at T is a new one; x has a fraction of j/k."""
    r, alpha, a, b = map(np.asarray, theta[:4])
    stages = np.rint(np.asarray(x) * theta.k)
    whole = np.floor(stages / theta.k)
    return CnbdTheta(r + stages, alpha + T, a, b + whole + first, theta.k, stages - theta.k * whole)


def latent(theta: CnbdTheta) -> dict[str, Any]:
    """How lambda/k and p are spread over customers, as SciPy's distributions by name."""
    ordinary = bg_nbd.BgNbdTheta(theta.r, theta.k * np.asarray(theta.alpha), theta.a, theta.b)
    return bg_nbd.latent(ordinary)


def purchase_rate(theta: CnbdTheta, t: ArrayLike) -> Floats:
    """Expected purchases per unit of time at age t.

    The y-th purchase is the (ky - stage)-th event, made by those who stayed y - 1 times, so the
    rate is E[lambda e^-m sum_y q^(y-1) m^(ky-stage-1) / (ky-stage-1)!], m = lambda t, q = 1 - p.
    See ``stage_rates``.
    """
    r, alpha, a, b, stage = map(np.asarray, (*theta[:4], theta.stage))
    y = np.asarray(t) / alpha
    if theta.k == 1:
        return np.asarray(r / alpha * beta_mean_power(a, b, r + 1, y))
    return np.asarray(r / alpha * mean_by_stage(int(theta.k), r, a, b, stage, y))


def tabled_rate(theta: CnbdTheta, t: ArrayLike) -> Floats:
    """``purchase_rate`` by a table per distinct (r, a, b, stage)."""
    r, alpha, a, b, stage = map(np.asarray, (*theta[:4], theta.stage))
    r, a, b, stage = np.broadcast_arrays(r, a, b, stage)
    kinds, kind = distinct(*(np.ravel(v) for v in (r, a, b, stage)))

    def mean(of: NDArray[np.intp], v: Floats) -> Floats:
        of_kind = [column[of] for column in kinds]
        r_kind, a_kind, b_kind, stage_kind = of_kind
        theta_of = CnbdTheta(r_kind, np.ones_like(r_kind), a_kind, b_kind, theta.k, stage_kind)
        return (purchase_rate(theta_of, np.expm1(v) / (r_kind + 1)) / r_kind)[None]

    y = np.asarray(t) / alpha
    (power,) = by_table(mean, kind.reshape(r.shape), np.log1p((r + 1) * y))
    return np.asarray(r / alpha * np.maximum(power, 0.0))


def slowing_time(theta: CnbdTheta) -> Floats:
    """The time scale on which the purchase rate changes: from one stage to the next, if any."""
    if theta.k == 1:
        return bg_nbd.slowing_time(bg_nbd.BgNbdTheta(*theta[:4]))
    return np.asarray(np.asarray(theta.alpha) / (np.asarray(theta.r) + 1))


def probability_of_purchases(theta: CnbdTheta, x: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) = x) of a new customer who has reached ``stage``."""
    stayed, churned = _stayed_or_left(theta, x, t)
    return stayed + churned


def _stayed_or_left(theta: CnbdTheta, x: ArrayLike, t: ArrayLike) -> tuple[Floats, Floats]:
    """P(X(t) = x) of those still there at t, and of those who left at their x-th purchase."""
    r, alpha, a, b, stage = map(np.asarray, (*theta[:4], theta.stage))
    x, t = np.asarray(x, dtype=np.float64), np.asarray(t, dtype=np.float64)
    beyond, log_still = t / (alpha + t), -r * np.log1p(t / alpha)
    events = theta.k * x - stage
    chance: Any = 0.0
    for more in range(int(theta.k)):
        n = np.maximum(events + more, 0.0)
        log_nb = log_rising(r, n) - sc.gammaln(n + 1) + log_still + sc.xlogy(n, beyond)
        chance = chance + np.where(events + more >= 0, np.exp(log_nb), 0.0)
    stayed = np.exp(log_rising(b, x) - log_rising(a + b, x)) * chance
    one = np.maximum(x, 1.0)
    leaves = a * np.exp(log_rising(b, one - 1) - log_rising(a + b, one))
    reached = sc.betainc(theta.k * one - stage, r, beyond)
    return stayed, np.asarray((x > 0) * leaves * reached)


def probability_of_at_least(theta: CnbdTheta, x: ArrayLike, t: ArrayLike) -> Floats:
    """P(X(t) >= x), x >= 1: the x-th purchase would come in time, and x - 1 before it kept."""
    r, alpha, a, b, stage = map(np.asarray, (*theta[:4], theta.stage))
    x, t = np.asarray(x, dtype=np.float64), np.asarray(t, dtype=np.float64)
    stays = np.exp(log_rising(b, x - 1) - log_rising(a + b, x - 1))
    return np.asarray(stays * sc.betainc(theta.k * x - stage, r, t / (alpha + t)))


def mean_discount(theta: CnbdTheta, x: ArrayLike, t: ArrayLike, delta: float) -> Floats:
    """The mean of exp(-delta s) over the times s of the purchases, given X(t) = x >= 1.

    Purchases are taken to lie where the stages do, of which each is the k-th: they come later by
    half a waiting time at most, a share of delta of which is nothing.
    """
    events = theta.k * np.asarray(x, dtype=np.float64) - np.asarray(theta.stage)
    ordinary = bg_nbd.BgNbdTheta(*theta[:4])
    return bg_nbd.mean_discount(ordinary, events, t, delta, _stayed_or_left(theta, x, t))


def factorial_moment(theta: CnbdTheta, t: Floats) -> Floats:
    """E[X (X - 1)] of the purchases in t: twice the sum of (x - 1) P(X >= x).

    One by one to 64; beyond, where the terms change little from one x to the next, as an integral
    on stretches that double in length.
    """
    r, alpha, a, b, stage = (np.asarray(v)[..., None] for v in (*theta[:4], theta.stage))
    wide, (nodes, weight) = CnbdTheta(r, alpha, a, b, theta.k, stage), legendre(32)
    x, each, low = np.arange(2.0, 65.0), np.ones(63), 64.5
    total: Any = 0.0
    while True:
        reached = probability_of_at_least(wide, x, np.asarray(t)[..., None])
        total = total + (reached * (x - 1) * each).sum(axis=-1)
        if not (reached[..., -1] * x[-1] ** 2 > 1e-9).any() or low > 1e6:
            return np.asarray(2 * total)
        x, each, low = low + low * nodes, low * weight, 2 * low


def simulate(theta: CnbdTheta, T: Floats, rng: np.random.Generator, first: int = 0) -> History:
    """Draw histories of shape (n,) for new customers observed for T, as in ``bg_nbd``."""
    r, alpha, a, b = (np.broadcast_to(value, T.shape) for value in theta[:4])
    k = int(theta.k)
    events = rng.poisson(rng.gamma(r, 1 / alpha) * T)
    leaves = rng.geometric(np.clip(rng.beta(a, b), 1e-15, 1.0)) - first
    x = np.minimum(events // k, leaves)
    last = rng.beta(np.maximum(k * x, 1), np.maximum(events - k * x, 0) + 1)
    return History(x.astype(np.float64), np.where(x > 0, last * T, 0.0), T)


class BetaGeoCNBD(PurchaseModel):
    """BG/CNBD-k: as ``BetaGeoNBD``, for customers who buy more regularly than by chance.

    Parameters
    ----------
    unit, engine
        As in ``BetaGeoNBD``; there is no other engine than "native".
    k
        How regularly: 1 is by chance, and the waiting time between purchases varies by 1/sqrt(k) of
        its mean. None: the likeliest, looked for from 1 upwards.

    Attributes
    ----------
    k_
        The k that was taken.

    Examples
    --------
    >>> import pandas as pd
    >>> model = BetaGeoCNBD.from_params({"r": 0.85, "alpha": 1.45, "a": 0.79, "b": 2.42}, k=3)
    >>> X = pd.DataFrame({"frequency": [4, 4], "recency": [30.0, 20.0], "T": [32.0, 32.0]})
    >>> model.probability_alive(X).round(3)
    array([0.866, 0.28 ])
    >>> model.conditional_expected_purchases(32, X).round(3)
    array([3.023, 1.093])
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    times: ClassVar[tuple[str, ...]] = ("alpha",)
    starts: ClassVar = bg_nbd.BetaGeoNBD.starts

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

    k_: int

    def __init__(
        self, unit: Unit | None = None, engine: Engine = "native", k: int | None = None
    ) -> None:
        super().__init__(unit, engine)
        self.k = k

    @classmethod
    def from_params(cls, params: Mapping[str, float] | None = None, **named: Any) -> Self:
        """As ``PurchaseModel.from_params``; ``k`` says how regularly customers buy."""
        model = super().from_params(params, **named)
        model.k_ = model._regularity() or 1
        return model

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with k."""
        return super().to_dict() | {"k": self.k_}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The model that ``to_dict`` wrote."""
        model = super().from_dict(saved)
        model.k = saved["k"]
        model.k_ = model._regularity() or 1
        return model

    @property
    def stages(self) -> int:  # type: ignore[override]
        """Of the time between two purchases."""
        return self.k_

    def discounted_purchase_pairs(self, t: ArrayLike, delta: float, X: Histories) -> Floats:
        """As ``PurchaseModel.discounted_purchase_pairs``: step by step of time if discounted.

        The later purchase of a pair counts exp(-delta u) at u, the earlier one what it counts in
        the mean up to u.
        """

        def pairs(theta: Any, horizon: Floats) -> Floats:
            if not delta:
                return factorial_moment(theta, horizon)
            ends = [horizon * step / STEPS for step in range(1, STEPS + 1)]
            moments = np.array([factorial_moment(theta, end) for end in ends])
            within = np.diff(moments, axis=0, prepend=0.0)
            middle = np.array(ends) - horizon / (2 * STEPS)
            return np.asarray(
                (within * np.exp(-delta * middle) * sc.exprel(-delta * middle)).sum(axis=0)
            )

        alive, given_alive = self._given_alive_by_pair(X, t, pairs)
        return alive * given_alive

    def _theta(
        self, r: Any, alpha: Any, a: Any, b: Any, k: Any = None, stage: Any = 0.0
    ) -> CnbdTheta:
        return CnbdTheta(r, alpha, a, b, self.k_ if k is None else int(np.max(k)), stage)

    def _regularity(self) -> int | None:
        """The k that was asked for."""
        if self.k is not None and not (self.k == int(self.k) and 1 <= self.k <= MOST):
            raise InputError(
                f"k = {self.k}: waiting times are Erlang-k for whole k from 1 to {MOST}.",
                hint="None takes the likeliest.",
            )
        return None if self.k is None else int(self.k)

    def _by_stage(self, history: History) -> Iterator[tuple[Floats, History]]:
        shares, _ = _stages_of(self._parameters(), history)
        for stage, share in enumerate(shares):
            yield share, replace(history, x=history.x + stage / self.k_)

    def _maximize(self, cells: Cells, scale: float) -> Any:
        asked = self._regularity()
        best = None
        for k in range(asked or 1, (asked or MOST) + 1):
            self.k_, before = k, getattr(self, "k_", 1)
            found = super()._maximize(cells, scale)
            if best is not None and found.log_likelihood <= best.log_likelihood:
                self.k_ = before
                break
            best = found
        return best

    def _from_lifetimes(self, cells: Cells) -> Any:
        raise InputError("lifetimes has no model of regular customers.", hint="use 'native'.")

    def _refit(self, observed: Cells, weight: Floats) -> Floats:
        cells = observed.reweighted(weight)
        return super()._maximize(cells, self._scale(cells)).theta

    def _boundary(self, theta: CnbdTheta, scale: float) -> list[Finding]:
        return bg_nbd.BetaGeoNBD()._boundary(bg_nbd.BgNbdTheta(*theta[:4]), scale)
