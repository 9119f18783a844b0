"""Reasons: exact sums behind the words, and words that say what the numbers say."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from clv.churn.classifier import Classifier
from clv.churn.model import TOPIC_OF, ChurnModel
from clv.churn.reasons import WORDS, churn_reasons
from clv.data.summary import summarize
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD

PAPER = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}  # Fader, Hardie & Lee 2005, CDNOW
QUARTER = Duration(13, "week")


@pytest.fixture(scope="module")
def summary(cdnow_clean) -> pd.DataFrame:
    return summarize(cdnow_clean)


@pytest.fixture(scope="module")
def purchases() -> BetaGeoNBD:
    return BetaGeoNBD.from_params(PAPER, unit="week")


def one(**values) -> pd.DataFrame:
    known = {"frequency": 5, "recency": 20.0, "T": 40.0, "monetary_value": 9.0}
    known |= {"first_amount": 7.0, "unit": "week"}
    return pd.DataFrame({name: [value] for name, value in (known | values).items()})


def test_effects_of_a_classifier_add_up_to_the_log_odds(cdnow_scorer, summary):
    churn, model = cdnow_scorer.churn, cdnow_scorer.purchases
    effects = churn.effects(summary, model, "week")
    total = effects.average + effects.values.sum(axis=1)
    probability = churn.predict(summary, model, "week")
    np.testing.assert_allclose(1 / (1 + np.exp(-total)), probability, rtol=1e-12)
    assert effects.scale == "log odds"


def test_effects_of_the_purchase_model_add_up_to_its_probability(summary, purchases):
    churn = ChurnModel(QUARTER, None, "no labels")
    effects = churn.effects(summary, purchases, "week")
    total = effects.average + effects.values.sum(axis=1)
    expected = purchases.probability_of_no_purchase(13.0, summary)
    np.testing.assert_allclose(total, expected, atol=1e-12)
    assert effects.average == pytest.approx(expected.mean())
    np.testing.assert_allclose(effects.values.mean(axis=0), 0.0, atol=0.02)


def test_a_longer_silence_is_told_as_the_reason(purchases):
    base = {"alive": 0.8, "buys_if_alive": 0.3, "buys": 0.25}
    churn = ChurnModel(QUARTER, None, "no labels", base=base)
    told = churn_reasons(churn, one(recency=10.0), purchases, "week").iloc[0]
    assert told["reason_1"] == "last order 210 days ago; usually every 14 (raises the risk)"
    assert told["effect_1"] > 0
    fresh = churn_reasons(churn, one(recency=39.0), purchases, "week").iloc[0]
    told_of = {fresh["reason_1"]: fresh["effect_1"], fresh["reason_2"]: fresh["effect_2"]}
    assert told_of["5 repeat orders in 280 days (lowers the risk)"] < 0
    assert "last order 7 days ago; usually every 55 (lowers the risk)" in told_of


def test_the_largest_effects_come_first_and_each_is_told_in_words(cdnow_scorer, summary):
    churn, model = cdnow_scorer.churn, cdnow_scorer.purchases
    told = churn_reasons(churn, summary, model, "week", top=3)
    sizes = told[["effect_1", "effect_2", "effect_3"]].abs().to_numpy()
    assert (np.diff(sizes, axis=1) <= 0).all()
    largest = np.abs(churn.effects(summary, model, "week").values).max(axis=1)
    np.testing.assert_allclose(sizes[:, 0], largest)
    raised = told["reason_1"].str.contains("raises")
    assert (raised == (told["effect_1"] > 0)).all()
    assert told["customer_id"].tolist() == summary["customer_id"].tolist()


def test_every_topic_has_words():
    assert set(WORDS) == {*TOPIC_OF.values(), "channel"}


def test_the_words_of_each_topic():
    facts = {
        "repeats": [0, 4, 1],
        "age": [300.0, 300.0, 300.0],
        "since": [300.0, 1.0, 20.0],
        "gap": [300.0, 75.0, 280.0],
        "amount": [1234.5, 5.0, 5.0],
        "gap_spread": [0.0, 12.4, 0.0],
        "last_gap": [0.0, 60.0, 280.0],
        "recent": [0.0, 1.0, 2.0],
        "earlier": [0.0, 3.0, 0.0],
        "products": [1.0, 7.0, 2.0],
        "channel": ["ads", "search", None],
        "typical": 38.0,
        "window": "13 weeks",
    }
    said = {topic: [say(facts, i) for i in (0, 1)] for topic, say in WORDS.items()}
    assert said["silence"] == [
        "one order only, 300 days ago",
        "last order 1 day ago; usually every 75",
    ]
    assert said["pace"] == ["no repeat order in 300 days", "4 repeat orders in 300 days"]
    assert said["age"][0] == "customer for 300 days"
    assert said["spend"] == ["1,234.50 per order; 38.00 is usual", "5.00 per order; 38.00 is usual"]
    assert said["rhythm"] == [
        "too few orders for a rhythm",
        "60 days between the last two orders; usually 75, give or take 12",
    ]
    assert said["trend"][1] == "1 order in the last 13 weeks, 3 before that"
    assert said["products"] == ["has bought 1 different product", "has bought 7 different products"]
    assert said["channel"][1] == "first bought through search"


def test_the_same_kind_of_table_comes_back_also_without_ids(purchases):
    churn = ChurnModel(QUARTER, None, "no labels")
    both = pd.concat([one(), one(recency=39.0)], ignore_index=True)
    told = churn_reasons(churn, pl.from_pandas(both), purchases, "week")
    assert isinstance(told, pl.DataFrame)
    assert told.columns == ["reason_1", "effect_1", "reason_2", "effect_2"]
    assert told["reason_1"].to_list() == (
        churn_reasons(churn, both, purchases, "week")["reason_1"].tolist()
    )


def test_the_channel_is_a_topic_where_the_classifier_knows_it(purchases):
    """A logistic regression by hand: only the channel counts, with log odds of 2 for ads."""
    linear = LogisticRegression().fit([[0.0] * 2, [1.0] * 2], [0, 1])
    linear.coef_, linear.intercept_ = np.array([[0.0, 2.0]]), np.array([-1.0])
    classifier = Classifier("logistic regression", ("age", "channel=ads"), (linear,), (3.0, 0.25))
    churn = ChurnModel(QUARTER, classifier, "by hand")
    both = pd.concat([one(channel="ads"), one(channel="search")], ignore_index=True)
    told = churn_reasons(churn, both, purchases, "week", top=1)
    assert told["reason_1"].tolist() == [
        "first bought through ads (raises the risk)",
        "first bought through search (lowers the risk)",
    ]
    np.testing.assert_allclose(told["effect_1"], [2 - 0.5, -0.5])
    np.testing.assert_allclose(churn.predict(both, purchases, "week"), 1 / (1 + np.exp([-1, 1])))


def test_without_an_effect_there_is_no_reason(purchases):
    """A customer alone is the average of the base: nothing moved the score."""
    told = churn_reasons(ChurnModel(QUARTER, None, "no labels"), one(), purchases, "week")
    assert told.loc[0, ["reason_1", "effect_1"]].isna().all()
