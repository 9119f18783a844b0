"""From a raw order log to a clean one: one row per purchase, and a report of all that was done.

The order of the steps: read the columns, leave out rows that cannot be used, deal with repeated
rows, join the lines of one order, net refunds against earlier orders, join the orders of one day.
Written only with operations that pandas, Polars, DuckDB and Spark share; conditions become columns
before any aggregate, because conditions inside one are lost on some engines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast, get_args

import narwhals as nw
from narwhals.typing import IntoFrameT

from clv.data.cleaning_on_spark import purchases_on_spark
from clv.data.cleaning_report import CleaningFinding, CleaningReport
from clv.data.column_names import with_plain_names
from clv.data.days import Day, as_day
from clv.data.ledger import (
    ACTIONS,
    FURTHER,
    LINES,
    REPEATED,
    OrderSurvey,
    Tally,
    outcomes,
    rejections,
    survey,
    survey_orders,
)
from clv.data.orders import as_orders, as_purchases, netted, surviving, touched_by_refunds
from clv.data.parts import LINE, alone, held, in_parts, numbered
from clv.data.plain_customers import CUSTOMER, apart, on_shared_days
from clv.data.reading import read_rows
from clv.errors import InputError, RowError
from clv.io.engine import connect
from clv.io.spark_batches import on_spark
from clv.schema import as_given, settle_objects

FEW = 200_000  # rows of an engine
SHORT = 5_000  # rows of a table in memory

SameDay = Literal["merge", "separate"]
Duplicates = Literal["auto", "drop", "keep"]
Zeros = Literal["drop", "keep"]


def clean(
    log: IntoFrameT,
    *,
    columns: Mapping[str, str | None] | None = None,
    as_of: Day | None = None,
    same_day: SameDay = "merge",
    duplicates: Duplicates | None = "auto",
    zero_amounts: Zeros = "drop",
    date_format: str | None = None,
    time_zone: str | None = None,
) -> tuple[IntoFrameT, CleaningReport]:
    """One row per purchase, net of refunds, and a report in which every row is accounted for.

    Parameters
    ----------
    log
        Orders or order lines: pandas, Polars (eager or lazy), PyArrow, DuckDB, Spark.
    columns
        Our names to the log's, as in ``{"customer_id": "CustomerID", "date": "InvoiceDate"}``:
        customer_id, date, amount (or quantity and price), and if there are any order_id, margin
        (contribution in money, per row), channel, product. None keeps a column out. Columns not
        named here are found by our own names, then by common spellings; the report says which.
    as_of
        The last day to be taken in; rows after it are dropped, with their refunds. Without it a row
        after today is an error: one mistyped year would move the as-of date of everything.
    same_day
        "merge": what a customer buys on one calendar day is one purchase, as the purchase models
        count. "separate": each order is one.
    duplicates
        Rows that are equal in every column are counted always. "auto" drops all but one where
        order_id and product are known, because then they name the same line twice; elsewhere two
        equal rows may be two real lines or orders and stay. "drop" and "keep" always do so. None:
        they are not looked for, as whoever read the log has dealt with them.
    zero_amounts
        "drop" rows without money, or "keep" them as purchases.
    date_format
        How dates are written, in strptime's terms; ISO 8601 if not given.
    time_zone
        Whose calendar days count, needed where dates carry a time zone; on Spark that of its
        session if not given.

    Returns
    -------
    The clean log, the same kind of table (lazy if the log was; eager ones are sorted by customer
    and date): customer_id, date (Date), amount (float, net of refunds), orders (how many were
    merged), and where the log has them margin, channel (of the purchase's first order), product
    (the one with the largest amount). And the :class:`CleaningReport`.

    A query of Polars stays one; where orders have lines or refunds, their few columns are computed
    once on the way and held. On Spark the executors work out the purchases, each part of the
    customers by DuckDB, and hold them in Spark's cache. DuckDB works through the customers in
    parts, so that memory bounds no log, and holds the result in a table that lives with the
    connection; what few rows come to, in memory.

    Refunds are negative amounts. Lines of one order_id are summed first. A refund then undoes the
    customer's latest earlier order of exactly the same amount; what finds none undoes the latest
    earlier orders, the last first. Margins shrink with their orders. Amounts are compared in
    ten-thousandths, so that sums leave no float dust.

    Raises
    ------
    ColumnError
        A column is missing, ambiguous, of mixed types or not of a usable type.
    RowError
        No row is left, or days are still to come and no ``as_of`` is given.

    Examples
    --------
    >>> import pandas as pd
    >>> raw = pd.DataFrame({
    ...     "CustomerID": ["a", "a", "a", None], "Total": [40.0, -40.0, 15.0, 9.0],
    ...     "day": ["2024-01-01", "2024-01-03", "2024-02-01", "2024-02-01"]})
    >>> log, report = clean(raw, columns={"date": "day"})
    >>> log
      customer_id        date  amount  orders
    0           a  2024-02-01    15.0       1
    >>> report.rows_in, report.purchases, [finding.reason for finding in report.findings]
    (4, 1, ['customer id is missing', 'refund of earlier orders',
     'order refunded in full, so no purchase'])
    """
    _check_choice("same_day", same_day, SameDay)
    if duplicates is not None:
        _check_choice("duplicates", duplicates, Duplicates)
    _check_choice("zero_amounts", zero_amounts, Zeros)
    log, names, notes = with_plain_names(log, columns)
    frame = _with_windows(_wide(nw.from_native(cast("Any", log))), time_zone)
    log_columns = frame.collect_schema().names()
    time_zone = time_zone or _zone_of_session(frame, names["date"])
    rows = read_rows(
        settle_objects(frame, names),
        names,
        as_of=None if as_of is None else as_day(as_of, "as_of"),
        zero_amounts=zero_amounts,
        date_format=date_format,
        time_zone=time_zone,
    )
    counts, findings = rejections(rows, names)
    repeats: list[CleaningFinding] = []
    lines = rows.filter(nw.col("_reason") == 0)
    if duplicates is not None:
        lines, repeats = _without_repeats(lines, log_columns, names, duplicates)
    refunds = counts[0]["_refund"] > 0
    rows_left = int(counts[0]["rows"])
    purchases, surveys = purchases_of(lines, names, same_day, refunds=refunds, rows=rows_left)
    findings += [*repeats, *outcomes(surveys)]
    notes += _rules(names, same_day, refunds, time_zone)
    report = _report(counts, findings, purchases, notes)
    return as_given(purchases, log, "customer_id", "date", "amount"), report


def _check_choice(name: str, value: object, allowed: Any) -> None:
    if value not in get_args(allowed):
        choices = " or ".join(f'"{choice}"' for choice in get_args(allowed))
        raise InputError(f"{name}={value!r} is not a choice.", hint=f"use {choices}.")


def _wide(frame: Any) -> Any:
    """Half precision as double: hardly an engine groups it, and DuckDB does not read it."""
    half = [name for name, kind in frame.collect_schema().items() if kind == nw.Float16]
    return frame.with_columns(nw.col(*half).cast(nw.Float64)) if half else frame


def _with_windows(frame: Any, time_zone: str | None) -> Any:
    """The frame on an engine with ordered windows: PyArrow has none, so DuckDB reads its table."""
    if not frame.implementation.is_pyarrow():
        return frame
    connection = connect(closed=False)
    connection.execute("SET TimeZone = ?", [time_zone or "UTC"])
    return nw.from_native(connection.from_arrow(frame.to_native()))


def _zone_of_session(frame: Any, date: str) -> str | None:
    """Whose days Spark counts: its times carry no zone of their own but that of the session."""
    kind = frame.collect_schema()[date] if on_spark(frame) else None
    return kind.time_zone if isinstance(kind, nw.Datetime) else None


def _narrow(lines: Any, names: Mapping[str, str], in_memory: bool) -> Any:
    """What orders are made of alone; on DuckDB read once, as it is asked for several times."""
    columns = ["_raw_customer_id", "_at", "_date", "_amount"]
    columns += [f"_raw_{name}" for name in ("order_id", "channel", "product") if name in names]
    columns += ["_margin"] if "margin" in names else []
    lines = lines.select(columns)
    if not lines.implementation.is_duckdb():
        return lines
    return held(lines, in_memory=True) if in_memory else numbered(lines)


def purchases_of(
    lines: Any,
    names: Mapping[str, str],
    same_day: SameDay,
    *,
    refunds: bool,
    rows: int | None = None,
    surveyed: bool = True,
) -> tuple[Any, list[OrderSurvey]]:
    """The purchases that lines come to, and of each part of them what became of its orders.

    Parameters
    ----------
    lines
        Rows of :func:`clv.data.reading.read_rows` that can be used; of a customer all or none.
    refunds
        Whether there are any.
    rows
        How many lines there are at most, if that has been counted: of few, DuckDB makes no tables,
        each of which would have all queries on the connection planned anew.
    surveyed
        Whether anybody asks what became of the orders.
    """
    surveys: list[OrderSurvey] = []
    if on_spark(lines):
        there = partial(
            purchases_of, names=dict(names), same_day=same_day, refunds=refunds, surveyed=surveyed
        )
        return purchases_on_spark(_narrow(lines, names, False), CUSTOMER, there)
    in_memory = rows is not None and rows <= FEW and lines.implementation.is_duckdb()

    def work() -> Any:
        return _purchases(lines, names, same_day, refunds, surveys, surveyed, in_memory)

    return work() if in_memory else alone(work, lines), surveys


def _purchases(
    lines: Any,
    names: Mapping[str, str],
    same_day: SameDay,
    refunds: bool,
    surveys: list[OrderSurvey],
    surveyed: bool,
    in_memory: bool,
) -> Any:
    """The purchases, held; what became of the orders of each part is put into ``surveys``."""
    lines = _narrow(lines, names, in_memory)
    few = in_memory or _are_few(lines)
    hold = partial(held, in_memory=in_memory)
    merged = same_day == "merge" and not few
    plain, others = apart(lines, names) if merged else (None, lines)

    def of_plain() -> Iterator[Any]:
        orders = as_orders(plain, names, single=True)
        shared, beside = on_shared_days(orders), []
        if refunds:
            beside = [held(touched_by_refunds(orders, names), lines)]
            surveys.extend([survey_orders(beside[0])] if surveyed else [])
        if shared is not None:
            others = nw.concat([rows.select(LINE) for rows in (shared, *beside)])
            alone = orders.join(others, on=LINE, how="anti")
            yield as_purchases(alone, same_day, names, alone=True)
        rest = orders if shared is None else shared
        columns = orders.collect_schema().names()
        for rows in beside:
            rest = rest.join(rows.select(LINE), on=LINE, how="anti")
        together = nw.concat([rest, *(rows.select(columns) for rows in beside)])
        yield as_purchases(surviving(together, names), same_day, names)

    def of_part(part: Any) -> Any:
        single = "order_id" not in names
        orders = as_orders(part, names, single=single)
        if refunds or not single:
            orders = hold(orders, part) if few or not refunds else numbered(orders, part)
            orders = hold(netted(orders, names, few=few), part) if refunds else orders
            surveys.extend([survey_orders(orders)] if surveyed else [])
        return as_purchases(surviving(orders, names), same_day, names)

    if in_memory:
        return hold(of_part(others))
    beside = () if plain is None else of_plain()
    return in_parts(others, CUSTOMER, of_part, beside, near=lines)


def _are_few(lines: Any) -> bool:
    """Whether all rows are soon put in order of time: working out more queries takes longer."""
    if lines.implementation.is_duckdb():
        return bool(lines.to_native().shape[0] <= FEW)
    return isinstance(lines, nw.DataFrame) and len(lines) <= SHORT


def _without_repeats(
    lines: Any, log_columns: Sequence[str], names: Mapping[str, str], duplicates: Duplicates
) -> tuple[Any, list[CleaningFinding]]:
    """The rows, without those that repeat another in every column if the rule says so."""
    single = distinct_lines(lines, log_columns, names)
    extra = (nw.col("_copies") - 1).cast(nw.Int64)
    coded = single.with_columns(
        _extra=extra, _gone=extra * nw.col("_amount"), _code=(extra > 0).cast(nw.Int64)
    )
    fields = ("customer_id", "date", "order_id", "product", "amount")
    labels = {names[name]: names[name] for name in fields if name in names}
    counts, examples = survey(coded, "_code", ("_extra", "_gone"), labels)
    if 1 not in counts:
        return lines, []
    rows = int(counts[1]["_extra"])
    if not drops_repeats(names, duplicates):
        return lines, [CleaningFinding(REPEATED, rows, ACTIONS[REPEATED], 0, 0.0, examples[1])]
    return single, [
        CleaningFinding(REPEATED, rows, "dropped", rows, counts[1]["_gone"], examples[1])
    ]


def distinct_lines(lines: Any, log_columns: Sequence[str], names: Mapping[str, str]) -> Any:
    """The lines that differ in some of the ``log_columns``, with ``_copies`` of each."""
    schema = lines.collect_schema()
    mapped = set(names.values())
    compared = [
        name
        for name in log_columns
        if name in mapped or not (schema[name].is_nested() or schema[name] == nw.Object)
    ]
    typed = [
        nw.col(name).min() for name in schema if name.startswith("_") and name not in log_columns
    ]
    return lines.group_by(*compared).agg(*typed, _copies=nw.len())


def drops_repeats(names: Mapping[str, str], duplicates: Duplicates = "auto") -> bool:
    """Whether rows that repeat another in every column are left out, see ``clean``."""
    return duplicates == "drop" or (duplicates == "auto" and {"order_id", "product"} <= set(names))


def _report(
    counts: Tally, findings: list[CleaningFinding], purchases: Any, assumptions: list[str]
) -> CleaningReport:
    """The ledger: what was read, found and joined, and what is left."""
    figures = purchases.select(
        nw.len().alias("rows"),
        nw.col("customer_id").n_unique(),
        nw.col("date").min().alias("first"),
        nw.col("date").max().alias("last"),
        nw.col("amount").sum(),
        nw.col("orders").sum(),
    )
    rows, customers, first, last, amount, orders = figures.lazy().collect().row(0)
    if not rows:
        raise RowError(
            "no purchase is left: every order was refunded.",
            hint="check the sign of the amounts; refunds are negative.",
        )
    rows_in = int(sum(count["rows"] for count in counts.values()))
    lines = rows_in - sum(finding.rows_out for finding in findings) - int(orders)
    merged = int(orders) - int(rows)
    joins = {LINES: lines, FURTHER: merged}
    findings += [CleaningFinding(what, n, ACTIONS[what], n, 0.0) for what, n in joins.items() if n]
    return CleaningReport(
        rows_in=rows_in,
        amount_in=round(sum(count["_amount"] for count in counts.values()), 4),
        rows_out=int(rows),
        amount_out=round(float(amount), 4),
        customers=int(customers),
        first_date=as_day(first, "date"),
        last_date=as_day(last, "date"),
        findings=tuple(findings),
        assumptions=tuple(assumptions),
    )


def _rules(
    names: Mapping[str, str], same_day: SameDay, refunds: bool, time_zone: str | None
) -> list[str]:
    """The rules that shaped the result, in words."""
    separate = "each order is one purchase."
    merge = "all that a customer buys on one calendar day is one purchase."
    rules = {
        "amounts are quantity times price.": "amount" not in names,
        f"calendar days are those of {time_zone}.": time_zone is not None,
        "rows of one order number and customer are one order.": "order_id" in names,
        "a refund undoes the latest earlier order of its amount, else the latest ones.": refunds,
        "margins are money per row, not rates.": "margin" in names,
        separate if same_day == "separate" else merge: True,
    }
    return [rule for rule, holds in rules.items() if holds]
