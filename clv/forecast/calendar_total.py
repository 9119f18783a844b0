"""What a whole base will buy in a calendar period: the season of the log, its drift, its shocks.

Each customer is forecast in plain time, where the purchase model knows best who is who. The total
is another matter: whatever moves everybody at once stands in the weekly totals of the base. Their
level is a Gaussian process (``weekly_level``), its exponential a clock, and the purchase model on
that clock expects the total. Two rounds make clock and model agree.

What the log cannot know comes from a ``Calendar``: the season of earlier years, events to come.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoFrame
from scipy.interpolate import PchipInterpolator
from scipy.stats import norm

from clv.defaults import LEVEL
from clv.errors import InputError
from clv.forecast.calendar import NO_CALENDAR, Calendar
from clv.forecast.clock import Clock
from clv.forecast.weekly_level import WeeklyLevel
from clv.format import count, number, percent
from clv.history import Cells
from clv.notebook import InNotebook
from clv.periods import Duration
from clv.probability.estimator import PurchaseModel
from clv.probability.optimize import sample
from clv.schema import Floats, dated
from clv.value.common_factor import check_level

WEEKS = 156  # of the past that teach a level
SHUT = 0.35  # of the level around it, below which a week was closed
AROUND = 4  # weeks on each side that make that level
ROUNDS = 2
YEAR = 52  # weeks after which a closed week is expected to be closed again
MOST = 200_000  # customers that stand for all, in the order of their first and last days
COURSE = 20_000  # customers on whom the course of a period is worked out
AGES = 300  # at which E[X(t)] is tabled; between them it is smooth
STEPS = 12  # parts of the period in which the expected total is worked out
PLAIN = Clock(np.empty(0), np.empty(0))


@dataclass(frozen=True, eq=False)
class BaseDays:
    """A base up to a cutoff: distinct (first day, last day, purchases), and purchases by day.

    Days are numbers, the cutoff being 0; ``repeats[i]`` are the repeat purchases on ``day[i]``.
    """

    cutoff: dt.date
    first: Floats
    last: Floats
    x: Floats
    count: Floats
    day: Floats
    repeats: Floats

    @classmethod
    def from_log(cls, log: IntoFrame, cutoff: dt.date, *, merged: bool = False) -> Self:
        """The base in a clean log (customer_id, date) up to a day; ``merged`` as in summarize."""
        rows = dated(log, "the log", "customer_id").select("customer_id", "date")
        rows = rows.filter(nw.col("date") <= cutoff)
        rows = rows if merged else rows.unique(["customer_id", "date"])
        histories = (
            rows.group_by("customer_id")
            .agg(first=nw.col("date").min(), last=nw.col("date").max(), bought=nw.len())
            .group_by("first", "last", "bought")
            .agg(count=nw.len())
            .collect()
        )
        by_day = rows.group_by("date").agg(bought=nw.len()).sort("date").collect()
        if not len(by_day):
            raise InputError(f"the log has no purchase up to {cutoff}.")
        first, last, day = (
            _numbered(column, cutoff)
            for column in (histories["first"], histories["last"], by_day["date"])
        )
        order = np.lexsort((histories["bought"].to_numpy(), last, first))
        x, count = (
            histories[name].to_numpy().astype(np.float64)[order] for name in ("bought", "count")
        )
        begun = np.histogram(
            first, np.append(day, day[-1] + 1) - 0.5, weights=count[order.argsort()]
        )
        repeats = by_day["bought"].to_numpy() - begun[0]
        base = cls(cutoff, first[order], last[order], x - 1, count, day, repeats)
        return base.thin(MOST)

    def thin(self, most: int) -> Self:
        """The same; of more histories than ``most``, a sample weighted to stand for all."""
        if len(self.count) <= most:
            return self
        few, count = sample(self.count, most)
        return replace(self, first=self.first[few], last=self.last[few], x=self.x[few], count=count)

    @property
    def span(self) -> float:
        """Days from the first purchase to the cutoff."""
        return float(-self.first.min())

    def cells(self, clock: Clock) -> Cells:
        """The histories on a clock, in weeks."""
        birth = clock.time(self.first)
        t_x = np.round(clock.time(self.last) - birth, 3)
        return Cells(self.x, t_x, np.round(-birth, 3), self.count)


@dataclass(frozen=True, eq=False)
class CalendarTotal(InNotebook):
    """The purchases of a base in a calendar period.

    Attributes
    ----------
    mean
        T*, the forecast: on the clock if the log is long enough to show a season or a calendar
        tells it, else in plain time.
    low, high, level
        The central interval that holds the total with probability ``level``.
    plain, on_clock
        The expected total by the purchase model alone, and on the clock.
    log_sd
        Standard deviation of the log of the total.
    multipliers
        The level of each day of the period on the clock; 1 is that of the log on the whole.
    reason
        In words, why the forecast is on the clock, or why not.
    """

    mean: float
    low: float
    high: float
    level: float
    plain: float
    on_clock: float
    log_sd: float
    multipliers: Floats
    reason: str

    @property
    def factor(self) -> float:
        """What season, level and events do to the model's own total; 1 is nothing."""
        return self.mean / self.plain

    def to_dict(self) -> dict[str, Any]:
        """The figures and the reason as JSON values."""
        kept = ("mean", "low", "high", "level", "plain", "reason")
        return {name: getattr(self, name) for name in kept}

    def __str__(self) -> str:
        chance = f"{percent(self.level)} between {count(self.low)} and {count(self.high)}"
        return f"{count(self.mean)} purchases, {chance}: {self.reason}"


def calendar_total(
    log: IntoFrame | BaseDays,
    purchases: PurchaseModel,
    horizon: Duration | str,
    *,
    cutoff: dt.date | None = None,
    calendar: Calendar | None = None,
    level: float = LEVEL,
) -> CalendarTotal:
    """How much all customers of a log will buy in the calendar period after it, season and all.

    Parameters
    ----------
    log
        A clean log: customer_id, date; what a customer buys on a day is one purchase. Or its
        ``BaseDays``.
    purchases
        A purchase model of continuous time; its kind is fitted anew, in plain time and on the
        clock.
    horizon
        Length of the period, such as "13 weeks".
    cutoff
        The last day to know; the log's last day if not given.
    calendar
        The season of earlier years, sales and closures; None has the log tell all.
    level
        Chance that the total lies between ``low`` and ``high``.

    Returns
    -------
    CalendarTotal
        Purchases of the customers of the log within the period: mean and interval.

    Raises
    ------
    InputError
        The log has no purchase up to the cutoff, or less than two weeks of them.
    FitError
        Nobody bought twice.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> log = cdnow_log(sample=True)
    >>> total = calendar_total(log, BetaGeoNBD(), "13 weeks", cutoff=dt.date(1997, 12, 31))
    >>> bool(total.low < 660 < total.high)  # what came
    True
    """
    check_level(level)
    if not isinstance(log, BaseDays):
        log = BaseDays.from_log(log, cutoff or _last_day(log))
    if log.span < 14:
        raise InputError("a weekly level needs at least two weeks of purchases.")
    days = round(Duration.parse(horizon).to("day"))
    return _Forecast(log, type(purchases), calendar or NO_CALENDAR, days).total(level)


@dataclass(frozen=True, eq=False)
class _Forecast:
    """What a total is worked out from; ``weeks`` are numbered from the cutoff on, 0 the next."""

    base: BaseDays
    kind: type[PurchaseModel]
    calendar: Calendar
    days: int

    @cached_property
    def past(self) -> int:
        """Full weeks before the cutoff that teach."""
        return int(min(self.base.span // 7, WEEKS))

    @cached_property
    def ahead(self) -> int:
        """Weeks of the period, the last one perhaps not whole."""
        return -(-self.days // 7)

    @cached_property
    def known(self) -> Clock:
        """What the calendar says of the days."""
        day = np.arange(-7 * self.past + 1, 7 * self.ahead + 1, dtype=np.float64)
        multipliers = self.calendar.multipliers(self.base.cutoff, day)
        return Clock(multipliers[: 7 * self.past], multipliers[7 * self.past :])

    def total(self, level: float) -> CalendarTotal:
        """The forecast with its interval."""
        known_fit = fitted = self._fit(self.known)
        clock, weekly = self.known, np.ones(self.past, dtype=np.float64)
        for _ in range(ROUNDS):
            season, weekly, future = self._learn(fitted, clock, weekly)
            clock = self._clock(weekly, future)
            fitted = self._fit(clock)
        stated = bool((np.concatenate([self.known.past, self.known.future]) != 1).any())
        plain = self._expected(self._fit(PLAIN), PLAIN) if stated else None
        by_calendar, on_clock = self._expected(known_fit, self.known), self._expected(fitted, clock)
        mean, reason = self._choice(by_calendar, on_clock)
        between = self._seen_once * np.log(on_clock / by_calendar) ** 2 / 4
        common = self._common(season, self._course(fitted, clock))
        log_sd = float(np.sqrt(common + self._chance(known_fit) + between))
        reach = float(norm.ppf((1 + level) / 2)) * log_sd
        return CalendarTotal(
            mean,
            mean * np.exp(-reach),
            mean * np.exp(reach),
            level,
            by_calendar if plain is None else plain,
            on_clock,
            log_sd,
            clock.future[: self.days],
            reason,
        )

    @property
    def _seen_once(self) -> float:
        """The share of the period whose season came less than twice: it may have been growth."""
        return float((np.arange(self.ahead) + self.past < 2 * YEAR).mean())

    def _choice(self, by_calendar: float, on_clock: float) -> tuple[float, str]:
        """T* and why: a season that was seen once cannot be told from growth."""
        if self.base.span >= 365 + self.days / 2:
            return on_clock, "season and level are those of the log's own weeks."
        stated = (
            "the season is the calendar's." if self.calendar.seasonal else "no season is counted."
        )
        return by_calendar, (
            f"the log is {number(self.base.span, 0)} days long, too short to show which weeks come "
            f"again every year; {stated}"
        )

    def _fit(self, clock: Clock) -> PurchaseModel:
        cells = self.base.cells(clock)
        table = pd.DataFrame({"frequency": cells.x, "recency": cells.t_x, "T": cells.T})
        return self.kind(unit="week").fit(table.assign(unit="week"), sample_weight=cells.count)

    def _clock(self, weekly: Floats, future: Floats) -> Clock:
        return Clock(
            self.known.past * np.repeat(weekly, 7), self.known.future * np.repeat(future, 7)
        )

    def _learn(
        self, fitted: PurchaseModel, clock: Clock, weekly: Floats
    ) -> tuple[WeeklyLevel, Floats, Floats]:
        """The level of the weeks under a model on a clock: multipliers of the past and to come."""
        edges = np.arange(-7 * self.past, 1, 7, dtype=np.float64)
        actual = np.histogram(self.base.day, edges + 0.5, weights=self.base.repeats)[0]
        even = self._expected_by_week(fitted, clock, edges) / weekly
        ratio = (actual + 0.5) / (even + 0.5)
        y, week = np.log(ratio), np.arange(-self.past, 0, dtype=np.float64)
        shut, chance = _shut(y), 1 / np.maximum(even, 0.5)
        level = WeeklyLevel.fit(week[~shut], y[~shut], chance[~shut], self._event_shares)
        future = np.exp(level.mean(np.arange(self.ahead)))
        for w in range(max(YEAR - self.past, 0), min(self.ahead, YEAR)):
            last_year = self.past + w - YEAR
            if shut[last_year]:  # closed a year ago
                future[w] = ratio[last_year]
        return level, np.asarray(np.where(shut, ratio, np.exp(level.mean(week)))), future

    def _event_shares(self, weeks: Floats) -> Floats:
        """The share of each week that is an event of unknown effect, shape (n, events)."""
        day = (7 * weeks[:, None] + np.arange(1, 8)).ravel()
        shares = self.calendar.event_days(self.base.cutoff, day)
        return np.asarray(shares.reshape(len(weeks), 7, -1).mean(axis=1))

    def _expected_by_week(self, fitted: PurchaseModel, clock: Clock, edges: Floats) -> Floats:
        """Repeat purchases that the model expects of the base between the edges of weeks."""
        birth, of_cell = np.unique(self.base.first, return_inverse=True)
        customers = np.bincount(of_cell, self.base.count)
        age = np.maximum(clock.time(edges) - clock.time(birth)[:, None], 0.0)
        expected = _tabled(fitted.expected_purchases, float(age.max()))
        return np.diff(customers @ expected(age))

    def _expected(self, fitted: PurchaseModel, clock: Clock) -> float:
        """The expected purchases of the base in the period."""
        return _expected_of(self.base.cells(clock), fitted, clock.time(self._marks)[-1])

    def _course(self, fitted: PurchaseModel, clock: Clock) -> Floats:
        """How they come about in equal parts of the period, by a sample that stands for all."""
        cells = self.base.thin(COURSE).cells(clock)
        return np.array([_expected_of(cells, fitted, t) for t in clock.time(self._marks)])

    @cached_property
    def _marks(self) -> Floats:
        return np.linspace(0, self.days, min(self.days, STEPS) + 1)

    def _common(self, season: WeeklyLevel, cumulative: Floats) -> float:
        """The variance of what moves everybody: the weeks' levels, weighted as they count.

        It is as much larger or smaller than the level says as its forecasts of earlier weeks were.
        """
        edges = np.minimum(7.0 * np.arange(self.ahead + 1), self.days)
        shares = np.diff(np.interp(edges, self._marks, cumulative)) / cumulative[-1]
        noise = season.parameters.t**2 * np.eye(self.ahead)
        variance = shares @ (season.covariance(np.arange(self.ahead)) + noise) @ shares
        return float(variance) * season.spread(self.ahead) ** 2

    def _chance(self, fitted: PurchaseModel) -> float:
        """The variance by the chance of single customers, of the log of the total."""
        cells, length = self.base.cells(self.known), float(self.known.time(self.days))
        mean = fitted.conditional_expected_purchases(length, cells)
        pairs = fitted.discounted_purchase_pairs(length, 0.0, cells)
        return float(cells.count @ (mean + pairs - mean**2) / (cells.count @ mean) ** 2)


def _expected_of(cells: Cells, fitted: PurchaseModel, time: float) -> float:
    return float(cells.count @ fitted.conditional_expected_purchases(float(time), cells))


def _shut(y: Floats) -> Any:
    """Which weeks were closed: far below those around them."""
    around = pd.Series(y).rolling(2 * AROUND + 1, center=True, min_periods=1).median()
    return y < around.to_numpy() + np.log(SHUT)


def _tabled(expected: Callable[[Floats], Floats], longest: float) -> Callable[[Floats], Floats]:
    """A smooth function of age, worked out at some ages and joined between."""
    ages = longest * np.linspace(0, 1, AGES) ** 2
    joined: Callable[[Floats], Floats] = PchipInterpolator(ages, expected(ages))
    return joined


def _numbered(days: nw.Series[Any], cutoff: dt.date) -> Floats:
    """Dates as numbers of days, the cutoff being 0."""
    dates = days.to_numpy().astype("datetime64[D]")
    return (dates - np.datetime64(cutoff)).astype(np.float64)


def _last_day(log: IntoFrame) -> dt.date:
    frame = dated(log, "the log").select(day=nw.col("date").max())
    day: dt.date | None = frame.collect()["day"].item()
    if day is None:
        raise InputError("the log has no purchases.")
    return day
