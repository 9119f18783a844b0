"""Sums of money that no order of rows changes: against exact fractions, in every engine."""

from __future__ import annotations

import math
from fractions import Fraction

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.data.money import summed
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.schema import as_frame


def total(amounts: list[float | None]) -> float:
    rows = as_frame(pd.DataFrame({"who": "a", "amount": amounts}))
    return float(summed(rows, ["who"], ["amount"]).collect()["amount"][0])


@pytest.mark.parametrize("decimals", [0, 2, 4])
def test_a_sum_of_money_is_the_nearest_number_to_the_exact_one(decimals):
    rng = np.random.default_rng(decimals)
    for scale in (1.0, 1e5, 1e9):
        amounts = [round(float(one), decimals) for one in rng.uniform(-scale, scale, 500)]
        exact = sum(Fraction(str(one)) for one in amounts)
        assert total(amounts) == float(exact)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e9, 1e10, 1e15, 1e295])
def test_what_is_no_money_is_added_all_the_same(scale):
    amounts = (scale * np.random.default_rng(0).gamma(2.0, size=1000)).tolist()
    assert total(amounts) == pytest.approx(math.fsum(amounts), rel=1e-13)


def test_missing_amounts_are_left_out():
    assert total([0.1, None, 0.2]) == 0.3
    assert total([None]) == 0.0


ENGINES = {
    "pandas": lambda table: table,
    "polars": pl.from_pandas,
    "duckdb": lambda table: duckdb.from_df(table),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_log_in_any_order_gives_one_summary_to_the_last_bit(engine):
    rng = np.random.default_rng(1)
    lines = pd.DataFrame(
        {
            "customer_id": rng.integers(0, 50, 4000),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, 4000), "D"),
            "amount": rng.integers(1, 10_000, 4000) / 100,
            "margin": rng.integers(1, 3000, 4000) / 100,
        }
    )
    lines["order_id"] = lines["date"].dt.day_of_year + 1000 * lines["customer_id"]
    found = []
    for _ in range(4):
        lines = lines.sample(frac=1, random_state=rng)
        log, _ = clean(ENGINES[engine](lines))
        summary = as_frame(summarize(log)).collect().to_pandas().sort_values("customer_id")
        margins = as_frame(log).select("margin").collect()["margin"].to_list()
        found.append((summary.reset_index(drop=True), sorted(margins)))
    for summary, margins in found[1:]:
        pd.testing.assert_frame_equal(summary, found[0][0], check_exact=True)
        assert margins == found[0][1]
