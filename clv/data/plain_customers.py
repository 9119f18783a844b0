"""Customers whose rows are their orders: with no refund, and no order number that comes twice.

Most customers of most logs are such. What they bought is a matter of groups and sums, which the
engine works out for all of them at once; only of the others need rows be put in order of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np

from clv.data.parts import held

CUSTOMER, ORDER = "_raw_customer_id", "_raw_order_id"
SEVERAL = 0.2  # share of order numbers with several rows, from which on it is a log of lines


def apart(lines: Any, names: Mapping[str, str], *, refunds: bool) -> tuple[Any, Any, bool] | None:
    """The lines of plain customers and those of all others; None where that does not pay.

    Parameters
    ----------
    lines
        Rows that can be used, a Narwhals frame. On other engines than DuckDB nothing is parted.
    names
        Ours of the columns that there are.
    refunds
        Whether there are any.

    Returns
    -------
    The two, and whether a line of the others, too, is an order of its own.
    """
    if not lines.implementation.is_duckdb():
        return None
    rows = lines.to_native()
    rules = ["_amount < 0"] if refunds else []
    single = True
    if "order_id" in names:
        # as as_orders joins them: a line without a number stands alone, but for its moment
        key = f"hash({CUSTOMER}, {ORDER}, CASE WHEN {ORDER} IS NULL THEN _at END)"
        hashes = rows.project(f"{key} AS h").fetchnumpy()["h"]
        twice = repeated(hashes)
        if len(twice) > SEVERAL * len(hashes):
            return None
        if not (single := not len(twice)):
            rules.append(f"list_contains({twice.tolist()}, {key})")
    if not rules:
        return lines, lines.head(0), single
    whose = held(nw.from_native(rows.filter(" OR ".join(rules)).select(CUSTOMER).distinct()), lines)
    plain, others = (lines.join(whose, on=CUSTOMER, how=how) for how in ("anti", "semi"))
    return plain, others, single


def repeated(values: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """The values that come more than once, in order; sorting them is quicker than counting.

    >>> repeated(np.array([3, 1, 3, 2, 1, 3]))
    array([1, 3])
    """
    ordered = np.sort(values)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
