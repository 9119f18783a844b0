"""Channels pooled towards the base: against known truths, and against their own and common fits."""

import os
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from clv.periods import Duration
from clv.probability.bg_cnbd import BetaGeoCNBD
from clv.probability.bg_nbd import BetaGeoNBD, BgNbdTheta, simulate
from clv.probability.covariance import draws, with_parameters
from clv.probability.gamma_gamma import GammaGamma, GammaGammaTheta
from clv.probability.gamma_gamma import simulate as simulate_spend
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.value.by_channel import models_by_channel, value_by_channel
from clv.value.pooling import between, pooled_models
from clv.value.value import Terms, new_customer_value

TERMS = Terms(0.3, 0.1, Duration(2, "year"))
SPEND = GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
GOOD, POOR = (0.8, 6.0, 0.5, 3.0), (0.2, 5.0, 1.2, 2.0)


def base_of(channels, seed=2, first=30.0):
    """Customers of channels {name: (parameters, how many)}, times in weeks."""
    rng, frames = np.random.default_rng(seed), []
    for name, (theta, n) in channels.items():
        history = simulate(BgNbdTheta(*theta), rng.uniform(26, 104, n), rng)
        columns = {"frequency": history.x, "recency": history.t_x, "T": history.T}
        spend = simulate_spend(GammaGammaTheta(6.25, 3.74, 15.44), history.x, rng)
        amount = first * rng.lognormal(-0.08, 0.4, n)
        table = pd.DataFrame(columns | {"monetary_value": spend, "first_amount": amount})
        frames.append(table.assign(channel=name))
    return pd.concat(frames, ignore_index=True).assign(unit="week")


def worth(theta, first=30.0):
    model = BetaGeoNBD.from_params(
        dict(zip(["r", "alpha", "a", "b"], theta, strict=True)), unit="week"
    )
    return new_customer_value(model, SPEND, TERMS, first).new_customer_clv


@pytest.fixture(scope="module")
def differing():
    return base_of({"good": (GOOD, 4000), "poor": (POOR, 4000), "tiny": (GOOD, 40)})


@pytest.fixture(scope="module")
def models(differing):
    base = BetaGeoNBD().fit(differing), GammaGamma().fit(differing)
    return models_by_channel(differing, *base, channels=["new"])


def test_a_big_channel_gets_its_own_value(models):
    table = value_by_channel(models, TERMS).set_index("channel")
    for name, theta in (("good", GOOD), ("poor", POOR)):
        row = table.loc[name]
        assert row["new_customer_clv"] == pytest.approx(worth(theta), rel=0.05)
        assert row["new_customer_clv_low"] < worth(theta) < row["new_customer_clv_high"]
        assert row["basis"] == "own history"
    earned = models["good"].earned(TERMS)(TERMS.horizon.to("week"))
    assert earned == pytest.approx(table.loc["good", "new_customer_clv"])


def test_a_channel_without_history_is_as_uncertain_as_channels_differ(models):
    table = value_by_channel(models, TERMS).set_index("channel")
    new = table.loc["new"]
    assert new["basis"] == "whole base, as this channel has no history"
    assert (new["customers"], new["own_share"]) == (0, 0)
    assert new["new_customer_clv_low"] < worth(POOR) < worth(GOOD) < new["new_customer_clv_high"]
    width = table["new_customer_clv_high"] / table["new_customer_clv_low"]
    assert width.idxmax() == "new"
    assert width["tiny"] > 3 * (width["good"] - 1) + 1


def test_where_channels_are_alike_a_small_one_gets_the_value_of_all():
    alike = base_of({"big": (GOOD, 3000), "second": (GOOD, 3000), "tiny": (GOOD, 30)}, seed=5)
    base = BetaGeoNBD().fit(alike), GammaGamma().fit(alike)
    models = models_by_channel(alike, *base)
    assert models["tiny"].own_share < 0.2
    assert "all customers by the rest" in models["tiny"].basis
    whole = new_customer_value(*base, TERMS, 30.0).new_customer_clv
    table = value_by_channel(models, TERMS).set_index("channel")
    assert table.loc["tiny", "new_customer_clv"] == pytest.approx(whole, rel=0.1)
    own = alike[alike["channel"] == "tiny"]
    fantasy = new_customer_value(BetaGeoNBD().fit(own), GammaGamma().fit(own), TERMS, 30.0)
    assert abs(np.log(table.loc["tiny", "new_customer_clv"] / worth(GOOD))) < abs(
        np.log(fantasy.new_customer_clv / worth(GOOD))
    )


def test_a_pooled_model_lies_between_its_own_and_the_base(differing):
    """Where it ends its own likelihood would go on towards the group's, away from the base."""
    base = BetaGeoNBD().fit(differing)
    masks = {n: (differing["channel"] == n).to_numpy() for n in ("good", "poor", "tiny")}
    pooled = pooled_models(base, differing, masks)["tiny"].model
    observed = base._observed(differing[masks["tiny"]], None)
    gradient = base._contributions(pooled._parameters(), observed).total()[1]
    moved = np.log(list(pooled.params_.values())) - np.log(list(base.params_.values()))
    assert np.abs(moved).max() > 0.05
    assert moved @ (gradient * list(pooled.params_.values())) > 0
    assert pooled.covariance_.kind == "hessian"


def test_the_variance_between_groups_is_that_which_was_drawn():
    rng = np.random.default_rng(4)
    chance = rng.uniform(0.001, 0.1, 40)
    drawn = [between(rng.normal(0, np.sqrt(0.04 + chance)), chance, 1.5) for _ in range(200)]
    assert np.mean(drawn) == pytest.approx(0.04, rel=0.15)


CHANNELS = int(os.environ.get("CLV_CHANNELS", "8"))  # 60 bases are the whole run


def test_small_channels_are_unbiased_and_covered():
    """Six channels that differ, three of them of 30 to 80 customers, in each of many bases."""
    errors, covered = [], []
    for seed in range(CHANNELS):
        rng = np.random.default_rng(seed)
        sizes = [1500, 900, 400, *rng.integers(30, 81, 3)]
        thetas = np.exp(np.log([0.5, 6.0, 0.8, 2.5]) + 0.35 * rng.normal(size=(6, 4)))
        named = {f"c{i}": (tuple(thetas[i]), int(n)) for i, n in enumerate(sizes)}
        table = base_of(named, seed=seed)
        models = models_by_channel(table, BetaGeoNBD().fit(table), GammaGamma().fit(table))
        values = value_by_channel(models, TERMS).set_index("channel")
        for name in ("c3", "c4", "c5"):
            row, truth = values.loc[name], worth(named[name][0])
            errors.append(np.log(row["new_customer_clv"] / truth))
            covered.append(row["new_customer_clv_low"] < truth < row["new_customer_clv_high"])
    n = len(errors)
    assert abs(np.mean(errors)) < 0.03 + 3 * np.std(errors) / np.sqrt(n)
    assert np.sum(covered) >= stats.binom.ppf(0.001, n, 0.88)
    if os.environ.get("CLV_CHANNELS"):
        print(f"bias {np.mean(errors):.3f}, covered {np.mean(covered):.3f} of {n}")


def test_one_channel_alone_is_the_base():
    alone = base_of({"only": (GOOD, 500)})
    base = BetaGeoNBD().fit(alone), GammaGamma().fit(alone)
    (only,) = models_by_channel(alone, *base).values()
    assert only.purchases.params_ == pytest.approx(base[0].params_, rel=1e-12)
    assert (only.own_share, only.basis) == (1.0, "own history")


def test_a_channel_where_nobody_came_back_is_no_error(differing):
    silent = (
        differing[differing["channel"] == "poor"]
        .head(25)
        .assign(channel="silent", frequency=0, recency=0.0, monetary_value=0.0)
    )
    table = pd.concat([differing, silent], ignore_index=True)
    models = models_by_channel(table, BetaGeoNBD().fit(table), GammaGamma().fit(table))
    row = value_by_channel(models, TERMS).set_index("channel").loc["silent"]
    assert row["repeat_buyers"] == 0
    assert 9 < row["new_customer_clv"] < worth(POOR)  # less than other channels, above margin on v0
    assert row["new_customer_clv_low"] < row["new_customer_clv"]


def test_first_purchases_are_pooled_by_their_own_spread():
    rng = np.random.default_rng(0)
    table = base_of({"a": (GOOD, 800), "b": (GOOD, 800), "c": (GOOD, 10)})
    level = table["channel"].map({"a": 20.0, "b": 40.0, "c": 30.0})
    table["first_amount"] = level * rng.lognormal(0, 0.1, len(table))
    models = models_by_channel(table, BetaGeoNBD().fit(table), GammaGamma().fit(table))
    for name in "abc":  # far apart and well known: their own
        own = table.loc[table["channel"] == name, "first_amount"]
        assert models[name].first_amount == pytest.approx(own.mean(), rel=0.02)
    same = table.assign(first_amount=30 * rng.lognormal(0, 1.0, len(table)))
    pooled = models_by_channel(same, BetaGeoNBD().fit(same), GammaGamma().fit(same))["c"]
    own = same.loc[same["channel"] == "c", "first_amount"].mean()
    whole = same["first_amount"].mean()
    assert abs(pooled.first_amount - whole) < 0.35 * abs(own - whole)
    assert pooled.first_amount_error > 0


REGULAR = partial(BetaGeoCNBD, k=2)


@pytest.mark.parametrize("model", [BetaGeoNBD, ModifiedBetaGeoNBD, ParetoNBD, REGULAR])
def test_drawn_values_are_those_of_the_drawn_parameters(model):
    table = base_of({"x": (GOOD, 400), "y": (POOR, 400)})
    channel = models_by_channel(table, model().fit(table), GammaGamma().fit(table))["x"]
    values = channel.value_draws(TERMS, n=5, seed=3)
    rng = np.random.default_rng(3)
    first = channel.first_amount + channel.first_amount_error * rng.standard_normal(5)
    expected = [
        new_customer_value(
            with_parameters(channel.purchases, theta), with_parameters(channel.spend, money),
            TERMS, amount,
        ).new_customer_clv
        for theta, money, amount in zip(
            draws(channel.purchases, 5, 5), draws(channel.spend, 5, 4), first, strict=True
        )
    ]  # fmt: skip
    assert values == pytest.approx(expected, rel=1e-9)
    ages = np.linspace(0.0, TERMS.horizon.to("week"), 10)
    earned = channel.earned_draws(TERMS, ages, n=5, seed=3)  # by tables
    one_by_one = [channel.earned_draws(TERMS, ages[[k]], n=5, seed=3)[:, 0] for k in range(10)]
    np.testing.assert_allclose(earned.T, one_by_one, rtol=1e-12)


def test_any_frame_will_do_and_customers_without_a_channel_count_as_others(differing):
    some = differing.assign(channel=differing["channel"].where(differing["channel"] != "poor"))
    base = BetaGeoNBD().fit(differing), GammaGamma().fit(differing)
    models = models_by_channel(some, *base)
    assert set(models) == {"good", "tiny"}
    again = models_by_channel(pl.from_pandas(some), *base)
    assert again["tiny"].purchases.params_ == pytest.approx(models["tiny"].purchases.params_)
    assert models_by_channel(some.assign(channel=None), *base) == {}
