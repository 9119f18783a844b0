"""CustomerScorer: the one object that is trained, saved and served."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT
from sklearn.base import clone

from clv import __version__
from clv.churn.learning import fit_churn
from clv.churn.model import ChurnModel
from clv.data.features import BEHAVIOUR, PRODUCTS, Columns, read_columns
from clv.data.log_limits import log_limits
from clv.data.summary import summarize
from clv.defaults import LEVEL, SAVE_RATE_TEXT, SHRINK
from clv.errors import DAMAGE, FitError, ModelError
from clv.evaluate.backtest.choice import ModelChoice, choose_purchase_model
from clv.findings import finding
from clv.history import HISTORY, History, read_history, read_spend, require_unit, same_unit
from clv.io.model_folder import FORMAT, read_model_folder, write_model_folder
from clv.periods import Duration, Unit, as_unit
from clv.probability.estimator import PurchaseModel
from clv.probability.fitted import Engine, FittedModel
from clv.probability.gamma_gamma import GammaGamma, expected_spend
from clv.probability.models import purchase_model as model_of_name
from clv.probability.models import saved_purchase_model, title
from clv.schema import Floats, as_frame, collect, numbers, same_kind, with_arrays
from clv.score_columns import CARRIED
from clv.value.common_factor import CommonFactor, common_factor
from clv.value.predictive import value_quantiles
from clv.value.totals import Total, total_value
from clv.value.value import NewCustomerValue, Terms, new_customer_value, stated, value_at_stake

INTERVAL = LEVEL  # chance that a value lies between clv_low and clv_high
NOT_MEASURED = "not measured: the scorer was trained without a rolling-origin backtest"
LEVELS = ((1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2)
# Customers of any unit that every model can score: a loaded scorer is tried on them.
MADE_UP: dict[str, list[Any]] = {
    "frequency": [0, 2, 7],
    "recency": [0.0, 30.0, 20.0],
    "T": [38.0, 38.0, 60.0],
    "monetary_value": [0.0, 22.35, 41.0],
    "first_amount": [20.0, 35.0, 12.5],
    "days_since_last": [266.0, 56.0, 280.0],
}
CHANCES = ("probability_alive", "probability_no_purchase", "churn_probability")
MONEY = ("clv", "clv_low", "clv_high", "expected_purchases", "expected_spend", "value_at_stake")
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
    >>> import pandas as pd
    >>> from clv.data.cdnow import cdnow_log
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
    ) -> Self:
        """Train all three models on a clean log, as of its last day.

        Parameters
        ----------
        log
            A clean log (customer_id, date, amount).
        terms
            What every value is stated under.
        churn_horizon
            Churn is no purchase for so long; a ``Duration`` or its text, "13 weeks".
        unit, engine, shrink
            Time unit of the models, who fits them, and as the attribute.
        purchase_model
            A name in :mod:`clv.probability.models`; "auto" to choose by a rolling-origin backtest
            on this log, see :func:`clv.evaluate.backtest.choose_purchase_model`; its reasons are in
            ``training["purchase_model"]``; or a model, whose settings are taken.

        Raises
        ------
        InputError, FitError
            As the models do; see their ``fit``.
        """
        terms.require_beyond(churn_horizon)
        # in one order, so that one log gives one model, to the last bit
        rows = as_frame(summarize(log, unit=unit)).collect().sort("customer_id")
        summary: Any = rows.to_native()
        limits = [*log_limits(log, terms.horizon)]
        chosen: ModelChoice | None = None
        if purchase_model == "auto":
            chosen = choose_purchase_model(log, unit)
            purchase_model = chosen.name
        purchases = _unfitted(purchase_model, unit, engine).fit(summary)
        return cls(
            purchases=_with_covariance(purchases, summary),
            spend=_with_covariance(GammaGamma(engine=engine).fit(summary), summary),
            churn=fit_churn(log, churn_horizon, unit, model=type(purchases)),
            terms=terms,
            unit=unit,
            as_of=str(rows["as_of"][0])[:10],
            shrink=shrink,
            first_amount=float(numbers(rows, "first_amount").mean()),
            training={
                "customers": len(rows),
                "repeat_buyers": int((numbers(rows, "frequency") > 0).sum()),
                "purchases": int((numbers(rows, "frequency") + 1).sum()),
                **({"purchase_model": chosen.to_dict()} if chosen else {}),
                **({"limits": limits} if limits else {}),
            },
        )

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
            What :func:`clv.data.summary.summarize` gives, in the scorer's time unit. Columns that
            ``churn.attach`` added to it are used.

        Returns
        -------
        One row a customer, the same kind of frame, in the order of its rows. The columns, their
        units and what they mean are in :data:`clv.score_columns.SCORE_COLUMNS`: those carried over
        as far as the summary has them, then the scores, then the constants. Money is in the
        currency of ``terms``, over their horizon; ``clv_low`` to ``clv_high`` hold the value with
        the chance ``interval``, 90%.

        Raises
        ------
        UnitError
            The summary is in another time unit than the scorer.
        ColumnError, RowError
            The summary is not one.
        """
        carried_too = (name for name in CARRIED if name != "frequency")
        optional = (*carried_too, "first_amount", *BEHAVIOUR, PRODUCTS)
        rows = collect(summary, (*HISTORY, "monetary_value"), "the summary", optional)
        native: Any = rows.to_native()
        require_unit(self.unit, native)
        history, (_, zbar) = read_history(native), read_spend(native)
        columns = dict(zip(HISTORY, (history.x, history.t_x, history.T), strict=True))
        if self.churn.classifier is not None:
            columns |= read_columns(rows, self.churn.classifier.inputs)
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

        Examples
        --------
        >>> from clv.data.cdnow import cdnow_log
        >>> log = cdnow_log(sample=True)
        >>> scorer = CustomerScorer.fit(log, Terms(0.3), churn_horizon=Duration(13, "week"))
        >>> table = summarize(log, unit="week")
        >>> columns = {name: table[name].to_numpy() for name in table.columns}
        >>> bool((scorer.predict_columns(columns)["clv"] == scorer.predict(table)["clv"]).all())
        True
        """
        model, terms, unit = self.purchases, self.terms, self.unit
        history, zbar = History(*(columns[name] for name in HISTORY)), columns["monetary_value"]
        per_purchase = expected_spend(self.spend._parameters(), history.x, zbar)
        rates = [terms.delta(unit), 0.0]
        det, expected = model.discounted_expected_purchases(
            terms.horizon.to(unit), rates, history
        ).T
        clv = terms.margin_rate * per_purchase * det
        low, median, high = value_quantiles(model, self.spend, history, zbar, terms, unit, LEVELS).T
        buys = model.probability_of_purchase(self.churn.horizon.to(unit), history)
        silent = 1 - buys
        money = (model, per_purchase, history, terms, unit, self.churn.horizon, self.shrink)
        return {
            "clv": clv,
            "clv_low": low,
            "clv_median": median,
            "clv_high": high,
            "expected_purchases": expected,
            "expected_spend": per_purchase,
            "probability_alive": model.probability_alive(history),
            "probability_no_purchase": silent,
            "churn_probability": self.churn.predict(columns, model, unit, silent, history),
            "value_at_stake": value_at_stake(*money, clv, buys),
        }

    def new_customer_value(self) -> NewCustomerValue:
        """What winning one customer is worth, over all channels together."""
        return new_customer_value(self.purchases, self.spend, self.terms, self.first_amount)

    def total_value(self, summary: IntoFrame) -> Total:
        """What the customers of a summary are worth together, with an interval.

        It counts the parameters' uncertainty, the customers' own chances, and how far totals were
        off in the backtest, if the trainer made one; ``reasons`` say what is left out.
        """
        common = self.common_factor()
        total = total_value(summary, self.purchases, self.spend, self.terms, common=common)
        if common is None:
            return total
        days = (self._rolling() or {})["days"]
        horizon = str(self.terms.horizon)
        note = finding("interval.common_horizon", days=days, horizon=horizon)
        return replace(total, reasons=(*total.reasons, note))

    def common_factor(self) -> CommonFactor | None:
        """How far totals of money were off in the backtest this scorer was trained with, if any."""
        rolling = self._rolling()
        if rolling is None:
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
            "value_at_stake": f"times a shrink factor of {self.shrink:g}, which is assumed",
            "save_rate": f"assumed, {SAVE_RATE_TEXT}, unless a plan was learned from a "
            "randomised campaign; each plan says which",
            "interval": f"clv_low to clv_high hold {INTERVAL:.0%} of each customer's own chances "
            "with the parameters as estimated",
            "coverage": (self._rolling() or {}).get("coverage", NOT_MEASURED),
        }

    def to_dict(self) -> dict[str, Any]:
        """All that was learned but the classifier, as JSON values; no customer is in it."""
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
        """Write ``scorer.json`` and, if there is a classifier, ``churn.skops``.

        Over an earlier scorer, the folder is that one until it is this one; a folder that holds
        anything else is left alone.

        Raises
        ------
        InputError
            The folder holds something else, or cannot be written to.
        """
        saved = self.to_dict() | {"written_by": f"clv {__version__}"}
        classifier = self.churn.save_classifier if self.churn.classifier else None
        return write_model_folder(directory, saved, classifier)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote. No pickle is involved.

        Raises
        ------
        ModelError
            There is no scorer, it is of a newer format, it was changed after it was written, its
            classifier consists of anything but the parts of ours, or it holds what no training
            gives, such as parameters by which a customer has no finite score.
        """
        saved, classifier = read_model_folder(directory)
        try:
            scorer = cls._from_dict(saved, classifier)
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
    def _from_dict(cls, saved: Mapping[str, Any], classifier: Path | None) -> Self:
        return cls(
            purchases=saved_purchase_model(saved["purchases"]),
            spend=GammaGamma.from_dict(saved["spend"]),
            churn=ChurnModel.from_dict(saved["churn"], classifier),
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
        dt.date.fromisoformat(self.as_of)
        self.terms.require_beyond(self.churn.horizon)
        Recipe.model_validate((self.training or {}).get("data") or {})
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            self.common_factor()
            self.churn.require_sound()
            made_up = nw.from_dict(MADE_UP, backend="pandas")
            summary = made_up.with_columns(unit=nw.lit(self.unit)).to_native()
            scores = as_frame(self.predict(summary)).collect()
            low, mid, high = (numbers(scores, f"clv_{n}") for n in ("low", "median", "high"))
            chances = [numbers(scores, name) for name in CHANCES]
            new = self.new_customer_value().new_customer_clv
        every = np.concatenate([numbers(scores, name) for name in MONEY])
        if not (np.isfinite(every).all() and np.isfinite(new) and (every >= 0).all()):
            raise ValueError("a customer has a score that is no number")
        if not all((chance >= 0).all() and (chance <= 1).all() for chance in chances):
            raise ValueError("a probability is not between 0 and 1")
        if not ((low <= mid).all() and (mid <= high).all()):
            raise ValueError("an interval ends before it begins")


def _unfitted(model: str | PurchaseModel, unit: Unit, engine: Engine) -> PurchaseModel:
    """A purchase model to fit: of this name, or like this one."""
    if isinstance(model, str):
        return model_of_name(model)(unit=unit, engine=engine)
    like: PurchaseModel = clone(model)
    like.set_params(unit=like.unit or unit)
    return like


def _with_covariance(model: Fitted, summary: Any) -> Fitted:
    """The model with the covariance of its parameters, where the likelihood allows one."""
    try:
        return model.with_covariance(summary)
    except FitError:
        return model
