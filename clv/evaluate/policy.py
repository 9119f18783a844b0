"""Is a targeting policy worth its cost? Judged on a randomised campaign; arrays in, tables out.

For customer i: W contacted (0 or 1), e = P(W = 1), y the outcome (profit: margin less cost), and
pi the policy: 1 contact, 0 leave alone, or a chance between. What the policy would have earned per
customer is estimated without bias from customers who happened to be treated as it says:

    IPW    mean of pi W y / e + (1 - pi) (1 - W) y / (1 - e)
    AIPW   the same for y - mu_W, plus pi mu_1 + (1 - pi) mu_0; mu learned on other customers

**Standard errors** are widened by how much wider heavy tails make a 90% interval (``tail_factor``).

Curves are not normalised: they are money, and a campaign's total can be read off them.

References
----------
.. [1] Dudík, Langford & Li 2011, Doubly Robust Policy Evaluation and Learning.
.. [2] Radcliffe 2007, Using control groups to target on predicted lift: Qini.
.. [3] Verbraken, Verbeke & Baesens 2013, A novel profit maximizing metric: EMPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from clv.defaults import SAVE_RATE_A, SAVE_RATE_B
from clv.errors import InputError
from clv.evaluate.heavy_tails import tail_factor
from clv.evaluate.metrics import as_arrays
from clv.schema import Floats, reject_rows
from clv.shares import check_share

NOBODY, EVERYBODY = "nobody", "everybody"
POINTS = 51  # of a curve, from nobody to everybody
BAND = (0.05, 0.95)
Index = NDArray[np.intp]


@dataclass(frozen=True)
class PolicyValue:
    """Mean outcome per customer under a policy, and its standard error.

    The standard error is such that the mean -+ 1.645 of it covers 90%, see ``tail_factor``.
    """

    mean: float
    standard_error: float

    @classmethod
    def from_terms(cls, terms: Floats, factor: float = 1.0) -> PolicyValue:
        """From one unbiased term per customer, shape (n,), and the factor of their tails."""
        error = factor * terms.std(ddof=1) / np.sqrt(len(terms))
        return cls(float(terms.mean()), float(error))


@dataclass(frozen=True)
class Experiment:
    """A randomised campaign to judge policies on; arrays of shape (n,).

    Parameters
    ----------
    y
        Outcome, best the profit: margin less what the contact cost.
    W, e
        Contacted (0 or 1), and the chance of it.
    mu0, mu1
        Expected outcome without and with a contact, learned on OTHER customers. Zeros give IPW.

    Examples
    --------
    >>> half = np.full(4, 0.5)
    >>> seen = Experiment.from_arrays(y=[3, 1, 0, 2], W=[1, 1, 0, 0], e=half)
    >>> seen.value([1, 1, 0, 0]).mean, seen.gain([1, 1, 1, 1]).mean
    (3.0, 1.0)
    """

    y: Floats
    W: Floats
    e: Floats
    mu0: Floats
    mu1: Floats

    @classmethod
    def from_arrays(
        cls,
        y: ArrayLike,
        W: ArrayLike,
        e: ArrayLike,
        mu0: ArrayLike | None = None,
        mu1: ArrayLike | None = None,
    ) -> Experiment:
        """A checked experiment; ``RowError`` if W is not 0 or 1 or e not between them."""
        zeros = np.zeros(len(np.asarray(y)))
        mu = (zeros if mu0 is None else mu0, zeros if mu1 is None else mu1)
        out, w, p, m0, m1 = as_arrays(y=y, W=W, e=e, mu0=mu[0], mu1=mu[1])
        rows = {"row": np.arange(len(w)), "W": w, "e": p}
        reject_rows((w != 0) & (w != 1), "W is neither 0 nor 1", rows)
        reject_rows((p <= 0) | (p >= 1), "e is not between 0 and 1", rows)
        return cls(out, w, p, m0, m1)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def tail_factor(self) -> float:
        """By which standard errors are widened for the tails of the outcome."""
        return tail_factor(self.y - np.where(self.W == 1, self.mu1, self.mu0), self.W)

    @property
    def terms(self) -> tuple[Floats, Floats]:
        """Unbiased terms of the outcome without and with a contact, each of shape (n,)."""
        without = self.mu0 + (1 - self.W) / (1 - self.e) * (self.y - self.mu0)
        return without, self.mu1 + self.W / self.e * (self.y - self.mu1)

    def value(self, policy: ArrayLike) -> PolicyValue:
        """Mean outcome per customer under ``policy``, chances in [0, 1] of shape (n,)."""
        without, with_ = self.terms
        pi = self._policy(policy)
        return PolicyValue.from_terms(pi * with_ + (1 - pi) * without, self.tail_factor)

    def gain(self, policy: ArrayLike, over: ArrayLike = 0.0) -> PolicyValue:
        """What ``policy`` earns more than another (nobody), customer by customer paired."""
        without, with_ = self.terms
        difference = self._policy(policy) - self._policy(over)
        return PolicyValue.from_terms(difference * (with_ - without), self.tail_factor)

    def contacted(self, policy: ArrayLike) -> float:
        """The share of customers that ``policy`` contacts."""
        return float(self._policy(policy).mean())

    def unadjusted(self) -> Experiment:
        """The same with mu = 0: IPW."""
        zeros = np.zeros(len(self))
        return Experiment(self.y, self.W, self.e, zeros, zeros)

    def _policy(self, policy: ArrayLike) -> Floats:
        pi = np.broadcast_to(np.asarray(policy, dtype=np.float64), self.y.shape)
        bad = ~((pi >= 0) & (pi <= 1))
        reject_rows(bad, "a policy is no chance in [0, 1]", {"row": np.arange(len(pi)), "pi": pi})
        return pi


def policy_table(experiment: Experiment, policies: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """What each policy would have earned, a row each, nobody and everybody first.

    Returns
    -------
    pandas.DataFrame
        policy, contacted (share), then per customer with standard errors (``_se``): ipw and aipw
        (value), gain (AIPW over nobody), and behind (AIPW: the first of ``policies`` less this
        one, paired; above 2 of its standard errors the first is better).

    Examples
    --------
    >>> seen = Experiment.from_arrays([3, 1, 0, 2], [1, 1, 0, 0], [0.5, 0.5, 0.5, 0.5])
    >>> policy_table(seen, {"ours": [1, 0, 0, 0]})[["policy", "contacted", "aipw", "gain"]]
          policy  contacted  aipw  gain
    0     nobody       0.00   1.0   0.0
    1  everybody       1.00   2.0   1.0
    2       ours       0.25   2.5   1.5
    """
    if not policies:
        raise InputError("there is no policy to judge.", hint='policies={"uplift": score > 0}.')
    plain, first = experiment.unadjusted(), next(iter(policies.values()))
    records = []
    for name, policy in ({NOBODY: 0.0, EVERYBODY: 1.0} | dict(policies)).items():
        figures = {
            "ipw": plain.value(policy),
            "aipw": experiment.value(policy),
            "gain": experiment.gain(policy),
            "behind": experiment.gain(first, over=policy),
        }
        record: dict[str, object] = {"policy": name, "contacted": experiment.contacted(policy)}
        for figure, value in figures.items():
            record |= {figure: value.mean, f"{figure}_se": value.standard_error}
        records.append(record)
    return pd.DataFrame(records)


def contact_best(score: ArrayLike, share: float) -> Floats:
    """The policy that contacts the best ``share`` of customers by ``score``; ties share a chance.

    >>> contact_best([5, 1, 1, 0], 0.5)
    array([1. , 0.5, 0.5, 0. ])
    """
    (f,) = as_arrays(score=score)
    check_share("share", share)
    _, tie, count = np.unique(-f, return_inverse=True, return_counts=True)
    before = np.cumsum(count) - count
    chance: Floats = np.clip((share * len(f) - before) / count, 0.0, 1.0)
    return chance[tie]


@dataclass(frozen=True)
class UpliftCurve:
    """Total outcome gained by contacting the best customers by a score, in its own unit.

    Attributes
    ----------
    share
        Of customers contacted, best first, from 0 to 1.
    gain, low, high
        Total gained, and the bootstrap band from 5% to 95% at each share.
    area, area_low, area_high
        Between the curve and the straight line to its end (a random order), in units of outcome:
        the mean gain over random targeting; the Qini coefficient if ``kind`` is "qini".
    kind
        "uplift" or "qini".
    """

    share: Floats
    gain: Floats
    low: Floats
    high: Floats
    area: float
    area_low: float
    area_high: float
    kind: str

    def table(self) -> pd.DataFrame:
        """share, gain, low, high, random (the straight line)."""
        line = self.share * self.gain[-1]
        columns = {"share": self.share, "gain": self.gain, "low": self.low, "high": self.high}
        return pd.DataFrame(columns | {"random": line})


def uplift_curve(
    score: ArrayLike,
    experiment: Experiment,
    *,
    kind: Literal["uplift", "qini"] = "uplift",
    draws: int = 200,
    seed: int = 0,
) -> UpliftCurve:
    """The uplift or Qini curve of a ranking, not normalised, with a bootstrap band.

    Among the best k customers, contacted ones weigh 1/e and the others 1/(1-e):

    ::

        uplift   k (mean y of the contacted - mean y of the others)
        qini     sum y of the contacted - sum y of the others, scaled to as many contacts   [2]

    Customers with equal scores are entered together, so the order of rows does not matter.

    Parameters
    ----------
    score
        What customers are ranked by, best first, shape (n,); not learned on these customers.
    experiment
        The campaign; mu is not used.
    draws, seed
        Bootstrap draws of customers.

    Examples
    --------
    >>> seen = Experiment.from_arrays([6, 4, 1, 1], [1, 0, 1, 0], [0.5] * 4)
    >>> uplift_curve([2, 2, 1, 1], seen, draws=20).gain[[0, 25, 50]]
    array([0., 4., 4.])
    """
    (f,) = as_arrays(score=score)
    if len(f) != len(experiment):
        raise InputError(f"{len(f)} scores for {len(experiment)} customers.")
    order = np.argsort(-f, kind="stable")
    end = np.append(np.flatnonzero(np.diff(f[order])), len(f) - 1)  # last of each tie
    sums, rng, even = (
        _Sums.from_experiment(experiment, order, kind),
        np.random.default_rng(seed),
        1 / len(f),
    )
    curve = sums.curve(np.ones(len(f)), end)
    times = (rng.multinomial(len(f), np.full(len(f), even)) for _ in range(draws))
    drawn = np.array([sums.curve(sample.astype(np.float64), end) for sample in times])
    low, high = np.quantile(drawn, BAND, axis=0)
    area_low, area_high = np.quantile([_area(sample) for sample in drawn], BAND)
    return UpliftCurve(
        share=np.linspace(0, 1, POINTS),
        gain=curve,
        low=low,
        high=high,
        area=_area(curve),
        area_low=float(area_low),
        area_high=float(area_high),
        kind=kind,
    )


@dataclass(frozen=True)
class _Sums:
    """Weights and weighted outcomes of both groups, best customer first."""

    weights: Floats  # (n, 2): of the contacted, of the others
    y: Floats
    kind: str

    @classmethod
    def from_experiment(cls, experiment: Experiment, order: Index, kind: str) -> _Sums:
        W, e, y = (a[order] for a in (experiment.W, experiment.e, experiment.y))
        if kind == "qini":
            return cls(np.column_stack([W, (1 - W) * e / (1 - e)]), y, kind)
        return cls(np.column_stack([W / e, (1 - W) / (1 - e)]), y, kind)

    def curve(self, times: Floats, end: Index) -> Floats:
        """Gain at ``POINTS`` shares when customer i is counted ``times[i]`` times."""
        weight = self.weights * times[:, None]
        n = np.cumsum(weight, axis=0)[end]
        total = np.cumsum(weight * self.y[:, None], axis=0)[end]
        mean = np.divide(total, n, out=np.zeros_like(total), where=n > 0)
        both = (n > 0).all(axis=1)  # until both groups are seen there is nothing to compare
        k = np.cumsum(times)[end]
        size = n[:, 0] if self.kind == "qini" else k
        gain = np.where(both, size * (mean[:, 0] - mean[:, 1]), 0.0)
        return _along(np.append(0.0, k / k[-1]), np.append(0.0, gain))


def _along(share: Floats, gain: Floats) -> Floats:
    """A curve read off at ``POINTS`` shares."""
    return np.interp(np.linspace(0, 1, POINTS), share, gain)


def _area(gain: Floats) -> float:
    """Mean height of a curve over the straight line to its end."""
    return float(np.trapezoid(gain, dx=1 / (len(gain) - 1)) - gain[-1] / 2)


@dataclass(frozen=True)
class EMPC:
    """Expected maximum profit of a retention campaign by a churn score, per customer [3]_.

    ``profit`` in currency, ``fraction`` of customers to contact at the optimum, expected over g.
    """

    profit: float
    fraction: float


def empc(
    churned: ArrayLike,
    score: ArrayLike,
    *,
    clv: float = 200.0,
    incentive: float = 10.0,
    contact_cost: float = 1.0,
    a: float = SAVE_RATE_A,
    b: float = SAVE_RATE_B,
) -> EMPC:
    """EMPC: the profit of contacting by ``score`` when the save rate is g ~ Beta(a, b).

    ::

        integral over g of max_t CLV { [g (1 - delta) - phi] pi0 F0(t) - (delta + phi) pi1 F1(t) }

    delta = incentive / CLV, phi = contact cost / CLV, pi0 the churn rate, F0 and F1 the shares of
    churners and of others with a score of t or more. On the convex hull of the ROC curve the best t
    rises with g in steps, so that the integral is a sum of incomplete beta functions. All customers
    have the same CLV here: it judges a churn score, not a list.

    >>> found = empc([1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.2, 0.1])
    >>> round(found.profit, 4), round(found.fraction, 4)
    (20.2003, 0.5997)
    """
    y, f = as_arrays(churned=churned, score=score)
    if not 0 < y.mean() < 1 or not np.isin(y, (0, 1)).all():
        raise InputError("EMPC needs customers who churned (1) and customers who did not (0).")
    delta, phi, pi0 = incentive / clv, contact_cost / clv, float(y.mean())
    F0, F1 = _roc_hull(y, f)
    rise, price = np.diff(F0) * pi0, np.diff(F1) * (1 - pi0)  # of the next step
    with np.errstate(divide="ignore"):
        step = (price * (delta + phi) + rise * phi) / (rise * (1 - delta))  # g where it pays
    edge = np.concatenate([[0.0], np.clip(step, 0.0, 1.0), [1.0]])
    mass = np.diff(betainc(a, b, edge))
    mean = a / (a + b) * np.diff(betainc(a + 1, b, edge))  # integral of g over the interval
    gain = (1 - delta) * pi0 * F0 * mean - (phi * pi0 * F0 + (delta + phi) * (1 - pi0) * F1) * mass
    contacted = (pi0 * F0 + (1 - pi0) * F1) * mass
    return EMPC(clv * float(gain.sum()), float(contacted.sum()))


def _roc_hull(y: Floats, f: Floats) -> tuple[Floats, Floats]:
    """Upper convex hull of the ROC curve: shares of churners and of others, best score first."""
    _, tie = np.unique(-f, return_inverse=True)
    F0 = np.concatenate([[0.0], np.cumsum(np.bincount(tie, y)) / y.sum()])
    F1 = np.concatenate([[0.0], np.cumsum(np.bincount(tie, 1 - y)) / (1 - y).sum()])
    hull: list[int] = []
    for i in range(len(F0)):
        while len(hull) > 1 and _below(F1, F0, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    return F0[hull], F1[hull]


def _below(x: Floats, y: Floats, i: int, j: int, k: int) -> bool:
    """Whether point j lies on or below the line from i to k."""
    return bool((y[j] - y[i]) * (x[k] - x[i]) <= (y[k] - y[i]) * (x[j] - x[i]))
