"""A classifier of few parts: logistic regression, boosted trees, or both blended; calibrated.

Its score is the mean of its parts' log odds, and its calibration a straight line on that scale, so
that what each input contributes adds up exactly to the log odds of the probability.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from scipy.special import expit, logit

from clv.churn.attribution import (
    boosted_average,
    boosted_contributions,
    linear_contributions,
    require_sound_trees,
)
from clv.errors import ModelError
from clv.evaluate import auc, brier_score, log_loss
from clv.schema import Floats
from clv.threads import one_thread

LOGISTIC, BOOSTED, BLEND = "logistic regression", "gradient boosting", "blend"
PARTS: Mapping[str, tuple[str, ...]] = {
    LOGISTIC: (LOGISTIC,),
    BOOSTED: (BOOSTED,),
    BLEND: (LOGISTIC, BOOSTED),
}

# What a saved classifier consists of, and how skops makes it; anything else in its file is refused.
# Those that skops itself would not load are listed first.
TRUSTED = (
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
BOOSTING = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
PIECES = frozenset(
    {
        *TRUSTED,
        "sklearn.linear_model._logistic.LogisticRegression",
        f"{BOOSTING}.HistGradientBoostingClassifier",
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
LARGEST = 64 * 2**20  # bytes of an unpacked file; ours have less than one million


@dataclass(frozen=True)
class Classifier:
    """P(event) from named inputs.

    Attributes
    ----------
    name
        Which of ``PARTS`` it is.
    inputs
        The names of the k inputs, in the order of the columns.
    parts
        Fitted scikit-learn estimators.
    slope, intercept
        The calibration: log odds = slope * (mean of the parts' log odds) + intercept.
    average, offset
        Mean of each input over the base that contributions are measured against, and what is
        taken off each so that they average to zero there, both of shape (k,); see ``about``.
    """

    name: str
    inputs: tuple[str, ...]
    parts: tuple[Any, ...]
    average: tuple[float, ...]
    slope: float = 1.0
    intercept: float = 0.0
    offset: tuple[float, ...] = ()

    def probability(self, X: Floats) -> Floats:
        """P(event), shape (n,), of inputs of shape (n, k)."""
        return np.asarray(expit(self.log_odds(X)))

    def log_odds(self, X: Floats) -> Floats:
        """The log odds of ``probability``, shape (n,)."""
        each = [_log_odds(part, X) for part in self.parts]
        return np.asarray(self.slope * np.mean(each, axis=0) + self.intercept)

    @cached_property
    def average_log_odds(self) -> float:
        """The average log odds of the base: where contributions begin."""
        each = [
            _linear_at(part, self) if _is_linear(part) else boosted_average(part)
            for part in self.parts
        ]
        return self.slope * float(np.mean(each)) + self.intercept + sum(self.offset)

    def contributions(self, X: Floats) -> Floats:
        """What each input added to the log odds, shape (n, k).

        Rows add up to ``log_odds(X) - average_log_odds``, exactly.
        """
        average = np.asarray(self.average)
        each = [
            linear_contributions(part.coef_[0], average, X)
            if _is_linear(part)
            else boosted_contributions(part, X)
            for part in self.parts
        ]
        raw = self.slope * np.mean(each, axis=0)
        return np.asarray(raw - np.asarray(self.offset) if self.offset else raw)

    def about(self, X: Floats) -> Classifier:
        """The same classifier, its contributions measured against the customers in ``X``."""
        fresh = replace(self, average=tuple(X.mean(axis=0).tolist()), offset=())
        return replace(fresh, offset=tuple(fresh.contributions(X).mean(axis=0).tolist()))

    def require_sound(self) -> None:
        """Raise ``ValueError`` unless made-up inputs get a probability, and reasons for it."""
        X = np.vstack([np.zeros(len(self.inputs)), np.asarray(self.average)])
        figures = (self.log_odds(X), self.contributions(X), np.asarray(self.average_log_odds))
        if not all(np.isfinite(values).all() for values in figures):
            raise ValueError(f"the {self.name} gives scores that are no numbers")

    def to_dict(self) -> dict[str, Any]:
        """All but the parts, as JSON values."""
        return {
            "name": self.name,
            "inputs": list(self.inputs),
            "average": list(self.average),
            "slope": self.slope,
            "intercept": self.intercept,
            "offset": list(self.offset),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], parts: Sequence[Any]) -> Classifier:
        """The classifier that ``to_dict`` and ``save_parts`` wrote.

        Raises
        ------
        ModelError
            The parts are others than a classifier of this name and these inputs has.
        """
        _require_parts(parts, saved["name"], len(saved["inputs"]))
        return cls(
            saved["name"],
            tuple(saved["inputs"]),
            tuple(parts),
            tuple(saved["average"]),
            saved["slope"],
            saved["intercept"],
            tuple(saved["offset"]),
        )


def fit_parts(
    X: Floats, happened: Floats, names: Sequence[str] = (LOGISTIC, BOOSTED, BLEND)
) -> dict[str, Any]:
    """The fitted estimators that the classifiers ``names`` are made of.

    The logistic regression is not scaled to unit variance: its inputs are logarithms, and one that
    hardly varies must not be blown up.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    estimators = {
        LOGISTIC: LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=200),
        BOOSTED: HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=100,
            max_leaf_nodes=15,
            min_samples_leaf=50,
            early_stopping=False,
            random_state=0,
        ),
    }
    needed = {part for name in names for part in PARTS[name]}
    with one_thread():
        return {part: estimators[part].fit(X, happened) for part in sorted(needed)}


def assemble(name: str, inputs: Sequence[str], fitted: Mapping[str, Any], X: Floats) -> Classifier:
    """The classifier ``name`` of parts fitted on the examples ``X``, not yet calibrated."""
    average = tuple(X.mean(axis=0).tolist())
    return Classifier(name, tuple(inputs), tuple(fitted[part] for part in PARTS[name]), average)


def calibrate(classifier: Classifier, X: Floats, happened: Floats) -> Classifier:
    """The classifier with slope and intercept fitted to examples that its parts did not see.

    A line on the log odds (Platt's sigmoid): isotonic steps of exactly 0 and 1 cost more log loss
    than they repair (CDNOW, 13 weeks: 0.328 against 0.303).
    """
    from sklearn.linear_model import LogisticRegression

    scores = classifier.log_odds(X)[:, None]
    with one_thread():
        line = LogisticRegression(C=1.0, solver="newton-cholesky").fit(scores, happened)
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    return replace(
        classifier,
        slope=slope * classifier.slope,
        intercept=slope * classifier.intercept + intercept,
    )


def judge(happened: Floats, score: Floats) -> dict[str, float]:
    """AUC, Brier score and log loss; the last two are NaN for a score that is no probability."""
    figures = {"auc": auc(happened, score)}
    if np.any((score < 0) | (score > 1)):
        return figures | {"brier": float("nan"), "log_loss": float("nan")}
    figures["brier"] = brier_score(happened, score)
    return figures | {"log_loss": log_loss(happened, np.clip(score, 1e-12, 1 - 1e-12))}


def importance(
    classifier: Classifier, X: Floats, happened: Floats, topics: Mapping[str, str], seed: int = 0
) -> list[dict[str, Any]]:
    """One row per topic, the weightiest first: how much its inputs move scores, and matter.

    ``mean_effect`` is the mean absolute contribution to the log odds; ``loss_increase`` what log
    loss grows by on these examples when the topic's inputs are shuffled among customers, together.
    """
    rng, effects = np.random.default_rng(seed), classifier.contributions(X)
    loss, rows = log_loss(happened, classifier.probability(X)), []
    for topic in dict.fromkeys(topics[name] for name in classifier.inputs):
        indices = [i for i, name in enumerate(classifier.inputs) if topics[name] == topic]
        shuffled = X.copy()
        shuffled[:, indices] = X[rng.permutation(len(X))][:, indices]
        rows.append(
            {
                "topic": topic,
                "inputs": ", ".join(classifier.inputs[i] for i in indices),
                "mean_effect": float(np.abs(effects[:, indices].sum(axis=1)).mean()),
                "loss_increase": log_loss(happened, classifier.probability(shuffled)) - loss,
            }
        )
    return sorted(rows, key=lambda row: -row["mean_effect"])


def save_parts(path: Path, classifiers: Sequence[Classifier]) -> None:
    """Write the parts of classifiers into one file with skops."""
    from skops.io import dump

    dump([list(classifier.parts) for classifier in classifiers], path)


def load_parts(path: Path) -> list[list[Any]]:
    """The parts of each classifier in a file, if they are of nothing but what ours consist of.

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
            raise ValueError(f"it unpacks to {size:,} bytes")
        loaded: list[list[Any]] = load(path, trusted=list(TRUSTED))
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


def _require_parts(parts: Any, name: str, inputs: int) -> None:
    """Raise ``ModelError`` unless the parts are those of the classifier ``name``, and fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    kinds = {LOGISTIC: LogisticRegression, BOOSTED: HistGradientBoostingClassifier}
    expected = [kinds[part] for part in PARTS.get(name, ())]
    if not isinstance(parts, list | tuple) or [type(part) for part in parts] != expected:
        raise ModelError(f"the file of the classifier does not hold the parts of {name!r}.")
    for part in parts:
        if isinstance(part, HistGradientBoostingClassifier):
            require_sound_trees(part, inputs)
        elif not (_is_numbers(part.coef_, (1, inputs)) and _is_numbers(part.intercept_, (1,))):
            raise ModelError(f"the coefficients of the {name} are not those of its inputs.")


def _is_numbers(values: Any, shape: tuple[int, ...]) -> bool:
    ours = isinstance(values, np.ndarray) and values.dtype == np.float64 and values.shape == shape
    return ours and bool(np.isfinite(values).all())


def bounded_logit(probability: Floats, least: float) -> Floats:
    """Log odds of probabilities kept between ``least`` and 1 - ``least``."""
    return np.asarray(logit(np.clip(probability, least, 1 - least)))


def _is_linear(part: Any) -> bool:
    return hasattr(part, "coef_")


def _log_odds(part: Any, X: Floats) -> Floats:
    if _is_linear(part):
        # added up row by row: a matrix product adds in an order that depends on the number of rows
        return np.asarray(
            (np.ascontiguousarray(X) * part.coef_[0]).sum(axis=1) + part.intercept_[0]
        )
    with one_thread():  # on a busy machine threads that wait cost a hundred times more
        return np.asarray(part.decision_function(X))


def _linear_at(part: Any, classifier: Classifier) -> float:
    return float(part.coef_[0] @ np.asarray(classifier.average) + part.intercept_[0])
