"""What tests of several rooms share: a fitted scorer, a model store of one's own, commands."""

from __future__ import annotations

import fcntl
import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings

from clv.app import mlflow_store
from clv.churn.model import ChurnModel
from clv.cli.main import main
from clv.data.cdnow import cdnow_log
from clv.data.transactions import clean
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer
from clv.value.value import Terms

collect_ignore = ["users_file.py"]  # which mypy reads, and nobody runs
settings.register_profile("clv", deadline=None)  # speed is measured in tests/benchmarks alone
settings.load_profile("clv")
gc.disable()  # until all tests are collected, which makes no garbage: half of that time went here


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish() -> None:
    gc.freeze()  # modules and tests stay until the end: no later collection walks through them
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # else DuckDB counts at the end what is left of it, and says so


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files and classes without a slow test come first; otherwise the order stays."""

    def group(item: pytest.Item) -> str:
        return item.nodeid.rpartition("::")[0]  # as xdist groups them

    slow = {group(item) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: group(item) in slow)


@pytest.fixture(scope="session")
def cdnow_clean() -> pd.DataFrame:
    """The sampled CDNOW customers' purchases, to the end of June 1998."""
    log, _ = clean(cdnow_log(sample=True))
    return log


@pytest.fixture(scope="session")
def cdnow_scorer(cdnow_clean: pd.DataFrame) -> CustomerScorer:
    """A scorer with a pooled forecast: at 20 weeks it beats the purchase model, at 13 not."""
    terms = Terms(0.3, 0.1, currency="USD")
    scorer = CustomerScorer.fit(cdnow_clean, terms, churn_horizon=Duration(20, "week"))
    assert scorer.churn.pool is not None
    return scorer


@pytest.fixture(scope="session")
def published_scorer() -> Callable[[Terms, str], CustomerScorer]:
    """Makes scorers of the published CDNOW parameters (Fader, Hardie & Lee 2005; Fader & Hardie
    2013) under given terms, as of a day; no labels were used.
    """

    def make(terms: Terms, as_of: str) -> CustomerScorer:
        bought = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
        return CustomerScorer(
            purchases=BetaGeoNBD.from_params(bought, unit="week"),
            spend=GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44}),
            churn=ChurnModel(Duration(13, "week"), None, "no labels were used"),
            terms=terms,
            unit="week",
            as_of=as_of,
        )

    return make


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty MLflow database: making one takes seconds, copying it nothing.

    The workers of one run share it, made by whoever asks first.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mlflow"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            _make_store(folder / "mlflow.db")
            (folder / "made").touch()
    return folder / "mlflow.db"


def _make_store(file: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        for name, value in mlflow_store.SETTINGS.items():
            patch.setenv(name, value)
        with mlflow_store.connect(create=True) as mlflow:
            mlflow.search_experiments()
            mlflow.MlflowClient().search_registered_models()


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of an empty model store that MLFLOW_TRACKING_URI points to; no pickle allowed."""
    with in_store(empty_store, tmp_path / "store") as folder:
        yield folder


@contextmanager
def in_store(database: Path, folder: Path) -> Iterator[Path]:
    """A copy of the store in ``folder``, which is where models are kept meanwhile."""
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        for name, value in mlflow_store.SETTINGS.items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(scope="module")
def shared_store(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One store for the tests of a module that only read, or add what the others do not mind."""
    with in_store(empty_store, tmp_path_factory.mktemp("shared") / "store") as folder:
        yield folder


class Run:
    """A command that has ended: exit code, stdout, stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: object) -> None:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        self.code = ended.value.code or 0
        self.out, self.err = capsys.readouterr()
        assert "Traceback" not in self.out + self.err

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """What was printed, without its line breaks."""
        return " ".join(self.out.split())

    @property
    def failed(self) -> str:
        """What stderr says, without its line breaks and frames."""
        return " ".join(self.err.replace("│", " ").split())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Runs a command on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: Run(capsys, *words)
