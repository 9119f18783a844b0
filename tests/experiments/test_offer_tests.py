"""Tests of retention offers: worth against save rates, size by simulated customers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clv
from clv.decide.retention.offer import BetaRate
from clv.errors import InputError
from clv.experiments.offer_test import _places


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    stake = rng.gamma(0.7, 40, 30_000)
    columns = {"customer_id": range(30_000), "churn_probability": rng.beta(2, 2, 30_000)}
    return pd.DataFrame(columns | {"value_at_stake": stake})


def test_what_knowing_a_save_rate_is_worth(scores):
    """Over the prior of the EMPC measure, customer by customer, no sums looked up."""
    test = clv.plan_offer_test(scores, clv.Offer(3.0, incentive=1.0))
    q, stake = scores["churn_probability"].to_numpy(), scores["value_at_stake"].to_numpy()

    def best(g):
        return np.maximum(g * q * stake - 3.0 - (1 - q + g * q), 0.0).sum()

    drawn = [best(g) for g in stats.beta(6, 14).ppf((np.arange(1000) + 0.5) / 1000)]
    assert test.evpi == pytest.approx(np.mean(drawn) - best(0.3), rel=0.02)
    assert 0 < test.evsi < test.evpi
    assert test.contacted == np.count_nonzero(0.3 * q * stake > 3.0 + (1 - q + 0.3 * q))


def test_the_planned_test_has_its_power(scores):
    """2,000 tests of customers who buy with 1 - q, and g q more with the offer."""
    rng = np.random.default_rng(2)
    test = clv.plan_offer_test(scores, clv.Offer(0.5, save_rate=BetaRate(2, 18)))
    n, treated = test.planned.customers, test.planned.treated
    q_all, stake = scores["churn_probability"].to_numpy(), scores["value_at_stake"].to_numpy()
    q_all = q_all[test.offer.save_rate_range[1] * q_all * stake > 0.5]
    assert len(q_all) == test.candidates
    seen = 0
    for _ in range(2000):
        q = rng.choice(q_all, n)
        W = np.arange(n) < treated
        y = (rng.random(n) < 1 - q + 0.1 * q * W) - (1 - q)  # less what is known before
        a, b = y[W], y[~W]
        seen += a.mean() - b.mean() > 1.96 * np.sqrt(a.var() / len(a) + b.var() / len(b))
    assert seen / 2000 == pytest.approx(0.8, abs=0.02)


def test_too_few_customers_and_rates_that_are_known_are_said(scores):
    few = clv.plan_offer_test(scores.head(300), clv.Offer(1.0, save_rate=(0.05, 0.2)))
    assert few.tested == few.candidates < few.planned.customers
    assert "Only " in str(few)
    assert few.evsi == 0
    for wrong in (clv.Offer(1.0, save_rate=0.2), clv.Offer(1e6)):
        with pytest.raises(InputError):
            clv.plan_offer_test(scores, wrong)


def test_the_command_plans_the_test_of_an_offer(scores, tmp_path, run):
    scores.head(4000).to_csv(tmp_path / "scores.csv", index=False)
    words = ("plan-test", "--scores", tmp_path / "scores.csv", "--contact-cost", 1)
    answer = run(*words, "--save-rate", "0.02:0.3", "-o", tmp_path / "test.csv", "--json").json
    assert answer["n_per_arm"] > 100
    assert answer["evsi"] <= answer["evpi"]
    drawn = pd.read_csv(tmp_path / "test.csv")
    assert len(drawn) == answer["tested"]
    assert run("plan-test", "--save-rate", "0.02:0.3").code == 2


def test_the_worth_of_a_test_is_in_its_currency_and_says_if_it_counts_revenue(
    scores, tmp_path, run
):
    scores.head(4000).assign(margin_rate=1.0).to_csv(tmp_path / "scores.csv", index=False)
    words = ("plan-test", "--scores", tmp_path / "scores.csv", "--contact-cost", 1)
    said = run(*words, "--save-rate", "2%:30%", "--currency", "EUR").said
    assert "What the test teaches is worth €" in said
    assert ", and running it costs €" in said
    assert said.count("Gain and profit count revenue, not margin") == 1


def test_rates_are_looked_up_as_a_search_does():
    rng = np.random.default_rng(4)
    rates = np.unique(
        np.concatenate([rng.beta(6, 14, 120), 0.3 + rng.random(50) / 1e6, [0.0, 0.25, 1.0]])
    )
    values = np.concatenate([rng.random(5_000), rates, np.nextafter(rates[1:], 0)])
    right = np.searchsorted(rates, values, side="right")
    np.testing.assert_array_equal(_places(rates, values), right)
