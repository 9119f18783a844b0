"""Targets: each against random search, against closed forms, and where none can be met."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.modes import MinimumCost, TargetCPA, TargetLtvToCac
from clv.decide.budget.response import MichaelisMenten, Power
from clv.errors import PlanError

THREE = [
    Channel("search", Power(k=12, b=0.6), 60),
    Channel("social", Power(k=30, b=0.45), 80),
    Channel("video", MichaelisMenten(V=900, K=20_000), 100),
]
RETENTION = ([2000, 3000, 1500, 4000, 2500], [26000, 30000, 9000, 20000, 3000])
few = settings(deadline=None, max_examples=40)
curves = st.builds(Power, k=st.floats(0.1, 100), b=st.floats(0.05, 0.9)) | st.builds(
    MichaelisMenten, V=st.floats(1, 1000), K=st.floats(10, 1e5)
)
seeds = st.integers(0, 2**32 - 1)
retentions = st.lists(st.tuples(st.floats(1, 500), st.floats(1, 5000)), max_size=6).map(
    lambda rows: tuple(np.array(rows).reshape(-1, 2).T)
)
targets = st.one_of(
    st.builds(MinimumCost, st.floats(1, 5_000)),
    st.builds(TargetCPA, st.floats(1, 300), st.sampled_from(["portfolio", "channel", "marginal"])),
    st.builds(
        TargetLtvToCac, st.floats(0.5, 8), st.sampled_from(["portfolio", "channel", "marginal"])
    ),
)


@st.composite
def channels(draw, most=4):
    out = []
    for index in range(draw(st.integers(1, most))):
        lo = draw(st.sampled_from([0.0, 0.0, 0.0, 50.0]))
        width = draw(st.sampled_from([np.inf, np.inf, 5_000.0, 0.0]))
        value, share = draw(st.floats(0, 200)), draw(st.sampled_from([1.0, 0.6]))
        out.append(
            Channel(f"c{index}", draw(curves), value, lo=lo, hi=lo + width, incrementality=share)
        )
    return out


def outcome(plan_channels, retention, spend, kept):
    """Customers, value of new customers, profit: by the definitions, one channel at a time."""
    rows = list(zip(plan_channels, spend, strict=True))
    won = [c.incrementality * float(c.response.customers(s)) for c, s in rows]
    value = sum(c.value * n for (c, _), n in zip(rows, won, strict=True))
    total = value - sum(spend) - kept
    for c, g in sorted(zip(*retention, strict=True), key=lambda pair: -pair[1] / pair[0]):
        part = min(1.0, max(kept, 0.0) / c)
        total, kept = total + part * g, kept - part * c
    return won, value, total


def meets(target, plan_channels, spend, won, value):
    """Whether a plan satisfies a target, by its definition."""
    if isinstance(target, MinimumCost):
        return sum(won) >= target.customers
    cpa = isinstance(target, TargetCPA)
    if target.per == "portfolio":
        paid = sum(spend)
        return paid <= target.amount * sum(won) if cpa else value >= target.amount * paid
    for c, s, n in zip(plan_channels, spend, won, strict=True):
        if s == 0:
            continue
        if target.per == "channel":
            bought = n * (target.amount if cpa else c.value / target.amount)
            fine = s <= bought
        else:
            next_ = c.incrementality * float(c.response.marginal(s))
            fine = next_ * (target.amount if cpa else c.value / target.amount) >= 1
        if not fine:
            return False
    return True


@given(channels(), retentions, st.sampled_from([math.inf, 500.0, 20_000.0]), targets, seeds)
@few
def test_no_random_plan_that_meets_the_target_is_better(
    plan_channels, retention, budget, target, seed
):
    """Restarts all over the feasible set, and steps of all sizes away from our plan."""
    limit = None if math.isinf(budget) else budget
    try:
        plan = allocate(plan_channels, limit, retention, target=target)
    except PlanError:
        assume(False)
    assert plan.kkt_residual < 1e-8
    lo = np.array([c.lo for c in plan_channels] + [0.0])
    hi = np.array([c.hi for c in plan_channels] + [float(np.sum(retention[0]))])
    ours = np.array([*plan.spend.values(), plan.retention_spend])
    assert (ours >= lo).all()
    assert (ours <= hi * (1 + 1e-12)).all()
    assert ours.sum() <= budget * (1 + 1e-12)
    cheapest = isinstance(target, MinimumCost)

    def score(spend):
        won, value, profit = outcome(plan_channels, retention, spend[:-1], spend[-1])
        return (-spend.sum() if cheapest else profit), won, value

    best, rng = score(ours)[0], np.random.default_rng(seed)
    for _ in range(80):
        if rng.random() < 0.4:
            size = max(ours.sum(), 1.0) if math.isinf(budget) else budget
            parts = rng.dirichlet(np.full(len(ours), rng.choice([0.2, 1.0, 5.0])))
            other = lo + parts * size * rng.random() ** 0.2
        else:
            source, to = rng.integers(len(ours), size=2)
            step = ours[source] * 10 ** rng.uniform(-6, 0)
            other = ours.copy()
            other[source], other[to] = other[source] - step, other[to] + step * rng.uniform(0, 2)
        other = np.clip(other, lo, hi)
        found, won, value = score(other)
        if other.sum() <= budget and meets(target, plan_channels, other[:-1], won, value):
            assert found <= best + 1e-8 * max(1.0, abs(best))


@given(channels(), st.sampled_from([None, 20_000.0]), targets, st.integers(-12, 12))
@few
def test_targets_hold_in_any_currency(plan_channels, budget, target, power):
    unit = 10.0**power

    def in_unit(c):
        r = c.response
        curve = Power(r.k * unit**-r.b, r.b) if isinstance(r, Power) else None
        return dataclasses.replace(
            c, response=curve or MichaelisMenten(r.V, r.K * unit), value=c.value * unit,
            lo=c.lo * unit, hi=c.hi * unit,
        )  # fmt: skip

    scaled = target
    if isinstance(target, TargetCPA):
        scaled = dataclasses.replace(target, amount=target.amount * unit)
    try:
        plan = allocate(plan_channels, budget, target=target)
    except PlanError:
        assume(False)
    assume(sum(plan.spend.values()) < 1e15)  # beyond it a plan without a limit is cut off
    other = allocate([in_unit(c) for c in plan_channels], budget and budget * unit, target=scaled)
    assert other.kkt_residual < 1e-8
    small = 1e-8 * sum(plan.spend.values())
    for name, spend in plan.spend.items():
        assert other.spend[name] / unit == pytest.approx(spend, rel=1e-7, abs=small)


def test_customers_at_least_cost_by_one_equation():
    """Two power channels: both at the same marginal cost c, and n(c) = N, solved by Brent."""

    def spend(cac):
        return (12 * 0.6 * cac) ** 2.5, (30 * 0.45 * cac) ** (1 / 0.55)

    def won(cac):
        search, social = spend(cac)
        return 12 * search**0.6 + 30 * social**0.45

    cac = brentq(lambda c: won(c) - 5_000, 0.1, 100, xtol=1e-14)
    plan = allocate(THREE[:2], target=MinimumCost(5_000))
    assert tuple(plan.spend.values()) == pytest.approx(spend(cac), rel=1e-11)
    assert plan.target_multiplier == pytest.approx(cac, rel=1e-11)
    assert plan.expected_customers == pytest.approx(5_000, rel=1e-13)
    assert str(plan.findings[0]) == f"5,000 new customers cost {sum(spend(cac)):,.0f}."
    assert str(plan.findings[1]) == f"The last of them costs {cac:.2f}."


def test_customers_at_least_cost_do_not_ask_what_they_are_worth():
    worthless = [dataclasses.replace(c, value=0.0) for c in THREE]
    asked = MinimumCost(5_000)
    kept = allocate(THREE, None, RETENTION, target=asked)
    assert kept.spend == allocate(worthless, target=asked).spend
    assert kept.retention_spend == 0


def test_the_budget_that_customers_cost_buys_exactly_these():
    cost = sum(allocate(THREE, target=MinimumCost(5_000)).spend.values())
    assert allocate(THREE, cost * (1 + 1e-9), target=MinimumCost(5_000)).kkt_residual < 1e-8
    with pytest.raises(PlanError, match=r"at most 4,\d+\.?\d* new customers can be won, not 5,000"):
        allocate(THREE, cost * 0.99, target=MinimumCost(5_000))


@pytest.mark.parametrize("budget", [None, 200_000])
def test_a_target_cpa_is_met_exactly_where_it_binds(budget):
    plan = allocate(THREE, budget, RETENTION, target=TargetCPA(9))
    assert plan.portfolio_cac == pytest.approx(9, rel=1e-12)
    assert plan.target_multiplier > 0
    # one price for all: v n' + lambda T n' = mu + lambda
    price = plan.multiplier + plan.target_multiplier
    for c in THREE[:2]:
        worth = (c.value + 9 * plan.target_multiplier) / plan.marginal_cac[c.name]
        assert worth == pytest.approx(price, rel=1e-10)


def test_a_target_that_the_best_plan_meets_changes_nothing():
    free = allocate(THREE, 30_000)
    for target in (TargetCPA(20), TargetLtvToCac(3), TargetCPA(50, "channel"), MinimumCost(10)):
        if isinstance(target, MinimumCost):
            continue
        plan = allocate(THREE, 30_000, target=target)
        assert plan.spend == free.spend
        assert any(f.code == "target.met_anyway" for f in plan.findings)


@pytest.mark.parametrize("ratio", [3.0, 5.0])
def test_ltv_to_cac_over_all_channels(ratio):
    plan = allocate(THREE, target=TargetLtvToCac(ratio))
    assert plan.portfolio_ltv_to_cac == pytest.approx(ratio, rel=1e-12)
    # every channel's next unit is worth the same, below the average ratio
    price = (1 + plan.target_multiplier * ratio) / (1 + plan.target_multiplier)
    for c in THREE:
        if plan.spend[c.name]:
            assert c.value / plan.marginal_cac[c.name] == pytest.approx(price, rel=1e-10)


def test_ltv_to_cac_in_each_channel_and_for_the_next_customer():
    """A power curve has v n / s = r at s = (v k / r)^(1 / (1 - b)); at the margin with v k b."""
    each = allocate(THREE[:2], target=TargetLtvToCac(3, "channel"))
    assert each.spend["search"] == pytest.approx((60 * 12 / 3) ** 2.5, rel=1e-12)
    assert each.ltv_to_cac == pytest.approx({"search": 3, "social": 3})
    loose = allocate(THREE[:2], target=TargetLtvToCac(2, "channel"))
    assert loose.spend["search"] == pytest.approx((60 * 12 / 2) ** 2.5, rel=1e-12)
    assert loose.spend["social"] == allocate(THREE).spend["social"]  # 1 / 0.45 is above 2
    next_ = allocate(THREE, target=TargetLtvToCac(3, "marginal"))
    assert next_.marginal_cac["search"] == pytest.approx(20, rel=1e-12)
    assert next_.kkt_residual < 1e-8


def test_three_to_one_is_right_at_an_elasticity_of_a_third():
    third = [Channel("x", Power(k=50, b=1 / 3), 90)]
    free, held = allocate(third), allocate(third, target=TargetLtvToCac(3))
    assert free.portfolio_ltv_to_cac == pytest.approx(3)
    assert held.profit == pytest.approx(free.profit, rel=1e-9)


def test_several_weeks_spread_the_money():
    """N = W^(1-b) k S^b: the same as the curve of the whole span."""
    weeks = 13
    weekly = [Channel("search", Power(k=12, b=0.6), 60), Channel("social", Power(30, 0.45), 80)]
    whole = [
        dataclasses.replace(c, response=Power(c.response.k * weeks ** (1 - c.response.b),
                                              c.response.b))
        for c in weekly
    ]  # fmt: skip
    plan, expected = allocate(weekly, 100_000, periods=weeks), allocate(whole, 100_000)
    assert plan.spend == pytest.approx(expected.spend, rel=1e-12)
    assert plan.expected_customers == pytest.approx(expected.expected_customers, rel=1e-12)
    assert plan.marginal_cac == pytest.approx(expected.marginal_cac, rel=1e-12)
    assert any("13 periods" in str(note) for note in plan.notes)


def test_step_caps_come_from_what_was_observed():
    today = [dataclasses.replace(c, current=10_000.0) for c in THREE]
    plan = allocate(today, 30_000)
    assert plan.spend["video"] == 5_000
    assert any("video is held up at 5,000 by its step limit" in str(f) for f in plan.findings)
    seen = Channel("x", Power(1, 0.5), 5, observed=(100, 300))
    assert seen.bounds() == (50, 600)
    assert seen.bounds(periods=13) == (650, 7_800)
    assert dataclasses.replace(seen, current=20.0).bounds() == (20, 600)  # today stays allowed
    assert dataclasses.replace(seen, lo=10.0, hi=5_000).bounds() == (10, 5_000)
    assert dataclasses.replace(seen, step=(0, math.inf)).bounds() == (0, math.inf)
    assert Channel("new", Power(1, 0.5), 5, current=0.0).bounds() == (0, math.inf)


def test_declining_quality_of_a_power_curve_is_a_smaller_elasticity():
    """n0 (n / n0)^(1 - d) of k s^b is a power curve with elasticity b (1 - d)."""
    d, today = 0.25, 10_000.0
    n0 = 12 * today**0.6
    free = (0, math.inf)
    falling = Channel("search", Power(12, 0.6), 60, current=today, step=free, decline=d)
    same = Channel("search", Power(n0**d * 12 ** (1 - d), 0.6 * (1 - d)), 60)
    plan, expected = allocate([falling]), allocate([same])
    assert plan.spend["search"] == pytest.approx(expected.spend["search"], rel=1e-10)
    assert plan.value == pytest.approx(expected.value, rel=1e-10)
    assert plan.customers["search"] == pytest.approx(12 * plan.spend["search"] ** 0.6, rel=1e-12)
    assert plan.kkt_residual < 1e-8
    mixed = allocate([falling, *THREE[1:]], 30_000)
    assert mixed.kkt_residual < 1e-8
    assert mixed.spend["search"] < allocate(THREE, 30_000).spend["search"]
    assert any("get worse" in str(note) for note in mixed.notes)


FLOORS = [dataclasses.replace(c, lo=20_000) for c in THREE]


@pytest.mark.parametrize(
    ("plan_channels", "budget", "target", "words"),
    [
        (THREE[2:], None, MinimumCost(1_000), "at most 900 new customers can be won, not 1,000"),
        (FLOORS, None, TargetCPA(3), r"costs at least 7\.\d+ over all channels, more than .* 3"),
        (FLOORS, None, TargetLtvToCac(99), r"LTV:CAC reaches at most 8\.\d+ : 1"),
        (FLOORS, None, TargetCPA(3, "channel"), "channel search: spending its minimum of 20,000"),
        (FLOORS, 30_000, TargetCPA(30), "lower bounds add up to 60,000"),
        (
            [dataclasses.replace(THREE[0], decline=0.2, current=1e4)],
            None,
            TargetCPA(9),
            "the quality of those of search declines",
        ),
    ],
)
def test_what_cannot_be_met_is_named_before_solving(plan_channels, budget, target, words):
    with pytest.raises(PlanError, match=words):
        allocate(plan_channels, budget, target=target)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: TargetCPA(0), "amount of the target is 0"),
        (lambda: MinimumCost(math.nan), "customers of the target is nan"),
        (lambda: TargetCPA(3, "each"), "the target holds per 'each'"),
        (lambda: dataclasses.replace(THREE[0], decline=0.2), "decline needs current"),
        (lambda: dataclasses.replace(THREE[0], observed=(3, 2)), r"observed is \(3, 2\)"),
    ],
)
def test_what_no_target_or_channel_can_be_is_named_when_it_is_made(made, words):
    with pytest.raises(PlanError, match=words):
        made()


def test_periods_must_be_a_number():
    with pytest.raises(PlanError, match="periods is 0"):
        allocate(THREE, 30_000, periods=0)


def test_the_best_ratio_within_reach_is_reachable():
    """The ratio that the error names can be asked for, and no better one."""
    with pytest.raises(PlanError) as caught:
        allocate(FLOORS, target=TargetCPA(3))
    best = float(str(caught.value).split("costs at least ")[1].split(" ")[0])
    plan = allocate(FLOORS, target=TargetCPA(best + 0.01))
    assert plan.portfolio_cac == pytest.approx(best + 0.01, rel=1e-6)
    with pytest.raises(PlanError):
        allocate(FLOORS, target=TargetCPA(best - 0.01))


@pytest.mark.parametrize(
    ("budget", "target"),
    [
        (None, MinimumCost(50_000)),
        (None, TargetCPA(20)),
        (1e6, TargetLtvToCac(20)),
        (None, TargetLtvToCac(8, "channel")),
        (None, TargetCPA(25, "marginal")),
    ],
    ids=str,
)
def test_every_target_with_thousands_of_channels(budget, target):
    rng = np.random.default_rng(5)
    many = [
        Channel(
            f"c{i}",
            Power(rng.uniform(0.1, 2), rng.uniform(0.2, 0.7))
            if i % 2
            else MichaelisMenten(rng.uniform(1, 50), rng.uniform(1e2, 1e4)),
            rng.uniform(20, 200),
        )
        for i in range(3_000)
    ]
    keep = (rng.uniform(1, 10, 10**5), rng.gamma(1, 20, 10**5))
    plan = allocate(many, budget, keep, target=target)
    assert plan.kkt_residual < 1e-10
    if target.per == "portfolio" and plan.target_multiplier > 0:
        reached = {
            MinimumCost: plan.expected_customers,
            TargetCPA: plan.portfolio_cac,
            TargetLtvToCac: plan.portfolio_ltv_to_cac,
        }
        assert reached[type(target)] == pytest.approx(target.amount, rel=1e-12)


def test_the_split_between_acquisition_and_retention_is_said_and_why():
    plan = allocate(THREE, 30_000, RETENTION)
    assert plan.retention_share == pytest.approx(1 / 6)
    (split,) = (str(f) for f in plan.findings if f.code == "retention.split")
    assert split == (
        "83% of the money goes to winning customers and 17% to keeping them. The last customer "
        "paid for returns 10 for every 1 spent, the next one would return 6 for every 1 spent, "
        "and channels that can still move return 8.52 for every 1 spent."
    )
