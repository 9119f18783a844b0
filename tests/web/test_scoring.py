"""Requests of one moment are scored by one call, and each gets the answer it would get alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from clv.app.histories import HistoryScorer, ScoredHistories
from clv.app.requests import ScoreRequest
from clv.errors import InputError
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.value.value import Terms
from clv.web.application import create_app
from clv.web.scoring import MOST_ORDERS, MicroBatches

ORDER = {"date": "1997-01-05", "amount": 20.0}


@pytest.fixture(scope="module")
def scorer(published_scorer) -> CustomerScorer:
    terms = Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52)
    made: CustomerScorer = published_scorer(terms, "1997-09-30")
    return made


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """How many requests each call of the scorer was for."""
    sizes: list[int] = []
    direct = HistoryScorer.score

    def counting(self: HistoryScorer, requests: Any) -> Any:
        sizes.append(len(requests))
        return direct(self, requests)

    monkeypatch.setattr(HistoryScorer, "score", counting)
    return sizes


def body(k: int, **changes: Any) -> dict[str, Any]:
    orders = [ORDER | {"amount": 1.0 + k}] * (1 + k % 3)
    return {"customers": [{"customer_id": k, "orders": orders} | changes]}


def at_once(
    batches: MicroBatches, bodies: list[dict[str, Any]]
) -> list[ScoredHistories | BaseException]:
    async def ask() -> list[Any]:
        waiting = (batches.score(ScoreRequest.model_validate(one)) for one in bodies)
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(ask())


def test_requests_of_one_moment_are_scored_in_one_call(scorer, calls):
    batches = MicroBatches(scorer)
    calls.clear()
    together = at_once(batches, [body(k) for k in range(20)])
    assert calls == [20]
    assert together == [at_once(batches, [body(k)])[0] for k in range(20)]


def test_a_wrong_request_spoils_no_other(scorer):
    late = body(0, orders=[ORDER | {"date": "1998-02-01"}])
    wrong, right = at_once(MicroBatches(scorer), [late, body(1)])
    assert isinstance(wrong, InputError)
    assert isinstance(right, ScoredHistories)
    assert right.scores[0]["customer_id"] == 1


def test_a_large_request_is_scored_by_itself_on_a_thread(scorer, calls):
    large = {"customers": [body(k)["customers"][0] for k in range(MOST_ORDERS)]}
    batches = MicroBatches(scorer)
    calls.clear()
    _, first, _ = at_once(batches, [body(1), large, body(2)])
    assert sorted(calls) == [1, 2]
    assert isinstance(first, ScoredHistories)
    assert len(first.scores) == MOST_ORDERS


def test_a_fault_reaches_everybody_who_waits_and_nobody_later(scorer, monkeypatch):
    batches = MicroBatches(scorer)

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(CustomerScorer, "predict_columns", fail)
        answers = at_once(batches, [body(0), body(1)])
    assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError]
    (after,) = at_once(batches, [body(0)])
    assert isinstance(after, ScoredHistories)
    assert after.scores[0]["frequency"] == 0


def test_a_client_who_leaves_holds_nobody_up(scorer):
    async def ask() -> ScoredHistories:
        batches = MicroBatches(scorer)
        leaving = asyncio.ensure_future(batches.score(ScoreRequest.model_validate(body(0))))
        staying = asyncio.ensure_future(batches.score(ScoreRequest.model_validate(body(1))))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(ask()).scores[0]["customer_id"] == 1


def over_http(app: Any, ask: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    async def session() -> Any:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await ask(client)

    return asyncio.run(session())


def test_over_http_each_gets_what_it_would_get_alone(scorer):
    app = create_app(scorer)

    async def together(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post("/v1/score", json=body(k)) for k in range(40)))

    for k, response in enumerate(over_http(app, together)):
        alone = over_http(app, lambda client, k=k: client.post("/v1/score", json=body(k)))
        assert response.status_code == 200
        assert response.content == alone.content


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 9000, b'{"customers": NaN}', b'{"customers": "\\ud800"}'],
)
def test_what_is_no_json_is_refused(scorer, content):
    headers = {"content-type": "application/json"}
    app = create_app(scorer)
    response = over_http(app, lambda c: c.post("/v1/score", content=content, headers=headers))
    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"
