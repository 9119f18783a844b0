"""What a customer is worth who had left and is brought back."""

from __future__ import annotations

import numpy as np
import pytest

from clv.history import History
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.simulate.process import discounted_purchases
from clv.value.brought_back import value_if_back
from clv.value.predictive.customer_scores import Rates
from clv.value.value import Terms

BG_NBD = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
TERMS = Terms(0.35, 0.10, Duration(156, "week"), "EUR", periods_per_year=52)
SPEND = GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
HISTORY = History(
    np.array([0.0, 1.0, 3.0, 20.0]), np.array([0.0, 12.0, 30.0, 31.0]), np.full(4, 52.0)
)
ZBAR = np.array([0.0, 20.0, 35.0, 18.0])


def test_it_is_what_the_simulation_knows_of_who_is_gone():
    model = BetaGeoNBD.from_params(BG_NBD, unit="week")
    value = value_if_back(model, TERMS, "week", HISTORY)
    r, alpha, a, b = BG_NBD.values()
    x, t_x = HISTORY.x[1:], HISTORY.t_x[1:]
    delta = np.log(1.10) / 52
    bought = discounted_purchases(r + x, alpha + t_x, a + 1, b + x - 1, 156.0, delta)
    spend = 6.25 * (15.44 + x * ZBAR[1:]) / (6.25 * x + 3.74 - 1)
    assert value[0] == 0.0  # nobody leaves before a repeat purchase
    assert value[1:] == pytest.approx(0.35 * bought, rel=2e-3)
    rates = Rates(model, SPEND, TERMS, "week", 13.0, 1.0, (0.05, 0.5, 0.95))
    scores = rates.scores(HISTORY, ZBAR, None)
    assert scores["value_if_back"][1:] == pytest.approx(spend * value[1:])


@pytest.mark.parametrize(("kind", "first"), [(BetaGeoNBD, 1), (ModifiedBetaGeoNBD, 0)])
def test_it_is_the_mean_of_drawn_customers_who_left(kind, first):
    """By importance: lambda, p drawn for all, weighted by how likely such a history is then."""
    rng, draws, x, t_x = np.random.default_rng(1), 400_000, 3.0, 30.0
    r, alpha, a, b = BG_NBD.values()
    rate, leaves = rng.gamma(r, 1 / alpha, draws), rng.beta(a, b, draws)
    weight = rate**x * np.exp(-rate * t_x) * leaves * (1 - leaves) ** (x - first)
    weeks = np.arange(1560) / 10 + 0.05
    discount = 0.1 * np.exp(-np.log(1.10) / 52 * weeks)
    some = rng.choice(draws, 4_000, p=weight / weight.sum())
    stays = np.exp(-np.outer(rate[some] * leaves[some], weeks))
    bought = float((rate[some] * (stays @ discount)).mean())
    model = kind.from_params(BG_NBD, unit="week")
    history = History(np.array([x]), np.array([t_x]), np.array([52.0]))
    plain = Terms(1.0, 0.10, Duration(156, "week"), periods_per_year=52)
    (value,) = value_if_back(model, plain, "week", history)
    assert value == pytest.approx(bought, rel=0.05)


def test_a_model_that_cannot_tell_says_nothing():
    other = ParetoNBD.from_params(r=0.55, alpha=10.6, s=0.61, beta=11.7, unit="week")
    assert value_if_back(other, TERMS, "week", HISTORY) is None
