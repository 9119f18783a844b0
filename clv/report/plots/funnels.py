"""Charts of a funnel: how many leads reach each stage, and channels at equal age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clv.format import NONE, count, days, percent
from clv.report.charts import (
    Chart,
    Column,
    IntervalRow,
    LegendKey,
    Table,
    column_chart,
    interval_chart,
    number_axis,
    share_axis,
)
from clv.report.plots.money_column import money_column

Share = Mapping[str, float] | None


def plot_funnel(funnel: Mapping[str, Any]) -> Chart:
    """How many leads reached each stage.

    Parameters
    ----------
    funnel
        ``to_dict()`` of what ``clv.lead_funnel`` gives, or the JSON of ``clv funnel --json``.
    """
    stages = funnel["stages"]
    names, entered = [s["stage"] for s in stages], [float(s["entered"]) for s in stages]
    last = stages[-1]
    return column_chart(
        "Leads by stage",
        f"Of {count(entered[0])} leads, {count(entered[-1])} reached {last['stage']} so far.",
        names,
        {"leads": entered},
        number_axis(0, max(entered), "Leads"),
        stage_table(funnel),
        "So far: leads that came lately are still on their way, so that the last stages fill up.",
    )


def stage_table(funnel: Mapping[str, Any]) -> Table:
    """A row a stage: who reached it, the share that went on to it in time, how long, what cost."""
    within = days(funnel["age"])
    columns = (
        Column("Stage"),
        Column("Reached it", "number"),
        Column(f"Went on to it within {within}", "number"),
        Column("After (median)", "number"),
        Column("Cost of one", "number"),
    )
    written = money_column(
        (one["cost_per_entry"] for one in funnel["stages"]), funnel["currency"] or ""
    )
    rows = [
        (
            stage["stage"],
            count(stage["entered"]),
            _interval(stage["converted"]),
            NONE if stage["median_days"] is None else days(stage["median_days"]),
            written(stage["cost_per_entry"]),
        )
        for stage in funnel["stages"]
    ]
    return Table(
        f"Stages; shares of leads that are {within} old, with 90% intervals", columns, rows
    )


def plot_lead_channels(funnel: Mapping[str, Any]) -> Chart | None:
    """The share of each channel's leads that were won by the same age; None if none is old enough.

    Parameters
    ----------
    funnel
        As ``plot_funnel`` takes it.
    """
    compared = [c for c in funnel["channels"] if c["conversion"]]
    if not compared:
        return None
    rows = [
        IntervalRow(
            channel["channel"],
            channel["conversion"]["share"],
            channel["conversion"]["low"],
            channel["conversion"]["high"],
            note=percent(channel["conversion"]["share"]),
        )
        for channel in compared
    ]
    most = max(channel["conversion"]["high"] for channel in compared)
    return interval_chart(
        f"Won within {days(funnel['age'])}, by channel",
        f"Of leads that are {days(funnel['age'])} old; bars hold the true share with 90%.",
        rows,
        share_axis("Won", 0.0, most),
        channel_table(funnel, compared),
        "Channels are compared at equal age; younger leads do not count yet.",
        legend=[LegendKey("interval, 90%", "1", "bar")],
    )


def channel_table(funnel: Mapping[str, Any], channels: Sequence[Mapping[str, Any]]) -> Table:
    """A row a channel: leads, won by the age of comparison and in the end, cost, worth."""
    code = funnel["currency"] or ""
    columns = (
        Column("Channel"),
        Column("Leads", "number"),
        Column(f"Won within {days(funnel['age'])}", "number"),
        Column("In the end", "number"),
        Column("Cost of a win", "number"),
        Column("Worth of a lead", "number"),
    )
    worth = [None if one["worth"] is None else one["worth"]["worth"] for one in channels]
    cost_of = money_column((one["cost_per_win"] for one in channels), code)
    worth_of = money_column(worth, code)
    rows = [
        (
            channel["channel"],
            count(channel["leads"]),
            _interval(channel["conversion"]) if channel["conversion"] else channel["why_not"],
            _interval(channel["chance"]),
            cost_of(channel["cost_per_win"]),
            worth_of(value),
        )
        for channel, value in zip(channels, worth, strict=True)
    ]
    return Table("Channels of leads, with 90% intervals", columns, rows)


def _interval(share: Share) -> str:
    if share is None:
        return NONE
    return f"{percent(share['share'])} ({percent(share['low'])} to {percent(share['high'])})"
