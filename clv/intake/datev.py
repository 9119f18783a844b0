"""DATEV's exports: a line of metadata above the header, and days without a year, as in 0501."""

from __future__ import annotations

import csv
import datetime as dt

MARKS = ("EXTF", "DTVF")
YEAR_BEGINS = 12  # the place of the fiscal year's first day in the line of metadata
DAYS = ("belegdatum",)


def fiscal_year(line: str) -> dt.date | None:
    """The first day of the fiscal year that the first line of a file names; None of other files.

    >>> fiscal_year('"EXTF";700;21;"Buchungsstapel";13;2024;;"RE";"";"";29098;55003;20240701;4')
    datetime.date(2024, 7, 1)
    """
    if not line.lstrip('\ufeff"').startswith(MARKS):
        return None
    cells = next(csv.reader([line], delimiter=";"))
    try:
        return dt.datetime.strptime(cells[YEAR_BEGINS].strip(), "%Y%m%d").date()
    except (ValueError, IndexError):
        return None


def full_day(column: str, begins: dt.date) -> str:
    """SQL for a day and month within the fiscal year as a date; other text stays.

    >>> import duckdb
    >>> [duckdb.execute(f"SELECT {full_day('$1', dt.date(2024, 7, 1))}", [t]).fetchall()[0][0]
    ...  for t in ("3107", "501", "05.01.2025")]
    ['2024-07-31', '2025-01-05', '05.01.2025']
    """
    digits = f"lpad(trim({column}), 4, '0')"
    day, month = f"left({digits}, 2)", f"right({digits}, 2)"
    later = f"(concat({month}, {day}) < '{begins:%m%d}')::INTEGER"
    date = f"concat_ws('-', {begins.year} + {later}, {month}, {day})"
    return (
        f"CASE WHEN regexp_full_match(trim({column}), '[0-9]{{3,4}}') THEN {date} ELSE {column} END"
    )
