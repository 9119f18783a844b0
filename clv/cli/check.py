"""``clv check``: what an order log holds."""

from __future__ import annotations

import shlex

import typer

from clv.cli import terminal
from clv.cli.application import command
from clv.cli.options import AsJson, Log, LogReading
from clv.cli.screen import Screen


@command(
    "clv check orders.csv",
    "clv check orders.csv -c customer_id=Kunde -c date=Datum --date-format %d.%m.%Y",
    'clv check "orders/*.parquet" --as-of 2024-03-31 --json',
)
def check(ctx: typer.Context, log: Log, reading: LogReading, as_json: AsJson = False) -> None:
    """Say what an order log holds, and what cleaning does to it.

    Every row is accounted for: kept, merged, netted against a refund, or
    left out, with the reason, the count and examples. Nothing is written.
    """
    screen: Screen = ctx.obj
    from clv.data.transactions import clean
    from clv.io.files import read_log

    with screen.progress("reading and cleaning"):
        _, report = clean(read_log(log), **reading.rules())
    terminal.warn_of_future(screen, report)
    if as_json:
        screen.json(report.to_dict())
        return
    terminal.show_cleaning(screen, report)
    same = " ".join(filter(None, (shlex.quote(log), str(reading))))
    screen.next(f"clv score {same} --output scores.parquet")
