"""Covariates over time as runs: stretches within which nothing changes, customer by customer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv.history import distinct
from clv.schema import Floats

Indices = NDArray[np.intp]


def summed(of: Indices, values: Floats, n: int) -> Floats:
    """The sum of values by customer, shape (n,)."""
    return np.bincount(of, values, n).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of n customers, in order of customer and time.

    Attributes
    ----------
    of
        Whose each is, shape (m,).
    code
        Which row of z holds within it, shape (m,).
    length
        Of each, shape (m,).
    """

    of: Indices
    code: Indices
    length: Floats

    def joined(self) -> Runs:
        """With neighbours of one customer and one z made one."""
        new = (np.diff(self.of, prepend=-1) != 0) | (np.diff(self.code, prepend=-1) != 0)
        first = np.flatnonzero(new)
        length = np.add.reduceat(self.length, first) if len(first) else self.length
        return Runs(self.of[first], self.code[first], length)

    def summed(self) -> Runs:
        """How long each customer met each z in all, whenever that was."""
        (of, code), row = distinct(self.of.astype(np.float64), self.code.astype(np.float64))
        return Runs(of.astype(np.intp), code.astype(np.intp), summed(row, self.length, len(of)))

    def scaled(self, scale: float) -> Runs:
        """In another unit of time."""
        return Runs(self.of, self.code, self.length / scale)

    def of_customers(self, first: int, last: int) -> Runs:
        """Those of some customers, numbered from 0."""
        part = slice(*np.searchsorted(self.of, [first, last]).tolist())
        return Runs(self.of[part] - first, self.code[part], self.length[part])

    def kept(self, customers: Indices) -> Runs:
        """Those of some customers in rising order, numbered from 0."""
        place = np.full(int(self.of.max(initial=-1)) + 1, -1, dtype=np.intp)
        within = customers[customers < len(place)]
        place[within] = np.arange(len(within))
        rows = place[self.of] >= 0
        return Runs(place[self.of[rows]], self.code[rows], self.length[rows])


@dataclass(frozen=True, eq=False)
class Course:
    """What holds from which day on, in one or several sequences.

    Attributes
    ----------
    day, code
        From a day on (a whole number), the z that holds, shape (m,); a sequence after the other.
    first
        Where each sequence begins, and the end, shape (sequences + 1,).
    of_customer
        The sequence of each customer, shape (n,).
    until
        The last day that each sequence tells, shape (sequences,).
    """

    day: Floats
    code: Indices
    first: Indices
    of_customer: Indices
    until: Floats

    def rows_at(self, customer: Indices, day: Floats) -> Indices:
        """The rows that hold on days of customers; -1 before the first one of a sequence."""
        sequence = self.of_customer[customer]
        begin, width = self.day.min(), float(np.ptp(self.day)) + 2
        of_row = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        keys = of_row * width + (self.day - begin)
        at = np.clip(day - begin, -1.0, width - 1.5)
        row = np.searchsorted(keys, sequence * width + at, side="right") - 1
        return np.where(row >= self.first[sequence], row, -1)

    def runs(self, begin: Floats, end: Floats) -> Runs:
        """The runs of all customers between two days each, none where they are the same."""
        everybody = np.arange(len(self.of_customer))
        low, high = self.rows_at(everybody, begin), self.rows_at(everybody, end)
        count = np.where(end > begin, high - low + 1, 0)
        of = np.repeat(everybody, count)
        row = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count) + low[of]
        past = np.append(self.day[1:], np.inf)
        past[self.first[1:] - 1] = np.inf
        length = np.minimum(past[row], end[of]) - np.maximum(self.day[row], begin[of])
        real = length > 0
        return Runs(of[real], self.code[row[real]], length[real]).joined()


def blocks(of: Indices, customers: int, most: int) -> Iterator[tuple[int, int]]:
    """Customers taken together, with no more than about ``most`` runs."""
    ends = np.searchsorted(of, np.arange(1, customers + 1))
    first = 0
    while first < customers:
        begun = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, begun + most, side="right")), first + 1)
        yield first, min(last, first + most)
        first = min(last, first + most)
