"""What a training run shows: the holdout, forecasts from earlier days, and what was learned."""

from __future__ import annotations

from typing import Any

import pandas as pd

from clv.app.training.backtest import MONEY, PURCHASES, Backtest
from clv.app.training.config import Config
from clv.app.training.cutoffs import rolling_origin
from clv.app.training.evidence import findings, learned
from clv.app.training.steps import TrainingLog, judge, read_training_log, with_rolling_origin
from clv.cli.screen import Screen, table
from clv.cli.terminal import show_cleaning, warn_of_log
from clv.errors import InputError
from clv.evaluate.backtest import RollingOrigin, choose, coverage_table
from clv.evaluate.backtest.judgement import advice, comparison
from clv.evaluate.backtest.rolling import WHATS, actual
from clv.format import change, fine_number, fine_percent, number, percent, whole_number
from clv.scorer import CustomerScorer

FORECAST = {"forecast": "forecast"}
ERRORS = {"bias": "bias", "mae": "MAE", "rmse": "RMSE", "gini": "Gini"}
HOLDOUT = FORECAST | {"predicted_total": "total"} | ERRORS
ROLLING = (
    FORECAST | ERRORS | {"decile_error": "deciles", "log_score": "log score", "inside_90": "in 90%"}
)
COVERAGE = {
    "what": "of",
    "n": "n",
    "nominal": "nominal",
    "inside": "inside",
    "randomized": "randomized",
}
FORMATS = {
    "predicted_total": whole_number,
    "bias": change,
    "gini": fine_number,
    "decile_error": fine_percent,
    "log_score": lambda v: number(v, 4),
    "inside_90": fine_percent,
    "n": whole_number,
    "nominal": percent,
    "inside": fine_percent,
    "randomized": fine_percent,
}


def read_and_show(config: Config, screen: Screen) -> TrainingLog:
    """Read and clean the log of a configuration, and show what cleaning did."""
    with screen.step("Cleaning the order log"):
        data = read_training_log(config)
    warn_of_log(screen, data.report)
    show_cleaning(screen, data.report)
    if data.unfit:
        screen.warn(data.unfit)
    if data.judged_on:
        screen.say(data.judged_on)
    return data


def judge_and_show(data: TrainingLog, config: Config, screen: Screen) -> Backtest:
    """Judge on the holdout and from several earlier days, and show the tables."""
    with screen.step(f"Fitting on what was known on {config.holdout.day}, as a test"):
        judged = judge(data, config)
    show_holdout(screen, judged)
    with screen.step("Forecasting from several earlier days, as a test of every model"):
        judged, obstacle = with_rolling_origin(judged, data, config)
    if obstacle:
        screen.warn(obstacle)
    if judged.rolling:
        show_rolling(screen, judged.rolling)
    return judged


def judge_rolling(data: TrainingLog, config: Config, screen: Screen) -> RollingOrigin:
    """Judge from several earlier days alone, other packages included, and show the tables.

    Raises
    ------
    InputError
        The configuration asks for no cutoffs, or the log cannot bear them.
    """
    with screen.step("Forecasting from several earlier days, as a test of every model"):
        rolling = rolling_origin(data.raw, data.clean, config, with_peers=True)
    if rolling is None:
        raise InputError("there are no cutoffs to judge at.", hint="add --origins 3.")
    show_rolling(screen, rolling)
    return rolling


def show_holdout(screen: Screen, judged: Backtest) -> None:
    """The tables of the holdout and who wins, in words."""
    for what in (PURCHASES, MONEY):
        rows = judged.table(what)
        actual = rows["actual_total"].iloc[0]
        screen.title(
            f"Holdout {judged.cutoff} to {judged.end}, {what}: actual {whole_number(actual)}"
        )
        screen.show(_table(rows, HOLDOUT))
        screen.points(judged.verdict(what).splitlines())
        screen.say()


def show_rolling(screen: Screen, rolling: RollingOrigin) -> None:
    """The table averaged over the cutoffs, and what it says of the choice."""
    means, choice = rolling.means(), choose(rolling)
    cutoffs = ", ".join(str(origin.calibration.cutoff) for origin in rolling.origins)
    for what in (w for w in WHATS if any(actual(o, w).any() for o in rolling.origins)):
        everywhere = (means["what"] == what) & (means["cutoffs"] == len(rolling.origins))
        rows = means[everywhere].dropna(axis="columns", how="all")
        screen.title(f"Rolling origin, {what}: {rolling.days} days after {cutoffs}")
        screen.show(_table(rows, {key: head for key, head in ROLLING.items() if key in rows}))
    screen.points([*map(str, choice.reasons), *comparison(rolling), advice(rolling)])
    screen.title(f"Coverage of the intervals of {choice.title}, all cutoffs together")
    screen.show(_table(coverage_table(rolling, choice.title), COVERAGE))


def show_learned(screen: Screen, scorer: CustomerScorer, judged: Backtest) -> None:
    """The few figures to remember, and what the fits found to say."""
    rows = [{"what": what, "value": text} for what, text in learned(scorer, judged).items()]
    screen.title("What was learned")
    screen.show(table(rows, {"what": "what", "value": "found"}))
    screen.points(findings(scorer, judged))


def _table(frame: pd.DataFrame, headings: dict[str, str]) -> Any:
    rows: Any = frame.to_dict("records")
    return table(rows, headings, FORMATS, left=[next(iter(headings))])
