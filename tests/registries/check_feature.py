"""Features that ``added`` declares are learned from, scored with, saved and told as reasons."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.churn.reasons import churn_reasons
from clv.data.summary import summarize
from clv.forecast.inputs import INPUTS
from clv.forecast.windows import Past
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.scorer import CustomerScorer
from clv.value.value import Terms

H, START, DAYS = Duration(13, "week"), dt.date(2022, 1, 3), 900  # a Monday


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """Who buys at weekends leaves early, for good; the others never do. Nothing else differs."""
    rng, rows = np.random.default_rng(3), []
    for customer in range(900):
        weekend, day = customer % 2, rng.integers(0, 500)
        for _ in range(rng.geometric(0.35) if weekend else 10**6):
            monday = day - day % 7
            on = monday + (rng.integers(5, 7) if weekend else rng.integers(0, 5))
            if on >= DAYS:
                break
            rows.append((customer, START + dt.timedelta(int(on)), 20.0))
            day = monday + 7 + rng.exponential(60)
    log = pd.DataFrame(rows, columns=["customer_id", "date", "amount"])
    return log.assign(date=pd.to_datetime(log["date"]))


@pytest.fixture(scope="module")
def scorer(log) -> CustomerScorer:
    return CustomerScorer.fit(log, Terms(0.3, 0.1, currency="EUR"), churn_horizon=H)


@pytest.fixture(scope="module")
def wide(log, scorer) -> pd.DataFrame:
    table: Any = scorer.churn.attach(summarize(log), log, log["date"].max().date(), "week")
    return table


def test_they_are_columns_of_the_training_rows(log):
    rows = Past.from_log(log, H, "week", BetaGeoNBD).window(dt.date(2023, 6, 30)).customers
    before = log[log["date"] <= "2023-06-30"].drop_duplicates(["customer_id", "date"])
    at_weekend = before["date"].dt.day_of_week.ge(5).groupby(before["customer_id"]).mean()
    weekend, frequency, age, per_unit = np.expm1(
        rows.X[:, [INPUTS.index(name) for name in ("weekend", "frequency", "age", "per_unit")]]
    ).T
    np.testing.assert_allclose(weekend, at_weekend.sort_index(), atol=1e-8)
    np.testing.assert_allclose(per_unit, frequency / np.maximum(age, 1), atol=1e-6)


def test_the_pool_reads_them_and_scores_with_them(scorer, wide):
    assert {"weekend", "per_unit"} <= set(INPUTS)
    assert scorer.churn.pool is not None
    risk = scorer.predict(wide)["churn_probability"]
    turned = scorer.predict(wide.assign(weekend=1 - wide["weekend"]))["churn_probability"]
    assert risk[wide["weekend"] == 1].mean() > turned[wide["weekend"] == 1].mean()


def test_they_survive_on_disk(scorer, wide, tmp_path):
    scorer.save(tmp_path / "model")
    loaded = CustomerScorer.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(wide), scorer.predict(wide))


def test_they_are_told_as_reasons(scorer, wide):
    told = churn_reasons(scorer.churn, wide, scorer.purchases, "week")
    texts = pd.concat([told["reason_1"], told["reason_2"], told["reason_3"]]).dropna()
    assert "100% of the days with an order at a weekend (raises the risk)" in set(texts)
