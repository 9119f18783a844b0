"""What orders have that those that a model learned from had not, where it changes sums.

New columns, and another way to write the same: a decimal comma, the month before the day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from clv.format import counted, listed
from clv.intake.draft import Draft
from clv.intake.proposal import Proposal, propose
from clv.intake.recipe import Recipe
from clv.intake.settings import order_of_dates
from clv.intake.sources import Source

ROLES = (
    *("currency", "status", "cancelled", "kind", "refund", "adjusted", "sign", "counterpart"),
    "discount",
)
LEFT_OUT = {
    "cancelled": ("cancelled_cells",),
    "status": ("leave_out_status", "refunded_status", "pending_status", "unclear_status"),
    "kind": ("refund_kinds", "leave_out_kinds", "unclear_kinds"),
}


def new_columns(
    source: Source, model: Mapping[str, Any], settled: Collection[str]
) -> Iterator[str]:
    """What new columns of orders say that would change sums, in sentences.

    Parameters
    ----------
    source
        The orders.
    model
        The fingerprint of the model's log.
    settled
        Roles whose column is stated, or stated to be none.
    """
    new = {name for name in source.names if name not in model.get("columns", source.names)}
    if not new:
        return
    proposal = propose(source)
    for role in ROLES:
        for name in () if role in settled else proposal.recipe.names(role):
            says = name in new and _says(proposal, source, role, name, str(model["currency"]))
            if says:
                yield f"Its column {name} is new: {says}."
    for note in proposal.notes:
        if note.code == "check.refunds" and note.values["column"] in new:
            yield f"A column is new: {note}"


def _says(proposal: Proposal, source: Source, role: str, name: str, currency: str) -> str:
    """What a column says of orders that were read without it; empty if nothing."""
    if role == "currency":
        codes = {cell.upper() for cell in Draft(source, dt.date.today()).cells(name)}
        return "" if codes <= {currency.upper()} else f"amounts are in {listed(sorted(codes))}"
    if role in LEFT_OUT:
        words = [word for field in LEFT_OUT[role] for word in getattr(proposal.recipe, field)]
        if words or role != "cancelled":  # which a day marks too
            return f"it marks rows as {listed(words[:3])}" if words else ""
    cell = f"trim({source.column(name)}::VARCHAR)"
    ((filled,),) = (
        source.rows.filter(f"regexp_matches({cell}, '[1-9A-Za-z+-]')").aggregate("count(*)")
    ).fetchall()
    return f"it says something in {counted(int(filled), 'row')}, as {role}" if filled else ""


def written_otherwise(source: Source, recipe: Recipe) -> Iterator[str]:
    """What cells say against the decimal mark or the order of dates of a recipe, in sentences."""
    draft = Draft(source, dt.date.today())
    for role in ("amount", "counterpart", "price", "refund"):
        for name in recipe.names(role) if recipe.decimal in (".", ",") else ():
            look = draft.amounts(name) if source.type_of(name) == "VARCHAR" else None
            if look and look.either and look.mark not in (None, "both", recipe.decimal):
                yield f'{name} has "{look.mark}" as its decimal mark, they had "{recipe.decimal}".'
    names = recipe.names("date")
    if recipe.date_format is None and len(names) == 1 and source.type_of(names[0]) == "VARCHAR":
        order = order_of_dates(draft, names[0])
        if order not in (None, recipe.date_order):
            first = {"dmy": "the day", "mdy": "the month"}
            yield (
                f"{names[0]} is written with {first[order]} first, they had "
                f"{first[recipe.date_order]} there."
            )
