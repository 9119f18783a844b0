"""The cohort grid against a customer-by-customer count."""

from __future__ import annotations

import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clv.decide.acquisition.cohort_grid import EVERYBODY, PAID, cohort_grid
from clv.errors import ColumnError, InputError

MONTH = 365.25 / 12  # days
AS_OF = dt.date(2024, 7, 17)
CHANNELS = ("search", "social", "organic")


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """Orders of 300 customers over half a year; every fifth has a second channel later on."""
    rng = np.random.default_rng(4)
    first = rng.integers(0, 170, 300)
    rows = []
    for customer, day in enumerate(first.tolist()):
        days = {day, *(day + rng.integers(1, 120, rng.integers(0, 4))).tolist()}
        for k, one in enumerate(sorted(days)):
            channel = CHANNELS[(customer + (k > 0 and customer % 5 == 0)) % 3]
            rows.append((f"c{customer}", one, float(rng.integers(5, 90)), channel))
    table = pd.DataFrame(rows, columns=["customer_id", "day", "amount", "channel"])
    table["date"] = pd.Timestamp("2024-01-20") + pd.to_timedelta(table.pop("day"), unit="D")
    return table.assign(margin=table["amount"] * rng.uniform(0.2, 0.6, len(table)))


@pytest.fixture(scope="module")
def spend() -> pd.DataFrame:
    """Weekly spend from the first week of January on; nothing is spent on organic."""
    weeks = pd.date_range("2024-01-01", "2024-07-22", freq="7D").strftime("%Y-%m-%d")
    rows = [
        (c, w, 70.0 * (c == "search") + 35.0 * (c == "social"), 7.0)
        for c in CHANNELS
        for w in weeks
    ]
    table = pd.DataFrame(rows, columns=["channel", "period", "spend", "fixed_cost"])
    table.loc[table["channel"] == "organic", "fixed_cost"] = 0.0
    return table


def by_hand(
    log: pd.DataFrame, channels: set[str]
) -> dict[tuple[str, int], tuple[float, int, bool]]:
    """By cohort and age: earned per customer, customers, mature; one customer after the other."""
    log = log[log["date"] <= pd.Timestamp(AS_OF)]
    people: dict[str, list[pd.DataFrame]] = {}
    for _, own in log.groupby("customer_id"):
        start = own["date"].min()
        if own.loc[own["date"] == start, "channel"].min() in channels:
            people.setdefault(f"{start:%Y-%m}", []).append(own)
    found = {}
    for cohort, members in people.items():
        oldest = min(own["date"].min() for own in members).date()
        end = (pd.Period(cohort).end_time).date()
        for age in range(int((AS_OF - oldest).days / MONTH) + 1):
            money = sum(
                own.loc[(own["date"] - own["date"].min()).dt.days <= age * MONTH, "margin"].sum()
                for own in members
            )
            mature = (AS_OF - end).days >= age * MONTH
            found[cohort, age] = (money / len(members), len(members), mature)
    return found


def of(table: pa.Table, channel: str) -> dict[tuple[str, int], tuple[float, int, bool]]:
    rows = [row for row in table.to_pylist() if row["channel"] == channel]
    return {
        (r["cohort"], r["age"]): (pytest.approx(r["earned"]), r["customers"], r["mature"])
        for r in rows
    }


@pytest.mark.parametrize("channel", CHANNELS)
def test_each_channel_is_as_counted_by_hand(log, channel):
    assert by_hand(log, {channel}) == of(cohort_grid(log, AS_OF), channel)


def test_all_of_them_come_first_and_those_with_spend_where_it_is_known(log, spend):
    alone, both = cohort_grid(log, AS_OF), cohort_grid(log, AS_OF, spend=spend)
    assert alone["channel"][0].as_py() == EVERYBODY
    assert by_hand(log, set(CHANNELS)) == of(alone, EVERYBODY)
    assert both["channel"][0].as_py() == PAID
    assert by_hand(log, {"search", "social"}) == of(both, PAID)
    assert set(alone["cac"].to_pylist()) == {None}


def test_a_cohort_costs_the_spend_of_its_days_over_its_customers(log, spend):
    table = cohort_grid(log, str(AS_OF), spend=spend)
    rows = {(r["channel"], r["cohort"]): r for r in table.to_pylist() if r["age"] == 0}
    daily = {"search": 11.0, "social": 6.0}
    days = {
        "2024-01": 12,
        "2024-02": 29,
        "2024-06": 30,
        "2024-07": 17,
    }  # the first and last in part
    for cohort, length in days.items():
        paid = 0
        for channel, cost in daily.items():
            row = rows[channel, cohort]
            assert row["cac"] == pytest.approx(cost * length / row["customers"])
            paid += row["customers"]
        assert rows[PAID, cohort]["cac"] == pytest.approx(17.0 * length / paid)
        assert rows["organic", cohort]["cac"] is None


def test_a_cohort_whose_spend_is_known_in_part_has_no_cac(log, spend):
    late = spend[spend["period"] >= "2024-03-01"]
    rows = cohort_grid(log, AS_OF, spend=late).to_pylist()
    known = {row["cohort"] for row in rows if row["cac"] is not None}
    assert known == {"2024-04", "2024-05", "2024-06", "2024-07"}
    undated = spend.assign(period="week " + spend["period"])
    assert set(cohort_grid(log, AS_OF, spend=undated)["cac"].to_pylist()) == {None}


def test_revenue_times_the_rate_counts_where_the_log_has_no_margin(log):
    plain = log.drop(columns="margin")
    revenue, margin = cohort_grid(plain, AS_OF), cohort_grid(plain, AS_OF, margin_rate=0.25)
    np.testing.assert_allclose(margin["earned"], 0.25 * np.asarray(revenue["earned"]))
    same = cohort_grid(log.assign(margin=log["amount"]), AS_OF)
    np.testing.assert_allclose(revenue["earned"], same["earned"])


def test_without_channels_everybody_is_one_and_cac_is_blended(log, spend):
    plain = log.drop(columns="channel")
    assert "channel" not in cohort_grid(plain, AS_OF).column_names
    rows = cohort_grid(plain, AS_OF, spend=spend).to_pylist()
    june = next(row for row in rows if row["cohort"] == "2024-06")
    assert june["channel"] == EVERYBODY
    assert june["cac"] == pytest.approx(17.0 * 30 / june["customers"])


def test_long_logs_are_cut_into_quarters_and_years():
    for years, unit, first in ((3, "quarter", "2020-Q1"), (8, "year", "2020")):
        end = dt.date(2020 + years, 1, 31)
        dates = pd.date_range("2020-02-10", end, freq="45D")
        log = pd.DataFrame({"customer_id": range(len(dates)), "date": dates, "amount": 1.0})
        table = cohort_grid(log, end)
        assert set(table["age_unit"].to_pylist()) == {unit}
        assert table["cohort"][0].as_py() == first
        assert len(set(table["cohort"].to_pylist())) <= 25


def test_any_kind_of_frame_gives_the_same(log, spend):
    expected = cohort_grid(log, AS_OF, spend=spend)
    with duckdb.connect() as connection:
        connection.register("log", log)
        kinds = (pl.from_pandas(log), pa.Table.from_pandas(log), connection.table("log"))
        for kind in kinds:
            found = cohort_grid(kind, AS_OF, spend=spend)
            assert found.schema == expected.schema
            pd.testing.assert_frame_equal(found.to_pandas(), expected.to_pandas())


def test_of_many_channels_the_largest_are_shown(log):
    many = log.assign(channel="c" + (log["customer_id"].str[1:].astype(int) % 40).astype(str))
    table = cohort_grid(many, AS_OF)
    assert len(set(table["channel"].to_pylist())) == 13
    whole = of(table, EVERYBODY)
    assert sum(n for (_, age), (_, n, _) in whole.items() if age == 0) == 300


def test_what_cannot_be_used_is_named(log):
    with pytest.raises(ColumnError, match="amount"):
        cohort_grid(log.drop(columns="amount"), AS_OF)
    with pytest.raises(InputError, match="has no order by 2023-01-01"):
        cohort_grid(log, "2023-01-01")
