"""Gains, probabilities and the value of information against plans solved draw by draw."""

import dataclasses

import numpy as np
import pytest

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.response import MichaelisMenten, Power
from clv.decide.budget.uncertainty import plan_uncertainty
from clv.errors import InputError, PlanError

DRAWS = 24
RETENTION = ([2000, 3000, 1500, 4000, 2500], [26000, 30000, 9000, 20000, 3000])


def power_draws(rng, k, b, spread=0.3):
    elasticity = 1 / (1 + np.exp(-rng.normal(np.log(b / (1 - b)), spread, DRAWS)))
    return Power(k * 8_000 ** (b - elasticity) * rng.lognormal(0, 0.1, DRAWS), elasticity)


@pytest.fixture(scope="module")
def market():
    """Three uncertain channels, one certain one; today's money is badly split."""
    rng = np.random.default_rng(7)
    video = MichaelisMenten(rng.lognormal(np.log(900), 0.3, DRAWS), np.full(DRAWS, 20_000.0))
    today = [5_000.0, 10_000.0, 10_000.0, 5_000.0]
    curves = [
        MeanOfDraws(power_draws(rng, 12, 0.6)),
        MeanOfDraws(power_draws(rng, 30, 0.45)),
        MeanOfDraws(video),
        Power(8, 0.5),
    ]
    values, names = (60, 80, 100, 50), ("search", "social", "video", "radio")
    free = (0, np.inf)
    return [
        Channel(n, c, v, current=t, step=free)
        for n, c, v, t in zip(names, curves, values, today, strict=True)
    ]


def in_draw(channel, draw, value=None):
    """The channel as it is in one draw."""
    curve = channel.response
    if isinstance(curve, MeanOfDraws):
        own = curve.draws
        names = [f.name for f in dataclasses.fields(own) if f.name != "assumed"]
        curve = type(own)(**{name: float(getattr(own, name)[draw]) for name in names})
    return dataclasses.replace(channel, response=curve, value=value or channel.value)


def profit(channels, spend, kept=0.0, gain=0.0):
    won = sum(c.value * float(c.response.customers(spend[c.name])) for c in channels)
    return won - sum(spend[c.name] for c in channels) - kept + gain


def test_gains_are_paired_draw_by_draw(market):
    plan = allocate(market, 30_000, RETENTION)
    found = plan_uncertainty(market, plan, RETENTION)
    ours, today = [], []
    for draw in range(DRAWS):
        drawn = [in_draw(c, draw) for c in market]
        ours.append(profit(drawn, plan.spend, plan.retention_spend, plan.retention_gain))
        today.append(profit(drawn, plan.current))
    gain = np.array(ours) - today
    low, median, high = np.quantile(gain, [0.05, 0.5, 0.95])
    expected = {"mean": gain.mean(), "p05": low, "p50": median, "p95": high}
    assert found.gain == pytest.approx(expected)
    assert found.profit["mean"] == pytest.approx(np.mean(ours))
    assert found.probability_better == (gain > 0).mean()
    assert found.profit["mean"] == pytest.approx(plan.profit)  # the plan maximises this mean
    assert found.gain["mean"] == pytest.approx(plan.profit_gain)
    assert str(found.findings[0]).startswith(
        f"The plan beats today's in {(gain > 0).mean():.0%} of 24"
    )


@pytest.mark.parametrize("budget", [30_000, None])
def test_perfect_information_is_the_best_plan_of_every_draw(market, budget):
    capped = [dataclasses.replace(c, hi=40_000.0) for c in market]
    plan = allocate(capped, budget, RETENTION)
    found = plan_uncertainty(capped, plan, RETENTION)
    best = [
        allocate([in_draw(c, d) for c in capped], budget, RETENTION).profit for d in range(DRAWS)
    ]
    assert found.evpi == pytest.approx(np.mean(best) - found.profit["mean"], rel=1e-7, abs=1e-6)


def test_knowing_one_channel_is_the_mean_of_plans_that_know_it(market):
    plan = allocate(market, 30_000, RETENTION)
    found = plan_uncertainty(market, plan, RETENTION)
    for index, name in enumerate(("search", "social", "video")):
        knowing = []
        for draw in range(DRAWS):
            channels = [*market]
            channels[index] = in_draw(market[index], draw)
            knowing.append(allocate(channels, 30_000, RETENTION).profit)
        assert found.evppi[name] == pytest.approx(
            max(np.mean(knowing) - plan.profit, 0), rel=1e-4, abs=1e-4 * found.evpi
        )
    assert found.evppi["radio"] == 0  # it is known
    assert found.test_next == max(found.evppi, key=found.evppi.get)
    assert str(found.findings[1]).endswith(f"test {found.test_next} next, if the test costs less.")
    assert found.to_dict()["test_next"] == found.test_next


def test_draws_of_values_count_too(market):
    rng = np.random.default_rng(0)
    worth = {"social": 80 * rng.lognormal(0, 0.4, DRAWS)}
    mean = [
        dataclasses.replace(c, value=float(np.mean(worth.get(c.name, c.value)))) for c in market
    ]
    plan = allocate(mean, 30_000)
    found = plan_uncertainty(mean, plan, values=worth)
    best = [
        allocate(
            [in_draw(c, d, worth[c.name][d] if c.name in worth else None) for c in mean], 30_000
        ).profit
        for d in range(DRAWS)
    ]
    assert found.evpi == pytest.approx(np.mean(best) - found.profit["mean"], rel=1e-7)
    assert found.evppi["social"] > plan_uncertainty(mean, plan).evppi["social"]
    certain = [dataclasses.replace(c, response=Power(10, 0.5)) for c in mean]
    only = plan_uncertainty(certain, allocate(certain, 30_000), values=worth)
    assert only.evppi["social"] == pytest.approx(only.evpi, rel=1e-4)


def test_several_periods_and_incrementality(market):
    half = [dataclasses.replace(c, incrementality=0.5) for c in market]
    plan = allocate(half, 100_000, periods=4)
    found = plan_uncertainty(half, plan, periods=4)
    assert found.profit["mean"] == pytest.approx(plan.profit)
    assert found.gain["mean"] == pytest.approx(plan.profit_gain)


def test_a_locked_plan_learns_nothing(market):
    locked = [dataclasses.replace(c, lo=c.current, hi=c.current) for c in market]
    found = plan_uncertainty(locked, allocate(locked, 30_000))
    assert found.evpi == pytest.approx(0, abs=1e-6)
    assert found.probability_better == 0  # it is today's plan
    assert found.test_next is None
    assert "No test could change the plan" in str(found.findings[1])
    assert str(found.findings[-1]) == "New customers are attributed, not incremental."


def test_draws_that_do_not_fit_are_named(market):
    plan = allocate(market, 30_000)
    with pytest.raises(InputError, match="there are 3 and 24 draws"):
        plan_uncertainty(market, plan, values={"video": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match="'vdeo', which is no channel"):
        plan_uncertainty(market, plan, values={"vdeo": np.ones(DRAWS)})
    certain = market[3:]
    with pytest.raises(InputError, match="there are no draws"):
        plan_uncertainty(certain, allocate(certain, 1_000))
    falling = [dataclasses.replace(market[0], decline=0.1)]
    with pytest.raises(PlanError, match="quality declines"):
        plan_uncertainty(falling, allocate(falling, 1_000))


def test_five_hundred_draws_of_twenty_channels():
    rng = np.random.default_rng(1)
    many = []
    for index in range(20):
        b = 1 / (1 + np.exp(-rng.normal(0, 0.4, 500)))
        curve = MeanOfDraws(Power(rng.lognormal(6, 0.1, 500) * 5_000**-b, b))
        many.append(Channel(f"c{index}", curve, 60 + 3 * index, current=5_000.0))
    found = plan_uncertainty(many, allocate(many, 100_000))
    assert found.draws == 500
    assert found.evpi >= max(found.evppi.values()) > 0
