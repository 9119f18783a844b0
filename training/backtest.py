"""The models judged on a holdout: fitted on what was known at a cutoff, beside naive forecasts.

Calibration and holdout never meet: the log is cleaned once as it could be known at the cutoff (a
later refund has not undone anything yet) and once with hindsight, for what really happened after.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from clv.data.summary import split_holdout, summarize
from clv.data.transactions import clean
from clv.errors import InputError
from clv.evaluate import (
    count_log_score,
    frequency_table,
    holdout_table,
    naive_forecasts,
    tracking,
    verdict,
)
from clv.periods import DAYS, Unit
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats
from training.config import Config

PURCHASES, MONEY = "purchases", "money"
MODELS = {PURCHASES: "BG/NBD", MONEY: "BG/NBD x Gamma-Gamma"}
FAR_OFF = 0.1  # a total that misses by more is worth a sentence


@dataclass(frozen=True)
class Backtest:
    """Forecasts and what happened, customer by customer and in all.

    Attributes
    ----------
    cutoff, end
        Last day of calibration and of the holdout.
    unit
        Of all times here.
    customers
        The summary as of the cutoff, with holdout_frequency and holdout_value.
    log
        Purchases: as known at the cutoff up to it, with hindsight after it.
    purchases, spend
        The models fitted on the calibration part.
    forecasts
        By "purchases" and "money": the model's forecast and the naive ones by name, shape (n,).
    currency
        A name, only printed.
    """

    cutoff: dt.date
    end: dt.date
    unit: Unit
    customers: pd.DataFrame
    log: pd.DataFrame
    purchases: BetaGeoNBD
    spend: GammaGamma
    forecasts: Mapping[str, Mapping[str, Floats]]
    currency: str = ""

    @property
    def length(self) -> float:
        """Of the holdout, in units."""
        return (self.end - self.cutoff).days / DAYS[self.unit]

    @property
    def horizon(self) -> str:
        """The length in words."""
        return f"{self.length:.3g} {self.unit}s"

    @property
    def whole(self) -> float:
        """From the first day of the log to the end of the holdout, in units."""
        first: dt.date = self.log["date"].min().date()
        return (self.end - first).days / DAYS[self.unit]

    @property
    def digest(self) -> str:
        """SHA-256 of who was judged and what they did: two with the same can be compared."""
        happened = self.customers[["customer_id", "holdout_frequency", "holdout_value"]].round(2)
        return hashlib.sha256(happened.to_csv(index=False).encode()).hexdigest()

    def actual(self, what: str) -> Floats:
        """What each customer did in the holdout: purchases, or money spent."""
        column = "holdout_frequency" if what == PURCHASES else "holdout_value"
        return self.customers[column].to_numpy(dtype=np.float64)

    def table(self, what: str) -> pd.DataFrame:
        """The model and the naive forecasts, a row each; see ``clv.evaluate.holdout_table``."""
        return holdout_table(self.actual(what), self.forecasts[what])

    def verdict(self, what: str) -> str:
        """Who wins, in words, and how far the model's total is off."""
        table = self.table(what)
        return "\n".join([verdict(table), *total_in_words(table, what, self)])

    def in_short(self, what: str) -> str:
        """The model's ranking and total beside the best naive ones, in a line."""
        table = self.table(what)
        model, naive = table[~table["naive"]].iloc[0], table[table["naive"]]
        return (
            f"Gini {model['gini']:.3f} (best naive {naive['gini'].max():.3f}), "
            f"total {model['bias']:+.1%} (best naive {min(naive['bias'], key=abs):+.1%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """What goes with the scorer: when, how far off, and who won, as JSON values."""
        told = {what: self.verdict(what).splitlines() for what in (PURCHASES, MONEY)}
        figures = {what: self.table(what).iloc[0].to_dict() for what in told}
        kept = ("bias", "mae", "rmse", "gini")
        return {
            "cutoff": str(self.cutoff),
            "end": str(self.end),
            "figures": {what: {key: row[key] for key in kept} for what, row in figures.items()},
            "verdict": told,
        }

    def calibration(self) -> pd.DataFrame:
        """Predicted and actual purchases by past frequency."""
        predicted = self.forecasts[PURCHASES][MODELS[PURCHASES]]
        return frequency_table(self.customers["frequency"], self.actual(PURCHASES), predicted)

    def tracking(self) -> pd.DataFrame:
        """Repeat purchases of the calibration's customers, unit by unit, to the end."""
        ours = self.log[self.log["customer_id"].isin(self.customers["customer_id"])]
        origin = ours["date"].min()
        at = (ours["date"] - origin).dt.days / DAYS[self.unit]
        first = at.groupby(ours["customer_id"]).transform("min")
        starts = at.groupby(ours["customer_id"]).min()
        expected = self.purchases.expected_purchases
        return tracking(starts, at[at > first], expected, self.whole)

    def figures(self) -> dict[str, float]:
        """Every figure of both tables and the log score, as MLflow's metrics."""
        found = {
            f"{what}/{measure}/{_slug(row['forecast'], row['naive'])}": float(row[measure])
            for what in (PURCHASES, MONEY)
            for _, row in self.table(what).iterrows()
            for measure in ("predicted_total", "bias", "mae", "rmse", "gini", "rank_correlation")
        }
        found |= {f"{what}/actual_total": self.actual(what).sum() for what in (PURCHASES, MONEY)}
        found["purchases/log_score/model"] = self._log_score()
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def _log_score(self) -> float:
        def chance(k: int) -> Floats:
            return self.purchases.probability_of_purchases(k, self.length, self.customers)

        return count_log_score(self.actual(PURCHASES), chance)


def backtest(raw: Any, log: Any, config: Config) -> Backtest:
    """Fit on what was known at the cutoff, forecast the holdout, and say what happened.

    Parameters
    ----------
    raw
        The order log as it was read, for ``clean``.
    log
        The clean log, with hindsight.
    config
        Its ``log`` and ``holdout`` sections say how to clean and where to cut.

    Raises
    ------
    InputError
        The cutoff leaves no calibration or no holdout.
    """
    cutoff, unit = config.holdout.cutoff, config.model.unit
    known = as_known(raw, log, config)
    end = config.holdout.end or known["date"].max().date()
    customers = split_holdout(known, cutoff, end, unit)
    purchases = BetaGeoNBD(unit=unit, engine=config.model.engine).fit(customers)
    spend = GammaGamma(engine=config.model.engine).fit(customers)
    length = (end - cutoff).days / DAYS[unit]
    expected = purchases.conditional_expected_purchases(length, customers)
    x, t_x, T = (customers[name].to_numpy() for name in ("frequency", "recency", "T"))
    per_purchase = np.where(x > 0, customers["monetary_value"], customers["first_amount"])
    counted, spent = last_period(known, customers, cutoff, end)
    naive = {
        PURCHASES: naive_forecasts(x, t_x, T, length, last_period=counted),
        MONEY: naive_forecasts(x, t_x, T, length, spend=per_purchase, last_period=spent),
    }
    model = {PURCHASES: expected, MONEY: expected * spend.expected_spend(customers)}
    forecasts = {what: {MODELS[what]: model[what]} | naive[what] for what in naive}
    return Backtest(
        cutoff, end, unit, customers, known, purchases, spend, forecasts, config.terms.currency
    )


def as_known(raw: Any, log: Any, config: Config) -> pd.DataFrame:
    """The log as it could be known at the cutoff, then with hindsight: customer_id, date, amount.

    Raises
    ------
    InputError
        The cutoff is not within the log.
    """
    cutoff = config.holdout.cutoff
    after = _plain(log)
    first, last = (day.date() for day in (after["date"].min(), after["date"].max()))
    if not first < cutoff < last:
        raise InputError(
            f"holdout.cutoff {cutoff} is not within the log, {first} to {last}.",
            hint="leave at least a few usual gaps between purchases on either side of it.",
        )
    before = _plain(clean(raw, as_of=cutoff, **config.log.rules())[0])
    return pd.concat([before, after[after["date"] > pd.Timestamp(cutoff)]], ignore_index=True)


def last_period(
    log: pd.DataFrame, customers: pd.DataFrame, cutoff: dt.date, end: dt.date
) -> tuple[Floats | None, Floats | None]:
    """Purchases and money of each customer in as long a time before the cutoff as the holdout is.

    None where the log does not reach back so far.
    """
    start = pd.Timestamp(cutoff - (end - cutoff))
    if start < log["date"].min():
        return None, None
    recent = log[(log["date"] > start) & (log["date"] <= pd.Timestamp(cutoff))]
    seen = summarize(recent, as_of=cutoff).set_index("customer_id")
    seen = seen.reindex(customers["customer_id"])
    counted = (seen["frequency"] + 1).fillna(0)
    spent = (seen["first_amount"] + seen["frequency"] * seen["monetary_value"]).fillna(0)
    return counted.to_numpy(dtype=np.float64), spent.to_numpy(dtype=np.float64)


def total_in_words(table: pd.DataFrame, what: str, found: Backtest) -> list[str]:
    """How far the model's total is off, and whether the naive forecasts miss the same way."""
    model, naive = table[~table["naive"]].iloc[0], table[table["naive"]]
    bias = float(model["bias"])
    if not abs(bias) > FAR_OFF:
        return []
    direction = "short" if bias < 0 else "over"
    counted = what if what == PURCHASES else f"{found.currency or 'money'} of revenue"
    lines = [
        f"In all the model expects {model['predicted_total']:,.0f} {counted}, there were "
        f"{model['actual_total']:,.0f}: it runs {abs(bias):.0%} {direction}."
    ]
    if (naive["bias"] * np.sign(bias) > FAR_OFF).all():
        lines.append(
            f"Every naive forecast runs {direction} too, so the {found.horizon} from "
            f"{found.cutoff} to {found.end} were unlike the past: a season or a trend, which "
            "this model does not know. Totals over such a time will be off in the same way."
        )
    return lines


def _plain(log: Any) -> pd.DataFrame:
    """customer_id, date and amount of a clean log in pandas, dates as timestamps."""
    frame = nw.from_native(log).lazy().select("customer_id", "date", "amount").collect()
    rows: pd.DataFrame = frame.with_columns(nw.col("date").cast(nw.Datetime("us"))).to_pandas()
    return rows.sort_values(["customer_id", "date"], ignore_index=True)


def _slug(forecast: str, naive: bool) -> str:
    """A forecast's name in a metric's."""
    return forecast.replace(" ", "_") if naive else "model"
