"""``clv report``: what the customers are worth, on a page to send."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.application import command
from clv.cli.options import CHAMPION, Model, Scores
from clv.cli.screen import Screen

if TYPE_CHECKING:
    from clv.app.training.backtest import Backtest

Page = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="Write .html, to open or send.")
]
Targets = Annotated[
    str | None, typer.Option(metavar="FILE", help="What clv targets wrote: adds whom to keep.")
]
TrainedOn = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml", help="What the model was trained on: tests it again, and adds charts."
    ),
]


@command(
    "clv report scores.parquet --output report.html",
    "clv report scores.parquet --targets targets.csv -o report.html",
    "clv report scores.parquet --config my-shop.toml -o report.html",
)
def report(
    ctx: typer.Context,
    scores: Scores,
    output: Page,
    model: Model = CHAMPION,
    targets: Targets = None,
    config: TrainedOn = None,
) -> None:
    """Write what the customers are worth as a page that stands alone.

    What is still to come and how concentrated it is, how far to trust the
    forecasts and the churn probability, and whom to keep. The page loads
    nothing from elsewhere and runs no script.
    """
    screen: Screen = ctx.obj
    from clv.app.registry import load_scorer
    from clv.io.files import check_output, read_table
    from clv.report.customer_report import customer_report

    check_output(output, *filter(None, (scores, targets)), kind="page")
    with screen.progress("writing the report"):
        page = customer_report(
            load_scorer(model),
            read_table(scores).to_pandas(),
            targets=read_table(targets).to_pandas() if targets else None,
            judged=_judged(config) if config else None,
        )
        page.write(output)
    screen.written(output)


def _judged(config: Path) -> Backtest:
    """The backtest of a configuration, run again."""
    from clv.app.training.config import Config
    from clv.app.training.steps import judge, read_training_log

    settings = Config.read(config)
    data = read_training_log(settings)
    return judge(data, settings)
