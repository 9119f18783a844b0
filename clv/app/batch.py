"""Scores for everybody: from an order log in a file to a file of scores, in bounded memory.

DuckDB cleans and summarises; the summary then streams through a pure function on Arrow batches,
a few at a time on threads.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.app.nightly.state_folder import OrderState
from clv.app.nightly.state_summary import state_summary
from clv.app.scored_parts import ScoredParts
from clv.data.cleaning_report import CleaningReport
from clv.data.days import Day, as_day
from clv.data.summary import summarize
from clv.intake.fingerprint import read_as_trained
from clv.io.changes import workspace, written_beside
from clv.io.csv_safe import safe_batch
from clv.io.databases import DatabaseAddress, write_scores
from clv.io.files import PARQUET, check_output
from clv.io.spark_batches import made_up_row
from clv.locales import has_decimal_comma
from clv.scorer import CustomerScorer
from clv.threads import side_by_side

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 122_880  # customers in a batch: as DuckDB hands them out

Progress = Callable[[int, int], None]  # customers scored, customers in all


def score_batch(batch: pa.RecordBatch, scorer: CustomerScorer) -> pa.RecordBatch:
    """The scores of a batch of summaries, row by row, as ``CustomerScorer.predict`` gives them.

    An empty batch gives an empty batch of the same columns.

    Raises
    ------
    InputError
        As ``CustomerScorer.predict``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.value.value import Terms
    >>> from clv.periods import Duration
    >>> log = cdnow_log(sample=True)
    >>> scorer = CustomerScorer.fit(log, Terms(0.3), churn_horizon=Duration(13, "week"))
    >>> batch = pa.RecordBatch.from_pandas(summarize(log))
    >>> score_batch(batch, scorer).num_rows
    2357
    """
    import pyarrow as pa

    table = pa.Table.from_batches([batch if batch.num_rows else made_up_row(batch.schema, scorer)])
    scores = scorer.predict(table).combine_chunks().to_batches()[0]
    return scores.slice(0, batch.num_rows)


def score_log(
    log_path: str | os.PathLike[str] | Sequence[str],
    scorer: CustomerScorer,
    output: str | os.PathLike[str],
    as_of: Day | None = None,
    progress: Progress | None = None,
    *,
    anyway: bool = False,
    **stated: Any,
) -> CleaningReport:
    """Score every customer of an order log in a file; the report on the log is returned.

    Parameters
    ----------
    log_path
        A file, a pattern or a folder, or several; see :func:`clv.intake.sources.read_source`.
        They are read as the log that the scorer was trained on.
    scorer
        The fitted scorer; the summary is made in its time unit.
    output
        A file ending in .parquet or .csv, or the address of a table, see
        :func:`clv.io.databases.write_scores`. It is replaced whole when all is done: who reads it
        meanwhile reads the old one. Rows are in the order of customer_id, with the columns of
        :meth:`clv.scorer.CustomerScorer.predict`, as_of and model_version among them. In CSV,
        text that a spreadsheet would run gets an apostrophe before it, ids among them: only
        Parquet holds every id as the log does.
    as_of
        The day as of which customers are scored; the last day of the log if not given.
    anyway
        Score a log that does not look like the one that the scorer learned from.
    stated
        Fields of :class:`clv.intake.recipe.Recipe` in which this log differs.
    progress
        Called with customers scored and customers in all.

    Raises
    ------
    InputError
        The log cannot be read or used, or the output cannot be written.
    """
    paths = [log_path] if isinstance(log_path, (str, os.PathLike)) else log_path
    target = check_output(output, *paths, kind="scores")
    intake = read_as_trained(paths, scorer.training, as_of=as_of, anyway=anyway, **stated)
    log, report = intake.purchases, intake.report
    day = report.last_date if as_of is None else as_of
    merged = intake.recipe.same_day == "merge"
    summary = summarize(log, as_of=day, unit=scorer.unit, merged=merged)
    summary = scorer.churn.attach(summary, log, day, scorer.unit).order("customer_id")
    _write_scores(summary, scorer, target, report.customers, progress)
    return report


def score_state(
    folder: str | os.PathLike[str],
    scorer: CustomerScorer,
    output: str | os.PathLike[str],
    as_of: Day | None = None,
    progress: Progress | None = None,
    *,
    anyway: bool = False,
) -> OrderState:
    """Score every customer of a state that ``fold_orders`` keeps; the state is returned.

    The scores are those of ``score_log`` for all orders of the state, to the last bit.

    Parameters
    ----------
    folder
        The state.
    scorer, output, as_of, progress, anyway
        As ``score_log`` has them; ``as_of`` is no earlier than the last order.

    Raises
    ------
    InputError
        There is no state, it cannot be used, or the output cannot be written.
    """
    target = check_output(output, kind="scores")
    day = None if as_of is None else as_day(as_of, "as_of")
    summary, state, customers = state_summary(folder, scorer, day, anyway=anyway)
    _write_scores(summary.order("customer_id"), scorer, target, customers, progress)
    return state


def _write_scores(
    summary: Any, scorer: CustomerScorer, target: Path, customers: int, progress: Progress | None
) -> None:
    """The scores of a summary, in its order, batch by batch; of many, parts outlast a stop."""
    batches = summary.to_arrow_reader(ROWS)
    comma = has_decimal_comma()
    parts = ScoredParts(target, scorer.version + ("-comma" if comma else ""))
    lasting = customers > ROWS and DatabaseAddress.parse(target) is None
    with parts.until_done() if lasting else nullcontext(), _destination(target) as beside:
        local = partial(safe_batch, decimal_comma=comma)
        written = _as_is if beside.name.endswith(PARQUET) else local
        schema = written(score_batch(made_up_row(batches.schema, scorer), scorer)).schema
        done = 0

        def score(batch: pa.RecordBatch) -> pa.RecordBatch:
            return written(score_batch(batch, scorer))

        with _writer(beside, schema) as writer:
            for scores in side_by_side(batches, parts.keeping(score) if lasting else score):
                writer.write_batch(scores)
                done += scores.num_rows
                if progress is not None:
                    progress(done, customers)


@contextmanager
def _destination(target: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of a file or of a table when it is whole."""
    address = DatabaseAddress.parse(target)
    if address is None:
        with written_beside(target) as beside:
            yield beside
        return
    with workspace() as folder:
        yield folder / "scores.parquet"
        write_scores(address, folder / "scores.parquet")


def _as_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


@contextmanager
def _writer(path: Path, schema: pa.Schema) -> Iterator[Any]:
    """A writer of the format that the file's name says."""
    from pyarrow import csv, parquet

    if path.name.endswith(PARQUET):
        with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            yield writer
        return
    comma = has_decimal_comma()
    options = csv.WriteOptions(delimiter=";" if comma else ",")
    with path.open("wb") as file:
        file.write(BOM_UTF8 if comma else b"")
        with csv.CSVWriter(file, schema, write_options=options) as writer:
            yield writer
