"""Measured tests: intervals that hold the truth, ROI by hand, and results put to use."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import clv
from clv.app.plan_files.measured_results import save_rate_of
from clv.app.plan_files.offers_file import OffersPlan
from clv.app.plan_files.plan_file import Plan
from clv.errors import InputError
from clv.experiments.adjusted_effect import adjusted_effect


def test_clv_knows_half_of_the_spend_of_cdnow(cdnow_outcomes):
    """Published: mean 9.08, sd 44.6, R^2 .518; 151,691 and 73,070 in each group for 5%."""
    y, value = cdnow_outcomes
    r2 = np.corrcoef(y, value)[0, 1] ** 2
    plain, adjusted = (clv.plan_test(y.mean(), y.std(ddof=1), 0.05, r2=r) for r in (0, r2))
    assert (y.mean(), y.std(ddof=1)) == pytest.approx((9.08, 44.6), rel=0.005)
    assert r2 == pytest.approx(0.518, abs=0.005)
    assert plain.n_per_arm == pytest.approx(151_691, rel=0.005)
    assert adjusted.n_per_arm == pytest.approx(73_070, rel=0.012)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_adjusted_intervals_hold_the_truth(cdnow_outcomes, share):
    """500 tests of 3,000 customers of CDNOW each, to whom 2 is added: 88 to 92% of 90%."""
    y, value = cdnow_outcomes
    rng, n = np.random.default_rng(5), 3000
    W, e = (np.arange(n) < share * n).astype(float), np.full(n, share)
    held, errors = [], []
    for _ in range(500):
        who = rng.choice(len(y), n)
        outcome, known = y[who] + 2 * W, value[who][:, None]
        adjusted, plain = adjusted_effect(outcome, W, e, known), adjusted_effect(outcome, W, e)
        low, high = adjusted.interval(0.9)
        held.append(low <= 2 <= high)
        errors.append((adjusted.standard_error / plain.standard_error) ** 2)
    assert 0.88 <= np.mean(held) <= 0.92
    assert np.mean(errors) < 0.7


def test_the_effect_is_that_of_an_interacted_regression():
    """The same numbers by ordinary least squares with W, x and W x, as Lin (2013) has it."""
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=300), (np.arange(300) % 3 == 0).astype(float)
    y = 2 * x + W * (1 + 0.5 * x) + rng.normal(size=300)
    X = np.column_stack([np.ones(300), W, x - x.mean(), W * (x - x.mean())])
    (beta, *_) = np.linalg.lstsq(X, y, rcond=None)
    found = adjusted_effect(y, W, np.full(300, 1 / 3), x[:, None])
    assert found.mean == pytest.approx(beta[1])
    assert found.baseline == pytest.approx(beta[0])


def test_a_return_by_hand():
    """1,000 contacted bought 3,930 in all at a cost of 1,000: 293% as reported, none of it true."""
    log = pd.DataFrame({"customer_id": range(2000), "treated": np.arange(2000) % 2})
    margin = np.where(np.arange(2000) // 2 % 2, 0.0, 2 * 3.93 * 0.4)
    test = clv.measure_test(log.assign(outcome_margin=margin), propensity=0.5, currency="EUR")
    roi = clv.campaign_roi(test, cost=1000.0, margin_rate=0.4)
    assert roi.reported == pytest.approx(2.93)
    assert roi.by_margin == pytest.approx(3.93 * 0.4 - 1)
    assert roi.roi == pytest.approx(-1)
    assert roi.anyway == pytest.approx(roi.margin)
    low, high = roi.interval
    assert low < -1 < high
    assert "As usually reported it would be +293%" in str(roi)


def test_a_return_below_nothing_says_what_the_campaign_lost():
    """2 each of 100 contacted, 3 each of 100 held out."""
    log = pd.DataFrame({"customer_id": range(200), "treated": np.arange(200) % 2})
    log["outcome_margin"] = 3.0 - log["treated"] + np.where(np.arange(200) < 100, 1.0, -1.0)
    says = str(clv.campaign_roi(clv.measure_test(log, propensity=0.5, currency="EUR"), cost=50.0))
    assert "those contacted brought €200 (outcome_margin), at a cost of €50." in says
    assert "€300 would have come without the campaign, €100 more than came with it." in says
    assert "revenue" not in says


def test_the_return_of_a_simulated_campaign_holds_its_truth():
    """The mean lift of the customers contacted, by the truth; a tenth held out."""
    brand = clv.simulate_brand(seed=3, customers=6000)
    truth = brand.truth.campaign
    test = clv.measure_test(brand.campaign)
    treated = (brand.campaign["treated"] == 1).to_numpy()
    earned = float(truth["lift_margin"].to_numpy()[treated].sum())
    roi = clv.campaign_roi(test, margin_rate=0.35)
    assert roi.interval[0] < earned / roi.cost - 1 < roi.interval[1]
    assert roi.reported > 5 * max(roi.roi, 0.1)


@pytest.fixture
def kept():
    """5,000 customers, half of them leaving, of whom the offer keeps 30%."""
    rng = np.random.default_rng(2)
    scores = pd.DataFrame({"customer_id": range(5000), "churn_probability": 0.5, "clv": 1.0})
    scores["clv"] = rng.gamma(1, 10, 5000)
    drawn = clv.assign_test(scores, stratify="clv", seed=0)
    stays = rng.random(5000) < 0.5 + 0.5 * 0.3 * drawn["treated"]
    return scores, drawn.assign(outcome_margin=np.where(stays, scores["clv"], 0.0), cost=0.5)


def test_the_assignment_is_even_in_strata_and_repeats(kept):
    scores, log = kept
    assert set(log.groupby("stratum")["treated"].sum()) == {250}
    again = clv.assign_test(scores.sample(frac=1, random_state=1), seed=4)
    alone = clv.assign_test(scores, seed=4).set_index("customer_id")["treated"]
    assert (again.set_index("customer_id")["treated"].sort_index() == alone).all()
    some = clv.assign_test(scores, control_share=0.2, customers_in_test=1000)
    assert len(some) == 1000
    assert 150 < (some["treated"] == 0).sum() < 250


def test_what_was_measured_stands_where_it_was_assumed(kept, tmp_path, run):
    scores, log = kept
    for name, table in {"scores": scores.assign(currency="GBP"), "log": log}.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    result, offers = tmp_path / "result.json", tmp_path / "offers.toml"
    words = ("measure-test", tmp_path / "log.csv", "--scores", tmp_path / "scores.csv")
    said = " ".join(run(*words, "--output", result).out.split())
    assert re.search(r"ROI .* brought £[\d,]+ \(outcome_margin\), at a cost of £", said)
    rate = save_rate_of(result)
    assert rate.mean == pytest.approx(0.3, abs=0.06)
    assert rate.quantile(0.05) < 0.3 < rate.quantile(0.95)
    offers.write_text('[[offers]]\nname = "letter"\ncontact_cost = 0.1\ntest = "result.json"\n')
    offer = OffersPlan.read(offers).offers[0].build()
    assert (offer.save_rate, offer.save_rate_source) == (rate, "measured")
    plan = tmp_path / "plan.toml"
    text = '[retention]\nscores = "scores.csv"\ncontact_cost = 1\ntest = "result.json"\n'
    plan.write_text("budget = 10\n" + text)
    section = Plan.read(plan).retention
    assert (section.save_rate, section.save_rate_source) == (rate, "measured")
    now = tmp_path / "now.csv"
    scores.assign(value_at_stake=scores["clv"]).to_csv(now, index=False)
    listed = run("targets", now, "--contact-cost", 0.1, "--test", result, "--json").json
    assert listed["summary"]["offers"][0]["save_rate_source"] == "measured"


@pytest.mark.parametrize("text", [
    "[]", '{"format": 2, "tests": []}', '{"format": 1, "tests": [{"name": "a"}]}',
    '{"format": 1, "tests": [{"name": "a", "save_rate": {"a": -1, "b": 2}}]}', "no json",
])  # fmt: skip
def test_results_that_cannot_be_used(tmp_path, text):
    file = tmp_path / "result.json"
    file.write_text(text)
    with pytest.raises(InputError):
        save_rate_of(file)


def test_outcomes_are_counted_from_orders(tmp_path, run):
    """Orders within the window alone, as margin; a baseline with CLV as covariate likewise."""
    rng = np.random.default_rng(0)
    ids = np.arange(400)
    orders = pd.DataFrame({"customer_id": np.repeat(ids, 3), "amount": 10.0})
    days = rng.integers(0, 60, 1200)
    orders["date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D")
    scores = pd.DataFrame({"customer_id": ids, "clv": 5.0 + ids % 7, "as_of": "2024-01-10"})
    for name, table in {"orders": orders, "scores": scores}.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    test, log = tmp_path / "test.csv", tmp_path / "log.csv"
    own = ("--scores", tmp_path / "scores.csv", "--orders", tmp_path / "orders.csv", "--weeks", 4)
    planned = run("plan-test", "--lift", 0.2, *own, "--output", test, "--json").json
    window = orders[(orders["date"] > "2024-01-10") & (orders["date"] <= "2024-02-07")]
    spent = window.groupby("customer_id")["amount"].sum().reindex(ids, fill_value=0)
    assert planned["baseline_mean"] == pytest.approx(spent.mean())
    assert planned["baseline_sd"] == pytest.approx(spent.std())
    came = ("--orders", tmp_path / "orders.csv", "--since", "2024-01-11", "--weeks", 4)
    words = ("measure-test", test, *came, "--margin-rate", 0.5, "--campaign-log", log)
    found = run(*words, "--json").json["tests"]["offer"]
    drawn = pd.read_csv(log).set_index("customer_id")
    assert drawn["outcome_margin"].to_dict() == (0.5 * spent[drawn.index]).to_dict()
    assert found["treated"] + found["control"] == len(drawn)
    late = run(*words[:4], "--since", "2024-02-20", "--weeks", 4)
    assert late.code == 3
    assert "the orders end on" in late.failed
    assert json.loads(json.dumps(found))["low"] < found["high"]
