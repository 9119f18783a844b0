"""The spread of counts around a mean, against SciPy and simulated truths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from clv.evaluate.backtest.spread import Spread
from clv.forecast.learner import negative_binomial


@pytest.mark.parametrize(("mean", "size"), [(0.2, 0.3), (3.0, 1.7), (40.0, 500.0)])
def test_the_negative_binomial_is_scipys(mean: float, size: float) -> None:
    k = np.arange(60)
    expected = stats.nbinom.pmf(k, size, size / (size + mean))
    np.testing.assert_allclose(negative_binomial(k, mean, size), expected, rtol=1e-9)


def test_a_mean_of_nothing_is_nothing() -> None:
    assert negative_binomial([0, 1], 0.0, 2.0).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("share", "size"), [(0.05, 0.8), (0.4, 3.0)])
def test_the_true_spread_is_found(share: float, size: float) -> None:
    rng = np.random.default_rng(1)
    forecast = rng.gamma(0.5, 3.0, 40_000) * (rng.random(40_000) < 0.7)
    true = (1 - share) * forecast + share * forecast.mean()
    found = Spread.fit(forecast, rng.poisson(true * rng.gamma(size, 1 / size, 40_000)))
    assert found.share == pytest.approx(share, rel=0.15)
    assert found.size == pytest.approx(size, rel=0.1)


def test_the_total_stays_and_a_forecast_of_nothing_excludes_nothing() -> None:
    spread, forecast = Spread(0.1, 1.0), np.array([0.0, 0.0, 6.0])
    assert spread.means(forecast).sum() == pytest.approx(6.0)
    p = spread.chances(forecast, np.arange(400.0))
    assert (p[:, 1:5] > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_allclose(p @ np.arange(400), spread.means(forecast), rtol=1e-6)
