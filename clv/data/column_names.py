"""Column names that every engine takes for names, whatever a log calls its columns.

DuckDB reads ``a.b`` as column b of table a and strips blanks, Polars reads ``*`` and ``^a.*$`` as
patterns, pandas has names that are numbers or tuples, and our own columns begin with ``_``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import narwhals as nw
from narwhals.typing import IntoFrameT

from clv.data.columns import find_columns
from clv.errors import ColumnError
from clv.schema import as_frame, as_text

SIGNS = re.compile(r"[.*^\"`;\\\x00-\x1f\x7f]")


def with_plain_names(
    log: IntoFrameT, columns: Mapping[str, Any] | None
) -> tuple[IntoFrameT, dict[str, str], list[str]]:
    """The log with plain column names, ours to these, and what ``find_columns`` noted.

    Raises
    ------
    ColumnError
        A column that is used has a name that another one has, too.
    """
    present = names_of(log)
    texts = [as_text(name) for name in present]
    by_name = {name: text for name, text in zip(present, texts, strict=True) if name is not None}
    mapping = {ours: by_name.get(theirs, theirs) for ours, theirs in (columns or {}).items()}
    ours, notes = find_columns(texts, mapping)
    for name, count in Counter(texts).items():
        if count > 1 and name in ours.values():
            raise ColumnError(
                f"{count} columns are called {name!r}.", hint="rename them, or leave one out."
            )
    plain = plain_names(texts)
    to_plain = dict(zip(texts, plain, strict=True))
    return _renamed(log, present, plain), {k: to_plain[v] for k, v in ours.items()}, notes


def plain_names(texts: Sequence[str]) -> list[str]:
    """Plain names, each once, as like ``texts`` as can be.

    >>> plain_names(["date", "geo.country", "7", " x ", "*", "_at", "date"])
    ['date', 'geo country', 'column 7', 'x', 'column 5', 'at', 'date (2)']
    """
    names: list[str] = []
    for place, text in enumerate(texts, start=1):
        plain = text
        if SIGNS.search(text) or text != text.strip().lstrip("_") or not text or text.isdigit():
            plain = " ".join(SIGNS.sub(" ", text).split()).lstrip("_ ")
            plain = plain if plain and not plain.isdigit() else f"column {plain or place}"
        copies = sum(name == plain or name.startswith(f"{plain} (") for name in names)
        names.append(f"{plain} ({copies + 1})" if copies else plain)
    return names


def names_of(table: Any) -> list[Any]:
    """The names of a table's columns as they are, also where two are the same."""
    if nw.dependencies.is_pandas_dataframe(table):
        return list(table.columns)
    if nw.dependencies.is_pyarrow_table(table):
        return list(table.column_names)
    return list(as_frame(table, "the log").collect_schema().names())


def _renamed(log: IntoFrameT, present: list[Any], names: list[str]) -> IntoFrameT:
    """By position, as two columns may share a name."""
    if names == present:
        return log
    table: Any = log
    if nw.dependencies.is_pandas_dataframe(table):
        return cast("IntoFrameT", table.set_axis(names, axis=1))
    if nw.dependencies.is_pyarrow_table(table):
        return cast("IntoFrameT", table.rename_columns(names))
    if nw.dependencies.is_duckdb_relation(table):
        quoted = [name.replace('"', '""') for name in present]
        pairs = zip(quoted, names, strict=True)
        return cast("IntoFrameT", table.project(", ".join(f'"{a}" AS "{b}"' for a, b in pairs)))
    spark = nw.dependencies.is_pyspark_dataframe, nw.dependencies.is_pyspark_connect_dataframe
    if any(is_one(table) for is_one in spark):
        return cast("IntoFrameT", table.toDF(*names))
    others = dict(zip(present, names, strict=True))
    return cast("IntoFrameT", nw.from_native(table).rename(others).to_native())
