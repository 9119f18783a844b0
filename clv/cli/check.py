"""``clv check``: what an order export holds, and whether it can be trained on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, LogReading
from clv.cli.screen import Screen
from clv.errors import UnfitError

if TYPE_CHECKING:
    from clv.app.data_file import DataSection
    from clv.intake.check import Intake


@command(
    "clv check orders.csv",
    "clv check --config shop.toml",
    "clv check orders.csv -c customer_id=Kunde -c date=Datum",
    "clv check orders.csv --require-fit && clv train --config shop.toml",
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
        float | None,
        typer.Option(metavar="SHARE", help="Of rows and money that may be unreadable; 0.1."),
    ] = None,
    require_fit: Annotated[
        bool,
        typer.Option("--require-fit", help="End with exit code 10 where it cannot be trained on."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what an export of orders or subscriptions holds, and if it can be trained on.

    Every row is accounted for, every column that was not used is named. What
    the file cannot say is asked, with what each answer would give: then, and
    where too many rows cannot be read, the command ends with exit code 3.
    With --require-fit it ends with 10 where all is read, but too little or
    too odd to train on, or a table of contracts. Nothing is written.
    """
    screen: Screen = ctx.obj
    from clv.contracts.billing_tables import recognise_contracts
    from clv.intake.check import check_files
    from clv.intake.sources import read_source

    if bool(files) == bool(config):
        raise typer.BadParameter("give either files or --config.")
    recipe, paths, source = None, list(files or ()), None
    if config is not None and _is_of_contracts(config):
        _check_contracts(screen, [str(config)], reading, as_json, require_fit)
        return
    if config is not None:
        section = _data_of(config)
        recipe, paths = section.recipe(), section.paths(config)
    with screen.progress("reading and cleaning"):
        if recipe is None:
            source = read_source(paths)
        contractual = source is not None and recognise_contracts(source.names) is not None
        stated, limit = reading.stated(), max_unread
        intake = (
            None
            if contractual
            else check_files(paths, recipe=recipe, stated=stated, max_unread=limit, source=source)
        )
    if intake is None:
        _check_contracts(screen, paths, reading, as_json, require_fit)
        return
    _show(screen, intake, as_json=as_json)
    if not as_json:
        _next(screen, paths, config, fit=intake.check.fit)
    if require_fit and not intake.check.fit:
        raise UnfitError(
            intake.check.verdict, hint="give all orders of a longer time, of every customer."
        )


def _show(screen: Screen, intake: Intake, *, as_json: bool) -> None:
    """What was read, or an error where a run would stop."""
    from clv.cli.intake_view import show_check, show_regular
    from clv.intake.check import error_of

    if as_json:
        screen.json(intake.check.to_dict())
    else:
        show_check(screen, intake)
        show_regular(screen, intake)
    if (error := error_of(intake)) is not None:
        raise error


def _is_of_contracts(config: Path) -> bool:
    """Whether a TOML file says how contracts are read."""
    from clv.app.contract_files import read_contract_section

    return read_contract_section(config) is not None


def _data_of(config: Path) -> DataSection:
    """The data of a file that clv train would take: what it would refuse is said now."""
    from clv.app.data_file import read_data
    from clv.app.training.config import Config

    section = read_data(config)
    Config.read(config)
    return section


def _next(screen: Screen, paths: list[str], config: Path | None, *, fit: bool) -> None:
    """What comes next; nothing for a log that is not fit to train on."""
    if config is None:
        screen.next(shlex.join(["clv", "init", *paths]))
    elif fit:
        screen.next(f"clv train --config {config}")


def _check_contracts(
    screen: Screen, files: list[str], reading: LogReading, as_json: bool, require_fit: bool
) -> None:
    """The same for a table of contracts, on which ``clv train`` cannot train."""
    from clv.app.contract_files import contracts_of
    from clv.cli.contract_view import show_table

    with screen.progress("reading the contracts"):
        stated = reading.stated()
        table = contracts_of(files, {n: stated[n] for n in ("columns", "as_of") if n in stated})
    if as_json:
        screen.json(table.to_dict())
    else:
        show_table(screen, table)
        screen.next(shlex.join(["clv", "contracts", *files]))
    if require_fit:
        raise UnfitError(
            "Not fit to train on: it is a table of contracts, and clv train learns from orders.",
            hint="clv contracts fits its models and values its customers; leave --require-fit out.",
        )
