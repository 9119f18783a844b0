"""``clv init``: how an order export is read, written down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.screen import Screen

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Order exports: CSV, Excel, Parquet, JSON lines."),
]


@command(
    "clv init orders.csv",
    "clv init exports/*.csv.gz --output shop.toml",
    "clv init payments.xlsx --output payments.toml",
)
def init(
    ctx: typer.Context,
    files: Files,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The TOML file to write.")
    ] = Path("clv.toml"),
) -> None:
    """Look at an order export and write down how it is read.

    Which column is what and why, how dates and amounts are written, which
    rows count. What the file cannot say is marked DECIDE, with what each
    answer would give. Nothing else is written.
    """
    screen: Screen = ctx.obj
    from clv.app.data_file import MARK, write_data_file
    from clv.cli.intake_view import show_check
    from clv.intake.check import check_files

    with screen.progress("looking at the files"):
        intake = check_files(files)
    written = write_data_file(intake, output)
    show_check(screen, intake.check)
    screen.written(written)
    if intake.check.questions:
        screen.next(f"edit the lines marked {MARK} in {written}, then clv check --config {written}")
    else:
        screen.next(f"clv check --config {written}")
