"""Contracts as a fit sees them: counts of customers by ages at entry and exit, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike, NDArray

from clv.history import Levels, distinct, read_weight
from clv.schema import Floats, collect, numbers, reject_rows

COLUMNS = ("entered", "periods", "churned", "customers")
WHAT = "the table of contracts"
OLDEST = 100_000  # billing periods: beyond, the column is no age


@dataclass(frozen=True)
class ContractCells:
    """Distinct (entered, periods, churned) and how many customers share each, shape (n,).

    ``read_as_flag``: a column of 0 and 1 was taken to speak of all customers of its row.
    """

    entered: Floats
    periods: Floats
    churned: NDArray[np.bool_]
    count: Floats
    read_as_flag: bool = False

    def __len__(self) -> int:
        return len(self.count)

    @cached_property
    def levels(self) -> Levels:
        """The distinct ages at entry."""
        return Levels.from_column(self.entered, self.count)

    @cached_property
    def renewals(self) -> int:
        """How many different renewals somebody was observed to make or not."""
        if not len(self):
            return 0
        begins = np.bincount((self.entered + 1).astype(np.intp), minlength=OLDEST + 2)
        ends = np.bincount((self.periods + 1).astype(np.intp), minlength=OLDEST + 2)
        return int(np.sum(np.cumsum(begins - ends) > 0))

    def reweighted(self, weight: Floats) -> ContractCells:
        """The same cells with other counts; those that count nobody are dropped."""
        rows = weight > 0
        return ContractCells(
            self.entered[rows],
            self.periods[rows],
            self.churned[rows],
            weight[rows],
            self.read_as_flag,
        )


def read_contracts(table: IntoFrame, sample_weight: ArrayLike | None = None) -> ContractCells:
    """The checked cells of a table of counts.

    Parameters
    ----------
    table
        Columns entered, periods, churned, customers, as ``ShiftedBetaGeometric.fit`` has them.
    sample_weight
        Shape (n,); weight 2 is the row twice.

    Returns
    -------
    The cells: each row's customers who left at its age, and those who were still there.

    Raises
    ------
    ColumnError
        A column is missing or holds no numbers.
    RowError
        An age is no whole number, ends before it starts, or more customers left than there were.
    """
    rows = collect(table, COLUMNS, WHAT)
    entered, periods, customers = (numbers(rows, n, WHAT) for n in COLUMNS if n != "churned")
    churned, read_as_flag = _churned(rows, customers)
    _check(dict(zip(COLUMNS, (entered, periods, churned, customers), strict=True)))
    weight = read_weight(sample_weight, len(rows))
    both = np.tile([entered, periods], 2), np.repeat([1.0, 0.0], len(rows))
    (e, t, event), cell = distinct(*both[0], both[1])
    count = np.concatenate([churned * weight, (customers - churned) * weight])
    total = np.bincount(cell, count, minlength=len(e)).astype(np.float64)
    return ContractCells(e, t, event > 0, total, read_as_flag).reweighted(total)


def _churned(rows: nw.DataFrame[Any], customers: Floats) -> tuple[Floats, bool]:
    """How many of each row left, and whether numbers were read as a flag of the whole row.

    Rows by status (churned 0 or 1, with a count) are as usual as rows with counts of both. In
    counts, at most one customer leaving in every row of several would be a coincidence.
    """
    if rows["churned"].dtype == nw.Boolean:
        return np.asarray(rows["churned"].cast(nw.Float64).to_numpy() * customers), False
    churned = numbers(rows, "churned", WHAT)
    if np.isin(churned, [0.0, 1.0]).all() and np.any(churned * customers > 1):
        return churned * customers, True
    return churned, False


def _check(columns: dict[str, Floats]) -> None:
    entered, periods, churned, customers = columns.values()
    labels = {"row": np.arange(len(entered)), **columns}
    for name, values in columns.items():
        reject_rows(
            ~(np.isfinite(values) & (values >= 0)),
            f"{name} is missing, negative or infinite",
            labels,
            hint="ages count billing periods since the first payment, 0 or more.",
        )
    for name in ("entered", "periods"):
        reject_rows(
            (columns[name] != np.floor(columns[name])) | (columns[name] > OLDEST),
            f"{name} is not a whole number of billing periods",
            labels,
            hint="count periods of the plan: months of a monthly plan, years of an annual one.",
        )
    for bad, what, hint in (
        (
            periods < entered,
            "periods is below entered: the contract ends before it is first observed,",
            "both are ages since the first payment; entered is 0 if observed from the start.",
        ),
        (
            churned > customers,
            "churned is above customers",
            "churned counts those of the row's customers who left; a flag is True or False.",
        ),
        (
            (churned > 0) & (periods <= entered),
            "customers left at the age at which they were first observed,",
            "leaving is a renewal that was not made: periods is entered + 1 or more.",
        ),
    ):
        reject_rows(bad, what, labels, hint=hint)
