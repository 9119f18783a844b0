"""Gamma-Gamma: published numbers, a second way to each, and spend on which peers break."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

from clv.errors import FitError, InputError, RowError
from clv.periods import continuous_rate
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import (
    Dependence,
    GammaGamma,
    GammaGammaTheta,
    Spend,
    expected_spend,
    log_likelihood,
    simulate,
)

KNOWN = {"p": 6.25, "q": 3.74, "v": 15.44}
CORNERS = [KNOWN, {"p": 0.8, "q": 1.3, "v": 200.0}, {"p": 60.0, "q": 25.0, "v": 0.3}]


def frame(x, zbar) -> pd.DataFrame:
    return pd.DataFrame({"frequency": x, "monetary_value": zbar})


def spenders(parameters, n, seed, x=None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = 1 + rng.poisson(2, n) if x is None else x
    return frame(x, simulate(GammaGammaTheta(**parameters), np.asarray(x, float), rng))


# --- published numbers ---------------------------------------------------------------------------


def test_published_estimates(cdnow, published):
    known = published["GammaGamma"]["fit"]
    model = GammaGamma().fit(cdnow)
    # Printed to two decimals, of 3.74 that is 0.13%.
    for name, value in known["parameters"].items():
        assert model.params_[name] == pytest.approx(value, rel=1e-3, abs=0.01)
    assert model.log_likelihood_ == pytest.approx(known["log_likelihood"], abs=0.01)
    assert model.log_likelihood_ >= known["at_least"]
    assert model.report_.customers == known["customers"]
    assert model.report_.converged
    assert model.report_.starts_agreeing == model.report_.starts
    assert not model.report_.findings


def test_published_expected_spend(published):
    known = published["GammaGamma"]["expected_spend"]
    found = GammaGamma.from_params(KNOWN).expected_spend(
        frame(known["frequency"], known["monetary_value"])
    )
    assert found.round(known["digits"]) == pytest.approx(known["value"], abs=1e-9)


def test_reference_table_of_a_newcomers_revenue(published):
    spend, table = GammaGamma.from_params(KNOWN), published["GammaGamma"]["revenue"]
    new = published["BetaGeoNBD"]["new"]
    purchases = BetaGeoNBD.from_params(published["BetaGeoNBD"]["parameters"])
    for i, (rate, t) in enumerate(zip(new["annual_rate"], new["t"], strict=True)):
        delta = continuous_rate(rate, new["periods_per_year"])
        det = float(purchases.discounted_expected_purchases(t, delta))
        with_first = (1 + det) * spend.expected_spend()
        assert det * spend.expected_spend() == pytest.approx(table["repeat"][i], abs=1e-4)
        assert with_first == pytest.approx(table["with_first"][i], abs=1e-4)
        assert with_first * table["margin_rate"] == pytest.approx(table["margin"][i], abs=1e-4)


def test_spend_hardly_depends_on_frequency_in_cdnow(cdnow, published):
    found = GammaGamma().fit(cdnow).dependence_
    assert found.correlation == pytest.approx(
        published["GammaGamma"]["dependence"]["correlation"], abs=5e-4
    )
    repeat = cdnow[cdnow["frequency"] > 0]
    exact = stats.pearsonr(repeat["frequency"], repeat["monetary_value"])
    interval = exact.confidence_interval()
    assert found.correlation == pytest.approx(exact.statistic, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)
    per_purchase = np.average(repeat["monetary_value"], weights=repeat["frequency"])
    assert found.effect == pytest.approx(per_purchase / repeat["monetary_value"].mean() - 1)


# --- a second way --------------------------------------------------------------------------------


def density_by_integral(theta, x, zbar):
    """The density of zbar, integrated over the customer's latent rate nu; and E[p/nu | zbar]."""
    p, q, v = theta

    def over_nu(f):
        def integrand(s):
            nu = np.exp(s)
            mean = stats.gamma.pdf(zbar, p * x, scale=1 / (nu * x))
            return f(nu) * mean * stats.gamma.pdf(nu, q, scale=1 / v) * nu

        centre = np.log((p * x + q) / (v + x * zbar))
        ends = [centre - 40, centre - 1, centre + 1, centre + 8]
        precise = {"limit": 400, "epsrel": 1e-11, "epsabs": 0}
        return sum(integrate.quad(integrand, *span, **precise)[0] for span in pairwise(ends))

    density = over_nu(lambda nu: 1.0)
    return density, over_nu(lambda nu: p / nu) / density


@pytest.mark.parametrize("parameters", CORNERS, ids=lambda p: f"q={p['q']}")
@pytest.mark.parametrize(("x", "zbar"), [(1, 11.77), (2, 22.35), (7, 73.74), (40, 3.0)])
def test_density_and_mean_against_an_integral(parameters, x, zbar):
    theta = GammaGammaTheta(**parameters)
    density, mean = density_by_integral(theta, x, zbar)
    one = Spend(np.array([float(x)]), np.array([zbar]), np.ones(1))
    assert log_likelihood(theta, one)[0] == pytest.approx(np.log(density), abs=1e-8)
    found = GammaGamma.from_params(parameters).expected_spend(frame([x], [zbar]))
    assert found == pytest.approx([mean], rel=1e-8)


def test_mean_spend_against_simulation():
    model, n = GammaGamma.from_params(KNOWN), 400_000
    drawn = spenders(KNOWN, n, 1, np.ones(n))["monetary_value"]
    error = drawn.std() / np.sqrt(n)
    assert drawn.mean() == pytest.approx(model.expected_spend(), abs=4 * error)
    one_timers = model.expected_spend(frame([0, 0], [0.0, 0.0]))
    assert one_timers == pytest.approx([model.expected_spend()] * 2, rel=1e-15)


def test_mean_of_conditional_means_is_the_mean():
    n = 200_000
    found = GammaGamma.from_params(KNOWN).expected_spend(spenders(KNOWN, n, 2))
    error = found.std() / np.sqrt(n)
    assert found.mean() == pytest.approx(KNOWN["p"] * KNOWN["v"] / (KNOWN["q"] - 1), abs=4 * error)


def test_fit_recovers_what_was_simulated():
    """The truth lies within the likelihood-ratio region of 99.9%."""
    X = spenders(KNOWN, 30_000, 3)
    model = GammaGamma().fit(X)
    data = Spend(
        X["frequency"].to_numpy(float), X["monetary_value"].to_numpy(float), np.ones(len(X))
    )
    short = model.log_likelihood_ - log_likelihood(GammaGammaTheta(**KNOWN), data)[0]
    assert 0 <= 2 * short < stats.chi2(3).ppf(0.999)
    assert model.params_ == pytest.approx(KNOWN, rel=0.2)


def test_gradient_against_differences(extreme_customers):
    table = extreme_customers(300, 4).query("frequency > 0")
    data = Spend(
        table["frequency"].to_numpy(), table["monetary_value"].to_numpy(), np.ones(len(table))
    )
    extremes = [
        {"p": 1e9, "q": 3.0, "v": 2e-8},
        {"p": 3.0, "q": 1e9, "v": 1e10},
        {"p": 1e-6, "q": 1 + 1e-9, "v": 1e-9},
    ]
    for parameters in (*CORNERS, *extremes):
        value, slope = log_likelihood(GammaGammaTheta(**parameters), data)
        assert np.isfinite(value)
        for i, name in enumerate(parameters):
            up, down = (
                log_likelihood(
                    GammaGammaTheta(**parameters | {name: parameters[name] * np.exp(h)}), data
                )[0]
                for h in (1e-5, -1e-5)
            )
            wanted, size = (up - down) / 2e-5, max(abs(value), abs(slope[i] * parameters[name]))
            assert slope[i] * parameters[name] == pytest.approx(wanted, abs=2e-9 * size)


def test_ten_thousand_extreme_customers(extreme_customers):
    X = extreme_customers(10_000, 5)
    for parameters in CORNERS:
        found = GammaGamma.from_params(parameters).expected_spend(X)
        assert np.isfinite(found).all()
        assert np.all(found > 0)
    fitted = GammaGamma().fit(X)
    assert np.isfinite(fitted.expected_spend(X)).all()
    assert np.isfinite(fitted.expected_spend())


# --- invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [100, 1_000_000, 1e-6])
def test_any_currency_gives_the_same_answer(cdnow, factor):
    """Dollars or cents: 39.43 or -2.23, 36.38 or -685.67 elsewhere."""
    other = cdnow.assign(monetary_value=cdnow["monetary_value"] * factor)
    one, two = GammaGamma().fit(cdnow), GammaGamma().fit(other)
    assert two.params_ == pytest.approx(one.params_ | {"v": one.params_["v"] * factor}, rel=1e-8)
    assert two.expected_spend(other) == pytest.approx(one.expected_spend(cdnow) * factor, rel=1e-9)
    shift = (cdnow["frequency"] > 0).sum() * np.log(factor)
    assert two.log_likelihood_ == pytest.approx(one.log_likelihood_ - shift, abs=1e-6)
    assert two.dependence_.correlation == pytest.approx(one.dependence_.correlation, rel=1e-9)


def test_weight_two_is_the_row_twice(cdnow):
    weight = 1 + np.arange(len(cdnow)) % 3
    weighted = GammaGamma().fit(cdnow, sample_weight=weight)
    repeated = GammaGamma().fit(cdnow.loc[cdnow.index.repeat(weight)].drop(columns="customer_id"))
    assert weighted.params_ == pytest.approx(repeated.params_, rel=1e-9)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-12)
    assert vars(weighted.dependence_) == pytest.approx(vars(repeated.dependence_), rel=1e-9)
    assert weighted.report_.customers == repeated.report_.customers


def test_row_order_only_orders_the_results(cdnow):
    order = np.random.default_rng(6).permutation(len(cdnow))
    one, two = GammaGamma().fit(cdnow), GammaGamma().fit(cdnow.iloc[order])
    assert two.params_ == pytest.approx(one.params_, rel=1e-9)
    assert np.array_equal(one.expected_spend(cdnow.iloc[order]), one.expected_spend(cdnow)[order])


def test_one_time_buyers_do_not_matter_to_the_fit(cdnow):
    repeat = cdnow[cdnow["frequency"] > 0]
    assert GammaGamma().fit(repeat).params_ == GammaGamma().fit(cdnow).params_


def test_a_sample_of_customers_only_shortens_the_way(monkeypatch):
    X = spenders(KNOWN, 30_000, 7)
    short = GammaGamma().fit(X)
    monkeypatch.setattr("clv.probability.gamma_gamma.SAMPLES", (10**9,))
    whole = GammaGamma().fit(X)
    assert short.params_ == pytest.approx(whole.params_, rel=1e-7)
    assert short.log_likelihood_ == pytest.approx(whole.log_likelihood_, abs=1e-6)


# --- where peers break ---------------------------------------------------------------------------


def rival(X) -> float:
    """The highest log-likelihood, written again, with its limits, by SciPy's simplex."""
    x, zbar = X["frequency"].to_numpy(float), X["monetary_value"].to_numpy(float)
    unit = zbar.mean()
    z = zbar / unit

    def free(p, q_1, v):
        u = v / (x * z + v)
        return stats.beta.logpdf(1 - u, p * x, 1 + q_1) + np.log(x * v / (x * z + v) ** 2)

    def every_purchase_alike(q_1, scale):
        return stats.invgamma.logpdf(z, 1 + q_1, scale=scale)

    def every_customer_alike(p, scale):
        return stats.gamma.logpdf(z, p * x, scale=scale / x)

    best = -np.inf
    for density, k in ((free, 3), (every_purchase_alike, 2), (every_customer_alike, 2)):

        def loss(logs, density=density):
            value = -density(*np.exp(np.clip(logs, -12, 10))).sum()
            return value if np.isfinite(value) else 1e12

        for start in (0.0, 1.0):
            at = np.full(k, start)
            for _ in range(4):
                tight = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 3000}
                found = optimize.minimize(loss, at, method="Nelder-Mead", options=tight)
                at = found.x
            best = max(best, -found.fun)
    return best - len(x) * np.log(unit)


def test_no_optimiser_finds_more_in_cdnow(cdnow):
    repeat = cdnow[cdnow["frequency"] > 0]
    assert GammaGamma().fit(cdnow).log_likelihood_ == pytest.approx(rival(repeat), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_small_samples(cdnow, seed):
    X = cdnow[cdnow["frequency"] > 0].sample(20, random_state=seed)
    assert GammaGamma().fit(X).log_likelihood_ == pytest.approx(rival(X), abs=1e-6)


def test_customers_alike_in_spend():
    """q to infinity: the spread between customers is that of their purchases alone."""
    rng = np.random.default_rng(1)
    x = 1 + rng.poisson(2, 500)
    X = frame(x, rng.gamma(3 * x) / x * 10)
    model = GammaGamma().fit(X)
    assert model.log_likelihood_ == pytest.approx(rival(X), abs=1e-6)
    spread = np.ptp(model.expected_spend(X)) / model.expected_spend()
    assert spread < 1e-3 or not model.report_.findings


def test_customers_who_always_pay_the_same():
    """p to infinity: zbar varies as much for frequent buyers as for others."""
    zbar = stats.invgamma(4.0, scale=90.0).rvs(400, random_state=0)
    X = frame(np.tile([1, 5, 25, 125], 100), zbar)
    model = GammaGamma().fit(X)
    assert model.log_likelihood_ == pytest.approx(rival(X), abs=1e-6)
    assert any("spends the same every time" in line.text for line in model.report_.findings)
    assert model.expected_spend(X) == pytest.approx(X["monetary_value"].to_numpy(), rel=1e-4)


@pytest.mark.parametrize("x", [[1, 2, 3, 4] * 50, [3], [1, 1]])
def test_constant_spend_and_a_single_spender(x):
    """The likelihood has no maximum; ConvergenceError, or short by thousands, elsewhere."""
    X = frame([*x, 0], [20.0] * len(x) + [0.0])
    model = GammaGamma().fit(X)
    assert model.expected_spend(X) == pytest.approx(np.full(len(X), 20.0), rel=1e-6)
    assert model.expected_spend() == pytest.approx(20.0, rel=1e-6)
    assert "same mean spend" in model.report_.findings[0].text
    assert "has no maximum" in model.report_.findings[0].text


def test_a_mean_that_does_not_exist_is_held_to_the_one_seen():
    """True q = 0.5: never a negative mean, nor one of 1e14; and it is said."""
    X = spenders({"p": 5.0, "q": 0.5, "v": 10.0}, 500, 8)
    model = GammaGamma().fit(X)
    assert model.params_["q"] > 1
    assert model.expected_spend() == pytest.approx(X["monetary_value"].mean(), rel=1e-9)
    tied, giant = model.report_.findings
    assert "the mean is not settled" in tied.text
    assert giant.text.startswith("one customer brings ")
    assert model.report_.gradient_norm < 1e-6


def test_nobody_bought_twice():
    with pytest.raises(FitError, match="nobody bought twice"):
        GammaGamma().fit(frame([0, 0], [0.0, 0.0]))


def test_who_paid_nothing_for_all_repeat_purchases_is_left_out(cdnow):
    table = cdnow.copy()
    table.loc[1, "monetary_value"] = 0.0  # frequency 1
    model = GammaGamma().fit(table)
    assert model.params_ == GammaGamma().fit(cdnow.drop(index=1)).params_
    assert model.report_.customers == 945


@pytest.mark.parametrize("wrong", [-40.0, np.nan, np.inf])
def test_spend_that_is_no_spend(cdnow, wrong):
    table = cdnow.copy()
    table.loc[1, "monetary_value"] = wrong
    with pytest.raises(RowError, match="or negative in 1 row, such as customer_id=2 frequency=1"):
        GammaGamma().fit(table)
    table.loc[2, "monetary_value"] = wrong  # nobody looks at the spend of a one-time buyer
    assert len(GammaGamma.from_params(KNOWN).expected_spend(table.iloc[[0, 2]])) == 2


def test_half_a_purchase():
    with pytest.raises(RowError, match="not a whole number"):
        GammaGamma().fit(frame([1, 1.5], [20.0, 20.0]))


def test_q_up_to_one_has_no_mean():
    with pytest.raises(InputError, match="does not exist"):
        GammaGamma.from_params(KNOWN | {"q": 1.0})


# --- dependence ----------------------------------------------------------------------------------


def test_dependent_spend_is_reported_with_its_effect():
    rng = np.random.default_rng(9)
    x = 1 + rng.poisson(3, 800)
    model = GammaGamma().fit(frame(x, (5 + 4 * x) * rng.gamma(8, 1 / 8, 800)))
    (finding,) = model.report_.findings
    assert "spend depends on frequency" in finding.text
    assert f"{model.dependence_.correlation:.2f}" in finding.text
    assert f"{model.dependence_.effect:+.0%}" in finding.text
    assert model.dependence_.effect > 0.1


@pytest.mark.parametrize(
    ("x", "zbar"),
    [([1.0, 2.0], [3.0, 4.0]), ([1.0] * 5, [1, 2, 3, 4, 5]), ([1, 2, 3, 4, 5], [7.0] * 5)],
)
def test_dependence_where_there_is_nothing_to_correlate(x, zbar):
    found = Dependence.from_sample(np.array(x), np.array(zbar, dtype=float), np.ones(len(x)))
    assert np.isnan(found.correlation)
    again = Dependence.from_dict(found.to_dict())
    assert np.isnan(again.low)
    assert again.effect == found.effect


def test_perfect_dependence_has_an_interval():
    x = np.arange(1.0, 9.0)
    found = Dependence.from_sample(x, 3 * x, np.ones(8))
    assert found.correlation == pytest.approx(1)
    assert 0.99 < found.low <= found.high <= 1


def test_shrinkage_goes_from_the_mean_to_the_customers_own():
    theta = GammaGammaTheta(**KNOWN)
    shrunk = expected_spend(theta, np.array([0.0, 1, 5, 50, 50_000]), np.full(5, 100.0))
    assert np.all(np.diff(shrunk) > 0)
    assert shrunk[0] == pytest.approx(35.22, abs=0.01)
    assert shrunk[-1] == pytest.approx(100.0, rel=1e-3)
