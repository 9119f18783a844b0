"""Options that several commands share, and an example of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

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
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write .parquet or .csv.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]

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
