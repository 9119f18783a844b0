"""The search on functions whose maximum is known, inside and at the edge."""

import json

import numpy as np
import pytest

from clv.errors import FitError
from clv.findings import finding
from clv.probability.fit_report import FitReport
from clv.probability.optimize import maximize, sample

WIDE = {"lower": [1e-12, 1e-12], "upper": [1e12, 1e12]}


def hill(theta):
    """A maximum of 0 at (3, 0.01), whose logs it is a polynomial of, times 1000 customers."""
    u, v = np.log(theta / np.array([3.0, 0.01]))
    value = -(u**2 + (v + u) ** 2 + (v + u) ** 4)
    du, dv = -2 * u - 2 * (v + u) - 4 * (v + u) ** 3, -2 * (v + u) - 4 * (v + u) ** 3
    return 1000 * value, 1000 * np.array([du, dv]) / theta


def test_finds_the_top_and_says_how():
    found = maximize(hill, [(1.0, 1.0), (50.0, 1e-3)], weight=1000, **WIDE)
    assert found.theta == pytest.approx([3.0, 0.01], rel=1e-9)
    assert found.log_likelihood == pytest.approx(0, abs=1e-12)
    assert found.gradient_norm < 1e-9
    assert (found.starts, found.starts_agreeing) == (2, 2)
    # Hessian of u^2 + (v+u)^2 at 0: [[4, 2], [2, 2]]
    assert found.condition == pytest.approx(np.linalg.cond([[4, 2], [2, 2]]), rel=1e-6)


def two_hills(theta):
    """Maxima near 1/e^3 and e^3, of heights -0.5 and 0 times 10 customers."""
    u = float(np.log(theta[0]))
    low, high = -((u + 3) ** 2) - 0.5, -((u - 3) ** 2)
    value, slope = (low, -2 * (u + 3)) if low > high else (high, -2 * (u - 3))
    return 10 * value, 10 * np.array([slope]) / theta


def test_counts_only_starts_that_reach_the_top():
    starts = [(0.01,), (0.1,), (10.0,)]
    found = maximize(two_hills, starts, lower=[1e-9], upper=[1e9], weight=10)
    assert found.theta == pytest.approx([np.exp(3)])
    assert (found.starts, found.starts_agreeing) == (3, 1)


def ridge(theta):
    """Rises towards u -> infinity, as 1 / u: its maximum is at the bound."""
    return -1 / theta[0] - np.log(theta[1]) ** 2, np.array(
        [1 / theta[0] ** 2, -2 * np.log(theta[1]) / theta[1]]
    )


def test_follows_a_ridge_to_where_nothing_is_left_to_gain():
    found = maximize(ridge, [(1.0, 3.0)], weight=1, **WIDE)
    assert found.log_likelihood > -1e-9
    assert found.theta[1] == pytest.approx(1.0, abs=1e-6)
    assert found.gradient_norm < 1e-8


def test_a_bound_that_holds_back_is_no_slope_but_one_that_is_left_would_be():
    found = maximize(hill, [(1.0, 0.01)], lower=[1e-3, 1e-3], upper=[2.0, 1.0], weight=1000)
    assert found.theta[0] == pytest.approx(2.0)
    assert found.gradient_norm < 1e-9  # of the second parameter alone
    u = np.log(2 / 3)
    assert np.log(found.theta[1] / 0.01) == pytest.approx(-u, rel=1e-6)


def test_a_rough_function_only_shows_the_way():
    def rough(theta):  # the same hill, moved by one percent
        value, slope = hill(theta * 1.01)
        return value, slope * 1.01

    calls = []

    def counted(theta):
        calls.append(theta)
        return hill(theta)

    found = maximize(counted, [(1.0, 1.0), (50.0, 1e-3)], weight=1000, rough=[rough, rough], **WIDE)
    assert found.theta == pytest.approx([3.0, 0.01], rel=1e-8)
    assert found.gradient_norm < 1e-8
    assert len(calls) < 15


def test_a_rough_function_that_misleads_does_no_harm():
    def rough(theta):
        value, slope = hill(theta * 20)
        return value, slope * 20

    found = maximize(hill, [(1.0, 1.0)], weight=1000, rough=[rough, rough], **WIDE)
    assert found.theta == pytest.approx([3.0, 0.01], rel=1e-8)


def test_nowhere_finite():
    with pytest.raises(FitError, match="not finite"):
        maximize(lambda theta: (np.nan, theta * np.nan), [(1.0, 1.0)], weight=1, **WIDE)


def test_a_sample_stands_for_all():
    rng = np.random.default_rng(1)
    weight = rng.exponential(size=5000) * np.where(np.arange(5000) == 77, 3000, 1)
    values = np.sort(rng.normal(size=5000))
    rows, weights = sample(weight, 500)
    assert weights.sum() == pytest.approx(weight.sum())
    assert len(rows) < 500
    assert weights[rows == 77] == pytest.approx(weight[77], rel=0.01)
    mean, close = np.average(values, weights=weight), np.average(values[rows], weights=weights)
    assert close == pytest.approx(mean, abs=0.01)


def report(**changed) -> FitReport:
    fields = {
        "model": "BetaGeoNBD",
        "engine": "native",
        "parameters": {"r": 0.2426},
        "log_likelihood": -9582.4,
        "gradient_norm": 1e-9,
        "condition": 157.0,
        "starts": 3,
        "starts_agreeing": 2,
        "cells": 1016,
        "customers": 2357.0,
        "findings": (finding("fit.few_buyers", parameter="a"),),
    }
    return FitReport(**fields | changed)


@pytest.mark.parametrize("condition", [157.0, float("inf")])
def test_report_survives_json(condition):
    one = report(condition=condition)
    saved = json.dumps(one.to_dict(), allow_nan=False)
    assert FitReport.from_dict(json.loads(saved)) == one


def test_report_reads_like_one():
    text = str(report())
    assert "log-likelihood −9,582.400, 2,357 customers in 1,016 cells" in text
    assert "2 of 3 starts agree" in text
    assert text.endswith("note: a goes to zero: nearly all purchases come from very few customers.")
    assert "NOT CONVERGED" not in text
    assert "NOT CONVERGED" in str(report(gradient_norm=1e-3))
