"""Which column of a log is which: named by the caller, by its own name, or by a common spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clv.errors import ColumnError, InputError

REQUIRED = ("customer_id", "date")
OPTIONAL = ("order_id", "margin", "channel", "product", "quantity", "price")
NAMES = (*REQUIRED, "amount", *OPTIONAL)

# Compared in lower case without spaces and signs. Only spellings that can mean nothing else.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "customer_id": ("customerid", "customer", "custid", "clientid", "userid", "customernumber"),
    "date": (
        *("orderdate", "invoicedate", "purchasedate", "transactiondate", "orderedat"),
        *("datetime", "timestamp", "ts", "createdat", "purchasetimestamp"),
    ),
    "amount": (
        *("total", "ordertotal", "totalamount", "orderamount", "ordervalue", "revenue", "sales"),
        *("value", "monetaryvalue", "dollarvalue", "totalprice"),
    ),
    "order_id": (
        *("orderid", "order", "orderno", "ordernumber", "invoice", "invoiceid", "invoiceno"),
        *("invoicenumber", "transactionid"),
    ),
    "margin": ("contributionmargin",),
    "channel": ("acquisitionchannel", "marketingchannel"),
    "product": ("productid", "sku", "stockcode", "itemid"),
    "quantity": ("qty",),
    "price": ("unitprice",),
}


def find_columns(
    present: Sequence[str], columns: Mapping[str, str | None] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Our names to the log's names, and a note on each column that was recognised, not named.

    Parameters
    ----------
    present
        The column names of the log.
    columns
        Our names to the log's, as far as the caller says them; None keeps a column out.

    Raises
    ------
    ColumnError
        A required column is missing, or several could be meant.

    Examples
    --------
    >>> found, notes = find_columns(["CustomerID", "day", "Total"], {"date": "day"})
    >>> found
    {'customer_id': 'CustomerID', 'date': 'day', 'amount': 'Total'}
    >>> notes[0]
    "column 'CustomerID' was taken as customer_id."
    """
    mapping = dict(columns or {})
    _check_mapping(mapping, present)
    taken = set(mapping.values())
    free = [theirs for theirs in present if theirs not in taken]
    skipped = _not_needed(mapping)
    ours, notes = {}, {}
    for name in NAMES:
        theirs, note = mapping.get(name), ""
        if name not in mapping and name not in skipped:
            theirs, note = (name, "") if name in free else _recognise(name, free)
        if theirs is not None:
            ours[name] = theirs
        if note:
            notes[name] = note
    unused = {"quantity", "price"} if "amount" in ours else set()
    ours = {name: theirs for name, theirs in ours.items() if name not in unused}
    _check_required(ours, present)
    return ours, [note for name, note in notes.items() if name not in unused]


def _check_mapping(mapping: Mapping[str, str | None], present: Sequence[str]) -> None:
    unknown = [name for name in mapping if name not in NAMES]
    if unknown:
        raise InputError(
            f"columns maps {', '.join(map(repr, unknown))}, which clean() does not use.",
            hint=f"map our names to the log's: {', '.join(NAMES)}.",
        )
    absent = [(ours, theirs) for ours, theirs in mapping.items() if theirs not in (None, *present)]
    if absent:
        ours, theirs = absent[0]
        raise ColumnError(
            f"the log has no column {theirs!r}, mapped as {ours}.",
            hint=f"there are {', '.join(present) or 'none'}.",
        )


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


def _recognise(name: str, present: Sequence[str]) -> tuple[str | None, str]:
    spellings = (_plain(name), *SPELLINGS[name])
    matches = [theirs for theirs in present if _plain(theirs) in spellings]
    if len(matches) == 1:
        return matches[0], f"column {matches[0]!r} was taken as {name}."
    if not matches:
        return None, ""
    several = " and ".join(map(repr, matches))
    if name in (*REQUIRED, "amount"):
        raise ColumnError(
            f"{several} could each be {name}.",
            hint=f"say which: columns={{{name!r}: {matches[0]!r}}}.",
        )
    return None, f"{several} could each be {name}: none was used."


def _not_needed(mapping: Mapping[str, str | None]) -> set[str]:
    """Of amount, or quantity and price, what the caller's own choice makes idle."""
    named = {name for name, theirs in mapping.items() if theirs is not None}
    if {"amount", "quantity", "price"} <= named:
        raise InputError(
            "columns maps amount as well as quantity and price.",
            hint="map amount, or quantity and price whose product is the amount.",
        )
    return {"amount"} if {"quantity", "price"} <= named else set()


def _check_required(ours: Mapping[str, str], present: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in ours]
    if "amount" not in ours and not {"quantity", "price"} <= set(ours):
        missing.append("amount")
    if missing:
        mapping = ", ".join(f"{name!r}: ..." for name in missing)
        there = ", ".join(present) or "none"
        raise ColumnError(
            f"the log has no column {', '.join(missing)}.",
            hint=f"say which it is: columns={{{mapping}}}; there are {there}.",
        )
