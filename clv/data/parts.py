"""Many rows in parts, each with whole customers, so that what is worked out on the way stays small.

All that cleaning does stays within a customer: refunds, order numbers, the orders of one day. So
the parts put together are the whole, to the last bit, however many there are. DuckDB alone has
parts: it holds results in its own tables, which go to disk where memory is short.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import narwhals as nw

from clv.io.engine import rows_in_memory

HELD = "clv_held"  # beside the connection's own tables, none of which it is
_numbers = itertools.count()  # of the tables that hold results

Work = Callable[[Any], Any]


def in_parts(rows: Any, customer: str, count: int, work: Work) -> Any:
    """``work`` of the rows, part by part where there are too many for memory, put together.

    Parameters
    ----------
    rows
        A Narwhals frame, eager or lazy.
    customer
        The column that says whose a row is.
    count
        How many rows there are, or more.
    work
        From the rows of some customers to a frame.

    Returns
    -------
    A frame that is not worked out again when it is asked: on DuckDB a table that lives with the
    connection. On Spark and where tables are in memory, ``work`` of all rows.
    """
    if not rows.implementation.is_duckdb():
        return work(rows)
    parts = max(1, -(-count // rows_in_memory()))
    anchor = rows.to_native()
    table = _table((work(part) for part in _parted(rows, customer, parts)), anchor)
    return nw.from_native(anchor.query("_", f"SELECT * FROM {table}"))


def _table(frames: Iterable[Any], anchor: Any) -> str:
    """The name of a table of DuckDB frames, one after the other, beside those of ``anchor``."""
    name = f"{HELD}.rows_{next(_numbers)}"
    anchor.query("_", f"ATTACH IF NOT EXISTS ':memory:' AS {HELD}")
    for place, frame in enumerate(frames):
        put = f"INSERT INTO {name}" if place else f"CREATE TABLE {name} AS"
        frame.to_native().query("_", f"{put} SELECT * FROM _")
    return name


def _parted(rows: Any, customer: str, parts: int) -> Iterator[Any]:
    if parts == 1:
        yield rows
        return
    anchor = rows.to_native()
    whole = _table([rows], anchor)  # or each part would read the source again
    for part in range(parts):
        its = f"hash({customer}) % {parts} = {part}"
        yield nw.from_native(anchor.query("_", f"SELECT * FROM {whole} WHERE {its}"))
    anchor.query("_", f"DROP TABLE {whole}")


def held(rows: Any) -> Any:
    """The same rows, computed once: a query would run again from its source at every question."""
    native = rows.to_native()
    if rows.implementation.is_duckdb():
        held = native.to_arrow_table()  # noqa: F841  (the query finds it by its name)
        return nw.from_native(native.query("_", "SELECT * FROM held"))
    if rows.implementation.is_pyspark():
        return nw.from_native(native.persist())
    if rows.implementation.is_polars() and isinstance(rows, nw.LazyFrame):
        return rows.collect().lazy()
    return rows
