"""What a firm knows of its own calendar: last years' totals, sales, closures, days to come.

A log of one year cannot show which of its weeks come again. Monthly totals of earlier years can;
a sale or a closure that is planned stands in no log at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from clv.errors import InputError
from clv.schema import Floats

MONTHS = 12


@dataclass(frozen=True)
class Event:
    """Days that are not as others: a sale, a holiday, a closure.

    Parameters
    ----------
    name
        Days of one name are expected to do the same.
    first, last
        Its first and last day.
    multiplier
        How many times as much is bought on these days: 0 while closed, 2 for twice. None has it
        measured on the days of this name that the log holds.

    Raises
    ------
    InputError
        It ends before it begins, or the multiplier is negative.

    Examples
    --------
    >>> Event("stocktaking", dt.date(2025, 1, 6), dt.date(2025, 1, 10), 0.0).multiplier
    0.0
    """

    name: str
    first: dt.date
    last: dt.date
    multiplier: float | None = None

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InputError(f"the event {self.name!r} ends {self.last}, before its first day.")
        if self.multiplier is not None and not 0 <= self.multiplier < np.inf:
            raise InputError(
                f"the event {self.name!r} has the multiplier {self.multiplier}.",
                hint="0 while closed, 2 for twice as much; leave it out to have it measured.",
            )

    def days(self, cutoff: dt.date, day: Floats) -> Floats:
        """Whether each day, a number counted from the cutoff, is one of its days: 1 or 0."""
        first, last = ((end - cutoff).days for end in (self.first, self.last))
        return ((day >= first) & (day <= last)).astype(np.float64)


@dataclass(frozen=True)
class Calendar:
    """A season of twelve months, and events.

    Parameters
    ----------
    months
        Multipliers of January to December around 1; empty if not known.
    events
        Sales, holidays, closures, past and to come.

    Examples
    --------
    >>> sale = Event("sale", dt.date(2024, 11, 24), dt.date(2024, 11, 30))
    >>> Calendar(events=(sale,)).unmeasured
    ['sale']
    """

    months: tuple[float, ...] = ()
    events: tuple[Event, ...] = ()

    @classmethod
    def from_totals(cls, totals: Mapping[str, float], events: tuple[Event, ...] = ()) -> Self:
        """The season that monthly totals of earlier years show, growth taken out.

        Parameters
        ----------
        totals
            Orders (or revenue) by month, as ``{"2023-01": 1200, ...}``; at least twelve months,
            every month of the year among them.

        Raises
        ------
        InputError
            A month is missing or no month, or a total is not positive.

        Examples
        --------
        >>> year = {f"2024-{month:02}": 100.0 for month in range(1, 12)} | {"2024-12": 210.0}
        >>> [round(m, 2) for m in Calendar.from_totals(year).months][-2:]
        [0.92, 1.92]
        """
        month, log_total = _read(totals)
        of_year = month % MONTHS
        missing = sorted(set(range(MONTHS)) - set(of_year.tolist()))
        if missing:
            names = ", ".join(dt.date(2000, m + 1, 1).strftime("%B") for m in missing)
            raise InputError(
                f"the totals have no {names}.", hint="give every month of a year at least once."
            )
        design = np.eye(MONTHS)[of_year]
        if len(np.unique(month)) > MONTHS:  # a second year tells growth from season
            design = np.column_stack([design, (month - month.mean()) / MONTHS])
        level = np.linalg.lstsq(design, log_total, rcond=None)[0][:MONTHS]
        season = np.exp(level)
        return cls(tuple((season / season.mean()).tolist()), events)

    def multipliers(self, cutoff: dt.date, day: Floats) -> Floats:
        """What is known of each day, a number counted from the cutoff; 1 where nothing is."""
        known = np.ones(len(day))
        if self.months:
            dates = np.datetime64(cutoff) + day.astype("timedelta64[D]")
            of_year = dates.astype("datetime64[M]").astype(int) % MONTHS
            known *= np.asarray(self.months)[of_year]
        for event in self.events:
            if event.multiplier is not None:
                known = np.where(event.days(cutoff, day) > 0, known * event.multiplier, known)
        return known

    @property
    def unmeasured(self) -> list[str]:
        """Names of the events whose effect is to be measured."""
        return sorted({event.name for event in self.events if event.multiplier is None})

    def event_days(self, cutoff: dt.date, day: Floats) -> Floats:
        """Which days belong to each unmeasured event, shape (n, events): 1 or 0."""
        columns = [
            sum(
                (e.days(cutoff, day) for e in self.events if e.name == name),
                start=np.zeros(len(day)),
            )
            for name in self.unmeasured
        ]
        return np.minimum(np.column_stack([np.zeros((len(day), 0)), *columns]), 1.0)


def _read(totals: Mapping[str, float]) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats]:
    """Months since year 0, and the logs of their totals."""
    months, values = [], []
    for name, total in totals.items():
        try:
            day = dt.date.fromisoformat(f"{name}-01")
        except ValueError as error:
            raise InputError(
                f"{name!r} is no month.", hint='write year and month, as in "2024-01".'
            ) from error
        if not 0 < total < np.inf:
            raise InputError(f"the total of {name} is {total}.", hint="totals are above 0.")
        months.append(day.year * MONTHS + day.month - 1)
        values.append(np.log(total))
    return np.asarray(months, dtype=np.int64), np.asarray(values)
