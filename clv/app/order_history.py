"""A customer's orders through the eyes of the purchase model: what was likely, what is next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.history import History
from clv.periods import DAYS, Unit
from clv.probability.estimator import PurchaseModel
from clv.schema import Floats

GRID = 240  # moments at which a line is drawn, beside those of the orders


@dataclass(frozen=True)
class OrderHistory:
    """The days on which a customer bought, up to the day of the scores.

    Attributes
    ----------
    first, as_of
        The first day with an order, and the last day that is known.
    day
        Days with an order, counted from the first, which is 0; shape (n,).
    amount, orders
        What came on each of them.
    """

    first: dt.date
    as_of: dt.date
    day: Floats
    amount: Floats
    orders: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], as_of: dt.date) -> OrderHistory | None:
        """From the orders of a store; None if there are none by then.

        >>> rows = [{"date": dt.date(2024, 1, d), "amount": 5.0, "orders": 1} for d in (1, 1, 8)]
        >>> life = OrderHistory.of(rows, dt.date(2024, 1, 10))
        >>> life.day.tolist(), life.amount.tolist(), life.orders.tolist()
        ([0.0, 7.0], [10.0, 5.0], [2, 1])
        """
        past = [row for row in rows if row["date"] <= as_of]
        if not past:
            return None
        dates = np.array([row["date"].toordinal() for row in past], dtype=np.float64)
        days, of_row = np.unique(dates, return_inverse=True)
        amount = np.bincount(of_row, [row["amount"] for row in past]).astype(np.float64)
        orders = np.bincount(of_row, [row["orders"] for row in past]).astype(np.int64)
        return cls(dt.date.fromordinal(int(days[0])), as_of, days - days[0], amount, orders)

    @property
    def age(self) -> float:
        """Days from the first order to the end of what is known."""
        return float((self.as_of - self.first).days)

    def date(self, day: float) -> dt.date:
        """The date of a day counted from the first."""
        return self.first + dt.timedelta(days=round(day))

    def now(self, unit: Unit, copies: int = 1) -> History:
        """The history as the models read it, in ``unit``."""
        return self._history(
            np.full(copies, len(self.day)), np.full(copies, self.age, dtype=float), unit
        )

    def course(self, unit: Unit) -> tuple[Floats, History]:
        """Moments in days from the first order, and what was known at each, in ``unit``.

        A day with an order comes twice: before it and after it.
        """
        grid = np.linspace(0.0, self.age, GRID)
        seen = np.searchsorted(self.day, grid, side="right")
        count = np.arange(1, len(self.day) + 1)
        moments = np.concatenate([grid, self.day[1:], self.day])
        known = np.concatenate([seen, count[:-1], count])
        order = np.lexsort((known, moments))
        return moments[order], self._history(known[order], moments[order], unit)

    def after_each(self, unit: Unit) -> History:
        """What was known at the end of each day with an order."""
        return self._history(np.arange(1, len(self.day) + 1), self.day, unit)

    def _history(self, known: NDArray[np.int64], moment: Floats, unit: Unit) -> History:
        """Histories of the first ``known`` days with an order, as seen at ``moment``."""
        scale = DAYS[unit]
        return History((known - 1).astype(float), self.day[known - 1] / scale, moment / scale)


@dataclass(frozen=True)
class NextOrder:
    """When the next order is to be expected.

    Attributes
    ----------
    by_day
        The chance of at least one order within 0, 1, 2, ... days.
    usual
        The day by which half of those who are still customers have ordered; None if that takes
        longer than ``by_day`` reaches.
    even
        The same without knowing whether this is still a customer.
    """

    by_day: Floats
    usual: int | None
    even: int | None

    @classmethod
    def of(cls, model: PurchaseModel, life: OrderHistory, unit: Unit, days: int) -> NextOrder:
        """The chances of the next ``days`` days under a purchase model."""
        ahead = np.arange(1, days + 1)
        chance = model.probability_of_purchase(ahead / DAYS[unit], life.now(unit, days))
        alive = float(model.probability_alive(life.now(unit))[0])
        by_day = np.concatenate([[0.0], chance])
        return cls(by_day, _first(by_day >= alive / 2), _first(by_day >= 0.5))


def _first(reached: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(reached)) if reached.any() else None


def unit_of(model: PurchaseModel) -> Unit:
    """The time unit of a model of a store, which has one."""
    assert model.unit_ is not None
    return model.unit_
