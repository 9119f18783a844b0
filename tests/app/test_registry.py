"""The registry on a real SQLite store: what is logged loads by alias and gives the same numbers."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from packaging.requirements import Requirement

from clv.app import mlflow_store, registry, run_logging
from clv.app.batch import score_log
from clv.app.registry import load_scorer, set_alias
from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result, log_scorer, model_input
from clv.data.summary import summarize
from clv.errors import ModelError
from clv.scorer import CustomerScorer


def equal(one: Any, other: Any) -> None:
    pd.testing.assert_frame_equal(
        pd.DataFrame(one), pd.DataFrame(other), rtol=1e-12, check_dtype=False
    )


@pytest.fixture
def summary(cdnow_clean: pd.DataFrame) -> pd.DataFrame:
    return summarize(cdnow_clean).head(50)


@pytest.fixture(scope="module")
def logged(shared_store: Path, cdnow_scorer: CustomerScorer) -> registry.Registered:
    source = shared_store / "orders.csv"
    source.write_text("customer_id,date,amount\n")
    evidence = Evidence(
        params={"terms.margin_rate": 0.3},
        metrics={"money/gini/model": 0.5, "money/gini/own_past_rate": 0.4},
        tags={"findings": "none"},
        files={"a/report.json": {"rows": 3}, "plot.png": b"\x89PNG", "said.txt": "some words"},
        source=source,
    )
    return log_scorer(cdnow_scorer, evidence, ids="long")


def test_the_default_store_lies_under_models_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert mlflow_store.tracking_uri() == f"sqlite:///{tmp_path}/models/store/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert mlflow_store.tracking_uri() == "http://127.0.0.1:5000"


def test_looking_for_a_model_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no model store at"):
        load_scorer("models:/clv@champion")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_folder_loads_without_the_registry(
    tmp_path: Path, cdnow_scorer: CustomerScorer, summary: pd.DataFrame
) -> None:
    folder = cdnow_scorer.save(tmp_path / "scorer")
    equal(load_scorer(folder).predict(summary), cdnow_scorer.predict(summary))
    with pytest.raises(ModelError, match=r"holds no scorer\.json"):
        load_scorer(str(tmp_path / "elsewhere"))


def test_what_is_logged_loads_by_alias_version_run_and_file(
    logged: registry.Registered,
    shared_store: Path,
    cdnow_scorer: CustomerScorer,
    summary: pd.DataFrame,
) -> None:
    assert registry.registered("best") is None
    set_alias("clv", "best", logged.version, {"promoted_because": "it is the first"})
    found = registry.registered("best")
    assert found is not None
    assert (found.version, found.run_id) == (logged.version, logged.run_id)
    assert found.tags["promoted_because"] == "it is the first"
    assert found.tags["model_version"] == cdnow_scorer.version
    files = next(shared_store.glob("artifacts/models/*/artifacts"))
    expected = cdnow_scorer.predict(summary)
    for model in ("models:/clv@best", logged.uri, f"runs:/{logged.run_id}/scorer", str(files)):
        assert load_scorer(model).version == cdnow_scorer.version
        equal(load_scorer(model).predict(summary), expected)


def test_the_evidence_can_be_read_back(logged: registry.Registered, shared_store: Path) -> None:
    assert logged.params == {"terms.margin_rate": "0.3"}
    assert logged.metrics == {"money/gini/model": 0.5, "money/gini/own_past_rate": 0.4}
    assert registry.read_logged(logged.run_id, "a/report.json") == {"rows": 3}
    with mlflow_store.connect() as mlflow:
        client = mlflow.MlflowClient()
        run = client.get_run(logged.run_id)
        data = run.inputs.dataset_inputs[0].dataset
        version = client.get_model_version("clv", str(logged.version))
        model = client.get_logged_model(version.source.removeprefix("models:/"))
    assert run.info.artifact_uri == f"file://{shared_store}/artifacts/{logged.run_id}/artifacts"
    said = shared_store / "artifacts" / logged.run_id / "artifacts" / "said.txt"
    assert said.read_text() == "some words"
    content = hashlib.sha256(b"customer_id,date,amount\n").hexdigest()
    assert (data.name, data.digest) == ("orders", content[:36])
    assert {metric.key for metric in model.metrics} == set(logged.metrics)
    assert version.description.startswith("USD of contribution margin")


def test_no_pickle_and_no_customer_is_stored(
    logged: registry.Registered, shared_store: Path, summary: pd.DataFrame
) -> None:
    files = [file for file in shared_store.rglob("*") if file.is_file() and file.suffix != ".db"]
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".joblib")]
    example = next(file for file in files if file.name == "input_example.json")
    ids = [row[0] for row in json.loads(example.read_text())["data"]]
    assert ids == [1, 2, 3]  # of the made-up histories
    made_up = {row[2] for row in json.loads(example.read_text())["data"]}
    assert not made_up & set(summary["recency"][summary["recency"] > 0])


def test_the_process_is_left_as_it_was(
    store: Path, cdnow_scorer: CustomerScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(store.parent)
    path, uri = sys.path[:], os.environ["MLFLOW_TRACKING_URI"]
    log_scorer(cdnow_scorer)
    assert sys.path == path
    assert os.environ["MLFLOW_TRACKING_URI"] == uri
    assert mlflow.active_run() is None
    assert sorted(file.name for file in store.parent.iterdir()) == ["store"]


def test_a_model_that_answers_otherwise_is_not_registered(
    store: Path, cdnow_scorer: CustomerScorer, tmp_path: Path
) -> None:
    code = run_logging.PYFUNC.read_text().replace(
        "return self.scorer.predict(model_input)",
        "return self.scorer.predict(model_input).assign(clv=0.0)",
    )
    wrong = tmp_path / "wrong.py"
    wrong.write_text(code)
    with pytest.raises(ModelError, match="not give the scorer's own scores"):
        log_scorer(cdnow_scorer, python_model=wrong)
    with pytest.raises(ModelError, match="it has no models yet"):
        load_scorer("models:/clv/1")


def test_a_missing_model_says_what_there_is(store: Path, cdnow_scorer: CustomerScorer) -> None:
    set_alias("clv", "challenger", log_scorer(cdnow_scorer).version)
    known = "it has models:/clv@challenger, models:/clv/1."
    assert registry.champion() is None
    for model in ("models:/clv/9", "models:/nobody@champion", "runs:/0123456789abcdef/scorer"):
        with pytest.raises(ModelError, match="there is no model") as caught:
            load_scorer(model)
        assert known in str(caught.value)
    with pytest.raises(ModelError, match=r"promote one: clv promote"):
        load_scorer("models:/clv@champion")


def test_a_password_in_an_address_is_shown_to_nobody(store: Path) -> None:
    with pytest.raises(ModelError, match="there is no model") as caught:
        load_scorer("http://me:s3cret@127.0.0.1:9/scorer")
    assert "http://127.0.0.1:9/scorer" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_code_of_the_model_must_be_there(cdnow_scorer: CustomerScorer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the model's code"):
        log_scorer(cdnow_scorer, python_model=tmp_path / "nothing.py")


@pytest.mark.parametrize(
    "kind",
    [
        lambda table: table,
        lambda table: table.astype({"customer_id": "category"}),
        lambda table: table.astype({"frequency": "Int64", "recency": "Float64"}),
        lambda table: table.astype({"unit": pd.ArrowDtype(pa.string()), "T": "double[pyarrow]"}),
        pl.from_pandas,
        lambda table: pl.from_pandas(table).lazy(),
    ],
    ids=["pandas", "category", "nullable", "arrow", "polars", "lazy"],
)
def test_any_summary_becomes_what_the_signature_asks_for(
    kind: Callable[[pd.DataFrame], Any],
    logged: registry.Registered,
    cdnow_scorer: CustomerScorer,
    summary: pd.DataFrame,
) -> None:
    table = summary.assign(customer_id=summary["customer_id"].astype("int64"), extra="x")
    with mlflow_store.connect() as mlflow:
        scores = mlflow.pyfunc.load_model(logged.uri).predict(model_input(kind(table), "long"))
    expected = cdnow_scorer.predict(table)
    equal(scores, expected.assign(as_of=pd.to_datetime(expected["as_of"])))


def test_a_summary_from_pandas_needs_no_cast(
    logged: registry.Registered, cdnow_scorer: CustomerScorer, summary: pd.DataFrame
) -> None:
    with mlflow_store.connect() as mlflow:
        model = mlflow.pyfunc.load_model(logged.uri)
        np.testing.assert_allclose(
            model.predict(summary)["clv"], cdnow_scorer.predict(summary)["clv"], rtol=1e-12
        )
        # counts as SQL's doubles, and ages that happen to be whole
        doubles = summary.assign(frequency=summary["frequency"].astype("float64"))
        assert model.predict(doubles)["clv"].equals(model.predict(summary)["clv"])
        whole = summary.assign(T=np.ceil(summary["T"]).astype("int64"))
        assert model.predict(whole)["clv"].equals(cdnow_scorer.predict(whole)["clv"])
        with pytest.raises(mlflow.MlflowException, match="fitted in weeks, the table is in days"):
            model.predict(summary.assign(unit="day"))
        with pytest.raises(mlflow.MlflowException, match="does not say its time unit"):
            model.predict(summary.drop(columns="unit"))


def test_ids_of_text(store: Path, cdnow_scorer: CustomerScorer, summary: pd.DataFrame) -> None:
    uri = log_scorer(cdnow_scorer, ids="string").uri
    with mlflow_store.connect() as mlflow:
        scores = mlflow.pyfunc.load_model(uri).predict(model_input(summary))
    assert scores["customer_id"].tolist() == [str(one) for one in summary["customer_id"]]


def test_the_module_does_not_import_mlflow() -> None:
    code = "import sys, clv.app.registry; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_the_requirements_are_all_that_scoring_needs(
    cdnow_scorer: CustomerScorer, tmp_path: Path
) -> None:
    """A model's environment is built from them: nothing else may be needed."""
    folder = cdnow_scorer.save(tmp_path / "scorer")
    known = packages_distributions()
    there = _with_dependencies(run_logging.REQUIREMENTS)
    absent = sorted(name for name, homes in known.items() if not there & set(map(_plain, homes)))
    code = f"""
import sys
absent = set({absent!r}) - {{"clv"}}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"no {{name}}", name=name)
sys.meta_path.insert(0, Absent())
import pandas as pd
from clv.scorer import CustomerScorer
customers = pd.DataFrame({run_logging.EXAMPLE!r}).assign(unit="week")
scores = CustomerScorer.load({str(folder)!r}).predict(customers)
assert len(scores) == 3
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mlflow" in absent


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _with_dependencies(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    ahead = [_plain(name) for name in names]
    while ahead:
        one = ahead.pop()
        if one in found:
            continue
        found.add(one)
        needs = [Requirement(line) for line in requires(one) or []]
        ahead += [
            _plain(need.name)
            for need in needs
            if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    return found


@pytest.fixture
def in_use(logged: registry.Registered) -> registry.Registered:
    set_alias("clv", "champion", logged.version)
    return logged


@pytest.mark.slow
def test_a_fresh_process_by_alias_gives_the_numbers_of_the_batch_file(
    in_use: registry.Registered,
    cdnow_clean: pd.DataFrame,
    cdnow_scorer: CustomerScorer,
    tmp_path: Path,
) -> None:
    cdnow_clean.to_parquet(tmp_path / "log.parquet")
    score_log(tmp_path / "log.parquet", load_scorer("models:/clv@champion"), tmp_path / "s.parquet")
    of_log = summarize(cdnow_clean)
    wide = cdnow_scorer.churn.attach(of_log, cdnow_clean, cdnow_scorer.as_of, "week")
    wide.to_parquet(tmp_path / "summary.parquet")  # with what the pooled forecast reads of the log
    code = """
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/clv@champion")
model.predict(pd.read_parquet("summary.parquet")).to_parquet("pyfunc.parquet")
"""
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=tmp_path)
    batch = pd.read_parquet(tmp_path / "s.parquet")
    scores = pd.read_parquet(tmp_path / "pyfunc.parquet")
    equal(scores.drop(columns="as_of"), batch.drop(columns="as_of"))
    assert scores["as_of"].dt.date.tolist() == batch["as_of"].tolist()


@pytest.fixture
def server(in_use: registry.Registered, tmp_path: Path) -> Iterator[str]:
    """``mlflow models serve`` on a free port of this machine, until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve"]
    command += ["-m", "models:/clv@champion", "--env-manager", "local"]
    command += ["-h", "127.0.0.1", "-p", str(port)]
    bin_folder = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, "PATH": bin_folder},
            start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/ping", process, tmp_path / "server.log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, 15)  # the group is its own: it and the worker that it started
        process.wait(20)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=2)
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(log.read_text())


def _post(url: str, rows: list[dict[str, Any]]) -> Any:
    request = urllib.request.Request(
        url,
        json.dumps({"dataframe_records": rows}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.slow
def test_mlflow_serves_the_same_numbers(server: str, cdnow_scorer: CustomerScorer) -> None:
    example = pd.DataFrame(run_logging.EXAMPLE).astype({"customer_id": "int64"})
    example = example.assign(unit="week", as_of="1998-06-30")
    rows: Any = example.to_dict("records")
    equal(_post(server, rows), cdnow_scorer.predict(example).assign(as_of="1998-06-30T00:00:00"))
    with pytest.raises(urllib.error.HTTPError) as caught:
        _post(server, [{**rows[0], "recency": 90.0}])
    with caught.value as refused:
        assert refused.code == 400
        assert "recency is beyond T" in refused.read().decode()


def test_a_run_has_its_leading_figures_first_and_says_in_words_what_it_found(store):
    evidence = Evidence(metrics={"money/gini": 0.7}, leading={"gini": 0.7}, says="It went well.")
    run_id = log_result("trials", "first", evidence)
    log_result("trials", "second", Evidence(metrics={"money/gini": 0.8}))
    with mlflow_store.connect() as mlflow:
        client = mlflow.MlflowClient()
        first = client.get_run(run_id)
        home = client.get_experiment(first.info.experiment_id)
        (second,) = client.search_runs([home.experiment_id], "attributes.run_name = 'second'")
    assert first.data.metrics == {"gini": 0.7, "all/money/gini": 0.7}
    assert registry.plain_names(first.data)["money/gini"] == 0.7
    assert second.data.metrics == {"money/gini": 0.8}
    assert first.data.tags["mlflow.note.content"] == "It went well."
    assert home.tags["mlflow.experimentKind"] == "custom_model_development"
