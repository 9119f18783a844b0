"""Value at the first order: truth recovered, leaks refused, nothing read of later orders."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import clv
from clv.data.cdnow import cdnow_log
from clv.errors import ColumnError, InputError, RowError
from clv.periods import Duration
from clv.prospects.first_order_backtest import first_order_backtest, money_within
from clv.prospects.leaks import require_no_leak

YEAR = clv.Terms(1.0, 0.0, Duration(52, "week"))
RATE, AMOUNT = 2.0, 1.5  # search buys so many times as often, and pays so many times as much


@pytest.fixture(scope="module")
def brand():
    """3,000 customers of two channels over three years, by BG/NBD and Gamma-Gamma."""
    rng, n = np.random.default_rng(8), 3_000
    search = np.arange(n) % 2 == 1
    start = rng.integers(0, 365, n)
    rate = rng.gamma(0.8, 1 / 60.0, n) * np.where(search, RATE, 1.0)  # a day
    leaves = rng.geometric(np.clip(rng.beta(1.0, 4.0, n), 1e-6, 1)) - 1
    scale = rng.gamma(4.0, 1 / 60.0, n) / np.where(search, AMOUNT, 1.0)
    rows = []
    for who in range(n):
        would = rng.poisson(rate[who] * (1_095 - start[who]))
        at = np.sort(rng.uniform(start[who], 1_095, would))[: leaves[who]]
        days = np.unique(np.concatenate([[start[who]], np.ceil(at)])).astype(int)
        rows += [(who, day, rng.gamma(6.0) / scale[who]) for day in days]
    log = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    channel = np.where(search, "search", "mail")[log["customer_id"]]
    day = pd.Timestamp("2021-01-01") + pd.to_timedelta(log.pop("day"), "D")
    return log.assign(date=day, channel=channel)


@pytest.fixture(scope="module")
def fitted(brand):
    return clv.fit_first_orders(brand, YEAR, ["channel"], as_of="2022-03-31")


def test_what_channels_differ_by_is_recovered(fitted):
    for model, truth in ((fitted.purchases, RATE), (fitted.spend, AMOUNT)):
        name = next(n for n in model.params_ if n.endswith("[channel=search]"))
        error = model.covariance_.standard_errors[f"log {name}"]
        assert abs(np.log(model.params_[name] / truth)) < 3 * error < 0.5


def test_values_and_intervals_hold_what_came(brand, fitted):
    first = clv.first_orders(brand, ["channel"])
    table = fitted.predict(first)
    came = money_within(brand, first, Duration(52, "week"))
    assert table["clv"].sum() == pytest.approx(came.sum(), rel=0.1)
    within = (table["clv_low"] <= came) & (came <= table["clv_high"])
    assert 0.88 < within.mean() < 0.92
    assert table["new_customer_clv"].to_numpy() == pytest.approx(
        (first["first_amount"] + table["clv"]).to_numpy()
    )
    segments = clv.segment_values(fitted, first, ["channel"]).set_index("channel")
    for name, rows in first.groupby("channel").indices.items():
        actual = (came + first["first_amount"].to_numpy())[rows].mean()
        row = segments.loc[name]
        assert row["customers"] == len(rows)
        low, high = row["new_customer_value_low"], row["new_customer_value_high"]
        assert 0.93 * low < actual < 1.07 * high
    assert segments.index[0] == "search"


def test_a_new_customer_of_a_pattern_is_one_of_the_ordinary_models(fitted, brand):
    first = clv.first_orders(brand, ["channel"]).iloc[:2]
    ordinary = fitted.purchases.at(**{"channel=search": 1.0})
    spend = fitted.spend.at(**{"channel=search": 1.0})
    value = clv.new_customer_value(ordinary, spend, YEAR, 0.0)
    search = fitted.predict(first)[(first["channel"] == "search").to_numpy()].iloc[0]
    assert search["expected_purchases"] == pytest.approx(value.expected_purchases, rel=1e-6)
    assert search["clv"] == pytest.approx(fitted.level * value.new_customer_clv, rel=1e-6)


def test_only_the_first_hour_is_read():
    log = pd.DataFrame(
        {
            "customer_id": ["a", "a", "a", "b"],
            "date": pd.to_datetime(
                ["2024-01-05 09:10", "2024-01-05 09:40", "2024-01-05 11:00", "2024-01-06 00:00"]
            ),
            "amount": [10.0, 5.0, 90.0, 7.0],
            "items": [1, 2, 9, 1],
            "source": ["web", "web", "app", None],
        }
    )
    table = clv.first_orders(log, ["amount", "items", "source", "weekday"])
    assert table["first_amount"].tolist() == [15.0, 7.0]
    assert table["items"].tolist() == [3.0, 1.0]
    assert table["source"].tolist() == ["web", "not known"]
    assert table["weekday"].tolist() == ["Friday", "Saturday"]
    whole_day = clv.first_orders(log.assign(date=log["date"].dt.normalize()), ["items"])
    assert whole_day["items"].tolist() == [12.0, 1.0]
    assert len(clv.first_orders(log, as_of=dt.date(2024, 1, 5))) == 1


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_planted_leak_is_refused(brand, noise):
    rng = np.random.default_rng(1)
    orders = brand.groupby("customer_id")["date"].transform("size")
    leak = brand.assign(orders_so_far=orders + noise * rng.standard_normal(len(brand)))
    with pytest.raises(InputError, match="orders_so_far tells who bought again"):
        clv.fit_first_orders(leak, YEAR, ["channel", "orders_so_far"])
    words = brand.assign(status=np.where(orders > 1, "loyal", "new"))
    with pytest.raises(InputError, match="status tells who bought again"):
        clv.fit_first_orders(words, YEAR, ["status"])


def test_ids_that_say_nothing_are_no_leak():
    table = pd.DataFrame({"voucher": [f"v{n}" for n in range(400)]})
    require_no_leak(table, ["voucher"], np.arange(400) % 2.0)


@pytest.mark.parametrize(
    ("change", "error", "what"),
    [
        ({"channel": "mail"}, InputError, "channel is the same in every first order"),
        ({"channel": np.nan}, RowError, "channel of a first order is missing"),
        ({"channel": pd.Timestamp("2024-01-01")}, ColumnError, "holds days"),
    ],
)
def test_columns_that_say_nothing_are_refused(brand, change, error, what):
    with pytest.raises(error, match=what):
        clv.fit_first_orders(brand.assign(**change), YEAR, ["channel"])


def test_a_log_without_anything_to_tell_says_so(brand):
    rng = np.random.default_rng(3)
    coin = brand.assign(coin=np.where(rng.random(len(brand)) < 0.5, "heads", "tails"))
    judged = first_order_backtest(coin, ["coin"], cutoff="2022-03-31", horizon="52 weeks")
    assert "not better than one value for all" in judged.verdict
    told = first_order_backtest(brand, ["channel"], cutoff="2022-03-31", horizon="52 weeks")
    assert told.hit_of("first order").gini > 3 * told.hit_of("first order").gini_se
    assert set(told.to_dict()) == {"cutoff", "horizon", "customers", "hits", "verdict"}
    with pytest.raises(InputError, match="needed"):
        first_order_backtest(brand, ["channel"], cutoff="2022-03-31", horizon="3 years")


@pytest.mark.slow
def test_cdnow_from_half_a_year():
    """Random halves, the next 60 weeks' money. The published log is the only one to judge by."""
    judged = first_order_backtest(
        cdnow_log(), ["amount", "quantity"], cutoff="1997-06-30", horizon="60 weeks", seed=1
    )
    ours, ziln = judged.hit_of("first order"), judged.hit_of("ZILN")
    assert ours.gini > 0.35
    assert ours.gini > ziln.gini - 0.01
    assert not [hit for hit in judged.hits if hit.ahead]
    assert 0.88 < ours.coverage < 0.92
    assert 0.88 < ours.total < 1.06
