"""Scores on Spark, made where the rows are: by Arrow batches, of which none comes to the driver.

Executors get the files of the scorer, which they load and check as everybody does; they need this
package, in the same version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw

from clv.extras import require_extra

if TYPE_CHECKING:
    import pyarrow as pa

HISTORY = {"frequency": 0, "recency": 0.0, "T": 1.0, "monetary_value": 0.0, "first_amount": 1.0}
Files = tuple[tuple[str, bytes], ...]


def on_spark(frame: Any) -> bool:
    """Whether a Narwhals frame is a query of Spark's, in this process or by Spark Connect."""
    engine = frame.implementation
    return bool(engine.is_pyspark() or engine.is_pyspark_connect())


def is_spark(table: Any) -> bool:
    """Whether a table is a Spark dataframe.

    >>> import pandas as pd
    >>> is_spark(pd.DataFrame()), is_spark("orders.csv")
    (False, False)
    """
    frame = nw.from_native(table, pass_through=True)
    return isinstance(frame, nw.LazyFrame) and on_spark(frame)


def score_on_spark(summary: Any, names: Sequence[str], scorer: Any) -> Any:
    """What ``scorer`` predicts for a summary on Spark, as a query that nothing has run yet.

    Parameters
    ----------
    summary
        A Spark dataframe, one row a customer.
    names
        The columns that the scorer may read.
    scorer
        A :class:`clv.scorer.CustomerScorer`.
    """
    require_extra("spark", "pyspark")
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema

    read = summary.select(*(name for name in summary.columns if name in names))
    example = made_up_row(read.limit(0).toArrow().schema, scorer)
    schema = scorer.predict(pa.Table.from_batches([example])).schema
    work = partial(_scores, type(scorer), _files(scorer), schema)
    return read.mapInArrow(work, from_arrow_schema(schema))


def sample_on_spark(log: Any, most: int) -> tuple[Any, int, int]:
    """The rows of at most about ``most`` customers of a log on Spark, how many these are, of all.

    Customers are taken by a hash of their id, so a log has one sample, in whatever order it comes.
    """
    require_extra("spark", "pyspark")
    from pyspark.sql import functions

    ids = log.select("customer_id").distinct()
    customers = ids.count()
    if customers <= most:
        return log, customers, customers
    place = functions.pmod(functions.xxhash64("customer_id"), functions.lit(-(-customers // most)))
    return log.filter(place == 0), ids.filter(place == 0).count(), customers


def made_up_row(schema: pa.Schema, scorer: Any) -> pa.RecordBatch:
    """A customer with the columns of ``schema``, to learn what scores look like."""
    import pandas as pd
    import pyarrow as pa

    usual = scorer.spend.with_usual_covariates(pd.DataFrame(HISTORY, index=[0]))
    values = {**usual.iloc[0].to_dict(), "unit": scorer.unit}

    def cell(field: pa.Field) -> pa.Array:
        try:
            return pa.array([values.get(field.name)], field.type)
        except pa.ArrowException:  # of another kind, which the scorer says better
            return pa.nulls(1, field.type)

    return pa.RecordBatch.from_arrays([cell(field) for field in schema], schema=schema)


def _files(scorer: Any) -> Files:
    """The scorer as it is saved, name by name."""
    with tempfile.TemporaryDirectory() as folder:
        saved = scorer.save(Path(folder) / "scorer")
        return tuple((file.name, file.read_bytes()) for file in sorted(saved.iterdir()))


@lru_cache(4)
def _loaded(kind: Any, files: Files) -> Any:
    """The scorer of ``files``, loaded once by each process of an executor."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            (Path(folder) / name).write_bytes(content)
        return kind.load(folder)


def _scores(
    kind: Any, files: Files, schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The scores of each batch of summaries; runs on an executor."""
    scorer = _loaded(kind, files)
    for summary in gathered(batches):
        yield from scorer.predict(summary).cast(schema).to_batches()


def gathered(batches: Iterable[pa.RecordBatch], rows: int = 100_000) -> Iterator[pa.Table]:
    """Batches as tables of at least so many rows: those of Spark, of 10,000, take twice as long.

    >>> import pyarrow as pa
    >>> two = pa.RecordBatch.from_pydict({"a": [1, 2]})
    >>> [len(table) for table in gathered([two, two, two.slice(0, 0), two], rows=3)]
    [4, 2]
    """
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= rows:
            yield pa.Table.from_batches(held)
            held = []
    if any(map(len, held)):
        yield pa.Table.from_batches(held)
