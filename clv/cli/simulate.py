"""``clv simulate``: a brand to try everything on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clv.cli.application import command
from clv.cli.screen import Screen
from clv.format import count


@command(
    "clv simulate --output brand",
    "clv simulate --output big --customers 200000 --seed 7",
    "clv simulate --output firm --subscriptions",
    "clv simulate --output crm --leads",
)
def simulate(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")
    ],
    customers: Annotated[
        int, typer.Option(metavar="N", min=1, max=5_000_000, help="Customers to expect.")
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
) -> None:
    """Write a SIMULATED brand, to try everything on.

    Orders, spend per channel and a campaign as an analyst would have them,
    and the truth behind them, to judge forecasts and decisions by. No real
    person or shop is in it.
    """
    screen: Screen = ctx.obj
    from clv.app.simulated_brand import write_brand, write_leads, write_subscriptions
    from clv.simulate import simulate_brand, simulate_leads, simulate_subscriptions

    if leads and subscriptions:
        raise typer.BadParameter("give --leads or --subscriptions, not both.")
    if leads:
        with screen.progress("simulating"):
            files = write_leads(simulate_leads(seed, leads=customers), output)
        screen.title(f"{count(customers)} simulated leads")
        screen.pairs({str(path): what for path, what in files.items()})
        screen.next(f"clv funnel {output / 'leads.csv'} --value 900")
        return
    if subscriptions:
        with screen.progress("simulating"):
            firm = simulate_subscriptions(seed, customers=customers)
            files = write_subscriptions(firm, output)
        screen.title(f"A simulated firm of {count(customers)} subscribers")
        screen.pairs({str(path): what for path, what in files.items()})
        screen.next(f"clv check {output / 'subscriptions.csv'}")
        return
    with screen.progress("simulating"):
        brand = simulate_brand(seed, customers=customers)
        written = write_brand(brand, output, seed=seed)
    orders, people = len(brand.orders), brand.orders["customer_id"].nunique()
    screen.title(f"A simulated brand: {count(orders)} orders of {count(people)} customers")
    screen.say()
    screen.pairs({str(path): what for path, what in written.items()})
    screen.say()
    screen.next(f"clv check {output / 'orders.csv'}")
