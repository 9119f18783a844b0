"""How much of the attainable profit is reached, on simulated brands with known effects.

A reduced run of ``training/uplift_study.py``, which prints the whole table.
"""

import numpy as np
import pandas as pd
import pytest

from training.uplift_study import RANKINGS, UPLIFT, Contest, Models, in_one_table, shares

REPETITIONS = 3


@pytest.fixture(scope="module")
def table():
    models = Models.fit(customers=30_000)
    found = pd.DataFrame(
        {"log": size, **shares(models, seed, size, customers=30_000)}
        for size in (20_000, 2_000)
        for seed in range(REPETITIONS)
    )
    return in_one_table(found).set_index(["log", "policy"])


@pytest.mark.slow
def test_a_log_of_20_000_reaches_nine_tenths_and_beats_every_ranking(table):
    rows = table.loc[20_000]
    assert rows.loc[UPLIFT, "share"] > 0.9
    for policy in RANKINGS:
        assert rows.loc[policy, "won"] == REPETITIONS
        assert rows.loc[policy, "ahead_low"] > 0
    assert rows.loc["by risk", "share"] < rows.loc["risk x CLV, save rate 0.3", "share"]


@pytest.mark.slow
def test_a_log_of_2_000_still_beats_every_ranking_on_average(table):
    rows = table.loc[2_000]
    assert rows.loc[UPLIFT, "share"] > 0.8
    assert (rows.loc[list(RANKINGS), "ahead"] > 0).all()


def test_the_attainable_profit_is_the_most_any_ranking_reaches():
    rng = np.random.default_rng(0)
    cost = rng.uniform(0.5, 3, 400)
    contest = Contest(rng.normal(0.5, 3, 400), cost, budget=0.1 * cost.sum())
    for _ in range(200):
        assert contest.profit(rng.random(400)) < contest.attainable
    everybody = Contest(contest.gain, cost, budget=cost.sum() * 1.01)
    worth = contest.gain > cost
    assert everybody.attainable == pytest.approx((contest.gain - cost)[worth].sum())
