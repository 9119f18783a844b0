"""How much of the attainable profit is reached, on simulated brands with known effects.

A reduced run of ``training/uplift_study.py``, which prints the whole table.
"""

import numpy as np
import pandas as pd
import pytest

from training.uplift_study import (
    RANKED_LEFT,
    RANKINGS,
    UPLIFT,
    Contest,
    Models,
    in_one_table,
    shares,
)

REPETITIONS = 3
RIVALS = [name for name in RANKINGS if name != RANKED_LEFT]


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
    for policy in RIVALS:
        assert rows.loc[policy, "won"] == REPETITIONS
        assert rows.loc[policy, "ahead_low"] > 0
    assert rows.loc["by risk", "share"] < rows.loc["risk x CLV, save rate 0.3", "share"]


@pytest.mark.slow
def test_a_log_of_2_000_still_beats_every_ranking_on_average(table):
    rows = table.loc[2_000]
    assert rows.loc[UPLIFT, "share"] > 0.8
    assert (rows.loc[RIVALS, "ahead"] > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [20_000, 2_000])
def test_to_be_told_how_the_offer_works_is_worth_about_a_log(table, size):
    """This brand's offer brings back who has left; a ranking that assumes so is a close rival."""
    rows = table.loc[size]
    assert rows.loc[RANKED_LEFT, "share"] > 0.88
    assert abs(rows.loc[RANKED_LEFT, "ahead"]) < 0.05


def test_the_attainable_profit_is_the_most_any_ranking_reaches():
    rng = np.random.default_rng(0)
    cost = rng.uniform(0.5, 3, 400)
    contest = Contest(rng.normal(0.5, 3, 400), cost, budget=0.1 * cost.sum())
    for _ in range(200):
        assert contest.profit(rng.random(400)) < contest.attainable
    everybody = Contest(contest.gain, cost, budget=cost.sum() * 1.01)
    worth = contest.gain > cost
    assert everybody.attainable == pytest.approx((contest.gain - cost)[worth].sum())
