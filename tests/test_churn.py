"""Churn: what a cutoff may see, what wins, and what a saved classifier may contain."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from clv.churn import PURCHASE_MODEL, ChurnModel, cutoffs, examples, fit_churn, judge
from clv.data.features import FEATURES, features
from clv.data.summary import summarize
from clv.errors import ColumnError, ModelError
from clv.periods import Duration
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


def seasonal_log() -> pd.DataFrame:
    """Half of the customers buy every 4 weeks like clocks: more regular than any BG/NBD."""
    rng, rows = np.random.default_rng(0), []
    start = pd.Timestamp("2022-01-03")
    for customer in range(800):
        first = int(rng.integers(0, 200))
        stops = int(rng.integers(first + 30, 900))
        gap = 28 if customer % 2 else int(rng.integers(10, 120))
        days = np.arange(first, min(stops, 700), gap)
        rows += [(f"c{customer}", start + pd.Timedelta(days=int(d)), 20.0) for d in days]
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


@pytest.mark.slow
def test_a_classifier_that_beats_the_baselines_is_shipped_and_survives_saving(tmp_path):
    log = seasonal_log()
    model = fit_churn(log, Duration(8, "week"))
    assert model.classifier is not None
    losses = model.table().set_index("score")["log_loss"]
    assert losses[model.source] < losses[PURCHASE_MODEL]
    summary = summarize(log)
    from clv.probability.bg_nbd import BetaGeoNBD

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


def test_features_need_the_summary_columns():
    with pytest.raises(ColumnError, match="first_amount"):
        features(
            pd.DataFrame({"frequency": [1], "recency": [1.0], "T": [2.0], "monetary_value": [3.0]})
        )


def test_features_are_finite_at_the_edges():
    edge = pd.DataFrame(
        {
            "frequency": [0, 0, 50_000],
            "recency": [0.0, 0.0, 9_999.0],
            "T": [0.0, 10_000.0, 10_000.0],
            "monetary_value": [0.0, 0.0, 1e9],
            "first_amount": [1e-6, 1.0, 1e9],
        }
    )
    values = features(edge)
    assert values.shape == (3, len(FEATURES))
    assert np.isfinite(values).all()


def test_a_thin_log_teaches_nothing_and_warns_of_nothing():
    brand = simulate_brand(seed=2, customers=60, weeks=30)
    model = fit_churn(brand.orders[["customer_id", "date", "amount"]], Duration(8, "week"))
    assert model.classifier is None
    assert "too thin" in model.reason
