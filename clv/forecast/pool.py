"""The pool: the corrected purchase model and the hurdle, half and half, in one distribution.

The correction is a stretch of time: a customer's h becomes h exp(f + k), with f from the learner,
and every probability stays the model's own at that horizon. The hurdle's level is moved by k, too.
Both k are such that the customers' expectations add up to one total T*, by default the purchase
model's own. Beyond h nothing was tested, so values beyond h do not use f.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import special as sc
from scipy.optimize import brentq

from clv.errors import FitError
from clv.forecast.inputs import Customers
from clv.forecast.learner import Learner, hurdle_chances
from clv.forecast.windows import Past, Window
from clv.history import History
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats

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
    """

    purchases: Floats
    money: Floats
    no_purchase: Floats
    stretch: Floats
    _model: PurchaseModel
    _history: History
    _h: float
    _buys: Floats
    _beyond: Floats
    _size: float

    def chances(self, k: Floats, rows: Any = slice(None)) -> Floats:
        """P(exactly k purchases) for whole numbers (K,), shape (n, K), or of some ``rows``."""
        k, history = np.asarray(k, dtype=np.float64), self._history.where(rows)
        corrected = self._model.probability_of_purchases(k, self._h * self.stretch[rows], history)
        hurdle = hurdle_chances(k, self._buys[rows, None], self._beyond[rows, None], self._size)
        return np.asarray((corrected + hurdle) / 2)


@dataclass(frozen=True, eq=False)
class Pool:
    """A fitted pool; what it forecasts with a purchase model and a spend model.

    Attributes
    ----------
    horizon, unit
        h, and the unit of the models.
    learner
        The trees behind both members.
    stretch, shift
        The two k: of the corrected model's log horizon, and of the hurdle's log odds.
    days
        The windows it learned from, the newest first.
    customers, sampled
        How many the log has, and how many of them it learned from.
    """

    horizon: Duration
    unit: Unit
    learner: Learner
    stretch: float
    shift: float
    days: tuple[str, ...]
    customers: int
    sampled: int

    def forecast(self, customers: Customers) -> PooledForecast:
        """The next h of customers whose models look as far ahead."""
        h, model = self.horizon.to(self.unit), customers.model
        stretch = np.exp(self.learner.log_factor(customers.X) + self.stretch)
        odds, e, paid = self.learner.hurdle(customers.X)
        buys, beyond = sc.expit(odds + self.shift), e * np.exp(self.shift / 2)
        corrected = model.conditional_expected_purchases(h * stretch, customers.history)
        silent = model.probability_of_no_purchase(h * stretch, customers.history)
        hurdle = buys * (1 + beyond)
        return PooledForecast(
            purchases=(corrected + hurdle) / 2,
            money=(corrected * customers.spend + hurdle * paid / (1 + e)) / 2,
            no_purchase=(silent + 1 - buys) / 2,
            stretch=stretch,
            _model=model,
            _history=customers.history,
            _h=h,
            _buys=buys,
            _beyond=beyond,
            _size=self.learner.size,
        )

    def to_dict(self) -> dict[str, Any]:
        """All but the trees, as JSON values."""
        numbers = {name: getattr(self, name) for name in ("stretch", "shift", "customers")}
        return numbers | {
            "horizon": str(self.horizon),
            "unit": self.unit,
            "size": self.learner.size,
            "days": list(self.days),
            "sampled": self.sampled,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], trees: Path) -> Self:
        """The pool that ``to_dict`` and ``learner.save`` wrote.

        Raises
        ------
        ModelError
            The file of trees holds other types than those of a learner.
        """
        return cls(
            Duration.parse(saved["horizon"]),
            saved["unit"],
            Learner.load(trees, saved["size"]),
            saved["stretch"],
            saved["shift"],
            tuple(saved["days"]),
            saved["customers"],
            saved["sampled"],
        )


def fit_pool(
    past: Past,
    today: dt.date,
    purchases: PurchaseModel,
    spend: GammaGamma,
    total_factor: float = 1.0,
) -> Pool | None:
    """Learn from the windows before ``today`` and set the total; None where there is no window.

    Parameters
    ----------
    past
        The log, of which nothing after ``today`` is used.
    purchases, spend
        Models fitted on what is known today.
    total_factor
        T* over the sum of what ``purchases`` expects of the customers in h.
    """
    return levelled(past, past.customers_at(today, purchases, spend), today, total_factor)


def levelled(
    past: Past,
    customers: Customers,
    today: dt.date,
    total_factor: float = 1.0,
    windows: Sequence[Window] | None = None,
) -> Pool | None:
    """``fit_pool`` with the customers as they stand today, and with other windows if given."""
    windows = past.before(today) if windows is None else windows
    if not windows:
        return None
    try:
        learner = Learner.fit(windows)
    except FitError:
        return None
    h, total = past.horizon.to(past.unit), total_factor * customers.expected.sum()
    factor = learner.log_factor(customers.X)
    odds, e, _ = learner.hurdle(customers.X)

    def corrected(k: float) -> float:
        horizon = h * np.exp(factor + k)
        expected = customers.model.conditional_expected_purchases(horizon, customers.history)
        return float(expected.sum() - total)

    def hurdle(k: float) -> float:
        return float((sc.expit(odds + k) * (1 + e * np.exp(k / 2))).sum() - total)

    return Pool(
        past.horizon,
        past.unit,
        learner,
        _root(corrected),
        _root(hurdle),
        tuple(str(window.day) for window in windows),
        past.customers,
        past.sampled,
    )


def _root(excess: Callable[[float], float]) -> float:
    """Where a rising function is zero; the nearer end where it is not zero anywhere near."""
    if excess(-FARTHEST) >= 0:
        return -FARTHEST
    if excess(FARTHEST) <= 0:
        return FARTHEST
    return float(brentq(excess, -FARTHEST, FARTHEST, xtol=1e-6))
