"""``clv backtest``: how far off forecasts from earlier days would have been."""

from __future__ import annotations

import typer

from clv.cli.application import command
from clv.cli.train import ConfigFile


@command("clv backtest --config my-shop.toml", "clv train --help           what such a file holds")
def backtest(ctx: typer.Context, config: ConfigFile) -> None:
    """Say how far off forecasts from earlier days would have been.

    Every purchase model, a gradient-boosting challenger and naive forecasts,
    each on the log as it could be known then: on the holdout of the
    configuration, and from its earlier days. Nothing is registered.
    """
    from clv.app.training.config import Config
    from clv.cli.training_tables import judge_and_show, read_and_show

    settings = Config.read(config)
    judge_and_show(read_and_show(settings, ctx.obj), settings, ctx.obj)
