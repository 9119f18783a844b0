"""The allocation against published cases, its words, and plans that cannot be."""

import dataclasses
import json
import math

import numpy as np
import pytest

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.budget.response import MichaelisMenten, Power
from clv.errors import PlanError
from clv.findings import finding

CHANNELS = [
    Channel("search", Power(k=12, b=0.6), 60),
    Channel("social", Power(k=30, b=0.45), 80),
    Channel("video", MichaelisMenten(V=900, K=20_000), 100),
]
RETENTION = ([2000, 3000, 1500, 4000, 2500], [26000, 30000, 9000, 20000, 3000])
EQUAL = {"search": 10_000.0, "social": 10_000.0, "video": 10_000.0}


@pytest.mark.parametrize(
    ("budget", "retention", "spend", "multiplier"),
    [
        (10_000, None, (6768.8545, 3231.1455, 0, 0), 12.68462623),
        (30_000, None, (22307.9315, 7692.0685, 0, 0), 7.87227082),
        (None, None, (3878906.999, 327578.899, 22426.407, 0), 1),
        (30_000, RETENTION, (18331.418, 6668.582, 0, 5000), 8.51540532),
    ],
    ids=["A1", "A2", "A3", "B"],
)
def test_reference_cases(budget, retention, spend, multiplier):
    """Reference values: computed independently, to the digits printed."""
    plan = allocate(CHANNELS, budget, retention)
    digits = 1e-4 if budget else 1e-3
    digits = 1e-3 if retention else digits
    assert (*plan.spend.values(), plan.retention_spend) == pytest.approx(spend, abs=digits / 2)
    assert plan.multiplier == pytest.approx(multiplier, abs=1e-8)
    assert plan.kkt_residual < 1e-12
    if budget:
        assert sum(plan.spend.values()) + plan.retention_spend == pytest.approx(budget, rel=1e-14)


@pytest.mark.parametrize("budget", [10_000, 30_000])
def test_reference_cases_to_a_millionth(budget):
    """Two power channels: what is left of the condition is one equation, bisected here."""
    low, high = 0.0, float(budget)
    for _ in range(200):
        s = (low + high) / 2
        worth = 60 * 12 * 0.6 * s**-0.4 - 80 * 30 * 0.45 * (budget - s) ** -0.55
        low, high = (s, high) if worth > 0 else (low, s)
    spend = allocate(CHANNELS, budget).spend
    assert spend["search"] == pytest.approx(s, rel=1e-12)
    assert spend["social"] == pytest.approx(budget - s, rel=1e-12)


def test_the_greatest_profit_to_a_millionth():
    """Closed forms: v k b s^(b - 1) = 1 and v V K / (K + s)^2 = 1."""
    spend = allocate(CHANNELS).spend
    assert spend["search"] == pytest.approx((60 * 12 * 0.6) ** 2.5, rel=1e-12)
    assert spend["social"] == pytest.approx((80 * 30 * 0.45) ** (1 / 0.55), rel=1e-12)
    assert spend["video"] == pytest.approx(math.sqrt(100 * 900 * 20_000) - 20_000, rel=1e-12)


def test_marginal_cac_of_the_reference_cases():
    bound = allocate(CHANNELS, 30_000).marginal_cac
    assert (bound["search"], bound["social"]) == pytest.approx((7.6217, 10.1623), abs=5e-5)
    free = allocate(CHANNELS).marginal_cac
    assert tuple(free.values()) == pytest.approx((60, 80, 100), rel=1e-12)


def test_at_the_optimum_ltv_to_average_cac_is_one_over_b():
    plan = allocate(CHANNELS)
    assert 60 / plan.average_cac["search"] == pytest.approx(1 / 0.6)
    assert 80 / plan.average_cac["social"] == pytest.approx(1 / 0.45)


def test_totals_add_up():
    plan = allocate(CHANNELS, 30_000, RETENTION)
    customers = {c.name: float(c.response.customers(plan.spend[c.name])) for c in CHANNELS}
    assert plan.customers == pytest.approx(customers)
    assert plan.expected_customers == pytest.approx(sum(customers.values()))
    assert (plan.retention_gain, plan.retention_customers) == (56_000, 2)
    value = sum(c.value * customers[c.name] for c in CHANNELS) + 56_000
    assert (plan.value, plan.profit) == pytest.approx((value, value - 30_000))
    assert plan.unspent == pytest.approx(0, abs=1e-9)


def test_the_multiplier_is_what_more_budget_buys():
    plan, more = (allocate(CHANNELS, budget, RETENTION) for budget in (30_000, 30_001))
    assert more.value - plan.value == pytest.approx(plan.multiplier, rel=1e-4)
    words = "The next 1,000 of budget would bring about 8,515 of customer value."
    assert words in map(str, plan.findings)


def test_the_last_retained_customer_is_funded_in_part():
    """Budget between two customers: the multiplier is that customer's gain per cost."""
    plan = allocate(CHANNELS[:1], 7_000, RETENTION)
    assert plan.multiplier == pytest.approx(13, rel=1e-12)
    assert 0 < plan.retention_customers < 1
    assert plan.retention_spend == pytest.approx(7_000 - (60 * 12 * 0.6 / 13) ** 2.5, rel=1e-9)
    assert "retention.last_in_part" in [note.code for note in plan.notes]


def test_retention_alone_and_nothing_at_all():
    alone = allocate([], 6_000, RETENTION)
    assert (alone.retention_spend, alone.multiplier, alone.spend) == (6000, 6, {})
    assert allocate([], 100).unspent == 100


def test_money_below_one_for_one_stays_unspent():
    plan = allocate(CHANNELS, 1e8, RETENTION)
    assert plan.multiplier == 1
    assert plan.unspent == pytest.approx(1e8 - sum(allocate(CHANNELS).spend.values()) - 13_000)
    assert str(plan.findings[0]).endswith(
        "stays unspent: it would bring less customer value than it costs."
    )


def test_a_customer_who_only_breaks_even_is_not_funded():
    assert allocate([], None, ([100, 100], [100, 101])).retention_spend == 100


def test_bounds_hold_and_a_locked_channel_keeps_its_spend():
    locked = [
        dataclasses.replace(CHANNELS[0], hi=5_000),
        CHANNELS[1],
        dataclasses.replace(CHANNELS[2], lo=4_000, hi=4_000),
    ]
    plan = allocate(locked, 30_000)
    assert plan.spend == pytest.approx({"search": 5_000, "social": 21_000, "video": 4_000})
    assert plan.multiplier == pytest.approx(80 * 30 * 0.45 * 21_000**-0.55)
    assert plan.kkt_residual < 1e-12
    assert any(str(f).startswith("search is held at its maximum of 5,000") for f in plan.findings)
    assert any(str(f).startswith("video is locked at 4,000, where") for f in plan.findings)


def test_lower_bounds_that_use_up_the_budget_leave_the_best_next_unit_as_multiplier():
    floors = [dataclasses.replace(c, lo=10_000) for c in CHANNELS]
    plan = allocate(floors, 30_000, RETENTION)
    assert plan.spend == EQUAL
    assert plan.multiplier == 13  # the best customer to keep
    nothing = allocate(CHANNELS, 0)
    assert (nothing.multiplier, nothing.to_dict()["multiplier"]) == (math.inf, None)


def test_the_cheapest_and_the_most_valuable_channel_are_told_apart():
    """At one multiplier the average CAC of a power curve is b v / mu: 0.6 x 50 < 0.45 x 80."""
    plan = allocate([dataclasses.replace(CHANNELS[0], value=50), CHANNELS[1]], 30_000)
    (sentence,) = (str(f) for f in plan.findings if f.code == "plan.cheapest_not_best")
    assert f"come from search ({30 / plan.multiplier:.2f} each)" in sentence
    assert "the most valuable from social (worth 80 each)" in sentence


def test_against_the_current_plan():
    plan = allocate(CHANNELS, 30_000, current=EQUAL)
    today = sum(c.value * float(c.response.customers(10_000)) for c in CHANNELS) - 30_000
    assert plan.current_profit == pytest.approx(today)
    assert plan.profit_gain == pytest.approx(plan.profit - today)
    assert plan.current == {**EQUAL, "retention": 0}
    free = [dataclasses.replace(c, current=10_000, step=(0, math.inf)) for c in CHANNELS]
    own = allocate(free, 30_000)
    assert own.profit_gain == plan.profit_gain
    assert allocate(CHANNELS, 30_000).profit_gain is None


def test_a_current_plan_with_retention_and_one_that_breaks_the_budget():
    kept = allocate(CHANNELS, 30_000, RETENTION, current={**EQUAL, "retention": 2_000})
    without = allocate(CHANNELS, 30_000, RETENTION, current=EQUAL)
    assert without.profit_gain - kept.profit_gain == pytest.approx(26_000 - 2_000)
    assert any("breaks the limits or the budget" in str(f) for f in kept.findings)
    assert any(n.code == "retention.not_named" for n in without.notes)


def test_half_the_customers_incremental_is_half_the_value():
    half = [dataclasses.replace(c, incrementality=0.5) for c in CHANNELS]
    plan, whole = allocate(half, 30_000), allocate(CHANNELS, 30_000)
    assert plan.spend == pytest.approx(whole.spend)
    assert plan.multiplier == pytest.approx(whole.multiplier / 2)
    assert plan.marginal_cac["search"] == pytest.approx(2 * whole.marginal_cac["search"])
    assert plan.average_cac["search"] == pytest.approx(2 * whole.average_cac["search"])
    assert plan.expected_customers == pytest.approx(whole.expected_customers / 2)
    assert plan.value == pytest.approx(whole.value / 2)
    assert any("attributed, not incremental" in str(n) for n in whole.notes)
    assert not any("attributed, not incremental" in str(n) for n in plan.notes)


def test_assumptions_and_horizon_are_named():
    channels = [Channel("search", Power.from_point(5000, 400), 60, horizon="3 years")]
    rate = finding("basis.save_rate", offer="the retention offer", rate=0.3, source="assumed")
    curve = GainCurve.from_customers([1], [5], horizon="36 months", notes=(rate,))
    notes = [str(note) for note in allocate(channels, 100, curve).notes]
    assert "b of the response curve of search is assumed, not estimated." in notes
    assert "The save rate of the retention offer, 30%, is assumed." in notes
    assert "Values are counted over 3 years." in notes


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_the_table_holds_the_plan(backend):
    plan = allocate(CHANNELS, 30_000, RETENTION, current=EQUAL)
    table = plan.to_frame(backend)
    column = table["spend"].to_pylist() if backend == "pyarrow" else table["spend"].to_list()
    assert sum(column) == pytest.approx(30_000)
    assert type(table).__module__.split(".")[0] == backend


def test_the_plan_is_json():
    plan = allocate(CHANNELS, None, RETENTION)
    read = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert read["spend"] == plan.spend
    assert read["budget"] is None


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "budget", "words"),
    [
        ({"lo": 40_000}, 30_000, "lower bounds add up to 40,000, more than the budget of 30,000"),
        ({"lo": 5, "hi": 4}, 30_000, "lo 5 is above hi 4"),
        ({"lo": -1}, 30_000, "lo is -1"),
        ({"lo": NAN}, 30_000, "lo is nan"),
        ({"hi": NAN}, 30_000, "hi is nan"),
        ({"hi": -3}, 30_000, "hi is -3"),
        ({"value": -60}, 30_000, "value of a new customer is -60"),
        ({"value": NAN}, 30_000, "value of a new customer is nan"),
        ({"value": math.inf}, 30_000, "value of a new customer is inf"),
        ({"value": "sixty"}, 30_000, "value of a new customer is 'sixty'"),
        ({"incrementality": 1.5}, 30_000, "incrementality is 1.5"),
        ({"incrementality": 0}, 30_000, "incrementality is 0"),
        ({"name": "social"}, 30_000, "2 channels are called 'social'"),
        ({"name": "retention"}, 30_000, "a channel is called 'retention'"),
        ({"response": 12}, 30_000, "its response is a int"),
        ({"current": NAN}, 30_000, "current spend of 'search' is nan"),
        ({"horizon": "3 years"}, 30_000, "different horizons: 3 years, 5 years"),
        ({}, -1, "budget is -1"),
        ({}, NAN, "budget is nan"),
    ],
)
def test_infeasible_plans_are_named_before_solving(changes, budget, words):
    others = [dataclasses.replace(CHANNELS[1], current=0), CHANNELS[2]]
    others = [dataclasses.replace(c, current=0, horizon="5 years") for c in others]
    with pytest.raises(PlanError, match=words):
        allocate([dataclasses.replace(CHANNELS[0], **changes), *others], budget)


def test_all_problems_are_named_at_once():
    with pytest.raises(PlanError, match=r"'search': lo is -1; the current spend of .* is -5"):
        dataclasses.replace(CHANNELS[0], lo=-1, current=-5)
    two = [dataclasses.replace(c, name="retention") for c in CHANNELS[:2]]
    with pytest.raises(PlanError, match="2 channels are called 'retention'; a channel is called"):
        allocate(two, 30_000)


@pytest.mark.parametrize(
    ("current", "words"),
    [
        ({"search": 1.0}, "says nothing about 'social'"),
        ({**EQUAL, "serach": 1}, "names 'serach'"),
        ({**EQUAL, "video": -1}, "current spend of 'video' is -1"),
    ],
)
def test_a_current_plan_that_does_not_fit_is_named(current, words):
    with pytest.raises(PlanError, match=words):
        allocate(CHANNELS, 30_000, current=current)


def test_a_greatest_profit_beyond_all_numbers_is_named():
    with pytest.raises(PlanError, match="most profitable spend of endless is too large"):
        allocate([Channel("endless", Power(1e6, 0.999), 1e6)])


def test_bounds_that_meet_the_budget_up_to_rounding_are_feasible():
    channels = [Channel(str(lo), Power(1, 0.5), 5, lo=lo) for lo in (0.1, 0.2)]
    assert allocate(channels, 0.3).spend == {"0.1": 0.1, "0.2": 0.2}  # 0.1 + 0.2 > 0.3


def test_numpy_numbers_are_numbers():
    channel = Channel("search", Power(12, 0.6), np.float64(60), hi=np.int64(5_000))
    assert allocate([channel], np.int64(10_000)).spend == {"search": 5_000}
