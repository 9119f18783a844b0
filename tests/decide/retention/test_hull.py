"""Several actions under one budget: exact for the linear programme, never over a limit."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from clv.decide.retention.capacity import choose
from clv.decide.retention.hull import FEW, NOBODY, best_first, fund, hull_steps

CASES = range(120)


def case(seed, n=None):
    """A random problem; every third has customers all alike, so that everything ties."""
    rng = np.random.default_rng(seed)
    n, k = n or int(rng.integers(3, 40)), int(rng.integers(1, 4))
    cost = rng.gamma(2, 2, (k, n)).round(int(rng.integers(0, 3)))
    gain = cost * rng.gamma(2, 1, (k, n)).round(1) - rng.random()
    if seed % 3 == 0:
        cost, gain = (np.repeat(a[:, :1], n, axis=1) for a in (cost, gain))
    budget = float(rng.choice([np.inf, cost.sum() * rng.uniform(0.05, 0.5)]))
    capacity = np.where(rng.random(k) < 0.6, rng.integers(0, n, k), np.inf).astype(float)
    return cost, gain, budget, capacity, rng.random(n)


def planned(cost, gain, budget, capacity, draw, held_out=None):
    held_out = np.zeros(len(draw), dtype=bool) if held_out is None else held_out
    return choose(cost, gain, budget, capacity, held_out, draw)


def used(plan, cost, k):
    rows = np.flatnonzero(plan.action != NOBODY)
    return cost[plan.action[rows], rows].sum(), np.bincount(plan.action[rows], minlength=k)


def relaxed(cost, gain, budget, capacity):
    """The linear programme that may split customers, by HiGHS; no part of what nobody can pay."""
    k, n = cost.shape
    profit = np.where(cost <= budget, gain - cost, -1e6)
    rows = [np.repeat(np.eye(n)[i][None, :], k, axis=0).ravel() for i in range(n)]
    limits = [1.0] * n
    if np.isfinite(budget):
        rows, limits = [*rows, cost.ravel()], [*limits, budget]
    for j in np.flatnonzero(np.isfinite(capacity)):
        rows.append(np.repeat(np.eye(k)[j], n))
        limits.append(capacity[j])
    return -linprog(-profit.ravel(), A_ub=np.array(rows), b_ub=limits, bounds=(0, 1)).fun


def enumerated(cost, gain, budget, capacity):
    """The best plan of all, one by one."""
    k, n = cost.shape
    best = 0.0
    for actions in itertools.product(range(-1, k), repeat=n):
        a = np.array(actions)
        rows = np.flatnonzero(a >= 0)
        fits = cost[a[rows], rows].sum() <= budget * (1 + 1e-12)
        if fits and (np.bincount(a[rows], minlength=k) <= capacity).all():
            best = max(best, (gain - cost)[a[rows], rows].sum())
    return best


@pytest.mark.parametrize("seed", CASES)
def test_never_over_budget_or_capacity_and_the_bound_is_that_of_the_linear_programme(seed):
    cost, gain, budget, capacity, draw = case(seed)
    plan = planned(cost, gain, budget, capacity, draw)
    spent, counts = used(plan, cost, len(cost))
    assert spent <= budget * (1 + 1e-9)
    assert (counts <= capacity).all()
    best = relaxed(cost, gain, budget, capacity)
    assert plan.bound == pytest.approx(best, rel=1e-5, abs=1e-5)
    assert plan.profit <= best + 1e-6
    rows = np.flatnonzero(plan.action != NOBODY)
    assert plan.profit == pytest.approx((gain - cost)[plan.action[rows], rows].sum())


@pytest.mark.parametrize("seed", range(30))
def test_against_every_plan_there_is(seed):
    cost, gain, budget, capacity, draw = case(seed, n=5)
    plan = planned(cost, gain, budget, capacity, draw)
    best = enumerated(cost, gain, budget, capacity)
    assert plan.profit <= best + 1e-9
    assert best <= plan.bound + 1e-6 * max(plan.bound, 1)  # no more is lost than is stated


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_best_plan_where_nothing_is_left_over(seed):
    """Every step costs 1, so that a whole budget is used up, and the plan is the best of all."""
    rng = np.random.default_rng(seed)
    k, n = 2, 6
    cost = np.repeat([[1.0], [2.0]], n, axis=1)
    gain = np.cumsum(np.sort(rng.gamma(2, 2, (k, n)), axis=0)[::-1], axis=0)  # concave
    plan = planned(cost, gain, 5.0, np.full(k, np.inf), rng.random(n))
    assert plan.profit == pytest.approx(enumerated(cost, gain, 5.0, np.full(k, np.inf)))
    assert plan.bound == pytest.approx(plan.profit)


@pytest.mark.parametrize("seed", CASES)
def test_never_worse_than_any_one_action_alone(seed):
    cost, gain, budget, capacity, draw = case(seed)
    plan = planned(cost, gain, budget, capacity, draw)
    held = np.zeros(len(draw), dtype=bool)
    for k in range(len(cost)):
        alone = planned(cost[[k]], gain[[k]], budget, capacity[[k]], draw)
        assert plan.profit >= alone.profit - 1e-9
        if np.isinf(capacity[k]):
            assert plan.profit >= fund(cost[[k]], gain[[k]], budget, held, draw).profit - 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_neither_the_currency_nor_the_order_of_customers_matters(seed):
    cost, gain, budget, capacity, draw = case(seed)
    plan = planned(cost, gain, budget, capacity, draw)
    cents = planned(128 * cost, 128 * gain, 128 * budget, capacity, draw)
    assert (cents.action == plan.action).all()
    order = np.random.default_rng(seed).permutation(len(draw))
    shuffled = planned(cost[:, order], gain[:, order], budget, capacity, draw[order])
    assert (shuffled.action == plan.action[order]).all()


def test_the_steps_of_a_customer_are_the_upper_hull():
    """Against the hull by definition: an action is on it iff some price makes it the best one."""
    rng = np.random.default_rng(0)
    cost, gain = rng.gamma(2, 2, (6, 200)), rng.gamma(2, 6, (6, 200))
    steps = hull_steps(cost, gain, np.zeros(200))
    assert (np.diff(steps.ratio) <= 0).all()
    prices = np.exp(np.linspace(0.0, 8.0, 4000))
    for i in range(200):
        worth = gain[:, i][:, None] - prices * cost[:, i][:, None]
        best = np.where(worth.max(axis=0) > 0, worth.argmax(axis=0), NOBODY)
        mine = steps.action[steps.customer == i]
        assert set(best) - {NOBODY} <= set(mine)
        ratios = steps.ratio[steps.customer == i]
        for mu in np.sqrt(ratios[1:] * ratios[:-1]):  # between two steps the first is best
            at = (gain[:, i] - mu * cost[:, i]).argmax()
            assert at == mine[int((ratios > mu).sum()) - 1]


def test_the_held_out_take_no_money_and_no_place_and_follow_the_same_rule():
    rng = np.random.default_rng(1)
    n = 4000
    cost = np.array([np.full(n, 1.0), np.full(n, 4.0)])
    gain = rng.gamma(1, 6, (2, n)) + np.array([[0.0], [2.0]])
    draw = rng.random(n)
    held = draw < 0.25
    plan = choose(cost, gain, 2000.0, np.array([np.inf, 150.0]), held, draw)
    chosen = plan.action != NOBODY
    rows = np.flatnonzero(chosen & ~held)
    assert cost[plan.action[rows], rows].sum() <= 2000
    assert (plan.action[rows] == 1).sum() == 150
    for k in (0, 1):
        of = plan.action == k
        share, error = held[of].mean(), np.sqrt(0.25 * 0.75 / of.sum())
        assert share == pytest.approx(0.25, abs=4 * error)


def test_among_many_customers_the_gap_is_a_trifle():
    """Prices are looked for around those of a sample; what is lost is less than a customer's."""
    rng = np.random.default_rng(2)
    n = 150_000
    cost = np.array([1 + rng.random(n), 5 + rng.random(n)])
    gain = rng.gamma(1, 6, n) * np.array([[0.5], [1.0]]) * rng.random((2, n))
    plan = planned(cost, gain, 50_000.0, np.array([9_000.0, 2_000.0]), rng.random(n))
    assert (plan.prices > 0).all()
    assert plan.bound - plan.profit < (gain - cost).max()


@pytest.mark.parametrize("kind", ["apart", "alike", "close", "free", "tiny"])
def test_many_are_put_in_the_order_that_lexsort_has(kind):
    rng, n = np.random.default_rng(5), FEW + 1_001
    ratio = {
        "apart": rng.lognormal(1, 1, n),
        "alike": rng.integers(1, 50, n) / 7,
        "close": 1 + rng.integers(0, 300, n) + rng.integers(0, 30, n) * 2.0**-44,
        "free": np.where(rng.random(n) < 0.3, np.inf, rng.random(n)),
        "tiny": np.where(rng.random(n) < 0.3, 0.0, 5e-324 * rng.integers(0, 9, n)),
    }[kind]
    for draw in (rng.random(n), np.sort(rng.random(n)), rng.integers(0, 5, n) / 5):
        right = np.lexsort((np.arange(n), draw, -ratio))
        np.testing.assert_array_equal(best_first(ratio, draw), right)
