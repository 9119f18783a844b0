"""``clv funnel``: from lead to customer: conversion at equal age, cost, speed, worth of a lead."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, AsOf, Columns, Output, Track, mapping
from clv.cli.screen import Screen, table

if TYPE_CHECKING:
    from clv.funnel.funnel_terms import FunnelTerms
    from clv.funnel.lead_funnel import LeadFunnel


@dataclass(frozen=True, kw_only=True)
class LeadReading:
    """How the table of leads is read."""

    HEADING: ClassVar[str] = "How the table of leads is read"
    changes: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Changes of stage, if apart: lead_id, stage, at."),
    ] = None
    column: Columns = None
    as_of: AsOf = None
    stages: Annotated[
        str | None, typer.Option(metavar="STAGE,...", help="The stages in order.")
    ] = None
    won: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="A stage or status that is a win.")
    ] = None
    lost: Annotated[list[str] | None, typer.Option(metavar="STAGE", help="One that is a loss.")] = (
        None
    )
    date_order: Annotated[
        str | None, typer.Option(metavar="dmy|mdy", help="Day or month first, where both may be.")
    ] = None
    decimal: Annotated[
        str | None, typer.Option(metavar=".|,", help="Decimal mark, where both may be.")
    ] = None
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="Of costs and values, as in EUR.")
    ] = None

    def stated(self) -> dict[str, Any]:
        """As ``read_leads`` takes them."""
        for name, allowed in (("date_order", ("dmy", "mdy")), ("decimal", (".", ","))):
            if getattr(self, name) not in (None, *allowed):
                option = name.replace("_", "-")
                raise typer.BadParameter(f"--{option} is {' or '.join(allowed)}.")
        plain = {name: getattr(self, name) for name in ("as_of", "date_order", "decimal")}
        lists = {"won": tuple(self.won or ()), "lost": tuple(self.lost or ())}
        stages = tuple(s.strip() for s in (self.stages or "").split(",") if s.strip())
        columns = {"columns": mapping(self.column)} if self.column else {}
        every = {**plain, **lists, "stages": stages, "currency": self.currency or "", **columns}
        return {name: value for name, value in every.items() if value}


@dataclass(frozen=True, kw_only=True)
class LeadWorth:
    """What leads are worth."""

    HEADING: ClassVar[str] = "What leads are worth"
    age: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Age at which conversion is compared."),
    ] = None
    value: Annotated[
        float | None, typer.Option(metavar="MONEY", help="Of a customer won, before his cost.")
    ] = None
    values: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same by channel, as clv channels --output writes."),
    ] = None
    cost_to_serve: Annotated[
        float, typer.Option(metavar="MONEY", help="Of working on a lead from now on.")
    ] = 0.0

    def terms(self) -> FunnelTerms:
        """As funnels take them."""
        from clv.app.lead_files import channel_values
        from clv.funnel.funnel_terms import FunnelTerms

        if self.values and self.value is not None:
            raise typer.BadParameter("give --value or --values, not both.")
        value = channel_values(self.values) if self.values else self.value
        return FunnelTerms(self.age, value, self.cost_to_serve)


@command(
    "clv funnel leads.csv --value 900",
    "clv funnel deals.csv --changes history.csv --values channels.csv -o scores.csv",
    "clv funnel export.csv -c created='Create Date' --won 'Closed Won' --age 90 --json",
)
def funnel(
    ctx: typer.Context,
    leads: Annotated[
        list[str],
        typer.Argument(
            metavar="LEADS", help="A row a lead, or a row a change of stage; a CRM's export."
        ),
    ],
    reading: LeadReading,
    worth: LeadWorth,
    output: Output = None,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Say how leads become customers, what that costs, and which to call.

    Stages, channels and months are compared at equal age, and what is too
    young is not compared. Open leads are ranked by chance x value - cost;
    --output writes them. Columns are found by the names of HubSpot,
    Salesforce and Pipedrive.
    """
    screen: Screen = ctx.obj
    from clv.app.lead_files import funnel_of, track_funnel
    from clv.io.files import check_output, write_table

    if output:
        check_output(output, *filter(None, (*leads, reading.changes, worth.values)))
    terms, stated = worth.terms(), reading.stated()
    with screen.progress("reading the leads"):
        result = funnel_of(leads, terms, changes=reading.changes, stated=stated)
    run = track_funnel(track, result, leads) if track else None
    if output:
        write_table(result.scores, output)
    if as_json:
        screen.json(result.to_dict() | ({"run": run} if run else {}))
        return
    _show(screen, result)
    screen.written(output)
    screen.logged(run, track)
    if not output:
        screen.next(shlex.join(["clv", "funnel", *leads, "-o", "lead-scores.csv"]))


def _show(screen: Screen, result: LeadFunnel) -> None:
    """Counts, what was left out, stages, channels, months, and what must be known beside it."""
    from clv.format import counted, days

    screen.title(str(result).splitlines()[0])
    if result.leads.left_out:
        screen.title("Left out")
        rows = [
            {"what": counted(p.rows, "row"), "why": f"{p.reason}, as in row {p.examples[0]}"}
            for p in result.leads.left_out
        ]
        screen.show(table(rows, {"what": "what", "why": "why"}, left=("what", "why")))
    screen.title(f"Stages, within {days(result.terms.age)} of the stage before")
    screen.show(_stage_table(result))
    screen.title(f"Channels, at {days(result.terms.age)} of age")
    screen.show(_channel_table(result))
    screen.title("Months in which the leads came, at the same age")
    screen.show(_month_table(result))
    screen.points(result.findings)


def _stage_table(result: LeadFunnel) -> Any:
    from clv.format import NONE, count, days, money, percent

    code = result.leads.currency
    rows = [
        {
            "stage": stage.stage,
            "entered": count(stage.entered),
            "went on": _interval(stage.converted, percent),
            "median": NONE if stage.median_days is None else days(stage.median_days),
            "cost": money(stage.cost_per_entry, code),
        }
        for stage in result.stages
    ]
    headings = {"stage": "stage", "entered": "reached it", "went on": "went on to it"}
    headings |= {"median": "after (median)", "cost": "cost each"}
    return table(rows, headings, left=("stage",))


def _channel_table(result: LeadFunnel) -> Any:
    from clv.format import count, money, percent

    code = result.leads.currency
    rows = [
        {
            "channel": channel.group.name,
            "leads": count(channel.group.leads),
            "won": channel.group.why_not or _interval(channel.group.within, percent),
            "chance": _interval(channel.chance, percent),
            "cost": money(channel.cost_per_win, code),
            "worth": _interval(channel.worth, lambda amount: money(amount, code)),
        }
        for channel in result.channels
    ]
    headings = {"channel": "channel", "leads": "leads", "won": "won by then"}
    headings |= {"chance": "in the end", "cost": "cost of a win", "worth": "worth of a lead"}
    return table(rows, headings, left=("channel",))


def _month_table(result: LeadFunnel) -> Any:
    from clv.format import count, percent

    rows = [
        {
            "month": month.name,
            "leads": count(month.leads),
            "won": month.why_not or _interval(month.within, percent),
        }
        for month in result.months
    ]
    return table(rows, {"month": "month", "leads": "leads", "won": "won by then"}, left=("won",))


def _interval(share: Any, write: Any) -> str:
    """A figure with the interval that holds 90%."""
    from clv.format import NONE

    if share is None:
        return NONE
    return f"{write(share.share)} ({write(share.low)} to {write(share.high)})"
