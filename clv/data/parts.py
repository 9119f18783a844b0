"""Many rows in parts, each with whole customers, so that what is worked out on the way stays small.

All that cleaning does stays within a customer: refunds, order numbers, the orders of one day. So
the parts put together are the whole, to the last bit, however many there are. DuckDB has
parts here: it holds results in its own tables, which go to disk where memory is short. Those of
Spark are of ``cleaning_on_spark.py``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import narwhals as nw

from clv.io.engine import rows_in_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD = "temp.clv_held_"  # tables that nobody but the connection sees, and which go with it
LINE = "_line"  # of rows that are numbered
_numbers = itertools.count()  # of the tables that hold results
AT_ONCE = 100_000  # numbers in one statement

Work = Callable[[Any], Any]


def in_parts(
    rows: Any, customer: str, work: Work, beside: Iterable[Any] = (), near: Any = None
) -> Any:
    """``work`` of the rows, part by part where there are too many for memory, put together.

    Parameters
    ----------
    rows
        A Narwhals frame, eager or lazy; None where there are but those ``beside``.
    customer
        The column that says whose a row is.
    work
        From the rows of some customers to a frame.
    beside
        On DuckDB, frames of other customers, which stand before these in the result.
    near
        A query of the connection, where there are no ``rows``.

    Returns
    -------
    A frame that is not worked out again when it is asked: on DuckDB a table that lives with the
    connection. Where tables are in memory, ``work`` of all rows.
    """
    if rows is not None and not rows.implementation.is_duckdb():
        return work(rows)
    whole = near if rows is None else held(rows)
    done = () if rows is None else (work(part) for part in _parted(whole, customer))
    result = _table(itertools.chain(beside, done), whole.to_native())
    return nw.from_native(whole.to_native().query("_", f"SELECT * FROM {result}"))


def _table(frames: Iterable[Any], anchor: Any) -> str:
    """The name of a table of DuckDB frames, one after the other, beside those of ``anchor``."""
    name = f"{HELD}{next(_numbers)}"
    for place, frame in enumerate(frames):
        put = f"INSERT INTO {name}" if place else f"CREATE TEMP TABLE {name} AS"
        native = frame.to_native()
        anchor.query("_", f"{put} {'FROM _' if native is anchor else native.sql_query()}")
    return name


def _parted(whole: Any, customer: str) -> Iterator[Any]:
    """The rows of some customers after the others'; what is held meanwhile goes with each part."""
    rows = whole.to_native()
    parts = max(1, -(-rows.shape[0] // rows_in_memory()))
    for part in range(parts):
        before = next(_numbers)
        its = f"SELECT * FROM _ WHERE hash({customer}) % {parts} = {part}"
        yield nw.from_native(rows.query("_", its)) if parts > 1 else whole
        _drop(range(before + 1, next(_numbers)), rows)


def alone(work: Callable[[], Any], near: Any) -> Any:
    """What ``work`` gives, held on the connection of ``near``, and nothing of what it held."""
    if not near.implementation.is_duckdb():
        return work()
    before, result, rows = next(_numbers), work(), near.to_native()
    query = result.to_native().sql_query()
    named = {n for n in map(int, re.findall(r"\bclv_held_(\d+)", query)) if n > before}
    for number in named - {max(named)}:  # its query names them, as it was made near them
        name = f"{HELD}{number}"
        rows.query("_", f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {name} LIMIT 0")
    _drop({*range(before + 1, next(_numbers))} - named, rows)
    return result


def _drop(numbers: Iterable[int], rows: Any) -> None:
    """Forget the tables of these numbers, as far as there are any."""
    for number in numbers:
        rows.query("_", f"DROP TABLE IF EXISTS {HELD}{number}")


def held(rows: Any, near: Any = None, *, in_memory: bool = False) -> Any:
    """The same rows, computed once: a query would run again from its source at every question.

    On DuckDB in a table of the connection, which goes to disk where memory is short, or if they are
    few ``in_memory``. A table is made much sooner from a short query ``near``, such as one that was
    held before.
    """
    native = rows.to_native()
    if rows.implementation.is_duckdb() and in_memory:
        return nw.from_native(native.materialize())
    if rows.implementation.is_duckdb():
        anchor = native if near is None else near.to_native()
        return nw.from_native(anchor.query("_", f"SELECT * FROM {_table([rows], anchor)}"))
    if rows.implementation.is_polars() and isinstance(rows, nw.LazyFrame):
        return rows.collect().lazy()
    return rows


def numbered(rows: Any, near: Any = None) -> Any:
    """The same rows, computed once, each with a number of its own as ``_line``."""
    if rows.implementation.is_duckdb():
        anchor = rows.to_native() if near is None else near.to_native()
        query = f"SELECT rowid AS {LINE}, * FROM {_table([rows], anchor)}"
        return nw.from_native(anchor.query("_", query))
    done = held(rows)
    if isinstance(done, nw.LazyFrame):  # Polars says the order of what it holds
        return nw.from_native(done.to_native().with_row_index(LINE))
    return done.with_row_index(LINE)


def held_numbers(numbers: NDArray[Any], near: Any) -> Any:
    """Whole numbers as the column h of a table that is held on the connection of ``near``.

    They are sent as text, of which the engine reads a list many times as soon as one of numbers.
    """
    name, rows = f"{HELD}{next(_numbers)}", near.to_native()
    rows.query("_", f"CREATE TEMP TABLE {name} (h UBIGINT)")
    for start in range(0, len(numbers), AT_ONCE):
        text = ",".join(map(str, numbers[start : start + AT_ONCE].tolist()))
        rows.query("_", f"INSERT INTO {name} SELECT unnest(string_split('{text}', ','))::UBIGINT")
    return nw.from_native(rows.query("_", f"SELECT * FROM {name}"))
