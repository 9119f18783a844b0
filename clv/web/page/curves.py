"""Charts of decisions: what money brings, with today's point and the proposed one, and names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from clv.app.budget_plan import Published, Solved
from clv.app.retention import Recent
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.scenarios import budget_frontier
from clv.format import count, money, short_money
from clv.schema import Floats
from clv.store import Store
from clv.web.page.charts import (
    LEFT,
    TOP,
    WIDTH,
    Axis,
    Series,
    axis,
    line_chart,
    money_axis,
    plot_height,
)
from clv.web.page.tables import Column, Figure, Key, Table

HEIGHT = 290
SMALL, TICKS = 240, 3  # of a small chart: its height, and marks below it
POINTS = 40  # of a curve
BUDGETS = 50  # tried, up to the end of the slider
BEYOND = 1.3  # how far beyond the last point of interest a curve is drawn
ABOVE, ASIDE = "-.55em", 7  # of a name: up from its point, and away from it in pixels

LINE = 7.5  # percent: the height of a name

Named = tuple[float, float, str]
LOOKS: dict[str, tuple[Literal["rings", "dots"], str]] = {
    "today": ("rings", "6"),
    "proposed": ("dots", "2"),
}
_frontiers = Recent(16)


def named_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    names: Sequence[Named],
    x: Axis,
    y: Axis,
    *,
    height: int = HEIGHT,
) -> Markup:
    """A ``line_chart`` with names beside points (x, y, name), so that colour is not needed.

    >>> from clv.web.page.charts import axis
    >>> flat = axis(0, 1, "{:g}".format)
    >>> svg = named_chart("One", "A point.", [Series("a", [0.5], [0.5], "dots")],
    ...                   [(0.5, 0.5, "a < b")], flat, flat)
    >>> "a &lt; b</text>" in svg
    True
    """
    drawn = line_chart(title, description, series, x, y, height=height)
    over = Markup(
        '<svg class="plot" x="{}%" width="{}%" y="{}" height="{}" overflow="visible">{}</svg>'
    ).format(
        LEFT,
        WIDTH,
        TOP,
        plot_height(x, height),
        Markup("").join(_names(names, x, y)),
    )
    return Markup(str(drawn).removesuffix("</svg>")) + over + Markup("</svg>")


def _names(names: Sequence[Named], x: Axis, y: Axis) -> Iterator[Markup]:
    """Each to the right of its point; to the left where it would stick out, or meet the next."""
    places = [(x.place(across), y.place(up)) for across, up, _ in names]
    heights = _apart([up for _, up in places])
    for (across, _, text), (_, own), up in zip(names, places, heights, strict=True):
        if up - own > 2 * LINE:
            continue  # so far from its point, a name would be taken for another's
        place = x.place(across)
        crowded = any(0 < other - place < 12 and abs(high - up) < 12 for other, high in places)
        left = place > 70 or (crowded and place > 15)
        yield Markup(
            '<text class="row" x="{}%" y="{}%" dx="{}" dy="{}" text-anchor="{}">{}</text>'
        ).format(
            f"{place:.3f}",
            f"{100 - up:.3f}",
            -ASIDE if left else ASIDE,
            ABOVE,
            "end" if left else "start",
            text,
        )


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights in percent, raised where two would lie on each other.

    >>> _apart([50.0, 20.0, 22.0])
    [50.0, 20.0, 27.5]
    """
    found, last = list(heights), -LINE
    for k in sorted(range(len(heights)), key=lambda k: heights[k]):
        found[k] = last = max(heights[k], last + LINE)
    return found


def channel_figure(channel: Channel, best: Allocation, periods: float, currency: str) -> Figure:
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
    svg = line_chart(
        f"New customers by spend on {name}",
        said,
        [
            *_observed(seen, float(y[-1])),
            Series("new customers", x.tolist(), y.tolist()),
            *(Series(k, [at[0]], [at[1]], *LOOKS[k]) for k, at in points.items()),
        ],
        money_axis(0, most, currency, "Spend", ticks=TICKS),
        axis(0, float(y[-1]), short_money, "New customers", ticks=4),
        height=SMALL,
    )
    return Figure(name, svg, _points_table(said, points, currency), said + _basis(channel))


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


def legend(figures: Sequence[Figure]) -> tuple[Key, ...]:
    """What is what in the charts of channels, once for all."""
    shaded = any("band" in str(figure.svg) for figure in figures)
    ringed = any("ring" in str(figure.svg) for figure in figures)
    keys = [Key("new customers for the money"), Key("proposed", "2", "dot")]
    keys += [Key("today", "6", "ring")] if ringed else []
    return tuple(keys + ([Key("observed", "6", "band")] if shaded else []))


def frontier_figure(store: Store, found: Published, solved: Solved, currency: str) -> Figure:
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
    svg = line_chart(
        title,
        said,
        [Series("profit", budgets, profits), point],
        money_axis(0, max(*budgets, spent), currency, "Spent"),
        money_axis(lowest, max(*profits, best.profit), currency, "Profit"),
    )
    caption = "Locks and bounds as set; a target of the plan is left out."
    keys = (Key("greatest profit"), Key("this plan", "2", "dot"))
    return Figure(title, svg, _frontier_table(rows, currency), caption, keys)


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
