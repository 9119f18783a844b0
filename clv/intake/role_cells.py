"""Cells of the columns that a recipe names by role: text, numbers and days as SQL of the engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from clv.data.reading import BLANK as NOTHING
from clv.errors import InputError
from clv.intake.moments import Order, look_at_moments, order_by_rows, with_moment
from clv.intake.numbers import Mark, amount_sql, look_at_amounts
from clv.intake.recipe import Recipe
from clv.intake.sources import Source
from clv.io.queries import sql_text

BLANK = (*NOTHING, "-")  # cells in which nothing stands
NO_DATE = (*BLANK, "0", "0000-00-00", "0000-00-00 00:00:00")  # as WooCommerce and MySQL write it
WHOLE_ID = r"-?[0-9]+\.0+"
ISO = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?Z?"


# Types whose text is never blank, nor one of the words for nothing.
NEVER_BLANK = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT"),
    *("UINTEGER", "UBIGINT", "UHUGEINT", "DECIMAL", "DATE", "TIMESTAMP", "BOOLEAN"),
)
CUSTOMERS = ("customer_id", "referrer_id", "referred_id")


def whole_id(text: str) -> str:
    """SQL for an id: spreadsheets and dataframes write 38 as 38.0, which is one customer.

    >>> import duckdb
    >>> [duckdb.execute(f"SELECT {whole_id('$1')}", [t]).fetchall()[0][0]
    ...  for t in ("38.0", "38.00", "0038", "v1.0", "38.5")]
    ['38', '38', '0038', 'v1.0', '38.5']
    """
    written = f"(suffix({text}, '.0') OR suffix({text}, '.00'))"
    whole = f"{written} AND regexp_full_match({text}, '{WHOLE_ID}')"
    return f"CASE WHEN {whole} THEN split_part({text}, '.', 1) ELSE {text} END"


class Written(Protocol):
    """How a table is written: ours = theirs, and what its text cannot say of itself."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Ours = theirs."""

    @property
    def date_order(self) -> Order | None:
        """Day or month first, where stated."""

    @property
    def decimal(self) -> Mark | None:
        """The decimal mark, where stated."""


def text_of(source: Source, recipe: Written, role: str, blank: Sequence[str] = BLANK) -> str:
    """SQL for the text of a role's column; NULL where nothing stands."""
    if role not in recipe.columns:
        return "NULL::VARCHAR"
    text = filled_text(source, recipe.columns[role], blank)
    return whole_id(text) if role in CUSTOMERS else text


def filled_text(source: Source, name: str, blanks: Sequence[str] = BLANK) -> str:
    """SQL for the text of a column; NULL where nothing stands."""
    cell = f"trim({source.column(name)}::VARCHAR)"
    blank = ", ".join(f"'{word}'" for word in blanks)
    return f"CASE WHEN list_position([{blank}], lower({cell})) IS NULL THEN {cell} END"


def number_of(source: Source, recipe: Written, role: str) -> str:
    """SQL for the number in a role's column; NULL where there is none.

    Raises
    ------
    InputError
        The column does not settle its decimal mark, and nobody stated it.
    """
    if role not in recipe.columns:
        return "NULL::DOUBLE"
    name = recipe.columns[role]
    column = source.column(name)
    if source.type_of(name) != "VARCHAR":
        return f"{column}::DOUBLE"
    mark = recipe.decimal or look_at_amounts(source.rows, column).mark
    if mark is None:
        raise InputError(
            f"which sign is the decimal mark in {name!r} is not settled by its cells.",
            hint='state it: decimal="." or decimal=",".',
        )
    return amount_sql(column, mark)


def with_day(rows: Any, source: Source, recipe: Written, role: str) -> Any:
    """``rows`` with the day of a role under the role's name; NULL where there is none.

    Raises
    ------
    InputError
        Whether day or month is first is not settled, and nobody stated it.
    """
    if role not in recipe.columns:
        return rows.project(f"*, NULL::DATE AS {role}_day")
    timed = with_moment_of(rows, source, recipe, recipe.columns[role])
    return timed.project(f"* EXCLUDE _at, _at::DATE AS {role}_day")


def with_moment_of(rows: Any, source: Source, recipe: Written, name: str) -> Any:
    """``rows`` with the moment in a column, as ``_at``; NULL where there is none.

    Raises
    ------
    InputError
        Whether day or month is first is not settled, and nobody stated it.
    """
    column, kind = source.column(name), source.type_of(name)
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return rows.project(f"*, {column}::TIMESTAMP AS _at")
    text = filled_text(source, name, NO_DATE)
    other = f"regexp_full_match({text}, '{ISO}') AND try_cast({text} AS TIMESTAMP) IS NOT NULL"
    if not source.rows.filter(f"NOT ({other})").limit(1).fetchall():
        return rows.project(f"*, ({text})::TIMESTAMP AS _at")
    order = recipe.date_order or _order(source, name, text)
    return with_moment(rows.project(f"*, {text} AS _cell"), "_cell", order).project(
        "* EXCLUDE _cell"
    )


def _order(source: Source, name: str, text: str) -> Order:
    look = look_at_moments(source.rows, text)
    order = look.order
    if order is None:
        rows = source.rows.project(f"_row, {text} AS _cell").filter("_cell <> ''")
        order = order_by_rows(rows, "_cell", dt.date.today())
    if order is None:
        raise InputError(
            f"whether {look.examples.get('numeric')} in {name!r} has the day or the month first "
            "is not settled.",
            hint='state it: date_order="dmy" or date_order="mdy".',
        )
    return order


def cases(values: Mapping[str, Any], cell: str, otherwise: str = "NULL") -> str:
    """SQL that turns each text into its value.

    >>> cases({"a": 1}, "c")
    "CASE c WHEN 'a' THEN 1 ELSE NULL END"
    """
    if not values:
        return otherwise
    listed = " ".join(f"WHEN {sql_text(text)} THEN {value}" for text, value in values.items())
    return f"CASE {cell} {listed} ELSE {otherwise} END"


def text_sql(source: Source, names: Sequence[str], blanks: Sequence[str] = NOTHING) -> str:
    """SQL for the text of columns, put together with a blank; NULL where nothing stands."""
    if len(names) == 1 and source.type_of(names[0]).startswith(NEVER_BLANK):
        return f"{source.column(names[0])}::VARCHAR"
    cells = [f"trim({source.column(name)}::VARCHAR)" for name in names]
    if not cells:
        return "NULL::VARCHAR"
    joined = cells[0] if len(cells) == 1 else f"concat_ws(' ', {', '.join(cells)})"
    blank = ", ".join(f"'{word}'" for word in ("", *blanks))
    # by its place: the engine makes a join of list_contains as of IN, for rows not asked about too
    return f"CASE WHEN list_position([{blank}], lower({joined})) IS NULL THEN {joined} END"


def filled_sql(source: Source, names: Sequence[str]) -> str:
    """SQL for what stands in columns, NULL where nothing does: its text, or a typed value."""
    if len(names) == 1 and source.type_of(names[0]).startswith(NEVER_BLANK):
        return source.column(names[0])
    return text_sql(source, names)


def stated_sql(source: Source, names: Sequence[str]) -> str:
    """SQL for what stands where an amount should: NULL where nothing does; floats stay floats."""
    if len(names) == 1 and source.type_of(names[0]) in ("DOUBLE", "FLOAT"):
        cell = source.column(names[0])
        return f"CASE WHEN NOT isnan({cell}) THEN {cell} END"
    return filled_sql(source, names)


def number_sql(source: Source, recipe: Recipe, role: str) -> str:
    """SQL for the number in the column of a role; NULL where it has none."""
    names = recipe.names(role)
    if not names:
        return "NULL::DOUBLE"
    if source.type_of(names[0]) != "VARCHAR":
        return f"{source.column(names[0])}::DOUBLE"
    mark: Mark = "." if recipe.decimal == "?" else recipe.decimal
    cell = source.column(names[0])
    return amount_sql(f"replace({cell}, '%', '')" if role == "discount" else cell, mark)
