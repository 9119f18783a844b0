"""The API as tools of an assistant, by the Model Context Protocol: they read, and change nothing.

A tool is a route of the API with a name, words for a model, and the schema that the route takes.
The call goes to that route: over HTTP with a key, or within this process, through the same gate. So
its keys, roles, limits, checks, errors and audit are those of the API.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2
from fastapi import FastAPI
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from clv import __version__
from clv.app.requests import PlanBody
from clv.score_columns import SCORE_COLUMNS, STATED
from clv.web.v1.customers import SearchQuery
from clv.web.v1.retention import RetentionBody

PATH, PATIENCE = "/mcp", 60.0  # where it is found over HTTP; seconds that an answer may take
PASSED = ("authorization", "x-api-key", "host")  # of the request that calls a tool
INSTRUCTIONS = (
    "What each customer of this firm is worth, whom to keep and where to spend. Every answer says "
    "its currency, horizon and as-of date, and under units what its columns count: say them with "
    "each figure, and the interval where there is one. What is assumed is not measured: say which. "
    "Ask how_far_to_trust before you recommend an action. A key may lack the role for a plan."
)
TRUSTED = (
    *("version", "terms", "purchase_model", "interval", "coverage", "beyond_churn_horizon"),
    *("value_over_years", "value_at_stake", "save_rate", "new_customer_clv"),
)
LEARNED = ("customers", "repeat_buyers", "purchases", "total")

Headers = Mapping[str, str]
Shape = Callable[[dict[str, Any]], dict[str, Any]]
ONE_CUSTOMER = {
    "type": "object",
    "properties": {"customer_id": {"type": ["string", "integer"], "description": "As in the log."}},
    "required": ["customer_id"],
    "additionalProperties": False,
}
NOTHING: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def _trust(answer: dict[str, Any]) -> dict[str, Any]:
    """The part of a model card that says how far its numbers carry."""
    card = answer.pop("card")
    training = card["training"]
    holdout = training.get("holdout") or {}
    judged = {name: holdout.get(name) for name in ("cutoff", "end", "figures")}
    learned = {name: training.get(name) for name in LEARNED}
    churn = {name: card["churn"].get(name) for name in ("horizon", "source", "reason")}
    trusted = {name: card[name] for name in TRUSTED}
    return {**answer, **trusted, "churn": churn, "learned_from": learned, "judged_later": judged}


@dataclass(frozen=True)
class RouteTool:
    """A tool that asks one route of the API.

    Attributes
    ----------
    name, title, description
        For the assistant and for people.
    method, path
        The route; arguments in braces go into the path.
    schema
        JSON schema of the arguments.
    fixed
        Query parameters that are always sent.
    shape
        What is made of the answer.
    """

    name: str
    title: str
    description: str
    method: str
    path: str
    schema: Mapping[str, Any]
    fixed: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = dict

    def declared(self) -> Tool:
        """As it is listed."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=dict(self.schema),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )

    async def call(
        self, client: httpx2.AsyncClient, arguments: Mapping[str, Any], headers: Headers
    ) -> CallToolResult:
        """What the route answers; an error says what to send in its place."""
        in_path = {name for name in arguments if f"{{{name}}}" in self.path}
        if missing := [name for name in self.schema.get("required", ()) if name not in arguments]:
            return _failed(f"Give {', '.join(missing)}.")
        path = self.path.format(**{n: quote(str(arguments[n]), safe="") for n in in_path})
        rest = {name: value for name, value in arguments.items() if name not in in_path}
        body = rest if self.method == "POST" else None
        query = {**self.fixed, **({} if body is not None else _query(rest))}
        response = await client.request(
            self.method, path, params=query, json=body, headers=dict(headers)
        )
        answer = response.json()
        if response.status_code != 200:
            return _failed(_problem(answer))
        answer = _with_units(self.shape(answer))
        text = TextContent(type="text", text=json.dumps(answer, ensure_ascii=False))
        return CallToolResult(content=[text], structured_content=answer)


TOOLS = (
    RouteTool(
        "customer_value",
        "What a customer is worth",
        "Value of one customer still to come, with its interval (clv_low to clv_high), rank, "
        "churn probability with the reasons for it, and what to offer next.",
        "GET",
        "/v1/customers/{customer_id}",
        ONE_CUSTOMER,
        {"reasons": "true"},
    ),
    RouteTool(
        "find_customers",
        "Find customers",
        "Customers by tier, channel, cohort, recency, churn probability and value, best first, "
        "with what they add up to.",
        "GET",
        "/v1/customers",
        SearchQuery.model_json_schema(),
    ),
    RouteTool(
        "whom_to_keep",
        "Whom to keep",
        "Plans a retention campaign: whom to contact with which offer within a budget, whom to "
        "hold out as control, what it gains with its interval. Nothing is sent to anybody. Save "
        "rates are assumed unless a randomised test measured them: give a range as [0.1, 0.4].",
        "POST",
        "/v1/retention",
        RetentionBody.model_json_schema(),
    ),
    RouteTool(
        "plan_budget",
        "Plan a budget",
        "Splits one budget over acquisition channels and retention to earn the most, with what "
        "each channel costs and returns. A channel needs the value of a new customer and how "
        "customers respond to spend. Nothing is bought.",
        "POST",
        "/v1/allocate",
        PlanBody.model_json_schema(),
        {"details": "true"},
    ),
    RouteTool(
        "how_far_to_trust",
        "How far to trust the numbers",
        "What the model was learned from, how its forecasts fared on later orders, how often the "
        "intervals held, and what is assumed.",
        "GET",
        "/v1/model",
        NOTHING,
        shape=_trust,
    ),
)


def tool_server(client: httpx2.AsyncClient) -> Server[Any]:
    """A server of the tools; whoever calls one over HTTP is asked for by the key that they sent.

    Parameters
    ----------
    client
        Asks the API.
    """
    tools = {tool.name: tool for tool in TOOLS}

    async def listed(_: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[tool.declared() for tool in TOOLS])

    async def called(
        context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        if params.name not in tools:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name!r}")
        sent = getattr(context.request, "headers", {})  # none on standard input
        headers = {name: sent[name] for name in PASSED if name in sent}
        try:
            return await tools[params.name].call(client, params.arguments or {}, headers)
        except httpx2.HTTPError as error:
            return _failed(f"The API does not answer: {type(error).__name__}.")

    return Server(
        "clv",
        version=__version__,
        title="Customer value",
        instructions=INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=called,
    )


def api_here(app: FastAPI) -> httpx2.AsyncClient:
    """A client of the application in this process."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=PATIENCE)


def api_at(url: str, key: str | None) -> httpx2.AsyncClient:
    """A client of a server that runs, with a key if it takes one."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE)


async def run_stdio(
    client: httpx2.AsyncClient, beside: AbstractAsyncContextManager[Any] | None = None
) -> None:
    """Serve the tools on standard input and output until the input ends.

    Parameters
    ----------
    client
        Asks the API.
    beside
        What has to go on meanwhile, such as the application's look at its store.
    """
    server = tool_server(client)
    async with client, beside or nullcontext(), stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def mount_tools(app: FastAPI) -> None:
    """Serve the tools of an application at /mcp, behind its gate, without sessions."""
    server, before = tool_server(api_here(app)), app.router.lifespan_context
    by_gate = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # it looks at hosts
    server.streamable_http_app(json_response=True, stateless_http=True, transport_security=by_gate)
    route = Route(PATH, _Endpoint(server.session_manager), methods=["POST"])
    app.router.routes.insert(0, route)

    @asynccontextmanager
    async def both(of: FastAPI) -> Any:
        async with before(of) as state, server.session_manager.run():
            yield state

    app.router.lifespan_context = both


@dataclass(frozen=True)
class _Endpoint:
    """Answers one call; a stream that stays open, which GET would be, is none of it."""

    manager: StreamableHTTPSessionManager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["clv.route"] = PATH
        await self.manager.asgi_app(scope, receive, send)


def _query(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as a query: what is true or false is written small."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in arguments.items()
        if value is not None
    }


def _with_units(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer that says what its amounts, shares and columns count."""
    currency = answer.get("currency") or "the currency of the orders, which was not named"
    units: dict[str, Any] = {"amounts": currency, "shares": "from 0 to 1"}
    rows = [answer.get("customer"), *answer.get("customers", []), *answer.get("targets", [])]
    named: dict[str, Any] = next((row for row in rows if row), {})
    units["columns"] = {
        name: f"{currency if column.unit == 'money' else column.unit}: {column.description}"
        for name, column in SCORE_COLUMNS.items()
        if name in named
    }
    stated = {name: answer[name] for name in STATED}
    return {**stated, "units": units, **answer}


def _problem(answer: Mapping[str, Any]) -> str:
    """A problem of the API in sentences: what is wrong, field by field, and what to send."""
    wrong = (f"{one['field']}: {one['detail']} {one['send']}" for one in answer.get("errors", ()))
    return " ".join([str(answer.get("detail") or answer.get("title")), *wrong])


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
