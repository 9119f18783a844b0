"""Tests by region: exact under the coins, intervals that hold the truth, use as a lift test."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

import clv
from clv.app.estimates import estimate
from clv.app.plan_files.plan_file import Plan
from clv.errors import InputError
from clv.experiments.channel_test import plan_channel_test
from clv.experiments.geo_pairs import MeasuredRegions, pairs_needed

RNG = np.random.default_rng(0)


def table(outcomes, period=1):
    """A row per region."""
    return pd.DataFrame({"region": range(len(outcomes)), "period": period, "outcome": outcomes})


def test_no_effect_is_refused_as_often_as_promised_whatever_regions_are_like():
    """All 2^7 falls of the coins on fixed outcomes: P(p <= a) is at most a, and nearly a."""
    before, after = RNG.gamma(0.3, 50, 7), RNG.gamma(0.3, 50, 7)
    after += 0.8 * before
    falls = [np.array(fall) for fall in product([-1.0, 1.0], repeat=7)]
    p = np.array([MeasuredRegions(tuple(f * after), tuple(f * before), 0.9).p_value for f in falls])
    for alpha in (0.05, 0.1, 0.2, 0.5):
        assert alpha - 3 / 128 <= (p <= alpha + 1e-12).mean() <= alpha + 1e-12


def test_intervals_hold_the_truth_and_what_came_before_makes_them_narrow():
    """300 drawn tests of 9 pairs whose regions differ tenfold: 3 more in each treated one."""
    rng, held, widths = np.random.default_rng(3), [], []
    for _ in range(300):
        size = np.exp(rng.normal(3, 1, (9, 2)))
        early, late = rng.poisson(20 * size) / 20, rng.poisson(20 * size) / 20
        late[:, 0] += 3
        e, d = tuple(early[:, 0] - early[:, 1]), tuple(late[:, 0] - late[:, 1])
        found = MeasuredRegions(d, e, 0.9)
        held.append(found.interval[0] <= 3 <= found.interval[1])
        widths.append(found.standard_error / MeasuredRegions(d, (0.0,) * 9, 0.9).standard_error)
    assert 0.87 <= np.mean(held) <= 0.94
    assert np.median(widths) < 0.2


def test_the_effect_is_the_intercept_of_a_regression():
    d, e = RNG.normal(5, 2, 12), RNG.normal(0, 3, 12)
    found = MeasuredRegions(tuple(d + e), tuple(e), 0.9)
    _, intercept = np.polyfit(e, d + e, 1)
    assert found.effect == pytest.approx(intercept)
    low, high = found.interval
    assert low < found.effect < high
    assert 0.5 < (high - low) / (2 * 1.8 * found.standard_error) < 2


def test_regions_are_paired_by_size_and_drawn_by_chance():
    sizes = np.arange(21) ** 2
    pairs = clv.pair_regions(table(sizes))
    assert len(pairs) == 20  # the smallest is left over
    assert (pairs.groupby("pair")["treated"].sum() == 1).all()
    assert (pairs.groupby("pair")["region"].apply(lambda r: np.ptp(r.astype(int))) == 1).all()
    seeds = [clv.pair_regions(table(sizes), seed=seed) for seed in range(60)]
    drawn = [pairs.set_index("region")["treated"] for pairs in seeds]
    assert pd.concat(drawn, axis=1).mean(axis=1).min() > 0.3
    again = clv.pair_regions(table(sizes).sample(frac=1, random_state=0))
    assert again.equals(pairs)


def test_what_was_found_is_evidence_on_a_curve():
    """Twelve pairs, 240 more spent in half of the regions a week, 36 more customers there."""
    rng, regions = np.random.default_rng(1), 24
    weeks = [table(rng.poisson(30, regions), week) for week in range(8)]
    pairs = clv.pair_regions(pd.concat(weeks[:4]))
    treated = pairs.set_index("region")["treated"].sort_index(key=lambda r: r.astype(int))
    later = [t.assign(outcome=t["outcome"] + 3 * treated.to_numpy()) for t in weeks[4:]]
    history, after = pd.concat(weeks[:4]), pd.concat(later)
    found = clv.measure_regions(pairs, after, history, extra_spend=240.0)
    low, high = found.interval
    assert low < 3 < high
    assert found.p_value < 0.05
    test = found.lift_test("search", 1000.0)
    assert (test.extra_spend, test.extra_customers) == (480.0, pytest.approx(24 * found.effect))
    assert test.standard_error == pytest.approx(24 * (high - low) / 3.29, rel=0.01)


def test_how_many_pairs_it_takes():
    """By simulation with normal differences: 80% within 3 points at 32 pairs."""
    n = pairs_needed(5.0, 10.0)
    d = np.random.default_rng(0).normal(5, 10, (400, n))
    seen = np.abs(d.mean(axis=1)) > 2.04 * d.std(axis=1, ddof=1) / np.sqrt(n)
    assert seen.mean() == pytest.approx(0.78, abs=0.04)


@pytest.mark.parametrize("wrong", [
    table(range(5)), table([1, 2, np.nan, *range(9)]), pd.concat([table(range(12))] * 2),
    pd.concat([table(range(12)), table(range(11), 2)]),
])  # fmt: skip
def test_regions_that_make_no_test(wrong):
    with pytest.raises(InputError):
        clv.pair_regions(wrong)


PLAN = """
budget = 4000
currency = "EUR"
[curves]
spend = "spend.csv"
shape = "power"
time = "nothing"
draws = 60
{more}
[[channels]]
name = "search"
value = 90
[[channels]]
name = "social"
value = 60
"""


@pytest.fixture
def plan(tmp_path):
    """A plan whose curves 20 weeks of two channels leave open."""
    rng, weeks = np.random.default_rng(0), pd.date_range("2024-01-01", periods=20, freq="7D")
    rows = []
    for name, k, b in (("search", 2, 0.6), ("social", 9, 0.4)):
        money = 2000 * rng.uniform(0.9, 1.1, 20)
        rows += zip([name] * 20, weeks, money.round(2), rng.poisson(k * money**b), strict=True)
    columns = ["channel", "period", "spend", "new_customers"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "spend.csv", index=False)
    file = tmp_path / "plan.toml"
    file.write_text(PLAN.format(more=""))
    return file


def test_a_plans_advice_becomes_a_test_and_its_result_a_measured_curve(plan, run):
    """allocate -> plan-test -> regions drawn -> measure-test -> the plan that names the result."""
    folder, rng = plan.parent, np.random.default_rng(4)
    advice = run("allocate", plan)
    assert f"clv plan-test --plan {plan}" in advice.out
    before = pd.concat([table(rng.poisson(40, 24), week) for week in range(6)])
    before.to_csv(folder / "before.csv", index=False)
    drawn, result = folder / "pairs.csv", folder / "result.json"
    words = ("plan-test", "--plan", plan, "--regions", folder / "before.csv", "-o", drawn)
    planned = run(*words, "--json").json
    assert f"test {planned['channel']} next" in advice.said
    worth = [length["worth"] for length in planned["lengths"]]
    assert 0 < worth[0] < worth[-1]
    treated = pd.read_csv(drawn).set_index("region")["treated"].sort_index().to_numpy()
    after = pd.concat([table(rng.poisson(40 + 2 * treated), week) for week in range(6, 12)])
    after.to_csv(folder / "after.csv", index=False)
    came = ("--after", folder / "after.csv", "--before", folder / "before.csv")
    of = ("--channel", planned["channel"], "--spend", 2000, "--extra-spend", 1000)
    found = run("measure-test", drawn, *came, *of, "-o", result, "--json").json
    lift = found["tests"][planned["channel"]]["lift_test"]
    assert lift["extra_spend"] == 2000
    plan.write_text(PLAN.format(more='tests = ["result.json"]'))
    measured = estimate(Plan.read(plan))[1].curves
    stated = "\n".join(f"{key} = {value!r}" for key, value in lift.items() if key != "channel")
    section = f'[[curves.lift_tests]]\nchannel = "{lift["channel"]}"\n{stated}'
    plan.write_text(PLAN.format(more=section))
    assert measured.to_frame().equals(estimate(Plan.read(plan))[1].curves.to_frame())


@pytest.mark.parametrize("retained", [False, True])
def test_a_perfect_test_is_worth_what_knowing_the_channel_is(plan, retained):
    """EVSI where every draw is told apart, against EVPPI by its own computation."""
    from clv.app.channel_trials import of_planned
    from clv.app.plans import read_plan
    from clv.decide.budget.uncertainty import after_samples

    if retained:  # of money for both, customers to keep take a part
        gain = 60 * np.linspace(6, 0.5, 40)
        pd.DataFrame({"cost": 20.0, "gain": gain}).to_csv(plan.parent / "keep.csv", index=False)
        plan.write_text(plan.read_text() + '[retention]\noptions = "keep.csv"\n')
    planned = read_plan(plan)
    name, best, keep = planned.uncertainty.test_next, planned.allocation, planned.retention
    assert (best.retention_spend > 0) == retained
    draws = planned.uncertainty.draws
    samples = [np.full(draws, row) for row in range(draws)]
    gains = after_samples(planned.channels, best, name, samples, keep, planned.periods)
    beside = {"retention": keep, "periods": planned.periods}
    some = plan_channel_test(planned.channels, best.budget, name, phi=40.0, **beside)
    assert of_planned(planned, name).lengths[-1].worth > 0
    assert some.lengths[-1].worth <= np.mean(gains)
    assert np.mean(gains) == pytest.approx(planned.uncertainty.evppi[name], rel=0.02)


@pytest.mark.parametrize(("words", "said"), [
    (("--plan", "PLAN", "--lift", 0.1), "give one of --lift, --save-rate, --contracts and --plan"),
    (("--lift", 0.1, "--channel", "search"), "it goes with --plan"),
    (("--plan", "PLAN", "--channel", "tv"), "no channel of the plan is called tv"),
])  # fmt: skip
def test_mistakes_are_said(plan, run, words, said):
    result = run("plan-test", *(plan if word == "PLAN" else word for word in words))
    assert result.code in (2, 3)
    assert said in result.failed
