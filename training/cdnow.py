"""Write the CDNOW log to where ``cdnow.toml`` looks for it, and judge every forecaster on it.

python -m training.cdnow
"""

from __future__ import annotations

from pathlib import Path

import typer

from clv.app.training.config import Config
from clv.app.training.cutoffs import rolling_origin
from clv.app.training.steps import read_training_log
from clv.cli.application import command
from clv.cli.main import run
from clv.cli.screen import Screen
from clv.cli.training_tables import show_rolling
from clv.data.cdnow import cdnow_log
from clv.evaluate.backtest import RollingOrigin
from clv.io.files import write_table

NAME = "python -m training.cdnow"
CONFIG = Path(__file__).with_name("cdnow.toml")


def write_log() -> Config:
    """The configuration, its log written where it looks for it."""
    config = Config.read(CONFIG)
    (file,) = map(Path, config.data.files)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_table(cdnow_log(), file)
    return config


def cdnow(screen: Screen) -> RollingOrigin | None:
    """Write the log and judge every forecaster on it."""
    config = write_log()
    data = read_training_log(config)
    with screen.step("Forecasting from every cutoff"):
        rolling = rolling_origin(data.raw, data.clean, config)
    if rolling:
        show_rolling(screen, rolling)
    screen.next(f"clv train --config {CONFIG.parent.name}/{CONFIG.name}")
    return rolling


@command(NAME)
def main(ctx: typer.Context) -> None:
    """Judge every forecaster on CDNOW."""
    cdnow(ctx.obj)


if __name__ == "__main__":
    run(main, NAME)
