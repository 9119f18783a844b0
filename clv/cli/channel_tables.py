"""What ``clv channels`` shows: what each channel costs and brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clv.app.channel_findings import findings, value_notes
from clv.cli.screen import Formats, Screen, above, table
from clv.format import money, percent, whole_number

if TYPE_CHECKING:
    from rich.text import Text

    from clv.app.channels import ChannelFigures

COSTS = {
    "channel": "channel",
    "loaded_spend": "spend",
    "new_customers": "customers",
    "cac": "CAC",
    "marginal_cac": "next CAC",
}
WORTH = {
    "channel": "channel",
    "new_customer_value": "LTV",
    "ltv_to_cac": "LTV:CAC",
    "payback": "payback",
    "own_share": "own history",
}
SEGMENTS = {
    "segment": "segment",
    "new_customers": "customers",
    "paid_customers": "paid for",
    "loaded_spend": "spend",
    "paid_cac": "paid CAC",
    "blended_cac": "blended CAC",
}


def show_channels(screen: Screen, found: ChannelFigures) -> None:
    """What each channel costs and is worth, figures above their dimmed 90% intervals."""
    rows = found.table.to_pylist()
    printed = [_with_intervals(row) for row in rows]
    screen.title("What a new customer costs by channel")
    costs = {k: v for k, v in COSTS.items() if k in found.table.column_names}
    whole: Formats = dict.fromkeys(("loaded_spend", "new_customers"), whole_number)
    screen.show(table(printed, costs, whole, left=["channel"]))
    if found.terms:
        screen.title("What a new customer is worth")
        first = rows[0]
        worth = WORTH | {
            "ltv_to_cac": f"LTV:CAC, {first['horizon']}",
            "payback": f"payback, {first['payback_unit']}s",
        }
        screen.show(table(printed, worth, {"own_share": percent}, left=["channel"]))
    if found.segments is not None:
        screen.title("By segment")
        segments = [
            row | {"paid_cac": _ranged(row, "paid_cac", money)}
            for row in found.segments.to_pylist()
        ]
        whole = {**whole, "paid_customers": whole_number}
        screen.show(table(segments, SEGMENTS, whole, left=["segment"]))
    totals = [
        f"{name} CAC {money(cac, found.currency)}: fully loaded spend over {over}."
        for name, cac, over in (
            ("Paid", found.paid_cac, "the customers of channels with spend"),
            ("Blended", found.blended_cac, "all new customers"),
        )
        if cac is not None
    ]
    terms = [] if not found.terms else [f"LTV is the value of a NEW customer, in {found.terms}."]
    says = findings(rows, found.currency) if found.terms else ()
    screen.points([*totals, *terms, *says, *value_notes(rows), *found.base, *found.notes])


def _with_intervals(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose figures stand above their 90% intervals, as far as it has these."""
    cells = dict(row)
    for name in ("cac", "marginal_cac", "new_customer_value"):
        if name in row:
            cells[name] = _ranged(row, name, money)
    if "payback" in row:
        cells["payback"] = _ranged(row, "payback", whole_number)
    return cells


def _ranged(row: dict[str, Any], name: str, written: Callable[[float], str]) -> Text:
    """A figure above its interval; an end that is not reached or not known is left open."""
    from clv.app.outlook import short

    value, low, high = (row.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    ends = ["" if end is None or end != end else short(end) for end in (low, high)]
    text = "–" if value is None or value != value else written(value)
    return above(text, "–".join(ends) if any(ends) else "")
