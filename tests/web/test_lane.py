"""The lane answers small scoring requests with what the ordinary road would say, to the byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from clv.app.requests import SCORE_EXAMPLE
from clv.periods import Duration
from clv.value.value import Terms
from clv.web import scoring
from clv.web.application import create_app

JSON = {"content-type": "application/json"}
ORDER = {"date": "1997-01-05", "amount": 20.0}


@pytest.fixture(scope="module")
def app(published_scorer) -> Any:
    terms = Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52)
    scorer = published_scorer(terms, "1997-09-30")
    return create_app(scorer)


def ask(app: Any, content: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/v1/score", content=content, headers=headers or JSON)

    return asyncio.run(once())


def one(**changes: Any) -> dict[str, Any]:
    return {"customers": [{"customer_id": "x", "orders": [ORDER]} | changes]}


BODIES: dict[str, Any] = {
    "example": SCORE_EXAMPLE,
    "one": one(),
    "letters": one(customer_id="tücher \U0001f98a \u2028"),
    "largest id": one(customer_id=2**63 - 1),
    "as of": one() | {"as_of": "1997-12-31"},
    "nothing left": one() | {"as_of": "1990-01-01"},
    "refund of more": one(orders=[ORDER, {"date": "1997-02-01", "amount": -30.0}]),
    "lines of an order": one(orders=[ORDER | {"order_id": 7}, ORDER | {"order_id": 7}]),
    "two on a day, and one later": one(orders=[ORDER, ORDER, {"date": "1997-02-01", "amount": 9}]),
    "later than the model": one(orders=[{"date": "1998-02-01", "amount": 9}]),
    "wrong amount": one(orders=[ORDER | {"amount": "9"}]),
    "unknown field": one(extra=1),
    "no customer": {"customers": []},
    "list": [],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_both_ways_say_the_same(app, monkeypatch, body):
    content = json.dumps(body).encode()
    quick = ask(app, content)
    monkeypatch.setattr(scoring, "SHORT", 0)  # now nothing is short enough for the lane
    slow = ask(app, content)
    assert quick.status_code == slow.status_code
    assert quick.content == slow.content
    assert quick.headers["content-type"] == slow.headers["content-type"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 9000, b'{"customers": NaN}', b'{"customers": "\\ud800"}'],
)
def test_what_is_no_json_is_refused_as_on_the_road(app, monkeypatch, content):
    quick = ask(app, content)
    monkeypatch.setattr(scoring, "SHORT", 0)
    slow = ask(app, content)
    assert 400 <= quick.status_code < 500
    assert (quick.status_code, quick.content) == (slow.status_code, slow.content)


def test_the_lane_takes_what_it_should(app, monkeypatch):
    def never(*_: Any) -> None:
        raise AssertionError("the ordinary road was taken")

    monkeypatch.setattr("clv.web.v1.score.score_histories", never)
    content = json.dumps(SCORE_EXAMPLE).encode()
    assert ask(app, content).status_code == 200
    charset = {"content-type": "application/json; charset=utf-8"}
    assert ask(app, content, charset).status_code == 200
    many = [SCORE_EXAMPLE["customers"][0] | {"customer_id": k} for k in range(scoring.FEW)]
    assert ask(app, json.dumps(SCORE_EXAMPLE | {"customers": many}).encode()).status_code == 200


def test_many_at_once_get_each_their_own(app):
    def body(k: int) -> dict[str, Any]:
        return one(customer_id=k, orders=[ORDER | {"amount": 1.0 + k}] * (1 + k % 3))

    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asyncio.gather(
                *(client.post("/v1/score", json=body(k)) for k in range(40))
            )

    for k, response in enumerate(asyncio.run(all_at_once())):
        (row,) = response.json()["scores"]
        assert row["customer_id"] == k
        alone = ask(app, json.dumps(body(k)).encode()).json()["scores"][0]
        for name, value in row.items():
            number = isinstance(value, float)
            assert value == (pytest.approx(alone[name], rel=1e-12) if number else alone[name])
