"""Tables that are no dataframe yet, as the engine reads them: streams, datasets, Delta tables."""

from __future__ import annotations

from typing import Any

from clv.errors import InputError
from clv.io.engine import connect

STREAM, DATASET, DELTA = "RecordBatchReader", "Dataset", "DeltaTable"
HOMES = ("pyarrow.", "deltalake.")


def in_engine(value: Any) -> Any:
    """A DuckDB relation of what a stream, a dataset or a Delta table holds; others as they are.

    A dataset and a Delta table stay where they are and are read as often as they are asked for,
    by batches. A stream of batches (``pyarrow.RecordBatchReader``) can be read once: it goes into
    a table of the engine, which spills what does not fit into memory.

    >>> import pyarrow as pa
    >>> reader = pa.table({"a": [1, 2]}).to_reader()
    >>> in_engine(reader).aggregate("sum(a)").fetchall(), in_engine("orders.csv")
    ([(3,)], 'orders.csv')
    """
    if not type(value).__module__.startswith(HOMES):
        return value
    kinds = {kind.__name__ for kind in type(value).__mro__}
    if DELTA in kinds:
        try:
            value = value.to_pyarrow_dataset()
        except Exception as error:  # of its library, which ours need not have
            reason = str(error).splitlines()[0].rstrip(".")
            raise InputError(
                f"the Delta table cannot be read: {reason}.",
                hint="hand over to_pyarrow_table() of it, or a query in its own engine.",
            ) from error
    elif DATASET not in kinds and STREAM not in kinds:
        return value
    connection = connect(closed=False)
    connection.execute("SET TimeZone = 'UTC'")
    rows = connection.from_arrow(value)
    if STREAM in kinds:
        rows.create("stream")
        return connection.table("stream")
    return rows
