"""What constraints cost, the frontier and scenarios: each against plans solved one by one."""

import dataclasses
import math

import numpy as np
import pytest

from clv.decide.budget.allocate import allocate
from clv.decide.budget.channel import Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.modes import MinimumCost, TargetLtvToCac
from clv.decide.budget.response import Hill, MichaelisMenten, Power
from clv.decide.budget.scenarios import budget_frontier, compare, constraint_costs
from clv.errors import InputError, PlanError

THREE = [
    Channel("search", Power(k=12, b=0.6), 60),
    Channel("social", Power(k=30, b=0.45), 80),
    Channel("video", MichaelisMenten(V=900, K=20_000), 100),
]
RETENTION = ([2000, 3000, 1500, 4000, 2500], [26000, 30000, 9000, 20000, 3000])


def test_every_constraint_that_binds_is_priced_by_solving_again():
    held = [
        dataclasses.replace(THREE[0], hi=5_000),
        dataclasses.replace(THREE[1], current=5_000.0),
        dataclasses.replace(THREE[2], lo=4_000, hi=4_000),
    ]
    plan = allocate(held, 15_000)
    found = {str(c.constraint): c.cost for c in constraint_costs(held, 15_000)}

    def without(index, **changes):
        other = [*held]
        other[index] = dataclasses.replace(held[index], **changes)
        return allocate(other, 15_000).profit - plan.profit

    assert found == pytest.approx(
        {
            "the budget of 15,000": allocate(held).profit - plan.profit,
            "holding search at 5,000 or less": without(0, hi=math.inf),
            "holding video at 4,000": without(2, lo=0.0, hi=math.inf),
        },
        rel=1e-9,
    )
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_step_cap_is_named_and_what_three_to_one_costs():
    capped = [dataclasses.replace(c, current=20_000.0) for c in THREE]
    found = constraint_costs(capped, target=TargetLtvToCac(3))
    words = [str(c.words) for c in found]
    assert any(
        w.startswith("Holding search at its step limit of 40,000 or less costs") for w in words
    )
    free, held = allocate(THREE), allocate(THREE, target=TargetLtvToCac(3))
    (target,) = constraint_costs(THREE, target=TargetLtvToCac(3))
    assert target.cost == pytest.approx(free.profit - held.profit)
    assert held.target_cost == pytest.approx(target.cost)
    assert "The ratio is a rule of thumb, not a law." in str(target.words)
    assert any(f"costs {target.cost:,.0f} of profit" in str(f) for f in held.findings)


def test_what_binds_nothing_costs_nothing_and_customers_cost_money():
    assert constraint_costs(THREE) == ()
    dear = [*THREE[:2], dataclasses.replace(THREE[2], lo=4_000)]
    (found,) = constraint_costs(dear, target=MinimumCost(5_000))
    saved = [sum(allocate(c, target=MinimumCost(5_000)).spend.values()) for c in (dear, THREE)]
    assert found.cost == pytest.approx(saved[0] - saved[1])
    assert found.words.code == "constraint.costs_money"
    endless = [Channel("endless", Power(1e6, 0.999), 1e6)]
    assert constraint_costs(endless, 100)[0].cost == math.inf


TRIED = [0, 1, 10_000, 25_000, 26_500, 30_000, 1e5, 1e7]


def test_the_frontier_is_the_best_plan_at_every_budget():
    channels = [*THREE, Channel("tv", Hill(V=800, K=9_000, exponent=2.5), 70)]
    table = budget_frontier(channels, TRIED, RETENTION)
    for row, budget in zip(table.to_dict("records"), TRIED, strict=True):
        plan = allocate(channels, budget, RETENTION)
        assert row["value"] == pytest.approx(plan.value, rel=1e-9)
        assert row["profit"] == pytest.approx(plan.profit, rel=1e-9)
        assert row["new_customers"] == pytest.approx(plan.expected_customers, rel=1e-7)
        assert row["spent"] == pytest.approx(budget - plan.unspent, rel=1e-9)
        if budget:
            assert row["multiplier"] == pytest.approx(plan.multiplier, rel=1e-9)
        for name, spend in {**plan.spend, "retention": plan.retention_spend}.items():
            assert row[f"spend: {name}"] == pytest.approx(spend, rel=1e-5, abs=1e-5 * budget)


def test_the_frontier_knows_where_to_look():
    today = [dataclasses.replace(c, current=10_000.0) for c in THREE]
    table = budget_frontier(today)
    assert len(table) == 50
    assert table["budget"].iloc[0] == 15_000  # half of today's, the step caps
    assert table["budget"].iloc[-1] == 60_000
    assert (np.diff(table["value"]) >= 0).all()
    assert (np.diff(table["multiplier"]) <= 1e-9).all()
    whole = budget_frontier(THREE)
    assert whole["budget"].iloc[-1] == pytest.approx(sum(allocate(THREE).spend.values()))
    assert budget_frontier(THREE, 10_000, backend="polars").height == 1
    with pytest.raises(InputError, match="below 15,000, what the lower bounds cost"):
        budget_frontier(today, [10_000])


def test_the_frontier_of_mean_curves():
    rng = np.random.default_rng(3)
    drawn = [
        dataclasses.replace(c, response=MeanOfDraws(Power(rng.uniform(5, 30, 40),
                                                          rng.uniform(0.3, 0.7, 40))))
        for c in THREE
    ]  # fmt: skip
    table = budget_frontier(drawn, [5_000, 80_000])
    for row in table.to_dict("records"):
        plan = allocate(drawn, row["budget"])
        assert row["profit"] == pytest.approx(plan.profit, rel=1e-9)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_scenarios_side_by_side(backend):
    plans = {
        "today's money": allocate(THREE, 30_000, RETENTION),
        "3 : 1": allocate(THREE, target=TargetLtvToCac(3)),
    }
    table = compare(plans, backend)
    assert type(table).__module__.split(".")[0] == backend
    columns = table.to_pydict() if backend == "pyarrow" else table.to_dict()
    first, second = list(plans.values())
    assert [columns["profit"][i] for i in range(2)] == [first.profit, second.profit]
    gain = second.profit - first.profit
    assert columns["profit_above_first"][1] == gain
    assert columns["new_customers_are"][0] == "attributed, not incremental"


def test_scenarios_of_different_horizons_are_not_compared():
    plans = {
        h: allocate([dataclasses.replace(THREE[0], horizon=h)], 1_000)
        for h in ("3 years", "5 years")
    }
    with pytest.raises(InputError, match="3 years and 5 years"):
        compare(plans)
    with pytest.raises(InputError, match="no plans"):
        compare({})


def test_an_infeasible_plan_has_no_constraints_to_price():
    with pytest.raises(PlanError, match="lower bounds"):
        constraint_costs([dataclasses.replace(THREE[0], lo=10)], 5)
