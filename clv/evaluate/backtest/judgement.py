"""A rolling origin in rows and in a sentence: what was forecast, what came, what it is good for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clv.evaluate import holdout_table, interval_coverage
from clv.evaluate.backtest.choice import gap
from clv.evaluate.backtest.coverage import total_interval
from clv.evaluate.backtest.origin import Origin
from clv.evaluate.backtest.regularity import REGULAR, regularity
from clv.evaluate.backtest.rolling import SHIPPED, WHATS, Judged, RollingOrigin, What, actual, mean
from clv.format import fine_number, number, percent

ERRORS = 2.0  # standard errors within which two log scores are level
CLOSE = 0.10  # a total that misses by less, on average, is one to plan with


def judged_rows(rolling: RollingOrigin) -> list[dict[str, Any]]:
    """A row for each cutoff, forecast, and of purchases and money, as JSON values.

    Keys: cutoff, forecast, of, shipped (whether a scorer trained that day gives it), log_score
    (purchases alone), gini, bias, mae, rmse, covered_90 (share of the randomised PIT within the
    central 90%), total_low, total_high (90% interval of the total), total, total_actual.
    """
    rows = []
    for origin, everybody in zip(rolling.origins, rolling.judged, strict=True):
        for what in WHATS:
            interval = total_interval(origin, what)
            when = {"cutoff": str(origin.calibration.cutoff)}
            rows += [when | _row(judged, origin, what, interval) for judged in everybody]
    return rows


def _row(
    judged: Judged, origin: Origin, what: What, interval: tuple[float, float]
) -> dict[str, Any]:
    forecast, means, y = judged.forecast, mean(judged.forecast, what), actual(origin, what)
    table = holdout_table(y, {forecast.name: means}).iloc[0]
    total = float(means.sum())
    low, high = (np.nan if forecast.naive else factor * total for factor in interval)
    return {
        "forecast": forecast.name,
        "of": what,
        "shipped": forecast.shipped,
        "log_score": judged.figures(what)["log_score"],
        **{key: float(table[key]) for key in ("gini", "bias", "mae", "rmse")},
        "covered_90": _covered(judged, what),
        "total_low": low,
        "total_high": high,
        "total": total,
        "total_actual": float(y.sum()),
    }


def comparison(rolling: RollingOrigin) -> list[str]:
    """What ships beside every other forecast with a distribution, in log score; level if chance."""
    sentences = []
    for name in rolling.names:
        apart = rolling.of_forecaster(name)
        if len(apart) < len(rolling.origins) or any(j.log_score is None for _, j in apart):
            continue
        behind, error = gap(rolling, name, SHIPPED)
        if behind == 0 and error == 0:
            continue
        text = f"{number(abs(behind), 4)}, ±{number(error, 4)}"
        if abs(behind) <= ERRORS * error:
            sentences.append(f"{name} is level with what ships.")
        else:
            side = "behind" if behind > 0 else "ahead of"
            sentences.append(f"{name} is {side} what ships by {text} in log score.")
    return sentences


def advice(rolling: RollingOrigin) -> str:
    """What the forecast that ships is good for, and why not for more, in one sentence."""
    figures = _figures(rolling)
    ranks = all(figures[what]["gini"] > figures[what]["naive_gini"] for what in WHATS)
    totals = all(
        figures[what]["miss"] <= min(CLOSE, figures[what]["naive_miss"] + CLOSE / 2)
        for what in WHATS
    )
    uses = [use for use, fit in (("ranking", ranks), ("totals", totals)) if fit]
    says = f"Use it for {' and '.join(uses) or 'neither ranking nor totals'}"
    parts = [
        f"{what} have a Gini of {fine_number(ours['gini'])} (best naive "
        f"{fine_number(ours['naive_gini'])}) and totals {percent(ours['miss'])} off "
        f"on average (best naive {percent(ours['naive_miss'])})"
        for what, ours in figures.items()
    ]
    return f"{says}: {'; '.join([*parts, *_reasons(rolling, totals)])}."


def _figures(rolling: RollingOrigin) -> dict[What, Mapping[str, float]]:
    figures: dict[What, Mapping[str, float]] = {}
    for what in WHATS:
        rows = rolling.table[rolling.table["what"] == what]
        rows = rows.assign(miss=rows["bias"].abs())
        ours = rows[rows["shipped"]][["gini", "miss"]].mean()
        naive = rows[rows["naive"]].groupby("forecast")[["gini", "miss"]].mean()
        figures[what] = {
            "gini": float(ours["gini"]),
            "miss": float(ours["miss"]),
            "naive_gini": float(naive["gini"].max()),
            "naive_miss": float(naive["miss"].min()),
        }
    return figures


def _reasons(rolling: RollingOrigin, totals: bool) -> list[str]:
    """Why totals are off, and what else a reader should be warned of."""
    reasons, newest = [], rolling.origins[-1].calibration
    days = (newest.cutoff - newest.first).days
    if not totals:
        if days < 365 + newest.days / 2:
            reasons.append(f"the log is {days} days long, so no season was seen twice")
        else:
            reasons.append("the business changed between the past and what came")
    k, placed = regularity(newest.log), rolling.placement(SHIPPED, "purchases")
    if k > REGULAR and placed is not None:
        inside = interval_coverage(*placed, [0.9])["randomized"].iloc[0]
        reasons.append(
            f"customers buy more regularly than by chance (k = {number(k, 1)}, chance is 1), while "
            f"90% intervals of single customers held {percent(inside)}"
        )
    return reasons


def _covered(judged: Judged, what: What) -> float:
    if what not in judged.placement:
        return float("nan")
    return float(interval_coverage(*judged.placement[what], [0.9])["randomized"].iloc[0])
