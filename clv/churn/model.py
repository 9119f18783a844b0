"""Churn without contracts: P(no purchase in the next h), learned where learning pays.

A panel of cutoffs turns one order log into labelled examples: at each cutoff, features and the
purchase model see only what came before; the label is "no purchase in (cutoff, cutoff + h]".
Validation runs forward in time, a random split would be optimistic. The classifier is shipped only
if it beats the purchase model's own P(no purchase in h), which needs no labels at all.

Two sets of inputs compete: what every summary says, and what only the log knows besides. Where the
latter wins, a classifier of the former is kept too, for summaries that come without a log.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT

from clv.churn.attribution import product_contributions
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
    load_parts,
    save_parts,
)
from clv.churn.training_rows import (
    FEWEST,
    PLAIN,
    Examples,
    buys_if_alive,
    collect_examples,
    cutoffs,
    inputs,
)
from clv.data.days import Day
from clv.data.features import CHANNEL, PRODUCTS, YEAR, Columns, in_memory, needs, with_behaviour
from clv.evaluate import auc, log_loss
from clv.history import History
from clv.periods import Duration, Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel
from clv.schema import Floats, as_frame

if TYPE_CHECKING:
    import pandas as pd

PURCHASE_MODEL = "P(no purchase in h)"
CANDIDATES = (LOGISTIC, BOOSTED, BLEND)
FOLDS = 3  # the newest training cutoffs on which candidates are compared
TOO_GOOD = 0.98  # an AUC above it means that a feature knows the future,
EASY = 0.95  # unless the purchase model, which cannot know it, comes this far by itself

TOPICS: Mapping[str, tuple[str, ...]] = {
    "silence": ("since_last", "gaps_silent", "alive"),
    "pace": ("frequency", "usual_gap", "buys_if_alive"),
    "age": ("age",),
    "spend": ("first_amount", "mean_amount", "last_amount"),
    "rhythm": ("gap_spread", "last_gap", "last_gap_share"),
    "trend": ("recent", "earlier"),
    "products": (PRODUCTS,),
    "season": YEAR,
}


@dataclass(frozen=True)
class ChurnEffects:
    """What moved each customer's churn score away from the base's average.

    Attributes
    ----------
    topics
        What the k columns are about.
    values
        Shape (n, k); positive raises the risk. Rows add up to ``score - average``.
    score, average
        Each customer's score and the base's average, on ``scale``.
    scale
        "log odds", or "probability" where the purchase model is the score.
    typical_amount
        The base's usual amount per purchase, None where money is no input.
    """

    topics: tuple[str, ...]
    values: Floats
    score: Floats
    average: float
    scale: str
    typical_amount: float | None = None


@dataclass(frozen=True)
class ChurnModel:
    """P(no purchase in the next ``horizon``) for any customer of a summary.

    Attributes
    ----------
    horizon
        h; the label is "no purchase in h".
    classifier
        The classifier that won, or None: then the purchase model's P(no purchase in h) is the
        score.
    reason
        Why it is that one, in words.
    figures
        One row per candidate and baseline: validation (mean log loss on the training cutoffs it
        was chosen by), and auc, brier, log_loss at the test cutoff.
    cutoffs
        The training cutoffs and, last, the test cutoff; empty without enough history.
    churn_rate
        Share that did not buy in h after the test cutoff.
    source
        The score in ``figures`` that is used.
    plain
        The classifier for summaries without the columns that only the log gives; None if
        ``classifier`` needs none or the purchase model is better.
    importance_rows
        What ``importance`` shows.
    base
        Averages of the newest customers: alive, buys_if_alive, buys. Reasons start from them.
    """

    horizon: Duration
    classifier: Classifier | None
    reason: str
    figures: tuple[Mapping[str, Any], ...] = ()
    cutoffs: tuple[str, ...] = ()
    churn_rate: float | None = None
    source: str = field(default=PURCHASE_MODEL)
    plain: Classifier | None = None
    importance_rows: tuple[Mapping[str, Any], ...] = ()
    base: Mapping[str, float] = field(default_factory=dict)

    def predict(
        self,
        summary: IntoFrame | Columns,
        purchases: PurchaseModel,
        unit: Unit,
        no_purchase: Floats | None = None,
        history: History | None = None,
    ) -> Floats:
        """Churn probabilities of shape (n,), in row order.

        ``no_purchase`` is P(no purchase in h), and ``history`` the summary's, where they are
        known already; then the summary may also be arrays by the names of its columns. Which score
        it is, ``used`` says: it depends on the columns of the summary, see ``attach``.
        """
        rows, h = in_memory(summary), self.horizon.to(unit)
        if no_purchase is None:
            no_purchase = purchases.probability_of_no_purchase(h, rows)
        classifier, _ = self._classifier_for(rows)
        if classifier is None:
            return no_purchase
        X = inputs(rows, purchases, h, classifier.inputs, no_purchase, history)
        return classifier.probability(X)

    def attach(self, summary: IntoFrameT, log: IntoFrame, as_of: Day, unit: Unit) -> IntoFrameT:
        """The summary with the columns of the log that the classifier needs, if it needs any."""
        if self.classifier is None or not set(self.classifier.inputs) - set(PLAIN):
            return summary
        return with_behaviour(summary, log, as_of, self.horizon, unit)

    def used(self, summary: IntoFrame) -> str:
        """Which score ``predict`` gives for a summary with these columns, and why, in words."""
        return self._classifier_for(summary)[1]

    def effects(self, summary: IntoFrame, purchases: PurchaseModel, unit: Unit) -> ChurnEffects:
        """What moved each customer's score, exactly; ``clv.churn.reasons`` says it in words."""
        rows, h = in_memory(summary), self.horizon.to(unit)
        no_purchase = purchases.probability_of_no_purchase(h, rows)
        classifier, _ = self._classifier_for(rows)
        if classifier is None:
            alive = purchases.probability_alive(rows)
            return _purchase_model_effects(alive, no_purchase, self.base)
        X = inputs(rows, purchases, h, classifier.inputs, no_purchase)
        return classifier_effects(classifier, X)

    @property
    def importance(self) -> pd.DataFrame:
        """What matters for the whole base, the weightiest topic first; empty without classifier.

        Columns topic, inputs, mean_effect (mean absolute contribution to the log odds) and
        loss_increase (what log loss grows by when the topic is shuffled), at the test cutoff.
        """
        import pandas as pd

        return pd.DataFrame(list(self.importance_rows))

    def table(self) -> pd.DataFrame:
        """The figures as a table, best log loss first."""
        import pandas as pd

        return pd.DataFrame(list(self.figures))

    def to_dict(self) -> dict[str, Any]:
        """All but the parts of the classifiers, as JSON values."""
        return {
            "horizon": str(self.horizon),
            "source": self.source,
            "reason": self.reason,
            "classifiers": [classifier.to_dict() for classifier in self._classifiers()],
            "figures": [
                {k: None if v != v else v for k, v in row.items()} for row in self.figures
            ],  # JSON has no NaN
            "importance": [dict(row) for row in self.importance_rows],
            "base": dict(self.base),
            "cutoffs": list(self.cutoffs),
            "churn_rate": self.churn_rate,
        }

    def save_classifier(self, path: Path) -> None:
        """Write the parts of the classifiers with skops."""
        save_parts(path, self._classifiers())

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], classifier: Path | None) -> ChurnModel:
        """The model that ``to_dict`` and ``save_classifier`` wrote."""
        parts = load_parts(classifier) if classifier else []
        loaded = [
            Classifier.from_dict(state, fitted)
            for state, fitted in zip(saved.get("classifiers", []), parts, strict=True)
        ]
        return cls(
            horizon=Duration.parse(saved["horizon"]),
            classifier=loaded[0] if loaded else None,
            reason=saved["reason"],
            figures=tuple(saved["figures"]),
            cutoffs=tuple(saved["cutoffs"]),
            churn_rate=saved["churn_rate"],
            source=saved["source"],
            plain=loaded[1] if len(loaded) > 1 else None,
            importance_rows=tuple(saved.get("importance", [])),
            base=saved.get("base", {}),
        )

    def _classifiers(self) -> list[Classifier]:
        return [
            classifier for classifier in (self.classifier, self.plain) if classifier is not None
        ]

    def _classifier_for(self, summary: IntoFrame | Columns) -> tuple[Classifier | None, str]:
        if self.classifier is None:
            return None, PURCHASE_MODEL
        needed = {needs(name) for name in self.classifier.inputs if name not in PLAIN}
        if not isinstance(summary, Mapping):
            summary = as_frame(summary, "the summary").collect_schema()
        missing = sorted(needed - set(summary))
        if not missing:
            return self.classifier, self.source
        instead = self.plain.name if self.plain else PURCHASE_MODEL
        return self.plain, (
            f"{instead}, as the summary has no {', '.join(missing)}; attach() adds what the log "
            f"has of it for {self.source}"
        )


def fit_churn(
    log: IntoFrame,
    horizon: Duration,
    unit: Unit = "week",
    step: Duration = Duration(1, "month"),  # noqa: B008 - frozen
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
    """
    test, training = cutoffs(log, horizon, step, max_cutoffs)
    panel = collect_examples(log, [*training, test], horizon, unit, model) if training else []
    if len(panel) < 2 or panel[-1].cutoff != test:
        return ChurnModel(
            horizon,
            None,
            f"the log is too short or too thin to learn from: it takes a training cutoff {horizon} "
            f"before the test cutoff {test}, each with {FEWEST} customers who did and {FEWEST} who "
            f"did not buy in the {horizon} after it; so {PURCHASE_MODEL} is used, unvalidated.",
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
        base=_base(newest.alive, newest.no_purchase),
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
        importance_rows=tuple(importance(judged, X, newest.churned, _topics(best.inputs))),
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
        f"{best.name} has log loss {ours['log_loss']:.4f} on the test cutoff {test.cutoff}, "
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
        f"{name} has AUC {scores[name]:.3f} on the test cutoff {test.cutoff}, which is too good to "
        "be true: a column of the log seems to know what came after the cutoff"
    )


def classifier_effects(classifier: Classifier, X: Floats) -> ChurnEffects:
    """The classifier's contributions, summed over the inputs of each topic."""
    each, topic_of = classifier.contributions(X), _topics(classifier.inputs)
    topics = tuple(dict.fromkeys(topic_of[name] for name in classifier.inputs))
    member = np.array([[topic_of[name] == topic for topic in topics] for name in classifier.inputs])
    money = dict(zip(classifier.inputs, classifier.average, strict=True)).get("mean_amount")
    return ChurnEffects(
        topics,
        each @ member,
        classifier.log_odds(X),
        classifier.average_log_odds,
        "log odds",
        None if money is None else float(np.expm1(money)),
    )


def _purchase_model_effects(
    alive: Floats, no_purchase: Floats, base: Mapping[str, float]
) -> ChurnEffects:
    """P(purchase) = P(alive) P(purchase | alive): what the silence and the pace did to it."""
    average = base or _base(alive, no_purchase)
    averages = (average["alive"], average["buys_if_alive"], average["buys"])
    buys = buys_if_alive(alive, no_purchase)
    values = -product_contributions(alive, buys, *averages)
    return ChurnEffects(
        ("silence", "pace"), values, 1 - alive * buys, 1 - averages[2], "probability"
    )


def _base(alive: Floats, no_purchase: Floats) -> dict[str, float]:
    buys = buys_if_alive(alive, no_purchase)
    return {
        "alive": float(alive.mean()),
        "buys_if_alive": float(buys.mean()),
        "buys": float((alive * buys).mean()),
    }


def _topics(names: Sequence[str]) -> dict[str, str]:
    """The topic of each input."""
    topic_of = {name: topic for topic, members in TOPICS.items() for name in members}
    return {name: "channel" if name.startswith(CHANNEL) else topic_of[name] for name in names}


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
    return {kind: calibrate(examples, fresh, newest.churned) for kind, examples in fitted.items()}


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
