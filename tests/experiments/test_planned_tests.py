"""Planned tests: the published formula, a promised power that holds, worth by simulation."""

import numpy as np
import pytest
from scipy.stats import norm

import clv
from clv.errors import InputError
from clv.experiments.sample_size import SampleSize

Z = norm.ppf(0.975) + norm.ppf(0.8)


@pytest.mark.parametrize(("lift", "plain", "by_clv"), [
    (0.05, 151_495, 73_021), (0.1, 37_874, 18_256), (0.2, 9_469, 4_564),
])  # fmt: skip
def test_customers_in_each_group_for_cdnow(lift, plain, by_clv):
    """Spend within 13 weeks: mean 9.08, sd 44.6, R^2 .518 by CLV."""
    without, adjusted = (clv.plan_test(9.08, 44.6, lift, r2=r2) for r2 in (0, 0.518))
    assert without.n_per_arm == plain == np.ceil(2 * (Z * 44.6 / (lift * 9.08)) ** 2)
    assert adjusted.n_per_arm == by_clv
    assert adjusted.n_per_arm_unadjusted == plain
    assert without.customers == 2 * plain


@pytest.mark.parametrize(("share", "power"), [(0.5, 0.8), (0.1, 0.9)])
def test_the_promised_power_holds(share, power):
    """An analysis of covariance sees 80% (90%) of 4,000 drawn tests; in batches for memory."""
    rng, r2 = np.random.default_rng(1), 0.5
    planned = clv.plan_test(9.0, 8.0, 0.25, r2=r2, control_share=share, power=power)
    seen = np.concatenate([_seen(rng, planned, r2, 500) for _ in range(8)])
    assert seen.mean() == pytest.approx(power, abs=0.02)


def _seen(rng, planned, r2, tests):
    """Whether each of some drawn tests, of skewed outcomes, is seen at 5%; by partialling out."""
    n, sd = planned.customers, planned.baseline_sd
    treated = (np.arange(n) < planned.treated).astype(float)
    known = sd * np.sqrt(r2) * (rng.gamma(2, size=(tests, n)) - 2) / np.sqrt(2)
    noise = sd * np.sqrt(1 - r2) * (rng.exponential(size=(tests, n)) - 1)
    y = known + noise + planned.effect * treated

    def residual(values):
        x = known - known.mean(axis=1, keepdims=True)
        away = values - values.mean(axis=-1, keepdims=True)
        slope = (x * away).sum(axis=1) / (x * x).sum(axis=1)
        return away - slope[:, None] * x

    arm, left = residual(np.broadcast_to(treated, y.shape)), residual(y)
    effect = (arm * left).sum(axis=1) / (arm * arm).sum(axis=1)
    rest = ((left - effect[:, None] * arm) ** 2).sum(axis=1) / (n - 3)
    return np.abs(effect) > norm.ppf(0.975) * np.sqrt(rest / (arm * arm).sum(axis=1))


def test_what_a_test_is_worth_is_what_decisions_gain_by_it():
    """EVPI and EVSI against a million drawn lifts and tests."""
    decision = clv.Rollout(90_000, 60.0, 5.0, (0.0, 0.15))
    planned = clv.plan_test(9, 45, 0.1, r2=0.5, rollout=decision, control_share=0.2)
    rng = np.random.default_rng(0)
    lift = rng.normal(decision.mean, decision.spread, 1_000_000)
    seen = lift + rng.normal(0, planned.lift_error, len(lift))
    earned = 60 * lift - 5
    known = decision.customers * np.maximum(earned, 0).mean() - decision.today
    assert planned.evpi == pytest.approx(known, rel=0.02)
    trust = decision.spread**2 / (decision.spread**2 + planned.lift_error**2)
    do = 60 * (decision.mean + trust * (seen - decision.mean)) > 5
    rest = 90_000 - planned.tested
    without = max(60 * decision.mean - 5, 0.0)
    assert planned.evsi == pytest.approx(rest * ((earned * do).mean() - without), rel=0.02)
    turned = do != (60 * decision.mean > 5)
    assert planned.chance_of_change == pytest.approx(turned.mean(), abs=0.002)
    assert 0 < planned.evsi < planned.evpi


def test_too_few_customers_say_what_they_show():
    planned = clv.plan_test(9, 45, 0.1, rollout=clv.Rollout(5_000, 60.0, 5.0))
    assert planned.tested == 5_000 < planned.customers
    assert planned.size.power_at(planned.detectable_lift * 9, 5_000) == pytest.approx(0.8, abs=1e-6)
    said = " ".join(map(str, planned.findings))
    assert "Only 5,000 customers are there" in said
    assert planned.evsi == 0  # nobody is left to whom it could matter


def test_an_annual_plan_is_planned_alike():
    monthly = clv.ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)
    annual = clv.annual_plan_test(monthly, price=100, discount=0.25)
    lift = abs(annual.effect) / 1000
    assert clv.plan_test(1000, annual.deviation, lift).n_per_arm == annual.per_arm


@pytest.mark.parametrize("wrong", [
    {"lift": 5}, {"lift": 0}, {"baseline_mean": 0}, {"baseline_sd": 0}, {"r2": 1}, {"power": 0.01},
    {"control_share": 1}, {"level": 0}, {"weeks": 0}, {"arrivals": -1}, {"lift": 1e-9},
])  # fmt: skip
def test_figures_that_make_no_test(wrong):
    with pytest.raises(InputError):
        clv.plan_test(**{"baseline_mean": 9, "baseline_sd": 45, "lift": 0.1} | wrong)


def test_the_standard_error_of_uneven_groups():
    """By hand: sd sqrt(1/n1 + 1/n0)."""
    size = SampleSize(10.0, control_share=0.25)
    assert size.standard_error(400) == pytest.approx(10 * np.sqrt(1 / 300 + 1 / 100))


def test_the_command(run):
    words = ("plan-test", "--baseline-mean", 9.08, "--baseline-sd", 44.6, "--lift", 0.05)
    answer = run(*words, "--json").json
    assert answer["n_per_arm"] == 151_495
    assert run(*words, "--r2", 0.518, "--json").json["n_per_arm"] == 73_021
    shown = run(*words, "--customers", 90_000, "--value", 60, "--contact-cost", 2)
    assert "Without a test you would" in shown.out
    assert run(*words, "--contact-cost", 2).code == 2
    refused = run(*words[:-1], 5)
    assert refused.code == 3
    assert "write 0.05 for 5%" in refused.err


@pytest.mark.parametrize(
    "outcome",
    [
        {"baseline_mean": 415, "baseline_sd": 4.1e-233, "lift": 0.05},  # all are alike
        {"baseline_mean": 1e11, "baseline_sd": 1e-11, "lift": 1e-9},
        {"baseline_mean": 9, "baseline_sd": 45, "lift": 0.1, "r2": 1 - 1e-16},
    ],
)
def test_where_everybody_is_alike_two_customers_tell(outcome):
    assert clv.plan_test(**outcome).to_dict()["n_per_arm"] == 1


@pytest.mark.parametrize(
    "outcome",
    [
        {"baseline_mean": 1e-300, "baseline_sd": 45, "lift": 0.1},
        {"baseline_mean": 1e-9, "baseline_sd": 1e-300, "lift": 1e-320},
    ],
)
def test_what_no_number_of_customers_shows_is_said(outcome):
    with pytest.raises(InputError, match="is not seen with any number of customers"):
        clv.plan_test(**outcome)
