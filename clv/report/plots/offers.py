"""Charts of next offers: what items bring, and how good such offers were at an earlier day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clv.findings import sentence_of
from clv.format import NONE, count, day, days, money, number, percent
from clv.report.charts import (
    Chart,
    Column,
    IntervalRow,
    LegendKey,
    Table,
    interval_chart,
    money_axis,
    share_axis,
)
from clv.report.plots.money_column import money_column

ITEMS = 12  # of the chart
RANKED = {  # rankings, by what comes first in each
    "popularity": "best sellers",
    "personal frequency": "bought most often before",
    "EASE": "goes with what was bought",
    "by chance": "likeliest to be bought",
    "by value": "brings most",
}
SIDE = 1.645  # standard errors on either side hold 90%


def plot_offer_items(totals: Mapping[str, Any]) -> Chart:
    """What the items that are offered most profitably bring.

    Parameters
    ----------
    totals
        The document ``next_offers`` of a store, see ``clv.app.contents.offer_totals``.
    """
    code, items = totals.get("currency") or "", totals["items"][:ITEMS]
    rows = [
        IntervalRow(
            str(item["name"] or item["item"]),
            item["value"],
            min(0.0, item["value"]),
            max(0.0, item["value"]),
            note=money(item["value"], code),
        )
        for item in items
    ]
    most = max((item["value"] for item in items), default=0.0)
    return interval_chart(
        "Items by what their offers bring",
        f"The {count(len(items))} items whose offers are worth most together.",
        rows,
        money_axis(0.0, most, code, "Value of all offers of the item"),
        item_table(totals),
        "Chance x margin x spend less cost, added up over the customers whom it is offered to; the "
        "purchases would be made with or without the offer.",
        legend=[LegendKey("value", "1", "bar")],
    )


def item_table(totals: Mapping[str, Any]) -> Table:
    """A row an item: to how many, chance, spend, value, and what share must be due to the offer."""
    code = totals.get("currency") or ""
    columns = (
        Column("Item"),
        Column("Offered to", "number"),
        Column("Chance", "number"),
        Column("Spend", "number"),
        Column("Value", "number"),
        Column("Break-even", "number"),
    )
    spend, value = (
        money_column((item[name] for item in totals["items"]), code) for name in ("spend", "value")
    )
    rows = [
        (
            str(item["name"] or item["item"]),
            count(item["offers"]),
            percent(item["chance"]),
            spend(item["spend"]),
            value(item["value"]),
            share_due(item["break_even"]),
        )
        for item in totals["items"]
    ]
    caption = (
        "Chance and spend are means over its offers; break-even is the share of purchases that "
        "must be due to the offer for half of them to pay"
    )
    return Table(caption, columns, rows)


def share_due(break_even: float | None) -> str:
    """The share of purchases that must be due to an offer; none where offers cost nothing."""
    return NONE if not break_even else percent(break_even)


def plot_offer_hits(report: Mapping[str, Any]) -> Chart:
    """How many of the new items in a ranking's first ten were bought after an earlier day.

    Parameters
    ----------
    report
        ``to_dict()`` of what ``clv.next_best_offers`` gives, or the JSON of ``clv offers --json``.
    """
    backtest = report["backtest"]
    hits = [hit for hit in backtest["hits"] if hit["over"] == "new"]
    rows = [
        IntervalRow(
            RANKED.get(hit["method"], hit["method"]),
            hit["recall"],
            max(hit["recall"] - SIDE * hit["recall_se"], 0.0),
            hit["recall"] + SIDE * hit["recall_se"],
            note=percent(hit["recall"]),
        )
        for hit in hits
    ]
    most = max((row.high or 0.0) for row in rows)
    return interval_chart(
        "New items: how many of the first ten were bought",
        f"As of {day(backtest['cutoff'])}, against the {days(backtest['horizon'])} after it.",
        rows,
        share_axis("Of what customers bought next, named by the first ten", 0.0, most),
        hit_table(report),
        sentence_of(backtest["verdict"]),
        legend=[LegendKey("interval, 90%", "1", "bar")],
    )


def hit_table(report: Mapping[str, Any]) -> Table:
    """A row a ranking: hits and money of its first ten, over all items and over new ones."""
    backtest, code = report["backtest"], report["currency"] or ""
    columns = (
        Column("Ranked"),
        Column("Items"),
        Column("Hits of ten", "number"),
        Column("Spent on the ten", "number"),
        Column("Of the items", "number"),
    )
    rows = [
        (
            RANKED.get(hit["method"], hit["method"]),
            hit["over"],
            f"{number(hit['recall'], 3)} ±{number(hit['recall_se'], 3)}",
            f"{money(hit['money'], code)} ±{number(hit['money_se'])}",
            percent(hit["coverage"]),
        )
        for hit in backtest["hits"]
    ]
    return Table("The first ten of each ranking, with standard errors", columns, rows)
