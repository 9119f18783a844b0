"""Where models and runs are kept, and MLflow on it: quiet, and imported when first asked.

Only this file, ``run_logging.py`` and ``pyfunc.py`` import MLflow.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from clv.errors import ModelError
from clv.extras import require_extra
from clv.io.changes import PATIENCE, clear, locked, replacing, workspace, written

# Set unless the user has set them: nothing is sent anywhere, nothing is guessed from the folder,
# and a server that is down is given up after a quarter of a minute, not after minutes.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}
# What a database may have against a change, and what helps.
TROUBLES = {
    "database is locked": "another program holds it: run it again when that has ended.",
    "disk is full": "free some space, then run it again.",
    "readonly database": "make its file and folder writable.",
    "unable to open": "make its file and folder readable and writable.",
    "already exists": "its making was cut short: move the file away, then train again.",
    "duplicate column": "its making was cut short: move the file away, then train again.",
    "not a database": "move the file away, then train again.",
    "malformed": "restore it from a backup, or move the file away and train again.",
}
# Tags of a run: the folder that it holds as long as it lives, and what it is to become.
WORKSPACE, MODEL_NAME, ALIAS = "clv.workspace", "clv.model", "clv.alias"
MOST_SAID = 5_000  # characters of a description, which a database takes
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else MLflow opens its GenAI view
log = logging.getLogger(__name__)
# How MLflow says that a model, a version, an alias or a run does not exist.
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


def tracking_uri() -> str:
    """Where models are kept: ``MLFLOW_TRACKING_URI``, or SQLite in ``models/store`` of this folder.

    >>> import os
    >>> os.environ.get("MLFLOW_TRACKING_URI") in (None, tracking_uri())
    True
    """
    default = Path("models/store/mlflow.db").resolve()
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{default}"


@contextmanager
def connect(*, create: bool = False) -> Iterator[Any]:
    """MLflow on our store, quietly unless ``MLFLOW_LOGGING_LEVEL`` is set.

    What it changes for the whole process is put back afterwards. Looking for a model in a place
    without a store is an error; MLflow would make an empty one.
    """
    require_extra("mlflow", "mlflow")
    uri = tracking_uri()
    _find_store(uri, create=create)
    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    quiet = "MLFLOW_LOGGING_LEVEL" not in os.environ
    before, path = os.environ.get("MLFLOW_TRACKING_URI"), sys.path[:]
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")  # they are about MLflow's own code
        import mlflow.pyfunc
        from mlflow.utils import logging_utils

        settle: Any = mlflow.set_tracking_uri  # takes None too
        stream = logging_utils.MLFLOW_LOGGING_STREAM
        stream.enabled = not quiet
        try:
            if create:
                _make_store(uri)
            settle(uri)
            yield mlflow
        except Exception as error:
            if (trouble := _trouble(error, uri)) is None:
                raise
            raise trouble from error
        finally:
            settle(before)
            stream.enabled = True
            sys.path[:] = path  # loading a model puts its folder in front


@contextmanager
def open_run(
    experiment: str, name: str, model: str = "", alias: str = ""
) -> Iterator[tuple[Any, Any]]:
    """MLflow and a run of its own, which ends as failed where an error ends it.

    Before it begins, what killed runs left is put in order, and told.

    Parameters
    ----------
    experiment, name
        The experiment is made if it is new; the run is named.
    model, alias
        Of which model the run is to register a version, and what that becomes.
    """
    store = _folder()
    with connect(create=True) as mlflow, workspace(store, "run") as folder:
        close_dead_runs(mlflow)
        home = experiment_id(mlflow, experiment)
        where = str(folder) if store else f"{socket.gethostname()}:{folder}"
        tags = {WORKSPACE: where, MODEL_NAME: model, ALIAS: alias}
        before, tempfile.tempdir = tempfile.tempdir, str(folder)  # MLflow's own go with ours
        try:
            with mlflow.start_run(experiment_id=home, run_name=name, tags=tags) as run:
                yield mlflow, run
        finally:
            tempfile.tempdir = before


def close_dead_runs(mlflow: Any) -> None:
    """Bring runs to their end whose processes were killed; each is told in a line of the log.

    Whose version was registered is finished, all others have failed, and so have their models; a
    model that one of them began to register, and that has no version, goes.
    """
    client = mlflow.MlflowClient()
    homes = [home.experiment_id for home in client.search_experiments()]
    ours = f"attributes.status = 'RUNNING' AND tags.`{WORKSPACE}` LIKE '%'"
    if not client.search_runs(homes, ours, max_results=1):
        return
    with registering():
        clear(_folder() or Path(tempfile.gettempdir()))
        for run in client.search_runs(homes, ours):
            host, _, folder = run.data.tags[WORKSPACE].rpartition(":")
            if host in ("", socket.gethostname()) and not Path(folder).exists():
                log.warning("%s", _close(client, run))


def _close(client: Any, run: Any) -> str:
    """End a run whose process is gone, and say so."""
    run_id, tags = run.info.run_id, run.data.tags
    name, alias = tags.get(MODEL_NAME), tags.get(ALIAS)
    versions = client.search_model_versions(f"run_id = '{run_id}'")
    for version in versions:
        current = client.get_registered_model(version.name).aliases
        if alias and int(current.get(alias, 0)) < int(version.version):
            client.set_registered_model_alias(version.name, alias, version.version)
    filter_run = f"source_run_id = '{run_id}'"
    for model in client.search_logged_models([run.info.experiment_id], filter_run):
        if not versions:
            client.finalize_logged_model(model.model_id, "FAILED")
    for model in client.search_registered_models(f"name = '{name}'") if name else []:
        if not client.search_model_versions(f"name = '{name}'", max_results=1):
            client.delete_registered_model(model.name)
    status = "FINISHED" if versions else "FAILED"
    client.set_terminated(run_id, status)
    when = "after it had registered its model" if versions else "before it was done"
    return f"the run {run.info.run_name} was killed {when}: it counts as {status.lower()}."


@contextmanager
def registering() -> Iterator[None]:
    """Whoever changes names, versions and aliases in a local store does so alone."""
    store = _folder()
    with locked(store, wait=2 * PATIENCE) if store else nullcontext():
        yield


def _trouble(error: Exception, uri: str) -> ModelError | None:
    """What the store has against what was asked, as an error of ours; None if it is not its."""
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    address = without_password(uri)
    if isinstance(error, OSError):
        return ModelError(
            f"{error.filename or f'the model store {address}'} cannot be used: "
            f"{error.strerror or error}.",
            hint="make its folder writable, with space in it; nothing was registered.",
        )
    if not isinstance(error, mlflow.MlflowException | SQLAlchemyError):
        return None
    text = str(error)
    for trouble, hint in TROUBLES.items():
        if trouble in text:
            return ModelError(f"the model store {address} cannot be used: {trouble}.", hint=hint)
    return ModelError(
        f"the model store {address} says: {without_password(text)}",
        hint="check MLFLOW_TRACKING_URI.",
    )


def without_password(text: str) -> str:
    """Addresses in a text as they may be shown.

    >>> without_password("no answer from postgresql://me:s3cret@db.example/mlflow?sslmode=require")
    'no answer from postgresql://db.example/mlflow?sslmode=require'
    """
    return re.sub(r"//[^/@\s]*@", "//", text)


def _find_store(uri: str, *, create: bool) -> None:
    """Raise ``ModelError`` if there should be a SQLite store and is none."""
    store = _sqlite(uri)
    if store is not None and not store.exists() and not create:
        raise ModelError(
            f"there is no model store at {store}.",
            hint="train a model first: clv train --config FILE.toml; or run in "
            "the folder that has models/store, or set MLFLOW_TRACKING_URI.",
        )


def _make_store(uri: str) -> None:
    """Make a SQLite store where there is none: its tables first, then its name.

    MLflow opens no store whose making was cut short.
    """
    store = _sqlite(uri)
    if store is None or store.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    make: Any = SqlAlchemyStore  # which has no types
    place = store.resolve().parent
    with written(store), locked(place, wait=2 * PATIENCE):
        if not store.exists():  # another run may have made it meanwhile
            with replacing(store) as beside:
                make(f"sqlite:///{beside}", (place / "artifacts").as_uri())._dispose_engine()


def describe(mlflow: Any, text: str) -> None:
    """What MLflow shows as the description of the run that is open, if there is any."""
    if text:
        mlflow.set_tag("mlflow.note.content", text[:MOST_SAID])


def experiment_id(mlflow: Any, name: str) -> str:
    """The id of an experiment, made on demand with its files beside a SQLite store."""
    store = _folder()
    with registering():
        experiment = mlflow.get_experiment_by_name(name)
        if experiment is None:
            where = (store / "artifacts").as_uri() if store else None
            return str(mlflow.create_experiment(name, where, KIND))
        for key in KIND.keys() - experiment.tags.keys():  # of an earlier version
            mlflow.MlflowClient().set_experiment_tag(experiment.experiment_id, key, KIND[key])
        return str(experiment.experiment_id)


def _folder() -> Path | None:
    """The folder of a SQLite store."""
    store = _sqlite(tracking_uri())
    return store and store.resolve().parent


def _sqlite(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
