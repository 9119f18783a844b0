"""Kills a command of clv at random moments and looks at what is left, then runs it to its end.

Run by ``test_kills.py``: ``killing.py kill COMMANDS FOLDER KILLS SEED``. A command runs in a
forked child, which ends by SIGKILL after a random time, or at a random change of the disk, as most
of a command's time is spent on other things.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "open")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


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
    from clv.app.run_logging import Evidence, log_scorer

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
    "targets": of_file("targets.csv", *TARGETS),
    "export": Trial(nothing, run_export, export_state),
    "fold": Trial(fold_before, run_fold, fold_state),
    "publish": Trial(publish_before, run_publish, publish_state),
    "keys": Trial(keys_before, run_keys, keys_state),
    "save": Trial(nothing, run_save, save_state),
    "train": Trial(nothing, run_train, train_state),
    "promote": Trial(promote_before, run_promote, promote_state),
}
TIDY = {"train": train_tidy, "promote": promote_tidy}
# Whose every run adds to what is there, or whose files have a time in them: names are compared.
GROWING = {"train", "promote", "publish", "keys", "export"}


def child(work: Callable[[], Any], log: Path) -> int:
    """A forked process that does ``work``, with what it prints in a file."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def to_the_end(work: Callable[[], Any], log: Path) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(child(work, log), 0)[1])
    if status:
        raise SystemExit(f"exit code {status}:\n{log.read_text()}")


def answer(question: Callable[[Path], str], place: Path, log: Path) -> str:
    """What a question to a place says, asked in a child: MLflow keeps a store open."""
    out = log.with_suffix(".answer")
    to_the_end(lambda: out.write_text(question(place)), log)
    return out.read_text()


def counted(work: Callable[[], Any], place: Path, last: float = float("inf")) -> int:
    """How often ``work`` changes what is in ``place``; it is killed before change ``last``."""
    changes = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        if event in CHANGES and str(place) in str(arguments[0]):
            if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITES):
                return
            if changes >= last:
                os.kill(os.getpid(), signal.SIGKILL)
            changes += 1

    sys.addaudithook(hook)
    work()
    return changes


def names(place: Path, name: str) -> set[str]:
    """What lies in a place, hidden files too; of MLflow's store only what is not its artifacts."""
    hidden = ("store/artifacts", "store/stores") if name in GROWING else ()
    listed = {file.relative_to(place).as_posix() for file in place.rglob("*")}
    return {path for path in listed if ".clvpart" in path or not path.startswith(hidden or "//")}


def kill(name: str, base: Path, place: Path, moment: float, change: float) -> str:
    """Kill a command once; which state it left."""
    trial, log = TRIALS[name], place.with_suffix(".log")
    shutil.copytree(base, place)
    os.environ["TMPDIR"] = str(place / "tmp")
    (place / "tmp").mkdir()

    def work() -> None:
        import tempfile

        tempfile.tempdir = str(place / "tmp")  # found, as Python tries it by a file
        counted(lambda: trial.run(place), place, change)

    process = child(work, log)
    end = time.monotonic() + moment
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        if time.monotonic() >= end:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            break
        time.sleep(0.001)
    return answer(trial.state, place, log)


def prepared(name: str, folder: str) -> Path:
    """A folder with what a command needs, the same for all."""
    root = Path(folder) / name
    base, shared, log = root / "base", Path(folder) / "data", root / "log"
    root.mkdir(parents=True)
    if name in ("train", "promote"):
        import mlflow.pyfunc  # noqa: F401

        base.mkdir()
    else:
        if not shared.exists():
            shared.mkdir()
            to_the_end(lambda: data(shared), log)
        shutil.copytree(shared, base)
    to_the_end(lambda: TRIALS[name].prepare(base), log)
    return root


def main(name: str, folder: str, kills: str, seed: str) -> None:
    trial, root, rng = TRIALS[name], prepared(name, folder), random.Random(int(seed))
    base, whole, log = root / "base", root / "whole", root / "log"
    before = answer(trial.state, base, log)
    shutil.copytree(base, whole)
    (whole / "tmp").mkdir()
    start = time.monotonic()
    count = root / "count"
    to_the_end(lambda: count.write_text(str(counted(lambda: trial.run(whole), whole))), log)
    seconds, changes = time.monotonic() - start, int(count.read_text())
    after = answer(trial.state, whole, log)
    states = {before, after} if name != "keys" else None
    found: dict[str, int] = {}
    for number in range(int(kills)):
        place = root / f"kill{number}"
        at = rng.uniform(0, 1.05 * seconds) if number % 2 else float("inf")
        change = float("inf") if number % 2 else rng.randrange(changes)
        state = kill(name, base, place, at, change)
        assert states is None or state in states, (number, state, states)
        found[state] = found.get(state, 0) + 1
        to_the_end(lambda place=place: trial.run(place), place.with_suffix(".log"))
        assert answer(trial.state, place, log) == after, number
        if name in TIDY:
            to_the_end(lambda place=place: TIDY[name](place), log)
        extra = names(place, name) ^ names(whole, name)
        assert not extra, (number, sorted(extra))
        assert not list((place / "tmp").iterdir()), number
        if name not in GROWING:
            same = [f for f in names(whole, name) if (whole / f).is_file()]
            assert all(digest(whole / f) == digest(place / f) for f in same), number
        shutil.rmtree(place)
    print(json.dumps({"command": name, "kills": int(kills), "changes": changes, "left": found}))


def refused(name: str, base: Path, place: Path, trouble: Callable[[Path], None]) -> str:
    """What a command says in trouble with the disk; it must end by itself and change nothing."""
    trial = TRIALS[name]
    shutil.copytree(base, place)
    (place / "tmp").mkdir()
    os.environ["TMPDIR"] = str(place / "tmp")
    before = answer(trial.state, place, place.with_suffix(".log"))
    reader, writer = os.pipe()

    def work() -> None:
        import tempfile

        tempfile.tempdir = str(place / "tmp")  # found, as Python tries it by a file
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        trouble(place)
        trial.run(place)

    status = os.waitstatus_to_exitcode(os.waitpid(child(work, place.with_suffix(".log")), 0)[1])
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if status == 0:
        return "done"
    assert "fault of clv" not in text, text
    assert any(words in text for words in ("clv.errors.", "exit code 3", "exit code 6")), text
    assert answer(trial.state, place, place.with_suffix(".log")) == before
    assert not [path for path in names(place, name) if ".clvpart" in path]
    return "refused"


def full_disk(bytes_left: int) -> Callable[[Path], None]:
    def limit(place: Path) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, bytes_left))

    return limit


def troubles(name: str, folder: str) -> None:
    """A disk that is full after so many bytes."""
    root = prepared(name, folder)
    for size in (0, 5_000, 60_000):
        outcome = refused(name, root / "base", root / f"full{size}", full_disk(size))
        print(json.dumps({"command": name, "bytes": size, "outcome": outcome}))


if __name__ == "__main__":
    what, listed, *rest = sys.argv[1:]
    for each in listed.split(","):
        {"kill": main, "full": troubles}[what](each, *rest)
