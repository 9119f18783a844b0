"""``clv export``: scores for other systems and for advertisers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from clv.cli import terminal
from clv.cli.application import command
from clv.cli.options import Anyway, AsJson, Scores
from clv.cli.screen import Screen
from clv.exports.formats import FORMATS


def _destination(name: str | None) -> str | None:
    if name is not None and name not in FORMATS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(FORMATS)}.")
    return name


Destination = Annotated[
    str | None,
    typer.Option(
        metavar="WHOM",
        callback=_destination,
        help=f"An advertiser: {', '.join(FORMATS)}; without it, a plain file.",
    ),
]
Tiers = Annotated[
    list[str] | None,
    typer.Option(metavar="TIER", help='As "top 1%" or "1 to 5%"; may be given several times.'),
]
ColumnNames = Annotated[
    str | None, typer.Option(metavar="A,B", help="Of a plain file; all without it.")
]
LastExport = Annotated[
    str | None, typer.Option(metavar="FILE", help="The last export, to compare with.")
]


@dataclass(frozen=True, kw_only=True)
class Audience:
    """What an advertiser's list takes."""

    HEADING: ClassVar[str] = "An advertiser's list"
    contacts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="customer_id, email and/or phone, ad_user_data, ad_personalization [, names, "
            "country, zip].",
        ),
    ] = None
    audience: Annotated[
        str | None, typer.Option(metavar="NAME", help="A neutral name of the list.")
    ] = None
    home_country: Annotated[
        str | None, typer.Option(metavar="CC", help="Of contacts without one, such as DE.")
    ] = None
    consent_confirmed_by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who answers for all having agreed, if the contacts do not say."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Trail:
    """What is noted of an export."""

    HEADING: ClassVar[str] = "What is noted of it"
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add a line to this log of exports.")
    ] = None
    who: Annotated[str | None, typer.Option(metavar="NAME", help="Who exports, for that log.")] = (
        None
    )


@command(
    'clv export scores.parquet -o top.csv --tier "top 1%" --tier "1 to 5%"',
    "clv export scores.parquet -o google.csv --to google --contacts crm.csv",
    "clv export scores.parquet -o meta.csv --to meta --contacts crm.csv \\",
    "  --last meta.csv --home-country DE --audit exports.jsonl",
)
def export(
    ctx: typer.Context,
    scores: Scores,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write .csv, or .parquet.")
    ],
    advertiser: Audience,
    trail: Trail,
    to: Destination = None,
    tier: Tiers = None,
    columns: ColumnNames = None,
    last: LastExport = None,
    anyway: Anyway = False,
    as_json: AsJson = False,
) -> None:
    """Hand scores to other systems, or to an advertiser, hashed.

    Everybody is accounted for: in the file, or left out and why. Nobody goes
    to an advertiser without consent. In CSV, text that a spreadsheet would
    run gets an apostrophe before it, ids too; Parquet holds what is.
    """
    screen: Screen = ctx.obj
    from clv.exports.run import export_scores

    _require_all_used(to, columns, advertiser, trail)
    names = [name.strip() for name in columns.split(",")] if columns else None
    with screen.progress("exporting"):
        done = export_scores(
            scores,
            output,
            to,
            tiers=tier or (),
            columns=names,
            last=last,
            anyway=anyway,
            **asdict(trail),
            **asdict(advertiser),
        )
    if as_json:
        screen.json(done.to_dict())
    else:
        terminal.show_export(screen, done)
        screen.written(output)


def _require_all_used(
    to: str | None, columns: str | None, advertiser: Audience, trail: Trail
) -> None:
    """Raise a usage error for an option that would change nothing."""
    idle = [f"--{name.replace('_', '-')}" for name, value in asdict(advertiser).items() if value]
    if to is None and idle:
        raise typer.BadParameter(f"{idle[0]} is for an advertiser's list: say --to whom.")
    if to is not None and columns:
        raise typer.BadParameter(f"--columns is for a plain file: {to} says what it takes.")
    if trail.who and not trail.audit:
        raise typer.BadParameter("--who is for the log of exports: say --audit FILE.")
