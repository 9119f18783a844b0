"""The model registry: log a scorer, find it by name and alias, load it.

The only module of this package that knows MLflow, and it imports it when first asked. A version of
a model is a folder of JSON and skops files beside its code (``pyfunc.py``), so it loads with
``MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false``. ``load_scorer`` reads the data files only and runs no
code of the model; ``mlflow.pyfunc.load_model`` does run it, so whoever may write to the artifact
store may run code wherever models are loaded that way.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Literal

import narwhals as nw
from narwhals.typing import IntoFrame

import clv
from clv.data.features import BEHAVIOUR, PRODUCTS
from clv.errors import ModelError
from clv.extras import require_extra
from clv.intake.sources import files_of
from clv.schema import as_frame
from clv.scorer import CustomerScorer
from clv.uplift.uplift_model import UpliftModel

MODEL, CHALLENGER, CHAMPION = "clv", "challenger", "champion"
PACKAGE = Path(clv.__file__).resolve().parent
PYFUNC = Path(__file__).with_name("pyfunc.py")
FOLDER = "scorer"  # of the scorer's files inside a logged model
UPLIFT = "uplift"  # of an uplift model's file in its run

# What scoring imports; the versions are those that the model was tried with.
REQUIREMENTS = (
    "lazy-loader",
    "narwhals",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "skops",
    "threadpoolctl",
)

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

Ids = Literal["long", "string"]

REQUIRED = ("customer_id", "frequency", "recency", "T", "monetary_value", "first_amount")
OPTIONAL = ("days_since_last", "channel", "unit", "as_of", *BEHAVIOUR, PRODUCTS)
TEXTS = ("channel", "unit", "horizon", "money", "currency", "churn_horizon", "model_version")

# Made-up histories, in any unit: nobody's data travels with a model.
EXAMPLE: dict[str, list[Any]] = {
    "customer_id": ["1", "2", "3"],
    "frequency": [2, 0, 7],
    "recency": [30.43, 0.0, 20.0],
    "T": [38.86, 38.86, 60.0],
    "monetary_value": [22.35, 0.0, 41.0],
    "first_amount": [20.0, 35.0, 12.5],
    "days_since_last": [59.0, 272.0, 280.0],
}


@dataclass(frozen=True)
class Evidence:
    """What is logged beside a model, so that others can judge it.

    Attributes
    ----------
    params, metrics, tags
        By name. The tags mark the run and the registered version.
    files
        Path in the run to text, bytes (such as a PNG) or a JSON value.
    source
        The raw log; its path and SHA-256 are recorded, its rows are not.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = None


@dataclass(frozen=True)
class Registered:
    """A version of a registered model, with what its run logged."""

    name: str
    version: int
    run_id: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def uri(self) -> str:
        """The version's own URI: ``models:/clv/3``."""
        return f"models:/{self.name}/{self.version}"


def tracking_uri() -> str:
    """Where models are kept: ``MLFLOW_TRACKING_URI``, or SQLite in ``models/store`` of this folder.

    >>> import os
    >>> os.environ.get("MLFLOW_TRACKING_URI") in (None, tracking_uri())
    True
    """
    default = Path("models/store/mlflow.db").resolve()
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{default}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(paths: Sequence[str]) -> str:
    """SHA-256 of files, folders and patterns; that of the file itself if they mean a single one."""
    digests = [file_digest(Path(file)) for file in files_of(paths)]
    return digests[0] if len(digests) == 1 else _sha256("".join(digests))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def load_scorer(model: str | os.PathLike[str]) -> CustomerScorer:
    """The scorer in a local folder or behind an MLflow URI; none of the model's code is run.

    Parameters
    ----------
    model
        A folder that ``CustomerScorer.save`` or MLflow wrote, or ``models:/clv@champion``,
        ``models:/clv/3``, ``runs:/<run id>/scorer``.

    Raises
    ------
    ModelError
        There is no such model (the hint names those there are), or it is not one of this package.
    """
    name = os.fspath(model)
    if not re.match(r"[a-z][a-z0-9+.-]+:/", name):
        return _load_folder(Path(name))
    with tempfile.TemporaryDirectory() as folder, _mlflow() as mlflow:
        try:
            found = mlflow.artifacts.download_artifacts(artifact_uri=name, dst_path=folder)
        except (mlflow.MlflowException, OSError) as error:
            if getattr(error, "error_code", MISSING[0]) not in MISSING:
                raise
            raise ModelError(
                f"there is no model {name} in {tracking_uri()}.", hint=_existing(mlflow, name)
            ) from error
        return _load_folder(Path(found))


def registered(alias: str, name: str = MODEL) -> Registered | None:
    """The version of model ``name`` that ``alias`` points to, or None."""
    with _mlflow() as mlflow:
        client = mlflow.MlflowClient()
        try:
            found = client.get_model_version_by_alias(name, alias)
        except mlflow.MlflowException as error:
            if error.error_code not in MISSING:
                raise
            return None
        run = client.get_run(found.run_id).data
        return Registered(
            name, int(found.version), found.run_id, dict(found.tags), run.params, run.metrics
        )


def champion(name: str = MODEL) -> Registered | None:
    """The version in use, or None before the first promotion."""
    return registered(CHAMPION, name)


def set_alias(name: str, alias: str, version: int, tags: Mapping[str, str] | None = None) -> None:
    """Let ``alias`` point to a version, and mark that version with ``tags``."""
    with _mlflow() as mlflow:
        client = mlflow.MlflowClient()
        for key, value in (tags or {}).items():
            client.set_model_version_tag(name, str(version), key, value)
        client.set_registered_model_alias(name, alias, str(version))


def read_logged(run_id: str, path: str) -> Any:
    """A JSON file that a run logged."""
    with tempfile.TemporaryDirectory() as folder, _mlflow() as mlflow:
        file = mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path=path, dst_path=folder
        )
        return json.loads(Path(file).read_text(encoding="utf-8"))


def log_scorer(
    scorer: CustomerScorer,
    evidence: Evidence | None = None,
    *,
    name: str = MODEL,
    experiment: str = MODEL,
    python_model: Path = PYFUNC,
    ids: Ids = "string",
) -> Registered:
    """Log a scorer in a run of its own, try it as MLflow serves it, and register it.

    Parameters
    ----------
    scorer
        The fitted scorer.
    evidence
        What is logged beside it.
    name, experiment
        Of the registered model and of the experiment; both are made if they are new.
    python_model
        The model's code, ``clv/app/pyfunc.py`` if it is not yours.
    ids
        What customer ids are in the signature: "string", or "long" for whole numbers.

    Raises
    ------
    ModelError
        The model, loaded back, does not give the scorer's own scores. It is not registered then.
    """
    logged = evidence or Evidence()
    if not python_model.is_file():
        raise ModelError(
            f"the model's code {python_model} is missing.",
            hint="give python_model, the path of such a file.",
        )
    with tempfile.TemporaryDirectory() as folder, _mlflow(create=True) as mlflow:
        scorer.save(Path(folder) / FOLDER)
        home = _experiment(mlflow, experiment)
        with mlflow.start_run(experiment_id=home, run_name=scorer.version) as run:
            model = mlflow.pyfunc.log_model(
                name=FOLDER,
                python_model=str(python_model),
                artifacts={FOLDER: str(Path(folder) / FOLDER)},
                signature=_signature(mlflow, scorer, ids),
                input_example=_example(scorer, ids),
                code_paths=[str(PACKAGE)],
                pip_requirements=[f"{one}=={installed(one)}" for one in REQUIREMENTS],
            )
            _log_evidence(mlflow, logged, model.model_id)
            _compare(mlflow, model.model_uri, scorer, ids)
        return _register(mlflow, name, model, run.info.run_id, scorer, logged)


def model_input(summary: IntoFrame, ids: Ids = "string") -> Any:
    """A summary as the pandas frame that the model's signature asks for.

    MLflow converts little by itself: no categories, no Polars, no whole numbers to text.

    >>> import pandas as pd
    >>> model_input(pd.DataFrame({"customer_id": [7], "T": [3], "unit": ["week"]})).dtypes
    customer_id        str
    T              float64
    unit               str
    dtype: object
    """
    frame = as_frame(summary, "the summary")
    present = frame.collect_schema().names()
    types = {name: _dtype(name, ids) for name in (*REQUIRED, *OPTIONAL) if name in present}
    columns = [nw.col(name).cast(dtype) for name, dtype in types.items()]
    return frame.select(*columns).collect().to_arrow().to_pandas()


def _dtype(column: str, ids: Ids) -> Any:
    if column in TEXTS or (column == "customer_id" and ids == "string"):
        return nw.String
    if column == "as_of":
        return nw.Datetime("ns")  # the one precision that MLflow keeps
    return nw.Int64 if column in ("customer_id", "frequency") else nw.Float64


def _kind(column: str, ids: Ids) -> str:
    """The type of a column in MLflow's words."""
    names = {nw.String: "string", nw.Int64: "long", nw.Float64: "double"}
    return names.get(_dtype(column, ids), "datetime")


def _signature(mlflow: Any, scorer: CustomerScorer, ids: Ids) -> Any:
    """Without params: a value on other terms is another model version, not another question."""
    from mlflow.types import ColSpec, Schema

    asked: list[Any] = [ColSpec(_kind(name, ids), name) for name in REQUIRED]
    asked += [ColSpec(_kind(name, ids), name, required=False) for name in OPTIONAL]
    answered: list[Any] = [
        ColSpec(_kind(name, ids), name, required=name not in OPTIONAL)
        for name in scorer.predict(_example(scorer, ids)).columns
    ]
    return mlflow.models.ModelSignature(Schema(asked), Schema(answered))


def _example(scorer: CustomerScorer, ids: Ids) -> Any:
    import pandas as pd

    return model_input(pd.DataFrame(EXAMPLE).assign(unit=scorer.unit, as_of=scorer.as_of), ids)


def _compare(mlflow: Any, uri: str, scorer: CustomerScorer, ids: Ids) -> None:
    """The logged model must load and answer as the scorer does; MLflow would only warn."""
    import pandas as pd

    example = _example(scorer, ids)
    try:
        answer = mlflow.pyfunc.load_model(uri).predict(example)
        pd.testing.assert_frame_equal(answer, scorer.predict(example), check_exact=True)
    except Exception as error:
        raise ModelError(
            f"the logged model does not give the scorer's own scores: {error}",
            hint="nothing was registered; run again with --debug.",
        ) from error


def _log_evidence(mlflow: Any, evidence: Evidence, model_id: str | None) -> None:
    mlflow.log_params(dict(evidence.params))
    mlflow.set_tags(dict(evidence.tags))
    data = _dataset(evidence.source) if evidence.source else None
    if data is not None:
        mlflow.log_input(data, context="training")
    mlflow.log_metrics(dict(evidence.metrics), model_id=model_id, dataset=data)
    with tempfile.TemporaryDirectory() as folder:
        for path, content in evidence.files.items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_as_bytes(content))
        mlflow.log_artifacts(folder)


def _as_bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
    return text.encode()


def _dataset(source: Path) -> Any:
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset

    where = resolve_dataset_source(source.resolve().as_uri())
    described: Any = MetaDataset  # MLflow's own class forgets to declare one of its methods
    return described(where, name=source.stem, digest=file_digest(source)[:36])  # MLflow's limit


def _register(
    mlflow: Any, name: str, model: Any, run_id: str, scorer: CustomerScorer, evidence: Evidence
) -> Registered:
    client = mlflow.MlflowClient()
    tags = {"model_version": scorer.version, "as_of": scorer.as_of, "unit": scorer.unit}
    tags |= dict(evidence.tags)
    made = mlflow.register_model(model.model_uri, name, tags=tags)
    client.update_model_version(name, made.version, description=str(scorer.terms))
    run = client.get_run(run_id).data
    return Registered(name, int(made.version), run_id, tags, run.params, run.metrics)


def _load_folder(folder: Path) -> CustomerScorer:
    """The scorer in a folder that ``save`` wrote, or in that of a logged model."""
    return CustomerScorer.load(
        folder / "artifacts" / FOLDER if (folder / "MLmodel").is_file() else folder
    )


def _existing(mlflow: Any, wanted: str) -> str:
    """What the registry has instead, as a hint."""
    found = []
    for model in mlflow.MlflowClient().search_registered_models():
        found += [f"models:/{model.name}@{alias}" for alias in sorted(model.aliases)]
        found += [f"models:/{model.name}/{one.version}" for one in model.latest_versions]
    if not found:
        return "it has no models yet; train one: clv train --config FILE.toml."
    promote = " Or promote one: clv promote." if wanted.endswith(CHAMPION) else ""
    return f"it has {', '.join(found)}.{promote}"


def _experiment(mlflow: Any, name: str) -> str:
    """The id of an experiment, made on demand with its files beside a SQLite store."""
    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    store = _sqlite(tracking_uri())
    where = (store.resolve().parent / "artifacts").as_uri() if store else None
    return str(mlflow.create_experiment(name, artifact_location=where))


def _sqlite(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextmanager
def _mlflow(*, create: bool = False) -> Iterator[Any]:
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


def log_result(experiment: str, name: str, evidence: Evidence) -> str:
    """Log a result, such as a budget plan, in a run of its own, and give the run's id.

    Parameters
    ----------
    experiment
        Made if it is new.
    name
        Of the run.
    evidence
        Its parameters, metrics, tags and files.
    """
    with _mlflow(create=True) as mlflow:
        home = _experiment(mlflow, experiment)
        with mlflow.start_run(experiment_id=home, run_name=name) as run:
            _log_evidence(mlflow, evidence, None)
        return str(run.info.run_id)


def log_uplift(model: UpliftModel, name: str, *, source: Path | None = None) -> Registered:
    """Make an uplift model a new version of the registered model ``name``.

    What it says of itself, its table of methods and the digest of its campaign log are logged in a
    run of its own, in the experiment of that name. It is one JSON file and runs no code.

    Parameters
    ----------
    model
        The fitted uplift.
    name
        Of the registered model, made if it is new.
    source
        File of the campaign log; its path and SHA-256 are recorded, its rows are not.
    """
    ate, error = model.ate
    evidence = Evidence(
        params={"method": model.method, "value": model.value_source, **model.training},
        metrics={"profit_per_contact": ate, "profit_per_contact_se": error},
        tags={"lift_source": model.lift_source, "uplift_version": model.version},
        files={"uplift.txt": str(model), "methods.csv": model.table().to_csv(index=False)},
        source=source,
    )
    with tempfile.TemporaryDirectory() as folder, _mlflow(create=True) as mlflow:
        home = _experiment(mlflow, name)
        with mlflow.start_run(experiment_id=home, run_name=model.version) as run:
            mlflow.log_artifact(str(model.save(Path(folder) / "uplift.json")), UPLIFT)
            _log_evidence(mlflow, evidence, None)
        client = mlflow.MlflowClient()
        if not client.search_registered_models(filter_string=f"name = '{name}'"):
            client.create_registered_model(name)
        where = f"{run.info.artifact_uri}/{UPLIFT}"
        tags = dict(evidence.tags)
        made = client.create_model_version(name, where, run.info.run_id, tags=tags)
        told = client.get_run(run.info.run_id).data
        return Registered(name, int(made.version), run.info.run_id, tags, told.params, told.metrics)


def load_uplift(uri: str) -> UpliftModel:
    """The uplift model behind ``models:/clv-uplift/2`` or ``runs:/<run id>/uplift``.

    Raises
    ------
    ModelError
        There is no such model, or it is no uplift model.
    """
    with tempfile.TemporaryDirectory() as folder, _mlflow() as mlflow:
        try:
            found = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
        except (mlflow.MlflowException, OSError) as error:
            if getattr(error, "error_code", MISSING[0]) not in MISSING:
                raise
            raise ModelError(
                f"there is no uplift model {uri} in {tracking_uri()}.",
                hint="clv targets --campaign-log ... --register makes one.",
            ) from error
        return UpliftModel.load(Path(found) / "uplift.json")
