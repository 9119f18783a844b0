"""Ours beside lifetimes, in one run: ``make bench``. Ratios are read, never asserted."""

import numpy as np
import pandas as pd
import pytest

from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.lifetimes_engine import fenced
from clv.simulate import simulate_customers
from clv.value import Terms, customer_value

CUSTOMERS = 100_000


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    return simulate_customers(CUSTOMERS, seed=1)


@pytest.fixture(scope="module")
def models(summary) -> tuple[BetaGeoNBD, GammaGamma]:
    return BetaGeoNBD().fit(summary), GammaGamma().fit(summary)


@pytest.mark.benchmark(group="BG/NBD fit, 100k customers")
@pytest.mark.parametrize("who", ["ours", "lifetimes"])
def test_fit(benchmark, summary, who):
    def theirs() -> dict[str, float]:
        with fenced() as lifetimes:
            columns = (summary[name] for name in ("frequency", "recency", "T"))
            return dict(lifetimes.BetaGeoFitter().fit(*columns).params_)

    def ours() -> dict[str, float]:
        return BetaGeoNBD().fit(summary).params_

    found = benchmark.pedantic(ours if who == "ours" else theirs, rounds=3)
    assert found["r"] == pytest.approx(0.2426, rel=0.1)


@pytest.mark.benchmark(group="discounted CLV of every customer, 100k customers")
@pytest.mark.parametrize("who", ["ours, three years", "lifetimes, one year"])
def test_value(benchmark, summary, models, who):
    purchases, spend = models
    columns = [summary[name] for name in ("frequency", "recency", "T", "monetary_value")]

    def ours() -> np.ndarray:
        terms = Terms(1.0, 0.1, Duration(3, "year"))
        return customer_value(summary, purchases, spend, terms)["clv"].to_numpy()

    with fenced() as lifetimes:
        peer, money = lifetimes.BetaGeoFitter(), lifetimes.GammaGammaFitter()
        peer.params_, money.params_ = pd.Series(purchases.params_), pd.Series(spend.params_)
        peer.predict = peer.conditional_expected_number_of_purchases_up_to_time

        def theirs() -> np.ndarray:
            value = money.customer_lifetime_value(peer, *columns, time=12, freq="W")
            return value.to_numpy()

        values = benchmark.pedantic(ours if who.startswith("ours") else theirs, rounds=3)
    assert len(values) == CUSTOMERS
