"""``clv fold``: new orders taken into what is known of each customer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.options import AsJson, LogReading
from clv.cli.screen import Screen
from clv.format import count, counted


@command(
    "clv fold state orders/ --output state         begins a state with all orders",
    "clv fold state 2024-03-31.csv --output state  takes a night's orders in",
    "clv score state --output scores.parquet       values as of the last order",
)
def fold(
    ctx: typer.Context,
    state: Annotated[Path, typer.Argument(metavar="STATE", help="The folder of the state.")],
    orders: Annotated[list[str], typer.Argument(metavar="ORDERS...", help="What is new.")],
    reading: LogReading,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="STATE", help="Where to write; STATE by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take new orders into what is known of each customer.

    All orders need not be read again: what is new is added to each
    customer's sums. Customers with a refund, a late row or a row sent again
    are worked out anew from their own orders. A day taken twice is an error.
    Scores of the state are those of all its orders, to the last bit.
    """
    screen: Screen = ctx.obj
    from clv.app.nightly.order_fold import fold_orders
    from clv.io.json import plain

    with screen.progress("taking orders in"):
        done = fold_orders(state, orders, output, stated=reading.stated())
    if as_json:
        screen.json(plain(asdict(done)))
        return
    screen.title(f"{counted(done.rows_in, 'row')} taken in, up to {done.as_of}")
    screen.pairs(
        {
            "new customers": count(done.new),
            "orders added": count(done.grown),
            "worked out anew": count(done.made_anew),
            "customers in all": count(done.customers),
            "purchases in all": count(done.purchases),
        }
    )
    screen.points([f"{part.reason}: {count(part.rows)} left out" for part in done.left_out])
    place = output or state
    screen.written(place)
    screen.next(f"clv score {place} --output scores.parquet")
