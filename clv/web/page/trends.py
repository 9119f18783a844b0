"""Overview's charts over time: orders month by month, a figure over the runs, and how old it is."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clv.app.contents.over_time import MONTHS, RUNS, SOON
from clv.format import NONE, count, day, days, money, month, number, percent
from clv.report.charts import (
    Axis,
    Chart,
    Column,
    Series,
    Table,
    line_chart,
    money_axis,
    number_axis,
    share_axis,
    time_axis,
)
from clv.store import Store
from clv.web.page.frame import Page

OLD = 31  # days after which an as-of date is called old
SMALL = 240  # pixels high
MOST_TICKS = 4  # dates that stand side by side on a phone
RECENT = "recent"  # in an address: the last twelve months
Write = Callable[[Any], str]
RUN_FIGURES = {
    "value": "Value of the base",
    "customers": "Customers",
    "orders": "Orders expected",
    "at_risk": "Value at risk",
    "churn": "Mean churn risk",
}


def age_of(as_of: str, today: dt.date) -> str | None:
    """That the figures are old, in words; None while they are not.

    >>> age_of("2024-03-31", dt.date(2024, 4, 20))
    >>> age_of("2024-03-31", dt.date(2024, 6, 20))
    'These figures are 81 days old: what was ordered after 31 March 2024 is not in them. \
Score and publish again.'
    """
    age = (today - dt.date.fromisoformat(as_of)).days
    if age <= OLD:
        return None
    return (
        f"These figures are {days(age)} old: what was ordered after {day(as_of)} is not "
        "in them. Score and publish again."
    )


@dataclass(frozen=True)
class TimeSpan:
    """The part of a time line that is drawn, and those that may be drawn instead.

    Attributes
    ----------
    name
        Of the address's parameter; those of the first and the last day drawn begin with it.
    choices
        As in the address, and in words; none where the line is short.
    chosen
        One of them; None where the two days of the address say it.
    days
        All that can be drawn, as in the address and in words; none where the line is short.
    first, last
        The first and the last of those that are drawn.
    """

    name: str
    choices: Sequence[tuple[str, str]]
    chosen: str | None
    days: Sequence[tuple[str, str]]
    first: str
    last: str

    @classmethod
    def of(cls, name: str, days: Sequence[str], page: Page) -> TimeSpan:
        """All of these days, the last twelve months, each year, or from one of them to another."""
        years = Counter(text[:4] for text in days)
        long = len(days) > 2 and days[0] < _year_before(days[-1])
        parts = [(year, year) for year in sorted(years, reverse=True) if years[year] > 1]
        choices = [("", "All"), (RECENT, "Last 12 months"), *parts] if long else []
        query = dict(page.address.query)
        chosen = query.get(name, "") if query.get(name, "") in dict(choices) else ""
        part = [text for text in days if _is_in(text, chosen, days[-1])]
        ends = [query.get(f"{name}_{end}", "") for end in ("from", "to")]
        if long and set(ends) <= set(days):
            first, last = sorted(ends)
            return cls(name, choices, None, _named(days), first, last)
        first, last = (part[0], part[-1]) if part else ("", "")
        return cls(name, choices, chosen, _named(days) if long else (), first, last)

    def part(self, rows: Sequence[Any], key: str) -> list[Any]:
        """The rows of that part; ``key`` is their day."""
        return [row for row in rows if self.first <= row[key] <= self.last]


def _is_in(text: str, chosen: str, last: str) -> bool:
    """Whether a day or month is of a choice."""
    return text > _year_before(last) if chosen == RECENT else text.startswith(chosen)


def _named(days: Sequence[str]) -> list[tuple[str, str]]:
    """Days and months as in the address, and in words."""
    return [(text, day(text) if len(text) > len("2024-01") else month(text)) for text in days]


def _year_before(text: str) -> str:
    """The same day or month a year earlier, as it is written in addresses and documents."""
    return f"{int(text[:4]) - 1:04d}{text[4:]}"


def month_span(store: Store, page: Page) -> TimeSpan:
    """Which months are drawn; ``months`` of the address says it."""
    return TimeSpan.of("months", [row["month"] for row in store.document(MONTHS) or []], page)


def run_span(store: Store, page: Page) -> TimeSpan:
    """Which runs are drawn; ``runs`` of the address says it."""
    return TimeSpan.of("runs", [run["as_of"] for run in store.document(RUNS) or []], page)


def month_charts(store: Store, page: Page) -> list[Chart]:
    """Revenue, orders, repeat rate, who came back soon, and the time to the second order."""
    rows = store.document(MONTHS) or []
    if len(rows) < 2:
        return []
    rows = month_span(store, page).part(rows, "month")
    currency = str(store.terms.get("currency") or "")
    highest = {name: max(row[name] for row in rows) for name in ("revenue", "orders")}
    waits = [row["days_to_second"] for row in rows if row["days_to_second"] is not None]

    def in_money(value: Any) -> str:
        return money(value, currency)

    def in_days(value: Any) -> str:
        return number(value, 0)

    soon = f"Second order within {SOON} days"
    axes: list[tuple[str, str, Axis, Write]] = [
        ("revenue", "Revenue", money_axis(0, highest["revenue"], currency, "A month"), in_money),
        ("orders", "Orders", number_axis(0, highest["orders"], "A month"), count),
        ("repeat_rate", "Repeat rate", share_axis("Orders that are not a first one"), percent),
        ("soon", soon, share_axis("By month of the first order"), percent),
        (
            "days_to_second",
            "Days to the second order",
            number_axis(0, max(waits, default=1.0), "Median of who came back"),
            in_days,
        ),
    ]
    days = [f"{row['month']}-01" for row in rows]
    return [
        _chart(title, days, [row[name] for row in rows], axis, write, "Month", every=2)
        for name, title, axis, write in axes
        if any(row[name] is not None for row in rows)
    ]


def run_chart(store: Store, page: Page) -> Chart | None:
    """A figure over the runs; which one, ``figure`` of the address says. None without two runs."""
    runs = store.document(RUNS) or []
    if len(runs) < 2:
        return None
    runs = run_span(store, page).part(runs, "as_of")
    name, currency = figure_of(page), str(store.terms.get("currency") or "")
    values = [run[name] for run in runs]
    axis, write = _scale(name, min(0.0, *values), max(values), currency)
    days = [run["as_of"] for run in runs]
    return _chart(f"{RUN_FIGURES[name]}, run by run", days, values, axis, write, "As of")


def _scale(name: str, low: float, high: float, currency: str) -> tuple[Axis, Write]:
    """The axis of a figure, and how it is written."""
    if name in ("value", "at_risk"):
        axis = money_axis(low, high, currency, "At each run")
        return axis, lambda value: money(value, currency)
    if name == "churn":
        return share_axis("At each run"), percent
    return number_axis(0, high, "At each run"), lambda value: count(round(value))


def figure_of(page: Page) -> str:
    """The figure that the address asks for; the value where it asks for none that there is."""
    asked = dict(page.address.query).get("figure", "")
    return asked if asked in RUN_FIGURES else "value"


def _chart(
    title: str,
    days: Sequence[str],
    values: Sequence[Any],
    axis: Axis,
    write: Write,
    when: str,
    every: int = 1,
) -> Chart:
    """A line over time; a small chart has room for every second date alone."""
    dates = [dt.date.fromisoformat(text) for text in days]
    known = [(date, value) for date, value in zip(dates, values, strict=True) if value is not None]
    x = [float((date - dates[0]).days) for date, _ in known]
    y = [float(value) for _, value in known]
    hints = [f"{day(date)}: {write(value)}" for date, value in known]
    rows = [
        (day(date), NONE if value is None else write(value))
        for date, value in zip(dates, values, strict=True)
    ]
    series = [Series(title, x, y), Series(title, x, y, "dots", hints=hints)]
    last = f"{write(known[0][1])} at first, {write(known[-1][1])} at last."
    columns = (Column(when), Column(title, "number"))
    table = Table(title, columns, rows)
    time = time_axis(dates[0], dates[-1])
    every = max(every, -(-len(time.ticks) // MOST_TICKS))
    time = replace(time, ticks=time.ticks[::every])
    return line_chart(title, last, series, time, axis, table, legend=(), height=SMALL)
