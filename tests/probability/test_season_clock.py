"""The season clock of BG/NBD and MBG/NBD: computed values, no effect, truth, days by hand."""

import datetime as dt
import json
import os

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import InputError
from clv.probability.models import saved_purchase_model
from tests.forecast.simulated_logs import CUTOFF, purchases

MODELS = (clv.BetaGeoNBD, clv.ModifiedBetaGeoNBD)
SIN, COS = 0.4, -0.25  # the true season


def shop(seed, customers=300, years=3.0):
    """A log of BG/NBD customers whose rate follows a wave of the year, and its summary."""

    def m(day):
        angle = 2 * np.pi * (day + (CUTOFF - dt.date(1970, 1, 1)).days) / 365.25
        return np.exp(SIN * np.sin(angle) + COS * np.cos(angle))

    first, (who, when) = purchases(np.random.default_rng(seed), years, 0, m, customers=customers)
    ids, day = np.append(np.arange(customers), who), np.append(first, when)
    date = pd.Timestamp(CUTOFF) + pd.to_timedelta(day, unit="D")
    log = pd.DataFrame({"customer_id": ids.astype(int), "date": date, "amount": 1.0})
    X = clv.summarize(log, unit="week", as_of=CUTOFF)
    return X.assign(kind=np.where(X["customer_id"] % 3, "a", "b")), log


@pytest.fixture(scope="module")
def bound():
    return clv.with_season(*shop(0))


@pytest.fixture(scope="module")
def model(bound):
    return clv.BetaGeoNBD(covariates=[*bound.names, "kind"]).fit(bound)


@pytest.mark.slow
def test_computed_fits_of_the_apparel_log(apparel):
    """Season and likelihoods computed independently; the quarters that came were 85 108 71 125."""
    assert clv.BetaGeoNBD().fit(apparel).log_likelihood_ == pytest.approx(-5857.020, abs=1e-3)
    asked = {"purchases": ["Gender", "Channel"]}
    static = clv.BetaGeoNBD(covariates=asked).fit(apparel)
    assert static.log_likelihood_ == pytest.approx(-5841.175, abs=1e-3)
    model = clv.BetaGeoNBD(covariates={"purchases": [*asked["purchases"], "High.Season"]})
    assert model.fit(apparel).log_likelihood_ == pytest.approx(-5776.540, abs=1e-3)
    assert np.log(model.params_["purchases[High.Season]"]) == pytest.approx(0.705, abs=5e-4)
    for fitted, quarters in ((static, [120, 114, 109, 104]), (model, [88, 103, 79, 132])):
        upto = [fitted.conditional_expected_purchases(13.0 * q, apparel).sum() for q in range(5)]
        assert np.round(np.diff(upto)).tolist() == quarters


@pytest.mark.parametrize("kind", MODELS)
def test_the_slopes_are_those_of_the_log_likelihood(kind, model, bound):
    model = kind(covariates=model.covariates).fit(bound)
    observed, values = model._observed(bound, None), np.array(list(model.params_.values()))
    values = values * np.linspace(0.8, 1.3, len(values))
    _, gradient = model._contributions_at(values, observed).total()
    for i, value in enumerate(values):
        step = np.zeros(len(values))
        step[i] = 1e-5 * value
        up, down = (model._contributions_at(values + s, observed).total()[0] for s in (step, -step))
        assert gradient[i] == pytest.approx((up - down) / (2e-5 * value), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_no_effect_is_the_model_without_covariates(kind, bound):
    X, plain = bound.table, kind().fit(bound.table)
    even = kind(covariates=bound.names).fit(bound)
    even = even._at(np.array([*plain.params_.values(), 1.0, 1.0]))
    values = np.array(list(even.params_.values()))
    same = even._contributions_at(values, even._observed(bound, None)).total()[0]
    assert same == pytest.approx(plain.log_likelihood_, rel=1e-10)
    for verb, asked in (
        ("probability_alive", ()),
        ("conditional_expected_purchases", (13.0,)),
        ("probability_of_purchase", (13.0,)),
        ("probability_of_purchases", ([0, 1, 7], 13.0)),
    ):
        ours, theirs = (getattr(m, verb)(*asked, of) for m, of in ((even, bound), (plain, X)))
        assert ours == pytest.approx(theirs, rel=1e-10, abs=1e-14)
    paid = [m.discounted_expected_purchases(52.0, [0.002, 0.0], of) for m, of in
            ((even, bound), (plain, X))]  # fmt: skip
    assert paid[0] == pytest.approx(paid[1], rel=2e-4)
    pairs = [m.discounted_purchase_pairs(52.0, 0.002, of) for m, of in ((even, bound), (plain, X))]
    assert pairs[0] == pytest.approx(pairs[1], rel=1e-3)


def test_discounting_follows_the_calendar(model, bound):
    """Against purchases expected week by week, each discounted in the middle of its week."""
    upto = [model.conditional_expected_purchases(float(week), bound) for week in range(27)]
    by_week = np.exp(-0.01 * (np.arange(26) + 0.5)) @ np.diff(upto, axis=0)
    ours = model.discounted_expected_purchases(26.0, 0.01, bound)
    assert ours == pytest.approx(by_week, rel=5e-4)
    assert ours.sum() == pytest.approx(by_week.sum(), rel=1e-4)


def test_what_does_not_change_is_a_static_covariate(bound):
    X, log = bound.table, shop(0)[1]
    who = np.repeat(X["customer_id"].to_numpy(), 2)
    told = pd.DataFrame({"customer_id": who, "kind": np.repeat(X["kind"].to_numpy(), 2)})
    told["date"] = np.tile(pd.to_datetime([log["date"].min(), CUTOFF]), len(X))
    moving = clv.with_changes(X.drop(columns="kind"), log, told)
    asked = {"purchases": ["kind"]}
    ours, theirs = (clv.BetaGeoNBD(covariates=asked).fit(of) for of in (moving, X))
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, abs=1e-8)
    assert list(ours.params_.values()) == pytest.approx(list(theirs.params_.values()), rel=1e-5)


@pytest.mark.slow
def test_the_season_is_recovered():
    """The full run is CLV_LOGS=20: within two standard errors in 19 of 20, as normal errors are."""
    logs = int(os.environ.get("CLV_LOGS", "2"))
    off = []
    for seed in range(logs):
        X = clv.with_season(*shop(100 + seed, customers=600))
        model = clv.BetaGeoNBD(covariates=X.names).fit(X).with_covariance(X)
        errors = model.covariance_.standard_errors
        for name, truth in zip(list(model.params_)[4:], (SIN, COS), strict=True):
            off.append((np.log(model.params_[name]) - truth) / errors[f"log {name}"])
    assert np.abs(off).max() < 3.3
    assert (np.abs(off) < 2).mean() >= 0.95 or logs < 20


def test_a_file_and_weights_and_rows_in_any_order_give_the_same(model, bound):
    again = saved_purchase_model(json.loads(json.dumps(model.to_dict())))
    mean = model.conditional_expected_purchases(13.0, bound)
    assert again.conditional_expected_purchases(13.0, bound) == pytest.approx(mean, rel=1e-15)
    X, log = shop(0)
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = clv.with_season(X.iloc[order], log.sample(frac=1.0, random_state=2))
    other = model.conditional_expected_purchases(13.0, shuffled)
    assert other == pytest.approx(mean[order], rel=1e-12)
    twice = clv.BetaGeoNBD(covariates=model.covariates).fit(bound, sample_weight=np.full(len(X), 2))
    assert twice.log_likelihood_ == pytest.approx(2 * model.log_likelihood_, rel=1e-8)


def test_what_cannot_be_is_refused(model, bound):
    X, log = shop(0, customers=60)
    recent = log[log["date"] > pd.Timestamp("2022-06-30")]
    with pytest.raises(InputError, match="549 days long, and a season takes two years"):
        clv.with_season(clv.summarize(recent, unit="week", as_of=CUTOFF), recent)
    with pytest.raises(InputError, match="terms = 5"):
        clv.with_season(X, log, terms=5)
    asked = {"purchases": bound.names, "leaving": ["season_1_sin"]}
    with pytest.raises(InputError, match="'season_1_sin' changes over time, and that moves purch"):
        clv.BetaGeoNBD(covariates=asked).fit(bound)
    with pytest.raises(InputError, match="and needed until 2044"):
        model.conditional_expected_purchases(52.18 * 20.5, bound)
    with pytest.raises(InputError, match="a time span is negative, infinite or missing"):
        model.discounted_expected_purchases(np.inf, 0.01, bound)
