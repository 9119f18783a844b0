"""Calls in a user's own words: a summary, a share or a duration that is not what it seems."""

import datetime as dt
import math
import pickle

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from narwhals.typing import IntoFrame
from sklearn.base import clone

import clv
from clv.arguments import named
from clv.data.features import with_behaviour
from clv.decide.acquisition.balance import Ceiling, balance
from clv.decide.acquisition.cohort_grid import cohort_grid
from clv.decide.budget.draws import MeanOfDraws
from clv.errors import ClvError, InputError, RowError, UnitError
from clv.monitoring.monitor_report import Thresholds
from clv.probability.bg_nbd import BetaGeoNBD
from clv.simulate import SimulatedOffer
from clv.uplift.campaign_log import read_campaign
from clv.value.totals import total_purchases
from clv.value.value import Terms, customer_value, value_at_stake

PARAMS = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
WEEKLY = BetaGeoNBD.from_params(PARAMS, unit="week")
SPEND = clv.GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
ANN = {"customer_id": "ann", "frequency": 2, "recency": 30.43, "T": 38.86, "monetary_value": 22.35}


def summary(*rows, **columns):
    """A summary of people like Ann, each with what is said of them."""
    return pd.DataFrame([ANN | row for row in rows or ({},)]).assign(**({"unit": "week"} | columns))


# A time unit that is missing where it is needed


USES = {
    "customer_value": lambda X: customer_value(X, WEEKLY, SPEND, Terms(0.3)),
    "value_interval": lambda X: clv.value_interval(X, WEEKLY, SPEND, Terms(0.3)),
    "value_distribution": lambda X: clv.value_distribution(WEEKLY, SPEND, Terms(0.3), X),
    "total_value": lambda X: clv.total_value(X, WEEKLY, SPEND, Terms(0.3)),
    "totals of purchases": lambda X: total_purchases(X, WEEKLY, "39 weeks"),
    "expected_purchases": lambda X: WEEKLY.conditional_expected_purchases(52, X),
    "probability_alive": WEEKLY.probability_alive,
    "propose_horizon": clv.propose_horizon,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame, pa.Table.from_pandas])
def test_a_summary_without_its_unit_is_refused(use, table):
    """Days in a model of weeks gave a mean CLV of 4.32 in place of 19.12, without a word."""
    daily = summary(recency=30.43 * 7, T=38.86 * 7).drop(columns="unit")
    with pytest.raises(UnitError, match="does not say its time unit"):
        USES[use](table(daily))


def test_parameters_without_a_unit_are_in_that_of_the_summary():
    without, weekly = BetaGeoNBD.from_params(PARAMS), summary()
    for X in (weekly, weekly.drop(columns="unit")):
        ann = without.conditional_expected_purchases(52, X)
        assert ann == pytest.approx(WEEKLY.conditional_expected_purchases(52, weekly))


def test_columns_of_the_log_are_added_in_the_unit_of_the_summary():
    log = pd.DataFrame({"customer_id": 1, "date": pd.to_datetime(["2024-01-01", "2024-02-01"])})
    log["amount"] = 9.0
    with pytest.raises(UnitError, match="fitted in weeks, the table is in days"):
        with_behaviour(clv.summarize(log, unit="day"), log, "2024-02-01", "4 weeks")


# Histories that cannot be

IMPOSSIBLE = {
    "the first purchase is counted": ({"frequency": 1, "recency": 0.0}, "recency is 0"),
    "two on the first day": ({"frequency": 2, "recency": 0.0}, "recency is 0"),
    "the time since the last": ({"frequency": 0, "recency": 38.86}, "without a repeat purchase"),
    "recency beyond T": ({"recency": 40.0}, "recency is beyond T"),
    "a negative T": ({"recency": 0.0, "frequency": 0, "T": -3.0}, "is negative"),
    "a negative recency": ({"recency": -1.0}, "is negative"),
    "a negative count": ({"frequency": -1, "recency": 0.0}, "is negative"),
    "a half purchase": ({"frequency": 1.5}, "is not a whole number"),
    "no T": ({"T": None}, "is missing or infinite"),
    "an endless T": ({"T": float("inf")}, "is missing or infinite"),
}


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_an_impossible_history_is_refused_with_its_row(kind):
    wrong, words = IMPOSSIBLE[kind]
    X = summary({"customer_id": "bob"}, {"customer_id": "cat"} | wrong)
    for use in (BetaGeoNBD().fit, lambda X: customer_value(X, WEEKLY, SPEND, Terms())):
        with pytest.raises(RowError, match=f"{words} in 1 row, such as customer_id=cat"):
            use(X)


@pytest.mark.parametrize(
    "table", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.Table.from_pandas, duckdb.from_df]
)
def test_a_customer_twice_in_a_summary_is_refused(table):
    X = table(summary({}, {"customer_id": "bob"}, {"recency": 31.0}))
    words = "1 customer has several rows in the summary, such as customer_id=ann in 2 rows"
    uses = (
        BetaGeoNBD().fit,
        clv.GammaGamma().fit,
        lambda X: customer_value(X, WEEKLY, SPEND, Terms(0.3)),
        lambda X: clv.total_value(X, WEEKLY, SPEND, Terms(0.3)),
    )
    for use in uses:
        with pytest.raises(RowError, match=words):
            use(X)


def test_a_scorer_refuses_what_its_models_refuse():
    churn = clv.churn.model.ChurnModel("13 weeks", None, "x")
    scorer = clv.CustomerScorer(WEEKLY, SPEND, churn, Terms(0.3), "week", "2024-01-01")
    assert scorer.predict(summary())["clv"][0] > 0
    for wrong, error in (
        (summary().drop(columns="unit"), UnitError),
        (summary({}, {}), RowError),
        (summary({"recency": 0.0}), RowError),
        (summary(unit="day"), UnitError),
    ):
        with pytest.raises(error):
            scorer.predict(wrong)


# Shares and rates in percent

PERCENT = {
    "margin rate": lambda: Terms(margin_rate=30),
    "discount rate": lambda: Terms(annual_discount_rate=10),
    "a per cent of discount": lambda: Terms(annual_discount_rate=1.5),
    "discount of a plan of the balance": lambda: balance(
        100, 15, Ceiling(0.3, 0.05), Ceiling(0.8, 0.08)
    ),
    "ceiling": lambda: Ceiling(30, 0.05),
    "save rate": lambda: clv.Offer(1, save_rate=50),
    "save rates": lambda: clv.Offer(1, save_rate=(10, 40)),
    "redemption": lambda: clv.Offer(1, redemption=20),
    "level": lambda: clv.value_interval(summary(), WEEKLY, SPEND, Terms(), level=90),
    "level of a total": lambda: clv.total_value(summary(), WEEKLY, SPEND, Terms(), level=90),
    "first margin": lambda: clv.new_customer_value(WEEKLY, SPEND, Terms(0.3), 30.0, 40),
    "shrink": lambda: value_at_stake(WEEKLY, 1.0, None, Terms(), "week", "13 weeks", 50),
    "control share": lambda: clv.plan_campaign(pd.DataFrame(), clv.Offer(1), control_share=10),
    "incrementality": lambda: clv.allocate(
        [clv.Channel("tv", clv.Power(1, 0.5), 50, incrementality=80)], 100
    ),
    "decline": lambda: clv.allocate(
        [clv.Channel("tv", clv.Power(1, 0.5), 50, current=10, decline=5)], 100
    ),
    "discount of an annual plan": lambda: clv.annual_plan(
        clv.ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.8), price=100, discount=25
    ),
    "rate of a period": lambda: clv.ShiftedBetaGeometric.from_params(
        alpha=0.7, beta=3.8
    ).discounted_expected_lifetime(10),
    "threshold": lambda: Thresholds(total=15),
    "harm of a simulated offer": lambda: SimulatedOffer(harm=5),
    "margin of a grid": lambda: cohort_grid(pd.DataFrame(), "2024-01-01", margin_rate=30),
}  # fmt: skip


@pytest.mark.parametrize("kind", PERCENT)
def test_a_percentage_is_told_from_a_fraction(kind):
    with pytest.raises(ClvError, match=r"it is a fraction: write [\d.]+ for [\d.]+%"):
        PERCENT[kind]()


@pytest.mark.parametrize("wrong", [True, "0.3", None, float("nan"), 500, -0.1, 0])
def test_what_is_no_share_at_all_is_refused(wrong):
    with pytest.raises(InputError, match="margin_rate = "):
        Terms(wrong)


# Durations as text


def test_durations_may_be_text():
    assert Terms(horizon="52 weeks") == Terms(horizon=clv.Duration(52, "week"))
    assert Terms(horizon="1.5 years").to_dict()["horizon"] == "1.5 years"
    assert clv.churn.model.ChurnModel("13 weeks", None, "x").horizon == clv.Duration(13, "week")
    assert clv.Rules(bought_within="2 weeks", silent_for="1 year").bought_within == 14
    expected = total_purchases(summary(), WEEKLY, clv.Duration(39, "week")).mean
    assert total_purchases(summary(), WEEKLY, "39 weeks").mean == expected


@pytest.mark.parametrize(
    "wrong", [52, 52.0, "52", "soon", "weeks", "-1 week", None, dt.timedelta(7)]
)
def test_what_is_no_duration_fails_at_once(wrong):
    with pytest.raises(InputError, match=r"not a duration|is not positive"):
        Terms(horizon=wrong)
    with pytest.raises(InputError, match=r"not a duration|is not positive"):
        clv.fit_churn(pd.DataFrame(), wrong)


# Dates that pandas users can work with

RAW = {"customer_id": ["a", "a", "b"], "amount": [9.0, 5.0, 4.0]}
DAYS = ["2024-01-01", "2024-01-15", "2024-02-01"]
PANDAS = {
    "nanoseconds": pd.to_datetime(DAYS).astype("datetime64[ns]"),
    "microseconds": pd.to_datetime(DAYS).astype("datetime64[us]"),
    "seconds": pd.to_datetime(DAYS).astype("datetime64[s]"),
    "text": DAYS,
    "objects": [dt.date.fromisoformat(day) for day in DAYS],
    "times as objects": np.array([dt.datetime.fromisoformat(day) for day in DAYS], dtype=object),
}


@pytest.mark.parametrize("kind", PANDAS)
def test_dates_of_a_pandas_log_can_be_worked_with(kind):
    raw = pd.DataFrame(RAW).assign(date=PANDAS[kind])
    log, _ = clv.clean(raw)
    table = clv.summarize(log)
    assert (log["date"] >= pd.Timestamp("2024-01-15")).sum() == 2
    assert (log["date"] >= "2024-01-15").sum() == 2
    assert log.resample("MS", on="date")["amount"].sum().to_list() == [14.0, 4.0]
    calendar = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=60), "week": range(60)})
    assert log.merge(calendar, on="date")["week"].to_list() == [0, 14, 31]
    assert log["date"].dt.month.to_list() == [1, 1, 2]
    assert (table["as_of"] == pd.Timestamp("2024-02-01")).all()
    assert (table["as_of"] - table["as_of"]).dt.days.sum() == 0
    if isinstance(raw["date"].dtype, np.dtype) and raw["date"].dtype.kind == "M":
        assert log["date"].dtype == raw["date"].dtype


def test_dates_of_other_frames_stay_dates():
    dates = {"date": [dt.date.fromisoformat(day) for day in DAYS]}
    log, _ = clv.clean(pl.DataFrame(RAW | dates))
    assert log.schema["date"] == clv.summarize(log).schema["as_of"] == pl.Date
    log, _ = clv.clean(pa.table(RAW | dates))
    assert log.schema.field("date").type == pa.date32()
    arrow = pd.DataFrame(RAW | dates).convert_dtypes(dtype_backend="pyarrow")
    arrow = arrow.astype({"date": pd.ArrowDtype(pa.date32())})
    assert clv.clean(arrow)[0]["date"].dtype == pd.ArrowDtype(pa.date32())


# Columns of odd types


@pytest.mark.parametrize("kind", ["float16", "float32", "Float64", "int8", "uint16", "Int32"])
def test_amounts_of_any_number_are_read(kind):
    raw = pd.DataFrame(RAW).assign(date=pd.to_datetime(DAYS))
    log, _ = clv.clean(raw.astype({"amount": kind}))
    assert log["amount"].sum() == 18.0
    assert clv.summarize(log.astype({"amount": kind}))["first_amount"].sum() == 13.0


def test_a_summary_of_half_precision_is_read():
    X = summary().astype({"recency": "float16", "T": "float16", "monetary_value": "float16"})
    expected = customer_value(summary(), WEEKLY, SPEND, Terms(0.3))["clv"][0]
    assert customer_value(X, WEEKLY, SPEND, Terms(0.3))["clv"][0] == pytest.approx(expected, 0.01)


AWARE = dt.datetime(2024, 1, 15, 23, 30, tzinfo=dt.UTC)
HOURS = [dt.timezone(dt.timedelta(hours=hour)) for hour in (1, 2)]
MIXED = {
    "aware and naive": [dt.datetime(2024, 1, 1), AWARE, dt.datetime(2024, 2, 1)],
    "days and texts": [dt.date(2024, 1, 1), "2024-01-15", dt.datetime(2024, 2, 1)],
    "times and numbers": [dt.datetime(2024, 1, 1), 20240115, None],
    "zones, none of them named": [AWARE, AWARE.astimezone(HOURS[1]), AWARE],
}


@pytest.mark.parametrize("kind", MIXED)
def test_objects_that_mix_times_are_refused_by_name(kind):
    raw = pd.DataFrame(RAW).assign(date=pd.Series(MIXED[kind], dtype=object))
    with pytest.raises(InputError, match="column 'date'"):
        clv.clean(raw)


def test_times_of_several_zones_are_read_in_one():
    times = [AWARE, AWARE.astimezone(HOURS[0]), None]
    raw = pd.DataFrame(RAW).assign(date=pd.Series(times, dtype=object))
    log, report = clv.clean(raw, time_zone="Europe/Berlin")
    assert log["date"].to_list() == [pd.Timestamp("2024-01-16")]
    assert (report.purchases, report.amount_out) == (1, 14.0)


# Arguments of a wrong kind


SHIFTED = clv.ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.8)
UNSURE = MeanOfDraws(clv.Power(np.array([9.0, 8.0]), np.array([0.5, 0.6])))
WRONG_KINDS = {
    "channels = 5 is not a list of Channel": lambda: clv.allocate(5, 900),
    "horizon = 'long' is not a number": lambda: clv.BetaDiscreteWeibull.from_params(
        alpha=0.7, beta=3.8, c=1.1
    ).expected_lifetime("long"),
    "allocate\\(\\) was given a generator": lambda: clv.allocate(x for x in [1]),
    "seed = -1 is below 0": lambda: clv.simulate_order_lines(seed=-1),
    "customers = 9223372036854775808 is too large": lambda: clv.simulate_subscriptions(
        customers=2**63
    ),
    "an age is missing": lambda: clv.annual_offer_by_age(
        SHIFTED, [math.nan], price=100, discount=0.2
    ),
    "periods = 0.0 is no number of periods": lambda: clv.plan_channel_test(
        [clv.Channel("tv", UNSURE, 60, current=5.0)], 9.0, "tv", phi=40.0, periods=0.0
    ),
    "total gives a int, no Total": lambda: clv.totals_by(pd.DataFrame({"a": [1]}), "a", len),
    "what was saved is not what to_dict": lambda: clv.GammaGamma.from_dict({"model": "GammaGamma"}),
}


@pytest.mark.parametrize("words", WRONG_KINDS)
def test_an_argument_of_a_wrong_kind_is_named(words):
    with pytest.raises(InputError, match=words):
        WRONG_KINDS[words]()


def test_what_no_table_should_hold_is_named():
    def broken(table: IntoFrame) -> float:
        return 1 / 0

    odd = pd.DataFrame({"plan": [pd.Series([1]), "a"]})
    with pytest.raises(InputError, match="table has a Series in the column 'plan'"):
        named(broken)(odd)
    with pytest.raises(InputError, match="table has the column 'a' more than once"):
        named(broken)(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(ZeroDivisionError):
        named(broken)(pd.DataFrame({"a": [1]}))


def test_what_fails_with_right_arguments_is_a_fault_and_stays_one():
    def broken(share: float) -> float:
        return share / 0

    with pytest.raises(ZeroDivisionError):
        named(broken)(0.5)
    with pytest.raises(InputError, match="share = 'x' is not a number"):
        named(broken)("x")


def test_public_names_are_what_their_modules_hold():
    assert pickle.loads(pickle.dumps(clv.allocate)) is clv.allocate
    assert clone(clv.BetaGeoNBD(unit="week")).unit == "week"


# Flags


@pytest.mark.parametrize(
    "word",
    [(1, 0), (1.0, 0.0), (True, False), ("yes", "no"), ("TRUE", "False"), ("1", "0"), ("Y", "N")],
)
def test_treated_in_any_words(word):
    rng = np.random.default_rng(1)
    treated = rng.integers(0, 2, 400)
    log = pd.DataFrame({"customer_id": range(400), "outcome_margin": rng.gamma(2, 5, 400)})
    log["clv"] = rng.gamma(2, 5, 400)
    log["treated"] = pd.Series([word[0] if one else word[1] for one in treated], dtype=object)
    assert (treated == read_campaign(log, propensity=0.5).W).all()
    with pytest.raises(InputError, match="'perhaps', neither yes nor no"):
        read_campaign(log.assign(treated="perhaps"), propensity=0.5)


def test_what_ten_thousand_drawn_calls_showed_is_named() -> None:
    table = pd.DataFrame({"frequency": [1], "recency": [2], "T": [3], 4: [0], "4": [0]})
    with pytest.raises(InputError, match="are called '4'"):
        clv.BetaGeoNBD(unit="week").fit(table)
    assert clv.allocate(np.array([]), 100.0).spend == {}  # as of an empty list
    with pytest.raises(InputError, match="as_of in the summary is no day"):
        clv.with_season(pd.DataFrame({"as_of": ["2024-01-01", 5.0]}), pd.DataFrame())
