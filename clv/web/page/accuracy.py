"""How close forecasts came, on Trust: backtests, intervals, calibration, candidates for churn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from markupsafe import Markup

from clv.format import (
    NONE,
    capital,
    change,
    count,
    counted,
    day,
    days,
    fine_number,
    fine_percent,
    money,
    number,
    percent,
)
from clv.report.charts import (
    Cell,
    Chart,
    Column,
    Series,
    Table,
    line_chart,
    share_axis,
    track,
)
from clv.report.plots import plot_calibration
from clv.store import Store
from clv.web.page import model_report
from clv.web.page.model_report import outcome_figure
from clv.web.page.tables import Empty, small

Rows = Sequence[Mapping[str, Any]]
MEASURES = {
    "gini": ("Ranking, Gini", fine_number),
    "bias": ("Total off by", change),
    "mae": ("Mean error", None),
    "rmse": ("RMSE", None),
    "decile_error": ("Error by tenth of customers", percent),
    "log_score": ("Log score", lambda score: number(score, 4)),
    "inside_90": ("In 90% interval", percent),
}

NEVER_BEST = ("inside_90",)  # closer to what was promised is better, not more


def backtest(rows: Rows, what: str, card: Any, rolling: Any, currency: str) -> Table:
    """Every forecaster, averaged over the cutoffs; the best figures are bold."""
    measures = [name for name in MEASURES if any(row.get(name) is not None for row in rows)]
    winners = {name: model_report.best(rows, name) for name in measures if name not in NEVER_BEST}
    cells = []
    for row in rows:
        figures = [
            _figure(row, name, currency if what == "money" else "", winners) for name in measures
        ]
        cells.append((_forecaster(row, card), *figures))
    ours = [k for k, row in enumerate(rows) if row is model_report.in_use(rows, card)]
    columns = (Column("Forecast"), *(Column(MEASURES[name][0], "number") for name in measures))
    window = f"{counted(len(rolling['cutoffs']), 'window')} of {days(rolling['days'])}"
    return Table(f"{model_report.WHAT[what]}: mean of {window}", columns, cells, ours)


def _figure(row: Mapping[str, Any], name: str, currency: str, winners: Mapping[str, Any]) -> Cell:
    value, write = row.get(name), MEASURES[name][1]
    if value is None:
        return NONE
    text = write(value) if write else (money(value, currency) if currency else fine_number(value))
    best = winners.get(name)
    wins = best is not None and abs(value) == abs(best[name])
    return Markup('<b class="best">{}</b>').format(text) if wins else text


def _forecaster(row: Mapping[str, Any], card: Any) -> Cell:
    if row["forecast"] == (card or {}).get("purchase_model"):
        return small(row["forecast"], "in use")
    return small(row["forecast"], "naive rule") if row["naive"] else str(row["forecast"])


def outcomes(rolling: Any) -> Chart | None:
    """What came, in percent of what was expected, a row per window."""
    windows = model_report.outcomes(rolling)
    if not windows:
        return None
    caption = (
        "Each window begins where the model's knowledge ends. Where dots lie outside in one "
        "direction, something moved all customers at once: a season, a trend."
    )
    return outcome_figure(windows, "What came, of what was expected", caption)


COVERED = {"purchases of customers": "1", "money of customers": "2"}


def coverage(rolling: Any) -> Chart | None:
    """Promised against measured coverage of customers' intervals."""
    rows = [row for row in (rolling or {}).get("coverage", ()) if row["what"] in COVERED]
    if not rows:
        return None
    low = min(0.7, *(row["inside"] for row in rows))
    x, y = share_axis("Promised", 0.75), share_axis("Held", low)
    first = max(x.low, y.low)
    series = [Series("as promised", [first, 1.0], [first, 1.0], "dash", "6")]
    for what, tone in COVERED.items():
        rows_of_kind = [row for row in rows if row["what"] == what]
        promised = [row["nominal"] for row in rows_of_kind]
        inside = [row["inside"] for row in rows_of_kind]
        series.append(Series(f"{what}, as counted", promised, inside, "rings", tone))
        split = [_number(row["randomized"]) for row in rows_of_kind]
        series.append(Series(f"{what}, ties split", promised, split, "dots", tone))
    cells = [_covered(row) for row in rows]
    columns = (
        Column("Interval of"),
        Column("Promised", "number"),
        Column("Held", "number"),
        Column("As a dot", "chart"),
        Column("Ties split", "number"),
        Column("Customers", "number"),
    )
    title = "Intervals of single customers"
    summary = "; ".join(
        f"{r['what']}: promised {percent(r['nominal'])}, held {fine_percent(r['inside'])}"
        for r in rows
    )
    return line_chart(
        title,
        summary,
        series,
        x,
        y,
        Table("Promised and held, all windows together", columns, cells),
        "An interval must hold whole numbers, and many customers buy nothing, so it holds more "
        "than promised. With ties split in proportion, dots on the line are right.",
    )


def _covered(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        str(row["what"]),
        percent(row["nominal"]),
        fine_percent(row["inside"]),
        track(row["inside"], row["nominal"]),
        fine_percent(row["randomized"]),
        count(row["n"]),
    )


def totals_coverage(rolling: Any) -> Table | None:
    """How many of the windows' totals lay within their intervals, by what was promised."""
    rows = [row for row in (rolling or {}).get("coverage", ()) if row["what"].startswith("total")]
    if not rows:
        return None
    levels = sorted({row["nominal"] for row in rows})
    held: dict[str, dict[float, str]] = {}
    for row in rows:
        share_inside = f"{round(row['inside'] * row['n'])} of {row['n']}"
        held.setdefault(row["what"], {})[row["nominal"]] = share_inside
    cells = [
        (_total_in_words(what), *(by_level.get(level, NONE) for level in levels))
        for what, by_level in held.items()
    ]
    columns = [Column(f"{percent(level)} promised", "number") for level in levels]
    caption = "Windows whose total lay inside; a few windows say little"
    return Table(caption, (Column("Interval of"), *columns), cells)


def _total_in_words(what: str) -> str:
    """Of models alone, or with the common factor that moves all customers at once.

    >>> _total_in_words("total money"), _total_in_words("total money, models alone")
    ('Total money, with what moves all customers', 'Total money, models alone')
    """
    alone = what if "alone" in what else f"{what}, with what moves all customers"
    return capital(alone)


def calibration(store: Store) -> Chart | Empty:
    """Predicted and actual purchases by past purchases, if the table was published."""
    rows = store.document("calibration")
    if not rows:
        return Empty(
            "No calibration by past purchases was published",
            "The backtest above still says how far tenths of customers were off.",
            "Train with a holdout, and publish with its model: clv publish --model.",
        )
    chart = plot_calibration(pd.DataFrame(rows), horizon="holdout")
    caption = "Mean per customer in the holdout; below each class its number of customers."
    return replace(chart, description=caption, caption=caption)


SCORES = {  # for the churn risk, in words
    "P(no purchase in h)": "the purchase model: no order",
    "1 - P(alive)": "the purchase model: gone for good",
}


def churn(card: Any) -> Table | None:
    """How the candidates for the churn score did at the test cutoff."""
    rows = [row for row in ((card or {}).get("churn") or {}).get("figures", ()) if row["auc"]]
    if not rows:
        return None
    model = card["churn"]
    cells = [
        (
            small(name, "in use") if row["score"] == model["source"] else name,
            fine_number(row["auc"]),
            NONE if row["brier"] is None else fine_number(row["brier"]),
            NONE if row["log_loss"] is None else fine_number(row["log_loss"]),
        )
        for row in rows
        for name in (SCORES.get(row["score"], row["score"]),)
    ]
    used = [k for k, row in enumerate(rows) if row["score"] == model["source"]]
    columns = (
        Column("Score"),
        Column("Ranking, AUC", "number"),
        Column("Brier", "number"),
        Column("Log loss", "number"),
    )
    when = f"No purchase within {model['horizon']}"
    if model.get("cutoffs"):  # a little too good for the one in use, as one of two was taken
        when += f", tested after {day(model['cutoffs'][-1])}, by which the one in use was chosen"
    return Table(when, columns, cells, used)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
