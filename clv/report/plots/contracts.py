"""Charts of subscribers: who stays, what that brings, how revenue moved, and cohorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clv.contracts.revenue_book import GAINS, LOSSES, MOVEMENTS
from clv.findings import sentence_of
from clv.format import capital, count, money, percent
from clv.format import month as month_name
from clv.report.charts import (
    Axis,
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

WORDS = {  # what moves recurring revenue, in the order of the book
    "new": ("new", "new customers"),
    "reactivation": ("back", "customers who came back"),
    "expansion": ("more", "customers who now pay more"),
    "contraction": ("less", "customers who now pay less"),
    "churn": ("left", "customers who left"),
}
KINDS = {"start and end": ("start", "end"), "won": GAINS, "lost": LOSSES}
TONES = {"start and end": "1", "won": "3", "lost": "2"}  # green and orange, as everybody reads them
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
        f"{last} {sentence_of(period['reason'])}",
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
    said = f"After {t[-1]} renewals a new customer has brought {money(value[-1], currency)}."
    return line_chart(
        f"What a new customer brings, paid by the {period['interval']}",
        said,
        [
            Series("90% interval", t, high, "band", low=low),
            Series("discounted, the first payment included", t, value),
        ],
        number_axis(0, t[-1], "Renewals made"),
        money_axis(0, max(high), currency, "Brought so far"),
        Table("A new customer on average", columns, rows),
        f"{said} At today's mean price, before it grows.",
    )


def plot_waterfall(month: Mapping[str, Any], currency: str) -> Chart:
    """How recurring revenue went from the start to the end of a month."""
    bars = _steps(month)
    moved = [edge for name in MOVEMENTS for edge in bars[name]]
    floor = max(0.0, 2 * min(moved) - max(moved))  # so that small steps on a high level are seen
    y = money_axis(floor, max(high for _, high in bars.values()), currency, "A month")
    slot, names = 100 / len(bars), list(bars)
    said = {"start": "at the start", "end": "at the end"} | {n: w for n, (_, w) in WORDS.items()}
    amounts = {name: money(month[name] / 100, currency) for name in names}
    series = [
        Series(
            kind,
            [slot * (names.index(name) + 0.12) for name in of_kind],
            [bars[name][1] for name in of_kind],
            "bars",
            TONES[kind],
            low=[max(bars[name][0], y.low) for name in of_kind],
            right=[slot * (names.index(name) + 0.88) for name in of_kind],
            hints=[f"{said[name]}: {amounts[name]}" for name in of_kind],
        )
        for kind, of_kind in KINDS.items()
    ]
    named = month_name(month["month"][:7])
    ticks = tuple((slot * (k + 0.5), WORDS.get(name, (name,))[0]) for k, name in enumerate(names))
    text = f"{amounts['start']} a month became {amounts['end']} in {named}."
    rows = [(capital(said[name]), amount) for name, amount in amounts.items()]
    return line_chart(
        f"How recurring revenue moved in {named}",
        text,
        series,
        Axis(0.0, 100.0, ticks),
        y,
        Table("Recurring revenue, a month", (Column(""), Column("Amount", "number")), rows),
        text + (" The axis does not begin at zero." if y.low > 0 else ""),
    )


def _steps(month: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """From where to where each bar of a waterfall reaches."""
    level = month["start"] / 100
    bars = {"start": (0.0, level)}
    for name in MOVEMENTS:
        step = month[name] / 100 * (1 if name in GAINS else -1)
        bars[name] = (min(level, level + step), max(level, level + step))
        level += step
    return bars | {"end": (0.0, month["end"] / 100)}


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
