"""Steps on tables, worked out once and then run on one small table after another.

On a table of a few rows, working out a query takes ten times as long as running it: each expression
goes through Narwhals and Polars before a number is touched. A prepared query keeps the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import narwhals as nw

from clv.extras import require_extra

if TYPE_CHECKING:
    import polars as pl

Steps = Callable[[nw.LazyFrame[Any]], Sequence[nw.LazyFrame[Any]]]


class PreparedQuery:
    """What ``steps`` make of a Polars table, for any table of one schema.

    Parameters
    ----------
    schema
        Names and Polars types of the columns that every table will have.
    steps
        From a lazy frame of that schema to the frames wanted. It is called once and sees no rows,
        so it may branch on names and types alone.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"a": [1, 2]})
    >>> total = PreparedQuery(table.schema, lambda rows: [rows.select(nw.col("a").sum())])
    >>> [result["a"][0] for result in total(table)]
    [3]
    """

    def __init__(self, schema: Mapping[str, Any], steps: Steps) -> None:
        require_extra("serve", "polars")
        from polars.io.plugins import register_io_source

        self._lock = Lock()
        self._table: Any = None
        source = register_io_source(self._read, schema=schema)
        self._results = [result.to_native() for result in steps(nw.from_native(source))]

    def __call__(self, table: pl.DataFrame) -> list[pl.DataFrame]:
        """The frames that ``steps`` make of ``table``, in memory."""
        import polars as pl

        as_it_stands = pl.QueryOptFlags.none()  # to improve a plan takes longer than to run it
        with self._lock:  # the plans read whatever table stands here
            self._table = table
            # Polars' other engine, for large tables, takes twice as long to start as this to end
            return pl.collect_all(self._results, engine="in-memory", optimizations=as_it_stands)

    def _read(
        self, columns: list[str] | None, predicate: Any, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        """The table as Polars asks for it: these columns, these rows, so many."""
        table = self._table
        if predicate is not None:
            table = table.filter(predicate)
        if rows is not None:
            table = table.head(rows)
        yield table if columns is None else table.select(columns)


def held(rows: Any) -> Any:
    """The rows of a step that several others use: they are computed once, not for each."""
    return nw.from_native(rows.to_native().cache())
