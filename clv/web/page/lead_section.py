"""Who comes: the sections of Channels on leads, and on customers who bring customers."""

from __future__ import annotations

from typing import Any

from clv.findings import Finding
from clv.report.plots.funnels import channel_table, plot_funnel, plot_lead_channels
from clv.report.plots.referrals import plot_referrals, referral_table
from clv.store import Store


def arrivals(store: Store) -> dict[str, Any]:
    """Both sections, as the template of Channels calls them."""
    return {"leads": lead_section(store), "referrals": referral_section(store)}


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


def referral_section(store: Store) -> dict[str, Any] | None:
    """Chart, table and notes; None where no referrals were published."""
    if not (referrals := store.document("referrals")):
        return None
    members, currency = referrals.get("members"), str(store.terms.get("currency") or "")
    said = [*referrals["findings"], *([members["finding"]] if members else [])]
    return {
        "chart": plot_referrals(referrals, currency),
        "table": referral_table(referrals, currency),
        "notes": [Finding.from_dict(each, currency) for each in said],
    }
