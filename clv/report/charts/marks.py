"""What is drawn over a pair of axes: series of points, fields of shades, and names beside points.

Places are percentages of the plot, so a chart fills its box on a phone and on a desk alike while
its text keeps its size. Nothing is coloured here: ``tone-1`` to ``tone-6`` and the other classes
are given their colours by the style sheet, in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from clv.locales import has_decimal_comma
from clv.report.charts.axes import Axis
from clv.report.charts.svg import hint, pc, tag, text

Point = tuple[float, float]
Box = tuple[float, float] | None  # of the plot in pixels, where they are known

RIGHT = 66  # percent of the width from which on a name is written to the left of its point
NAME, LETTER = (
    7.5,
    1.35,
)  # percent: of the height that a name takes, of the width that a letter does
STOPS = 40  # of a line, at which the pointer reads its values
NEAR = 0.1  # percent: what nobody sees
ABOVE, BELOW, ASIDE = "-.55em", "1.1em", 7  # of a name from its point; the last in pixels
STRETCHED = {  # a drawing of 100 by 100 that fills whatever box it stands in
    "viewBox": "0 0 100 100",
    "preserveAspectRatio": "none",
    "width": "100%",
    "height": "100%",
    "overflow": "visible",
}


@dataclass(frozen=True)
class LegendKey:
    """A line of a chart's legend: what is drawn in which tone, and how."""

    label: str
    tone: str = "1"
    kind: Literal["line", "dash", "dot", "ring", "band", "span", "bar", "tick"] = "line"
    strength: float = 1.0

    @property
    def swatch(self) -> Markup:
        """What it looks like, to stand beside the label."""
        return tag("svg", self._sample(), cls="swatch", width=22, height=14, aria_hidden="true")

    def _sample(self) -> Markup:
        look = f"{'fill' if self.kind == 'bar' else self.kind} tone-{self.tone}"
        if self.kind in ("line", "dash"):
            return tag("line", cls=look, x1=0, x2=22, y1=7, y2=7)
        if self.kind in ("dot", "ring"):
            return tag("circle", cls=look, cx=11, cy=7, r=5)
        if self.kind == "tick":
            return tag("line", cls="mark", x1=11, x2=11, y1=0, y2=14)
        box = {"x": 2, "y": 2, "width": 18, "height": 10, "rx": 2}
        return tag("rect", cls=look, fill_opacity=self.strength, **box)


Kind = Literal["line", "dash", "dots", "rings", "band", "stems", "bars"]
KEYS: dict[Kind, Literal["line", "dash", "dot", "ring", "band", "bar"]] = {
    "line": "line",
    "dash": "dash",
    "dots": "dot",
    "rings": "ring",
    "band": "band",
    "stems": "line",
    "bars": "bar",
}


@dataclass(frozen=True)
class Series:
    """Points (x, y) of one thing, drawn as ``kind``.

    Attributes
    ----------
    label
        What it is, in the legend and for the pointer; "" for what needs no words.
    low
        From where a band, a stem or a bar reaches to y; stems and bars stand on 0 without.
    right
        To where a bar reaches from x.
    hints
        What the pointer is shown at each dot, stem and bar, and along a line, instead of its label
        and values.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    kind: Kind = "line"
    tone: str = "1"
    low: Sequence[float] = ()
    right: Sequence[float] = ()
    hints: Sequence[str] = ()

    def legend(self) -> Iterator[LegendKey]:
        """Its line of the legend."""
        if self.label:
            yield LegendKey(self.label, self.tone, KEYS[self.kind])

    def draw(self, x: Axis, y: Axis, box: Box = None) -> Iterator[Markup]:
        """The elements of the plot; what is no number is left out, and breaks no line."""
        finite = [k for k, v in enumerate(self.y) if math.isfinite(self.x[k]) and math.isfinite(v)]
        places = [(x.place(self.x[k]), 100 - y.place(self.y[k])) for k in finite]
        if self.kind in ("line", "dash"):
            yield self._path("polyline", places, box)
            yield from self._stops(finite, places, x, y)
        elif self.kind == "band":
            back = [(x.place(self.x[k]), 100 - y.place(self.low[k])) for k in reversed(finite)]
            yield self._path("polygon", [*places, *back], box)
        else:
            for k, place in zip(finite, places, strict=True):
                yield self._mark(k, place, x, y)

    def _path(self, shape: str, places: Sequence[tuple[float, float]], box: Box) -> Markup:
        wide, high = box or (100, 100)
        thin = _thinned(places)
        points = " ".join(f"{a * wide / 100:.5g},{d * high / 100:.5g}" for a, d in thin)
        look = f"{self.kind} tone-{self.tone}"
        if box:
            return tag(shape, points=points, cls=look)
        line = tag(shape, points=points, cls=look, vector_effect="non-scaling-stroke")
        return tag("svg", line, **STRETCHED)

    def _stops(
        self, rows: Sequence[int], places: Sequence[Point], x: Axis, y: Axis
    ) -> Iterator[Markup]:
        """Places on a line, so near each other that the pointer always reads one of them."""
        if not self.label:
            return
        every = max(1, -(-len(rows) // STOPS))
        for k, (across, down) in list(zip(rows, places, strict=True))[::every]:
            title = Markup("").join(map(hint, self._hint(k, x, y)))
            look = f"stop tone-{self.tone}"
            yield tag("circle", title, cls=look, cx=pc(across), cy=pc(down), r=8)

    def _mark(self, k: int, place: tuple[float, float], x: Axis, y: Axis) -> Markup:
        across, down = place
        title = Markup("").join(map(hint, self._hint(k, x, y)))
        if self.kind == "stems":
            foot = pc(100 - y.place(self.low[k] if self.low else 0.0))
            ends = {"x1": pc(across), "x2": pc(across), "y1": foot, "y2": pc(down)}
            return tag("line", title, cls=f"line tone-{self.tone}", **ends)
        if self.kind == "bars":
            base = 100 - y.place(self.low[k] if self.low else 0.0)
            box = {
                "x": pc(across),
                "width": pc(x.place(self.right[k]) - across),
                "y": pc(min(down, base)),
                "height": pc(abs(down - base)),
            }
            return tag("rect", title, cls=f"fill tone-{self.tone}", **box)
        look = f"{KEYS[self.kind]} tone-{self.tone}"
        size = 6 if self.kind == "rings" else 4.5  # so that a dot within a ring is seen
        return tag("circle", title, cls=look, cx=pc(across), cy=pc(down), r=size)

    def _hint(self, k: int, x: Axis, y: Axis) -> Iterator[str]:
        if self.hints:
            yield self.hints[k]
        elif self.label:
            between = "; " if has_decimal_comma() else ", "
            yield f"{self.label}: {x.nearby(self.x[k])}{between}{y.nearby(self.y[k])}"


def _thinned(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without points so near the one before that nobody could see them apart.

    >>> _thinned([(0, 0), (0.01, 0), (0.1, 3), (9, 9)])
    [(0, 0), (0.1, 3), (9, 9)]
    """
    thin: list[tuple[float, float]] = []
    for place in places:
        if not thin or max(abs(place[0] - thin[-1][0]), abs(place[1] - thin[-1][1])) > NEAR:
            thin.append(place)
    if places and thin[-1] != places[-1]:
        thin.append(places[-1])
    return thin


def point(label: str, place: Point, kind: Literal["dots", "rings"], tone: str) -> Series:
    """A single point (x, y)."""
    return Series(label, [place[0]], [place[1]], kind, tone)


@dataclass(frozen=True)
class Shades:
    """A field of shades: one value per column and row, the stronger the larger it is.

    Attributes
    ----------
    x, y
        Where columns and rows begin and end: one more than there are of each.
    values
        A sequence per row, from the lowest up.
    levels
        Where one shade ends and the next begins, rising; one name more than there are of these.
    """

    x: Sequence[float]
    y: Sequence[float]
    values: Sequence[Sequence[float]]
    levels: Sequence[float]
    names: Sequence[str]
    tone: str = "1"

    def legend(self) -> Iterator[LegendKey]:
        """Every shade with its name."""
        for level, name in enumerate(self.names):
            yield LegendKey(name, self.tone, "bar", self._strength(level))

    def draw(self, x: Axis, y: Axis, box: Box = None) -> Iterator[Markup]:
        """Neighbours of one shade in a row are one element."""
        del box  # percent do here
        for k, row in enumerate(self.values):
            shades = [sum(value >= level for level in self.levels) for value in row]
            top, foot = 100 - y.place(self.y[k + 1]), 100 - y.place(self.y[k])
            for first, last in _runs(shades):
                start, end = x.place(self.x[first]), x.place(self.x[last + 1])
                yield tag(
                    "rect",
                    hint(self.names[shades[first]]),
                    cls=f"fill tone-{self.tone}",
                    fill_opacity=self._strength(shades[first]),
                    shape_rendering="crispEdges",
                    x=pc(start),
                    width=pc(end - start),
                    y=pc(top),
                    height=pc(foot - top),
                )

    def _strength(self, level: int) -> float:
        return round(0.06 + 0.94 * level / max(len(self.levels), 1), 3)


def _runs(shades: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last place of neighbours that are the same.

    >>> list(_runs([1, 1, 4, 2]))
    [(0, 1), (2, 2), (3, 3)]
    """
    first = 0
    for k in range(1, len(shades) + 1):
        if k == len(shades) or shades[k] != shades[first]:
            yield first, k - 1
            first = k


@dataclass(frozen=True)
class Label:
    """A name beside the point (x, y), to its right where it fits unless a side is chosen."""

    x: float
    y: float
    text: str
    side: Literal["", "left", "right"] = ""
    below: bool = False


def labels(names: Sequence[Label], x: Axis, y: Axis) -> Iterator[Markup]:
    """Names beside their points, from the lowest up; none lies on another."""
    boxes: list[tuple[float, float, float]] = []
    for name in sorted(names, key=lambda name: name.y):
        across, point = x.place(name.x), y.place(name.y)
        side, up = _free(name, across, point, boxes)
        if up - point > 2 * NAME:
            continue  # so far from its point, a name would be taken for another's
        boxes.append((*_ends(name, across, side), up))
        yield tag(
            "text",
            Markup("{}").format(name.text),
            cls="row",
            x=pc(across),
            y=pc(100 - up),
            dx=-ASIDE if side == "left" else ASIDE,
            dy=BELOW if name.below else ABOVE,
            text_anchor="end" if side == "left" else "start",
        )


def _free(
    name: Label, across: float, point: float, boxes: Sequence[tuple[float, float, float]]
) -> tuple[str, float]:
    """On which side a name lies on no other, and how high."""
    up = point
    inwards = ("left", "right") if across > RIGHT else ("right", "left")
    while True:
        for side in (name.side,) if name.side else inwards:
            start, stop = _ends(name, across, side)
            inside = start > -4 and stop < 103
            taken = any(
                start < end and begin < stop and abs(up - height) < NAME
                for begin, end, height in boxes
            )
            if not taken and (inside or name.side):
                return side, up
        up += NAME / 2
        if up > 200:
            return "right", up


def _ends(name: Label, across: float, side: str) -> tuple[float, float]:
    """From where to where a name reaches, in percent of a plot of usual width."""
    width = LETTER * len(name.text) + 1.0
    return (across - width, across) if side == "left" else (across, across + width)


def beside(y: Axis, *, grid: bool = True) -> Iterator[Markup]:
    """The marks of the y axis, and a line at each."""
    for value, name in y.ticks:
        place = pc(100 - y.place(value))
        kind = "base" if value == y.low else "grid"
        if grid:
            yield tag("line", cls=kind, x1="0", x2="100%", y1=place, y2=place)
        yield text(name, -8, place, "tick", "end", dy=".32em")


def below(x: Axis) -> Iterator[Markup]:
    """The marks of the x axis, in one line or in two."""
    for value, name in x.ticks:
        for line, words in enumerate(name.split("\n")):
            place, drop = pc(x.place(value)), f"{1.5 + 1.3 * line:g}em"
            yield text(words, place, "100%", "tick", anchor(x, value), dy=drop)


def anchor(x: Axis, value: float) -> str:
    """Labels at the ends do not stick out."""
    place = x.place(value)
    return "start" if place < 2 else "end" if place > 98 else "middle"
