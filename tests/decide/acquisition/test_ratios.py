"""LTV:CAC, payback and marginal CAC against published CDNOW values."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.special import hyp2f1

from clv.decide.acquisition.channels import cac_interval, channel_costs
from clv.decide.acquisition.payback import cac_draws, payback, payback_interval
from clv.decide.acquisition.ratios import channel_table, ltv_to_cac, marginal_cac
from clv.decide.budget.response import MichaelisMenten, Power
from clv.errors import InputError

# CDNOW, Fader, Hardie & Lee 2005; Gamma-Gamma p = 6.25, q = 3.74, v = 15.44
R, ALPHA, A, B = 0.2426, 4.4136, 0.7929, 2.4259
MEAN_SPEND = 6.25 * 15.44 / (3.74 - 1)
DELTA = math.log(1.15) / 52


def purchase_rate(t):
    z = t / (ALPHA + t)
    return R / ALPHA * (1 - z) ** A * hyp2f1(A, A + B - R - 1, A + B, z)


def earned(t):
    """30% of the first purchase and of the discounted repeat purchases up to week t."""
    repeat, _ = quad(lambda s: purchase_rate(s) * math.exp(-DELTA * s), 0, t, epsabs=1e-12)
    return 0.3 * MEAN_SPEND * (1 + repeat)


@pytest.mark.parametrize(("cac", "weeks"), [(15, 9.805), (20, 26.803), (25, 52.127), (5, 0)])
def test_payback_on_the_discounted_margin_of_cdnow(cac, weeks):
    found = payback(cac, earned, within="10 years", unit="week")
    assert found.time == pytest.approx(weeks, abs=5e-4)


def test_a_cac_that_is_never_paid_back():
    found = payback(50, earned, within="40 years")
    assert (found.time, str(found)) == (None, "not within 40 years")


def test_payback_on_a_curve_stops_where_its_data_stop():
    weeks = np.arange(0, 105.0)
    curve = (weeks, [earned(t) for t in weeks])
    assert payback(20, curve, within="10 years").time == pytest.approx(26.803, abs=0.01)
    assert payback(35, curve, within="10 years").time is None
    assert payback(35, earned, within="10 years").time > 104


def test_payback_in_another_unit_is_the_same_time():
    days = payback(20, lambda t: earned(t / 7), within="3 years", unit="day")
    assert days.time / 7 == pytest.approx(26.803, abs=5e-4)


def test_a_curve_with_steps_is_paid_back_at_the_step():
    assert payback(15, ([0, 10, 11, 20], [10, 10, 20, 20]), within="1 year").time == 10.5


def test_ltv_to_cac_names_its_horizon():
    assert ltv_to_cac(36.8176, 10, "3 years").ratio == pytest.approx(3.68176)
    assert str(ltv_to_cac(30, 10, "52 weeks")) == "LTV:CAC at 52 weeks: 3.00 : 1"
    for cac in (None, 0, math.nan):
        assert ltv_to_cac(30, cac, "52 weeks").ratio is None


def test_marginal_cac_of_the_reference_case():
    """Science 8, A2: the marginal CACs 7.6217 and 10.1623; one point: CAC / b."""
    assert marginal_cac(Power(12, 0.6), 22307.9315) == pytest.approx(7.6217, abs=5e-5)
    assert marginal_cac(Power(30, 0.45), 7692.0685) == pytest.approx(10.1623, abs=5e-5)
    assert marginal_cac(Power.from_point(5000, 400, 0.25), 5000) == pytest.approx(12.5 / 0.25)
    assert marginal_cac(MichaelisMenten(900, 20_000), 0, 0.5) == pytest.approx(2 * 20_000 / 900)


SPEND = pd.DataFrame(
    {
        "channel": ["search", "search", "social", "organic"],
        "period": ["2024-01", "2024-02", "2024-01", "2024-01"],
        "spend": [900.0, 1100, 600, 0],
        "fixed_cost": [100.0, 100, 0, 0],
        "new_customers": [50, 60, 30, 40],
    }
)


def test_the_table_per_channel():
    costs = channel_costs(SPEND, incrementality={"search": 0.8})
    table = channel_table(
        costs,
        {"search": 60.0, "social": 25.0, "organic": 30.0},
        horizon="3 years",
        earned={"search": earned, "social": earned},
        responses={"search": Power(12, 0.6)},
    ).set_index("channel")
    assert table.index.tolist() == ["search", "social", "organic"]
    assert table["cac"].tolist()[:2] == pytest.approx([2200 / 110, 20])
    assert table["incremental_cac"].tolist()[:2] == pytest.approx([25, 20])
    assert table["ltv_to_cac"].tolist()[:2] == pytest.approx([60 / 25, 25 / 20])
    assert table["payback"].tolist()[:2] == pytest.approx([52.127, 26.803], abs=5e-4)
    # per period, at its mean media spend of 1,000, for incremental customers
    marginal = 1 / (0.8 * 12 * 0.6 * 1000**-0.4)
    assert table.loc["search", "marginal_cac"] == pytest.approx(marginal)
    assert table.loc["organic", ["cac", "ltv_to_cac", "payback", "marginal_cac"]].isna().all()
    assert set(table["horizon"]) == {"3 years"}
    assert set(table["payback_unit"]) == {"week"}


def test_the_table_is_of_the_kind_that_came_in():
    costs = channel_costs(pl.from_pandas(SPEND))
    table = channel_table(costs, {"search": 60.0}, horizon="3 years")
    assert isinstance(table, pl.DataFrame)
    assert table["ltv_to_cac"].to_list() == [3.0, None, None]


@pytest.mark.parametrize(
    "call",
    [
        lambda: payback(math.nan, earned),
        lambda: payback(-1, earned),
        lambda: payback(20, ([0, 1], [1, 2, 3])),
        lambda: payback(20, ([0, 1, 1], [1, 2, 3])),
        lambda: payback(20, ([0, 1, 2], [1, 3, 2])),
        lambda: payback(20, earned, within="soon"),
        lambda: ltv_to_cac(30, 10, "soon"),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InputError):
        call()


def test_payback_interval_is_payback_draw_by_draw():
    age = np.linspace(0, 156, 313)
    rng = np.random.default_rng(0)
    scale = rng.lognormal(0, 0.2, 40)
    base = np.array([earned(t) for t in age])
    curves = scale[:, None] * base
    cac = cac_draws(2_000, 64, phi=2.5, n=40, seed=3)
    found = payback_interval(cac, age, curves, within="156 weeks")
    times = [
        payback(c, (age, curve), within="156 weeks").time
        for c, curve in zip(cac, curves, strict=True)
    ]
    assert found.share == np.mean([t is not None for t in times])
    known = np.array([np.inf if t is None else t for t in times])
    assert found.median == pytest.approx(np.quantile(known, 0.5, method="higher"), rel=1e-6)
    assert found.high is None  # more than 5% are not paid back
    alone = payback_interval(20, age, base)
    assert alone.low == alone.high == pytest.approx(26.803, abs=0.01)


def test_payback_interval_in_words():
    age = np.arange(0, 53.0)
    never = payback_interval(60, age, [age, age], within="1 year")
    assert str(never) == "not within 1 year in 100% of the draws"
    some = payback_interval(40, age, [age] * 9 + [0.5 * age], within="52 weeks")
    assert str(some) == "40.0 weeks (90%: 40.0 to beyond 52 weeks)"
    assert payback_interval(5, age, age, unit="day", within="3 days").median is None


def test_cac_draws_vary_as_counts_do():
    draws = cac_draws(10_000, 400, phi=4.0, n=20_000)
    assert np.std(np.log(draws)) == pytest.approx(np.sqrt(4 / 400), rel=0.03)
    low, high = cac_interval(np.array([1e4]), np.array([400.0]), 4.0)
    assert np.quantile(draws, [0.05, 0.95]) == pytest.approx([low[0], high[0]], rel=0.02)


def test_the_next_customer_pays_back_later():
    costs = channel_costs(SPEND)
    table = channel_table(
        costs, {"search": 60.0, "social": 25.0}, horizon="3 years",
        earned={"search": earned, "social": earned}, responses={"social": Power(8, 0.2)},
    ).set_index("channel")  # fmt: skip
    marginal = 1 / (8 * 0.2 * 600**-0.8)
    assert table.loc["social", "ltv_to_marginal_cac"] == pytest.approx(25 / marginal)
    assert np.isnan(table.loc["social", "marginal_payback"])  # it never does
    assert np.isnan(table.loc["search", "ltv_to_marginal_cac"])
    assert table.loc["search", "cac_low"] < 2200 / 110 < table.loc["search", "cac_high"]
    assert set(table["new_customers_are"]) == {"attributed, not incremental"}


@pytest.mark.parametrize(
    "call",
    [
        lambda: payback_interval(20, [0, 1], [[1, 2, 3]]),
        lambda: payback_interval(20, [0, 0], [[1, 2]]),
        lambda: payback_interval(-1, [0, 1], [[1, 2]]),
        lambda: cac_draws(0, 10, None),
    ],
)
def test_an_interval_of_nothing_is_refused(call):
    with pytest.raises(InputError):
        call()
