"""Spark gives what one machine gives, to the last bit: report, log, summary, scorer, scores."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deltalake
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import clv
import clv.spark
from clv.app.batch import score_log
from clv.data.cdnow import cdnow_log
from clv.errors import InputError
from clv.io.engine import connect
from clv.scorer import CustomerScorer

pytestmark = pytest.mark.slow

ROOT = Path(clv.__file__).parent.parent
LINES = ROOT / "data" / "online_retail_lines.parquet"
ROLES = {"product": "item"}
QUICK = {  # for small data: two partitions, and Java compiled once instead of ever better
    "spark__sql__shuffle__partitions": "2",
    "spark__driver__extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    if not os.environ.get("CI"):
        if importlib.util.find_spec("pyspark") is None:
            pytest.skip('there is no Spark: pip install "clv[spark]"')
        if shutil.which("java") is None:
            pytest.skip("there is no Java: apt-get install openjdk-17-jre-headless")
    session = clv.spark.local_session(2, "1g", **QUICK)
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sampled CDNOW orders in a file."""
    file = tmp_path_factory.mktemp("orders") / "orders.parquet"
    cdnow_log(sample=True)[["customer_id", "date", "amount"]].to_parquet(file)
    return file


@pytest.fixture(scope="module")
def clean_on_spark(spark: Any, orders: Path) -> Any:
    log, _ = clv.clean(spark.read.parquet(str(orders)))
    return log.persist()


def table_of(frame: Any, *order: str) -> pa.Table:
    """A Spark dataframe or a DuckDB relation in order, in the types that both have."""
    if hasattr(frame, "toArrow"):
        return frame.orderBy(*order).toArrow()
    return frame.order(", ".join(order)).to_arrow_table()


def same_bits(one: pa.Table, other: pa.Table) -> None:
    assert one.column_names == other.column_names
    assert len(one) == len(other) > 0
    for name in one.column_names:
        assert one[name].to_pylist() == other[name].cast(one[name].type).to_pylist(), name


def test_lines_with_refunds_and_repeats_are_cleaned_as_by_the_engine(
    spark: Any, tmp_path: Path
) -> None:
    file = tmp_path / "lines.parquet"
    engine = connect(closed=False)
    engine.read_parquet(str(LINES)).filter("customer_id % 20 = 7").write_parquet(str(file))
    here, report = clv.clean(engine.read_parquet(str(file)), columns=ROLES)
    there, report_there = clv.clean(spark.read.parquet(str(file)), columns=ROLES)
    found = {finding.reason for finding in report.findings}
    assert {"refund of earlier orders", "row equal to another in every column"} <= found
    assert report_there == report
    same_bits(*(table_of(log, "customer_id", "date") for log in (here, there)))
    same_bits(*(table_of(clv.summarize(log), "customer_id") for log in (here, there)))


def test_times_of_a_session_are_days_of_its_zone(spark: Any) -> None:
    rows = [("a", "2024-03-01 23:30:00", 5.0), ("b", "2024-03-02 12:00:00", 7.0)]
    text = spark.createDataFrame(rows, "customer_id string, date string, amount double")
    times = text.withColumn("date", text["date"].cast("timestamp"))
    log, report = clv.clean(times)
    assert str(log.orderBy("customer_id").collect()[0]["date"]) == "2024-03-01"
    assert "calendar days are those of UTC." in report.assumptions
    with pytest.raises(InputError, match=r"time zone of its session, UTC, not Asia/Tokyo\.\nHint"):
        clv.clean(times, time_zone="Asia/Tokyo")
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        log, _ = clv.clean(times)
        assert str(log.orderBy("customer_id").collect()[0]["date"]) == "2024-03-02"
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.fixture(scope="module")
def scorer_there(clean_on_spark: Any, cdnow_scorer: CustomerScorer) -> CustomerScorer:
    return clv.spark.fit(clean_on_spark, cdnow_scorer.terms, churn_horizon="20 weeks")


@pytest.fixture(scope="module")
def scores_here(
    orders: Path, cdnow_scorer: CustomerScorer, tmp_path_factory: pytest.TempPathFactory
) -> pa.Table:
    """What ``clv score`` writes for the same orders."""
    file = tmp_path_factory.mktemp("scores") / "scores.parquet"
    score_log(orders, cdnow_scorer, file)
    return parquet.read_table(file)


def test_a_fit_gives_the_scorer_of_one_machine(
    scorer_there: CustomerScorer, cdnow_scorer: CustomerScorer
) -> None:
    assert scorer_there.purchases.params_ == cdnow_scorer.purchases.params_
    assert scorer_there.version == cdnow_scorer.version  # a digest of all that was learned


def test_scores_are_made_by_the_executors_and_are_those_of_one_machine(
    spark: Any, clean_on_spark: Any, scorer_there: CustomerScorer, scores_here: pa.Table
) -> None:
    scores = clv.spark.score(clean_on_spark, scorer_there)
    assert "MapInArrow" in scores._jdf.queryExecution().toString()
    same_bits(scores_here, table_of(scores, "customer_id"))


def test_a_folder_scores_a_summary(
    clean_on_spark: Any, cdnow_scorer: CustomerScorer, cdnow_clean: pd.DataFrame, tmp_path: Path
) -> None:
    folder = cdnow_scorer.save(tmp_path / "scorer")
    summary = clv.summarize(clean_on_spark, as_of="1998-06-30")
    there = clv.spark.score(summary, folder).orderBy("customer_id").select("clv").toArrow()
    here = cdnow_scorer.predict(clv.summarize(cdnow_clean))
    assert there["clv"].to_pylist() == here["clv"].to_list()


def test_a_sample_of_customers_is_told(clean_on_spark: Any, cdnow_scorer: CustomerScorer) -> None:
    scorer = clv.spark.fit(clean_on_spark, cdnow_scorer.terms, churn_horizon="20 weeks", most=600)
    training = scorer.training or {}
    assert 400 < training["customers"] <= 700
    said = f"Learned from {training['customers']} of 2,349 customers"
    assert any(said in limit["text"] for limit in training["limits"])


def test_delta_tables_are_written_whole(spark: Any, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    rows = spark.range(1000).repartition(3)
    assert clv.spark.write_delta(rows, folder) == 0
    assert clv.spark.write_delta(rows.limit(7), folder) == 1
    assert deltalake.DeltaTable(folder).to_pyarrow_table().num_rows == 7
    assert deltalake.DeltaTable(folder, version=0).to_pyarrow_table().num_rows == 1000
    broken = rows.selectExpr("assert_true(id < 500) AS id")
    with pytest.raises(Exception, match="500"):
        clv.spark.write_delta(broken, folder)
    assert deltalake.DeltaTable(folder).version() == 1
    assert len([*folder.glob("written-*")]) == 2
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="no Delta table"):
        clv.spark.write_delta(rows, tmp_path)


def test_without_java_the_error_says_what_to_do() -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("pyspark")
    code = "import clv.spark; clv.spark.local_session()"
    without = os.environ | {"JAVA_HOME": "/nowhere", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=without, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith(
        "clv.errors.MissingExtraError: Spark needs Java 17 or later beside clv[spark]"
    )
