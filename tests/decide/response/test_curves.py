"""Response curves from spend tables: what is recovered, what is assumed, what is said."""

import json
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clv.decide.budget.allocate import allocate
from clv.decide.budget.response import Power
from clv.decide.response.curves import response_curves
from clv.decide.response.panel import LiftTest
from clv.errors import InputError, RowError

TRUTH = {"search": Power(12, 0.6), "social": Power(30, 0.45), "video": Power(4, 0.7)}
FIXED = {"shape": "power", "time": "nothing"}


def table(truth=TRUTH, count=52, variation=0.4, usual=3000.0, seed=0, phi=60):
    rng = np.random.default_rng(seed)
    periods = pd.date_range("2023-01-02", periods=count, freq="7D")
    rows = []
    for name, curve in truth.items():
        spend = np.round(usual * np.exp(variation * rng.standard_normal(count)), 2)
        mu = curve.customers(spend)
        rows.append(
            pd.DataFrame(
                {
                    "channel": name,
                    "period": periods,
                    "spend": spend,
                    "fixed_cost": 100.0,
                    "new_customers": rng.negative_binomial(phi, phi / (phi + mu)),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def test_curves_and_their_figures_are_recovered():
    found = response_curves(table(), **FIXED)
    for channel in found.channels:
        truth, spend = TRUTH[channel.name], channel.current_spend
        assert channel.elasticity.low < truth.b < channel.elasticity.high
        assert channel.curve.customers(spend) == pytest.approx(truth.customers(spend), rel=0.08)
        assert channel.marginal_cac.low < 1 / truth.marginal(spend) < channel.marginal_cac.high
        average = (spend + 100) / truth.customers(spend)
        assert channel.average_cac.low < average < channel.average_cac.high
        assert channel.own_evidence > 0.5
        assert channel.curve.assumed == ()


def test_the_table_holds_what_the_records_do():
    found = response_curves(table(), **FIXED)
    frame = found.to_frame().set_index("channel")
    social = found["social"]
    assert frame.loc["social", "elasticity"] == social.elasticity.value
    assert frame.loc["social", "marginal_cac_high"] == social.marginal_cac.high
    assert (frame["step_low"] == 0.5 * frame["least_observed"]).all()
    assert (frame["step_high"] == 2 * frame["most_observed"]).all()
    assert json.loads(frame.to_json())["periods"] == dict.fromkeys(TRUTH, 52)
    assert found.to_frame("polars").columns == ["channel", *frame.columns]


def test_one_point_gives_the_prior_elasticity_and_says_so():
    """Science 7: n(s) = n0 (s / s0)^b with the prior's b, marginal CAC = CAC / b."""
    point = pd.DataFrame(
        {"channel": ["a"], "period": ["2024-01"], "spend": [5000.0], "new_customers": [400]}
    )
    found = response_curves(point, draws=20_000)
    curve = found["a"].curve
    assert curve.customers(10_000) == pytest.approx(400 * 2**0.5, rel=1e-6)
    assert curve.assumed == ("b",)
    assert found["a"].marginal_cac.value == pytest.approx(5000 / 400 / 0.5, rel=1e-6)
    # eta ~ N(0, 0.6^2 + 0.8^2) = N(0, 1): 5 and 95% at logistic(-+1.645)
    interval = (found["a"].elasticity.low, found["a"].elasticity.high)
    assert interval == pytest.approx((0.1618, 0.8382), abs=0.01)
    assert str(found.findings[0]).startswith("b of a is assumed, not estimated")
    plan = allocate([found["a"].to_channel(60)], 6000)
    assert "b of the response curve of a is assumed, not estimated." in map(str, plan.notes)


def test_a_channel_whose_spend_never_moved_borrows_from_the_others():
    steep = {f"c{i}": Power(0.4, 0.8) for i in range(6)}
    log = table(steep, count=60)
    still = log["channel"] == "c0"
    log.loc[still, "spend"] = 3000.0
    found = response_curves(log, **FIXED)
    alone = response_curves(log[still], **FIXED)
    assert found["c0"].own_evidence == alone["c0"].own_evidence == 0
    assert found["c0"].curve.assumed == ("b",)
    assert alone["c0"].elasticity.value == pytest.approx(0.5)
    assert found["c0"].elasticity.value > 0.62
    assert "b of c0 is assumed" in str(found.findings[0])
    assert "the other channels leave open" in str(found.findings[0])


def test_pooling_draws_a_thin_channel_towards_the_others_and_leaves_a_thick_one():
    truth = {f"c{i}": Power(0.4, 0.8) for i in range(6)} | {"flat": Power(200, 0.1)}
    log = table(truth, count=40)
    thin = log[(log["channel"] != "c0") | (log["period"] < "2023-02-20")]
    found = response_curves(thin, **FIXED)
    alone = response_curves(thin[thin["channel"] == "c0"], **FIXED)
    assert abs(found["c0"].elasticity.value - 0.8) < abs(alone["c0"].elasticity.value - 0.8)
    assert found["flat"].elasticity.value < 0.25


def test_weeks_without_spend_tell_who_comes_anyway():
    log = table({"a": Power(3, 0.5), "b": Power(12, 0.6)}, count=200)
    rng = np.random.default_rng(1)
    off = (log["channel"] == "a") & (log.index % 4 == 0)
    log.loc[off, ["spend", "new_customers"]] = 0.0, 0
    log.loc[log["channel"] == "a", "new_customers"] += rng.poisson(50, 200)
    found = response_curves(log, **FIXED)
    assert found["a"].curve.customers(3000) == pytest.approx(3 * 3000**0.5, rel=0.05)
    assert found["a"].elasticity.low < 0.5 < found["a"].elasticity.high
    assert found["a"].periods == 150
    assert any(re.match(r"50 periods without spend brought a 4[89]", str(n)) for n in found.notes)
    blind = response_curves(log[log["spend"] > 0], **FIXED)
    assert blind["a"].elasticity.value < found["a"].elasticity.value - 0.1


def test_missing_weeks_are_unknown_and_not_without_spend():
    log = table()
    some = log[(log["channel"] != "video") | (log.index % 3 > 0)]
    found = response_curves(some, **FIXED)
    assert found["video"].elasticity.low < 0.7 < found["video"].elasticity.high
    assert found["video"].periods == (some["channel"] == "video").sum()
    assert any(
        "17 of 156 pairs of channel and period have no row (video)" in str(n) for n in found.notes
    )


def test_a_channel_without_customers_gets_half_of_one():
    log = table()
    log.loc[log["channel"] == "video", "new_customers"] = 0
    found = response_curves(log, **FIXED)
    cac = found["video"].average_cac.value
    assert cac == pytest.approx(2 * log[log["channel"] == "video"]["spend"].sum(), rel=0.1)
    assert any(str(note).startswith("video won no customers for its money") for note in found.notes)


def test_unpaid_channels_have_no_curve():
    organic = pd.DataFrame(
        {"channel": "organic", "period": ["2023-01-02"], "spend": 0.0, "fixed_cost": 5.0}
    )
    organic["new_customers"] = 9
    found = response_curves(pd.concat([table(), organic]), **FIXED)
    assert [channel.name for channel in found.channels] == ["search", "social", "video"]
    assert "organic never spent money: no response curve." in map(str, found.notes)
    with pytest.raises(InputError, match="no channel of the spend table ever spent money"):
        response_curves(organic)


def test_the_currency_does_not_matter():
    log = table(count=20)
    usual = response_curves(log, **FIXED)["social"]
    for unit in (1e-9, 1e9):
        scaled = log.assign(spend=unit * log["spend"], fixed_cost=unit * log["fixed_cost"])
        found = response_curves(scaled, **FIXED)["social"]
        assert found.elasticity.value == pytest.approx(usual.elasticity.value, rel=1e-9)
        assert found.average_cac.value == pytest.approx(unit * usual.average_cac.value, rel=1e-9)
        assert found.marginal_cac.high == pytest.approx(unit * usual.marginal_cac.high, rel=1e-9)


@pytest.mark.parametrize("kind", [pl.from_pandas, pa.Table.from_pandas])
def test_any_dataframe_in_any_row_order(kind):
    log = table(count=12)
    mixed = kind(log.sample(frac=1, random_state=1).reset_index(drop=True))
    expected = response_curves(log, seed=4).to_frame()
    pd.testing.assert_frame_equal(response_curves(mixed, seed=4).to_frame(), expected)


def test_customers_may_be_counted_elsewhere():
    log = table(count=12)
    counts = log[["channel", "period", "new_customers"]]
    apart = response_curves(log.drop(columns="new_customers"), counts, **FIXED)
    assert apart["video"].curve == response_curves(log, **FIXED)["video"].curve


def test_a_lift_test_is_evidence_on_the_curve():
    log = table(count=12, variation=0.15)
    gain = float(TRUTH["search"].customers(4500) - TRUTH["search"].customers(3000))
    test = LiftTest("search", 3000, 1500, gain, 4.0)
    before = response_curves(log, **FIXED)["search"].elasticity
    after = response_curves(log, lift_tests=[test], **FIXED)["search"].elasticity
    assert after.high - after.low < 0.6 * (before.high - before.low)
    assert after.low < 0.6 < after.high


def test_a_lift_test_that_contradicts_attribution_names_the_factor():
    log = table()
    gain = float(TRUTH["search"].customers(4500) - TRUTH["search"].customers(3000))
    test = LiftTest("search", 3000, 1500, 0.4 * gain, 5.0)
    found = response_curves(log, lift_tests=[test], **FIXED)
    (told,) = (each for each in found.findings if each.code == "curves.lift_factor")
    assert str(told).startswith("The lift test of search found +")
    factor = told.values["factor"]
    assert factor == pytest.approx(0.4, abs=0.1)
    settled = response_curves(log, lift_tests=[test], incrementality={"search": factor}, **FIXED)
    assert not [each for each in settled.findings if "lift test" in str(each)]


def test_attribution_is_not_incrementality():
    log = table(count=12)
    full = response_curves(log, **FIXED)
    half = response_curves(log, incrementality={"search": 0.5}, **FIXED)
    assert half["search"].average_cac.value == 2 * full["search"].average_cac.value
    assert half["search"].marginal_cac.low == 2 * full["search"].marginal_cac.low
    assert half["search"].elasticity == full["search"].elasticity
    assert half["search"].to_channel(60).incrementality == 0.5
    assert any(
        "search, social and video are attributed, not incremental" in str(n) for n in full.notes
    )
    assert any("of social and video are attributed, not incremental" in str(n) for n in half.notes)


def test_a_plan_over_several_periods_spends_within_the_step_caps():
    found = response_curves(table(), **FIXED)
    channels = [curve.to_channel(60, periods=13) for curve in found.channels]
    plan = allocate(channels, periods=13, budget=13 * 9000)
    assert plan.kkt_residual < 1e-8
    for curve in found.channels:
        assert plan.current[curve.name] == pytest.approx(13 * curve.current_spend)
        assert plan.spend[curve.name] <= 13 * 2 * curve.observed[1]
        weekly = curve.mean.customers(plan.spend[curve.name] / 13)
        assert plan.customers[curve.name] == pytest.approx(13 * float(weekly))


def test_todays_spend_may_be_given():
    found = response_curves(table(), current={"video": 5000.0}, **FIXED)
    assert found["video"].current_spend == 5000
    assert found["video"].marginal_cac.value == pytest.approx(
        1 / float(found["video"].curve.marginal(5000))
    )
    with pytest.raises(InputError, match="the current spend names radio"):
        response_curves(table(), current={"radio": 1.0}, **FIXED)


def test_the_same_seed_gives_the_same_draws():
    log = table(count=12)
    one, again, other = (response_curves(log, seed=s)["video"].draws for s in (1, 1, 2))
    assert (one.b == again.b).all()
    assert (one.b != other.b).any()


def test_fractions_of_customers_are_refused():
    log = table(count=12).astype({"new_customers": float})
    log.loc[[3, 7], "new_customers"] += 0.5
    with pytest.raises(
        RowError, match="new_customers is no whole number in 2 rows, such as channel"
    ):
        response_curves(log)


@pytest.mark.parametrize(
    "test",
    [
        lambda: LiftTest("search", -1, 5, 5, 1),
        lambda: LiftTest("search", 5, -6, 5, 1),
        lambda: LiftTest("search", 5, 0, 5, 1),
        lambda: LiftTest("search", 5, 5, np.nan, 1),
        lambda: LiftTest("search", 5, 5, 5, 0),
        lambda: response_curves(table(count=3), lift_tests=[LiftTest("radio", 5, 5, 5, 1)]),
    ],
)
def test_impossible_lift_tests_are_refused(test):
    with pytest.raises(InputError, match="lift test"):
        test()
