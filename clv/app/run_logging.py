"""What is logged in a run, and a fitted model as MLflow serves it.

A version of a model is a folder of JSON and skops files beside its code (``pyfunc.py``), so it
loads with ``MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Literal

import narwhals as nw
from narwhals.typing import IntoFrame

import clv
from clv.app.mlflow_store import describe, open_run, registering
from clv.app.registry import (
    CONTRACTS,
    CONTRACTS_FILE,
    FOLDER,
    MODEL,
    UPLIFT,
    Registered,
    plain_names,
)
from clv.app.run_evidence import Evidence
from clv.contracts.contract_fit import ContractModels
from clv.data.features import BEHAVIOUR
from clv.errors import ModelError
from clv.intake.file_paths import files_of
from clv.io.changes import workspace
from clv.io.files import file_digest, write_json
from clv.schema import as_frame
from clv.scorer import CustomerScorer
from clv.uplift.uplift_model import UpliftModel

PACKAGE = Path(clv.__file__).resolve().parent
PYFUNC = Path(__file__).with_name("pyfunc.py")
# What scoring imports; the versions are those that the model was tried with.
REQUIREMENTS = (
    "babel",
    "lazy-loader",
    "narwhals",
    "numpy",
    "pandas",
    "pydantic",
    "scikit-learn",
    "scipy",
    "skops",
    "threadpoolctl",
)
Ids = Literal["long", "string"]
REQUIRED = ("customer_id", "frequency", "recency", "T", "monetary_value", "first_amount")
OPTIONAL = ("days_since_last", "channel", "unit", "as_of", *BEHAVIOUR)
INPUTS = (*REQUIRED, *OPTIONAL)
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


def digest_of_files(paths: Sequence[str]) -> str:
    """SHA-256 of files, folders and patterns; that of the file itself if they mean a single one."""
    digests = [file_digest(Path(file)) for file in files_of(paths)]
    return digests[0] if len(digests) == 1 else _sha256("".join(digests))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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
    with open_run(experiment, name) as (mlflow, run):
        _log_evidence(mlflow, evidence, None)
        return str(run.info.run_id)


def log_scorer(
    scorer: CustomerScorer,
    evidence: Evidence | None = None,
    *,
    name: str = MODEL,
    experiment: str = MODEL,
    alias: str = "",
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
    alias
        That points to the version from now on.
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
    tags = {"model_version": scorer.version, "as_of": scorer.as_of, "unit": scorer.unit}
    run_of = open_run(experiment, scorer.version, name, alias)
    with run_of as (mlflow, run), workspace() as folder:
        model = mlflow.pyfunc.log_model(
            name=FOLDER,
            python_model=str(python_model),
            artifacts={FOLDER: str(scorer.save(folder / FOLDER))},
            signature=_signature(mlflow, scorer, ids),
            input_example=_example(scorer, ids),
            code_paths=[str(PACKAGE)],
            pip_requirements=[
                f"{requirement}=={installed(requirement)}" for requirement in REQUIREMENTS
            ],
        )
        _log_evidence(mlflow, logged, model.model_id)
        _compare(mlflow, model.model_uri, scorer, ids)
        tags |= dict(logged.tags)
        about = {"tags": tags, "description": str(scorer.terms), "model_id": model.model_id}
        return _register(mlflow, run, name, model.model_uri, alias, about)


def plots_as_files(charts: Mapping[str, Any]) -> dict[str, bytes]:
    """Charts by name as files of a run; None where there is nothing to draw."""
    drawn = {name: chart for name, chart in charts.items() if chart is not None}
    return {f"plots/{name}.svg": chart.standalone().encode() for name, chart in drawn.items()}


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
    with open_run(name, model.version, name) as (mlflow, run), workspace() as folder:
        mlflow.log_artifact(str(model.save(folder / "uplift.json")), UPLIFT)
        _log_evidence(mlflow, evidence, None)
        where = f"{run.info.artifact_uri}/{UPLIFT}"
        return _register(mlflow, run, name, where, "", {"tags": dict(evidence.tags)})


def log_contracts(
    models: ContractModels,
    document: Mapping[str, Any],
    name: str,
    experiment: str | None = None,
    files: Sequence[str] = (),
) -> Registered:
    """Make models of contracts a new version of the registered model ``name``.

    They are one JSON file and run no code; what is shown of them is logged beside it.

    Parameters
    ----------
    models
        Fitted.
    document
        What ``clv.app.contracts.contract_document`` makes of the run.
    name
        Of the registered model, made if it is new.
    experiment
        That the run is in, made if it is new; of the model's name if not given.
    files
        That the table was read from; their paths and digest are recorded, their rows are not.
    """
    evidence = _of_contracts(models, document, files)
    tags, where = dict(evidence.tags), experiment or name
    with open_run(where, models.version, name) as (mlflow, run), workspace() as folder:
        file = write_json(models.to_dict(), folder / CONTRACTS_FILE)
        mlflow.log_artifact(str(file), CONTRACTS)
        _log_evidence(mlflow, evidence, None)
        where = f"{run.info.artifact_uri}/{CONTRACTS}"
        return _register(mlflow, run, name, where, "", {"tags": tags})


def track_contracts(
    models: ContractModels, document: Mapping[str, Any], experiment: str, files: Sequence[str]
) -> str:
    """Log models of contracts, and what is shown of them, in a run; its id.

    Parameters
    ----------
    models, document, files
        As ``log_contracts`` has them; nothing is registered.
    experiment
        Made if it is new.
    """
    return log_result(experiment, models.version, _of_contracts(models, document, files))


def _of_contracts(
    models: ContractModels, document: Mapping[str, Any], files: Sequence[str]
) -> Evidence:
    params: dict[str, Any] = {"by": models.by, "terms": document["terms"]}
    if models.covariates:
        params["covariates"] = ", ".join(models.covariates)
    if files:
        params |= {"files": ", ".join(files), "sha256": digest_of_files(files)}
    metrics: dict[str, float] = {}
    for period in document["periods"]:
        named, model = period["interval"], period["model"]
        params[f"{named}.model"] = model["model"]
        metrics |= {f"{named}.{k}": v for k, v in model["parameters"].items()}
        metrics[f"{named}.active"] = period["active"]
    tags = {"kind": "contracts", "model_version": models.version, "as_of": models.as_of}
    shown = {"contracts.json": dict(document), "models.json": models.to_dict()}
    return Evidence(params, metrics, tags, shown)


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
    types = {name: _dtype(name, ids) for name in INPUTS if name in present}
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
    from mlflow.types.schema import AnyType

    anything: Any = AnyType  # MLflow turns no 2.0 into 2, nor 2 into 2.0: the scorer does

    def read(name: str) -> Any:
        number = name != "customer_id" and _dtype(name, ids) in (nw.Int64, nw.Float64)
        return anything() if number else _kind(name, ids)

    inputs: list[Any] = [ColSpec(read(name), name, required=name in REQUIRED) for name in INPUTS]
    outputs: list[Any] = [
        ColSpec(_kind(name, ids), name, required=name not in OPTIONAL)
        for name in scorer.predict(_example(scorer, ids)).columns
    ]
    return mlflow.models.ModelSignature(Schema(inputs), Schema(outputs))


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
    mlflow.log_metrics(evidence.logged, model_id=model_id, dataset=data)
    describe(mlflow, evidence.says)
    with workspace() as folder:
        for path, content in evidence.files.items():
            file = folder / path
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
    mlflow: Any, run: Any, name: str, source: str, alias: str, about: Mapping[str, Any]
) -> Registered:
    """A new version of a model, whole: with all that is said about it, and its alias."""
    client = mlflow.MlflowClient()
    with registering():
        if not client.search_registered_models(filter_string=f"name = '{name}'"):
            client.create_registered_model(name)
        version = client.create_model_version(name, source, run.info.run_id, **about)
        if alias:
            client.set_registered_model_alias(name, alias, version.version)
    data = client.get_run(run.info.run_id).data
    return Registered(
        name, int(version.version), run.info.run_id, about["tags"], data.params, plain_names(data)
    )
