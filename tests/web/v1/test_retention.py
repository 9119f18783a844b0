"""A retention plan over HTTP is the plan of ``plan_campaign`` on whoever may be contacted."""

from __future__ import annotations

import numpy as np
import pytest

from clv.decide.retention.eligibility import Rules
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import plan_campaign
from clv.web.v1.retention import EXAMPLE

LETTER = {"name": "letter", "contact_cost": 0.2, "save_rate": [0.1, 0.4]}
CALL = {"name": "call", "contact_cost": 0.6, "save_rate": 0.5, "capacity": 40}


def planned(ask, **body):
    response = ask("POST", "/v1/retention", json={"offers": [LETTER, CALL]} | body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def offers():
    return [
        Offer(0.2, save_rate=(0.1, 0.4), name="letter"),
        Offer(0.6, save_rate=0.5, name="call", capacity=40),
    ]


def test_the_plan_is_that_of_the_command_line(ask, scores, offers):
    answer = planned(ask, budget=60, silent_for=200, exclude=[4, "11"], limit=5)
    may = scores[scores["eligible"]]
    rules = Rules(silent_for=200, exclude=["4", "11"])
    plan = plan_campaign(may, offers, 60, rules=rules)
    expected = plan.summary.to_dict()
    for name in ("audience", "control", "cost", "expected_profit", "customers"):
        assert answer["summary"][name] == pytest.approx(expected[name])
    assert answer["summary"]["not_contacted"] == expected["not_contacted"]
    assert [row["customer_id"] for row in answer["targets"]] == plan.table["customer_id"][
        :5
    ].tolist()
    assert answer["not_eligible"] == (~scores["eligible"]).sum()
    assert (answer["as_of"], answer["currency"]) == ("1997-09-30", "USD")


@pytest.mark.parametrize("seed", range(16))
def test_any_campaign_is_the_one_of_python(ask, scores, seed):
    rng = np.random.default_rng(seed)
    terms = {
        "contact_cost": float(rng.choice([0, 0.2, 1])),
        "save_rate": float(rng.uniform(0.1, 0.6)),
    }
    terms |= {"capacity": int(rng.integers(1, 300)) if seed % 2 else None}
    body = {"budget": float(rng.choice([5, 40, 300])) if seed % 3 else None, "seed": seed}
    body |= {"control_share": float(rng.choice([0, 0.1, 0.4]))}
    body |= {"stratify": [None, "channel", "expected_profit", "clv"][seed % 4]}
    answer = planned(ask, offers=[terms], limit=10_000, silent_for=250, **body)
    plan = plan_campaign(
        scores[scores["eligible"]], Offer(**terms), rules=Rules(silent_for=250), **body
    )
    listed = [(row["customer_id"], row["group"]) for row in answer["targets"]]
    assert listed == list(zip(plan.table["customer_id"], plan.table["group"], strict=True))
    assert answer["summary"]["expected_profit"] == plan.summary.expected_profit


def test_nobody_is_contacted_whom_the_scores_bar(ask, scores):
    answer = planned(ask, limit=10_000)
    barred = set(scores.loc[~scores["eligible"], "customer_id"])
    assert answer["targets"]
    assert not barred & {row["customer_id"] for row in answer["targets"]}


def test_the_curve_rises_to_what_everybody_would_gain(ask, scores, offers):
    answer = planned(ask, points=30)
    curve = plan_campaign(scores[scores["eligible"]], offers).gain_curve
    assert len(answer["curve"]) == 30
    assert answer["curve"][0]["expected_gain"] == 0
    assert answer["curve"][-1]["expected_gain"] == pytest.approx(curve.gained[-1])
    gains = [point["expected_gain"] for point in answer["curve"]]
    assert gains == sorted(gains)
    slopes = [point["gain_of_next"] for point in answer["curve"]]
    assert slopes == sorted(slopes, reverse=True)
    assert planned(ask, points=0)["curve"] == []


def test_an_interval_or_why_there_is_none(ask):
    ranged = planned(ask)
    interval = ranged["profit_interval"]
    assert interval["low"] < ranged["summary"]["expected_profit"] < interval["high"]
    assert ranged["why_no_interval"] is None
    single = planned(ask, offers=[CALL])
    assert single["profit_interval"] is None
    assert "range" in single["why_no_interval"]
    nobody = planned(ask, budget=0)
    assert nobody["why_no_interval"] == "Nobody is contacted."


def test_filters_narrow_the_campaign(ask, scores):
    answer = planned(ask, customers={"channels": ["search"], "recency_to": 100})
    chosen = scores[(scores["channel"] == "search") & (scores["days_since_last"] <= 100)]
    assert answer["summary"]["customers"] == chosen["eligible"].sum()
    assert answer["not_eligible"] == (~chosen["eligible"]).sum()


@pytest.mark.parametrize("stratify", ["expected_profit", "tier", "channel", "clv"])
def test_the_control_group_may_be_drawn_in_layers(ask, stratify):
    answer = planned(ask, stratify=stratify, control_share=0.5, limit=0)
    held, contacted = answer["summary"]["control"], answer["summary"]["audience"]
    assert held == pytest.approx(contacted, rel=0.15)


def test_the_audit_names_no_customer(ask, last_line):
    planned(ask, exclude=["secret-name"], customers={"prefix": "17"}, budget=5)
    line = last_line()
    assert (line["event"], line["route"]) == ("plan", "/v1/retention")
    assert line["filters"]["excluded"] == 1
    assert line["filters"]["budget"] == 5
    assert "secret-name" not in str(line)


def test_the_example_works(ask):
    assert planned(ask, **EXAMPLE)["summary"]["cost"] <= EXAMPLE["budget"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"offers": []}, "offers"),
        ({"offers": [LETTER, LETTER]}, "offers"),
        ({"offers": [LETTER | {"contact_cost": -1}]}, "offers[0].contact_cost"),
        ({"offers": [LETTER | {"save_rate": 2}]}, "offers[0].save_rate"),
        ({"offers": [LETTER | {"save_rate": [0.4, 0.1]}]}, "offers[0].save_rate"),
        ({"offers": [LETTER | {"uplift": "/etc/passwd"}]}, "offers[0].uplift"),
        ({"offers": [LETTER | {"name": " "}]}, "offers[0].name"),
        ({"budget": -1}, "budget"),
        ({"budget": "all"}, "budget"),
        ({"control_share": 1}, "control_share"),
        ({"stratify": "nobody"}, "stratify"),
        ({"stratify": "customer_id"}, "stratify"),
        ({"date": "1997-09-30"}, "date"),
        ({"date": "soon"}, "date"),
        ({"customers": {"eligible": False}}, "customers.eligible"),
        ({"customers": {"prefix": "nobody"}}, "customers"),
        ({"exclude": [1.5]}, "exclude[0]"),
        ({"limit": 10_001}, "limit"),
        ({"points": 1e9}, "points"),
    ],
    ids=str,
)
def test_a_wrong_campaign_names_its_field(ask, refused, body, field):
    response = ask("POST", "/v1/retention", json={"offers": [LETTER]} | body)
    assert refused(response) == [field]


def test_offers_that_cost_nothing_or_next_to_nothing(ask, refused):
    free = planned(ask, offers=[LETTER | {"contact_cost": 0}])
    assert free["summary"]["cost"] == 0
    assert free["curve"][-1]["expected_gain"] > 0
    body = {"offers": [LETTER | {"contact_cost": 5e-324}]}
    assert refused(ask("POST", "/v1/retention", json=body)) == ["request"]


@pytest.mark.parametrize("path", ["/v1/retention", "/v1/allocate", "/v1/exports"])
def test_a_viewer_cannot_plan_or_export(ask, path):
    assert ask("POST", path, role="viewer", json={}).status_code == 403
    assert ask("POST", path, role=None, json={}).status_code == 401
