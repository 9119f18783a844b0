"""The pool: the corrected purchase model and the hurdle, half and half, in one distribution.

The correction is a stretch of time: a customer's h becomes h exp(f + k), with f from the learner,
and every probability stays the model's own at that horizon. The hurdle's level is moved by k, too.
Both k are such that the customers' expectations add up to one total T*, by default the purchase
model's own. A leaf of the hurdle holds many customers and cannot tell who buys every few days:
where the corrected model is surer that somebody buys than a leaf can be, the hurdle's P(no
purchase) is less by ``believed``, and its mean stays. Beyond h the correction fades, see
``adoption``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special as sc
from scipy.optimize import brentq

from clv.data.features import Columns
from clv.errors import FitError
from clv.forecast.inputs import Customers
from clv.forecast.learner import (
    Learner,
    Reading,
    hurdle_chances,
    log_negative_binomial,
    log_ways,
)
from clv.forecast.windows import Past, Window
from clv.history import History, distinct
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats

MOST = 2_000  # purchases, at which the search of a quantile ends
SURE = 0.03  # a P(no purchase) that is about as small as leaves of 100 customers can tell
NEAR = 0.2  # where most levels are, in logs
FARTHEST = 5.0  # how far a level is looked for, in logs


@dataclass(frozen=True, eq=False)
class PooledForecast:
    """What n customers do in the next h.

    Attributes
    ----------
    purchases, money
        Means, shape (n,); money is revenue.
    no_purchase
        P(no purchase), shape (n,): the churn score.
    stretch
        By what each customer's h is multiplied in the purchase model, shape (n,).
    factor
        The log of it without what moves all customers, such as a season, shape (n,).
    """

    purchases: Floats
    money: Floats
    no_purchase: Floats
    stretch: Floats
    factor: Floats
    _model: PurchaseModel
    _history: History
    _h: float
    _alive: Floats
    _buys: Floats
    _beyond: Floats
    _size: float

    def chances(self, k: ArrayLike, rows: Any = slice(None)) -> Floats:
        """P(exactly k purchases) for whole numbers (K,), shape (n, K), or of some ``rows``."""
        ks, history = np.asarray(k, dtype=np.float64), self._history.where(rows)
        corrected = self._model.probability_of_purchases(ks, self._h * self.stretch[rows], history)
        hurdle = hurdle_chances(ks, self._buys[rows, None], self._beyond[rows, None], self._size)
        return np.asarray((corrected + hurdle) / 2)

    def quantiles(self, levels: Sequence[float]) -> Floats:
        """The smallest k with P(N <= k) >= level, shape (n, levels): exact, count by count."""
        history, want = self._history, np.asarray(levels)
        shares, cases = zip(*self._model._by_stage(history), strict=True)
        alive = np.array([self._alive * share for share in shares])
        (x, T, h), of_row = distinct(
            np.concatenate([case.x for case in cases]),
            *(np.tile(each, len(cases)) for each in (history.T, self._h * self.stretch)),
        )
        of_row = of_row.reshape(alive.shape)
        more, beyond = np.empty(len(x)), self._buys.copy()  # P(N > k) by either member
        none, again = log_negative_binomial(self._beyond, self._size)
        smallest = np.where(self.no_purchase[:, None] >= want, 0.0, np.inf)
        open_, k = np.flatnonzero(np.isinf(smallest).any(axis=1)), 0
        while len(open_):
            k += 1
            kinds = np.flatnonzero(np.bincount(of_row[:, open_].ravel(), minlength=len(x)))
            theta = self._model._given_alive(self._model._parameters(), x[kinds], T[kinds])
            more[kinds] = self._model._probability_of_at_least(theta, k + 1.0, h[kinds])
            log_chance = none[open_] + (k - 1) * again[open_] + log_ways(k - 1, self._size)
            beyond[open_] -= self._buys[open_] * np.exp(log_chance)
            corrected = (alive[:, open_] * more[of_row[:, open_]]).sum(axis=0)
            at_most = 1 - (corrected + beyond[open_]) / 2
            reached = (at_most[:, None] >= want) | (k >= MOST)
            smallest[open_] = np.minimum(smallest[open_], np.where(reached, k, np.inf))
            open_ = open_[~reached.all(axis=1)]
        return smallest


@dataclass(frozen=True, eq=False)
class Pool:
    """A fitted pool, which forecasts beside the purchase model that it was fitted with.

    Attributes
    ----------
    horizon, unit
        h, and the unit of the models.
    spend
        The spend model it was fitted with.
    learner
        The trees behind both members.
    stretch, shift
        The two k: of the corrected model's log horizon, and of the hurdle's log odds.
    neutral
        The first k where the total is the purchase model's own.
    days
        The windows it learned from, the newest first.
    customers, sampled
        How many the log has, and how many of them it learned from.
    fade
        What is left of a customer's correction after each further h; None: not measured, so the
        purchase model alone tells what comes after h.
    """

    horizon: Duration
    unit: Unit
    spend: GammaGamma
    learner: Learner
    stretch: float
    shift: float
    neutral: float
    days: tuple[str, ...]
    customers: int
    sampled: int
    fade: float | None = None

    @property
    def length(self) -> float:
        """The horizon in the unit of the models."""
        return self.horizon.to(self.unit)

    def read(self, columns: Columns, purchases: PurchaseModel) -> Customers:
        """The customers of a summary with the columns ``READS``, as arrays."""
        return Customers.from_columns(columns, purchases, self.spend, self.length)

    def forecast(self, customers: Customers) -> PooledForecast:
        """The next h of customers whose models look as far ahead."""
        h, model, reading = self.length, customers.model, self.learner.read(customers.X)
        stretch = np.exp(reading.factor + self.stretch)
        corrected = model.conditional_expected_purchases(h * stretch, customers.history)
        silent = model.probability_of_no_purchase(h * stretch, customers.history)
        buys, hurdle = self.hurdle(reading, silent)
        paid = hurdle * reading.pays / (1 + reading.beyond)
        return PooledForecast(
            purchases=(corrected + hurdle) / 2,
            money=(corrected * customers.spend + paid) / 2,
            no_purchase=(silent + 1 - buys) / 2,
            stretch=stretch,
            factor=reading.factor + self.neutral,
            _model=model,
            _history=customers.history,
            _h=h,
            _alive=model.probability_alive(customers.history),
            _buys=buys,
            _beyond=np.maximum(hurdle / buys - 1, 1e-9),
            _size=self.learner.size,
        )

    def hurdle(self, reading: Reading, silent: Floats) -> tuple[Floats, Floats]:
        """P(buys) and the mean purchases by the hurdle, of n customers.

        ``silent`` is P(no purchase) by the corrected purchase model.
        """
        buys = sc.expit(reading.odds + self.shift)
        mean = buys * (1 + reading.beyond * np.exp(self.shift / 2))
        return np.minimum(1 - believed(silent) * (1 - buys), mean), mean

    def to_dict(self) -> dict[str, Any]:
        """All but the trees, as JSON values."""
        names = ("stretch", "shift", "neutral", "customers", "sampled", "fade")
        return {name: getattr(self, name) for name in names} | {
            "horizon": str(self.horizon),
            "unit": self.unit,
            "spend": self.spend.params_,
            "size": self.learner.size,
            "days": list(self.days),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], trees: Path) -> Self:
        """The pool that ``to_dict`` and ``learner.save`` wrote.

        Raises
        ------
        ModelError
            The file of trees holds other things than those of a learner.
        """
        return cls(
            Duration.parse(saved["horizon"]),
            saved["unit"],
            GammaGamma.from_params(saved["spend"]),
            Learner.load(trees, saved["size"]),
            saved["stretch"],
            saved["shift"],
            saved["neutral"],
            tuple(saved["days"]),
            saved["customers"],
            saved["sampled"],
            saved["fade"],
        )


def fit_pool(
    past: Past,
    today: dt.date,
    customers: Customers,
    spend: GammaGamma,
    total_factor: float = 1.0,
    windows: Sequence[Window] | None = None,
) -> Pool | None:
    """Learn from windows and set the total; None where there is none, or nothing in them.

    Parameters
    ----------
    past
        The log, of which nothing after ``today`` is used.
    customers
        As they stand today.
    spend
        The spend model behind them.
    total_factor
        T* over the sum of what their purchase model expects of the customers in h.
    windows
        To learn from; those before ``today`` if not given.
    """
    windows = past.before(today) if windows is None else windows
    if not windows:
        return None
    try:
        learner = Learner.fit(windows)
    except FitError:
        return None
    h, reading, total = past.horizon.to(past.unit), learner.read(customers.X), customers.expected
    odds, e = reading.odds, reading.beyond

    def corrected(k: float, factor: float = 1.0) -> float:
        horizon = h * np.exp(reading.factor + k)
        expected = customers.model.conditional_expected_purchases(horizon, customers.history)
        return float(expected.sum() - factor * total.sum())

    def hurdle(k: float) -> float:
        expected = (sc.expit(odds + k) * (1 + e * np.exp(k / 2))).sum()
        return float(expected - total_factor * total.sum())

    neutral = _root(corrected)
    stretch = neutral if total_factor == 1 else _root(partial(corrected, factor=total_factor))
    days = tuple(str(window.day) for window in windows)
    numbers = (stretch, _root(hurdle), neutral, days, past.customers, past.sampled)
    return Pool(past.horizon, past.unit, spend, learner, *numbers)


def believed(silent: Floats) -> Floats:
    """By what the hurdle's P(no purchase) is multiplied: 1, and less where ``silent`` is small.

    >>> believed(np.array([0.5, 0.03, 0.001])).round(3)
    array([0.996, 0.5  , 0.001])
    """
    return np.asarray(silent**2 / (silent**2 + SURE**2))


def _root(excess: Callable[[float], float]) -> float:
    """Where a rising function is zero; the nearer end where it is not zero anywhere near."""
    excess = cache(excess)  # which takes long, and is asked for at the ends again
    step = NEAR if excess(0.0) < 0 else -NEAR
    end, before = step, 0.0
    while excess(end) * step < 0:  # most are near 0, so that few are worked out
        if abs(end) >= FARTHEST:
            return end
        before, end = end, np.clip(3 * end, -FARTHEST, FARTHEST).item()
    low, high = sorted((before, end))
    return float(brentq(excess, low, high, xtol=1e-6))
