"""Orders on Spark become purchases where they are: each part of the customers by the engine.

Spark's own windows over customers took twice as long. What became of the orders of a part
comes with its purchases, as a row of its own that holds it as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw

from clv.data.ledger import OrderSurvey, Survey
from clv.extras import require_extra
from clv.io.engine import connect

if TYPE_CHECKING:
    import pyarrow as pa

SURVEY = "_survey"
ONE_THREAD = {"threads": 1}  # as Spark has a process for each of its own

Work = Callable[[Any], tuple[Any, list[OrderSurvey]]]


def purchases_on_spark(lines: Any, customer: str, work: Work) -> tuple[Any, list[OrderSurvey]]:
    """What ``work`` gives of lines on Spark, worked out by its executors and held there.

    Parameters
    ----------
    lines
        A Narwhals frame on Spark.
    customer
        The column that says whose a line is.
    work
        From the lines of some customers, on DuckDB, to their purchases and what became of orders.
    """
    require_extra("spark", "pyspark")
    from pyspark.sql.pandas.types import from_arrow_schema

    native = lines.to_native()
    schema = next(_worked_out(native.limit(0).toArrow(), work)).schema
    made = native.repartition(customer).mapInArrow(
        partial(_of_batches, work, schema), from_arrow_schema(schema)
    )
    made.persist()
    surveys = made.filter(made[SURVEY].isNotNull()).select(SURVEY).collect()
    purchases = made.filter(made[SURVEY].isNull()).drop(SURVEY)
    return nw.from_native(purchases), [one for row in surveys for one in _read(row[0])]


def _of_batches(
    work: Work, schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The purchases of one part of the customers, and its survey; runs on an executor."""
    import pyarrow as pa

    if part := list(batches):
        for table in _worked_out(pa.Table.from_batches(part), work):
            yield from table.cast(schema).to_batches()


def _worked_out(lines: pa.Table, work: Work) -> Iterator[pa.Table]:
    """The purchases of lines, and a row that holds only what became of their orders."""
    import pyarrow as pa

    connection = connect(closed=False, config=ONE_THREAD)
    purchases, surveys = work(nw.from_native(connection.from_arrow(lines)))
    table = purchases.to_native().to_arrow_table()
    yield table.append_column(SURVEY, pa.nulls(len(table), pa.string()))
    survey = {name: pa.nulls(1, table.schema.field(name).type) for name in table.column_names}
    yield pa.table({**survey, SURVEY: [json.dumps(surveys)]})


def _read(text: str) -> Iterator[OrderSurvey]:
    """What ``json.dumps`` made of surveys, with numbers as keys again."""
    for outcome, spread in json.loads(text):
        yield _counted(outcome), _counted(spread)


def _counted(pair: Any) -> Survey:
    tally, examples = pair
    return (
        {int(code): sums for code, sums in tally.items()},
        {int(code): tuple(texts) for code, texts in examples.items()},
    )
