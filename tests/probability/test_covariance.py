"""How sure a fit is: published standard errors, a second way to each covariance, and coverage."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.polynomial.legendre import leggauss

from clv.errors import FitError, InputError, UnitError
from clv.history import History, read_cells
from clv.probability.bg_nbd import BetaGeoNBD, BgNbdTheta, simulate
from clv.probability.covariance import (
    Covariance,
    bootstrap,
    coordinates,
    covariance,
    draws,
    with_parameters,
)
from clv.probability.gamma_gamma import GammaGamma, GammaGammaTheta
from clv.probability.gamma_gamma import simulate as simulate_spend

# CDNOW, BG/NBD, standard errors of log r, log alpha, log a, log b: the reference of this project.
HESSIAN = [0.0518, 0.0857, 0.2342, 0.2908]
SANDWICH = [0.0593, 0.1054, 0.2283, 0.2818]
BOOTSTRAP = [0.0612, 0.1111, 0.2435, 0.3015]


def frame(history: History) -> pd.DataFrame:
    return pd.DataFrame({"frequency": history.x, "recency": history.t_x, "T": history.T})


def customers(case, n, seed=5) -> pd.DataFrame:
    """Customers who live by the model, for up to a year of whole weeks."""
    rng = np.random.default_rng(seed)
    T = np.floor(rng.uniform(10, 53, n))
    return frame(case.functions.simulate(case.model._theta(**case.parameters), T, rng))


@pytest.fixture(scope="module")
def sure(cdnow):
    return BetaGeoNBD().fit(cdnow).with_covariance(cdnow)


@pytest.fixture(scope="module")
def sure_spend(cdnow):
    return GammaGamma().fit(cdnow).with_covariance(cdnow)


def errors(known: Covariance) -> list[float]:
    return list(known.standard_errors.values())


# --- published numbers ---------------------------------------------------------------------------


def test_published_standard_errors(cdnow, sure):
    assert list(sure.covariance_.standard_errors) == ["log r", "log alpha", "log a", "log b"]
    assert errors(sure.covariance_) == pytest.approx(SANDWICH, abs=5e-5)
    assert errors(covariance(sure, cdnow, kind="hessian")) == pytest.approx(HESSIAN, abs=5e-5)
    assert not sure.covariance_.notes


@pytest.mark.slow
def test_published_bootstrap(cdnow, sure):
    spread = np.log(bootstrap(sure, cdnow, n=200, seed=3)).std(axis=0, ddof=1)
    assert spread == pytest.approx(BOOTSTRAP, rel=0.15)  # 200 resamples: each is known to 5%


def test_bootstrap_of_spend_is_what_the_sandwich_says(cdnow, sure_spend):
    found = bootstrap(sure_spend, cdnow, n=100, seed=3)
    spread = np.log(found - [0, 1, 0]).std(axis=0, ddof=1)
    assert spread == pytest.approx(errors(sure_spend.covariance_), rel=0.25)


# --- a second way --------------------------------------------------------------------------------


def by_differences_of_the_likelihood(case, theta, cells):
    """H and J from values of the log-likelihood of one row after the other, without a gradient."""
    k, h = len(theta), 2e-3

    def rows(shift):
        at = dict(zip(theta, np.exp(np.log(list(theta.values())) + shift), strict=True))
        found = case.functions.contributions(case.model._theta(**at), cells)
        return found.of_rows()[0]

    e = np.eye(k) * h
    score = np.array([(rows(step) - rows(-step)) / (2 * h) for step in e])
    H = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            four = rows(e[i] + e[j]) - rows(e[i] - e[j]) - rows(e[j] - e[i]) + rows(-e[i] - e[j])
            H[i, j] = cells.count @ four / (4 * h**2)
    return -H, (score * cells.count) @ score.T


def test_covariance_from_the_likelihood_alone(case):
    table = customers(case, 3000)
    model = case.model().fit(table).with_covariance(table)
    H, J = by_differences_of_the_likelihood(case, model.params_, read_cells(table))
    inverse = np.linalg.inv(H)
    plain = covariance(model, table, kind="hessian")
    assert plain.matrix == pytest.approx(inverse, rel=2e-3, abs=1e-3 * np.abs(inverse).max())
    expected = inverse @ J @ inverse
    found = model.covariance_.matrix
    assert found == pytest.approx(expected, rel=5e-3, abs=2e-3 * np.abs(expected).max())
    assert np.linalg.eigvalsh(found).min() > 0


@pytest.mark.parametrize("history", [(0, 0.0, 38.86), (2, 30.43, 38.86), (7, 12.0, 38.86)])
def test_pairs_of_purchases_against_the_distribution_of_counts(case, history):
    X = case.as_counted(pd.DataFrame([history], columns=["frequency", "recency", "T"]))
    model, k = case.known(), np.arange(1500)
    for t in (1.0, 26.0, 156.0):
        expected = model.probability_of_purchases(k, t, X)[0] @ (k * (k - 1.0))
        found = model.discounted_purchase_pairs(t, 0.0, X)
        assert found == pytest.approx([expected], rel=1e-9, abs=1e-13)


def test_discounted_pairs_against_the_story(timed_case):
    """Both purchases one by one: s, then u, summed over latent rates on a triangle of nodes."""
    story, history, delta, t = timed_case.latent(**timed_case.parameters), (2, 30.0, 38.0), 0.02, 40
    stays = 1 - story.p if hasattr(story, "p") else 1.0
    leaves = story.rate * story.p if hasattr(story, "p") else story.hazard
    z, w = (leggauss(24)[0] + 1) / 2, leggauss(24)[1] / 2
    both = 0.0
    for u, weight in zip(t * z, t * w, strict=True):  # the later one
        there = np.exp(-leaves * u - delta * u) * stays * story.rate**2
        both = both + weight * there * u * float(w @ np.exp(-delta * u * z))
    X = pd.DataFrame([history], columns=["frequency", "recency", "T"])
    found = timed_case.known().discounted_purchase_pairs(t, delta, X)
    assert found == pytest.approx([2 * story.existing(both, *history)], rel=1e-7)


# --- what must hold ------------------------------------------------------------------------------


def test_time_unit_and_currency_drop_out(cdnow, sure, sure_spend):
    days = cdnow.assign(recency=cdnow["recency"] * 7, T=cdnow["T"] * 7)
    in_days = BetaGeoNBD().fit(days).with_covariance(days)
    assert in_days.covariance_.matrix == pytest.approx(sure.covariance_.matrix, rel=1e-4)
    cents = cdnow.assign(monetary_value=cdnow["monetary_value"] * 100)
    in_cents = GammaGamma().fit(cents).with_covariance(cents)
    assert in_cents.covariance_.matrix == pytest.approx(sure_spend.covariance_.matrix, rel=1e-4)


def test_order_does_not_matter_and_weight_2_is_the_row_twice(cdnow, sure):
    shuffled = cdnow.sample(frac=1, random_state=1)
    assert covariance(sure, shuffled).matrix == pytest.approx(sure.covariance_.matrix, rel=1e-7)
    weight = np.where(np.arange(len(cdnow)) % 2, 2.0, 1.0)
    twice = cdnow.loc[cdnow.index.repeat(weight.astype(int))].drop(columns="customer_id")
    for model in (BetaGeoNBD(), GammaGamma()):
        model.fit(twice)
        weighted = covariance(model, cdnow, sample_weight=weight)
        assert weighted.matrix == pytest.approx(covariance(model, twice).matrix, rel=1e-7)


def test_draws_have_the_covariance_and_stay_in_the_parameter_space(sure, sure_spend):
    for model, limit in ((sure, [0, 0, 0, 0]), (sure_spend, [0, 1, 0])):
        found = draws(model, 40_000, seed=1)
        assert (found > limit).all()
        logs = np.log(found - limit)
        close = 0.02 * model.covariance_.matrix.max()
        assert np.cov(logs.T) == pytest.approx(model.covariance_.matrix, abs=close)
        assert logs.mean(axis=0) == pytest.approx(coordinates(model), abs=0.01)
        assert np.array_equal(found[:5], draws(model, 5, seed=1))
    other = with_parameters(sure, draws(sure, 1)[0])
    assert other.unit_ == sure.unit_
    assert other.covariance_ is None


def test_a_model_without_covariance_says_how_to_get_one(cdnow):
    for model in (BetaGeoNBD().fit(cdnow), BetaGeoNBD.from_params(r=1, alpha=1, a=1, b=1)):
        assert model.covariance_ is None
        with pytest.raises(FitError, match="with_covariance"):
            draws(model, 3)


def test_covariance_survives_json_and_older_files_load(sure, sure_spend):
    for model in (sure, sure_spend):
        saved = json.loads(json.dumps(model.to_dict(), allow_nan=False))
        again = type(model).from_dict(saved)
        assert np.array_equal(again.covariance_.matrix, model.covariance_.matrix)
        assert again.to_dict() == model.to_dict()
        assert np.array_equal(draws(again, 3), draws(model, 3))
        del saved["covariance"]
        assert type(model).from_dict(saved).covariance_ is None


def test_a_new_fit_forgets_the_old_covariance(cdnow, sure):
    again = BetaGeoNBD().fit(cdnow).with_covariance(cdnow)
    assert again.fit(cdnow.head(500)).covariance_ is None
    assert "covariance" not in again.to_dict()
    assert sure.covariance_ is not None


# --- said in words -------------------------------------------------------------------------------


@pytest.mark.parametrize("case_of", ["nobody leaves", "all alike"])
def test_a_flat_direction_is_held_and_named(case_of):
    rng = np.random.default_rng(2)
    T = rng.uniform(20, 50, 2000)
    if case_of == "nobody leaves":
        x = rng.poisson(rng.gamma(0.8, 1 / 8, 2000) * T)
    else:
        x = np.round(0.1 * T)  # less varied than chance alone would have it
    t_x = np.where(x > 0, T * rng.beta(np.maximum(x, 1), 1), 0.0)
    table = frame(History(x.astype(float), t_x, T))
    model = BetaGeoNBD().fit(table).with_covariance(table)
    assert model.report_.findings
    known = model.covariance_
    assert np.isfinite(known.matrix).all()
    assert any("flat along" in n.text and "held where the fit ended" in n.text for n in known.notes)
    named = " ".join(map(str, known.notes))
    assert "log a" in named if case_of == "nobody leaves" else "log r +0.71 log alpha" in named
    assert np.isfinite(draws(model, 100)).all()
    assert bootstrap(model, table, n=3).shape == (3, 4)
    if case_of == "all alike":  # what is settled is known: of a Poisson rate, 1 / purchases
        plain, rate = covariance(model, table, kind="hessian").matrix, [1, -1, 0, 0]
        assert rate @ plain @ rate == pytest.approx(1 / x.sum(), rel=0.01)


def test_a_mean_spend_that_was_held_is_as_sure_as_the_mean_seen():
    rng = np.random.default_rng(4)
    x = 1.0 + rng.poisson(1, 1500)
    zbar = simulate_spend(GammaGammaTheta(2.0, 0.7, 10.0), x, rng)  # q < 1: the mean does not exist
    table = pd.DataFrame({"frequency": x, "monetary_value": zbar})
    model = GammaGamma().fit(table)
    assert "held to the mean seen" in model.report_.findings[0].text
    known = covariance(model, table)
    assert "held to the one seen" in known.notes[0].text
    log_mean = np.array([1.0, -1.0, 1.0])  # of log E[M] = log p + log v - log(q - 1)
    expected = zbar.std() / zbar.mean() / np.sqrt(len(zbar))
    assert np.sqrt(log_mean @ known.matrix @ log_mean) == pytest.approx(expected, rel=1e-6)


def test_a_few_customers_get_the_hessian_and_are_told(cdnow):
    few = cdnow.head(30)
    known = covariance(BetaGeoNBD().fit(few), few)
    assert known.kind == "hessian"
    assert "too few for a sandwich" in " ".join(map(str, known.notes))


def test_another_table_than_that_of_the_fit_is_noticed(cdnow, sure):
    other = covariance(sure, cdnow[cdnow["frequency"] < 3])
    assert "not the maximum of the likelihood of this table" in " ".join(map(str, other.notes))
    weeks = BetaGeoNBD(unit="week").fit(cdnow)
    with pytest.raises(UnitError):
        weeks.with_covariance(cdnow.assign(unit="day"))
    with pytest.raises(InputError, match="'sandwich' or 'hessian'"):
        covariance(sure, cdnow, kind="exact")


def test_large_errors_are_called_rough():
    known = Covariance.from_dict(
        {"of": ["log a"], "matrix": [[4.0]], "kind": "hessian", "notes": ["large"]}
    )
    assert str(known) == "standard errors (hessian): log a 2.0000\n  note: large"


# --- coverage ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    truth = np.array([0.6, 6.0, 1.0, 2.5])
    inside = []
    for seed in range(45):
        rng = np.random.default_rng(seed)
        T = np.floor(rng.uniform(30, 80, 1500))
        table = frame(simulate(BgNbdTheta(*truth), T, rng)).round(1)
        later = table["recency"].clip(lower=0.1).where(table["frequency"] > 0, 0.0)
        table["recency"] = np.minimum(later, table["T"])
        model = BetaGeoNBD().fit(table).with_covariance(table)
        far = np.abs(coordinates(model) - np.log(truth)) / errors(model.covariance_)
        inside.append(far < 1.645)
    # 45 samples of 4 correlated parameters: a nominal 90% shows between 80% and 98%.
    assert 0.80 < np.mean(inside) < 0.98
