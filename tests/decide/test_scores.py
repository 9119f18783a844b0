"""Scores are read and checked once: any dataframe, everybody once, every measure in its range."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import plan_campaign
from clv.decide.scores import Scores, draw_by_id
from clv.errors import ColumnError, InputError, RowError

TABLE = pd.DataFrame(
    {
        "customer_id": ["ann", "bob", "cem"],
        "churn_probability": [0.5, 0.9, 0.1],
        "value_at_stake": [80, 40, 120],
        "days_since_last": [3, 200, 0],
        "horizon": "3 years",
        "currency": "EUR",
        "unit": "week",
        "as_of": dt.date(2024, 3, 31),
        "model_version": ["7", "7", "8"],
    }
)
NEEDED = ("churn_probability", "value_at_stake")


def test_every_kind_of_dataframe_is_read_alike(kind):
    scores = Scores.read(kind(TABLE), NEEDED, ("days_since_last", "clv"))
    assert scores.ids == ["ann", "bob", "cem"]
    np.testing.assert_array_equal(scores.churn_probability, [0.5, 0.9, 0.1])
    np.testing.assert_array_equal(scores.value_at_stake, [80.0, 40.0, 120.0])
    assert set(scores.measures) == {*NEEDED, "days_since_last"}
    assert (scores.horizon, scores.currency) == ("3 years", "EUR")
    assert scores.as_of == dt.date(2024, 3, 31)
    assert "model_version" not in scores.terms  # it is not the same for everybody ...


def test_what_is_not_the_same_for_everybody_stays_in_the_list():
    table = plan_campaign(TABLE, Offer(1), control_share=0).table.set_index("customer_id")
    assert table["model_version"].to_dict() == {"bob": "7", "ann": "7", "cem": "8"}
    assert set(table["currency"]) == {"EUR"}


def test_scores_are_read_once_and_for_all():
    scores = Scores.read(TABLE, NEEDED)
    assert Scores.read(scores, NEEDED) is scores
    again = plan_campaign(scores, Offer(1), control_share=0.5)
    assert again.table.equals(plan_campaign(TABLE, Offer(1), control_share=0.5).table)
    with pytest.raises(ColumnError, match="were read without days_since_last"):
        Scores.read(scores, ["days_since_last"])


def test_terms_that_are_no_columns_are_stated_beside():
    bare = TABLE[["customer_id", *NEEDED]]
    scores = Scores.read(bare, NEEDED, terms={"currency": "GBP", "annual_discount_rate": None})
    assert scores.currency == "GBP"
    listed = plan_campaign(scores, Offer(1), control_share=0).table
    assert set(listed["currency"]) == {"GBP"}
    assert listed["annual_discount_rate"].isna().all()


def test_everybody_is_drawn_once_for_each_seed():
    scores = Scores.read(TABLE, NEEDED)
    assert scores.draw(3) is scores.draw(3)
    np.testing.assert_array_equal(scores.draw(3), draw_by_id(["ann", "bob", "cem"], 3))
    assert not np.array_equal(scores.draw(3), scores.draw(4))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"churn_probability": 1.5}, RowError, r"churn_probability is not in \[0, 1\] in 3 rows"),
        ({"churn_probability": np.nan}, RowError, r"churn_probability is not in \[0, 1\]"),
        ({"value_at_stake": np.inf}, RowError, "value_at_stake is missing or infinite in 3 rows"),
        ({"days_since_last": -1}, RowError, "days_since_last is negative in 3 rows, such as .*ann"),
        ({"days_since_last": "long"}, ColumnError, "not numbers"),
        ({"customer_id": ["ann", "ann", "bob"]}, RowError, "customer_id is repeated in 2 rows"),
        ({"customer_id": ["ann", None, "bob"]}, RowError, "customer_id is missing in 1 row"),
        ({"as_of": ["2024-03-31", "2024-03-30", "2024-03-31"]}, InputError, "mix .* as_of"),
        ({"currency": ["EUR", "GBP", "EUR"]}, InputError, "mix .* currency"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_named(change, error, words):
    with pytest.raises(error, match=words):
        Scores.read(TABLE.assign(**change), (*NEEDED, "days_since_last"))


def test_measures_that_nothing_needs_may_be_anything():
    table = TABLE.assign(days_since_last=-1)
    assert len(Scores.read(table, NEEDED, ["days_since_last"])) == 3
