"""SIMULATED orders of any number of customers, part by part, to see how far a machine goes.

About ten orders a customer over two years: BG/NBD purchases at Gamma-Gamma values, see
``process.py``. One order in 33 is given back days later, whole or in half, as a row of its own with
a negative amount. Each part has its own seed, so parts do not depend on how many there are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from clv.simulate.process import Floats, Ints, Random, draw_purchases, draw_spend

ORDERS = {"r": 1.0, "alpha": 33.0, "a": 0.5, "b": 12.0, "p": 6.25, "q": 3.74, "v": 15.44}
"""Parameters, in days and euros."""
FIRST_DAY, DAYS = dt.date(2024, 1, 1), 730
PART = 250_000  # customers
REFUNDED, WHOLE = 0.03, 0.5  # share of orders given back, and of these wholly
WITHIN = 30  # days until then
MOST_OF_ONE = 100_000  # orders: numbers of orders are unique


def simulated_orders(customers: int, seed: int = 0) -> Iterator[pa.Table]:
    """The orders of so many customers, a table for each part of ``PART`` of them.

    Parameters
    ----------
    customers
        How many; each has at least one order.
    seed
        The same seed gives the same orders.

    Yields
    ------
    Tables of order_id, customer_id (whole numbers), date (days from ``FIRST_DAY``) and amount
    (euros, negative for a refund), in the order of days.

    Examples
    --------
    >>> (part,) = simulated_orders(1000, seed=1)
    >>> part.column_names
    ['order_id', 'customer_id', 'date', 'amount']
    """
    for number, start in enumerate(range(0, customers, PART)):
        rng = np.random.default_rng([seed, number])
        yield _part(rng, start, min(PART, customers - start))


def _part(rng: Random, start: int, n: int) -> pa.Table:
    """Orders and refunds of n customers, whose numbers begin after ``start``."""
    day, who, amount = _orders(rng, n)
    refunded = np.flatnonzero(rng.random(len(day)) < REFUNDED)
    later = day[refunded] + rng.integers(1, WITHIN, len(refunded))
    part = np.where(rng.random(len(refunded)) < WHOLE, 1.0, 0.5)
    back = -np.maximum(np.round(amount[refunded] * part, 2), 0.01)
    observed = later < DAYS
    day = np.concatenate([day, later[observed]])
    who = np.concatenate([who, who[refunded][observed]])
    amount = np.concatenate([amount, back[observed]])
    order = np.argsort(day, kind="stable")
    first = np.datetime64(FIRST_DAY)
    return pa.table(
        {
            "order_id": start * MOST_OF_ONE + np.arange(1, len(day) + 1),
            "customer_id": start + 1 + who[order],
            "date": (first + day[order]).astype("datetime64[D]"),
            "amount": amount[order],
        }
    )


def _orders(rng: Random, n: int) -> tuple[Ints, Ints, Floats]:
    """Day, customer and amount of every order of n customers, the first of each included."""
    first = rng.integers(0, DAYS, n)
    rate = rng.gamma(ORDERS["r"], 1 / ORDERS["alpha"], n)
    dropout = rng.beta(ORDERS["a"], ORDERS["b"], n)
    repeats = draw_purchases(rng, rate, dropout, (DAYS - first).astype(np.float64))
    who = np.repeat(np.arange(n), repeats.count)
    day = first[who] + np.floor(repeats.time).astype(np.int64)
    who, day = np.concatenate([np.arange(n), who]), np.concatenate([first, day])
    nu = rng.gamma(ORDERS["q"], 1 / ORDERS["v"], n)
    return day, who, draw_spend(rng, np.full(len(who), ORDERS["p"]), nu[who])
