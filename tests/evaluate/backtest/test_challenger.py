"""The challenger: a proper distribution, learned from nothing but the past."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from clv.evaluate.backtest import Origin, RollingOrigin
from clv.evaluate.backtest.challenger import CHALLENGER, Hurdle, challenger


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    """Who buys depends on the first feature, how much on the second; the third is noise."""
    rng = np.random.default_rng(0)
    X = rng.random((12_000, 3))
    p, beyond, value = 0.1 + 0.7 * (X[:, 0] > 0.5), 2 * X[:, 1], 10 + 50 * X[:, 1]
    bought = rng.random(len(X)) < p
    purchases = bought * (1 + rng.poisson(beyond * rng.gamma(2.0, 0.5, len(X))))
    money = purchases * value * rng.gamma(20.0, 0.05, len(X))
    return {"X": X, "p": p, "beyond": beyond, "purchases": purchases.astype(float), "money": money}


@pytest.fixture(scope="module")
def learned(truth: dict[str, np.ndarray]) -> Hurdle:
    return Hurdle.fit(truth["X"], truth["purchases"], truth["money"])


def test_it_finds_who_buys_and_how_often(learned: Hurdle, truth: dict[str, np.ndarray]) -> None:
    forecast = learned.forecast(truth["X"])
    assert forecast.chances is not None
    none = forecast.chances(np.zeros(1))[:, 0]
    assert np.abs(1 - none - truth["p"]).mean() < 0.02
    expected = truth["p"] * (1 + truth["beyond"])
    assert np.abs(forecast.purchases - expected).mean() < 0.1
    assert forecast.money.sum() == pytest.approx(truth["money"].sum(), rel=0.02)
    assert learned.spread.size == pytest.approx(2.0, rel=0.25)


def test_its_chances_are_a_distribution_with_its_mean(
    learned: Hurdle, truth: dict[str, np.ndarray]
) -> None:
    forecast = learned.forecast(truth["X"][:50])
    assert forecast.chances is not None
    k = np.arange(300.0)
    p = forecast.chances(k)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_allclose(p @ k, forecast.purchases, rtol=1e-6)
    assert not forecast.naive


def test_where_nobody_bought_twice_it_forecasts_one_purchase() -> None:
    rng = np.random.default_rng(2)
    X, bought = rng.random((500, 2)), rng.random(500) < 0.3
    forecast = Hurdle.fit(X, bought.astype(float), 20.0 * bought).forecast(X)
    assert forecast.purchases.sum() == pytest.approx(bought.sum(), rel=0.05)
    assert forecast.money.sum() == pytest.approx(20 * bought.sum(), rel=0.05)


def test_without_an_earlier_outcome_there_is_no_challenger(three: tuple[Origin, ...]) -> None:
    young = Origin.from_log(three[0].calibration.log, dt.date(1997, 3, 1), 91).calibration
    assert challenger(young) is None


def test_on_cdnow_it_knows_more_than_the_population(rolling: RollingOrigin) -> None:
    means = rolling.means().set_index(["what", "forecast"])
    ours, base = (means.loc["purchases"].loc[name] for name in (CHALLENGER, "population mean"))
    assert ours["log_score"] < base["log_score"] - 0.05
    assert ours["gini"] > 0.6
