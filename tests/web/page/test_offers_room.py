"""Offers and referrals: published, in their rooms, from the API; files that are none refused."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import clv
from clv.app.contents.offer_totals import offer_totals, plan_totals
from clv.app.publishing import RunFiles, publish_run
from clv.errors import InputError
from clv.format import money, percent
from clv.web.application import create_app
from clv.web.page.tables import with_days
from tests.web.page.conftest import Browser


@pytest.fixture(scope="module")
def offers() -> Any:
    """Two offers to each of 600 simulated customers."""
    lines = clv.read_order_lines(clv.simulate_order_lines(4, customers=600, items=80).lines)
    terms = clv.NextOfferTerms("8 weeks", top=2, contact_cost=0.02, incremental_share=0.1)
    return clv.next_best_offers(lines, terms)


@pytest.fixture(scope="module")
def referrals() -> dict[str, Any]:
    rows = pd.DataFrame({"referrer_id": ["a", "b", "b"], "referred_id": ["b", "c", "d"]})
    rows = clv.read_referrals(rows.assign(date="2024-01-05", reward=10.0))
    values = {"a": 90.0, "b": 50.0, "c": 20.0, "d": 30.0}
    made = clv.value_referrals(rows, values, incremental_share=0.5, saved_cac=4.0)
    return made.to_dict() | {"left_out": {}, "members": None}


@pytest.fixture(scope="module")
def store(scores: pd.DataFrame, offers: Any, referrals: Any, tmp_path_factory: Any) -> Path:
    """A store with offers, how good they were, one plan with keeping, and referrals."""
    place: Path = tmp_path_factory.mktemp("offers")
    scores.head(200).to_parquet(place / "scores.parquet")
    pq.write_table(offers.table, place / "offers.parquet")
    (place / "offers.json").write_text(json.dumps(offers.to_dict(), default=str))
    (place / "referrals.json").write_text(json.dumps(referrals))
    keep = clv.Offer(contact_cost=1.0, save_rate=0.3)
    actions = clv.next_offer_actions(scores.head(200), offers.table)
    plan = clv.plan_campaign(scores.head(200), [keep, *actions], control_share=0.1)
    items = clv.decide.retention.offer_actions.offered_items(plan.table, offers.table)
    plan.table.assign(item=items).to_parquet(place / "targets.parquet")
    names = {"offers": "offers.parquet", "offer_report": "offers.json"}
    names |= {"referrals": "referrals.json", "targets": "targets.parquet"}
    files = RunFiles(**{name: str(place / file) for name, file in names.items()})
    publish_run(str(place / "scores.parquet"), place / "store", files)
    return place


def test_totals_are_those_of_the_table(offers):
    table, totals = offers.table.to_pandas(), offer_totals(offers.table)
    assert totals["value"] == pytest.approx(table["value"].sum())
    assert totals["customers"] == table["customer_id"].nunique()
    by_item = table.groupby("item").agg(n=("value", "size"), value=("value", "sum"))
    best = by_item.sort_values("value", ascending=False).head(50)
    assert [i["item"] for i in totals["items"]] == best.index.tolist()
    assert [i["offers"] for i in totals["items"]] == best["n"].tolist()
    assert [b["value"] for b in totals["best"]] == pytest.approx(
        table["value"].nlargest(50).tolist()
    )


def test_the_room_and_the_api_say_what_was_published(store, offers):
    page = Browser(create_app(None, store=store / "store"))
    text, answer = page("/offers").text, page("/v1/offers").json()
    totals = offer_totals(offers.table)
    assert str(offers.backtest.verdict) in text
    assert money(totals["items"][0]["value"]) in text
    assert percent(totals["best"][0]["break_even"]) in text
    assert with_days(totals["best"][0]["because"][1:]) in text
    assert answer["offers"]["items"] == totals["items"]
    assert answer["report"]["backtest"]["verdict"] == offers.backtest.verdict.to_dict()
    planned = plan_totals(pq.read_table(store / "targets.parquet"))
    assert answer["joint_plan"] == planned
    rows = pd.read_parquet(store / "targets.parquet").query("group == 'treat'")
    profit = rows.groupby("action")["expected_profit"].sum()
    assert {row["action"]: row["expected_profit"] for row in planned} == pytest.approx(
        profit.to_dict()
    )
    assert "One plan with keeping customers" in text


def test_one_plan_of_keeping_and_offering_is_made_by_the_api(store, scores, offers):
    page = Browser(create_app(None, store=store / "store"))
    keep = {"name": "offer", "contact_cost": 1.0, "save_rate": 0.3}
    body = {"offers": [keep], "control_share": 0.1, "incremental_share": 0.1, "limit": 1_000}
    answer = page("/v1/retention", "POST", json=body).json()
    actions = clv.next_offer_actions(scores.head(200), offers.table, 0.1)
    single = clv.Offer(contact_cost=1.0, save_rate=0.3)
    everybody = scores.head(200)[scores.head(200)["eligible"]]
    plan = clv.plan_campaign(everybody, [single, *actions], control_share=0.1)
    assert answer["summary"]["expected_profit"] == pytest.approx(plan.summary.expected_profit)
    named = {row["customer_id"]: row["action"] for row in answer["targets"]}
    assert named == dict(zip(plan.table["customer_id"], plan.table["action"], strict=True))
    assert {row["action"] for row in answer["targets"] if not row.get("item")} == {"offer"}
    assert set(named.values()) > {"offer"}


def test_referrals_are_on_channels_and_in_the_api(store, referrals):
    page = Browser(create_app(None, store=store / "store"))
    text = page("/channels").text
    assert "Customers who bring customers" in text
    # 50 + 20 + 30 of value, 12 saved, 30 paid: s x 100 + (1 - s) x 12 = 30
    assert referrals["break_even"] == pytest.approx(18 / 88)
    assert f"pay if {percent(18 / 88)} of those referred" in text
    assert page("/v1/referrals").json()["referrals"]["brought"] == referrals["brought"]


def test_without_them_it_says_how_to_publish_them(bare):
    page = bare()
    assert "clv publish --offers" in page("/offers").text
    assert "Customers who bring customers" not in page("/channels").text
    body = {"offers": [{"contact_cost": 1.0}], "incremental_share": 0.1}
    refused = page("/v1/retention", "POST", json=body)
    assert refused.status_code in (404, 422)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("offer_report", {"backtest": {}}, "backtest"),
        ("offer_report", {"currency": "EUR"}, "currency|EUR"),
        ("referrals", {"break_even": 2.0}, "break_even"),
        ("referrals", {"brought": None}, "brought"),
    ],
)
def test_files_that_are_none_are_refused(store, offers, referrals, name, change, said, tmp_path):
    right = {"offer_report": offers.to_dict(), "referrals": referrals}[name]
    file = tmp_path / "wrong.json"
    for content, words in ((dict(right) | change, said), ({}, "is no")):
        file.write_text(json.dumps(content, default=str))
        with pytest.raises(InputError, match=words):
            publish_run(
                str(store / "scores.parquet"), tmp_path / "new", RunFiles(**{name: str(file)})
            )
