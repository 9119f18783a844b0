"""Cells of a CSV file that a spreadsheet would take for a formula are made text.

A customer called ``=HYPERLINK(...)`` runs when the file is opened. A cell of text that starts with
one of ``= + - @``, a tab, a line break or their full-width twins gets an apostrophe before it
(OWASP, "CSV Injection"). Columns of numbers, days and truth values stay as they are, and so does
text that is a plain number: -12 is one, +12 and -1+1 are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

START = r"^[=+\-@\t\r\n＝＋－＠]"
NUMBER = r"-?[0-9]+(\.[0-9]+)?"
HARMLESS = re.compile(
    r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN|DATE|TIME[A-Z_ ]*"
)


def safe_text(column: str) -> str:
    """The SQL of a column of text whose cells no spreadsheet runs.

    >>> import duckdb
    >>> cells = "(VALUES ('=1+1'), ('-12'), ('@SUM(A1)'), ('ann'), (NULL)) AS t(a)"
    >>> duckdb.sql(f"SELECT {safe_text('a')} FROM {cells}").fetchall()
    [("'=1+1",), ('-12',), ("'@SUM(A1)",), ('ann',), (None,)]
    """
    risky = f"regexp_matches({column}, '{START}') AND NOT regexp_full_match({column}, '{NUMBER}')"
    return f"CASE WHEN {risky} THEN '''' || {column} ELSE {column} END"


def safe_columns(types: Mapping[str, str]) -> str:
    """The SQL of a table's columns, cells and names made safe, from their DuckDB types.

    Whatever is not a number, a day or a truth value counts as text.

    >>> safe_columns({"clv": "DOUBLE"})
    '"clv"'
    """
    return ", ".join(_safe(name, dtype) for name, dtype in types.items())


def _safe(name: str, dtype: str) -> str:
    heading = f"'{name}" if re.match(START, name) else name
    text = f"CAST({quoted(name)} AS VARCHAR)"
    cells = quoted(name) if HARMLESS.fullmatch(dtype) else safe_text(text)
    return cells if cells == quoted(heading) else f"{cells} AS {quoted(heading)}"


def quoted(name: str) -> str:
    """A column's name as SQL.

    >>> print(quoted('an "odd" name'))
    "an ""odd"" name"
    """
    return '"' + name.replace('"', '""') + '"'
