"""clean() and summarize() in one, prepared once for small logs that come again and again.

The steps are those of the two functions, in their order and from their modules; only what depends
on no row was done before the first log comes, which is nine tenths of the time a small log takes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from clv.data.features import Columns, beside_behaviour
from clv.data.ledger import (
    ACTIONS,
    FURTHER,
    LINES,
    OUTCOMES,
    REDUCED,
    REFUND,
    REPEATED,
    SPREAD,
    UNMET,
)
from clv.data.orders import as_orders, as_purchases, netted, surviving
from clv.data.prepared import PreparedQuery, held
from clv.data.reading import read_rows
from clv.data.summary import of_customer_days
from clv.data.transactions import Duplicates, Zeros, distinct_lines, drops_repeats
from clv.format import count
from clv.periods import Duration, Unit

if TYPE_CHECKING:
    import polars as pl

Counts = NDArray[np.int64]
Arrays = dict[str, Any]
ROW = {reason: row for row, reason in enumerate(ACTIONS)}
ROW_OF_OUTCOME = np.array([0, *(ROW[reason] for reason, _ in OUTCOMES.values())])


@dataclass(frozen=True)
class SummarizedLog:
    """What became of a small log.

    Attributes
    ----------
    summary
        The columns of ``summarize`` as arrays of shape (m,), by customer_id; of the m customers
        who have a purchase.
    counts
        How many rows of each customer met each rule, shape (len(ACTIONS), n).
    drops_repeats
        Whether rows equal in every column were dropped.
    """

    summary: Columns
    counts: Counts
    drops_repeats: bool

    def cleaning(self, first: int, end: int) -> list[str]:
        """What cleaning did to the rows of the customers from ``first`` to before ``end``.

        The findings of ``clean`` for a log of theirs alone, as sentences.
        """
        rows = self.counts[:, first:end].sum(axis=1).tolist()
        reported = {reason: n for reason, n in zip(ACTIONS, rows, strict=True) if n}
        if OUTCOMES[UNMET][0] in reported:  # a part of such a refund may have met an order
            reported.setdefault(OUTCOMES[REFUND][0], 0)
        return [
            f"{reason}: {self._action(reason)} ({count(reported[reason])})"
            for reason in ACTIONS
            if reason in reported
        ]

    def _action(self, reason: str) -> str:
        return "dropped" if reason == REPEATED and self.drops_repeats else ACTIONS[reason]


class LogSummarizer:
    """Small logs to summaries as of one day, for logs of one schema.

    Parameters
    ----------
    schema
        Polars types by the names that ``clean`` knows: customer_id (whole numbers from 0 on), date,
        amount, and order_id, product, channel as far as the logs have them.
    as_of
        The day as of which to summarize; later rows are left out.
    unit
        The unit of recency and T.
    window
        The churn horizon, if the summary is to have what ``with_behaviour`` adds.
    duplicates, zero_amounts
        As ``clean`` has them.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({"customer_id": [0, 0, 1], "amount": [20.0, 30.0, 0.0],
    ...     "date": [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 15), dt.datetime(2024, 1, 8)]})
    >>> summarizer = LogSummarizer(log.schema, dt.date(2024, 1, 29), "week")
    >>> found = summarizer(log, customers=2)
    >>> found.summary["frequency"], found.summary["T"], found.cleaning(0, 2)
    (array([1.]), array([4.]), ['amount is zero: dropped (1)'])
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        as_of: dt.date,
        unit: Unit,
        window: Duration | None = None,
        *,
        duplicates: Duplicates = "auto",
        zero_amounts: Zeros = "drop",
    ) -> None:
        self.as_of, self.unit, self.window = as_of, unit, window
        self._names = {name: name for name in schema}
        self._zero_amounts = zero_amounts
        self.drops_repeats = drops_repeats(self._names, duplicates)
        self._plain, self._netting = (
            PreparedQuery(schema, partial(self._steps, refunds=refunds))
            for refunds in (False, True)
        )

    def __call__(self, log: pl.DataFrame, customers: int) -> SummarizedLog:
        """The summary of a log of so many customers, and what cleaning did to each one's rows."""
        refunds = (log["amount"].to_numpy() < 0).any()
        tables = (self._netting if refunds else self._plain)(log)
        read, repeats, orders, purchases, summary = (_arrays(table) for table in tables)
        counts = _counts(customers, read, repeats, orders, self.drops_repeats)
        counts[ROW[FURTHER]] -= np.bincount(purchases["customer_id"], None, customers)
        return SummarizedLog(self._columns(summary), counts, self.drops_repeats)

    def _steps(self, log: Any, *, refunds: bool) -> list[Any]:
        """What was read, what came twice, what became of orders, what was bought, the summary."""
        names = self._names
        rows = read_rows(log, names, as_of=self.as_of, zero_amounts=self._zero_amounts)
        rows = held(rows)
        usable = rows.filter(nw.col("_reason") == 0)
        single = held(distinct_lines(usable, tuple(names), names))
        orders = as_orders(single if self.drops_repeats else usable, names)
        orders = held(netted(orders, names, few=True) if refunds else orders)
        purchases = held(as_purchases(surviving(orders, names), "merge", names))
        return [
            rows.select("customer_id", "_reason"),
            single.filter(nw.col("_copies") > 1).select("customer_id", "_copies"),
            orders.select("customer_id", "_outcome", "_spread"),
            purchases.select("customer_id"),
            self._summary(purchases),
        ]

    def _summary(self, purchases: Any) -> Any:
        summary = of_customer_days(purchases, self.as_of, self.unit)
        if self.window is not None:
            days = purchases.select("customer_id", "date", "amount")
            summary = beside_behaviour(summary, days, self.as_of, self.window, self.unit)
        return summary.drop("unit", "as_of").sort("customer_id")

    def _columns(self, columns: Arrays) -> Columns:
        frequency = columns["frequency"].astype(np.float64)
        as_of = [self.as_of] * len(frequency)
        return columns | {"frequency": frequency, "as_of": as_of}


def _counts(customers: int, rows: Arrays, repeats: Arrays, orders: Arrays, drops: bool) -> Counts:
    """How many rows of each customer met each rule, in the order of ``ACTIONS``.

    What lines and orders were joined is what is fewer after than before.
    """
    counts = np.zeros((len(ACTIONS), customers), dtype=np.int64)

    def number(customer: Counts) -> Counts:
        return np.bincount(customer, minlength=customers)

    customer, reason = rows["customer_id"], rows["_reason"]
    of_order, outcome = orders["customer_id"], orders["_outcome"]
    bad, changed = reason > 0, outcome > 0
    np.add.at(counts, (reason[bad] - 1, customer[bad]), 1)
    np.add.at(counts, (ROW_OF_OUTCOME[outcome[changed]], of_order[changed]), 1)
    np.add.at(counts[ROW[REPEATED]], repeats["customer_id"], repeats["_copies"].astype(int) - 1)
    counts[ROW[SPREAD]] = number(of_order[orders["_spread"] > 0])
    counts[ROW[LINES]] = number(customer[~bad]) - drops * counts[ROW[REPEATED]] - number(of_order)
    counts[ROW[FURTHER]] = number(of_order[~changed | (outcome == REDUCED)])
    return counts


def _arrays(table: pl.DataFrame) -> Arrays:
    return {column.name: column.to_numpy() for column in table}
