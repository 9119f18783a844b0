"""What is particular to BG/NBD: its closed forms, its boundaries, and data on which peers break."""

from itertools import pairwise

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats
from scipy import special as sc

from clv.errors import FitError, RowError
from clv.history import Cells, History, read_cells
from clv.probability import bg_nbd
from clv.probability.bg_nbd import BetaGeoNBD, BgNbdTheta, purchase_rate, simulate

KNOWN = {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
NAMES = ["frequency", "recency", "T"]


def frame(*histories) -> pd.DataFrame:
    return pd.DataFrame(histories, columns=NAMES)


# --- closed forms, to 60 digits ------------------------------------------------------------------


def textbook(parameters, t, x=0, t_x=0.0, T=0.0):
    """E[Y(t) | x, t_x, T] as printed by Fader, Hardie & Lee (2005), eq. 10; x = T = 0 is new."""
    with mp.workdps(60 + int(x / 50)):
        r, alpha, a, b = (mp.mpf(value) for value in parameters.values())
        t, t_x, T = mp.mpf(t), mp.mpf(t_x), mp.mpf(T)
        power = ((alpha + T) / (alpha + T + t)) ** (r + x)
        f = mp.hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + T + t))
        given_alive = (a + b + x - 1) / (a - 1) * (1 - power * f)
        odds = a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x) if x else mp.mpf(0)
        return float(given_alive / (1 + odds)), float(1 / (1 + odds))


@pytest.mark.parametrize("changed", [{}, {"a": 0.3}, {"a": 2.5, "b": 0.4}, {"r": 6.0, "a": 14.0}])
@pytest.mark.parametrize("t", [1e-3, 1.0, 52.0, 520.0])
def test_expected_purchases_by_the_textbook_formula(changed, t):
    parameters = KNOWN | changed
    found = BetaGeoNBD.from_params(parameters).expected_purchases(t)
    assert found == pytest.approx(textbook(parameters, t)[0], rel=1e-11)


@pytest.mark.parametrize("t_x_of_T", [0.2, 0.9, 0.999])
@pytest.mark.parametrize("x", [1, 30, 200, 500, 2000])
def test_frequent_buyers_by_the_textbook_formula(x, t_x_of_T):
    """Where the printed formula gives NaN in double precision."""
    T, t = 300.0, 156.0
    expected, alive = textbook(KNOWN, t, x, t_x_of_T * T, T)
    model, X = BetaGeoNBD.from_params(KNOWN), frame((x, t_x_of_T * T, T))
    assert model.probability_alive(X) == pytest.approx([alive], rel=1e-10)
    assert model.conditional_expected_purchases(t, X) == pytest.approx([expected], rel=1e-10)


@pytest.mark.parametrize("x", [5_000, 50_000])
def test_the_most_frequent_buyers_by_an_integral_over_p(x):
    """Given alive, lambda is so sharp that only p is left: E[X] = E[(1 - (1 + p y)^-R) / p ...]."""
    T, t = 10_000.0, 365.0
    R, A, a, b = KNOWN["r"] + x, KNOWN["alpha"] + T, KNOWN["a"], KNOWN["b"] + x

    def integrand(w):
        p = sc.expit(w)
        mean = -np.expm1(-R * np.log1p(p * t / A)) / p
        return mean * np.exp(a * w - (a + b) * np.logaddexp(0, w) - sc.betaln(a, b))

    wanted, _ = integrate.quad(integrand, -60, 0, limit=400, epsabs=0, epsrel=1e-10)
    X = frame((x, T, T))
    assert BetaGeoNBD.from_params(KNOWN).probability_alive(X)[0] > 0.9998
    found = BetaGeoNBD.from_params(KNOWN).conditional_expected_purchases(t, X)
    alive = 1 / (1 + a / (b - 1))
    assert found == pytest.approx([alive * wanted], rel=1e-7)


@pytest.mark.parametrize("a", [1.0, 1 + 1e-9, 1 - 1e-9])
def test_a_of_one_is_nothing_special(a):
    """The printed expectation is 0/0 there, and infinity or NaN in every peer."""
    model = BetaGeoNBD.from_params(KNOWN | {"a": a})
    near = BetaGeoNBD.from_params(KNOWN | {"a": 1 + 1e-6})
    X = frame((0, 0, 38.86), (2, 30.43, 38.86), (400, 38, 38.86))
    assert model.expected_purchases(52.0) == pytest.approx(near.expected_purchases(52.0), rel=1e-5)
    found = model.conditional_expected_purchases(52.0, X)
    assert found == pytest.approx(near.conditional_expected_purchases(52.0, X), rel=1e-5)
    wanted, _ = integrate.quad(
        lambda t: float(purchase_rate(BgNbdTheta(*model.params_.values()), t)), 0, 52
    )
    assert model.expected_purchases(52.0) == pytest.approx(wanted, rel=1e-9)


def test_existing_customers_are_no_newcomers():
    """Three figures that are often confused (weeks, one year ahead, repeat orders, CDNOW)."""
    assert BetaGeoNBD.from_params(KNOWN).expected_purchases(52.0) == pytest.approx(1.444, abs=5e-4)


def test_mean_of_the_base_and_of_a_newcomer(cdnow):
    model = BetaGeoNBD.from_params(KNOWN)
    assert model.conditional_expected_purchases(52.0, cdnow).mean() == pytest.approx(
        0.886, abs=5e-4
    )


def test_predictions_for_x_from_200_to_2000():
    """64 of 600 are not finite in pymc-marketing, CLVTools and BTYD."""
    x, share, t = (
        v.ravel() for v in np.meshgrid(np.arange(200, 2001, 60), [0.5, 0.9, 1.0], [1.0, 52, 520])
    )
    T = np.full(len(x), 300.0)
    X = pd.DataFrame({"frequency": x, "recency": share * T, "T": T})
    found = BetaGeoNBD.from_params(KNOWN).conditional_expected_purchases(t, X)
    assert np.isfinite(found).all()
    for row in range(0, len(x), 29):
        wanted, _ = textbook(KNOWN, t[row], int(x[row]), share[row] * 300.0, 300.0)
        assert found[row] == pytest.approx(wanted, rel=1e-9, abs=1e-300)


# --- a rival: the likelihood written again, with its limits, and SciPy's simplex ------------------


def rate_part(kind, theta, x, t):
    """log of the gamma mixture of lambda^x exp(-lambda t), or of one lambda for all."""
    if kind == "one rate":
        return x * np.log(theta[0]) - theta[0] * t
    r, alpha = theta
    return sc.gammaln(r + x) - sc.gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + t)


def drop_part(kind, theta, x):
    """log of E[(1-p)^x] and of E[p (1-p)^(x-1)]."""
    before, never = np.maximum(x - 1, 0), np.full(len(x), -np.inf)
    if kind == "nobody leaves":
        return np.zeros(len(x)), never
    if kind == "all leave at once":
        return np.where(x > 0, -np.inf, 0.0), np.where(x == 1, 0.0, -np.inf)
    if kind == "some leave at once":  # p is 1 or 0
        gone = np.log(theta[0]) - np.log1p(theta[0])
        return np.where(x > 0, -np.log1p(theta[0]), 0.0), np.where(x == 1, gone, -np.inf)
    if kind == "one p":
        p = theta[0] / (1 + theta[0])
        return x * np.log1p(-p), np.log(p) + before * np.log1p(-p)
    a, b = theta
    return sc.betaln(a, b + x) - sc.betaln(a, b), sc.betaln(a + 1, b + before) - sc.betaln(a, b)


RATES = {"gamma": 2, "one rate": 1}
DROPS = {"beta": 2, "one p": 1, "some leave at once": 1, "nobody leaves": 0, "all leave at once": 0}


def rival(table, rates=RATES, drops=DROPS) -> float:
    """The highest log-likelihood over the model and its limits, each searched from two starts."""
    rows, count = np.unique(table[NAMES].to_numpy(float), axis=0, return_counts=True)
    x, t_x, T = rows.T
    best = -np.inf
    for rate in rates:
        for drop in drops:
            k = RATES[rate]

            def loss(logs, rate=rate, drop=drop, k=k):
                theta = np.exp(np.clip(logs, -11, 9))
                stay, leave = drop_part(drop, theta[k:], x)
                stay = stay + rate_part(rate, theta[:k], x, T)
                leave = np.where(x > 0, leave + rate_part(rate, theta[:k], x, t_x), -np.inf)
                with np.errstate(invalid="ignore"):
                    value = -count @ np.logaddexp(stay, leave)
                return value if np.isfinite(value) else 1e12

            speed = np.log((count @ x) / (count @ T))
            rough = [-0.5, -0.5 - speed][:k] if k == 2 else [speed]
            for shift in (0.0, 1.5):
                at = np.array([*rough, *[shift - 0.7] * DROPS[drop]])
                for _ in range(3):
                    found = optimize.minimize(
                        loss,
                        at,
                        method="Nelder-Mead",
                        options={"xatol": 1e-8, "fatol": 1e-9, "maxiter": 4000, "adaptive": True},
                    )
                    at = found.x
                best = max(best, -found.fun)
    return best


def drawn(theta, n, seed) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    h = simulate(BgNbdTheta(*theta), rng.uniform(20, 39, n), rng)
    return pd.DataFrame({"frequency": h.x, "recency": h.t_x, "T": h.T})


def test_hours(cdnow):
    hours = cdnow.assign(recency=cdnow["recency"] * 168, T=cdnow["T"] * 168)
    model = BetaGeoNBD().fit(hours)
    shift = cdnow["frequency"].sum() * np.log(168)
    assert model.log_likelihood_ == pytest.approx(-9582.4255606 - shift, abs=1e-6)


@pytest.mark.slow
def test_one_customer_with_5000_purchases(cdnow):
    table = pd.concat([cdnow[NAMES], frame((5000, 38.8, 38.86))])
    model = BetaGeoNBD().fit(table)
    assert model.log_likelihood_ == pytest.approx(rival(table, ["gamma"], ["beta"]), abs=1e-6)
    found = model.conditional_expected_purchases(52.0, table)
    assert np.isfinite(found).all()
    assert found.max() < 5000 * 52 / 38.86


def test_nobody_bought_twice(cdnow):
    with pytest.raises(FitError, match="nobody bought twice"):
        BetaGeoNBD().fit(cdnow[cdnow["frequency"] == 0])


@pytest.mark.parametrize("same", [False, True])
def test_everybody_bought_exactly_twice(cdnow, same):
    """x = 1 for all: the maximum is one rate, leaving for sure; lambda = n / sum(t_x)."""
    table = frame(*[(1, 3, 9)] * 5) if same else cdnow[cdnow["frequency"] == 1]
    t_x = table["recency"].to_numpy(float)
    rate = len(t_x) / t_x.sum()
    model = BetaGeoNBD().fit(table)
    wanted = stats.expon(scale=1 / rate).logpdf(t_x).sum()
    assert model.log_likelihood_ == pytest.approx(wanted, abs=1e-6)
    assert model.conditional_expected_purchases(52.0, table).max() < 1e-3
    assert any("nearly the same rate" in line.text for line in model.report_.findings)
    assert any("everybody leaves right after" in line.text for line in model.report_.findings)


def test_a_single_customer():
    """Three purchases to day 30 of 39, and none is seen to leave: lambda = 3 / 39."""
    table = frame((3, 30, 39))
    model = BetaGeoNBD().fit(table)
    assert model.log_likelihood_ == pytest.approx(3 * np.log(3 / 39) - 3, abs=1e-6)
    assert model.conditional_expected_purchases(13.0, table) == pytest.approx([1.0], rel=1e-4)
    assert any("nearly the same rate" in line.text for line in model.report_.findings)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_samples_of_fifty_customers(cdnow, seed):
    """lifetimes fails on 2 of 10 of its own and ends at infinity on a third."""
    table = cdnow.sample(50, random_state=seed)
    model = BetaGeoNBD().fit(table)
    assert model.log_likelihood_ == pytest.approx(rival(table, ["gamma"]), abs=1e-6)
    assert np.isfinite(model.conditional_expected_purchases(52.0, table)).all()


def test_nobody_leaves():
    """Pure NBD; lifetimes raises ConvergenceError, CLVTools diverges."""
    table = drawn((0.5, 6.0, 1e-9, 1.0), 2000, 1)
    model = BetaGeoNBD().fit(table)
    assert model.log_likelihood_ == pytest.approx(
        rival(table, ["gamma"], ["nobody leaves"]), abs=1e-6
    )
    (finding,) = model.report_.findings
    assert "a goes to zero" in finding.text
    assert "everybody counts as alive" in finding.text
    r, alpha = model.params_["r"], model.params_["alpha"]
    wanted = (r + table["frequency"]) / (alpha + table["T"]) * 52
    found = model.conditional_expected_purchases(52.0, table)
    assert found == pytest.approx(wanted.to_numpy(), rel=1e-4)


def test_all_customers_alike():
    """Poisson without dropout: lambda = sum(x) / sum(T), in closed form."""
    rng = np.random.default_rng(2)
    T = rng.uniform(20, 39, 1000)
    x = rng.poisson(0.2 * T)
    t_x = np.where(x > 0, T * rng.beta(np.maximum(x, 1), 1), 0)
    table = pd.DataFrame({"frequency": x, "recency": t_x, "T": T})
    rate = x.sum() / T.sum()
    model = BetaGeoNBD().fit(table)
    poisson = (x * np.log(rate) - rate * T).sum()
    best = rival(table, drops=["some leave at once", "nobody leaves"])
    assert model.log_likelihood_ >= poisson
    assert model.log_likelihood_ == pytest.approx(best, abs=1e-6)
    found = model.conditional_expected_purchases(52.0, table)
    assert np.median(found) == pytest.approx(52 * rate, rel=0.02)


def test_all_customers_exactly_alike():
    """As even as can be: 4 purchases each, so the maximum is Poisson, lambda = sum(x) / sum(T)."""
    table = pd.DataFrame({"frequency": 4, "recency": 30.0, "T": np.linspace(30, 40, 200)})
    rate = 800 / table["T"].sum()
    model = BetaGeoNBD().fit(table)
    wanted = (4 * np.log(rate) - rate * table["T"]).sum()
    assert model.log_likelihood_ == pytest.approx(wanted, abs=1e-6)
    assert any("nearly the same rate, 0.1143 per" in line.text for line in model.report_.findings)


def test_customers_alike_who_leave_alike():
    """One lambda and one p for all: every number then has a short closed form."""
    rate, p, t = 0.5, 0.2, 26.0
    rng = np.random.default_rng(3)
    T = rng.uniform(20, 39, 1000)
    would = rng.poisson(rate * T)
    x = np.minimum(would, rng.geometric(p, 1000))
    t_x = np.where(x > 0, T * rng.beta(np.maximum(x, 1), would - x + 1), 0)
    table = pd.DataFrame({"frequency": x, "recency": t_x, "T": T})
    model = BetaGeoNBD().fit(table)
    best = rival(table, ["one rate"], ["one p"])
    assert model.log_likelihood_ >= best - 1e-6
    assert model.params_["r"] / model.params_["alpha"] == pytest.approx(rate, rel=0.05)
    exact = BetaGeoNBD.from_params(
        {"r": 1e12, "alpha": 1e12 / rate, "a": 1e12 * p, "b": 1e12 * (1 - p)}
    )
    assert exact.expected_purchases(t) == pytest.approx(-np.expm1(-rate * p * t) / p, rel=1e-9)
    ks = np.arange(30)
    poisson = stats.poisson(rate * t)
    pmf = (1 - p) ** ks * poisson.pmf(ks)
    pmf[1:] += p * (1 - p) ** (ks[1:] - 1) * poisson.sf(ks[1:] - 1)
    assert exact.probability_of_purchases(ks, t) == pytest.approx(pmf, rel=1e-8)
    stay, leave = (1 - p) * np.exp(-rate * (39.0 - 30.0)), p
    assert exact.probability_alive(frame((1, 30, 39))) == pytest.approx([stay / (stay + leave)])


def test_a_limit_to_which_a_sample_leads_is_left_again():
    """Of 40,000 customers who leave alike the sample says so, and all say: nearly alike."""
    table = drawn((0.5, 8, 2e8, 8e8), 40_000, 2)
    model = BetaGeoNBD().fit(table)
    near = np.array(list(model.params_.values()))
    assert near[2] + near[3] < 1e3
    alike = BetaGeoNBD.from_params({"r": 0.51576, "alpha": 8.3308, "a": 2e9, "b": 7.9769e9})
    cells = read_cells(table)
    limit, _ = bg_nbd.log_likelihood(BgNbdTheta(*alike.params_.values()), cells)
    assert model.log_likelihood_ > limit + 0.7
    _, slope = bg_nbd.log_likelihood(BgNbdTheta(*near), cells)
    assert np.abs(slope * near).max() < 1e-3


@pytest.mark.parametrize(("a", "b"), [(3.92, 0.255), (0.8, 2.4), (0.2, 7.0)])
@pytest.mark.parametrize("t", [2.0, 169.0])
def test_eager_customers_of_one_rate(a, b, t):
    """Seven purchases a week by all: the rate falls within days, long before t reaches alpha."""
    rate = 7.0

    def integrand(w):
        p = sc.expit(w)
        density = np.exp(a * w - (a + b) * np.logaddexp(0, w) - sc.betaln(a, b))
        return density * -np.expm1(-rate * p * t) / p

    ends = [-40 / min(a, 1) - 5, -8, -4, 0, 4, 40 / b]
    wanted = sum(integrate.quad(integrand, *span, limit=400)[0] for span in pairwise(ends))
    model = BetaGeoNBD.from_params({"r": 1e11, "alpha": 1e11 / rate, "a": a, "b": b})
    assert model.expected_purchases(t) == pytest.approx(wanted, rel=1e-7)


def test_a_kind_that_leaves_at_once_and_a_kind_that_stays(cdnow):
    """The maximum at a, b -> 0, where p is 1 or 0; from most starts one ends below it."""
    table = cdnow.sample(50, random_state=2)
    model = BetaGeoNBD().fit(table)
    best = rival(table, ["gamma"], ["some leave at once"])
    assert model.log_likelihood_ == pytest.approx(best, abs=1e-6)
    assert best > rival(table, ["gamma"], ["nobody leaves"]) + 1e-3
    (finding,) = model.report_.findings
    assert "a and b go to zero: 1.3% of customers leave right after" in finding.text


def test_a_missing_recency_names_the_customer(cdnow):
    """One NaN: a silent NaN row or a fit 2430 short elsewhere."""
    table = cdnow.copy()
    table.loc[7, "recency"] = np.nan
    with pytest.raises(RowError, match=r"missing .* in 1 row, such as customer_id=8 "):
        BetaGeoNBD().fit(table)
    with pytest.raises(RowError, match="customer_id=8 "):
        BetaGeoNBD.from_params(KNOWN).probability_alive(table)


# --- simulation ----------------------------------------------------------------------------------


def test_simulation_against_an_event_loop():
    """The draw without a loop has the law of one with a loop, purchase by purchase."""
    theta, n, T = BgNbdTheta(1.5, 6.0, 0.8, 2.0), 20_000, 30.0
    rng = np.random.default_rng(6)
    fast = simulate(theta, np.full(n, T), rng)
    x, last = np.zeros(n), np.zeros(n)
    for i in range(n):
        rate, p = rng.gamma(theta.r) / theta.alpha, rng.beta(theta.a, theta.b)
        clock = rng.exponential(1 / rate)
        while clock <= T:
            x[i], last[i] = x[i] + 1, clock
            clock = T + 1 if rng.random() < p else clock + rng.exponential(1 / rate)
    counts = [np.bincount(np.minimum(v, 12).astype(int), minlength=13) for v in (fast.x, x)]
    assert stats.chi2_contingency(np.array(counts)).pvalue > 0.001
    for k in (1, 3):
        assert stats.ks_2samp(fast.t_x[fast.x == k], last[x == k]).pvalue > 0.001


def test_at_one_rate_for_all_the_figures_are_those_of_the_limit():
    """r and alpha without bound at r/alpha = lambda: purchases are Poisson, leaving is beta."""
    rate, a, b = 0.07, 0.83, 2.5
    theta = BgNbdTheta(1e12, 1e12 / rate, a, b)
    x, t_x, T = np.array([[0, 0, 5], [1, 10, 20], [3, 25, 30], [10, 60, 100], [50, 500, 900.0]]).T
    stayed = sc.betaln(a, b + x) - rate * T
    left = np.where(x > 0, sc.betaln(a + 1, np.maximum(b + x - 1, 1)) - rate * t_x, -np.inf)
    limit = x * np.log(rate) + np.logaddexp(stayed, left) - sc.betaln(a, b)
    found, _ = bg_nbd.contributions(theta, Cells(x, t_x, T, np.ones(5))).of_rows()
    assert found == pytest.approx(limit, rel=1e-9)
    alive = bg_nbd.probability_alive(theta, History(x, t_x, T))
    assert alive == pytest.approx(1 / (1 + np.exp(left - stayed)), rel=1e-9)
    k, t = np.arange(60.0), 100.0
    pmf = np.exp(sc.betaln(a, b + k) - sc.betaln(a, b)) * stats.poisson.pmf(k, rate * t)
    pmf[1:] += np.exp(sc.betaln(a + 1, b + k[1:] - 1) - sc.betaln(a, b)) * sc.gammainc(
        k[1:], rate * t
    )
    assert bg_nbd.probability_of_purchases(theta, k, t) == pytest.approx(pmf, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("theta", [(1e9, 1.4e10, 0.8, 2.4), (0.5, 8.0, 2e8, 8e8)])
def test_a_fit_at_the_boundary_takes_hardly_more_looks_than_an_ordinary_one(monkeypatch, theta):
    looks = []
    counted = bg_nbd.contributions
    monkeypatch.setattr(
        BetaGeoNBD, "_contributions", staticmethod(lambda *a: looks.append(1) or counted(*a))
    )
    BetaGeoNBD().fit(drawn((0.5, 8.0, 0.8, 2.4), 3000, 1))
    ordinary = len(looks)
    BetaGeoNBD().fit(drawn(theta, 3000, 1))
    assert len(looks) - ordinary < 2.5 * ordinary


LARGE = {  # a seed under which a sample says limit and all data do not, or the reverse
    "one rate": ((1e9, 1.4e10, 0.8, 2.4), 1),
    "one p": ((0.5, 8.0, 2e8, 8e8), 1),
    "nearly one p": ((0.5, 8.0, 60.0, 240.0), 0),
}


def test_a_large_fit_at_a_limit_or_near_one_takes_twice_the_looks_at_most(monkeypatch):
    looks = []
    counted = bg_nbd.contributions

    def noting(values, cells):
        looks.append(len(cells))
        return counted(values, cells)

    def rows(theta, seed):
        looks.clear()
        BetaGeoNBD().fit(drawn(theta, 60_000, seed))
        return sum(looks)

    monkeypatch.setattr(BetaGeoNBD, "_contributions", staticmethod(noting))
    ordinary = rows((0.5, 8.0, 0.8, 2.4), 0)
    found = {name: rows(*case) / ordinary for name, case in LARGE.items()}
    assert max(found.values()) < 2, found
