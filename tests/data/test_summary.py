import datetime as dt
import random
from collections import defaultdict

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from clv.data.summary import margin_rate, split_holdout, summarize
from clv.data.transactions import clean
from clv.errors import ColumnError, InputError, RowError

DAY = dt.date(2023, 12, 20)  # so that logs cross a year's end


def day(n: int) -> dt.date:
    return DAY + dt.timedelta(days=n)


def log_of(rows):
    customers, days, amounts = zip(*rows, strict=True)
    return {
        "customer_id": list(customers),
        "date": [day(n) for n in days],
        "amount": [float(amount) for amount in amounts],
    }


ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 40), st.integers(1, 9)),
    min_size=1,
    max_size=40,
)


def by_hand(rows, as_of):
    """The summary in days, customer by customer."""
    days = defaultdict(lambda: defaultdict(float))
    for customer, n, amount in rows:
        if n <= as_of:
            days[customer][n] += amount
    return {
        customer: {
            "frequency": len(spent) - 1,
            "recency": max(spent) - min(spent),
            "T": as_of - min(spent),
            "monetary_value": sum(v for n, v in spent.items() if n > min(spent))
            / max(len(spent) - 1, 1),
            "first_amount": spent[min(spent)],
            "days_since_last": as_of - max(spent),
            "unit": "day",
            "as_of": day(as_of),
        }
        for customer, spent in days.items()
    }


def by_customer(records):
    return {row.pop("customer_id"): row for row in records}


def test_every_kind_gives_the_same_table_as_by_hand(kind, records):
    random.seed(7)
    rows = [
        (random.randint(1, 9), random.randint(0, 500), random.randint(1, 9)) for _ in range(200)
    ]
    table = summarize(kind(log_of(rows)), as_of=day(450), unit="day")
    found, expected = by_customer(records(table)), by_hand(rows, 450)
    assert found.keys() == expected.keys()
    for customer, line in found.items():
        assert line == pytest.approx(expected[customer])


def test_every_kind_gives_the_same_types_and_order(kind):
    log = kind(log_of([("b", 0, 1), ("a", 3, 2), ("a", 9, 2)]))
    table = nw.from_native(split_holdout(log, day(5)))
    # without Arrow's types pandas has no dates, but times at midnight
    numpy_days = isinstance(log, pd.DataFrame) and "date32[day][pyarrow]" not in log.dtypes.values
    floats = ("recency", "T", "monetary_value", "first_amount", "days_since_last")
    assert dict(table.collect_schema()) == {
        "customer_id": nw.String(),
        "frequency": nw.Int64(),
        **dict.fromkeys(floats, nw.Float64()),
        "unit": nw.String(),
        "as_of": nw.Datetime("us") if numpy_days else nw.Date(),
        "holdout_frequency": nw.Int64(),
        "holdout_value": nw.Float64(),
        "holdout_duration": nw.Float64(),
    }
    assert type(table.to_native()) is type(log)
    if isinstance(table, nw.DataFrame):
        assert table["customer_id"].to_list() == ["a", "b"]


def test_plain_pandas_stays_in_numpy_types():
    table = summarize(pd.DataFrame(log_of([("a", 0, 1), ("a", 3, 2)])))
    assert [str(table[name].dtype) for name in ("frequency", "T", "monetary_value")] == [
        *("int64", "float64", "float64")
    ]


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(0, 40))
def test_any_log_as_by_hand(rows, as_of):
    log = pl.DataFrame(log_of(rows))
    if as_of < min(n for _, n, _ in rows):
        with pytest.raises(InputError, match="nobody had bought by"):
            summarize(log, as_of=day(as_of))
        return
    found = by_customer(summarize(log, as_of=day(as_of), unit="day").to_dicts())
    expected = by_hand(rows, as_of)
    assert found.keys() == expected.keys()
    for customer, line in found.items():
        assert line == pytest.approx(expected[customer])


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, cutoff=st.integers(0, 39))
def test_calibration_and_holdout_are_the_whole(rows, cutoff):
    """Of the customers known at the cutoff: all purchases, all money."""
    known = {customer for customer, n, _ in rows if n <= cutoff}
    rows = [row for row in rows if row[0] in known] + [("z", 0, 1), ("z", 40, 1)]
    log = pl.DataFrame(log_of(rows))
    split = split_holdout(log, day(cutoff))
    whole = summarize(log)
    assert split["customer_id"].to_list() == whole["customer_id"].to_list()
    assert (split["frequency"] + split["holdout_frequency"]).equals(whole["frequency"])

    def money(table):
        return table["first_amount"] + table["frequency"] * table["monetary_value"]

    assert (money(split) + split["holdout_value"]).to_list() == pytest.approx(money(whole))


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, cutoff=st.integers(0, 39))
def test_what_comes_after_the_cutoff_never_shows_before_it(rows, cutoff):
    rows = [*rows, ("z", 0, 1), ("z", 40, 1)]
    log = pl.DataFrame(log_of(rows))
    before = log.filter(pl.col("date") <= day(cutoff))
    calibration = summarize(log, as_of=day(cutoff))
    assert_frame_equal(calibration, summarize(before, as_of=day(cutoff)))
    split = split_holdout(log, day(cutoff))
    assert_frame_equal(split.select(calibration.columns), calibration)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 99))
def test_rows_can_come_in_any_order(rows, seed):
    log = pl.DataFrame(log_of(rows))
    shuffled = log.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_frame_equal(summarize(log), summarize(shuffled))


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_a_clean_log_gives_the_same_summary(rows):
    log = pl.DataFrame(log_of(rows))
    assert_frame_equal(summarize(log), summarize(clean(log)[0]))


@pytest.mark.parametrize(
    ("unit", "days"), [("day", 1), ("week", 7), ("month", 365.25 / 12), ("year", 365.25)]
)
def test_units_are_only_a_scale(unit, days):
    log = pl.DataFrame(log_of([("a", 0, 1), ("a", 100, 1), ("b", 50, 2)]))
    in_days, table = summarize(log, unit="day"), summarize(log, unit=unit)
    for name in ("recency", "T"):
        assert (table[name] * days).to_list() == pytest.approx(in_days[name].to_list())
    assert table["days_since_last"].equals(in_days["days_since_last"])
    assert set(table["unit"]) == {unit}


def test_two_lines_of_ten_on_one_day_are_twenty_in_the_holdout(kind, records):
    """13.33 elsewhere, which averages lines; and that function fails on pandas 3."""
    log = kind(log_of([("a", 0, 10), ("a", 10, 10), ("a", 10, 10), ("a", 12, 20)]))
    (row,) = records(split_holdout(log, day(5), day(19), unit="week"))
    assert (row["holdout_frequency"], row["holdout_value"], row["holdout_duration"]) == (2, 40, 2)


def test_the_end_of_the_holdout_is_kept(kind, records):
    log = kind(log_of([("a", 0, 1), ("a", 10, 2), ("a", 11, 4), ("b", 11, 8)]))
    (row,) = records(split_holdout(log, day(5), day(10)))
    assert (row["holdout_frequency"], row["holdout_value"]) == (1, 2)


def test_the_first_channel_stays(kind, records):
    columns = log_of([("a", 3, 1), ("a", 0, 2), ("b", 1, 5)])
    log = kind({**columns, "channel": ["mail", "search", None]})
    assert [row["channel"] for row in records(summarize(log))] == ["search", None]


@pytest.mark.parametrize("ids", [["x y", "é", "x y"], [10**15, -3, 10**15]])
def test_any_id_is_a_key(kind, records, ids):
    columns = {**log_of([("a", 0, 1), ("b", 1, 2), ("a", 9, 4)]), "customer_id": ids}
    found = by_customer(records(summarize(kind(columns))))
    assert found[ids[0]]["frequency"] == 1
    assert found[ids[1]]["first_amount"] == 2


def test_a_query_stays_a_query_on_its_connection():
    connection = duckdb.connect()
    connection.execute(
        "create table log as select 1 as customer_id, date '2024-01-01' as date, 2.5 as amount"
    )
    connection.execute("create table names as select 1 as customer_id, 'Ada' as name")
    table = summarize(connection.table("log"))
    joined = connection.sql('select name, first_amount from names join "table" using (customer_id)')
    assert joined.fetchall() == [("Ada", 2.5)]
    assert table.columns[0] == "customer_id"


@pytest.mark.parametrize(
    ("column", "values", "error", "said"),
    [
        ("amount", [5.0, -1.0], RowError, "amount is negative or not finite in 1 row, such as a, "),
        ("amount", [5.0, float("inf")], RowError, "not finite in 1 row"),
        ("amount", [5.0, None], RowError, "amount is missing in 1 row"),
        ("customer_id", ["a", None], RowError, "customer_id is missing in 1 row"),
        ("date", [DAY, None], RowError, "date is missing in 1 row"),
        ("amount", ["5", "6"], ColumnError, "'amount' of the log holds String, not numbers"),
        ("date", ["2024-01-01", "2024-01-02"], ColumnError, "'date' of the log holds String"),
    ],
)
def test_a_log_that_was_not_cleaned_is_sent_to_clean(kind, column, values, error, said):
    columns = {"customer_id": ["a", "a"], "date": [DAY, day(3)], "amount": [5.0, 6.0]}
    with pytest.raises(error) as caught:
        summarize(kind({**columns, column: values}))
    assert said in str(caught.value)
    assert "run clean() on the log first" in str(caught.value)


def test_a_missing_column_is_named_with_the_likeliest_one():
    log = pd.DataFrame({"customer_id": [1], "Date": [DAY], "amount": [1.0]})
    with pytest.raises(ColumnError, match="no column date \\(did you mean 'Date'\\?\\)"):
        summarize(log)


@pytest.mark.parametrize("cutoff", [day(9), day(12)])
def test_a_holdout_without_days_is_refused(cutoff):
    log = pd.DataFrame(log_of([("a", 0, 1), ("a", 9, 2)]))
    with pytest.raises(InputError, match="has no days"):
        split_holdout(log, cutoff)


def test_the_margin_rate_is_measured_where_there_are_margins(kind):
    columns = log_of([("a", 0, 100), ("a", 1, 50), ("b", 2, 70)])
    assert margin_rate(kind({**columns, "margin": [30.0, 15.0, None]})) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("margin", "said"),
    [([None, None], "has both an amount and a margin"), ([9.0, 9.0], "more than")],
)
def test_margins_that_measure_nothing_are_refused(margin, said):
    log = pd.DataFrame({"amount": [5.0, 5.0], "margin": pd.Series(margin, dtype="float64")})
    with pytest.raises(InputError, match=said):
        margin_rate(log)
    with pytest.raises(ColumnError, match="margin"):
        margin_rate(log.drop(columns="margin"))
