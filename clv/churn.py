"""Churn without contracts: P(no purchase in the next h), learned where learning pays.

A panel of cutoffs turns one order log into labelled examples: at each cutoff, features and the
purchase model see only what came before; the label is "no purchase in (cutoff, cutoff + h]".
Validation runs forward in time, a random split would be optimistic. The classifier is shipped only
if it beats the purchase model's own P(no purchase in h), which needs no labels at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from clv.data.features import FEATURES, features
from clv.data.summary import split_holdout
from clv.errors import FitError, InputError, ModelError
from clv.evaluate import auc, brier_score, log_loss
from clv.periods import Duration, Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel
from clv.schema import Floats, as_frame, numbers

if TYPE_CHECKING:
    import pandas as pd

MODEL_FEATURES = ("probability_no_purchase", "expected_purchases")
PURCHASE_MODEL = "P(no purchase in h)"
FEWEST = 20  # customers of either outcome that a cutoff needs to teach anything

# What a saved classifier may consist of; anything else in its file is refused.
TRUSTED = (
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.frozen._frozen.FrozenEstimator",
)


@dataclass(frozen=True)
class Examples:
    """Labelled customers at one cutoff: features (n, k), churned (n,), two baseline scores."""

    cutoff: dt.date
    features: Floats
    churned: Floats
    no_purchase: Floats
    since_last: Floats


@dataclass(frozen=True)
class ChurnModel:
    """P(no purchase in the next ``horizon``) for any customer of a summary.

    Attributes
    ----------
    horizon
        h; the label is "no purchase in h".
    classifier
        A calibrated scikit-learn classifier, or None: then the purchase model's P(no purchase in
        h) is the score.
    reason
        Why it is that one, in words.
    figures
        One row per candidate and baseline at the test cutoff: score, auc, brier, log_loss.
    cutoffs
        The training cutoffs and, last, the test cutoff; empty without enough history.
    churn_rate
        Share that did not buy in h after the test cutoff.
    """

    horizon: Duration
    classifier: Any | None
    reason: str
    figures: tuple[Mapping[str, Any], ...] = ()
    cutoffs: tuple[str, ...] = ()
    churn_rate: float | None = None
    source: str = field(default=PURCHASE_MODEL)

    def predict(self, summary: IntoFrame, purchases: PurchaseModel, unit: Unit) -> Floats:
        """Churn probabilities of shape (n,), in row order."""
        if self.classifier is None:
            return purchases.probability_of_no_purchase(self.horizon.to(unit), summary)
        columns = _columns(summary, purchases, self.horizon.to(unit))
        with threadpool_limits(1):
            churned = self.classifier.predict_proba(columns)[:, 1]
        return np.asarray(churned, dtype=np.float64)

    def table(self) -> pd.DataFrame:
        """The figures as a table, best log loss first."""
        import pandas as pd

        return pd.DataFrame(list(self.figures))

    def to_dict(self) -> dict[str, Any]:
        """All but the classifier, as JSON values."""
        return {
            "horizon": str(self.horizon),
            "source": self.source,
            "reason": self.reason,
            "features": [*FEATURES, *MODEL_FEATURES] if self.classifier is not None else [],
            "figures": [
                {k: None if v != v else v for k, v in row.items()} for row in self.figures
            ],  # JSON has no NaN
            "cutoffs": list(self.cutoffs),
            "churn_rate": self.churn_rate,
        }

    def save_classifier(self, path: Path) -> None:
        """Write the classifier with skops."""
        from skops.io import dump

        dump(self.classifier, path)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], classifier: Path | None) -> ChurnModel:
        """The model that ``to_dict`` and ``save_classifier`` wrote."""
        return cls(
            horizon=Duration.parse(saved["horizon"]),
            classifier=_load(classifier) if classifier else None,
            reason=saved["reason"],
            figures=tuple(saved["figures"]),
            cutoffs=tuple(saved["cutoffs"]),
            churn_rate=saved["churn_rate"],
            source=saved["source"],
        )


def fit_churn(
    log: IntoFrame,
    horizon: Duration,
    unit: Unit = "week",
    step: Duration = Duration(1, "month"),  # noqa: B008 - frozen
    max_cutoffs: int = 7,
) -> ChurnModel:
    """Learn churn from a clean log, or say why the purchase model is the better score.

    Parameters
    ----------
    log
        A clean log (customer_id, date, amount).
    horizon
        h: 2 to 3 usual gaps between purchases.
    unit
        Time unit of the features and the purchase model.
    step, max_cutoffs
        Training cutoffs lie ``step`` apart, at most so many.

    Returns
    -------
    ChurnModel
        The test cutoff is the newest with a full h after it. A candidate is chosen on the newest
        training cutoff, judged once on the test cutoff, and refitted on all of them.
    """
    test, training = cutoffs(log, horizon, step, max_cutoffs)
    panel = _panel(log, [*training, test], horizon, unit) if training else []
    if len(panel) < 2 or panel[-1].cutoff != test:
        return ChurnModel(
            horizon,
            None,
            f"the log is too short or too thin to learn from: it takes a training cutoff {horizon} "
            f"before the test cutoff {test}, each with {FEWEST} customers who did and {FEWEST} who "
            f"did not buy in the {horizon} after it; so {PURCHASE_MODEL} is used, unvalidated.",
        )
    with threadpool_limits(1):  # trees on a busy machine: threads that wait cost 100 times more
        return _learn(panel, horizon)


def _panel(
    log: IntoFrame, days: Sequence[dt.date], horizon: Duration, unit: Unit
) -> list[Examples]:
    """Examples at the cutoffs that have enough of both outcomes, and repeat buyers before them."""
    found = []
    for cutoff in days:
        with suppress(FitError):
            one = examples(log, cutoff, horizon, unit)
            if FEWEST <= one.churned.sum() <= len(one.churned) - FEWEST:
                found.append(one)
    return found


def _learn(panel: Sequence[Examples], horizon: Duration) -> ChurnModel:
    past, newest = panel[:-1], panel[-1]
    name = _choose(past, horizon)
    rows = _figures(past, newest, name)
    loss = {row["score"]: row["log_loss"] for row in rows}
    wins = loss[name] < loss[PURCHASE_MODEL]
    verdict = (
        f"{name} has log loss {loss[name]:.4f} on the test cutoff {newest.cutoff}, "
        f"{PURCHASE_MODEL} {loss[PURCHASE_MODEL]:.4f}"
    )
    return ChurnModel(
        horizon=horizon,
        classifier=_calibrated(name, panel) if wins else None,
        reason=verdict + (", so it is used." if wins else ", so the purchase model is used."),
        figures=tuple(sorted(rows, key=lambda row: (np.isnan(row["log_loss"]), row["log_loss"]))),
        cutoffs=tuple(one.cutoff.isoformat() for one in panel),
        churn_rate=float(newest.churned.mean()),
        source=name if wins else PURCHASE_MODEL,
    )


def cutoffs(
    log: IntoFrame, horizon: Duration, step: Duration, most: int
) -> tuple[dt.date, list[dt.date]]:
    """The test cutoff, h before the end of the log, and the training cutoffs, oldest first.

    A training cutoff ends its label window by the test cutoff and has at least h of history.
    """
    ends = as_frame(log, "the log").select(
        first=nw.col("date").cast(nw.Date).min(), last=nw.col("date").cast(nw.Date).max()
    )
    first, last = ends.collect().row(0)
    h, gap = dt.timedelta(round(horizon.to("day"))), dt.timedelta(round(step.to("day")))
    if gap.days < 1:
        raise InputError(f"a step of {step} between cutoffs is less than a day.")
    test = last - h
    found = [test - h - i * gap for i in range(most) if test - h - i * gap >= first + h]
    return test, found[::-1]


def examples(log: IntoFrame, cutoff: dt.date, horizon: Duration, unit: Unit) -> Examples:
    """Features at ``cutoff`` and what happened in the next h.

    The purchase model behind two of the features is fitted on the summary as of the cutoff.
    """
    end = cutoff + dt.timedelta(round(horizon.to("day")))
    table: Any = split_holdout(log, cutoff, end, unit)
    rows = as_frame(table).collect()
    purchases = BetaGeoNBD(unit=unit).fit(rows.to_native())
    columns = _columns(rows.to_native(), purchases, horizon.to(unit))
    return Examples(
        cutoff=cutoff,
        features=columns,
        churned=(numbers(rows, "holdout_frequency") == 0).astype(np.float64),
        no_purchase=columns[:, len(FEATURES)],
        since_last=numbers(rows, "days_since_last"),
    )


def _columns(summary: IntoFrame, purchases: PurchaseModel, h: float) -> Floats:
    silent = purchases.probability_of_no_purchase(h, summary)
    expected = purchases.conditional_expected_purchases(h, summary)
    return np.column_stack([features(summary), silent, np.log1p(expected)])


def _candidates() -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic regression": make_pipeline(
            StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)
        ),
        "gradient boosting": HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=150, max_leaf_nodes=15, min_samples_leaf=50, random_state=0
        ),
    }


def _choose(past: Sequence[Examples], horizon: Duration) -> str:
    """The candidate with the least log loss on the newest training cutoff."""
    validation = past[-1]
    h = dt.timedelta(round(horizon.to("day")))
    earlier = [one for one in past if one.cutoff + h <= validation.cutoff]
    if not earlier:
        return "logistic regression"  # nothing to choose by: the candidate that overfits least
    losses = {
        name: log_loss(
            validation.churned, _fitted(name, earlier).predict_proba(validation.features)[:, 1]
        )
        for name in _candidates()
    }
    return min(losses, key=losses.__getitem__)


def _fitted(name: str, panel: Sequence[Examples]) -> Any:
    X = np.concatenate([one.features for one in panel])
    return clone(_candidates()[name]).fit(X, np.concatenate([one.churned for one in panel]))


def _calibrated(name: str, panel: Sequence[Examples]) -> Any:
    """Fitted on all cutoffs but the newest, calibrated on that; with one cutoff, as it is.

    By a sigmoid: isotonic steps of exactly 0 and 1 cost more log loss than they repair (CDNOW, 13
    weeks: 0.328 against 0.303).
    """
    if len(panel) < 2:
        return _fitted(name, panel)
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    newest = panel[-1]
    estimator = FrozenEstimator(_fitted(name, panel[:-1]))
    calibrated = CalibratedClassifierCV(estimator, method="sigmoid")
    return calibrated.fit(newest.features, newest.churned)


def _figures(past: Sequence[Examples], test: Examples, chosen: str) -> list[dict[str, Any]]:
    base = np.full(len(test.churned), np.mean(np.concatenate([one.churned for one in past])))
    scores = {
        PURCHASE_MODEL: test.no_purchase,
        "churn rate of the past": base,
        "time since last purchase": test.since_last,
    }
    for name in _candidates():
        scores[name] = _calibrated(name, past).predict_proba(test.features)[:, 1]
    return [
        {"score": name, "chosen": name == chosen, **judge(test.churned, score)}
        for name, score in scores.items()
    ]


def judge(churned: Floats, score: Floats) -> dict[str, float]:
    """AUC, Brier score and log loss; the last two are NaN for a score that is no probability."""
    figures = {"auc": auc(churned, score)}
    if np.any((score < 0) | (score > 1)):
        return figures | {"brier": float("nan"), "log_loss": float("nan")}
    figures["brier"] = brier_score(churned, score)
    return figures | {"log_loss": log_loss(churned, np.clip(score, 1e-12, 1 - 1e-12))}


def _load(path: Path) -> Any:
    """Read a classifier that consists of nothing but scikit-learn's parts in ``TRUSTED``."""
    from skops.io import get_untrusted_types, load

    unknown = sorted(set(get_untrusted_types(file=path)) - set(TRUSTED))
    if unknown:
        raise ModelError(
            f"{path.name} contains types that no model of this package has: {', '.join(unknown)}.",
            hint="do not load it; train the model again from the order log.",
        )
    return load(path, trusted=list(TRUSTED))
