"""Who may use which route, from the route table: a new route fails here until it is named."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from fastapi import FastAPI

from clv.scorer import CustomerScorer
from clv.store import publish
from clv.web.access.keys import KeyRing
from clv.web.access.roles import Role
from clv.web.access.sessions import COOKIE
from clv.web.access.who import Access
from clv.web.application import create_app
from tests.web.route_table import routes

OPEN = {"/v1/health", "/login", "/static/{name}", "/theme", "/favicon.ico"}
PLANNERS = {
    *("POST /v1/retention", "POST /v1/allocate", "POST /v1/exports", "POST /customers/export"),
    *("POST /customers/segments", "POST /customers/segments/remove"),
    *("POST /budget/plans", "POST /budget/plans/remove"),
    "POST /v1/retention/test-plan",
    *("GET /retention", "POST /retention/export", "GET /budget"),
}
ADMINS = {
    *("GET /jobs", "GET /jobs/{job}", "POST /jobs", "POST /jobs/rollback"),
    *("POST /jobs/{job}/file", "POST /jobs/{job}/{action}"),
}
VIEWERS_POST = {"POST /v1/score", "POST /v1/channels", "POST /logout"}
HOSTILE = (
    *(
        "..",
        "../../etc/passwd",
        "%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cetc",
        "%00",
        "%0d%0aSet-Cookie:x=1",
    ),
    *("' OR 1=1 --", "1; DROP TABLE customers", "{{7*7}}", "<script>alert(1)</script>", "a/b"),
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def access(keys: tuple[Path, dict[str, str]]) -> Access:
    return Access(KeyRing(keys[0]))


@pytest.fixture(scope="module")
def guarded(
    scorer: CustomerScorer, folder: Path, access: Access, tmp_path_factory: pytest.TempPathFactory
) -> FastAPI:
    uploads = tmp_path_factory.mktemp("uploads")
    return create_app(scorer, store=folder, access=access, jobs=uploads)


@pytest.fixture(scope="module")
def table(guarded: FastAPI) -> list[tuple[str, str]]:
    found = [(m, r.path_format) for r in routes(guarded.routes) for m in sorted(r.methods)]
    assert len(found) > 28
    return found


@pytest.fixture(scope="module")
def send(guarded: FastAPI) -> Iterator[Any]:
    with asyncio.Runner() as runner:
        transport = httpx.ASGITransport(guarded, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

        def once(method: str, path: str, **headers: str) -> httpx.Response:
            client.cookies.clear()
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            answer = runner.run(client.request(method, path, headers=named))
            assert answer.status_code < 500, (method, path)
            return answer

        yield once
        runner.run(client.aclose())


def as_sent(path: str) -> str:
    """A path with something in the place of its parameters."""
    return re.sub(r"\{(customer_id|key|job|action)\}", "1", path)


def least(method: str, path: str) -> Role | None:
    """What the top of this file says; whatever is not in it and reads, readers may."""
    if path in OPEN:
        return None
    if f"{method} {path}" in PLANNERS:
        return Role.PLANNER
    if f"{method} {path}" in ADMINS:
        return Role.ADMIN
    if method in ("GET", "HEAD") or f"{method} {path}" in VIEWERS_POST:
        return Role.VIEWER
    raise AssertionError(f"{method} {path} changes or takes something: say above who may")


def test_every_route_asks_for_its_role(table: Any, send: Any, keys: Any) -> None:
    for method, path in table:
        role, where = least(method, path), as_sent(path)
        nobody = send(method, where)
        assert (nobody.status_code == 401) is (role is not None), (method, path)
        for name, token in keys[1].items():
            answer = send(method, where, x_api_key=token)
            too_low = role is not None and Role.parse(name) < role
            refused = answer.status_code == 403 and f"takes the role {role}" in answer.text
            assert refused is too_low, (method, path, name, answer.text[:200])


def test_no_rule_is_for_a_route_that_is_gone(table: Any) -> None:
    there = {f"{method} {path}" for method, path in table}
    assert there >= PLANNERS | ADMINS | VIEWERS_POST
    assert {path for _, path in table} >= OPEN


def test_other_methods_get_nowhere(table: Any, send: Any, keys: Any) -> None:
    taken = set(table)
    for path in sorted({path for _, path in table}):
        for method in ("PUT", "PATCH", "DELETE", "TRACE", "X"):
            if (method, path) not in taken:
                where = as_sent(path)
                viewer = send(method, where, x_api_key=keys[1]["viewer"])
                assert viewer.status_code in (403, 404, 405), (method, path)


def test_a_session_changes_nothing_without_its_token(
    table: Any, send: Any, access: Access, keys: Any
) -> None:
    assert access.keys is not None
    key = access.keys.find(keys[1]["admin"])
    assert key is not None
    session = f"{COOKIE}={access.sessions.begin(key)}"
    for method, path in table:
        if method not in ("GET", "HEAD") and path != "/login":
            assert send(method, path, cookie=session, **FORM).status_code == 403, path
            elsewhere = {"origin": "http://evil.example"}
            assert send(method, path, x_api_key=keys[1]["admin"], **elsewhere).status_code == 403


def test_nothing_in_a_path_or_query_leads_out_or_comes_back_as_code(
    table: Any, send: Any, keys: Any
) -> None:
    token = keys[1]["admin"]
    for method, path in table:
        if method != "GET":
            continue
        for word in HOSTILE:
            spelt = path.replace("{customer_id}", word).replace("{key}", word)
            for where in (
                spelt.replace("{name}", word),
                f"{path}?prefix={word}&q={word}&next={word}",
            ):
                answer = send("GET", where, x_api_key=token)
                assert "root:" not in answer.text, where
                assert (
                    "<script>alert(1)" not in answer.text
                    or "json" in answer.headers["content-type"]
                )
                assert "set-cookie" not in answer.headers or path in ("/login", "/theme"), where


IDS = [
    "a/b",
    "/",
    "//",
    ".",
    "..",
    "../..",
    "a%2Fb",
    "a?b#c",
    "é 日本",
    "🦆",
    " a ",
    "=1+1",
    "a\\b",
    "+",
]


def test_ids_of_any_characters_are_found(
    scorer: CustomerScorer, scores: Any, tmp_path: Path
) -> None:
    table = scores.head(len(IDS)).assign(customer_id=IDS)
    publish(table, tmp_path / "store")
    app = create_app(scorer, store=tmp_path / "store")

    async def ask(path: str) -> tuple[int, Any]:
        """As a server hands it on: the path unquoted, nothing in it put together."""
        sent: list[Any] = []
        scope = {"type": "http", "method": "GET", "path": unquote(path), "raw_path": path.encode()}
        scope |= {"query_string": b"", "headers": [(b"host", b"localhost")], "scheme": "http"}

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])

    for name in IDS:
        status, answer = asyncio.run(ask(f"/v1/customers/{quote(name, safe='')}"))
        assert (status, answer["customer"]["customer_id"]) == (200, name)
