"""A chart: what one sees in it, its drawing, and the same numbers as a table behind it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from clv.errors import InputError
from clv.format import figure
from clv.io.changes import written_beside
from clv.report.charts.axes import Axis
from clv.report.charts.fragments import render
from clv.report.charts.marks import Label, LegendKey, Series, Shades
from clv.report.charts.plot import IntervalRow, Intervals, Plot
from clv.report.charts.style import standalone_styles
from clv.report.charts.svg import tag, text
from clv.report.charts.table import Table

WIDTH = 720  # pixels of a chart that stands alone
LINE = "\n"  # between the lines of a category
LETTER = 6.4  # pixels of a letter, about, in the size of the legend


@dataclass(frozen=True)
class Chart:
    """A chart with the same numbers as a table behind it.

    In a notebook it shows itself; ``save`` writes it to a file, ``svg`` is its drawing for a page
    that has the style sheet of charts.

    Attributes
    ----------
    title
        What one sees in it.
    description
        What a screen reader says of it.
    plot
        What is drawn: its series hold the numbers.
    table
        The same numbers, written.
    caption
        How to read it, and its scope.
    legend
        Which tone is what, unless the labels of the series say so.

    Examples
    --------
    >>> from clv.report.charts import Series, Table, line_chart, number_axis
    >>> chart = line_chart("Even", "A line.", [Series("a", [0, 1], [0, 1])],
    ...                    number_axis(0, 1), number_axis(0, 1), Table("", (), ()))
    >>> 'aria-label="Even"' in chart.svg, 'points="0,100 100,0"' in chart.svg
    (True, True)
    >>> [key.label for key in chart.keys], chart._repr_svg_()[:4]
    (['a'], '<svg')
    """

    title: str
    description: str
    plot: Plot | Intervals
    table: Table
    caption: str = ""
    legend: Sequence[LegendKey] | None = None

    @property
    def keys(self) -> Sequence[LegendKey]:
        """The lines of the legend."""
        return self.plot.legend() if self.legend is None else self.legend

    @property
    def svg(self) -> Markup:
        """The drawing without title and legend, as wide as its place; coloured by the page."""
        return self._framed(self.plot.draw(), width="100%", height=self.plot.height)

    def _framed(self, parts: Sequence[Markup], **frame: object) -> Markup:
        described = tag("desc", escape(self.description))
        named = {"role": "img", "aria_label": self.title}
        return tag("svg", described, *parts, cls="chart", **named, **frame)

    def standalone(self) -> str:
        """The drawing as a file of its own: with title, caption, legend, colours and fonts."""
        parts, top = self._head()
        plot = tag(
            "svg",
            *self.plot.draw(WIDTH - 40),
            x=20,
            y=top,
            width=WIDTH - 40,
            height=self.plot.height,
            overflow="visible",
        )
        height = top + self.plot.height + 16
        background = tag("rect", cls="ground", width=WIDTH, height=height)
        style = tag("style", Markup(standalone_styles()))
        return str(
            self._framed(
                [style, background, *parts, plot],
                xmlns="http://www.w3.org/2000/svg",
                width=WIDTH,
                height=height,
                viewBox=f"0 0 {WIDTH} {height}",
            )
        )

    def _head(self) -> tuple[list[Markup], int]:
        """Title, caption and legend, and where the plot may begin."""
        lines = textwrap.wrap(self.caption, int((WIDTH - 40) / LETTER))
        parts = [text(self.title, 20, 30, "title")]
        parts += [text(line, 20, 52 + 18 * k, "tick") for k, line in enumerate(lines)]
        top, across = 48 + 18 * len(lines), 20.0
        for key in self.keys:
            width = 30 + LETTER * len(key.label)
            if across > 20 and across + width > WIDTH - 20:
                top, across = top + 20, 20.0
            parts.append(tag("g", key.swatch, transform=f"translate({across:g} {top})"))
            parts.append(text(key.label, across + 28, top + 11, "tick"))
            across += width + 18
        return parts, top + (26 if self.keys else 0) + 4

    def _repr_svg_(self) -> str:
        return self.standalone()

    def _repr_html_(self) -> str:
        return render("notebook.html", chart=self)

    def save(self, path: str | Path) -> Path:
        """Write the chart to a file.

        Parameters
        ----------
        path
            Ends with .svg for the drawing with its title and legend, or .html for a page that
            holds the table as well.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            If the name ends otherwise.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".html"):
            raise InputError(
                f"a chart cannot be written as {path.name!r}",
                hint="end the name with .svg or .html.",
            )
        alone = path.suffix == ".svg"
        content = self.standalone() if alone else render("chart.html", chart=self)
        with written_beside(path) as beside:
            beside.write_text(content, encoding="utf-8")
        return path


def line_chart(
    title: str,
    description: str,
    series: Sequence[Series | Shades],
    x: Axis,
    y: Axis,
    table: Table,
    caption: str = "",
    *,
    legend: Sequence[LegendKey] | None = None,
    labels: Sequence[Label] = (),
    height: int = 290,
) -> Chart:
    """Lines, bands, dots and shades over one pair of axes, with names beside points."""
    plot = Plot(series, x, y, labels, height)
    return Chart(title, description, plot, table, caption, legend)


def column_chart(
    title: str,
    description: str,
    categories: Sequence[str],
    series: Mapping[str, Sequence[float]],
    y: Axis,
    table: Table,
    caption: str = "",
    *,
    label: str = "",
) -> Chart:
    """Upright bars beside each other: per series a value for each category."""
    slot = 100 / max(len(categories), 1)
    wide = 0.76 * slot / max(len(series), 1)
    bars = []
    for k, (name, values) in enumerate(series.items()):
        starts = [slot * (i + 0.12) + k * wide for i in range(len(categories))]
        ends = [start + 0.94 * wide for start in starts]
        hints = [
            f"{name}, {category.partition(LINE)[0]}: {figure(value)}"
            for category, value in zip(categories, values, strict=True)
        ]
        bars.append(Series(name, starts, values, "bars", str(k % 6 + 1), right=ends, hints=hints))
    ticks = tuple((slot * (i + 0.5), name) for i, name in enumerate(categories))
    plot = Plot(bars, Axis(0.0, 100.0, ticks, label), y)
    return Chart(title, description, plot, table, caption)


def interval_chart(
    title: str,
    description: str,
    rows: Sequence[IntervalRow],
    x: Axis,
    table: Table,
    caption: str = "",
    *,
    legend: Sequence[LegendKey],
    reference: float | None = None,
) -> Chart:
    """A row each: the interval as a bar, what was expected as a tick, what came as a dot."""
    return Chart(title, description, Intervals(rows, x, reference), table, caption, legend)
