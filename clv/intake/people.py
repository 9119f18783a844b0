"""A list of people, such as opt-outs or contacts, read as orders are: any dialect, ids alike."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any

from clv.errors import ColumnError, InputError
from clv.format import counted
from clv.intake.draft import Draft
from clv.intake.moments import Order, with_moment
from clv.intake.role_cells import whole_id
from clv.intake.settings import settle_dates
from clv.intake.sources import Source, read_source
from clv.intake.vocabulary import candidates, plain, vocabulary
from clv.io.queries import sql_text

if TYPE_CHECKING:
    import pyarrow as pa

ADDRESS = "[^@\\s]+@[^@\\s]+"


def read_people(
    file: str | os.PathLike[str],
    customers: pa.ChunkedArray | None = None,
    *,
    what: str = "the list",
    anyway: bool = False,
) -> pa.Table:
    """The rows of a list of people, with customer_id as the scores have it.

    Parameters
    ----------
    file
        CSV of any dialect, Excel, Parquet, JSON lines; its columns keep their names, but for those
        of the customer, of a date, and of an e-mail address or phone in other words.
    customers
        Who was scored: e-mail addresses are put in lower case where theirs are.
    what
        The list in words, for messages.
    anyway
        Take a list on which none of them is.

    Raises
    ------
    ColumnError, InputError
        It cannot be read, no column names the customer, or none of the customers is on it.
    """
    source = read_source([file])
    names = _names(source, what)
    rows = source.rows
    if "date" in names and source.type_of(names["date"]) == "VARCHAR":
        rows = _with_day(source, names["date"], what)
    cells = {name: source.column(theirs) for name, theirs in names.items()}
    cells |= {"date": "_at::DATE"} if "_at" in rows.columns else {}
    folds = customers is not None and not _has_capitals(customers)
    cells["customer_id"] = _id(cells["customer_id"], folds=folds)
    listed = ", ".join(
        f'{sql} AS "{name.replace(chr(34), chr(34) * 2)}"' for name, sql in cells.items()
    )
    table = rows.order("_file, _row").project(listed).to_arrow_table()
    if customers is not None:
        table = _alike(table, customers)
        _require_met(table, customers, what, anyway=anyway)
    return table


def _names(source: Source, what: str) -> dict[str, str]:
    """Our names to theirs: the words that are looked for, then all other columns as they are."""
    theirs = [name for name in source.names if source.names.count(name) == 1]
    words = vocabulary()["people"]
    ours: dict[str, str] = {}
    for name in ("customer_id", "date", "email", "phone"):
        if name in theirs:
            ours[name] = name
            continue
        free = [t for t in theirs if t not in ours.values()]
        if name in ("customer_id", "date"):
            fits = candidates("customer_id" if name == "customer_id" else "date", free)
            fits = [t for t in fits if not plain(t).endswith("name")]
        else:
            fits = [t for t in free if plain(t) in words[name]]
        if fits:
            ours[name] = fits[0]
    if "customer_id" not in ours:
        raise ColumnError(
            f"{what} has no column customer_id: there are {', '.join(source.names)}.",
            hint="call the column of the customers customer_id.",
        )
    if (
        ours["customer_id"] != "customer_id"
        and "email" not in ours
        and plain(ours["customer_id"]) in words["email"]
    ):
        ours["email"] = ours["customer_id"]  # customers are known by their address
    return ours | {t: t for t in theirs if t not in ours and t not in ours.values()}


def _with_day(source: Source, name: str, what: str) -> Any:
    """The rows with ``_at``, the moment in a column of text."""
    draft = Draft(source, dt.date.today(), {"date": name})
    settle_dates(draft)
    if draft.questions:
        raise InputError(f"{what}: {draft.questions[0].text}", hint="write days as 2024-03-31.")
    rows = source.rows
    order: Order = "mdy" if draft.fields.get("date_order") == "mdy" else "dmy"
    dated = with_moment(rows, source.column(name), order)
    cell = f"trim({source.column(name)})"
    wrong = dated.filter(f"_at IS NULL AND {cell} <> ''").project("_row").limit(3).fetchall()
    if wrong:
        where = ", ".join(str(row) for (row,) in wrong)
        raise InputError(
            f"{what} has dates that cannot be read, as in row {where}.",
            hint="write days as 2024-03-31.",
        )
    return dated


def _id(cell: str, *, folds: bool) -> str:
    text = whole_id(f"nullif(trim({cell}::VARCHAR), '')")
    if not folds:
        return text
    address = f"regexp_full_match({text}, {sql_text(ADDRESS)})"
    return f"CASE WHEN {address} THEN lower({text}) ELSE {text} END"


def _has_capitals(customers: pa.ChunkedArray) -> bool:
    """Whether an e-mail address among the customers has a capital letter."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(customers.type) and not pa.types.is_large_string(customers.type):
        return False
    addresses = customers.filter(pc.match_substring(customers, "@"))
    return bool(pc.any(pc.not_equal(addresses, pc.utf8_lower(addresses))).as_py())


def _alike(table: pa.Table, customers: pa.ChunkedArray) -> pa.Table:
    """The table with ids of the type of the customers' own, where all of them can be."""
    import pyarrow as pa

    try:
        return table.set_column(
            table.column_names.index("customer_id"),
            "customer_id",
            table["customer_id"].cast(customers.type),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return table


def _require_met(table: pa.Table, customers: pa.ChunkedArray, what: str, *, anyway: bool) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = table["customer_id"].cast(pa.string()).drop_null()
    theirs = customers.cast(pa.string()).combine_chunks()
    if anyway or len(ids) == 0 or pc.any(pc.is_in(ids, value_set=theirs)).as_py():
        return
    raise InputError(
        f"none of the {counted(len(ids), 'customer')} of {what} is among those scored: {ids[0]} "
        f"here, {theirs[0]} there.",
        hint="give the list of the same firm, with ids as the orders have them, or say --anyway.",
    )
