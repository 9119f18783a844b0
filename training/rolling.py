"""Every forecaster at several cutoffs, and the purchase model that follows.

    python -m training.rolling --config training/online_retail.toml

Judges every purchase model, a gradient-boosting challenger and the naive forecasts at the cutoffs
of ``[holdout]``, each on the log as it could be known then; measures the coverage of intervals;
says which purchase model that speaks for. ``training.train`` does the same and keeps it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # run as a script: the folder above is where training is found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from clv.cli.screen import Screen, table
from clv.data.transactions import clean
from clv.evaluate.backtest import (
    Choice,
    Origin,
    RollingOrigin,
    choose,
    coverage_table,
    spaced_cutoffs,
)
from clv.evaluate.backtest.choice import unjudged
from clv.evaluate.backtest.origin import day_of, plain, require_within
from clv.evaluate.backtest.rolling import WHATS
from clv.io.files import read_log
from training.backtest import as_known, length_of
from training.command import run, step
from training.config import Config

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = {
    "forecast": "forecast",
    "bias": "bias",
    "mae": "MAE",
    "rmse": "RMSE",
    "gini": "Gini",
    "decile_error": "deciles",
    "log_score": "log score",
    "inside_90": "in 90%",
}
COVERAGE = {
    "what": "of",
    "n": "n",
    "nominal": "nominal",
    "inside": "inside",
    "randomized": "randomized",
}
PERCENT = "{:.1%}".format
FORMATS = {
    "bias": "{:+.1%}".format,
    "gini": "{:z.3f}".format,
    "decile_error": PERCENT,
    "log_score": "{:.4f}".format,
    "inside_90": PERCENT,
    "n": "{:,.0f}".format,
    "nominal": "{:.0%}".format,
    "inside": PERCENT,
    "randomized": PERCENT,
}


def rolling_origin(raw: Any, log: Any, config: Config) -> RollingOrigin | None:
    """Everybody at every cutoff; None where the config asks for no origins.

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
    InputError, FitError
        The log is too short or too thin for these cutoffs.
    """
    if not (config.holdout.origins or config.holdout.cutoffs):
        return None
    cutoffs, days = cutoffs_of(log, config)
    return RollingOrigin.from_origins(
        [
            Origin.from_log(as_known(raw, log, config, cutoff), cutoff, days, config.model.unit)
            for cutoff in cutoffs
        ]
    )


def cutoffs_of(log: Any, config: Config) -> tuple[list[dt.date], int]:
    """The cutoffs, oldest first, and the days after each."""
    asked, day = list(config.holdout.cutoffs), plain(log)["date"]
    first, last, length = day_of(day.min()), day_of(day.max()), length_of(config)
    if not asked:
        return spaced_cutoffs(first, last, config.holdout.origins, length)
    days = round(length.to("day")) if length else (last - asked[-1]).days
    require_within(asked, days, first, last)
    return asked, days


def choice_of(rolling: RollingOrigin | None, config: Config) -> Choice | None:
    """The purchase model that a rolling origin speaks for, if the config leaves the choice."""
    if config.model.purchase_model != "auto":
        return None
    return choose(rolling) if rolling else unjudged("there are no cutoffs to judge it at.")


def show_rolling(screen: Screen, rolling: RollingOrigin) -> None:
    """The table averaged over the cutoffs, and what it says of the choice."""
    means, choice = rolling.means(), choose(rolling)
    cutoffs = ", ".join(str(origin.calibration.cutoff) for origin in rolling.origins)
    for what in WHATS:
        shown = means[means["what"] == what].dropna(axis="columns", how="all")
        screen.title(f"Rolling origin, {what}: {rolling.days} days after {cutoffs}")
        headings = {name: heading for name, heading in SHOWN.items() if name in shown}
        screen.show(table(_rows(shown), headings, FORMATS, left=["forecast"]))
    screen.points(choice.reasons)
    screen.title(f"Coverage of the intervals of {choice.title}, all cutoffs together")
    screen.show(
        table(_rows(coverage_table(rolling, choice.title)), COVERAGE, FORMATS, left=["what"])
    )


def tracked(rolling: RollingOrigin, name: str) -> Axes:
    """Cumulative actual and expected purchases at every cutoff, side by side.

    ``name`` is a purchase model's as the table has it, such as "BG/NBD".
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from clv.report.plots import plot_tracking
    from clv.report.plots.style import MARGIN, SIZE

    n = len(rolling.origins)
    wide = min(n, 2)
    tall = -(-n // wide)
    layout = ConstrainedLayoutEngine(w_pad=2 * MARGIN, h_pad=2 * MARGIN)
    figure = Figure(figsize=(SIZE[0] * wide, SIZE[1] * tall), layout=layout)
    for i, origin in enumerate(rolling.origins):
        ax = figure.add_subplot(tall, wide, i + 1)
        known = origin.calibration
        cutoff = origin.whole - known.horizon
        model = known.purchases[rolling.models[name]]
        plot_tracking(origin.tracking(model), cutoff=cutoff, unit=known.unit, ax=ax)
        ax.set_title(f"As of {known.cutoff}", loc="left", fontsize=13, fontweight="bold", pad=24)
    return ax


def _rows(frame: pd.DataFrame) -> Any:
    return frame.to_dict("records")


def judge(config: Config, screen: Screen) -> RollingOrigin | None:
    """Read, clean, judge, print."""
    raw = read_log(config.log.path)
    log: Any = clean(raw, as_of=config.log.as_of, **config.log.rules())[0]
    with step(screen, "Forecasting from every cutoff"):
        rolling = rolling_origin(raw, log.to_arrow_table(), config)
    if rolling:
        show_rolling(screen, rolling)
    else:
        screen.say("The config asks for no origins: [holdout] origins = 0.")
    return rolling


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.rolling", description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE.toml", help="what to judge on")
    run(lambda asked, screen: judge(Config.read(asked.config), screen), parser)


if __name__ == "__main__":
    main()
