"""What cohorts of new customers have earned by age, beside what they cost: payback as it happened.

A cohort is the customers whose first order fell into one month (or quarter, or year, where the log
is long). Earned by an age is the money of all orders up to that age of each customer's own, over
all customers of the cohort: not discounted, and nothing is forecast. The grid stops where the data
stop: an age that nobody has reached has no row, one that only some have reached is not ``mature``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.data.days import Day, as_day, day_number
from clv.decide.acquisition.cohorts import UNKNOWN
from clv.decide.acquisition.spend import Periods, read_spend
from clv.errors import InputError
from clv.periods import DAYS
from clv.schema import Floats, Frame, as_frame, dated, numbers, require_columns
from clv.shares import check_share

# by the unit of ages and cohorts, its length in months and the longest log in months that has it
UNITS = {"month": (1, 25.0), "quarter": (3, 75.0), "year": (12, np.inf)}
MOST_CHANNELS = 12  # those with most customers
EVERYBODY, PAID = "all channels", "all channels with spend"
COLUMNS: dict[str, Any] = {
    "channel": nw.String,
    "cohort": nw.String,
    "age": nw.Int64,
    "age_unit": nw.String,
    "earned": nw.Float64,
    "customers": nw.Int64,
    "cac": nw.Float64,
    "mature": nw.Boolean,
}


@dataclass(frozen=True)
class _Span:
    """How time is cut: the unit, its months, and the last day that is known."""

    unit: str
    months: int
    as_of: date

    @classmethod
    def between(cls, first: date, as_of: date) -> _Span:
        long = (as_of - first).days / DAYS["month"]
        unit = next(name for name, (_, most) in UNITS.items() if long <= most)
        return cls(unit, UNITS[unit][0], as_of)

    @property
    def days(self) -> float:
        """Of one step of age."""
        return self.months * DAYS["month"]

    def starts(self, cohort: int) -> date:
        """The first day of a cohort, which counts units since year 0."""
        year, month = divmod(cohort * self.months, 12)
        return date(year, month + 1, 1)

    def named(self, cohort: int) -> str:
        """A cohort as people write it: 2011-03, 2011-Q1, 2011."""
        start = self.starts(cohort)
        if self.unit == "month":
            return f"{start:%Y-%m}"
        return f"{start.year}-Q{start.month // 3 + 1}" if self.unit == "quarter" else f"{start:%Y}"


@dataclass(frozen=True)
class _Cohort:
    """New customers of one channel and cohort: how many, since when, and earned by age index."""

    customers: int
    first: date
    earned: Mapping[int, float]


Grid = dict[tuple[str, int], _Cohort]


def cohort_grid(
    log: IntoFrame,
    as_of: Day,
    *,
    margin_rate: float = 1.0,
    spend: IntoFrame | None = None,
) -> Any:
    """Cumulative money per customer by channel, cohort and age, as a PyArrow table.

    Parameters
    ----------
    log
        A clean log; a customer's channel is that of the first day.
    as_of
        The last day to count.
    margin_rate
        Contribution margin per unit of revenue, for a log without a column margin; 1 counts
        revenue.
    spend
        A spend table (channel, period, spend [, fixed_cost]) with dated periods: gives ``cac``,
        the spend of the cohort's days over its customers. A period's spend is spread evenly over
        its days; a cohort with a day without spend known has no CAC.

    Returns
    -------
    One row per channel, cohort and age, in that order: channel, cohort (2011-03, 2011-Q1 or 2011),
    age (units from a customer's first order; 0 is the first day), age_unit, earned, customers, cac
    (null where unknown, or nothing was spent) and mature (whether every customer of the cohort can
    have reached the age). The first channel is all of them together, or with spend those that money
    was spent on; then the others, most customers first, at most 12.

    Raises
    ------
    ColumnError, RowError, InputError
        The log or the spend table cannot be used.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"customer_id": ["a", "a", "b"], "amount": [10.0, 20.0, 30.0],
    ...     "date": pd.to_datetime(["2024-01-05", "2024-02-20", "2024-02-10"])})
    >>> table = cohort_grid(log, "2024-03-20", margin_rate=0.5).to_pandas()
    >>> table[["cohort", "age", "earned", "customers", "mature"]]
        cohort  age  earned  customers  mature
    0  2024-01    0     5.0          1    True
    1  2024-01    1     5.0          1    True
    2  2024-01    2    15.0          1   False
    3  2024-02    0    15.0          1    True
    4  2024-02    1    15.0          1   False
    """
    day = as_day(as_of, "as_of")
    check_share("margin_rate", margin_rate, "(0, 1]")
    frame, has_margin = _money(as_frame(log, "the log"), margin_rate)
    origin = _origin(frame)
    first = origin.select(nw.col("first").min()).collect()["first"].item()
    if first is None or as_day(first, "date") > day:
        raise InputError(f"the log has no order by {day}.", hint="give the day of the scores.")
    span = _Span.between(as_day(first, "date"), day)
    grid = _cohorts(frame, origin, span)
    daily = {} if spend is None else _daily(spend)
    rows = [row for name, cohorts in _listed(grid, daily) for row in _rows(name, cohorts, span)]
    columns = (
        COLUMNS if has_margin or spend is not None else {k: COLUMNS[k] for k in [*COLUMNS][1:]}
    )
    costs = _costs(grid, daily, span)
    table = {name: [row.get(name) for row in rows] for name in columns}
    table["cac"] = [costs.get((row["channel"], row["_cohort"])) for row in rows]
    return nw.from_dict(table, schema=columns, backend="pyarrow").to_native()


def _money(frame: Frame, margin_rate: float) -> tuple[Frame, bool]:
    """customer_id, date, channel and what each order earned; whether channels are known."""
    require_columns(frame, ("customer_id", "amount"), "the log")
    frame = dated(frame, "the log", "customer_id")
    names = frame.collect_schema().names()
    earned = nw.col("margin") if "margin" in names else nw.col("amount") * margin_rate
    channel = nw.col("channel") if "channel" in names else nw.lit(EVERYBODY)
    frame = frame.with_columns(
        channel.cast(nw.String).fill_null(UNKNOWN).alias("_channel"),
        earned.cast(nw.Float64).alias("_earned"),
        nw.col("date").alias("_date"),
    )
    return frame.select("customer_id", "_channel", "_earned", "_date"), "channel" in names


def _origin(frame: Frame) -> Frame:
    """Each customer's first day and its channel; with several on that day, the first by name."""
    first = frame.group_by("customer_id").agg(nw.col("_date").min().alias("first"))
    on_first = frame.join(first, on="customer_id").filter(nw.col("_date") == nw.col("first"))
    return on_first.group_by("customer_id").agg(
        nw.col("_channel").min().alias("channel"), nw.col("first").min()
    )


def _cohorts(frame: Frame, origin: Frame, span: _Span) -> Grid:
    """What each cohort earned at each age, from two group-bys."""
    months = nw.col("first").dt.year().cast(nw.Int64) * 12 + nw.col("first").dt.month() - 1
    origin = origin.with_columns((months // span.months).alias("cohort"))
    origin = origin.with_columns(day_number("first").alias("_first"))
    sizes = origin.group_by("channel", "cohort").agg(
        nw.len().alias("customers"), nw.col("first").min()
    )
    orders = frame.join(origin.select("customer_id", "channel", "cohort", "_first"), "customer_id")
    orders = orders.filter(nw.col("_date") <= nw.lit(span.as_of))
    orders = orders.with_columns((day_number("_date") - nw.col("_first")).alias("_days"))
    spent = orders.group_by("channel", "cohort", "_days").agg(nw.col("_earned").sum())
    earned: dict[tuple[str, int], dict[int, float]] = {}
    for channel, cohort, days, money in spent.collect().iter_rows():
        by_age, age = earned.setdefault((channel, cohort), {}), ceil(days / span.days)
        by_age[age] = by_age.get(age, 0.0) + money
    return {
        (channel, cohort): _Cohort(count, as_day(first, "date"), earned[channel, cohort])
        for channel, cohort, count, first in sizes.collect().iter_rows()
        if (channel, cohort) in earned
    }


def _listed(
    grid: Grid, daily: Mapping[str, Mapping[int, float]]
) -> Iterator[tuple[str, dict[int, _Cohort]]]:
    """All channels together, then each, with their cohorts."""
    by_channel: dict[str, dict[int, _Cohort]] = {}
    for (channel, cohort), figures in sorted(grid.items()):
        by_channel.setdefault(channel, {})[cohort] = figures
    whole = {name: cohorts for name, cohorts in by_channel.items() if not daily or name in daily}
    if by_channel.keys() == {EVERYBODY}:
        yield EVERYBODY, by_channel[EVERYBODY]
        return
    if whole:
        yield (PAID if daily else EVERYBODY), _together(whole.values())
    size = {
        name: sum(c.customers for c in cohorts.values()) for name, cohorts in by_channel.items()
    }
    for name in sorted(by_channel, key=lambda name: (-size[name], name))[:MOST_CHANNELS]:
        yield name, by_channel[name]


def _together(channels: Iterable[Mapping[int, _Cohort]]) -> dict[int, _Cohort]:
    """Cohorts of several channels as one."""
    merged: dict[int, _Cohort] = {}
    for cohorts in channels:
        for cohort, member in cohorts.items():
            other = merged.get(cohort, _Cohort(0, member.first, {}))
            ages = member.earned.keys() | other.earned.keys()
            earned = {a: member.earned.get(a, 0.0) + other.earned.get(a, 0.0) for a in ages}
            size = member.customers + other.customers
            merged[cohort] = _Cohort(size, min(member.first, other.first), earned)
    return dict(sorted(merged.items()))


def _rows(channel: str, cohorts: Mapping[int, _Cohort], span: _Span) -> Iterator[dict[str, Any]]:
    for cohort, figures in cohorts.items():
        last = span.starts(cohort + 1) - timedelta(days=1)
        reached = int((span.as_of - figures.first).days / span.days)
        so_far = np.cumsum([figures.earned.get(age, 0.0) for age in range(reached + 1)])
        for age, money in enumerate(so_far.tolist()):
            yield {
                "channel": channel,
                "cohort": span.named(cohort),
                "_cohort": cohort,
                "age": age,
                "age_unit": span.unit,
                "earned": money / figures.customers,
                "customers": figures.customers,
                "mature": last + timedelta(days=ceil(age * span.days)) <= span.as_of,
            }


def _daily(spend: IntoFrame) -> dict[str, dict[int, float]]:
    """Loaded spend by channel and day (its ordinal), each period's evenly over its days.

    Channels that nothing was spent on are left out, as are undated tables.
    """
    rows = read_spend(spend)
    periods = Periods.from_values(rows["period"].to_list())
    if not periods.ends:
        return {}
    daily: dict[str, dict[int, float]] = {}
    amounts: Floats = numbers(rows, "loaded_spend")
    for name, code, amount in zip(rows["channel"].to_list(), periods.codes, amounts, strict=True):
        start, end = periods.starts[code].toordinal(), periods.ends[code].toordinal()
        by_day = daily.setdefault(str(name), {})
        for number in range(start, end):
            by_day[number] = by_day.get(number, 0.0) + float(amount) / (end - start)
    return {name: by_day for name, by_day in daily.items() if any(by_day.values())}


def _costs(
    grid: Grid, daily: Mapping[str, Mapping[int, float]], span: _Span
) -> dict[tuple[str, int], float]:
    """CAC by channel and cohort, where the spend of every day of it is known."""
    if not daily:
        return {}
    begin = min(figures.first for figures in grid.values())
    costs: dict[tuple[str, int], float] = {}
    for cohort in {cohort for _, cohort in grid}:
        end = min(span.starts(cohort + 1), span.as_of + timedelta(days=1))
        days = range(max(span.starts(cohort), begin).toordinal(), end.toordinal())
        spent = {name: _spent(by_day, days) for name, by_day in daily.items()}
        costs.update(_cac(cohort, spent, grid))
    return costs


def _cac(
    cohort: int, cost: Mapping[str, float | None], grid: Grid
) -> Iterable[tuple[tuple[str, int], float]]:
    """The CAC of a cohort: by channel, and of all that was spent over all that it was spent on."""
    sizes = {name: grid[name, cohort].customers for name in cost if (name, cohort) in grid}
    for name, customers in sizes.items():
        if spent := cost[name]:
            yield (name, cohort), spent / customers
    everybody = grid.get((EVERYBODY, cohort))  # of a log without channels: blended
    people = everybody.customers if everybody else sum(sizes.values())
    if people and None not in cost.values():
        name = EVERYBODY if everybody else PAID
        yield (name, cohort), sum(spent or 0.0 for spent in cost.values()) / people


def _spent(by_day: Mapping[int, float], days: range) -> float | None:
    """The spend of these days; None if that of a day is not known."""
    amounts = [by_day.get(day) for day in days]
    return None if None in amounts else sum(amount or 0.0 for amount in amounts)
