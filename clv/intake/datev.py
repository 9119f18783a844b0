"""DATEV's exports: metadata above the header, days without a year, accounts in two columns."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Sequence

MARKS = ("EXTF", "DTVF")
YEAR_BEGINS = 12  # the place of the fiscal year's first day in the line of metadata
DAYS = ("belegdatum",)
OTHER_SIDE = "CASE upper(trim({0})) WHEN 'S' THEN 'H' WHEN 'H' THEN 'S' ELSE {0} END"


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


def debtors_first(view: str, names: Sequence[str]) -> str | None:
    """SQL that turns postings to a debtor's account round, so that it is the first; or None.

    8400 with H against 10001 is 10001 with S. Accounts of debtors have a digit more than those of
    the ledger, and begin with 1 to 6.
    """
    place = {name.lower().partition(" (")[0]: f"c{k}" for k, name in enumerate(names)}
    sides = [cell for name, cell in place.items() if re.fullmatch("soll-?/haben-kennzeichen", name)]
    if not sides or not {"konto", "gegenkonto"} <= set(place):
        return None
    one, other, side = place["konto"], place["gegenkonto"], sides[0]
    longer = f"length(trim({other})) > length(trim({one}))"
    return (
        f"UPDATE {view} SET {one} = {other}, {other} = {one}, {side} = {OTHER_SIDE.format(side)} "
        f"WHERE regexp_full_match(trim({other}), '[1-6][0-9]+') AND {longer}"
    )
