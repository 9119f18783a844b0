"""Tiers and deciles of customers by value: the words that a marketing team plans in."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT
from numpy.typing import ArrayLike, NDArray

from clv.errors import InputError
from clv.schema import (
    Floats,
    as_frame,
    collect,
    column,
    numbers,
    reject_rows,
    require_columns,
    same_kind,
)

# Each tier and the share of customers, best first, at which it ends, in percent.
TIERS = {
    "top 1%": 1,
    "1 to 5%": 5,
    "5 to 10%": 10,
    "10 to 25%": 25,
    "25 to 50%": 50,
    "bottom 50%": 100,
}
DECILES = tuple(range(10, 101, 10))


def with_tiers(scores: IntoFrameT, by: str = "clv") -> IntoFrameT:
    """The table with the columns ``tier`` and ``decile`` (1 is best), rows in order.

    A tier ends at its share of all customers, rounded up, so that the best of a hundred or fewer is
    the top 1%. Customers of equal value are ordered by their id as text: neither the order of rows
    nor the kind of dataframe moves anybody.

    Parameters
    ----------
    scores
        Any dataframe with customer_id and the column ``by``, one row per customer.
    by
        The column to rank by.

    Returns
    -------
    The same kind of frame, in the order of its rows, with ``tier`` (text, from "top 1%" to "bottom
    50%") and ``decile`` (1 to 10).

    Raises
    ------
    ColumnError, RowError, InputError
        A column is missing, an id is missing or repeated, a value is missing or infinite, or there
        are no customers.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "clv": [5.0, 9.0, 5.0, 1.0]})
    >>> with_tiers(scores)
      customer_id  clv        tier  decile
    0           a  5.0   25 to 50%       3
    1           b  9.0      top 1%       1
    2           c  5.0  bottom 50%       6
    3           d  1.0  bottom 50%       8
    """
    frame = as_frame(scores, "the scores")
    require_columns(frame, ("customer_id", by), "the scores")
    rows = frame.collect()
    place = _place(rows, numbers(rows, by, "the scores"), by)
    tier = tiers_of(place).tolist()
    tiered = rows.with_columns(
        column(rows, "tier", tier, nw.String), column(rows, "decile", deciles_of(place), nw.Int64)
    )
    return same_kind(tiered, scores)


def tiers_of(place: ArrayLike) -> NDArray[np.object_]:
    """The tier of each customer by place among all, 0 for the best; shape (n,), names of ``TIERS``.

    The one rule of who is in which tier: ``with_tiers``, exports and the store go by it.

    >>> tiers_of([2, 0, 1]).tolist()
    ['bottom 50%', 'top 1%', '25 to 50%']
    """
    names = np.array(list(TIERS), dtype=object)
    return names[_group(np.asarray(place, dtype=np.int64), tuple(TIERS.values()))]


def deciles_of(place: ArrayLike) -> NDArray[np.int64]:
    """The tenth of all customers, 1 for the best, by place; the same rule as for tiers.

    >>> deciles_of([2, 0, 1]).tolist()
    [7, 1, 4]
    """
    return _group(np.asarray(place, dtype=np.int64), DECILES).astype(np.int64) + 1


def tier_table(scores: IntoFrame, by: str = "clv") -> list[dict[str, Any]]:
    """What each tier holds: one record per tier, best first, those of nobody left away.

    Keys: tier, customers, total, share (of the total; None where the total is not above 0), mean,
    least and most (the range of ``by`` within the tier).

    Raises
    ------
    ColumnError, RowError, InputError
        As ``with_tiers``.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"customer_id": range(200), "clv": [300.0] * 2 + [1.0] * 198})
    >>> first = tier_table(scores)[0]
    >>> first["tier"], first["customers"], round(first["share"], 3), first["least"]
    ('top 1%', 2, 0.752, 300.0)
    """
    rows = collect(scores, ("customer_id", by), "the scores")
    value = numbers(rows, by, "the scores")
    group = _group(_place(rows, value, by), tuple(TIERS.values()))
    total = float(value.sum())
    return [
        _record(name, value[group == number], total)
        for number, name in enumerate(TIERS)
        if (group == number).any()
    ]


def _record(tier: str, value: Floats, total: float) -> dict[str, Any]:
    held = float(value.sum())
    return {
        "tier": tier,
        "customers": len(value),
        "total": held,
        "share": held / total if total > 0 else None,
        "mean": held / len(value),
        "least": float(value.min()),
        "most": float(value.max()),
    }


def _place(rows: nw.DataFrame[Any], value: Floats, by: str) -> NDArray[np.int64]:
    """The place of each row among all, 0 for the best; equals by their id as text."""
    if len(rows) == 0:
        raise InputError("the scores have no customers.", hint="score a summary first.")
    ids = rows["customer_id"]
    columns = {"customer_id": ids.to_numpy(), by: value}
    reject_rows(ids.is_null().to_numpy(), "customer_id is missing", columns)
    reject_rows(~np.isfinite(value), f"{by} is missing or infinite", columns)
    if ids.n_unique() < len(rows):
        reject_rows(ids.is_duplicated().to_numpy(), "customer_id is repeated", columns)
    keyed = rows.select(nw.col("customer_id").cast(nw.String).alias("_id"))
    keyed = keyed.with_columns(column(rows, "_value", value, nw.Float64)).with_row_index("_row")
    ordered = keyed.sort("_value", "_id", descending=[True, False])["_row"].to_numpy()
    place = np.empty(len(rows), dtype=np.int64)
    place[np.asarray(ordered, dtype=np.int64)] = np.arange(len(rows))
    return place


def _group(place: NDArray[np.int64], ends: tuple[int, ...]) -> NDArray[np.intp]:
    """Which group each place falls into; a group ends at its percentage of all, rounded up."""
    last = -(-len(place) * np.array(ends) // 100)
    return np.searchsorted(last, place, side="right")
