"""Totals in calendar time against logs whose season, trend, growth and closures are known."""

import datetime as dt
import os
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.data.cdnow import cdnow_log
from clv.errors import InputError
from clv.forecast.calendar import Calendar, Event
from clv.forecast.calendar_total import BaseDays, calendar_total
from clv.probability.bg_nbd import BetaGeoNBD
from tests.forecast.simulated_logs import CUTOFF, base_and_total, multipliers

LOGS = int(os.environ.get("CLV_LOGS", "2"))  # of each kind; 50 for figures that are quoted
KINDS = {
    "season": {"season": 0.3},
    "season and trend": {"season": 0.3, "trend": 0.15},
    "season and growth": {"season": 0.3, "growth": 0.8},
    "season and closures": {"season": 0.2, "closed": ((-600, -587), (-235, -222), (130, 143))},
}


def simulated(seed, years=2.1, growth=0.0, **kind):
    rng = np.random.default_rng(seed)
    m = partial(multipliers, phase=rng.uniform(0, 2 * np.pi), **kind)
    return *base_and_total(rng, years, 91, m, growth), m


def misses(**kind):
    """The log errors of the model alone and of the forecast, and whether the interval held."""
    rows = []
    for seed in range(LOGS):
        base, came, _ = simulated(seed, **kind)
        total = calendar_total(base, BetaGeoNBD(), "91 days")
        held = total.low <= came <= total.high
        rows.append((abs(total.plain / came - 1), abs(total.mean / came - 1), held))
    return np.mean(rows, axis=0)


@pytest.mark.slow
def test_the_total_is_off_by_half_as_much_where_the_calendar_matters():
    plain, ours, held = np.mean([misses(**kind) for kind in KINDS.values()], axis=0)
    assert ours < plain / 2
    assert held >= 0.8


@pytest.mark.slow
def test_where_nothing_moves_everybody_little_is_lost():
    plain, ours, _ = misses()
    assert ours < plain + 0.01 + 0.04 / np.sqrt(LOGS)  # the mean of few logs is itself unsure


def test_a_season_seen_once_is_not_counted_and_last_years_totals_mend_it():
    base, came, m = simulated(3, years=0.9, season=0.4)
    alone = calendar_total(base, BetaGeoNBD(), "91 days")
    assert alone.mean == alone.plain
    assert "too short to show which weeks come again" in alone.reason
    months = pd.date_range("2022-01-01", "2022-12-31")
    earlier = pd.Series(m((months - pd.Timestamp(CUTOFF)).days.to_numpy()), index=months)
    totals = earlier.groupby(months.strftime("%Y-%m")).mean().to_dict()
    told = calendar_total(base, BetaGeoNBD(), "91 days", calendar=Calendar.from_totals(totals))
    assert told.plain == pytest.approx(alone.plain)
    assert abs(told.mean / came - 1) < abs(alone.mean / came - 1) / 2
    assert told.low < came < told.high


def test_a_closure_to_come_takes_its_days_out():
    base, _, _ = simulated(1)
    closed = Event("move", CUTOFF + dt.timedelta(15), CUTOFF + dt.timedelta(28), 0.0)
    open_, shut = (
        calendar_total(base, BetaGeoNBD(), "4 weeks", calendar=Calendar(events=events))
        for events in ((), (closed,))
    )
    assert np.array_equal(shut.multipliers[14:], np.zeros(14))
    assert shut.mean == pytest.approx(open_.mean / 2, rel=0.02)


def test_a_sale_is_measured_on_its_earlier_days():
    days = [(-400, -387), (-200, -187), (10, 23)]
    sales = tuple(
        Event("sale", CUTOFF + dt.timedelta(first), CUTOFF + dt.timedelta(last))
        for first, last in days
    )

    def m(day):
        sale = sum((day >= first) & (day <= last) for first, last in days)
        return np.where(sale, 1.8, 1.0)

    base, came = base_and_total(np.random.default_rng(5), 2.1, 28, m)
    unaware = calendar_total(base, BetaGeoNBD(), "4 weeks")
    aware = calendar_total(base, BetaGeoNBD(), "4 weeks", calendar=Calendar(events=sales))
    assert unaware.mean < 0.85 * came
    assert aware.mean == pytest.approx(came, rel=0.08)


def test_any_engine_and_any_order_of_rows_give_the_same():
    log = cdnow_log(sample=True)
    cutoff = dt.date(1998, 3, 31)
    one = BaseDays.from_log(log, cutoff)
    other = BaseDays.from_log(pl.from_pandas(log.sample(frac=1, random_state=0)).lazy(), cutoff)
    for name in ("first", "last", "x", "count", "day", "repeats"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    days = log[log["date"] <= pd.Timestamp(cutoff)].drop_duplicates(["customer_id", "date"])
    assert one.count.sum() == days["customer_id"].nunique()
    assert one.repeats.sum() == len(days) - days["customer_id"].nunique()


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="no February, March"):
        Calendar.from_totals({"2024-01": 3.0} | {f"2024-{m:02}": 1.0 for m in range(4, 13)})
    with pytest.raises(InputError, match=r"'2024-13' is no month"):
        Calendar.from_totals({"2024-13": 1.0})
    with pytest.raises(InputError, match="the total of 2024-01 is 0"):
        Calendar.from_totals({"2024-01": 0})
    with pytest.raises(InputError, match="before its first day"):
        Event("sale", dt.date(2024, 1, 2), dt.date(2024, 1, 1))
    with pytest.raises(InputError, match="has the multiplier -1"):
        Event("sale", dt.date(2024, 1, 1), dt.date(2024, 1, 1), -1.0)
    with pytest.raises(InputError, match="no purchase up to 1990-01-01"):
        calendar_total(cdnow_log(sample=True), BetaGeoNBD(), "1 week", cutoff=dt.date(1990, 1, 1))


def test_growth_between_years_is_no_season():
    totals = {f"{2022 + i // 12}-{i % 12 + 1:02}": 100 * 1.02**i for i in range(24)}
    assert Calendar.from_totals(totals).months == pytest.approx([1.0] * 12, rel=1e-9)
