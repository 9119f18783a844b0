"""SIMULATED order lines: customers with tastes, items in groups that go together, and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.errors import InputError
from clv.simulate.process import Floats

TASTES = 2_000  # different mixtures of groups at most
MORE_LINES = 2.5  # of an order, beyond its first
POWER = 2.5  # of popularity within a group
RETURNED = 0.02  # share of the lines that come back


@dataclass(frozen=True)
class SimulatedLines:
    """SIMULATED lines with the truth behind them.

    Attributes
    ----------
    lines
        customer_id, item, date, quantity, amount, order_id, margin, name, category.
    rate
        Orders a day of each customer; shape (customers,).
    taste
        Share of a customer's lines in each group of items; shape (customers, groups).
    group, share
        Of each item: its group, and its share of the lines there; shape (items,).
    """

    lines: pd.DataFrame
    rate: Floats
    taste: Floats
    group: NDArray[np.int64]
    share: Floats

    @property
    def customers(self) -> pd.DataFrame:
        """The truth of customers: customer_id, orders_a_day, and the share of each group."""
        names = [f"group {number}" for number in range(self.taste.shape[1])]
        table = pd.DataFrame(self.taste.round(6), columns=names)
        table.insert(0, "orders_a_day", self.rate)
        return table.rename_axis("customer_id").reset_index()

    @property
    def items(self) -> pd.DataFrame:
        """The truth of items: item, group, and share of the lines in it."""
        codes = [_code(number) for number in range(len(self.group))]
        groups = [f"group {number}" for number in self.group]
        return pd.DataFrame({"item": codes, "group": groups, "share": self.share})

    def chance(self, customers: NDArray[np.int64], days: float) -> Floats:
        """The true chance that customers buy each item within so many days.

        An order has 1 + Poisson(m) lines, each of the item with chance q: it holds the item with
        chance 1 - (1 - q) exp(-m q), and orders come as a Poisson process.

        Returns
        -------
        Shape (customers, items).
        """
        q = self.taste[customers][:, self.group] * self.share
        held = 1 - (1 - q) * np.exp(-MORE_LINES * q)
        return np.asarray(-np.expm1(-self.rate[customers, None] * days * held))


def simulate_order_lines(
    seed: int = 0,
    *,
    customers: int = 1_000,
    items: int = 120,
    groups: int = 8,
    days: int = 400,
    start: str = "2023-01-02",
) -> SimulatedLines:
    """SIMULATED order lines; the same seed and settings give the same lines.

    Parameters
    ----------
    seed
        Of NumPy's default generator.
    customers, items
        How many.
    groups
        Of items that go together: a customer buys from few of them.
    days, start
        Length of the log and its first day.

    Returns
    -------
    SimulatedLines
        The lines, a few of them returns, and the truth behind them.

    Raises
    ------
    InputError
        There are no customers or days, or fewer items than groups.

    Examples
    --------
    >>> simulated = simulate_order_lines(1, customers=3)
    >>> list(simulated.lines.columns)[:6]
    ['customer_id', 'item', 'date', 'quantity', 'amount', 'order_id']
    """
    if min(customers, days, groups) < 1 or items < groups:
        raise InputError(
            f"{customers} customers, {days} days, {items} items in {groups} groups.",
            hint="give 1 or more of each, and no more groups than items.",
        )
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.full(groups, 0.1), size=min(TASTES, customers))
    taste_of = rng.integers(0, len(mixtures), customers)
    rate = rng.gamma(1.5, 4 / 1.5, customers) / 365
    group = np.arange(items) % groups
    weight = (np.arange(items) // groups + 1.0) ** (1 / POWER) - (np.arange(items) // groups) ** (
        1 / POWER
    )
    share = weight / np.bincount(group, weights=weight)[group]
    orders = rng.poisson(rate * days)
    customer = np.repeat(np.arange(customers), orders)
    order_day = rng.integers(0, days, len(customer))
    order = np.repeat(np.arange(len(customer)), 1 + rng.poisson(MORE_LINES, len(customer)))
    item = _items(rng, mixtures, taste_of[customer[order]], group, share)
    lines = _table(rng, customer, order_day, order, item, group, np.datetime64(start, "D"))
    return SimulatedLines(lines, rate, mixtures[taste_of], group, share)


def _code(number: int) -> str:
    """What an item is called."""
    return f"p{number:05d}"


def _items(
    rng: np.random.Generator,
    mixtures: Floats,
    taste: NDArray[np.int64],
    group: NDArray[np.int64],
    share: Floats,
) -> NDArray[np.int64]:
    """An item per line: its mixture and the item's share within the group are one table to draw."""
    item = np.empty(len(taste), dtype=np.int64)
    order = np.argsort(taste, kind="stable")
    ends = np.searchsorted(taste[order], np.arange(len(mixtures) + 1))
    for mixture, (start, end) in enumerate(pairwise(ends)):
        cumulated = np.cumsum(mixtures[mixture][group] * share)
        drawn = rng.random(end - start) * cumulated[-1]
        item[order[start:end]] = np.searchsorted(cumulated, drawn).clip(0, len(group) - 1)
    return item


def _table(
    rng: np.random.Generator,
    customer: NDArray[np.int64],
    order_day: NDArray[np.int64],
    order: NDArray[np.int64],
    item: NDArray[np.int64],
    group: NDArray[np.int64],
    start: np.datetime64,
) -> pd.DataFrame:
    """The lines as people export them, a few of them followed by a return."""
    price = np.exp(rng.normal(2.0, 0.6, len(group))).round(2)
    rate = rng.uniform(-0.02, 0.6, len(group))  # of margin: a few items lose money
    quantity = 1 + rng.poisson(0.5, len(order))
    back = np.flatnonzero(rng.random(len(order)) < RETURNED)
    sign = np.concatenate(
        [np.ones(len(order), dtype=np.int64), -np.ones(len(back), dtype=np.int64)]
    )
    row = np.concatenate([np.arange(len(order)), back])
    day = order_day[order[row]] + np.where(sign < 0, 7, 0)
    amount = (sign * price[item[row]] * quantity[row]).round(2)
    codes = np.array([_code(number) for number in range(len(group))], dtype=object)
    groups = np.array([f"group {number}" for number in group], dtype=object)
    table = {
        "customer_id": customer[order[row]],
        "item": codes[item[row]],
        "date": (start + day).astype("datetime64[s]"),
        "quantity": sign * quantity[row],
        "amount": amount,
        "order_id": order[row],
        "margin": (amount * rate[item[row]]).round(4),
        "name": np.char.add("item ", codes.astype(str)).astype(object)[item[row]],
        "category": groups[item[row]],
    }
    return pd.DataFrame(table)
