"""The mean of draws against plain loops and Brent's method, and in the exact allocation."""

import numpy as np
import pytest
from scipy.optimize import brentq

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws, falling_root
from clv.decide.budget.response import Exponential, Hill, MichaelisMenten, Power, Tanh
from clv.errors import InputError

RNG = np.random.default_rng(5)


def scattered(center, sd=0.3, draws=40):
    return center * np.exp(sd * RNG.standard_normal(draws))


def elasticities(draws=40):
    return 1 / (1 + np.exp(-0.6 * RNG.standard_normal(draws)))


MEANS = [
    MeanOfDraws(Power(scattered(12), elasticities())),
    MeanOfDraws(Power(scattered(30), elasticities())),
    MeanOfDraws(MichaelisMenten(scattered(900), scattered(20_000))),
    MeanOfDraws(Exponential(scattered(900), scattered(20_000))),
    MeanOfDraws(Tanh(scattered(900), scattered(20))),
    MeanOfDraws(Hill(scattered(900), scattered(20_000), np.full(40, 2.0))),
]


def single(mean, j):
    """Draw j alone."""
    names = [name for name in vars(mean.draws) if name != "assumed"]
    return type(mean.draws)(**{name: float(getattr(mean.draws, name)[j]) for name in names})


@pytest.mark.parametrize("mean", MEANS, ids=lambda mean: type(mean.draws).__name__)
def test_the_mean_is_that_of_a_loop_over_draws(mean):
    spend = np.array([10.0, 3000.0, 80_000.0])
    for verb in ("customers", "marginal"):
        loop = np.mean([getattr(single(mean, j), verb)(spend) for j in range(40)], axis=0)
        assert getattr(mean, verb)(spend) == pytest.approx(loop, rel=1e-12)
        one = [float(getattr(mean, verb)(s)) for s in spend]
        assert getattr(mean, verb)(spend) == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize("mean", MEANS, ids=lambda mean: type(mean.draws).__name__)
@pytest.mark.parametrize("spend", [25_000.0, 60_000.0, 150_000.0])
def test_spend_at_is_what_brents_method_finds(mean, spend):
    wanted = float(mean.marginal(spend))
    found = brentq(lambda s: float(mean.marginal(s)) - wanted, 1.0, 1e7, xtol=1e-9, rtol=1e-14)
    assert mean.spend_at(wanted) == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("mean", MEANS, ids=lambda mean: type(mean.draws).__name__)
def test_at_the_ends_nothing_or_everything_is_spent(mean):
    assert mean.spend_at(np.inf) == 0
    assert mean.spend_at(0.0) == np.inf
    falling = mean.spend_at(np.geomspace(1e-12, 1e12, 200))
    assert (np.diff(falling) <= 0).all()


def test_where_only_some_draws_would_spend():
    """MM draws with n'(0) on both sides of what is asked for; the mean's root is still exact."""
    mean = MeanOfDraws(MichaelisMenten(np.array([900.0, 900.0]), np.array([10_000.0, 40_000.0])))
    wanted = 0.05  # n'(0) = 0.09 and 0.0225
    spend = float(mean.spend_at(wanted))
    assert 0 < spend < mean.draws.spend_at(wanted).max()
    assert mean.marginal(spend) == pytest.approx(wanted, rel=1e-12)
    assert mean.spend_at(0.0563) == 0  # the mean of n'(0) is 0.05625


def test_stacked_means_answer_like_each_alone():
    many = MeanOfDraws.stack(MEANS[:2])
    spend, wanted = np.array([500.0, 70_000.0]), np.array([0.3, 0.001])
    for verb, at in (("customers", spend), ("marginal", spend), ("spend_at", wanted)):
        alone = [float(getattr(m, verb)(x)) for m, x in zip(MEANS[:2], at, strict=True)]
        assert getattr(many, verb)(at) == pytest.approx(alone, rel=1e-12)


def test_unlike_means_are_not_stacked_but_share_a_plan():
    with pytest.raises(InputError, match="cannot be stacked"):
        MeanOfDraws.stack(MEANS[1:3])
    fewer = MeanOfDraws(Power(scattered(12, draws=7), elasticities(7)))
    channels = [Channel(str(i), mean, 60) for i, mean in enumerate([*MEANS, fewer])]
    plan = allocate([*channels, Channel("plain", Power(12, 0.6), 60)], 300_000)
    assert plan.kkt_residual < 1e-8


def test_one_period_after_another_is_the_mean_of_each():
    for mean in MEANS:
        assert mean.over(13).customers(13 * 900.0) == pytest.approx(13 * mean.customers(900.0))


def test_a_random_search_finds_no_plan_with_a_greater_mean():
    value = 10.0 + 20 * np.arange(6)
    channels = [Channel(str(i), m, v) for i, (m, v) in enumerate(zip(MEANS, value, strict=True))]
    plan = allocate(channels, 100_000)
    assert plan.kkt_residual < 1e-8
    others = 100_000 * RNG.dirichlet(np.ones(6), size=3000)
    near = np.abs(np.array(list(plan.spend.values())) + 500 * RNG.standard_normal((3000, 6)))
    others = np.vstack([others, 100_000 * near / near.sum(axis=1, keepdims=True)])
    worth = sum(v * m.customers(s) for v, m, s in zip(value, MEANS, others.T, strict=True))
    assert worth.max() <= plan.value * (1 + 1e-12)


def test_falling_roots_are_found_in_one_sweep():
    target = np.geomspace(1e-8, 1e8, 50)
    root = falling_root(lambda x: np.log(target) - x, np.full(50, -30.0), np.full(50, 30.0))
    assert root == pytest.approx(np.log(target), abs=1e-13)
    steep = falling_root(lambda x: 1 - np.exp(x * x * x), np.full(3, -2.0), np.full(3, 5.0))
    assert steep == pytest.approx(0, abs=1e-4)  # f is flat there
