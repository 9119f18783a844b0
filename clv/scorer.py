"""CustomerScorer: the one object that is trained, saved and served."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT

from clv import __version__
from clv.churn.model import ChurnModel, learn_churn
from clv.data.features import BEHAVIOUR, Columns
from clv.data.log_limits import log_limits
from clv.data.summary import summary_to_fit
from clv.defaults import LEVEL, SAVE_RATE_TEXT, SHRINK
from clv.errors import DAMAGE, FitError, ModelError
from clv.evaluate.backtest.choice import choose_purchase_model
from clv.evaluate.backtest.growing_doubt import grown_factor
from clv.evaluate.backtest.long_view import long_view_in_words
from clv.findings import finding, saved, within
from clv.forecast.calendar import NO_CALENDAR, Calendar
from clv.format import percent
from clv.history import HISTORY, read_history, read_spend, require_unit, same_unit
from clv.io.model_folder import FORMAT, read_model_folder, write_model_folder
from clv.io.spark_batches import is_spark, score_on_spark
from clv.periods import Duration, Unit, as_unit
from clv.probability.covariates import Asked
from clv.probability.estimator import PurchaseModel
from clv.probability.fitted import Engine, FittedModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.models import saved_purchase_model, title, unfitted
from clv.schema import Floats, as_frame, collect, numbers, same_kind, with_arrays
from clv.score_columns import CARRIED
from clv.value.common_factor import CommonFactor, common_factor, larger
from clv.value.predictive import customer_scores as scored
from clv.value.total_moments import Total
from clv.value.totals import total_value
from clv.value.value import NewCustomerValue, Terms, check_valued, new_customer_value, stated

INTERVAL = LEVEL  # chance that a value lies between clv_low and clv_high
NOT_MEASURED = "not measured: the scorer was trained without a rolling-origin backtest"
LEVELS = ((1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2)
Fitted = TypeVar("Fitted", bound=FittedModel)


@dataclass(frozen=True)
class CustomerScorer:
    """Purchase model, spend model and churn model under one set of terms.

    Attributes
    ----------
    purchases, spend, churn
        The fitted models.
    terms
        What every value is stated under.
    unit
        The time unit of the summaries it scores.
    as_of
        Last day of the log it was trained on, ISO 8601.
    shrink
        Factor on the value at stake, see :func:`clv.value.value.value_at_stake`.
    first_amount
        Mean first purchase, measured at training; None if it was not.
    training
        What it was trained on: customers, purchases, first day, and what the trainer adds.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.data.summary import summarize
    >>> log = cdnow_log(sample=True)
    >>> scorer = CustomerScorer.fit(log, Terms(0.3), churn_horizon=Duration(13, "week"))
    >>> scores = scorer.predict(summarize(log, unit="week"))
    >>> scores.columns[:7].tolist()
    ['customer_id', 'frequency', 'days_since_last', 'unit', 'as_of', 'clv', 'clv_low']
    """

    purchases: PurchaseModel
    spend: GammaGamma
    churn: ChurnModel
    terms: Terms
    unit: Unit
    as_of: str
    shrink: float = SHRINK
    first_amount: float | None = None
    training: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_valued(self.as_of, self.shrink, self.first_amount)

    @classmethod
    def fit(
        cls,
        log: IntoFrame,
        terms: Terms,
        *,
        churn_horizon: str | Duration,
        unit: Unit = "week",
        engine: Engine = "native",
        shrink: float = SHRINK,
        purchase_model: str | PurchaseModel = "bg_nbd",
        calendar: Calendar = NO_CALENDAR,
        spend_covariates: Asked = (),
        panel: IntoFrame | None = None,
        merged: bool = False,
    ) -> Self:
        """Train all three models on a clean log, as of its last day.

        Parameters
        ----------
        log, merged, panel
            A clean log (customer_id, date, amount); whether each row is all of a customer and day,
            as ``summarize`` takes it; the log of those from whom churn is learned, if not of all.
        terms
            What every value is stated under.
        churn_horizon
            Churn is no purchase for so long; a ``Duration`` or its text, "13 weeks".
        unit, engine, shrink
            Time unit of the models, who fits them, and as the attribute.
        purchase_model
            A name in :mod:`clv.probability.models`; a model, whose settings are taken; or "auto",
            see ``clv.evaluate.backtest.choose_purchase_model``; reasons are in ``training``.
        calendar, spend_covariates
            What the firm knows of seasons and events; columns by which they spend, ``["channel"]``.

        Raises
        ------
        InputError, FitError
            As the models do; see their ``fit``.
        """
        terms.require_beyond(churn_horizon)
        covariates = bool(spend_covariates) or not isinstance(purchase_model, str)
        rows, as_of, first_amount = summary_to_fit(log, unit, merged=merged, covariates=covariates)
        summary: Any = rows.to_native()
        limits = saved(within(log_limits(log, terms.horizon), terms.currency or ""))
        panel, horizon = log if panel is None else panel, Duration.parse(churn_horizon)
        chosen = choose_purchase_model(log, unit) if purchase_model == "auto" else None
        purchases = unfitted(chosen.name if chosen else purchase_model, unit, engine).fit(summary)
        spend = GammaGamma(engine, spend_covariates).fit(summary)
        alike = GammaGamma(engine).fit(summary) if spend.reads else spend  # of the pool
        churn, customers = learn_churn(panel, horizon, unit, purchases, alike, calendar)
        more: dict[str, Any] = {"purchase_model": chosen and chosen.to_dict(), "limits": limits}
        more["spend_factor"] = spend.average_factor(summary)
        scorer = cls(
            purchases=_with_covariance(purchases, summary),
            spend=_with_covariance(spend, summary),
            churn=churn,
            terms=terms,
            unit=unit,
            as_of=as_of,
            shrink=shrink,
            first_amount=first_amount,
            training={
                "customers": len(rows),
                "repeat_buyers": int((numbers(rows, "frequency") > 0).sum()),
                "purchases": int((numbers(rows, "frequency") + 1).sum()),
                **{name: figure for name, figure in more.items() if figure},
            },
        )
        if customers is None or churn.pool is None:
            return scorer
        known = (customers.columns, churn.pool.forecast(customers), churn.pool.fade)
        beyond = replace(scorer.rates, spend=alike).beyond(*known)
        return replace(scorer, training={**(scorer.training or {}), "beyond": beyond})

    @cached_property
    def version(self) -> str:
        """The as-of date and a digest of everything learned: equal versions score equally."""
        learned = json.dumps(self.to_dict(), sort_keys=True)
        return f"{self.as_of}-{hashlib.sha256(learned.encode()).hexdigest()[:8]}"

    @cached_property
    def constants(self) -> dict[str, Any]:
        """What a table of scores says in every row: the terms, the interval, the version."""
        return stated(self.terms) | {
            "interval": INTERVAL,
            "churn_horizon": str(self.churn.horizon),
            "model_version": self.version,
        }

    def predict(self, summary: IntoFrameT) -> IntoFrameT:
        """Score the customers of a summary.

        Parameters
        ----------
        summary
            What :func:`clv.data.summary.summarize` gives, in the scorer's time unit. With the
            columns that ``churn.attach`` adds, the next h is the pooled forecast's.

        Returns
        -------
        One row a customer, the same kind of frame, in the order of its rows. The columns, their
        units and what they mean are in :data:`clv.score_columns.SCORE_COLUMNS`: those carried over
        as far as the summary has them, then the scores, then the constants. Money is in the
        currency of ``terms``, over their horizon; ``clv_low`` to ``clv_high`` hold the value with
        the chance ``interval``, 90%.

        Raises
        ------
        UnitError, ColumnError, RowError
            The summary is in another time unit than the scorer, or is none.
        """
        named = (*HISTORY, "monetary_value", *self.spend.reads)
        optional = (*(n for n in CARRIED if n not in named), "first_amount", *BEHAVIOUR)
        if is_spark(summary):
            return score_on_spark(summary, (*named, *optional), self)  # type: ignore[no-any-return]
        rows = collect(summary, named, "the summary", optional)
        native: Any = rows.to_native()
        require_unit(self.unit, native)
        history, (_, zbar) = read_history(native), read_spend(native)
        columns = {"frequency": history.x, "recency": history.t_x, "T": history.T}
        reads = (name for name in self.churn.reads if name in rows.columns)
        columns |= {name: numbers(rows, name) for name in reads if name not in columns}
        columns |= {name: rows[name].to_numpy() for name in self.spend.reads}
        scores = self.predict_columns(columns | {"monetary_value": zbar})
        carried = rows.select(name for name in CARRIED if name in rows.columns)
        return same_kind(with_arrays(carried, scores, **self.constants), summary)

    def predict_columns(self, columns: Columns) -> dict[str, Floats]:
        """The scores of a summary that is in memory as arrays, and is believed to be in order.

        Parameters
        ----------
        columns
            The columns of a summary of n customers by name, each of shape (n,).

        Returns
        -------
        The scores by name, each of shape (n,), as ``predict`` has them, to the last bit.
        """
        forecast, pool = self.churn.forecast(columns, self.purchases), self.churn.pool
        return self.rates.scores_of(columns, forecast, pool.fade if pool else None)

    @property
    def rates(self) -> scored.Rates:
        """The models and terms that values follow from."""
        settings = (self.terms, self.unit, self.churn.horizon.to(self.unit), self.shrink, LEVELS)
        return scored.Rates(self.purchases, self.spend, *settings)

    @property
    def average_spend(self) -> GammaGamma:
        """The spend model of a customer of whom nothing is known: the average of covariates."""
        return self.spend.averaged((self.training or {}).get("spend_factor"))

    def new_customer_value(self) -> NewCustomerValue:
        """What winning one customer is worth, over all channels together."""
        return new_customer_value(self.purchases, self.average_spend, self.terms, self.first_amount)

    def total_value(self, summary: IntoFrame) -> Total:
        """What the customers of a summary are worth together, with an interval.

        It counts the parameters' uncertainty, the customers' own chances, and how far totals were
        off in the backtest or from earlier days; ``reasons`` say what is left out.
        """
        grown = grown_factor(self.training, self.terms.horizon)
        common = larger(self.common_factor(), grown)
        total = total_value(summary, self.purchases, self.spend, self.terms, common=common)
        if self.churn.pool is not None and self.churn.used(summary) == self.churn.source:
            scores = as_frame(self.predict(summary)).collect()
            note = finding("interval.pooled", source=self.churn.source)
            total = total.times(float(numbers(scores, "clv").sum()) / total.mean, note)
        if common is None or common is grown:
            return total
        of_days = {"days": (self._rolling() or {})["days"], "horizon": str(self.terms.horizon)}
        note = finding("interval.common_horizon", **of_days)
        return replace(total, reasons=(*total.reasons, note))

    def common_factor(self) -> CommonFactor | None:
        """How far totals of money were off in the backtest this scorer was trained with, if any."""
        if not (rolling := self._rolling()):
            return None
        missed = rolling["misses"]["money"]
        return common_factor(missed["log_ratios"], missed["explained"])

    def _rolling(self) -> Mapping[str, Any] | None:
        """The record of the rolling-origin backtest, see ``clv.evaluate.backtest.coverage``."""
        return ((self.training or {}).get("holdout") or {}).get("rolling") or None

    def card(self) -> dict[str, Any]:
        """The model card: what was learned, from what, on which terms, and how far to trust it."""
        new = self.new_customer_value()
        return {
            "version": self.version,
            "as_of": self.as_of,
            "unit": self.unit,
            "terms": str(self.terms),
            "training": dict(self.training or {}),
            "new_customer_clv": new.new_customer_clv,
            "first_amount_source": new.first_amount_source,
            "purchase_model": title(self.purchases),
            "purchases": self.purchases.to_dict(),
            "spend": self.spend.to_dict(),
            "churn": self.churn.to_dict(),
            "beyond_churn_horizon": scored.beyond_in_words((self.training or {}).get("beyond")),
            "value_over_years": long_view_in_words((self.training or {}).get("long_view")),
            "value_at_stake": f"times a shrink factor of {self.shrink:g}, which is assumed",
            "save_rate": f"assumed, {SAVE_RATE_TEXT}, unless a plan was learned from a "
            "randomised campaign; each plan says which",
            "interval": f"clv_low to clv_high hold {percent(INTERVAL)} of each customer's own "
            "chances with the parameters as estimated",
            "coverage": (self._rolling() or {}).get("coverage", NOT_MEASURED),
        }

    def to_dict(self) -> dict[str, Any]:
        """All that was learned but the trees, as JSON values; no customer is in it."""
        return {
            "format": FORMAT,
            "as_of": self.as_of,
            "unit": self.unit,
            "terms": self.terms.to_dict(),
            "shrink": self.shrink,
            "first_amount": self.first_amount,
            "training": dict(self.training or {}),
            "purchases": self.purchases.to_dict(),
            "spend": self.spend.to_dict(),
            "churn": self.churn.to_dict(),
        }

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write ``scorer.json`` and, if there is a pooled forecast, its trees in ``churn.skops``.

        Over an earlier scorer, the folder is that one until it is this one; a folder that holds
        anything else is left alone.

        Raises
        ------
        InputError
            The folder holds something else, or cannot be written to.
        """
        saved = self.to_dict() | {"written_by": f"clv {__version__}"}
        pool = self.churn.pool
        return write_model_folder(directory, saved, pool.learner.save if pool else None)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote. No pickle is involved.

        Raises
        ------
        ModelError
            There is none, or it is of another format, changed, or what no training gives.
        """
        saved, trees = read_model_folder(directory)
        try:
            scorer = cls._from_dict(saved, trees)
            scorer._require_sound()
        except ModelError:
            raise
        except DAMAGE as error:
            raise ModelError(
                f"the scorer in {directory} is damaged: {error}.",
                hint="train again; do not use this one.",
            ) from error
        return scorer

    @classmethod
    def _from_dict(cls, saved: Mapping[str, Any], trees: Path | None) -> Self:
        return cls(
            purchases=saved_purchase_model(saved["purchases"]),
            spend=GammaGamma.from_dict(saved["spend"]),
            churn=ChurnModel.from_dict(saved["churn"], trees),
            terms=Terms.from_dict(saved["terms"]),
            unit=as_unit(saved["unit"]),
            as_of=saved["as_of"],
            shrink=saved["shrink"],
            first_amount=saved["first_amount"],
            training=saved["training"],
        )

    def _require_sound(self) -> None:
        """Raise unless made-up customers get scores that can be."""
        from clv.intake.recipe import Recipe

        same_unit(self.unit, self.purchases.unit_)
        self.terms.require_beyond(self.churn.horizon)
        Recipe.model_validate((self.training or {}).get("data") or {})
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            self.common_factor(), grown_factor(self.training, self.terms.horizon)
            long_view_in_words((self.training or {}).get("long_view"))
            summary = self.spend.with_usual_covariates(scored.made_up(self.unit))
            self.churn.require_sound(summary, self.purchases, self.spend, self.unit)
            scored.require_sound_scores(as_frame(self.predict(summary)).collect())
            if not np.isfinite(self.new_customer_value().new_customer_clv):
                raise ValueError("a new customer's value is no number")


def _with_covariance(model: Fitted, summary: Any) -> Fitted:
    """The model with the covariance of its parameters, where the likelihood allows one."""
    try:
        return model.with_covariance(summary)
    except FitError:
        return model
