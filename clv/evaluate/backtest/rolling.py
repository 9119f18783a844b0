"""Rolling origin: every forecaster at several cutoffs, each with its own holdout, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self, get_args

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.evaluate import (
    LEVELS,
    count_placement,
    decile_error,
    decile_table,
    holdout_table,
    interval_coverage,
    pit_histogram,
)
from clv.evaluate.backtest.forecast import Forecast, alike, model_forecast
from clv.evaluate.backtest.learned_forecasts import peers, pooled
from clv.evaluate.backtest.naive import naive
from clv.evaluate.backtest.origin import Calibration, Origin
from clv.probability.models import TITLES
from clv.schema import Floats

What = Literal["purchases", "money"]
SHIPPED = "what ships"  # at each cutoff, the forecast of a scorer trained that day
WHATS: tuple[What, ...] = get_args(What)
INSIDE = {level: f"inside_{level:.0%}".removesuffix("%") for level in LEVELS}
MEASURES = ("mae", "rmse", "gini", "rank_correlation", "decile_error", "log_score")

Placement = tuple[Floats, Floats]  # P(Y < y) and P(Y <= y) of what happened, (n,) each


@dataclass(frozen=True, eq=False)
class Judged:
    """A forecast beside what happened.

    Attributes
    ----------
    forecast
        What was expected.
    log_score
        Minus log probability of each customer's count, shape (n,); None without a distribution.
    placement
        Where purchases and money lie in their distributions, as far as there are any.
    """

    forecast: Forecast
    log_score: Floats | None
    placement: dict[What, Placement]

    @classmethod
    def from_forecast(cls, forecast: Forecast, origin: Origin, with_money: bool = True) -> Self:
        """Hold a forecast against its origin; where its money lies takes as long as all else."""
        if forecast.chances is None:
            return cls(forecast, None, {})
        score, below, upto = _counts_placed(forecast.chances, origin.purchases)
        placement: dict[What, Placement] = {"purchases": (below, upto)}
        if with_money and forecast.money_within is not None:
            within, paying = forecast.money_within(origin.money), origin.money > 0
            placement["money"] = (np.where(paying, within, 0.0), within)  # an atom at 0 alone
        return cls(forecast, score, placement)

    def figures(self, what: What) -> dict[str, float]:
        """Log score and the share of customers inside each interval; NaN where there is none."""
        score = self.log_score if what == "purchases" else None
        figures = {"log_score": float("nan") if score is None else float(score.mean())}
        if what not in self.placement:
            return figures | dict.fromkeys(INSIDE.values(), np.nan)
        coverage = interval_coverage(*self.placement[what])
        return figures | dict(zip(INSIDE.values(), coverage["inside"], strict=True))


def forecasts(
    calibration: Calibration, with_pool: bool = True, with_peers: bool = False
) -> list[Forecast]:
    """Every forecaster: purchase models, the pool with its trees alone, peers, the naive ones."""
    learned = pooled(calibration) if with_pool else []
    adopted = any(forecast.shipped for forecast in learned)
    models = [
        model_forecast(
            calibration, model, TITLES[name], shipped=name == calibration.base and not adopted
        )
        for name, model in calibration.purchases.items()
    ]
    others = peers(calibration) if with_peers else []
    return [*models, *learned, *others, *naive(calibration)]


@dataclass(frozen=True, eq=False)
class RollingOrigin:
    """Forecasts of several origins, judged.

    Attributes
    ----------
    origins
        Oldest first.
    judged
        For each origin its forecasts.
    """

    origins: tuple[Origin, ...]
    judged: tuple[tuple[Judged, ...], ...]

    @classmethod
    def from_origins(
        cls,
        origins: Sequence[Origin],
        with_pool: bool = True,
        with_peers: bool = False,
        with_money: bool = True,
    ) -> Self:
        """Forecast from each origin by everybody, and judge it.

        Parameters
        ----------
        origins
            Oldest first.
        with_pool, with_peers
            Whether the pooled forecast and other packages take part.
        with_money
            Whether the intervals of customers' money are judged, too.

        Raises
        ------
        InputError
            There is no origin, or their holdouts differ in length.
        FitError
            Before some cutoff nobody bought twice.
        """
        if len({origin.calibration.days for origin in origins}) != 1:
            raise InputError(
                "a rolling origin needs origins with holdouts of one length.",
                hint="Origin.from_log(log, cutoff, days) with the same days for every cutoff.",
            )
        judged = [
            tuple(
                Judged.from_forecast(forecast, origin, with_money)
                for forecast in forecasts(origin.calibration, with_pool, with_peers)
            )
            for origin in origins
        ]
        return cls(tuple(origins), tuple(judged))

    @property
    def days(self) -> int:
        """Length of every holdout."""
        return self.origins[0].calibration.days

    @property
    def candidates(self) -> tuple[str, ...]:
        """The purchase models that took part at every cutoff, simplest first."""
        asked = [origin.calibration.candidates for origin in self.origins]
        return min(asked, key=len)

    @property
    def models(self) -> dict[str, str]:
        """The same: title to name."""
        return {TITLES[name]: name for name in self.candidates}

    @property
    def names(self) -> list[str]:
        """Of all forecasters, in order."""
        return list(dict.fromkeys(j.forecast.name for judged in self.judged for j in judged))

    def of_forecaster(self, name: str) -> list[tuple[Origin, Judged]]:
        """The origins at which somebody forecast, with how that went."""
        return [
            (origin, judged)
            for origin, all_of_it in zip(self.origins, self.judged, strict=True)
            for judged in all_of_it
            if judged.forecast.name == name or (name == SHIPPED and judged.forecast.shipped)
        ]

    @cached_property
    def coverage_tables(self) -> dict[str, pd.DataFrame]:
        """What ``coverage_table`` worked out, by purchase model: totals take a second each."""
        return {}

    @cached_property
    def table(self) -> pd.DataFrame:
        """The whole backtest: a row for each of purchases and money, cutoff and forecaster.

        Columns: what, cutoff, end; those of :func:`clv.evaluate.holdout_table`; decile_error;
        log_score (of the counts: lower is better); inside_80, inside_90, inside_95, the share of
        customers inside the central intervals; shipped. NaN: the forecaster has no distribution.
        """
        parts = [
            _judged_table(what, origin, judged)
            for what in WHATS
            for origin, judged in zip(self.origins, self.judged, strict=True)
        ]
        return pd.concat(parts, ignore_index=True)

    def means(self) -> pd.DataFrame:
        """The table averaged over the cutoffs, totals added: a row per what and forecaster.

        A figure that is missing at one cutoff is missing here: means over different cutoffs do
        not compare. ``cutoffs`` counts them.
        """
        grouped = self.table.groupby(["what", "forecast"], sort=False)
        columns = [*MEASURES, *INSIDE.values()]
        mean = grouped[columns].mean(skipna=False)
        total = grouped[["actual_total", "predicted_total"]].sum()
        bias = total["predicted_total"] / total["actual_total"] - 1
        cutoffs, rule = grouped["cutoff"].nunique(), grouped["naive"].first()
        first = pd.DataFrame({"naive": rule, "cutoffs": cutoffs, **total, "bias": bias})
        return first.join(mean).reset_index()

    def coverage(self) -> pd.DataFrame:
        """Nominal and measured coverage of every forecaster's intervals, customers of all cutoffs.

        Columns: what, forecast, customers, and those of :func:`clv.evaluate.interval_coverage`.
        """
        parts = [
            interval_coverage(*placed).assign(what=what, forecast=name, customers=len(placed[0]))
            for what in WHATS
            for name in self.table["forecast"].unique()
            if (placed := self.placement(name, what)) is not None
        ]
        first = ["what", "forecast", "customers"]
        return pd.concat(parts, ignore_index=True)[[*first, "nominal", "inside", "randomized"]]

    def placement(self, name: str, what: What) -> Placement | None:
        """Where what happened lies in a forecaster's distributions, over all cutoffs."""
        placements = [
            judged.placement[what]
            for _, judged in self.of_forecaster(name)
            if what in judged.placement
        ]
        if not placements:
            return None
        below, upto = (np.concatenate(side) for side in zip(*placements, strict=True))
        return below, upto

    def pit(self, name: str, what: What = "purchases", bins: int = 10) -> pd.DataFrame:
        """The randomised PIT of a forecaster over all cutoffs; see ``pit_histogram``."""
        placed = self.placement(name, what)
        if placed is None:
            raise InputError(f"{name!r} gave no distribution of {what}.")
        return pit_histogram(*placed, bins)

    def deciles(self, what: What = "purchases") -> pd.DataFrame:
        """Predicted and actual means in tenths of the customers, by cutoff and forecaster."""
        parts = [
            decile_table(actual(origin, what), mean(judged.forecast, what)).assign(
                cutoff=origin.calibration.cutoff, forecast=judged.forecast.name
            )
            for origin, all_of_it in zip(self.origins, self.judged, strict=True)
            for judged in all_of_it
        ]
        table = pd.concat(parts, ignore_index=True)
        return table[["cutoff", "forecast", *table.columns.drop(["cutoff", "forecast"])]]

    def log_ratios(self, name: str) -> dict[What, list[float]]:
        """log(actual total / predicted total) at each cutoff: what all customers had in common."""
        return {
            what: [
                float(np.log(actual(origin, what).sum() / mean(judged.forecast, what).sum()))
                for origin, judged in self.of_forecaster(name)
            ]
            for what in WHATS
        }


def _counts_placed(chances: Callable[..., Floats], counts: Floats) -> tuple[Floats, Floats, Floats]:
    """``count_placement`` in blocks of like counts: few need to be looked at up to the largest."""
    placed = np.empty((3, len(counts)))
    for rows in alike(np.arange(len(counts)), counts):
        p = chances(np.arange(counts[rows].max() + 1), rows)
        placed[:, rows] = count_placement(counts[rows], p)
    score, below, upto = placed
    return score, below, upto


def actual(origin: Origin, what: What) -> Floats:
    """What each customer did."""
    return origin.purchases if what == "purchases" else origin.money


def mean(forecast: Forecast, what: What) -> Floats:
    """What each customer was expected to do."""
    return forecast.purchases if what == "purchases" else forecast.money


def _judged_table(what: What, origin: Origin, judged: Sequence[Judged]) -> pd.DataFrame:
    y = actual(origin, what)
    means = {each.forecast.name: mean(each.forecast, what) for each in judged}
    more = pd.DataFrame([each.figures(what) for each in judged])
    more.insert(0, "decile_error", [decile_error(y, f) for f in means.values()])
    when = {"what": what, "cutoff": origin.calibration.cutoff, "end": origin.end}
    rows = pd.concat([holdout_table(y, means).assign(**when), more], axis=1)
    rows["shipped"] = [each.forecast.shipped for each in judged]
    return rows[[*when, *rows.columns.drop(list(when))]]
