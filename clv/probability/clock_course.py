"""The clock of every customer: how much of their buying time passes between two days.

While z holds, a day lasts exp(g'z) days of the clock. Along a course of z that is a running sum,
read off at the days that matter, whatever the number of customers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clv.history import Cells
from clv.probability.changing_summary import ChangingSummary, split_columns
from clv.probability.covariates import Coding, PatternCells, Patterns
from clv.probability.runs import Indices, summed
from clv.schema import Floats


@dataclass(frozen=True, eq=False)
class ClockCourse:
    """Days of n customers, and the z that lie between them.

    Attributes
    ----------
    code, length
        Which row of z holds on each stretch of the course, and how long, shape (m,).
    z
        Shape (rows, k); 0 for what does not change.
    row, since
        For each of d days of n customers the stretch they lie on, and how long after its begin,
        shape (d, n).
    """

    code: Indices
    length: Floats
    z: Floats
    row: Indices
    since: Floats

    @classmethod
    def of_days(cls, X: ChangingSummary, coding: Coding, days: Floats) -> ClockCourse:
        """The course of a bound summary, and ``days`` (d, n) on it, numbers of days."""
        X.require_known(days.max(axis=0))
        course, everybody = X.course, np.arange(days.shape[1])
        row = np.array([course.rows_at(everybody, day) for day in days])
        length = np.append(np.diff(course.day), 0.0)
        length[course.first[1:] - 1] = 0.0
        z, code = changing_rows(X, coding)
        return cls(code, length * X.day, z, row, (days - course.day[row]) * X.day)

    def passed(self, rate: Floats) -> Floats:
        """The clock since the first day of each customer, where z has ``rate``: (d - 1, n)."""
        of_stretch = rate[self.code]
        begin = np.cumsum(of_stretch * self.length) - of_stretch * self.length
        at = begin[self.row] + of_stretch[self.row] * self.since
        return np.asarray(at[1:] - at[0])

    def scaled(self, scale: float) -> ClockCourse:
        """With time measured in another unit."""
        return replace(self, length=self.length / scale, since=self.since / scale)

    def where(self, customers: Indices) -> ClockCourse:
        """Of some customers."""
        return replace(self, row=self.row[:, customers], since=self.since[:, customers])


@dataclass(frozen=True, eq=False)
class ClockCells:
    """What a fit sees of n customers, those of one pattern of what does not change together.

    Attributes
    ----------
    together
        Histories by the calendar, and how many customers each stands for.
    patterns
        z of what does not change, and the row at which the customers of each begin and end.
    course
        With the day of the first purchase, of the last one, and today.
    bought
        The sum of the z that change at the repeat purchases, shape (n, k).
    """

    together: Cells
    patterns: tuple[tuple[Floats, slice], ...]
    course: ClockCourse
    bought: Floats

    @classmethod
    def of_summary(cls, X: ChangingSummary, coding: Coding, weight: Floats) -> ClockCells:
        """Of a bound summary whose customers count ``weight`` each."""
        history, patterns, course = X.history, unchanging(X, coding), of_histories(X, coding)
        customer = X.bought[0].astype(np.intp)
        code = course.code[X.course.rows_at(customer, X.bought[1])]
        sums = [summed(customer, column[code], len(weight)) for column in course.z.T]
        order = np.argsort(patterns.of_row, kind="stable")
        cells = Cells(*(column[order] for column in (history.x, history.t_x, history.T, weight)))
        parts = _slices(patterns.of_row[order], patterns.z)
        return cls(cells, parts, course.where(order), np.column_stack(sums)[order])

    def scaled(self, scale: float) -> ClockCells:
        """With time measured in another unit."""
        c = self.together
        cells = Cells(c.x, c.t_x / scale, c.T / scale, c.count)
        return ClockCells(cells, self.patterns, self.course.scaled(scale), self.bought)

    def reweighted(self, weight: Floats) -> ClockCells:
        """The same customers under other weights; those without one are left out."""
        rows = np.flatnonzero(weight > 0)
        cells = self.together.reweighted(weight)
        ends = [np.searchsorted(rows, [part.start, part.stop]) for _, part in self.patterns]
        parts = [(z, slice(*end)) for (z, _), end in zip(self.patterns, ends, strict=True)]
        return ClockCells(cells, tuple(parts), self.course.where(rows), self.bought[rows])

    def on_clock(self, clock: Floats) -> PatternCells:
        """The histories with the clock (2, n) of last purchase and today."""
        x, count = self.together.x, self.together.count
        (t_x, T), parts = clock, self.patterns
        return PatternCells(tuple((z, Cells(x[p], t_x[p], T[p], count[p])) for z, p in parts))


def of_histories(X: ChangingSummary, coding: Coding) -> ClockCourse:
    """The course with the days of first and last purchase, and today."""
    last = X.birth + np.round(X.history.t_x / X.day)
    days = np.array([X.birth, last, np.full(len(last), X.today)])
    return ClockCourse.of_days(X, coding, days)


def unchanging(X: ChangingSummary, coding: Coding) -> Patterns:
    """What does not change, customer by customer, with 0 for what does."""
    static, _ = split_columns(X, coding)
    z, of_row = np.unique(_wide(static, coding, len(X.history)), axis=0, return_inverse=True)
    return Patterns(z, of_row.ravel())


def changing_rows(X: ChangingSummary, coding: Coding) -> tuple[Floats, Indices]:
    """What changes, the distinct z with 0 for what does not, and which each change tells."""
    _, moving = split_columns(X, coding)
    z, code = np.unique(_wide(moving, coding, len(X.changes)), axis=0, return_inverse=True)
    return z, code.ravel()


def _wide(columns: dict[str, Floats], coding: Coding, n: int) -> Floats:
    """Columns as z, shape (n, k), 0 for the effects that are not among them."""
    effects = [effect for covariate in coding.covariates for effect in covariate.effects]
    return np.column_stack([columns.get(effect, np.zeros(n)) for effect in effects])


def _slices(of_row: Indices, z: Floats) -> tuple[tuple[Floats, slice], ...]:
    ends = np.searchsorted(of_row, np.arange(len(z) + 1))
    return tuple((z[g], slice(int(ends[g]), int(ends[g + 1]))) for g in range(len(z)))
