"""``clv offers``: what to offer to each customer next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from clv.cli.application import command
from clv.cli.options import Anyway, AsJson, LogReading, Output, Track
from clv.cli.screen import Screen, table
from clv.cli.targets import ContactRules

if TYPE_CHECKING:
    from clv.offers.offer_backtest import OfferBacktest
    from clv.offers.ranking import NextOffers
    from clv.offers.terms_of_offers import NextOfferTerms

Top = Annotated[int, typer.Option(metavar="N", min=1, help="Offers of a customer at most.")]


@dataclass(frozen=True, kw_only=True)
class OfferStatement:
    """What offers are stated under."""

    HEADING: ClassVar[str] = "What offers are stated under"
    horizon: Annotated[
        str, typer.Option(metavar="LENGTH", help="Chances are of a purchase within so long.")
    ] = "13 weeks"
    kinds: Annotated[
        str, typer.Option(metavar="KIND,...", help="reminder, new and upsell, or some of them.")
    ] = "reminder,new,upsell"
    margin_rate: Annotated[
        float, typer.Option(metavar="SHARE", help="Of items without a margin; 1 is revenue.")
    ] = 1.0
    contact_cost: Annotated[float, typer.Option(metavar="MONEY", help="Of an offer.")] = 0.0
    incremental_share: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Assumed: of the purchases, those due to the offer."),
    ] = None

    def terms(self, top: int) -> NextOfferTerms:
        """As offers take them."""
        from clv.offers.terms_of_offers import NextOfferTerms

        kinds: Any = tuple(kind.strip() for kind in self.kinds.split(","))
        return NextOfferTerms(
            self.horizon, top, kinds, self.margin_rate, self.contact_cost, self.incremental_share
        )


@dataclass(frozen=True, kw_only=True)
class ItemLists:
    """Which items may be offered."""

    HEADING: ClassVar[str] = "Which items may be offered"
    stock: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Those in stock: item, and quantity if it has one."),
    ] = None
    exclude_items: Annotated[
        str | None, typer.Option(metavar="FILE", help="Items not to offer: item.")
    ] = None
    no_product: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="A code that is no product, such as a deposit."),
    ] = None

    def lists(self) -> dict[str, Any]:
        """As ``next_best_offers`` takes them."""
        from clv.app.next_offers import listed_items

        lists: dict[str, Any] = {}
        if self.exclude_items:
            lists["exclude_items"] = listed_items(self.exclude_items)
        if self.stock:
            lists["in_stock"] = listed_items(self.stock, in_stock=True)
        return lists


@command(
    "clv offers lines.parquet --as-of 2011-12-09 --top 10 -o offers.parquet",
    "clv offers lines.csv --kinds new,upsell --margin-rate 0.4 --contact-cost 0.05",
    "clv offers clv.toml --stock stock.csv --exclude optout.csv --bought-within 7",
)
def offers(
    ctx: typer.Context,
    lines: Annotated[
        list[str],
        typer.Argument(
            metavar="LINES", help="Order lines, a row per item of an order; or clv init's file."
        ),
    ],
    reading: LogReading,
    statement: OfferStatement,
    items: ItemLists,
    who: ContactRules,
    top: Top = 10,
    anyway: Anyway = False,
    output: Output = None,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Say what to offer to each customer next, ranked by what it brings.

    Reminders of items that are bought again, with the day when they are due,
    and items new to the customer, with the purchases that speak for them.
    The value of an offer is chance x margin x spend - cost. What such offers
    were worth at an earlier day stands beside it, next to popularity and to
    what each customer buys anyway.
    """
    screen: Screen = ctx.obj
    from clv.app.next_offers import barred_by, lines_of, track_offers
    from clv.io.files import check_output, write_table
    from clv.offers.ranking import next_best_offers

    terms = statement.terms(top)
    if output:
        inputs = (*lines, items.stock, items.exclude_items, who.exclude, who.contacts)
        check_output(output, *filter(None, inputs))
    stated = reading.stated() | {"no_products": tuple(items.no_product or ())}
    with screen.progress("reading the order lines"):
        order_lines = lines_of(lines, stated)
        barred = barred_by(who.rules(order_lines.customer_ids, anyway=anyway), order_lines)
    with screen.progress("ranking"):
        ranked = next_best_offers(order_lines, terms, barred=barred, **items.lists())
    run = track_offers(track, ranked, lines) if track else None
    if output:
        write_table(ranked.table, output)
    if as_json:
        screen.json(ranked.to_dict() | ({"run": run} if run else {}))
        return
    _show(screen, ranked)
    screen.written(output)
    screen.logged(run, track)
    if not output:
        screen.next(shlex.join(["clv", "offers", *lines, "-o", "offers.parquet"]))


def _show(screen: Screen, ranked: NextOffers) -> None:
    """Counts, what was left out, the backtest, and what must be known beside it."""
    from clv.format import counted

    screen.title(str(ranked).splitlines()[0])
    out = {part.reason: counted(part.rows, "row") for part in ranked.order_lines.left_out}
    out |= {why: counted(number, "item") for why, number in ranked.items_out.items()}
    out |= {why: counted(number, "customer") for why, number in ranked.customers_out.items()}
    if out:
        screen.title("Left out")
        rows = [{"why": why, "count": count} for why, count in out.items()]
        screen.show(table(rows, {"count": "what", "why": "why"}, left=("count", "why")))
    _show_backtest(screen, ranked.backtest)
    screen.points(ranked.notes)


def _show_backtest(screen: Screen, backtest: OfferBacktest) -> None:
    from clv.format import money, number, percent

    screen.title(
        f"The first ten as of {backtest.cutoff}, against the {backtest.horizon} days after"
    )
    rows = [
        {
            "items": hit.over,
            "method": hit.method,
            "recall": f"{number(hit.recall, 3)} ±{number(hit.recall_se, 3)}",
            "money": f"{money(hit.money, backtest.currency)} ±{number(hit.money_se)}",
            "coverage": percent(hit.coverage),
        }
        for over in ("all", "new")
        for hit in backtest.hits
        if hit.over == over
    ]
    headings = {"items": "items", "method": "ranked", "recall": "recall@10"}
    headings |= {"money": "money@10", "coverage": "of the items"}
    screen.show(table(rows, headings, left=("items", "method")))
    screen.points(
        [
            f"{d.better} against {d.than}, {d.over} items: {d.measure}@10 {number(d.mean, 3)}, "
            f"standard error {number(d.se, 3)}" + ("" if d.sure else ": not better beyond chance")
            for d in backtest.differences
        ]
    )
