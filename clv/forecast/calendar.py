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
import pandas as pd
from numpy.typing import NDArray

from clv.errors import InputError
from clv.periods import DAYS_PER_YEAR
from clv.schema import Floats

MONTHS, WEEKS = 12, 52  # of a year; some years have a week 53


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
    """A season, and events.

    Parameters
    ----------
    months
        Multipliers of a day in January to December around 1; empty if not known.
    weeks
        Multipliers of a day in the ISO weeks 1 to 53 instead; empty if not known.
    events
        Sales, holidays, closures, past and to come.

    Raises
    ------
    InputError
        Months are not 12 or weeks not 53, or one is negative.

    Examples
    --------
    >>> sale = Event("sale", dt.date(2024, 11, 24), dt.date(2024, 11, 30))
    >>> Calendar(events=(sale,)).unmeasured
    ['sale']
    """

    months: tuple[float, ...] = ()
    weeks: tuple[float, ...] = ()
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        for name, levels in (("months", MONTHS), ("weeks", WEEKS + 1)):
            known = getattr(self, name)
            if len(known) not in (0, levels) or not all(0 <= each < np.inf for each in known):
                raise InputError(
                    f"{name} of a calendar are {levels} multipliers of 0 or more, or none at all."
                )

    @classmethod
    def from_totals(
        cls,
        totals: Mapping[str, float],
        events: tuple[Event, ...] = (),
        until: dt.date | None = None,
    ) -> Self:
        """The season that totals of earlier years show, growth and lengths of months taken out.

        Parameters
        ----------
        totals
            Orders (or revenue) by month, as ``{"2023-01": 1200, ...}``, or by ISO week, as
            ``{"2023-W05": 280, ...}``; every month or week of the year among them.
        until
            The last day that is known: later totals do not count, and if the others miss a part
            of the year, no season is known.

        Raises
        ------
        InputError
            A month or a week is missing or none, or a total is not positive.

        Examples
        --------
        >>> year = {f"2024-{month:02}": 100.0 for month in range(1, 12)} | {"2024-12": 210.0}
        >>> [round(m, 2) for m in Calendar.from_totals(year).months][-2:]
        [0.93, 1.89]
        """
        weekly = any("W" in name for name in totals)
        spans = [_span(name, total, weekly) for name, total in totals.items()]
        first, past = np.array(spans, dtype="datetime64[D]").reshape(-1, 2).T
        log_rate = np.log(list(totals.values())) - np.log((past - first).astype(np.float64))
        of_year = _weeks(first) if weekly else _months(first)
        levels = WEEKS + bool((of_year == WEEKS).any()) if weekly else MONTHS
        _require_all(of_year, levels, weekly)
        if until is not None:
            past_days = past - 1 <= np.datetime64(until)
            first, past, log_rate, of_year = (
                a[past_days] for a in (first, past, log_rate, of_year)
            )
            if len(np.unique(of_year)) < levels:
                return cls(events=events)
        design = np.eye(levels)[of_year]
        if len(of_year) - levels >= levels // 4:  # a second year tells growth from season
            years = (first.astype(np.float64) + past.astype(np.float64)) / (2 * DAYS_PER_YEAR)
            design = np.column_stack([design, years - years.mean()])
        level = np.linalg.lstsq(design, log_rate, rcond=None)[0][:levels]
        if levels == WEEKS:  # no year among them had a week 53
            level = np.append(level, (level[0] + level[-1]) / 2)
        season = np.exp(level)
        shares = tuple((season / season.mean()).tolist())
        return cls(weeks=shares, events=events) if weekly else cls(months=shares, events=events)

    @property
    def seasonal(self) -> bool:
        """Whether it tells a season."""
        return bool(self.months or self.weeks)

    def multipliers(self, cutoff: dt.date, day: Floats) -> Floats:
        """What is known of each day, a number counted from the cutoff; 1 where nothing is."""
        known = np.ones(len(day))
        dates = np.datetime64(cutoff) + day.astype("timedelta64[D]")
        if self.months:
            known *= np.asarray(self.months)[_months(dates)]
        if self.weeks:
            known *= np.asarray(self.weeks)[_weeks(dates)]
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


NO_CALENDAR = Calendar()


def _span(name: str, total: float, weekly: bool) -> tuple[dt.date, dt.date]:
    """First day of a month or week, and the first one after it."""
    kind, example = ("week", "2024-W05") if weekly else ("month", "2024-01")
    try:
        first = dt.date.fromisoformat(f"{name}-1" if weekly else f"{name}-01")
    except ValueError as error:
        raise InputError(
            f"{name!r} is no {kind}.",
            hint=f'write "{example}", and all totals by month or all by week.',
        ) from error
    if not 0 < total < np.inf:
        raise InputError(f"the total of {name} is {total}.", hint="totals are above 0.")
    return first, first + dt.timedelta(7) if weekly else (first + dt.timedelta(31)).replace(day=1)


def _months(dates: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """Months of the year, January being 0."""
    return dates.astype("datetime64[M]").astype(np.intp) % MONTHS


def _weeks(dates: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """ISO weeks of the year, the first being 0."""
    return pd.DatetimeIndex(dates).isocalendar()["week"].to_numpy(dtype=np.intp) - 1


def _require_all(of_year: NDArray[np.intp], levels: int, weekly: bool) -> None:
    """Raise unless every month or week of a year is there."""
    missing = sorted(set(range(levels)) - set(of_year.tolist()))
    if missing:
        names = (
            f"week {missing[0] + 1}"
            if weekly
            else ", ".join(dt.date(2000, m + 1, 1).strftime("%B") for m in missing)
        )
        raise InputError(
            f"the totals have no {names}.",
            hint=f"give every {'week' if weekly else 'month'} of a year at least once.",
        )
