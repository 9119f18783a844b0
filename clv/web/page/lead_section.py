"""From lead to customer: the section of Channels where leads were published."""

from __future__ import annotations

from typing import Any

from clv.findings import Finding
from clv.report.plots.funnels import channel_table, plot_funnel, plot_lead_channels
from clv.store import Store


def lead_section(store: Store) -> dict[str, Any] | None:
    """Charts, table and notes; None where no leads were published."""
    if not (funnel := store.document("funnel")):
        return None
    currency = funnel["currency"] or ""
    return {
        "chart": plot_funnel(funnel),
        "by_channel": plot_lead_channels(funnel),
        "table": channel_table(funnel, funnel["channels"]),
        "notes": [Finding.from_dict(each, currency) for each in funnel["findings"]],
    }
