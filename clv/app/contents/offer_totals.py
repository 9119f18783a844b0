"""A table of next offers in totals, for page and API: by kind, by item, and the best of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MOST = 50  # items and offers that are listed
MEASURES = {"chance": "mean", "spend": "mean", "value": "sum", "break_even": "approximate_median"}
LISTED = ("customer_id", "item", "name", "kind", *MEASURES, "because")


def offer_totals(offers: pa.Table) -> dict[str, Any]:
    """The document ``next_offers`` of a store.

    Parameters
    ----------
    offers
        What ``clv offers --output`` wrote.

    Returns
    -------
    dict
        offers, customers, value (sum of chance x margin x spend - cost); kinds and items, each with
        offers, chance and spend (means), value (sum) and break_even (median; None where the table
        does not have it), the ``MOST`` items with most value; best, the ``MOST`` offers.

    Examples
    --------
    >>> offers = pa.table({"customer_id": [1, 2], "item": ["tea", "tea"], "kind": ["new", "new"],
    ...     "chance": [0.1, 0.3], "spend": [10.0, 20.0], "value": [1.0, 6.0], "because": ["", ""]})
    >>> offer_totals(offers)["items"][0]["value"]
    7.0
    """
    lacking = {"name": offers["item"], "break_even": pa.nulls(len(offers), pa.float64())}
    for column, values in lacking.items():
        if column not in offers.column_names:
            offers = offers.append_column(column, values)
    best = pc.select_k_unstable(
        offers, MOST, [("value", "descending"), ("customer_id", "ascending")]
    )
    stated = {name: offers[name][0].as_py() for name in ("horizon", "currency", "as_of")
              if name in offers.column_names and len(offers)}  # fmt: skip
    return {
        "offers": len(offers),
        "customers": pc.count_distinct(offers["customer_id"]).as_py(),
        "value": float(pc.sum(offers["value"]).as_py() or 0.0),
        "kinds": _totals(offers, ["kind"]),
        "items": _totals(offers, ["item", "name"]),
        "best": offers.select(LISTED).take(best).to_pylist(),
        **{name: str(value) for name, value in stated.items() if value is not None},
    }


def _totals(offers: pa.Table, keys: list[str]) -> list[dict[str, Any]]:
    """The groups with most value."""
    sums = offers.group_by(keys).aggregate([("item", "count"), *MEASURES.items()])
    order = [(f"value_{MEASURES['value']}", "descending"), (keys[0], "ascending")]
    ours = {f"{name}_{how}": name for name, how in MEASURES.items()} | {"item_count": "offers"}
    ranked = sums.sort_by(order).slice(0, MOST)
    rows: list[dict[str, Any]] = ranked.rename_columns(
        [ours.get(name, name) for name in ranked.column_names]
    ).to_pylist()
    return rows


def plan_totals(targets: pa.Table) -> list[dict[str, Any]]:
    """What one plan of keeping and offering does by action, from what ``clv targets`` wrote.

    Returns
    -------
    list
        A dict an action, the most profit first: action, customers (contacted), cost, expected_gain
        and expected_profit; empty where the plan has no next offers in it.
    """
    if "item" not in targets.column_names:
        return []
    contacted = targets.filter(pc.equal(targets["group"], "treat"))
    money = ("cost", "expected_gain", "expected_profit")
    sums = contacted.group_by("action").aggregate(
        [("customer_id", "count"), *((name, "sum") for name in money)]
    )
    ours = {f"{name}_sum": name for name in money} | {"customer_id_count": "customers"}
    ranked = sums.sort_by([("expected_profit_sum", "descending"), ("action", "ascending")])
    rows: list[dict[str, Any]] = ranked.rename_columns(
        [ours.get(name, name) for name in ranked.column_names]
    ).to_pylist()
    return rows
