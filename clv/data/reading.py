"""Raw columns to typed ones: each row gets its values, or the reason why it cannot be used."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

import narwhals as nw

from clv.data.money import MONEY
from clv.errors import ColumnError, InputError
from clv.io.spark_batches import on_spark

LARGEST = 1e12  # and beyond this an amount is no amount
EPOCH = dt.date(1971, 1, 1)  # before it lies what systems write for no date at all
FUTURE = "date is after today"

# What spreadsheets and str(None) leave where nothing was.
BLANK = ("", "nan", "none", "null", "nat", "<na>")

# The reasons in the order in which they are looked for, each with the first thing to try.
REASONS = {
    "customer id is missing": "map the column that names the customer.",
    "customer id is not a whole number": "map the column that names the customer, or make it text.",
    "date is missing": "map the column that says when the order was placed.",
    "date cannot be read": 'say how dates are written, as in date_format="%d/%m/%Y %H:%M".',
    "date carries a UTC offset": "convert them to timestamps, and say time_zone.",
    "date before 1971, as a missing one is written": "check how missing dates were exported.",
    FUTURE: "give as_of, the last day to take in, if later rows are meant to be there.",
    "amount is missing": "map the column that says what was paid.",
    "amount is not a number": "write amounts as 1234.50, without currency signs and separators.",
    "amount is too large to be money": "check the column; amounts stay below 1e12.",
    "date is after as_of": "choose a later as_of, or check the dates.",
    "amount is zero": 'say zero_amounts="keep" if such orders count as purchases: in Python an '
    "argument, in the TOML file of --config a line of [data].",
}

NUMBER = r"^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
CLOCK = r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)?"
OFFSET = r"^\d{4}-\d{2}-\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$"
DIRECTIVES = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%m": r"(?:0?[1-9]|1[0-2])",
    "%d": r"(?:0?[1-9]|[12]\d|3[01])",
    "%H": r"(?:[01]?\d|2[0-3])",
    "%I": r"(?:0?[1-9]|1[0-2])",
    "%M": r"[0-5]?\d",
    "%S": r"[0-5]?\d",
    "%p": r"(?:AM|PM)",
    "%b": r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
}
# The days that exist, in four cases: up to 28 in any month, 29 and 30, 31, and the leap day.
CALENDAR = (
    {"%d": r"(?:0?[1-9]|1\d|2[0-8])"},
    {
        "%d": r"(?:29|30)",
        "%m": r"(?:0?[13-9]|1[0-2])",
        "%b": r"(?:Jan|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    },
    {"%d": "31", "%m": r"(?:0?[13578]|1[02])", "%b": r"(?:Jan|Mar|May|Jul|Aug|Oct|Dec)"},
    {
        "%d": "29",
        "%m": r"0?2",
        "%b": "Feb",
        "%y": r"(?:[02468][048]|[13579][26])",
        "%Y": r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)",
    },
)


def read_rows(
    log: Any,
    names: Mapping[str, str],
    *,
    as_of: dt.date | None = None,
    zero_amounts: str = "drop",
    date_format: str | None = None,
    time_zone: str | None = None,
) -> Any:
    """The log with typed columns beside its own: _customer_id, _at, _date, _amount, _reason ...

    ``_reason`` is 0 for a row that can be used, else the place (from 1) of its reason in REASONS.
    """
    schema = log.collect_schema()
    raw = {f"_raw_{name}": _filled(theirs, schema[theirs]) for name, theirs in names.items()}
    if schema[names["customer_id"]] in (nw.String, nw.Categorical, nw.Enum):
        raw["_raw_customer_id"] = _without_point(raw["_raw_customer_id"])
    rows = log.with_columns(**raw)
    kinds = rows.collect_schema()
    typed = {
        f"_{name}": _number(f"_raw_{name}", kinds[f"_raw_{name}"], names[name])
        for name in ("amount", "quantity", "price", "margin")
        if name in names
    }
    _check_zone(kinds["_raw_date"], names["date"], time_zone, log)
    typed["_at"] = _time(kinds["_raw_date"], names["date"], date_format, time_zone)
    rows = rows.with_columns(**typed)
    if "amount" not in names:
        rows = rows.with_columns(
            _amount=nw.col("_quantity") * nw.col("_price"),
            _raw_amount=nw.col("_raw_quantity").is_null() | nw.col("_raw_price").is_null(),
        )
    rows = rows.with_columns(_date=nw.col("_at").cast(nw.Date))
    return rows.with_columns(
        _reason=_first_true(_rules(names, kinds, as_of, zero_amounts)),
        _refund=(nw.col("_amount") < 0).cast(nw.Int64),
    )


def date_pattern(date_format: str) -> str:
    """A regular expression for the dates that exist, written as ``date_format`` says.

    >>> bool(re.match(date_pattern("%d/%m/%Y"), "29/2/2012"))
    True
    >>> bool(re.match(date_pattern("%d/%m/%Y"), "29/2/2011"))
    False
    """
    parts = re.split(r"(%.)", date_format)
    unknown = [part for part in parts if part.startswith("%") and part not in DIRECTIVES]
    if unknown or "%d" not in parts:
        raise InputError(
            f"date_format {date_format!r} cannot be used"
            + (f": {unknown[0]} is not known." if unknown else ": it has no day, %d."),
            hint=f"use {' '.join(DIRECTIVES)}, as in %d/%m/%Y %H:%M.",
        )
    cases = (
        "".join(
            {**DIRECTIVES, **days}.get(part) or re.sub(r"([.+*?()\[\]{}|^$\\])", r"\\\1", part)
            for part in parts
        )
        for days in CALENDAR
    )
    return "|".join(f"^{case}$" for case in cases)


def _rules(
    names: Mapping[str, str], kinds: Mapping[str, Any], as_of: dt.date | None, zero_amounts: str
) -> list[nw.Expr]:
    """One expression per reason, true where it applies and never null."""
    never, amount = nw.lit(False), nw.col("_amount")
    unread = ~nw.col("_raw_date").is_null() & nw.col("_at").is_null()
    offset = never
    if kinds["_raw_date"] == nw.String:
        offset = unread & nw.col("_raw_date").fill_null("").str.contains(OFFSET)
    no_amount = nw.col("_raw_amount").is_null() if "amount" in names else nw.col("_raw_amount")
    whole = nw.col("_raw_customer_id")
    return [
        whole.is_null(),
        (whole.fill_null(0) != whole.fill_null(0).round(0))
        if kinds["_raw_customer_id"].is_float()
        else never,
        nw.col("_raw_date").is_null(),
        unread & ~offset,
        offset,
        (nw.col("_date") < nw.lit(EPOCH)).fill_null(False),
        (nw.col("_date") > nw.lit(dt.date.today())).fill_null(False) if as_of is None else never,
        no_amount,
        ~no_amount & amount.is_null(),
        (amount.abs() >= LARGEST).fill_null(False),
        never if as_of is None else (nw.col("_date") > nw.lit(as_of)).fill_null(False),
        ((amount * MONEY).round(0) == 0).fill_null(False) if zero_amounts == "drop" else never,
    ]


def _first_true(rules: list[nw.Expr]) -> nw.Expr:
    code = nw.lit(0)
    for place, rule in reversed(list(enumerate(rules, start=1))):
        code = nw.when(rule).then(nw.lit(place)).otherwise(code)
    return code


def _filled(column: str, dtype: Any) -> nw.Expr:
    """The column with one sign for nothing: null, for NaN and blank text too."""
    value = nw.col(column)
    if dtype in (nw.Categorical, nw.Enum):
        value, dtype = value.cast(nw.String), nw.String()
    if dtype == nw.String:
        return nw.when(~_is_blank(value.str.strip_chars().str.to_lowercase())).then(value)
    if dtype.is_float():
        return nw.when(~value.is_nan()).then(value)
    return value


def _without_point(text: nw.Expr) -> nw.Expr:
    """Ids without the point of a number that was a float on its way: 38.0 is customer 38."""
    whole = text.str.strip_chars()
    cut = whole.str.replace_all(r"\.0+$", "")
    cut = nw.when(whole.str.contains(r"^-?[0-9]+\.0+$")).then(cut).otherwise(text)
    # few end so: the quick test spares the engine the patterns
    return (
        nw.when(text.str.ends_with("0") & text.str.contains(".", literal=True))
        .then(cut)
        .otherwise(text)
    )


def _is_blank(text: nw.Expr) -> nw.Expr:
    """Word by word: DuckDB makes a join of a list of six, for each row, asked for or not."""
    return reduce(or_, (text == word for word in BLANK))


def _number(column: str, dtype: Any, theirs: str) -> nw.Expr:
    if dtype == nw.String:
        text = nw.col(column).str.strip_chars()
        return nw.when(text.str.contains(NUMBER)).then(text).cast(nw.Float64)
    if not dtype.is_numeric():
        raise ColumnError(
            f"column {theirs!r} holds {dtype}, not numbers.",
            hint="convert it to a number, or map another column.",
        )
    return nw.col(column).cast(nw.Float64)


def _check_zone(dtype: Any, theirs: str, time_zone: str | None, log: Any) -> None:
    zone = dtype.time_zone if isinstance(dtype, nw.Datetime) else None
    if zone is not None and time_zone is None:
        raise ColumnError(
            f"column {theirs!r} carries the time zone {zone}, whose calendar days are not settled.",
            hint='say whose days count, as in time_zone="Europe/London".',
        )
    if zone is None and time_zone is not None:
        raise InputError(
            f"time_zone={time_zone!r} is given, but column {theirs!r} carries no time zone.",
            hint="leave time_zone out: the dates are taken as they stand.",
        )
    if zone != time_zone and log.implementation.is_duckdb():
        raise InputError(
            f"DuckDB counts days in the time zone of its connection, {zone}, not {time_zone}.",
            hint=f"run SET TimeZone = '{time_zone}' on the connection first.",
        )
    if zone != time_zone and on_spark(log):
        raise InputError(
            f"Spark counts days in the time zone of its session, {zone}, not {time_zone}.",
            hint=f'spark.conf.set("spark.sql.session.timeZone", "{time_zone}") first.',
        )


def _time(dtype: Any, theirs: str, date_format: str | None, time_zone: str | None) -> nw.Expr:
    """The moment on the shop's own clock, without a time zone; null where it cannot be read."""
    value = nw.col("_raw_date")
    if date_format is not None and dtype.is_integer():
        value, dtype = value.cast(nw.String), nw.String()
    if dtype == nw.String:
        moment = _iso(value) if date_format is None else _written(value, date_format)
    elif dtype == nw.Date or isinstance(dtype, nw.Datetime):
        moment = value
        if time_zone is not None:
            moment = moment.dt.convert_time_zone(time_zone).dt.replace_time_zone(None)
    else:
        raise ColumnError(
            f"column {theirs!r} holds {dtype}, not dates.",
            hint='convert it, or say how the numbers are written, as in date_format="%Y%m%d".',
        )
    return moment.cast(nw.Datetime("us"))


def _written(text: nw.Expr, date_format: str) -> nw.Expr:
    text = text.str.strip_chars()
    readable = nw.when(text.str.contains(date_pattern(date_format))).then(text)
    return readable.str.to_datetime(format=date_format)


def _iso(text: nw.Expr) -> nw.Expr:
    """ISO 8601 text, a date with or without a time of day, to the second."""
    text = text.str.strip_chars()
    pattern = date_pattern("%Y-%m-%d").replace("0?", "0").replace("$", f"{CLOCK}$")
    readable = nw.when(text.str.contains(pattern)).then(text)
    length, clock = readable.str.len_chars(), readable.str.slice(11, 8)
    full = (
        nw.when(length == 10)
        .then(nw.lit("00:00:00"))
        .otherwise(nw.when(length == 16).then(nw.concat_str(clock, nw.lit(":00"))).otherwise(clock))
    )
    written = nw.concat_str(readable.str.slice(0, 10), nw.lit(" "), full)
    return written.str.to_datetime(format="%Y-%m-%d %H:%M:%S")
