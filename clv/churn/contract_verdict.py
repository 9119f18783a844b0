"""Which classifier of churn under contract is used, if any, and how good it was.

It is chosen, and held against the churn rate, on customers other than those on whom it is judged:
the figures that are quoted are of the latter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clv.churn.classifier import Classifier
from clv.churn.contract_columns import ContractColumn
from clv.evaluate import judge
from clv.format import number
from clv.schema import Floats

BASE_RATE = "churn rate"
ERRORS = 2.0  # standard errors by which a classifier has to beat it
TOO_GOOD = 0.98  # an AUC above it means that a column knows the event


def choose(
    fitted: Mapping[str, Classifier], X: Floats, happened: Floats, rate: float
) -> tuple[str, bool]:
    """By log loss on customers that the parts did not see; two calibration parameters aside.

    And whether that one beats the churn rate there, by ``ERRORS`` standard errors.
    """

    def losses(probability: Floats) -> Floats:
        of_event = np.where(happened == 1, probability, 1 - probability)
        return -np.log(np.maximum(of_event, 1e-15))

    each = {name: losses(classifier.probability(X)) for name, classifier in fitted.items()}
    best = min(each, key=lambda name: float(each[name].mean()))
    gain = losses(np.full(len(happened), rate)) - each[best]
    return best, bool(gain.mean() > ERRORS * gain.std() / np.sqrt(len(gain)))


def figures_of(
    fitted: Mapping[str, Classifier], best: str, X: Floats, happened: Floats, rate: float
) -> list[dict[str, Any]]:
    """Of all candidates and the churn rate, on customers whom none of them saw."""
    scores = {BASE_RATE: np.full(len(happened), rate)}
    scores |= {name: classifier.probability(X) for name, classifier in fitted.items()}
    return [
        {"score": name, "chosen": name == best, **judge(happened, score)}
        for name, score in scores.items()
    ]


def tenure_figures(
    columns: Sequence[ContractColumn],
    names: Sequence[str],
    tenure: str,
    X: Floats,
    happened: Floats,
) -> list[dict[str, Any]]:
    """The naive ranking: the newest customers leave first."""
    if not any(column.name == tenure and not column.levels for column in columns):
        return []
    figures = judge(happened, -X[:, names.index(tenure)])
    unknown = {"brier": float("nan"), "log_loss": float("nan")}
    return [{"score": "shortest tenure", "chosen": False, "auc": figures["auc"], **unknown}]


def verdict_on(
    rows: Sequence[Mapping[str, Any]], best: str, beyond_chance: bool
) -> tuple[bool, str]:
    """Whether the best is used, and why."""
    by_score = {row["score"]: row for row in rows}
    figures, naive = by_score[best], by_score[BASE_RATE]["log_loss"]
    if figures["auc"] > TOO_GOOD:
        return False, (
            f"{best} has AUC {number(figures['auc'], 3)}, which is too good to be true: a column "
            "seems to know the event, name it in ignore; so the churn rate is used"
        )
    loss = number(figures["log_loss"], 4)
    if not beyond_chance:
        return False, (
            f"{best} has log loss {loss} on a held-out quarter, the {BASE_RATE} "
            f"{number(naive, 4)}; on the quarter that chose it, it was not better beyond chance, "
            "so the churn rate is used"
        )
    wins = figures["log_loss"] < naive
    return wins, (
        f"{best} has log loss {loss} on a held-out quarter, the {BASE_RATE} "
        f"{number(naive, 4)}, so {'it' if wins else 'the churn rate'} is used"
    )
