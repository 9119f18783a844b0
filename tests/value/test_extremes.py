"""Summaries of every kind through every model: a number that can be, or an error that has a name.

A sample of the summaries is in the suite; ``CLV_SUMMARIES=20000`` tries as many. Each is fitted,
scored and valued by every model, so that a run of all takes hours.
"""

import os
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from clv.errors import ClvError
from clv.periods import Duration
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.models import MODELS
from clv.value.predictive import value_interval
from clv.value.value import Terms

SUMMARIES = int(os.environ.get("CLV_SUMMARIES", "7"))
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


def summary(seed):
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    x, t_x, T = kind(rng, int(10 ** rng.uniform(0, 1.8)))
    t_x = np.where(x > 0, np.minimum(t_x, T), 0.0)
    spread = 10 ** rng.uniform(-3, 0.5)
    money = 10 ** rng.uniform(-4, 7) * rng.lognormal(0, spread, len(x))
    if rng.random() < 0.2:
        money[:] = money[0]
    table = pd.DataFrame({"frequency": x, "recency": t_x, "T": T, "monetary_value": money})
    return table.assign(customer_id=np.arange(len(x)), unit="day")


def check(seed):
    """Nothing but figures that can be, or an error of this package."""
    table = summary(seed)
    try:
        spend = GammaGamma().fit(table)
    except ClvError:
        spend = GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
    for kind in MODELS.values():
        try:
            model = kind(unit="day").fit(table)
        except ClvError as error:
            assert error.hint  # noqa: PT017 - most summaries raise nothing
            continue
        assert np.isfinite([*model.params_.values(), model.log_likelihood_]).all()
        check_scores(model, spend, table)


def check_scores(model, spend, table):
    alive = model.probability_alive(table)
    assert np.all((alive >= 0) & (alive <= 1))
    spans = [model.probability_of_purchase(t, table) for t in (0.0, 1.0, 30.0, 365.0, 3650.0)]
    for sooner, later in pairwise(spans):
        assert np.all(sooner <= later * (1 + 1e-10))  # and so monotone in the horizon
    assert np.all(spans[-1] <= alive * (1 + 1e-10))
    counts = [model.conditional_expected_purchases(t, table) for t in (30.0, 365.0)]
    assert np.all((counts[0] >= 0) & (counts[0] <= counts[1] * (1 + 1e-9)))
    assert np.isfinite(counts[1]).all()
    discounted = model.discounted_expected_purchases(365.0, 0.001, table)
    assert np.all(discounted <= counts[1] * (1 + 1e-9))
    new = model.expected_purchases([1.0, 365.0])
    assert 0 <= new[0] <= new[1] * (1 + 1e-12) < np.inf
    pmf = model.probability_of_purchases([0, 1, 2, 50], 30.0, table)
    assert np.all((pmf >= -1e-12) & (pmf <= 1 + 1e-9))
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


@pytest.mark.parametrize("seed", range(SUMMARIES))
def test_a_figure_that_can_be_or_an_error_with_a_name(seed):
    check(seed)
