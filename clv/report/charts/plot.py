"""Plots: series over a pair of axes, and rows of intervals over one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from clv.report.charts.axes import Axis
from clv.report.charts.marks import (
    Box,
    Label,
    LegendKey,
    Series,
    Shades,
    anchor,
    below,
    beside,
    labels,
)
from clv.report.charts.svg import pc, tag, text

MARGIN, LONG_MARGIN, EDGE = 13, 19, 3  # percent: room for labels of the y axis, short and long
LONG = 7  # letters of a label that a phone has no room for in the margin of short ones
TOP, BOTTOM, TITLE = 26, 26, 18  # pixels: for the title of the y axis; ticks of the x; its title
ROW = 46  # pixels of a row of intervals


@dataclass(frozen=True)
class Plot:
    """Series, fields and names over one pair of axes."""

    series: Sequence[Series | Shades]
    x: Axis
    y: Axis
    labels: Sequence[Label] = ()
    height: int = 290

    def legend(self) -> tuple[LegendKey, ...]:
        """A line per label; where two series share one, the first says how it looks."""
        lines = [key for part in self.series for key in part.legend()]
        return tuple({key.label: key for key in lines[::-1]}.values())[::-1]

    def draw(self, width: float | None = None) -> list[Markup]:
        """The elements, for a box of any width, or of so many pixels."""
        box: Box = None if width is None else (width * self.width / 100, self.plot_height)
        fields = [part for part in self.series if isinstance(part, Shades)]
        drawn = [
            *(mark for part in fields for mark in part.draw(self.x, self.y, box)),
            *beside(self.y, grid=not fields),
            *below(self.x),
            *(
                mark
                for part in self.series
                if part not in fields
                for mark in part.draw(self.x, self.y, box)
            ),
            *labels(self.labels, self.x, self.y),
        ]
        place = {"x": pc(self.margin), "width": pc(self.width), "y": TOP}
        place |= {"height": self.plot_height}
        return [*self._titles(), tag("svg", *drawn, cls="plot", overflow="visible", **place)]

    @property
    def margin(self) -> int:
        """Percent of the width that is left for the labels of the y axis, on a phone too.

        >>> axes = Axis(0, 1, ()), Axis(0, 1, ((0.0, "0 €"), (1.0, "1,5 Mio. €")))
        >>> Plot((), *axes).margin, Plot((), axes[0], axes[0]).margin
        (19, 13)
        """
        longest = max((len(name) for _, name in self.y.ticks), default=0)
        return LONG_MARGIN if longest > LONG else MARGIN

    @property
    def width(self) -> int:
        """Percent of the width that is drawn on."""
        return 100 - self.margin - EDGE

    @property
    def plot_height(self) -> int:
        """Pixels of the height that are left for what is drawn.

        >>> Plot((), Axis(0, 1, (), "Spend"), Axis(0, 1, ()), height=240).plot_height
        170
        """
        lines = max((name.count("\n") for _, name in self.x.ticks), default=0)
        return self.height - TOP - BOTTOM - 16 * lines - (TITLE if self.x.label else 0)

    def _titles(self) -> Iterator[Markup]:
        yield text(self.y.label, 0, 12, "axis")
        if self.x.label:
            yield text(self.x.label, pc(100 - EDGE), self.height - 4, "axis", "end")


@dataclass(frozen=True)
class IntervalRow:
    """A row: what was expected, with its interval if there is one, and what came."""

    label: str
    expected: float
    low: float | None = None
    high: float | None = None
    actual: float | None = None
    note: str = ""

    def draw(self, x: Axis, top: int) -> Iterator[Markup]:
        """The interval as a bar, what was expected as a tick, what came as a dot."""
        middle = top + 32
        yield text(self.label, "0", top + 14, "row")
        if self.note:
            yield text(self.note, "100%", top + 14, "tick", "end")
        if self.low is not None and self.high is not None:
            start, end = x.place(self.low), x.place(self.high)
            box = {"x": pc(start), "width": pc(end - start), "y": middle - 6, "height": 12}
            yield tag("rect", cls="span tone-1", rx=3, **box)
        place = pc(x.place(self.expected))
        yield tag("line", cls="mark", x1=place, x2=place, y1=middle - 9, y2=middle + 9)
        if self.actual is not None:
            yield tag("circle", cls="dot tone-2", cx=pc(x.place(self.actual)), cy=middle, r=5.5)


@dataclass(frozen=True)
class Intervals:
    """A row per interval over one axis; ``reference`` is where a line is drawn through all."""

    rows: Sequence[IntervalRow]
    x: Axis
    reference: float | None = None

    @property
    def height(self) -> int:
        """In pixels."""
        return ROW * len(self.rows) + 52

    def legend(self) -> tuple[LegendKey, ...]:
        """None: what the marks mean differs by chart."""
        return ()

    def draw(self, width: float | None = None) -> list[Markup]:
        """The elements, for a box of any width."""
        del width  # percent do here
        high = ROW * len(self.rows)
        parts = list(self._grid(high))
        for k, row in enumerate(self.rows):
            parts += row.draw(self.x, ROW * k)
        for value, name in self.x.ticks:
            parts.append(
                text(name, pc(self.x.place(value)), high + 20, "tick", anchor(self.x, value))
            )
        place = {"x": "2%", "width": "96%", "y": 4, "height": high}
        plot = tag("svg", *parts, cls="plot", overflow="visible", **place)
        return [plot, text(self.x.label, "98%", high + 44, "axis", "end")]

    def _grid(self, high: int) -> Iterator[Markup]:
        """Row by row, so that no line crosses the labels above them."""
        lines = [(value, "grid") for value, _ in self.x.ticks]
        lines += [] if self.reference is None else [(self.reference, "reference")]
        for top in range(0, high, ROW):
            for value, look in lines:
                place = pc(self.x.place(value))
                yield tag("line", x1=place, x2=place, y1=top + 20, y2=top + ROW - 2, cls=look)
