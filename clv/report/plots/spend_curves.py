"""Charts of what a channel brings for the money: new customers by spend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle

import numpy as np

from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel, outside
from clv.decide.budget.draws import MeanOfDraws
from clv.format import count, money, short_money
from clv.report.charts import (
    Chart,
    Column,
    LegendKey,
    Point,
    Series,
    Table,
    axis,
    line_chart,
    money_axis,
    point,
)

TONES = "123456"
MARKS = 3  # below a small chart
POINTS = 60  # of a curve
BEYOND = 1.3  # how far past the last point of interest a curve is drawn
SMALL = 240  # pixels high, for several beside each other

LEVELS = (0.05, 0.95)  # the ends of a band
BAND, ALONE = "90% of the draws", "new customers for the money"
GUESS = "untried: a guess"
PROPOSED, UNTRIED = "proposed", "proposed, untried"


@dataclass(frozen=True)
class SpendCurve:
    """New customers by spend of a channel, both per period.

    Attributes
    ----------
    channel
        Its name.
    spend, customers
        Points along the curve, in order of spend.
    proposed, today
        Spend per period; None where today's is not known.
    low, high
        The interval around the curve, where one is known.
    observed
        Least and most spend so far; outside it the curve is a guess, and drawn as one.
    """

    channel: str
    spend: Sequence[float]
    customers: Sequence[float]
    proposed: float
    today: float | None = None
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    observed: Point | None = field(default=None, kw_only=True)

    def place(self, spend: float) -> Point:
        """The point of the curve at a spend."""
        return spend, float(np.interp(spend, self.spend, self.customers))

    def series(self, label: str, tone: str, marks: tuple[str, str]) -> list[Series]:
        """The curve with its band; today's spend and the proposed one on it, in two more tones."""
        parts = self._lines(label, tone)
        if self.low:
            parts.insert(0, Series(BAND, self.spend, self.high, "band", tone, low=self.low))
        if self.today is not None:
            parts.append(point("today", self.place(self.today), "rings", marks[0]))
        name = UNTRIED if self.untried else PROPOSED
        mark = "3" if self.untried else marks[1]
        return [*parts, point(name, self.place(self.proposed), "dots", mark)]

    @property
    def untried(self) -> bool:
        """Whether the proposed spend lies outside what was spent so far."""
        return self.observed is not None and outside(self.proposed, self.observed)

    def _lines(self, label: str, tone: str) -> list[Series]:
        """The curve, as a line where money was spent, and dashed beyond."""
        if self.observed is None or not self.observed[0] < self.observed[1]:
            return [Series(label, self.spend, self.customers, "line", tone)]
        low, high = self.observed
        parts = []
        for name, start, end in (
            (GUESS, self.spend[0], low), (label, low, high), (GUESS, high, self.spend[-1])
        ):  # fmt: skip
            if start < end:
                x = [start, *(s for s in self.spend if start < s < end), end]
                y = np.interp(x, self.spend, self.customers).tolist()
                parts.append(Series(name, x, y, "dash" if name == GUESS else "line", tone))
        return parts

    def move(self, currency: str) -> str:
        """From which spend to which, in words."""
        proposed = money(self.proposed, currency)
        if self.today is None:
            return proposed
        if abs(self.proposed - self.today) < 0.5:
            return f"stays at {proposed}"
        return f"from {money(self.today, currency)} to {proposed}"


def response_chart(
    curves: Sequence[SpendCurve],
    title: str,
    *,
    period: str = "",
    currency: str = "",
    observed: Point | None = None,
    height: int = 290,
) -> Chart:
    """The chart of :func:`plot_response`, from curves as records."""
    per = f" per {period}" if period else ""
    top = max(max(curve.high or curve.customers) for curve in curves)
    y = axis(0, max(top, 1e-9), short_money, f"New customers{per}", ticks=4)
    most = max(curve.spend[-1] for curve in curves)
    series = []
    if observed is not None:
        curves = [replace(curve, observed=observed) for curve in curves]
    if observed is not None and observed[0] < observed[1]:
        series.append(Series("observed", observed, [y.high] * 2, "band", "6", low=[0.0] * 2))
    for tone, curve in zip(cycle(TONES), curves, strict=False):
        label, marks = (curve.channel, (tone, tone)) if len(curves) > 1 else (ALONE, ("6", "2"))
        series += curve.series(label, tone, marks)
    described = "; ".join(f"{curve.channel}: {curve.move(currency)}" for curve in curves)
    return line_chart(
        title,
        f"New customers by spend. {described}.",
        series,
        money_axis(0, most, currency, f"Spend{per}", ticks=MARKS if height <= SMALL else 5),
        y,
        _points(curves, per, currency),
        f"Expected{per}." if per else "",
        legend=_legend(curves) if len(curves) > 1 else None,
        height=height,
    )


def _legend(curves: Sequence[SpendCurve]) -> list[LegendKey]:
    """Every channel once, and what the points are, which is the same for all."""
    keys = [
        LegendKey(curve.channel, tone) for tone, curve in zip(cycle(TONES), curves, strict=False)
    ]
    today = any(curve.today is not None for curve in curves)
    return [
        *keys,
        *([LegendKey("today", "6", "ring")] if today else []),
        LegendKey("proposed", "6", "dot"),
    ]


def _points(curves: Sequence[SpendCurve], per: str, currency: str) -> Table:
    columns = (
        Column("Channel"),
        Column("Point"),
        Column("Spend", "number"),
        Column("New customers", "number"),
    )
    rows = [
        (curve.channel, name, money(spend, currency), count(round(curve.place(spend)[1], 2)))
        for curve in curves
        for name, spend in (
            ("today", curve.today),
            (UNTRIED if curve.untried else PROPOSED, curve.proposed),
        )
        if spend is not None
    ]
    return Table(f"Spend and new customers{per}", columns, rows)


def channel_chart(channel: Channel, allocation: Allocation, periods: float, currency: str) -> Chart:
    """What a channel brings over all periods, with today's spend and that of the allocation.

    The band holds 90% of the draws, where the curve has draws.
    """
    spend = allocation.spend[channel.name]
    today = (allocation.current or {}).get(channel.name, channel.current)
    observed = channel.observed_over(periods)
    most = BEYOND * max(today or 0.0, spend, *(observed or ()))
    if not most:  # no money: as far as it could go, or as the largest goes
        bound = channel.bounds(periods)[1]
        most = bound if np.isfinite(bound) else max(*allocation.spend.values(), 1e-9)
    curve = _curve(channel, most, periods, spend, today)
    chart = response_chart(
        [curve], channel.name, currency=currency, observed=observed, height=SMALL
    )
    return replace(chart, caption=f"{channel.name}: {curve.move(currency)}.")


def _curve(
    channel: Channel, most: float, periods: float, proposed: float, today: float | None
) -> SpendCurve:
    """The curve up to a spend over all periods, with a band where it has draws."""
    response = channel.response if periods == 1 else channel.response.over(periods)
    spend = most * np.linspace(0.0, 1.0, POINTS) ** 2  # curves bend most where they begin
    share = channel.incrementality
    band: list[list[float]] = []
    if isinstance(response, MeanOfDraws):
        draws = [share * response.draws.customers(amount) for amount in spend]
        band = np.quantile(draws, LEVELS, axis=1).tolist()
    customers = np.asarray(share * response.customers(spend)).tolist()
    return SpendCurve(channel.name, spend.tolist(), customers, proposed, today, *band)
