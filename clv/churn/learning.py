"""Learn churn from an order log: candidates on past cutoffs, judged on later ones.

Validation runs forward in time, a random split would be optimistic. The classifier is shipped only
if it beats the purchase model's own P(no purchase in h), which needs no labels at all.

Two sets of inputs compete: what every summary says, and what only the log knows besides. Where the
latter wins, a classifier of the former is kept too, for summaries that come without a log.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame

from clv.churn.classifier import (
    BLEND,
    BOOSTED,
    LOGISTIC,
    Classifier,
    assemble,
    calibrate,
    fit_parts,
    importance,
    judge,
)
from clv.churn.model import PURCHASE_MODEL, ChurnModel, average_survival, topics_of
from clv.churn.training_rows import FEWEST, PLAIN, Examples, collect_examples, cutoffs
from clv.evaluate import auc, log_loss
from clv.format import day
from clv.periods import Duration, Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel

CANDIDATES = (LOGISTIC, BOOSTED, BLEND)


FOLDS = 3  # the newest training cutoffs on which candidates are compared


TOO_GOOD = 0.98  # an AUC above it means that a feature knows the future,


EASY = 0.95  # unless the purchase model, which cannot know it, comes this far by itself


def fit_churn(
    log: IntoFrame,
    horizon: str | Duration,
    unit: Unit = "week",
    step: str | Duration = "1 month",
    max_cutoffs: int = 7,
    model: type[PurchaseModel] = BetaGeoNBD,
) -> ChurnModel:
    """Learn churn from a clean log, or say why the purchase model is the better score.

    Parameters
    ----------
    log
        A clean log (customer_id, date, amount); channel and product are used where there are any.
    horizon
        h; :func:`clv.data.gaps.propose_horizon` proposes one.
    unit
        Time unit of the features and the purchase model.
    step, max_cutoffs
        Training cutoffs lie ``step`` apart, at most so many. Where they span a year, the time of
        the year is an input.
    model
        The purchase model whose outputs are features; the one that is asked when scores are made.

    Returns
    -------
    ChurnModel
        The test cutoff is the newest with a full h after it. A candidate is chosen by its mean
        log loss on the newest training cutoffs, learning each time from cutoffs whose labels had
        ended by then; it is judged once on the test cutoff, and refitted on all of them.

    Raises
    ------
    ColumnError, RowError, InputError
        The log cannot be used, or the horizon is no length of time.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"customer_id": [1, 1, 2], "amount": [9.0, 9.0, 5.0],
    ...                     "date": pd.to_datetime(["2024-01-01", "2024-03-01", "2024-06-30"])})
    >>> churn = fit_churn(log, Duration(4, "week"))
    >>> churn.classifier is None, churn.reason[:23]
    (True, 'the log is too short or')
    """
    horizon = Duration.parse(horizon)
    test, training = cutoffs(log, horizon, Duration.parse(step), max_cutoffs)
    panel = collect_examples(log, [*training, test], horizon, unit, model) if training else []
    if len(panel) < 2 or panel[-1].cutoff != test:
        return ChurnModel(
            horizon,
            None,
            f"the log is too short or too thin to learn from: it takes a training cutoff {horizon} "
            f"before the test cutoff {day(test)}, each with {FEWEST} customers who did and "
            f"{FEWEST} who did not buy in the {horizon} after it; so {PURCHASE_MODEL} is used, "
            "unvalidated.",
        )
    return _learn(panel, horizon)


@dataclass(frozen=True)
class _Trial:
    """A candidate on one set of inputs, with its mean log loss on the validation cutoffs."""

    kind: str
    inputs: tuple[str, ...]
    loss: float

    @property
    def name(self) -> str:
        return self.kind + (" on the log" if set(self.inputs) - set(PLAIN) else "")


def _learn(panel: Sequence[Examples], horizon: Duration) -> ChurnModel:
    past, newest = panel[:-1], panel[-1]
    trials, naive = _trials(past, horizon)
    fitted = _refitted(trials, past)
    rows = _figures(past, newest, trials, fitted, naive)
    figures = {row["score"]: row for row in rows}
    best = min(trials, key=lambda trial: trial.loss)
    wins, verdict = _verdict(best, figures, naive, newest)
    model = ChurnModel(
        horizon=horizon,
        classifier=None,
        reason=verdict,
        figures=tuple(sorted(rows, key=lambda row: (np.isnan(row["log_loss"]), row["log_loss"]))),
        cutoffs=tuple(examples.cutoff.isoformat() for examples in panel),
        churn_rate=float(newest.churned.mean()),
        base=average_survival(newest.alive, newest.no_purchase),
    )
    if not wins:
        return model
    spare = min((t for t in trials if t.inputs == PLAIN), key=lambda trial: trial.loss)
    keep = spare.name != best.name and _beats(spare, figures, naive)
    X = newest.columns(best.inputs)
    judged = fitted[best.name].about(X)
    return replace(
        model,
        classifier=_shipped(best, panel),
        source=best.name,
        plain=_shipped(spare, panel) if keep else None,
        importance_rows=tuple(importance(judged, X, newest.churned, topics_of(best.inputs))),
    )


def _shipped(trial: _Trial, panel: Sequence[Examples]) -> Classifier:
    """Fitted on all that is labelled; its reasons start from the newest cutoff's customers."""
    return _refitted([trial], panel)[trial.name].about(panel[-1].columns(trial.inputs))


def _beats(trial: _Trial, figures: Mapping[str, Mapping[str, Any]], naive: float) -> bool:
    """Whether the purchase model loses to it, on the validation cutoffs and on the test cutoff."""
    test = figures[trial.name]["log_loss"] < figures[PURCHASE_MODEL]["log_loss"]
    return bool(test and not trial.loss >= naive)  # NaN where nothing could be validated


def _verdict(
    best: _Trial, figures: Mapping[str, Mapping[str, Any]], naive: float, test: Examples
) -> tuple[bool, str]:
    """Whether the classifier is shipped, and why."""
    ours, model = figures[best.name], figures[PURCHASE_MODEL]
    alarm = _alarm(best, ours["auc"], test) if model["auc"] <= EASY else None
    if alarm:
        return False, f"{alarm}; so the purchase model is used."
    verdict = (
        f"{best.name} has log loss {ours['log_loss']:.4f} on the test cutoff {day(test.cutoff)}, "
        f"{PURCHASE_MODEL} {model['log_loss']:.4f}"
    )
    if _beats(best, figures, naive):
        return True, verdict + ", so it is used."
    if ours["log_loss"] < model["log_loss"]:
        verdict += f"; on the cutoffs before it was {best.loss:.4f} against {naive:.4f}"
    return False, verdict + ", so the purchase model is used."


def _alarm(best: _Trial, classifier_auc: float, test: Examples) -> str | None:
    """Which score is too good to be true, if any is: a column that knows what is to come."""
    scores = {best.name: classifier_auc}
    for name, values in zip(test.names, test.features.T, strict=True):
        value = auc(test.churned, values)
        scores[name] = max(value, 1 - value)
    name = max(scores, key=scores.__getitem__)
    if scores[name] <= TOO_GOOD:
        return None
    return (
        f"{name} has AUC {scores[name]:.3f} on the test cutoff {day(test.cutoff)}, which is too "
        "good to be true: a column of the log seems to know what came after the cutoff"
    )


def _trials(past: Sequence[Examples], horizon: Duration) -> tuple[list[_Trial], float]:
    """Every candidate on either set of inputs, and the purchase model's own validation loss."""
    folds = _folds(past, horizon)
    naive = [log_loss(validation.churned, validation.no_purchase) for _, validation in folds]
    trials = []
    for names in (PLAIN, past[-1].names):
        losses: dict[str, list[float]] = {kind: [] for kind in CANDIDATES}
        for earlier, validation in folds:
            for kind, classifier in _fit(names, earlier).items():
                probability = classifier.probability(validation.columns(names))
                losses[kind].append(log_loss(validation.churned, probability))
        trials += [_Trial(kind, names, _mean(loss)) for kind, loss in losses.items()]
    return trials, _mean(naive)


def _folds(
    past: Sequence[Examples], horizon: Duration
) -> Sequence[tuple[Sequence[Examples], Examples]]:
    """The newest training cutoffs, each with the cutoffs whose labels had ended by then."""
    h = dt.timedelta(round(horizon.to("day")))
    all_folds = [
        ([examples for examples in past if examples.cutoff + h <= v.cutoff], v) for v in past
    ]
    return [(earlier, v) for earlier, v in all_folds if earlier][-FOLDS:]


def _mean(losses: Sequence[float]) -> float:
    """NaN without any: then min() takes the first trial, which overfits least."""
    return float(np.mean(losses)) if losses else float("nan")


def _fit(
    names: Sequence[str], panel: Sequence[Examples], kinds: Sequence[str] = CANDIDATES
) -> dict[str, Classifier]:
    """Candidates fitted on all cutoffs but the newest, and calibrated on that.

    With one cutoff there is nothing to calibrate on: they stay as they are.
    """
    older, newest = panel[:-1] or panel, panel[-1]
    X = np.concatenate([examples.columns(names) for examples in older])
    parts = fit_parts(X, np.concatenate([examples.churned for examples in older]), kinds)
    fitted = {kind: assemble(kind, names, parts, X) for kind in kinds}
    if len(panel) < 2:
        return fitted
    fresh = newest.columns(names)
    return {kind: calibrate(part, fresh, newest.churned) for kind, part in fitted.items()}


def _refitted(trials: Sequence[_Trial], panel: Sequence[Examples]) -> dict[str, Classifier]:
    """The classifiers of trials by name, fitted on a panel; what they share is fitted once."""
    fitted_by_name: dict[str, Classifier] = {}
    for names in dict.fromkeys(trial.inputs for trial in trials):
        group = [trial for trial in trials if trial.inputs == names]
        fitted = _fit(names, panel, [trial.kind for trial in group])
        fitted_by_name |= {trial.name: fitted[trial.kind] for trial in group}
    return fitted_by_name


def _figures(
    past: Sequence[Examples],
    test: Examples,
    trials: Sequence[_Trial],
    fitted: Mapping[str, Classifier],
    naive: float,
) -> list[dict[str, Any]]:
    base = np.full(
        len(test.churned), np.mean(np.concatenate([examples.churned for examples in past]))
    )
    scores = {
        PURCHASE_MODEL: test.no_purchase,
        "churn rate of the past": base,
        "time since last purchase": test.since_last,
        "1 - P(alive)": 1 - test.alive,
    }
    for trial in trials:
        scores[trial.name] = fitted[trial.name].probability(test.columns(trial.inputs))
    validation = {trial.name: trial.loss for trial in trials} | {PURCHASE_MODEL: naive}
    best = min(trials, key=lambda trial: trial.loss).name
    return [
        {
            "score": name,
            "chosen": name == best,
            "validation": validation.get(name, float("nan")),
            **judge(test.churned, score),
        }
        for name, score in scores.items()
    ]
