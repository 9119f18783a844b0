"""The model judged on a holdout: fitted on what was known at a cutoff, beside naive forecasts.

This one holdout is the yardstick of promotion; ``cutoffs.py`` judges at several.

Calibration and holdout never meet: the log is cleaned once as it could be known at the cutoff (a
later refund has not undone anything yet) and once with hindsight, for what really happened after.
Where the config leaves the choice of the purchase model open, it is made on what was known then.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from clv.app.data_file import usual_cutoff
from clv.app.training.config import Config
from clv.app.training.earlier_logs import as_known
from clv.evaluate import count_log_score, frequency_table, holdout_table
from clv.evaluate.backtest import (
    ModelChoice,
    Origin,
    RollingOrigin,
    choose_purchase_model,
    rolling_record,
)
from clv.evaluate.backtest.naive import naive_means
from clv.evaluate.backtest.origin import day_of, plain
from clv.evaluate.holdout import holdout_findings
from clv.findings import Finding, finding, saved, within
from clv.forecast.calendar import NO_CALENDAR
from clv.format import change, fine_number
from clv.history import read_history
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.models import purchase_model, title
from clv.schema import Floats

PURCHASES, MONEY = "purchases", "money"
FAR_OFF = 0.1  # a total that misses by more is worth a sentence


@dataclass(frozen=True)
class Backtest:
    """Forecasts and what happened, customer by customer and in all.

    Attributes
    ----------
    origin
        What was known at the cutoff, and what happened until the end.
    purchases, spend
        The models fitted on the calibration part.
    forecasts
        By "purchases" and "money": the model's forecast and the naive ones by name, shape (n,).
    currency
        A name, only printed.
    choice
        Why that purchase model, if it was chosen.
    rolling
        The other holdouts, if there are any.
    sampled_of
        How many customers the log has where those judged are a sample of them; 0: all are judged.
    """

    origin: Origin
    purchases: PurchaseModel
    spend: GammaGamma
    forecasts: Mapping[str, Mapping[str, Floats]]
    currency: str = ""
    choice: ModelChoice | None = None
    rolling: RollingOrigin | None = None
    sampled_of: int = 0

    @property
    def cutoff(self) -> dt.date:
        """Last day of calibration."""
        return self.origin.calibration.cutoff

    @property
    def end(self) -> dt.date:
        """Last day of the holdout."""
        return self.origin.end

    @property
    def unit(self) -> Unit:
        """Of all times here."""
        return self.origin.calibration.unit

    @property
    def customers(self) -> pd.DataFrame:
        """The summary as of the cutoff."""
        return self.origin.calibration.summary

    @property
    def length(self) -> float:
        """Of the holdout, in units."""
        return self.origin.calibration.horizon

    @property
    def names(self) -> dict[str, str]:
        """What the model is called among the forecasts of purchases, and of money."""
        return names_of(self.purchases)

    @property
    def horizon(self) -> str:
        """The length in words."""
        return f"{self.length:.3g} {self.unit}s"

    @property
    def whole(self) -> float:
        """From the first day of the log to the end of the holdout, in units."""
        return self.origin.whole

    @property
    def digest(self) -> str:
        """SHA-256 of who was judged and what they did: two with the same can be compared."""
        happened = pd.DataFrame(
            {
                "customer_id": self.customers["customer_id"],
                "holdout_frequency": self.actual(PURCHASES).astype(np.int64),
                "holdout_value": self.actual(MONEY).round(2),
            }
        )
        return hashlib.sha256(happened.to_csv(index=False).encode()).hexdigest()

    def actual(self, what: str) -> Floats:
        """What each customer did in the holdout: purchases, or money spent."""
        return self.origin.purchases if what == PURCHASES else self.origin.money

    def table(self, what: str) -> pd.DataFrame:
        """The model and the naive forecasts, a row each; see ``clv.evaluate.holdout_table``."""
        return self._tables[what].copy()

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        return {
            what: holdout_table(self.actual(what), forecasts)
            for what, forecasts in self.forecasts.items()
        }

    def findings(self, what: str) -> list[Finding]:
        """Who wins, and how far the model's total is off."""
        table = self.table(what)
        findings = [*holdout_findings(table), *total_findings(table, what, self)]
        calibration = self.origin.calibration
        if what == PURCHASES and calibration.calendar != NO_CALENDAR:
            total = calibration.total
            figures = {name: getattr(total, name) for name in ("mean", "level", "low", "high")}
            findings.append(finding("holdout.calendar", **figures, reason=total.reason))
        if self.sampled_of:
            judged, error = len(self.customers), self.sampling_error(what)
            sample = {"judged": judged, "customers": self.sampled_of, "error": error}
            findings.append(finding("holdout.sampled", **sample))
        return list(within(findings, self.currency))

    def sampling_error(self, what: str) -> float:
        """The standard error over customers of how far off the model's total is, as a share."""
        expected, actual = self.forecasts[what][self.names[what]], self.actual(what)
        apart = expected - actual * (expected.sum() / actual.sum())
        return float(np.sqrt(len(apart)) * apart.std() / actual.sum())

    def verdict(self, what: str) -> str:
        """The findings in words, a line each."""
        return "\n".join(map(str, self.findings(what)))

    def __str__(self) -> str:
        """Both tables in short, and who wins."""
        parts = [
            f"Holdout {self.cutoff} to {self.end}, {what}: {self.in_short(what)}\n"
            f"{self.verdict(what)}"
            for what in (PURCHASES, MONEY)
        ]
        return "\n\n".join(parts)

    def in_short(self, what: str) -> str:
        """The model's ranking and total beside the best naive ones, in a line."""
        table = self.table(what)
        model, naive = table[~table["naive"]].iloc[0], table[table["naive"]]
        return (
            f"Gini {fine_number(model['gini'])} (best naive {fine_number(naive['gini'].max())}), "
            f"total {change(model['bias'])} (best naive {change(min(naive['bias'], key=abs))})"
        )

    def to_dict(self, shipped: str) -> dict[str, Any]:
        """What goes with the scorer: when, how far off, and who won, as JSON values.

        ``shipped`` is the purchase model of the scorer, whose coverage is told; with more data
        than at the cutoff, another one may have been chosen than was judged here.
        """
        verdicts = {what: saved(self.findings(what)) for what in (PURCHASES, MONEY)}
        figures = {what: self.table(what).iloc[0].to_dict() for what in verdicts}
        measures = ("bias", "mae", "rmse", "gini")
        return {
            "model": self.names[PURCHASES],
            "cutoff": str(self.cutoff),
            "end": str(self.end),
            "figures": {what: {key: row[key] for key in measures} for what, row in figures.items()},
            "verdict": verdicts,
            "calibration": self.calibration().to_dict("records"),
            "rolling": _rolling_record(self.rolling, shipped),
        }

    def calibration(self) -> pd.DataFrame:
        """Predicted and actual purchases by past frequency."""
        predicted = self.forecasts[PURCHASES][self.names[PURCHASES]]
        return frequency_table(self.customers["frequency"], self.actual(PURCHASES), predicted)

    def tracking(self) -> pd.DataFrame:
        """Repeat purchases of the calibration's customers, unit by unit, to the end."""
        return self.origin.tracking(self.purchases)

    def figures(self) -> dict[str, float]:
        """Every figure of both tables and the log score, as MLflow's metrics."""
        figures = {
            f"{what}/{measure}/{_slug(row['forecast'], row['naive'])}": float(row[measure])
            for what in (PURCHASES, MONEY)
            for _, row in self.table(what).iterrows()
            for measure in ("predicted_total", "bias", "mae", "rmse", "gini", "rank_correlation")
        }
        figures |= {f"{what}/actual_total": self.actual(what).sum() for what in (PURCHASES, MONEY)}
        figures["purchases/log_score/model"] = self._log_score
        return {name: value for name, value in figures.items() if np.isfinite(value)}

    @cached_property
    def _log_score(self) -> float:
        history = read_history(self.customers)

        def chance(k: int) -> Floats:
            return self.purchases.probability_of_purchases(k, self.length, history)

        return count_log_score(self.actual(PURCHASES), chance)


def backtest(raw: Any, log: Any, config: Config, sampled_of: int = 0) -> Backtest:
    """Fit on what was known at the cutoff, forecast the holdout, and say what happened.

    Parameters
    ----------
    raw
        The order log as it was read, for ``clean``.
    log
        The clean log, with hindsight.
    config
        Its ``log`` and ``holdout`` sections say how to clean and where to cut.
    sampled_of
        As in ``Backtest``.

    Raises
    ------
    InputError
        The cutoff leaves no calibration or no holdout.
    """
    unit = config.model.unit
    cutoff = config.holdout.cutoff or usual_cutoff(*_span(plain(log)))
    rows = as_known(raw, log, config, cutoff)
    end = config.holdout.end or day_of(rows["date"].max())
    known = config.calendar.known_at(cutoff)
    origin = Origin.from_log(rows, cutoff, (end - cutoff).days, unit, known)
    calibration = origin.calibration
    choice = choice_at(calibration.log, config)
    name = choice.name if choice else config.model.purchase_model
    purchases = purchase_model(name)(unit=unit, engine=config.model.engine).fit(calibration.summary)
    spend = GammaGamma(engine=config.model.engine).fit(calibration.summary)
    expected = purchases.conditional_expected_purchases(calibration.horizon, calibration.summary)
    model = {PURCHASES: expected, MONEY: expected * spend.expected_spend(calibration.summary)}
    naive = dict(zip(model, naive_means(calibration), strict=True))
    names = names_of(purchases)
    forecasts = {what: {names[what]: model[what]} | naive[what] for what in model}
    currency = config.terms.currency
    return Backtest(origin, purchases, spend, forecasts, currency, choice, sampled_of=sampled_of)


def names_of(purchases: PurchaseModel) -> dict[str, str]:
    """What a model is called among the forecasts of purchases, and of money."""
    name = title(purchases)
    return {PURCHASES: name, MONEY: f"{name} x Gamma-Gamma"}


def choice_at(log: pd.DataFrame, config: Config) -> ModelChoice | None:
    """The purchase model that a log chooses, if the config leaves it the choice."""
    if config.model.purchase_model != "auto":
        return None
    count = len(config.holdout.cutoffs) or config.holdout.origins
    return choose_purchase_model(log, config.model.unit, count, length_of(config))


def length_of(config: Config) -> Duration | None:
    """Of the holdouts of a rolling origin, where the config says so."""
    return Duration.parse(config.holdout.length) if config.holdout.length else None


def _span(log: pd.DataFrame) -> tuple[dt.date, dt.date]:
    """The first and the last day of a log."""
    return day_of(log["date"].min()), day_of(log["date"].max())


def total_findings(table: pd.DataFrame, what: str, judged: Backtest) -> list[Finding]:
    """How far the model's total is off, and whether the naive forecasts miss the same way."""
    model, naive = table[~table["naive"]].iloc[0], table[table["naive"]]
    bias = float(model["bias"])
    if not abs(bias) > FAR_OFF:
        return []
    direction = "short" if bias < 0 else "over"
    expected, actual = np.round([model["predicted_total"], model["actual_total"]]).tolist()
    findings = [
        finding(
            f"holdout.{what}_off",
            expected=expected, actual=actual, off=abs(bias), direction=direction,
        )
    ]  # fmt: skip
    if (naive["bias"] * np.sign(bias) > FAR_OFF).all():
        length, (start, end) = str(judged.horizon), (judged.cutoff, judged.end)
        findings.append(
            finding("holdout.all_off", direction=direction, horizon=length, start=start, end=end)
        )
    return findings


def _rolling_record(rolling: RollingOrigin | None, title: str) -> dict[str, Any] | None:
    """None too for a purchase model that takes no part in a rolling origin."""
    return rolling_record(rolling, title) if rolling and title in rolling.models else None


def _slug(forecast: str, naive: bool) -> str:
    """A forecast's name in a metric's."""
    return forecast.replace(" ", "_") if naive else "model"
