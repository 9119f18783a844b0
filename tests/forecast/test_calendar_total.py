"""Totals in calendar time against logs whose season, trend, growth and closures are known."""

import datetime as dt
import os
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest

import clv
from clv.data.cdnow import cdnow_log
from clv.errors import InputError
from clv.forecast import calendar_total as ct
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
    chance = 2 * np.sqrt(0.09 / (len(KINDS) * LOGS))  # of few logs
    assert 0.85 - chance <= held <= 0.95 + chance


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
    totals = earlier.groupby(months.strftime("%Y-%m")).sum().to_dict()
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


def test_of_a_large_base_some_customers_stand_for_all(monkeypatch):
    log, cutoff = cdnow_log(sample=True), dt.date(1998, 3, 31)
    all_of_them = BaseDays.from_log(log, cutoff)
    monkeypatch.setattr(ct, "MOST", 600)
    some = BaseDays.from_log(log, cutoff)
    assert len(some.count) <= 600 < len(all_of_them.count)
    assert some.count.sum() == pytest.approx(all_of_them.count.sum())
    assert np.array_equal(some.repeats, all_of_them.repeats)
    for name in ("first", "last"):
        mean = getattr(all_of_them, name) @ all_of_them.count
        assert getattr(some, name) @ some.count == pytest.approx(mean, rel=0.02), name


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="no February, March"):
        Calendar.from_totals({"2024-01": 3.0} | {f"2024-{m:02}": 1.0 for m in range(4, 13)})
    with pytest.raises(InputError, match=r"'2024-13' is no month"):
        Calendar.from_totals({"2024-13": 1.0})
    with pytest.raises(InputError, match="the total of 2024-01 is 0"):
        Calendar.from_totals({"2024-01": 0})
    with pytest.raises(InputError, match="'2024-01' is no week"):
        Calendar.from_totals({"2024-W01": 1.0, "2024-01": 1.0})
    with pytest.raises(InputError, match="no week 3"):
        Calendar.from_totals({"2024-W01": 1.0, "2024-W02": 1.0})
    with pytest.raises(InputError, match="before its first day"):
        Event("sale", dt.date(2024, 1, 2), dt.date(2024, 1, 1))
    with pytest.raises(InputError, match="has the multiplier -1"):
        Event("sale", dt.date(2024, 1, 1), dt.date(2024, 1, 1), -1.0)
    with pytest.raises(InputError, match="no purchase up to 1990-01-01"):
        calendar_total(cdnow_log(sample=True), BetaGeoNBD(), "1 week", cutoff=dt.date(1990, 1, 1))


def test_growth_between_years_is_no_season():
    months = pd.period_range("2022-01", "2023-12", freq="M")
    totals = {str(m): 100.0 * m.days_in_month * 1.02**i for i, m in enumerate(months)}
    assert Calendar.from_totals(totals).months == pytest.approx([1.0] * 12, rel=5e-3)


def test_weekly_totals_tell_a_season_too():
    """Christmas sells twice as much as any other week, in years of 52 and of 53 weeks."""
    weeks = [f"2021-W{week:02}" for week in range(1, 53)]
    calendar = Calendar.from_totals(dict.fromkeys(weeks, 100.0) | {"2021-W51": 200.0})
    day = np.array([0, 7, 14, 21.0])  # 2026 has a week 53
    m = calendar.multipliers(dt.date(2026, 12, 18), day)
    assert m[0] / m[1:] == pytest.approx([2.0, 2.0, 2.0])


def test_totals_of_the_future_are_not_known():
    totals = {f"{year}-{month:02}": 100.0 * year for year in (2023, 2024) for month in range(1, 13)}
    late = {name: 9.0 if name == "2024-12" else total for name, total in totals.items()}
    known = Calendar.from_totals(late, until=dt.date(2024, 12, 30))
    first = {name: totals[name] for name in list(totals)[:-1]}
    assert known == Calendar.from_totals(first)
    assert not Calendar.from_totals(late, until=dt.date(2023, 12, 30)).seasonal


def test_groups_add_up_and_are_less_sure_than_all():
    log = cdnow_log(sample=True)
    X = clv.summarize(log, unit="week")
    X["third"] = X["customer_id"] % 3
    model = BetaGeoNBD(unit="week").fit(X)
    total = calendar_total(log, model, "13 weeks")
    groups = clv.calendar_total_by(total, model, X, "third")
    assert groups["customers"].sum() == len(X)
    assert groups["mean"].sum() == pytest.approx(total.mean, rel=1e-12)
    plain = model.conditional_expected_purchases(13.0, X)
    share = plain[X["third"] == 1].sum() / plain.sum()
    assert groups["mean"][1] == pytest.approx(share * total.mean, rel=1e-9)
    assert (groups["high"] / groups["mean"] > total.high / total.mean).all()
    everybody = clv.calendar_total_by(total, model, X.assign(all="all"), "all").iloc[0]
    assert everybody[["mean", "low", "high"]].to_list() == pytest.approx(
        [total.mean, total.low, total.high], rel=0.01
    )
