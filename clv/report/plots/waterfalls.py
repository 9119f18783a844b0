"""A sum, the steps to another, and that one: bars that stand on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clv.format import capital
from clv.report.charts import Axis, Chart, Column, Series, Table, line_chart, money_axis

MOST_NAMES = 6  # that stand side by side on a phone
TONES = {"start and end": "1", "won": "3", "lost": "2"}  # green and orange, as everybody reads them


@dataclass(frozen=True)
class WaterfallBar:
    """The first or the last sum, or a step between them.

    Attributes
    ----------
    label
        Below it.
    title
        What it is, in the table and when it is pointed at.
    amount
        Of a step, below 0 where something was lost.
    written
        The amount as people write it.
    """

    label: str
    title: str
    amount: float
    written: str


def waterfall_chart(
    title: str,
    text: str,
    bars: Sequence[WaterfallBar],
    currency: str,
    axis_label: str,
    caption: str,
) -> Chart:
    """Steps from the first bar to the last; the axis begins where small steps are still seen.

    Parameters
    ----------
    title, text
        What one sees, and what a screen reader says of it.
    bars
        The sum before, the steps, and the sum after.
    currency, axis_label
        Of the amounts.
    caption
        Of the table.
    """
    edges, kinds = _edges(bars), _kinds(bars)
    moved = [edge for pair in edges[1:-1] for edge in pair]
    floor = max(0.0, 2 * min(moved) - max(moved))
    y = money_axis(floor, max(high for _, high in edges), currency, axis_label)
    slot = 100 / len(bars)
    series = []
    for kind, tone in TONES.items():
        places = [k for k, name in enumerate(kinds) if name == kind]
        series.append(
            Series(
                kind,
                [slot * (k + 0.12) for k in places],
                [edges[k][1] for k in places],
                "bars",
                tone,
                low=[max(edges[k][0], y.low) for k in places],
                right=[slot * (k + 0.88) for k in places],
                hints=[f"{bars[k].title}: {bars[k].written}" for k in places],
            )
        )
    # names stand on two lines in turn, so that they do not run into each other on a phone
    names = [
        "\n" * (k % 2 if len(bars) > MOST_NAMES else 0) + bar.label for k, bar in enumerate(bars)
    ]
    ticks = tuple((slot * (k + 0.5), name) for k, name in enumerate(names))
    rows = [(capital(bar.title), bar.written) for bar in bars]
    return line_chart(
        title,
        text,
        series,
        Axis(0.0, 100.0, ticks),
        y,
        Table(caption, (Column(""), Column("Amount", "number")), rows),
        text + (" The axis does not begin at zero." if y.low > 0 else ""),
    )


def _kinds(bars: Sequence[WaterfallBar]) -> list[str]:
    steps = ["won" if bar.amount >= 0 else "lost" for bar in bars[1:-1]]
    return ["start and end", *steps, "start and end"]


def _edges(bars: Sequence[WaterfallBar]) -> list[tuple[float, float]]:
    """From where to where each bar reaches."""
    level = bars[0].amount
    edges = [(0.0, level)]
    for bar in bars[1:-1]:
        edges.append((min(level, level + bar.amount), max(level, level + bar.amount)))
        level += bar.amount
    return [*edges, (0.0, bars[-1].amount)]
