"""The pooled forecast: its two members, its total, its file, and when it is used."""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier
from skops.io import dump

from clv.data.cdnow import cdnow_log
from clv.data.transactions import clean
from clv.errors import ModelError
from clv.evaluate import count_placement, interval_coverage
from clv.evaluate.backtest.origin import Origin, plain
from clv.forecast import Pool, learn_pool
from clv.forecast.adoption import POOLED
from clv.forecast.pool import fit_pool
from clv.forecast.windows import Past
from clv.periods import Duration
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD

TODAY, H = dt.date(1998, 3, 31), Duration(91, "day")


@pytest.fixture(scope="module")
def log():
    rows = cdnow_log(sample=True)
    return rows[rows["amount"] > 0]


@pytest.fixture(scope="module")
def origin(log):
    return Origin.from_log(log, TODAY, 91)


@pytest.fixture(scope="module")
def retail_log():
    data = Path(__file__).parents[2] / "data" / "online_retail_orders.parquet"
    columns = {"date": "ts", "order_id": "invoice"}
    return plain(clean(pd.read_parquet(data), columns=columns)[0])


def models(origin):
    table = origin.calibration.summary
    return ModifiedBetaGeoNBD(unit="week").fit(table), GammaGamma().fit(table)


@pytest.fixture(scope="module")
def learned(log, origin):
    return learn_pool(log, *models(origin), H, "week", today=TODAY)


@pytest.fixture(scope="module")
def customers(log, origin):
    past = Past.from_log(log, H, "week", ModifiedBetaGeoNBD)
    return past.customers_at(TODAY, *models(origin))


def test_both_members_expect_the_purchase_models_total(learned, customers):
    forecast = learned.pool.forecast(customers)
    k = np.arange(400)
    chances = forecast.chances(k)
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(customers)), abs=1e-6)
    assert chances @ k == pytest.approx(forecast.purchases, rel=1e-4)
    assert chances[:, 0] == pytest.approx(forecast.no_purchase, abs=1e-12)
    expected = customers.model.conditional_expected_purchases(13.0, customers.history).sum()
    assert forecast.purchases.sum() == pytest.approx(expected, rel=1e-5)


def test_who_surely_buys_is_not_kept_at_what_a_leaf_can_tell(learned, customers):
    reading = learned.pool.learner.read(customers.X)
    usual, mean = learned.pool.hurdle(reading, np.ones(len(customers)))
    sure, same = learned.pool.hurdle(reading, np.full(len(customers), 1e-4))
    assert (same == mean).all()
    assert (sure >= usual - 1e-12).all()
    several = mean > 1  # who is expected to buy once or more
    assert several.any()
    assert (1 - sure[several]).max() < 1e-4
    assert (1 - usual[several]).min() > 0.01


def test_quantiles_are_the_first_counts_that_reach_a_level(learned, customers):
    forecast = learned.pool.forecast(customers)
    at_most = forecast.chances(np.arange(400)).cumsum(axis=1)
    for level, found in zip((0.05, 0.9), forecast.quantiles((0.05, 0.9)).T, strict=True):
        assert (found == (at_most < level - 1e-12).sum(axis=1)).all()


def test_the_total_is_the_one_that_is_set(log, origin, customers):
    past = Past.from_log(log, H, "week", ModifiedBetaGeoNBD)
    more = fit_pool(past, TODAY, customers, models(origin)[1], total_factor=1.3)
    assert more.forecast(customers).purchases.sum() == pytest.approx(
        1.3 * customers.expected.sum(), rel=1e-5
    )


def test_a_customer_alone_is_forecast_as_among_all(learned, customers):
    forecast = learned.pool.forecast(customers)
    for i in (0, 7, 1234):
        alone = learned.pool.forecast(customers.where(np.array([i])))
        assert alone.purchases[0] == forecast.purchases[i]
        assert alone.money[0] == forecast.money[i]
        assert alone.no_purchase[0] == forecast.no_purchase[i]


def test_what_comes_after_today_is_not_used(log, origin, learned, customers):
    before = log[log["date"] <= pd.Timestamp(TODAY)]
    blind = learn_pool(before, *models(origin), H, "week", today=TODAY)
    ours, theirs = (pool.forecast(customers) for pool in (learned.pool, blind.pool))
    assert (ours.purchases == theirs.purchases).all()
    assert (learned.gain, learned.reason) == (blind.gain, blind.reason)
    assert learned.pool.to_dict() == blind.pool.to_dict()


def test_rows_in_any_order_and_any_engine_give_one_pool(log, origin, learned, customers):
    import pyarrow as pa

    table = pa.Table.from_pandas(log.sample(frac=1.0, random_state=1), preserve_index=False)
    other = learn_pool(table, *models(origin), H, "week", today=TODAY)
    assert other.pool.to_dict() == learned.pool.to_dict()


def test_a_large_log_is_sampled_by_customer(log):
    past = Past.from_log(log, H, "week", ModifiedBetaGeoNBD, most=500)
    assert (past.customers, past.sampled) == (2_349, 500)
    assert len(set(past.log["customer_id"])) == 500
    chosen = log[log["customer_id"].isin(past.log["customer_id"])]
    assert len(chosen) == len(past.log)


def test_a_file_gives_back_the_same_forecast(learned, customers, tmp_path):
    learned.pool.learner.save(tmp_path / "pool.skops")
    again = Pool.from_dict(learned.pool.to_dict(), tmp_path / "pool.skops")
    ours, theirs = learned.pool.forecast(customers), again.forecast(customers)
    assert (ours.money == theirs.money).all()
    assert (ours.chances(np.arange(3)) == theirs.chances(np.arange(3))).all()


def test_a_file_of_other_types_is_refused(learned, tmp_path):
    dump([DecisionTreeClassifier().fit([[0], [1]], [0, 1])] * 4, tmp_path / "pool.skops")
    with pytest.raises(ModelError, match="no model of this package has"):
        Pool.from_dict(learned.pool.to_dict(), tmp_path / "pool.skops")


def test_too_short_a_log_leaves_the_purchase_model(log, origin):
    short = log[log["date"] <= pd.Timestamp("1997-05-15")]
    adoption = learn_pool(short, *models(origin), H, "week", today=dt.date(1997, 5, 15))
    assert adoption.pool is None
    assert not adoption.adopted
    assert "too short or too thin" in adoption.reason
    assert np.isnan(adoption.gain)


def bg_nbd_log(seed, n=1_500, days=500):
    """Orders of customers who are exactly as BG/NBD says: nothing more can be learned of them."""
    rng = np.random.default_rng(seed)
    rate, p = rng.gamma(0.6, 1 / 40.0, n), rng.beta(1.0, 2.5, n)
    rows = []
    for i in range(n):
        day = rng.uniform(0, 150)
        while day < days:
            rows.append((i, int(day)))
            if len(rows) > 1 and rng.random() < p[i] and rows[-2][0] == i:
                break
            day += rng.exponential(1 / rate[i])
    table = pd.DataFrame(rows, columns=["customer_id", "day"])
    date = pd.Timestamp("2023-01-01") + pd.to_timedelta(table.pop("day"), unit="D")
    return table.assign(date=date, amount=rng.gamma(4.0, 10.0, len(table)))


@pytest.mark.slow
def test_where_nothing_is_to_be_learned_the_purchase_model_stays():
    logs = int(os.environ.get("CLV_LOGS", "3"))
    adopted = 0
    for seed in range(logs):
        log = bg_nbd_log(seed)
        origin = Origin.from_log(log, dt.date(2024, 4, 1), 30)
        known = origin.calibration
        adopted += learn_pool(
            known.log, *models(origin), Duration(60, "day"), "week", today=known.cutoff
        ).adopted
    assert adopted <= max(1, logs // 20)


@pytest.mark.parametrize("seed", range(2))
def test_of_purchases_dealt_out_by_lot_no_pool_is_used(log, origin, monkeypatch, seed):
    """What came after each window, shuffled among its customers: the pool learns the base rate.

    It beats a purchase model that expects more of some than of others, and tells nobody apart.
    """
    cut = Past._window

    def by_lot(self, day):
        window = cut(self, day)
        order = np.random.default_rng([seed, day.toordinal()]).permutation(len(window.purchases))
        money, purchases = window.money[order], window.purchases[order]
        return replace(window, purchases=purchases, money=money)

    monkeypatch.setattr(Past, "_window", by_lot)
    adoption = learn_pool(log, *models(origin), H, "week", today=TODAY, only_if_used=True)
    assert adoption.gain > 2 * adoption.error
    assert not adoption.adopted
    assert adoption.pool is None
    assert "not better beyond chance than the base rate" in adoption.reason
    scores = {row["score"]: row for row in adoption.figures}
    assert 0.45 < scores[POOLED]["auc"] < 0.55


@pytest.mark.slow
def test_online_retail_is_forecast_better_than_by_its_purchase_model(retail_log):
    """Measured: .0190 better in log score, and customers' 90% intervals hold 92%."""
    origin = Origin.from_log(retail_log, dt.date(2011, 7, 22), 70)
    calibration = origin.calibration
    (purchases, spend), h = models(origin), Duration(70, "day")
    adoption = learn_pool(calibration.log, purchases, spend, h, "week", today=calibration.cutoff)
    base = adoption.customers
    k = np.arange(origin.purchases.max() + 1)
    pooled, below, upto = count_placement(origin.purchases, adoption.pool.forecast(base).chances(k))
    model = count_placement(
        origin.purchases, purchases.probability_of_purchases(k, 10.0, base.history)
    )[0]
    assert adoption.adopted
    assert model.mean() - pooled.mean() > 0.015
    inside = interval_coverage(below, upto, [0.9])["randomized"][0]
    assert 0.88 < inside < 0.93
