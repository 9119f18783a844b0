"""Churn without contracts: P(no purchase in the next h), from a classifier or the purchase model.

A panel of cutoffs turns one order log into labelled examples: at each cutoff, features and the
purchase model see only what came before; the label is "no purchase in (cutoff, cutoff + h]".
What is shipped, and why, is settled in ``learning``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT

from clv.churn.attribution import product_contributions
from clv.churn.classifier import Classifier, load_parts, save_parts
from clv.churn.training_rows import PLAIN, buys_if_alive, inputs
from clv.data.days import Day
from clv.data.features import (
    CHANNEL,
    FEATURES,
    LOG_FEATURES,
    PRODUCTS,
    YEAR,
    Columns,
    in_memory,
    needs,
    with_behaviour,
)
from clv.history import History
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.schema import Floats, as_frame

if TYPE_CHECKING:
    import pandas as pd

PURCHASE_MODEL = "P(no purchase in h)"

# What each input of a classifier speaks of; a channel's input speaks of the channel.
TOPIC_OF: Mapping[str, str] = {
    "alive": "silence",
    "buys_if_alive": "pace",
    PRODUCTS: "products",
    **dict.fromkeys(YEAR, "season"),
    **{name: feature.topic for name, feature in (FEATURES | LOG_FEATURES).items()},
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "horizon", Duration.parse(self.horizon))

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

    @property
    def reads_log(self) -> bool:
        """Whether the classifier reads columns that ``attach`` adds."""
        return self.classifier is not None and bool(set(self.classifier.inputs) - set(PLAIN))

    def attach(self, summary: IntoFrameT, log: IntoFrame, as_of: Day, unit: Unit) -> IntoFrameT:
        """The summary with the columns of the log that the classifier needs, if it needs any."""
        if not self.reads_log:
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

    def require_sound(self) -> None:
        """Raise ``ValueError`` unless each classifier gives a probability and its reasons."""
        for classifier in self._classifiers():
            classifier.require_sound()

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


def classifier_effects(classifier: Classifier, X: Floats) -> ChurnEffects:
    """The classifier's contributions, summed over the inputs of each topic."""
    each, topic_of = classifier.contributions(X), topics_of(classifier.inputs)
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
    average = base or average_survival(alive, no_purchase)
    averages = (average["alive"], average["buys_if_alive"], average["buys"])
    buys = buys_if_alive(alive, no_purchase)
    values = -product_contributions(alive, buys, *averages)
    return ChurnEffects(
        ("silence", "pace"), values, 1 - alive * buys, 1 - averages[2], "probability"
    )


def average_survival(alive: Floats, no_purchase: Floats) -> dict[str, float]:
    """Means of P(alive), P(purchase | alive) and P(purchase): what effects are measured against."""
    buys = buys_if_alive(alive, no_purchase)
    return {
        "alive": float(alive.mean()),
        "buys_if_alive": float(buys.mean()),
        "buys": float((alive * buys).mean()),
    }


def topics_of(names: Sequence[str]) -> dict[str, str]:
    """The topic of each input."""
    return {name: "channel" if name.startswith(CHANNEL) else TOPIC_OF[name] for name in names}
