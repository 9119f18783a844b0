"""``clv digest``: what changed since the last run, to be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.options import AsJson
from clv.cli.screen import Screen


@command(
    "clv digest store",
    "clv digest store --since 2026-11-02 --output monday.html",
)
def digest(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the store is.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="The day of an earlier run; the last run without it."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write .html, with chart and tables."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say in three sentences what changed since the last run, and why.

    Of what clv publish put in place. On the terminal as text, for a mail;
    with --output as a page that stands alone.
    """
    screen: Screen = ctx.obj
    from clv.app.contents.earlier_runs import record_since
    from clv.format import day
    from clv.io.files import check_output
    from clv.monitoring.change_report import change_findings
    from clv.report.digest import digest_page
    from clv.store import Store

    if output:
        check_output(output, kind="page")
    with Store.open(folder) as store:
        record, terms = record_since(store, since), store.terms
    sentences = change_findings(record, str(terms.get("currency") or ""))
    if output:
        digest_page(record, terms).write(output)
    if as_json:
        screen.json({**record, "sentences": [each.to_dict() for each in sentences]})
        return
    screen.title(f"What changed since {day(record['since'])}")
    screen.points(sentences)
    screen.written(output)
