"""``clv sql``: scores inside a warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import CHAMPION, AsOf, Model
from clv.cli.screen import Screen


@dataclass(frozen=True, kw_only=True)
class WarehouseOrders:
    """Where the orders are."""

    HEADING: ClassVar[str] = "Where the orders are"
    orders: Annotated[
        str, typer.Option(metavar="TABLE", help="Orders, refunds netted; as in shop.orders.")
    ] = "orders"
    customer: Annotated[str, typer.Option(metavar="COLUMN", help="Of the customer's id.")] = (
        "customer_id"
    )
    date: Annotated[str, typer.Option(metavar="COLUMN", help="Of the day or time.")] = "date"
    amount: Annotated[str, typer.Option(metavar="COLUMN", help="Of the money.")] = "amount"
    pairs: Annotated[
        str, typer.Option(metavar="TABLE", help="To load what the scores look up to.")
    ] = "clv_pairs"


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far the looked-up table reaches."""

    HEADING: ClassVar[str] = "How far the looked-up table reaches"
    oldest: Annotated[
        int, typer.Option(metavar="DAYS", min=1, max=40_000, help="Since a first purchase.")
    ] = 1_100
    most_purchases: Annotated[
        int, typer.Option(metavar="N", min=0, max=40_000, help="Repeat purchases of a customer.")
    ] = 200


@command(
    "clv sql --dialect snowflake --orders shop.orders --output scoring",
    "clv sql --dialect postgres --customer buyer --date day --output scoring",
    "clv sql --dialect bigquery --dbt --output scoring_package",
)
def sql(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")
    ],
    at: WarehouseOrders,
    reach: Reach,
    dialect: Annotated[
        str,
        typer.Option(metavar="NAME", help="duckdb, postgres, snowflake, bigquery or databricks."),
    ] = "duckdb",
    model: Model = CHAMPION,
    as_of: AsOf = None,
    dbt: Annotated[bool, typer.Option("--dbt", help="Lay it out as a package of dbt.")] = False,
) -> None:
    """Write the scores as SQL, so that no order leaves the warehouse.

    One statement makes every customer's scores from the table of orders; it
    looks up what has no formula in a small table that is loaded once. A
    second statement counts the rows that would be scored wrongly.
    """
    screen: Screen = ctx.obj
    from clv.app.registry import load_scorer
    from clv.app.scoring_sql import write_scoring_sql
    from clv.data.days import as_day
    from clv.warehouse.dialects import dialect_of
    from clv.warehouse.score_query import OrderTable

    of, day = dialect_of(dialect), as_day(as_of, "as_of") if as_of else None
    orders = OrderTable(at.orders, at.customer, at.date, at.amount, at.pairs)
    with screen.progress("loading the model"):
        scorer = load_scorer(model)
    with screen.progress("valuing each pair of purchases and age"):
        written = write_scoring_sql(
            *(scorer, output, dialect, orders),
            as_of=day,
            oldest=reach.oldest,
            most_purchases=reach.most_purchases,
            dbt=dbt,
        )
    screen.title(f"Scores of {scorer.version} as SQL of {of.title}, in {scorer.terms}")
    screen.pairs({str(path): what for path, what in written.items()})
    if scorer.churn.pool is not None:
        screen.say(
            f"The next {scorer.churn.horizon} are the purchase model's: what clv score learned "
            "from the log besides is not written as SQL."
        )
