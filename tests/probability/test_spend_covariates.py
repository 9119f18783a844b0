"""Gamma-Gamma with covariates: truth recovered, the ordinary model in other coins, a held mean."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import clv
from clv.data.cdnow import cdnow_log
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


@pytest.fixture(scope="module")
def shop_log():
    """CDNOW's sample, in which every other customer came by search and pays 1.6 times as much."""
    log = pd.DataFrame(cdnow_log(sample=True))
    search = log["customer_id"] % 2 == 0
    amount = log["amount"] * np.where(search, 1.6, 1.0)
    return log.assign(amount=amount, channel=np.where(search, "search", "mail"))


def test_a_scorer_takes_spend_covariates_and_keeps_them(shop_log, tmp_path):
    """In coins of other worth a customer is the same: so is the value, with all its quantiles."""
    scorer = clv.CustomerScorer.fit(
        shop_log, clv.Terms(0.3), churn_horizon="13 weeks", spend_covariates=["channel"]
    )
    summary = clv.summarize(shop_log, unit="week")
    m = scorer.spend.params_["spend[channel=search]"]
    assert m == pytest.approx(1.6, rel=0.1)
    swapped = summary.assign(
        channel=np.where(summary["channel"] == "mail", "search", "mail"),
        monetary_value=summary["monetary_value"] * np.where(summary["channel"] == "mail", m, 1 / m),
    )
    scores, other = scorer.predict(summary), scorer.predict(swapped)
    factor = np.where(summary["channel"] == "mail", m, 1 / m)
    for name in ("clv", "clv_low", "clv_median", "clv_high", "expected_spend", "value_at_stake"):
        assert other[name].to_numpy() == pytest.approx(scores[name] * factor, rel=1e-9), name
    assert np.array_equal(other["next_purchases"], scores["next_purchases"])
    again = clv.CustomerScorer.load(scorer.save(tmp_path / "scorer"))
    assert again.version == scorer.version
    assert again.predict(summary).equals(scores)
    total = again.total_value(summary)
    assert total.mean == pytest.approx(scores["clv"].sum(), rel=1e-9)
    assert total.low < total.mean < total.high
    newcomers = again.new_customer_value()
    first = 0.3 * summary["first_amount"].mean()
    assert first < newcomers.new_customer_clv
    with pytest.raises(InputError, match="channel"):
        again.predict(summary.drop(columns="channel"))


def test_intervals_of_values_take_spend_covariates(spenders, fitted):
    """A kind of customer apart, by its ordinary model, is valued as it is among all."""
    purchases = clv.BetaGeoNBD.from_params(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259, unit="week")
    X = spenders[:60].assign(recency=np.where(spenders["frequency"][:60] > 0, 20.0, 0.0))
    X = X.assign(T=30.0, unit="week", customer_id=range(60))
    terms = clv.Terms(0.3)
    table = clv.value_interval(X, purchases, fitted, terms)
    for (channel, gift), part in X.groupby(["channel", "gift"]):
        ordinary = fitted.at(channel=channel, gift=gift)
        alone = clv.value_interval(part, purchases, ordinary, terms)
        for name in ("clv", "clv_low", "clv_median", "clv_high"):
            assert table.loc[part.index, name].to_numpy() == pytest.approx(alone[name], rel=1e-9)
    total = clv.total_value(X, purchases, fitted, terms)
    apart = [
        clv.total_value(part, purchases, fitted.at(channel=channel, gift=gift), terms)
        for (channel, gift), part in X.groupby(["channel", "gift"])
    ]
    assert total.mean == pytest.approx(sum(each.mean for each in apart), rel=1e-9)
    variance = [each.parts["individuals"] * each.log_sd**2 * each.mean**2 for each in apart]
    ours = total.parts["individuals"] * total.log_sd**2 * total.mean**2
    assert ours == pytest.approx(sum(variance), rel=1e-9)
