"""``clv score``: every customer of an order log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli import terminal
from clv.cli.application import command
from clv.cli.options import CHAMPION, Anyway, Log, LogReading, Model
from clv.cli.screen import Screen
from clv.format import count


@command(
    "clv score orders.parquet --output scores.parquet",
    "clv score orders.csv --model models/demo --as-of 2024-03-31 -o scores.csv",
)
def score(
    ctx: typer.Context,
    log: Log,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write .parquet, or .csv safe to open."
        ),
    ],
    reading: LogReading,
    model: Model = CHAMPION,
    anyway: Anyway = False,
) -> None:
    """Score every customer of an order log.

    For each: CLV, expected purchases, churn, value at stake. The log is
    read as the one that the model learned from, and refused if it looks like
    another firm's. Every row of the file carries its terms, the
    as-of date and the model version. In CSV, an id that a spreadsheet would
    run gets an apostrophe before it: keep Parquet to join by ids.
    """
    screen: Screen = ctx.obj
    from clv.app.batch import score_log
    from clv.app.registry import load_scorer
    from clv.io.files import check_output

    check_output(output, log, kind="scores")
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
    with screen.progress("scoring") as step:
        stated = reading.stated()
        report = score_log(log, scorer, output, progress=step, anyway=anyway, **stated)
    terminal.warn_of_log(screen, report)
    terminal.show_scores(screen, output, str(scorer.terms))
    left_out = report.rows_in - report.rows_out
    joined = f"{count(left_out)} joined or netted" if left_out else "none joined or netted"
    screen.say(
        f"{count(report.rows_in)} orders and refunds, {joined}; clv check shows rows left out."
    )
    screen.written(output)
    screen.next(f"clv targets {output} --budget 5000 --contact-cost 1 --output targets.csv")
