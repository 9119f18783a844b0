"""``clv backtest``: how far off forecasts from earlier days would have been."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.train import ConfigFile


@command(
    "clv backtest --config my-shop.toml",
    "clv backtest --config clv.toml --origins 5 --length 91 --json rows.json",
    "clv train --help           what such a file holds",
)
def backtest(
    ctx: typer.Context,
    config: ConfigFile,
    origins: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="From so many earlier days.")
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(metavar="DAYS", help='What is forecast each time; or "13 weeks".'),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write a row per cutoff and forecast."),
    ] = None,
) -> None:
    """Say how far off forecasts from earlier days would have been.

    Every purchase model, the pooled forecast, boosted trees, the lifetimes
    package and naive forecasts, each on the log as it could be known then: on
    the holdout of the configuration, and from its earlier days. A sentence says
    what the forecast is good for. Nothing is registered.
    """
    from clv.app.training.config import Config
    from clv.app.training.cutoffs import write_rows
    from clv.cli.training_tables import judge_and_show, judge_rolling, read_and_show

    settings = Config.read(config).with_holdouts(origins, length)
    data = read_and_show(settings, ctx.obj)
    if rows is None:
        judge_and_show(data, settings, ctx.obj)
    else:
        write_rows(judge_rolling(data, settings, ctx.obj), rows)
        ctx.obj.say(f"Wrote {rows}.")
