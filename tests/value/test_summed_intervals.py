"""Intervals of sums of independent values, against simulation."""

import numpy as np
import pytest

from clv.probability.shifted_beta_geometric import ShiftedBetaGeometric
from clv.value.summed_intervals import NODE_LEVELS, nodes_between, summed_quantiles

RNG = np.random.default_rng(4)
N = 40_000


def contract(price, paid, most=36):
    """What a contract is worth: payments until it is not renewed, at most so many."""
    model = ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.8 + paid)
    left = RNG.random(N)[:, None] > model.survival(np.arange(1, most + 1))
    made = left.argmax(axis=1) + most * ~left.any(axis=1)
    return price * np.concatenate([[0], np.cumsum(0.992 ** np.arange(most))])[made]


def buyer(silent, mean, spread):
    return np.where(RNG.random(N) < silent, 0, mean * np.exp(spread * RNG.normal(size=N)))


MADE = {
    "young": contract(30, 0),
    "old": contract(60, 20),
    "annual": contract(200, 0, 3),
    "one-timer": buyer(0.4, 80, 1.2),
    "regular": buyer(0.05, 200, 0.7),
}


def covered(values, low, high):
    total = sum(values)
    return np.mean((total >= low - 1e-9) & (total <= high + 1e-9))


@pytest.mark.parametrize("names", [("young", "young"), ("young", "old", "annual"), ("old",) * 4])
def test_sums_of_contracts_hold_nine_in_ten(names):
    values = [RNG.permutation(MADE[name]) for name in names]
    nodes = np.array([np.quantile(v, NODE_LEVELS) for v in values])
    _, (low, median, high) = summed_quantiles(["a"] * len(names), nodes.__getitem__)
    assert covered(values, low[0], high[0]) == pytest.approx(0.9, abs=0.03)
    assert median[0] == pytest.approx(np.median(sum(values)), rel=0.03)
    ends = [np.quantile(v, [0.05, 0.95]) for v in values]
    assert covered(values, *np.sum(ends, axis=0)) > 0.97  # sums of quantiles are too wide


@pytest.mark.parametrize("subscriber", ["young", "old", "annual"])
@pytest.mark.parametrize("shopper", ["one-timer", "regular"])
def test_who_buys_and_subscribes_has_an_interval_of_both(subscriber, shopper):
    values = [MADE[subscriber], RNG.permutation(MADE[shopper])]
    quantiles = np.array([np.quantile(v, [0.05, 0.5, 0.95]) for v in values]).T
    nodes = nodes_between(np.array([v.mean() for v in values]), quantiles, np.array([True, False]))
    assert np.all(np.diff(nodes, axis=1) >= -1e-9)
    _, (low, _, high) = summed_quantiles([3, 3], nodes.__getitem__)
    assert covered(values, low[0], high[0]) == pytest.approx(0.9, abs=0.06)


def test_each_sum_is_of_its_own_values():
    nodes = np.array([np.full(40, x) for x in (1.0, 10.0, 100.0, 1000.0)])
    names, ends = summed_quantiles(["b", "a", "b", "b"], nodes.__getitem__)
    assert names.tolist() == ["a", "b"]
    assert np.all(ends == [10.0, 1101.0])
