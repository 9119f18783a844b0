"""Churn: what a cutoff may see, what wins, and what a saved classifier may contain."""

import datetime as dt
import json

import duckdb
import numpy as np
import pandas as pd
import pytest

from clv.churn.classifier import judge
from clv.churn.learning import fit_churn
from clv.churn.model import PURCHASE_MODEL, ChurnModel
from clv.churn.training_rows import PLAIN, collect_examples, cutoffs, examples, labelled
from clv.data.cdnow import cdnow_log
from clv.data.features import LOG_FEATURES, with_behaviour
from clv.data.summary import split_holdout, summarize
from clv.errors import InputError, ModelError
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.simulate import simulate_brand

QUARTER = Duration(13, "week")


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    orders = simulate_brand(seed=3, customers=3000).orders
    return orders[["customer_id", "date", "amount"]]


def test_training_cutoffs_end_their_labels_by_the_test_cutoff(log):
    test, training = cutoffs(log, QUARTER, Duration(1, "month"), 7)
    assert test == log["date"].max().date() - dt.timedelta(91)
    assert len(training) == 7
    assert max(training) + dt.timedelta(91) == test
    assert training == sorted(training)


def test_no_feature_sees_past_its_cutoff(log):
    """Orders after the cutoff are moved, multiplied and dropped: the features do not notice."""
    cutoff = dt.date(2024, 3, 1)
    later = log["date"].dt.date > cutoff
    tampered = pd.concat([log[~later], log[later].assign(amount=1e6).iloc[::2]])
    honest = examples(log, cutoff, QUARTER, "week")
    blind = examples(tampered, cutoff, QUARTER, "week")
    np.testing.assert_array_equal(honest.features, blind.features)
    assert not np.array_equal(honest.churned, blind.churned)


def test_the_label_is_no_purchase_in_h(log):
    cutoff, end = pd.Timestamp("2024-03-01"), pd.Timestamp("2024-05-31")
    seen = examples(log, cutoff.date(), QUARTER, "week")
    known = np.sort(log.loc[log["date"] <= cutoff, "customer_id"].unique())
    window = log[(log["date"] > cutoff) & (log["date"] <= end)]
    assert seen.churned.tolist() == (~np.isin(known, window["customer_id"])).astype(float).tolist()


@pytest.mark.slow
def test_on_data_of_the_purchase_model_no_classifier_is_shipped(log):
    """The simulator draws BG/NBD customers, so nothing can beat the model's own probability."""
    model = fit_churn(log, QUARTER)
    assert model.classifier is None
    assert model.source == PURCHASE_MODEL
    table = model.table().set_index("score")
    assert table["log_loss"].idxmin() == PURCHASE_MODEL
    assert table.loc["churn rate of the past", "auc"] == pytest.approx(0.5)
    assert "so the purchase model is used" in model.reason


def test_recency_taken_at_the_end_of_the_data_is_caught(log):
    """A leak is planted: labels at the cutoff, features as of the last day."""
    cutoff, end = dt.date(2024, 3, 1), dt.date(2024, 5, 31)
    honest = split_holdout(log, cutoff, end)
    last = log["date"].max().date()
    leaking = with_behaviour(summarize(log), log, last, QUARTER).merge(
        honest[["customer_id", "holdout_frequency"]], on="customer_id"
    )
    with pytest.raises(InputError, match="at the cutoff 2024-03-01 were computed from data up to"):
        labelled(leaking, cutoff, QUARTER, "week")
    labelled(with_behaviour(honest, log, cutoff, QUARTER), cutoff, QUARTER, "week")


def test_a_column_written_with_hindsight_raises_the_alarm():
    """A leak inside the log: the channel says in which quarter the customer was last seen."""
    log = cdnow_log(sample=True)
    last = log.groupby("customer_id")["date"].transform("max").dt.to_period("Q").astype(str)
    model = fit_churn(log.assign(channel=last), QUARTER, max_cutoffs=2)
    assert model.classifier is None
    assert "channel=1998Q2 has AUC 1.000 on the test cutoff 31 March 1998" in model.reason
    assert "too good to be true" in model.reason


def seasonal_log() -> pd.DataFrame:
    """Half of the customers buy every 4 weeks, give or take days: more regular than BG/NBD."""
    rng, rows = np.random.default_rng(0), []
    start = pd.Timestamp("2022-01-03")
    for customer in range(800):
        first = int(rng.integers(0, 200))
        stops = int(rng.integers(first + 30, 900))
        gap = 28 if customer % 2 else int(rng.integers(10, 120))
        days = np.arange(first, min(stops, 700), gap)
        days = days + rng.integers(-9, 10, len(days))
        rows += [(f"c{customer}", start + pd.Timedelta(days=int(d)), 20.0) for d in days]
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


@pytest.mark.slow
def test_a_classifier_that_beats_the_baselines_is_shipped_and_survives_saving(tmp_path):
    log = seasonal_log()
    model = fit_churn(log, Duration(8, "week"), max_cutoffs=3)
    assert model.classifier is not None
    losses = model.table().set_index("score")["log_loss"]
    assert losses[model.source] < losses[PURCHASE_MODEL]
    summary = summarize(log)
    purchases = BetaGeoNBD().fit(summary)
    model.save_classifier(tmp_path / "churn.skops")
    loaded = ChurnModel.from_dict(model.to_dict(), tmp_path / "churn.skops")
    np.testing.assert_array_equal(
        loaded.predict(summary, purchases, "week"), model.predict(summary, purchases, "week")
    )


def test_a_file_with_foreign_types_is_not_loaded(tmp_path):
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dump

    dump(FunctionTransformer(func=seasonal_log), tmp_path / "churn.skops")
    saved = ChurnModel(QUARTER, None, "").to_dict()
    with pytest.raises(
        ModelError, match=r"types that no model of this package has: .*seasonal_log"
    ):
        ChurnModel.from_dict(saved, tmp_path / "churn.skops")


def test_a_short_log_falls_back_to_the_purchase_model_and_says_why():
    days = pd.to_datetime(["2024-01-01", "2024-01-20", "2024-02-10", "2024-03-01"])
    log = pd.DataFrame({"customer_id": [1, 1, 2, 2], "date": days, "amount": 5.0})
    model = fit_churn(log, QUARTER)
    assert model.classifier is None
    assert "too short" in model.reason


def test_judge_agrees_with_hand_worked_figures():
    figures = judge(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.2, 0.6, 0.7]))
    assert figures["auc"] == pytest.approx(3 / 4)
    assert figures["brier"] == pytest.approx((0.01 + 0.04 + 0.16 + 0.49) / 4)
    by_hand = -(np.log(0.9) + np.log(0.8) + np.log(0.6) + np.log(0.3)) / 4
    assert figures["log_loss"] == pytest.approx(by_hand)


def test_a_thin_log_teaches_nothing_and_warns_of_nothing():
    brand = simulate_brand(seed=2, customers=60, weeks=30)
    model = fit_churn(brand.orders[["customer_id", "date", "amount"]], Duration(8, "week"))
    assert model.classifier is None
    assert "too thin" in model.reason


@pytest.mark.slow
def test_the_season_products_and_channels_are_inputs_and_no_engine_matters():
    """Cutoffs over more than a year; the same log in pandas and in DuckDB learns the same."""
    orders = simulate_brand(seed=3, customers=800, weeks=130).orders
    goods = np.random.default_rng(0).choice(list("abc"), len(orders))
    rich = orders[["customer_id", "date", "amount", "channel"]].assign(product=goods)
    step, short = Duration(4, "month"), Duration(8, "week")
    plain, duck = (fit_churn(one, short, "week", step, 4) for one in (rich, duckdb.from_df(rich)))
    assert len(plain.cutoffs) == 5
    tables = [model.table().set_index("score")["log_loss"].sort_index() for model in (plain, duck)]
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)
    day = dt.date(2025, 1, 31)
    extras = ("products", "channel=organic", "season_sine", "season_cosine")
    assert examples(rich, day, short, "week", extras).names[-4:] == extras
    one = collect_examples(rich, [day, day + dt.timedelta(days=365)], short, "week")[0]
    assert {"products", "channel=organic", "season_sine"} <= set(one.names)


@pytest.fixture(scope="module")
def master() -> pd.DataFrame:
    return cdnow_log(sample=False)


@pytest.fixture(scope="module")
def cdnow(master) -> ChurnModel:
    return fit_churn(master, QUARTER)


@pytest.mark.slow
def test_cdnow_baselines_and_the_classifier_beside_them(cdnow):
    """CDNOW master, 13 weeks, test cutoff 1998-03-31; baselines as computed independently.

    The AUC of 1 - P(alive) is far below chance: BG/NBD holds one-time buyers to be alive.
    """
    table = cdnow.table().set_index("score")
    assert cdnow.cutoffs[-1] == "1998-03-31"
    assert cdnow.churn_rate == pytest.approx(0.859, abs=5e-4)
    model = table.loc[PURCHASE_MODEL]
    assert model["auc"] == pytest.approx(0.8302, abs=1e-4)
    assert model["brier"] == pytest.approx(0.0898, abs=1e-4)
    assert model["log_loss"] == pytest.approx(0.3041, abs=3e-4)
    assert table.loc["time since last purchase", "auc"] == pytest.approx(0.8279, abs=1e-4)
    assert table.loc["1 - P(alive)", "auc"] == pytest.approx(0.3442, abs=1e-4)
    assert table.loc["1 - P(alive)", "brier"] == pytest.approx(0.6536, abs=1e-4)
    chosen = table[table["chosen"]].iloc[0]
    assert chosen["log_loss"] <= 0.3025
    assert chosen["auc"] >= 0.834
    assert cdnow.source == chosen.name


@pytest.mark.slow
def test_the_choice_is_made_before_the_test_cutoff(cdnow, master):
    """Without a single order after the test cutoff's day, each candidate validates the same."""
    table = cdnow.table().set_index("score")
    candidates = table["validation"].dropna().drop(PURCHASE_MODEL)
    assert cdnow.source == candidates.idxmin()
    customers = sorted(master["customer_id"].unique())
    kept = master[master["customer_id"].isin(customers[::8])]
    later = kept["date"] > "1998-03-31"
    other = pd.concat([kept[~later], kept[later].iloc[::3]])
    fits = (fit_churn(one, QUARTER, max_cutoffs=5) for one in (kept, other))
    first, second = (fitted.table().set_index("score") for fitted in fits)
    both = pd.concat([first["validation"], second["validation"]], axis=1).dropna()
    assert len(both) == 7
    np.testing.assert_array_equal(both.iloc[:, 0], both.iloc[:, 1])
    assert (first["log_loss"] - second["log_loss"].loc[first.index]).abs().max() > 0.01


@pytest.mark.slow
def test_a_summary_without_the_log_gets_the_plain_classifier_and_it_is_said(cdnow, master):
    assert set(cdnow.classifier.inputs) == {*PLAIN, *LOG_FEATURES}
    assert cdnow.plain.inputs == PLAIN
    summary = summarize(master)
    purchases = BetaGeoNBD().fit(summary)
    wide = cdnow.attach(summary, master, "1998-06-30", "week")
    assert cdnow.used(wide) == cdnow.source
    assert "as the summary has no gap_spread" in cdnow.used(summary)
    rich, poor = (cdnow.predict(one, purchases, "week") for one in (wide, summary))
    assert 0 < np.abs(rich - poor).mean() < 0.02
    none = purchases.probability_of_no_purchase(13.0, wide)
    np.testing.assert_array_equal(cdnow.predict(wide, purchases, "week", none), rich)
    shuffled = wide.sample(frac=1, random_state=0)
    np.testing.assert_allclose(
        cdnow.predict(shuffled, purchases, "week"), rich[shuffled.index], rtol=1e-12
    )


@pytest.mark.slow
def test_both_classifiers_and_the_importance_survive_saving(cdnow, master, tmp_path):
    cdnow.save_classifier(tmp_path / "churn.skops")
    saved = json.loads(json.dumps(cdnow.to_dict(), allow_nan=False))
    loaded = ChurnModel.from_dict(saved, tmp_path / "churn.skops")
    summary = summarize(master)
    purchases = BetaGeoNBD().fit(summary)
    wide = cdnow.attach(summary, master, "1998-06-30", "week")
    for one in (summary, wide):
        np.testing.assert_array_equal(
            loaded.predict(one, purchases, "week"), cdnow.predict(one, purchases, "week")
        )
    effects = [one.effects(wide, purchases, "week") for one in (loaded, cdnow)]
    np.testing.assert_array_equal(effects[0].values, effects[1].values)
    assert loaded.importance.equals(cdnow.importance)
    assert loaded.importance["topic"].iloc[0] == "pace"
    assert loaded.importance["loss_increase"].iloc[0] > 0.05
