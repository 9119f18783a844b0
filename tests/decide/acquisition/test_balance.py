"""Blattberg & Deighton's balance against the reference case and a general-purpose search."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from clv.decide.acquisition.balance import Ceiling, balance
from clv.errors import InputError


def test_the_reference_case():
    """Science 8: m = 100, d = .15, C_a = .3, k_a = .05, C_r = .8, k_r = .08."""
    found = balance(100, 0.15, Ceiling(0.3, 0.05), Ceiling(0.8, 0.08))
    assert found.retention == pytest.approx(31.963502, abs=5e-7)
    assert found.marginal_cost == pytest.approx(201.532850, abs=5e-7)
    assert found.acquisition == pytest.approx(22.124946, abs=5e-7)
    assert "the last customer then costs 202, won or kept" in str(found)


def equity(A, R, m, d, acquisition, retention):
    """A prospect's worth, year by year: won, then kept and paid for every year."""
    won, kept = acquisition.share(A), retention.share(R)
    total, alive = won * m - A, won
    for _ in range(4_000):
        cost = alive * R  # spent on all customers of the year before
        alive = alive * kept
        total += (alive * m - cost) * (1 + d) ** -(_ + 1)
    return total


def test_the_value_is_that_of_the_years_added_up():
    acquisition, retention = Ceiling(0.3, 0.05), Ceiling(0.8, 0.08)
    found = balance(100, 0.15, acquisition, retention)
    years = equity(found.acquisition, found.retention, 100, 0.15, acquisition, retention)
    assert found.value_per_prospect == pytest.approx(years, rel=1e-12)


@given(
    st.floats(20, 500), st.floats(0.02, 0.4), st.floats(0.05, 0.9), st.floats(0.01, 0.3),
    st.floats(0.3, 0.95), st.floats(0.01, 0.3),
)  # fmt: skip
@settings(deadline=None, max_examples=30)
def test_no_search_finds_a_better_balance(m, d, C_a, k_a, C_r, k_r):
    acquisition, retention = Ceiling(C_a, k_a), Ceiling(C_r, k_r)
    found = balance(m, d, acquisition, retention)

    def loss(z):
        A, R = np.maximum(z, 0.0)
        won, kept = acquisition.share(A), retention.share(R)
        return -(won * (m * (1 + d) - R) / (1 + d - kept) - A)

    for start in ([1.0, 1.0], [30.0, 30.0], [found.acquisition + 0.1, found.retention + 0.1]):
        best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
        assert found.value_per_prospect >= -best.fun - 1e-7 * max(1.0, m)


def test_where_nobody_is_worth_winning_or_keeping():
    dear = balance(10, 0.15, Ceiling(0.3, 0.05), Ceiling(0.5, 0.08))
    assert (dear.acquisition, dear.retention, dear.value_per_prospect) == (0, 0, 0)


def test_a_curve_through_todays_point():
    curve = Ceiling.through(spend=20, share=0.25, ceiling=0.4)
    assert curve.share(20) == pytest.approx(0.25, rel=1e-14)
    assert 1 / curve.cost_of_last(20) == pytest.approx(
        (curve.share(20 + 1e-4) - curve.share(20 - 1e-4)) / 2e-4, rel=1e-6
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: Ceiling(1.2, 0.1),
        lambda: Ceiling(0.5, 0),
        lambda: Ceiling.through(20, 0.5, 0.4),
        lambda: balance(0, 0.15, Ceiling(0.3, 0.05), Ceiling(0.8, 0.08)),
        lambda: balance(math.nan, 0.15, Ceiling(0.3, 0.05), Ceiling(0.8, 0.08)),
        lambda: balance(10, 0, Ceiling(0.3, 0.05), Ceiling(1.0, 0.08)),
    ],
)
def test_what_is_no_balance_is_refused(call):
    with pytest.raises(InputError):
        call()
