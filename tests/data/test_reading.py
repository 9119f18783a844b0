"""Dates, amounts and ids as they come in files, read alike by every engine."""

import datetime as dt
import re
import uuid

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.data.reading import date_pattern
from clv.data.transactions import clean
from clv.errors import ColumnError, InputError, RowError


def reasons(report):
    return {finding.reason: finding.rows for finding in report.findings}


def test_text_becomes_numbers_and_dates_on_every_kind(kind, records):
    log = kind(
        {
            "customer_id": ["a", "a", "b", "b", "", "nan", None, "c", "c", "c"],
            "date": [
                *("2024-01-05", "2024-01-05T10:30:00", "2024-02-29 23:59", " 2024-03-01 "),
                *("2024-01-05", "2024-01-05", "2024-01-05"),
                *("2023-02-29", "05.01.2024", None),
            ],
            "amount": ["10", "1.50", " 2e1 ", "-.5", "1", "1", "1", "1", "1", "1"],
        }
    )
    table, report = clean(log)
    assert records(table) == [
        {"customer_id": "a", "date": dt.date(2024, 1, 5), "amount": 11.5, "orders": 2},
        {"customer_id": "b", "date": dt.date(2024, 2, 29), "amount": 19.5, "orders": 1},
    ]
    assert reasons(report)["customer id is missing"] == 3
    assert reasons(report)["date cannot be read"] == 2
    assert reasons(report)["date is missing"] == 1


def test_ids_that_were_floats_are_whole_on_every_kind(kind, records):
    ids = ["38.0", "38", " 38.00", "0038", "v1.0", "10", "38.50"]
    table, _ = clean(kind({"customer_id": ids, "date": ["2024-01-05"] * 7, "amount": [1.0] * 7}))
    amounts = {row["customer_id"]: row["amount"] for row in records(table)}
    assert amounts == {"38": 3.0, "0038": 1.0, "v1.0": 1.0, "10": 1.0, "38.50": 1.0}


def test_amounts_that_are_none_on_every_kind(kind, records):
    texts = ["5", "1,000.00", "$3", "", None, "NaN", "0.00", "2000000000000"]
    n = len(texts)
    log = kind({"customer_id": [1] * n, "date": [dt.date(2024, 1, 5)] * n, "amount": texts})
    table, report = clean(log)
    assert [row["amount"] for row in records(table)] == [5.0]
    assert reasons(report) == {
        "amount is not a number": 2,
        "amount is missing": 3,
        "amount is zero": 1,
        "amount is too large to be money": 1,
    }


def test_nan_and_null_are_both_missing_on_every_kind(kind, records):
    day = dt.datetime(2024, 1, 5, 12)
    table, report = clean(
        kind(
            {
                "customer_id": pa.array([1.0, float("nan"), None, 2.0], pa.float64()),
                "date": [day, day, day, day],
                "amount": pa.array([5.0, 5.0, 5.0, float("nan")], pa.float64()),
            }
        )
    )
    assert [row["customer_id"] for row in records(table)] == [1]
    assert reasons(report) == {"customer id is missing": 2, "amount is missing": 1}


@pytest.mark.parametrize(
    ("written", "date_format"),
    [
        (["1/12/2010 8:26", "31/12/2010 17:05"], "%d/%m/%Y %H:%M"),
        (["12/1/10", "12/31/10"], "%m/%d/%y"),
        (["20101201", "20101231"], "%Y%m%d"),
        (["01-Dec-2010", "31-Dec-2010"], "%d-%b-%Y"),
    ],
)
def test_dates_as_the_caller_says_they_are_written(kind, records, written, date_format):
    bad = written[1].replace("31", "32", 1)
    log = kind({"customer_id": [1, 2, 3], "date": [*written, bad], "amount": [1.0, 1.0, 1.0]})
    table, report = clean(log, date_format=date_format)
    days = [row["date"] for row in records(table)]
    assert days == [dt.date(2010, 12, 1), dt.date(2010, 12, 31)]
    assert reasons(report) == {"date cannot be read": 1}


@given(day=st.integers(1, 31), month=st.integers(1, 12), year=st.integers(1900, 2100))
def test_the_pattern_knows_the_calendar(day, month, year):
    import re

    try:
        dt.date(year, month, day)
        exists = True
    except ValueError:
        exists = False
    for text, form in [
        (f"{day:02}.{month:02}.{year}", "%d.%m.%Y"),
        (f"{month}/{day}/{year}", "%m/%d/%Y"),
    ]:
        assert bool(re.match(date_pattern(form), text)) == exists


def test_whole_numbers_can_be_dates_if_it_is_said_how():
    log = pd.DataFrame({"customer_id": [1], "date": [19970101], "amount": [11.77]})
    with pytest.raises(ColumnError, match="'date' holds Int64, not dates"):
        clean(log)
    assert clean(log, date_format="%Y%m%d")[0]["date"][0] == pd.Timestamp("1997-01-01")


@pytest.mark.parametrize("date_format", ["%d/%m/%Q", "%Y-%m"])
def test_a_format_that_cannot_be_used_is_named(date_format):
    log = pd.DataFrame({"customer_id": [1], "date": ["1997"], "amount": [11.77]})
    with pytest.raises(InputError, match="date_format"):
        clean(log, date_format=date_format)


ZONED = pa.table(
    {
        "customer_id": [1, 2],
        "date": pa.array(
            [dt.datetime(2024, 1, 5, 23, 30), dt.datetime(2024, 7, 5, 23, 30)],
            pa.timestamp("us", "UTC"),
        ),
        "amount": [1.0, 1.0],
    }
)


@pytest.mark.parametrize("build", [lambda t: t.to_pandas(), pl.from_arrow, lambda t: t])
def test_a_time_zone_must_be_settled_and_then_counts(build, records):
    with pytest.raises(ColumnError, match="'date' carries the time zone UTC") as caught:
        clean(build(ZONED))
    assert "time_zone=" in str(caught.value)
    table, report = clean(build(ZONED), time_zone="Europe/London")
    days = [row["date"] for row in records(table)]
    assert days == [dt.date(2024, 1, 5), dt.date(2024, 7, 6)]  # summer time is past midnight
    assert "calendar days are those of Europe/London." in report.assumptions


def test_duckdb_counts_in_the_zone_of_its_connection(records):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Europe/London'")
    log = connection.from_arrow(ZONED)
    with pytest.raises(InputError, match="SET TimeZone"):
        clean(log, time_zone="Asia/Tokyo")
    table, _ = clean(log, time_zone="Europe/London")
    assert [row["date"] for row in records(table)] == [dt.date(2024, 1, 5), dt.date(2024, 7, 6)]


def test_a_zone_for_dates_without_one_is_refused():
    log = pd.DataFrame({"customer_id": [1], "date": pd.to_datetime(["2024-01-05"]), "amount": [1]})
    with pytest.raises(InputError, match="carries no time zone"):
        clean(log, time_zone="UTC")


@pytest.mark.parametrize("text", ["2024-01-05T10:00:00Z", "2024-01-05 10:00:00+02:00"])
def test_text_with_an_offset_is_refused_and_not_dropped(text):
    log = pl.DataFrame({"customer_id": [1, 2], "date": ["2024-01-05", text], "amount": [1, 2]})
    with pytest.raises(RowError, match=r"UTC offset.* in 1 row, such as customer_id 2"):
        clean(log)


def test_ids_of_any_kind_that_can_be_told_apart():
    ids = [uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=1)]
    days = pd.to_datetime(["2024-01-05", "2024-01-05", "2024-01-06"])
    log = pd.DataFrame({"customer_id": ids, "date": days, "amount": [1.0, 2.0, 3.0]})
    table, report = clean(log)
    assert report.customers == 2
    assert table["customer_id"].tolist() == [ids[0], ids[0], ids[1]]


def test_ids_that_were_whole_become_whole_again_and_others_are_named(kind, records):
    log = kind(
        {
            "customer_id": [17850.0, 13047.0, 1.5],
            "date": ["2024-01-05"] * 3,
            "amount": [1.0, 2.0, 3.0],
        }
    )
    table, report = clean(log)
    ids = [row["customer_id"] for row in records(table)]
    assert ids == [13047, 17850]
    assert not any(isinstance(customer, float) for customer in ids)
    assert reasons(report) == {"customer id is not a whole number": 1}


def test_when_no_row_is_left_the_error_says_why_and_what_to_try():
    log = pd.DataFrame({"customer_id": [1, 2], "date": ["5.1.2024", "6.1.2024"], "amount": [1, 2]})
    with pytest.raises(RowError) as caught:
        clean(log)
    assert "no row of the log can be used, of 2: date cannot be read (2:" in str(caught.value)
    assert "5.1.2024" in str(caught.value)
    assert "date_format=" in str(caught.value)


def test_examples_write_days_as_days_on_every_kind(kind):
    moments = [dt.datetime(2024, 1, 4), dt.datetime(2024, 1, 5, 10, 30)]
    with pytest.raises(RowError) as caught:
        clean(kind({"customer_id": [1, 2], "date": moments, "amount": [0.0, 0.0]}))
    shown = re.findall(r"date ([^,]+), amount 0", caught.value.message)
    assert {"2024-01-04", "2024-01-05 10:30:00"} >= set(shown) != set()
    assert 'say zero_amounts="keep"' in str(caught.value.hint)
    assert "a line of [data]" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("amount", [True, False], "'amount' holds Boolean, not numbers"),
        ("date", [1.5, 2.5], "'date' holds Float64, not dates"),
    ],
)
def test_a_column_of_the_wrong_type_is_named(column, values, said):
    columns = {"customer_id": [1, 2], "date": ["2024-01-05"] * 2, "amount": [1.0, 2.0]}
    with pytest.raises(ColumnError, match=said):
        clean(pd.DataFrame({**columns, column: values}))


@pytest.mark.parametrize("day", ["2204-01-05", "2199-12-31"])
def test_days_that_are_still_to_come_are_an_error_unless_an_as_of_day_is_given(day, kind, records):
    log = kind({"customer_id": ["a", "b"], "date": ["2024-01-05", day], "amount": [10.0, 33.0]})
    with pytest.raises(RowError, match="has days that are still to come in 1 row.*" + day) as error:
        clean(log)
    assert "as_of" in error.value.hint
    table, report = clean(log, as_of="2024-12-31")
    assert len(records(table)) == 1
    assert reasons(report) == {"date is after as_of": 1}


@pytest.mark.parametrize("day", ["1970-01-01", "1900-01-01", "1970-01-01T00:00:01"])
def test_dates_as_missing_ones_are_written_are_dropped_and_counted(day, kind, records):
    log = kind({"customer_id": ["a", "b"], "date": ["2024-01-05", day], "amount": [10.0, 33.0]})
    table, report = clean(log)
    assert [row["customer_id"] for row in records(table)] == ["a"]
    (finding,) = report.findings
    assert (finding.reason, finding.rows_out, finding.amount_out) == (
        "date before 1971, as a missing one is written", 1, 33.0
    )  # fmt: skip
