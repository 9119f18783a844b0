"""How few customers carry the business, and how much of it is repeat business.

An average hides both: a base whose top 1% brings a third of the value is another business than one
of equals, at the same mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.decide.acquisition.spend import require_day
from clv.errors import ColumnError, InputError
from clv.findings import Finding, finding
from clv.notebook import InNotebook
from clv.schema import Floats, as_frame, dated, numbers, reject_rows, require_columns

TOP = (0.01, 0.05, 0.20)


@dataclass(frozen=True)
class Concentration(InNotebook):
    """How unequally something is spread over customers; amounts as in ``measure``.

    Parameters
    ----------
    measure
        What is counted, such as "clv" (still to come) or "amount" (so far).
    customers, total
        How many there are, and what they bring together.
    top_1, top_5, top_20
        Shares of the total that the best 1, 5 and 20% bring; the customer at the edge counts in
        part.
    gini
        0 where all bring the same, close to 1 where one brings all.
    at_risk
        What is lost if the top 1% leaves.
    """

    measure: str
    customers: int
    total: float
    top_1: float
    top_5: float
    top_20: float
    gini: float
    at_risk: float

    def __str__(self) -> str:
        return str(self.finding)

    @property
    def finding(self) -> Finding:
        """Who brings how much, in a sentence."""
        first, second, third = TOP
        return finding(
            "acquisition.concentration",
            first=first,
            second=second,
            third=third,
            top_first=self.top_1,
            top_second=self.top_5,
            top_third=self.top_20,
            customers=self.customers,
            measure=self.measure,
            gini=self.gini,
            at_risk=self.at_risk,
        )


def concentration(table: IntoFrame, measure: str | None = None) -> Concentration:
    """Concentration over the customers of a scores table or a clean log.

    Parameters
    ----------
    table
        Scores (one row per customer) or a clean log (one row per purchase, added up here).
    measure
        The column to count; by default ``clv`` of scores, else ``amount`` of a log.

    Returns
    -------
    Concentration
        Shares of the total by top share of customers (fractions), the Gini index, and what leaves
        with the top 1%, in the unit of the column; printing it says so in a sentence.

    Raises
    ------
    ColumnError, RowError, InputError
        A column is missing, a value is missing or negative, or there is nothing to share.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"customer_id": range(100), "clv": [51.0] + [1.0] * 99})
    >>> print(concentration(scores))
    The top 1% of 100 customers bring 34% of clv, the top 5% 37%, the top 20% 47% (Gini 0.33); \
if the top 1% leaves, 51.00 leave with them.
    """
    frame = as_frame(table, "the table")
    names = frame.collect_schema().names()
    column = measure or next((name for name in ("clv", "amount") if name in names), None)
    if column is None:
        raise ColumnError(
            "the table has neither clv nor amount.", hint="name the column to count with measure=."
        )
    require_columns(frame, ("customer_id", column), "the table")
    sums = frame.group_by("customer_id").agg(nw.col(column).sum()).collect()
    return concentration_of(numbers(sums, column), column)


def concentration_of(values: ArrayLike, measure: str = "value") -> Concentration:
    """Concentration of values, one per customer, shape (n,)."""
    x = np.asarray(values, dtype=np.float64)
    columns = {"row": np.arange(len(x)), measure: x}
    reject_rows(
        ~(np.isfinite(x) & (x >= 0)), f"{measure} is missing, infinite or negative", columns
    )
    total = float(x.sum())
    if not total > 0:
        raise InputError(f"no customer has any {measure}.", hint="check the column and its filter.")
    carried = np.concatenate([[0.0], np.cumsum(np.sort(x)[::-1])]) / total
    top_1, top_5, top_20 = (_share_of_top(carried, share) for share in TOP)
    # twice the area between the curve of the best first and the line of equality
    gini = float(carried[:-1].sum() + carried[1:].sum()) / len(x) - 1
    return Concentration(measure, len(x), total, top_1, top_5, top_20, gini, top_1 * total)


def _share_of_top(carried: Floats, share: float) -> float:
    customers = len(carried) - 1
    return float(np.interp(share * customers, np.arange(customers + 1), carried))


@dataclass(frozen=True)
class RepeatRevenue:
    """How much of the revenue comes from customers who have bought before.

    Parameters
    ----------
    share
        Repeat revenue over all revenue.
    repeat, first
        Revenue of purchases after a customer's first day, and of first days.
    customers, repeat_buyers
        Who bought in the time counted, and how many of them had bought before it was over.
    since
        The day from which purchases count; None for all. A first purchase before it stays one.
    """

    share: float
    repeat: float
    first: float
    customers: int
    repeat_buyers: int
    since: date | None

    def __str__(self) -> str:
        return str(self.finding)

    @property
    def finding(self) -> Finding:
        """How much is repeat business, in a sentence."""
        values: dict[str, Any] = {"share": self.share, "repeat": self.repeat_buyers}
        values["customers"] = self.customers
        if self.since is None:
            return finding("acquisition.repeat_revenue", **values)
        return finding("acquisition.repeat_revenue_since", **values, since=self.since)


def repeat_revenue(log: IntoFrame, since: date | str | None = None) -> RepeatRevenue:
    """Share of revenue that is repeat business, from a clean log.

    Raises
    ------
    ColumnError, InputError
        A column is missing, or no purchase is left to count.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({
    ...     "customer_id": ["ann", "ann", "bob"],
    ...     "date": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-03"]),
    ...     "amount": [30.0, 50.0, 20.0],
    ... })
    >>> print(repeat_revenue(log))
    50% of revenue comes from repeat purchases, by 1 of 2 customers.
    >>> round(repeat_revenue(log, since="2024-02-01").share, 3)
    0.714
    """
    frame = dated(log, "the log", "customer_id", "amount").select("customer_id", "date", "amount")
    first = frame.group_by("customer_id").agg(nw.col("date").min().alias("_first"))
    day = None if since is None else require_day(since)
    rows = frame.join(first, on="customer_id")
    if day is not None:
        rows = rows.filter(nw.col("date") >= nw.lit(day, nw.Date))
    again = rows.with_columns((nw.col("date") > nw.col("_first")).cast(nw.Int64).alias("_again"))
    sums = again.group_by("customer_id", "_again").agg(nw.col("amount").sum()).collect()
    amount, repeated = numbers(sums, "amount"), numbers(sums, "_again") == 1
    if not amount.sum() > 0:
        raise InputError(f"the log has no revenue{'' if day is None else f' since {day}'}.")
    ids: Any = sums["customer_id"]
    return RepeatRevenue(
        share=float(amount[repeated].sum() / amount.sum()),
        repeat=float(amount[repeated].sum()),
        first=float(amount[~repeated].sum()),
        customers=len(set(ids.to_list())),
        repeat_buyers=int(repeated.sum()),
        since=day,
    )
