"""Tables that are no dataframe yet, as the engine reads them: streams, datasets, lake tables."""

from __future__ import annotations

from typing import Any

from clv.errors import InputError
from clv.io.engine import connect
from clv.io.lake_tables import batches_of_iceberg

STREAM, DATASET, DELTA = "RecordBatchReader", "Dataset", "DeltaTable"
HOMES = ("pyarrow.", "deltalake.", "pyiceberg.")


def in_engine(value: Any) -> Any:
    """A DuckDB relation of what a stream, a dataset or a lake's table holds; others as they are.

    A dataset and a Delta table stay where they are and are read as often as they are asked for,
    by batches. A stream of batches (``pyarrow.RecordBatchReader``) can be read once: it goes into
    a table of the engine, which spills what does not fit into memory. So do the rows of an Iceberg
    table or of a scan of it.

    >>> import pyarrow as pa
    >>> reader = pa.table({"a": [1, 2]}).to_reader()
    >>> in_engine(reader).aggregate("sum(a)").fetchall(), in_engine("orders.csv")
    ([(3,)], 'orders.csv')
    """
    if not type(value).__module__.startswith(HOMES):
        return value
    rows = _opened(value)
    kinds = {kind.__name__ for kind in type(rows).__mro__}
    if not kinds & {DATASET, STREAM}:
        return value
    connection = connect(closed=False)
    connection.execute("SET TimeZone = 'UTC'")
    relation = connection.from_arrow(rows)
    if STREAM in kinds:
        relation.create("stream")
        return connection.table("stream")
    return relation


def _opened(value: Any) -> Any:
    """What a lake's table gives to read; others as they are."""
    kind = type(value)
    try:
        if kind.__module__.startswith("pyiceberg.table"):
            return batches_of_iceberg(value)
        if DELTA in {one.__name__ for one in kind.__mro__}:
            return value.to_pyarrow_dataset()
    except Exception as error:  # of its library, which ours need not have
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"the {kind.__name__} cannot be read: {reason}.",
            hint="hand over its to_pyarrow_table() or scan().to_arrow(), or a query elsewhere.",
        ) from error
    return value
