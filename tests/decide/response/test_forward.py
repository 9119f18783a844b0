"""What predicts the last periods best, on data whose truth is known."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from clv.decide.acquisition.spend import Periods
from clv.decide.budget.response import Exponential, Power
from clv.decide.response.curves import response_curves
from clv.decide.response.forward import SEASON, SHARED, TREND, held_out, time_effects
from clv.errors import InputError


def weeks(count):
    return Periods.from_values(pd.date_range("2021-01-04", periods=count, freq="7D").date.tolist())


def table(curves, count=80, variation=0.7, season=0.0, trend=0.0, shock=0.0, seed=0):
    """Weeks of spend around 5,000, and customers around the curves times season and trend."""
    rng = np.random.default_rng(seed)
    starts = pd.date_range("2021-01-04", periods=count, freq="7D")
    years = np.arange(count) / 52.18
    level = season * np.cos(2 * np.pi * years) + trend * years + shock * rng.standard_normal(count)
    rows = []
    for name, curve in curves.items():
        spend = 5000 * np.exp(
            variation * rng.standard_normal(count) + season * np.cos(years * 6.28)
        )
        mu = curve.customers(spend) * np.exp(level)
        won = rng.negative_binomial(100, 100 / (100 + mu))
        rows.append(
            pd.DataFrame({"channel": name, "period": starts, "spend": spend, "new_customers": won})
        )
    return pd.concat(rows)


POWERS = {f"p{i}": Power(5 + i, 0.4 + 0.05 * i) for i in range(4)}


def test_saturation_is_seen_where_there_is_saturation():
    truth = {f"s{i}": Exponential(800 + 50 * i, 4000 + 300 * i) for i in range(4)}
    found = response_curves(table(truth), time="nothing")
    assert found.shape in ("1-exp", "tanh")
    assert f"The shape of the curves is {found.shape}, because it predicts" in str(
        found.findings[0]
    )
    for channel in found.channels:
        true = float(truth[channel.name].elasticity(channel.current_spend))
        assert channel.elasticity.value == pytest.approx(true, abs=0.15)


def test_power_curves_are_kept_where_they_are_true():
    found = response_curves(table(POWERS), time="nothing")
    assert found.shape == "power"
    assert "no other shape predicts the last 13 of 80 periods better" in str(found.findings[0])


def test_a_season_is_found_and_no_longer_taken_for_response():
    """Money follows the season here, so without it the elasticity is overestimated."""
    log = table(POWERS, count=130, variation=0.25, season=0.4)
    found = response_curves(log, shape="power")
    without = response_curves(log, shape="power", time="nothing")
    truth = np.array([curve.b for curve in POWERS.values()])
    b, naive = (np.array([c.elasticity.value for c in f.channels]) for f in (found, without))
    assert found.time == SEASON
    assert any("log score +" in str(line) and SEASON in str(line) for line in found.findings)
    assert b == pytest.approx(truth, abs=0.12)
    assert naive.mean() > truth.mean() + 0.2


def test_the_curve_holds_for_the_end_of_a_trend():
    found = response_curves(table(POWERS, count=100, trend=-0.5), shape="power", time=TREND)
    for channel in found.channels:
        end = POWERS[channel.name].customers(5000) * np.exp(-0.5 * 99 / 52.18)
        assert channel.curve.customers(5000) == pytest.approx(end, rel=0.08)


def test_a_week_that_moves_all_channels_is_no_noise_of_one():
    log = table({f"c{i}": Power(5, 0.5) for i in range(12)}, count=40, shock=0.1)
    plain = response_curves(log, shape="power", time="nothing")
    shared = response_curves(log, shape="power", time=SHARED)
    assert plain.phi < 70 < shared.phi  # truth 100
    widths = [
        np.mean([c.elasticity.high - c.elasticity.low for c in f.channels]) for f in (plain, shared)
    ]
    assert widths[1] < widths[0]


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (40, ["nothing", TREND, SHARED]),
        (103, ["nothing", TREND, SHARED]),
        (104, ["nothing", TREND, SEASON]),
    ],
)
def test_years_are_told_apart_from_two_of_them_on(count, names):
    assert list(time_effects(weeks(count), channels=3)) == names


def test_an_effect_of_single_periods_needs_three_channels_and_a_trend_needs_dates():
    assert SHARED not in time_effects(weeks(40), channels=2)
    assert list(time_effects(Periods.from_values(["w1", "w2"]), channels=3)) == ["nothing", SHARED]


def test_a_season_averages_out_over_the_year_and_a_trend_ends_today():
    months = Periods.from_values(
        [date(year, month, 1) for year in (2022, 2023, 2024) for month in range(1, 13)]
    )
    design, _ = time_effects(months, channels=4)[SEASON]
    assert np.abs(design[:12, :4].mean(axis=0)).max() < 0.01
    assert design[-1, 4] == 0
    assert design[0, 4] == pytest.approx(-35 / 12, abs=0.01)


def test_how_much_is_held_out():
    assert [held_out(n) for n in (1, 7, 8, 12, 52, 200)] == [0, 0, 2, 3, 13, 13]


def test_too_few_periods_are_said():
    found = response_curves(table(POWERS, count=6))
    assert (found.shape, found.time) == ("power", "nothing")
    assert str(found.findings[0]) == (
        "6 periods are too few to compare shapes of the curve; it is taken to be a power curve."
    )


@pytest.mark.parametrize("wrong", [{"shape": "cubic"}, {"time": SEASON}])
def test_unknown_options_are_named(wrong):
    with pytest.raises(
        InputError, match=r"here it can be 'power'|here it can be 'nothing', 'trend'"
    ):
        response_curves(table(POWERS, count=20), **wrong)
