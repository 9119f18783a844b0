"""What the table of channels says in words, for page and API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clv.findings import Note, Provenance
from clv.format import ATTRIBUTED, money, sentence, unknown
from clv.store import Store

Row = Mapping[str, Any]


NEEDED = ("cohort", "age", "earned")  # of the table cohorts


def published(store: Store) -> list[dict[str, Any]]:
    """The channels of a store, a row each; none if they were not published."""
    return _rows(store, "channels")


def _rows(store: Store, name: str) -> list[dict[str, Any]]:
    """A table of the store as rows, a channel without a name as such; none if it is not there."""
    found = store.table(name)
    rows: list[dict[str, Any]] = [] if found is None else found.to_pylist()
    return [row | {"channel": str(row["channel"])} if "channel" in row else row for row in rows]


def findings(rows: Sequence[Row], currency: str) -> Iterator[str]:
    """Which channel is cheapest, and which is worth most."""
    cost = {row["channel"]: row["cac"] for row in _known(rows, "cac")}
    worth = {
        row["channel"]: row["new_customer_value"] for row in _known(rows, "new_customer_value")
    }
    if not cost:
        yield "No channel has both spend and new customers, so none has a CAC."
    if cost:
        cheap = min(cost, key=lambda name: cost[name])
    if worth:
        dear = max(worth, key=lambda name: worth[name])
    if cost and worth and cheap == dear:
        yield f"The cheapest customers and those worth most both come from {cheap}."
    elif cost and worth:
        yield (
            f"The cheapest customers come from {cheap} ({money(cost[cheap], currency)} each), "
            f"those worth most from {dear} ({money(worth[dear], currency)} each)."
        )
    elif cost:
        yield f"The cheapest customers come from {cheap} ({money(cost[cheap], currency)} each)."
    if names := losing(rows):
        yield f"New customers of {', '.join(names)} cost more than they are worth."


def losing(rows: Sequence[Row]) -> list[str]:
    """The channels whose new customers cost more than they are worth."""
    return [row["channel"] for row in _known(rows, "ltv_to_cac") if row["ltv_to_cac"] < 1]


def best_for_cost(rows: Sequence[Row]) -> Row | None:
    """The channel with the greatest value for its cost; None if that is known of none."""
    known = _known(rows, "ltv_to_cac", "cac")
    return max(known, key=lambda row: float(row["ltv_to_cac"])) if known else None


def overall(rows: Sequence[Row]) -> dict[str, float | None]:
    """Paid and blended CAC of channels: over the customers of those with a CAC, and over all.

    >>> overall([{"loaded_spend": 90.0, "new_customers": 3, "cac": 30.0},
    ...          {"loaded_spend": 0.0, "new_customers": 6, "cac": None}])
    {'paid_cac': 30.0, 'blended_cac': 10.0}
    """
    spent = sum(row["loaded_spend"] for row in _known(rows, "loaded_spend"))
    everybody = sum(row["new_customers"] for row in _known(rows, "new_customers"))
    paid = sum(row["new_customers"] for row in _known(rows, "new_customers", "cac"))
    return {
        "paid_cac": spent / paid if paid else None,
        "blended_cac": spent / everybody if everybody else None,
    }


def notes(rows: Sequence[Row]) -> list[Note]:
    """What the figures rest on."""
    found = [LOADED, *_on_attribution(rows)]
    found += [NEXT] if _known(rows, "marginal_cac") else []
    found += list(_value_notes(rows))
    return found + ([NO_LAW] if _known(rows, "ltv_to_cac") else [])


LOADED = Note(
    "CAC is all spend on a channel, fixed cost included, over its new customers.", "measured"
)


NEXT = Note(
    "Next CAC is what one more customer costs at today's spend, from response curves; it counts "
    "media spend alone.",
    "estimated",
)


NO_LAW = Note(
    "3 : 1 is a rule of thumb, not a law. Money is well spent where its next unit buys most; see "
    "Budget."
)


VALUE = Note(
    "Value is that of a NEW customer, first purchase included, as discounted contribution margin; "
    "not the mean of the customers there are.",
    "estimated",
)


def _on_attribution(rows: Sequence[Row]) -> Iterator[Note]:
    paid = _known(rows, "cac")
    if names := [r["channel"] for r in paid if r.get("new_customers_are") == ATTRIBUTED]:
        yield Note(
            f"New customers of {', '.join(names)} are as attributed: some would have come anyway, "
            "so the true cost is higher. A lift or geo test says by how much.",
            "assumed",
        )


def _value_notes(rows: Sequence[Row]) -> Iterator[Note]:
    known = _known(rows, "new_customer_value")
    if known:
        yield VALUE
    for row in known:
        basis = str(row.get("value_basis") or "")
        if basis and basis != "own history":
            yield Note(sentence(f"{row['channel']}: value from {basis}"), _chip(basis))


def _chip(basis: str) -> Provenance:
    return "estimated" if "history" in basis else "assumed"


def _known(rows: Sequence[Row], *names: str) -> list[Row]:
    """The rows in which all of these figures are known."""
    return [row for row in rows if not any(unknown(row.get(name)) for name in names)]
