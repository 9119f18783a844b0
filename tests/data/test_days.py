import datetime as dt

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.data.days import as_day, day_number
from clv.errors import InputError


@given(st.lists(st.dates(), min_size=1, max_size=20))
def test_day_numbers_are_those_of_the_calendar(days):
    frame = nw.from_native(pl.DataFrame({"day": days}))
    numbers = frame.select(n=day_number("day"))["n"].to_list()
    assert numbers == [day.toordinal() for day in days]


def test_day_numbers_on_every_kind(kind, records):
    days = [dt.date(1900, 3, 1), dt.date(2000, 2, 29), dt.date(2023, 12, 31), dt.date(2024, 12, 31)]
    table = nw.from_native(kind({"day": days})).lazy()
    table = table.with_columns(nw.col("day").cast(nw.Date)).select(n=day_number("day"))
    assert [row["n"] for row in records(table.to_native())] == [d.toordinal() for d in days]


@pytest.mark.parametrize("value", ["2011-08-31", dt.date(2011, 8, 31), dt.datetime(2011, 8, 31, 9)])
def test_a_day_is_read_from(value):
    assert as_day(value, "as_of") == dt.date(2011, 8, 31)


@pytest.mark.parametrize("value", ["31.8.2011", dt.datetime(2011, 8, 31, tzinfo=dt.UTC), 20110831])
def test_what_is_no_day_is_named(value):
    with pytest.raises(InputError, match="as_of"):
        as_day(value, "as_of")
