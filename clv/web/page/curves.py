"""Charts of decisions: what money brings, with today's point and the proposed one, and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from clv.app.budget_plan import Published, Solved
from clv.app.retention import Recent
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.scenarios import budget_frontier
from clv.format import count, money
from clv.report.charts import (
    Chart,
    Column,
    Key,
    Series,
    Table,
    line_chart,
    money_axis,
    number_axis,
)
from clv.schema import Floats
from clv.store import Store

SMALL, TICKS = 240, 3  # of a small chart: its height, and marks below it
POINTS = 40  # of a curve
BUDGETS = 50  # tried, up to the end of the slider
BEYOND = 1.3  # how far beyond the last point of interest a curve is drawn
LOOKS: dict[str, tuple[Literal["rings", "dots"], str]] = {
    "today": ("rings", "6"),
    "proposed": ("dots", "2"),
}
_frontiers = Recent(16)


def channel_figure(channel: Channel, best: Allocation, periods: float, currency: str) -> Chart:
    """What a channel brings for the money, with today's spend and the proposed one."""
    name, spend = channel.name, best.spend[channel.name]
    today = (best.current or {}).get(name, channel.current)
    curve = channel.response if periods == 1 else channel.response.over(periods)

    def won(money_spent: ArrayLike) -> Floats:
        return np.asarray(channel.incrementality * curve.customers(money_spent))

    seen = tuple(end * periods for end in channel.observed or ())
    most = max(today or 0.0, spend, *seen, 1e-9) * BEYOND
    x = most * np.linspace(0.0, 1.0, POINTS) ** 2  # curves bend most where they begin
    y = won(x)
    points = {"proposed": (spend, float(won(spend)))}
    if today is not None:
        points = {"today": (today, float(won(today)))} | points
    said = f"{name}: {_from_to(today, spend, currency)}."
    return line_chart(
        name,
        f"New customers by spend on {said}",
        [
            *_observed(seen, float(y[-1])),
            Series("new customers for the money", x.tolist(), y.tolist()),
            *(Series(k, [at[0]], [at[1]], *LOOKS[k]) for k, at in points.items()),
        ],
        money_axis(0, most, currency, "Spend", ticks=TICKS),
        number_axis(0, float(y[-1]), "New customers", ticks=4),
        _points_table(said, points, currency),
        said + _basis(channel),
        legend=(),
        height=SMALL,
    )


def _observed(seen: tuple[float, ...], top: float) -> list[Series]:
    """The spend that was observed, as a band; none where it is not known, or a single one."""
    if len(set(seen)) < 2:
        return []
    return [Series("observed", seen, [top, top], "band", "6", [0.0, 0.0])]


def _points_table(said: str, points: Mapping[str, tuple[float, float]], currency: str) -> Table:
    columns = (Column("Point"), Column("Spend", "number"), Column("New customers", "number"))
    rows = [(k, money(at[0], currency), count(round(at[1]))) for k, at in points.items()]
    return Table(said, columns, rows)


def _from_to(today: float | None, spend: float, currency: str) -> str:
    if today is None:
        return money(spend, currency)
    if abs(spend - today) < 0.5:
        return f"stays at {money(spend, currency)}"
    return f"from {money(today, currency)} to {money(spend, currency)}"


def _basis(channel: Channel) -> str:
    """Whether the curve was estimated, stated, or assumed in part."""
    assumed = ", ".join(channel.response.assumed)
    if isinstance(channel.response, MeanOfDraws):
        return " Estimated."
    return f" {assumed} of the curve is assumed." if assumed else " As the plan states it."


def legend(charts: Sequence[Chart]) -> tuple[Key, ...]:
    """What is what in the charts of channels, once for all."""
    keys = {key.label: key for chart in charts for key in chart.plot.legend()}
    order = ("new customers for the money", "proposed", "today", "observed")
    return tuple(keys[label] for label in order if label in keys)


def frontier_figure(store: Store, found: Published, solved: Solved, currency: str) -> Chart:
    """The greatest profit at every budget, within the same locks, with this plan."""
    least = sum(channel.bounds(found.plan.periods)[0] for channel in solved.channels)
    most = max(2 * found.setting.budget, solved.setting.budget, least)
    key = (store.path, solved.setting.held, most)
    rows = _frontiers.get(key, lambda: _frontier(found, solved, np.linspace(least, most, BUDGETS)))
    spent, best = solved.spent, solved.allocation
    budgets, profits = [row["spent"] for row in rows], [row["profit"] for row in rows]
    lowest = min(0.0, *profits, best.profit)
    title = "What other budgets would earn"
    end = rows[-1]
    said = (
        f"Profit at the best split of each budget; {money(end['budget'], currency)} would earn "
        f"{money(end['profit'], currency)}, this plan {money(best.profit, currency)}."
    )
    point = Series("this plan", [spent], [best.profit], "dots", "2")
    return line_chart(
        title,
        said,
        [Series("greatest profit", budgets, profits), point],
        money_axis(0, max(*budgets, spent), currency, "Spent"),
        money_axis(lowest, max(*profits, best.profit), currency, "Profit"),
        _frontier_table(rows, currency),
        "Locks and bounds as set; a target of the plan is left out.",
    )


def _frontier_table(rows: Sequence[Mapping[str, float]], currency: str) -> Table:
    return Table(
        "The best split of other budgets, same locks and bounds",
        (Column("Budget", "number"), Column("Spent", "number"), Column("Profit", "number")),
        [
            tuple(money(row[name], currency) for name in ("budget", "spent", "profit"))
            for row in rows[:: max(len(rows) // 8, 1)]
        ],
    )


def _frontier(found: Published, solved: Solved, budgets: Floats) -> list[dict[str, float]]:
    table = budget_frontier(
        solved.channels,
        budgets,
        found.retention,
        periods=found.plan.periods,
        backend="pyarrow",
    )
    rows: list[dict[str, float]] = table.select(["budget", "spent", "profit"]).to_pylist()
    return rows
