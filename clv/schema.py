"""Tables are checked here, once, at the door; whatever comes after trusts its arrays.

A *summary* is a table with one row per customer, in any dataframe that Narwhals knows:

================  ==========================================================================
customer_id       any hashable id (optional for the models)
frequency         x: number of repeat purchases, a whole number >= 0
recency           t_x: age of the customer at the last purchase, 0 when x = 0 (not the time since)
T                 age of the customer at the end of observation
monetary_value    zbar: mean value of the repeat purchases, 0 when x = 0
unit              the time unit of recency and T, the same in every row (optional)
================  ==========================================================================
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrameT
from numpy.typing import ArrayLike, NDArray

from clv.errors import ColumnError, InputError, RowError
from clv.format import count

Floats = NDArray[np.float64]
Frame = nw.LazyFrame[Any]


def as_text(name: Any) -> str:
    """A name as text; of several levels, those that say something.

    >>> as_text(7), as_text(("order", "date")), as_text(("amount", ""))
    ('7', 'order date', 'amount')
    """
    if not isinstance(name, tuple):
        return str(name)
    return " ".join(str(part) for part in name if str(part).strip())


def as_frame(table: object, what: str = "the table") -> Frame:
    """``table`` as a lazy Narwhals frame; ``InputError`` for anything that is not a dataframe."""
    try:
        return nw.from_native(_text_names(table, what)).lazy()  # type: ignore[no-any-return]
    except TypeError as error:
        raise InputError(
            f"{what} {_verb(what, 'is', 'are')} a {type(table).__name__}, not a dataframe.",
            hint="pass a pandas, Polars, PyArrow or DuckDB table.",
        ) from error


def _text_names(table: Any, what: str) -> Any:
    """Two columns of pandas and PyArrow may share a name, and pandas' need not be text."""
    if isinstance(table, nw.DataFrame | nw.LazyFrame):
        return table
    if nw.dependencies.is_pandas_dataframe(table):
        names = [as_text(name) for name in table.columns]
    elif nw.dependencies.is_pyarrow_table(table):
        names = table.column_names
    else:
        return table
    if twice := [repr(name) for name, count in Counter(names).items() if count > 1]:
        raise ColumnError(
            f"several columns of {what} are called {', '.join(twice)}.",
            hint="rename them, or leave all but one out.",
        )
    same = names == list(getattr(table, "column_names", table.columns))
    return table if same else table.set_axis(names, axis=1)


def require_columns(frame: Frame, names: Sequence[str], what: str = "the table") -> None:
    """Raise ``ColumnError`` naming the missing columns and the likeliest meant ones."""
    present = frame.collect_schema().names()
    missing = [name for name in names if name not in present]
    if not missing:
        return
    spare = {name.lower(): name for name in present if name not in names}

    def meant(name: str) -> str:
        inside = [other for other in spare if len(name) > 2 and name.lower() in other]
        close = inside or difflib.get_close_matches(name.lower(), spare, n=1, cutoff=0.5)
        return f"{name} (did you mean {spare[close[0]]!r}?)" if close else name

    raise ColumnError(
        f"{what} {_verb(what, 'has', 'have')} no column {', '.join(map(meant, missing))}.",
        hint=f"rename or map the columns; there are {listed_names(present)}.",
    )


def listed_names(names: Sequence[str], most: int = 30) -> str:
    """Names as a list that can be read, however many there are.

    >>> listed_names(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _verb(what: str, one: str, many: str) -> str:
    """The verb that goes with what is read: the scores have, the table of scores has."""
    noun = what.partition(" of ")[0].removeprefix("the ")
    return many if noun != what and noun.endswith("s") and not noun.startswith("table") else one


def dated(table: object, what: str, *others: str) -> Frame:
    """A table whose ``date`` is read as days; neither it nor ``others`` may be missing in a row.

    Raises
    ------
    ColumnError
        There is no such column, or ``date`` holds no days.
    RowError
        A value is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> dated(pd.DataFrame({"date": ["2024-02-30"]}), "the table of changes")
    Traceback (most recent call last):
    ...
    clv.errors.ColumnError: column 'date' of the table of changes holds String, not calendar days.
    Hint: make it dates first, as in pandas.to_datetime.
    """
    names = ("date", *others)
    require_columns(as_frame(table, what), names, what)
    frame = nw.from_native(_text_names(table, what))
    frame = as_days(settle_objects(frame, {name: name for name in names}).lazy(), "date", what)
    missing = nw.any_horizontal(*(nw.col(name).is_null() for name in names), ignore_nulls=False)
    if len(rows := frame.filter(missing).select(*names).collect()):
        values = {name: rows[name].to_list() for name in names}
        reject_rows(np.ones(len(rows), dtype=bool), f"a value is missing in {what}", values)
    return frame


def as_days(frame: Frame, name: str, what: str) -> Frame:
    """Column ``name`` as days; ``ColumnError`` if it holds something else."""
    dtype = frame.collect_schema()[name]
    if not (dtype == nw.Date or (isinstance(dtype, nw.Datetime) and dtype.time_zone is None)):
        raise ColumnError(
            f"column {name!r} of {what} holds {dtype}, not calendar days.",
            hint="run clean() on the log first; it reads text and time zones."
            if what == "the log"
            else "make it dates first, as in pandas.to_datetime.",
        )
    return frame.with_columns(nw.col(name).cast(nw.Date))


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


def numbers(frame: nw.DataFrame[Any], name: str, what: str = "the table") -> Floats:
    """Column ``name`` as float64, missing values as NaN; ``ColumnError`` if it holds no numbers."""
    column = frame[name]
    if not (column.dtype.is_numeric() or column.dtype == nw.Unknown):
        raise ColumnError(
            f"column {name!r} of {what} holds {column.dtype}, not numbers.",
            hint="convert it to a number, or map another column.",
        )
    return np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64)


YES = ("true", "yes", "y", "t", "ja", "oui", "si", "sí", "treated", "treatment", "1")
NO = ("false", "no", "n", "f", "nein", "non", "control", "0")


def flags(frame: nw.DataFrame[Any], name: str, what: str = "the table") -> Floats:
    """Column ``name`` as 1 and 0, NaN where missing: of numbers, true and false, or yes and no.

    >>> import pandas as pd
    >>> flags(nw.from_native(pd.DataFrame({"treated": ["yes", "No", None]})), "treated")
    array([ 1.,  0., nan])
    """
    column = frame[name]
    if column.dtype.is_numeric():
        return numbers(frame, name, what)
    meaning = dict.fromkeys(YES, 1.0) | dict.fromkeys(NO, 0.0)
    words = [
        "" if absent else str(value).strip().lower().removesuffix(".0")
        for value, absent in zip(column.to_list(), column.is_null().to_list(), strict=True)
    ]
    if unclear := sorted({*words} - {*meaning, ""}):
        raise ColumnError(
            f"column {name!r} of {what} holds {unclear[0]!r}, neither yes nor no.",
            hint="make it true or false, yes or no, or 1 or 0.",
        )
    return np.array([meaning.get(word, np.nan) for word in words])


def collect(
    table: object, names: Sequence[str], what: str = "the table", optional: Sequence[str] = ()
) -> nw.DataFrame[Any]:
    """The columns ``names`` of ``table``, and those of ``optional`` that it has, in memory.

    Whatever reads several columns of one table collects them once: a lazy table may come in
    another row order the next time.

    >>> import pandas as pd
    >>> collect(pd.DataFrame({"a": [1], "b": [2]}), ["a"], "the table", ["c"]).columns
    ['a']
    """
    frame = as_frame(table, what)
    require_columns(frame, names, what)
    present = frame.collect_schema().names()
    return frame.select(*names, *(name for name in optional if name in present)).collect()


def in_one_piece(rows: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """The table, each column of which is read where it is, as often as it is asked for.

    PyArrow has columns in pieces, which are put together anew for each who reads them, and whole
    numbers are made floats: of many millions of rows either counts. Other tables are as they were.

    >>> import pyarrow as pa
    >>> table = pa.table({"n": pa.chunked_array([[1], [2]])})
    >>> in_one_piece(nw.from_native(table, eager_only=True)).to_native()["n"].chunks[0].to_pylist()
    [1.0, 2.0]
    """
    if not rows.implementation.is_pyarrow():
        return rows
    import pyarrow as pa

    table, whole = rows.to_native(), {}
    for name in table.column_names:
        pieces, table = table[name], table.drop_columns([name])  # which goes when it is copied
        floats = pieces.cast(pa.float64()) if pa.types.is_integer(pieces.type) else pieces
        whole[name] = floats.combine_chunks()
        del pieces, floats
    return nw.from_native(pa.table(whole), eager_only=True)


def column(rows: nw.DataFrame[Any], name: str, values: Any, dtype: Any) -> nw.Series[Any]:
    """A column of ``values`` that can join ``rows``, whatever engine holds them; NaN is null."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and np.isnan(values).any():
        values = [None if np.isnan(value) else value for value in values.tolist()]
    return nw.new_series(name, values, dtype, backend=rows.implementation)


def with_arrays(
    rows: nw.DataFrame[Any], arrays: Mapping[str, Floats], **constants: Any
) -> nw.DataFrame[Any]:
    """``rows`` with one column per array and per constant added."""
    series = [column(rows, name, values, nw.Float64) for name, values in arrays.items()]
    same = {name: _repeated(rows, name, value) for name, value in constants.items()}
    return rows.with_columns(*series, **same)


def _repeated(rows: nw.DataFrame[Any], name: str, value: Any) -> Any:
    """The same value in every row; text as an array: a literal takes pandas thrice as long."""
    if not (isinstance(value, str) and rows.implementation.is_pandas()):
        return nw.lit(value, nw.String if value is None else None)
    import pandas as pd

    return column(rows, name, pd.array([value], dtype="str").repeat(len(rows)), nw.String)


def same_kind(rows: nw.DataFrame[Any], like: IntoFrameT) -> IntoFrameT:
    """``rows`` as the kind of table that ``like`` is: pandas, Polars, PyArrow, DuckDB, Spark.

    >>> import polars as pl
    >>> rows = collect(pl.LazyFrame({"a": [1]}), ["a"])
    >>> type(same_kind(rows, pl.LazyFrame())).__name__
    'LazyFrame'
    """
    frame: Any = nw.from_native(like)
    if isinstance(frame, nw.DataFrame):
        native: IntoFrameT = nw.maybe_reset_index(rows).to_native()
        return native
    session = getattr(like, "sparkSession", None)
    lazy: IntoFrameT = rows.lazy(backend=frame.implementation, session=session).to_native()
    return lazy


def reject_rows(
    bad: NDArray[np.bool_], what: str, values: Mapping[str, ArrayLike], *, hint: str | None = None
) -> None:
    """Raise ``RowError`` if any row is ``bad``, with three of them spelt out from ``values``."""
    if not bad.any():
        return
    columns = {name: np.asarray(value) for name, value in values.items()}
    examples = [
        " ".join(f"{name}={column[row]}" for name, column in columns.items())
        for row in np.flatnonzero(bad)[:3]
    ]
    raise RowError.of(what, int(bad.sum()), examples, hint=hint)


# Give back the kind of table that was handed in.


def only_row(frame: Any) -> tuple[Any, ...]:
    """The one row that a query gives.

    DuckDB gives it as it is: to collect it first imports pandas, a sixth of what a check of a few
    orders costs.
    """
    if frame.implementation.is_duckdb():
        row: tuple[Any, ...] = frame.to_native().fetchall()[0]
        return row
    return tuple(frame.lazy().collect().row(0))


def as_given(table: Any, log: IntoFrameT, *order: str) -> IntoFrameT:
    """``table`` as the kind of frame that ``log`` is: queries stay queries, tables are sorted."""
    frame: Any = nw.from_native(cast("Any", log))
    if isinstance(frame, nw.LazyFrame):
        return cast("IntoFrameT", table.to_native())
    if frame.implementation.is_pyarrow():  # it may have been computed by another engine
        result = table.lazy().collect("pyarrow").sort(*order)
    else:
        result = nw.maybe_reset_index(table.lazy().collect().sort(*order))
    native = result.to_native()
    if frame.implementation.is_pandas():
        native = _backed_alike(native, frame.to_native())
    return cast("IntoFrameT", native)


def _backed_alike(table: Any, log: Any) -> Any:
    """Numbers and days in NumPy's types unless the log holds Arrow's.

    Days are computed as Arrow's, which pandas cannot compare with a ``Timestamp``, resample or
    merge with its own.
    """
    import pandas as pd
    import pyarrow as pa

    if any(isinstance(kind, pd.ArrowDtype) for kind in log.dtypes):
        return table
    dates = log.select_dtypes(["datetime", "datetimetz"])
    first = dates.iloc[:0, 0] if len(dates.columns) else pd.Series(pd.to_datetime(["2000-01-01"]))
    unit = first.dt.unit
    to = {"i": "int64", "u": "int64", "f": "float64"}
    plain = {}
    for name, kind in table.dtypes.items():
        if isinstance(kind, pd.ArrowDtype) and pa.types.is_date(kind.pyarrow_dtype):
            plain[name] = pa.array(table[name]).cast(pa.timestamp(unit)).to_pandas()
        elif isinstance(kind, pd.ArrowDtype) and kind.kind in to:
            plain[name] = table[name].astype(to[kind.kind])
    return table.assign(**plain)
