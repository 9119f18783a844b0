"""Charts of one customer: orders on a time line, what the model thought, and what may come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from clv.format import NONE, count, counted, day, days, money, percent
from clv.probability.estimator import PurchaseModel
from clv.schema import Floats
from clv.web.page.charts import (
    Axis,
    Interval,
    Series,
    _below,
    _chart,
    _hint,
    _horizontal,
    _pc,
    _tag,
    axis,
    interval_chart,
    line_chart,
    money_axis,
)
from clv.web.page.order_history import Life, NextOrder, unit_of
from clv.web.page.tables import Column, Figure, Key, Table

MOST_ROWS, MOST_DOTS = 200, 120
STEPS = (1, 2, 3, 6, 12, 24, 36, 60, 120)  # months between ticks
TICKS = 4
AHEAD = 0.02  # of a life, between the day of the scores and the edge of the chart


def share_axis(label: str) -> Axis:
    """Chances from 0 to 100%."""
    return axis(0, 1, lambda v: f"{v:.0%}", label)


def time_axis(first: dt.date, last: dt.date) -> Axis:
    """From one day to another, in days from the first, with a few round dates.

    >>> time_axis(dt.date(2010, 12, 20), dt.date(2011, 12, 9)).ticks
    ((12.0, 'Jan 2011'), (102.0, 'Apr 2011'), (193.0, 'Jul 2011'), (285.0, 'Oct 2011'))
    >>> [text for _, text in time_axis(dt.date(2011, 3, 1), dt.date(2011, 3, 25)).ticks]
    ['1 Mar', '9 Mar', '17 Mar', '25 Mar']
    """
    span = max((last - first).days, 1)
    if span < 92:
        places = np.unique(np.linspace(0, span, TICKS).round())
        near = [(float(p), first + dt.timedelta(days=int(p))) for p in places]
        return Axis(0.0, float(span), tuple((p, f"{d.day} {d:%b}") for p, d in near))
    step = next((s for s in STEPS if span / (30.4375 * s) < TICKS + 1), STEPS[-1])
    dates = [d for d in _months(first, last, step) if first <= d <= last]
    ticks = tuple((float((d - first).days), f"{d:%b %Y}") for d in dates)
    return Axis(0.0, float(span), ticks)


def _months(first: dt.date, last: dt.date, step: int) -> Iterator[dt.date]:
    """Every so many months, from January on."""
    for number in range(12 * first.year, 12 * last.year + 12, 1):
        if number % step == 0:
            yield dt.date(number // 12, number % 12 + 1, 1)


def orders_figure(life: Life, currency: str) -> Figure:
    """What was ordered when: a line up to its amount for each day with an order."""
    x, dots = _life_axis(life), len(life.day) <= MOST_DOTS
    top = float(life.amount.max()) or 1.0
    y = money_axis(0, top, currency, "Amount of a day")
    parts = [*_horizontal(y), *_below(x), *_as_of(life, x)]
    for when, amount in zip(life.day.tolist(), life.amount.tolist(), strict=True):
        parts += _stem(x.place(when), y.place(amount), _order(life, when, amount, currency), dots)
    title = "Orders over time"
    said = _orders(life)
    svg = _chart(title, f"{said}.", parts, x, y, 250)
    caption = f"{said}. Amounts are revenue; the orders of one day are one line."
    keys = (Key("orders of a day", kind="dot"), _as_of_key(life))
    return Figure(title, svg, _orders_table(life, currency), caption, keys)


def _orders(life: Life) -> str:
    """How many orders, and when."""
    orders, last = counted(int(life.orders.sum()), "order"), life.date(life.day[-1])
    if len(life.day) == 1:
        return f"{orders}, on {day(life.first)}"
    return f"{orders} on {counted(len(life.day), 'day')} from {day(life.first)} to {day(last)}"


def _order(life: Life, when: float, amount: float, currency: str) -> str:
    return f"{day(life.date(when))}: {money(amount, currency)}"


def _life_axis(life: Life) -> Axis:
    found = time_axis(life.first, life.as_of)
    return Axis(found.low, found.high * (1 + AHEAD), found.ticks, found.label)


def _stem(across: float, high: float, hint: str, dot: bool) -> Iterator[Markup]:
    at, top = _pc(across), _pc(100 - high)
    ends = {"x1": at, "x2": at, "y1": "100%", "y2": top}
    yield _tag("line", _hint(hint), cls="line tone-1", **ends)
    if dot:
        yield _tag("circle", _hint(hint), cls="dot tone-1", cx=at, cy=top, r=4)


def _as_of(life: Life, x: Axis) -> Iterator[Markup]:
    """The day up to which anything is known."""
    at = _pc(x.place(life.age))
    yield _tag("line", cls="dash tone-6", x1=at, x2=at, y1="0", y2="100%")


def _as_of_key(life: Life) -> Key:
    return Key(f"as of {day(life.as_of)}", "6", "dash")


def _orders_table(life: Life, currency: str) -> Table:
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
    shown = "all" if len(rows) == len(life.day) else f"the latest {len(rows)} of {len(life.day):,}"
    return Table(f"Days with an order, the latest first, {shown}", columns, rows)


def alive_figure(life: Life, model: PurchaseModel, window: float, within: str, note: str) -> Figure:
    """P(alive), and the chance of an order within the churn horizon, from the first order on.

    ``window`` is in the model's unit, ``within`` the same in words.
    """
    moments, course = life.course(unit_of(model))
    alive, buys = model.probability_alive(course), model.probability_of_purchase(window, course)
    x, y = _life_axis(life), share_axis("Chance")
    series = [
        Series("as of", [life.age, life.age], [0, 1], "dash", "6"),
        Series("still a customer", moments.tolist(), alive.tolist()),
        Series("order", moments.tolist(), buys.tolist(), "line", "2"),
    ]
    title = "Still a customer?"
    ends = f"{percent(alive[-1])} still a customer, {percent(buys[-1])} to order within {within}"
    svg = line_chart(title, f"On {day(life.as_of)}: {ends}.", series, x, y, height=250)
    caption = f"As the model would have seen it on each day, knowing what it knows now. {note}"
    keys = (Key("still a customer, P(alive)"), Key(f"orders within {within}", "2"))
    return Figure(title, svg, _alive_table(life, model, window, within), caption.strip(), keys)


def _alive_table(life: Life, model: PurchaseModel, window: float, within: str) -> Table:
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
    shown = rows[::-1][:MOST_ROWS]
    return Table("After each day with an order, the latest first", columns, shown)


def next_figure(coming: NextOrder, as_of: dt.date, reach: int, within: str) -> Figure:
    """The chance of at least one order by each day of the next ``reach`` days."""
    chance = coming.by_day[: reach + 1].tolist()
    last = as_of + dt.timedelta(days=reach)
    ahead = [float(d) for d in range(reach + 1)]
    x, y = time_axis(as_of, last), share_axis("Chance of an order by then")
    series = [
        Series("chance", ahead, chance, "band", low=[0.0] * (reach + 1)),
        Series("chance", ahead, chance),
    ]
    title = "When the next order comes"
    said = f"{percent(chance[-1])} by {day(last)}"
    svg = line_chart(title, f"The chance rises to {said}.", series, x, y, height=250)
    rows = [
        (f"within {days(d)}", day(as_of + dt.timedelta(days=d)), percent(float(coming.by_day[d])))
        for d in (7, 14, 30, 60, 91, 182, 365, 730)
        if d < len(coming.by_day)
    ]
    columns = (Column("Within"), Column("That is by"), Column("Chance of an order", "number"))
    caption = f"At least one order, from the day of the scores on; drawn for the first {within}."
    keys = (Key("chance of at least one order"),)
    table = Table("Chance of at least one order", columns, rows)
    return Figure(title, svg, table, caption, keys)


def worth_figure(levels: Floats, value: Floats, mean: float, horizon: str, currency: str) -> Figure:
    """The chance that a customer turns out to be worth more than an amount."""
    chance, high = 1 - levels, max(float(value[-1]), mean) or 1.0
    x = money_axis(0, high, currency, f"Value over {horizon}", ticks=4)
    y = share_axis("Chance to be worth more")
    some = value > 0
    at_zero = float(chance[~some][-1]) if (~some).any() else 1.0
    curve = [0.0, *value[some].tolist()]
    heights = [at_zero, *chance[some].tolist()]
    series = [
        Series("chance", curve, heights, "band", low=[0.0] * len(curve)),
        Series("chance", curve, heights),
        Series("mean", [mean, mean], [0, 1], "dash", "6"),
    ]
    title = "How much it may turn out to be"
    said = f"{_even(levels, value, at_zero, currency)}; the mean is {money(mean, currency)}."
    svg = line_chart(title, said, series, x, y, height=250)
    keys = (Key("chance to be worth more"), Key("the mean, which sums are made of", "6", "dash"))
    return Figure(title, svg, _worth_table(levels, value, currency), said, keys)


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
) -> Figure:
    """Only the published interval: where the model is not at hand."""
    x = money_axis(0, max(high, mean) or 1.0, currency, "Value", ticks=4)
    row = Interval(told, mean, low, high, median)
    title = "How much it may turn out to be"
    figures = {"low end": low, "median": median, "mean": mean, "high end": high}
    said = ", ".join(f"{name} {money(v, currency)}" for name, v in figures.items())
    keys = (Key("mean", kind="tick"), Key(told, kind="span"), Key("median", "2", "dot"))
    columns = (Column("Figure"), Column("Value", "number"))
    table = Table(told, columns, [(n.capitalize(), money(v, currency)) for n, v in figures.items()])
    return Figure(title, interval_chart(title, f"{said}.", [row], x), table, "", keys)
