"""Customers on Spark: the same cleaning, models and scores, for what one machine does not hold.

``clv.clean``, ``clv.summarize`` and ``CustomerScorer.predict`` take Spark dataframes as they are.
Here stands what goes beyond them: a fit that never takes the orders to the driver, scores of a
clean log, Delta tables without Spark's own library, and a session on this machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.data.days import Day, as_day
from clv.data.log import read_log
from clv.data.summary import summarize
from clv.errors import InputError, MissingExtraError
from clv.extras import require_extra
from clv.findings import finding, saved
from clv.io.spark_batches import is_spark, sample_on_spark
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.threads import thread_count
from clv.value.value import Terms

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MOST = 2_000_000  # customers whose summary the driver takes: about 200 MB
JAVA = (
    "Spark needs Java 17 or later beside clv[spark], and found none that runs: install one, as in "
    "apt-get install default-jre-headless, and let JAVA_HOME name its folder."
)


def fit(
    log: DataFrame,
    terms: Terms,
    *,
    churn_horizon: str | Duration,
    most: int = MOST,
    **settings: Any,
) -> CustomerScorer:
    """``CustomerScorer.fit`` of a clean log on Spark, whose orders stay there.

    The driver gets one row a customer and the orders of the 40,000 customers that the churn score
    learns from (of 200,000 where the purchase model is chosen by ``"auto"``). The scorer is that
    of the same log on one machine, to the last bit, up to ``most`` customers.

    Parameters
    ----------
    log
        A Spark dataframe of :func:`clv.clean`: customer_id, date, amount.
    terms, churn_horizon, settings
        As :meth:`clv.scorer.CustomerScorer.fit` has them.
    most
        Customers to learn from. Of more, those are taken whose ids fall in one of several equal
        parts by their hash; ``training["limits"]`` then says so.

    Returns
    -------
    The scorer.

    Raises
    ------
    InputError, FitError
        The log is not on Spark, or as ``CustomerScorer.fit``.

    Examples
    --------
    >>> fit([1, 2], Terms(0.3), churn_horizon="13 weeks")
    Traceback (most recent call last):
    ...
    clv.errors.InputError: the log is a list, not a Spark dataframe.
    Hint: CustomerScorer.fit takes all other tables.
    """
    _require_spark(log, "the log", "CustomerScorer.fit takes all other tables.")
    held_before = log.is_cached
    log.persist()
    try:
        known, customers, of = sample_on_spark(log, most)
        scorer = CustomerScorer.fit(known, terms, churn_horizon=churn_horizon, **settings)
    finally:
        if not held_before:
            log.unpersist()
    if customers == of:
        return scorer
    limits = saved([finding("limit_of_log.sample", customers=customers, of=of)])
    training = dict(scorer.training or {})
    training["limits"] = [*training.get("limits", []), *limits]
    return replace(scorer, training=training)


def score(
    data: DataFrame, scorer: CustomerScorer | str | os.PathLike[str], as_of: Day | None = None
) -> DataFrame:
    """The scores of customers on Spark, made on its executors; nothing is collected.

    Parameters
    ----------
    data
        A Spark dataframe: a clean log, or a summary of one, in the scorer's time unit.
    scorer
        The scorer, or the folder that it was saved in.
    as_of
        The day as of which the customers of a log are scored; its last day if not given.

    Returns
    -------
    The query for what :meth:`clv.scorer.CustomerScorer.predict` gives, in no order. Of a log the
    scores are those of ``clv score``, to the last bit, the churn score of the log with them.

    Raises
    ------
    InputError, ModelError
        The data are not on Spark, or as ``predict`` and ``CustomerScorer.load``.

    Examples
    --------
    >>> import pandas as pd
    >>> score(pd.DataFrame(), "scorer")
    Traceback (most recent call last):
    ...
    clv.errors.InputError: the data is a DataFrame of pandas, not a Spark dataframe.
    Hint: CustomerScorer.predict takes all other tables.
    """
    _require_spark(data, "the data", "CustomerScorer.predict takes all other tables.")
    ready = scorer if isinstance(scorer, CustomerScorer) else CustomerScorer.load(scorer)
    if "frequency" in data.columns:
        return ready.predict(data)
    day = read_log(data)[2] if as_of is None else as_day(as_of, "as_of")
    summary = summarize(data, as_of=day, unit=ready.unit)
    return ready.predict(ready.churn.attach(summary, data, day, ready.unit))


def write_delta(rows: DataFrame, folder: str | os.PathLike[str]) -> int:
    """Write a Delta table from Spark, without Spark's own library for it, or replace one.

    The executors write Parquet files into the table's folder; the driver then makes them the
    table's in one commit. Readers have the old version until then, and a write that fails leaves
    it. Where Spark has Delta's library, as on Databricks, ``rows.write.format("delta")`` does it.

    Parameters
    ----------
    rows
        A Spark dataframe, such as scores.
    folder
        The table: a folder that the driver and the executors see.

    Returns
    -------
    The version of the table that was written; 0 is the first.

    Raises
    ------
    InputError
        The folder holds something else, or ``rows`` are not on Spark.
    """
    require_extra("delta", "deltalake")
    from deltalake import DeltaTable

    _require_spark(rows, "what to write", "deltalake.write_deltalake takes all other tables.")
    target = Path(folder).absolute()
    there = DeltaTable.is_deltatable(str(target))
    if not there and target.exists() and (target.is_file() or any(target.iterdir())):
        raise InputError(
            f"{target} holds something that is no Delta table.", hint="name another folder."
        )
    part = target / f"written-{secrets.token_hex(8)}"
    try:
        rows.write.parquet(part.as_uri())
        return _commit(target, part, there=there)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def local_session(threads: int | None = None, memory: str = "2g", **settings: str) -> SparkSession:
    """A Spark session on this machine, to try out what a cluster is to do.

    Parameters
    ----------
    threads
        How many rows of work it does at once; as many as there are processors if not given.
    memory
        Of its Java process, as in "4g".
    settings
        More of Spark's settings, their dots written as two underscores:
        ``spark__sql__shuffle__partitions="8"``.

    Returns
    -------
    The session: its days are those of UTC, and it listens on this machine alone.

    Raises
    ------
    MissingExtraError
        pyspark is not installed, or there is no Java that it runs on.
    """
    require_extra("spark", "pyspark")
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the same Python on both sides
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    usual = {
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",  # which turns None into nan
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    told = {name.replace("__", "."): value for name, value in settings.items()}
    builder = SparkSession.builder.master(f"local[{threads or thread_count()}]").appName("clv")
    try:
        return builder.config(map=usual | told).getOrCreate()
    except (PySparkRuntimeError, FileNotFoundError) as error:
        raise MissingExtraError(JAVA) from error


def _require_spark(table: Any, what: str, hint: str) -> None:
    if is_spark(table):
        return
    kind = type(table)
    home = kind.__module__.partition(".")[0]
    of = "" if home == "builtins" else f" of {home}"
    raise InputError(f"{what} is a {kind.__name__}{of}, not a Spark dataframe.", hint=hint)


def _commit(target: Path, part: Path, *, there: bool) -> int:
    """Make the files of ``part`` the Delta table ``target``, in one version; its number."""
    require_extra("delta", "deltalake")
    from deltalake import DeltaTable, Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions
    from pyarrow import parquet

    files = sorted(part.glob("*.parquet"))
    schema = Schema.from_arrow(parquet.read_schema(files[0]))
    added = [
        AddAction(
            path=file.relative_to(target).as_posix(),
            size=file.stat().st_size,
            partition_values={},
            modification_time=round(time.time() * 1000),
            data_change=True,
            stats=f'{{"numRecords": {parquet.read_metadata(file).num_rows}}}',
        )
        for file in files
    ]
    if there:
        DeltaTable(target).create_write_transaction([*added], "overwrite", schema)
    else:
        create_table_with_add_actions(str(target), schema, added, mode="error", partition_by=[])
    return DeltaTable(target).version()
