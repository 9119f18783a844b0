"""The door for logs of purchases: types settled, rows checked in one pass, then trusted."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import narwhals as nw

from clv.data.days import as_day
from clv.errors import ColumnError, InputError, RowError
from clv.schema import Frame, as_days, as_frame, only_row, require_columns, settle_objects

COLUMNS = ("customer_id", "date", "amount")
TRY = "run clean() on the log first."


def read_log(log: object) -> tuple[Frame, dt.date, dt.date]:
    """The purchases of a log, with channel if there is one, and its first and last day.

    Raises
    ------
    InputError
        Not a dataframe, or without dated rows.
    ColumnError
        A column is missing or has the wrong type.
    RowError
        A value is missing, or an amount is negative or not finite.
    """
    require_columns(as_frame(log, "the log"), COLUMNS, "the log")
    native = nw.from_native(cast("Any", log))
    frame = settle_objects(native, {name: name for name in COLUMNS}).lazy()
    schema = frame.collect_schema()
    channel = ["channel"] if "channel" in schema else []
    ids = ["customer_id"] if schema["customer_id"].is_float() else []
    rows = floats(frame.select(*COLUMNS, *channel), "amount", *ids)
    rows = as_days(rows, "date", "the log")
    return rows, *_check_rows(rows)


def floats(frame: Frame, *names: str) -> Frame:
    """Columns as float64, NaN as null; ``ColumnError`` if one holds no numbers."""
    schema = frame.collect_schema()
    for name in names:
        if not schema[name].is_numeric():
            raise ColumnError(
                f"column {name!r} of the log holds {schema[name]}, not numbers.", hint=TRY
            )
    numbers = frame.with_columns(nw.col(*names).cast(nw.Float64))
    return numbers.with_columns(
        nw.when(~nw.col(name).is_nan()).then(nw.col(name)).alias(name) for name in names
    )


def _check_rows(rows: Frame) -> tuple[dt.date, dt.date]:
    sound = (nw.col("amount") >= 0) & nw.col("amount").is_finite()
    broken = {
        **{f"{name} is missing": nw.col(name).is_null() for name in COLUMNS},
        "amount is negative or not finite": ~sound,
    }
    flags = {f"_{place}": rule.cast(nw.Int64) for place, rule in enumerate(broken.values())}
    flagged = rows.with_columns(**flags)
    date = nw.col("date")
    span = date.min().alias("first"), date.max().alias("last")
    *counts, first, last = only_row(flagged.select(nw.col(*flags).sum(), *span))
    if last is None:
        raise InputError("the log has no dated rows.", hint="check how it was read or filtered.")
    for what, flag, count in zip(broken, flags, counts, strict=True):
        if count:
            bad = flagged.filter(nw.col(flag) == 1).select(*COLUMNS).head(3).collect()
            examples = [", ".join(str(value) for value in row) for row in bad.iter_rows()]
            raise RowError.of(what, int(count), examples, hint=TRY)
    return as_day(first, "date"), as_day(last, "date")
