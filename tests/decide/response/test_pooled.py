"""The pooled posterior against differences, SciPy's distributions and importance weights."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from clv.decide.response.panel import Lifts, Panel
from clv.decide.response.pooled import Posterior, fit, log_nb2
from clv.decide.response.shapes import SHAPES, PowerShape
from clv.errors import FitError

NO_LIFTS = Lifts(np.zeros(0, dtype=np.intp), *np.zeros((4, 0)))
TWO_LIFTS = Lifts(
    np.array([0, 2]), np.zeros(2), np.log([1.5, 1e-6]), np.array([4.0, -10.0]), np.array([2.0, 3.0])
)


def panel(channels=4, periods=15, effects=2, base=3.0, lifts=TWO_LIFTS, seed=0, variation=0.3):
    """A random panel, and its true elasticities."""
    rng = np.random.default_rng(seed)
    sigma = np.sqrt(np.log1p(variation**2))
    log_s = rng.normal(8, 1, (channels, 1)) + sigma * rng.standard_normal((channels, periods))
    b = rng.uniform(0.25, 0.75, channels)
    center = log_s.mean(axis=1)
    log_u = log_s - center[:, None]
    mu = base + np.exp(rng.normal(4.3, 0.6, (channels, 1)) + b[:, None] * log_u)
    found = Panel(
        customers=rng.negative_binomial(40, 40 / (40 + mu)).astype(float),
        log_u=log_u,
        observed=rng.random((channels, periods)) > 0.05,
        usual=np.exp(center),
        base=np.full(channels, base),
        lifts=lifts,
        time=rng.standard_normal((periods, effects)),
        time_sd=np.full(effects, 0.1),
    )
    return found, b


def somewhere(posterior, seed=1):
    rng, C = np.random.default_rng(seed), posterior.channels
    effects = rng.normal(0, 0.1, len(posterior.panel.time_sd))
    return np.concatenate([rng.normal(4, 0.2, C), rng.normal(0, 0.5, C), [0.2, 3.2], effects])


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_gradient_is_the_slope_of_the_loss(shape):
    posterior = Posterior(panel()[0], shape)
    theta, h = somewhere(posterior), 1e-5
    differences = [
        (posterior.loss(theta + h * e)[0] - posterior.loss(theta - h * e)[0]) / (2 * h)
        for e in np.eye(len(theta))
    ]
    assert posterior.loss(theta)[1] == pytest.approx(differences, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_curvature_is_the_slope_of_the_gradient(shape):
    posterior = Posterior(panel(lifts=NO_LIFTS)[0], shape)
    theta, h = somewhere(posterior), 1e-5
    differences = np.array(
        [
            (posterior.loss(theta + h * e)[1] - posterior.loss(theta - h * e)[1]) / (2 * h)
            for e in np.eye(len(theta))
        ]
    )
    assert posterior.curvature(theta) == pytest.approx(differences, rel=1e-5, abs=1e-5)


def test_the_loss_is_minus_the_log_posterior_that_scipy_computes():
    """The model written out in SciPy's distributions; only differences count."""
    found, _ = panel()
    posterior = Posterior(found, PowerShape())

    def by_scipy(theta):
        at = posterior.unknowns(theta)
        b, phi = expit(at.eta), np.exp(at.log_phi)
        curve = np.exp(at.A[:, None] + b[:, None] * found.log_u)
        mu = (found.base[:, None] + curve) * np.exp(found.time @ at.beta)
        likely = stats.nbinom.logpmf(found.customers, phi, phi / (phi + mu))[found.observed].sum()
        likely += stats.norm.logpdf(at.eta, at.m, 0.8).sum() + stats.norm.logpdf(at.m, 0, 0.6)
        likely += stats.norm.logpdf(at.log_phi, 3, 1.5) + stats.norm.logpdf(at.beta, 0, 0.1).sum()
        for c, ratio, gain, error in ((0, 1.5, 4.0, 2.0), (2, 1e-6, -10.0, 3.0)):
            likely += stats.norm.logpdf(gain, np.exp(at.A[c]) * (ratio ** b[c] - 1), error)
        return likely

    one, other = somewhere(posterior), somewhere(posterior, seed=2)
    assert posterior.loss(other)[0] - posterior.loss(one)[0] == pytest.approx(
        by_scipy(one) - by_scipy(other), rel=1e-10
    )


def test_counts_have_the_distribution_that_scipy_gives():
    n, mu, phi = np.array([0.0, 3, 50, 2000]), np.array([1e-9, 7, 40, 2500]), 12.0
    assert log_nb2(n, mu, np.array(phi)) == pytest.approx(
        stats.nbinom.logpmf(n, phi, phi / (phi + mu)), rel=1e-10
    )


def test_draws_have_the_posterior_mean_and_spread_that_importance_weights_give():
    """Weights of Laplace draws correct them to the exact posterior: a second way to the same."""
    fitted = fit(panel(channels=3, periods=20, effects=0, lifts=NO_LIFTS)[0], PowerShape())
    C, rng = 3, np.random.default_rng(3)
    draws = fitted.draws(20_000, rng)
    theta = np.column_stack([draws.A, draws.eta, draws.m, draws.log_phi])
    away = theta - fitted.theta
    log_q = -0.5 * np.einsum("ij,jk,ik->i", away, fitted.precision, away)
    log_w = np.array([-fitted.posterior.loss(row)[0] for row in theta]) - log_q
    weight = np.exp(log_w - log_w.max())
    weight /= weight.sum()
    assert 1 / (weight**2).sum() > 5000  # enough of the draws count
    b = expit(theta[:, C : 2 * C])
    mean = weight @ b
    spread = np.sqrt(weight @ (b - mean) ** 2)
    assert b.mean(axis=0) == pytest.approx(mean, abs=0.015)
    assert b.std(axis=0) == pytest.approx(spread, rel=0.12)


def test_with_many_weeks_the_truth_is_recovered():
    found, b = panel(channels=6, periods=1500, effects=0, base=0.0, lifts=NO_LIFTS)
    fitted = fit(found, PowerShape())
    assert expit(fitted.mode.eta) == pytest.approx(b, abs=0.06)
    assert np.exp(fitted.mode.log_phi) == pytest.approx(40, rel=0.1)
    assert (fitted.own_evidence() > 0.95).all()


def test_half_a_customer_stands_for_none():
    found, _ = panel(effects=0, base=0.0, lifts=NO_LIFTS)
    found.customers[1] = 0
    fitted = fit(found, PowerShape())
    expected = (fitted.posterior.expected(fitted.mode) * found.observed).sum(axis=1)
    assert expected[1] == pytest.approx(0.5, rel=0.05)


def test_a_panel_can_lose_channels_and_the_future():
    found, _ = panel()
    kept = found.only(np.array([False, True, True, False])).before(10)
    assert kept.customers.tolist() == found.customers[1:3].tolist()
    assert not kept.observed[:, 10:].any()
    assert (kept.lifts.channel.tolist(), kept.lifts.gain.tolist()) == ([1], [-10.0])


def test_a_posterior_without_a_maximum_is_refused():
    found, _ = panel(effects=0, lifts=NO_LIFTS)
    with pytest.raises(FitError, match="did not end at a maximum"):
        fit(found.before(0), PowerShape())
