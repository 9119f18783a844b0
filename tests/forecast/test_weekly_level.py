"""The weekly level: the same Gaussian process by scikit-learn, and its slope by differences."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, ExpSineSquared, Matern

from clv.forecast.weekly_level import CENTRE, WeeklyLevel, _Cost, no_events


@pytest.fixture(scope="module")
def weeks():
    rng = np.random.default_rng(0)
    week = np.arange(-120.0, 0.0)
    y = 0.3 * np.sin(2 * np.pi * week / 52.18) + rng.normal(0, 0.08, len(week))
    return week, y, rng.uniform(0.001, 0.01, len(week))


def test_mean_and_covariance_are_those_of_another_gaussian_process(weeks):
    week, y, variance = weeks
    level = WeeklyLevel._most_likely(week, y, variance, no_events)
    p = level.parameters
    kernel = ConstantKernel(p.a**2) * Matern(p.l, nu=0.5) + ConstantKernel(p.g**2) * ExpSineSquared(
        p.r, 52.178571428571
    )
    other = GaussianProcessRegressor(kernel, alpha=variance + p.t**2, optimizer=None)
    other.fit(week[:, None], y)
    ahead = np.arange(60.0)
    mean, covariance = other.predict(ahead[:, None], return_cov=True)
    assert level.mean(ahead) == pytest.approx(mean, abs=1e-6)
    assert level.covariance(ahead) == pytest.approx(covariance, abs=1e-6)


def test_the_slope_is_that_of_the_cost(weeks):
    week, y, variance = weeks
    cost = _Cost(week, y, variance, np.zeros((len(week), len(week))))
    at = CENTRE + np.array([0.3, -0.2, 0.5, 0.1, -0.4])
    for i, step in enumerate(1e-5 * np.eye(5)):
        difference = (cost(at + step)[0] - cost(at - step)[0]) / 2e-5
        assert cost(at)[1][i] == pytest.approx(difference, rel=1e-5)


def test_a_season_of_two_years_returns_in_the_third(weeks):
    week, y, variance = weeks
    ahead = np.arange(52.0)
    truth = 0.3 * np.sin(2 * np.pi * ahead / 52.18)
    assert np.abs(WeeklyLevel.fit(week, y, variance).mean(ahead) - truth).max() < 0.1


def test_one_wild_week_does_not_move_its_neighbours(weeks):
    week, y, variance = weeks
    wild = np.where(week == -30, y + 3.0, y)
    calm, shaken = (WeeklyLevel.fit(week, values, variance) for values in (y, wild))
    assert shaken.mean([-31.0, -29.0, 3.0]) == pytest.approx(
        calm.mean([-31.0, -29.0, 3.0]), abs=0.1
    )


def test_an_event_does_again_what_it_did(weeks):
    week, y, variance = weeks

    def sale(at):
        return np.isin(at, [-100, -70, -40, 5]).astype(float)[:, None]

    with_sales = y + 0.6 * sale(week)[:, 0]
    level = WeeklyLevel.fit(week, with_sales, variance, sale)
    without = WeeklyLevel.fit(week, y, variance)
    effect = level.mean([5.0]) - without.mean([5.0])
    assert effect == pytest.approx(0.6, abs=0.12)
    assert level.mean([7.0]) == pytest.approx(without.mean([7.0]), abs=0.05)


def test_the_spread_is_that_of_its_own_forecasts_of_earlier_weeks():
    """Levels drawn from the process itself, at two sizes of what the level takes them to be."""
    week, rng = np.arange(-108.0, 0.0), np.random.default_rng(3)
    base = WeeklyLevel._most_likely(week, rng.normal(0, 0.1, 108), np.full(108, 0.01), no_events)
    root = np.linalg.cholesky(base._kernel(week, week) + np.diag(base._noise))
    spreads = [
        replace(base, _y=size * (root @ rng.normal(size=108))).spread(13)
        for size in (1.0, 3.0)
        for _ in range(40)
    ]
    n = 6  # windows of 13 weeks with 26 before them
    expected = [(4 + n * size**2) / (4 + n) for size in (1, 3)]
    squares = np.reshape(np.square(spreads), (2, 40)).mean(axis=1)
    assert squares == pytest.approx(expected, rel=0.25)
    assert base.spread(100) == 1.0  # nothing to judge
