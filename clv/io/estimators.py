"""Fitted scikit-learn estimators in a file of skops, read if they are of nothing but our types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from clv.errors import ModelError
from clv.format import count

# What a saved estimator consists of, and how skops makes it; anything else in a file is refused.
# Those that skops itself would not load are listed first.
TRUSTED = (
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfGammaLoss",
    "sklearn._loss._loss.CyHalfPoissonLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
BOOSTING = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
PIECES = frozenset(
    {
        *TRUSTED,
        "sklearn.linear_model._logistic.LogisticRegression",
        f"{BOOSTING}.HistGradientBoostingClassifier",
        f"{BOOSTING}.HistGradientBoostingRegressor",
        "sklearn.preprocessing._label.LabelEncoder",
        *(f"builtins.{name}" for name in ("list", "dict", "tuple", "str")),
        *(f"numpy.{name}" for name in ("ndarray", "float64", "int64", "uint64")),
        "numpy.random._generator.Generator",
    }
)
LOADERS = frozenset(
    f"{name}Node"
    for name in (
        *("List", "Dict", "Tuple", "Json", "Type", "Object", "Loss", "NdArray", "RandomGenerator"),
    )
)
LARGEST = 64 * 2**20  # bytes of an unpacked file; ours have less than two million


def save_estimators(path: Path, estimators: list[Any]) -> None:
    """Write a list of fitted estimators with skops."""
    from skops.io import dump

    dump(estimators, path)


def load_estimators(path: Path) -> list[Any]:
    """The list in a file, if it is of nothing but what our estimators consist of.

    Raises
    ------
    ModelError
        The file holds other types, and nothing of it was loaded; or it is damaged.
    """
    from skops.io import load

    try:
        with ZipFile(path) as file:
            size = sum(entry.file_size for entry in file.infolist())
            nodes = list(_nodes(json.loads(file.read("schema.json")))) if size <= LARGEST else []
        unknown = sorted(set(nodes) - {(piece, how) for piece in PIECES for how in LOADERS})
        if unknown:
            raise ModelError(
                f"{path.name} contains types that no model of this package has: "
                f"{', '.join(piece for piece, _ in unknown)[:200]}.",
                hint="do not load it; train the model again from its data.",
            )
        if not nodes:
            raise ValueError(f"it unpacks to {count(size)} bytes")
        loaded = load(path, trusted=list(TRUSTED))
        if not isinstance(loaded, list):
            raise ValueError("it holds no list")
    except ModelError:
        raise
    except Exception as error:  # whatever a strange file makes of zip, JSON, numpy and skops
        raise ModelError(
            f"{path.name} is no file of classifiers: {error}.", hint="train the model again."
        ) from error
    return loaded


def _nodes(schema: Any) -> Iterator[tuple[str, str]]:
    """Every type in a file of skops, and how it is made."""
    rest = [schema]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            rest += node.values()
            if "__class__" in node or "__loader__" in node:
                piece = f"{node.get('__module__')}.{node.get('__class__')}"
                yield piece, str(node.get("__loader__"))
        elif isinstance(node, list):
            rest += node
