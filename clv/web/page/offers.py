"""Offers: what to offer next, the best by value, by item, and how good such offers were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response

from clv.app.contents.handoffs import NEXT_OFFERS
from clv.findings import Finding, page_sentence_of
from clv.format import NONE, count, counted, large_money, money, percent, sentence
from clv.report.charts import Column, Table
from clv.report.plots.money_column import money_column
from clv.report.plots.offers import item_table, plot_offer_hits, plot_offer_items, share_due
from clv.spans import span
from clv.store import Store
from clv.web.page.customer import address
from clv.web.page.frame import Page, Room, room
from clv.web.page.tables import Empty, Headline, link, with_days

SHOWN = 20  # offers, and items of the table
WITHOUT = "store.no_offers"  # the note why order lines gave none

router = APIRouter()
ROOM = Room("offers", "/offers", "Offers", router, needs=(NEXT_OFFERS, WITHOUT))


@router.get("/offers")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "offers.html", content, title="Offers", active="offers")


NOTHING = Empty(
    "No offers were published",
    "What to offer next takes order lines: a row per item of an order.",
    "Upload them beside the orders under New data; or publish with clv publish --offers "
    "offers.parquet --offer-report offers.json, which clv offers LINES -o offers.parquet --json "
    "> offers.json writes.",
)
NOT_JUDGED = Empty(
    "How good such offers were was not published",
    "Offers of an earlier day, held against what was bought after it, say that.",
    "Publish it with them: clv offers LINES --json > offers.json, clv publish --offer-report.",
)


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows."""
    totals, report = store.document(NEXT_OFFERS), store.document("offer_report")
    why = " ".join(str(note) for note in store.notes if note.code == WITHOUT)
    if not totals or not totals["items"]:
        return {"nothing": replace(NOTHING, why=why) if why else NOTHING}
    currency = str(totals.get("currency") or store.terms.get("currency") or "")
    items = {**totals, "currency": currency, "items": totals["items"][:SHOWN]}
    plan = store.document("joint_plan")
    return {
        "nothing": None,
        "why": f"{why} These are the offers that were there before." if why else "",
        "said": page_sentence_of(report["backtest"]["verdict"], currency) if report else "",
        "headlines": headlines(totals, report, currency),
        "best": best_offers(totals, currency),
        "items": plot_offer_items(items),
        "item_table": item_table(items),
        "hits": plot_offer_hits(report) if report else NOT_JUDGED,
        "plan": plan_table(plan, currency) if plan else None,
        "notes": [Finding.from_dict(n, currency) for n in report["notes"][1:]] if report else [],
    }


def headlines(
    totals: Mapping[str, Any], report: Mapping[str, Any] | None, currency: str
) -> list[Headline]:
    """How many to whom, what they bring, and from which share on they pay."""
    within = f"within {span(totals['horizon'])}, " if "horizon" in totals else ""
    kinds = [f"{count(kind['offers'])} {kind['kind']}" for kind in totals["kinds"]]
    value = large_money(totals["value"], currency)
    figures = [
        Headline("Offers", count(totals["offers"]), ", ".join(kinds)),
        Headline("To", counted(totals["customers"], "customer"), "each with at least one offer"),
        Headline("Value", value, f"{within}bought with or without them", "estimated"),
    ]
    shares = [kind["break_even"] for kind in totals["kinds"] if kind["break_even"]]
    if shares:
        ends = [percent(end) for end in sorted({min(shares), max(shares)})]
        detail = "of purchases must be due to an offer for half of a kind to pay"
        figures.append(Headline("Break-even", " to ".join(ends), detail, "estimated"))
    if report and (share := report["terms"].get("incremental_share")) is not None:
        detail = "of purchases are due to the offer"
        figures.append(Headline("Added", percent(share), detail, "assumed"))
    return figures


def best_offers(totals: Mapping[str, Any], currency: str) -> Table:
    """The offers with most value, each with why."""
    names = ("Chance", "Spend", "Value", "Break-even")
    columns = (
        *(Column(name) for name in ("Customer", "Item", "Kind")),
        *(Column(name, "number") for name in names),
        Column("Because", "prose"),
    )
    best = totals["best"][:SHOWN]
    spend, value = (
        money_column((row[name] for row in best), currency) for name in ("spend", "value")
    )
    rows = [
        (
            link(str(row["customer_id"]), address(str(row["customer_id"]))),
            str(row["name"] or row["item"]),
            row["kind"],
            percent(row["chance"]),
            spend(row["spend"]),
            value(row["value"]),
            share_due(row["break_even"]),
            sentence(with_days(str(row["because"]))) if row["because"] else NONE,
        )
        for row in best
    ]
    caption = "The offers with most value: chance x margin x spend less cost"
    return Table(caption, columns, rows)


def plan_table(plan: Sequence[Mapping[str, Any]], currency: str) -> Table:
    """What one plan of keeping and offering does, by action."""
    columns = (
        Column("Action"),
        *(Column(name, "number") for name in ("Customers", "Cost", "Expected gain", "Profit")),
    )
    rows = [
        (
            row["action"],
            count(row["customers"]),
            *(money(row[name], currency) for name in ("cost", "expected_gain", "expected_profit")),
        )
        for row in plan
    ]
    return Table("Contacted by the published plan, by action", columns, rows)
