"""The two lists of a campaign: value still winnable first, and those who have probably left."""

import numpy as np
import pandas as pd
import pytest

from clv.data.summary import summarize
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import retention_targets
from clv.decide.retention.slipping import slipping_and_departed, winnable
from clv.periods import Duration
from clv.value.value import Terms

OFFER = Offer(1, 2)


@pytest.fixture(scope="module")
def scores(published_scorer, cdnow_clean) -> pd.DataFrame:
    terms = Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52)
    return published_scorer(terms, "1997-09-30").predict(
        summarize(cdnow_clean, as_of="1997-09-30", unit="week")
    )


def test_both_lists_are_the_audience_told_apart(scores):
    plan = retention_targets(scores, OFFER, 400)
    lists = slipping_and_departed(plan, 10_000)
    table, alive = plan.table, scores.set_index("customer_id")["probability_alive"]
    listed = [row.customer_id for row in (*lists.slipping, *lists.departed)]
    assert sorted(listed) == sorted(table["customer_id"].astype(str))
    assert lists.sizes == (len(lists.slipping), len(lists.departed))
    of = alive[table["customer_id"]] < 0.2
    assert len(lists.departed) == of.sum() > 0
    assert {row.group for row in lists.slipping} == {"treat", "control"}
    by_plan = table[of.to_numpy()]["customer_id"].astype(str).tolist()
    assert [row.customer_id for row in lists.departed][:5] == by_plan[:5]


def test_what_is_still_winnable_comes_first_and_is_of_those_still_there(scores):
    lists = slipping_and_departed(retention_targets(scores, OFFER, 400), 20)
    assert len(lists.slipping) == 20
    values = [row.winnable for row in lists.slipping]
    assert values == sorted(values, reverse=True)
    # by simulation: alive with P(alive), silent with P(churn), which who is gone always is
    rng = np.random.default_rng(0)
    for row in lists.slipping[:3]:
        alive = rng.random(400_000) < row.alive
        buys = alive & (rng.random(400_000) < (1 - row.churn) / row.alive)
        assert row.winnable == pytest.approx(row.save * (alive & ~buys).mean(), rel=0.02)
    assert winnable(np.array([0.5]), np.array([0.1]), np.array([9.0])) == 0.0


def test_figures_are_those_of_the_plan(scores):
    plan = retention_targets(scores, OFFER, 400)
    table = plan.table.assign(key=plan.table["customer_id"].astype(str)).set_index("key")
    for row in slipping_and_departed(plan, 50).slipping:
        expected = table.loc[row.customer_id]
        assert (row.group, row.cost) == (expected["group"], pytest.approx(expected["cost"]))
        assert row.break_even == pytest.approx(expected["break_even_save_rate"])


def test_scores_that_do_not_know_who_is_alive_give_one_list(scores):
    plan = retention_targets(scores.drop(columns="probability_alive"), OFFER, 400)
    lists = slipping_and_departed(plan, 5)
    assert (lists.told_apart, lists.departed) == (False, [])
    first = plan.table["customer_id"].astype(str).tolist()[:5]
    assert [row.customer_id for row in lists.slipping] == first
