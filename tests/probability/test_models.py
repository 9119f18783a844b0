"""All purchase models alike: published numbers, a second way to each number, and what must hold.

``case`` walks the models (see conftest.py); a model that joins is one more line there.
"""

import json
import os
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone

from clv.errors import InputError, RowError
from clv.history import Cells, Levels, read_cells, read_history
from clv.periods import continuous_rate
from clv.probability.models import (
    MODELS,
    TITLES,
    ModelName,
    purchase_model,
    saved_purchase_model,
    title,
)

HISTORIES = [
    (0, 0.0, 38.86),
    (1, 1.71, 38.86),
    (2, 30.43, 38.86),
    (7, 29.43, 38.86),
    (12, 12.0, 60),
]
HORIZONS = [0.3, 39.0, 520.0]
EXTREME = int(os.environ.get("CLV_EXTREME", "2000"))  # customers; CLV_EXTREME=10000 is the full run


def frame(histories) -> pd.DataFrame:
    return pd.DataFrame(histories, columns=["frequency", "recency", "T"])


def some(case) -> pd.DataFrame:
    return case.as_counted(frame(HISTORIES))


def cells(table: pd.DataFrame) -> Cells:
    return read_cells(table)


@pytest.fixture(params=["published parameters", 0, 1])
def corner(case, request):
    """A model with its story, at its published parameters and at others."""
    chosen = case.parameters if isinstance(request.param, str) else case.others[request.param]
    return case.model.from_params(chosen), case.latent(**chosen)


# --- published numbers ---------------------------------------------------------------------------


@pytest.fixture
def counted_out(case, cdnow, donations):
    """The customers that a model was published with, and how often each row counts."""
    table = donations if case.whole else cdnow.assign(weights=1)
    return table, table["weights"]


@pytest.mark.published("fit")
def test_published_estimates(case, counted_out, published):
    known = published[case.model.__name__]["fit"]
    model = case.model().fit(counted_out[0], sample_weight=counted_out[1])
    assert model.params_ == pytest.approx(known["parameters"], rel=1e-3)
    assert model.log_likelihood_ == pytest.approx(known["log_likelihood"], abs=0.01)
    assert model.log_likelihood_ >= known["at_least"]
    assert model.report_.converged
    assert model.report_.starts_agreeing == model.report_.starts
    assert model.report_.customers == known["customers"]
    assert model.report_.cells == known["cells"]
    assert not model.report_.findings


@pytest.mark.published("fit")
def test_published_likelihood_at_the_published_estimates(case, counted_out, published):
    known = published[case.model.__name__]["fit"]
    total, _ = case.log_likelihood(known["parameters"], read_cells(*counted_out))
    assert total == pytest.approx(known["log_likelihood"], abs=0.005)


@pytest.mark.published("expected_purchases")
def test_published_expected_purchases(case, published):
    known = published[case.model.__name__]["expected_purchases"]
    model = case.model.from_params(known["parameters"])
    for t, value, error in zip(known["t"], known["value"], known["error"], strict=True):
        assert model.expected_purchases(t) == pytest.approx(value, abs=error)


@pytest.mark.published("conditional_expected_purchases")
def test_published_conditional_expected_purchases(case, published):
    known = published[case.model.__name__]["conditional_expected_purchases"]
    for t, value in zip(known["t"], known["value"], strict=True):
        found = case.known().conditional_expected_purchases(t, frame([known["customer"]]))
        assert found.round(known["digits"]) == pytest.approx([value], abs=1e-9)


@pytest.mark.published("existing")
def test_reference_of_an_existing_customer(case, published):
    known = published[case.model.__name__]["existing"]
    model, X = case.known(), frame([known["customer"]])
    delta = continuous_rate(known["annual_rate"], known["periods_per_year"])
    assert model.probability_alive(X) == pytest.approx([known["alive"]], abs=1e-7)
    for t, expected, discounted in zip(
        known["t"], known["expected"], known["discounted"], strict=True
    ):
        found = model.conditional_expected_purchases(t, X)
        assert found == pytest.approx([expected], abs=1e-7)
        found = model.discounted_expected_purchases(t, delta, X)
        assert found == pytest.approx([discounted], abs=1e-6)
    pmf = model.probability_of_purchases(np.arange(6), known["t"][0], X)
    assert pmf[0] == pytest.approx(known["pmf"], abs=1e-6)


@pytest.mark.published("new")
def test_reference_of_a_new_customer(case, published):
    known = published[case.model.__name__]["new"]
    model = case.known()
    assert model.expected_purchases(known["t"]) == pytest.approx(known["expected"], abs=1e-6)
    for rate, t, value in zip(known["annual_rate"], known["t"], known["discounted"], strict=True):
        delta = continuous_rate(rate, known["periods_per_year"])
        assert model.discounted_expected_purchases(t, delta) == pytest.approx(value, abs=1e-6)


# --- the same numbers by sums over the latent rates ----------------------------------------------


@pytest.mark.parametrize("history", HISTORIES)
def test_history_against_the_story(case, corner, history):
    model, story = corner
    history = tuple(case.as_counted(frame([history])).iloc[0])
    one = Cells(*(np.array([float(v)]) for v in history), np.ones(1))
    total, _ = case.log_likelihood(model.params_, one)
    assert total == pytest.approx(story.log_likelihood(*history), abs=1e-9)
    alive = model.probability_alive(frame([history]))
    assert alive == pytest.approx([story.alive(*history)], rel=1e-9)


@pytest.mark.parametrize("t", HORIZONS)
@pytest.mark.parametrize("delta", [0.0, 0.0027, 0.2])
def test_expectations_against_the_story(case, corner, t, delta):
    model, story = corner
    X = some(case)
    by_rates = story.discounted(t, delta)
    found = model.discounted_expected_purchases(t, delta)
    assert found == pytest.approx(story.new(by_rates), rel=1e-8)
    found = model.discounted_expected_purchases(t, delta, X)
    wanted = [story.existing(by_rates, *history) for history in X.to_numpy()]
    assert found == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("t", HORIZONS)
def test_distribution_against_the_story(case, corner, t):
    model, story = corner
    ks = np.array([0, 1, 2, 5, 12])
    by_rates = [story.purchases(int(k), t) for k in ks]
    new = [story.new(p) for p in by_rates] + (1 - story.alive(0, 0, 0)) * (ks == 0)
    assert model.probability_of_purchases(ks, t) == pytest.approx(new, rel=1e-6, abs=1e-14)
    for history in some(case).to_numpy():
        gone = 1 - story.alive(*history)
        wanted = [story.existing(p, *history) for p in by_rates] + gone * (ks == 0)
        found = model.probability_of_purchases(ks, t, frame([history]))[0]
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-14)
    nothing = model.probability_of_no_purchase(t, frame([history]))
    assert nothing == pytest.approx(wanted[0], rel=1e-9)
    assert model.probability_of_purchase(t, frame([history])) == pytest.approx(1 - nothing)


# --- the distribution ----------------------------------------------------------------------------


def test_distribution_sums_to_one_and_has_the_expectation_as_mean(case):
    model = case.known(**case.thin)  # a thin tail, so that 2,000 terms are all of it
    ks, X = np.arange(2000), some(case)[:4]
    new = model.probability_of_purchases(ks, 20.0)
    existing = model.probability_of_purchases(ks, 20.0, X)
    assert new.sum() == pytest.approx(1, abs=1e-10)
    assert new @ ks == pytest.approx(model.expected_purchases(20.0), rel=1e-8)
    assert existing.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-10)
    assert existing @ ks == pytest.approx(model.conditional_expected_purchases(20.0, X), rel=1e-8)


def simulated(case, n, seed, T=None):
    """n histories of customers of age T, or of one age each, or of ages from 10 to 80."""
    rng = np.random.default_rng(seed)
    ages = rng.uniform(10.0, 80.0, n) if T is None else np.full(n, T)
    return case.functions.simulate(case.model._theta(**case.parameters), ages, rng)


def test_distribution_against_simulation(case):
    n, t = 200_000, 39.0
    drawn = np.bincount(simulated(case, n, 1, t).x.astype(int), minlength=400)
    pmf = case.known().probability_of_purchases(np.arange(len(drawn)), t)
    common = n * pmf > 20
    seen = np.append(drawn[common], drawn[~common].sum())
    wanted = np.append(n * pmf[common], n * (1 - pmf[common].sum()))
    assert stats.chisquare(seen, wanted).pvalue > 0.001


def test_base_and_newcomer_agree_on_what_is_to_come(case):
    """The mean of E[Y(t) | history] over customers of one age is E[X(T+t)] - E[X(T)]."""
    model, T, t = case.known(), 40.0, 60.0
    expected = model.conditional_expected_purchases(t, simulated(case, 200_000, 2, T))
    wanted = model.expected_purchases(T + t) - model.expected_purchases(T)
    error = expected.std() / np.sqrt(len(expected))
    assert expected.mean() == pytest.approx(wanted, abs=4 * error)


@pytest.mark.slow
def test_fit_recovers_what_was_simulated(case):
    history = simulated(case, 60_000, 3)
    table = frame(np.column_stack([history.x, history.t_x, history.T]))
    model, grouped = case.model().fit(table), cells(table)
    at = np.log([model.params_[name] for name in model.names])

    def score(logs):
        values = np.exp(logs)
        _, slope = case.log_likelihood(dict(zip(model.names, values, strict=True)), grouped)
        return slope * values

    steps = 1e-4 * np.eye(len(at))
    information = np.array([(score(at - h) - score(at + h)) / 2e-4 for h in steps])
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    truth = np.log([case.parameters[name] for name in model.names])
    assert np.all(np.abs(at - truth) < 3.5 * errors)
    assert np.all(errors < 0.1)


# --- likelihood and gradient ---------------------------------------------------------------------


def histories_of_all_kinds(case, extreme_customers, longest=np.inf) -> Cells:
    extreme = extreme_customers(200, 4)[["frequency", "recency", "T"]]
    both = pd.concat([frame(HISTORIES), extreme[extreme["T"] < longest]])
    return cells(case.as_counted(both))


def test_gradient_against_differences(case, extreme_customers):
    longest = 1e3 if case.whole else np.inf  # a step of a loop for each opportunity
    table = histories_of_all_kinds(case, extreme_customers, longest)
    for parameters in (case.parameters, *case.others, *case.extremes):
        _, slope = case.log_likelihood(parameters, table)
        for i, (name, value) in enumerate(parameters.items()):
            h = 1e-5
            up, down = (
                case.log_likelihood(parameters | {name: value * np.exp(step)}, table)[0]
                for step in (h, -h)
            )
            size = max(abs(up), abs(slope[i] * value))
            assert slope[i] * value == pytest.approx((up - down) / (2 * h), abs=2e-9 * size), name


def test_likelihood_is_finite_at_the_extremes(case, extreme_customers):
    table = histories_of_all_kinds(case, extreme_customers)
    for parameters in case.extremes:
        total, slope = case.log_likelihood(parameters, table)
        assert np.isfinite(total)
        assert np.isfinite(slope).all()


def test_cells_are_as_good_as_customers(case, base):
    grouped = cells(base)
    rows = read_history(base)
    ungrouped = Cells(rows.x, rows.t_x, rows.T, np.ones(len(rows)))
    one, two = (case.log_likelihood(case.parameters, table) for table in (grouped, ungrouped))
    assert one[0] == pytest.approx(two[0], rel=1e-13)
    assert one[1] == pytest.approx(two[1], rel=1e-9)
    assert isinstance(grouped.levels, Levels)


# --- one shape for all ----------------------------------------------------------------------------


def test_clone_and_json(case, base):
    base = base.assign(unit="week")
    model = case.model(unit="week").fit(base)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert (twin.unit, twin.engine) == ("week", "native")
    assert not hasattr(twin, "params_")
    again = saved_purchase_model(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    assert type(again) is case.model
    assert again.to_dict() == model.to_dict()
    assert again.report_ == model.report_
    found = [one.conditional_expected_purchases(39.0, base) for one in (again, model)]
    assert np.array_equal(*found)


def test_models_by_name(case):
    (name,) = (name for name, model in MODELS.items() if model is case.model)
    assert purchase_model(name) is case.model
    assert name in get_args(ModelName)
    assert title(case.known()) == TITLES[name]


# --- invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [7, 168, 1 / 52, 1e-6, 1e6])
def test_another_time_unit_is_the_same_model(timed_case, cdnow, factor):
    """Weeks in days: time-like parameters scale, the log-likelihood shifts by sum(x) log 7."""
    scaled = cdnow.assign(recency=cdnow["recency"] * factor, T=cdnow["T"] * factor)
    one, two = timed_case.model().fit(cdnow), timed_case.model().fit(scaled)
    times = {name: one.params_[name] * factor for name in one.times}
    wanted = one.params_ | times
    assert two.params_ == pytest.approx(wanted, rel=1e-7)
    shift = cdnow["frequency"].sum() * np.log(factor)
    assert two.log_likelihood_ == pytest.approx(one.log_likelihood_ - shift, abs=1e-6)
    same = two.conditional_expected_purchases(39 * factor, scaled)
    assert same == pytest.approx(one.conditional_expected_purchases(39, cdnow), rel=1e-7)


@pytest.mark.parametrize("factor", [7, 1 / 52])
def test_an_opportunity_is_no_time_unit(counted_case, cdnow, factor):
    """Weeks are not seven opportunities each: the fit is another, and parts are refused."""
    weeks = counted_case.as_counted(cdnow)
    scaled = weeks.assign(recency=weeks["recency"] * factor, T=weeks["T"] * factor)
    if factor < 1:
        with pytest.raises(RowError, match=r"not a whole number in 2,357 rows, .*(?s:.*)Hint"):
            counted_case.model().fit(scaled)
        return
    one, two = counted_case.model().fit(weeks), counted_case.model().fit(scaled)
    assert two.params_ != pytest.approx(one.params_, rel=1e-2)
    rates = [m.expected_purchases(t) for m, t in ((one, 39.0), (two, 39.0 * factor))]
    assert rates[1] == pytest.approx(rates[0], rel=0.1)  # and still it is the same story


def test_row_order_only_orders_the_results(case, base):
    order = np.random.default_rng(5).permutation(len(base))
    shuffled = base.iloc[order]
    model, again = case.model().fit(base), case.model().fit(shuffled)
    assert again.params_ == model.params_  # cells come in one order, so this is exact
    for verb in (
        model.probability_alive,
        lambda X: model.conditional_expected_purchases(39, X),
        lambda X: model.probability_of_no_purchase(13, X),
        lambda X: model.probability_of_purchases([0, 3], 13, X),
    ):
        assert np.array_equal(verb(shuffled), verb(base)[order])


def test_weight_two_is_the_row_twice(case, base):
    some = base.head(300)
    weight = 1 + np.arange(300) % 3
    weighted = case.model().fit(some, sample_weight=weight)
    repeated = case.model().fit(some.loc[some.index.repeat(weight)].drop(columns="customer_id"))
    assert weighted.params_ == pytest.approx(repeated.params_, rel=1e-9)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-12)
    assert weighted.report_.customers == weight.sum()


def test_weight_zero_is_no_row(case, base):
    weight = (np.arange(len(base)) < 500).astype(float)
    weighted = case.model().fit(base, sample_weight=weight)
    assert weighted.params_ == case.model().fit(base.head(500)).params_


@pytest.mark.slow
def test_a_sample_of_cells_only_shortens_the_way(case, monkeypatch):
    """Large fits compare their starts on a sample; the maximum is that of all customers."""
    ages = np.random.default_rng(0).uniform(10.0, 160.0, 15_000) if case.whole else None
    history = simulated(case, 15_000, 6, ages)
    table = frame(np.column_stack([history.x, history.t_x, history.T]))
    monkeypatch.setattr("clv.probability.estimator.SAMPLES", (500, 2_500))
    short = case.model().fit(table)
    assert short.report_.cells > 5_000
    monkeypatch.setattr("clv.probability.estimator.SAMPLES", (10**9,))
    whole = case.model().fit(table)
    assert short.params_ == pytest.approx(whole.params_, rel=1e-5)  # flat directions
    assert short.log_likelihood_ == pytest.approx(whole.log_likelihood_, abs=1e-6)
    assert short.report_.converged


# --- horizons ------------------------------------------------------------------------------------


def test_horizons_may_differ_between_customers(case):
    model, X = case.known(), some(case)
    t = np.array([0.0, 1.0, 10.0, 10.0, 500.0])
    found = model.discounted_expected_purchases(t, 0.01, X)
    singly = [model.discounted_expected_purchases(h, 0.01, X.iloc[[i]])[0] for i, h in enumerate(t)]
    assert found == pytest.approx(singly, rel=1e-14)
    assert found[0] == 0
    assert model.probability_of_no_purchase(t, X)[0] == 1


def test_a_customer_scores_alone_as_among_others(case):
    """To the last bit, in whichever company, at the boundaries of the parameters too."""
    history = simulated(case, 60, 11)
    for parameters in (case.parameters, case.extremes[2]):
        model = case.model.from_params(parameters)
        for verb in (
            model.probability_alive,
            lambda X, m=model: m.discounted_expected_purchases(39.0, 0.01, X),
            lambda X, m=model: m.probability_of_purchase(13.0, X),
        ):
            alone = [verb(history.where(slice(i, i + 1)))[0] for i in range(60)]
            assert np.array_equal(alone, verb(history))


def test_longer_horizons_never_bring_less(case, extreme_customers):
    """Nor more per unit of time, as customers leave and nobody comes back."""
    X, t = (
        case.as_counted(extreme_customers(40, 10)),
        np.array([0.0, 1.0, 7.0, 30.0, 100.0, 1000.0]),
    )
    for parameters in (case.parameters, *case.extremes):
        model = case.model.from_params(parameters)
        chance = np.array([model.probability_of_purchase(h, X) for h in t])
        assert np.all(chance[:-1] <= chance[1:] * (1 + 1e-12))
        counts = np.array([model.conditional_expected_purchases(h, X) for h in t])
        assert np.all(counts[:-1] <= counts[1:] * (1 + 1e-11))
        pace = np.diff(counts, axis=0) / np.diff(t)[:, None]
        assert np.all(pace[1:] <= pace[:-1] * (1 + 1e-7) + 1e-9)


def test_many_distinct_pairs_are_taken_in_blocks(case, monkeypatch):
    history = simulated(case, 300, 7)
    whole = case.known().conditional_expected_purchases(39.0, history)
    monkeypatch.setattr("clv.probability.estimator.BLOCK", 7)
    found = case.known().conditional_expected_purchases(39.0, history)
    assert found == pytest.approx(whole, rel=1e-13)


def test_endless_horizon_is_the_limit_of_long_ones(case):
    model, X, delta = case.known(), some(case), 0.0027
    endless = model.discounted_expected_purchases(np.inf, delta, X)
    assert endless == pytest.approx(model.discounted_expected_purchases(30 / delta, delta, X), 1e-9)
    assert np.all(endless > model.discounted_expected_purchases(10 / delta, delta, X))
    new = model.discounted_expected_purchases([np.inf, 30 / delta], delta)
    assert new[0] == pytest.approx(new[1], rel=1e-9)


def test_discounting_vanishes_smoothly(case):
    model, X = case.known(), some(case)
    undiscounted = model.conditional_expected_purchases(100.0, X)
    assert model.discounted_expected_purchases(100.0, 1e-12, X) == pytest.approx(undiscounted)


@pytest.mark.parametrize("t", [-1.0, np.nan, [1.0, -1.0]])
def test_impossible_time_spans(case, t):
    model, X = case.known(), some(case)[:2]
    for ask in (
        lambda: model.expected_purchases(t),
        lambda: model.conditional_expected_purchases(t, X),
        lambda: model.probability_of_no_purchase(t, X),
        lambda: model.probability_of_purchases(1, t, X),
        lambda: model.probability_of_purchases(1, t),
    ):
        with pytest.raises(InputError, match="negative"):
            ask()


def test_impossible_questions(case):
    model, X = case.known(), some(case)
    with pytest.raises(InputError, match="infinite"):
        model.conditional_expected_purchases(np.inf, X)
    with pytest.raises(InputError, match="discount rate"):
        model.discounted_expected_purchases(10, -0.1, X)
    with pytest.raises(InputError, match="whole numbers"):
        model.probability_of_purchases(1.5, 10, X)
    with pytest.raises(InputError, match="shape"):
        model.conditional_expected_purchases([1.0, 2.0], X)


# --- extremes ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_extreme_customers(case, extreme_customers):
    X = case.as_counted(extreme_customers(EXTREME, 8))
    for parameters in (case.parameters, *case.others):
        check_sanity(case.model.from_params(parameters), X)


@pytest.mark.slow
def test_extreme_parameters(case, extreme_customers):
    X = case.as_counted(extreme_customers(100, 9))
    for parameters in case.extremes:
        check_sanity(case.model.from_params(parameters), X)


def check_sanity(model, X):
    alive = model.probability_alive(X)
    assert np.all((alive >= 0) & (alive <= 1))
    expected = model.conditional_expected_purchases(90.0, X)
    discounted = model.discounted_expected_purchases(90.0, 0.01, X)
    assert np.isfinite(expected).all()
    assert np.all((discounted >= 0) & (discounted <= expected * (1 + 1e-12)))
    some = model.probability_of_purchase(90.0, X)
    assert np.all((some >= 0) & (some <= alive * (1 + 1e-12)))
    assert np.all(expected >= some * (1 - 1e-7))  # a mean count is at least P(count > 0)
    assert np.all(model.probability_of_no_purchase(90.0, X) >= 0)
    pmf = model.probability_of_purchases([0, 1, 2, 100, 50_000], 90.0, X)
    assert np.isfinite(pmf).all()
    assert np.all((pmf >= 0) & (pmf <= 1 + 1e-9))
    assert pmf.sum(axis=1).max() <= 1 + 1e-9
    new = model.discounted_expected_purchases([0.0, 1e-6, 1.0, 1e4], 0.001)
    assert np.isfinite(new).all()
    assert np.all(np.diff(new) >= 0)
