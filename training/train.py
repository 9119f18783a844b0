"""What ``clv train`` does, as a recipe to copy and change.

    python -m training.train --config training/online_retail.toml

Clean the log, judge the models on a holdout and from several earlier days beside naive forecasts,
fit them on everything, log all of it to MLflow, and register the scorer as the challenger.
"""

from __future__ import annotations

import typer

from clv.app.training.config import Config
from clv.app.training.steps import (
    Trained,
    fit_scorer,
    judge,
    read_training_log,
    register,
    with_rolling_origin,
)
from clv.cli.application import command
from clv.cli.main import run
from clv.cli.screen import Screen
from clv.cli.train import ConfigFile

NAME = "python -m training.train"


def train(config: Config, screen: Screen) -> Trained:
    """The whole recipe."""
    data = read_training_log(config)
    screen.say(f"{data.report}\n")
    judged = judge(data, config)
    judged, obstacle = with_rolling_origin(judged, data, config)
    screen.say(f"{judged}\n{obstacle or ''}\n")
    scorer = fit_scorer(data, judged, config)
    version = register(scorer, data, judged, config)
    screen.say(f"Registered as {version.uri}: {scorer.churn.reason}; {scorer.terms}.")
    screen.next(f"clv promote --model {version.name}")
    return Trained(version, scorer, judged)


@command(f"{NAME} --config training/online_retail.toml")
def main(ctx: typer.Context, config: ConfigFile) -> None:
    """Train, judge, log and register."""
    train(Config.read(config), ctx.obj)


if __name__ == "__main__":
    run(main, NAME)
