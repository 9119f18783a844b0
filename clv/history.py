"""Purchase histories and spend as arrays, read once from a checked table; cells with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike, NDArray

from clv.errors import ColumnError, InputError, RowError, UnitError
from clv.format import count, counted
from clv.periods import Unit, as_unit
from clv.schema import Floats, as_frame, collect, numbers, reject_rows, require_columns

HISTORY = ("frequency", "recency", "T")
ROWS = 65_536  # looked at together


@dataclass(frozen=True)
class History:
    """Purchase histories as arrays of shape (n,): repeat purchases, age at the last one, age."""

    x: Floats
    t_x: Floats
    T: Floats

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def pairs(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """The distinct (x, T), all that counts given alive, and where each row is among them."""
        (x, T), of_row = distinct(self.x, self.T)
        return x, T, of_row

    @cached_property
    def last_pairs(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """The distinct (x, t_x), and where each row is among them."""
        (x, t_x), of_row = distinct(self.x, self.t_x)
        return x, t_x, of_row

    def where(self, rows: NDArray[Any] | slice) -> History:
        """The histories at ``rows`` (indices, a mask or a slice)."""
        return History(self.x[rows], self.t_x[rows], self.T[rows])


@dataclass(frozen=True)
class Cells(History):
    """Distinct histories and how many customers share each: all that a fit needs to see."""

    count: Floats

    @cached_property
    def levels(self) -> Levels:
        """The distinct x, where whatever depends on x alone is computed."""
        return Levels.from_column(self.x, self.count)

    def reweighted(self, weight: Floats) -> Cells:
        """The same cells with other counts; those that count nobody are dropped."""
        rows = weight > 0
        return Cells(self.x[rows], self.t_x[rows], self.T[rows], weight[rows])


@dataclass(frozen=True)
class Levels:
    """The distinct values of a column, the place of each row among them, and their weight."""

    values: Floats
    of_row: NDArray[np.intp]
    weight: Floats

    @classmethod
    def from_column(cls, column: Floats, weight: Floats) -> Levels:
        """Group a column.

        >>> Levels.from_column(np.array([2.0, 0.0, 2.0]), np.ones(3)).weight
        array([1., 2.])
        """
        (values,), of_row = distinct(column)
        return cls(values, of_row, np.bincount(of_row, weight).astype(np.float64))


def distinct(*columns: Floats) -> tuple[list[Floats], NDArray[np.intp]]:
    """The distinct rows of ``columns``, in order, and for each row the index of its distinct one.

    >>> (a, b), of_row = distinct(np.array([2.0, 1.0, 2.0]), np.array([5.0, 5.0, 5.0]))
    >>> a, of_row
    (array([1., 2.]), array([1, 0, 1]))
    """
    key, levels = _row_key(columns)
    of_row, keys = _ranks(key)
    if levels is not None:
        return _read_back(keys, levels), of_row
    row = np.zeros(len(keys), dtype=np.intp)
    row[of_row] = np.arange(len(key))
    return [column[row] for column in columns], of_row


def count_distinct(*columns: Floats) -> tuple[list[Floats], Floats]:
    """The distinct rows of ``columns``, in order, and how many rows each stands for.

    Faster than ``distinct``, as nobody is told where the rows went.

    >>> count_distinct(np.array([2.0, 1.0, 2.0]), np.array([5.0, 5.0, 5.0]))
    ([array([1., 2.]), array([5., 5.])], array([1., 2.]))
    """
    key, levels = _row_key(columns)
    if levels is None:  # too many combinations to be read back from the key
        values, of_row = distinct(*columns)
        return values, np.bincount(of_row).astype(np.float64)
    key, count = np.unique(key, return_counts=True)
    return _read_back(key, levels), count.astype(np.float64)


def _read_back(key: NDArray[np.intp], levels: Sequence[Floats]) -> list[Floats]:
    """The rows that keys of ``_row_key`` stand for, column by column."""
    values = []
    for level in reversed(levels):
        key, rank = np.divmod(key, len(level))
        values.append(level[rank])
    return values[::-1]


def _row_key(columns: Sequence[Floats]) -> tuple[NDArray[np.intp], list[Floats] | None]:
    """One whole number per distinct row, in order, and the levels that it is made of.

    They are None if so many combinations are possible that the key had to be made dense.
    """
    key, size, levels = np.zeros(len(columns[0]), dtype=np.intp), 1, []
    dense = False
    for column in columns:
        rank, values = _ranks(column)
        if size * len(values) >= 2**62:
            key, distinct_keys = _ranks(key)
            size, dense = len(distinct_keys), True
        key, size = key * len(values) + rank, size * len(values)
        levels.append(values)
    return key, None if dense else levels


def _ranks(values: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """The rank of each value among the distinct ones, and those in order."""
    least, most = (values.min(), values.max()) if len(values) else (0, 0)
    # whole numbers close together need no sort
    if len(values) and least > -(2**52) and most < min(least + 4.0 * len(values), 2**52):
        code = values.astype(np.intp)
        if values.dtype.kind == "i" or (code == values).all():
            code = code - int(least)
            present = np.zeros(int(most - least) + 1, dtype=bool)
            present[code] = True
            rank = np.cumsum(present) - 1
            return rank[code], np.flatnonzero(present).astype(values.dtype) + least
    levels, rank = np.unique(values, return_inverse=True)
    return rank, levels


def read_history(X: IntoFrame) -> History:
    """The checked purchase histories of a summary, row by row.

    Raises
    ------
    ColumnError
        A column is missing or not numeric.
    RowError
        A value is missing, negative, not whole, recency is beyond T or looks like the time since
        the last purchase, frequency looks as if it counted the first purchase, or a customer has
        several rows.
    """
    rows = collect(X, HISTORY, "the summary", ("customer_id",))
    _check_ids(rows)
    history = History(*(numbers(rows, name, "the summary") for name in HISTORY))
    _check_history(history, _labels(rows))
    return history


def read_cells(X: IntoFrame, sample_weight: ArrayLike | None = None) -> Cells:
    """The distinct histories of a summary and how many customers share each.

    The likelihood depends on (x, t_x, T) only. An engine that holds the table elsewhere is asked
    for the group-by, so that no customer travels; a table in memory is grouped here.
    """
    if sample_weight is None and isinstance(nw.from_native(X, pass_through=True), nw.LazyFrame):
        history, count = _cells_of_engine(X)
    else:
        history = read_history(X)
        if sample_weight is None:
            (x, t_x, T), total = count_distinct(history.x, history.t_x, history.T)
            return Cells(x, t_x, T, total)
        count = read_weight(sample_weight, len(history))
    (x, t_x, T), cell = distinct(history.x, history.t_x, history.T)
    total = np.bincount(cell, count).astype(np.float64)
    counted = total > 0
    return Cells(x[counted], t_x[counted], T[counted], total[counted])


def _cells_of_engine(X: IntoFrame) -> tuple[History, Floats]:
    frame = as_frame(X, "the summary")
    require_columns(frame, HISTORY, "the summary")
    _check_ids(frame)
    cells = frame.group_by(*HISTORY).agg(_count=nw.len()).collect()
    history = History(*(numbers(cells, name, "the summary") for name in HISTORY))
    try:
        _check_history(history, {})
    except RowError:
        read_history(X)  # the same rules row by row, to name the customers
        raise
    return history, numbers(cells, "_count")


def read_unit(X: IntoFrame) -> Unit | None:
    """The time unit that the summary says it is measured in, or None if it does not say."""
    frame = as_frame(X, "the summary")
    if "unit" not in frame.collect_schema().names():
        return None
    units = _constant(X) or frame.select("unit").unique().collect()["unit"].to_list()
    if len(units) > 1:
        raise UnitError(
            f"the summary mixes the time units {', '.join(sorted(map(str, units)))}.",
            hint="summarize the whole log with one unit.",
        )
    return as_unit(units[0]) if units else None


def _constant(X: IntoFrame) -> list[Any]:
    """The unit of a table in memory that has but one; comparing is faster than grouping."""
    table = nw.from_native(X, pass_through=True)
    if not isinstance(table, nw.DataFrame) or len(table) == 0:
        return []
    unit = table["unit"]
    first = unit[0]
    return [first] if unit.null_count() == 0 and bool((unit == first).all()) else []


def same_unit(expected: Unit | None, actual: Unit | None) -> None:
    """Raise ``UnitError`` when both units are known and differ."""
    if expected is not None and actual is not None and expected != actual:
        raise UnitError(
            f"the model was fitted in {expected}s, the table is in {actual}s.",
            hint=f"summarize the log with unit={expected!r}, or fit a model in {actual}s.",
        )


def require_unit(expected: Unit | None, X: IntoFrame) -> None:
    """Raise ``UnitError`` unless a summary says the time unit that the model was fitted in.

    A daily table looks like a weekly one, so the unit of a model is not enough. Parameters that
    were given without a unit are taken to be in that of the summary.
    """
    actual = read_unit(X)
    same_unit(expected, actual)
    if actual is None and expected is not None:
        raise UnitError(
            f"the summary does not say its time unit, and the model was fitted in {expected}s.",
            hint=f"if recency and T are in {expected}s, add a column unit that says {expected!r}; "
            "summarize() writes it.",
        )


def read_spend(X: IntoFrame) -> tuple[Floats, Floats]:
    """Checked arrays x and zbar of a summary; zbar is 0 where x = 0.

    Raises
    ------
    ColumnError
        A column is missing or not numeric.
    RowError
        A repeat buyer's mean spend is missing, infinite or negative. Zero is what repeat purchases
        brought that cost nothing.
    """
    rows = collect(X, ("frequency", "monetary_value"), "the summary", ("customer_id",))
    _check_ids(rows)
    x, zbar = (numbers(rows, name, "the summary") for name in ("frequency", "monetary_value"))
    columns = {**_labels(rows), "frequency": x, "monetary_value": zbar}
    reject_rows(
        ~(np.isfinite(x) & (x >= 0) & (x == np.floor(x))),
        "frequency is not a whole number of repeat purchases",
        columns,
    )
    reject_rows(
        (x > 0) & ~(np.isfinite(zbar) & (zbar >= 0)),
        "monetary_value of a repeat buyer is missing or negative",
        columns,
        hint="net refunds with clean() before summarize().",
    )
    return x, np.where(x > 0, zbar, 0.0)


def read_weight(sample_weight: ArrayLike | None, rows: int) -> Floats:
    """Checked weights of shape (rows,), ones where none are given."""
    if sample_weight is None:
        return np.ones(rows)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (rows,):
        raise InputError(
            f"sample_weight has shape {weight.shape}, the summary has {count(rows)} rows.",
            hint="give one weight per row.",
        )
    reject_rows(
        ~(np.isfinite(weight) & (weight >= 0)),
        "sample_weight is negative or not finite",
        {"row": np.arange(rows), "sample_weight": weight},
    )
    return weight


def _labels(rows: nw.DataFrame[Any]) -> dict[str, Any]:
    """What to call the rows in a message: by customer where the table names them."""
    if "customer_id" in rows.columns:
        return {"customer_id": rows["customer_id"]}
    return {"row": np.arange(len(rows))}


def _rising(rows: nw.DataFrame[Any]) -> bool:
    """Whether ids are whole numbers, each above the one before: sooner told than by counting."""
    ids = rows["customer_id"]
    if not ids.dtype.is_integer() or ids.null_count():
        return False
    numbered = ids.to_numpy()
    return bool((numbered[1:] > numbered[:-1]).all())


def _check_ids(table: nw.DataFrame[Any] | nw.LazyFrame[Any]) -> None:
    """A customer with several rows would count several times in every total."""
    if "customer_id" not in table.collect_schema().names():
        return
    if isinstance(table, nw.DataFrame) and _rising(table):
        return
    frame = table.lazy()
    try:
        rows, ids = frame.select(nw.len(), _ids=nw.col("customer_id").n_unique()).collect().row(0)
    except TypeError as error:  # lists and the like, which pandas keeps in a column of objects
        raise ColumnError(
            f"the column customer_id holds what is no id: {error}.", hint="give text or numbers."
        ) from error
    if rows == ids:
        return
    copies = frame.group_by("customer_id").agg(_n=nw.len()).filter(nw.col("_n") > 1)
    several = copies.sort("_n", "customer_id", descending=[True, False]).collect()
    examples = [f"customer_id={id_} in {n} rows" for id_, n in several.head(3).iter_rows()]
    raise RowError(
        f"{counted(len(several), 'customer')} {'has' if len(several) == 1 else 'have'} several "
        f"rows in the summary, such as {'; '.join(examples)}.",
        hint="a summary has one row per customer: summarize the whole log at once.",
    )


def _in_order(history: History) -> bool:
    """Whether no row breaks a rule, some rows at a time, which stay in the cache."""
    for first in range(0, len(history), ROWS):
        part = history.where(slice(first, first + ROWS))
        x, t_x, T = part.x, part.t_x, part.T
        possible = (x >= 0) & (x == np.floor(x)) & (t_x >= 0) & (t_x <= T) & np.isfinite(T)
        if not (possible & (x < np.inf) & ((x > 0) == (t_x > 0))).all():
            return False
    return len(history) > 0


def _check_history(history: History, labels: Mapping[str, Any]) -> None:
    if _in_order(history):
        return
    x, t_x, T = history.x, history.t_x, history.T
    columns: dict[str, Any] = {**labels, "frequency": x, "recency": t_x, "T": T}
    if len(x) == 0:
        raise InputError(
            "the summary has no customers.", hint="check the cutoff date and the log before it."
        )
    for what, bad, hint in (
        (
            "frequency, recency or T is missing or infinite",
            ~(np.isfinite(x) & np.isfinite(t_x) & np.isfinite(T)),
            "summarize() never leaves gaps; drop or repair these customers.",
        ),
        (
            "frequency, recency or T is negative",
            (x < 0) | (t_x < 0) | (T < 0),
            "an order after as_of, or a wrong sign; summarize() guards against both.",
        ),
        ("frequency is not a whole number", x != np.floor(x), COUNTS),
        ("recency is above 0 without a repeat purchase", (x == 0) & (t_x > 0), AGE),
        ("recency is beyond T", t_x > T, FROM_FIRST),
        ("frequency is above 0 but recency is 0", (x > 0) & (t_x == 0), REPEAT),
    ):
        reject_rows(bad, what, columns, hint=hint)


COUNTS = "frequency counts repeat purchases; are the columns swapped?"
AGE = (
    "recency is the age at the last purchase, T minus the time since it, and 0 when there was only "
    "one; was the time since the last purchase given?"
)
FROM_FIRST = (
    "both count from the first purchase: recency to the last one, T to the end of observation; "
    "are the columns swapped?"
)
REPEAT = "frequency counts repeat purchases, so one purchase is 0: is the first one counted?"
