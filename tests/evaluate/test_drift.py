"""Drift against SciPy, a closed form, and what chance does."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from clv.evaluate.drift import category_drift, drift, ks_distance


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_is_scipys(seed):
    rng = np.random.default_rng(seed)
    old, new = rng.integers(0, 9, 200) * 1.0, rng.poisson(4, 90) * 1.0
    assert ks_distance(old, new) == pytest.approx(ks_2samp(old, new).statistic)


def test_psi_of_two_bins_by_hand():
    """(0.4 - 0.6) ln(0.4 / 0.6) + (0.6 - 0.4) ln(0.6 / 0.4) = 0.4 ln 1.5."""
    n = 100_000
    found = category_drift(["a"] * (6 * n) + ["b"] * (4 * n), ["a"] * (4 * n) + ["b"] * (6 * n))
    assert found.psi == pytest.approx(0.4 * np.log(1.5), rel=1e-4)


def test_psi_of_exponentials_in_deciles():
    """Scale doubled: bins at the deciles of Exp(1) hold 0.1 before and F(e) of Exp(1/2) after."""
    n = 400_000
    u = (np.arange(n) + 0.5) / n
    ends = np.concatenate([[0], -np.log(1 - np.arange(1, 10) / 10), [np.inf]])
    q = np.diff(1 - np.exp(-ends / 2))
    found = drift(-np.log(1 - u), -2 * np.log(1 - u))
    assert found.psi == pytest.approx(np.sum((q - 0.1) * np.log(q / 0.1)), rel=1e-3)
    assert found.bins == 10


@pytest.mark.parametrize(("n", "m"), [(200, 200), (2000, 300)])
def test_chance_alone_is_called_a_shift_about_once_in_a_thousand(n, m):
    rng = np.random.default_rng(1)
    found = [drift(rng.gamma(2, size=n), rng.gamma(2, size=m)) for _ in range(2000)]
    beyond = np.mean([d.psi > d.psi_by_chance for d in found])
    assert beyond < 0.01
    typical = np.mean([d.psi / d.psi_by_chance for d in found])
    assert typical == pytest.approx(9 / 27.88, rel=0.25)  # mean over 99.9% point of chi-squared


def test_a_shift_is_told_from_chance_even_among_ties():
    rng = np.random.default_rng(2)
    old, new = rng.poisson(0.3, 5000) * 1.0, rng.poisson(0.6, 5000) * 1.0
    found = drift(old, new)
    assert found.psi > found.psi_by_chance
    assert 2 <= found.bins < 10


def test_missing_values_and_nothing_to_compare():
    assert drift([1.0, np.nan, 2.0], [1.0, 2.0, np.inf]).before == 2
    assert np.isnan(drift([], [1.0]).psi)
    assert np.isnan(category_drift(["a"], []).psi)
    assert drift([3.0] * 5, [3.0] * 9).psi == 0
    assert category_drift([None, "a"], ["a", None]).psi == 0


def test_equals_up_to_the_order_of_a_sum_are_equal():
    old = np.repeat([0.1 + 0.2, 0.7], 50)
    found = drift(old, np.repeat([0.3, 0.7], 50))
    assert (found.psi, found.ks) == (0, 0)
