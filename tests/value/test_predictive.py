"""The predictive distribution against exact sums, exact simulation, and simulated customers."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import optimize, stats
from scipy import special as sc

from clv.errors import InputError
from clv.history import History
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.probability.pareto_nbd import ParetoNBD
from clv.simulate import simulate_customers
from clv.value.predictive import (
    purchase_cdf,
    purchase_quantiles,
    value_cdf,
    value_distribution,
    value_interval,
    value_quantiles,
)
from clv.value.value import Terms, new_customer_value, residual_value

BG = BetaGeoNBD.from_params(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259, unit="week")
MBG = ModifiedBetaGeoNBD.from_params(r=0.525, alpha=6.183, a=0.891, b=1.614, unit="week")
PARETO = ParetoNBD.from_params(r=0.553, alpha=10.578, s=0.606, beta=11.669, unit="week")
MODELS = pytest.mark.parametrize("model", [BG, MBG, PARETO], ids=lambda one: type(one).__name__)
P, Q, V = 6.25, 3.74, 15.44
SPEND = GammaGamma.from_params(p=P, q=Q, v=V)
LEVELS = (0.05, 0.5, 0.95)


def one(x: float, t_x: float, T: float) -> History:
    return History(np.array([float(x)]), np.array([float(t_x)]), np.array([float(T)]))


def terms(rate: float, weeks: float = 156, margin: float = 1.0) -> Terms:
    return Terms(margin, rate, Duration(weeks, "week"), periods_per_year=52)


def quantiles(model, history, zbar, levels, rate=0.15, spend=SPEND):
    zbar = np.broadcast_to(np.asarray(zbar, dtype=float), (len(history),))
    return value_quantiles(model, spend, history, zbar, terms(rate), "week", levels)


def test_purchases_of_the_reference_customer():
    ann = one(2, 30.43, 38.86)
    below, at_most = zip(*(purchase_cdf(BG, 39, ann, k) for k in range(6)), strict=True)
    published = [0.445388, 0.239331, 0.144179, 0.080843, 0.043539, 0.022860]
    assert np.ravel(at_most) - np.ravel(below) == pytest.approx(published, abs=1e-6)
    assert purchase_quantiles(BG, 39, ann, [0.44, 0.45, 0.6, 0.7, 0.95]).tolist() == [
        [0.0, 1.0, 1.0, 2.0, 4.0]
    ]


def test_money_of_the_reference_customer():
    ann = one(2, 30.43, 38.86)
    low, median, high = quantiles(BG, ann, 22.35, LEVELS)[0]
    assert low == 0
    assert median == pytest.approx(40.9, rel=0.01)
    assert high == pytest.approx(264.6, rel=0.005)
    nothing = value_cdf(BG, SPEND, ann, np.array([22.35]), terms(0.15), "week", np.zeros(1))
    assert np.ravel(nothing) == pytest.approx([0.0, 0.297], abs=1e-3)


@MODELS
@pytest.mark.parametrize("x", [0, 2, 30, 300])
def test_the_parts_of_a_model_agree(model, x):
    """P(N >= k) sums the probabilities of k; discounted purchases sum to DET."""
    theta = model._given_alive(model._parameters(), np.array([[float(x)]]), np.array([[60.0]]))
    k, t, delta = np.arange(1.0, 12_000.0)[None, :], 156.0, 0.01
    probability = model._probability_of_purchases(theta, k, t)
    at_least = np.cumsum(probability[:, ::-1], axis=1)[:, ::-1]
    assert model._probability_of_at_least(theta, k, t) == pytest.approx(at_least, abs=1e-9)
    total = np.sum(probability * k * model._mean_discount(theta, k, t, delta))
    history = one(x, 60, 60)
    det = model.discounted_expected_purchases(t, delta, history)
    assert total * model.probability_alive(history) == pytest.approx(det, rel=1e-8)


def exact_quantile(model, x, T, level, spend=(P, Q, V), t=156.0) -> float:
    """Undiscounted money over v + x zbar given some purchase: every k summed, and a root found."""
    p, q, _ = spend
    theta = model._given_alive(model._parameters(), np.array([[float(x)]]), np.array([[T]]))
    k = np.arange(1.0, 8_000.0)
    mass = model._probability_of_purchases(theta, k[None, :], t)[0]
    mass /= mass.sum()

    def off(log_y: float) -> float:
        return float(mass @ sc.betainc(p * k, q + p * x, sc.expit(log_y))) - level

    return float(np.exp(optimize.brentq(off, -40, 40, xtol=1e-12)))


@MODELS
@pytest.mark.parametrize("spend", [(P, Q, V), (1.0, 2.0, 1.0), (2.0, 30.0, 1.0)])
def test_the_table_holds(model, spend):
    """Of many histories, so that the table is interpolated: 1e-3, less so for very busy ones."""
    rng = np.random.default_rng(3)
    few, many = rng.integers(0, 9, 2500), np.floor(10 ** rng.uniform(0.9, 2.4, 2500))
    x, T = np.concatenate([few, many]).astype(float), rng.uniform(100, 730, 5000) / 7
    history = History(x, np.where(x > 0, T, 0.0), T)
    money = GammaGamma.from_params(p=spend[0], q=spend[1], v=spend[2])
    found = quantiles(model, history, 1.0, [0.6, 0.95], rate=0.0, spend=money)
    some = model.probability_of_purchase(156, history)
    for row in [*rng.choice(2500, 4), *(2500 + rng.choice(2500, 8))]:
        for j, level in enumerate((0.6, 0.95)):
            if some[row] <= 1 - level:
                assert found[row, j] == 0
                continue
            given_some = 1 - (1 - level) / some[row]
            wanted = exact_quantile(model, x[row], T[row], given_some, spend)
            close = 1.2e-3 if x[row] < 40 else 4e-3 if x[row] < 150 else 1e-2
            assert found[row, j] / (spend[2] + x[row]) == pytest.approx(wanted, rel=close)


def simulated(model, history, zbar, t, delta, n, seed):
    """Discounted money and purchases of one customer, purchase by purchase."""
    rng, known = np.random.default_rng(seed), model.params_
    x, T = history.x[0], history.T[0]
    alive = rng.random(n) < model.probability_alive(history)
    rate = rng.gamma(known["r"] + x, 1 / (known["alpha"] + T), n)
    if model is PARETO:
        life = rng.exponential(size=n) / rng.gamma(known["s"], 1 / (known["beta"] + T), n)
        leaves_at = np.full(n, np.inf)
    else:
        drop = rng.beta(known["a"], known["b"] + x + (model is MBG), n)
        life, leaves_at = np.full(n, np.inf), rng.geometric(np.maximum(drop, 1e-15)).astype(float)
    nu = rng.gamma(Q + P * x, 1 / (V + x * zbar), n)
    money, count, clock = np.zeros(n), np.zeros(n), np.zeros(n)
    here = np.flatnonzero(alive)
    while len(here):
        clock[here] += rng.exponential(1 / rate[here])
        here = here[clock[here] < np.minimum(life[here], t)]
        money[here] += np.exp(-delta * clock[here]) * rng.gamma(P, size=len(here)) / nu[here]
        count[here] += 1
        here = here[count[here] < leaves_at[here]]
    return money, count


@pytest.mark.slow
@MODELS
@pytest.mark.parametrize("history", [(0, 0, 38), (2, 30.43, 38.86), (40, 99, 100)])
@pytest.mark.parametrize(("rate", "slack"), [(0.0, 0.0), (0.15, 0.004), (0.9, 0.05)])
def test_against_exact_simulation(model, history, rate, slack):
    """Discounted at 100% a year, where the shape of the discounts begins to tell, to 5%."""
    ann, n, levels = one(*history), 100_000, np.array([0.5, 0.75, 0.95, 0.99])
    money, count = simulated(model, ann, 22.35, 156.0, np.log1p(rate) / 52, n, seed=4)
    assert np.abs(np.mean(count == 0) - model.probability_of_no_purchase(156, ann)) < 0.006
    band = 4.5 * np.sqrt(levels * (1 - levels) / n)
    found = quantiles(model, ann, 22.35, levels, rate)[0]
    low, high = np.quantile(money, levels - band), np.quantile(money, levels + band)
    assert (found >= low * (1 - slack)).all()
    assert (found <= high * (1 + slack)).all()
    counts = purchase_quantiles(model, 156, ann, levels)[0]
    assert (counts >= np.quantile(count, levels - band) - 1e-9).all()
    assert (counts <= np.quantile(count, levels + band) + 1e-9).all()


@MODELS
def test_the_mean_of_the_distribution_is_the_value(model):
    rest = (np.arange(2_000) + 0.5) / 2_000
    levels, weight = 1 - rest**3, 3 * rest**2 / 2_000  # closer together in the upper tail
    for history in (one(0, 0, 38), one(2, 30, 38.86), one(400, 60, 60)):
        mean = quantiles(model, history, 22.35, levels)[0] @ weight
        zbar = np.where(history.x > 0, 22.35, 0.0)
        per_purchase = P * (V + history.x * zbar) / (P * history.x + Q - 1)
        wanted = residual_value(model, per_purchase, history, terms(0.15), "week")
        assert mean == pytest.approx(wanted[0], rel=3e-3)


@MODELS
def test_counts_are_exact(model):
    """The quantile is the first k whose exact distribution function reaches the level."""
    X = simulate_customers(3_000, seed=8)
    history = model._read(X)
    found = purchase_quantiles(model, 156, X, LEVELS)
    for j, level in enumerate(LEVELS):
        below, at_most = purchase_cdf(model, 156, history, found[:, j])
        assert (at_most >= level - 1e-12).all()
        assert (below < level + 1e-12).all()
    many = one(50_000, 9_999, 10_000)
    at = purchase_quantiles(model, 156, many, LEVELS)[0]
    theta = model._given_alive(model._parameters(), many.x, many.T)
    k = np.arange(1.0, 1_200.0)
    cdf = np.cumsum(model._probability_of_purchases(theta, np.append(0.0, k), 156.0))
    alive = model.probability_alive(many)[0]
    wanted = [np.argmax(1 - alive + alive * cdf >= level - 1e-12) for level in LEVELS]
    assert at.tolist() == wanted


@pytest.fixture(scope="module")
def observed() -> tuple[History, np.ndarray, np.ndarray, np.ndarray]:
    """20,000 BG/NBD customers followed from birth: history, zbar, later purchases and revenue."""
    rng, n, ahead = np.random.default_rng(11), 20_000, 52.0
    T = rng.integers(100, 730, n) / 7
    rate, drop = rng.gamma(0.2426, 1 / 4.4136, n), rng.beta(0.7929, 2.4259, n)
    leaves_at, nu = rng.geometric(np.maximum(drop, 1e-12)), rng.gamma(Q, 1 / V, n)
    x, t_x, spent, later, revenue, clock = np.zeros((6, n))
    here = np.arange(n)
    while len(here):
        clock[here] += rng.exponential(1 / np.maximum(rate[here], 1e-12))
        here = here[clock[here] < T[here] + ahead]
        amount = rng.gamma(P, size=len(here)) / nu[here]
        before = clock[here] <= T[here]
        early, late = here[before], here[~before]
        x[early] += 1
        t_x[early] = clock[early]
        spent[early] += amount[before]
        later[late] += 1
        revenue[late] += amount[~before]
        here = here[(x + later)[here] < leaves_at[here]]
    zbar = np.divide(spent, x, out=np.zeros(n), where=x > 0)
    return History(x, t_x, T), zbar, later, revenue


def test_coverage_of_simulated_customers(observed):
    """A number drawn between P(N < k) and P(N <= k) is uniform, so 90% lie in the middle 90%."""
    history, zbar, later, revenue = observed
    rng, stated = np.random.default_rng(1), terms(0.0, 52)
    counts = purchase_cdf(BG, 52, history, later)
    money = value_cdf(BG, SPEND, history, zbar, stated, "week", revenue)
    for below, at_most in (counts, money):
        assert (below <= at_most).all()
        level = below + rng.random(len(below)) * (at_most - below)
        assert np.mean((level > 0.05) & (level < 0.95)) == pytest.approx(0.9, abs=0.01)
        assert stats.kstest(level, "uniform").pvalue > 1e-3
        busy = level[history.x >= 3]
        assert np.mean((busy > 0.05) & (busy < 0.95)) == pytest.approx(0.9, abs=0.01)
        assert stats.kstest(busy, "uniform").pvalue > 1e-3


def test_money_cdf_inverts_the_quantiles():
    X = simulate_customers(2_000, seed=2)
    history, zbar = BG._read(X), X["monetary_value"].to_numpy()
    at = value_quantiles(BG, SPEND, history, zbar, terms(0.15), "week", [0.8])[:, 0]
    below, at_most = value_cdf(BG, SPEND, history, zbar, terms(0.15), "week", at)
    some = at > 0
    assert at_most[some] == pytest.approx(0.8, abs=1e-3)
    assert (below[some] == at_most[some]).all()
    assert (at_most[~some] >= 0.8).all()


def test_quantiles_rise_with_the_level():
    X = simulate_customers(2_000, seed=5)
    history, levels = BG._read(X), np.linspace(0.001, 0.999, 199)
    money = quantiles(BG, history, X["monetary_value"], levels)
    assert (np.diff(money, axis=1) >= 0).all()
    assert (np.diff(purchase_quantiles(BG, 156, history, levels), axis=1) >= 0).all()


def test_units_order_and_repeats_do_not_matter():
    X = simulate_customers(1_000, seed=6)
    history, zbar = BG._read(X), X["monetary_value"].to_numpy()
    found = quantiles(BG, history, zbar, LEVELS)
    cents = GammaGamma.from_params(p=P, q=Q, v=100 * V)
    in_cents = quantiles(BG, history, 100 * zbar, LEVELS, spend=cents)
    assert in_cents == pytest.approx(100 * found, rel=1e-12)
    order = np.random.default_rng(0).permutation(np.tile(np.arange(1_000), 2))
    again = quantiles(BG, history.where(order), zbar[order], LEVELS)
    assert again == pytest.approx(found[order], rel=1e-12)
    margin = value_quantiles(BG, SPEND, history, zbar, terms(0.15, 156, 0.3), "week", LEVELS)
    assert margin == pytest.approx(0.3 * found, rel=1e-12)


def test_one_row_is_what_it_is_among_many():
    X = simulate_customers(20_000, seed=7)
    history, zbar = BG._read(X), X["monetary_value"].to_numpy()
    found = quantiles(BG, history, zbar, LEVELS)
    for row in np.flatnonzero(found[:, 1] > 0)[:5]:
        alone = quantiles(BG, history.where([row]), zbar[[row]], LEVELS)
        assert alone[0] == pytest.approx(found[row], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "n"), [(BG, 2_000), (MBG, 100), (PARETO, 100)])
def test_extreme_customers_stay_finite(model, n):
    rng = np.random.default_rng(9)
    x, T = np.floor(10 ** rng.uniform(-1, np.log10(50_001), n)), 10 ** rng.uniform(-3, 4, n)
    history = History(x, np.where(x > 0, T * rng.choice([1e-9, 0.5, 1.0], n), 0.0), T)
    zbar = 10 ** rng.uniform(-6, 9, n)
    money = quantiles(model, history, zbar, (0.01, *LEVELS, 0.99))
    assert np.isfinite(money).all()
    assert (np.diff(money, axis=1) >= 0).all()
    assert np.isfinite(purchase_quantiles(model, 156, history, LEVELS)).all()


@pytest.mark.parametrize("spend", [(1e-3, 1.05, 1.0), (1e12, 1e12, 1e12), (1e5, 3.0, 1e-3)])
def test_extreme_spend_stays_finite(spend):
    money = GammaGamma.from_params(p=spend[0], q=spend[1], v=spend[2])
    history = History(np.array([0.0, 2.0, 900.0]), np.array([0.0, 30.0, 38.0]), np.full(3, 38.0))
    found = quantiles(BG, history, 5.0, LEVELS, spend=money)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=1) >= 0).all()


def test_nothing_happens_in_no_time():
    history = one(2, 30, 38)
    assert purchase_quantiles(BG, 0, history, LEVELS).tolist() == [[0, 0, 0]]
    found = value_quantiles(BG, SPEND, history, np.ones(1), terms(0.1), "week", LEVELS, horizon=0)
    assert found.tolist() == [[0, 0, 0]]


def test_value_interval_is_a_table_of_the_same_kind():
    X = simulate_customers(60, seed=1)[["customer_id", "frequency", "recency", "T",
                                         "monetary_value", "unit"]]  # fmt: skip
    table = value_interval(X, BG, SPEND, terms(0.15))
    worth = table[["clv_low", "clv_median", "clv_high"]].to_numpy()
    zbar = X["monetary_value"].to_numpy()
    assert worth == pytest.approx(quantiles(BG, BG._read(X), zbar, LEVELS), rel=1e-9)
    assert (table["clv"] >= table["clv_low"]).all()
    assert (table["interval"] == 0.9).all()
    assert set(table["horizon"]) == {"156 weeks"}
    assert ((table["purchases_high"] > 0) == (table["probability_of_purchase"] > 0.05)).all()
    assert list(table["customer_id"]) == list(X["customer_id"])
    for other in (pl.from_pandas(X), pl.from_pandas(X).lazy(), duckdb.from_df(X)):
        assert type(value_interval(other, BG, SPEND, terms(0.15))) is type(other)


def test_distribution_of_one_and_of_a_new_customer():
    X = pd.DataFrame({"frequency": [2], "recency": [30.43], "T": [38.86], "monetary_value": 22.35})
    X["unit"] = "week"
    ann = value_distribution(BG, SPEND, terms(0.15), X)
    assert ann.nothing == pytest.approx(0.297, abs=1e-3)
    assert ann.mean == pytest.approx(73.75, abs=0.01)
    new = value_distribution(MBG, SPEND, terms(0.15))
    repeat = new_customer_value(MBG, SPEND, terms(0.15)).repeat_purchases
    assert new.nothing == pytest.approx(float(MBG.probability_of_purchases(0, 156.0)), abs=1e-12)
    for found, mean in ((ann, ann.mean), (new, repeat)):
        steps = np.diff(found.at_most)
        middle = (found.money[1:] + found.money[:-1]) / 2
        assert steps @ middle == pytest.approx(mean, rel=0.01)
        assert found.mean == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("levels", [[0.0, 0.5], [1.0], [float("nan")], [[0.5]]])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(InputError, match="between 0 and 1"):
        purchase_quantiles(BG, 39, one(2, 30, 38), levels)
