"""What comes in: scores and a log of any kind, checked, ranked and sorted by the id as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from clv.data.log import read_log
from clv.decide.acquisition.tiers import deciles_of, tiers_of
from clv.decide.scores import TERMS as RUN_TERMS
from clv.decide.scores import Scores
from clv.errors import ColumnError, InputError
from clv.schema import as_frame, collect, numbers, reject_rows, require_columns
from clv.score_columns import STATED
from clv.store.filters import list_filters

if TYPE_CHECKING:
    import pyarrow as pa

MEASURES = ("clv", "expected_purchases", "churn_probability", "value_at_stake", "days_since_last")
TERMS = (*RUN_TERMS, "money", "interval")  # columns that are the same in every row
OWN = ("no", "key", "rank", "tier", "decile", "first_date", "last_date", "cohort")
HISTORIC = ("historic_orders", "historic_revenue")


@dataclass(frozen=True)
class Run:
    """The scores of one run, sorted by the id as text, and what is the same in all of them."""

    customers: pa.Table
    terms: dict[str, Any]


def read_run(scores: object) -> Run:
    """Scores of any kind of table, checked, ranked and sorted.

    Raises
    ------
    ColumnError
        A column is missing, not numeric, or has a name that the store gives itself.
    RowError
        An id is missing or repeated, or a figure is missing or impossible.
    InputError
        There are no scores, or they are of several runs.
    """
    require_figures(scores)
    table = as_arrow(scores, "the scores")
    if taken := sorted({*OWN, *HISTORIC} & set(table.column_names)):
        raise ColumnError(
            f"the scores have a column {taken[0]}, which the store works out.", hint="drop it."
        )
    terms = terms_of(table)
    Scores.read(table, MEASURES)  # checks ids and figures
    return Run(_ranked(table.drop_columns(list(terms))), terms)


def require_figures(scores: object) -> None:
    """Raise what ``read_run`` has against the columns of scores, without a look at the rows."""
    frame = as_frame(scores, "the scores")
    require_columns(frame, ("customer_id", *MEASURES, *STATED), "the scores")
    kinds = frame.select(MEASURES).head(0).collect()
    for name in MEASURES:
        numbers(kinds, name, "the scores")


def terms_of(scores: pa.Table) -> dict[str, Any]:
    """What is the same in all scores of a run, by name; the day as text.

    Raises
    ------
    InputError
        There are no scores, or they are of several runs.
    """
    names = [name for name in TERMS if name in scores.column_names]
    terms = {name: _the_only(scores[name].unique().to_pylist(), name) for name in names}
    return terms | ({"as_of": str(terms["as_of"])[:10]} if "as_of" in terms else {})


def as_arrow(table: object, what: str) -> pa.Table:
    """Any table as plain Arrow columns: no categories, no NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = nw.maybe_reset_index(as_frame(table, what).collect())  # or it becomes a column
    arrow = rows.to_arrow()
    columns = []
    for column in arrow.itercolumns():
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        columns.append(column)
    return pa.table(columns, names=arrow.column_names)


def read_orders(log: object) -> pa.Table:
    """The orders of a clean log: key, date, amount, orders and, where known, margin and product.

    Raises
    ------
    ColumnError, RowError, InputError
        As :func:`clv.data.log.read_log`.
    """
    import pyarrow as pa

    read_log(log)  # checks types and rows
    optional = ("orders", "margin", "channel", "product")
    table = as_arrow(
        collect(log, ("customer_id", "date", "amount"), "the log", optional).to_native(), "the log"
    )
    rest = {name: table[name] for name in optional if name in table.column_names}
    rest.setdefault("orders", pa.array(np.ones(len(table), dtype=np.int64)))
    days = table["date"].cast(pa.date32(), safe=False)  # a time of the day is cut off
    amounts = table["amount"].cast(pa.float64())
    return pa.table({"key": keys_of(table["customer_id"]), "date": days, "amount": amounts, **rest})


def read_given(table: object, name: str) -> pa.Table:
    """A table to be published along; one of customers has their ids as text in ``key``.

    Raises
    ------
    ColumnError
        It is of customers and has a column that the store gives it itself.
    """
    arrow = as_arrow(table, f"the table {name}")
    if "customer_id" not in arrow.column_names:
        return arrow
    if taken := {"no", "key"} & set(arrow.column_names):
        raise ColumnError(
            f"the table {name} has a column {min(taken)}, which the store gives it.",
            hint="drop it.",
        )
    return arrow.append_column("key", keys_of(arrow["customer_id"]))


def _the_only(values: list[Any], name: str) -> Any:
    if len(values) != 1:
        what = "are empty" if not values else f"mix {len(values)} values of {name}"
        raise InputError(f"the scores {what}.", hint="give the scores of one run.")
    return values[0]


def keys_of(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids as text; those that became float on the way, as whole numbers."""
    import pyarrow as pa

    try:
        if pa.types.is_floating(ids.type):
            ids = ids.cast(pa.int64())
        return ids.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ColumnError(
            f"customer_id holds {ids.type}, which is not written as text here.",
            hint="convert it to text or whole numbers.",
        ) from error


def _ranked(scores: pa.Table) -> pa.Table:
    """The scores sorted by key, with no, key, rank, tier and decile; 1 is the best."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = keys_of(scores["customer_id"])
    order = pc.sort_indices(keys)
    table, keys = scores.take(order), keys.take(order).combine_chunks()
    _check_unique(keys)
    n = len(table)
    rank = np.empty(n, dtype=np.int32)
    rank[np.argsort(-np.asarray(table["clv"], dtype=np.float64), kind="stable")] = np.arange(n)
    added = {
        "no": pa.array(np.arange(n, dtype=np.int32)),
        "key": keys,
        "rank": pa.array(rank + 1),
        "tier": pa.array(tiers_of(rank), pa.string()),
        "decile": pa.array(deciles_of(rank).astype(np.int8)),
    }
    return pa.table(added | _filterable(table))


def _filterable(table: pa.Table) -> dict[str, Any]:
    """The columns as filters expect them: lists are text, a missing one has a name, flags flags."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, Any] = {name: table[name] for name in table.column_names}
    if pa.types.is_floating(columns["customer_id"].type):
        columns["customer_id"] = columns["customer_id"].cast(pa.int64())
    for field in list_filters():
        if field.column in columns and field.missing is not None:
            texts = columns[field.column].cast(pa.string())
            columns[field.column] = pc.fill_null(texts, field.missing)
    if "eligible" in columns:
        columns["eligible"] = _flags(columns["eligible"])
    return columns


def _flags(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    try:
        return column.cast(pa.bool_())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ColumnError("column 'eligible' holds other than true and false.") from error


def _check_unique(keys: pa.Array) -> None:
    """Sorted keys: a repeated one follows itself."""
    import pyarrow.compute as pc

    if len(keys) < 2:
        return
    same = np.asarray(pc.equal(keys[1:], keys[:-1]))
    reject_rows(
        np.append(same, False),
        "customer_id is repeated, as text",
        {"customer_id": keys.to_numpy(zero_copy_only=False)},
        hint="give the scores of one run, one row per customer.",
    )
