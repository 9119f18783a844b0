"""Plots of forecasts: how far they came true, whom they rank first, who is still a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.evaluate import gain_curve, gini
from clv.report.plots.style import (
    BLUES,
    COLOURS,
    INK,
    MUTED,
    SHADE,
    dots,
    house_axes,
    key,
    label_ends,
    percent,
    signed,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar


def plot_calibration(
    table: pd.DataFrame, *, horizon: str, what: str = "purchases", ax: Axes | None = None
) -> Axes:
    """Actual and predicted mean by number of repeat purchases in calibration.

    ``table`` comes from :func:`clv.evaluate.frequency_table`; ``horizon`` is the length of the
    holdout in words, ``what`` names that which was predicted.
    """
    ax = house_axes(
        ax,
        f"Predicted and actual {what} by past frequency",
        f"Mean per customer in the next {horizon}; below each class its number of customers",
    )
    x, (actual, predicted) = np.arange(len(table)), (table["actual_mean"], table["predicted_mean"])
    ax.vlines(x, actual, predicted, color=MUTED, linewidth=1.2, zorder=2)
    dots(ax, x, actual, INK, size=6, label="actual")
    dots(ax, x, predicted, COLOURS[0], size=11, fill="white", behind=True, label="predicted")
    ax.set_xticks(
        x, [f"{k}\n{n:,}" for k, n in zip(table["frequency"], table["customers"], strict=True)]
    )
    ax.set_xlabel("Repeat purchases in calibration")
    ax.set_ylabel(f"{what.capitalize()} per customer")
    ax.set_ylim(0, 1.08 * max(actual.max(), predicted.max()) or 1)
    key(ax, "upper left")
    return ax


def plot_tracking(
    table: pd.DataFrame, *, cutoff: float | None = None, unit: str = "week", ax: Axes | None = None
) -> Axes:
    """Cumulative repeat purchases, as they happened and as the model expected them.

    ``table`` comes from :func:`clv.evaluate.tracking`; what lies beyond ``cutoff`` was held out.
    """
    ax = house_axes(
        ax,
        "Repeat purchases over time, actual and expected",
        "Cumulative, over all customers of the calibration",
    )
    time = np.append(0.0, table["time"])
    actual = np.append(0.0, table["actual_cumulative"])
    expected = np.append(0.0, table["expected_cumulative"])
    ax.plot(time, actual, color=INK, linewidth=2)
    ax.plot(time, expected, color=COLOURS[0], linewidth=2, linestyle=(0, (4, 2)))
    ax.set_xlim(0, time[-1])
    ax.set_ylim(0, 1.05 * max(actual[-1], expected[-1]))
    if cutoff is not None:
        _mark_holdout(ax, cutoff, time[-1])
    miss = f" ({signed(expected[-1] / actual[-1] - 1)})" if actual[-1] else ""
    label_ends(
        ax,
        gap=0.13,
        ends=[
            (time[-1], actual[-1], f"actual\n{actual[-1]:,.0f}", INK),
            (time[-1], expected[-1], f"expected\n{expected[-1]:,.0f}{miss}", COLOURS[0]),
        ],
    )
    ax.set_xlabel(f"{unit.capitalize()}s since the first day")
    ax.set_ylabel("Repeat purchases")
    thousands(ax.yaxis)
    return ax


def plot_increments(
    table: pd.DataFrame, *, cutoff: float | None = None, unit: str = "week", ax: Axes | None = None
) -> Axes:
    """Repeat purchases period by period, as they happened and as the model expected them.

    ``table`` comes from :func:`clv.evaluate.tracking`; what lies beyond ``cutoff`` was held out.
    """
    ax = house_axes(
        ax,
        f"Repeat purchases {unit} by {unit}, actual and expected",
        "Seasons and campaigns show as waves that the model does not know",
    )
    ax.plot(table["time"], table["actual"], color=INK, linewidth=1.4, label="actual")
    dashes = (0, (4, 2))
    ax.plot(
        table["time"], table["expected"], color=COLOURS[0], lw=2, linestyle=dashes, label="expected"
    )
    end = float(table["time"].iloc[-1])
    ax.set_xlim(0, end)
    ax.set_ylim(0, 1.25 * table[["actual", "expected"]].to_numpy().max() or 1)
    if cutoff is not None:
        _mark_holdout(ax, cutoff, end)
    ax.set_xlabel(f"{unit.capitalize()}s since the first day")
    ax.set_ylabel(f"Repeat purchases per {unit}")
    thousands(ax.yaxis)
    key(ax, "upper left")
    return ax


def plot_deciles(
    table: pd.DataFrame, *, horizon: str, what: str = "purchases", ax: Axes | None = None
) -> Axes:
    """Actual and predicted mean in equal groups of customers, the best predicted first.

    ``table`` comes from :func:`clv.evaluate.decile_table`; ``horizon`` is the length of the
    holdout in words, ``what`` names that which was predicted.
    """
    best = table["actual_share"].iloc[0]
    ax = house_axes(
        ax,
        f"Predicted and actual {what} by predicted rank",
        f"Mean per customer in the next {horizon}; the first group made {best:.0%} of them",
    )
    x, (actual, predicted) = table["group"], (table["actual_mean"], table["predicted_mean"])
    ax.vlines(x, actual, predicted, color=MUTED, linewidth=1.2, zorder=2)
    dots(ax, x, actual, INK, size=6, label="actual")
    dots(ax, x, predicted, COLOURS[0], size=11, fill="white", behind=True, label="predicted")
    ax.set_xticks(x)
    ax.set_ylim(0, 1.08 * max(actual.max(), predicted.max()) or 1)
    ax.set_xlabel(f"Groups of {table['customers'].iloc[0]:,} customers, best predicted first")
    ax.set_ylabel(f"{what.capitalize()} per customer")
    thousands(ax.yaxis)
    key(ax, "upper right")
    return ax


def plot_coverage(table: pd.DataFrame, *, horizon: str, ax: Axes | None = None) -> Axes:
    """How often the intervals held what happened, beside how often they promise to.

    Parameters
    ----------
    table
        Columns interval (what it is of: "purchases of a customer", ...), nominal, measured: the
        promised and the measured share, a row per kind and level.
    horizon
        The length of the holdout in words.
    ax
        Where to draw; a new figure unless given.
    """
    ax = house_axes(
        ax,
        "Do the intervals hold what they promise?",
        f"Share of outcomes inside, over the next {horizon}; on the line is right",
    )
    low = min(0.5, table[["nominal", "measured"]].to_numpy().min() - 0.05)
    ax.plot([low, 1], [low, 1], color=MUTED, linewidth=1, linestyle=":")
    for colour, (name, rows) in zip(
        cycle(COLOURS), table.groupby("interval", sort=False), strict=False
    ):
        one = rows.sort_values("nominal")
        ax.plot(one["nominal"], one["measured"], "o-", color=colour, lw=1.6, ms=7, label=str(name))
    ax.set(xlim=(low, 1), ylim=(low, 1.02), xlabel="Promised share")
    ax.set_ylabel("Measured share")
    percent(ax.xaxis)
    percent(ax.yaxis)
    key(ax, "upper left")
    return ax


def plot_gain(
    actual: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    horizon: str,
    what: str = "purchases",
    top: float = 0.2,
    ax: Axes | None = None,
) -> Axes:
    """Share of what happened that the best customers by each score account for.

    Parameters
    ----------
    actual
        What each customer did in the holdout, shape (n,).
    scores
        What customers are ranked by, up to six by name; the first is drawn strongest.
    horizon
        The length of the holdout in words.
    what
        Names that which was held out.
    top
        The share of customers to mark on the first curve.
    ax
        Where to draw; a new figure unless given.
    """
    first = next(iter(scores))
    share = float(np.interp(top, *gain_curve(actual, scores[first])))
    ax = house_axes(
        ax,
        f"Who made the {what} of the next {horizon}",
        f"The best {top:.0%} of customers by {first} account for {share:.0%} of the {what}",
    )
    ax.plot(*gain_curve(actual, actual), color=MUTED, linewidth=1.2, label="perfect ranking")
    for colour, (name, score) in zip(cycle(COLOURS), scores.items(), strict=False):
        label, strong = f"{name}: Gini {gini(actual, score):.2f}", name == first
        width, order = (2.4, 4) if strong else (1.6, 3)
        ax.plot(*gain_curve(actual, score), color=colour, lw=width, zorder=order, label=label)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="by chance")
    ax.plot([top, top, 0], [0, share, share], color=COLOURS[0], linewidth=0.8, zorder=2)
    ax.plot(top, share, "o", color=COLOURS[0], markersize=7, zorder=5)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Share of customers, best first")
    ax.set_ylabel(f"Share of {what}")
    percent(ax.xaxis)
    percent(ax.yaxis)
    key(ax, "lower right")
    return ax


def alive_grid(T: float, frequency: int = 20, steps: int = 60) -> pd.DataFrame:
    """Histories on which to compute P(alive) for :func:`plot_alive_matrix`.

    A summary with columns frequency (1 to ``frequency``), recency (0 to T, ``steps`` + 1 of them)
    and T, for customers of one age.
    """
    recency = np.linspace(0.0, T, steps + 1)
    x = np.repeat(np.arange(1, frequency + 1), len(recency))
    return pd.DataFrame({"frequency": x, "recency": np.tile(recency, frequency), "T": T})


def plot_alive_matrix(
    grid: pd.DataFrame, probability: ArrayLike, *, unit: str = "week", ax: Axes | None = None
) -> Axes:
    """P(alive) by frequency and recency, for customers of one age.

    ``grid`` comes from :func:`alive_grid`; ``probability`` is the model's P(alive) of its rows.
    """
    age = grid["T"].iloc[0]
    ax = house_axes(
        ax,
        "Who is still a customer",
        f"Probability of being alive, customers who first bought {age:g} {unit}s ago",
    )
    bar = _matrix(ax, grid, probability, unit, [0.1, 0.5, 0.9], top=1.0)
    percent(bar.ax.yaxis)
    return ax


def plot_expected_matrix(
    grid: pd.DataFrame,
    expected: ArrayLike,
    *,
    horizon: str,
    unit: str = "week",
    ax: Axes | None = None,
) -> Axes:
    """Expected purchases by frequency and recency, for customers of one age.

    ``grid`` comes from :func:`alive_grid`; ``expected`` is the model's forecast for its rows over
    ``horizon``, a length in words.
    """
    from matplotlib.ticker import MaxNLocator

    age, most = grid["T"].iloc[0], float(np.max(expected))
    ax = house_axes(
        ax,
        f"Expected purchases in the next {horizon}",
        f"By history, customers who first bought {age:g} {unit}s ago",
    )
    levels = MaxNLocator(4).tick_values(0.0, most)
    _matrix(ax, grid, expected, unit, [level for level in levels if 0 < level < most], top=most)
    return ax


def _matrix(
    ax: Axes,
    grid: pd.DataFrame,
    values: ArrayLike,
    unit: str,
    levels: Sequence[float],
    top: float,
) -> Colorbar:
    """A value by recency and frequency as shades, with labelled lines at some of its levels."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    matrix = grid.assign(value=np.asarray(values)).pivot(
        index="frequency", columns="recency", values="value"
    )
    recency, x, age = matrix.columns.to_numpy(), matrix.index.to_numpy(), grid["T"].iloc[0]
    ax.grid(visible=False)
    shades = LinearSegmentedColormap.from_list("clv", BLUES)
    image = ax.pcolormesh(
        recency, x, matrix, cmap=shades, vmin=0, vmax=top, shading="nearest", rasterized=True
    )
    inks = [INK if level < 0.3 * top else "white" for level in levels]
    lines = ax.contour(recency, x, matrix, levels, colors=inks, linewidths=1)
    share = top == 1.0
    ax.clabel(lines, fmt=lambda level: f"{level:.0%}" if share else f"{level:g}", fontsize=9)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, fraction=0.05)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelcolor=MUTED, labelsize=9)
    ax.set_xlabel(f"Recency: age at the last purchase ({unit}s); today is {age:g}")
    ax.set_ylabel("Frequency: repeat purchases")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return bar


def _mark_holdout(ax: Axes, cutoff: float, end: float) -> None:
    """Shade what was held out, and say so."""
    ax.axvspan(cutoff, end, color=SHADE, zorder=0)
    ax.axvline(cutoff, color=MUTED, linewidth=1)
    top = ax.get_xaxis_transform()
    for label, side, gap in (("fitted", "right", -5), ("held out", "left", 5)):
        ax.annotate(
            label,
            (cutoff, 0.97),
            (gap, 0),
            xycoords=top,
            textcoords="offset points",
            ha=side,
            va="top",
            color=MUTED,
        )
