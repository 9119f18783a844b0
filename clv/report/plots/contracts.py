"""Charts of subscribers: who stays, what that brings, how revenue moved, and cohorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clv.contracts.revenue_book import LOSSES, MOVEMENTS
from clv.findings import Finding
from clv.format import count, money, percent, sentence
from clv.format import month as month_name
from clv.report.charts import (
    Chart,
    Column,
    Series,
    Table,
    heat,
    line_chart,
    money_axis,
    number_axis,
    share_axis,
)
from clv.report.plots.waterfalls import WaterfallBar, waterfall_chart

WORDS = {  # what moves recurring revenue, in the order of the book
    "new": ("new", "new customers"),
    "reactivation": ("back", "customers who came back"),
    "expansion": ("more", "customers who now pay more"),
    "contraction": ("less", "customers who now pay less"),
    "churn": ("left", "customers who left"),
}
COHORTS, AGES = 18, 13  # of a grid


def plot_contract_survival(period: Mapping[str, Any]) -> Chart:
    """The share of new customers who are still there after each renewal, beside what was observed.

    Parameters
    ----------
    period
        One of ``periods`` of ``clv.app.contracts.contract_document``.
    """
    curve = period["survival"]
    t, value = curve["renewal"], curve["value"]
    observed = [(k, y) for k, y in zip(t, curve["observed"], strict=True) if y is not None]
    series = [
        Series("90% interval", t, curve["high"], "band", low=curve["low"]),
        Series("model", t, value),
        Series("observed", [k for k, _ in observed], [y for _, y in observed], "dots", "2"),
    ]
    rows = [
        (count(k), percent(y), f"{percent(low)} to {percent(high)}", percent(seen))
        for k, y, low, high, seen in zip(
            t, value, curve["low"], curve["high"], curve["observed"], strict=True
        )
    ]
    columns = (
        Column("Renewal", "number"),
        Column("Still there", "number"),
        Column("Interval, 90%", "number"),
        Column("Observed", "number"),
    )
    last = f"After {t[-1]} renewals {percent(value[-1])} are still there."
    return line_chart(
        f"Who stays, paid by the {period['interval']}",
        last,
        series,
        number_axis(0, t[-1], "Renewals made"),
        share_axis("Still there"),
        Table(f"Of new customers paid by the {period['interval']}", columns, rows),
        f"{last} {sentence(Finding.from_dict(period['reason']).on_page)}",
    )


def plot_contract_money(period: Mapping[str, Any], margin_rate: float, currency: str) -> Chart:
    """What a new customer has brought by each renewal, discounted, at today's mean price."""
    curve, scale = period["payments"], (period["price"] or 1.0) * margin_rate
    t = curve["renewal"]
    value, low, high = ([scale * x for x in curve[name]] for name in ("value", "low", "high"))
    rows = [
        (count(k), money(y, currency), f"{money(a, currency)} to {money(b, currency)}")
        for k, y, a, b in zip(t, value, low, high, strict=True)
    ]
    columns = (
        Column("Renewal", "number"),
        Column("Brought so far", "number"),
        Column("Interval, 90%", "number"),
    )
    caption = f"After {t[-1]} renewals a new customer has brought {money(value[-1], currency)}."
    return line_chart(
        f"What a new customer brings, paid by the {period['interval']}",
        caption,
        [
            Series("90% interval", t, high, "band", low=low),
            Series("discounted, the first payment included", t, value),
        ],
        number_axis(0, t[-1], "Renewals made"),
        money_axis(0, max(high), currency, "Brought so far"),
        Table("A new customer on average", columns, rows),
        f"{caption} At today's mean price, before it grows.",
    )


def plot_waterfall(month: Mapping[str, Any], currency: str) -> Chart:
    """How recurring revenue went from the start to the end of a month."""
    words = {"start": "at the start", "end": "at the end"} | {n: w for n, (_, w) in WORDS.items()}
    bars = [
        WaterfallBar(
            WORDS.get(name, (name,))[0],
            words[name],
            (-month[name] if name in LOSSES else month[name]) / 100,
            money(month[name] / 100, currency),
        )
        for name in ("start", *MOVEMENTS, "end")
    ]
    named = month_name(month["month"][:7])
    text = f"{bars[0].written} a month became {bars[-1].written} in {named}."
    title = f"How recurring revenue moved in {named}"
    return waterfall_chart(title, text, bars, currency, "A month", "Recurring revenue, a month")


def cohort_table(cohorts: Sequence[Mapping[str, Any]], what: str) -> Table:
    """A grid of cohorts by age: the share of ``what``, customers or revenue, still there."""
    by_cohort: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in cohorts:
        by_cohort.setdefault(row["cohort"][:7], {})[int(row["age"])] = row
    names = sorted(by_cohort)[-COHORTS:]
    ages = range(min(AGES, max((max(by_cohort[n]) for n in names), default=0) + 1))
    rows = []
    for name in names:
        first = by_cohort[name][0]
        cells = [
            heat(
                percent(by_cohort[name][a][what] / first[what]),
                by_cohort[name][a][what] / first[what],
            )
            if a in by_cohort[name] and first[what]
            else "–"
            for a in ages
        ]
        rows.append((name, count(first["customers"]), *cells))
    columns = [Column("Cohort"), Column("Customers", "number")]
    columns += [Column(str(a), "number") for a in ages]
    return Table(f"Share of {what} still there, by age in months", columns, rows)
