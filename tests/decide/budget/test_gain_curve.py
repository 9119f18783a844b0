"""The retention curve against a plain loop over customers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.decide.budget.gain_curve import GainCurve, as_gain_curve
from clv.errors import ClvError, ColumnError, RowError

COST, GAIN = [2000, 3000, 1500, 4000, 2500], [26000, 30000, 9000, 20000, 3000]  # science 8, B


def by_hand(cost, gain, budget):
    """Fill a knapsack customer by customer; the last one in part."""
    total = 0.0
    for c, g in sorted(zip(cost, gain, strict=True), key=lambda pair: -pair[1] / pair[0]):
        part = min(1.0, budget / c)
        total, budget = total + part * g, budget - part * c
        if part < 1:
            break
    return total


amounts = st.floats(0.1, 1000)


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=20), st.floats(0, 1.2))
@settings(deadline=None)
def test_gain_is_what_a_loop_over_customers_gives(customers, share):
    cost, gain = map(list, zip(*customers, strict=True))
    budget = share * sum(cost)
    assert GainCurve.from_customers(cost, gain).gain_at(budget) == pytest.approx(
        by_hand(cost, gain, budget)
    )


def test_spend_above_counts_customers_strictly_better():
    curve = GainCurve.from_customers(COST, GAIN)
    assert [curve.spend_above(r) for r in (20, 13, 10.5, 10, 5.5, 0)] == [
        0,
        0,
        2000,
        2000,
        6500,
        13000,
    ]


def test_edges_are_the_slopes_on_both_sides():
    curve = GainCurve.from_customers(COST, GAIN)
    assert curve.edges(0) == (np.inf, 13)
    assert curve.edges(2000) == (13, 10)
    assert curve.edges(2500) == (10, 10)
    assert curve.edges(13000) == (1.2, 0)
    assert curve.edges(1e9) == (1.2, 0)


def test_a_spend_that_equals_a_sum_of_costs_pays_for_all_of_it():
    cost = [0.1] * 10
    curve = GainCurve.from_customers(cost, [1.0] * 10)
    assert curve.customers_at(1.0) == 10  # ten times 0.1 is 0.9999999999999999


def test_customers_without_gain_are_left_out_and_free_ones_come_first():
    curve = GainCurve.from_customers([1, 0, 1, 1], [5, 2, 0, -3])
    assert (len(curve), curve.customers_at(0), curve.gain_at(0), curve.gain_at(1)) == (2, 1, 2, 7)


@pytest.mark.parametrize(
    "retention",
    [
        (COST, GAIN),
        pd.DataFrame({"cost": COST, "gain": GAIN}),
        pl.LazyFrame({"cost": COST, "expected_gain": GAIN}),
        GainCurve.from_customers(COST, GAIN),
    ],
    ids=["pair", "pandas", "polars", "curve"],
)
def test_every_way_to_hand_it_over_means_the_same(retention):
    assert as_gain_curve(retention).gain_at(3500) == 26000 + 1500 * 10


def test_no_retention_gains_nothing():
    curve = as_gain_curve(None)
    assert (len(curve), curve.gain_at(100), curve.customers_at(100)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("retention", "error", "words"),
    [
        (([1, -2], [1, 2]), RowError, "cost is negative in 1 row, such as row=1"),
        (([1, np.nan], [1, 2]), RowError, "missing or infinite"),
        (([1, 2], [1, np.inf]), RowError, "missing or infinite"),
        (([1, 2], [1]), ClvError, "shape"),
        (([1], [1], [1]), ClvError, "3 parts"),
        (pd.DataFrame({"cost": [1]}), ColumnError, "no column gain"),
        (pd.DataFrame({"gain": [1]}), ColumnError, "no column cost"),
        (3, ClvError, "not a dataframe"),
    ],
)
def test_bad_options_are_named(retention, error, words):
    with pytest.raises(error, match=words):
        as_gain_curve(retention)
