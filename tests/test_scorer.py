"""The scorer: one row a customer in the caller's order, and a folder that reads back the same."""

import dataclasses
import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.data.log_limits import log_limits
from clv.data.summary import summarize
from clv.errors import ColumnError, InputError, ModelError, UnitError
from clv.evaluate.backtest import choose_purchase_model
from clv.findings import saved
from clv.forecast import READS
from clv.history import History, read_history
from clv.periods import Duration
from clv.probability.models import MODELS, TITLES
from clv.score_columns import SCORE_COLUMNS
from clv.scorer import CustomerScorer
from clv.simulate import simulate_brand
from clv.value.predictive import value_interval
from clv.value.value import Terms, residual_value

TERMS = Terms(0.3, 0.1, Duration(3, "year"), "EUR")


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    brand = simulate_brand(seed=4, customers=1500, weeks=40)
    return brand.orders[["customer_id", "date", "amount", "channel"]]


@pytest.fixture(scope="module")
def scorer(orders) -> CustomerScorer:
    return CustomerScorer.fit(orders, TERMS, churn_horizon=Duration(13, "week"))


@pytest.fixture(scope="module")
def summary(orders) -> pd.DataFrame:
    return summarize(orders)


def test_scores_have_one_row_a_customer_and_name_their_terms(scorer, summary):
    scores = scorer.predict(summary)
    assert scores["customer_id"].tolist() == summary["customer_id"].tolist()
    constants = scores[["horizon", "churn_horizon", "money", "currency", "model_version"]]
    assert constants.drop_duplicates().to_numpy().tolist() == [
        ["3 years", "13 weeks", "contribution margin", "EUR", scorer.version]
    ]
    numbers = scores.select_dtypes("number")
    assert np.isfinite(numbers.to_numpy()).all()
    assert (numbers.to_numpy() >= 0).all()
    shares = scores.filter(like="probability")
    assert (shares.to_numpy() <= 1).all()
    assert shares.shape[1] == 3


def test_total_forecast_is_close_to_what_the_simulation_did(orders):
    """The sum over customers of expected purchases against those of the simulated future."""
    brand = simulate_brand(seed=8, customers=8000, weeks=80)
    log = brand.orders[["customer_id", "date", "amount"]]
    scorer = CustomerScorer.fit(
        log,
        dataclasses.replace(TERMS, horizon=Duration(1, "year")),
        churn_horizon=Duration(13, "week"),
    )
    scores = scorer.predict(summarize(log, as_of=brand.as_of))
    weeks = (brand.truth.future["date"] - brand.as_of).dt.days / 7
    actual = (weeks <= 365.25 / 7).sum()
    assert scores["expected_purchases"].sum() == pytest.approx(actual, rel=0.1)


def test_row_order_does_not_matter(scorer, summary):
    shuffled = summary.sample(frac=1, random_state=0)
    scores = scorer.predict(shuffled)
    assert scores["customer_id"].tolist() == shuffled["customer_id"].tolist()
    plain = scorer.predict(summary).set_index("customer_id")
    pd.testing.assert_frame_equal(
        scores.set_index("customer_id").loc[plain.index], plain, rtol=1e-12
    )


@pytest.mark.parametrize("kind", [pl.from_pandas, duckdb.from_df])
def test_a_log_in_another_order_gives_the_same_model(orders, kind):
    shuffled = [kind(orders.sample(frac=1, random_state=seed)) for seed in range(2)]
    one, other = (
        CustomerScorer.fit(log, TERMS, churn_horizon=Duration(13, "week")) for log in shuffled
    )
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize("kind", ["polars", "polars lazy", "pyarrow", "duckdb"])
def test_any_dataframe_gives_the_same_scores(scorer, summary, kind):
    frame = pl.from_pandas(summary)
    native = {
        "polars": frame,
        "polars lazy": frame.lazy(),
        "pyarrow": frame.to_arrow(),
        "duckdb": duckdb.from_arrow(frame.to_arrow()),
    }[kind]
    scores = scorer.predict(native)
    assert type(scores) is type(native)
    eager = scores.collect() if kind == "polars lazy" else scores
    table = pl.DataFrame(eager.to_arrow_table() if kind == "duckdb" else eager).to_pandas()
    expected = scorer.predict(summary)
    assert table.columns.tolist() == expected.columns.tolist()
    assert table["customer_id"].tolist() == expected["customer_id"].tolist()
    np.testing.assert_allclose(table["clv"], expected["clv"], rtol=1e-12)


def test_any_hashable_id_will_do(scorer, summary):
    named = summary.assign(customer_id=[f"x-{i}é" for i in range(len(summary))])
    assert scorer.predict(named)["customer_id"].tolist() == named["customer_id"].tolist()


def test_saved_and_loaded_scorers_are_the_same(scorer, summary, tmp_path):
    folder = scorer.save(tmp_path / "model")
    scorer.save(folder)  # in place of itself
    loaded = CustomerScorer.load(folder)
    assert loaded.version == scorer.version
    pd.testing.assert_frame_equal(loaded.predict(summary), scorer.predict(summary))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_scorer_of_a_short_log_says_so_after_it_was_saved_too(scorer, orders, tmp_path):
    limits = saved(log_limits(orders, Duration(30, "year")))
    assert len(limits) == 1
    limited = dataclasses.replace(scorer, training={"limits": limits})
    assert CustomerScorer.load(limited.save(tmp_path / "scorer")).training == {"limits": limits}


def test_a_saved_scorer_is_small_and_holds_no_customer(scorer, orders, tmp_path):
    folder = scorer.save(tmp_path / "model")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    saved = json.loads((folder / "scorer.json").read_text())  # strict JSON: no NaN, no Infinity
    assert saved["purchases"]["parameters"] == scorer.purchases.params_
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".skops"}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "scorer.json").unlink(), "holds no scorer.json"),
        (lambda f: (f / "scorer.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "scorer.json").write_text('{"format": 99}'), "not of format 3"),
        (lambda f: (f / "scorer.json").write_text('{"format": 3}'), "is damaged"),
    ],
)
def test_a_damaged_folder_is_named(scorer, tmp_path, damage, words):
    folder = scorer.save(tmp_path / "model")
    damage(folder)
    with pytest.raises(ModelError, match=words):
        CustomerScorer.load(folder)


def test_changed_trees_are_refused(cdnow_scorer, tmp_path):
    folder = cdnow_scorer.save(tmp_path / "model")
    (folder / "churn.skops").write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the file that was saved"):
        CustomerScorer.load(folder)
    (folder / "churn.skops").unlink()
    with pytest.raises(ModelError, match="is missing"):
        CustomerScorer.load(folder)


def test_a_folder_with_something_else_is_left_alone(scorer, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds no scorer"):
        scorer.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_columns_are_those_declared_in_their_order(scorer, summary):
    scores = scorer.predict(summary)
    assert scores.columns.tolist() == list(SCORE_COLUMNS)
    for name, column in SCORE_COLUMNS.items():
        if column.dtype in (int, float):
            assert scores[name].dtype.kind == {int: "i", float: "f"}[column.dtype], name
        if column.role == "constant":
            assert scores[name].nunique() == 1, name
        if column.unit == "share":
            assert scores[name].between(0, 1).all(), name


def test_wrong_summaries_are_refused(scorer, summary, orders):
    with pytest.raises(UnitError, match="fitted in weeks, the table is in days"):
        scorer.predict(summarize(orders, unit="day"))
    with pytest.raises(ColumnError, match="monetary_value"):
        scorer.predict(summary.drop(columns="monetary_value"))


def test_the_card_says_what_was_assumed(scorer):
    card = json.dumps(scorer.card(), allow_nan=False)
    assert "assumed" in card
    assert scorer.version in card


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd", "pareto_nbd", "mbg_cnbd"])
def test_any_purchase_model_is_trained_saved_and_read(name, orders, summary, tmp_path):
    horizon = Duration(13, "week")
    scorer = CustomerScorer.fit(orders, TERMS, churn_horizon=horizon, purchase_model=name)
    assert type(scorer.purchases) is MODELS[name]
    assert scorer.purchases.unit_ == "week"
    assert scorer.card()["purchase_model"] == TITLES[name]
    loaded = CustomerScorer.load(scorer.save(tmp_path / "model"))
    assert type(loaded.purchases) is MODELS[name]
    pd.testing.assert_frame_equal(loaded.predict(summary), scorer.predict(summary))


def test_a_purchase_model_may_be_given_and_is_left_as_it_was(orders):
    model = MODELS["mbg_nbd"]()
    horizon = Duration(13, "week")
    scorer = CustomerScorer.fit(orders, TERMS, churn_horizon=horizon, purchase_model=model)
    by_name = CustomerScorer.fit(orders, TERMS, churn_horizon=horizon, purchase_model="mbg_nbd")
    assert scorer.purchases.params_ == by_name.purchases.params_
    assert not hasattr(model, "params_")
    assert model.unit is None


@pytest.mark.slow
def test_the_purchase_model_may_be_chosen_by_a_backtest(orders, monkeypatch):
    horizon, choices = Duration(13, "week"), []

    def recorded(log, unit):
        assert (log is orders, unit) == (True, "week")
        choices.append(choose_purchase_model(log, unit))
        return choices[-1]

    monkeypatch.setattr("clv.scorer.choose_purchase_model", recorded)  # it takes seconds: once
    scorer = CustomerScorer.fit(orders, TERMS, churn_horizon=horizon, purchase_model="auto")
    chosen = scorer.training["purchase_model"]
    assert [choice.to_dict() for choice in choices] == [chosen]
    assert type(scorer.purchases) is MODELS[chosen["model"]]
    assert "over 3 cutoffs" in chosen["reasons"][0]["text"]
    assert json.dumps(scorer.card(), allow_nan=False)


def test_a_purchase_model_that_there_is_not(orders):
    with pytest.raises(InputError, match="there is no purchase model 'nbd'"):
        CustomerScorer.fit(orders, TERMS, churn_horizon=Duration(13, "week"), purchase_model="nbd")


def test_the_interval_stands_around_the_median_and_is_that_of_the_value_table(scorer, summary):
    scores = scorer.predict(summary)
    assert (scores["clv_low"] <= scores["clv_median"]).all()
    assert (scores["clv_median"] <= scores["clv_high"]).all()
    assert (scores["interval"] == 0.9).all()
    known = value_interval(summary, scorer.purchases, scorer.spend, scorer.terms)
    for name in ("clv", "clv_low", "clv_median", "clv_high"):
        assert scores[name].to_numpy() == pytest.approx(known[name].to_numpy(), rel=1e-12)


def test_a_customer_scored_alone_is_scored_as_among_all(scorer, summary):
    everybody = scorer.predict(summary)
    for place in (0, 7, 100):
        alone = scorer.predict(summary.iloc[[place]])
        among = everybody.iloc[[place]]
        numbers = alone.select_dtypes("number").columns
        assert alone[numbers].to_numpy().tolist() == among[numbers].to_numpy().tolist()


def test_the_total_counts_what_the_backtest_missed(scorer, summary):
    alone = scorer.total_value(summary)
    assert alone.mean == pytest.approx(scorer.predict(summary)["clv"].sum())
    assert scorer.common_factor() is None
    misses = {"log_ratios": [0.3, -0.25, 0.4], "explained": 0.05}
    rolling = {"days": 70, "misses": {"money": misses}, "coverage": [{"nominal": 0.9}]}
    judged = dataclasses.replace(scorer, training={"holdout": {"rolling": rolling}})
    total = judged.total_value(summary)
    assert total.mean == pytest.approx(alone.mean)
    assert total.high - total.low > 2 * (alone.high - alone.low)
    assert "70 days" in " ".join(map(str, total.reasons))
    assert judged.card()["coverage"] == [{"nominal": 0.9}]
    assert "not measured" in scorer.card()["coverage"]


@pytest.mark.parametrize("fade", [None, 0.0, 0.6])
def test_the_value_is_that_of_the_silent_and_of_the_others(cdnow_scorer, cdnow_clean, fade):
    """CLV = P0 V_churn + (1 - P0) V_ret, V_churn by the purchase model after h silent weeks."""
    churn, terms = cdnow_scorer.churn, cdnow_scorer.terms
    pool = dataclasses.replace(churn.pool, fade=fade)
    scorer = dataclasses.replace(cdnow_scorer, churn=dataclasses.replace(churn, pool=pool))
    wide = churn.attach(summarize(cdnow_clean), cdnow_clean, scorer.as_of, "week")
    scores, history = scorer.predict(wide), read_history(wide)
    later = History(history.x, history.t_x, history.T + 20)
    length = terms.horizon.to("week") - 20
    silent = np.exp(-20 * terms.delta("week")) * residual_value(
        scorer.purchases, scorer.spend.expected_spend(wide), later, terms, "week", length
    )
    p0, clv = scores["churn_probability"].to_numpy(), scores["clv"].to_numpy()
    stake = scores["value_at_stake"].to_numpy() / scorer.shrink
    assert (stake > 0).all()
    if_silent = clv - (1 - p0) * stake
    if not fade:
        np.testing.assert_allclose(if_silent, silent, rtol=1e-9, atol=1e-10)
    else:  # its ratio to the purchase model's grows with the customer's factor
        columns = {name: wide[name].to_numpy() for name in READS}
        factor, some = scorer.churn.forecast(columns, scorer.purchases).factor, silent > 0.01
        left = np.log(if_silent[some] / silent[some])
        assert np.corrcoef(left, factor[some])[0, 1] > 0.99
        assert (np.abs(left) <= fade * np.abs(factor[some]) + 1e-9).all()


def test_totals_are_those_of_the_customers_they_sum(cdnow_scorer, cdnow_clean):
    wide = cdnow_scorer.churn.attach(
        summarize(cdnow_clean), cdnow_clean, cdnow_scorer.as_of, "week"
    )
    for part in (wide, wide.iloc[:700], wide.drop(columns="recent")):
        total = cdnow_scorer.total_value(part)
        assert total.mean == pytest.approx(cdnow_scorer.predict(part)["clv"].sum(), rel=1e-9)
        assert total.low < total.mean < total.high


def test_the_card_says_what_comes_after_the_churn_horizon(cdnow_scorer, published_scorer):
    beyond = cdnow_scorer.training["beyond"]
    said = cdnow_scorer.card()["beyond_churn_horizon"]
    assert f"{beyond['fade']:.0%} of a customer's correction is left after each" in said
    assert f"if none were left, the base would be worth {-beyond['without']:.1%} less" in said
    alone = published_scorer(TERMS, "1997-09-30").card()["beyond_churn_horizon"]
    assert alone == "the purchase model's own, as the churn horizon is"
