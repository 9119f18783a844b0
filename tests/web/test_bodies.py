"""Large bodies are read off the event loop, answered as small ones are, and bounded together."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from clv.app.requests import ScoreRequest
from clv.periods import Duration
from clv.value.value import Terms
from clv.web import api, bodies
from clv.web.application import create_app

JSON = {"content-type": "application/json"}
MANY = 1200  # customers, whose body is a large one


@pytest.fixture(scope="module")
def app(published_scorer: Any) -> FastAPI:
    terms = Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52)
    return create_app(published_scorer(terms, "1997-09-30"))


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


def customers(count: int) -> list[dict[str, Any]]:
    dates = ["1997-01-05", "1997-03-08", "1997-08-30"]
    orders = [[{"date": d, "amount": 10.0 + i} for d in dates[: 1 + i % 3]] for i in range(count)]
    return [{"customer_id": f"c{i}", "orders": placed} for i, placed in enumerate(orders)]


def asked(app: FastAPI, *contents: bytes) -> list[httpx.Response]:
    """The answers to bodies that are scored, one after the other."""

    async def ask() -> list[httpx.Response]:
        async with client(app) as c:
            return [await c.post("/v1/score", content=one, headers=JSON) for one in contents]

    return asyncio.run(ask())


def test_a_large_body_is_answered_as_its_parts_are(app: FastAPI) -> None:
    all_of_them = customers(MANY)
    large = json.dumps({"customers": all_of_them}).encode()
    quarters = [all_of_them[k : k + MANY // 4] for k in range(0, MANY, MANY // 4)]
    parts = [json.dumps({"customers": some}).encode() for some in quarters]
    assert len(large) > bodies.LARGE > max(map(len, parts))
    whole, *pieces = asked(app, large, *parts)
    assert whole.status_code == 200
    assert whole.json()["scores"] == [row for one in pieces for row in one.json()["scores"]]


def test_what_is_wrong_with_a_large_body_is_told_as_of_a_small_one(app: FastAPI) -> None:
    few = customers(2)
    few[1]["orders"] = [{"date": "yesterday", "amount": 1.0}]
    many = [*few, *customers(MANY)[2:]]
    small, large = asked(app, *(json.dumps({"customers": c}).encode() for c in (few, many)))
    assert small.status_code == large.status_code == 422
    assert small.json() == large.json()
    assert large.json()["errors"][0]["field"] == "customers[1].orders[0].date"
    cut_off = json.dumps({"customers": many}).encode()[:-2]
    cut, listed = asked(app, cut_off, b"[" + b"1," * 99_999 + b"1]")
    assert (cut.status_code, listed.status_code) == (400, 422)


def test_a_large_body_is_read_on_another_thread(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[threading.Thread] = []
    right = bodies.json.loads

    def loads(content: bytes, **how: Any) -> Any:
        found.append(threading.current_thread())
        return right(content, **how)

    monkeypatch.setattr(bodies.json, "loads", loads)
    asked(app, json.dumps({"customers": customers(MANY)}).encode())
    assert threading.main_thread() not in found
    assert found


def test_bodies_in_flight_are_bounded_and_small_ones_get_through(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_IN_FLIGHT", 300_000)
    small = json.dumps({"customers": customers(2)}).encode()
    half = asyncio.Event()

    async def slowly(size: int) -> Any:
        yield b" " * size
        half.set()
        await asyncio.sleep(0.2)
        yield b"{}"

    async def ask() -> list[httpx.Response]:
        async with client(app) as c:
            slow = asyncio.create_task(c.post("/v1/score", content=slowly(299_000), headers=JSON))
            await half.wait()
            large = await c.post("/v1/score", content=b" " * 99_000, headers=JSON)
            tiny = await c.post("/v1/score", content=small, headers=JSON)
            return [large, tiny, await slow, await c.post("/v1/score", content=b" " * 99_000)]

    large, tiny, slow, later = asyncio.run(ask())
    assert (large.status_code, large.headers["retry-after"]) == (429, "1")
    assert tiny.status_code == 200
    assert slow.status_code == 422
    assert later.status_code in (400, 415, 422)  # what was held is let go


def test_the_schema_names_the_bodies(app: FastAPI) -> None:
    described = app.openapi()["paths"]["/v1/score"]["post"]["requestBody"]["content"]
    name = ScoreRequest.__name__
    assert described["application/json"]["schema"] == {"$ref": f"#/components/schemas/{name}"}
