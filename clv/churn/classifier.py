"""A classifier of few parts: logistic regression, boosted trees, or both blended; calibrated.

Its score is the mean of its parts' log odds, and its calibration a straight line on that scale, so
that what each input contributes adds up exactly to the log odds of the probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from clv.errors import ModelError
from clv.evaluate import log_loss
from clv.forecast.attribution import (
    boosted_average,
    boosted_contributions,
    linear_contributions,
    require_sound_trees,
)
from clv.schema import Floats
from clv.threads import one_thread

LOGISTIC, BOOSTED, BLEND = "logistic regression", "gradient boosting", "blend"
PARTS: Mapping[str, tuple[str, ...]] = {
    LOGISTIC: (LOGISTIC,),
    BOOSTED: (BOOSTED,),
    BLEND: (LOGISTIC, BOOSTED),
}


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
        """The classifier that ``to_dict`` and ``save_estimators`` wrote.

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
