"""Charts of tests by chance: power by customers, and what a campaign returned, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.format import NONE, change, count, percent
from clv.report.charts import (
    Chart,
    Column,
    IntervalRow,
    LegendKey,
    Series,
    Table,
    interval_chart,
    line_chart,
    number_axis,
    share_axis,
)

if TYPE_CHECKING:
    from clv.experiments.campaign_roi import CampaignROI
    from clv.experiments.planned_test import PlannedTest

ROWS = 8  # of the table beside a curve


def plot_power(test: PlannedTest) -> Chart:
    """The chance that a test shows its lift, by customers, with what is known before and without.

    Parameters
    ----------
    test
        From ``clv.plan_test``.
    """
    points = test.power_curve()
    n = [point["customers"] for point in points]
    adjusted, plain = ([p[name] for p in points] for name in ("power", "power_unadjusted"))
    series = [
        Series("with what is known before", n, adjusted),
        Series("without", n, plain, tone="2"),
        Series("planned", [float(test.customers)], [test.size.power], "dots", "3"),
    ]
    series = series if test.size.r2 else [series[0], series[2]]
    step = max(len(points) // ROWS, 1)
    rows = [
        (count(round(p["customers"])), percent(p["power"]), percent(p["power_unadjusted"]))
        for p in points[step - 1 :: step]
    ]
    columns = (
        Column("Customers", "number"),
        Column("Seen", "number"),
        Column("Without what is known before", "number"),
    )
    caption = (
        f"With {count(test.customers)} customers a lift of {percent(test.lift)} is seen with a "
        f"chance of {percent(test.size.power)}."
    )
    return line_chart(
        "How many customers a test takes",
        caption,
        series,
        number_axis(0, max(n), "Customers in both groups"),
        share_axis("Chance to see the lift"),
        Table("Chance to see the lift, by customers in both groups", columns, rows),
        caption,
    )


def plot_roi(roi: CampaignROI) -> Chart:
    """What a campaign returned on its cost: as usually reported, by margin, by its control group.

    Parameters
    ----------
    roi
        From ``clv.campaign_roi``.
    """
    low, high = roi.interval
    level = percent(roi.level)
    curves = {
        "as usually reported": (roi.reported, None, None),
        "the same by margin": (roi.by_margin, None, None),
        "what the campaign did": (roi.roi, low, high),
    }
    rows = [
        IntervalRow(name, value, a, b, note=change(value)) for name, (value, a, b) in curves.items()
    ]
    figures = [roi.reported, roi.by_margin, roi.roi, low, high, 0.0]
    cells = [
        (name, change(value), f"{change(a)} to {change(b)}" if a is not None else NONE)
        for name, (value, a, b) in curves.items()
    ]
    columns = (
        Column("Return on its cost"),
        Column("Return", "number"),
        Column(f"Interval, {level}", "number"),
    )
    caption = (
        f"As usually reported the campaign returned {change(roi.reported)} on its cost; by those "
        f"held out {change(roi.roi)}, {change(low)} to {change(high)} with {level}."
    )
    return interval_chart(
        "What the campaign returned on its cost",
        caption,
        rows,
        share_axis("Return on the cost", min(figures), max(figures)),
        Table("Return on the cost of the campaign, counted in three ways", columns, cells),
        caption,
        legend=[LegendKey(f"interval, {level}", "1", "bar")],
        reference=0.0,
    )
