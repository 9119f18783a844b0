"""Values against the reference tables, and against integrals written here a second time."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import integrate

from clv.errors import InputError, UnitError
from clv.history import read_history
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.value.value import (
    Terms,
    customer_value,
    earned_by_age,
    new_customer_value,
    residual_value,
    value_at_stake,
)

R, ALPHA, A, B = 0.2426, 4.4136, 0.7929, 2.4259  # Fader, Hardie & Lee 2005, CDNOW, weeks
MODEL = BetaGeoNBD.from_params({"r": R, "alpha": ALPHA, "a": A, "b": B}, unit="week")
SPEND = GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44})  # Fader & Hardie 2013
PAPER = {"periods_per_year": 52.0, "currency": "USD"}


def terms(margin: float, rate: float, weeks: float) -> Terms:
    return Terms(margin, rate, Duration(weeks, "week"), **PAPER)


def customers(**columns: object) -> pd.DataFrame:
    base = {"frequency": [2, 0], "recency": [30.43, 0.0], "T": [38.86, 38.86]}
    return pd.DataFrame(base | {"monetary_value": [22.35, 0.0], "unit": "week"} | columns)


@pytest.mark.parametrize(
    ("weeks", "rate", "repeat", "with_first", "at_30_percent"),
    [
        (39, 0.15, 40.2808, 75.4997, 22.6499),
        (52, 0.10, 48.9138, 84.1328, 25.2398),
        (156, 0.10, 87.5064, 122.7253, 36.8176),
        (156, 0.15, 83.5789, 118.7979, 35.6394),
    ],
)
def test_new_customer_reference_table(weeks, rate, repeat, with_first, at_30_percent):
    revenue = new_customer_value(MODEL, SPEND, terms(1.0, rate, weeks))
    assert revenue.repeat_purchases == pytest.approx(repeat, abs=1e-4)
    assert revenue.new_customer_clv == pytest.approx(with_first, abs=1e-4)
    margin = new_customer_value(MODEL, SPEND, terms(0.3, rate, weeks))
    assert margin.new_customer_clv == pytest.approx(at_30_percent, abs=1e-4)
    assert margin.first_amount_source.startswith("assumed")


def test_existing_customer_reference():
    table = customer_value(customers(), MODEL, SPEND, terms(0.3, 0.15, 156))
    assert table["clv"].to_numpy() == pytest.approx([22.1247, 5.5050], abs=1e-4)
    assert table["expected_spend"].iloc[0] == pytest.approx(24.663714, abs=1e-6)
    assert set(table["horizon"]) == {"156 weeks"}
    assert set(table["money"]) == {"contribution margin"}


def test_value_at_stake_reference():
    X = customers()
    stake = value_at_stake(
        MODEL,
        SPEND.expected_spend(X),
        read_history(X),
        terms(0.3, 0.15, 156),
        "week",
        Duration(13, "week"),
        shrink=1.0,
    )
    assert stake == pytest.approx([25.6357, 23.1413], abs=1e-4)


def test_value_at_stake_by_simulation():
    """E[value | bought in h] - E[value | did not], from simulated futures of one customer."""
    rng, n, h, H = np.random.default_rng(5), 400_000, 13.0, 156.0
    x, T, delta = 2, 38.86, np.log(1.15) / 52
    alive = rng.random(n) < MODEL.probability_alive(customers())[0]
    rate = rng.gamma(R + x, 1 / (ALPHA + T), n)
    leaves_after = rng.geometric(rng.beta(A, B + x, n))
    arrivals = np.cumsum(rng.exponential(1 / rate[:, None], (n, 60)), axis=1)
    happens = (np.arange(60) < leaves_after[:, None]) & alive[:, None] & (arrivals < H)
    value = 0.3 * 24.663714 * (np.exp(-delta * arrivals) * happens).sum(axis=1)
    bought = (happens & (arrivals < h)).any(axis=1)
    simulated = value[bought].mean() - value[~bought].mean()
    stake = value_at_stake(
        MODEL,
        np.array([24.663714]),
        read_history(customers().head(1)),
        terms(0.3, 0.15, H),
        "week",
        Duration(h, "week"),
        shrink=1.0,
    )
    error = value[bought].std() / np.sqrt(bought.sum())
    assert stake[0] == pytest.approx(simulated, abs=4 * error)


def test_payback_curve_is_an_integral_of_the_rate():
    earned = earned_by_age(MODEL, SPEND, terms(0.3, 0.15, 156), first_amount=32.99)
    step = lambda t: float(MODEL.expected_purchases(t + 1e-4) - MODEL.expected_purchases(t - 1e-4))  # noqa: E731
    delta = np.log(1.15) / 52
    det, _ = integrate.quad(lambda t: step(t) / 2e-4 * np.exp(-delta * t), 1e-3, 40, limit=200)
    mean_spend = 6.25 * 15.44 / 2.74
    assert earned(40) == pytest.approx(0.3 * (32.99 + mean_spend * det), rel=1e-4)


@pytest.mark.parametrize(("cac", "weeks"), [(15, 9.805), (20, 26.803), (25, 52.127)])
def test_payback_reference(cac, weeks):
    assert earned_by_age(MODEL, SPEND, terms(0.3, 0.15, 156))(weeks) == pytest.approx(cac, abs=2e-4)


def test_years_count_365_25_days_unless_the_caller_says_52_weeks():
    year = new_customer_value(MODEL, SPEND, Terms(1.0, 0.0, Duration(1, "year")))
    weeks = new_customer_value(MODEL, SPEND, Terms(1.0, 0.0, Duration(365.25, "day")))
    assert year.new_customer_clv == pytest.approx(weeks.new_customer_clv, rel=1e-12)


def test_days_and_weeks_give_the_same_money():
    in_days = BetaGeoNBD.from_params({"r": R, "alpha": 7 * ALPHA, "a": A, "b": B}, unit="day")
    X = customers()
    days = X.assign(recency=7 * X["recency"], T=7 * X["T"], unit="day")
    stated = Terms(0.3, 0.1, Duration(3, "year"))
    one, two = customer_value(X, MODEL, SPEND, stated), customer_value(days, in_days, SPEND, stated)
    assert two["clv"].to_numpy() == pytest.approx(one["clv"].to_numpy(), rel=1e-10)


def test_a_summary_in_another_unit_is_refused():
    with pytest.raises(UnitError, match="fitted in weeks, the table is in days"):
        customer_value(customers(unit="day"), MODEL, SPEND, Terms())
    unknown = BetaGeoNBD.from_params(MODEL.params_)
    with pytest.raises(UnitError, match="neither the model nor the summary"):
        customer_value(customers().drop(columns="unit"), unknown, SPEND, Terms())


@pytest.mark.parametrize("margin", [0.0, -0.1, 30.0, float("nan")])
def test_a_margin_that_is_no_fraction_is_refused(margin):
    with pytest.raises(InputError, match="margin_rate"):
        Terms(margin)


def test_the_churn_horizon_must_leave_time():
    history = read_history(customers())
    with pytest.raises(InputError, match="not shorter than the value horizon"):
        value_at_stake(
            MODEL, np.ones(2), history, terms(1, 0, 13), "week", Duration(13, "week"), 0.5
        )


def test_the_same_kind_of_frame_comes_back():
    X, stated = customers(customer_id=["b", "a"]), terms(0.3, 0.15, 156)
    pandas = customer_value(X, MODEL, SPEND, stated)
    polars = customer_value(pl.from_pandas(X), MODEL, SPEND, stated)
    lazy = customer_value(pl.from_pandas(X).lazy(), MODEL, SPEND, stated)
    relation = customer_value(duckdb.from_df(X), MODEL, SPEND, stated)
    assert isinstance(lazy, pl.LazyFrame)
    assert isinstance(relation, duckdb.DuckDBPyRelation)
    for other in (polars.to_pandas(), lazy.collect().to_pandas(), relation.df()):
        assert other["customer_id"].tolist() == ["b", "a"]
        assert other["clv"].to_numpy() == pytest.approx(pandas["clv"].to_numpy(), rel=1e-14)


def test_value_grows_with_the_horizon_and_falls_with_the_discount():
    history, spend = read_history(customers()), np.full(2, 10.0)
    worth = [
        residual_value(MODEL, spend, history, terms(1, d, w), "week")
        for w, d in ((52, 0.1), (104, 0.1), (104, 0.3))
    ]
    assert (worth[1] > worth[0]).all()
    assert (worth[2] < worth[1]).all()
