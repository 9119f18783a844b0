"""Lines of orders, read by the intake's looks: a row is one item of one order of one customer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from clv.data.days import Day, as_day
from clv.errors import InputError, RowError
from clv.format import counted
from clv.intake.proposal import propose
from clv.intake.reading import CARRIED, read_orders
from clv.intake.recipe import Columns, Recipe
from clv.intake.role_cells import text_sql
from clv.intake.row_reasons import FUTURE, LeftOut
from clv.intake.sources import Source, table_source
from clv.intake.vocabulary import plain, vocabulary
from clv.notebook import InNotebook
from clv.schema import Floats

Codes = NDArray[np.integer]
Flags = NDArray[np.bool_]
EPOCH = dt.date(1970, 1, 1)
OURS = ("customer_id", "item", "date", "quantity", "amount", "order_id")
ALIKE = 0.95  # of the items' codes begin with a digit: those that do not are fees and the like
NO_ITEM = "item is missing"
NO_MONEY = "no money: given away, or a correction of stock"
NO_PRODUCT = "no product but a fee, postage or a correction"


class Lines(NamedTuple):
    """Lines as arrays of shape (lines,), by customer, item, day and order.

    ``customer``, ``item`` and ``order`` are places in the lists of ``OrderLines``; ``day`` counts
    from 1970-01-01; ``units`` and ``amount`` are negative for returns, ``margin`` is NaN where
    nothing says it.
    """

    customer: Codes
    item: Codes
    day: Codes
    order: Codes
    units: Floats
    amount: Floats
    margin: Floats

    def where(self, rows: Any) -> Lines:
        """The lines that are chosen."""
        return Lines(*(column[rows] for column in self))

    def first_of(self, *names: str) -> Flags:
        """Which lines are the first with their values of columns that they are sorted by."""
        first = np.zeros(len(self.day), dtype=bool)
        first[:1] = True
        for name in names:
            column = getattr(self, name)
            first[1:] |= column[1:] != column[:-1]
        return first


@dataclass(frozen=True)
class OrderLines(InNotebook):
    """Lines of orders.

    Attributes
    ----------
    customers
        Their ids, shape (customers,), sorted.
    items
        A row each: item, and name and category where the table has them.
    lines
        The lines, returns among them.
    as_of
        The last day that they know of.
    currency
        Of the amounts; "" if nothing says it.
    rows_in, left_out
        Rows of the table, and those that are not used, by reason.

    Examples
    --------
    >>> import clv
    >>> order_lines: OrderLines = read_order_lines(clv.simulate_order_lines(customers=5).lines)
    >>> len(order_lines.customers), order_lines.as_of
    (5, datetime.date(2023, 12, 11))
    """

    customers: NDArray[Any]
    items: pd.DataFrame
    lines: Lines
    as_of: dt.date
    currency: str
    rows_in: int
    left_out: tuple[LeftOut, ...]

    @property
    def names(self) -> NDArray[Any]:
        """What the items are called; shape (items,)."""
        names = self.items["name"].where(self.items["name"].notna(), self.items["item"])
        return names.to_numpy(dtype=object)

    @property
    def customer_ids(self) -> pa.ChunkedArray:
        """The ids as a column of PyArrow's."""
        return pa.chunked_array([pa.array(self.customers)])

    def __str__(self) -> str:
        used = counted(len(self.lines.day), "line")
        who = f"{counted(len(self.customers), 'customer')}, {counted(len(self.items), 'item')}"
        out = [f"  {counted(part.rows, 'row')}: {part.reason}" for part in self.left_out]
        return "\n".join([f"{used} up to {self.as_of}: {who}", *out])


def read_order_lines(
    table: object,
    *,
    as_of: Day | None = None,
    recipe: Recipe | None = None,
    no_products: Sequence[str] = (),
    **stated: Any,
) -> OrderLines:
    """Read lines of orders.

    Parameters
    ----------
    table
        A file, several, or any dataframe: customer_id, item, date, quantity, amount and order_id,
        or the names that shops give them; name and category of the item, and margin (contribution
        in money, per line), if it has them. Returns are negative.
    as_of
        The last day to take in.
    recipe
        How files are read; proposed from the table if not given.
    no_products
        Codes that are no products beside those that are recognised, such as a deposit.
    stated
        Fields of the recipe that are decided otherwise.

    Returns
    -------
    OrderLines
        Every row is in use, or left out with a reason.

    Raises
    ------
    InputError
        A column is missing, or can be read in two ways.
    RowError
        No row is left.

    Examples
    --------
    >>> rows = pd.DataFrame({"customer_id": ["ann", "bob"], "item": ["tea", "POST"],
    ...                      "date": ["2024-01-15", "2024-02-01"], "quantity": [1, 1],
    ...                      "amount": [4.5, 3.0], "order_id": [1, 2]})
    >>> print(read_order_lines(rows))
    1 line up to 2024-01-15: 1 customer, 1 item
      1 row: no product but a fee, postage or a correction (POST)
    """
    source = table_source(table, "the order lines")
    if as_of is not None:
        stated["as_of"] = as_day(as_of, "as_of")
    settled = _recipe(source, recipe, {k: v for k, v in stated.items() if v})
    log = read_orders(source, settled, carried=(*CARRIED, "quantity"))
    _check_future(log.left_out)
    rows = log.rows.to_arrow_table()
    if "product" not in rows.column_names:
        raise InputError(
            "no column says which item a line is of.",
            hint="name it by -c product=COLUMN; offers need one row per item of an order.",
        )
    customers, customer = _coded(rows["customer_id"])
    codes, item = _coded(rows["product"])
    table_of_items = _item_table(source, settled, codes)
    rows, rows_in, left_out = (
        rows.drop_columns(["customer_id", "product"]),
        log.rows_in,
        log.left_out,
    )
    currency = settled.currency or (log.currencies[0] if log.currencies else "")
    del log, source  # which hold the texts of all lines
    lines, items, without = _products(_lines(rows, customer, item), table_of_items, no_products)
    if not len(lines.day):
        raise RowError("no line of a product is left.", hint="see which codes were set apart.")
    last = EPOCH + dt.timedelta(days=int(lines.day.max()))
    used = np.unique(lines.customer)
    renumbered = np.searchsorted(used, lines.customer).astype(np.int32)
    return OrderLines(
        customers[used],
        items,
        lines._replace(customer=renumbered),
        settled.as_of or last,
        currency,
        rows_in,
        (*left_out, *without),
    )


def _recipe(source: Source, recipe: Recipe | None, stated: Mapping[str, Any]) -> Recipe:
    """How the table is read: as said, by our own names and types, or as its looks propose."""
    if "columns" in stated:  # our own name of the column, too
        named = {"product" if k == "item" else k: v for k, v in stated["columns"].items()}
        stated = {**stated, "columns": named}
    columns = {"product" if ours == "item" else ours: ours for ours in OURS}
    more = {name: name for name in ("margin",) if name in source.names}
    typed = set(OURS) <= set(source.names) and all(
        source.type_of(name) != "VARCHAR" for name in ("date", "quantity", "amount")
    )
    if typed and recipe is None and "columns" not in stated:
        return Recipe(columns=Columns(**{**columns, **more}), rows="lines", **stated)
    fields_stated = {} if recipe is None else recipe.model_dump(exclude_unset=True)
    fields_stated = {"rows": "lines", "duplicates": "keep", **fields_stated, **stated}
    if "columns" in stated and recipe is not None:
        fields_stated["columns"] = {
            **recipe.columns.model_dump(exclude_none=True),
            **stated["columns"],
        }
    proposal = propose(source, stated=fields_stated, described=recipe is not None)
    if proposal.questions:
        first = proposal.questions[0]
        raise InputError(
            f"{counted(len(proposal.questions), 'decision')} needed first. {first.text}",
            hint=first.hint,
        )
    return proposal.recipe


def _check_future(left_out: Sequence[LeftOut]) -> None:
    for part in left_out:
        if part.reason == FUTURE:
            rows = ", ".join(map(str, part.examples))
            raise RowError(
                f"{counted(part.rows, 'row')} dated after today, as row {rows}.",
                hint="say up to which day is to be read: --as-of.",
            )


def _coded(column: Any) -> tuple[NDArray[Any], Codes]:
    """The values of a column, sorted, and for each row the place of its own; -1 where missing."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_numpy(zero_copy_only=False)
    order = np.argsort(values, kind="stable")
    places = np.empty(len(order) + 1, dtype=np.int32)
    places[order], places[-1] = np.arange(len(order)), -1
    return values[order], places[encoded.indices.fill_null(len(order)).to_numpy()]


def _lines(rows: Any, customer: Codes, item: Codes) -> Lines:
    """The rows as arrays, in order of customer, item, day and order."""

    def numbers(name: str) -> Floats:
        if name not in rows.column_names:
            return np.full(len(rows), np.nan)
        return np.asarray(rows[name].to_numpy(), dtype=np.float64)

    day = rows["date"].to_numpy().astype("datetime64[D]").astype(np.int32)
    ids, order = (
        _coded(rows["order_id"]) if "order_id" in rows.column_names else ((), day - day - 1)
    )
    # lines without a number: all of a customer's day are one order
    within = np.where(order < 0, len(ids) + day.astype(np.int64) - day.min(), order)
    key = customer.astype(np.int64) * (int(within.max()) + 1) + within
    number = _ranked(key).astype(np.int32)
    units, amount = numbers("quantity"), numbers("amount")
    lines = Lines(customer, item, day, number, units, amount, numbers("margin"))
    pair = customer.astype(np.int64) * (int(item.max()) + 2) + item
    return lines.where(_in_order(pair, day.astype(np.int64) << 32 | number, amount))


def _in_order(pair: NDArray[np.int64], when: NDArray[np.int64], amount: Floats) -> NDArray[np.intp]:
    """The rows by pair, time and amount; most pairs have one, which a plain sort puts in place."""
    order = np.argsort(pair)
    same = np.diff(pair[order]) == 0
    tied = np.append(same, False) | np.append(False, same)[: len(order)]
    rows = np.sort(order[tied])
    order[tied] = rows[np.lexsort((amount[rows], when[rows], pair[rows]))]
    return order


def _ranked(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each value among the different ones.

    >>> _ranked(np.array([7, 7, 9, 3]))
    array([1, 1, 2, 0])
    """
    order = np.argsort(values)
    ordered = values[order]
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.cumsum(np.append(False, ordered[1:] != ordered[:-1])[: len(values)])
    return rank


def _item_table(source: Source, recipe: Recipe, items: NDArray[Any]) -> pd.DataFrame:
    """Name and category of each item, as most of its rows have it."""
    table = pd.DataFrame({"item": items, "name": None, "category": None}, dtype=object)
    used = {name for role in Columns.model_fields for name in recipe.names(role)}
    spelled = {plain(name): name for name in source.names if name not in used}
    words = vocabulary()["products"]
    theirs = {
        column: next((spelled[word] for word in words[column] if word in spelled), None)
        for column in ("name", "category")
    }
    cells = [*recipe.names("product"), *filter(None, theirs.values())]
    plainly = ", ".join(dict.fromkeys(map(source.column, cells)))
    few = source.rows.aggregate(f"{plainly}, count(*) AS n").materialize()  # texts take time
    item = text_sql(source, recipe.names("product"))
    for column, name in theirs.items():
        if name is None:
            continue
        most = few.project(f"{item} AS item, {text_sql(source, [name])} AS cell, n")
        most = most.filter("item IS NOT NULL AND cell IS NOT NULL")
        counts = most.aggregate("item, cell, sum(n)::BIGINT AS n").df()
        counts = counts.sort_values(["n", "cell"], ascending=[False, True])
        first = counts.drop_duplicates("item").set_index("item")["cell"]
        table[column] = table["item"].astype(str).map(first).astype(object)
    return table


def _products(
    lines: Lines, items: pd.DataFrame, no_products: Sequence[str]
) -> tuple[Lines, pd.DataFrame, list[LeftOut]]:
    """The lines of products that brought or gave back money, and what was set apart."""
    apart = _no_products(items, {plain(code) for code in no_products})
    missing = lines.item < 0
    fee = ~missing & apart[lines.item]
    free = ~missing & ~fee & (np.abs(lines.amount) < 0.00005)
    codes = items["item"].to_numpy()[np.unique(lines.item[fee])]
    listed = ", ".join(map(str, codes[:8])) + (", ..." if len(codes) > 8 else "")
    reasons = {NO_ITEM: missing, f"{NO_PRODUCT} ({listed})": fee, NO_MONEY: free}
    out = [
        LeftOut(why, int(rows.sum()), round(float(lines.amount[rows].sum()), 4), ())
        for why, rows in reasons.items()
        if rows.any()
    ]
    lines = lines.where(~(missing | fee | free))
    used = np.unique(lines.item)
    lines = lines._replace(item=np.searchsorted(used, lines.item).astype(np.int32))
    return lines, items.iloc[used].reset_index(drop=True), out


def _no_products(items: pd.DataFrame, stated: set[str]) -> Flags:
    """Which codes are no products: by their words, and where nearly all others are numbers."""
    words = {*vocabulary()["products"]["none"], *stated}
    codes = items["item"].astype(str)
    by_word = codes.map(lambda code: plain(code) in words)
    by_word |= items["name"].map(lambda name: isinstance(name, str) and plain(name) in words)
    digit = codes.str.match(r"\d")
    unlike = ~digit if len(codes) and digit.mean() >= ALIKE else np.zeros(len(codes), dtype=bool)
    return np.asarray(by_word | unlike, dtype=bool)
