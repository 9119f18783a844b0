"""The model registry: find a model by name and alias, and load it.

``load_scorer`` reads data files only and runs none of the model's code. MLflow's own ``load_model``
does run it, so whoever may write to the artifact store may run code wherever models are loaded that
way.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clv.app.mlflow_store import MISSING, connect, tracking_uri, without_password
from clv.contracts.contract_fit import ContractModels
from clv.errors import ModelError
from clv.io.changes import workspace
from clv.io.files import read_json
from clv.scorer import CustomerScorer
from clv.uplift.uplift_model import UpliftModel

MODEL, CHALLENGER, CHAMPION = "clv", "challenger", "champion"
FOLDER = "scorer"  # of the scorer's files inside a logged model
ALL = "all/"  # before the names of all metrics but the leading ones
CONTRACTS, CONTRACTS_FILE = "contracts", "contracts.json"  # of models of contracts
UPLIFT = "uplift"  # of an uplift model's file in its run


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
    with _downloaded(name, "model") as path:
        return _load_folder(path)


def registered(alias: str, name: str = MODEL) -> Registered | None:
    """The version of model ``name`` that ``alias`` points to, or None."""
    with connect() as mlflow:
        client = mlflow.MlflowClient()
        try:
            version = client.get_model_version_by_alias(name, alias)
        except mlflow.MlflowException as error:
            if error.error_code not in MISSING:
                raise
            return None
        run = client.get_run(version.run_id).data
        return Registered(
            name,
            int(version.version),
            version.run_id,
            dict(version.tags),
            run.params,
            plain_names(run),
        )


def plain_names(run: Any) -> dict[str, float]:
    """The metrics of a run by name, without the prefix that keeps all but the leading ones apart.

    >>> from types import SimpleNamespace
    >>> plain_names(SimpleNamespace(metrics={"money_gini": 0.7, "all/money/gini/model": 0.7}))
    {'money_gini': 0.7, 'money/gini/model': 0.7}
    """
    return {name.removeprefix(ALL): value for name, value in run.metrics.items()}


def champion(name: str = MODEL) -> Registered | None:
    """The version in use, or None before the first promotion."""
    return registered(CHAMPION, name)


def set_alias(name: str, alias: str, version: int, tags: Mapping[str, str] | None = None) -> None:
    """Let ``alias`` point to a version, and mark that version with ``tags``."""
    with connect() as mlflow:
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(name, alias, str(version))
        for key, value in (tags or {}).items():
            client.set_model_version_tag(name, str(version), key, value)


def read_logged(run_id: str, path: str) -> Any:
    """A JSON file that a run logged."""
    with workspace() as folder, connect() as mlflow:
        file = mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path=path, dst_path=folder
        )
        return json.loads(Path(file).read_text(encoding="utf-8"))


def _load_folder(folder: Path) -> CustomerScorer:
    """The scorer in a folder that ``save`` wrote, or in that of a logged model."""
    return CustomerScorer.load(
        folder / "artifacts" / FOLDER if (folder / "MLmodel").is_file() else folder
    )


def _existing(mlflow: Any, name: str) -> str:
    """What the registry has instead, as a hint."""
    models = []
    for model in mlflow.MlflowClient().search_registered_models():
        models += [f"models:/{model.name}@{alias}" for alias in sorted(model.aliases)]
        models += [f"models:/{model.name}/{version.version}" for version in model.latest_versions]
    if not models:
        return "it has no models yet; train one: clv train --config FILE.toml."
    promote = " Or promote one: clv promote." if name.endswith(CHAMPION) else ""
    return f"it has {', '.join(models)}.{promote}"


def load_uplift(uri: str) -> UpliftModel:
    """The uplift model behind ``models:/clv-uplift/2`` or ``runs:/<run id>/uplift``.

    Raises
    ------
    ModelError
        There is no such model, or it is no uplift model.
    """
    hint = "clv targets --campaign-log ... --register makes one."
    with _downloaded(uri, "uplift model", hint) as path:
        return UpliftModel.load(path / "uplift.json")


def load_contracts(model: str | os.PathLike[str]) -> ContractModels:
    """Models of contracts in a file that ``clv contracts --save`` wrote, or behind an MLflow URI.

    Raises
    ------
    ModelError
        There is no such model, or it is none of contracts.
    """
    name = os.fspath(model)
    if Path(name).is_file():
        return ContractModels.from_dict(read_json(name))
    hint = "clv contracts TABLE --register NAME makes one."
    with _downloaded(name, "model of contracts", hint) as path:
        return ContractModels.from_dict(read_json(path / CONTRACTS_FILE))


@contextmanager
def _downloaded(uri: str, what: str, hint: str = "") -> Iterator[Path]:
    """The files behind an MLflow URI, for as long as they are needed."""
    with workspace() as folder, connect() as mlflow:
        try:
            path = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
        except Exception as error:  # an address may lead anywhere, and fail as that place does
            if getattr(error, "error_code", MISSING[0]) not in MISSING:
                raise
            missing = without_password(f"there is no {what} {uri} in {tracking_uri()}.")
            raise ModelError(missing, hint=hint or _existing(mlflow, uri)) from error
        yield Path(path)
