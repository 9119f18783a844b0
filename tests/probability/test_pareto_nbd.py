"""What is particular to Pareto/NBD: its 2F1 in 30 digits, its boundaries, and lifetimes."""

from itertools import pairwise

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats
from scipy import special as sc

from clv.history import Cells, read_cells
from clv.periods import continuous_rate
from clv.probability import pareto_nbd
from clv.probability.lifetimes_engine import fenced
from clv.probability.pareto_nbd import (
    ParetoNBD,
    ParetoNbdTheta,
    leaves_first,
    log_likelihood,
    probability_of_purchases,
    simulate,
)

KNOWN = {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}


def frame(*histories) -> pd.DataFrame:
    return pd.DataFrame(histories, columns=["frequency", "recency", "T"])


def one_cell(x, t_x, T) -> Cells:
    return Cells(*(np.array([float(v)]) for v in (x, t_x, T)), np.ones(1))


# --- the likelihood ------------------------------------------------------------------------------


def printed_likelihood(parameters, x, t_x, T) -> float:
    """log L as Fader & Hardie (2005) print it, with 2F1, which cancels: in 50 digits and more."""
    with mp.workdps(50 + int(x / 4)):
        r, alpha, s, beta, t_x, T = (mp.mpf(v) for v in (*parameters.values(), t_x, T))
        R = r + x

        def a0(y):
            if alpha >= beta:
                z = (alpha - beta) / (alpha + y)
                return mp.hyp2f1(R + s, s + 1, R + s + 1, z) / (alpha + y) ** (R + s)
            z = (beta - alpha) / (beta + y)
            return mp.hyp2f1(R + s, R, R + s + 1, z) / (beta + y) ** (R + s)

        inner = 1 / ((alpha + T) ** R * (beta + T) ** s) + s / (R + s) * (a0(t_x) - a0(T))
        front = mp.loggamma(R) - mp.loggamma(r) + r * mp.log(alpha) + s * mp.log(beta)
        return float(front + mp.log(inner))


@pytest.mark.parametrize("history", [(0, 0, 38.86), (2, 30.43, 38.86), (26, 30.86, 31), (3, 9, 9)])
@pytest.mark.parametrize(
    "changed",
    [{}, {"alpha": 30.0}, {"beta": 300.0}, {"s": 1.0}, {"alpha": 11.669}, {"r": 0.05, "s": 0.05}],
)
def test_likelihood_by_the_printed_formula(changed, history):
    parameters = KNOWN | changed
    total, _ = log_likelihood(ParetoNbdTheta(**parameters), one_cell(*history))
    assert total == pytest.approx(printed_likelihood(parameters, *history), rel=1e-11)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("x", [200, 1000])
def test_frequent_buyers_by_the_printed_formula(x, swap):
    parameters = KNOWN | ({"alpha": 11.669, "beta": 10.578} if swap else {})
    total, _ = log_likelihood(ParetoNbdTheta(**parameters), one_cell(x, 290, 300))
    assert total == pytest.approx(printed_likelihood(parameters, x, 290, 300), rel=1e-12)


@pytest.mark.parametrize("R", [0.05, 0.5, 3.0, 40.0])
@pytest.mark.parametrize("s", [0.05, 0.6, 1.0, 4.0])
@pytest.mark.parametrize("k", [0.001, 0.05, 0.5, 1.0, 1.1, 20.0, 1000.0])
def test_which_clock_rings_first(R, s, k):
    """The mean of mu/(lambda+mu) is a 2F1; and lambda and mu may change their names."""
    leaves, buys, _ = leaves_first(np.array([R]), s, np.array([k]))
    with mp.workdps(30):
        wanted = s / (mp.mpf(R) + s) * mp.hyp2f1(1, R, mp.mpf(R) + s + 1, 1 - mp.mpf(k))
    assert leaves == pytest.approx([float(wanted)], rel=1e-11)
    assert leaves + buys == pytest.approx([1.0], abs=1e-14)
    other, _, _ = leaves_first(np.array([s]), R, np.array([1 / k]))
    assert buys == pytest.approx(other, rel=1e-11)


@pytest.mark.parametrize("parameters", [(0.55, 10.0, 0.6, 11.0), (0.5, 1e3, 3.0, 1.0)])
def test_polynomials_per_level_are_as_good_as_an_integral_per_row(parameters):
    r, alpha, s, beta = parameters
    rng = np.random.default_rng(0)
    R = r + rng.choice([0, 1, 2, 7, 300, 50_000], 2_000)
    t = rng.uniform(0, 700, 2_000)
    many = leaves_first(R, s, (beta + t) / (alpha + t))
    for row in range(0, 2_000, 97):
        single = leaves_first(R[[row]], s, ((beta + t) / (alpha + t))[[row]])
        assert many[0][row] == pytest.approx(single[0][0], rel=1e-11)
        assert many[2][:, row] == pytest.approx(single[2][:, 0], rel=1e-8, abs=1e-13)


def test_a_tie_of_the_two_scales_needs_no_integral():
    leaves, _, _ = leaves_first(np.array([0.5, 7.5]), 0.6, np.ones(2))
    assert leaves == pytest.approx([0.6 / 1.1, 0.6 / 8.1], rel=1e-14)


@pytest.mark.parametrize("t_x", [1e-3, 4000.0, 9999.0, 10_000.0])
def test_fifty_thousand_purchases(t_x):
    """The likelihood as Pareto/NBD's integral over the time of leaving, in logs."""
    x, T = 50_000, 10_000.0
    r, alpha, s, beta = KNOWN.values()

    def log_f(u):
        return (
            np.log(s) - (r + x) * np.log((alpha + u) / (alpha + t_x)) - np.log(beta + u) * (s + 1)
        )

    reach = min(T - t_x, 60 * (alpha + t_x) / (r + x))
    inner, _ = integrate.quad(lambda u: np.exp(log_f(u)), t_x, t_x + reach, epsabs=0, limit=200)
    stay = np.exp(-(r + x) * np.log((alpha + T) / (alpha + t_x)) - s * np.log(beta + T))
    front = sc.gammaln(r + x) - sc.gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    wanted = front - (r + x) * np.log(alpha + t_x) + np.log(inner + stay)
    total, slope = log_likelihood(ParetoNbdTheta(**KNOWN), one_cell(x, t_x, T))
    assert total == pytest.approx(wanted, rel=1e-13)
    assert np.isfinite(slope).all()
    alive = ParetoNBD.from_params(KNOWN).probability_alive(frame((x, t_x, T)))
    assert alive == pytest.approx([stay / (inner + stay)], rel=1e-8, abs=1e-300)


# --- published -----------------------------------------------------------------------------------


def test_published_frequent_buyer():
    """Fader & Hardie: P(alive) .9979; DERT at 15% a year of 52 weeks."""
    model, X = ParetoNBD.from_params(KNOWN), frame((26, 30.86, 31))
    assert model.probability_alive(X) == pytest.approx([0.99792], abs=5e-6)
    assert model.conditional_expected_purchases(52, X) == pytest.approx([25.4585], abs=5e-5)
    dert = model.discounted_expected_purchases(np.inf, continuous_rate(0.15, 52), X)
    assert dert == pytest.approx([86.2899], abs=5e-5)


def test_published_log_likelihood_in_thirty_digits(cdnow):
    """-9594.976 in print; the printed formula at the printed estimates sums to -9594.974 here."""
    parameters = {"r": 0.55315, "alpha": 10.57633, "s": 0.60625, "beta": 11.67150}
    some = read_cells(cdnow.head(150))
    wanted = sum(
        n * printed_likelihood(parameters, *row)
        for *row, n in zip(some.x, some.t_x, some.T, some.count, strict=True)
    )
    total, _ = log_likelihood(ParetoNbdTheta(**parameters), some)
    assert total == pytest.approx(wanted, rel=1e-13)
    total, _ = log_likelihood(ParetoNbdTheta(**parameters), read_cells(cdnow))
    assert total == pytest.approx(-9594.97393, abs=1e-5)


def test_expected_purchases_by_the_textbook_formula():
    for s in (0.606, 3.0):
        r, alpha, _, beta = KNOWN.values()
        t = np.array([0.1, 52.0, 520.0])
        wanted = r * beta / (alpha * (s - 1)) * (1 - (beta / (beta + t)) ** (s - 1))
        found = ParetoNBD.from_params(KNOWN | {"s": s}).expected_purchases(t)
        assert found == pytest.approx(wanted, rel=1e-12)


def test_s_of_one_is_nothing_special():
    """The printed expectation is 0/0 there; its limit has a logarithm."""
    r, alpha, _, beta = KNOWN.values()
    found = ParetoNBD.from_params(KNOWN | {"s": 1.0}).expected_purchases(52.0)
    assert found == pytest.approx(r * beta / alpha * np.log1p(52 / beta), rel=1e-13)


# --- the distribution of counts ------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 7, 400])
@pytest.mark.parametrize(
    "theta", [ParetoNbdTheta(0.553, 10.578, 0.606, 11.669), ParetoNbdTheta(400.0, 300, 1, 5)]
)
def test_counts_by_an_integral_over_the_time_of_leaving(theta, k):
    r, alpha, s, beta = theta
    t = 300.0

    def left(u):
        return s / beta * (1 + u / beta) ** (-s - 1) * stats.nbinom.pmf(k, r, alpha / (alpha + u))

    ends = [0.0, 1.0, 10.0, 100.0, 200.0, 300.0]
    gone = sum(
        integrate.quad(left, low, high, epsabs=0, epsrel=1e-11, limit=400)[0]
        for low, high in pairwise(ends)
    )
    stayed = (1 + t / beta) ** -s * stats.nbinom.pmf(k, r, alpha / (alpha + t))
    assert probability_of_purchases(theta, k, t) == pytest.approx(stayed + gone, rel=1e-9)


# --- lifetimes -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_ours_equals_theirs(cdnow):
    """beta is flat, and their search stops a little short of the maximum."""
    ours = ParetoNBD().fit(cdnow)
    theirs = ParetoNBD(engine="lifetimes").fit(cdnow)
    assert ours.params_ == pytest.approx(theirs.params_, rel=5e-3)
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, abs=1e-3)
    assert ours.log_likelihood_ >= theirs.log_likelihood_ - 1e-9


def test_predictions_of_theirs(cdnow):
    X = cdnow[cdnow["frequency"] < 20]
    columns = X["frequency"], X["recency"], X["T"]
    with fenced() as lifetimes:
        fitter = lifetimes.ParetoNBDFitter()
        fitter.params_ = pd.Series(KNOWN)
        alive = np.asarray(fitter.conditional_probability_alive(*columns))
        expected = fitter.conditional_expected_number_of_purchases_up_to_time(39, *columns)
        new = [float(fitter.expected_number_of_purchases_up_to_time(t)) for t in (13, 52)]
    model = ParetoNBD.from_params(KNOWN)
    assert model.probability_alive(X) == pytest.approx(alive, rel=1e-8)
    found = model.conditional_expected_purchases(39, X)
    assert found == pytest.approx(np.asarray(expected), rel=1e-8)
    assert model.expected_purchases([13, 52]) == pytest.approx(new, rel=1e-10)


# --- boundaries, in words ------------------------------------------------------------------------


def drawn(theta, n, seed) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    h = simulate(ParetoNbdTheta(*theta), rng.uniform(20, 39, n), rng)
    return pd.DataFrame({"frequency": h.x, "recency": h.t_x, "T": h.T})


def test_nobody_leaves():
    """Pure NBD: the finding says so, and the forecast is the NBD's."""
    table = drawn((0.5, 6.0, 1e-9, 1.0), 2000, 5)
    model = ParetoNBD().fit(table)
    (finding,) = model.report_.findings
    assert "s / beta goes to zero" in finding.text
    assert model.probability_alive(table).min() > 0.99
    r, alpha = model.params_["r"], model.params_["alpha"]
    wanted = (r + table["frequency"]) / (alpha + table["T"]) * 52
    found = model.conditional_expected_purchases(52.0, table)
    assert found == pytest.approx(wanted.to_numpy(), rel=1e-2)


@pytest.mark.slow
def test_a_few_leave_at_once():
    """By chance, from the same NBD: the maximum at beta -> 0, missed from the usual starts."""
    table = drawn((0.5, 6.0, 1e-9, 1.0), 2000, 1)
    model = ParetoNBD().fit(table)
    (finding,) = model.report_.findings
    assert "beta goes to zero: 9.9% of customers leave soon" in finding.text
    assert model.log_likelihood_ >= simplex(table) - 1e-6


def test_customers_who_leave_alike(cdnow):
    table = cdnow.sample(50, random_state=4)
    (finding,) = ParetoNBD().fit(table).report_.findings
    assert "leave at nearly the same rate, 0.0355" in finding.text


def test_a_single_customer():
    """Three purchases to day 30 of 39, and none is seen to leave: lambda = 3 / 39."""
    model = ParetoNBD().fit(frame((3, 30, 39)))
    assert model.log_likelihood_ == pytest.approx(3 * np.log(3 / 39) - 3, abs=1e-5)
    assert any("nearly the same rate" in line.text for line in model.report_.findings)


def simplex(table) -> float:
    """The highest log-likelihood that SciPy's simplex finds from three starts."""
    grouped, best = read_cells(table), -np.inf

    def loss(logs):
        return -log_likelihood(ParetoNbdTheta(*np.exp(np.clip(logs, -14, 20))), grouped)[0]

    for at in ([0, 2, 0, 2], [-0.5, 2, 2, 5], [-1, 2, -5, -11]):
        for _ in range(2):
            options = {"xatol": 1e-3, "fatol": 1e-7, "maxiter": 3000}
            found = optimize.minimize(loss, at, method="Nelder-Mead", options=options)
            at = found.x
        best = max(best, -found.fun)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2, 4, 7, 8, 10])
def test_samples_of_fifty_customers(cdnow, seed):
    table = cdnow.sample(50, random_state=seed)
    model = ParetoNBD().fit(table)
    assert model.log_likelihood_ >= simplex(table) - 1e-6
    assert model.report_.converged
    assert np.isfinite(model.conditional_expected_purchases(52.0, table)).all()


# --- simulation ----------------------------------------------------------------------------------


def test_simulation_against_an_event_loop():
    theta, n, T = ParetoNbdTheta(1.5, 6.0, 0.8, 20.0), 20_000, 30.0
    rng = np.random.default_rng(6)
    fast = simulate(theta, np.full(n, T), rng)
    x, last = np.zeros(n), np.zeros(n)
    for i in range(n):
        rate, hazard = rng.gamma(theta.r) / theta.alpha, rng.gamma(theta.s) / theta.beta
        end = min(T, rng.exponential(1 / hazard))
        clock = rng.exponential(1 / rate)
        while clock <= end:
            x[i], last[i] = x[i] + 1, clock
            clock += rng.exponential(1 / rate)
    counts = [np.bincount(np.minimum(v, 12).astype(int), minlength=13) for v in (fast.x, x)]
    assert stats.chi2_contingency(np.array(counts)).pvalue > 0.001
    for k in (1, 3):
        assert stats.ks_2samp(fast.t_x[fast.x == k], last[x == k]).pvalue > 0.001


def test_nodes_suffice(cdnow, monkeypatch):
    grouped = read_cells(cdnow)
    one = log_likelihood(ParetoNbdTheta(**KNOWN), grouped)
    monkeypatch.setattr(pareto_nbd, "NODES", 3 * pareto_nbd.NODES)
    two = log_likelihood(ParetoNbdTheta(**KNOWN), grouped)
    assert one[0] == pytest.approx(two[0], rel=1e-13)
    assert one[1] == pytest.approx(two[1], rel=1e-8, abs=1e-8)
