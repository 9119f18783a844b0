"""Customers whose rows are their orders: with no order number that comes twice.

Most customers of most logs are such. What they bought is a matter of groups and sums, which the
engine works out for all of them at once; only of the others are lines joined, part by part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from clv.data.parts import held, held_numbers
from clv.io.engine import rows_in_memory

CUSTOMER, ORDER = "_raw_customer_id", "_raw_order_id"
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
RUNS = 0.01  # of the rows, the number of runs above which a column does not count up
HASH, HASHES = "h", 32  # how many hashes take the room of a row that is worked on
SEVERAL = 0.2  # share of order numbers with several rows, from which on it is a log of lines


def apart(lines: Any, names: Mapping[str, str]) -> tuple[Any, Any]:
    """The lines of plain customers and those of all others, each None where there are none.

    Parameters
    ----------
    lines
        Rows that can be used, a Narwhals frame. On other engines than DuckDB, and where most order
        numbers have several rows, all are others.
    names
        Ours of the columns that there are.
    """
    if not lines.implementation.is_duckdb():
        return None, lines
    if "order_id" not in names:
        return lines, None
    rows = lines.to_native()
    if names_rows(rows, ORDER):
        return lines, None
    # as as_orders joins them: a line without a number stands alone, but for its moment
    key = f"{CUSTOMER}, {ORDER}, CASE WHEN {ORDER} IS NULL THEN _at END"
    twice = repeated_hashes(rows, key)
    if not len(twice):
        return lines, None
    if len(twice) > SEVERAL * rows.shape[0]:
        return None, lines
    several = _hashed(lines, key).join(held_numbers(twice, lines), on=HASH, how="semi")
    whose = held(several.select(CUSTOMER).unique(), lines)
    plain, others = (lines.join(whose, on=CUSTOMER, how=how) for how in ("anti", "semi"))
    return plain, others


def on_shared_days(orders: Any) -> Any:
    """The orders whose customer may have another on the day, held; None if they are many.

    Of all others nothing need be put together: to group them takes several times as long as all
    else. ``orders`` is a Narwhals frame of DuckDB's, with customer_id and date.
    """
    key, rows = "customer_id, date", orders.to_native()
    days = repeated_hashes(rows, key)
    if len(days) > SEVERAL * rows.shape[0]:
        return None
    shared = _hashed(orders, key).join(held_numbers(days, orders), on=HASH, how="semi")
    return held(shared.drop(HASH), orders)


def _hashed(rows: Any, key: str) -> Any:
    return nw.from_native(rows.to_native().project(f"*, hash({key}) AS {HASH}"))


def names_rows(rows: Any, column: str) -> bool:
    """Whether a column of whole numbers is known to name each row: none missing, none twice.

    Systems count up, so that a file is one or a few runs in which each number is above the last:
    where no two of them overlap, no number comes twice. Of other columns it is not known.

    >>> import duckdb
    >>> rows = duckdb.sql("SELECT unnest([5, 7, 9, 1, 2]) AS a, unnest([1, 4, 2, 5, 6]) AS b")
    >>> [names_rows(rows, column) for column in rows.columns]
    [True, False]
    """
    if str(rows.project(column).types[0]) not in WHOLE:
        return False
    runs = []
    for batch in rows.project(column).to_arrow_reader():
        if batch.column(0).null_count:
            return False
        values = batch.column(0).to_numpy()
        ends = np.flatnonzero(values[1:] <= values[:-1])
        if len(ends) > 10 + RUNS * len(values):
            return False
        runs.append((values[np.append(0, ends + 1)], values[np.append(ends, -1)]))
    if not runs:
        return False
    first, last = (np.concatenate(part) for part in zip(*runs, strict=True))
    order = np.argsort(first)
    return bool((first[order][1:] > last[order][:-1]).all())


def repeated_hashes(rows: Any, key: str) -> NDArray[Any]:
    """The hashes of a key, in SQL, that several of DuckDB's rows have, in order.

    Where there are more rows than memory is meant for, some of the hashes after the others.
    """
    hashes = rows.project(f"hash({key}) AS {HASH}")
    parts = max(1, -(-rows.shape[0] // (HASHES * rows_in_memory())))
    its = (
        hashes.filter(f"{HASH} % {parts} = {part}") if parts > 1 else hashes
        for part in range(parts)
    )
    return np.concatenate([repeated(part.fetchnumpy()[HASH]) for part in its])


def repeated(values: NDArray[Any]) -> NDArray[Any]:
    """The values that come more than once, in order; sorting them is quicker than counting.

    They are sorted where they are.

    >>> repeated(np.array([3, 1, 3, 2, 1, 3]))
    array([1, 3])
    """
    values.sort()
    return np.unique(values[1:][values[1:] == values[:-1]])
