"""Gamma-Gamma with covariates: truth recovered, the ordinary model in other coins, a held mean."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from clv.errors import InputError, RowError
from clv.probability.covariance import draws, information, slope
from clv.probability.gamma_gamma import GammaGamma, GammaGammaTheta, simulate

TRUTH = {"p": 4.0, "q": 3.5, "v": 20.0, "spend[channel=search]": 1.6, "spend[gift]": 0.7}


@pytest.fixture(scope="module")
def spenders():
    """6,000 customers, a third from search, half with a gift in their first order."""
    rng, n = np.random.default_rng(8), 6_000
    search, gift = np.arange(n) % 3 == 0, np.arange(n) % 2
    x = rng.poisson(1.5, n).astype(float)
    v = TRUTH["v"] * np.where(search, 1.6, 1.0) * 0.7**gift
    zbar = simulate(GammaGammaTheta(TRUTH["p"], TRUTH["q"], v), x, rng)
    channel = np.where(search, "search", "mail")
    return pd.DataFrame({"frequency": x, "monetary_value": zbar, "channel": channel, "gift": gift})


@pytest.fixture(scope="module")
def fitted(spenders):
    return GammaGamma(covariates=["channel", "gift"]).fit(spenders).with_covariance(spenders)


def test_the_truth_is_recovered(fitted, spenders):
    errors = fitted.covariance_.standard_errors
    for name, value in TRUTH.items():
        coordinate = "log(q - 1)" if name == "q" else f"log {name}"
        above = (lambda p: p - 1) if name == "q" else (lambda p: p)
        off = np.log(above(fitted.params_[name]) / above(value))
        assert abs(off) < 3 * errors[coordinate], name
    assert errors["log spend[channel=search]"] < 0.04
    assert fitted.report_.converged
    assert fitted.report_.customers == (spenders["frequency"] > 0).sum()


def test_it_is_the_ordinary_model_in_coins_of_other_worth(fitted, spenders):
    """Money over its multiplier is spend of one kind of customer: the same p, q, v maximise."""
    factor = np.where(spenders["channel"] == "search", fitted.params_["spend[channel=search]"], 1.0)
    factor = factor * fitted.params_["spend[gift]"] ** spenders["gift"]
    coins = spenders.assign(monetary_value=spenders["monetary_value"] / factor)
    plain = GammaGamma().fit(coins)
    assert [fitted.params_[name] for name in "pqv"] == pytest.approx(
        list(plain.params_.values()), rel=1e-6
    )
    shift = np.log(factor)[spenders["frequency"] > 0].sum()
    assert fitted.log_likelihood_ == pytest.approx(plain.log_likelihood_ - shift, abs=1e-6)
    expected = plain.expected_spend(coins) * factor
    assert fitted.expected_spend(spenders) == pytest.approx(expected, rel=1e-6)


def test_a_kind_of_customer_is_an_ordinary_model(fitted, spenders):
    each = fitted.expected_spend(spenders)
    for (channel, gift), part in spenders.groupby(["channel", "gift"]):
        ordinary = fitted.at(channel=channel, gift=gift)
        assert np.array_equal(each[part.index], ordinary.expected_spend(part))
    lazy = pl.from_pandas(spenders).lazy()
    assert np.array_equal(fitted.expected_spend(lazy), each)


def test_covariates_fit_no_worse_than_none_and_no_better_than_models_apart(spenders):
    one = GammaGamma(covariates=["channel"]).fit(spenders).log_likelihood_
    apart = sum(GammaGamma().fit(part).log_likelihood_ for _, part in spenders.groupby("channel"))
    assert GammaGamma().fit(spenders).log_likelihood_ + 50 < one <= apart + 1e-6
    held = GammaGamma(covariates=["channel"], effect_sd=1e-7).fit(spenders)
    assert held.log_likelihood_ == pytest.approx(GammaGamma().fit(spenders).log_likelihood_)


def test_saved_cloned_and_drawn(fitted, spenders):
    again = GammaGamma.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert np.array_equal(again.expected_spend(spenders), fitted.expected_spend(spenders))
    assert np.array_equal(draws(again, 5), draws(fitted, 5))
    assert clone(fitted).covariates == ["channel", "gift"]


def test_a_mean_that_does_not_exist_is_held_to_the_one_seen(spenders):
    """Customers so unlike that q is near 1: expected spend is on average what was seen."""
    rng = np.random.default_rng(3)
    x = spenders["frequency"].to_numpy()
    level = np.where(spenders["channel"] == "search", 2.0, 1.0)
    wild = np.where(x > 0, level * 10 * np.exp(2.5 * rng.standard_t(3, len(x))), 0.0)
    X = spenders.assign(monetary_value=np.minimum(wild, 1e6))
    model = GammaGamma(covariates=["channel"]).fit(X)
    assert "fit.mean_held" in [note.code for note in model.report_.findings]
    assert model.report_.converged
    search = X.loc[x > 0, "channel"] == "search"
    per_kind = [model.at(channel=channel).expected_spend() for channel in ("mail", "search")]
    mean = np.where(search, per_kind[1], per_kind[0]).mean()
    assert mean == pytest.approx(X["monetary_value"][x > 0].mean(), rel=1e-8)
    sure = model.with_covariance(X).covariance_
    assert "interval.mean_held" in [note.code for note in sure.notes]
    # Along the held directions the likelihood is at its highest.
    observed = model._observed(X, None)
    at = np.log([v - (name == "q") for name, v in model.params_.items()])
    weight = observed.together.count
    steepest = model._held(observed).directions.T @ slope(model, observed, at, weight)
    curved = model._held(observed).directions.T @ information(model, observed, at, weight)
    assert np.abs(steepest).max() < 1e-3 * np.abs(curved).max()


def test_what_cannot_be_is_refused(fitted, spenders):
    with pytest.raises(InputError, match="holds 'tv', which the model has never seen"):
        fitted.expected_spend(spenders.assign(channel="tv"))
    with pytest.raises(RowError, match="channel is missing"):
        fitted.expected_spend(spenders.assign(channel=None))
    with pytest.raises(InputError, match="no one set of parameters"):
        fitted.expected_spend()
    with pytest.raises(InputError, match="engine='lifetimes' has no covariates"):
        GammaGamma("lifetimes", covariates=["channel"]).fit(spenders)
