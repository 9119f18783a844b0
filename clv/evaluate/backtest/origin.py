"""An origin: the calibration up to a day, and the holdout in a fixed time after it.

A forecaster is given a :class:`Calibration` and nothing else. What happened afterwards stands in
the :class:`Origin` around it, so the holdout cannot reach a forecast.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import narwhals as nw
import numpy as np
import pandas as pd

from clv.data.features import with_behaviour
from clv.data.summary import split_holdout
from clv.errors import InputError
from clv.evaluate import tracking
from clv.evaluate.backtest.regularity import REGULAR, regularity
from clv.forecast import READS, Adoption, learn_pool
from clv.forecast.adoption import SEASONS
from clv.forecast.calendar import NO_CALENDAR, Calendar
from clv.forecast.calendar_total import CalendarTotal, calendar_total
from clv.forecast.inputs import Customers
from clv.periods import DAYS, Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.models import MODELS
from clv.schema import Floats, as_frame
from clv.value.total_moments import TotalMoments

HOLDOUT = ("holdout_frequency", "holdout_value", "holdout_duration")
CANDIDATES = ("bg_nbd", "mbg_nbd", "pareto_nbd")  # purchase models of any time, simplest first
OF_REGULAR = "mbg_cnbd"  # besides, where customers buy more regularly than by chance
FEWEST = 20  # buyers, and customers who did not buy, that an outcome needs to teach anything


@dataclass(frozen=True, eq=False)
class Calibration:
    """All that a forecaster may use at the end of a day, and how far ahead to look from there.

    Attributes
    ----------
    cutoff
        The last day that is known.
    days
        Length of what is to be forecast.
    unit
        Of the times in the summary.
    log
        Purchases up to the cutoff: customer_id, date, amount.
    summary
        One row per customer, as ``summarize`` gives it.
    calendar
        What is known beside the log: a season, events.
    """

    cutoff: dt.date
    days: int
    unit: Unit
    log: pd.DataFrame
    summary: pd.DataFrame
    calendar: Calendar = NO_CALENDAR

    def __post_init__(self) -> None:
        last = self.log["date"].max().date()
        if last > self.cutoff or set(HOLDOUT) & set(self.summary.columns):
            raise InputError(
                f"what lies after {self.cutoff} would reach a forecast: the log goes to {last}.",
                hint="Origin.from_log() takes a whole log apart.",
            )

    @property
    def horizon(self) -> float:
        """Length of what is to be forecast, in units."""
        return self.days / DAYS[self.unit]

    @property
    def first(self) -> dt.date:
        """The first day of the log."""
        return day_of(self.log["date"].min())

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The purchase models to fit, simplest first."""
        return (*CANDIDATES, OF_REGULAR) if regularity(self.log) > REGULAR else CANDIDATES

    @cached_property
    def purchases(self) -> dict[str, PurchaseModel]:
        """The candidates by name, fitted on the summary."""
        return {name: MODELS[name](unit=self.unit).fit(self.summary) for name in self.candidates}

    @cached_property
    def spend(self) -> GammaGamma:
        """The spend model, fitted on the summary."""
        return GammaGamma().fit(self.summary)

    @cached_property
    def moments(self) -> dict[tuple[str, str], TotalMoments]:
        """What totals are drawn from, as far as worked out: by purchase model, and of what."""
        return {}

    @cached_property
    def base(self) -> str:
        """The purchase model under the pool: the likeliest of those that stretch quickly."""
        quick = (name for name in self.candidates if name != "pareto_nbd")
        return max(quick, key=lambda name: self.purchases[name].log_likelihood_)

    @cached_property
    def customers(self) -> Customers:
        """The customers as a learner reads them."""
        length = Duration(self.days, "day")
        wide: Any = with_behaviour(self.summary, self.log, self.cutoff, length, self.unit)
        columns = {name: wide[name].to_numpy(dtype=np.float64) for name in READS}
        return Customers.from_columns(columns, self.purchases[self.base], self.spend, self.horizon)

    @cached_property
    def total(self) -> CalendarTotal:
        """What all customers will buy, in calendar time."""
        length, model = Duration(self.days, "day"), self.purchases[self.base]
        return calendar_total(self.log, model, length, cutoff=self.cutoff, calendar=self.calendar)

    @property
    def level(self) -> float:
        """What the calendar does to the model's total; 1 while neither log nor firm tell it."""
        seasons_twice = (self.cutoff - self.first).days >= SEASONS
        return self.total.factor if seasons_twice or self.calendar != NO_CALENDAR else 1.0

    @cached_property
    def adoption(self) -> Adoption:
        """The pool learned from what is known, and whether a scorer of that day would use it."""
        length, model = Duration(self.days, "day"), self.purchases[self.base]
        return learn_pool(self.log, model, self.spend, length, self.unit, self.cutoff, self.level)

    @cached_property
    def earlier(self) -> Origin | None:
        """The origin whose holdout has just ended: what can be learned from today.

        None where there was too little before it: a purchase in each half of the time, repeat
        buyers, and ``FEWEST`` customers who did and who did not buy.
        """
        cutoff = self.cutoff - dt.timedelta(self.days)
        if cutoff <= self.first:
            return None
        origin = Origin.from_log(self.log, cutoff, self.days, self.unit)
        bought = int((origin.purchases > 0).sum())
        enough = FEWEST <= bought <= len(origin.purchases) - FEWEST
        return origin if enough and (origin.calibration.summary["frequency"] > 1).any() else None


@dataclass(frozen=True, eq=False)
class Origin:
    """The calibration at a cutoff, and what happened next.

    Attributes
    ----------
    calibration
        All that a forecaster may see.
    purchases, money
        What each customer of the summary bought and spent in the holdout, shape (n,).
    after
        The purchases in the holdout.
    """

    calibration: Calibration
    purchases: Floats
    money: Floats
    after: pd.DataFrame

    @classmethod
    def from_log(
        cls,
        log: Any,
        cutoff: dt.date,
        days: int,
        unit: Unit = "week",
        calendar: Calendar = NO_CALENDAR,
    ) -> Self:
        """Take a clean log apart at the end of ``cutoff``; the holdout is the ``days`` after it."""
        rows, end = plain(log), cutoff + dt.timedelta(days)
        both = split_holdout(rows, cutoff, end, unit)
        before, until = rows["date"] <= pd.Timestamp(cutoff), rows["date"] <= pd.Timestamp(end)
        calibration = Calibration(
            cutoff, days, unit, rows[before], both.drop(columns=list(HOLDOUT)), calendar
        )
        counted, spent = (both[name].to_numpy(dtype=np.float64) for name in HOLDOUT[:2])
        return cls(calibration, counted, spent, rows[until & ~before])

    @property
    def end(self) -> dt.date:
        """The last day of the holdout."""
        return self.calibration.cutoff + dt.timedelta(self.calibration.days)

    @property
    def whole(self) -> float:
        """From the first day of the log to the end of the holdout, in units."""
        return (self.end - self.calibration.first).days / DAYS[self.calibration.unit]

    def tracking(self, purchases: PurchaseModel) -> pd.DataFrame:
        """Repeat purchases of the known customers, unit by unit to the end of the holdout.

        As :func:`clv.evaluate.tracking`, with what ``purchases`` expects.
        """
        ours = self.after["customer_id"].isin(self.calibration.summary["customer_id"])
        rows = pd.concat([self.calibration.log, self.after[ours]])
        age = (rows["date"] - rows["date"].min()).dt.days / DAYS[self.calibration.unit]
        by_customer = age.groupby(rows["customer_id"])
        repeats = age[age > by_customer.transform("min")]
        return tracking(by_customer.min(), repeats, purchases.expected_purchases, self.whole)


def spaced_cutoffs(
    first: dt.date, last: dt.date, count: int = 3, length: str | Duration | None = None
) -> tuple[list[dt.date], int]:
    """Cutoffs of a rolling origin, oldest first, and the days of each holdout.

    The last holdout ends with the log. The others end before the next one begins, or overlap it
    where the log is too short for that. Every cutoff has twice the length of a holdout before it:
    one to learn from, one to see what came of it.

    Parameters
    ----------
    first, last
        First and last day of the log.
    count
        How many cutoffs.
    length
        Of a holdout; the longest that leaves the holdouts apart if not given.

    Raises
    ------
    InputError
        The log is too short.

    Examples
    --------
    >>> days, length = spaced_cutoffs(dt.date(1997, 1, 1), dt.date(1998, 6, 30), 3,
    ...                               Duration(13, "week"))
    >>> [str(day) for day in days], length
    (['1997-09-30', '1997-12-30', '1998-03-31'], 91)
    """
    span = (last - first).days + 1
    days = round(Duration.parse(length).to("day")) if length else span // (count + 2)
    slack = span - 3 * days
    step = min(days, slack // (count - 1)) if count > 1 else days
    if days < 1 or slack < 0 or step < days / 4:
        raise InputError(
            f"{count} cutoffs with {days} days after each do not fit into the {span} days from "
            f"{first} to {last}: the first one needs {2 * days} days before it, and the next ones "
            f"{max(days // 4, 1)} days between them.",
            hint="ask for fewer cutoffs or a shorter holdout.",
        )
    newest = last - dt.timedelta(days)
    return [newest - dt.timedelta(step * i) for i in range(count)][::-1], days


def origins(
    log: Any, cutoffs: Sequence[dt.date], days: int, unit: Unit = "week"
) -> tuple[Origin, ...]:
    """One origin per cutoff of a clean log.

    A refund that came later has undone its order already. Where that matters, clean the log as of
    each cutoff and call ``Origin.from_log`` for each.

    Raises
    ------
    InputError
        A cutoff or its holdout lies outside the log.
    """
    rows = plain(log)
    require_within(cutoffs, days, day_of(rows["date"].min()), day_of(rows["date"].max()))
    return tuple(Origin.from_log(rows, cutoff, days, unit) for cutoff in cutoffs)


def require_within(cutoffs: Sequence[dt.date], days: int, first: dt.date, last: dt.date) -> None:
    """Raise unless every cutoff has purchases before it and its whole holdout within the log."""
    for cutoff in cutoffs:
        end = cutoff + dt.timedelta(days)
        if days < 1 or cutoff < first or end > last:
            raise InputError(
                f"the cutoff {cutoff} with a holdout to {end} is not within the log, {first} to "
                f"{last}.",
                hint="choose other cutoffs or a shorter holdout.",
            )


def plain(log: Any) -> pd.DataFrame:
    """customer_id, date and amount of a clean log in pandas, in order, dates as timestamps."""
    frame = as_frame(log, "the log").select("customer_id", "date", "amount").collect()
    rows: pd.DataFrame = frame.with_columns(nw.col("date").cast(nw.Datetime("us"))).to_pandas()
    return rows.sort_values(["customer_id", "date"], ignore_index=True)


def day_of(time: Any) -> dt.date:
    """The calendar day of a timestamp."""
    day: dt.date = pd.Timestamp(time).date()
    return day
