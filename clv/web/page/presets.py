"""Customers whom marketing asks for again and again, each one click away."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from clv.store import Store


def presets(store: Store) -> list[tuple[str, str]]:
    """Names and addresses of those lists that this store can answer."""
    needed = {"New this month": "cohort", "One order, no second": "frequency"}
    return [
        (name, f"/customers?{urlencode(query, doseq=True)}")
        for name, query in _queries(str(store.terms["as_of"]))
        if needed.get(name, "clv") in store.columns
    ]


def _queries(as_of: str) -> Iterator[tuple[str, dict[str, object]]]:
    best = ["top 1%", "1 to 5%"]
    stake = {"sort": "value_at_stake"}
    yield "VIPs slipping", {"tiers": best, "churn_from": 50, **stake}
    yield "One order, no second", {"repeats_to": 0, "recency_from": 30, **stake}
    yield "New this month", {"cohorts": as_of[:7]}
    yield "Win back", {"recency_from": 180, "churn_from": 80, **stake}
