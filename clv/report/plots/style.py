"""The house style of the plots, and how they leave the house.

Figures are made without pyplot, so there is no global state: safe in threads, nothing to close,
no display needed. Colours stay apart for colour-blind readers and have a contrast of at least 4.5
on white.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Literal, cast
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import ArrayLike

from clv.schema import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK, MUTED, GRID, SHADE = "#1f2933", "#5b6670", "#e4e7eb", "#f3f5f7"
COLOURS = ("#0067a5", "#c14a00", "#00785a", "#9a4c82", "#8f6a00", "#5b6670")
BLUES = ("#f3f5f7", "#7fb2d2", "#0067a5", "#08304d")
SIZE = (7.2, 4.4)  # inches
SMALL = (5.4, 3.5)  # for two in a row
MARGIN = 0.12

_SVG = Lock()  # matplotlib keeps its settings for SVG in one global place


def to_png(ax: Axes, dpi: int = 150) -> bytes:
    """The figure of ``ax`` as PNG."""
    out = io.BytesIO()
    _figure(ax).savefig(out, format="png", dpi=dpi)
    return out.getvalue()


def to_svg(ax: Axes, description: str) -> str:
    """The figure of ``ax`` as an ``<svg>`` element to put into a page.

    Text stays text, ids that could clash on one page are dropped, and screen readers are told
    ``description``. A plot of the same numbers gives the same text.
    """
    import matplotlib as mpl

    out = io.StringIO()
    with _SVG, mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "clv"}):
        _figure(ax).savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()[out.getvalue().index("<svg") :]
    svg = re.sub(r'<g id="[^"]*"', "<g", re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S))
    return svg.replace("<svg", f'<svg role="img" aria-label={quoteattr(description)}', 1)


def new_axes(size: tuple[float, float] = SIZE) -> Axes:
    """Axes in a new figure of this size, in inches; ``SMALL`` keeps text legible in half a row."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=MARGIN, h_pad=MARGIN)
    return Figure(figsize=size, layout=layout).add_subplot()


def house_axes(ax: Axes | None, title: str, subtitle: str) -> Axes:
    """Axes in the house style, in a new figure unless given."""
    if ax is None:
        ax = new_axes()
    ax.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=24)
    ax.text(0, 1.025, subtitle, transform=ax.transAxes, fontsize=10, color=MUTED)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, labelsize=10, labelcolor=MUTED, pad=6)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=10, color=MUTED)
    for text in (*ax.texts, ax.xaxis.label, ax.yaxis.label):
        text.set_parse_math(False)  # a currency may well be $
    return ax


def dots(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    colour: str,
    *,
    fill: str | None = None,
    size: float = 8,
    behind: bool = False,
    label: str = "",
) -> None:
    """Points in a colour, open if ``fill`` differs from it."""
    face, order = colour if fill is None else fill, 3 if behind else 4
    ax.plot(x, y, "o", color=colour, mfc=face, ms=size, mew=2, zorder=order, label=label)


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], gap: float = 0.065) -> None:
    """Write labels right of the points (x, y, label, colour), ``gap`` of the height apart."""
    low, high = ax.get_ylim()
    heights = _spread([y for _, y, _, _ in ends], gap * (high - low))
    for (x, _, label, colour), y in zip(ends, heights, strict=True):
        ax.annotate(
            label,
            (x, y),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=10,
            annotation_clip=False,
            parse_math=False,
        )


def signed(share: float) -> str:
    """A percentage with its sign, in type.

    >>> signed(-0.041)
    '−4%'
    """
    return f"{share:+.0%}".replace("-", "−")


def key(ax: Axes, where: Literal["upper left", "upper right", "lower right"]) -> None:
    """Say which colour is what."""
    handles, _ = ax.get_legend_handles_labels()
    ax.legend(handles=handles, loc=where, frameon=False, fontsize=10, labelcolor=INK)


def thousands(axis: Axis) -> None:
    """Write the ticks as 1,000."""
    axis.set_major_formatter("{x:,.0f}")


def percent(axis: Axis) -> None:
    """Write the ticks as 10%."""
    axis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _figure(ax: Axes) -> Figure:
    return cast("Figure", ax.figure)


def _spread(values: Sequence[float], gap: float) -> Floats:
    """The values moved apart, as little as needed, until neighbours are ``gap`` from each other."""
    order = np.argsort(values)
    spread = np.asarray(values, dtype=np.float64)[order]
    for _ in range(100):
        lack = np.maximum(gap - np.diff(spread), 0.0) / 2
        spread += np.append(0.0, lack) - np.append(lack, 0.0)
    return spread[np.argsort(order)]
