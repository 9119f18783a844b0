"""Values over years: totals of simulated customers, and what a card says of them."""

import datetime as dt

import pytest

from clv.evaluate.backtest.long_view import long_record, long_view, long_view_in_words
from clv.probability.bg_nbd import BetaGeoNBD
from training.long_horizon import simulated

YEAR = dt.date(2020, 12, 30)  # after which the simulated ones win nobody new


@pytest.fixture(scope="module")
def log():
    return simulated(1, 0.0, customers=1_500)


def test_three_years_of_steady_customers_are_foreseen(log):
    rows = long_view(log, BetaGeoNBD(), cutoff=YEAR)
    assert rows["weeks"].tolist() == [52, 104, 156]
    assert (rows["expected"] / rows["actual"]).to_numpy() == pytest.approx(1.0, abs=0.12)
    assert rows["expected"].is_monotonic_increasing
    day = log.drop_duplicates(["customer_id", "date"])["date"].dt.date
    came = (day > YEAR) & (day <= YEAR + dt.timedelta(3 * 364))
    assert rows["actual"].iloc[-1] == came.sum()
    assert (rows["low"] < rows["expected"]).all()


def test_a_short_log_says_that_nothing_was_measured(log):
    short = log[log["date"] < "2021-04-01"]
    assert long_record(short, BetaGeoNBD(), "week") == []
    assert long_view_in_words(None).startswith("not measured")
