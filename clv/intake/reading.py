"""A recipe applied to a source: the order log, and every row that is left out with its reason.

Each row gets the first reason that holds, or none; what is left is customer, moment, amount and
what else is mapped. Refunds of rows become negative amounts, which ``clean`` nets against the
orders they undo.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from clv.data.reading import BLANK
from clv.errors import InputError, RowError
from clv.extras import require_extra
from clv.format import count
from clv.intake.file_paths import PARQUET
from clv.intake.moments import Order, with_moment
from clv.intake.numbers import KRONOR, side_sql, symbol_sql
from clv.intake.recipe import Recipe
from clv.intake.role_cells import filled_sql, text_sql, whole_id
from clv.intake.row_amounts import with_amounts
from clv.intake.row_reasons import DUPLICATE, REPEATED, LeftOut, among, reasons_of
from clv.intake.sources import Source
from clv.io.queries import Query, sql_text

TEXTS = ("order_id", "refund_of", "product", "channel", "currency", "status", "kind")
CARRIED = ("order_id", "product", "channel", "margin")

JUDGED = ("_why", "_row", "_customer", "_at", "_gross", "_amount", "_currency")

CHECK = "clv check shows what each column is read as, and why rows are left out."
OTHER_CURRENCY = (
    "name it by currency in [data], or train a model on these orders (clv init, clv train); "
    "--anyway scores them by a model of another currency."
)


@dataclass(frozen=True)
class OrderLog:
    """An order log as a recipe reads it.

    Attributes
    ----------
    rows
        A DuckDB relation: customer_id, date (timestamp), amount, and of order_id, product,
        channel, margin those that are mapped.
    left_out
        What is not in it, by reason.
    rows_in
        Rows of the files.
    currencies
        Of the rows in it, as far as a column says them.
    """

    rows: Any
    left_out: tuple[LeftOut, ...]
    rows_in: int
    currencies: tuple[str, ...]


def read_orders(
    source: Source,
    recipe: Recipe,
    *,
    today: dt.date | None = None,
    carried: Sequence[str] = CARRIED,
    twins: bool = False,
) -> OrderLog:
    """The order log of a source.

    Parameters
    ----------
    source
        From :func:`clv.intake.sources.read_source`.
    recipe
        How to read it, with nothing undecided.
    today
        What later rows are held against; by default the present day.
    carried
        Roles that the log has beside customer, date and amount, as far as they are mapped.
    twins
        As ``judged`` takes it.

    Raises
    ------
    InputError
        Something is undecided, or a column of the recipe is not in the files.
    RowError
        No row is left.
    """
    if undecided := list(recipe.undecided()):
        raise InputError(
            f"open decisions: {', '.join(undecided)}.",
            hint="clv check shows what each choice would give; edit the lines marked DECIDE.",
        )
    mapped = [f"_{name}" for name in carried if recipe.names(name)]
    held = ["*"] if twins else [*JUDGED, *mapped]  # clv fold reads the table itself
    table = judged(source, recipe, today=today, twins=twins, columns=held)
    left_out, rows_in, currencies = _outcomes(table)
    if rows_in == sum(part.rows for part in left_out):
        reasons = "; ".join(f"{part.reason} ({count(part.rows)})" for part in left_out)
        raise RowError(
            f"no row is left of {count(rows_in)}: {reasons or 'the file has none'}.",
            hint=OTHER_CURRENCY if any("currency" in part.reason for part in left_out) else CHECK,
        )
    used = table.filter("_why IS NULL")
    columns = ["_customer AS customer_id", "_at AS date", "_amount AS amount"]
    columns += [f"{_carried(used, name)} AS {name}" for name in carried if recipe.names(name)]
    return OrderLog(used.project(", ".join(columns)).relation, left_out, rows_in, currencies)


def _carried(used: Any, name: str) -> str:
    """SQL for a column of the log; channels that differ in case alone are one."""
    if name == "channel":
        ways = "count(DISTINCT _channel), count(DISTINCT lower(_channel))"
        ((written, different),) = used.aggregate(ways).fetchall()
        if written > different:
            return "min(_channel) OVER (PARTITION BY lower(_channel))"
    return f"_{name}"


def judged(
    source: Source,
    recipe: Recipe,
    *,
    today: dt.date | None = None,
    twins: bool = False,
    columns: Sequence[str] = ("*",),
) -> Query:
    """Every row of the source, with what the recipe makes of it and why it is left out.

    With ``twins``, rows that are equal in every column have the same ``_twin``, in files to come
    as well. ``columns`` are those to hold, in SQL: a row of all of them takes 280 bytes.

    Returns
    -------
    The rows of a table that is worked out once, or of typed files: _row, _file,
    _customer, _at, _amount (net of what the row says was refunded), _gross, _currency, _status,
    ... and _why, NULL for rows that count.
    """
    _check_zone(recipe.time_zone)
    _check_format(source, recipe.date_format)
    reasons = reasons_of(source, recipe, today or dt.date.today())
    cases = " ".join(f"WHEN {rule} THEN {reason}" for reason, rule in reasons)
    whole_ids = not twins and not recipe.names("refund_of")  # a state holds texts
    rows = _with_values(source, recipe, whole_ids=whole_ids)
    rows = rows.project(f"*, CASE {cases} END AS _why")
    quick = not twins and _soon_read(source, recipe)
    if recipe.rows == "order_on_each_line":
        rows, quick = _first_of_each(rows, REPEATED, "_customer, _order_id, _amount"), False
    cells = [f"c{place}" for place in range(len(source.names))]
    raw = ", ".join(cells)
    if twins:
        texts = ", ".join(f"coalesce({c}::VARCHAR, chr(30)), chr(31)" for c in cells)
        rows = rows.project(f"*, md5_number_lower(concat({texts})) AS _twin")
    if recipe.duplicates == "drop" and not source.all_differ:
        rows, quick = _first_of_each(rows, DUPLICATE, raw), False
    every = ", ".join([f"* EXCLUDE ({raw})"] if "*" in columns else columns)
    query = rows.project(every).text
    if not quick:
        query = rows.order("_file, _row").project(every).text
        source.connection.execute(f"CREATE OR REPLACE TEMP TABLE judged_rows AS {query}")
        query = "FROM judged_rows"
    source.connection.execute(f"CREATE OR REPLACE TEMP VIEW judged AS {query}")
    return Query(source.connection, "FROM judged")


def _soon_read(source: Source, recipe: Recipe) -> bool:
    """Whether rows are sooner read again than held: days and money of typed files."""
    moved = recipe.refund_kinds and recipe.names("refund_of")
    roles = ("date", "amount", "counterpart", "quantity", "price", "refund")
    kinds = [source.type_of(name) for role in roles for name in recipe.names(role)]
    typed = all(file.lower().endswith(PARQUET) for file in source.files)
    return typed and not moved and "VARCHAR" not in kinds


def _check_zone(zone: str | None) -> None:
    if zone is not None and zone not in available_timezones():
        raise InputError(
            f"there is no time_zone {zone!r}.", hint='name a place, as in "Europe/Berlin".'
        )


def _check_format(source: Source, date_format: str | None) -> None:
    require_extra("warehouse", "duckdb")
    import duckdb

    try:
        source.connection.execute("SELECT try_strptime('', ?)", [date_format or "%d"]).fetchall()
    except duckdb.Error as error:
        raise InputError(
            f"date_format {date_format!r} cannot be used: {str(error).splitlines()[0]}.",
            hint="write it as in %d/%m/%Y %H:%M.",
        ) from error


def _outcomes(table: Any) -> tuple[tuple[LeftOut, ...], int, tuple[str, ...]]:
    """In one pass: what is left out and why, the number of rows, currencies of those that count."""
    rows = table.aggregate(
        "_why, count(*), coalesce(sum(_gross) FILTER (_why IS NOT NULL), 0), "
        "min(_row, 3) FILTER (_why IS NOT NULL), "
        "list(DISTINCT _currency ORDER BY _currency) FILTER (_why IS NULL)"
    ).fetchall()
    parts = [LeftOut(why, n, round(sum_, 4), tuple(e)) for why, n, sum_, e, _ in rows if why]
    codes = [code for why, *_, found in rows if not why for code in found or () if code]
    ordered = tuple(sorted(parts, key=lambda part: (-part.rows, part.reason)))
    return ordered, sum(n for _, n, *_ in rows), tuple(codes)


def _first_of_each(rows: Any, reason: str, same: str) -> Any:
    """All but the first row of those that count and are the same, left out for this reason."""
    place = f"row_number() OVER (PARTITION BY {same}, _why ORDER BY _file, _row)"
    ranked = rows.project(f"*, {place} AS _place")
    why = f"CASE WHEN _why IS NULL AND _place > 1 THEN '{reason}' ELSE _why END AS _why"
    return ranked.project(f"* EXCLUDE (_place, _why), {why}")


def _with_values(source: Source, recipe: Recipe, *, whole_ids: bool) -> Any:
    """The rows with _customer, _at, _gross, _amount and the texts of the other roles.

    Order numbers that are whole numbers may stay so, which are sooner compared than texts.
    """
    rows = _with_customer(source, recipe)
    rows = with_time(rows, source, recipe)
    texts = {role: text_sql(source, recipe.names(role)) for role in TEXTS}
    ids = recipe.names("order_id")
    if whole_ids and len(ids) == 1 and "INT" in source.type_of(ids[0]):
        texts["order_id"] = source.column(ids[0])
    if not recipe.names("currency") and (names := recipe.names("amount")):
        cell = source.column(names[0])
        krona = recipe.currency if recipe.currency in KRONOR else "KR"
        of_text = source.type_of(names[0]) == "VARCHAR"
        texts["currency"] = symbol_sql(cell, krona) if of_text else "NULL"
    if recipe.names("sign"):
        texts["sign"] = _sign_sql(source, recipe)
    rows = rows.project("*, " + ", ".join(f"{sql} AS _{role}" for role, sql in texts.items()))
    if recipe.refund_kinds and recipe.names("refund_of"):
        rows = _refunds_to_orders(rows, recipe)
    return with_amounts(rows, source, recipe)


def _sign_sql(source: Source, recipe: Recipe) -> str:
    """SQL for the word for debit or credit: in a column of its own, or behind the amount."""
    names = recipe.names("sign")
    if names and names == recipe.names("amount"):
        return f"({side_sql(f'trim({source.column(names[0])})')})"
    return f"trim({text_sql(source, names, ())}, ' .')"


def _refunds_to_orders(rows: Any, recipe: Recipe) -> Any:
    """Rows of refunds under the order that they undo, and its customer: their sender is the shop.

    A refund whose order is in none of the files keeps its customer.
    """
    moved = f"({among('_kind', recipe.refund_kinds)} AND _refund_of IS NOT NULL)"
    rows = rows.project(
        f"* EXCLUDE (_order_id), {moved} AS _moved, "
        f"CASE WHEN {moved} THEN _refund_of ELSE _order_id END AS _order_id"
    )
    buyer = "any_value(_customer) FILTER (NOT _moved) OVER (PARTITION BY _order_id)"
    customer = f"CASE WHEN _moved THEN coalesce({buyer}, _customer) ELSE _customer END"
    return rows.project(f"* EXCLUDE (_customer, _moved), {customer} AS _customer")


def _with_customer(source: Source, recipe: Recipe) -> Any:
    """The rows with _customer: trimmed, addresses in lower case, whole numbers without .0."""
    names = recipe.names("customer_id")
    if len(names) == 1 and "INT" in source.type_of(names[0]):
        return source.rows.project(f"*, {source.column(names[0])} AS _customer")
    text = text_sql(source, names, recipe.no_customer or BLANK)
    rows = source.rows.project(f"*, {text} AS _customer")
    cell = whole_id("_customer")
    if recipe.fold_emails:
        address = r"regexp_full_match(_customer, '[^@\s]+@[^@\s]+')"
        cell = f"CASE WHEN {address} THEN lower(_customer) ELSE {cell} END"
    return rows.project(f"* REPLACE ({cell} AS _customer)")


def with_time(rows: Any, source: Source, recipe: Recipe) -> Any:
    """The rows with _at, and _dated: what stands in the column of the date."""
    names = recipe.names("date")
    kind = source.type_of(names[0]) if len(names) == 1 else "VARCHAR"
    rows = rows.project(f"*, {filled_sql(source, names)} AS _dated")
    if kind.endswith("WITH TIME ZONE"):
        zone = recipe.time_zone or "UTC"
        return rows.project(f"*, timezone('{zone}', {source.column(names[0])}) AS _at")
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return rows.project(f"*, {source.column(names[0])}::TIMESTAMP AS _at")
    if recipe.date_format is not None:
        return rows.project(f"*, try_strptime(_dated, {sql_text(recipe.date_format)}) AS _at")
    order: Order = "mdy" if recipe.date_order == "mdy" else "dmy"
    return with_moment(rows, "_dated", order, recipe.time_zone)
