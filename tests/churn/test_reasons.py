"""Reasons: exact sums behind the words, and words that say what the numbers say."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit

from clv.churn.model import ChurnModel
from clv.churn.reasons import WORDS, churn_reasons
from clv.churn.score_effects import TOPIC_OF
from clv.data.summary import summarize
from clv.forecast.attribution import boosted_average, boosted_contributions
from clv.forecast.inputs import INPUTS, READS
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


@pytest.fixture(scope="module")
def wide(cdnow_scorer, cdnow_clean, summary) -> pd.DataFrame:
    return cdnow_scorer.churn.attach(summary, cdnow_clean, cdnow_scorer.as_of, "week")


def test_effects_of_the_pool_add_up_to_the_probability(cdnow_scorer, wide):
    """For the base they start from its average score, and average to nothing."""
    churn, model = cdnow_scorer.churn, cdnow_scorer.purchases
    effects = churn.effects(wide, model, "week")
    probability = churn.predict(wide, model, "week")
    total = effects.average + effects.values.sum(axis=1)
    np.testing.assert_allclose(total, probability, atol=1e-12)
    assert effects.average == pytest.approx(probability.mean(), abs=1e-12)
    np.testing.assert_allclose(effects.values.mean(axis=0), 0.0, atol=1e-12)
    assert effects.scale == "probability"


def test_half_of_an_effect_is_the_hurdles_and_half_the_corrected_models(cdnow_scorer, wide):
    """By hand, of a topic that only trees speak of: in proportion to what it moved in them."""
    churn, model = cdnow_scorer.churn, cdnow_scorer.purchases
    pool, one = churn.pool, wide.iloc[[6]]
    trees = pool.learner
    X = pool.read({name: one[name].to_numpy() for name in READS}, model).X

    def silent(factor):
        return model.probability_of_no_purchase(20 * np.exp(factor + pool.stretch), one)[0]

    def lost(odds):
        return expit(-(odds + pool.shift))

    told, reading = 0.0, trees.read(X)
    halves = (trees.buys, lost, reading.odds), (trees.corrects, silent, reading.factor)
    for part, chance, score in halves:
        moved, start = boosted_contributions(part, X)[0], boosted_average(part)
        share = moved[[TOPIC_OF[name] == "trend" for name in INPUTS]].sum() / moved.sum()
        told += share * (chance(score[0]) - chance(start)) / 2
    effects = churn.effects(one, model, "week")
    value = effects.values[0][effects.topics.index("trend")]
    assert value + churn.base["trend"] == pytest.approx(told, abs=2e-3)


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


def test_the_largest_effects_come_first_and_each_is_told_in_words(cdnow_scorer, wide):
    churn, model = cdnow_scorer.churn, cdnow_scorer.purchases
    told = churn_reasons(churn, wide, model, "week", top=3)
    sizes = told[["effect_1", "effect_2", "effect_3"]].abs().to_numpy()
    assert (np.diff(sizes, axis=1) <= 0).all()
    largest = np.abs(churn.effects(wide, model, "week").values).max(axis=1)
    np.testing.assert_allclose(sizes[:, 0], largest)
    raised = told["reason_1"].str.contains("raises")
    assert (raised == (told["effect_1"] > 0)).all()
    assert told["customer_id"].tolist() == wide["customer_id"].tolist()


def test_every_topic_has_words():
    assert set(WORDS) == set(TOPIC_OF.values())


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
        "typical": 38.0,
        "window": "13 weeks",
    }
    said = {topic: [str(say(facts, i)) for i in (0, 1)] for topic, say in WORDS.items()}
    assert said["silence"] == [
        "one order only, 300 days ago",
        "last order 1 day ago; usually every 75",
    ]
    assert said["pace"] == ["no repeat order in 300 days", "4 repeat orders in 300 days"]
    assert said["age"][0] == "customer for 300 days"
    assert said["spend"] == ["1,234 per order; 38 is usual", "5 per order; 38 is usual"]
    assert said["rhythm"] == [
        "too few orders for a rhythm",
        "60 days between the last two orders; usually 75, give or take 12",
    ]
    assert said["trend"][1] == "1 order in the last 13 weeks, 3 before that"


def test_the_same_kind_of_table_comes_back_also_without_ids(purchases):
    churn = ChurnModel(QUARTER, None, "no labels")
    both = pd.concat([one(), one(recency=39.0)], ignore_index=True)
    told = churn_reasons(churn, pl.from_pandas(both), purchases, "week")
    assert isinstance(told, pl.DataFrame)
    assert told.columns == ["reason_1", "effect_1", "reason_2", "effect_2"]
    assert told["reason_1"].to_list() == (
        churn_reasons(churn, both, purchases, "week")["reason_1"].tolist()
    )


def test_without_an_effect_there_is_no_reason(purchases):
    """A customer alone is the average of the base: nothing moved the score."""
    told = churn_reasons(ChurnModel(QUARTER, None, "no labels"), one(), purchases, "week")
    assert told.loc[0, ["reason_1", "effect_1"]].isna().all()
