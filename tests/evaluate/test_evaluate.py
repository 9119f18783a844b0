"""Metrics against textbook identities, SciPy, scikit-learn, and the CDNOW holdout."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from sklearn import metrics as sk

from clv import evaluate as ev
from clv.errors import InputError, RowError

CDNOW = (0.2426, 4.4136, 0.7929, 2.4259)  # r, alpha, a, b in weeks: Fader, Hardie & Lee 2005
CUTOFF, END = 39.0, 78.0  # weeks after 1 January 1997


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(1)
    actual = rng.poisson(rng.gamma(0.5, 2.0, 500)).astype(float)
    score = np.round(actual * 0.5 + rng.gamma(1.0, 1.0, 500), 1)  # correlated, with many ties
    return actual, score


def brute_force_gini(y, score):
    """The mean over every order of tied customers of sum (2i - n - 1) y_(i), ascending."""
    ranked = [
        np.array(y)[list(order)]
        for order in itertools.permutations(range(len(y)))
        if all(score[i] <= score[j] for i, j in itertools.pairwise(order))
    ]
    n = len(y)
    weights = 2 * np.arange(1, n + 1) - n - 1
    return np.mean([weights @ r / (n * r.sum()) for r in ranked])


@pytest.mark.parametrize("score", [[1, 2, 2, 5, 2, 0], [3, 3, 3, 3, 3, 3], [6, 5, 4, 3, 2, 1]])
def test_gini_averages_over_tied_orders(score):
    actual = [0, 4, 1, 3, 0, 7]
    assert ev.gini(actual, score, normalized=False) == pytest.approx(
        brute_force_gini(actual, score)
    )


def test_raw_gini_of_itself_is_half_the_relative_mean_difference(sample):
    y, _ = sample
    expected = np.abs(y[:, None] - y).mean() / (2 * y.mean())
    assert ev.gini(y, y, normalized=False) == pytest.approx(expected)
    assert ev.gini(y, y) == pytest.approx(1.0)


def test_normalized_gini_of_an_event_is_twice_auc_minus_one(sample):
    y, score = sample
    bought = (y > 0).astype(float)
    assert ev.gini(bought, score) == pytest.approx(2 * sk.roc_auc_score(bought, score) - 1)
    assert ev.auc(bought, score) == pytest.approx((ev.gini(bought, score) + 1) / 2)


def test_the_gain_curve_is_the_share_of_the_best(sample):
    y, _ = sample
    distinct = y + np.linspace(0, 1e-6, len(y))
    customers, held = ev.gain_curve(y, distinct)
    best = np.sort(y)[::-1]
    assert held[100] == pytest.approx(best[:100].sum() / y.sum())
    assert customers[100] == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_do_not_depend_on_the_order_of_rows(sample, seed):
    y, f = sample
    order = np.random.default_rng(seed).permutation(len(y))
    pd.testing.assert_frame_equal(ev.decile_table(y, f), ev.decile_table(y[order], f[order]))
    for metric in (ev.gini, ev.rank_correlation, ev.total_bias):
        assert metric(y, f) == pytest.approx(metric(y[order], f[order]), rel=1e-12)


def test_metrics_agree_with_scipy_and_scikit_learn(sample):
    y, f = sample
    p = special.expit(f - 1)
    bought = (y > 0).astype(float)
    assert ev.rank_correlation(y, f) == pytest.approx(stats.spearmanr(y, f).statistic)
    assert ev.mean_absolute_error(y, f) == pytest.approx(sk.mean_absolute_error(y, f))
    assert ev.root_mean_squared_error(y, f) == pytest.approx(sk.root_mean_squared_error(y, f))
    assert ev.brier_score(bought, p) == pytest.approx(sk.brier_score_loss(bought, p))
    expected = -np.where(bought == 1, np.log(p), np.log1p(-p)).mean()
    assert ev.log_loss(bought, p) == pytest.approx(expected)


def test_deciles_add_up_to_everybody(sample):
    y, f = sample
    table = ev.decile_table(y, f)
    assert table["customers"].tolist() == [50] * 10
    assert table["actual_share"].sum() == pytest.approx(1.0)
    assert np.average(table["actual_mean"]) == pytest.approx(y.mean())
    assert np.average(table["predicted_mean"]) == pytest.approx(f.mean())
    assert table["predicted_mean"].is_monotonic_decreasing


def test_deciles_of_a_constant_forecast_are_all_alike(sample):
    table = ev.decile_table(sample[0], np.ones(500))
    assert np.allclose(table["actual_mean"], sample[0].mean())


def test_count_log_score_of_the_true_distribution():
    rng = np.random.default_rng(3)
    mean = rng.gamma(2.0, 1.0, 400)
    y = rng.poisson(mean)
    score = ev.count_log_score(y, lambda k: stats.poisson.pmf(k, mean))
    assert score == pytest.approx(-stats.poisson.logpmf(y, mean).mean())
    assert score < ev.count_log_score(y, lambda k: stats.poisson.pmf(k, mean * 1.5))
    assert ev.count_log_score([0, 3], lambda k: np.array([1.0, 0.0])) == np.inf


@pytest.mark.parametrize("mean", [0.3, 2.0, 40.0])
def test_of_a_true_distribution_the_randomised_pit_is_flat(mean):
    """And intervals hold as many as they should, those of whole numbers more."""
    rng = np.random.default_rng(7)
    y = rng.poisson(mean, 60_000)
    p = np.tile(stats.poisson.pmf(np.arange(y.max() + 1), mean), (len(y), 1))
    score, below, upto = ev.count_placement(y, p)
    np.testing.assert_allclose(score, -stats.poisson.logpmf(y, mean))
    np.testing.assert_allclose(below, stats.poisson.cdf(y - 1, mean), atol=1e-12)
    np.testing.assert_allclose(upto, stats.poisson.cdf(y, mean))
    coverage = ev.interval_coverage(below, upto)
    np.testing.assert_allclose(coverage["randomized"], ev.LEVELS, atol=0.006)
    assert (coverage["inside"] >= np.array(ev.LEVELS) - 0.003).all()
    assert ev.pit_histogram(below, upto)["share"].to_numpy() == pytest.approx(0.1, abs=0.006)


def test_inside_is_between_the_quantiles_both_included():
    rng = np.random.default_rng(8)
    y, mean = rng.poisson(3.0, 4000), rng.gamma(2.0, 2.0, 4000)  # another distribution
    below, upto = stats.poisson.cdf(y - 1, mean), stats.poisson.cdf(y, mean)
    coverage = ev.interval_coverage(below, upto, [0.5, 0.9]).set_index("nominal")["inside"]
    for level in (0.5, 0.9):
        low, high = stats.poisson.ppf([[(1 - level) / 2], [(1 + level) / 2]], mean)
        assert coverage[level] == pytest.approx(((low <= y) & (y <= high)).mean())


def test_the_expected_share_is_that_of_random_numbers():
    rng = np.random.default_rng(9)
    below = rng.uniform(0, 0.6, 300)
    upto = below + rng.uniform(0, 0.4, 300) * (rng.random(300) < 0.7)
    drawn = below + rng.random((4000, 300)) * (upto - below)
    expected = [((drawn >= start) & (drawn < start + 0.1)).mean() for start in np.arange(10) / 10]
    assert ev.pit_histogram(below, upto)["share"].to_numpy() == pytest.approx(expected, abs=2e-3)
    between = ((drawn >= 0.05) & (drawn < 0.95)).mean()
    assert ev.interval_coverage(below, upto, [0.9])["randomized"][0] == pytest.approx(
        between, abs=2e-3
    )


def test_what_lies_outside_a_distribution_is_refused():
    with pytest.raises(RowError, match="does not hold in 1 row"):
        ev.interval_coverage([0.5, 0.2], [0.4, 0.3])


def test_the_decile_error_is_bias_where_all_groups_miss_alike(sample):
    y, _ = sample
    assert ev.decile_error(y, y) == pytest.approx(0.0)
    assert ev.decile_error(y, 0.75 * y) == pytest.approx(0.25)
    assert ev.decile_error(y, np.full(500, y.mean())) == pytest.approx(0.0, abs=1e-12)
    upside_down = (y.max() - y) * y.sum() / (y.max() - y).sum()
    assert ev.total_bias(y, upside_down) == pytest.approx(0.0)
    assert ev.decile_error(y, upside_down) > 0.3
    assert np.isnan(ev.decile_error(np.zeros(3), np.ones(3)))


def test_where_nothing_happened_shares_are_not_numbers():
    nothing, forecast = np.zeros(4), np.array([1.0, 2.0, 2.0, 0.0])
    for metric in (ev.total_bias, ev.gini, ev.rank_correlation, ev.auc):
        assert np.isnan(metric(nothing, forecast))
    table = ev.holdout_table(nothing, {"model": forecast, "population mean": np.ones(4)})
    assert ev.verdict(table).splitlines()[0] == (
        "A naive forecast wins on error per customer: no model earns its keep here."
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ev.total_bias([1, 2], [1]), "different shapes"),
        (lambda: ev.gini([], []), "no customers"),
        (lambda: ev.gini([1, 2], [1, np.nan]), "score is missing or infinite in 1 row"),
        (lambda: ev.brier_score([1, 2], [0.1, 0.2]), "neither 0 nor 1 in 1 row"),
        (lambda: ev.log_loss([1, 0], [1.1, 0.2]), "outside 0 to 1 in 1 row"),
    ],
)
def test_unusable_arrays_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
    with pytest.raises((InputError, RowError)):
        call()


def test_naive_forecasts_by_hand():
    forecasts = ev.naive_forecasts(
        [4, 0, 2, 1], [19, 0, 2, 10], [20, 10, 20, 10], 10, last_period=[3, 1, 0, 0], hiatus=10
    )
    assert set(forecasts) == set(ev.NAIVE)
    assert forecasts["own past rate"].tolist() == [2.0, 0.0, 1.0, 1.0]
    assert forecasts["population mean"] == pytest.approx(7 / 60 * 10)
    assert forecasts["recency rule"].tolist() == [2.0, 0.0, 0.0, 1.0]
    assert forecasts["same as last period"].tolist() == [3.0, 1.0, 0.0, 0.0]


def test_the_recency_rule_gives_up_after_nine_in_ten_usual_gaps():
    x, gap = np.full(11, 2.0), np.arange(0.0, 11.0)  # nine in ten of these gaps are at most 9
    own = ev.naive_forecasts(x, 2 * gap, 2 * gap + 9, 10.0)
    late = ev.naive_forecasts(x, 2 * gap, 2 * gap + 9.01, 10.0)
    assert np.array_equal(own["recency rule"], own["own past rate"])
    assert not late["recency rule"].any()


def test_naive_forecasts_in_money_and_of_customers_of_today():
    forecasts = ev.naive_forecasts([2, 0], [5, 0], [10, 0], 20, spend=[30.0, 5.0], hiatus=2)
    assert forecasts["own past rate"].tolist() == [120.0, 0.0]
    assert forecasts["population mean"].tolist() == [120.0, 120.0]
    assert forecasts["recency rule"].tolist() == [0.0, 0.0]


# --- CDNOW: 2,357 customers, 39 weeks of calibration and 39 of holdout


@pytest.fixture(scope="module")
def cdnow():
    """Customer-days of the CDNOW sample, in weeks since the first day."""
    home = Path(importlib.util.find_spec("lifetimes").origin).parent / "datasets"
    log = pd.read_csv(
        home / "CDNOW_sample.txt",
        sep=r"\s+",
        header=None,
        usecols=[0, 2],
        names=["customer", "id_in_sample", "day", "units", "amount"],
        dtype={"day": str},
    )
    log["day"] = pd.to_datetime(log["day"], format="%Y%m%d")
    return log.assign(week=(log["day"] - pd.Timestamp("1996-12-31")).dt.days / 7)[
        ["customer", "week"]
    ].drop_duplicates()


@pytest.fixture(scope="module")
def calibration(cdnow):
    seen = cdnow[cdnow["week"] <= CUTOFF].groupby("customer")["week"].agg(["min", "max", "size"])
    later = cdnow[(cdnow["week"] > CUTOFF) & (cdnow["week"] <= END)].groupby("customer").size()
    return pd.DataFrame(
        {
            "first": seen["min"],
            "x": seen["size"] - 1,
            "t_x": seen["max"] - seen["min"],
            "T": CUTOFF - seen["min"],
            "actual": later.reindex(seen.index, fill_value=0),
        }
    )


def expected_purchases(t, params=CDNOW):
    """E[X(t)], equation 9 of Fader, Hardie & Lee 2005, as printed."""
    r, alpha, a, b = params
    z = t / (alpha + t)
    return (a + b - 1) / (a - 1) * (1 - (1 - z) ** r * special.hyp2f1(r, b, a + b - 1, z))


def conditional_expectation(c, t):
    """E[Y(t) | x, t_x, T], equation 10 of the same paper, as printed."""
    r, alpha, a, b = CDNOW
    x, t_x, T = c["x"], c["t_x"], c["T"]
    z = t / (alpha + T + t)
    top = (a + b + x - 1) / (a - 1)
    top = top * (1 - (1 - z) ** (r + x) * special.hyp2f1(r + x, b + x, a + b + x - 1, z))
    odds = a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x)
    return (top / (1 + (x > 0) * odds)).to_numpy()


def test_tracking_of_cdnow_counts_every_purchase_and_every_age(cdnow, calibration):
    first = calibration["first"]
    repeats = cdnow["week"][cdnow.duplicated("customer")]  # the file is sorted by date
    table = ev.tracking(first, repeats, expected_purchases, END)
    assert len(table) == 78
    for week in (10, 39, 78):
        row = table.set_index("time").loc[float(week)]
        ages = np.maximum(week - first, 0.0)
        assert row["expected_cumulative"] == pytest.approx(expected_purchases(ages).sum())
        assert row["actual_cumulative"] == (repeats <= week).sum()
    assert table["actual"].sum() == table["actual_cumulative"].iloc[-1]
    # 2,457 repeat purchases in calibration, 1,882 in the holdout
    at_cutoff = table.set_index("time").loc[CUTOFF]
    assert at_cutoff["actual_cumulative"] == calibration["x"].sum()
    assert at_cutoff["actual_cumulative"] == pytest.approx(2457, abs=15)
    assert at_cutoff["expected_cumulative"] == pytest.approx(2457, rel=0.03)


def test_the_model_against_the_naive_forecasts_on_cdnow(calibration):
    c = calibration
    forecasts = {"BG/NBD": conditional_expectation(c, END - CUTOFF)}
    forecasts |= ev.naive_forecasts(c["x"], c["t_x"], c["T"], END - CUTOFF)
    table = ev.holdout_table(c["actual"], forecasts).set_index("forecast", drop=False)
    assert table.loc["BG/NBD", "actual_total"] == pytest.approx(1882, abs=10)
    assert not table.loc["BG/NBD", "naive"]
    assert table["naive"].sum() == 3
    model, naive = table.loc["BG/NBD"], table[table["naive"]]
    assert (model["rmse"] < naive["rmse"]).all()
    # in ranking, a customer's own past rate is as good: what Wuebben & v. Wangenheim found in 2008
    assert model["gini"] == pytest.approx(naive.loc["own past rate", "gini"], abs=0.01)
    assert model["gini"] > naive.loc["recency rule", "gini"]
    assert "error per customer" in ev.verdict(table).split(";")[0]


def test_frequency_classes_of_cdnow_add_up(calibration):
    predicted = conditional_expectation(calibration, END - CUTOFF)
    table = ev.frequency_table(calibration["x"], calibration["actual"], predicted)
    assert table["frequency"].tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    assert table["customers"].sum() == 2357
    assert table["customers"] @ table["actual_mean"] == calibration["actual"].sum()
    assert table["customers"] @ table["predicted_mean"] == pytest.approx(predicted.sum())
    assert table["actual_mean"].is_monotonic_increasing


def test_the_verdict_says_plainly_when_a_naive_forecast_wins():
    actual = np.array([0.0, 1.0, 2.0, 5.0])
    forecasts = {"model": [3.0, 1.0, 2.0, 1.0], "own past rate": actual}
    text = ev.verdict(ev.holdout_table(actual, forecasts))
    assert text.startswith("A naive forecast wins on ranking, error per customer and total:")
    assert "Ranking: Gini 1.00 (own past rate, naive) against Gini" in text


def test_a_tie_goes_to_the_naive_forecast():
    actual = np.array([0.0, 1.0, 2.0, 5.0])
    table = ev.holdout_table(actual, {"model": actual, "own past rate": actual})
    assert "no model earns its keep" in ev.verdict(table)


def test_a_verdict_needs_something_to_beat():
    table = ev.holdout_table([0, 1], {"model": [0.5, 0.5]})
    with pytest.raises(InputError, match="at least one model and one naive"):
        ev.verdict(table)
