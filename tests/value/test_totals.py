"""Totals: the reference bands of CDNOW, exact Monte-Carlo of every customer, and a second way."""

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import clv.value.totals
from clv.data.cdnow import cdnow_summary
from clv.data.summary import split_holdout
from clv.errors import ColumnError, InputError
from clv.periods import Duration
from clv.probability.bg_bb import BetaGeoBetaBinomial
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.covariance import coordinates, with_parameters
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.simulate.process import draw_purchases, simulate_customers
from clv.value.common_factor import common_factor
from clv.value.new_customer import new_customer_interval
from clv.value.totals import total_purchases, total_value, totals_by
from clv.value.value import Terms, customer_value, new_customer_value

# The 39 weeks after 1997-09-30, sample of 2,357: the reference of this project.
HOLDOUT = Duration(39, "week")
REVENUE = Terms(1.0, 0.0, HOLDOUT, "USD")
ACTUAL, ACTUAL_REVENUE = 1882, 70_976
BAND, REVENUE_BAND = (1542, 1771), (54_900, 65_300)  # 90%, of the individuals alone
DISCOUNTED = Terms(0.3, 0.15, Duration(156, "week"), "USD")


@pytest.fixture(scope="module")
def cdnow():
    return cdnow_summary()


@pytest.fixture(scope="module")
def models(cdnow):
    return BetaGeoNBD().fit(cdnow), GammaGamma().fit(cdnow)


@pytest.fixture(scope="module")
def sure(cdnow, models):
    return tuple(model.with_covariance(cdnow) for model in models)


@pytest.fixture
def few_draws(monkeypatch):
    """Where the draws of the parameters are not what is looked at."""
    monkeypatch.setattr(clv.value.totals, "DRAWS", 30)


# --- individuals ---------------------------------------------------------------------------------


def test_the_band_of_the_individuals_on_cdnow(cdnow, models):
    counts = total_purchases(cdnow, models[0], HOLDOUT)
    assert (counts.low, counts.high) == pytest.approx(BAND, rel=0.005)
    assert not counts.low < ACTUAL < counts.high
    money = total_value(cdnow, *models, REVENUE)
    assert (money.low, money.high) == pytest.approx(REVENUE_BAND, rel=0.005)
    assert not money.low < ACTUAL_REVENUE < money.high
    assert counts.parts == {"parameters": 0, "individuals": 1, "common_factor": 0}
    assert "taken as known" in money.reasons[0].text
    assert "BetaGeoNBD" in money.reasons[0].text
    assert "GammaGamma" in money.reasons[1].text


def one_by_one(X, model, spend, terms, n, rng):
    """Draws of the discounted margin of each customer, shape (n, customers), event by event."""
    r, alpha, a, b = model.params_.values()
    p, q, v = spend.params_.values()
    alive, delta = model.probability_alive(X), terms.delta("week")
    totals = np.zeros((n, len(X)))
    for i, (x, T, zbar) in enumerate(zip(X["frequency"], X["T"], X["monetary_value"], strict=True)):
        rate, leaving = rng.gamma(r + x, 1 / (alpha + T), n), rng.beta(a, b + x, n)
        found = draw_purchases(rng, rate, leaving, np.full(n, terms.horizon.to("week")))
        whose = np.repeat(np.arange(n), found.count)
        nu = rng.gamma(q + p * x, 1 / (v + x * zbar), n)
        worth = rng.gamma(p, 1 / nu[whose]) * np.exp(-delta * found.time)
        totals[:, i] = np.bincount(whose, worth, n) * (rng.random(n) < alive[i])
    return terms.margin_rate * totals


@pytest.mark.slow
def test_every_customer_played_out_gives_the_same_total(cdnow, models):
    some = cdnow.iloc[::40]  # 59 customers: few enough that the shape of the total matters
    played = one_by_one(some, *models, DISCOUNTED, 20_000, np.random.default_rng(1))
    total = total_value(some, *models, DISCOUNTED)
    assert played.sum(axis=1).mean() == pytest.approx(total.mean, rel=0.01)
    variance = played.var(axis=0).sum() / total.mean**2
    assert variance == pytest.approx(total.log_sd**2, rel=0.06)
    band = np.quantile(played.sum(axis=1), [0.05, 0.5, 0.95])
    assert band == pytest.approx([total.low, total.median, total.high], rel=0.03)


@pytest.mark.parametrize(
    "model",
    [
        BetaGeoNBD.from_params(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259, unit="week"),
        ModifiedBetaGeoNBD.from_params(r=0.525, alpha=6.183, a=0.891, b=1.614, unit="week"),
        ParetoNBD.from_params(r=0.553, alpha=10.578, s=0.606, beta=11.669, unit="week"),
        BetaGeoBetaBinomial.from_params(alpha=0.5, beta=4.0, gamma=0.4, delta=9.0, unit="week"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_the_variance_of_the_counts_of_every_model(model, cdnow):
    whole = cdnow.assign(recency=np.ceil(cdnow["recency"]), T=np.ceil(cdnow["T"])).iloc[::20]
    X = whole.assign(frequency=np.minimum(whole["frequency"], whole["recency"]))
    k = np.arange(300.0)
    counts = model.probability_of_purchases(k, 39.0, X)
    mean, square = counts @ k, counts @ k**2
    total = total_purchases(X, model, HOLDOUT)
    assert total.mean == pytest.approx(mean.sum(), rel=1e-6)
    assert total.log_sd * total.mean == pytest.approx(np.sqrt((square - mean**2).sum()), rel=1e-6)


def test_spend_without_a_variance_is_said(cdnow, models):
    heavy = GammaGamma.from_params(p=6.0, q=1.8, v=15.0)
    total = total_value(cdnow, models[0], heavy, REVENUE)
    assert any(
        "1,411 customers has no finite variance (q = 1.80)" in why.text for why in total.reasons
    )
    assert np.isfinite([total.low, total.high]).all()


# --- parameters ----------------------------------------------------------------------------------


def delta_method(of, models) -> float:
    """The standard error of of(*models), from its slope in each coordinate of each model."""
    variance = 0.0
    for place, model in enumerate(models):
        at, h, slope = coordinates(model), 1e-3, []
        for step in np.eye(len(at)) * h:
            two = []
            for sign in (1, -1):
                limits = [model.limits.get(name, 0) for name in model.names]
                other = with_parameters(model, limits + np.exp(at + sign * step))
                two.append(of(*models[:place], other, *models[place + 1 :]))
            slope.append((two[0] - two[1]) / (2 * h))
        variance += np.array(slope) @ model.covariance_.matrix @ np.array(slope)
    return float(np.sqrt(variance))


def test_the_part_of_the_parameters_by_the_delta_method(cdnow, sure):
    total = total_value(cdnow, *sure, DISCOUNTED)

    def log_total(*models):
        return np.log(customer_value(cdnow, *models, DISCOUNTED)["clv"].sum())

    found = total.log_sd * np.sqrt(total.parts["parameters"])
    assert found == pytest.approx(delta_method(log_total, sure), rel=0.15)  # from 200 draws
    assert sum(total.parts.values()) == pytest.approx(1)
    assert not any("taken as known" in why.text for why in total.reasons)


@pytest.mark.slow
def test_parameters_widen_the_band_and_a_common_factor_reaches_what_happened(
    cdnow, sure, cdnow_clean, few_draws
):
    """The factor is measured before the forecast is made, on two holdouts of 13 weeks."""
    ratios, expected = [], []
    for cutoff in (date(1997, 4, 1), date(1997, 7, 1)):
        past = split_holdout(cdnow_clean, cutoff, cutoff + timedelta(days=91))
        model = BetaGeoNBD().fit(past).with_covariance(past)
        total = total_purchases(past, model, Duration(13, "week"))
        ratios.append(np.log(past["holdout_frequency"].sum() / total.mean))
        expected.append(total.log_sd)
    common = common_factor(ratios, expected)
    alone, with_common = (
        total_purchases(cdnow, sure[0], HOLDOUT, common=factor) for factor in (None, common)
    )
    assert alone.low < BAND[0]
    assert BAND[1] < alone.high < ACTUAL
    assert with_common.low < ACTUAL < with_common.high
    assert with_common.reasons[-1] == common.note
    assert "not included" in alone.reasons[-1].text


@pytest.mark.slow
def test_a_sample_of_the_cells_shows_the_same_effect_of_the_parameters(monkeypatch):
    X = simulate_customers(8_000, seed=3)
    model = BetaGeoNBD().fit(X).with_covariance(X)
    thin = total_purchases(X, model, Duration(1, "year"))
    assert "systematic sample" in thin.reasons[0].text
    monkeypatch.setattr(clv.value.totals, "SAMPLE", 10**6)
    monkeypatch.setattr(clv.value.totals, "DRAWS", 50)
    full = total_purchases(X, model, Duration(1, "year"))
    assert full.mean == thin.mean
    parts = [total.log_sd**2 * total.parts["parameters"] for total in (thin, full)]
    assert parts[0] == pytest.approx(parts[1], rel=0.5)  # 50 draws against 200
    assert [thin.low, thin.high] == pytest.approx([full.low, full.high], rel=0.005)


# --- common factor -------------------------------------------------------------------------------


def test_common_factor_weighs_what_was_seen_against_what_is_assumed():
    many = common_factor(np.full(500, 0.3))
    assert many.sd == pytest.approx(0.3, rel=0.01)
    assert common_factor([0.0]).sd == pytest.approx(0.1 * np.sqrt(3 / 4))
    few, more = common_factor([0.1]), common_factor([0.1] * 30)
    assert few.sd == pytest.approx(more.sd)  # as much as assumed
    assert few.variance > more.variance  # but less sure
    # What the models expect themselves is not laid on the common factor a second time.
    assert common_factor([0.1, -0.1], explained=0.1).sd == pytest.approx(0.1 * np.sqrt(3 / 5))


def test_common_factor_refuses_what_is_none():
    for wrong in ([], [np.nan], [np.inf, 0.1]):
        with pytest.raises(InputError, match="no ratios, or some that are not finite"):
            common_factor(wrong)
    with pytest.raises(InputError, match="prior_cutoffs above 2"):
        common_factor([0.1], prior_cutoffs=1)


# --- what must hold ------------------------------------------------------------------------------


def test_mean_is_the_sum_of_the_customers(cdnow, sure, few_draws):
    total = total_value(cdnow, *sure, DISCOUNTED)
    table = customer_value(cdnow, *sure, DISCOUNTED)
    assert total.mean == pytest.approx(table["clv"].sum(), rel=1e-12)
    assert total.customers == 2357
    assert total.quantity == str(DISCOUNTED)
    saved = json.loads(json.dumps(total.to_dict(), allow_nan=False))
    assert saved["mean"] == total.mean
    assert "2,357 customers" in str(total)


def test_order_frame_and_time_unit_do_not_matter(cdnow, sure, few_draws):
    total = total_value(cdnow, *sure, DISCOUNTED)
    shuffled = cdnow.sample(frac=1, random_state=2).drop(columns="as_of")
    lazy = pl.from_pandas(shuffled).lazy()
    days = cdnow.assign(recency=cdnow["recency"] * 7, T=cdnow["T"] * 7, unit="day")
    in_days = BetaGeoNBD().fit(days).with_covariance(days)
    for other in (
        total_value(lazy, *sure, DISCOUNTED),
        total_value(days, in_days, sure[1], DISCOUNTED),
    ):
        found = [other.mean, other.low, other.median, other.high, other.log_sd]
        expected = [total.mean, total.low, total.median, total.high, total.log_sd]
        assert found == pytest.approx(expected, rel=1e-3)


def test_one_row_a_group(cdnow, sure, few_draws):
    X = cdnow.assign(channel=np.where(cdnow.index % 3 == 0, "mail", "web"))
    X.loc[X.index[:100], "channel"] = None
    for table in (X, pl.from_pandas(X.drop(columns="as_of"))):
        found = totals_by(table, "channel", lambda part: total_value(part, *sure, DISCOUNTED))
        assert set(found["channel"].fillna("none")) == {"web", "mail", "none"}
        assert found["customers"].sum() == 2357
        assert found["mean"].is_monotonic_decreasing
        whole = total_value(X, *sure, DISCOUNTED)
        assert found["mean"].sum() == pytest.approx(whole.mean, rel=1e-9)
        # Fewer customers: more of the spread is theirs.
        assert (found["share_individuals"] > whole.parts["individuals"]).all()
    with pytest.raises(ColumnError, match="no column place"):
        totals_by(X, "place", lambda part: total_purchases(part, sure[0], HOLDOUT))


def test_a_level_is_a_probability(cdnow, sure, few_draws):
    narrow = total_purchases(cdnow, sure[0], HOLDOUT, level=0.5)
    wide = total_purchases(cdnow, sure[0], HOLDOUT, level=0.95)
    assert wide.low < narrow.low < narrow.median < narrow.high < wide.high
    with pytest.raises(InputError, match="level = 90"):
        total_purchases(cdnow, sure[0], HOLDOUT, level=90)


# --- new customers -------------------------------------------------------------------------------


def test_new_customer_interval_by_the_delta_method(sure):
    def worth(*models):
        return new_customer_value(*models, Terms(0.3), 32.99).new_customer_clv

    models = tuple(with_parameters(m, list(m.params_.values())) for m in sure)
    for known, model in zip(sure, models, strict=True):
        model.covariance_ = known.covariance_
    found = new_customer_interval(*models, Terms(0.3), 32.99, 2.0)
    se = np.hypot(delta_method(worth, models), 0.3 * 2.0)
    assert (found.high - found.low) / (2 * 1.645) == pytest.approx(se, rel=0.1)
    assert found.new_customer_clv == pytest.approx(worth(*models))
    assert found.parts["first_amount"] == pytest.approx((0.3 * 2.0 / se) ** 2, rel=0.15)
    assert "not included" in found.reasons[-1].text


def test_new_customer_interval_says_what_it_leaves_out(models, sure):
    taken = new_customer_interval(*sure, Terms(0.3), 32.99)
    assert "its error was not given" in taken.reasons[0].text
    shaken = new_customer_interval(*models, Terms(0.3), 32.99, 0.0, common=common_factor([0.1]))
    assert shaken.parts["common_factor"] == 1
    assert shaken.low < shaken.new_customer_clv < shaken.high
    with pytest.raises(InputError, match="nothing is known of the uncertainty"):
        new_customer_interval(*models, Terms(0.3), 32.99)
    with pytest.raises(InputError, match="give both"):
        new_customer_interval(*sure, Terms(0.3), first_amount_error=1.0)


def test_an_empty_horizon_of_customers_who_never_return():
    gone = pd.DataFrame({"frequency": [400], "recency": [1.0], "T": [5000.0], "unit": "week"})
    model = BetaGeoNBD.from_params(r=0.5, alpha=2.0, a=1.0, b=2.0, unit="week")
    total = total_purchases(gone, model, HOLDOUT)
    assert total.low == total.median == total.high == pytest.approx(0, abs=1e-12)


def test_at_the_edge_of_the_parameter_space_the_known_distribution_is_found():
    """100 customers, each 3 purchases in 30 weeks, nobody leaves: a Poisson process of one rate.

    After 300 purchases in 3,000 weeks the number in 3,900 more is negative binomial.
    """
    X = pd.DataFrame({"frequency": [3] * 100, "recency": 30.0, "T": 30.0, "unit": "week"})
    model = BetaGeoNBD(unit="week").fit(X).with_covariance(X)
    assert model.report_.findings
    total = total_purchases(X, model, HOLDOUT)
    expected = stats.nbinom(300, 300 / 690).ppf([0.05, 0.5, 0.95])
    assert [total.low, total.median, total.high] == pytest.approx(expected, rel=0.02)
