"""Tests by chance through the API and as charts: the numbers of the functions behind them."""

import json

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import clv
from clv.app import campaigns
from clv.report.plots import plot_power, plot_roi


def test_the_power_curve_draws_what_the_plan_promises():
    planned = clv.plan_test(9.08, 44.6, 0.1, r2=0.518)
    chart = plot_power(planned)
    curve, plain, dot = chart.plot.series
    at = np.interp(planned.customers, curve.x, curve.y)
    assert at == pytest.approx(0.8, abs=0.005)
    assert np.interp(2 * planned.n_per_arm_unadjusted, plain.x, plain.y) == pytest.approx(
        0.8, abs=0.005
    )
    assert (dot.x, dot.y) == ([planned.customers], [0.8])
    assert "36,512 customers" in chart.description
    assert len(plot_power(clv.plan_test(9, 45, 0.1)).plot.series) == 2


def test_both_returns_of_a_campaign_are_drawn():
    log = pd.DataFrame({"customer_id": range(400), "treated": np.arange(400) % 2})
    margin = np.repeat([1.0, 5.0], 200) + 2 * log["treated"]
    test = clv.measure_test(log.assign(outcome_margin=margin), propensity=0.5)
    roi = clv.campaign_roi(test, cost=300.0, margin_rate=0.5)
    rows = plot_roi(roi).plot.rows
    assert [row.expected for row in rows] == [roi.reported, roi.by_margin, roi.roi]
    assert (rows[2].low, rows[2].high) == roi.interval
    assert rows[0].low is None


def test_tests_are_tracked(store, run, tmp_path):
    log = pd.DataFrame({"customer_id": range(400), "treated": np.arange(400) % 2, "cost": 0.5})
    log["outcome_margin"], log["propensity"] = np.repeat([1.0, 5.0], 200) + log["treated"], 0.5
    log.to_csv(tmp_path / "log.csv", index=False)
    found = run("measure-test", tmp_path / "log.csv", "--track", "tests", "--json").json
    metrics = mlflow.get_run(found["runs"][0]).data.metrics
    assert metrics["effect"] == pytest.approx(1.0)
    assert metrics["roi/roi"] == pytest.approx(found["tests"]["offer"]["roi"]["roi"])
    drawn = [file.path for file in mlflow.MlflowClient().list_artifacts(found["runs"][0], "plots")]
    assert drawn == ["plots/roi.svg"]
    figures = ("--baseline-mean", 9, "--baseline-sd", 45, "--lift", 0.1)
    planned = run("plan-test", *figures, "--track", "tests", "--json").json
    assert mlflow.get_run(planned["run"]).data.metrics["n_per_arm"] == planned["n_per_arm"]


def test_the_test_of_an_annual_plan_is_that_of_its_model(run, tmp_path):
    model = clv.ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)
    monthly = {"months": 1, "price": 100.0, "model": model.to_dict()}
    (tmp_path / "contracts.json").write_text(json.dumps({"periods": [monthly]}))
    words = ("plan-test", "--contracts", tmp_path / "contracts.json", "--annual-discount", 0.25)
    planned = clv.annual_plan_test(model, price=100, discount=0.25)
    assert run(*words, "--json").json["per_arm"] == planned.per_arm == 2006
    assert "2,006" in run(*words).out
    assert run("plan-test", "--lift", 0.1, "--annual-discount", 0.25).code == 2
    (tmp_path / "contracts.json").write_text(json.dumps({"periods": []}))
    refused = run(*words)
    assert refused.code == 3
    assert "paid by the month" in refused.failed


def test_each_kind_of_next_offer_is_measured_by_its_own_arm(tmp_path):
    """Two kinds with known gains: the uplift of each, and nothing for who has no offer."""
    rng, n = np.random.default_rng(2), 12_000
    q, worth = rng.beta(2, 2, n), np.exp(rng.normal(2, 0.4, n))
    who, kind = np.arange(n), np.where(np.arange(n) % 2, "new", "reminder")
    treated = rng.integers(0, 2, n)
    lift = np.where(kind == "new", 0.3, 0.05) * q
    bought = rng.random(n) < 1 - q + lift * treated
    log = pd.DataFrame({"customer_id": who, "treated": treated, "propensity": 0.5, "action": kind})
    log = log.assign(cost=0.1 * treated, outcome_margin=np.where(bought, worth, 0.0))
    scores = pd.DataFrame(
        {
            "customer_id": who,
            "churn_probability": q,
            "clv": worth * (1 - q),
            "expected_spend": worth,
        }
    )
    for name, table in (("log", log), ("before", scores)):
        table.to_parquet(tmp_path / f"{name}.parquet")
    learned = campaigns.learn(str(tmp_path / "log.parquet"), str(tmp_path / "before.parquet"))
    assert set(learned) == {"new", "reminder"}
    offered = pd.DataFrame({"customer_id": who, "rank": 1, "item": "tea", "kind": "new"})
    offered = offered.assign(chance=0.2, spend=worth, margin=1.0, value=0.2 * worth - 0.1)
    offered = pd.concat([offered[who % 3 > 0], offered.assign(kind="reminder")])
    offered.to_parquet(tmp_path / "offers.parquet")
    table, files = pa.Table.from_pandas(scores), (None, str(tmp_path / "offers.parquet"))
    keep = clv.Offer(contact_cost=1.0, save_rate=0.1)
    actions = campaigns.with_next_offers(table, keep, files, 0.5, learned)
    gains = {a.name: a.effects["expected_gain"].to_numpy() for a in actions[1:]}
    assert (gains["new"][who % 3 == 0] == 0).all()
    for name, share in (("new", 0.3), ("reminder", 0.05)):
        found, true = learned[name].ate[0] + 0.1, float((share * q * worth)[kind == name].mean())
        assert abs(found - true) < 3 * learned[name].ate[1]
    has = who % 3 > 0
    truth = 0.3 * q * worth
    assert gains["new"][has].mean() == pytest.approx(truth[has].mean(), rel=0.2)
    assert np.corrcoef(gains["new"][has], truth[has])[0, 1] > 0.8
    assert gains["new"][has].mean() > 2 * gains["reminder"].mean()
