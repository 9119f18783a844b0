"""The solver against other ways to search, over random markets (property tests)."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.response import MichaelisMenten, Power

few = settings(deadline=None, max_examples=60)
powers = st.builds(Power, k=st.floats(0.1, 100), b=st.floats(0.05, 0.95))
saturating = st.builds(MichaelisMenten, V=st.floats(1, 1000), K=st.floats(10, 1e5))


@st.composite
def channels(draw, most=5):
    """Channels with bounds, some of them locked."""
    out = []
    for index in range(draw(st.integers(1, most))):
        lo = draw(st.sampled_from([0.0, 0.0, 100.0, 1500.0]))
        width = draw(st.sampled_from([np.inf, np.inf, 0.0, 500.0, 20_000.0]))
        curve = draw(powers | saturating)
        out.append(Channel(f"c{index}", curve, draw(st.floats(0, 200)), lo=lo, hi=lo + width))
    return out


retentions = st.lists(st.tuples(st.floats(1, 500), st.floats(1, 5000)), max_size=15).map(
    lambda rows: tuple(np.array(rows).reshape(-1, 2).T)
)
budgets = st.floats(100, 1e6)


def profit(plan_channels, retention, spend, kept):
    """Profit by the definition: curves one by one, customers filled in order of gain / cost."""
    total = -sum(spend) - kept
    for channel, s in zip(plan_channels, spend, strict=True):
        total += channel.value * float(channel.response.customers(s))
    for c, g in sorted(zip(*retention, strict=True), key=lambda pair: -pair[1] / pair[0]):
        part = min(1.0, max(kept, 0.0) / c)
        total, kept = total + part * g, kept - part * c
    return total


def least(plan_channels):
    return sum(c.lo for c in plan_channels)


@given(channels(), retentions, budgets)
@few
def test_every_optimality_condition_holds(plan_channels, retention, budget):
    assume(least(plan_channels) <= budget)
    plan = allocate(plan_channels, budget, retention)
    assert plan.kkt_residual < 1e-8
    spent = sum(plan.spend.values()) + plan.retention_spend
    assert spent <= budget * (1 + 1e-12)
    for c in plan_channels:
        assert c.lo <= plan.spend[c.name] <= c.hi
    ours = profit(plan_channels, retention, plan.spend.values(), plan.retention_spend)
    assert plan.profit == pytest.approx(ours, rel=1e-9, abs=1e-6)


@given(channels(), retentions, budgets, st.integers(0, 2**32 - 1))
@few
def test_random_plans_and_random_transfers_are_never_better(plan_channels, retention, budget, seed):
    """Random restarts all over the feasible set, and steps of all sizes away from our plan."""
    assume(least(plan_channels) <= budget)
    plan = allocate(plan_channels, budget, retention)
    ours = np.array([*plan.spend.values(), plan.retention_spend])
    lo = np.array([c.lo for c in plan_channels] + [0.0])
    hi = np.array([c.hi for c in plan_channels] + [float(np.sum(retention[0]))])
    best = profit(plan_channels, retention, ours[:-1], ours[-1])
    rng = np.random.default_rng(seed)
    for _ in range(60):
        if rng.random() < 0.5:
            parts = rng.dirichlet(np.full(len(ours), rng.choice([0.2, 1.0, 5.0])))
            other = lo + parts * (budget - lo.sum()) * rng.random() ** 0.2
        else:
            source, target = rng.integers(len(ours), size=2)
            step = ours[source] * 10 ** rng.uniform(-6, 0)
            other = ours.copy()
            other[source], other[target] = other[source] - step, other[target] + step
        other = np.clip(other, lo, hi)
        if other.sum() <= budget:
            found = profit(plan_channels, retention, other[:-1], other[-1])
            assert found <= best + 1e-9 * max(1.0, abs(best))


@given(channels(), budgets, st.integers(0, 2**32 - 1))
@few
def test_never_worse_than_a_feasible_current_plan(plan_channels, budget, seed):
    assume(least(plan_channels) <= budget)
    rng, room = np.random.default_rng(seed), budget - least(plan_channels)
    extra = rng.dirichlet(np.ones(len(plan_channels))) * room
    today = {
        c.name: min(c.lo + e, c.hi) for c, e in zip(plan_channels, extra.tolist(), strict=True)
    }
    plan = allocate(plan_channels, budget, current=today)
    assert plan.profit_gain >= -1e-9 * max(1.0, abs(plan.profit))
    again = allocate(plan_channels, budget, current=plan.spend)
    assert again.profit_gain == 0


@given(channels(), retentions, budgets, st.integers(-12, 12))
@few
def test_another_currency_changes_amounts_only(plan_channels, retention, budget, power):
    """Scale invariance from 1e-12 to 1e12: amounts scale, shares and the multiplier do not."""
    free = budget - least(plan_channels)  # of next to nothing, rounding takes a part
    assume(free == 0 or free > 1e-6 * budget)
    unit = 10.0**power
    scaled = [
        dataclasses.replace(
            c, response=in_unit(c.response, unit), value=c.value * unit, lo=c.lo * unit,
            hi=c.hi * unit,
        )
        for c in plan_channels
    ]  # fmt: skip
    plan = allocate(plan_channels, budget, retention)
    other = allocate(scaled, budget * unit, tuple(part * unit for part in retention))
    assert other.multiplier == pytest.approx(plan.multiplier, rel=1e-9)
    assert other.kkt_residual < 1e-8
    small = 1e-9 * budget
    for name, spend in plan.spend.items():
        assert other.spend[name] / unit == pytest.approx(spend, rel=1e-8, abs=small)
    assert other.profit / unit == pytest.approx(plan.profit, rel=1e-8, abs=small)


def in_unit(curve, unit):
    if isinstance(curve, Power):
        return Power(curve.k * unit**-curve.b, curve.b)
    return MichaelisMenten(curve.V, curve.K * unit)


@given(channels(most=4), budgets, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_a_general_purpose_solver_from_many_starts_is_never_better(plan_channels, budget, seed):
    assume(least(plan_channels) <= budget)
    plan = allocate(plan_channels, budget)
    lo = np.array([c.lo for c in plan_channels])
    hi = np.minimum([c.hi for c in plan_channels], budget)
    rng, none = np.random.default_rng(seed), ((), ())
    scale = max(1.0, abs(plan.profit))
    for _ in range(3):
        found = minimize(
            lambda s: -profit(plan_channels, none, np.clip(s, lo, hi), 0.0) / scale,
            np.clip(lo + rng.dirichlet(np.ones(len(lo))) * (budget - lo.sum()), lo, hi),
            method="SLSQP",
            bounds=list(zip(lo, hi, strict=True)),
            constraints={"type": "ineq", "fun": lambda s: (budget - s.sum()) / budget},
        )
        spend = np.clip(found.x, lo, hi)
        if spend.sum() <= budget:
            best = profit(plan_channels, none, spend, 0.0)
            assert plan.profit >= best - 1e-9 * scale


THREE = [
    Channel("search", Power(k=12, b=0.6), 60),
    Channel("social", Power(k=30, b=0.45), 80),
    Channel("video", MichaelisMenten(V=900, K=20_000), 100),
]


def test_the_equal_split_that_a_general_purpose_solver_calls_a_success():
    """With the objective scaled by 1e-8 SLSQP stays where it starts and reports success."""
    start = np.full(3, 10_000.0)
    found = minimize(
        lambda s: -1e-8 * profit(THREE, ((), ()), np.maximum(s, 0.0), 0.0),
        start,
        method="SLSQP",
        bounds=[(0, 30_000)] * 3,
        constraints={"type": "eq", "fun": lambda s: s.sum() - 30_000},
    )
    assert found.success
    trapped = profit(THREE, ((), ()), np.maximum(found.x, 0.0), 0.0)
    assert np.allclose(found.x, start)
    ours = allocate(THREE, 30_000)
    assert ours.profit > 1.15 * trapped
    # the same money in a unit 1e8 times as large: the same shares
    big = [
        dataclasses.replace(c, response=in_unit(c.response, 1e-8), value=c.value * 1e-8)
        for c in THREE
    ]
    shares = [s * 1e8 for s in allocate(big, 30_000 * 1e-8).spend.values()]
    assert shares == pytest.approx(list(ours.spend.values()), rel=1e-9)


@pytest.mark.parametrize("budget", [1e4, 1e6, 3e6, 1e9])
def test_ten_thousand_channels_and_a_million_customers(budget):
    rng = np.random.default_rng(5)
    many = [
        Channel(
            f"c{i}",
            Power(rng.uniform(0.1, 2), rng.uniform(0.2, 0.8))
            if i % 2
            else MichaelisMenten(rng.uniform(1, 50), rng.uniform(1e2, 1e4)),
            rng.uniform(20, 200),
        )
        for i in range(10_000)
    ]
    cost, gain = rng.uniform(1, 10, 10**6), rng.gamma(1, 20, 10**6)
    plan = allocate(many, budget, (cost, gain))
    assert plan.kkt_residual < 1e-10
    if plan.unspent == 0:
        assert plan.retention_spend == pytest.approx(
            cost[gain / cost > plan.multiplier].sum(), rel=1e-5
        )
