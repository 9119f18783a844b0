"""Forecasts against what came, as a chart: for the overview, and for all cutoffs on Trust."""

from __future__ import annotations

from collections.abc import Sequence

from clv.serve.page.charts import Interval, axis, interval_chart
from clv.serve.page.tables import Column, Figure, Key, Table
from clv.serve.page.told import LEVEL, WHAT, Outcome
from clv.serve.page.words import NONE, percent

COLUMNS = (
    Column("What"),
    Column("Window"),
    Column("Came, of what was expected", "number"),
    Column("Interval", "number"),
    Column("Held?"),
)


def outcome_figure(found: Sequence[Outcome], title: str, caption: str) -> Figure:
    """A row per forecast: its interval, and what came, in percent of what was expected."""
    ends = [v for one in found for v in (one.actual, one.low, one.high, 1.0) if v is not None]
    x = axis(min(ends), max(ends), lambda v: f"{v:.0%}", "100% is what was expected")
    rows = [
        Interval(f"{WHAT[one.what]}, {one.window}", 1.0, one.low, one.high, one.actual, one.off_by)
        for one in found
    ]
    told = "; ".join(f"{WHAT[one.what]}, {one.when}: {one.verdict}" for one in found)
    legend = (
        Key("expected", kind="tick"),
        Key(f"{LEVEL:.0%} interval of the model alone", kind="span"),
        Key("what came", "2", "dot"),
    )
    svg = interval_chart(title, told, rows, x, reference=1.0)
    return Figure(title, svg, _table(found), caption, legend)


def _table(found: Sequence[Outcome]) -> Table:
    rows = [
        (WHAT[one.what], one.when, percent(one.actual), _interval(one), _held(one.inside))
        for one in found
    ]
    return Table("What came, in percent of what was expected", COLUMNS, rows)


def _interval(one: Outcome) -> str:
    if one.low is None or one.high is None:
        return NONE
    return f"{percent(one.low)} to {percent(one.high)}"


def _held(inside: bool | None) -> str:
    return NONE if inside is None else "yes" if inside else "no"
