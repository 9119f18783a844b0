"""Coverage of customers and totals, and what the totals say of a common factor."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clv.evaluate.backtest import RollingOrigin, coverage_table, misses, rolling_record
from clv.value.common_factor import common_factor


def test_a_total_is_judged_by_the_other_cutoffs(rolling: RollingOrigin) -> None:
    missed = misses(rolling, "BG/NBD", "purchases")
    for i, origin in enumerate(rolling.origins):
        model = origin.calibration.purchases["bg_nbd"]
        total = model.conditional_expected_purchases(13, origin.calibration.summary).sum()
        assert missed.log_ratios[i] == pytest.approx(np.log(origin.purchases.sum() / total))
        kept = [j for j in range(3) if j != i]
        others = common_factor(
            [missed.log_ratios[j] for j in kept], np.array([missed.explained[j] for j in kept])
        )
        assert missed.factor(without=i) == others
    assert missed.factor().cutoffs == 3


def test_the_table_holds_customers_and_totals(rolling: RollingOrigin) -> None:
    table = coverage_table(rolling, "MBG/NBD")
    assert table["nominal"].tolist() == [0.8, 0.9, 0.95] * 6
    customers = table[table["what"].str.endswith("of customers")]
    assert (customers["n"] == sum(len(origin.purchases) for origin in rolling.origins)).all()
    np.testing.assert_allclose(customers["randomized"], customers["nominal"], atol=0.03)
    totals = table.set_index(["what", "nominal"])["inside"]
    for what in ("purchases", "money"):  # a factor only widens
        assert (totals[f"total {what}"] >= totals[f"total {what}, models alone"]).all()
    shares = totals[totals.index.get_level_values("what").str.startswith("total")]
    assert set((3 * shares).round(9)) <= {0.0, 1.0, 2.0, 3.0}


def test_the_record_is_strict_json(rolling: RollingOrigin) -> None:
    record = rolling_record(rolling, "BG/NBD")
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["cutoffs"] == ["1997-09-30", "1997-12-30", "1998-03-31"]
    assert len(record["means"]) == 18
    assert set(record["misses"]) == {"purchases", "money"}
    assert len(record["misses"]["money"]["log_ratios"]) == 3
