"""Charts of one customer: orders on a time line, what the model thought, and what may come."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np

from clv.app.order_history import NextOrder, OrderHistory, unit_of
from clv.format import NONE, count, counted, day, days, money, percent
from clv.probability.estimator import PurchaseModel
from clv.report.charts import (
    Axis,
    Chart,
    Column,
    IntervalRow,
    LegendKey,
    Series,
    Table,
    interval_chart,
    line_chart,
    money_axis,
    share_axis,
    time_axis,
)
from clv.schema import Floats

MOST_ROWS, MOST_DOTS = 200, 120
AHEAD = 0.02  # of a life, between the day of the scores and the edge of the chart
HEIGHT = 250
MAY_BE = "How much it may turn out to be"


def orders_figure(life: OrderHistory, currency: str) -> Chart:
    """What was ordered when: a line up to its amount for each day with an order."""
    x = _life_axis(life)
    top = float(life.amount.max()) or 1.0
    y = money_axis(0, top, currency, "Amount of a day")
    when, amount = life.day.tolist(), life.amount.tolist()
    hints = [_order(life, d, a, currency) for d, a in zip(when, amount, strict=True)]
    dots = [Series("orders of a day", when, amount, "dots", hints=hints)]
    summary = _orders(life)
    return line_chart(
        "Orders over time",
        f"{summary}.",
        [
            *(dots if len(when) <= MOST_DOTS else ()),
            Series("orders of a day", when, amount, "stems", hints=hints),
            _as_of(life, y.high),
        ],
        x,
        y,
        _orders_table(life, currency),
        f"{summary}. Amounts are revenue; the orders of one day are one line.",
        height=HEIGHT,
    )


def _orders(life: OrderHistory) -> str:
    """How many orders, and when."""
    orders, last = counted(int(life.orders.sum()), "order"), life.date(life.day[-1])
    if len(life.day) == 1:
        return f"{orders}, on {day(life.first)}"
    return f"{orders} on {counted(len(life.day), 'day')} from {day(life.first)} to {day(last)}"


def _order(life: OrderHistory, when: float, amount: float, currency: str) -> str:
    return f"{day(life.date(when))}: {money(amount, currency)}"


def _life_axis(life: OrderHistory) -> Axis:
    dates = time_axis(life.first, life.as_of)
    return replace(dates, high=dates.high * (1 + AHEAD))


def _as_of(life: OrderHistory, top: float) -> Series:
    """The day up to which anything is known."""
    return Series(f"as of {day(life.as_of)}", [life.age, life.age], [0, top], "dash", "6")


def _orders_table(life: OrderHistory, currency: str) -> Table:
    """The latest first."""
    gaps = np.diff(life.day, prepend=np.nan)
    last = range(len(life.day) - 1, max(-1, len(life.day) - 1 - MOST_ROWS), -1)
    rows = [
        (
            day(life.date(life.day[k])),
            count(int(life.orders[k])),
            money(float(life.amount[k]), currency),
            NONE if np.isnan(gaps[k]) else days(float(gaps[k])),
        )
        for k in last
    ]
    columns = (
        Column("Day"),
        Column("Orders", "number"),
        Column("Amount", "number"),
        Column("After the one before", "number"),
    )
    shown = (
        "all" if len(rows) == len(life.day) else f"the latest {len(rows)} of {count(len(life.day))}"
    )
    return Table(f"Days with an order, the latest first, {shown}", columns, rows)


def alive_figure(
    life: OrderHistory, model: PurchaseModel, window: float, within: str, note: str
) -> Chart:
    """P(alive), and the chance of an order within the churn horizon, from the first order on.

    ``window`` is in the model's unit, ``within`` the same in words.
    """
    moments, course = life.course(unit_of(model))
    alive, buys = model.probability_alive(course), model.probability_of_purchase(window, course)
    x, y = _life_axis(life), share_axis("Chance")
    series = [
        replace(_as_of(life, 1.0), label=""),
        Series("still a customer, P(alive)", moments.tolist(), alive.tolist()),
        Series(f"orders within {within}", moments.tolist(), buys.tolist(), "line", "2"),
    ]
    ends = f"{percent(alive[-1])} still a customer, {percent(buys[-1])} to order within {within}"
    described = f"On {day(life.as_of)}: {ends}."
    table = _alive_table(life, model, window, within)
    caption = f"As the model would have seen it on each day, knowing what it knows now. {note}"
    return line_chart(
        "Still a customer?", described, series, x, y, table, caption.strip(), height=HEIGHT
    )


def _alive_table(life: OrderHistory, model: PurchaseModel, window: float, within: str) -> Table:
    unit = unit_of(model)
    after, now = life.after_each(unit), life.now(unit)
    alive = [*model.probability_alive(after), *model.probability_alive(now)]
    buys = [
        *model.probability_of_purchase(window, after),
        *model.probability_of_purchase(window, now),
    ]
    dates = [*(f"after {day(life.date(d))}" for d in life.day), f"on {day(life.as_of)}"]
    rows = [
        (when, percent(float(a)), percent(float(b)))
        for when, a, b in zip(dates, alive, buys, strict=True)
    ]
    columns = (
        Column("When"),
        Column("Still a customer", "number"),
        Column(f"Orders within {within}", "number"),
    )
    newest = rows[::-1][:MOST_ROWS]
    return Table("After each day with an order, the latest first", columns, newest)


def next_figure(coming: NextOrder, as_of: dt.date, reach: int, within: str) -> Chart:
    """The chance of at least one order by each day of the next ``reach`` days."""
    chance = coming.by_day[: reach + 1].tolist()
    last = as_of + dt.timedelta(days=reach)
    ahead = [float(d) for d in range(reach + 1)]
    x, y = time_axis(as_of, last), share_axis("Chance of an order by then")
    series = _area("chance of at least one order", ahead, chance)
    rows = [
        (f"within {days(d)}", day(as_of + dt.timedelta(days=d)), percent(float(coming.by_day[d])))
        for d in (7, 14, 30, 60, 91, 182, 365, 730)
        if d < len(coming.by_day)
    ]
    columns = (Column("Within"), Column("That is by"), Column("Chance of an order", "number"))
    return line_chart(
        "When the next order comes",
        f"The chance rises to {percent(chance[-1])} by {day(last)}.",
        series,
        x,
        y,
        Table("Chance of at least one order", columns, rows),
        f"At least one order, from the day of the scores on; drawn for the first {within}.",
        height=HEIGHT,
    )


def _area(label: str, x: list[float], y: list[float]) -> list[Series]:
    """A line with the ground below it filled."""
    return [Series("", x, y, "band", low=[0.0] * len(x)), Series(label, x, y)]


def worth_figure(levels: Floats, value: Floats, mean: float, horizon: str, currency: str) -> Chart:
    """The chance that a customer turns out to be worth more than an amount."""
    chance, high = 1 - levels, max(float(value[-1]), mean) or 1.0
    x = money_axis(0, high, currency, f"Value over {horizon}", ticks=4)
    y = share_axis("Chance to be worth more")
    some = value > 0
    at_zero = float(chance[~some][-1]) if (~some).any() else 1.0
    curve = [0.0, *value[some].tolist()]
    heights = [at_zero, *chance[some].tolist()]
    series = [
        *_area("chance to be worth more", curve, heights),
        Series("the mean, which sums are made of", [mean, mean], [0, 1], "dash", "6"),
    ]
    summary = f"{_even(levels, value, at_zero, currency)}; the mean is {money(mean, currency)}."
    table = _worth_table(levels, value, currency)
    return line_chart(MAY_BE, summary, series, x, y, table, summary, height=HEIGHT)


def _even(levels: Floats, value: Floats, some: float, currency: str) -> str:
    """The median, or that it is nothing."""
    median = float(np.interp(0.5, levels, value))
    if median > 0:
        return f"An even chance of more than {money(median, currency)}"
    return f"A chance of {percent(some)} to be worth anything more"


def _worth_table(levels: Floats, value: Floats, currency: str) -> Table:
    rows = [
        (percent(1 - u), money(float(np.interp(u, levels, value)), currency))
        for u in (0.1, 0.25, 0.5, 0.75, 0.9)
    ]
    columns = (Column("With a chance of", "text"), Column("worth more than", "number"))
    return Table("Value still to come", columns, rows)


def span_figure(
    low: float, median: float, high: float, mean: float, told: str, currency: str
) -> Chart:
    """Only the published interval: where the model is not at hand."""
    x = money_axis(0, max(high, mean) or 1.0, currency, "Value", ticks=4)
    row = IntervalRow(told, mean, low, high, median)
    figures = {"low end": low, "median": median, "mean": mean, "high end": high}
    described = ", ".join(f"{name} {money(v, currency)}" for name, v in figures.items())
    keys = (
        LegendKey("mean", kind="tick"),
        LegendKey(told, kind="span"),
        LegendKey("median", "2", "dot"),
    )
    columns = (Column("Figure"), Column("Value", "number"))
    table = Table(told, columns, [(n.capitalize(), money(v, currency)) for n, v in figures.items()])
    return interval_chart(MAY_BE, f"{described}.", [row], x, table, legend=keys)
