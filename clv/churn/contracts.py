"""Churn under contracts: who left is known, so a plain classifier of what is known of customers.

A table of customers with the event beside it, such as a telecom's: tenure, contract, charges,
churned or not. The outputs are those of :mod:`clv.churn.model`: a probability, figures beside
baselines, importance and reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT
from numpy.typing import NDArray

from clv.churn.classifier import (
    BLEND,
    BOOSTED,
    LOGISTIC,
    Classifier,
    assemble,
    calibrate,
    fit_parts,
    importance,
)
from clv.churn.contract_columns import (
    ContractColumn,
    as_numbers,
    as_texts,
    describe,
    encode_columns,
    topics_of_columns,
    usable_columns,
)
from clv.churn.contract_verdict import choose, figures_of, tenure_figures, verdict_on
from clv.churn.reasons import tell
from clv.churn.score_effects import ChurnEffects
from clv.errors import ColumnError, FitError
from clv.format import count
from clv.io.estimators import load_estimators, save_estimators
from clv.schema import Floats, as_frame, collect, require_columns, same_kind

if TYPE_CHECKING:
    import pandas as pd

CANDIDATES = (LOGISTIC, BOOSTED, BLEND)
SPLIT = (
    "customers were split at random, not in time: the table does not say when what it holds was "
    "known, so the figures hold only if every column was known before the event"
)
TENURE = "tenure"  # taken without being named
FEWEST = 50  # customers of either outcome


@dataclass(frozen=True)
class ContractChurn:
    """P(event) for customers under contract.

    Attributes
    ----------
    event
        The column that was learned.
    columns
        What it is learned from.
    classifier
        The calibrated classifier; None where it does not beat the churn rate alone.
    churn_rate
        Share of customers with the event.
    reason
        Which score is used and why, in words; how customers were split.
    figures
        One row per candidate and baseline on the held-out quarter: score, auc, brier, log_loss.
    importance_rows
        What ``importance`` shows.
    ignored
        Columns that were left out, each with the reason.
    """

    event: str
    columns: tuple[ContractColumn, ...]
    classifier: Classifier | None
    churn_rate: float
    reason: str
    figures: tuple[Mapping[str, Any], ...] = ()
    importance_rows: tuple[Mapping[str, Any], ...] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)

    def predict(self, table: IntoFrame) -> Floats:
        """P(event), shape (n,), in row order."""
        X = encode_columns(table, self.columns)
        if self.classifier is None:
            return np.full(len(X), self.churn_rate)
        return self.classifier.probability(X)

    def effects(self, table: IntoFrame) -> ChurnEffects:
        """What each column added to the log odds, exactly, against the average customer."""
        classifier = self._require()
        X = encode_columns(table, self.columns)
        each, topics = classifier.contributions(X), topics_of_columns(self.columns)
        names = tuple(column.name for column in self.columns)
        member = np.array([[topics[i] == name for name in names] for i in classifier.inputs])
        score, average = classifier.log_odds(X), classifier.average_log_odds
        return ChurnEffects(names, each @ member, score, average, "log odds")

    def reasons(self, table: IntoFrameT, top: int = 3) -> IntoFrameT:
        """reason_1, effect_1, ... per row, as :func:`~clv.churn.reasons.churn_reasons` has them."""
        rows = collect(table, [column.name for column in self.columns], "the table")
        words = {column.name: describe(column) for column in self.columns}
        facts = {
            column.name: as_texts(rows[column.name])
            if column.levels
            else as_numbers(rows[column.name])
            for column in self.columns
        }
        reasons = tell(rows, self.effects(rows.to_native()), facts, words, top)
        names = [f"{kind}_{i + 1}" for i in range(top) for kind in ("reason", "effect")]
        return same_kind(reasons.select(name for name in names if name in reasons.columns), table)

    @property
    def importance(self) -> pd.DataFrame:
        """One row per column, as :attr:`clv.churn.model.ChurnModel.importance`."""
        import pandas as pd

        return pd.DataFrame(list(self.importance_rows))

    def table(self) -> pd.DataFrame:
        """The figures as a table, best log loss first."""
        import pandas as pd

        return pd.DataFrame(list(self.figures))

    def to_dict(self) -> dict[str, Any]:
        """All but the parts of the classifier, as JSON values."""
        return {
            "event": self.event,
            "columns": [column.to_dict() for column in self.columns],
            "classifier": self.classifier.to_dict() if self.classifier else None,
            "churn_rate": self.churn_rate,
            "reason": self.reason,
            "figures": [
                {k: None if v != v else v for k, v in row.items()} for row in self.figures
            ],  # JSON has no NaN
            "importance": [dict(row) for row in self.importance_rows],
            "ignored": dict(self.ignored),
        }

    def save_classifier(self, path: Path) -> None:
        """Write the parts of the classifier with skops."""
        save_estimators(path, list(self._require().parts))

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], classifier: Path | None) -> Self:
        """The model that ``to_dict`` and ``save_classifier`` wrote.

        Raises
        ------
        ModelError
            The file holds types that no model of this package has.
        """
        parts = load_estimators(classifier) if classifier else []
        classifier_state = saved["classifier"]
        return cls(
            event=saved["event"],
            columns=tuple(ContractColumn.from_dict(column) for column in saved["columns"]),
            classifier=Classifier.from_dict(classifier_state, parts) if classifier_state else None,
            churn_rate=saved["churn_rate"],
            reason=saved["reason"],
            figures=tuple(saved["figures"]),
            importance_rows=tuple(saved["importance"]),
            ignored=saved["ignored"],
        )

    def _require(self) -> Classifier:
        if self.classifier is None:
            raise FitError(f"there is no classifier: {self.reason}.")
        return self.classifier


def fit_contract_churn(
    table: IntoFrame,
    event: str = "Churn",
    ignore: Sequence[str] = (),
    tenure: str = TENURE,
    seed: int = 0,
) -> ContractChurn:
    """Learn who leaves from a table of customers under contract.

    Parameters
    ----------
    table
        Any dataframe, one row per customer: the event, and what was known of the customer before.
    event
        The column that says who left: booleans, 0 and 1, or yes and no.
    ignore
        Columns that must not be used: identifiers, and whatever became known with the event.
    tenure
        The column whose shortness is shown as a baseline; "tenure" only if the table has it.
    seed
        Of the random split.

    Returns
    -------
    ContractChurn
        A candidate is chosen by log loss on one quarter of the customers, on which it has to beat
        the churn rate beyond chance, and judged once on another, whose figures are those quoted; it
        is refitted on three quarters, calibrated on the last. Numbers and texts are both inputs;
        a text column of numbers is one of numbers.

    Raises
    ------
    ColumnError
        The event is missing or is not one, or the table has no column that is named.
    FitError
        Fewer than 50 customers left, or stayed.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"tenure": rng.integers(1, 60, 600),
    ...                       "plan": rng.choice(["monthly", "yearly"], 600)})
    >>> leaves = np.where(table["plan"] == "monthly", 0.6, 0.1)
    >>> churn = fit_contract_churn(table.assign(Churn=rng.random(600) < leaves))
    >>> risk = churn.predict(pd.DataFrame({"tenure": [12, 12], "plan": ["monthly", "yearly"]}))
    >>> bool(risk[0] > 3 * risk[1])
    True
    """
    frame = as_frame(table)
    require_columns(frame, [*ignore, *([] if tenure == TENURE else [tenure])])
    rows = frame.collect()
    happened = _event(rows, event)
    churned = int(happened.sum())
    if min(churned, len(happened) - churned) < FEWEST:
        raise FitError(
            f"{count(churned)} of {count(len(happened))} customers left; it takes {FEWEST} who did "
            f"and {FEWEST} who did not.",
            hint="take a longer period or more customers.",
        )
    columns, ignored = usable_columns(rows, {event, *ignore})
    X = np.column_stack([column.encode(rows[column.name]) for column in columns])
    order = np.lexsort((happened, *X.T))  # any order of the rows gives the same model
    return _learn(X[order], happened[order], columns, ignored, event, tenure, seed)


def setting(table: IntoFrame, event: str = "Churn") -> tuple[str, str]:
    """("contractual" or "non-contractual", why): which kind of churn a table can teach.

    A log of purchases says only when customers bought: whether one left is never seen. A table
    with an event says who left.

    Raises
    ------
    ColumnError
        The table is neither.

    Examples
    --------
    >>> import pandas as pd
    >>> setting(pd.DataFrame({"tenure": [3, 40], "Churn": ["Yes", "No"]}))
    ('contractual', "the column 'Churn' says who left; use fit_contract_churn")
    """
    names = as_frame(table).collect_schema().names()
    if event in names:
        return "contractual", f"the column {event!r} says who left; use fit_contract_churn"
    if {"customer_id", "date"} <= set(names):
        return "non-contractual", (
            "it is a log of purchases, in which nobody is seen to leave; use fit_churn"
        )
    raise ColumnError(
        f"the table has neither an event {event!r} nor customer_id and date.",
        hint=f"name the event, or clean() the log first; there are {', '.join(names)}.",
    )


def _learn(
    X: Floats,
    happened: Floats,
    columns: Sequence[ContractColumn],
    ignored: Mapping[str, str],
    event: str,
    tenure: str,
    seed: int,
) -> ContractChurn:
    names = [name for column in columns for name in column.inputs]
    quarter = _quarters(happened, seed)
    older, calibration, test = quarter < 2, quarter == 2, quarter == 3
    parts = fit_parts(X[older], happened[older])
    fitted = {
        kind: calibrate(
            assemble(kind, names, parts, X[older]), X[calibration], happened[calibration]
        )
        for kind in CANDIDATES
    }
    rate = float(happened[older].mean())
    best, beyond_chance = choose(fitted, X[calibration], happened[calibration], rate)
    rows = figures_of(fitted, best, X[test], happened[test], float(happened[~test].mean()))
    rows += tenure_figures(columns, names, tenure, X[test], happened[test])
    wins, reason = verdict_on(rows, best, beyond_chance)
    weights = importance(fitted[best], X[test], happened[test], topics_of_columns(columns))
    return ContractChurn(
        event=event,
        columns=tuple(columns),
        classifier=_refit(best, names, X, happened, test) if wins else None,
        churn_rate=float(happened.mean()),
        reason=f"{reason}; {SPLIT}",
        figures=tuple(sorted(rows, key=lambda row: (np.isnan(row["log_loss"]), row["log_loss"]))),
        importance_rows=tuple(weights) if wins else (),
        ignored=dict(ignored),
    )


def _refit(
    kind: str, names: Sequence[str], X: Floats, happened: Floats, last: NDArray[np.bool_]
) -> Classifier:
    parts = fit_parts(X[~last], happened[~last], [kind])
    classifier = assemble(kind, names, parts, X[~last])
    return calibrate(classifier, X[last], happened[last]).about(X)


def _quarters(happened: Floats, seed: int) -> NDArray[np.intp]:
    """A quarter, 0 to 3, for each customer: at random, each with the same share of events."""
    rng, quarter = np.random.default_rng(seed), np.empty(len(happened), dtype=np.intp)
    for outcome in (0.0, 1.0):
        rows = rng.permutation(np.flatnonzero(happened == outcome))
        quarter[rows] = np.arange(len(rows)) % 4
    return quarter


def _event(rows: nw.DataFrame[Any], event: str) -> Floats:
    if event not in rows.columns:
        raise ColumnError(
            f"the table has no column {event!r}.",
            hint=f"name the event; there are {', '.join(rows.columns)}.",
        )
    words = {"yes": 1.0, "true": 1.0, "1": 1.0, "1.0": 1.0, "no": 0.0, "false": 0.0, "0": 0.0}
    words["0.0"] = 0.0
    texts = [text.lower() for text in as_texts(rows[event])]
    foreign = sorted(set(texts) - set(words))
    if foreign:
        raise ColumnError(
            f"{event!r} holds {', '.join(map(repr, foreign[:3]))}, which is neither yes nor no.",
            hint="an event is a column of booleans, 0 and 1, or yes and no, without gaps.",
        )
    return np.array([words[text] for text in texts])
