"""Policy values against enumeration, curves against loops, EMPC against integration."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from clv.errors import InputError, RowError
from clv.evaluate.policy import (
    EVERYBODY,
    NOBODY,
    Experiment,
    contact_best,
    empc,
    policy_table,
    uplift_curve,
)


def campaign(n=2000, seed=0, propensity=0.5):
    """An experiment whose potential outcomes are known; x drives outcome and effect."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    e = np.full(n, propensity) if np.isscalar(propensity) else propensity(x)
    y0, y1 = 3 + 2 * x + rng.normal(size=n), 3 + 3 * x + rng.normal(size=n)
    W = (rng.random(n) < e).astype(float)
    y = np.where(W == 1, y1, y0)
    seen = Experiment.from_arrays(y, W, e, mu0=3 + 2 * x, mu1=3 + 3 * x)
    return seen, x, y0, y1


@pytest.mark.parametrize("adjusted", [True, False])
def test_values_are_unbiased_over_every_way_the_coins_could_fall(adjusted):
    """All 2^8 assignments, each with its probability; mu is wrong on purpose."""
    rng = np.random.default_rng(1)
    y0, y1, e, pi = rng.normal(size=8), rng.normal(size=8), rng.uniform(0.2, 0.8, 8), rng.random(8)
    mu = {"mu0": rng.normal(size=8), "mu1": rng.normal(size=8)} if adjusted else {}
    value, gain = 0.0, 0.0
    for coins in itertools.product([0.0, 1.0], repeat=8):
        W = np.array(coins)
        chance = np.prod(np.where(W == 1, e, 1 - e))
        seen = Experiment.from_arrays(np.where(W == 1, y1, y0), W, e, **mu)
        value += chance * seen.value(pi).mean
        gain += chance * seen.gain(pi, over=1 - pi).mean
    assert value == pytest.approx((pi * y1 + (1 - pi) * y0).mean())
    assert gain == pytest.approx(((2 * pi - 1) * (y1 - y0)).mean())


def test_standard_errors_are_those_of_repeated_campaigns():
    found = []
    for seed in range(300):
        seen, x, _, _ = campaign(400, seed, propensity=0.3)
        pi = (x > 0).astype(float)
        values = [seen.value(pi), seen.unadjusted().value(pi), seen.gain(pi)]
        found.append([(one.mean, one.standard_error) for one in values])
    means, errors = np.moveaxis(np.array(found), 2, 0)
    assert np.allclose(means.std(axis=0), errors.mean(axis=0), rtol=0.12)
    truth = stats.norm.pdf(0)  # E[x; x > 0], the gain of contacting whoever gains
    assert abs(means[:, 2].mean() - truth) < 4 * means[:, 2].std() / np.sqrt(300)
    assert errors[:, 0].mean() < 0.7 * errors[:, 1].mean()  # AIPW is the sharper one


def test_the_table_has_everybody_and_the_paired_differences():
    seen, x, _, _ = campaign(propensity=lambda x: np.clip(0.5 + 0.1 * x, 0.2, 0.8))
    ours, random = (x > 0).astype(float), np.full(len(x), 0.5)
    table = policy_table(seen, {"ours": ours, "random": random}).set_index("policy")
    assert table.index.tolist() == [NOBODY, EVERYBODY, "ours", "random"]
    assert table["contacted"].round(6).tolist() == [0, 1, round(ours.mean(), 6), 0.5]
    assert table.loc[NOBODY, ["gain", "gain_se"]].tolist() == [0, 0]
    assert table.loc["ours", ["behind", "behind_se"]].tolist() == [0, 0]
    assert np.allclose(table["aipw"] - table.loc[NOBODY, "aipw"], table["gain"])
    assert np.allclose(table.loc["ours", "aipw"] - table["aipw"], table["behind"])
    assert table.loc["random", "behind"] > 2 * table.loc["random", "behind_se"]
    # pairing helps: the difference is known better than either value
    apart = np.hypot(table.loc["ours", "aipw_se"], table.loc["random", "aipw_se"])
    assert table.loc["random", "behind_se"] < apart / 2


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.5, 1.0])
def test_the_best_share_counts_ties_in_part(share):
    score = np.repeat([5, 3, 3, 1], 25)
    policy = contact_best(score, share)
    assert policy.sum() == pytest.approx(share * 100)
    assert len(np.unique(policy[score == 3])) == 1
    assert (np.diff(policy) <= 0).all()


def loop(score, seen, kind):
    """The curve as it is told, k customers at a time."""
    order, out = np.argsort(-score), [0.0]
    for k in range(1, len(score) + 1):
        top = order[:k]
        t, c = seen.W[top] == 1, seen.W[top] == 0
        if not t.any() or not c.any():
            out.append(0.0)
        elif kind == "uplift":
            out.append(k * (seen.y[top][t].mean() - seen.y[top][c].mean()))
        else:
            out.append(seen.y[top][t].sum() - seen.y[top][c].sum() * t.sum() / c.sum())
    return np.array(out)


@pytest.mark.parametrize("kind", ["uplift", "qini"])
def test_curves_are_those_of_a_loop(kind):
    seen, x, _, _ = campaign(500, seed=3, propensity=0.3)
    curve = uplift_curve(x, seen, kind=kind, draws=5)
    naive = np.interp(curve.share * 500, np.arange(501), loop(x, seen, kind))
    assert np.allclose(curve.gain, naive)
    assert curve.table()["random"].iloc[-1] == pytest.approx(naive[-1])
    line = naive - np.linspace(0, 1, len(naive)) * naive[-1]
    assert curve.area == pytest.approx(line.mean(), rel=0.05)


@pytest.mark.parametrize("kind", ["uplift", "qini"])
def test_the_band_holds_the_true_curve(kind):
    """True gain of the best by x, of a hundred campaigns: 90% bands hold it about 90 times."""
    inside = []
    for seed in range(60):
        seen, x, _, _ = campaign(600, seed, propensity=0.5)
        curve = uplift_curve(x, seen, kind=kind, draws=100, seed=seed)
        # E[x; best half] for an effect of x; a Qini curve counts the contacted half of them
        true = 600 * stats.norm.pdf(0) * (0.5 if kind == "qini" else 1)
        inside.append(curve.low[25] <= true <= curve.high[25])
    assert 0.75 <= np.mean(inside) <= 1


def test_curves_keep_their_unit_and_ignore_the_order_of_rows():
    seen, x, _, _ = campaign(400, seed=5)
    tied, shuffle = np.round(x), np.random.default_rng(0).permutation(400)
    one = uplift_curve(tied, seen, draws=3)
    moved = Experiment.from_arrays(seen.y[shuffle] * 100, seen.W[shuffle], seen.e[shuffle])
    other = uplift_curve(tied[shuffle], moved, draws=3)
    assert np.allclose(other.gain, 100 * one.gain)
    assert other.area == pytest.approx(100 * one.area)
    flat = uplift_curve(np.zeros(400), seen, draws=3)
    assert flat.area == pytest.approx(0, abs=1e-9)


def test_a_useless_ranking_has_no_area():
    seen, _, _, _ = campaign(5000, seed=6)
    curve = uplift_curve(np.random.default_rng(1).random(5000), seen)
    assert curve.area_low < 0 < curve.area_high
    best = uplift_curve(seen.mu1 - seen.mu0, seen)
    assert best.area_low > curve.area_high


def by_integration(y, score, clv, d, f, a, b):
    """EMPC as it is defined: the best threshold for each g, integrated over g."""
    cuts = np.concatenate([[np.inf], np.unique(score)[::-1]])
    F0 = np.array([(score[y == 1] >= t).mean() for t in cuts])
    F1 = np.array([(score[y == 0] >= t).mean() for t in cuts])
    pi0, delta, phi = y.mean(), d / clv, f / clv

    def best(g):
        profit = (g * (1 - delta) - phi) * pi0 * F0 - (delta + phi) * (1 - pi0) * F1
        return clv * profit.max() * stats.beta.pdf(g, a, b)

    grid = np.linspace(0, 1, 20_001)
    return integrate.simpson([best(g) for g in grid], x=grid)


@pytest.mark.parametrize(
    "terms",
    [(200, 10, 1, 6, 14), (200, 10, 1, 2, 2), (50, 10, 5, 6, 14), (100, 0, 1, 6, 14)],
)
def test_empc_equals_its_definition(terms):
    rng = np.random.default_rng(2)
    y = (rng.random(150) < 0.3).astype(float)
    score = np.round(rng.normal(size=150) + y, 1)  # with ties
    clv, d, f, a, b = terms
    found = empc(y, score, clv=clv, incentive=d, contact_cost=f, a=a, b=b)
    assert found.profit == pytest.approx(by_integration(y, score, *terms), rel=1e-5, abs=1e-7)
    assert 0 <= found.fraction <= 1


def test_empc_of_the_perfect_score_and_of_none():
    """Perfect: everyone who leaves and nobody else; E[g(1 - delta) - phi]+ by quadrature."""
    y = np.repeat([1.0, 0.0], [30, 70])
    paid, _ = integrate.quad(
        lambda g: max(g * 0.95 - 0.005, 0) * stats.beta.pdf(g, 6, 14), 0, 1, points=[0.005 / 0.95]
    )
    perfect, useless = empc(y, y), empc(y, np.zeros(100))
    assert perfect.profit == pytest.approx(200 * 0.3 * paid, rel=1e-6)
    assert perfect.fraction == pytest.approx(0.3, abs=1e-6)
    assert 0 < useless.profit < perfect.profit
    assert empc(y, -y).profit == pytest.approx(useless.profit)  # all or nobody, again


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda s: Experiment.from_arrays([1, 2], [0, 2], [0.5, 0.5]),
            RowError,
            "W is neither 0 nor 1",
        ),
        (
            lambda s: Experiment.from_arrays([1, 2], [0, 1], [0.5, 1.0]),
            RowError,
            "e is not between 0 and 1",
        ),
        (lambda s: Experiment.from_arrays([1, np.nan], [0, 1], [0.5, 0.5]), RowError, "missing"),
        (lambda s: s.value(np.full(len(s), 1.5)), RowError, "no chance in"),
        (lambda s: policy_table(s, {}), InputError, "no policy to judge"),
        (lambda s: contact_best([1, 2], 1.5), InputError, "share = 1.5"),
        (lambda s: uplift_curve([1, 2], s), InputError, "2 scores for"),
        (lambda s: empc([1, 1], [0.2, 0.3]), InputError, "customers who churned"),
    ],
)
def test_what_cannot_be_judged_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(campaign(50)[0])


def test_the_table_is_a_table():
    seen, x, _, _ = campaign(200)
    assert isinstance(policy_table(seen, {"ours": x > 0}), pd.DataFrame)
