"""Columns that are called after periods: Jan 2024, 2024-01, Q1 2024, 2024-W02."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from clv.intake.moments import MONTH_OF

_YEAR, _MONTH = r"(?P<year>(?:19|20)\d\d)", r"(?P<month>0?[1-9]|1[0-2])"
_SHORT = r"(?P<year>(?:(?:19|20)\d\d|\d\d))"
_NAME = rf"(?P<name>{'|'.join(MONTH_OF)})"
SPELLINGS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_YEAR}[-/. ]?(?P<month>0[1-9]|1[0-2])",
        rf"{_YEAR}[-/. ]{_MONTH}",
        rf"{_YEAR}-{_MONTH}-(?P<day>\d\d)",
        rf"{_MONTH}[-/. ]{_YEAR}",
        rf"{_NAME}\.?[-/. ']*{_SHORT}",
        rf"{_YEAR}[-/. ]{_NAME}\.?",
        rf"{_YEAR}[-/. ]?q(?P<quarter>[1-4])",
        rf"q(?P<quarter>[1-4])[-/. ']*{_SHORT}",
        rf"{_YEAR}-?w(?P<week>[0-5]\d)",
    )
)
WITHOUT_YEAR = re.compile(rf"{_NAME}\.?")


def first_day(name: str) -> dt.date | None:
    """The first day of the period that a column is called after; None of another name.

    >>> [str(first_day(name)) for name in ("Jan 2024", "Mrz 24", "2024-Q2", "2024-W02", "Total")]
    ['2024-01-01', '2024-03-01', '2024-04-01', '2024-01-08', 'None']
    """
    matches = (spelling.fullmatch(name.strip().lower()) for spelling in SPELLINGS)
    parts = next((match.groupdict() for match in matches if match), None)
    if parts is None:
        return None
    year = int(parts["year"]) + (2000 if len(parts["year"]) == 2 else 0)
    quarter, month = int(parts.get("quarter") or 1), parts.get("month")
    number = MONTH_OF[parts["name"]] if "name" in parts else int(month or 3 * quarter - 2)
    try:
        if parts.get("week"):
            return dt.date.fromisocalendar(year, int(parts["week"]), 1)
        return dt.date(year, number, int(parts.get("day") or 1))
    except ValueError:
        return None


def periods_among(names: Sequence[str]) -> tuple[str, ...]:
    """The columns that are periods, of any year or none; none where only one is."""
    periods = [n for n in names if first_day(n) or WITHOUT_YEAR.fullmatch(n.strip().lower())]
    return tuple(periods) if len(periods) > 1 else ()
