"""What a log cannot carry: values far beyond its span, totals that rest on one order."""

from __future__ import annotations

from collections.abc import Iterator

import narwhals as nw
from narwhals.typing import IntoFrame

from clv.defaults import FEWEST_ORDERS, GIANT
from clv.findings import Finding, finding
from clv.periods import Duration
from clv.schema import as_frame, only_row

BEYOND = 5.0  # times the span of a log that a horizon may reach before it is worth a word


def log_limits(log: IntoFrame, horizon: Duration | None = None) -> Iterator[Finding]:
    """What speaks against values of a horizon learned from a log, as findings.

    Parameters
    ----------
    log
        A clean log: customer_id, date, amount.
    horizon
        Of the values, if they have one yet.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"customer_id": range(30), "amount": [10.0] * 29 + [1000.0],
    ...                     "date": pd.date_range("2024-01-01", periods=30)})
    >>> for sentence in log_limits(log, Duration(3, "year")):
    ...     print(sentence)
    The log spans 29 days and values reach 3 years ahead, 38 times as far: ...
    One order of 1,000 is 78% of all money; all 29 others together are 290. ...
    """
    amount = nw.col("amount")
    figures = as_frame(log).select(
        nw.col("date").min().alias("first"),
        nw.col("date").max().alias("last"),
        amount.max().alias("most"),
        amount.sum().alias("total"),
        nw.len().alias("n"),
    )
    first, last, most, total, orders = only_row(figures)
    days = (last - first).days
    if horizon is not None and horizon.to("day") > BEYOND * max(days, 1):
        times = round(horizon.to("day") / max(days, 1))
        yield finding("limit_of_log.span", days=days, horizon=str(horizon), times=times)
    if total > 0 and orders > FEWEST_ORDERS and most > GIANT * float(total):
        share, rest = float(most) / float(total), float(total) - float(most)
        yield finding(
            "limit_of_log.giant", order=float(most), share=share, others=int(orders) - 1, rest=rest
        )
