"""Where models and runs are kept, and MLflow on it: quiet, and imported when first asked.

Only this file, ``run_logging.py`` and ``pyfunc.py`` import MLflow.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clv.errors import ModelError
from clv.extras import require_extra

# Set unless the user has set them: nothing is sent anywhere, nothing is guessed from the folder,
# and a server that is down is given up after a quarter of a minute, not after minutes.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}
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
        settle(uri)
        stream.enabled = not quiet
        try:
            yield mlflow
        except mlflow.MlflowException as error:
            raise ModelError(
                f"the model store {uri} says: {error}", hint="check MLFLOW_TRACKING_URI."
            ) from error
        finally:
            settle(before)
            stream.enabled = True
            sys.path[:] = path  # loading a model puts its folder in front


def _find_store(uri: str, *, create: bool) -> None:
    """Make the folder of a SQLite store, or raise ``ModelError`` if there should be one."""
    store = _sqlite(uri)
    if store is None or store.exists():
        return
    if not create:
        raise ModelError(
            f"there is no model store at {store}.",
            hint="train a model first: clv train --config FILE.toml; or run in "
            "the folder that has models/store, or set MLFLOW_TRACKING_URI.",
        )
    store.parent.mkdir(parents=True, exist_ok=True)


def experiment_id(mlflow: Any, name: str) -> str:
    """The id of an experiment, made on demand with its files beside a SQLite store."""
    experiment = mlflow.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    store = _sqlite(tracking_uri())
    where = (store.resolve().parent / "artifacts").as_uri() if store else None
    return str(mlflow.create_experiment(name, artifact_location=where))


def _sqlite(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
