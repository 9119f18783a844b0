"""Campaigns of a store: a list waits for its orders, is measured then, and is planned by.

``CLV_BRANDS=100 pytest tests/app/contents/test_campaign_results.py -k brands`` judges as many.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clv.app.contents.campaign_results import CampaignFiles, of_campaigns
from clv.app.contents.orders import Orders
from clv.app.retention import campaign_by_effects, campaign_measured, contacted, profit_by_effects
from clv.decide.retention.plan import CampaignPlan
from clv.errors import ClvError
from clv.experiments.measured_test import measure_test
from clv.store import Store, publish
from clv.store.intake import terms_of
from training.retention_study import judged_lists

BRANDS = int(os.environ.get("CLV_BRANDS", "1"))
CUSTOMERS, DAY = 600, dt.date(2024, 1, 1)
StoreRecord = dict[str, Any]


@pytest.fixture(scope="module")
def listed() -> pd.DataFrame:
    """What ``clv targets`` wrote: every other customer held out."""
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "customer_id": np.arange(CUSTOMERS),
            "treated": np.arange(CUSTOMERS) % 2,
            "propensity": 0.5,
            "date": str(DAY),
            "cost": np.arange(CUSTOMERS) % 2 * 1.0,
            "expected_gain": np.arange(CUSTOMERS) % 2 * 4.0,
            "churn_probability": rng.uniform(0.4, 0.9, CUSTOMERS),
        }
    )


@pytest.fixture(scope="module")
def bought(listed: pd.DataFrame) -> pd.DataFrame:
    """Orders: 3 in 10 of those held out buy again, 5 in 10 of the others, for 20 each."""
    rng = np.random.default_rng(6)
    again = rng.random(CUSTOMERS) < 0.3 + 0.2 * listed["treated"]
    first = pd.DataFrame({"customer_id": listed["customer_id"], "date": "2023-06-01"})
    later = first[again.to_numpy()].assign(date="2024-02-01")
    last = pd.DataFrame({"customer_id": [0], "date": ["2024-06-30"]})
    return pd.concat([first, later, last]).assign(amount=20.0)


def scores(day: str) -> pa.Table:
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"customer_id": np.arange(CUSTOMERS)}).assign(
        days_since_last=np.where(np.arange(CUSTOMERS) < 500, 10.0, 400.0),
        clv=50.0,
        expected_purchases=2.0,
        churn_probability=rng.uniform(0.4, 0.9, CUSTOMERS),
        value_at_stake=60.0,
        model_version="v1",
        as_of=day,
        horizon="1 year",
        currency="EUR",
        margin_rate=0.5,
    )
    return pa.Table.from_pandas(table, preserve_index=False)


def published(folder: Path, day: str, files: CampaignFiles, orders: Any = None) -> StoreRecord:
    table = scores(day)
    parts = of_campaigns(folder, files, table, orders, terms_of(table))
    publish(table, folder, documents=parts.documents, tables=parts.tables)
    return parts.documents["campaigns"][0]


def test_a_list_waits_for_its_orders_and_is_measured_when_they_have_come(
    tmp_path: Path, listed: pd.DataFrame, bought: pd.DataFrame
) -> None:
    listed.to_csv(tmp_path / "spring.csv", index=False)
    bought.to_csv(tmp_path / "orders.csv", index=False)
    files = CampaignFiles({"spring": str(tmp_path / "spring.csv")}, publisher="ann")
    day, store = "2024-01-31", tmp_path / "store"
    waiting = published(store, day, files, Orders.read(str(tmp_path / "orders.csv"), day, {}))
    assert (waiting["published_by"], waiting["awaited"]) == ("ann", "2024-03-31")
    assert (waiting["customers"], waiting["control"], waiting["cost"]) == (300, 300, 300.0)
    assert waiting["expected_gain"] == 1200.0
    day = "2024-06-30"  # nobody gives the list again
    orders = Orders.read(str(tmp_path / "orders.csv"), day, {})
    record = published(store, day, CampaignFiles(), orders)
    again = set(bought.loc[bought["date"] == "2024-02-01", "customer_id"])
    margin = [10.0 * (customer in again) for customer in listed["customer_id"]]
    test = measure_test(
        listed[["customer_id", "treated", "propensity"]].assign(outcome_margin=margin),
        listed[["customer_id", "churn_probability"]],
    )
    low, high = test.effect.earned_interval(0.9)
    assert (record["published_by"], record["awaited"]) == ("ann", None)
    assert record["result"]["earned"] == pytest.approx(test.effect.earned)
    assert (record["result"]["low"], record["result"]["high"]) == pytest.approx((low, high))
    assert test.save_rate is not None
    assert record["result"]["save_rate"]["mean"] == pytest.approx(test.save_rate.mean)
    assert published(store, day, CampaignFiles())["result"] == record["result"]  # without orders


def test_whom_a_contact_changes_is_learned_and_planned_by(
    tmp_path: Path, listed: pd.DataFrame
) -> None:
    chance = 0.2 + 0.6 * listed["treated"] * (np.arange(CUSTOMERS) < 300)
    back = np.random.default_rng(8).random(CUSTOMERS) < chance
    log = listed.assign(outcome_margin=20.0 * back)
    log.drop(columns="expected_gain").to_parquet(tmp_path / "log.parquet")
    before = scores("2023-12-31").to_pandas().assign(clv=np.arange(CUSTOMERS) < 300)
    before = before.assign(clv=before["clv"] * 50.0, days_since_last=np.arange(CUSTOMERS) % 90)
    before.to_parquet(tmp_path / "before.parquet")
    files = CampaignFiles(
        {"spring": str(tmp_path / "log.parquet")}, str(tmp_path / "before.parquet")
    )
    published(tmp_path / "store", "2024-06-30", files)
    with Store.open(tmp_path / "store") as store:
        assert campaign_measured(store) == "spring"
        plan = CampaignPlan.within(campaign_by_effects(store, 0.0), None)
        mean, low, high = profit_by_effects(store, plan)
        silent = plan.campaign.scores.rows["customer_id"].to_numpy()[contacted(plan)] >= 500
    assert low < mean < high
    assert mean == pytest.approx(plan.summary.expected_profit)
    assert not silent.any()  # nobody as silent was ever tried


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"treated": None}, "no column treated"),
        ({"date": None}, "neither date nor outcome_margin"),
        ({"currency": "GBP"}, "is in GBP, the scores are in EUR"),
    ],
)
def test_a_list_that_is_none_is_named(
    tmp_path: Path, listed: pd.DataFrame, columns: dict[str, str | None], said: str
) -> None:
    table = listed.drop(columns=[name for name, value in columns.items() if value is None])
    table = table.assign(**{name: value for name, value in columns.items() if value})
    table.to_csv(tmp_path / "list.csv", index=False)
    with pytest.raises(ClvError, match=said):
        published(
            tmp_path / "store", "2024-06-30", CampaignFiles({"a": str(tmp_path / "list.csv")})
        )


def test_scores_of_before_without_a_campaign_are_refused(tmp_path: Path) -> None:
    scores("2023-12-31").to_pandas().to_parquet(tmp_path / "before.parquet")
    with pytest.raises(ClvError, match="no campaign whose orders have come"):
        published(
            tmp_path / "store",
            "2024-06-30",
            CampaignFiles({}, str(tmp_path / "before.parquet")),
        )


@pytest.mark.slow
def test_default_lists_of_simulated_brands_reach_most_of_the_attainable() -> None:
    judged = [judged_lists(seed, 4_000) for seed in range(1, BRANDS + 1)]
    for name, least in (("assumed", 0.7), ("measured", 0.7)):
        lists = [lists_of[name] for lists_of in judged]
        assert sum(each.true for each in lists) > least * sum(each.attainable for each in lists)
        assert sum(each.true < each.low for each in lists) <= 0.1 * BRANDS  # promise too much
