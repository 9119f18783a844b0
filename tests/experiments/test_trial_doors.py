"""Tests by chance through the API and as charts: the numbers of the functions behind them."""

import mlflow
import numpy as np
import pandas as pd
import pytest

import clv
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
    figures = ("--baseline-mean", 9, "--baseline-sd", 45, "--lift", 0.1)
    planned = run("plan-test", *figures, "--track", "tests", "--json").json
    assert mlflow.get_run(planned["run"]).data.metrics["n_per_arm"] == planned["n_per_arm"]
