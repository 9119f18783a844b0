"""Cost and gain of treating a customer: science 6, a simulation, and quadrature over g."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from clv.decide.retention.offer import OBSTACLES, BetaRate, Offer, treat
from clv.errors import InputError

STAKE, P0 = 25.6357, 0.67653  # science 6, example (2, 30.43, 38.86, 22.35)


def test_the_example_customer_worked_out_by_hand():
    """f = 1, d = 5, g = .3: gain g q V, cost f + d (1 - q + g q)."""
    t = treat([P0], [STAKE], Offer(contact_cost=1, incentive=5))
    assert t.gain[0] == pytest.approx(0.3 * 0.67653 * 25.6357)
    assert t.gain[0] == pytest.approx(5.2030, abs=5e-5)
    assert t.cost[0] == pytest.approx(1 + 5 * (0.32347 + 0.202959))
    assert t.profit[0] == pytest.approx(5.2030 - 3.632145, abs=1e-4)
    assert t.gain_per_cost[0] == pytest.approx(5.2030 / 3.632145, rel=1e-4)
    assert t.break_even[0] == pytest.approx((1 + 5 * 0.32347) / (0.67653 * 20.6357))


@pytest.mark.parametrize("redemption", [None, 0.7])
def test_expectations_are_the_means_of_a_simulated_campaign(redemption):
    """Each customer leaves or not, is saved or not, redeems or not; stayers redeem too."""
    rng, n = np.random.default_rng(11), 400_000
    leaves = rng.random(n) < 0.4
    saved = leaves & (rng.random(n) < 0.3)
    redeems = (~leaves | saved) if redemption is None else rng.random(n) < redemption
    gain, cost = 60.0 * saved, 2 + 8.0 * redeems
    t = treat([0.4], [60.0], Offer(2, 8, 0.3, redemption=redemption))
    for expected, drawn in ((t.gain, gain), (t.cost, cost), (t.profit, gain - cost)):
        assert abs(expected[0] - drawn.mean()) < 4 * drawn.std() / np.sqrt(n)


def test_the_default_save_rate_is_the_empc_prior():
    """Verbraken, Verbeke & Baesens 2013: g ~ Beta(6, 14)."""
    offer = Offer(contact_cost=1)
    assert (offer.mean_save_rate, offer.save_rate_source) == (0.3, "assumed")
    assert offer.save_rate_range == pytest.approx(stats.beta(6, 14).ppf([0.05, 0.95]))


def test_expected_profit_is_the_integral_over_the_save_rate():
    """Independent of g ~ Beta(a, b) only through its mean, because profit is linear in g."""
    rate = BetaRate(2, 3)
    t = treat([0.5], [40.0], Offer(1, 6, rate))

    def profit(g):
        return g * 0.5 * 40 - (1 + 6 * (0.5 + g * 0.5))

    integral, _ = quad(lambda g: profit(g) * stats.beta(2, 3).pdf(g), 0, 1)
    assert t.profit[0] == pytest.approx(integral)


def test_at_the_break_even_rate_the_profit_is_zero():
    rng = np.random.default_rng(2)
    q, stake = rng.random(500), rng.gamma(2, 40, 500)
    for redemption in (None, 0.4):
        rates = treat(q, stake, Offer(1, 10, redemption=redemption)).break_even
        for i in np.flatnonzero(np.isfinite(rates))[:100]:
            at = treat(q[[i]], stake[[i]], Offer(1, 10, float(rates[i]), redemption=redemption))
            assert at.profit[0] == pytest.approx(0, abs=1e-9)


def test_no_save_rate_suffices_when_the_incentive_eats_the_stake():
    """Reasons why a customer is not worth treating, one each; the last one is."""
    t = treat([0.9, 0.1, 0.5, 0.0, 0.5], [8.0, 12.0, 40.0, 500.0, 100.0], Offer(1, 10))
    assert np.isnan(t.break_even).tolist() == [True, True, False, True, False]
    assert [OBSTACLES[level] for level in t.obstacle] == [
        "the stake does not exceed the incentive",
        "would not pay even if every leaver were saved",
        "the expected gain does not exceed the cost",
        "would not pay even if every leaver were saved",
        "",
    ]


def test_free_offers_are_worth_an_infinite_multiple():
    t = treat([0.5, 0.0], [10.0, 10.0], Offer(0))
    assert t.gain_per_cost.tolist() == [np.inf, 0]
    assert t.break_even.tolist()[0] == 0


@pytest.mark.parametrize("rate", [0.25, (0.1, 0.4), BetaRate(5, 15)])
def test_ways_to_state_the_save_rate(rate):
    assert Offer(1, save_rate=rate).mean_save_rate == 0.25


@pytest.mark.parametrize(
    "make",
    [
        lambda: Offer(-1),
        lambda: Offer(np.nan),
        lambda: Offer(1, incentive=-2),
        lambda: Offer(1, save_rate=0),
        lambda: Offer(1, save_rate=1.2),
        lambda: Offer(1, save_rate=(0.4, 0.1)),
        lambda: Offer(1, save_rate=np.nan),
        lambda: Offer(1, save_rate_source="guessed"),
        lambda: Offer(1, redemption=1.5),
        lambda: BetaRate(0, 3),
    ],
)
def test_offers_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()
