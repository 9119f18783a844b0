"""Charts as SVG, drawn without a library: quick, in any width, and in the colours of the page.

Places are percentages of the drawing, so a chart fills its box on a phone and on a desk alike while
its text keeps its size. Nothing is coloured here: ``tone-1`` to ``tone-6`` and the other classes
are given their colours by the style sheet, in light and in dark. A screen reader gets a name and a
description; the numbers are in the table behind each chart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from clv.format import SYMBOLS, short_money

LEFT, WIDTH = 13, 84  # percent: room for the labels of the y axis, and the plot
TOP, BOTTOM, TITLE = 26, 26, 18  # pixels: for the title of the y axis; ticks of the x; its title
ROW = 46  # pixels of a row of intervals
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """From where to where, and what is written beside it.

    >>> Axis(0, 50, ((25, "half"),)).place(25)
    50.0
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str = ""

    def place(self, value: float) -> float:
        """Where a value lies, in percent of the axis."""
        width = self.high - self.low
        return 100 * (value - self.low) / width if width else 50.0


@dataclass(frozen=True)
class Series:
    """Points (x, y) of one thing, drawn as ``kind``; a band reaches from ``low`` up to y."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    kind: Literal["line", "dash", "dots", "rings", "band"] = "line"
    tone: str = "1"
    low: Sequence[float] = ()


@dataclass(frozen=True)
class Interval:
    """A row: what was expected, with its interval if there is one, and what came."""

    label: str
    expected: float
    low: float | None = None
    high: float | None = None
    actual: float | None = None
    note: str = ""


def axis(
    low: float, high: float, write: Callable[[float], str], label: str = "", *, ticks: int = 5
) -> Axis:
    """An axis that covers low to high, with about so many round ticks.

    >>> [text for _, text in axis(0, 87, "{:g}".format).ticks]
    ['0', '25', '50', '75', '100']
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"an axis from {low} to {high} cannot be drawn")
    span = (high - low) or abs(high) or 1.0
    rough = span / max(ticks - 1, 1)
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * one for one in STEPS if scale * one >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    values = [step * k for k in range(first, last + 1)]
    return Axis(values[0], values[-1], tuple((v, write(v)) for v in values), label)


def money_axis(low: float, high: float, currency: str, label: str, *, ticks: int = 5) -> Axis:
    """An axis of money: a sign stands at each mark, a longer name of the currency in the title.

    >>> found = money_axis(0, 2000, "GBP", "Spend", ticks=3)
    >>> [text for _, text in found.ticks], found.label
    (['£0', '£1k', '£2k'], 'Spend')
    >>> found = money_axis(0, 2000, "CHF", "Spend", ticks=3)
    >>> [text for _, text in found.ticks], found.label
    (['0', '1k', '2k'], 'Spend in CHF')
    """
    if currency and currency not in SYMBOLS:
        return axis(low, high, short_money, f"{label} in {currency}", ticks=ticks)
    return axis(low, high, lambda v: short_money(v, currency), label, ticks=ticks)


def line_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    height: int = 290,
) -> Markup:
    """Lines, bands and dots over one pair of axes.

    >>> flat = axis(0, 1, "{:g}".format)
    >>> svg = line_chart("Even", "A line.", [Series("a", [0, 1], [0, 1])], flat, flat)
    >>> 'aria-label="Even"' in svg, 'points="0,100 100,0"' in svg
    (True, True)
    """
    drawn = [part for one in series for part in _drawn(one, x, y)]
    return _chart(title, description, [*_horizontal(y), *_below(x), *drawn], x, y, height)


def column_chart(
    title: str,
    description: str,
    categories: Sequence[str],
    series: Sequence[tuple[str, str, Sequence[float]]],
    y: Axis,
    *,
    label: str = "",
    height: int = 290,
) -> Markup:
    """Upright bars beside each other: per series its label, tone and a value per category."""
    room = 100 / max(len(categories), 1)
    wide = 0.76 * room / max(len(series), 1)
    base = y.place(0.0)
    bars = []
    for k, (name, tone, values) in enumerate(series):
        for i, value in enumerate(values):
            top = y.place(value)
            box = {
                "x": _pc(i * room + 0.12 * room + k * wide),
                "width": _pc(wide * 0.94),
                "y": _pc(100 - max(top, base)),
                "height": _pc(abs(top - base)),
            }
            bars.append(
                _tag("rect", _hint(f"{name}: {categories[i]}"), cls=f"fill tone-{tone}", **box)
            )
    ticks = tuple(((i + 0.5) * room, name) for i, name in enumerate(categories))
    x = Axis(0.0, 100.0, ticks, label)
    return _chart(title, description, [*_horizontal(y), *bars, *_below(x)], x, y, height)


def interval_chart(
    title: str,
    description: str,
    rows: Sequence[Interval],
    x: Axis,
    *,
    reference: float | None = None,
) -> Markup:
    """A row each: the interval as a bar, what was expected as a tick, what came as a dot."""
    high = ROW * len(rows)
    lines = [(value, "grid") for value, _ in x.ticks]
    lines += [] if reference is None else [(reference, "reference")]
    parts: list[Markup] = []
    for top in range(0, high, ROW):  # not across the labels, which stand above each row
        ends = {"y1": top + 20, "y2": top + ROW - 2}
        parts += [_tag("line", x1=_at(x, v), x2=_at(x, v), cls=kind, **ends) for v, kind in lines]
    for k, row in enumerate(rows):
        parts += _interval(row, x, ROW * k)
    parts += [_text(text, _at(x, v), high + 20, "tick", _anchor(x, v)) for v, text in x.ticks]
    plot = _tag(
        "svg", *parts, cls="plot", x="2%", width="96%", y=4, height=high, overflow="visible"
    )
    named = _text(x.label, "98%", high + 44, "axis", "end")
    return _framed(title, description, [plot, named], high + 52)


def bar(share: float, mark: float | None = None, tone: str = "1") -> Markup:
    """A bar within a cell, 0 to 1 over its width, with a tick at ``mark``.

    >>> 'width="37%"' in bar(0.37)
    True
    """
    parts = [
        _tag("rect", cls="track", width="100%", height="100%", rx=2),
        _tag("rect", cls=f"fill tone-{tone}", width=_pc(_share(share)), height="100%", rx=2),
    ]
    if mark is not None:
        place = _pc(_share(mark))
        parts.append(_tag("line", cls="mark", x1=place, x2=place, y1=-3, y2=17))
    return _tag(
        "svg", *parts, cls="bar", width="100%", height=14, overflow="visible", aria_hidden="true"
    )


def track(value: float, target: float, tone: str = "1") -> Markup:
    """A dot on a line from 0 to 1 within a cell, beside a tick where it should be."""
    place, wanted = _pc(_share(value)), _pc(_share(target))
    parts = [
        _tag("line", cls="rail", x1="0", x2="100%", y1="50%", y2="50%"),
        _tag("line", cls="mark", x1=wanted, x2=wanted, y1=0, y2="100%"),
        _tag("circle", cls=f"dot tone-{tone}", cx=place, cy="50%", r=5),
    ]
    return _tag(
        "svg", *parts, cls="bar", width="100%", height=18, overflow="visible", aria_hidden="true"
    )


def heat(text: str, share: float) -> Markup:
    """A cell's text on a ground that is the stronger the larger ``share``, 0 to 1.

    >>> print(heat("12", 0.55))
    <span class="heat heat-5">12</span>
    """
    level = min(9, math.floor(10 * min(max(share, 0.0), 1.0)))
    return Markup('<span class="heat heat-{}">{}</span>').format(level, text)


def _drawn(one: Series, x: Axis, y: Axis) -> Iterator[Markup]:
    """A series as elements of the plot; what is no number is left out, and breaks no line."""
    known = [k for k in range(len(one.x)) if math.isfinite(one.x[k]) and math.isfinite(one.y[k])]
    points = [(x.place(one.x[k]), 100 - y.place(one.y[k])) for k in known]
    if one.kind in ("dots", "rings"):
        shape = "dot" if one.kind == "dots" else "ring"
        for k, (across, down) in zip(known, points, strict=True):
            hint = _hint(f"{one.label}: {_near(x, one.x[k])}, {_near(y, one.y[k])}")
            place = {"cx": _pc(across), "cy": _pc(down), "r": 4.5}
            yield _tag("circle", hint, cls=f"{shape} tone-{one.tone}", **place)
        return
    if one.kind == "band":
        points += [(x.place(one.x[k]), 100 - y.place(one.low[k])) for k in reversed(known)]
    path = " ".join(f"{across:.5g},{down:.5g}" for across, down in points)
    shape = "polygon" if one.kind == "band" else "polyline"
    line = _tag(shape, points=path, cls=f"{one.kind} tone-{one.tone}", **_KEEP)
    yield _tag("svg", line, **_STRETCHED)


_KEEP = {"vector_effect": "non-scaling-stroke"}
_STRETCHED = {
    "viewBox": "0 0 100 100",
    "preserveAspectRatio": "none",
    "width": "100%",
    "height": "100%",
    "overflow": "visible",
}


def _interval(row: Interval, x: Axis, top: int) -> Iterator[Markup]:
    middle = top + 32
    yield _text(row.label, "0", top + 14, "row")
    if row.note:
        yield _text(row.note, "100%", top + 14, "tick", "end")
    if row.low is not None and row.high is not None:
        box = {"x": _at(x, row.low), "width": _pc(x.place(row.high) - x.place(row.low))}
        yield _tag("rect", cls="span tone-1", y=middle - 6, height=12, rx=3, **box)
    place = _at(x, row.expected)
    yield _tag("line", cls="mark", x1=place, x2=place, y1=middle - 9, y2=middle + 9)
    if row.actual is not None:
        yield _tag("circle", cls="dot tone-2", cx=_at(x, row.actual), cy=middle, r=5.5)


def _horizontal(y: Axis) -> Iterator[Markup]:
    """The grid, and what is written beside it."""
    for value, text in y.ticks:
        place = _pc(100 - y.place(value))
        kind = "base" if value == y.low else "grid"
        yield _tag("line", cls=kind, x1="0", x2="100%", y1=place, y2=place)
        yield _text(text, -8, place, "tick", "end", dy=".32em")


def _below(x: Axis) -> Iterator[Markup]:
    for value, text in x.ticks:
        yield _text(text, _at(x, value), "100%", "tick", _anchor(x, value), dy="1.5em")


def _chart(
    title: str, description: str, parts: Sequence[Markup], x: Axis, y: Axis, height: int
) -> Markup:
    plot = _tag(
        "svg",
        *parts,
        cls="plot",
        x=_pc(LEFT),
        width=_pc(WIDTH),
        y=TOP,
        height=plot_height(x, height),
        overflow="visible",
    )
    named = [_text(y.label, 0, 12, "axis")]
    named += [_text(x.label, _pc(LEFT + WIDTH), height - 4, "axis", "end")] if x.label else []
    return _framed(title, description, [*named, plot], height)


def plot_height(x: Axis, height: int) -> int:
    """Pixels of a chart's height that are left to the plot.

    >>> plot_height(Axis(0, 1, (), "Spend"), 240), plot_height(Axis(0, 1, ()), 240)
    (170, 188)
    """
    return height - TOP - BOTTOM - (TITLE if x.label else 0)


def _framed(title: str, description: str, parts: Sequence[Markup], height: int) -> Markup:
    told = _tag("desc", escape(description))
    frame = {"role": "img", "aria_label": title, "width": "100%", "height": height}
    return _tag("svg", told, *parts, cls="chart", **frame)


def _text(
    text: str, x: str | int, y: str | int, cls: str, anchor: str = "start", dy: str = "0"
) -> Markup:
    return _tag("text", escape(text), cls=cls, x=x, y=y, dy=dy, text_anchor=anchor)


def _anchor(x: Axis, value: float) -> str:
    """Labels at the ends do not stick out."""
    place = x.place(value)
    return "start" if place < 2 else "end" if place > 98 else "middle"


def _near(on: Axis, value: float) -> str:
    """A value for the pointer: as a tick if it is one."""
    return next((text for tick, text in on.ticks if tick == value), f"{value:,.4g}")


def _hint(text: str) -> Markup:
    return _tag("title", escape(text))


def _at(x: Axis, value: float) -> str:
    return _pc(x.place(value))


def _share(value: float) -> float:
    return 100 * min(max(value, 0.0), 1.0)


def _pc(value: float) -> str:
    """A percentage as an attribute has it.

    >>> _pc(33.33333), _pc(50)
    ('33.333%', '50%')
    """
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"


def _tag(name: str, *inside: Markup, cls: str = "", **attributes: object) -> Markup:
    """An element; ``aria_label`` is written aria-label."""
    given = {"class": cls} if cls else {}
    every = given | {key.replace("_", "-"): value for key, value in attributes.items()}
    written = Markup("").join(Markup(' {}="{}"').format(k, v) for k, v in every.items())
    return Markup("<{}{}>{}</{}>").format(
        Markup(name),
        written,
        Markup("").join(inside),
        Markup(name),
    )
