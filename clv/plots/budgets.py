"""Plots of budgets: what a channel's next unit of money brings."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.plots.style import COLOURS, dots, house_axes, label_ends, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_response(
    curves: pd.DataFrame,
    plans: pd.DataFrame,
    *,
    period: str = "week",
    currency: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Response curves of channels, with today's and the proposed spend.

    Parameters
    ----------
    curves
        Columns channel, spend, customers: points along each curve, in order of spend.
    plans
        Columns channel, today, proposed: spend per period. Points are put on the curve.
    period
        What spend and customers are counted per.
    currency
        Shown beside the axis of money.
    ax
        Where to draw; a new figure unless given.
    """
    ax = house_axes(
        ax,
        "New customers for the money, by channel",
        f"Expected per {period}; open circle: today, full circle: proposed",
    )
    plan = plans.set_index("channel").astype(float)
    ends = []
    groups = curves.groupby("channel", sort=False)
    for colour, (channel, curve) in zip(cycle(COLOURS), groups, strict=False):
        spend, customers = curve["spend"].to_numpy(), curve["customers"].to_numpy()
        path = np.linspace(plan["today"][channel], plan["proposed"][channel], 50)
        along = np.interp(path, spend, customers)
        ax.plot(spend, customers, color=colour, linewidth=1.2)
        ax.plot(path, along, color=colour, linewidth=3.5, alpha=0.35)
        dots(ax, path[:1], along[:1], colour, fill="white")
        dots(ax, path[-1:], along[-1:], colour)
        ends.append((spend[-1], customers[-1], str(channel), colour))
    ax.set_xlim(left=0)
    ax.set_ylim(0, 1.05 * max(y for _, y, _, _ in ends))
    label_ends(ax, ends)
    ax.set_xlabel(f"Spend per {period}" + (f" ({currency})" if currency else ""))
    ax.set_ylabel(f"New customers per {period}")
    thousands(ax.xaxis)
    return ax
