"""Contracts: published cohorts, a second way to each number, truncation, and bad tables."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import optimize, special

from clv.errors import ColumnError, FitError, InputError, RowError
from clv.probability.beta_discrete_weibull import BetaDiscreteWeibull
from clv.probability.contract_cells import read_contracts
from clv.probability.contract_choice import choose_contract_model
from clv.probability.contract_formulas import ContractTheta, contributions
from clv.probability.covariance import bootstrap
from clv.probability.shifted_beta_geometric import ShiftedBetaGeometric
from tests.probability.conftest import PUBLISHED

MODELS = {kind.__name__: kind for kind in (ShiftedBetaGeometric, BetaDiscreteWeibull)}
FITS = [(name, fit) for name in MODELS for fit in PUBLISHED[name]["fits"]]
PARAMETERS = [
    ShiftedBetaGeometric.from_params(alpha=0.7041, beta=1.182),
    ShiftedBetaGeometric.from_params(alpha=30.0, beta=500.0),
    BetaDiscreteWeibull.from_params(alpha=0.2143, beta=1.4266, c=1.7236),
    BetaDiscreteWeibull.from_params(alpha=2.0, beta=3.0, c=0.6),
]


def cohort(active, years) -> pd.DataFrame:
    """Who left in each year, and who was still there at the end."""
    lost = -np.diff(active)[:years]
    customers = [*lost[:-1], lost[-1] + active[years]]
    ages = np.arange(1, years + 1)
    return pd.DataFrame({"entered": 0, "periods": ages, "churned": lost, "customers": customers})


def by_story(model, t) -> float:
    """The share still there, summed over a fine grid of logit(theta): no Beta function of t."""
    alpha, beta = model.params_["alpha"], model.params_["beta"]
    power = model.params_.get("c", 1.0)
    w = np.arange(-40 / min(alpha, 1), 40 / min(beta, 1), 0.02)
    log_density = alpha * w - (alpha + beta) * np.logaddexp(0, w)
    density = np.exp(log_density - log_density.max())
    return density @ np.exp(t**power * special.log_expit(-w)) / density.sum()


# --- published cohorts ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "fit"), FITS)
def test_published_fits(name, fit):
    active = np.array(PUBLISHED["contracts"][fit["segment"]])
    model = MODELS[name]().fit(cohort(active, fit["years"]))
    assert model.params_ == pytest.approx(fit["parameters"], abs=1e-4)
    assert model.log_likelihood_ == pytest.approx(fit["log_likelihood"], abs=1e-3)
    assert model.survival(12) == pytest.approx(fit["survival_12"], abs=5.1e-4)
    later = np.arange(fit["years"] + 1, 13)
    error = np.mean(np.abs(model.survival(later) * 1000 / active[later] - 1))
    assert error == pytest.approx(fit["held_out_error"], abs=5.1e-4)
    if "del_at_ten_percent" in fit:
        assert model.discounted_expected_lifetime(0.1) == pytest.approx(
            fit["del_at_ten_percent"], abs=5e-4
        )
    assert model.report_.converged
    assert model.report_.starts_agreeing == model.report_.starts
    assert model.report_.customers == 1000
    assert not model.report_.findings


def test_survivors_of_seven_years_are_worth_more_than_new_customers():
    model = ShiftedBetaGeometric().fit(cohort(np.array(PUBLISHED["contracts"]["regular"]), 7))
    before, after = model.discounted_expected_residual_lifetime([1, 8], 0.1)
    assert after == pytest.approx(6.84, abs=5e-3)
    assert before == pytest.approx(2.964, abs=5e-4)


def test_a_search_without_gradients_goes_no_higher():
    table = cohort(np.array(PUBLISHED["contracts"]["high_end"]), 7)
    model = BetaDiscreteWeibull().fit(table)
    t, lost = table["periods"].to_numpy(), table["churned"].to_numpy()

    def minus(logs):
        a, b, c = np.exp(logs)
        alive = special.beta(a, b + np.arange(8.0) ** c) / special.beta(a, b)
        return -(lost @ np.log(alive[t - 1] - alive[t]) + 491 * np.log(alive[7]))

    best = optimize.minimize(minus, np.zeros(3), method="Nelder-Mead", options={"maxiter": 4000})
    assert model.log_likelihood_ == pytest.approx(-best.fun, abs=1e-5)


# --- the story, told another way -----------------------------------------------------------------


@pytest.mark.parametrize("model", PARAMETERS)
def test_survival_is_the_mean_over_customers(model):
    for t in (0, 1, 2, 7, 30):
        assert model.survival(t) == pytest.approx(by_story(model, t), rel=1e-10)
    ages = np.arange(1, 31)
    assert model.retention_rate(ages) == pytest.approx(
        model.survival(ages) / model.survival(ages - 1), rel=1e-12
    )


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize("rate", [0.5, 0.1, 0.008, 1e-4])
def test_what_is_left_after_the_first_payment_is_what_a_renewal_brings(model, rate):
    new = model.discounted_expected_lifetime(rate)
    due = model.discounted_expected_residual_lifetime(1, rate)
    assert new - 1 == pytest.approx(due / (1 + rate), rel=1e-12)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.008, 1e-4])
@pytest.mark.parametrize(("alpha", "beta"), [(0.7041, 1.182), (0.6681, 3.8061), (2.5, 0.4)])
def test_lifetimes_are_the_closed_form_of_sbg(alpha, beta, rate):
    model = ShiftedBetaGeometric.from_params(alpha=alpha, beta=beta)
    w = 1 / (1 + rate)
    assert model.discounted_expected_lifetime(rate) == pytest.approx(
        special.hyp2f1(1, beta, alpha + beta, w), rel=1e-11
    )
    n = np.array([1, 3, 8])
    stays = (beta + n - 1) / (alpha + beta + n - 1)
    assert model.discounted_expected_residual_lifetime(n, rate) == pytest.approx(
        stays * special.hyp2f1(1, beta + n, alpha + beta + n, w), rel=1e-11
    )


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize("rate", [0.1, 1e-3, 1e-4])
def test_an_endless_horizon_is_the_sum_of_all_that_counts(model, rate):
    t = np.arange(600_000)
    worth = model.survival(t) * np.exp(-np.log1p(rate) * t)
    assert model.discounted_expected_lifetime(rate) == pytest.approx(worth.sum(), rel=1e-11)
    assert model.discounted_expected_lifetime(rate, 24) == pytest.approx(worth[:24].sum())


def test_the_mean_lifetime_is_infinite_where_too_few_leave():
    assert ShiftedBetaGeometric.from_params(alpha=0.7, beta=1.2).expected_lifetime() == np.inf
    assert BetaDiscreteWeibull.from_params(alpha=0.7, beta=1, c=1.4).expected_lifetime() == np.inf
    finite = ShiftedBetaGeometric.from_params(alpha=1.5, beta=4.0)
    assert finite.expected_lifetime() == pytest.approx(9.0, rel=1e-11)  # (a + b - 1) / (a - 1)
    # theta uniform: E[(1 - theta)^(t^2)] = 1 / (1 + t^2), which adds up to (1 + pi coth pi) / 2
    squares = BetaDiscreteWeibull.from_params(alpha=1.0, beta=1.0, c=2.0)
    exact = (1 + np.pi / np.tanh(np.pi)) / 2
    assert squares.expected_lifetime() == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("rate", [0.0, 1e-12, 0.1, 1e6])
@pytest.mark.parametrize("c", [0.02, 1.0, 80.0])
@pytest.mark.parametrize(("alpha", "beta"), [(1e-6, 1e6), (1e6, 1e-6), (1e6, 1e6), (1e-6, 1e-6)])
def test_nothing_overflows_at_the_edge(alpha, beta, c, rate):
    model = BetaDiscreteWeibull.from_params(alpha=alpha, beta=beta, c=c)
    assert np.all(np.diff(model.survival([0, 1, 5, 1000])) <= 0)
    assert model.discounted_expected_lifetime(rate) >= 1
    assert model.discounted_expected_lifetime(rate) <= (np.inf if rate == 0 else 1.001 + 1 / rate)
    assert np.all(model.discounted_expected_residual_lifetime([1, 30], rate) >= 0)


@pytest.mark.parametrize("theta", [(0.7, 1.2, 1.0), (0.2, 1.4, 1.7), (40.0, 900.0, 0.6)])
def test_the_gradient_is_that_of_the_likelihood(theta):
    table = pd.DataFrame(
        {
            "entered": [0, 0, 2, 5, 40],
            "periods": [1, 12, 3, 9, 60],
            "churned": [30, 2, 5, 0, 1],
            "customers": [50, 9, 5, 8, 20],
        }
    )
    cells = read_contracts(table)
    _, gradient = contributions(ContractTheta(*theta), cells).total()
    for i, slope in enumerate(gradient):
        h = 1e-6 * theta[i]
        sides = []
        for sign in (1, -1):
            moved = np.array(theta)
            moved[i] += sign * h
            sides.append(contributions(ContractTheta(*moved), cells).total()[0])
        assert slope == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=1e-5, abs=1e-5)


# --- left truncation -----------------------------------------------------------------------------


def observed_in_mid_life(rng, n, alpha, beta) -> pd.DataFrame:
    """One row per customer who was still there when recording began, followed for ten periods."""
    leaves = rng.geometric(rng.beta(alpha, beta, n))
    entered = rng.integers(0, 13, n)
    last = np.minimum(leaves, entered + 10)
    present = leaves > entered
    return pd.DataFrame(
        {"entered": entered, "periods": last, "churned": leaves <= entered + 10, "customers": 1}
    )[present]


def test_truth_is_recovered_from_histories_that_begin_in_mid_life():
    table = observed_in_mid_life(np.random.default_rng(7), 200_000, 0.704, 1.182)
    truth = ShiftedBetaGeometric.from_params(alpha=0.704, beta=1.182)
    model = ShiftedBetaGeometric().fit(table)
    assert model.params_ == pytest.approx({"alpha": 0.704, "beta": 1.182}, rel=0.02)
    worth = truth.discounted_expected_lifetime(0.1)
    assert model.discounted_expected_lifetime(0.1) == pytest.approx(worth, rel=0.01)
    # As if all had been watched from the start: far off.
    ignored = ShiftedBetaGeometric().fit(table.assign(entered=0))
    assert ignored.discounted_expected_lifetime(0.1) > 1.2 * worth


def test_uncertainty_covers_what_a_bootstrap_finds():
    table = observed_in_mid_life(np.random.default_rng(3), 5_000, 0.704, 1.182)
    model = ShiftedBetaGeometric().fit(table).with_covariance(table)
    errors = np.array(list(model.covariance_.standard_errors.values()))
    spread = np.log(bootstrap(model, table, n=100)).std(axis=0)
    assert errors == pytest.approx(spread, rel=0.25)
    assert model.covariance_.coordinates == ("log alpha", "log beta")
    again = ShiftedBetaGeometric.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.params_ == model.params_
    assert again.report_.customers == len(table)


# --- tables --------------------------------------------------------------------------------------


def test_counts_and_flags_say_the_same():
    counts = pd.DataFrame(
        {"entered": [0, 0], "periods": [1, 2], "churned": [369, 163], "customers": [369, 631]}
    )
    by_status = pd.DataFrame(
        {
            "entered": [0, 0, 0],
            "periods": [1, 2, 2],
            "churned": [True, True, False],
            "customers": [369, 163, 468],
        }
    )
    expected = ShiftedBetaGeometric().fit(counts)
    for table in (by_status, pl.DataFrame(by_status.to_dict("list"))):
        assert ShiftedBetaGeometric().fit(table).params_ == expected.params_
    as_numbers = ShiftedBetaGeometric().fit(by_status.astype({"churned": int}))
    assert as_numbers.params_ == expected.params_
    (flag,) = as_numbers.report_.findings
    assert flag.text == (
        "churned holds only zeros and ones, so it was read as a flag: where it is set, all "
        "customers of the row left. If it counts customers, split those rows in two."
    )
    twice = ShiftedBetaGeometric().fit(counts, sample_weight=[2.0, 2.0])
    assert twice.params_ == pytest.approx(expected.params_, rel=1e-6)
    assert twice.log_likelihood_ == pytest.approx(2 * expected.log_likelihood_, rel=1e-9)


GOOD = {"entered": [0, 1], "periods": [1, 4], "churned": [3, 2], "customers": [3, 9]}


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("entered", [0, 5], "the contract ends before it is first observed, in 1 row"),
        ("periods", [1, 1], "customers left at the age at which they were first observed, in 1"),
        ("periods", [1, 2.5], "periods is not a whole number of billing periods in 1 row"),
        ("periods", [1, 1e7], "periods is not a whole number of billing periods in 1 row"),
        ("entered", [np.nan, 1], "entered is missing, negative or infinite in 1 row"),
        ("churned", [-3, 2], "churned is missing, negative or infinite in 1 row"),
        ("customers", [2, 9], "churned is above customers in 1 row, such as row=0"),
    ],
)
def test_rows_that_break_a_rule_are_named(column, values, message):
    with pytest.raises(RowError, match=message):
        BetaDiscreteWeibull().fit(pd.DataFrame(GOOD | {column: values}))


def test_missing_flags_are_not_taken_for_customers_who_stayed():
    table = pl.DataFrame(GOOD | {"churned": [True, None]})
    with pytest.raises(RowError, match="churned is missing"):
        ShiftedBetaGeometric().fit(table)


def test_tables_that_settle_nothing_are_refused():
    with pytest.raises(ColumnError, match=r"has no column customers"):
        ShiftedBetaGeometric().fit(pd.DataFrame(GOOD).drop(columns="customers"))
    with pytest.raises(FitError, match="nobody left"):
        ShiftedBetaGeometric().fit(pd.DataFrame(GOOD | {"churned": [0, 0]}))
    first = {"entered": [0, 3], "periods": [1, 4], "churned": [3, 9]}
    with pytest.raises(FitError, match="everybody left at the first renewal"):
        ShiftedBetaGeometric().fit(pd.DataFrame(GOOD | first))
    with pytest.raises(FitError, match="nobody left"):
        ShiftedBetaGeometric().fit(pd.DataFrame(GOOD).iloc[:0].astype(float))


def test_a_single_renewal_settles_the_rate_alone():
    table = pd.DataFrame({"entered": [0], "periods": [1], "churned": [30], "customers": [100]})
    model = ShiftedBetaGeometric().fit(table)
    assert model.retention_rate(1) == pytest.approx(0.7, abs=1e-6)
    assert model.report_.findings[-1].text.startswith("only one renewal was observed")
    weibull = BetaDiscreteWeibull().fit(table)
    assert weibull.report_.findings[-1].text.startswith("1 renewal in all: too few")


@pytest.mark.parametrize(
    "ask",
    [
        lambda model: model.survival(-1),
        lambda model: model.survival([1, np.nan]),
        lambda model: model.retention_rate(0),
        lambda model: model.discounted_expected_lifetime(-0.1),
        lambda model: model.discounted_expected_lifetime(0.1, horizon=-1),
        lambda model: model.expected_lifetime(1e9),
        lambda model: model.discounted_expected_residual_lifetime(0, 0.1),
    ],
)
def test_questions_without_sense_are_refused(ask):
    with pytest.raises(InputError, match="Hint: "):
        ask(PARAMETERS[0])


# --- choice and doubt ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segment", "years", "error"),
    [("regular", 7, 0.014), ("regular", 5, 0.005), ("high_end", 7, 0.013), ("high_end", 5, 0.006)],
)
def test_the_model_chosen_without_looking_forecasts_the_years_held_out(segment, years, error):
    active = np.array(PUBLISHED["contracts"][segment])
    choice = choose_contract_model(cohort(active, years))
    assert choice.held_out["BetaDiscreteWeibull"] > choice.held_out["constant churn"]
    later = np.arange(years + 1, 13)
    missed = np.mean(np.abs(choice.model.survival(later) * 1000 / active[later] - 1))
    assert missed == pytest.approx(error, abs=5.1e-4)
    low, high = choice.model.interval(lambda model: model.survival(later))
    assert np.all((low * 1000 <= active[later]) & (active[later] <= high * 1000))


def test_few_renewals_and_customers_who_are_alike():
    few = choose_contract_model(cohort(np.array([1000, 631, 468, 382, 326]), 4))
    assert type(few.model) is ShiftedBetaGeometric
    assert few.reason.text == (
        "the shifted beta-geometric model, as 4 renewals are too few to choose by."
    )
    alike = choose_contract_model(cohort((20_000 * 0.8 ** np.arange(11)).round().astype(int), 10))
    assert "A constant churn rate forecast these as well or better" in alike.reason.text


def test_intervals_of_anything_a_model_says():
    table = cohort(np.array(PUBLISHED["contracts"]["regular"]), 7)
    model = ShiftedBetaGeometric().fit(table).with_covariance(table)
    low, high = model.interval(lambda m: m.discounted_expected_residual_lifetime([1, 8], 0.1))
    values = model.discounted_expected_residual_lifetime([1, 8], 0.1)
    assert np.all((low < values) & (values < high))
    # a share of 1,000 customers: at age 7, where data are, about as sure as the count itself
    low, high = model.interval(lambda m: m.survival(7))
    assert (high - low) / 3.29 == pytest.approx(np.sqrt(0.241 * 0.759 / 1000), rel=0.35)


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize(("rate", "horizon"), [(0.1, np.inf), (0.01, 36), (0.0, 5)])
def test_many_renewals_are_worked_out_as_each_alone(model, rate, horizon):
    n = np.array([[3, 1], [240, 17]])
    together = model.discounted_expected_residual_lifetime(n, rate, horizon)
    alone = [model.discounted_expected_residual_lifetime(k, rate, horizon) for k in n.ravel()]
    assert together == pytest.approx(np.reshape(alone, (2, 2)), rel=1e-11)


# --- covariates ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def channels():
    """20,000 customers, of whom those won by search leave as under 1.6 alpha and 0.7 beta."""
    rng, n = np.random.default_rng(12), 20_000
    search, entered = np.arange(n) % 3 == 0, rng.integers(0, 6, n)
    theta = rng.beta(np.where(search, 0.8, 0.5), np.where(search, 2.8, 4.0))
    leaves, last = rng.geometric(theta), entered + rng.integers(1, 13, n)
    table = {"entered": entered, "periods": np.minimum(leaves, last), "churned": leaves <= last}
    table |= {"customers": 1, "channel": np.where(search, "search", "mail")}
    return pd.DataFrame(table)[leaves > entered]


@pytest.mark.parametrize("kind", MODELS.values())
def test_customers_who_differ_by_channel(kind, channels):
    model = kind(covariates=["channel"]).fit(channels).with_covariance(channels)
    truth = {"alpha": 0.5, "beta": 4.0, "c": 1.0}
    truth |= {"leaving[channel=search]": 1.6, "staying[channel=search]": 0.7}
    errors = model.covariance_.standard_errors
    for name, value in model.params_.items():
        assert abs(np.log(value / truth[name])) < 3 * errors[f"log {name}"], name
    assert model.report_.converged
    plain = kind().fit(channels)
    apart = {name: kind().fit(part) for name, part in channels.groupby("channel")}
    both = sum(each.log_likelihood_ for each in apart.values())
    assert plain.log_likelihood_ + 50 < model.log_likelihood_ <= both + 1e-6
    if kind is ShiftedBetaGeometric:  # two levels, two parameters each: as two models
        assert model.log_likelihood_ == pytest.approx(both, abs=1e-6)
        search = model.at(channel="search").params_
        assert search == pytest.approx(apart["search"].params_, rel=1e-3)
    again = kind.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.at(channel="mail").survival([3, 9]) == pytest.approx(
        model.at(channel="mail").survival([3, 9])
    )
    low, high = again.interval(lambda m: m.at(channel="search").survival(12))
    right = ShiftedBetaGeometric.from_params(alpha=0.8, beta=2.8).survival(12)
    assert low < right < high < low + 0.1
    with pytest.raises(InputError, match="differ by covariates"):
        model.survival(3)


def test_a_prior_holds_a_channel_of_few_customers(channels):
    few = channels.assign(channel="mail")
    few.iloc[:5, few.columns.get_loc("channel")] = "app"
    few.iloc[:5, :3] = [0, 6, False]  # five customers, none of whom left
    lazy = pl.from_pandas(few).lazy()
    free = ShiftedBetaGeometric(covariates=["channel"]).fit(lazy)
    held = ShiftedBetaGeometric(covariates=["channel"], effect_sd=0.3).fit(lazy)
    assert free.at(channel="app").survival(12) > 0.99
    base = held.at(channel="mail").survival(12)
    assert base < held.at(channel="app").survival(12) < base + 0.1
