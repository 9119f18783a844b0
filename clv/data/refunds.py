"""Which orders a customer's refunds undo: last in, first out, in window functions only.

Let S be the running sum of one customer's signed amounts in the order of time. A refund takes
back the latest money that is still there, so of an order that lifted S from B to B + a there
remains what S never falls back below: min(S over the order and all later rows) - B, at least 0.
By symmetry, a refund that took S from B to B - a found nothing to undo for the part by which it
made a new low: min(0 and all earlier S) - (B - a), at least 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw


def net_refunds(orders: Any, by: Sequence[str], amount: str, order_by: str) -> Any:
    """``orders`` with ``amount`` replaced by what is left of it after netting.

    Parameters
    ----------
    orders
        A Narwhals frame, eager or lazy: one row per order (amount > 0) or refund (amount < 0).
    by
        Rows that share these columns meet each other.
    amount
        A column of whole numbers, such as hundredths of a cent, so that sums are exact.
    order_by
        A column that puts the rows of one group in a strict order of time.

    Returns
    -------
    The same rows: orders with what survives of them (0 if refunded in full), refunds with the part
    (<= 0) that met no earlier order.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"who": "a", "time": [1, 2, 3, 4], "amount": [40, 25, -30, -50]})
    >>> net_refunds(nw.from_native(log), ["who"], "amount", "time")["amount"].to_list()
    [0, 0, 0, -15]
    """
    value = nw.col(amount)
    running = orders.with_columns(_sum=value.cum_sum().over(*by, order_by=order_by).cast(nw.Int64))
    running = running.with_columns(_before=nw.col("_sum") - value)
    bounded = running.with_columns(
        _later_low=nw.col("_sum").cum_min(reverse=True).over(*by, order_by=order_by),
        _earlier_low=nw.col("_before").cum_min().over(*by, order_by=order_by),
    )
    survives = nw.col("_later_low") - nw.col("_before")
    unmet = nw.col("_sum") - nw.col("_earlier_low")
    left = bounded.with_columns(
        _survives=nw.when(survives > 0).then(survives).otherwise(nw.lit(0)),
        _unmet=nw.when(unmet < 0).then(unmet).otherwise(nw.lit(0)),
    )
    net = nw.when(value > 0).then(nw.col("_survives")).otherwise(nw.col("_unmet"))
    spent = ("_sum", "_before", "_later_low", "_earlier_low", "_survives", "_unmet")
    return left.with_columns(net.cast(nw.Int64).alias(amount)).drop(*spent)
