"""The special functions against mpmath and against plain sums, also where they are hard."""

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate
from scipy import special as sc

from clv.errors import InputError
from clv.probability.special import (
    beta_mean_power,
    by_table,
    digamma_rise,
    integrate_rate,
    legendre,
    log_rising,
)


def by_mpmath(a, b, s, y) -> float:
    with mp.workdps(50):
        return float(mp.hyp2f1(*(mp.mpf(float(v)) for v in (s, a, a + b, -y))))


def by_sum(a, b, s, y) -> float:
    """The mean as a ratio of sums over a fine grid of logit(p), the far left taken whole."""
    low = -np.log(b + 1) - np.log1p(s * y / (b + 1)) - 45
    high = np.log(a + 1) - np.log(b) + 40 + 60 / min(b, 1.0)
    w = np.linspace(low, high, 300_001)
    log_density = a * w - (a + b) * np.logaddexp(0, w)
    density = np.exp(log_density - log_density.max())
    left = np.exp(a * low - log_density.max()) / a / (w[1] - w[0]) - density[0] / 2
    power = np.exp(-s * np.log1p(sc.expit(w) * y))
    return (density @ power + left) / (density.sum() + left)


def spread(rng, low, high):
    return 10 ** rng.uniform(low, high)


@pytest.mark.parametrize("seed", range(40))
def test_mean_power_of_new_customers_against_mpmath(seed):
    rng = np.random.default_rng(seed)
    a, b, s, y = (spread(rng, *span) for span in ((-3, 1.2), (-3, 2), (-3, 2), (-4, 3)))
    assert beta_mean_power(a, b, 1 + s, y) == pytest.approx(by_mpmath(a, b, 1 + s, y), rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_mean_power_of_frequent_buyers(seed):
    rng = np.random.default_rng(100 + seed)
    a, b, r, y = (spread(rng, *span) for span in ((-2, 1.2), (-2, 1.5), (-2, 1.5), (-4, 3)))
    x = np.floor(spread(rng, 1, 4.7))
    found = beta_mean_power(a, b + x, r + x + 1, y)
    assert found == pytest.approx(by_sum(a, b + x, r + x + 1, y), rel=1e-9, abs=1e-16)


HARD = {
    "the case on which SciPy's 2F1 is nan": (1.0, 5001.6, 5002.6, 19.0),
    "a large": (120.0, 40.0, 3.0, 0.7),
    "a and b large": (4e5, 9e5, 12.0, 3.0),
    "b large": (0.8, 3e6, 40.0, 2e4),
    "s large: one rate for all": (0.8, 2.4, 1e9, 3e-8),
    "s and y large": (0.25, 0.2, 4e7, 55.0),
    "a - s large": (50.0, 9e3, 5e3, 0.4),
    "tiny a": (1e-9, 2e4, 1.24, 12.0),
    "tiny a, huge b": (1e-9, 2e7, 400.0, 12.0),
    "tiny a and b": (1e-9, 3e-9, 1.24, 12.0),
    "tiny b": (0.7, 1e-9, 18.0, 3.0),
}


@pytest.mark.parametrize("hard", HARD.values(), ids=HARD)
def test_mean_power_where_it_is_hard(hard):
    if hard[1] < 1e-6:  # nearly all mass on p = 0 and p = 1: exact to the order of b
        share = hard[0] / (hard[0] + hard[1])
        wanted = 1 - share + share * (1 + hard[3]) ** -hard[2]
        assert beta_mean_power(*hard) == pytest.approx(wanted, abs=1e-7)
    else:
        assert beta_mean_power(*hard) == pytest.approx(by_sum(*hard), rel=1e-9, abs=1e-16)


@pytest.mark.parametrize("seed", range(12))
def test_mean_power_where_all_leave_alike(seed):
    """As a and b grow the mean becomes (1 + p y)^-s; on the way it is a series of moments."""
    rng = np.random.default_rng(200 + seed)
    p, n, s, y = rng.uniform(0.01, 0.99), spread(rng, 3, 6), spread(rng, 0, 1.5), spread(rng, -2, 1)
    found = beta_mean_power(p * n, (1 - p) * n, s, y)
    assert found == pytest.approx(by_sum(p * n, (1 - p) * n, s, y), rel=1e-9, abs=1e-16)
    limit = beta_mean_power(p * 1e12, (1 - p) * 1e12, s, y)
    assert limit == pytest.approx((1 + p * y) ** -s, rel=1e-9)


def test_a_table_is_the_function_and_the_same_for_everybody():
    rng = np.random.default_rng(3)
    level, v = rng.integers(0, 5, (40, 7)), rng.uniform(0, 30, (40, 7))

    def function(i, v):
        return np.array([1 / (1 + (i + 1) * np.exp(-v)), np.exp(-i * v)])

    found = by_table(function, level, v)
    assert found.shape == (2, 40, 7)
    assert found == pytest.approx(function(level, v), rel=1e-12, abs=1e-13)
    alone = [by_table(function, level[[i]], v[[i]])[:, 0] for i in range(40)]
    assert np.array_equal(np.stack(alone, axis=1), found)


def test_mean_power_is_a_mean():
    """Between 0 and 1, falling in y, at any size of the parameters; arrays broadcast."""
    rng = np.random.default_rng(7)
    a, b, s = (10 ** rng.uniform(low, 12, (300, 1)) for low in (-12, -12, 0))
    mean = beta_mean_power(a, b, s, np.array([0.0, 1e-9, 1e-3, 1.0, 1e3, 1e6]))
    assert mean.shape == (300, 6)
    assert np.all((mean >= 0) & (mean <= 1))
    assert np.all(mean[:, 0] == 1)
    assert np.all(np.diff(mean, axis=1) <= 1e-9)


@pytest.mark.parametrize("z", [1e-12, 0.24, 7.0, 29.9, 30.0, 41.0, 1e4, 1e7, 1e12])
@pytest.mark.parametrize("k", [0, 1, 2, 17, 50_000])
def test_ratios_of_gamma_functions(z, k):
    with mp.workdps(60):
        ratio = mp.loggamma(mp.mpf(z) + k) - mp.loggamma(mp.mpf(z))
        slope = mp.digamma(mp.mpf(z) + k) - mp.digamma(mp.mpf(z))
        beyond = float(ratio - k * mp.log(z))  # what is left after the leading term
    assert log_rising(z, k) == pytest.approx(float(ratio), rel=1e-13, abs=1e-13)
    assert digamma_rise(z, k) == pytest.approx(float(slope), rel=1e-12)
    if z > 1e3:
        assert log_rising(z, k) - k * np.log(z) == pytest.approx(beyond, abs=1e-14 * (1 + 30 * k))


def test_integral_of_a_power():
    """The integral of (1 + t)^-s exp(-delta t) for all kinds of horizons, row by row."""
    s, delta = np.array([0.5, 1.0, 3.0, 80.0]), 0.01
    horizon = np.array([0.1, 52.0, 520.0, 6.0])
    found = integrate_rate(lambda rows, t: (1 + t) ** -s[rows, None], 1.0, horizon, delta)
    for i in range(4):
        wanted, _ = integrate.quad(
            lambda t, i=i: (1 + t) ** -s[i] * np.exp(-delta * t),
            0,
            horizon[i],
            epsabs=0,
            epsrel=1e-12,
            limit=400,
        )
        assert found[i] == pytest.approx(wanted, rel=1e-11)


def test_endless_integral_has_a_closed_form():
    delta = 0.05
    found = integrate_rate(lambda rows, t: 1 / (1 + t), 1.0, np.inf, delta)
    assert found == pytest.approx(float(mp.exp(delta) * mp.e1(delta)), rel=1e-12)


@pytest.mark.parametrize(
    ("horizon", "delta", "message"),
    [
        (-1.0, 0.1, "negative"),
        (np.nan, 0.1, "missing"),
        (np.inf, 0.0, "infinite"),
        (1.0, -1, "rate"),
    ],
)
def test_impossible_integrals(horizon, delta, message):
    with pytest.raises(InputError, match=message):
        integrate_rate(lambda rows, t: np.ones_like(t), 1.0, horizon, delta)


def test_nodes_are_exact_for_polynomials():
    x, weight = legendre(32)
    assert [float(weight @ x**k) for k in (0, 1, 20, 63)] == pytest.approx(
        [1, 1 / 2, 1 / 21, 1 / 64]
    )
