"""Churn without contracts: P(no purchase in the next h), from the pooled forecast of the next h.

Where no pool beats it and the base rate beyond chance, or a summary comes without what only the log
knows, the score is the purchase model's own. Why a score is what it is follows from the same trees,
exactly: see ``ChurnModel.effects``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT

from clv.churn.score_effects import ChurnEffects, of_pool, of_purchase_model, survival
from clv.data.days import Day
from clv.data.features import Columns, in_memory, with_behaviour
from clv.data.summary import summarize
from clv.errors import ModelError
from clv.forecast import READS, Pool, PooledForecast, learn_pool
from clv.forecast.adoption import POOLED, PURCHASE_MODEL
from clv.forecast.calendar import NO_CALENDAR, Calendar
from clv.forecast.inputs import Customers
from clv.history import History, read_history
from clv.periods import Duration, Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats, as_frame, collect, numbers

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ChurnModel:
    """P(no purchase in the next ``horizon``) for any customer of a summary.

    Attributes
    ----------
    horizon
        h; churn is no purchase in h.
    pool
        The pooled forecast of the next h; None: the purchase model's P(no purchase in h) is the
        score.
    reason
        Why it is that one, in words.
    figures
        One row per score at the day of the trial: score, chosen, auc, brier, log_loss.
    cutoffs
        The days after which the pool learned what followed and, last, the day of the trial.
    churn_rate
        Share that did not buy in h after that day.
    base
        Averages of the newest customers, from which reasons start; see ``clv.churn.score_effects``.
    importance_rows
        What ``importance`` shows.
    """

    horizon: Duration
    pool: Pool | None
    reason: str
    figures: tuple[Mapping[str, Any], ...] = ()
    cutoffs: tuple[str, ...] = ()
    churn_rate: float | None = None
    base: Mapping[str, float] = field(default_factory=dict)
    importance_rows: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "horizon", Duration.parse(self.horizon))

    @property
    def source(self) -> str:
        """The score in ``figures`` that is used."""
        return PURCHASE_MODEL if self.pool is None else POOLED

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of a summary that the pool reads; none without a pool."""
        return () if self.pool is None else READS

    def forecast(self, columns: Columns, purchases: PurchaseModel) -> PooledForecast | None:
        """The next h of the customers of a summary in memory; None without pool or its columns."""
        if self.pool is None or not set(READS) <= set(columns):
            return None
        return self.pool.forecast(self.pool.read(columns, purchases))

    def predict(self, summary: IntoFrame | Columns, purchases: PurchaseModel, unit: Unit) -> Floats:
        """Churn probabilities of shape (n,), in row order; ``used`` says which score it is."""
        rows = in_memory(summary)
        forecast = self.forecast(self._columns(rows), purchases)
        if forecast is not None:
            return forecast.no_purchase
        return purchases.probability_of_no_purchase(self.horizon.to(unit), _histories(rows))

    def attach(self, summary: IntoFrameT, log: IntoFrame, as_of: Day, unit: Unit) -> IntoFrameT:
        """The summary with the columns of the log that the pool needs, if there is a pool."""
        if self.pool is None:
            return summary
        return with_behaviour(summary, log, as_of, self.horizon, unit)

    def used(self, summary: IntoFrame) -> str:
        """Which score ``predict`` gives for a summary with these columns, and why, in words."""
        missing = sorted(set(self.reads) - set(as_frame(summary).collect_schema()))
        if not missing:
            return self.source
        return (
            f"{PURCHASE_MODEL}, as the summary has no {', '.join(missing)}; attach() adds what the "
            f"log has of it for the {self.source}"
        )

    def effects(self, summary: IntoFrame, purchases: PurchaseModel, unit: Unit) -> ChurnEffects:
        """What moved each customer's score, exactly; ``clv.churn.reasons`` says it in words."""
        rows = in_memory(summary)
        columns = self._columns(rows)
        if self.pool is None or not columns:
            history = _histories(rows)
            return of_purchase_model(purchases, history, self.horizon.to(unit), self.base)
        return of_pool(self.pool, self.pool.read(columns, purchases), self.base)

    @property
    def importance(self) -> pd.DataFrame:
        """What matters for the whole base, the weightiest topic first; empty without a pool.

        Columns topic, inputs and mean_effect (mean absolute effect on the probability).
        """
        import pandas as pd

        return pd.DataFrame(list(self.importance_rows))

    def table(self) -> pd.DataFrame:
        """The figures as a table, best log loss first."""
        import pandas as pd

        return pd.DataFrame(list(self.figures))

    def require_sound(
        self, summary: IntoFrame, purchases: PurchaseModel, spend: GammaGamma, unit: Unit
    ) -> None:
        """Raise ``ValueError`` unless the pool fits, and made-up customers get reasons."""
        pool = self.pool
        if pool is not None:
            # whose spend model knows no covariates
            ours = (self.horizon, unit, (pool.spend if spend.reads else spend).params_)
            if (pool.horizon, pool.unit, pool.spend.params_) != ours or not self.base:
                raise ValueError("the pooled forecast is not of this scorer")
        effects = self.effects(summary, purchases, unit)
        if not (np.isfinite(effects.values).all() and np.isfinite(effects.average)):
            raise ValueError("an effect on a churn score is no number")

    def to_dict(self) -> dict[str, Any]:
        """All but the trees of the pool, as JSON values."""
        return {
            "horizon": str(self.horizon),
            "source": self.source,
            "reason": self.reason,
            "pool": self.pool.to_dict() if self.pool else None,
            "figures": [
                {k: None if v != v else v for k, v in row.items()} for row in self.figures
            ],  # JSON has no NaN
            "importance": [dict(row) for row in self.importance_rows],
            "base": dict(self.base),
            "cutoffs": list(self.cutoffs),
            "churn_rate": self.churn_rate,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], trees: Path | None) -> ChurnModel:
        """The model that ``to_dict`` and ``pool.learner.save`` wrote.

        Raises
        ------
        ModelError
            The file holds anything but the trees of the pool, or there is one without the other.
        """
        pool = saved["pool"]
        if bool(pool) != bool(trees):
            raise ModelError("the pooled forecast and the file of its trees are not of one model.")
        return cls(
            horizon=Duration.parse(saved["horizon"]),
            pool=Pool.from_dict(pool, trees) if pool and trees else None,
            reason=saved["reason"],
            figures=tuple(saved["figures"]),
            cutoffs=tuple(saved["cutoffs"]),
            churn_rate=saved["churn_rate"],
            base=saved["base"],
            importance_rows=tuple(saved["importance"]),
        )

    def _columns(self, rows: Any) -> Columns:
        """What the pool reads of a summary in memory; nothing where it lacks some of it."""
        if isinstance(rows, Mapping):
            return rows
        if self.pool is None or self.used(rows) != self.source:
            return {}
        table = collect(rows, READS, "the summary", ("customer_id",))
        history = read_history(table.to_native())
        columns = {name: numbers(table, name, "the summary") for name in READS}
        return columns | {"frequency": history.x, "recency": history.t_x, "T": history.T}


def fit_churn(
    log: IntoFrame,
    horizon: str | Duration,
    unit: Unit = "week",
    purchases: PurchaseModel | None = None,
    spend: GammaGamma | None = None,
) -> ChurnModel:
    """Learn churn from a clean log, or say why the purchase model is the better score.

    Parameters
    ----------
    log
        A clean log (customer_id, date, amount).
    horizon
        h; :func:`clv.data.gaps.propose_horizon` proposes one.
    unit
        Time unit of the models.
    purchases, spend
        The fitted models that are asked when scores are made; BG/NBD and Gamma-Gamma, fitted on
        the log, if not given.

    Returns
    -------
    ChurnModel
        With the pooled forecast where it beats the purchase model and the base rate beyond chance
        on a day whose h had ended, by what could be learned before that day.

    Raises
    ------
    ColumnError, RowError, InputError, FitError
        The log cannot be used, or the horizon is no length of time.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"customer_id": [1, 1, 2], "amount": [9.0, 9.0, 5.0],
    ...                     "date": pd.to_datetime(["2024-01-01", "2024-03-01", "2024-06-30"])})
    >>> churn = fit_churn(log, Duration(4, "week"))
    >>> churn.pool is None, churn.reason[:23]
    (True, 'the log is too short or')
    """
    length = Duration.parse(horizon)
    if purchases is None or spend is None:
        summary = summarize(log, unit=unit)
        purchases = purchases or BetaGeoNBD(unit=unit).fit(summary)
        spend = spend or GammaGamma().fit(summary)
    return learn_churn(log, length, unit, purchases, spend)[0]


def learn_churn(
    log: IntoFrame,
    horizon: Duration,
    unit: Unit,
    purchases: PurchaseModel,
    spend: GammaGamma,
    calendar: Calendar = NO_CALENDAR,
) -> tuple[ChurnModel, Customers | None]:
    """What ``fit_churn`` gives, and the customers of today that it learned from, if any."""
    adoption = learn_pool(
        log, purchases, spend, horizon, unit, calendar=calendar, only_if_used=True
    )
    pool, customers = adoption.pool, adoption.customers
    days = (*adoption.days[::-1], str(adoption.day)) if adoption.days else ()
    model = ChurnModel(horizon, pool, adoption.reason, adoption.figures, days, adoption.churn_rate)
    if customers is None:
        return model, None
    if pool is None:
        base = survival(purchases, customers.history, horizon.to(unit))
        return replace(model, base=base), customers
    effects = of_pool(pool, customers, {})
    return replace(model, base=effects.base(), importance_rows=effects.importance()), customers


def _histories(rows: Any) -> Any:
    """The histories of a summary in memory: of arrays, or the table itself."""
    if not isinstance(rows, Mapping):
        return rows
    return History(*(np.asarray(rows[name], dtype=np.float64) for name in READS[:3]))
