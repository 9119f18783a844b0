"""S-shaped curves in one period: against all plans on a grid, and what is said of them."""

import numpy as np
import pytest

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.modes import MinimumCost
from clv.decide.budget.response import Hill, Power

TV = Channel("tv", Hill(V=1000, K=10_000, exponent=2), 50)


def curve(channel, spend):
    """Customers in one period, by the formula of the curve."""
    c = channel.response
    if isinstance(c, Power):
        return c.k * spend**c.b
    return c.V * spend**c.exponent / (c.K**c.exponent + spend**c.exponent)


def problem(rng):
    """One to three S-shaped channels that may pay, sometimes bounded, sometimes beside another."""
    channels = []
    for i in range(rng.integers(1, 4)):
        a, K, V = rng.uniform(1.2, 4), 10 ** rng.uniform(3, 4.5), 10 ** rng.uniform(2, 3.3)
        best = K * (a - 1) ** (1 / a)
        cac = best * (K**a + best**a) / (V * best**a)
        lo, hi = rng.choice([0, 0, 0.2 * K]), rng.choice([np.inf, np.inf, 1.5 * K, 0.7 * K])
        channels.append(Channel(f"s{i}", Hill(V, K, a), cac * rng.uniform(0.6, 4), lo, hi))
    if rng.random() < 0.6:
        power = Power(10 ** rng.uniform(0, 1.3), rng.uniform(0.3, 0.7))
        channels.append(Channel("power", power, rng.uniform(30, 150)))
    return channels, sum(c.lo for c in channels) + 10 ** rng.uniform(2.5, 4.8)


def best_on_a_grid(channels, budget, steps=1200):
    """The greatest profit of all plans in whole steps of money, channel after channel."""
    money = np.linspace(0, budget - sum(c.lo for c in channels), steps)
    earlier = np.arange(steps)[:, None] - np.arange(steps)
    best = np.zeros(steps)
    for channel in channels:
        spend = channel.lo + money
        earned = np.where(spend <= channel.hi, channel.value * curve(channel, spend) - spend, -1e99)
        total = np.where(earlier >= 0, best[np.maximum(earlier, 0)] + earned, -np.inf)
        best = total.max(axis=1)
    return best.max()


@pytest.mark.parametrize("seed", range(50))
def test_a_plan_of_one_period_earns_what_the_best_on_a_grid_does(seed):
    channels, budget = problem(np.random.default_rng(seed))
    plan, best = allocate(channels, budget), best_on_a_grid(channels, budget)
    spend = {c.name: plan.spend[c.name] for c in channels}
    comes_true = sum(c.value * curve(c, spend[c.name]) - spend[c.name] for c in channels)
    assert plan.profit == pytest.approx(comes_true, rel=1e-9, abs=1e-6)
    assert plan.profit >= best - 1e-3 * abs(best)
    assert sum(spend.values()) <= budget * (1 + 1e-9)
    assert all(c.lo * (1 - 1e-9) <= spend[c.name] <= c.hi for c in channels)


def test_customers_below_the_tangent_are_those_that_come():
    plan = allocate([TV], 5_000)
    assert plan.customers["tv"] == pytest.approx(200)
    assert plan.profit == pytest.approx(200 * 50 - 5_000)
    assert plan.kkt_residual < 1e-9
    assert (
        "tv starts slowly: within one period its 5,000 bring 200 new customers. Over several "
        "periods the same money would bring 250 new customers a period, spent as 10,000 in some of "
        "them and nothing in the others." in str(plan)
    )


def test_nothing_is_spent_where_one_period_does_not_pay():
    poor = Channel("tv", TV.response, 22)  # pays at s* = 10,000 and beyond, not at 5,000
    assert allocate([poor], 5_000).spend["tv"] == 0
    assert allocate([poor], 20_000).spend["tv"] > 10_000
    assert allocate([poor], 20_000, periods=4).spend["tv"] == pytest.approx(20_000)


def test_several_periods_alternate_and_say_so():
    plan = allocate([TV], 20_000, periods=4)
    assert plan.customers["tv"] == pytest.approx(1000)  # twice 10,000, each of which brings 500
    assert "those of 10,000 in 50% of the periods and nothing in the others" in str(plan)
    assert "in 20% of the periods" in str(allocate([TV], target=MinimumCost(100)))
