"""BG/BB: every history of six opportunities, published numbers, and what peers stumble over."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from clv.errors import FitError, InputError, RowError
from clv.history import Cells, read_cells
from clv.probability.bg_bb import (
    BetaGeoBetaBinomial,
    BgBbTheta,
    log_likelihood,
    mean_discount,
    probability_of_at_least,
    silence,
    simulate,
    whole,
)
from clv.probability.lifetimes_engine import fenced
from clv.probability.special import log_rising

KNOWN = {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.783}
OTHERS = [
    KNOWN,
    {"alpha": 3.0, "beta": 20.0, "gamma": 1.0, "delta": 1.0},
    {"alpha": 0.5, "beta": 2.0, "gamma": 2.5, "delta": 70.0},
]


def frame(*histories) -> pd.DataFrame:
    return pd.DataFrame(histories, columns=["frequency", "recency", "T"])


def drawn(theta, n, seed, ages=(5, 20)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    h = simulate(BgBbTheta(*theta), rng.integers(*ages, n).astype(float), rng)
    return pd.DataFrame({"frequency": h.x, "recency": h.t_x, "T": h.T})


# --- all that can happen in six opportunities ----------------------------------------------------


@pytest.fixture(params=OTHERS)
def sequences(request):
    """A model, each way to use six opportunities or not, and its probability."""
    model, n = BetaGeoBetaBinomial.from_params(request.param), 6
    used = np.array(list(product([0, 1], repeat=n)))
    x = used.sum(axis=1).astype(float)
    t_x = (used * np.arange(1, n + 1)).max(axis=1).astype(float)
    rows = zip(x, t_x, strict=True)
    one = [Cells(*(np.array([v]) for v in (a, b, float(n))), np.ones(1)) for a, b in rows]
    theta = model._parameters()
    return model, used, np.exp([log_likelihood(theta, cell)[0] for cell in one])


def test_one_of_all_sequences_happens(sequences):
    model, used, chance = sequences
    assert chance.sum() == pytest.approx(1, abs=1e-13)
    x = used.sum(axis=1)
    found = model.probability_of_purchases(np.arange(7), 6)
    assert found == pytest.approx(np.bincount(x, chance), rel=1e-12)
    assert model.expected_purchases(6) == pytest.approx(chance @ x, rel=1e-12)
    at_least = probability_of_at_least(model._parameters(), np.arange(1, 8), 6.0)
    wanted = [chance[x >= k].sum() for k in range(1, 8)]
    assert at_least == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("delta", [0.0, 0.1, 3.0])
def test_discounts_of_all_sequences(sequences, delta):
    model, used, chance = sequences
    x, worth = used.sum(axis=1), np.exp(-delta * np.arange(1, 7))
    assert model.discounted_expected_purchases(6, delta) == pytest.approx(chance @ used @ worth)
    found = mean_discount(model._parameters(), np.arange(1.0, 8.0), 6.0, delta)
    wanted = [
        chance[x == k] @ (used[x == k] @ worth) / k / chance[x == k].sum() for k in range(1, 7)
    ]
    assert found == pytest.approx([*wanted, 1.0], rel=1e-12)  # none can use a seventh
    pairs = (used @ worth) ** 2 - used @ worth**2
    at_start = frame((0, 0, 0))
    assert model.discounted_purchase_pairs(6, delta, at_start) == pytest.approx([chance @ pairs])


def test_pairs_of_existing_customers():
    model, X = BetaGeoBetaBinomial.from_params(KNOWN), frame((4, 5, 6), (0, 0, 6), (6, 6, 6))
    ks = np.arange(31)
    pmf = model.probability_of_purchases(ks, 30, X)
    found = model.discounted_purchase_pairs(30, 0.0, X)
    assert found == pytest.approx(pmf @ (ks * (ks - 1)), rel=1e-11)


def test_several_discount_rates_at_once():
    model, X = BetaGeoBetaBinomial.from_params(KNOWN), frame((4, 5, 6), (0, 0, 6))
    rates, t = np.array([0.0, 0.1]), np.array([3.0, 9.0])
    both = model.discounted_expected_purchases(t, rates, X)
    singly = [model.discounted_expected_purchases(t, rate, X) for rate in rates]
    assert both == pytest.approx(np.column_stack(singly), rel=1e-14)
    new = model.discounted_expected_purchases(7.0, rates)
    wanted = [float(model.discounted_expected_purchases(7.0, rate)) for rate in rates]
    assert new == pytest.approx(wanted, rel=1e-14)


def test_parts_of_an_opportunity_do_not_count():
    model = BetaGeoBetaBinomial.from_params(KNOWN)
    one, less, more = model.expected_purchases([3.0, 3.0 - 1e-12, 3.9])
    assert one == less == more
    assert model.expected_purchases(0.9) == 0
    assert whole(365.25 / (365.25 / 12)) == 12


def test_sums_that_would_never_end():
    model = BetaGeoBetaBinomial.from_params(KNOWN)
    for ask in (
        lambda: model.expected_purchases(1e9),
        lambda: model.discounted_expected_purchases(np.inf, 1e-8),
        lambda: model.probability_alive(frame((1, 1, 1e9))),
        lambda: model.probability_of_purchases(0, 1e9),
    ):
        with pytest.raises(InputError, match=r"1,000,000,00\d|6,000,000,000"):
            ask()


def test_a_customer_is_worked_out_alike_alone_and_among_others():
    rng = np.random.default_rng(1)
    T = np.floor(10 ** rng.uniform(0, 3, 300))
    history = simulate(BgBbTheta(1.0, 30.0, 0.5, 60.0), T, rng)
    model = BetaGeoBetaBinomial.from_params(KNOWN)
    alone = [model.probability_alive(history.where(slice(i, i + 1)))[0] for i in range(300)]
    assert np.array_equal(alone, model.probability_alive(history))


def test_years_of_days_are_fitted():
    """T up to 1,500 days: the likelihood is solved per distinct x, not summed per customer."""
    rng = np.random.default_rng(2)
    history = simulate(BgBbTheta(1.0, 300.0, 0.5, 600.0), np.floor(rng.uniform(100, 1500, 12)), rng)
    model = BetaGeoBetaBinomial(unit="day").fit(
        frame(*zip(history.x, history.t_x, history.T, strict=True))
    )
    assert model.report_.converged
    once = BgBbTheta(**model.params_)
    m = np.arange(history.t_x[0], history.T[0])
    a, b = once.alpha + history.x[0], once.beta + history.t_x[0] - history.x[0]
    d, i = once.delta + history.t_x[0], m - history.t_x[0]
    there = np.exp(
        log_rising(b, i) - log_rising(a + b, i) + log_rising(d, i) - log_rising(once.gamma + d, i)
    )
    stay, miss = (once.delta + m) / (once.gamma + once.delta + m), (b + i) / (a + b + i)
    summed = there @ (1 - stay) + there[-1] * stay[-1] * miss[-1]
    assert silence(once, history)[0, 0] == pytest.approx(summed, rel=1e-11)


# --- published -----------------------------------------------------------------------------------


def test_published_donors(donations, published):
    known = published["BetaGeoBetaBinomial"]["donors"]
    model = BetaGeoBetaBinomial().fit(donations, sample_weight=donations["weights"])
    for x, t_x, value in known["alive_in_2002"]:
        alive = model.probability_alive_next(frame((x, t_x, 6)))
        assert alive.round(2) == pytest.approx([value], abs=1e-9)
    expected = model.conditional_expected_purchases(5, donations) @ donations["weights"]
    assert expected == pytest.approx(known["expected_gifts_2002_2006"], abs=0.1)
    none_and_six = model.probability_of_purchases([0, 6], 6) * 11_104
    assert none_and_six == pytest.approx(known["donors_with_none_and_six"], abs=0.1)
    for x, t_x, value in known["ten_years_ahead"]:  # at estimates that are a little short
        found = model.conditional_expected_purchases(10, frame((x, t_x, 6)))
        assert found == pytest.approx([value], rel=5e-5)


# --- lifetimes -----------------------------------------------------------------------------------


def test_ours_equals_theirs(donations):
    weight = donations["weights"]
    ours = BetaGeoBetaBinomial().fit(donations, sample_weight=weight)
    theirs = BetaGeoBetaBinomial(engine="lifetimes").fit(donations, sample_weight=weight)
    assert theirs.report_.engine == "lifetimes"
    assert ours.params_ == pytest.approx(theirs.params_, rel=1e-3)
    assert ours.log_likelihood_ == pytest.approx(theirs.log_likelihood_, abs=1e-5)
    assert ours.log_likelihood_ >= theirs.log_likelihood_ - 1e-9


def test_predictions_of_theirs(donations):
    columns = donations["frequency"], donations["recency"], donations["T"]
    with fenced() as lifetimes:
        fitter = lifetimes.BetaGeoBetaBinomFitter()
        fitter.params_ = pd.Series(KNOWN)
        expected = fitter.conditional_expected_number_of_purchases_up_to_time(5, *columns)
        alive = fitter.conditional_probability_alive(0, *columns)
    model = BetaGeoBetaBinomial.from_params(KNOWN)
    assert model.conditional_expected_purchases(5, donations) == pytest.approx(expected.to_numpy())
    assert model.probability_alive(donations) == pytest.approx(alive.to_numpy())


@pytest.mark.parametrize("gamma", [1.0, 1 + 1e-13, 1 - 1e-9])
def test_gamma_of_one_is_nothing_special(gamma):
    """The closed forms are 0/0 there; ours is the mean of its neighbours."""
    X = frame((4, 5, 6), (0, 0, 6))
    at, *near = (
        BetaGeoBetaBinomial.from_params(KNOWN | {"gamma": g}).conditional_expected_purchases(40, X)
        for g in (gamma, 0.9999, 1.0001)
    )
    assert at == pytest.approx(np.mean(near, axis=0), rel=1e-7)


# --- where peers break ---------------------------------------------------------------------------


STARTS = [[0, 0, 0, 1], [10, 10, 0, 1], [0, 0, -12, 0], [0, 0, -9, -7], [0, 1, 8, 10]]


def simplex(table, starts=STARTS) -> float:
    """The highest log-likelihood that SciPy's simplex finds from several starts."""
    grouped, best = read_cells(table), -np.inf

    def loss(logs):
        return -log_likelihood(BgBbTheta(*np.exp(np.clip(logs, -20, 20))), grouped)[0]

    for at in starts:
        for _ in range(2):
            options = {"xatol": 1e-3, "fatol": 1e-7, "maxiter": 1000}
            found = optimize.minimize(loss, at, method="Nelder-Mead", options=options)
            at = found.x
        best = max(best, -found.fun)
    return best


def test_nobody_bought_twice():
    with pytest.raises(FitError, match="nobody bought twice"):
        BetaGeoBetaBinomial().fit(frame(*[(0, 0, 9)] * 5))


@pytest.mark.slow
@pytest.mark.parametrize("same", [False, True])
def test_everybody_bought_exactly_twice(same):
    """x = 1 for all. Where all did so at once, the best is to buy for sure and leave by a coin."""
    table = frame(*[(1, 1, 9)] * 5) if same else frame(*[(1, t, 9) for t in (1, 2, 3, 3, 7)])
    model = BetaGeoBetaBinomial().fit(table)
    assert model.log_likelihood_ >= simplex(table, [[0, 0, 0, 1], [3, 5, 5, 6]]) - 1e-6
    assert model.report_.converged
    assert model.report_.findings
    if same:
        assert model.log_likelihood_ == pytest.approx(5 * np.log(0.25), abs=1e-6)
        assert any("buys at every opportunity" in line.text for line in model.report_.findings)


def test_a_single_customer():
    """Three of the first three, then nothing: to stay with 3/4 and buy for sure explains most."""
    model = BetaGeoBetaBinomial().fit(frame((3, 3, 39)))
    assert model.log_likelihood_ == pytest.approx(np.log(0.75**3 * 0.25), abs=1e-6)
    assert any("leave before an opportunity" in line.text for line in model.report_.findings)
    assert model.conditional_expected_purchases(13, frame((3, 3, 39))) == pytest.approx([0.0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_samples_of_fifty_customers(donations, seed):
    table = donations.sample(50, weights="weights", replace=True, random_state=seed)
    model = BetaGeoBetaBinomial().fit(table)
    assert model.log_likelihood_ >= simplex(table) - 1e-6
    assert model.report_.converged
    assert np.isfinite(model.conditional_expected_purchases(52.0, table)).all()


@pytest.mark.slow
def test_nobody_leaves():
    """Beta-binomial counts: the finding says so, and the forecast is theirs."""
    table = drawn((1.5, 4.0, 1e-9, 1.0), 2000, 2)
    model = BetaGeoBetaBinomial().fit(table)
    assert model.log_likelihood_ >= simplex(table, [[0, 1, -12, 0]]) - 1e-6
    (finding,) = model.report_.findings
    assert "nobody is seen to leave" in finding.text
    alpha, beta = model.params_["alpha"], model.params_["beta"]
    wanted = (alpha + table["frequency"]) / (alpha + beta + table["T"]) * 52
    found = model.conditional_expected_purchases(52.0, table)
    assert found == pytest.approx(wanted.to_numpy(), rel=1e-3)


@pytest.mark.slow
def test_a_few_leave_at_once():
    """By chance, from the same customers: the maximum at gamma, delta -> 0, off the usual way."""
    table = drawn((1.5, 4.0, 1e-9, 1.0), 2000, 0)
    model = BetaGeoBetaBinomial().fit(table)
    (finding,) = model.report_.findings
    assert "1.4% of customers leave before the first opportunity, the others never" in finding.text
    assert model.log_likelihood_ >= simplex(table, [[0, 1, -9, -5]]) - 1e-6


def test_all_customers_exactly_alike():
    """4 of 12 by each, the last in the end: binomial, p = 1/3, in one order of C(12, 4)."""
    model = BetaGeoBetaBinomial().fit(frame(*[(4, 12, 12)] * 200))
    wanted = 200 * (4 * np.log(1 / 3) + 8 * np.log(2 / 3))
    assert model.log_likelihood_ == pytest.approx(wanted, abs=1e-6)
    assert any(
        "nearly the same probability, 0.3333" in line.text for line in model.report_.findings
    )


@pytest.mark.slow
def test_all_customers_alike_who_leave_alike():
    """One p and one theta for all: every number then has a short closed form."""
    p, leave = 0.4, 0.1
    table = drawn((4e11, 6e11, 1e11, 9e11), 3000, 3)
    model = BetaGeoBetaBinomial().fit(table)
    assert model.log_likelihood_ >= simplex(table, [[10, 10, 8, 10]]) - 1e-6
    exact = BetaGeoBetaBinomial.from_params(alpha=4e11, beta=6e11, gamma=1e11, delta=9e11)
    alive = (1 - leave) ** np.arange(1, 31)
    assert exact.expected_purchases(30) == pytest.approx(p * alive.sum(), rel=1e-9)
    lives = np.append(alive[0] ** np.arange(30) * leave, alive[-1])
    pmf = [lives @ stats.binom.pmf(k, np.arange(31), p) for k in range(31)]
    assert exact.probability_of_purchases(np.arange(31), 30) == pytest.approx(pmf, rel=1e-8)


@pytest.mark.slow
def test_one_customer_with_500_purchases(donations):
    table = pd.concat([donations, frame((500, 520, 521)).assign(weights=1)])
    model = BetaGeoBetaBinomial().fit(table, sample_weight=table["weights"])
    assert model.report_.converged
    found = model.conditional_expected_purchases(52.0, table)
    assert np.isfinite(found).all()
    assert found.max() < 52


@pytest.mark.parametrize("x", [200, 600, 2000])
@pytest.mark.parametrize("gap", [0, 3, 400])
def test_predictions_for_x_from_200_to_2000(x, gap):
    """lifetimes' exp(-log L) overflows; from the story, with p known to three digits."""
    last = 2 * x
    model, X = BetaGeoBetaBinomial.from_params(KNOWN), frame((x, last, last + gap))
    p = stats.beta(KNOWN["alpha"] + x, KNOWN["beta"] + last - x).ppf((np.arange(4000) + 0.5) / 4000)
    left = KNOWN["gamma"] / (KNOWN["gamma"] + KNOWN["delta"] + last + np.arange(gap + 1))
    stay = np.append(1.0, np.cumprod(1 - left)[:-1])  # alive at last + m, given alive at last
    quiet = np.mean((1 - p)[:, None] ** np.arange(gap + 1), axis=0)
    here, gone = stay[-1] * quiet[-1], (stay * left * quiet)[:-1].sum()
    assert model.probability_alive(X) == pytest.approx([here / (here + gone)], rel=1e-3, abs=1e-30)
    found = model.conditional_expected_purchases(100.0, X)
    assert 0 <= found[0] <= 100 * (x + 2) / (last + gap)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ((1, 1.5, 4), "recency or T is not a whole number in 3 rows, such as frequency=1.0 rec"),
        ((1, 1, 4.5), "recency or T is not a whole number in 3 rows"),
        ((3, 2, 4), "more purchases than opportunities, in 3 rows, such as frequency=3.0 recency"),
        ((1, np.nan, 4), "missing .* in 3 rows, such as row=1 "),
    ],
)
def test_histories_that_are_no_opportunities(history, message):
    table = frame((2, 3, 4), history, history, history)
    known = BetaGeoBetaBinomial.from_params(KNOWN)
    for ask in (BetaGeoBetaBinomial().fit, known.probability_alive):
        with pytest.raises(RowError, match=f"(?s){message}.*Hint"):
            ask(table)


# --- boundaries, in words ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theta", "words"),
    [
        ((1e9, 3e9, 0.5, 3.0), "use an opportunity with nearly the same probability, 0.25"),
        ((1e-9, 3e-9, 0.5, 3.0), "25% of customers buy at every opportunity while they stay"),
        ((1.0, 1e-9, 0.5, 3.0), "beta goes to zero"),
        ((1e-5, 1.0, 0.5, 3.0), "alpha goes to zero"),
        ((1.0, 1.0, 1e-9, 3.0), "gamma goes to zero"),
        ((1.0, 1.0, 1.0, 1e-9), "delta goes to zero"),
        ((1.0, 1.0, 1e9, 9e9), "leave before an opportunity with nearly the same probability, 0.1"),
        ((1.0, 1.0, 1e-9, 3e-9), "25% of customers leave before the first opportunity"),
    ],
)
def test_each_edge_has_its_words(theta, words):
    (finding,) = BetaGeoBetaBinomial()._boundary(BgBbTheta(*theta), 1.0)
    assert words in finding.text


# --- simulation ----------------------------------------------------------------------------------


def test_simulation_against_a_loop_over_opportunities():
    theta, n, T = BgBbTheta(1.5, 2.0, 0.8, 6.0), 20_000, 12
    rng = np.random.default_rng(6)
    fast = simulate(theta, np.full(n, T + 0.7), rng)
    p, leave = rng.beta(theta.alpha, theta.beta, n), rng.beta(theta.gamma, theta.delta, n)
    alive, x, last = np.ones(n, bool), np.zeros(n), np.zeros(n)
    for j in range(1, T + 1):
        alive &= rng.random(n) >= leave
        buys = alive & (rng.random(n) < p)
        x, last = x + buys, np.where(buys, j, last)
    assert np.all(fast.T == T)
    both = [
        np.bincount((T + 1) * a.astype(int) + b.astype(int), minlength=(T + 1) ** 2)
        for a, b in ((fast.x, fast.t_x), (x, last))
    ]
    seen = np.array(both)[:, np.sum(both, axis=0) > 20]
    assert stats.chi2_contingency(seen).pvalue > 0.001
