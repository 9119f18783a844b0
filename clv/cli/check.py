"""``clv check``: what an order export holds, and whether it can be trained on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, LogReading
from clv.cli.screen import Screen


@command(
    "clv check orders.csv",
    "clv check --config shop.toml",
    "clv check orders.csv -c customer_id=Kunde -c date=Datum",
    'clv check "orders/*.parquet" --as-of 2024-03-31 --json',
)
def check(
    ctx: typer.Context,
    reading: LogReading,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Orders: CSV, Excel, Parquet, JSON lines."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The TOML file that clv init wrote, instead of files."),
    ] = None,
    max_unread: Annotated[
        float, typer.Option(metavar="SHARE", help="Rows that may be unreadable, of all.")
    ] = 0.1,
    as_json: AsJson = False,
) -> None:
    """Say what an order export holds, and whether it can be trained on.

    Every row is accounted for, every column that was not used is named. What
    the file cannot say is asked, with what each answer would give: then, and
    where too many rows cannot be read, the command ends with exit code 3.
    Nothing is written.
    """
    screen: Screen = ctx.obj
    from clv.app.data_file import read_data
    from clv.cli.intake_view import show_check
    from clv.intake.check import check_files, error_of

    if bool(files) == bool(config):
        raise typer.BadParameter("give either files or --config.")
    recipe, paths = None, list(files or ())
    if config is not None:
        section = read_data(config)
        recipe, paths = section.recipe(), section.paths(config)
    with screen.progress("reading and cleaning"):
        intake = check_files(paths, recipe=recipe, stated=reading.stated(), max_unread=max_unread)
    if as_json:
        screen.json(intake.check.to_dict())
    else:
        show_check(screen, intake.check)
    if (error := error_of(intake)) is not None:
        raise error
    if as_json:
        return
    named = shlex.join(["clv", "init", *paths])
    screen.next(named if config is None else f"clv train --config {config}")
