"""S-shaped curves in one period: against all plans on a grid, and what is said of them.

The suite tries a few problems of each kind; ``CLV_PLANS=50`` tries fifty.
"""

import os
from dataclasses import replace
from itertools import cycle, product

import numpy as np
import pytest

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.modes import MinimumCost, TargetCPA, TargetLtvToCac
from clv.decide.budget.one_period_mean import OnePeriodMean
from clv.decide.budget.response import Hill, Power
from clv.decide.budget.scenarios import budget_frontier, constraint_costs
from clv.decide.budget.uncertainty import plan_uncertainty
from clv.decide.budget.whole_periods import OnePeriodHill
from clv.errors import PlanError

PLANS = int(os.environ.get("CLV_PLANS", "8"))
TV = Channel("tv", Hill(V=1000, K=10_000, exponent=2), 50)


def curve(channel, spend):
    """Customers in one period, by the formula of the curve."""
    c = channel.response
    if isinstance(c, Power):
        return c.k * spend**c.b
    if isinstance(c, MeanOfDraws):
        each = [replace(channel, response=Hill(*one)) for one in rows_of(c.draws)]
        return sum(curve(one, spend) for one in each) / len(each)
    return c.V * spend**c.exponent / (c.K**c.exponent + spend**c.exponent)


def rows_of(draws):
    """Parameters of a curve, draw by draw."""
    columns = np.broadcast_arrays(*(getattr(draws, name) for name in draws.parameters()))
    return np.column_stack(columns)


def with_draws(rng, channel, apart, count=30):
    """The channel with draws of an S-shaped curve around its own, near or in two lots ``apart``."""
    c = channel.response
    if not isinstance(c, Hill):
        return channel
    lots = np.where(rng.random(count) < 0.5, apart, 1 / apart)
    K, V = c.K * lots * rng.lognormal(0, 0.3, count), c.V * rng.lognormal(0, 0.2, count)
    exponents = c.exponent * (rng.lognormal(0, 0.1, count) if apart > 1 else np.ones(count))
    return replace(channel, response=MeanOfDraws(Hill(V, K, exponents)))


def problem(rng):
    """One to three S-shaped channels that may pay, sometimes bounded, sometimes beside another."""
    channels = []
    for i in range(rng.integers(1, 4)):
        a, K, V = rng.uniform(1.2, 4), 10 ** rng.uniform(3, 4.5), 10 ** rng.uniform(2, 3.3)
        best = K * (a - 1) ** (1 / a)
        cac = best * (K**a + best**a) / (V * best**a)
        lo, hi = rng.choice([0, 0, 0.2 * K]), rng.choice([np.inf, np.inf, 1.5 * K, 0.7 * K])
        channels.append(Channel(f"s{i}", Hill(V, K, a), cac * rng.uniform(0.6, 4), lo, hi))
    if rng.random() < 0.6:
        power = Power(10 ** rng.uniform(0, 1.3), rng.uniform(0.3, 0.7))
        channels.append(Channel("power", power, rng.uniform(30, 150)))
    return channels, sum(c.lo for c in channels) + 10 ** rng.uniform(2.5, 4.8)


def best_on_a_grid(channels, budget, steps=1200):
    """The greatest profit of all plans in whole steps of money, channel after channel."""
    money = np.linspace(0, budget - sum(c.lo for c in channels), steps)
    earlier = np.arange(steps)[:, None] - np.arange(steps)
    best = np.zeros(steps)
    for channel in channels:
        spend = channel.lo + money
        earned = np.where(spend <= channel.hi, channel.value * curve(channel, spend) - spend, -1e99)
        total = np.where(earlier >= 0, best[np.maximum(earlier, 0)] + earned, -np.inf)
        best = total.max(axis=1)
    return best.max()


@pytest.mark.parametrize("seed", range(PLANS))
def test_a_plan_of_one_period_earns_what_the_best_on_a_grid_does(seed):
    channels, budget = problem(np.random.default_rng(seed))
    plan, best = allocate(channels, budget), best_on_a_grid(channels, budget)
    spend = {c.name: plan.spend[c.name] for c in channels}
    comes_true = sum(c.value * curve(c, spend[c.name]) - spend[c.name] for c in channels)
    assert plan.profit == pytest.approx(comes_true, rel=1e-9, abs=1e-6)
    assert plan.profit >= best - 1e-3 * abs(best)
    assert sum(spend.values()) <= budget * (1 + 1e-9)
    assert all(c.lo * (1 - 1e-9) <= spend[c.name] <= c.hi for c in channels)


@pytest.mark.parametrize(("seed", "apart"), list(product(range(-(-PLANS // 2)), (1.0, 6.0))))
def test_curves_with_draws_earn_what_the_best_on_a_grid_does(seed, apart):
    """Also where draws lie so far apart that their mean bends upwards twice."""
    rng = np.random.default_rng([seed, 2])
    channels, budget = problem(rng)
    channels = [with_draws(rng, channel, apart) for channel in channels]
    plan, best = allocate(channels, budget), best_on_a_grid(channels, budget, 400)
    spend = {c.name: plan.spend[c.name] for c in channels}
    comes_true = sum(c.value * curve(c, spend[c.name]) - spend[c.name] for c in channels)
    assert plan.profit == pytest.approx(comes_true, rel=1e-9, abs=1e-6)
    assert plan.profit >= best - 1e-3 * abs(best)
    assert plan.kkt_residual < 1e-8
    assert sum(spend.values()) <= budget * (1 + 1e-9)


def test_a_mean_of_far_draws_bends_upwards_twice():
    near, far = (OnePeriodMean(OnePeriodHill(1e3, np.array(K), 3.0)) for K in ([9, 11], [1, 40]))
    assert near.valleys == ((),)
    ((valley,),) = far.valleys
    first, second = (far.within(np.array(a), np.array(b)) for a, b in ((0, valley), (valley, 1e9)))
    assert first.convex_until() < 1 < valley < second.convex_until() < 40
    for part, spend in ((first, 1.0), (second, 60.0)):
        assert float(part.spend_at(part.marginal(spend))) == pytest.approx(spend, rel=1e-9)


def test_customers_below_the_tangent_are_those_that_come():
    plan = allocate([TV], 5_000)
    assert plan.customers["tv"] == pytest.approx(200)
    assert plan.profit == pytest.approx(200 * 50 - 5_000)
    assert plan.kkt_residual < 1e-9
    assert (
        "tv starts slowly: within one period its 5,000 bring 200 new customers. Over several "
        "periods the same money would bring 250 new customers a period, spent as 10,000 in some of "
        "them and nothing in the others." in str(plan)
    )


def test_nothing_is_spent_where_one_period_does_not_pay():
    poor = Channel("tv", TV.response, 22)  # pays at s* = 10,000 and beyond, not at 5,000
    assert allocate([poor], 5_000).spend["tv"] == 0
    assert allocate([poor], 20_000).spend["tv"] > 10_000
    assert allocate([poor], 20_000, periods=4).spend["tv"] == pytest.approx(20_000)


def test_several_periods_alternate_and_say_so():
    plan = allocate([TV], 20_000, periods=4)
    assert plan.customers["tv"] == pytest.approx(1000)  # twice 10,000, each of which brings 500
    assert "those of 10,000 in 50% of the periods and nothing in the others" in str(plan)
    # of two periods nobody spends on a tenth: h(s) = 100 in one of them
    few = allocate([TV], target=MinimumCost(100), periods=2)
    assert few.spend["tv"] == pytest.approx(10_000 / 3)
    assert "those of 3,333 in 50% of the periods and nothing in the others" in str(few)
    assert "in 10% of the periods" in str(allocate([TV], target=MinimumCost(2_600), periods=52))


@pytest.mark.parametrize("seed", range(PLANS))
def test_a_plan_of_a_few_periods_earns_what_the_best_rhythm_on_a_grid_does(seed):
    """Two channels, each evenly in any number of the periods, and every way to share the money."""
    rng = np.random.default_rng([8, seed])
    periods = int(rng.integers(2, 7))
    channels = []
    for i in range(2):
        a, K, V = rng.uniform(1.5, 4), 10 ** rng.uniform(3, 4.5), 10 ** rng.uniform(2, 3.3)
        channels.append(Channel(f"c{i}", Hill(V, K, a), K / V * rng.uniform(1, 4)))
    budget = periods * rng.uniform(0.1, 1.5) * sum(c.response.K for c in channels)

    def profit(channel, spend):
        rhythms = [on * curve(channel, spend / on) for on in range(1, periods + 1)]
        return channel.value * np.max(rhythms, axis=0) - spend

    plan = allocate(channels, budget, periods=periods)
    come = sum(profit(c, np.maximum(plan.spend[c.name], 1e-9)) for c in channels)
    assert plan.profit == pytest.approx(come, rel=1e-9, abs=1e-6)
    grid = np.maximum(np.linspace(0, budget, 1501), 1e-9)
    one, other = (profit(c, grid) for c in channels)
    best = (one + np.maximum.accumulate(other)[::-1]).max()
    assert plan.profit >= best - 1e-3 * abs(best) - 1e-6
    assert sum(plan.spend.values()) <= budget * (1 + 1e-9)


def test_a_number_of_customers_within_one_period_is_on_the_curve_itself():
    plan = allocate([TV], target=MinimumCost(100))
    assert plan.spend["tv"] == pytest.approx(10_000 / 3)  # 1000 / (1 + 3^2) = 100
    assert plan.target_multiplier == pytest.approx(1 / 0.054)  # h'(s) = 2 h (1 - h / V) / s
    assert plan.kkt_residual < 1e-9


def money_of(channel, spend, customers):
    """Value of customers, each 1% more of which makes the next one d% less valuable."""
    if not channel.decline:
        return channel.value * customers
    today = curve(channel, channel.current)
    return channel.value * today * (customers / today) ** (1 - channel.decline)


def two_channels(rng, kind):
    """Two channels, at least one S-shaped, a budget, and a target of a kind that may bind."""
    channels, budget = [], 10 ** rng.uniform(3.3, 4.8)
    for i in range(2):
        a, K, V = rng.uniform(1.3, 4), 10 ** rng.uniform(3, 4.5), 10 ** rng.uniform(2, 3.3)
        best = K * (a - 1) ** (1 / a)
        value = best * (K**a + best**a) / (V * best**a) * rng.uniform(0.8, 4)
        lo, hi = rng.choice([0, 0, 0.2 * K]), rng.choice([np.inf, 1.5 * K, 0.7 * K])
        declines = {"decline": rng.uniform(0.05, 0.9), "current": K * rng.uniform(0.3, 2)}
        more = declines if kind in ("decline", "declining ltv") and rng.random() < 0.8 else {}
        channels.append(Channel(f"s{i}", Hill(V, K, a), value, lo, hi, step=(0, np.inf), **more))
    if rng.random() < 0.4 and not channels[1].decline:
        power = Power(10 ** rng.uniform(0, 1.3), rng.uniform(0.3, 0.7))
        channels[1] = Channel("power", power, rng.uniform(30, 150))
    return channels, max(budget, 1.2 * sum(c.lo for c in channels))


def on_a_grid(channels, budget, steps=1500):
    """Spend, customers and value of all plans in steps of money, finer where there is little."""
    axes = []
    for c in channels:
        top = min(c.hi, budget)
        fine = np.unique(
            np.concatenate([np.linspace(c.lo, top, steps), [0.0] if c.lo == 0 else []])
        )
        won = curve(c, fine)
        axes.append((fine, won, money_of(c, fine, won)))
    (s, n, v), (t, m, w) = axes
    spend, won, value = ((x[:, None], y) for x, y in ((s, t), (n, m), (v, w)))
    inside = spend[0] + spend[1] <= budget * (1 + 1e-9)
    return spend, won, value, inside


def target_of(kind, rng, grid):
    """A target between what most plans reach and what the best does."""
    spend, won, value, inside = grid
    total, customers, worth = (x[0] + x[1] for x in (spend, won, value))
    some = inside & (total > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        cac, ratio = total / customers, worth / total
    if kind == "customers":
        return MinimumCost(customers[inside].max() * rng.uniform(0.1, 0.95))
    per = kind.split()[-1] if " " in kind and "declining" not in kind else "portfolio"
    if "ltv" in kind:
        return TargetLtvToCac(np.nanmax(ratio[some]) * rng.uniform(0.6, 0.97), per)
    return TargetCPA(np.nanmin(cac[some]) * rng.uniform(1.03, 1.8), per)


def allowed(target, channels, grid):
    """Which plans of a grid, by hand, meet a target."""
    spend, won, value, inside = grid
    if isinstance(target, MinimumCost):
        return inside & (won[0] + won[1] >= target.customers)
    ltv, good = isinstance(target, TargetLtvToCac), inside
    held = value if ltv else [target.amount * w for w in won]
    price = [target.amount * s for s in spend] if ltv else spend
    if target.per == "portfolio":
        return good & (held[0] + held[1] >= price[0] + price[1])
    return good & (held[0] >= price[0]) & (held[1] >= price[1])


KINDS = ("decline", "customers", "cac", "ltv", "declining ltv", "cac channel", "ltv channel")


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize(("kind", "seed"), list(product(KINDS, range(-(-PLANS // 8)))))
def test_declining_customers_and_targets_earn_what_the_best_on_a_grid_does(kind, seed, drawn):
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    channels, budget = two_channels(rng, kind)
    channels = [with_draws(rng, c, 1.0, 8) for c in channels] if drawn else channels
    grid = on_a_grid(channels, budget)
    target = None if kind == "decline" else target_of(kind, rng, grid)
    fits = grid[3] if target is None else allowed(target, channels, grid)
    spend, value = grid[0], grid[2]
    profit = np.where(fits, value[0] + value[1] - spend[0] - spend[1], -np.inf)
    least = np.where(fits, spend[0] + spend[1], np.inf).min()
    try:
        plan = allocate(channels, budget, target=target)
    except PlanError:
        assert not fits.any()
        return
    paid = [plan.spend[c.name] for c in channels]
    n = [float(curve(c, np.float64(s))) for c, s in zip(channels, paid, strict=True)]
    v = [money_of(c, s, x) for c, s, x in zip(channels, paid, n, strict=True)]
    found = [(np.array([[x[0]]]), np.array([x[1]])) for x in (paid, n, v)]
    true = sum(v) - sum(paid)
    assert plan.profit == pytest.approx(true, rel=1e-9, abs=1e-6)
    assert sum(paid) <= budget * (1 + 1e-9)
    if target is not None:
        easier = 1 + 1e-9 if isinstance(target, TargetCPA) else 1 - 1e-9
        slack = type(target)(target.amount * easier, *([target.per] if kind != "customers" else []))
        assert allowed(slack, channels, (*found, True)).all()
    if kind == "customers":
        assert sum(paid) <= least * 1.001
    else:
        assert true >= profit.max() - 1e-3 * abs(profit.max())


@pytest.mark.parametrize("seed", range(-(-PLANS // 3)))
def test_a_frontier_and_what_constraints_cost_are_of_the_curves_themselves(seed):
    channels, budget = problem(np.random.default_rng([seed, 1]))
    least = sum(c.lo for c in channels)
    budgets = np.array([0.3, 0.7, 1.0]) * (budget - least) + least
    frontier = budget_frontier(channels, budgets)
    best = [best_on_a_grid(channels, amount) for amount in budgets]
    assert np.all(frontier["profit"] >= best - 1e-3 * np.abs(best))
    for _, row in frontier.iterrows():
        spend = {c.name: row[f"spend: {c.name}"] for c in channels}
        comes_true = sum(
            c.value * curve(c, s) - s for c, s in zip(channels, spend.values(), strict=True)
        )
        assert row["profit"] == pytest.approx(comes_true, rel=1e-9, abs=1e-6)
    costs = {str(cost.constraint): cost.cost for cost in constraint_costs(channels, budget)}
    free = [replace(c, lo=0.0, hi=np.inf) if c.name == "s0" else c for c in channels]
    gained = best_on_a_grid(free, budget) - allocate(channels, budget).profit
    told = [cost for words, cost in costs.items() if "s0" in words]
    assert sum(told) == pytest.approx(gained, abs=2e-3 * abs(best[-1]))


def drawn(rng, k, b, draws=40):
    """A power curve whose elasticity is not known for sure."""
    elasticity = 1 / (1 + np.exp(-rng.normal(np.log(b / (1 - b)), 0.3, draws)))
    return MeanOfDraws(Power(k * 5_000 ** (b - elasticity), elasticity))


@pytest.mark.parametrize(("budget", "unsure"), [(5_000, False), (20_000, True), (None, False)])
def test_perfect_information_is_worth_what_planning_each_draw_by_itself_brings(budget, unsure):
    rng = np.random.default_rng(2)
    search = Channel("search", drawn(rng, 3, 0.5), 20)
    radio = Channel("radio", Hill(600, 5_000, 3), 30)
    radio = with_draws(rng, radio, 1.0, 40) if unsure else radio
    channels, values = [TV, radio, search], {"tv": rng.lognormal(np.log(50), 0.3, 40)}
    plan = allocate(channels, budget)
    sure = plan_uncertainty(channels, plan, values=values)
    gains, ours = [], []
    draws = search.response.draws
    hills = [Hill(*one) for one in rows_of(radio.response.draws)] if unsure else [radio.response]
    for value, k, b, hill in zip(values["tv"], draws.k, draws.b, cycle(hills), strict=False):
        known = [replace(radio, response=hill), replace(search, response=Power(k, b))]
        truth = [replace(TV, value=value), *known]
        paid = [c.value * curve(c, plan.spend[c.name]) - plan.spend[c.name] for c in truth]
        ours.append(sum(paid))
        gains.append(allocate(truth, budget).profit - sum(paid))
    assert sure.profit["mean"] == pytest.approx(np.mean(ours), rel=1e-9)
    assert sure.evpi == pytest.approx(np.mean(gains), rel=0.02)
    assert max(sure.evppi.values()) <= sure.evpi * 1.02


def test_over_several_periods_it_is_said_what_one_rhythm_for_all_draws_brings():
    """Against the upper hull of the mean curve, worked out on a grid."""
    rng = np.random.default_rng(4)
    tv = with_draws(rng, Channel("tv", Hill(1000, 10_000, 3), 200), 1.0, 40)
    plan = allocate([tv], budget=10 * 4_000.0, periods=10)
    (said,) = [f for f in plan.notes if f.code == "basis.slow_start_unsure"]
    spend = np.linspace(1, 60_000, 60_000)
    mean = np.mean(
        [curve(replace(tv, response=Hill(*one)), spend) for one in rows_of(tv.response.draws)],
        axis=0,
    )
    pulse = spend[(mean / spend).argmax()]
    evenly = plan.spend["tv"] / 10
    assert evenly < pulse
    assert said.values["pulse"] == pytest.approx(pulse, rel=0.02)
    assert said.values["sure"] == pytest.approx(10 * evenly * (mean / spend).max(), rel=1e-3)
    assert said.values["even"] == pytest.approx(10 * np.interp(evenly, spend, mean), rel=1e-3)
    assert said.values["counted"] == pytest.approx(plan.customers["tv"], rel=1e-9)
    assert said.values["counted"] > 1.02 * said.values["sure"]
