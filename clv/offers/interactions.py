"""Who bought which items up to a day, and what was bought in the time after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from clv.offers.order_lines import Codes, Lines, OrderLines
from clv.offers.returns import net_returns
from clv.schema import Floats

SUMMED = ("units", "amount", "margin")
Matrix = sparse.csr_array  # customers x items, or items x items


@dataclass(frozen=True)
class Interactions:
    """What customers bought before a day, net of what had come back by then.

    A pair is a customer and an item that was bought; arrays of shape (pairs,) follow the rows and
    columns of ``orders``.

    Attributes
    ----------
    day, horizon
        The day, counted from 1970-01-01, and how many days "recent" and "next" are.
    orders
        Orders of each pair, customers x items.
    money, first, last
        What a pair brought, and the days when it was bought first and last.
    lines
        The purchases themselves, a line per customer, item and order.
    order_count, last_day
        Of each customer: orders, and day of the last one (-1 without any).
    popularity
        How many customers bought each item in the last ``horizon`` days.
    """

    day: int
    horizon: int
    orders: Matrix
    money: Floats
    first: Codes
    last: Codes
    lines: Lines
    order_count: NDArray[np.int64]
    last_day: Codes
    popularity: NDArray[np.int64]

    @property
    def customer(self) -> Codes:
        """Of each pair."""
        return np.repeat(
            np.arange(self.orders.shape[0], dtype=np.int32), np.diff(self.orders.indptr)
        )

    @cached_property
    def gap_of_item(self) -> Floats:
        """Days between purchases of each item by those who buy it again; shape (items,)."""
        item, items = self.orders.indices, self.orders.shape[1]
        span, gaps = self.last - self.first, self.orders.data - 1
        usual = float(span.sum() / gaps.sum(dtype=np.float64)) if gaps.any() else self.horizon
        days, times = (np.bincount(item, weights=x, minlength=items) for x in (span, gaps))
        return np.asarray((days + usual) / (times + 1.0))

    def bought(self) -> Matrix:
        """1 for each pair."""
        ones = np.ones(self.orders.nnz, dtype=np.float32)
        return sparse.csr_array((ones, self.orders.indices, self.orders.indptr), self.orders.shape)

    def bought_by(self, customers: Codes) -> Matrix:
        """The same of some customers, customers x items."""
        rows = self.orders[customers]
        rows.data[:] = 1.0
        return rows


def interactions(order_lines: OrderLines, day: int, horizon: int) -> Interactions:
    """What customers bought before a day.

    Parameters
    ----------
    order_lines
        From ``read_order_lines``.
    day
        Counted from 1970-01-01; what came back later is not known yet.
    horizon
        Days.
    """
    shape = (len(order_lines.customers), len(order_lines.items))
    lines = _kept(order_lines, day)
    orders, starts = _pairs(lines, shape)
    ends = np.append(starts, len(lines.day))[1:] - 1
    last_day = np.full(shape[0], -1, dtype=np.int32)
    np.maximum.at(last_day, lines.customer, lines.day)
    customer_of_order = np.full(int(lines.order.max(initial=0)) + 1, -1, dtype=np.int32)
    customer_of_order[lines.order] = lines.customer
    order_count = np.bincount(customer_of_order[customer_of_order >= 0], minlength=shape[0])
    recent, _ = _pairs(lines.where(lines.day >= day - horizon), shape)
    return Interactions(
        day,
        horizon,
        orders,
        np.add.reduceat(lines.amount, starts) if len(starts) else np.empty(0),
        lines.day[starts],
        lines.day[ends],
        lines,
        order_count,
        last_day,
        np.bincount(recent.indices, minlength=shape[1]),
    )


def bought_after(order_lines: OrderLines, day: int, horizon: int) -> Matrix:
    """What each customer spent on each item in the ``horizon`` days from a day on.

    Returns
    -------
    Money, customers x items, net of what came back within those days.
    """
    lines = _kept(order_lines, day + horizon)
    lines = lines.where(lines.day >= day)
    shape = (len(order_lines.customers), len(order_lines.items))
    orders, starts = _pairs(lines, shape)
    money = np.add.reduceat(lines.amount, starts) if len(starts) else np.empty(0)
    return sparse.csr_array((money, orders.indices, orders.indptr), shape)


def _kept(order_lines: OrderLines, day: int) -> Lines:
    """Purchases before a day that were kept by then, a line per customer, item and order."""
    lines = net_returns(order_lines.lines.where(order_lines.lines.day < day)).lines
    starts = np.flatnonzero(lines.first_of("customer", "item", "order"))
    if len(starts) == len(lines.day):
        return lines
    sums = {name: np.add.reduceat(getattr(lines, name), starts) for name in SUMMED}
    return lines.where(starts)._replace(**sums)


def _pairs(lines: Lines, shape: tuple[int, int]) -> tuple[Matrix, NDArray[np.int64]]:
    """Orders by customer and item, and where the lines of each pair begin."""
    starts = np.flatnonzero(lines.first_of("customer", "item"))
    counts = np.diff(np.append(starts, len(lines.day))).astype(np.float32)
    pointer = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(lines.customer[starts], minlength=shape[0]), out=pointer[1:])
    return sparse.csr_array((counts, lines.item[starts], pointer), shape), starts
