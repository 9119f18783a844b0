"""Plots of budgets: what a channel's next unit of money brings, what other budgets would buy."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.report.plots.style import (
    COLOURS,
    INK,
    MUTED,
    SHADE,
    dots,
    house_axes,
    label_ends,
    thousands,
)
from clv.schema import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_response(
    curves: pd.DataFrame,
    plans: pd.DataFrame,
    *,
    period: str = "week",
    currency: str = "",
    title: str = "New customers for the money, by channel",
    observed: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Response curves of channels, with today's and the proposed spend.

    Parameters
    ----------
    curves
        Columns channel, spend, customers: points along each curve, in order of spend; and
        customers_low and customers_high where an interval is known, drawn as a band.
    plans
        Columns channel, today, proposed: spend per period. Points are put on the curve; today's is
        left out where it is not known.
    period
        What spend and customers are counted per.
    currency
        Shown beside the axis of money.
    observed
        Least and most spend that the curve rests on, shaded; for a single channel.
    ax
        Where to draw; a new figure unless given.
    """
    band = "customers_low" in curves
    known = plans["today"].notna().any()
    marks = "open circle: today, full circle: proposed" if known else "circle: proposed"
    ax = house_axes(ax, title, f"Expected per {period}; {marks}")
    if observed is not None:
        ax.axvspan(*observed, color=SHADE, zorder=0)
    today, proposed = (plans[name].astype(float).tolist() for name in ("today", "proposed"))
    moves = dict(zip(plans["channel"], zip(today, proposed, strict=True), strict=True))
    ends = []
    groups = curves.groupby("channel", sort=False)
    for colour, (channel, curve) in zip(cycle(COLOURS), groups, strict=False):
        spend, customers = curve["spend"].to_numpy(), curve["customers"].to_numpy()
        if band:
            low, high = curve["customers_low"], curve["customers_high"]
            ax.fill_between(spend, low, high, color=colour, alpha=0.16, linewidth=0)
        ax.plot(spend, customers, color=colour, linewidth=1.2)
        _move(ax, moves[channel], spend, customers, colour)
        ends.append((spend[-1], customers[-1], str(channel), colour))
    ax.set_xlim(left=0)
    tops = curves["customers_high"] if band else curves["customers"]
    ax.set_ylim(0, 1.05 * max(float(tops.max()), 1e-9))
    if len(ends) > 1:
        label_ends(ax, ends)
    ax.set_xlabel(f"Spend per {period}" + (f" ({currency})" if currency else ""))
    ax.set_ylabel(f"New customers per {period}")
    thousands(ax.xaxis)
    return ax


def _move(
    ax: Axes, plan: tuple[float, float], spend: Floats, customers: Floats, colour: str
) -> None:
    """Today's point, the proposed one, and the way along the curve between them."""
    today, proposed = plan
    if np.isfinite(today):
        path = np.linspace(today, proposed, 50)
        along = np.interp(path, spend, customers)
        ax.plot(path, along, color=colour, linewidth=3.5, alpha=0.35)
        dots(ax, path[:1], along[:1], colour, fill="white")
    end = np.array([proposed])
    dots(ax, end, np.interp(end, spend, customers), colour)


def plot_frontier(
    frontier: pd.DataFrame,
    *,
    planned: tuple[float, float],
    today: tuple[float, float] | None = None,
    best: tuple[float, float] | None = None,
    currency: str = "",
    ax: Axes | None = None,
) -> Axes:
    """The greatest profit at every budget, with the plan, today's money and the best of all.

    Parameters
    ----------
    frontier
        Columns budget and profit, in order of budget; see ``budget_frontier``.
    planned, today, best
        (spend, profit) of the plan, of what is spent today, and where profit is greatest.
    currency
        Shown beside both axes.
    """
    ax = house_axes(
        ax, "What other budgets would bring", "Greatest profit within each budget, bounds kept"
    )
    budget, profit = frontier["budget"].to_numpy(), frontier["profit"].to_numpy()
    ax.plot(budget, profit, color=COLOURS[0], linewidth=2)
    for point, name, colour, fill in (
        (today, "today", MUTED, "white"),
        (best, "greatest profit", COLOURS[2], None),
        (planned, "this plan", COLOURS[1], None),
    ):
        if point is not None:
            dots(ax, [point[0]], [point[1]], colour, fill=fill)
            side = (0, -10, "center", "top") if name == "today" else (0, 10, "center", "bottom")
            ax.annotate(
                name,
                point,
                xytext=side[:2],
                textcoords="offset points",
                ha=side[2],
                va=side[3],
                color=INK,
                fontsize=10,
            )
    ax.margins(y=0.15)
    unit = f" ({currency})" if currency else ""
    ax.set_xlabel(f"Budget{unit}")
    ax.set_ylabel(f"Profit{unit}")
    thousands(ax.xaxis)
    thousands(ax.yaxis)
    return ax
