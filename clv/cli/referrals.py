"""``clv referrals``: customers who bring customers, credited once each; members of a programme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, Columns, Output, Track, mapping
from clv.cli.screen import Screen, table

if TYPE_CHECKING:
    from clv.app.referral_files import ReferralRun

ReferralTable = Annotated[
    str,
    typer.Argument(metavar="REFERRALS", help="referrer_id, referred_id, date [, reward] [, type]."),
]
ScoresFile = Annotated[
    str | None, typer.Option("--scores", metavar="FILE", help="What customers are worth.")
]
Orders = Annotated[
    str | None,
    typer.Option(metavar="LOG", help="Orders: who had bought before is no new customer."),
]
Share = Annotated[
    float, typer.Option(metavar="SHARE", help="Assumed: of those referred, who came through it.")
]
SavedCac = Annotated[
    float, typer.Option(metavar="MONEY", help="What winning one of the others would have cost.")
]
Members = Annotated[
    str | None, typer.Option(metavar="FILE", help="Of a programme: compared with all others.")
]
Days = Annotated[
    float, typer.Option(metavar="DAYS", help="Customers brought within so long, with --orders.")
]


@command(
    "clv referrals referrals.csv --scores scores.parquet --orders orders.csv",
    "clv referrals referrals.csv --scores scores.csv --incremental-share 0.7 --saved-cac 20",
    "clv referrals referrals.csv --scores scores.csv --members club.csv -o referrers.csv",
)
def referrals(
    ctx: typer.Context,
    file: ReferralTable,
    scores: ScoresFile = None,
    orders: Orders = None,
    column: Columns = None,
    incremental_share: Share = 1.0,
    saved_cac: SavedCac = 0.0,
    days: Days = 90.0,
    members: Members = None,
    output: Output = None,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Say what customers who bring customers are worth.

    Each new customer is credited to the first who referred him; those who
    referred themselves, loops and second referrals are left out and named.
    The reward is the CAC of this channel. --output writes the referrers.
    """
    screen: Screen = ctx.obj
    from clv.app.referral_files import run_of_referrals, track_referrals
    from clv.io.files import check_output, write_table
    from clv.schema import as_frame

    if output:
        check_output(output, *filter(None, (file, scores, orders, members)))
    terms = {"incremental_share": incremental_share, "saved_cac": saved_cac, "days": days}
    stated = {"columns": mapping(column)}
    with screen.progress("reading the referrals"):
        result = run_of_referrals(file, scores, orders, members, stated=stated, **terms)
    run = track_referrals(track, result, file) if track else None
    if output:
        write_table(as_frame(result.made.referrers).collect().to_arrow(), output)
    if as_json:
        screen.json(result.to_dict() | ({"run": run} if run else {}))
        return
    _show(screen, result)
    screen.written(output)
    screen.logged(run, track)


def _show(screen: Screen, result: ReferralRun) -> None:
    from clv.format import NONE, count, money, percent

    credited = result.made
    screen.title("Referrals as a channel")
    even = NONE if credited.break_even is None else percent(credited.break_even)
    rows: list[dict[str, Any]] = [
        {"what": "customers referred", "figure": count(credited.referred)},
        {"what": "reward of one (CAC)", "figure": money(credited.cac)},
        {
            "what": "value of one",
            "figure": NONE if credited.value is None else money(credited.value),
        },
        {"what": "credit in all", "figure": money(credited.credit)},
        {"what": "pays if so many came through it", "figure": even},
    ]
    screen.show(table(rows, {"what": "what", "figure": "figure"}, left=("what",)))
    screen.points([str(note) for note in credited.findings])
    if result.members:
        screen.points([str(result.members)])
    if credited.value is None:
        return
    screen.title("Who brought most, net of rewards")
    best = [
        {"who": str(who), "brought": count(brought), "net": money(net)}
        for who, brought, net in credited.referrers[["customer_id", "referred", "net"]]
        .head(10)
        .values
    ]
    headings = {"who": "customer", "brought": "customers brought", "net": "credit less rewards"}
    screen.show(table(best, headings, left=("who",)))
