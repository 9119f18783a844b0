"""Charts of budgets: what a channel's next unit of money brings, what other budgets would buy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.format import money
from clv.report.charts import (
    Chart,
    Column,
    Label,
    Point,
    Series,
    Table,
    line_chart,
    money_axis,
    point,
)
from clv.report.plots.spend_curves import SpendCurve, response_chart


def plot_response(
    curves: pd.DataFrame,
    plans: pd.DataFrame,
    *,
    period: str = "week",
    currency: str = "",
    title: str = "New customers for the money, by channel",
    observed: Point | None = None,
) -> Chart:
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
        Of the spend.
    title
        What one sees.
    observed
        Least and most spend that the curve rests on, shaded; for a single channel.

    Returns
    -------
    Chart
        A series per channel, and points named "today" and "proposed" on it.
    """
    moves = plans.astype({"today": float, "proposed": float}).set_index("channel")
    today, proposed = moves["today"].dropna().to_dict(), moves["proposed"].to_dict()
    ends = [end for end in ("customers_low", "customers_high") if end in curves]
    drawn = [
        SpendCurve(
            str(channel),
            points["spend"].tolist(),
            points["customers"].tolist(),
            proposed[channel],
            today.get(channel),
            *(points[end].tolist() for end in ends),
        )
        for channel, points in curves.groupby("channel", sort=False)
    ]
    return response_chart(drawn, title, period=period, currency=currency, observed=observed)


def plot_frontier(
    frontier: Mapping[str, ArrayLike],
    *,
    planned: Point,
    today: Point | None = None,
    best: Point | None = None,
    currency: str = "",
) -> Chart:
    """The greatest profit at every budget, with the plan, today's money and the best of all.

    Parameters
    ----------
    frontier
        Columns budget and profit, in order of budget; see ``budget_frontier``.
    planned, today, best
        (spend, profit) of the plan, of what is spent today, and where profit is greatest.
    currency
        Of both axes.

    Returns
    -------
    Chart
        The curve, and a point named for each of the three.

    Examples
    --------
    >>> chart = plot_frontier({"budget": [0, 1], "profit": [0, 2]}, planned=(1, 2))
    >>> [label.text for label in chart.plot.labels]
    ['this plan']
    """
    budget, profit = (np.asarray(frontier[name]).tolist() for name in ("budget", "profit"))
    marks = [] if today is None else [point("today", today, "rings", "6")]
    marks += [] if best is None else [point("greatest profit", best, "dots", "3")]
    marks.append(point("this plan", planned, "dots", "2"))
    profits = [*profit, *(mark.y[0] for mark in marks)]
    most = max(*budget, *(mark.x[0] for mark in marks))
    caption = "The greatest profit within each budget, bounds kept."
    return line_chart(
        "What other budgets would bring",
        f"{caption} This plan: {money(planned[1], currency)} for {money(planned[0], currency)}.",
        [Series("greatest profit at each budget", budget, profit), *marks],
        money_axis(0, most, currency, "Budget"),
        money_axis(min(0.0, *profits), max(profits), currency, "Profit"),
        _budgets(budget, profit, currency),
        caption,
        legend=(),
        labels=[
            Label(x, mark.y[0], mark.label, "left" if mark.kind == "dots" and x > most / 4 else "")
            for mark in marks
            for x in mark.x
        ],
    )


def _budgets(budget: Sequence[float], profit: Sequence[float], currency: str) -> Table:
    """Some of the budgets, the last among them."""
    indices = sorted({*range(0, len(budget), max(len(budget) // 8, 1)), len(budget) - 1})
    rows = [(money(budget[k], currency), money(profit[k], currency)) for k in indices]
    columns = (Column("Budget", "number"), Column("Profit", "number"))
    return Table("The best split of other budgets", columns, rows)
