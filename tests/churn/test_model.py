"""Churn: what a day may see, what wins, and what is saved of it."""

import datetime as dt
import json

import duckdb
import numpy as np
import pandas as pd
import pytest

from clv.churn.model import PURCHASE_MODEL, ChurnModel, fit_churn
from clv.data.cdnow import cdnow_log
from clv.data.features import refuse_future, with_behaviour
from clv.data.summary import split_holdout, summarize
from clv.errors import InputError, ModelError
from clv.forecast.adoption import POOLED
from clv.forecast.windows import Past
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.simulate import simulate_brand

QUARTER = Duration(13, "week")


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    orders = simulate_brand(seed=3, customers=3000).orders
    return orders[["customer_id", "date", "amount"]]


def window(log, day):
    return Past.from_log(log, QUARTER, "week", BetaGeoNBD).window(day)


def test_no_input_sees_past_its_day(log):
    """Orders after the day are moved, multiplied and dropped: the inputs do not notice."""
    cutoff = dt.date(2024, 3, 1)
    later = log["date"].dt.date > cutoff
    tampered = pd.concat([log[~later], log[later].assign(amount=1e6).iloc[::2]])
    honest, blind = window(log, cutoff), window(tampered, cutoff)
    np.testing.assert_array_equal(honest.customers.X, blind.customers.X)
    assert not np.array_equal(honest.purchases, blind.purchases)


def test_the_label_is_no_purchase_in_h(log):
    cutoff, end = pd.Timestamp("2024-03-01"), pd.Timestamp("2024-05-31")
    seen = window(log, cutoff.date())
    known = np.sort(log.loc[log["date"] <= cutoff, "customer_id"].unique())
    after = log[(log["date"] > cutoff) & (log["date"] <= end)]
    assert (seen.purchases == 0).tolist() == (~np.isin(known, after["customer_id"])).tolist()


@pytest.mark.slow
def test_on_data_of_the_purchase_model_no_pool_is_used(log):
    """The simulator draws BG/NBD customers, so nothing can beat the model's own probability."""
    model = fit_churn(log, QUARTER)
    assert model.pool is None
    assert model.source == PURCHASE_MODEL
    table = model.table().set_index("score")
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
        refuse_future(leaking, cutoff)
    refuse_future(with_behaviour(honest, log, cutoff, QUARTER), cutoff)


def regular_log() -> pd.DataFrame:
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
def test_a_pool_that_beats_the_purchase_model_is_used_by_any_engine():
    log = regular_log()
    plain, duck = (fit_churn(one, Duration(8, "week")) for one in (log, duckdb.from_df(log)))
    assert plain.pool is not None
    losses = plain.table().set_index("score")["log_loss"]
    assert losses[POOLED] < losses[PURCHASE_MODEL]
    tables = [model.table().set_index("score")["log_loss"].sort_index() for model in (plain, duck)]
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)


def test_a_file_with_foreign_types_is_not_loaded(cdnow_scorer, tmp_path):
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dump

    dump(FunctionTransformer(func=regular_log), tmp_path / "churn.skops")
    with pytest.raises(ModelError, match=r"types that no model of this package has: .*regular_log"):
        ChurnModel.from_dict(cdnow_scorer.churn.to_dict(), tmp_path / "churn.skops")
    with pytest.raises(ModelError, match="not of one model"):
        ChurnModel.from_dict(cdnow_scorer.churn.to_dict(), None)


def test_a_short_log_falls_back_to_the_purchase_model_and_says_why():
    days = pd.to_datetime(["2024-01-01", "2024-01-20", "2024-02-10", "2024-03-01"])
    log = pd.DataFrame({"customer_id": [1, 1, 2, 2], "date": days, "amount": 5.0})
    model = fit_churn(log, QUARTER)
    assert model.pool is None
    assert "too short" in model.reason


def test_a_thin_log_teaches_nothing_and_warns_of_nothing():
    brand = simulate_brand(seed=2, customers=60, weeks=30)
    model = fit_churn(brand.orders[["customer_id", "date", "amount"]], Duration(8, "week"))
    assert model.pool is None
    assert "too thin" in model.reason


@pytest.fixture(scope="module")
def cdnow() -> ChurnModel:
    return fit_churn(cdnow_log(sample=False), QUARTER)


@pytest.mark.slow
def test_cdnow_baselines_and_the_pool_beside_them(cdnow):
    """CDNOW master, 13 weeks after 1998-03-31; baselines as computed independently.

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
    assert chosen.name == cdnow.source == POOLED
    assert chosen["log_loss"] <= 0.300
    assert chosen["auc"] >= 0.834


def test_a_summary_without_the_log_gets_the_purchase_model_and_it_is_said(
    cdnow_scorer, cdnow_clean
):
    churn, purchases = cdnow_scorer.churn, cdnow_scorer.purchases
    summary = summarize(cdnow_clean)
    wide = churn.attach(summary, cdnow_clean, cdnow_scorer.as_of, "week")
    assert churn.used(wide) == POOLED
    assert "as the summary has no earlier, gap_spread" in churn.used(summary)
    rich, poor = (churn.predict(one, purchases, "week") for one in (wide, summary))
    np.testing.assert_array_equal(poor, purchases.probability_of_no_purchase(20.0, summary))
    assert 0 < np.abs(rich - poor).mean() < 0.1
    shuffled = wide.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(churn.predict(shuffled, purchases, "week"), rich[shuffled.index])


def test_the_pool_and_the_importance_survive_saving(cdnow_scorer, cdnow_clean, tmp_path):
    churn, purchases = cdnow_scorer.churn, cdnow_scorer.purchases
    churn.pool.learner.save(tmp_path / "churn.skops")
    saved = json.loads(json.dumps(churn.to_dict(), allow_nan=False))
    loaded = ChurnModel.from_dict(saved, tmp_path / "churn.skops")
    wide = churn.attach(summarize(cdnow_clean), cdnow_clean, cdnow_scorer.as_of, "week")
    np.testing.assert_array_equal(
        loaded.predict(wide, purchases, "week"), churn.predict(wide, purchases, "week")
    )
    effects = [one.effects(wide, purchases, "week") for one in (loaded, churn)]
    np.testing.assert_array_equal(effects[0].values, effects[1].values)
    assert loaded.importance.equals(churn.importance)
    assert loaded.importance["topic"].iloc[0] == "pace"
