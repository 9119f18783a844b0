"""What the table of channels says, for page and API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clv.findings import Finding, Provenance, finding, within
from clv.format import ATTRIBUTED, unknown

if TYPE_CHECKING:
    from clv.store import Store

Row = Mapping[str, Any]


NEEDED = ("cohort", "age", "earned")  # of the table cohorts


def published(store: Store) -> list[dict[str, Any]]:
    """The channels of a store, a row each; none if they were not published."""
    return _rows(store, "channels")


def _rows(store: Store, name: str) -> list[dict[str, Any]]:
    """A table of the store as rows, a channel without a name as such; none if it is not there."""
    table = store.table(name)
    rows: list[dict[str, Any]] = [] if table is None else table.to_pylist()
    return [row | {"channel": str(row["channel"])} if "channel" in row else row for row in rows]


def findings(rows: Sequence[Row], currency: str) -> tuple[Finding, ...]:
    """Which channel is cheapest, and which is worth most."""
    return within(_findings(rows), currency)


def _findings(rows: Sequence[Row]) -> Iterator[Finding]:
    cost = {row["channel"]: row["cac"] for row in _with_figures(rows, "cac")}
    value = {
        row["channel"]: row["new_customer_value"]
        for row in _with_figures(rows, "new_customer_value")
    }
    if cost:
        yield cheapest_and_best(cost, value)
    else:
        yield finding("acquisition.no_cac")
    if names := losing(rows):
        yield finding("acquisition.losing", channels=names)


def cheapest_and_best(cost: Mapping[str, float], value: Mapping[str, float]) -> Finding:
    """The channel of the cheapest customers and, if values are known, that of the best."""
    cheapest = min(cost, key=lambda name: cost[name])
    if not value:
        return finding("plan.cheapest", channel=cheapest, cac=cost[cheapest])
    best = max(value, key=lambda name: value[name])
    if best == cheapest:
        return finding("plan.cheapest_is_best", channel=best)
    return finding(
        "plan.cheapest_not_best",
        cheapest=cheapest,
        cac=cost[cheapest],
        best=best,
        value=value[best],
    )


def losing(rows: Sequence[Row]) -> list[str]:
    """The channels whose new customers cost more than they are worth."""
    return [row["channel"] for row in _with_figures(rows, "ltv_to_cac") if row["ltv_to_cac"] < 1]


def best_for_cost(rows: Sequence[Row]) -> Row | None:
    """The channel with the greatest value for its cost; None if that is known of none."""
    candidates = _with_figures(rows, "ltv_to_cac", "cac")
    return max(candidates, key=lambda row: float(row["ltv_to_cac"])) if candidates else None


def overall(rows: Sequence[Row]) -> dict[str, float | None]:
    """Paid and blended CAC of channels: over the customers of those with a CAC, and over all.

    >>> overall([{"loaded_spend": 90.0, "new_customers": 3, "cac": 30.0},
    ...          {"loaded_spend": 0.0, "new_customers": 6, "cac": None}])
    {'paid_cac': 30.0, 'blended_cac': 10.0}
    """
    spent = sum(row["loaded_spend"] for row in _with_figures(rows, "loaded_spend"))
    everybody = sum(row["new_customers"] for row in _with_figures(rows, "new_customers"))
    paid = sum(row["new_customers"] for row in _with_figures(rows, "new_customers", "cac"))
    return {
        "paid_cac": spent / paid if paid else None,
        "blended_cac": spent / everybody if everybody else None,
    }


def notes(rows: Sequence[Row]) -> list[Finding]:
    """What the figures rest on."""
    rests = [finding("acquisition.loaded"), *_on_attribution(rows)]
    rests += [finding("acquisition.next_cac_today")] if _with_figures(rows, "marginal_cac") else []
    rests += [finding("acquisition.value")] if _with_figures(rows, "new_customer_value") else []
    rests += value_notes(rows)
    rule = finding("acquisition.rule_of_thumb", ratio=3)
    return rests + ([rule] if _with_figures(rows, "ltv_to_cac") else [])


def _on_attribution(rows: Sequence[Row]) -> Iterator[Finding]:
    paid = _with_figures(rows, "cac")
    if names := [r["channel"] for r in paid if r.get("new_customers_are") == ATTRIBUTED]:
        yield finding("acquisition.as_attributed", channels=names)


def value_notes(rows: Sequence[Row]) -> Iterator[Finding]:
    """What the value rests on of each channel whose own history does not tell it."""
    for row in _with_figures(rows, "new_customer_value"):
        basis = str(row.get("value_basis") or "")
        if basis and basis != "own history":
            note = finding("acquisition.value_from", channel=row["channel"], source=basis)
            yield note.based_on(_chip(basis))


def _chip(basis: str) -> Provenance:
    return "estimated" if "history" in basis else "assumed"


def _with_figures(rows: Sequence[Row], *names: str) -> list[Row]:
    """The rows in which all of these figures are known."""
    return [row for row in rows if not any(unknown(row.get(name)) for name in names)]
