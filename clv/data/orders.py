"""From order lines to orders, from orders and refunds to what is left of them, to purchases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw

from clv.data.ledger import REDUCED, REFUND, REFUNDED, UNDONE, UNMET
from clv.data.money import MONEY, as_summed, quotient, summed
from clv.data.parts import LINE, held, in_parts, numbered

CARRIED = ("margin", "channel", "product")


def as_orders(lines: Any, names: Mapping[str, str], *, single: bool = False) -> Any:
    """One row per order, dated by its first line; lines without an order id stand alone.

    Where each order is a ``single`` line, its money is as ``summed`` would leave it only once it
    is summed by the day.
    """
    customer, schema = nw.col("_raw_customer_id"), lines.collect_schema()
    lines_numbered = [LINE] if single and LINE in schema else []
    if schema["_raw_customer_id"].is_float():
        customer = customer.cast(nw.Int64)
    carried = dict(zip(CARRIED, ("_margin", "_raw_channel", "_raw_product"), strict=True))
    rows = lines.select(
        "_at",
        *lines_numbered,
        customer_id=customer,
        date="_date",
        amount="_amount",
        _gross=nw.col("_amount").abs(),
        _until="_date",
        **{name: column for name, column in carried.items() if name in names},
        **({"order_id": "_raw_order_id"} if "order_id" in names else {}),
    )
    if "order_id" in names and not single:
        alone = nw.when(nw.col("order_id").is_null()).then(nw.col("_at"))
        keys = ["customer_id", "order_id", "_alone"]
        times = [nw.col("_at", "date").min(), nw.col("_until").max()]
        rows = rows.with_columns(_alone=alone)
        rows = _joined(rows, keys, names, ["amount", "_gross"], *times).drop("_alone")
    rows = rows.with_columns(_spread=(nw.col("_until") > nw.col("date")).cast(nw.Int64))
    return as_single(rows).drop("_until")


def as_single(rows: Any) -> Any:
    """Rows as orders that were neither joined with others nor touched by refunds yet."""
    one = nw.lit(1).cast(nw.Int64)
    return rows.with_columns(orders=one, _outcome=nw.lit(0), _left=nw.col("amount"))


def _joined(
    rows: Any, keys: list[str], names: Mapping[str, str], money: list[str], *others: nw.Expr
) -> Any:
    """Rows with the same keys as one: money and margin added up, first channel, main product."""
    expressions = list(others)
    if "margin" in names:
        rows = rows.with_columns(_gap=nw.col("margin").is_null().cast(nw.Int64))
        money, expressions = [*money, "margin"], [*expressions, nw.col("_gap").sum()]
    if "channel" in names:
        first = nw.col("_at") == nw.col("_at").min().over(*keys)
        rows = rows.with_columns(channel=nw.when(first).then(nw.col("channel").cast(nw.String)))
        expressions.append(nw.col("channel").min())
    if "product" in names:
        largest = nw.col("amount") == nw.col("amount").max().over(*keys)
        rows = rows.with_columns(product=nw.when(largest).then(nw.col("product")))
        expressions.append(nw.col("product").min())
    whole = summed(rows, keys, money, *expressions)
    if "margin" not in names:
        return whole
    complete_margin = nw.when(nw.col("_gap") == 0).then(
        nw.col("margin")
    )  # only where every part is
    return whole.with_columns(margin=complete_margin).drop("_gap")


def netted(orders: Any, names: Mapping[str, str], *, few: bool = False) -> Any:
    """The orders with ``_left``, the money that refunds leave of them, and their ``_outcome``.

    Refunds meet the latest earlier order of exactly their amount first, then any earlier ones.
    Where rows are ``few``, all of them are put in order of time, as finding out those that refunds
    touch takes longer.
    """
    if few:
        rows, order = _in_cents(orders, names)
        rows = _in_time(_in_time(rows, ["customer_id", "_size"], order), ["customer_id"], order)
        return _with_outcomes(rows)
    orders = orders if LINE in orders.collect_schema().names() else numbered(orders)
    touched = held(touched_by_refunds(orders, names), orders)
    untouched = orders.join(touched.select(LINE), on=LINE, how="anti")
    columns = touched.collect_schema().names()
    return nw.concat([touched, _with_outcomes(_in_cents(untouched, names)[0]).select(columns)])


def touched_by_refunds(orders: Any, names: Mapping[str, str]) -> Any:
    """The orders that refunds may touch, netted; all others are as they were.

    Touched are orders of an amount that the customer was refunded, and then, of customers with a
    refund that met no equal amount, what came before the last of those, back to an order that
    covers them all. They alone are put in order of time. Orders are ``numbered``.
    """
    rows, order = _in_cents(orders, names)
    alike, customer = ["customer_id", "_size"], ["customer_id"]
    refunds = held(rows.filter(nw.col("_net") < 0).select(alike).unique(), orders)
    equal = _in_time_by_parts(rows.join(refunds, on=alike, how="semi"), alike, order)
    unmet = held(_unmet(equal), orders)
    theirs = rows.join(unmet, on=customer, how="inner")  # first, as theirs are few
    unmet = held(_since(theirs.join(refunds, on=alike, how="anti"), unmet), orders)
    before = rows.join(unmet, on=customer, how="inner").filter(_reached())
    both = equal.join(unmet, on=customer, how="left")
    columns = rows.collect_schema().names()
    reached = [both.filter(_reached()), before.join(refunds, on=alike, how="anti")]
    within = nw.concat([part.select(columns) for part in reached])
    within = _in_time_by_parts(within, customer, order)
    met = both.filter(~_reached())
    return _with_outcomes(nw.concat([part.select(columns) for part in (within, met)]))


def _unmet(equal: Any) -> Any:
    """Of each customer with refunds that met no equal amount, what is owed, the first and last."""
    refunds = equal.filter(nw.col("_net") < 0).with_columns(_owed=-nw.col("_net"))
    times = {"_first": nw.col("_at").min(), "_last": nw.col("_at").max()}
    return refunds.group_by("customer_id").agg(nw.col("_owed").sum(), **times)


def _since(before: Any, unmet: Any) -> Any:
    """Up to ``_last`` unmet refunds may reach, and back to ``_from``.

    That is when an order came that is worth as much as all of them, the latest before the first.
    As the last money goes first, none before it goes.
    """
    covering = before.filter(nw.col("_at") <= nw.col("_first"), nw.col("_net") >= nw.col("_owed"))
    latest = covering.group_by("customer_id").agg(_from=nw.col("_at").max())
    return unmet.select("customer_id", "_last").join(latest, on="customer_id", how="left")


def _reached() -> nw.Expr:
    """Whether an unmet refund may reach a row, beside which stands since and up to when."""
    until = (nw.col("_at") <= nw.col("_last")).fill_null(False)
    since = (nw.col("_at") >= nw.col("_from")).fill_null(False) | nw.col("_from").is_null()
    return until & since & (nw.col("_net") != 0)


def _in_cents(orders: Any, names: Mapping[str, str]) -> tuple[Any, list[str]]:
    """The orders with their money in whole parts, and what puts them in order of time.

    Order numbers break ties as text, so that it is one whether a file holds them so or not.
    """
    cents = _cents()
    rows = orders.with_columns(_net=cents, _size=cents.abs(), _debit=-cents)
    ties = [name for name in ("order_id", *CARRIED) if name in names]
    if ties[:1] == ["order_id"] and rows.collect_schema()["order_id"] != nw.String:
        rows, ties[0] = rows.with_columns(_number=nw.col("order_id").cast(nw.String)), "_number"
    return rows.drop("_left", "_outcome", strict=False), ["_at", "_debit", *ties]


def _cents() -> nw.Expr:
    return (nw.col("amount") * MONEY).round(0).cast(nw.Int64)


def _with_outcomes(rows: Any) -> Any:
    whole = nw.col("_net") == _cents()
    remaining = (
        nw.when(whole)
        .then(nw.col("amount"))
        .otherwise(quotient(nw.col("_net").cast(nw.Float64), MONEY))
    )
    rows = rows.with_columns(_left=remaining, _outcome=_outcome())
    return rows.drop("_net", "_size", "_debit", "_number", strict=False)


def _in_time_by_parts(rows: Any, by: list[str], order: list[str]) -> Any:
    """As ``_in_time``, worked out once, in parts where there are too many rows for memory."""
    done = in_parts(rows, "customer_id", lambda part: _in_time(part, by, order))
    return done if rows.implementation.is_duckdb() else held(done)


def _in_time(rows: Any, by: list[str], order: list[str]) -> Any:
    """The rows with ``_net``, netted in each group in the order of time."""
    return net_refunds(rows, by, "_net", order)


def _outcome() -> nw.Expr:
    cents, net = _cents(), nw.col("_net")
    undone = (cents == 0) & ((nw.col("_gross") * MONEY).round(0) > 0)
    refund = nw.when(net < 0).then(nw.lit(UNMET)).otherwise(nw.lit(REFUND))
    cut = nw.when(net == 0).then(nw.lit(REFUNDED)).otherwise(nw.lit(REDUCED))
    order = nw.when((cents > 0) & (net < cents)).then(cut).otherwise(nw.lit(0))
    signed = nw.when(cents < 0).then(refund).otherwise(order)
    return nw.when(undone).then(nw.lit(UNDONE)).otherwise(signed)


def surviving(orders: Any, names: Mapping[str, str]) -> Any:
    """The orders that are purchases, with the money and the share of the margin that is left."""
    purchases = orders.filter(nw.col("_outcome").is_in((0, REDUCED)))
    if "margin" in names:
        share = nw.when(nw.col("_outcome") == REDUCED).then(nw.col("_left") / nw.col("amount"))
        purchases = purchases.with_columns(margin=nw.col("margin") * share.otherwise(nw.lit(1.0)))
    return purchases.with_columns(amount=nw.col("_left"))


def as_purchases(
    orders: Any, same_day: str, names: Mapping[str, str], *, alone: bool = False
) -> Any:
    """One row per purchase: the orders themselves, or all of one customer and day as one.

    Orders that are ``alone`` on their days are what grouping would leave of them.
    """
    if same_day == "merge" and alone:
        orders = as_summed(orders, ["amount", "margin"] if "margin" in names else ["amount"])
        if "channel" in names:
            orders = orders.with_columns(nw.col("channel").cast(nw.String))
    elif same_day == "merge":
        counts = nw.col("orders").sum()
        orders = _joined(orders, ["customer_id", "date"], names, ["amount"], counts)
    carried = [name for name in CARRIED if name in names]
    counted = nw.col("orders").cast(nw.Int64)
    return orders.select("customer_id", "date", "amount", counted, *carried)


# Which orders a customer's refunds undo: last in, first out, in window functions only.
#
# Let S be the running sum of one customer's signed amounts in the order of time. A refund takes
# back the latest money that is still there, so of an order that lifted S from B to B + a there
# remains what S never falls back below: min(S over the order and all later rows) - B, at least 0.
# By symmetry, a refund that took S from B to B - a found nothing to undo for the part by which it
# made a new low: min(0 and all earlier S) - (B - a), at least 0.


def net_refunds(orders: Any, by: Sequence[str], amount: str, order_by: Sequence[str]) -> Any:
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
        Columns that put the rows of one group in an order of time; rows that are equal in all of
        them come in any.

    Returns
    -------
    The same rows: orders with what survives of them (0 if refunded in full), refunds with the part
    (<= 0) that met no earlier order.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"who": "a", "time": [1, 2, 3, 4], "amount": [40, 25, -30, -50]})
    >>> net_refunds(nw.from_native(log), ["who"], "amount", ["time"])["amount"].to_list()
    [0, 0, 0, -15]
    """
    value = nw.col(amount)
    running = orders.with_columns(_one=nw.lit(1)).with_columns(
        # of one window, so that the place of equal rows is that in which they are added
        _place=nw.col("_one").cum_sum().over(*by, order_by=order_by).cast(nw.Int64),
        _sum=value.cum_sum().over(*by, order_by=order_by).cast(nw.Int64),
    )
    running = running.with_columns(_before=nw.col("_sum") - value)
    bounded = running.with_columns(
        _later_low=nw.col("_sum").cum_min(reverse=True).over(*by, order_by="_place"),
        _earlier_low=nw.col("_before").cum_min().over(*by, order_by="_place"),
    )
    survives = nw.col("_later_low") - nw.col("_before")
    unmet = nw.col("_sum") - nw.col("_earlier_low")
    netted_rows = bounded.with_columns(
        _survives=nw.when(survives > 0).then(survives).otherwise(nw.lit(0)),
        _unmet=nw.when(unmet < 0).then(unmet).otherwise(nw.lit(0)),
    )
    net = nw.when(value > 0).then(nw.col("_survives")).otherwise(nw.col("_unmet"))
    columns = orders.collect_schema().names()
    return netted_rows.with_columns(net.cast(nw.Int64).alias(amount)).select(columns)
