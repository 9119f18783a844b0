"""``clv simulate``: a brand to try everything on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.screen import Screen
from clv.errors import InputError
from clv.format import count

MOST_IN_MEMORY = 5_000_000
ITEMS, GROUPS = 120, 8  # of order lines; of a large catalogue a group for every 100 items


@command(
    "clv simulate --output brand",
    "clv simulate --output big --customers 200000 --seed 7",
    "clv simulate --output firm --subscriptions",
    "clv simulate --output crm --leads",
    "clv simulate --output baskets --order-lines --items 500",
    "clv simulate --output log --orders-only --customers 1000000",
)
def simulate(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")
    ],
    customers: Annotated[
        int, typer.Option(metavar="N", min=1, max=50_000_000, help="Customers to expect.")
    ] = 20_000,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed gives the same brand.")
    ] = 0,
    subscriptions: Annotated[
        bool, typer.Option("--subscriptions", help="A firm of subscribers instead of a shop.")
    ] = False,
    leads: Annotated[
        bool, typer.Option("--leads", help="Leads of a CRM instead; --customers is how many.")
    ] = False,
    order_lines: Annotated[
        bool, typer.Option("--order-lines", help="Items of orders instead, to try clv offers on.")
    ] = False,
    items: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --order-lines: items (120).")
    ] = None,
    orders_only: Annotated[
        bool,
        typer.Option("--orders-only", help="Ten orders a customer in Parquet files, and no more."),
    ] = False,
) -> None:
    """Write a SIMULATED brand, to try everything on.

    Orders, spend per channel and a campaign as an analyst would have them,
    and the truth behind them, to judge forecasts and decisions by. No real
    person or shop is in it.
    """
    screen: Screen = ctx.obj
    if subscriptions + leads + order_lines + orders_only > 1:
        raise typer.BadParameter(
            "give one of --subscriptions, --leads, --order-lines and --orders-only."
        )
    if items is not None and not order_lines:
        raise typer.BadParameter("--items goes with --order-lines.")
    if orders_only:
        return _orders(screen, output, customers, seed)
    if customers > MOST_IN_MEMORY:
        raise InputError(
            f"that is more than {count(MOST_IN_MEMORY)} customers.",
            hint="--orders-only writes the orders of as many as you like.",
        )
    if order_lines:
        return _order_lines(screen, output, customers, seed, items or ITEMS)
    if leads:
        return _leads(screen, output, customers, seed)
    return (_subscribers if subscriptions else _brand)(screen, output, customers, seed)


def _orders(screen: Screen, output: Path, customers: int, seed: int) -> None:
    from clv.app.simulated_brand import write_orders

    with screen.progress("simulating") as step:
        place, rows = write_orders(output, customers, seed, step)
    screen.title(f"{count(rows)} simulated orders and refunds of {count(customers)} customers")
    screen.next(f"clv check {place}")


def _order_lines(screen: Screen, output: Path, customers: int, seed: int, items: int) -> None:
    from clv.app.simulated_brand import write_order_lines
    from clv.simulate import simulate_order_lines

    groups = max(min(GROUPS, items), items // 100)
    with screen.progress("simulating"):
        simulated = simulate_order_lines(seed, customers=customers, items=items, groups=groups)
        files = write_order_lines(simulated, output, seed=seed)
    screen.title(f"{count(len(simulated.lines))} simulated order lines of {count(items)} items")
    screen.pairs({str(path): what for path, what in files.items()})
    screen.next(f"clv offers {output / 'lines.csv'}")


def _leads(screen: Screen, output: Path, customers: int, seed: int) -> None:
    from clv.app.simulated_brand import write_leads
    from clv.simulate import simulate_leads

    with screen.progress("simulating"):
        files = write_leads(simulate_leads(seed, leads=customers), output)
    screen.title(f"{count(customers)} simulated leads")
    screen.pairs({str(path): what for path, what in files.items()})
    screen.next(f"clv funnel {output / 'leads.csv'} --value 900")


def _subscribers(screen: Screen, output: Path, customers: int, seed: int) -> None:
    from clv.app.simulated_brand import write_subscriptions
    from clv.simulate import simulate_subscriptions

    with screen.progress("simulating"):
        files = write_subscriptions(simulate_subscriptions(seed, customers=customers), output)
    screen.title(f"A simulated firm of {count(customers)} subscribers")
    screen.pairs({str(path): what for path, what in files.items()})
    screen.next(f"clv check {output / 'subscriptions.csv'}")


def _brand(screen: Screen, output: Path, customers: int, seed: int) -> None:
    from clv.app.simulated_brand import write_brand
    from clv.simulate import simulate_brand

    with screen.progress("simulating"):
        brand = simulate_brand(seed, customers=customers)
        written = write_brand(brand, output, seed=seed)
    orders, people = len(brand.orders), brand.orders["customer_id"].nunique()
    screen.title(f"A simulated brand: {count(orders)} orders of {count(people)} customers")
    screen.say()
    screen.pairs({str(path): what for path, what in written.items()})
    screen.say()
    screen.next(f"clv check {output / 'orders.csv'}")
