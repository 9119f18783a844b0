"""Channels as they were published, and of a spend table that is sent."""

from __future__ import annotations

import pytest

from clv.web.application import create_app
from clv.web.page.channels import headlines
from clv.web.v1.channels import EXAMPLE, published

SPEND = [
    {"channel": "search", "period": "2024-03", "spend": 80, "fixed_cost": 10, "new_customers": 3},
    {"channel": "radio", "period": "2024-03", "spend": 50, "new_customers": 0},
    {"channel": "unpaid", "period": "2024-03", "spend": 0, "new_customers": 6},
]
MISSING = ["spend[1].spend", "spend[1].new_customers"]


def test_the_figures_are_those_of_the_page(ask, book):
    answer = ask("GET", "/v1/channels", role="viewer").json()
    assert answer["channels"] == published(book)
    shown = {one.label: one.figure for one in headlines(published(book), "USD")}
    assert answer["paid_cac"] == pytest.approx(1500 / 40)
    assert answer["blended_cac"] == pytest.approx(1500 / 90)
    assert shown["Paid CAC"] == "$37.50"
    assert shown["Blended CAC"] == "$16.67"
    email = next(row for row in answer["channels"] if row["channel"] == "email")
    assert email["cac"] is None
    assert {note["basis"] for note in answer["notes"]} >= {"measured", "assumed", "estimated"}


def test_a_spend_table_meets_the_published_value(ask):
    answer = ask("POST", "/v1/channels", role="viewer", json={"spend": SPEND}).json()
    rows = {row["channel"]: row for row in answer["channels"]}
    assert rows["search"]["cac"] == pytest.approx(30)
    assert rows["search"]["ltv_to_cac"] == pytest.approx(45 / 30)
    assert rows["search"]["horizon"] == "156 weeks"
    assert rows["search"]["cac_low"] < 30 < rows["search"]["cac_high"]
    assert rows["radio"]["cac"] is None
    assert rows["unpaid"].get("new_customer_value") is None
    assert answer["paid_cac"] == pytest.approx(140 / 3)
    assert answer["blended_cac"] == pytest.approx(140 / 9)
    assert any("No cost of the next customer" in note["text"] for note in answer["notes"])


def test_eight_periods_tell_what_the_next_customer_costs(ask):
    spend = [100.0 * k for k in range(1, 13)]
    rows = [
        {
            "channel": "search",
            "period": f"2024-{k + 1:02}",
            "spend": s,
            "new_customers": round(6 * s**0.5),
        }
        for k, s in enumerate(spend)
    ]
    (row,) = ask("POST", "/v1/channels", json={"spend": rows}).json()["channels"]
    mean = sum(spend) / len(spend)
    assert row["marginal_cac"] == pytest.approx(2 * mean**0.5 / 6, rel=0.25)
    assert row["marginal_cac"] > row["cac"]


def test_the_example_works(ask):
    assert ask("POST", "/v1/channels", json=EXAMPLE).status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["spend"]),
        ({"spend": []}, ["spend"]),
        ({"spend": [SPEND[0] | {"spend": -1}]}, ["spend[0].spend"]),
        ({"spend": [SPEND[0] | {"spend": "1"}]}, ["spend[0].spend"]),
        ({"spend": [SPEND[0] | {"channel": ""}]}, ["spend[0].channel"]),
        ({"spend": [SPEND[0], {"channel": "a"}]}, ["spend[1].period", *MISSING]),
        ({"spend": SPEND, "log": "/etc/passwd"}, ["log"]),
        ({"spend": SPEND * 2000}, ["spend"]),
        ({"spend": [SPEND[0] | {"channel": f"c{k}"} for k in range(51)]}, ["spend"]),
        ({"spend": [SPEND[0] | {"period": f"p{k}"} for k in range(401)]}, ["spend"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_spend_table_names_its_field(ask, refused, body, fields):
    assert refused(ask("POST", "/v1/channels", json=body)) == fields


def test_numbers_that_no_arithmetic_is_up_to(ask, refused):
    row = SPEND[0] | {"spend": 9e11, "new_customers": 1e-300}
    assert refused(ask("POST", "/v1/channels", json={"spend": [row]})) == ["spend"]


def test_without_channels_it_is_said_how_to_publish_them(scorer, scores, tmp_path, monkeypatch):
    import asyncio

    import httpx

    scores.to_parquet(tmp_path / "scores.parquet")
    app = create_app(scorer, tmp_path / "scores.parquet")

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/v1/channels")

    response = asyncio.run(once())
    assert response.status_code == 404
    assert "clv publish" in response.json()["detail"]
