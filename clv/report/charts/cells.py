"""Drawings within a cell of a table: a bar, a dot on a line, a ground that is darker for more."""

from __future__ import annotations

import math

from markupsafe import Markup

from clv.report.charts.svg import pc, tag


def bar(share: float, mark: float | None = None, tone: str = "1") -> Markup:
    """A bar within a cell, 0 to 1 over its width, with a tick at ``mark``.

    >>> 'width="37%"' in bar(0.37)
    True
    """
    width = pc(_within(share))
    parts = [
        tag("rect", cls="track", width="100%", height="100%", rx=2),
        tag("rect", cls=f"fill tone-{tone}", width=width, height="100%", rx=2),
    ]
    if mark is not None:
        place = pc(_within(mark))
        parts.append(tag("line", cls="mark", x1=place, x2=place, y1=-3, y2=17))
    return _cell(parts, 14)


def track(value: float, target: float, tone: str = "1") -> Markup:
    """A dot on a line from 0 to 1 within a cell, beside a tick where it should be."""
    place, goal = pc(_within(value)), pc(_within(target))
    parts = [
        tag("line", cls="rail", x1="0", x2="100%", y1="50%", y2="50%"),
        tag("line", cls="mark", x1=goal, x2=goal, y1=0, y2="100%"),
        tag("circle", cls=f"dot tone-{tone}", cx=place, cy="50%", r=5),
    ]
    return _cell(parts, 18)


def heat(text: str, share: float) -> Markup:
    """A cell's text on a ground that is the stronger the larger ``share``, 0 to 1.

    >>> print(heat("12", 0.55))
    <span class="heat heat-5">12</span>
    """
    level = min(9, math.floor(10 * min(max(share, 0.0), 1.0)))
    return Markup('<span class="heat heat-{}">{}</span>').format(level, text)


def _cell(parts: list[Markup], height: int) -> Markup:
    return tag(
        "svg",
        *parts,
        cls="bar",
        width="100%",
        height=height,
        overflow="visible",
        aria_hidden="true",
    )


def _within(share: float) -> float:
    return 100 * min(max(share, 0.0), 1.0)
