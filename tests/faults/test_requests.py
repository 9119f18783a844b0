"""Every route of API and page, from the route table: any query and any body gives 2xx to 4xx.

What no field can hold is refused, and what means the same is answered the same.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from fastapi import FastAPI

from clv.scorer import CustomerScorer
from clv.web.application import create_app
from tests.web.route_table import routes

from .conftest import noting
from .hostile import LONG, TEXTS, VALUES, at, damaged, deep, draws, places, replaced

PROBLEM = "application/problem+json"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
Asked = Callable[..., httpx.Response]
NO_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e400", LONG, f"-{LONG}")
NO_TEXTS = ('"\\ud800"', '"a\\udfffb"', deep(500), deep(20_000), "{" + '"a":{' * 500 + "}" * 501)
PARTS = 4


@pytest.fixture(scope="module")
def served(home: Path) -> FastAPI:
    return create_app(CustomerScorer.load(home / "model"), store=home / "store")


@pytest.fixture(scope="module")
def table(served: FastAPI) -> list[tuple[str, str]]:
    """Every method with every path."""
    found = [(m, r.path_format) for r in routes(served.routes) for m in sorted(r.methods)]
    assert len(found) > 25
    return found


@pytest.fixture(scope="module")
def ask(served: FastAPI) -> Iterator[Asked]:
    """What the application answers; it never fails, and its JSON is JSON."""

    def no_number(word: str) -> float:
        raise AssertionError(f"the answer holds {word}")

    with asyncio.Runner() as runner:
        transport = httpx.ASGITransport(served, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

        def answer(method: str, path: str, **options: Any) -> httpx.Response:
            response = runner.run(client.request(method, path, **options))
            said = f"{method} {path[:300]} {str(options)[:600]}: {response.status_code}"
            assert 200 <= response.status_code < 500, said
            kind = response.headers.get("content-type", "")
            if kind.endswith("json") and method != "HEAD":
                json.loads(response.content, parse_constant=no_number)
            if path.startswith("/v1/") and response.status_code >= 400:
                assert kind == PROBLEM, said
                assert response.json()["detail"], said
            return response

        yield answer
        runner.run(client.aclose())


@pytest.fixture(scope="module")
def names(served: FastAPI, ask: Asked, table: list[tuple[str, str]]) -> list[str]:
    """Every parameter of a query or a form: as described, and as the pages' forms have them."""
    found = {"csrf", "next", "key", "saved"}
    for methods in served.openapi()["paths"].values():
        for method in methods.values():
            found |= {one["name"] for one in method.get("parameters", ())}
    for method, path in table:
        if method == "GET" and "{" not in path:
            found |= set(re.findall(r'name="([\w.-]+)"', ask(method, path).text))
    assert len(found) > 30
    return sorted(found)


@pytest.fixture(scope="module")
def examples(served: FastAPI) -> dict[str, Any]:
    """By path, a body that is answered."""
    found = {}
    for path, methods in served.openapi()["paths"].items():
        for method in methods.values():
            if "requestBody" in method:
                shown = method["requestBody"]["content"][JSON].get("examples") or {}
                found[path] = next((one["value"] for one in shown.values()), {})
    assert len(found) > 4
    return found


def address(path: str, rng: random.Random) -> str:
    """The path, with any text in the place of its parameter."""
    word = quote(rng.choice(TEXTS), safe=rng.choice(["", "/"]))
    return re.sub(r"\{.*?\}", lambda _: word, path)


def pairs(names: list[str], rng: random.Random) -> list[tuple[str, str]]:
    some = rng.choices(names, k=rng.randrange(PARTS)) + rng.choices(TEXTS, k=rng.random() < 0.1)
    return [(name, rng.choice(TEXTS)) for name in some]


def test_any_query_is_answered(ask: Asked, table: Any, names: list[str]) -> None:
    failures: list[str] = []
    for rng in draws("query", 80):
        method, path = rng.choice(table)
        sent = pairs(names, rng)
        query = urlencode(sent, errors="surrogatepass")
        if rng.random() < 0.1:
            query = damaged(query.encode(), rng).decode("latin-1")[:3000]
        with noting(failures, rng):
            kind = JSON if path.startswith("/v1/") else FORM
            options = {"content": query, "headers": {"content-type": kind}}
            ask(method, f"{address(path, rng)}?{quote(query, safe='=&%+')}"[:8000])
            if method == "POST":
                ask(method, path, **options)
    assert not failures, "\n\n".join(failures)


def changed(example: Any, rng: random.Random) -> tuple[str, str]:
    """A body as text, and what is true of its answer: "same", "refused" or "any"."""
    way = rng.randrange(6)
    spots = list(places(example))
    spot = rng.choice(spots)
    if way == 0:  # the same in other words
        order = {k: example[k] for k in rng.sample(list(example), len(example))}
        return json.dumps(
            order, indent=rng.choice([None, 1]), ensure_ascii=rng.random() < 0.5
        ), "same"
    if way == 1:  # no field has such a name
        within = [place for place in spots if isinstance(at(example, place), dict)]
        place = rng.choice(within)
        wider = {**at(example, place), rng.choice(["", "x", "é", "__class__", "a" * 999]): 1}
        return json.dumps(replaced(example, place, wider)), "refused"
    if way == 2:  # no field can hold it, whichever it is
        text = json.dumps(replaced(example, spot, "HERE"))
        return text.replace('"HERE"', rng.choice([*NO_NUMBERS, *NO_TEXTS]), 1), "refused"
    if way == 3:
        data = damaged(json.dumps(example).encode(), rng)
        return data.decode("utf-8", "surrogateescape"), "any"
    if way == 4 and len(spot) and isinstance(at(example, spot[:-1]), list):
        several = [at(example, spot)] * rng.choice([0, 2, 300])
        return json.dumps(replaced(example, spot[:-1], several)), "any"
    return json.dumps(replaced(example, spot, rng.choice(VALUES))), "any"


def test_any_body_is_answered(ask: Asked, examples: dict[str, Any]) -> None:
    failures: list[str] = []
    right = {path: ask("POST", path, json=body) for path, body in examples.items()}
    usable = [path for path, answer in right.items() if answer.status_code == 200]
    assert len(usable) >= 3
    for rng in draws("body", 80):
        path = rng.choice(list(examples))
        text, verdict = changed(examples[path], rng) if examples[path] else ("{}", "any")
        with noting(failures, rng):
            content = text.encode("utf-8", "surrogateescape")[: 2**22]
            answer = ask("POST", path, content=content, headers={"content-type": JSON})
            if verdict == "refused":
                assert answer.status_code in (400, 413, 422), (path, text[:600])
            if verdict == "same" and path in usable and path != "/v1/exports":
                assert answer.json() == right[path].json(), (path, text[:600])
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("path", ["/v1/retention", "/v1/allocate"])
@pytest.mark.parametrize("value", ["[0.1, " + LONG + "]", "NaN", "[0.1, 1e400]", "[NaN, 0.4]"])
def test_a_save_rate_that_is_no_number(ask: Asked, examples: Any, path: str, value: str) -> None:
    text = json.dumps(examples[path])
    swapped = re.sub(r'"save_rate": (\[[^]]*\]|[\d.]+)', f'"save_rate": {value}', text)
    assert swapped != text
    answer = ask("POST", path, content=swapped, headers={"content-type": JSON})
    assert answer.status_code in (400, 422)


def test_a_currency_that_is_no_text(ask: Asked, examples: Any) -> None:
    for word in (r"\ud800", r"\udc00x"):
        plan = json.dumps(examples["/v1/allocate"] | {"currency": "HERE"}).replace("HERE", word)
        answer = ask("POST", "/v1/allocate", content=plan, headers={"content-type": JSON})
        assert answer.status_code in (400, 422)
