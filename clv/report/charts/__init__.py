"""The one stack of charts: drawn as SVG, with the same numbers as a table behind each.

::

    axes.py       from where to where, with round marks: numbers, shares, money, dates
    marks.py      what is drawn over axes: Series, Shades, Label; LegendKey
    plot.py       a pair of axes with its marks; rows of intervals
    chart.py      Chart, and line_chart, column_chart, interval_chart that make one
    table.py      tables whose cells are written already
    cells.py      drawings within a cell of a table
    style.py      the colours and lines: charts.css, and the same for a file that stands alone
    fragments.py  charts and reports as HTML
"""

from clv.report.charts.axes import (
    Axis,
    axis,
    log_money_axis,
    money_axis,
    number_axis,
    share_axis,
    time_axis,
)
from clv.report.charts.cells import bar, heat, track
from clv.report.charts.chart import Chart, column_chart, interval_chart, line_chart
from clv.report.charts.marks import Label, LegendKey, Point, Series, Shades, point
from clv.report.charts.plot import IntervalRow
from clv.report.charts.table import Cell, Column, Table, Writers, table_of

__all__ = [
    "Axis",
    "Cell",
    "Chart",
    "Column",
    "IntervalRow",
    "Label",
    "LegendKey",
    "Point",
    "Series",
    "Shades",
    "Table",
    "Writers",
    "axis",
    "bar",
    "column_chart",
    "heat",
    "interval_chart",
    "line_chart",
    "log_money_axis",
    "money_axis",
    "number_axis",
    "point",
    "share_axis",
    "table_of",
    "time_axis",
    "track",
]
