"""``/docs``: the API's own description as one page, without a script and without another host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape

from clv.web import problems

PAGES = Environment(
    loader=PackageLoader("clv.web", "templates"),
    autoescape=select_autoescape(default=True),
    trim_blocks=True,
    lstrip_blocks=True,
)
router = APIRouter(include_in_schema=False)
Schema = Mapping[str, Any]


@router.get("/docs")
async def reference(request: Request) -> HTMLResponse:
    """Every route: what it takes, what it answers, and how to ask it."""
    described = problems.described(request.app.openapi())
    page = PAGES.get_template("api_reference.html")
    routes = [*routes_of(described, str(request.base_url).rstrip("/"))]
    return HTMLResponse(page.render(info=described["info"], routes=routes))


def routes_of(described: Schema, address: str) -> Iterator[dict[str, Any]]:
    """The routes in the order of the document, as the page of a server's address shows them."""
    schemas = described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            sent = _json(operation.get("requestBody", {}))
            answer = _json(operation["responses"]["200"])
            yield {
                "method": method.upper(),
                "path": path,
                "name": operation["operationId"],
                "says": operation.get("description") or operation.get("summary", ""),
                "parameters": [*_parameters(operation)],
                "body": [*_fields(sent.get("schema", {}), schemas)],
                "answer": [*_fields(answer.get("schema", {}), schemas)],
                "example": _example(method, f"{address}{path}", sent),
            }


def _json(part: Schema) -> Schema:
    content: Schema = part.get("content", {}).get("application/json", {})
    return content


def _parameters(operation: Schema) -> Iterator[dict[str, Any]]:
    for each in operation.get("parameters", ()):
        yield _row(each["name"], each["schema"], each.get("required"), each.get("description"))


def _fields(schema: Schema, schemas: Schema) -> Iterator[dict[str, Any]]:
    of_name = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    required = of_name.get("required", ())
    for name, field in of_name.get("properties", {}).items():
        yield _row(name, field, name in required, field.get("description"))


def _row(name: str, schema: Schema, required: object, says: str | None) -> dict[str, Any]:
    default = schema.get("default")
    return {
        "name": name,
        "kind": kind_of(schema),
        "required": bool(required),
        "default": "" if default is None or default == [] else json.dumps(default),
        "says": says or "",
    }


def kind_of(schema: Schema) -> str:
    """The type that a schema describes, in a few words.

    >>> kind_of({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]})
    'list of number, or null'
    >>> kind_of({"$ref": "#/components/schemas/Order"}), kind_of({"enum": ["asc", "desc"]})
    ('Order', 'asc | desc')
    """
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return ", or ".join(dict.fromkeys(kind_of(each) for each in schema[choice]))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _example(method: str, url: str, sent: Schema) -> str:
    """A request as ``curl`` sends it."""
    bodies = [each["value"] for each in sent.get("examples", {}).values()]
    quoted = json.dumps(bodies[0]).replace("'", "'\\''") if bodies else ""
    body = f" --json '{quoted}'" if bodies else ""
    return f"curl{'' if body or method == 'get' else ' -X POST'} '{url}'{body}"
