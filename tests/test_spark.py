"""Spark gives what one machine gives, to the last bit: report, log, summary, scorer, scores."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
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
from clv.app.registry import Registered
from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_scorer
from clv.data.cdnow import cdnow_log
from clv.errors import InputError
from clv.forecast.windows import Past
from clv.io.engine import connect
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.scorer import CustomerScorer

pytestmark = pytest.mark.slow

ROOT = Path(clv.__file__).parent.parent
LINES = ROOT / "data" / "online_retail_lines.parquet"
ROLES = {"product": "item"}
LOOPBACK = "127.0.0.1"
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # compiled once, not ever better: data are small
QUICK = {
    "spark__sql__shuffle__partitions": "2",
    "spark__driver__extraJavaOptions": JAVA,
    "spark__sql__adaptive__enabled": "false",
    "spark__sql__codegen__wholeStage": "false",
    "spark__sql__codegen__factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    if not os.environ.get("CI"):
        if importlib.util.find_spec("pyspark") is None:
            pytest.skip('there is no Spark: pip install "clv[spark]"')
        if shutil.which("java") is None:
            pytest.skip("there is no Java: apt-get install default-jre-headless")
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
    """The clean log of these orders."""
    log, _ = clv.clean(connect(closed=False).read_parquet(str(orders)))
    log.write_parquet(str(file := orders.with_name("clean.parquet")))
    return spark.read.parquet(str(file)).persist()


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
    there.persist()
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
    clean_on_spark: Any, scorer_there: CustomerScorer, scores_here: pa.Table, tmp_path: Path
) -> None:
    scores = clv.spark.score(clean_on_spark, scorer_there.save(tmp_path / "scorer"))
    assert "MapInArrow" in scores._jdf.queryExecution().toString()
    same_bits(scores_here, table_of(scores, "customer_id"))


def test_a_sample_of_customers_is_told(
    clean_on_spark: Any,
    cdnow_scorer: CustomerScorer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fit(log: Any, *_: Any, **__: Any) -> CustomerScorer:
        customers = log.select("customer_id").distinct().count()
        return replace(cdnow_scorer, training={"customers": customers})

    monkeypatch.setattr(CustomerScorer, "fit", fit)
    scorer = clv.spark.fit(clean_on_spark, cdnow_scorer.terms, churn_horizon="20 weeks", most=600)
    training = scorer.training or {}
    assert 400 < training["customers"] <= 700
    said = f"Learned from {training['customers']} of 2,349 customers"
    assert [limit["text"][: len(said)] for limit in training["limits"]] == [said]
    assert CustomerScorer.load(scorer.save(tmp_path / "scorer")).training == training


def test_the_customers_that_churn_learns_from_are_those_of_one_machine(
    clean_on_spark: Any, cdnow_clean: pd.DataFrame
) -> None:
    there, here = (
        Past.from_log(log, Duration(20, "week"), "week", BetaGeoNBD, most=100)
        for log in (clean_on_spark, cdnow_clean)
    )
    assert (there.sampled, there.customers) == (here.sampled, here.customers) == (100, 2349)
    bought = there._bought.collect().to_arrow(), here._bought.collect().to_arrow()
    same_bits(*bought)


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


CONNECTED = """
import sys
import clv, clv.spark
from pyspark.sql import SparkSession
orders, scorer, scores, *settings = sys.argv[1:]
settings = dict(setting.split("=", 1) for setting in settings)
spark = SparkSession.builder.remote("local[1]").config(map=settings).getOrCreate()
assert "connect" in type(spark).__module__
log, report = clv.clean(spark.read.parquet(orders))
clv.spark.score(log, scorer).coalesce(1).write.parquet(scores)
print(report.purchases)
spark.stop()
"""


def test_a_session_of_spark_connect_gives_the_scores_of_one_machine(
    orders: Path, cdnow_scorer: CustomerScorer, scores_here: pa.Table, tmp_path: Path
) -> None:
    """In a process of its own, as one has either kind of session."""
    if not os.environ.get("CI"):
        pytest.importorskip("grpc_status")
    settings = {name.replace("__", "."): value for name, value in QUICK.items()}
    settings["spark.sql.session.timeZone"] = "UTC"
    places = orders, cdnow_scorer.save(tmp_path / "scorer"), tmp_path / "scores"
    named = [f"{name}={value}" for name, value in settings.items()]
    own = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-c", CONNECTED, *map(str, places), *named]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    scores = connect(closed=False).read_parquet(str(places[2] / "*.parquet"))
    same_bits(scores_here, table_of(scores, "customer_id"))


@pytest.fixture(scope="module")
def registered(shared_store: Path, cdnow_scorer: CustomerScorer, orders: Path) -> Registered:
    evidence = Evidence(params={}, metrics={}, tags={"findings": "none"}, files={}, source=orders)
    return log_scorer(cdnow_scorer, evidence, ids="long")


@pytest.fixture(scope="module")
def summary_file(cdnow_clean: pd.DataFrame, cdnow_scorer: CustomerScorer, orders: Path) -> str:
    """The customers as the scorer reads them, with what the log alone knows."""
    summary = clv.summarize(cdnow_clean)
    wide = cdnow_scorer.churn.attach(summary, cdnow_clean, "1998-06-30", "week")
    as_of = wide["as_of"].dt.date
    wide.assign(as_of=as_of).to_parquet(file := orders.with_name("summary.parquet"))
    return str(file)


def test_mlflow_gives_the_registered_model_to_spark(
    spark: Any, summary_file: str, registered: Registered, scores_here: pa.Table
) -> None:
    from mlflow.pyfunc import spark_udf
    from pyspark.sql.functions import struct

    summary = spark.read.parquet(summary_file).coalesce(1)
    udf = spark_udf(spark, registered.uri, result_type="clv double", env_manager="local")
    scored = summary.select("customer_id", udf(struct(*summary.columns)).alias("scores"))
    rows = scored.select("customer_id", "scores.clv").orderBy("customer_id").toArrow()
    assert rows["clv"].to_pylist() == scores_here["clv"].to_pylist()


@pytest.fixture(scope="module")
def cluster(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session on a master and two workers on this machine; the one in this process ends."""
    spark.stop()
    folder = tmp_path_factory.mktemp("cluster")
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    address = f"spark://{LOOPBACK}:{port}"
    with ExitStack() as started:
        run = partial(_daemon, started, folder)
        run("master.Master", "--port", str(port))
        for number in "12":
            run("worker.Worker", address, "--cores", "1", "--memory", "600m", "-d", number)
        yield started.enter_context(_session_of(address))


def test_two_workers_share_the_scores(
    cluster: Any, summary_file: str, cdnow_scorer: CustomerScorer, scores_here: pa.Table
) -> None:
    summary = cluster.read.parquet(summary_file).repartition(2)
    same_bits(scores_here, table_of(cdnow_scorer.predict(summary), "customer_id"))
    executors = cluster.sparkContext._jsc.sc().statusStore().executorList(True)
    tasks = {e.id(): e.completedTasks() for e in map(executors.apply, range(executors.size()))}
    assert set(tasks) == {"driver", "0", "1"}
    assert tasks["0"] > 0 < tasks["1"]


def _daemon(started: ExitStack, folder: Path, kind: str, *arguments: str) -> None:
    """A process of a cluster, which is ended with ``started``."""
    import pyspark

    own = {
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": JAVA,
        "SPARK_LOCAL_IP": LOOPBACK,
    }
    command = [
        Path(pyspark.__file__).parent / "bin" / "spark-class",
        f"org.apache.spark.deploy.{kind}",
    ]
    process = subprocess.Popen(
        [*command, "--host", LOOPBACK, "--webui-port", "0", *arguments],
        cwd=folder,
        env=os.environ | own,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started.callback(process.wait, 30)
    started.callback(process.terminate)


@contextmanager
def _session_of(address: str) -> Iterator[Any]:
    """A session on a cluster that starts once both its workers are there."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.host": LOOPBACK,
        "spark.executor.memory": "512m",
        "spark.executor.extraJavaOptions": JAVA,
        "spark.executorEnv.PYTHONPATH": str(ROOT),
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.cores.max": "2",
    }
    session = SparkSession.builder.master(address).config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
