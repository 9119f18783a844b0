"""Charts of decisions: what money brings, with today's point and the proposed one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clv.app.budget_plan import PublishedPlan, Solved
from clv.app.retention import Recent
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.scenarios import budget_frontier
from clv.report.charts import Chart, LegendKey
from clv.report.plots import plot_frontier
from clv.report.plots.spend_curves import channel_chart
from clv.schema import Floats
from clv.store import Store

BUDGETS = 50  # tried, up to the end of the slider
_frontiers = Recent(16)


def channel_figure(channel: Channel, best: Allocation, periods: float, currency: str) -> Chart:
    """What a channel brings for the money; the legend stands once above all of them."""
    chart = channel_chart(channel, best, periods, currency)
    return replace(chart, caption=chart.caption + _basis(channel), legend=())


def _basis(channel: Channel) -> str:
    """Whether the curve was estimated, stated, or assumed in part."""
    assumed = ", ".join(channel.response.assumed)
    if isinstance(channel.response, MeanOfDraws):
        return " Estimated."
    return f" {assumed} of the curve is assumed." if assumed else " As the plan states it."


def legend(charts: Sequence[Chart]) -> tuple[LegendKey, ...]:
    """What is what in the charts of channels, once for all."""
    keys = {key.label: key for chart in charts for key in chart.plot.legend()}
    return tuple(keys.values())


def frontier_figure(store: Store, published: PublishedPlan, solved: Solved, currency: str) -> Chart:
    """The greatest profit at every budget, within the same locks, with this plan."""
    least = sum(channel.bounds(published.plan.periods)[0] for channel in solved.channels)
    most = max(2 * published.setting.budget, solved.setting.budget, least)
    key = (store.path, solved.setting.held, most)
    rows = _frontiers.get(
        key, lambda: _frontier(published, solved, np.linspace(least, most, BUDGETS))
    )
    return replace(
        plot_frontier(rows, planned=(solved.spent, solved.allocation.profit), currency=currency),
        caption="Locks and bounds as set; a target of the plan is left out.",
    )


def _frontier(published: PublishedPlan, solved: Solved, budgets: Floats) -> dict[str, list[float]]:
    """What is spent of each budget, and earned."""
    table = budget_frontier(
        solved.channels,
        budgets,
        published.retention,
        periods=published.plan.periods,
        backend="pyarrow",
    )
    return {"budget": table["spent"].to_pylist(), "profit": table["profit"].to_pylist()}
