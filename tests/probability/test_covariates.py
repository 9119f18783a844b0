"""Covariates: published fits, the ordinary model of each pattern, truth recovered, bad columns."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import clv
from clv.data.cdnow import cdnow_summary
from clv.errors import InputError, RowError
from clv.history import History
from clv.probability.bg_nbd import BgNbdTheta, simulate
from clv.probability.covariance import draws
from clv.probability.models import saved_purchase_model
from tests.probability.conftest import SHARED

MODELS = (clv.BetaGeoNBD, clv.ModifiedBetaGeoNBD, clv.ParetoNBD)


@pytest.fixture(scope="module")
def brand():
    """6,000 customers of two channels: search buys twice as often, and leaves half as easily."""
    rng, n = np.random.default_rng(4), 6_000
    search, T = np.arange(n) % 2 == 1, rng.integers(30, 79, n).astype(float)
    theta = BgNbdTheta(0.8, np.where(search, 5.0, 10.0), np.where(search, 0.5, 1.0), 4.0)
    drawn = simulate(theta, T, rng)
    table = {"frequency": drawn.x, "recency": drawn.t_x, "T": T, "unit": "week"}
    return pd.DataFrame(table | {"channel": np.where(search, "search", "mail")})


@pytest.fixture(scope="module", params=MODELS)
def fitted(request, brand):
    return request.param(covariates=["channel"]).fit(brand)


def test_the_truth_is_recovered(brand):
    model = clv.BetaGeoNBD(covariates=["channel"]).fit(brand).with_covariance(brand)
    errors = model.covariance_.standard_errors
    truth = {"r": 0.8, "alpha": 10.0, "a": 1.0, "b": 4.0}
    truth |= {"purchases[channel=search]": 2.0, "leaving[channel=search]": 0.5}
    truth |= {"staying[channel=search]": 1.0}
    for name, value in truth.items():
        assert abs(np.log(model.params_[name] / value)) < 3 * errors[f"log {name}"], name
    assert model.report_.converged


def test_a_pattern_is_an_ordinary_model(fitted, brand):
    both = fitted.conditional_expected_purchases(13.0, brand)
    alive, several = (
        fitted.probability_alive(brand),
        fitted.probability_of_purchases([0, 2], 9, brand),
    )
    discounted = fitted.discounted_purchase_pairs(52.0, 0.01, brand)
    for channel in ("mail", "search"):
        ordinary, rows = fitted.at(channel=channel), (brand["channel"] == channel).to_numpy()
        part = brand[rows]
        assert np.array_equal(both[rows], ordinary.conditional_expected_purchases(13.0, part))
        assert np.array_equal(alive[rows], ordinary.probability_alive(part))
        assert np.array_equal(several[rows], ordinary.probability_of_purchases([0, 2], 9, part))
        again = ordinary.discounted_purchase_pairs(52.0, 0.01, part)
        assert np.array_equal(discounted[rows], again)


def test_two_channels_fit_no_worse_than_one_and_no_better_than_two_models(fitted, brand):
    plain = type(fitted)().fit(brand)
    apart = sum(type(fitted)().fit(part).log_likelihood_ for _, part in brand.groupby("channel"))
    assert plain.log_likelihood_ + 50 < fitted.log_likelihood_ <= apart + 1e-6


def test_a_multiplier_of_one_is_the_model_without_covariates(brand):
    plain = clv.BetaGeoNBD().fit(brand)
    held = clv.BetaGeoNBD(covariates=["channel"], effect_sd=1e-7).fit(brand)
    assert held.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-6)
    even = held._at(np.array([*plain.params_.values(), 1.0, 1.0, 1.0]))
    values = (model.conditional_expected_purchases(26.0, brand) for model in (even, plain))
    assert next(values) == pytest.approx(next(values), rel=1e-12)


def test_a_number_acts_as_it_is(brand):
    numbers = brand.assign(channel=(brand["channel"] == "search").astype(float))
    ours, theirs = (clv.ParetoNBD(covariates=["channel"]).fit(X) for X in (numbers, brand))
    assert list(ours.params_.values()) == pytest.approx(list(theirs.params_.values()), rel=1e-9)
    assert list(ours.params_)[-2:] == ["purchases[channel]", "leaving[channel]"]


def test_saved_cloned_drawn_and_in_any_frame(fitted, brand):
    again = saved_purchase_model(json.loads(json.dumps(fitted.to_dict())))
    rows = brand.iloc[:50]
    expected = fitted.conditional_expected_purchases(13.0, rows)
    assert np.array_equal(again.conditional_expected_purchases(13.0, rows), expected)
    lazy = pl.from_pandas(rows).lazy()
    assert np.array_equal(fitted.conditional_expected_purchases(13.0, lazy), expected)
    assert clone(fitted).covariates == ["channel"]
    sure = fitted.with_covariance(brand)
    moved = np.log(draws(sure, 2_000))
    errors = list(sure.covariance_.standard_errors.values())
    assert moved.std(axis=0) == pytest.approx(errors, rel=0.1)


def test_a_prior_holds_a_level_that_says_nothing():
    X = cdnow_summary().assign(channel="mail")
    X.loc[X.index[:3], ["frequency", "recency"]] = 0
    X.loc[X.index[:3], "channel"] = "app"  # three customers, none of whom came back
    free = clv.BetaGeoNBD(covariates=["channel"]).fit(X)
    held = clv.BetaGeoNBD(covariates=["channel"], effect_sd=0.5).fit(X)
    assert free.params_["purchases[channel=app]"] < 0.01
    assert 0.4 < held.params_["purchases[channel=app]"] < 1.0


def test_published_fits_of_the_apparel_log():
    """Reference of the R package CLVTools: gender and channel in both processes."""
    if not (SHARED / "apparel_orders.parquet").exists():
        pytest.skip("apparel_orders.parquet is not shipped; CLV_SHARED_DATA=<its folder> runs this")
    orders = pd.read_parquet(SHARED / "apparel_orders.parquet").rename(columns={"Id": "id"})
    orders = orders.assign(day=pd.to_datetime(orders["Date"]))
    end = pd.Timestamp("2006-12-31")
    days = orders[orders["day"] <= end].drop_duplicates(["id", "day"]).groupby("id")["day"]
    summary = pd.DataFrame({"frequency": days.count() - 1.0})
    summary["recency"] = (days.max() - days.min()).dt.days / 7
    summary["T"] = (end - days.min()).dt.days / 7
    traits = pd.read_parquet(SHARED / "apparel_static.parquet").set_index("Id")
    X = summary.join(traits)
    assert clv.ParetoNBD().fit(X).log_likelihood_ == pytest.approx(-5848.0978, abs=1e-3)
    model = clv.ParetoNBD(covariates=["Gender", "Channel"]).fit(X)
    assert model.log_likelihood_ == pytest.approx(-5821.0627, abs=1e-3)
    effects = np.log([value for name, value in model.params_.items() if "[" in name])
    assert effects == pytest.approx([0.2861, 0.6239, -0.6419, 0.7898], abs=1e-3)


def test_what_cannot_be_is_refused(fitted, brand):
    with pytest.raises(InputError, match="holds 'tv', which the model has never seen"):
        fitted.probability_alive(brand.assign(channel="tv"))
    with pytest.raises(RowError, match="channel is missing"):
        fitted.probability_alive(brand.assign(channel=[None, *brand["channel"][1:]]))
    with pytest.raises(InputError, match="is 'mail' for everybody"):
        clv.BetaGeoNBD(covariates=["channel"]).fit(brand.assign(channel="mail"))
    with pytest.raises(InputError, match="no one set of parameters"):
        fitted.expected_purchases(10.0)
    with pytest.raises(InputError, match="no one set of parameters"):
        fitted.probability_alive(History(np.ones(1), np.ones(1), np.full(1, 2.0)))
    with pytest.raises(InputError, match="differ by channel; got nothing"):
        fitted.at()
    with pytest.raises(InputError, match="6,000 different values together"):
        clv.BetaGeoNBD(covariates=["spend"]).fit(brand.assign(spend=np.arange(len(brand)) + 7))
    with pytest.raises(InputError, match="has no covariates"):
        clv.BetaGeoNBD(engine="lifetimes", covariates=["channel"]).fit(brand)
