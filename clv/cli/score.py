"""``clv score``: every customer of an order log."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli import terminal
from clv.cli.application import command
from clv.cli.options import CHAMPION, Anyway, Log, LogReading, Model, refuse
from clv.cli.screen import Screen
from clv.format import count

if TYPE_CHECKING:
    from clv.data.cleaning_report import CleaningReport


@command(
    "clv score orders.parquet --output scores.parquet",
    "clv score orders.csv --model models/demo --as-of 2024-03-31 -o scores.csv",
    "clv score state --output scores.parquet        a state that clv fold keeps",
    "clv score 'postgresql://ann@db/shop?query=SELECT * FROM orders' \\",
    "  --output 'postgresql://ann@db/shop?table=mart.scores'    # PGPASSWORD",
)
def score(
    ctx: typer.Context,
    log: Log,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write .parquet, .csv safe to open, or a table."
        ),
    ],
    reading: LogReading,
    model: Model = CHAMPION,
    anyway: Anyway = False,
) -> None:
    """Score every customer of an order log, or of a state.

    For each: CLV, expected purchases, churn, value at stake. The log is
    read as the one that the model learned from, and refused if it looks like
    another firm's. Every row of the file carries its terms, the
    as-of date and the model version. In CSV, an id that a spreadsheet would
    run gets an apostrophe before it: keep Parquet to join by ids.
    """
    screen: Screen = ctx.obj
    from clv.app.batch import score_log, score_state
    from clv.app.nightly.state_folder import is_state
    from clv.app.registry import load_scorer
    from clv.io.databases import DatabaseAddress
    from clv.io.files import check_output

    check_output(output, log, kind="scores")
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
    stated = reading.stated()
    if is_state(log):
        day = stated.pop("as_of", None)
        refuse({"--column": stated}, "the state is read already; clv fold says how.")
        with screen.progress("scoring") as step:
            score_state(log, scorer, output, day, step, anyway=anyway)
        terminal.show_scores(screen, output, str(scorer.terms))
    else:
        with screen.progress("scoring") as step:
            report = score_log(log, scorer, output, progress=step, anyway=anyway, **stated)
        terminal.warn_of_log(screen, report)
        terminal.show_scores(screen, output, str(scorer.terms))
        screen.say(_in_words(report))
    screen.written(DatabaseAddress.parse(output) or output)
    place = shlex.quote(str(DatabaseAddress.parse(output) or output))
    screen.next(f"clv targets {place} --budget 5000 --contact-cost 1 --output targets.csv")


def _in_words(report: CleaningReport) -> str:
    left_out = report.rows_in - report.rows_out
    joined = f"{count(left_out)} joined or netted" if left_out else "none joined or netted"
    return f"{count(report.rows_in)} orders and refunds, {joined}; clv check shows rows left out."
