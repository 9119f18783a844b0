"""Whether an order log is one of contracts: regular charges of one amount."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clv.contracts.billing_tables import Interval
from clv.data.log import read_log
from clv.format import count, percent
from clv.io.engine import connect
from clv.notebook import InNotebook

FEWEST = 4  # purchases of a customer, to speak of regularity
ALIKE = 0.8  # share of a customer's charges, or gaps, that are one
ENOUGH = 1_000_000  # rows, beyond which a sample of the customers is looked at
SHARE = 0.5  # of those customers, to call the log one of contracts
USUAL = {7: ("day", 7), 14: ("day", 14), 30: ("month", 1), 91: ("month", 3), 365: ("month", 12)}


@dataclass(frozen=True)
class RegularCharges(InNotebook):
    """How regular the charges of a log are.

    Attributes
    ----------
    contractual
        Whether most customers who bought often are charged one amount at one interval.
    customers
        With four purchases or more; of a log beyond a million rows those in a sample of it.
    regular
        The share of them whose charges are regular and of one amount.
    interval
        The usual time between two charges of those; None if there are none.
    """

    contractual: bool
    customers: int
    regular: float
    interval: Interval | None

    def __str__(self) -> str:
        if not self.customers:
            return "nobody bought four times, so regular charges cannot be seen"
        what = f"{percent(self.regular)} of {count(self.customers)} customers with {FEWEST} "
        what += "purchases or more"
        if not self.contractual:
            return f"{what} pay one amount at one interval: no log of contracts"
        return (
            f"{what} pay one amount every {self.interval}: these are contracts, and a model of "
            "purchases takes a cancelled one for a pause. Export the subscriptions or the lines of "
            "invoices, and run clv contracts on them"
        )


def regular_charges(log: object) -> RegularCharges:
    """Tell from an order log whether its customers are under contract.

    Parameters
    ----------
    log
        A clean log (customer_id, date, amount): any dataframe, or a DuckDB relation.

    Returns
    -------
    RegularCharges

    Raises
    ------
    ColumnError, RowError
        A column is missing or has the wrong type, or a value is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("2024-01-05", periods=6, freq="30D")
    >>> log = pd.DataFrame({"customer_id": "ann", "date": days, "amount": 9.99})
    >>> regular_charges(log).contractual
    True
    """
    rows = _sampled(_rows(log))
    gaps = rows.project(
        "customer, amount, (day - lag(day) OVER (PARTITION BY customer ORDER BY day)) AS gap"
    )
    of_customer = gaps.aggregate(
        "customer, count(*) AS n, median(gap) AS usual, mode(amount) AS price, list(gap) AS gaps, "
        "list(amount) AS amounts",
        "customer",
    ).filter(f"n >= {FEWEST}")
    judged = of_customer.project(
        "usual, "
        f"len(list_filter(amounts, lambda a: abs(a - price) < 0.005)) >= {ALIKE} * n AND "
        f"len(list_filter(gaps, lambda g: abs(g - usual) <= 1 + usual / 20)) >= {ALIKE} * (n - 1) "
        f"AND usual >= 6 AND ({' OR '.join(f'abs(usual - {d}) <= 1 + {d} / 30' for d in USUAL)}) "
        "AS regular"
    )
    customers, regular, usual = judged.aggregate(
        "count(*), count(*) FILTER (regular), median(usual) FILTER (regular)"
    ).fetchall()[0]
    share = regular / customers if customers else 0.0
    interval = None
    if usual is not None:
        unit, length = USUAL[min(USUAL, key=lambda days: abs(days - usual))]
        interval = Interval("day" if unit == "day" else "month", length)
    return RegularCharges(share >= SHARE, int(customers), share, interval)


def _sampled(rows: Any) -> Any:
    """The rows of as many customers as are enough to see; of the same ones always."""
    parts = -(-rows.shape[0] // ENOUGH)
    return rows.filter(f"hash(customer) % {parts} = 0") if parts > 1 else rows


def _rows(log: Any) -> Any:
    columns = "customer_id AS customer, date AS day, amount"
    rows, _, _ = read_log(log)
    if rows.implementation.is_duckdb():
        return rows.to_native().project(columns)
    return connect().from_arrow(rows.collect().to_arrow()).project(columns)
