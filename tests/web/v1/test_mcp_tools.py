"""The tools of an assistant: the official client lists and calls each; keys and roles hold."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from clv.app.requests import PLAN_EXAMPLE
from clv.exports.audit import Audit
from clv.scorer import CustomerScorer
from clv.store import Store
from clv.web.access.keys import KeyRing
from clv.web.access.who import Access
from clv.web.application import create_app
from clv.web.assistants.mcp_server import TOOLS, api_at, tool_server

KEEP = {"offers": [{"contact_cost": 1, "save_rate": [0.1, 0.4]}], "budget": 50, "limit": 3}
SPEND = {name: part for name, part in PLAN_EXAMPLE.items() if name != "retention"}
CALLS: dict[str, dict[str, Any]] = {
    "customer_value": {"customer_id": "4"},
    "find_customers": {"sort": "value_at_stake", "size": 3, "tiers": ["top 1%"]},
    "whom_to_keep": KEEP,
    "plan_budget": SPEND,
    "how_far_to_trust": {},
}
PLANS = {"whom_to_keep", "plan_budget"}


@pytest.fixture
def tooled(
    scorer: CustomerScorer, folder: Path, keys: tuple[Path, dict[str, str]], audit: Path
) -> FastAPI:
    """A server with keys, and tools at /mcp."""
    access = Access(KeyRing(keys[0]), audit=Audit(audit))
    return create_app(scorer, store=folder, access=access, tools=True)


@pytest.fixture
def session(tooled: FastAPI, keys: tuple[Path, dict[str, str]]) -> Callable[..., Any]:
    """``session("viewer", work)``: what ``work`` gives with a client that has the key of a role."""

    def run(role: str | None, work: Callable[[Client], Awaitable[Any]]) -> Any:
        headers = {"Authorization": f"Bearer {keys[1][role]}"} if role else {}

        async def connected() -> Any:
            transport = httpx2.ASGITransport(tooled)
            url = "http://localhost/mcp"
            async with (
                tooled.router.lifespan_context(tooled),
                httpx2.AsyncClient(transport=transport, headers=headers) as http,
                Client(streamable_http_client(url, http_client=http)) as client,
            ):
                return await work(client)

        return anyio.run(connected)

    return run


async def all_called(client: Client) -> dict[str, Any]:
    """What each tool says, by name."""
    listed = (await client.list_tools()).tools
    assert {tool.name for tool in listed} == set(CALLS)
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed)
    return {name: await client.call_tool(name, given) for name, given in CALLS.items()}


def checked(answers: dict[str, Any], store: Store) -> None:
    """Each answer is that of the store, with units, currency, horizon and as-of date."""
    said = {name: answer.structured_content for name, answer in answers.items()}
    for name, answer in answers.items():
        assert not answer.is_error, answer.content
        assert json.loads(answer.content[0].text) == said[name]
        assert (said[name]["as_of"], said[name]["horizon"][:2]) in [
            ("1997-09-30", "15"), ("1997-09-30", "3 ")
        ]  # fmt: skip
        assert said[name]["units"]["amounts"] == said[name]["currency"]
    row = store.customer("4")
    assert row is not None
    one = said["customer_value"]
    assert one["customer"]["clv_low"] <= one["customer"]["clv"] <= one["customer"]["clv_high"]
    assert one["customer"]["clv"] == pytest.approx(row["clv"], rel=1e-12)
    assert one["units"]["columns"]["clv"].startswith("USD: ")
    assert one["reasons"]["because"]
    assert said["find_customers"]["customers"][0]["tier"] == "top 1%"
    assert said["whom_to_keep"]["summary"]["cost"] <= KEEP["budget"]
    assert said["whom_to_keep"]["profit_interval"]["low"] > 0
    assert said["plan_budget"]["allocation"]["budget"] == SPEND["budget"]
    assert said["how_far_to_trust"]["save_rate"].startswith("assumed")


def test_a_client_lists_and_calls_each_tool_over_http(session, tooled, book, last_line):
    checked(session("planner", all_called), book)
    assert 'method="POST",route="/mcp",status="200"' in tooled.state.metrics.text()
    line = last_line()  # a plan is noted under the name of the key
    assert (line["event"], line["who"], line["route"]) == ("plan", "planner-key", "/v1/allocate")


def test_no_stream_stays_open(tooled, keys):
    async def asked() -> list[int]:
        transport, key = httpx2.ASGITransport(tooled), {"X-API-Key": keys[1]["admin"]}
        async with httpx2.AsyncClient(transport=transport, headers=key) as http:
            url = "http://localhost/mcp"
            return [(await http.request(method, url)).status_code for method in ("GET", "DELETE")]

    assert anyio.run(asked) == [405, 405]


def test_a_viewer_may_look_and_not_plan(session):
    answers = session("viewer", all_called)
    assert {name for name, answer in answers.items() if answer.is_error} == PLANS
    for name in PLANS:
        assert "This takes the role planner" in answers[name].content[0].text


def test_without_a_key_there_is_nothing(session):
    with pytest.raises(BaseException) as refused:  # a group of errors, by the client's tasks
        session(None, all_called)
    assert refused.group_contains(MCPError) or "401" in str(refused.value)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("customer_value", {"customer_id": "nobody"}, "know no such customer"),
    ("customer_value", {}, "Give customer_id"),
    ("customer_value", {"customer_id": "4", "sql": "x"}, "sql: This route does not take it"),
    ("customer_value", {"customer_id": "../model"}, "know no such customer"),
    ("find_customers", {"size": 10**6}, "size: Input should be less than or equal to 200"),
    ("whom_to_keep", KEEP | {"budget": -1}, "budget: Input should be greater than"),
    ("plan_budget", SPEND | {"budget": "much"}, "budget: "),
]


def test_what_is_wrong_is_said_with_what_to_send(session):
    async def called(client: Client) -> list[Any]:
        return [await client.call_tool(tool, sent) for tool, sent, _ in WRONG]

    for answer, (_, _, said) in zip(session("planner", called), WRONG, strict=True):
        assert answer.is_error
        assert said in answer.content[0].text


def test_a_server_that_does_not_answer_is_an_error_of_the_tool():
    async def asked() -> Any:
        async with Client(tool_server(api_at("http://127.0.0.1:9", None))) as client:
            return await client.call_tool("how_far_to_trust", {})

    answer = anyio.run(asked)
    assert answer.is_error
    assert "does not answer" in answer.content[0].text


def test_tools_change_nothing():
    assert {(tool.method, tool.path) for tool in TOOLS if tool.method != "GET"} == {
        ("POST", "/v1/retention"), ("POST", "/v1/allocate")
    }  # fmt: skip


def over_stdio(words: list[str], folder: Path, work: Callable[[Client], Awaitable[Any]]) -> Any:
    """What ``work`` gives with a client of ``clv mcp``, in a process of its own."""
    words = ["-m", "clv", "mcp", *words]
    started = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))

    async def connected() -> Any:
        with (folder / "errors").open("w") as errors:
            transport: AbstractAsyncContextManager[Any] = stdio_client(started, errlog=errors)
            async with Client(transport) as client:
                return await work(client)

    return anyio.run(connected)


@pytest.mark.slow
def test_a_client_lists_and_calls_each_tool_of_a_store_on_disk(scorer, folder, book, tmp_path):
    scorer.save(tmp_path / "model")
    words = ["--store", str(folder), "--model", str(tmp_path / "model")]
    checked(over_stdio(words, tmp_path, all_called), book)


@pytest.mark.slow
def test_the_command_asks_a_server_and_says_when_it_does_not_answer(tmp_path):
    said = over_stdio(["--api", "http://127.0.0.1:9"], tmp_path, all_called)
    assert all("does not answer" in answer.content[0].text for answer in said.values())
