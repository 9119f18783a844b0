"""``clv init``: how an order export is read, written down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.screen import Screen

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Orders, or subscriptions and invoices: CSV, Excel, Parquet, JSON lines.",
    ),
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over a file that was edited.")
    ] = False,
) -> None:
    """Look at an export of orders or subscriptions and write down how it is read.

    Which column is what and why, how dates and amounts are written, which
    rows count. What the file cannot say is marked DECIDE, with what each
    answer would give. Nothing else is written.
    """
    screen: Screen = ctx.obj
    from clv.app.data_file import MARK, write_data_file
    from clv.cli.intake_view import show_check, show_regular
    from clv.contracts.billing_tables import recognise_contracts
    from clv.intake.check import check_files
    from clv.intake.sources import read_source

    with screen.progress("looking at the files"):
        source = read_source(files)
        contractual = recognise_contracts(source.names) is not None
        intake = None if contractual else check_files(files, source=source)
    if intake is None:
        _init_contracts(screen, files, output, overwrite)
        return
    written = write_data_file(intake, output, over_edits=overwrite)
    show_check(screen, intake)
    show_regular(screen, intake)
    screen.written(written)
    if intake.check.questions:
        screen.next(f"edit the lines marked {MARK} in {written}, then clv check --config {written}")
    else:
        screen.next(f"clv check --config {written}")


def _init_contracts(screen: Screen, files: list[str], output: Path, overwrite: bool) -> None:
    """The same for a table of contracts."""
    from clv.app.contract_files import write_contract_file
    from clv.cli.contract_view import show_table
    from clv.contracts.contract_tables import read_contract_table

    with screen.progress("reading the contracts"):
        table = read_contract_table(files)
    written = write_contract_file(table, output, over_edits=overwrite)
    show_table(screen, table)
    screen.written(written)
    screen.next(f"clv contracts {written}")
