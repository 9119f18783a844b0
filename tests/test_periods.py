"""Units, durations and discount rates, by the calendar."""

import datetime as dt
import math
import pickle

import pytest

from clv.errors import InputError
from clv.periods import Duration, as_unit, continuous_rate, periods_per_year

UNITS = ["day", "week", "month", "year"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("write", [str, str.upper, "{}s".format, " {}s ".format, str.title])
def test_units_by_any_spelling(unit, write):
    assert as_unit(write(unit)) == unit


@pytest.mark.parametrize("name", ["fortnight", "", "s", "d", "W", None, 7])
def test_no_such_unit(name):
    with pytest.raises(InputError, match=r"(?s)not a time unit.*day, week, month, year"):
        as_unit(name)


def test_a_year_is_the_calendars_year():
    four_years = (dt.date(2028, 3, 1) - dt.date(2024, 3, 1)).days
    assert periods_per_year("day") == four_years / 4
    assert periods_per_year("week") == pytest.approx(four_years / 4 / 7)
    assert periods_per_year("month") == 12
    assert periods_per_year("year") == 1


@pytest.mark.parametrize("annual", [0.0, 0.1, 0.15, 0.99, -0.05])
@pytest.mark.parametrize("per_year", [1, 12, 52, 365.25])
def test_a_years_discount_is_the_annual_one(annual, per_year):
    delta = continuous_rate(annual, per_year)
    assert math.exp(-delta * per_year) == pytest.approx(1 / (1 + annual), rel=1e-15)


def test_the_papers_rate():
    """15% a year in 52 weeks: Fader, Hardie & Lee write delta = .0027 (RFM and CLV, 2005)."""
    assert round(continuous_rate(0.15, 52), 4) == 0.0027


@pytest.mark.parametrize("annual", [-1.0, -2.0, 1.0, 10, math.nan, math.inf, "10%"])
def test_no_such_rate(annual):
    with pytest.raises(InputError, match=r"annual_discount_rate = .* is not in \(-1, 1\)"):
        continuous_rate(annual, 52)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("90 days", 90),
        ("13 weeks", 91),
        ("1 week", 7),
        ("1.5 years", 547.875),
        (".5 year", 182.625),
        ("12months", 365.25),
        ("  3   Years ", 1095.75),
        ("1e3 days", 1000),
    ],
)
def test_durations_in_words(text, days):
    assert Duration.parse(text).to("day") == pytest.approx(days)


@pytest.mark.parametrize(
    "text", ["", "13", 13, None, "weeks", "-3 weeks", "3 - 4 weeks", "e3 days"]
)
def test_no_duration(text):
    with pytest.raises(InputError, match=r"(?s)not a duration.*13 weeks"):
        Duration.parse(text)


@pytest.mark.parametrize("length", [0, -1, math.nan, math.inf])
def test_durations_are_positive(length):
    with pytest.raises(InputError, match="not positive"):
        Duration(length, "week")


def test_zero_days_in_words():
    with pytest.raises(InputError, match="not positive"):
        Duration.parse("0 days")


@pytest.mark.parametrize("one", UNITS)
@pytest.mark.parametrize("other", UNITS)
def test_there_and_back(one, other):
    there = Duration(2.5, one).to(other)
    assert Duration(there, other).to(one) == pytest.approx(2.5, rel=1e-15)
    assert Duration(2.5, one).to(one) == 2.5


@pytest.mark.parametrize(
    ("length", "unit", "text"),
    [
        (1, "year", "1 year"),
        (3, "year", "3 years"),
        (1.5, "week", "1.5 weeks"),
        (1e7, "day", "10000000 days"),
    ],
)
def test_durations_read_as_people_write_them(length, unit, text):
    assert str(Duration(length, unit)) == text


@pytest.mark.parametrize("length", [1, 90 / 7, 0.1 + 0.2, 1e-9, 123456789.0, 1e20])
def test_what_is_written_is_read_back_exactly(length):
    """Saved models and tables hold durations as text."""
    duration = Duration(length, "week")
    assert Duration.parse(str(duration)) == duration
    assert Duration.parse(duration) is duration
    assert pickle.loads(pickle.dumps(duration)) == duration
