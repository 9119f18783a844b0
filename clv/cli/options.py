"""Options that several commands share, and an example of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

Log = Annotated[
    str, typer.Argument(metavar="LOG", help="Orders: Parquet, CSV, a folder or a pattern.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        "-c",
        metavar="OURS=THEIRS",
        help="Say which column is which, as in customer_id=CustomerID. "
        "Nothing after the = keeps a column out.",
    ),
]
AsOf = Annotated[
    str | None, typer.Option(metavar="DATE", help="Last day to take in, as in 2024-03-31.")
]
DateFormat = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="How dates are written, as in %d/%m/%Y.")
]
TimeZone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Whose days count, as in Europe/London.")
]
Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        envvar="CLV_MODEL",
        help="A folder, or an MLflow URI such as models:/clv/3.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write .parquet, or .csv safe to open."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]

NamedTable = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        metavar="NAME=FILE",
        help="Another table, .parquet or .csv; may be given several times.",
    ),
]
NamedDocument = Annotated[
    list[str] | None,
    typer.Option(
        "--document", metavar="NAME=FILE", help="Another document, .json; also several times."
    ),
]
SpendFile = Annotated[
    str | None,
    typer.Option(
        "--spend",
        metavar="SPEND",
        help="Spend by channel, as clv channels takes it: CAC, payback, curves and, with --log "
        "and --model, a budget to start from.",
    ),
]
PlanFile = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="PLAN",
        help="The budget to start from, as clv allocate takes it: .toml, or its fields as .json.",
    ),
]
TargetsFile = Annotated[
    str | None,
    typer.Option(
        "--targets", metavar="TARGETS", help="What clv targets wrote: what is proposed to whom."
    ),
]
EligibilityFile = Annotated[
    str | None,
    typer.Option(
        "--eligibility",
        metavar="FILE",
        help="What clv targets --eligibility wrote: who may be contacted, and why not.",
    ),
]
MonitorFile = Annotated[
    str | None,
    typer.Option(
        "--monitor", metavar="REPORT", help="What clv monitor -o wrote: how it went since."
    ),
]

Scenarios = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario", metavar="NAME=FILE", help="Another plan beside it, under a name of its own."
    ),
]

Budget = Annotated[
    float | None,
    typer.Option(metavar="MONEY", help="For the campaign; without it, everybody who pays."),
]
OffersFile = Annotated[
    Path | None,
    typer.Option("--offers", metavar="FILE", help="Several offers, as .toml or .json: see below."),
]
CampaignLog = Annotated[
    str | None,
    typer.Option(
        metavar="LOG",
        help="A finished campaign: customer_id, treated, propensity, cost, outcome_margin.",
    ),
]
CampaignScores = Annotated[
    str | None,
    typer.Option(metavar="SCORES", help="Everybody's scores as of the day before that campaign."),
]
Propensity = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Chance of a contact, if that log has no such column."),
]
GainColumn = Annotated[
    str | None,
    typer.Option(
        "--gain",
        metavar="COLUMN",
        help="What a kept customer is worth, as value_at_stake; without it the margin within "
        "that campaign's window counts.",
    ),
]
SaveUplift = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Keep what was learned, as JSON.")
]
Register = Annotated[
    bool, typer.Option("--register", help="Make what was learned a new version in MLflow.")
]
Exclude = Annotated[
    str | None, typer.Option(metavar="FILE", help="Whom not to contact: customer_id.")
]
BoughtWithin = Annotated[
    float | None, typer.Option(metavar="DAYS", help="Leave out who bought within so many days.")
]
SilentFor = Annotated[
    float | None, typer.Option(metavar="DAYS", help="Leave out who was silent for longer.")
]
Consent = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Of the scores: who may be contacted.")
]
Contacts = Annotated[
    str | None, typer.Option(metavar="FILE", help="Contacts already made: customer_id, date.")
]
ContactLimit = Annotated[
    str | None,
    typer.Option(metavar="N:DAYS", help="Leave out who had N in so many days; 1:30 if not said."),
]
Stratify = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help="Hold out the same share of each level of it, or expected_profit."
    ),
]
CampaignDay = Annotated[
    str | None, typer.Option("--date", metavar="DATE", help="Of the campaign, as 2024-04-01.")
]
ReasonsFile = Annotated[
    str | None,
    typer.Option("--reasons", metavar="FILE", help="To show: customer_id, reason_1, ..."),
]
Eligibility = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write everybody, with why they are not contacted."),
]

OFFERS = """\
[[offers]]
name = "letter"
contact_cost = 1
incentive = 5
save_rate = [0.1, 0.4]
[[offers]]
name = "call"
contact_cost = 6
capacity = 500
leavers = "gone"       # of 1 - P(alive), not of churn"""

PLAN = """\
budget = 30000
currency = "EUR"
horizon = "3 years"
[[channels]]
name = "search"
value = 60       # CLV of one NEW customer
current = 12000  # optional: today's spend; bounds are lo and hi
response = { curve = "power", k = 12, b = 0.6 }
[[channels]]
name = "social"
value = 80
response = { curve = "point", spend = 8000, customers = 1700 }
[retention]      # optional: competes for the same budget
scores = "scores.parquet"
contact_cost = 1"""


def named(pairs: Sequence[str] | None) -> dict[str, str]:
    """Names to files, from ``["channels=channels.csv"]``."""
    found: dict[str, str] = {}
    for text in pairs or ():
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise typer.BadParameter(f"{text!r} is not NAME=FILE, such as channels=channels.csv.")
        found[name] = file
    return found


ESTIMATED_PLAN = """\
budget = 30000
periods = 13     # of the spend table
[curves]
spend = "spend.csv"
log = "orders.csv"     # optional: what customers of each channel are worth
model = "models/demo"
[[channels]]     # optional: bounds, a value or a response of its own
name = "search"
hi = 20000"""


Destination = Annotated[
    Literal["google", "meta", "tiktok"] | None,
    typer.Option("--to", metavar="WHOM", help="google, meta or tiktok; without it, a plain file."),
]
ContactsFile = Annotated[
    str | None,
    typer.Option(
        "--contacts",
        metavar="FILE",
        help="customer_id, email and/or phone, ad_user_data, ad_personalization [, names, "
        "country, zip].",
    ),
]
Tiers = Annotated[
    list[str] | None,
    typer.Option(
        "--tier", metavar="TIER", help='As "top 1%" or "1 to 5%"; may be given several times.'
    ),
]
Confirmed = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Who answers for all having agreed, if the contacts do not say."
    ),
]


def mapping(columns: Sequence[str] | None) -> dict[str, str | None]:
    """Our names to theirs, from ``["customer_id=CustomerID", "channel="]``."""
    found: dict[str, str | None] = {}
    for text in columns or ():
        ours, equals, theirs = text.partition("=")
        if not (ours and equals):
            raise typer.BadParameter(
                f"{text!r} is not OURS=THEIRS, such as customer_id=CustomerID."
            )
        found[ours] = theirs or None
    return found
