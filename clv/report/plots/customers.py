"""Plots of a customer base: how its value is spread, and how its customers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.evaluate import gain_curve, gini
from clv.report.plots.style import COLOURS, INK, MUTED, SHADE, house_axes, key, percent, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOPS = (0.01, 0.05, 0.20)  # the shares of customers that a reader asks for


def plot_lorenz(
    value: ArrayLike, *, what: str = "value", name: str = "customers", ax: Axes | None = None
) -> Axes:
    """How concentrated the value is: the share of the best customers in it.

    Parameters
    ----------
    value
        Of each customer, shape (n,), none negative, not all zero.
    what, name
        What is counted, and what the customers are called, in words.
    ax
        Where to draw; a new figure unless given.
    """
    values = np.asarray(value, dtype=np.float64)
    share, held = gain_curve(values, values)
    tops = {top: float(np.interp(top, share, held)) for top in TOPS}
    ax = house_axes(
        ax,
        f"How few {name} hold most of the {what}",
        f"Gini {gini(values, values, normalized=False):.2f}; the best 20% hold {tops[0.2]:.0%}",
    )
    ax.fill_between(share, share, held, color=SHADE)
    ax.plot(share, held, color=COLOURS[0], linewidth=2.2)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
    for top, part in tops.items():
        ax.plot(top, part, "o", color=COLOURS[0], markersize=7)
        ax.annotate(
            f"best {top:.0%}: {part:.0%}",
            (top, part),
            (12, -4),
            textcoords="offset points",
            color=INK,
            fontsize=10,
        )
    ax.set(xlim=(-0.01, 1), ylim=(0, 1.02), xlabel=f"Share of {name}, best first")
    ax.set_ylabel(f"Share of the {what}")
    percent(ax.xaxis)
    percent(ax.yaxis)
    return ax


def plot_value_distribution(
    value: ArrayLike, *, terms: str, currency: str = "", ax: Axes | None = None
) -> Axes:
    """How many customers have which value, on a logarithmic scale, median and mean marked.

    Customers worth less than a hundredth of the mean stand together in the first bar.

    Parameters
    ----------
    value
        Of each customer, shape (n,), none negative, not all zero.
    terms
        What the values are, in words: horizon, discounting, margin or revenue.
    currency
        Shown beside the axis.
    ax
        Where to draw; a new figure unless given.
    """
    values = np.asarray(value, dtype=np.float64)
    mean, median = float(values.mean()), float(np.median(values))
    floor = mean / 100
    shown = np.maximum(values, floor)
    edges = np.geomspace(floor, max(shown.max(), 10 * floor) * (1 + 1e-9), 40)
    ax = house_axes(ax, "What the customers are worth", terms)
    ax.hist(shown, bins=edges.tolist(), color=COLOURS[0], alpha=0.85)
    ax.set_xscale("log")
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(top=1.12 * ax.get_ylim()[1])
    top = ax.get_xaxis_transform()
    marks = (("mean", mean, "left", 6), ("median", max(median, floor), "right", -6))
    for name, at, side, gap in marks:
        ax.axvline(at, color=INK, linewidth=1)
        ax.annotate(
            f"{name} {at if name == 'mean' else median:,.4g}",
            (at, 0.98),
            (gap, 0),
            xycoords=top,
            textcoords="offset points",
            ha=side,
            va="top",
            color=INK,
            fontsize=10,
        )
    ax.set_xlabel("Value of a customer" + (f" ({currency})" if currency else ""))
    ax.xaxis.label.set_parse_math(False)
    ax.set_ylabel("Customers")
    ax.xaxis.set_major_formatter(lambda at, _: f"{at:,.10g}")
    thousands(ax.yaxis)
    return ax


def plot_heterogeneity(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How customers differ in a rate that nobody sees, such as purchases per week.

    ``table`` comes from ``PurchaseModel.heterogeneity`` and holds the rows of one rate: columns
    rate (its name), share (of customers at or below), value.
    """
    (name,) = table["rate"].unique()
    share, value = table["share"].to_numpy(), table["value"].to_numpy()
    low, middle, high = (
        0.0 if at < 1e-9 else at for at in np.interp([0.1, 0.5, 0.9], share, value)
    )
    ax = house_axes(
        ax,
        f"How customers differ: {name}",
        f"One in ten is below {low:.3g}, half are below {middle:.3g}, one in ten is above "
        f"{high:.3g}",
    )
    ax.plot(share, value, color=COLOURS[0], linewidth=2.2, label=str(name))
    marks = ([0.1, 0.5, 0.9], [low, middle, high])
    ax.plot(*marks, "o", color=COLOURS[0], markersize=7, label="10%, 50%, 90% of customers")
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("Share of customers, lowest first")
    ax.set_ylabel(str(name).capitalize())
    percent(ax.xaxis)
    key(ax, "upper left")
    return ax
