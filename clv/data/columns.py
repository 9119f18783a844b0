"""Which column of a log is which: named by the caller, by its own name, or by a common spelling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw

from clv.errors import ColumnError, InputError
from clv.format import count

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


def settle_objects(frame: Any, names: Mapping[str, str]) -> Any:
    """Columns of Python objects (pandas) as the one type they hold; other frames as they are.

    Raises
    ------
    ColumnError
        A column mixes types; the message counts them.
    """
    schema = frame.collect_schema()
    for name, theirs in names.items():
        if schema[theirs] == nw.Object and frame.implementation.is_pandas():
            settled = _settle(frame[theirs].to_native(), name, theirs)
            frame = nw.from_native(frame.to_native().assign(**{theirs: settled}))
    return frame


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


def _settle(values: Any, name: str, theirs: str) -> Any:
    import pandas as pd

    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind.startswith("mixed") and kind != "mixed-integer-float":
        counts = Counter(type(value).__name__ for value in values.dropna())
        if len(counts) > 1:
            spelt = ", ".join(f"{count(n)} {name_of}" for name_of, n in counts.most_common())
            raise ColumnError(
                f"column {theirs!r} ({name}) mixes types: {spelt}.",
                hint=f"convert it to one type first, as in log[{theirs!r}].astype(str).",
            )
        return values  # one kind of object, such as UUID: usable as an id as it is
    if kind in ("date", "datetime"):
        return _as_times(values, name, theirs)
    if kind == "decimal":
        return values.astype(float)
    return values.convert_dtypes()


def _as_times(values: Any, name: str, theirs: str) -> Any:
    """Times as one type; those with offsets of their own in UTC, as no other is all of theirs."""
    import pandas as pd

    aware = values.dropna().map(lambda time: getattr(time, "tzinfo", None) is not None)
    if aware.any() and not aware.all():
        raise ColumnError(
            f"column {theirs!r} ({name}) mixes {count(aware.sum())} times with a time zone and "
            f"{count((~aware).sum())} without.",
            hint="say which zone the others are in, as in time.replace(tzinfo=...).",
        )
    return pd.to_datetime(values, utc=bool(aware.any()))
