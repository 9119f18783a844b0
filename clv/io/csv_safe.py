"""Cells of a CSV file that a spreadsheet would take for a formula are made text.

A customer called ``=HYPERLINK(...)`` runs when the file is opened. A cell of text that starts with
one of ``= + - @``, a tab, a line break or their full-width twins gets an apostrophe before it
(OWASP, "CSV Injection"). Columns of numbers, days and truth values stay as they are, and so does
text that is a plain number: -12 is one, +12 and -1+1 are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

START = r"^[=+\-@\t\r\n＝＋－＠]"
NUMBER = r"-?[0-9]+(\.[0-9]+)?"
FRACTIONS = re.compile(r"FLOAT|DOUBLE|DECIMAL\(.*\)")
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


def safe_columns(types: Mapping[str, str], *, decimal_comma: bool = False) -> str:
    """The SQL of a table's columns, cells and names made safe, from their DuckDB types.

    Whatever is not a number, a day or a truth value counts as text.

    >>> safe_columns({"clv": "DOUBLE"})
    '"clv"'
    """
    return ", ".join(_safe(name, dtype, decimal_comma) for name, dtype in types.items())


def safe_batch(batch: pa.RecordBatch, *, decimal_comma: bool = False) -> pa.RecordBatch:
    """The same for a batch of rows that is not in DuckDB.

    >>> import pyarrow as pa
    >>> cells = {"customer_id": ["=1+1", "-12", None], "change": [-2.5, 0.0, 1.0]}
    >>> safe_batch(pa.RecordBatch.from_pydict(cells)).to_pydict()
    {'customer_id': ["'=1+1", '-12', None], 'change': [-2.5, 0.0, 1.0]}
    """
    import pyarrow as pa

    names = [_heading(name) for name in batch.schema.names]
    columns = [_safe_cells(cells, decimal_comma) for cells in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names)


def _safe_cells(cells: Any, decimal_comma: bool) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = cells.type
    if decimal_comma and (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return pc.replace_substring(cells.cast(pa.string()), ".", ",")
    harmless = (pa.types.is_primitive(kind), pa.types.is_decimal(kind), pa.types.is_null(kind))
    if any(harmless):
        return cells
    text = cells.cast(pa.string())
    number = pc.match_substring_regex(text, f"^({NUMBER})$")
    risky = pc.and_not(pc.match_substring_regex(text, START), number)
    return pc.if_else(risky, pc.binary_join_element_wise("'", text, ""), text)


def _safe(name: str, dtype: str, decimal_comma: bool) -> str:
    text = f"CAST({quoted(name)} AS VARCHAR)"
    if decimal_comma and FRACTIONS.fullmatch(dtype):
        return f"replace({text}, '.', ',') AS {quoted(_heading(name))}"
    cells = quoted(name) if HARMLESS.fullmatch(dtype) else safe_text(text)
    heading = quoted(_heading(name))
    return cells if cells == heading else f"{cells} AS {heading}"


def _heading(name: str) -> str:
    return f"'{name}" if re.match(START, name) else name


def quoted(name: str) -> str:
    """A column's name as SQL.

    >>> print(quoted('an "odd" name'))
    "an ""odd"" name"
    """
    return '"' + name.replace('"', '""') + '"'
