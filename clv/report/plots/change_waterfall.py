"""What changed since an earlier run, drawn: the value then, each step, and the value now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clv.format import day, large_money, money
from clv.monitoring.change_report import step_name
from clv.monitoring.value_changes import STEPS
from clv.report.charts import Chart
from clv.report.plots.waterfalls import WaterfallBar, waterfall_chart


def plot_changes(record: Mapping[str, Any], currency: str) -> Chart:
    """The steps from the value at an earlier run to that of today; those of nothing left out.

    Parameters
    ----------
    record
        What :func:`clv.monitoring.change_report.change_record` gives.
    currency
        Of its amounts.
    """
    since, until = day(record["since"], short=True), day(record["until"], short=True)
    ends = {"before": ("then", f"value on {since}"), "after": ("now", f"value on {until}")}
    steps = [
        WaterfallBar(name, step_name(name), amount, money(amount, currency, cents=True))
        for name in STEPS
        if (amount := record["amounts"][name])
    ]
    then, now = (
        WaterfallBar(*ends[name], record[name], money(record[name], currency, cents=True))
        for name in ends
    )
    text = (
        f"{large_money(record['before'], currency)} on {since} became "
        f"{large_money(record['after'], currency)} on {until}."
    )
    title = "Why their value changed"
    return waterfall_chart(
        title, text, [then, *steps, now], currency, "Value", "Steps from one value to the other"
    )
