"""Summaries of every kind through every model: a number that can be, or an error that has a name.

Fifty summaries at a time go through every model, at parameters drawn from anywhere that a fit may
end; with each fifty goes one that is fitted, and one model's intervals are asked. A sample is in
the suite; ``CLV_SUMMARIES=20000`` tries as many, four hundred at a time.
"""

import os
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import simpson

from clv.errors import ClvError
from clv.history import History, read_cells, read_history
from clv.periods import Duration
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.models import MODELS
from clv.value.predictive import value_interval
from clv.value.value import Terms

SUMMARIES = int(os.environ.get("CLV_SUMMARIES", "150"))
TOGETHER = 50 if SUMMARIES < 2000 else 400
TERMS = Terms(0.3, 0.1, Duration(2, "year"))


def plausible(rng, n):
    """Customers of one made-up shop, in whole days."""
    T = np.ceil(rng.uniform(1, 10 ** rng.uniform(1, 3), n))
    rate = rng.gamma(10 ** rng.uniform(-1.5, 1), 10 ** rng.uniform(-3, 0), n)
    leaves = rng.exponential(10 ** rng.uniform(0, 4), n)
    x = np.minimum(rng.poisson(rate * np.minimum(T, leaves)), T)
    t_x = np.where(x > 0, np.clip(np.ceil(np.minimum(T, leaves) * rng.beta(x + 0.5, 1)), x, T), 0)
    return x, t_x, T


def anything(rng, n):
    """Histories of any size that is not impossible, each customer in a world apart."""
    T = 10 ** rng.uniform(-9, 9, n)
    x = np.floor(10 ** rng.uniform(-1, 5, n))
    return x, np.where(x > 0, T * rng.beta(0.3, 0.3, n), 0), T


def whole(rng, n):
    """Opportunities of a long row, used often, hardly ever, or up to a day long ago."""
    T = np.floor(10 ** rng.uniform(0, 4, n))
    t_x = np.floor(T * rng.beta(0.3, 0.3, n))
    return np.floor(t_x * rng.beta(0.3, 0.3, n)) + (t_x > 0), t_x, T


def alike(rng, n):
    """All customers the same, which puts every fit at a boundary."""
    x, T = float(rng.integers(1, 5)), float(rng.integers(5, 400))
    t_x = np.ceil(T * rng.uniform(x / T, 1))
    return np.full(n, x), np.full(n, max(t_x, x)), np.full(n, T)


def at_the_end(rng, n):
    """Everybody bought on the last day, or on the first only, or once and never again."""
    x, _, T = plausible(rng, n)
    last = [T, np.zeros(n), np.minimum(1.0, T)][rng.integers(3)]
    return np.where(last > 0, np.clip(x, 1, last), 0), last, T


def with_one_odd(rng, n):
    """A plausible shop with one customer from elsewhere."""
    columns = [plausible(rng, n), anything(rng, 1)]
    return tuple(np.concatenate(pair) for pair in zip(*columns, strict=True))


KINDS = (plausible, plausible, anything, whole, alike, at_the_end, with_one_odd)


def summary(rng, kind, most):
    """A table of one kind, of 1 to ``most`` customers."""
    x, t_x, T = kind(rng, int(most ** rng.uniform()))
    t_x = np.where(x > 0, np.minimum(t_x, T), 0.0)
    spread = 10 ** rng.uniform(-3, 0.5)
    money = 10 ** rng.uniform(-4, 7) * rng.lognormal(0, spread, len(x))
    if rng.random() < 0.2:
        money[:] = money[0]
    return pd.DataFrame({"frequency": x, "recency": t_x, "T": T, "monetary_value": money})


def named(table):
    return table.assign(customer_id=np.arange(len(table)), unit="day")


def anywhere(rng, kind):
    """A model at parameters from anywhere that a fit may end."""
    reach = np.where(rng.random(len(kind.names)) < 0.15, 9, 2.5)
    drawn = 10 ** (reach * rng.uniform(-1, 1, len(kind.names)))
    times = [30.0 if name in kind.times else 1.0 for name in kind.names]
    return kind.from_params(dict(zip(kind.names, drawn * times, strict=True)), unit="day")


def fitted(rng, kind, table):
    """The model of a table, or None where it says by name why there is none."""
    try:
        model = kind(unit="day").fit(table)
    except ClvError as error:
        assert error.hint  # noqa: PT017 - most summaries raise nothing
        return None
    assert np.isfinite([*model.params_.values(), model.log_likelihood_]).all()
    # All that a fit sees is the cells: those of any order, and of a row twice as of weight 2.
    cells = read_cells(table)
    again = read_cells(table.iloc[rng.permutation(len(table))])
    double = read_cells(pd.concat([table, table]).assign(customer_id=range(2 * len(table))))
    weighed = read_cells(table, np.full(len(table), 2.0))
    for name in ("x", "t_x", "T", "count"):
        assert np.array_equal(getattr(cells, name), getattr(again, name))
        assert np.array_equal(getattr(double, name), getattr(weighed, name))
    return model


def in_weeks(model, history):
    """The same customers and parameters with time in weeks."""
    params = {n: v / 7 if n in model.times else v for n, v in model.params_.items()}
    weeks = History(history.x, history.t_x / 7, history.T / 7)
    regular = {"k": model.k_} if hasattr(model, "k_") else {}
    return type(model).from_params(params, unit="week", **regular), weeks


def check_scores(rng, model, history):
    """Nothing but figures that can be, alike in any order of rows and any unit of time."""
    alive = model.probability_alive(history)
    assert np.all((alive >= 0) & (alive <= 1))
    spans = [model.probability_of_purchase(t, history) for t in (0.0, 1.0, 30.0, 365.0, 3650.0)]
    for sooner, later in pairwise(spans):
        assert np.all(sooner <= later * (1 + 1e-10))  # and so monotone in the horizon
    assert np.all(spans[-1] <= alive * (1 + 1e-10))
    rates = [0.0, 0.001]
    counts, discounted = model.discounted_expected_purchases(365.0, rates, history).T
    sooner = model.conditional_expected_purchases(30.0, history)
    assert np.all((sooner >= 0) & (sooner <= counts * (1 + 1e-9)))
    assert np.isfinite(counts).all()
    assert np.all(spans[3] <= counts * (1 + 1e-9))  # P(N > 0) <= E[N]
    assert np.all(discounted <= counts * (1 + 1e-9))
    new = model.expected_purchases([1.0, 365.0])
    assert 0 <= new[0] <= new[1] * (1 + 1e-12) < np.inf
    pmf = model.probability_of_purchases([0, 1, 2, 50], 30.0, history)
    assert np.all((pmf >= -1e-12) & (pmf <= 1 + 1e-9))
    order = rng.permutation(len(history))
    mixed = model.conditional_expected_purchases(365.0, history.where(order))
    assert np.array_equal(mixed, counts[order])
    if model.times:
        weekly, same = in_weeks(model, history)
        again = weekly.conditional_expected_purchases(365.0 / 7, same)
        assert again == pytest.approx(counts, rel=1e-8, abs=1e-100)
        check_additivity(model, history.where(order[:8]), (counts - sooner)[order[:8]])


def check_additivity(model, history, between):
    """What is expected from day 30 to 365, by Simpson's rule over the rate in log time."""
    expected = 0.0
    for share, known in model._by_stage(history):
        theta = model._given_alive(model._parameters(), known.x, known.T)
        scale = np.asarray(model._slowing_time(theta))
        u = np.linspace(np.log1p(30.0 / scale), np.log1p(365.0 / scale), 201)
        rate = model._purchase_rate(theta, scale * np.expm1(u)) * scale * np.exp(u)
        expected = expected + share * simpson(rate, x=u, axis=0)
    expected = expected * model.probability_alive(history)
    whole = model.conditional_expected_purchases(365.0, history)
    assert np.all(np.abs(between - expected) <= 1e-5 * expected + 1e-9 * whole + 1e-30)


def check_interval(model, spend, table):
    try:
        interval = value_interval(table, model, spend, TERMS)
    except ClvError as error:
        assert error.hint  # noqa: PT017 - most summaries raise nothing
        return
    for what in ("clv", "purchases"):
        ends = interval[[f"{what}_{end}" for end in ("low", "median", "high")]].to_numpy()
        assert np.isfinite(ends).all()
        assert np.all(ends[:, 0] >= 0)
        assert np.all(np.diff(ends, axis=1) >= 0)
    assert np.isfinite(interval["clv"]).all()
    assert np.all(interval["clv"] >= 0)
    p, q, v = spend.params_.values()
    cents = table.assign(monetary_value=100 * table["monetary_value"])
    again = value_interval(cents, model, GammaGamma.from_params(p=p, q=q, v=100 * v), TERMS)
    for column in ("clv", "clv_low", "clv_median", "clv_high"):
        expected = 100 * interval[column].to_numpy()
        assert again[column].to_numpy() == pytest.approx(expected, rel=1e-6, abs=1e-290)


def check(seed):
    """One lot of summaries."""
    rng = np.random.default_rng(seed)
    kinds = [KINDS[(seed + i) % len(KINDS)] for i in range(TOGETHER)]
    tables = [summary(rng, kind, 8) for kind in kinds]
    models, money = list(MODELS.values()), GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
    in_days = [table for table in tables if not (table.to_numpy()[:, :3] % 1).any()]
    for kind in models:
        lot = named(pd.concat(tables if kind.times else in_days, ignore_index=True))
        model = anywhere(rng, kind)
        check_scores(rng, model, read_history(lot))
        if kind is models[seed % len(models)]:
            check_interval(model, money, lot.sample(6, random_state=seed))
    one = named(summary(rng, kinds[0], 60))
    model = fitted(rng, models[seed // len(models) % len(models)], one)
    if model is not None:
        check_scores(rng, model, read_history(one))
        try:
            money = GammaGamma().fit(one)
        except ClvError as error:
            assert error.hint  # noqa: PT017 - some have nothing to learn from
        check_interval(model, money, one.head(4))


@pytest.mark.parametrize("seed", range(-(-SUMMARIES // TOGETHER)))
def test_a_figure_that_can_be_or_an_error_with_a_name(seed):
    check(seed)
