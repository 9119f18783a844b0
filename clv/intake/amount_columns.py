"""Columns beside the amount that change it: an adjusted amount, cents.

What such a column does to an amount is said in a note.
"""

from __future__ import annotations

from clv.findings import finding
from clv.intake.discounts import gross_and_net
from clv.intake.draft import Draft
from clv.intake.numbers import WHOLE
from clv.intake.recipe import OPEN
from clv.intake.vocabulary import candidates, plain, speaks_of_minor_units

ADJUSTED = ("adjusted", "corrected", "revised", "amended", "korrigiert", "angepasst")
AFTER_RETURNS = ("netsales", "netrevenue", "netorder", "nettoumsatz", "ventesnettes", "ventasnetas")
CENTS = 100  # below it whole numbers are hardly amounts in cents


def settle_adjusted(draft: Draft) -> None:
    """A column that has an amount only where it was adjusted: there it takes the other's place."""
    amount = draft.columns.get("amount")
    if "adjusted" in draft.columns or amount in (None, OPEN) or not draft.may_have("adjusted"):
        return
    paid = plain(amount)
    pairs = {each for word in ADJUSTED for each in (word + paid, paid + word)}
    free = draft.free
    fits = [name for name in free if plain(name) in pairs] or candidates("adjusted", free)
    for name in fits:
        share = draft.filled(name)
        if 0 < share < 1 and draft.is_number(name):
            draft.columns["adjusted"] = name
            draft.reasons["adjusted"] = f"in the place of {amount}, where it has an amount"
            rows = round(share * draft.rows)
            draft.notes.append(finding("check.adjusted", column=name, rows=rows, amount=amount))
            return


def settle_included_refund(draft: Draft) -> None:
    """A column of refunds beside an amount that is less them already: it takes nothing off."""
    name, amount = draft.columns.get("refund"), draft.columns.get("amount")
    settled = "format" in draft.fields or "refund" in draft.stated
    if settled or name is None or amount in (None, OPEN):
        return
    if any(word in plain(amount) for word in AFTER_RETURNS) or gross_and_net(draft, name)[0]:
        del draft.columns["refund"]
        draft.reasons["amount"] = f"less {name} already"
        draft.notes.append(finding("check.less_refunds", column=name, amount=amount))


def settle_minor_units(draft: Draft) -> None:
    """Cents, pence and the like, by the name of the column; mentioned where nothing says so."""
    role = "amount" if draft.columns.get("amount") else "price"
    name = draft.columns.get(role)
    if "minor_units" in draft.fields or name in (None, OPEN):
        return
    look = draft.amounts(name) if draft.source.type_of(name) == "VARCHAR" else None
    has_decimals = look is not None and {"decimal_dot", "decimal_comma"} & set(look.shapes)
    if speaks_of_minor_units(name) and not has_decimals:
        draft.fields["minor_units"] = True
        draft.reasons["minor_units"] = f"{name} says so"
        draft.notes.append(finding("check.cents", column=name))
    elif speaks_of_minor_units(name):
        draft.notes.append(finding("check.no_cents", column=name))
    elif draft.columns.get("currency") and not has_decimals and _may_be_cents(draft, name):
        draft.notes.append(finding("check.perhaps_cents", column=name))


def _may_be_cents(draft: Draft, name: str) -> bool:
    """Whether a column holds whole numbers alone, large enough, of a currency that has cents."""
    codes = {cell.upper() for cell in draft.cells(draft.columns["currency"])}
    text = f"trim({draft.source.column(name)}::VARCHAR)"
    filled = draft.source.rows.filter(f"{text} <> ''")
    looks = f"bool_and(regexp_full_match({text}, '-?[0-9]+')), median(abs(try_cast({text} AS INT)))"
    whole, usual = filled.aggregate(looks).fetchall()[0]
    return bool(whole and (usual or 0) >= CENTS and not codes <= WHOLE)
