"""Every forecaster at several cutoffs, and the purchase model that follows.

Judges every purchase model, a pooled forecast, boosted trees and the naive forecasts at the cutoffs
of ``[holdout]``, each on the log as it could be known then; measures the coverage of intervals;
says which purchase model that speaks for.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clv.app.training.backtest import length_of
from clv.app.training.config import Config
from clv.app.training.earlier_logs import as_known
from clv.evaluate.backtest import (
    ModelChoice,
    Origin,
    RollingOrigin,
    choose,
    spaced_cutoffs,
)
from clv.evaluate.backtest.choice import unjudged
from clv.evaluate.backtest.judgement import advice, comparison, judged_rows
from clv.evaluate.backtest.origin import day_of, plain, require_within
from clv.io.changes import written_beside
from clv.io.json import plain as plain_json

if TYPE_CHECKING:
    from clv.report.charts import Chart


def rolling_origin(
    raw: Any, log: Any, config: Config, with_peers: bool = False
) -> RollingOrigin | None:
    """Everybody at every cutoff; None where the config asks for no origins.

    Parameters
    ----------
    raw
        The order log as it was read, for ``clean``.
    log
        The clean log, with hindsight.
    config
        Its ``log`` and ``holdout`` sections say how to clean and where to cut.
    with_peers
        Whether other packages take part, where they are installed.

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
            Origin.from_log(
                as_known(raw, log, config, cutoff),
                cutoff,
                days,
                config.model.unit,
                config.calendar.known_at(cutoff),
            )
            for cutoff in cutoffs
        ],
        with_peers=with_peers,
    )


def cutoffs_of(log: Any, config: Config) -> tuple[list[dt.date], int]:
    """The cutoffs, oldest first, and the days after each."""
    cutoffs, day = list(config.holdout.cutoffs), plain(log)["date"]
    first, last, length = day_of(day.min()), day_of(day.max()), length_of(config)
    if not cutoffs:
        return spaced_cutoffs(first, last, config.holdout.origins, length)
    days = round(length.to("day")) if length else (last - cutoffs[-1]).days
    require_within(cutoffs, days, first, last)
    return cutoffs, days


def write_rows(rolling: RollingOrigin, file: str | os.PathLike[str]) -> None:
    """Write ``judged_rows`` as JSON, with what they come to in words."""
    rows = {
        "verdict": advice(rolling),
        "comparison": comparison(rolling),
        "days": rolling.days,
        "rows": judged_rows(rolling),
    }
    with written_beside(file) as beside:
        beside.write_text(json.dumps(plain_json(rows), indent=1), encoding="utf-8")


def choice_of(rolling: RollingOrigin | None, config: Config) -> ModelChoice | None:
    """The purchase model that a rolling origin speaks for, if the config leaves the choice."""
    if config.model.purchase_model != "auto":
        return None
    return choose(rolling) if rolling else unjudged("there are no cutoffs to judge it at.")


def tracked(rolling: RollingOrigin, name: str) -> dict[str, Chart]:
    """Cumulative actual and expected purchases, by cutoff.

    ``name`` is a purchase model's as the table has it, such as "BG/NBD".
    """
    from clv.report.plots import plot_tracking

    charts = {}
    for origin in rolling.origins:
        calibration = origin.calibration
        tracking = origin.tracking(calibration.purchases[rolling.models[name]])
        cutoff = origin.whole - calibration.horizon
        chart = plot_tracking(tracking, cutoff=cutoff, unit=calibration.unit)
        title = f"As of {calibration.cutoff}: {chart.title[0].lower()}{chart.title[1:]}"
        charts[str(calibration.cutoff)] = replace(chart, title=title)
    return charts
