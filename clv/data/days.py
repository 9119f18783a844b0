"""Calendar days: read them from what a caller says, and count between them on every engine."""

from __future__ import annotations

import datetime as dt

import narwhals as nw

from clv.errors import InputError

Day = dt.date | str


def as_day(value: Day, name: str) -> dt.date:
    """The calendar day that ``value`` says: a date, a timestamp without time zone, or ISO text.

    >>> as_day("1997-09-30", "as_of")
    datetime.date(1997, 9, 30)
    """
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise InputError(
                f"{name} = {value!r} is not a date.", hint='write it as in "2011-08-31".'
            ) from error
    if not isinstance(value, dt.date) or value != value:  # NaT is a date that is missing
        raise InputError(f"{name} is a {type(value).__name__}, not a date.")
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            raise InputError(
                f"{name} = {value} has a time zone; a calendar day has none.",
                hint="pass the date itself, as in value.date().",
            )
        return value.date()
    return value


def day_number(column: str) -> nw.Expr:
    """The proleptic Gregorian ordinal of a Date column, as ``datetime.date.toordinal`` counts.

    Engines differ in how they subtract dates; year and day of the year they all have. Days before
    year Y: 365 y + y//4 - y//100 + y//400 with y = Y - 1.
    """
    y = nw.col(column).dt.year().cast(nw.Int64) - 1
    day_of_year = nw.col(column).dt.ordinal_day().cast(nw.Int64)
    return 365 * y + y // 4 - y // 100 + y // 400 + day_of_year
