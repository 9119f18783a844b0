"""What a log cannot carry: values far beyond its span, totals that rest on one order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrame

from clv.defaults import FEWEST_ORDERS, GIANT
from clv.format import counted
from clv.periods import Duration
from clv.schema import as_frame

BEYOND = 5.0  # times the span of a log that a horizon may reach before it is worth a word


def log_limits(log: IntoFrame, horizon: Duration | None = None) -> Iterator[str]:
    """What speaks against values of a horizon learned from a log, in sentences.

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
    One order of 1,000.00 is 78% of all money; all 29 others together are 290.00. ...
    """
    amount = nw.col("amount")
    row: Any = (
        as_frame(log)
        .select(
            nw.col("date").min().alias("first"),
            nw.col("date").max().alias("last"),
            amount.max().alias("most"),
            amount.sum().alias("total"),
            nw.len().alias("n"),
        )
        .lazy()
        .collect()
        .row(0)
    )
    first, last, most, total, orders = row
    days = (last - first).days
    if horizon is not None and horizon.to("day") > BEYOND * max(days, 1):
        yield (
            f"The log spans {counted(days, 'day')} and values reach {horizon} ahead, "
            f"{horizon.to('day') / max(days, 1):.0f} times as far: nothing in it shows how many "
            "customers stay so long, so the values are the model's assumption."
        )
    if total > 0 and orders > FEWEST_ORDERS and most > GIANT * float(total):
        rest = float(total) - float(most)
        yield (
            f"One order of {float(most):,.2f} is {float(most) / float(total):.0%} of all money; "
            f"all {orders - 1:,} others together are {rest:,.2f}. Check it: every total and mean "
            "rests on it."
        )
