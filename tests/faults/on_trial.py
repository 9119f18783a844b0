"""Commands that change files, on small data: what is there before, and may be there after."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


def command(*words: object) -> None:
    """Run a command line; its exit code must be 0."""
    from clv.cli.main import main

    try:
        main([str(word) for word in words])
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(
                f"exit code {ended.code} of clv {' '.join(map(str, words))}"
            ) from ended


@dataclass(frozen=True)
class Trial:
    """A command to kill: what is there before, what is run, and what may be there after.

    ``state`` raises where something is half, and says which of the whole states it is.
    """

    prepare: Callable[[Path], None]
    run: Callable[[Path], None]
    state: Callable[[Path], str]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.exists() else "none"


def data(place: Path) -> None:
    """The CDNOW sample, a model of published parameters, scores of it."""
    from clv.app.batch import score_log
    from clv.data.cdnow import cdnow_log
    from clv.io.files import write_table

    write_table(cdnow_log(sample=True), place / "orders.parquet")
    scorer().save(place / "model")
    score_log(str(place / "orders.parquet"), scorer(), place / "scores.parquet")


def scorer(as_of: str = "1998-06-30") -> Any:
    """Published CDNOW parameters (Fader, Hardie & Lee 2005; Fader & Hardie 2013)."""
    from clv.churn.model import ChurnModel
    from clv.periods import Duration
    from clv.probability.bg_nbd import BetaGeoNBD
    from clv.probability.gamma_gamma import GammaGamma
    from clv.scorer import CustomerScorer
    from clv.value.value import Terms

    bought = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
    return CustomerScorer(
        purchases=BetaGeoNBD.from_params(bought, unit="week"),
        spend=GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44}),
        churn=ChurnModel(Duration(13, "week"), None, "no labels were used"),
        terms=Terms(0.3, 0.1, currency="USD"),
        unit="week",
        as_of=as_of,
        training={"customers": 2349},
    )


# A command that replaces one file: it holds the old bytes or the new.


def of_file(name: str, *words: str) -> Trial:
    def run(place: Path) -> None:
        os.chdir(place)
        command(*words)

    def prepare(place: Path) -> None:
        (place / name).write_bytes(b"old")

    return Trial(prepare, run, lambda place: digest(place / name))


SCORE = ("score", "orders.parquet", "--model", "model", "-o", "out.parquet")
TARGETS = (
    "targets",
    "scores.parquet",
    "--budget",
    "300",
    "--contact-cost",
    "1",
    "-o",
    "targets.csv",
)


def in_parts(whole: Trial) -> Trial:
    """The same with a base in eight parts, which outlast a kill."""

    def run(place: Path) -> None:
        from clv.app import batch

        batch.ROWS = 300
        whole.run(place)

    return replace(whole, run=run)


def run_export(place: Path) -> None:
    os.chdir(place)
    command(
        "export", "scores.parquet", "-o", "top.csv", "--tier", "top 1%", "--audit", "audit.jsonl"
    )


def export_state(place: Path) -> str:
    from clv.exports.audit import read_audit

    read_audit(place / "audit.jsonl")  # every line is whole
    return digest(place / "top.csv")


def fold_before(place: Path) -> None:
    import pandas as pd

    log = pd.read_parquet(place / "orders.parquet")
    late = log["date"] >= log["date"].max() - pd.Timedelta(days=9)
    log[late].to_parquet(place / "night.parquet")
    log[~late].to_parquet(place / "first.parquet")
    command("fold", place / "state", place / "first.parquet")


def run_fold(place: Path) -> None:
    command("fold", place / "state", place / "night.parquet", "--output", place / "next")


def fold_state(place: Path) -> str:
    """The state before is as it was; that afterwards is whole or not there."""
    from clv.app.nightly.state_folder import is_state, read_state

    assert len(read_state(place / "state").nights) == 1
    return str(len(read_state(place / "next").nights)) if is_state(place / "next") else "none"


def publish_before(place: Path) -> None:
    from clv.store import publish

    publish(str(place / "scores.parquet"), place / "store")


def run_publish(place: Path) -> None:
    os.chdir(place)
    command(
        "publish", "scores.parquet", "--to", "store", "--log", "orders.parquet", "--model", "model"
    )


def publish_state(place: Path) -> str:
    """The store that is served is whole: the first, without orders, or a later one with them."""
    from clv.store import Store, versions

    with Store.open(place / "store") as store:
        store.check()
        has_orders = store.has_log
    listed = {version.path.name for version in versions(place / "store")}
    there = {file.name for file in (place / "store" / "stores").glob("[!.]*")}
    assert listed <= there
    return "with orders" if has_orders else "without"


def keys_before(place: Path) -> None:
    command("keys", "add", "base", "--role", "admin", "--keys", place / "keys.json")


def run_keys(place: Path) -> None:
    from clv.web.access.keys import read_keys

    file, there = place / "keys.json", {key.name for key in read_keys(place / "keys.json")}
    for name in ("ann", "bob", "cid"):
        if name in there:
            command("keys", "revoke", name, "--keys", file)
        command("keys", "add", name, "--keys", file)
    command("keys", "revoke", "bob", "--keys", file)


def keys_state(place: Path) -> str:
    from clv.web.access.keys import read_keys

    names = {key.name for key in read_keys(place / "keys.json")}
    assert "base" in names
    return " ".join(sorted(names))


def run_save(place: Path) -> None:
    scorer("1998-07-31").save(place / "model")


def save_state(place: Path) -> str:
    from clv.scorer import CustomerScorer

    return CustomerScorer.load(place / "model").as_of


JUDGED = {
    **{"converged": "True", "measure": "money/gini", "log_sha256": "x"},
    **{"holdout": "1998-01-01 to 1998-06-30", "holdout_sha256": "y"},
}
FIGURES = {
    f"{what}/{measure}/{who}": 0.5 + 0.1 * (who == "model")
    for what in ("money", "purchases")
    for measure in ("gini", "rmse", "bias")
    for who in ("model", "population_mean")
}


def run_train(place: Path, gain: float = 0.0) -> None:
    """What training does after the fit: log the model, try it, register it as challenger."""
    from clv.app.registry import CHALLENGER
    from clv.app.run_evidence import Evidence
    from clv.app.run_logging import log_scorer

    metrics = FIGURES | {"money/gini/model": FIGURES["money/gini/model"] + gain}
    evidence = Evidence(tags=JUDGED, metrics=metrics, files={"report.txt": "a report\n"})
    with in_store(place):
        log_scorer(scorer(), evidence, alias=CHALLENGER)


@contextlib.contextmanager
def in_store(place: Path) -> Any:
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place}/store/mlflow.db"
    yield


def train_state(place: Path) -> str:
    """Each version is whole and loads; the challenger is the last of them, or the one before."""
    from clv.app.mlflow_store import connect
    from clv.app.registry import load_scorer

    if not (place / "store" / "mlflow.db").exists():
        return "nothing"
    with in_store(place), connect() as mlflow:
        client = mlflow.MlflowClient()
        versions = client.search_model_versions("name = 'clv'")
        for version in versions:
            assert set(JUDGED) <= set(version.tags), version
            assert version.description
            assert version.status == "READY"
            assert load_scorer(f"models:/clv/{version.version}").version == scorer().version
    return "versions" if versions else "nothing"


def train_tidy(place: Path) -> None:
    """After a run to its end the killed one has failed, or was finished; nothing hangs."""
    from clv.app.mlflow_store import connect

    with in_store(place), connect() as mlflow:
        client = mlflow.MlflowClient()
        homes = [home.experiment_id for home in client.search_experiments()]
        statuses = {run.info.status for run in client.search_runs(homes)}
        assert statuses <= {"FINISHED", "FAILED"}, statuses
        models = client.search_logged_models(homes)
        assert {str(model.status) for model in models} <= {"READY", "FAILED"}
        (registered,) = client.search_registered_models()
        last = max(int(v.version) for v in client.search_model_versions("name = 'clv'"))
        assert int(registered.aliases["challenger"]) == last
        finished = client.search_runs(homes, "attributes.status = 'FINISHED'")
        assert len(finished) == len(client.search_model_versions("name = 'clv'"))


def promote_before(place: Path) -> None:
    from clv.cli.promote import promote_and_show
    from clv.cli.screen import Screen

    run_train(place)
    with in_store(place):
        promote_and_show("clv", Screen(quiet=True))
    run_train(place, gain=0.1)  # on a tie the champion would stay


def run_promote(place: Path) -> None:
    with in_store(place):
        command("promote")


def promote_state(place: Path) -> str:
    from clv.app.registry import champion

    with in_store(place):
        version = champion()
    assert version is not None
    return str(version.version)


def promote_tidy(place: Path) -> None:
    from clv.app.registry import champion

    with in_store(place):
        version = champion()
    assert version is not None
    assert version.version == 2
    assert "promoted_because" in version.tags


def nothing(place: Path) -> None:
    """Nothing is to be made, or to be looked at."""


TRIALS = {
    "score": of_file("out.parquet", *SCORE),
    "score_in_parts": in_parts(of_file("out.parquet", *SCORE)),
    "targets": of_file("targets.csv", *TARGETS),
    "export": Trial(nothing, run_export, export_state),
    "fold": Trial(fold_before, run_fold, fold_state),
    "publish": Trial(publish_before, run_publish, publish_state),
    "keys": Trial(keys_before, run_keys, keys_state),
    "save": Trial(nothing, run_save, save_state),
    "train": Trial(nothing, run_train, train_state),
    "retrain": Trial(run_train, run_train, train_state),  # a quarter of the time of a new store
    "promote": Trial(promote_before, run_promote, promote_state),
}
TIDY = {"train": train_tidy, "retrain": train_tidy, "promote": promote_tidy}
# Whose every run adds to what is there, or whose files have a time in them: names are compared.
GROWING = {"train", "retrain", "promote", "publish", "keys", "export"}
