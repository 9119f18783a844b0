"""An annual plan over what is unknown: against customers drawn one by one, and a size of test."""

import numpy as np
import pytest

import clv
from clv.errors import InputError
from clv.simulate import simulate_subscriptions

MONTHLY = clv.ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)
PLAN = {"price": 100, "discount": 0.25}


def test_the_surface_is_the_sum_over_customers_drawn_one_by_one():
    kappa, renewal, years, rate = 5.0, 0.6, 3, 0.1
    surface = clv.annual_plan_surface(
        *[MONTHLY], **PLAN, selections=[kappa], renewal_rates=[renewal], years=years
    )
    (row,) = surface.table.to_dict("records")
    rng = np.random.default_rng(0)
    n = 400_000
    payments = np.minimum(rng.geometric(rng.beta(0.7, 3.796996 + kappa, n)), 36)
    worth = np.concatenate([[0.0], np.cumsum(100 * (1 + rate) ** (-np.arange(36) / 12))])
    signed = np.minimum(rng.geometric(1 - renewal, n), years)
    paid = np.concatenate([[0.0], np.cumsum(900 * (1 + rate) ** -np.arange(3.0))])
    gain = (paid[signed] - worth[payments]).mean()
    assert row["gain_per_acceptor"] == pytest.approx(gain, abs=6)
    assert row["first_year"] == pytest.approx(16.59, abs=0.005)
    even = clv.annual_plan_surface(
        *[MONTHLY],
        **PLAN | {"discount": row["break_even_discount"]},
        **{"selections": [kappa], "renewal_rates": [renewal], "years": years},
    )
    assert even.table["gain_per_acceptor"].iloc[0] == pytest.approx(0, abs=1e-9)
    assert surface.cash_now == 800


def test_the_surface_falls_with_selection_and_rises_with_renewal():
    surface = clv.annual_plan_surface(MONTHLY, **PLAN)
    grid = surface.table.pivot(
        index="selection", columns="renewal_rate", values="gain_per_acceptor"
    ).to_numpy()
    assert np.all(np.diff(grid, axis=0) < 0)
    assert np.all(np.diff(grid, axis=1) > 0)
    assert "it pays in 66% of the cases" in str(surface)
    assert "both assumed" in str(surface)


def test_whom_to_offer_it_to():
    rows = clv.annual_offer_by_age(MONTHLY, [0, 6, 24], **PLAN)
    rng = np.random.default_rng(1)
    # who has paid n times leaves at a renewal with a chance spread as Beta(alpha, beta + n - 1)
    for paid, expected in zip(rows["paid"][1:], rows["expected_payments"][1:], strict=True):
        theta = rng.beta(0.7, 3.796996 + paid - 1, 400_000)
        assert np.minimum(rng.geometric(theta) - 1, 12).mean() == pytest.approx(expected, abs=0.03)
    assert rows["gain_per_acceptor"].is_monotonic_decreasing


def test_the_size_of_a_test_holds_its_power():
    test = clv.annual_plan_test(MONTHLY, **PLAN, selection=0, acceptance=0.2)
    rng = np.random.default_rng(2)

    def revenue(n):
        return 100.0 * np.minimum(rng.geometric(rng.beta(0.7, 3.796996, n)), 12)

    seen = 0
    for _ in range(300):
        offered, others = revenue(test.per_arm), revenue(test.per_arm)
        offered[rng.random(test.per_arm) < 0.2] = 900
        z = (offered.mean() - others.mean()) / np.sqrt(2 * test.deviation**2 / test.per_arm)
        seen += abs(z) > 1.96
    assert seen / 300 == pytest.approx(0.8, abs=0.09)  # a little more: a year at once varies less
    assert test.acceptors == 369
    even = clv.annual_plan(MONTHLY, **PLAN).break_even_discount
    near = [clv.annual_plan_test(MONTHLY, price=100, discount=even + d) for d in (0, 1e-7, -1e-3)]
    for planned in near:  # 2% of seven payments of 100, whatever of nearly nothing is assumed
        assert planned.effect == pytest.approx(0.02 * 700, rel=1e-4)
        assert planned.per_arm == near[0].per_arm == pytest.approx(2006 * (40 / 14) ** 2, rel=1e-3)
        assert "too little for any test to tell from nothing" in str(planned)
    assert near[1].assumed == pytest.approx(-2.4e-5, rel=1e-2)  # .2 accept 1,200 x 1e-7 less


@pytest.mark.parametrize(
    "wrong",
    [{"price": 0}, {"discount": 1}, {"years": 1.5}, {"renewal_rates": [2]}, {"selections": [-1]}],
)
def test_plans_without_sense_are_refused(wrong):
    with pytest.raises(InputError, match="makes no annual plan"):
        clv.annual_plan_surface(MONTHLY, **PLAN | wrong)


def test_simulated_subscribers_are_as_their_truth_says():
    made = simulate_subscriptions(seed=2, customers=30_000, annual_share=0.0, upgrade=0.0)
    rows = made.subscriptions
    basic = rows[(rows["plan"] == "basic") & (rows["start"] < "2023-06-29")]
    stayed = ~(basic["end"] <= basic["start"] + np.timedelta64(366, "D"))
    truth = clv.ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.8)
    assert stayed.mean() == pytest.approx(truth.survival(12), abs=0.012)
    assert made.truth["customers"] == rows["customer_id"].nunique() == 30_000
    with pytest.raises(InputError, match="makes no subscribers"):
        simulate_subscriptions(customers=0)
