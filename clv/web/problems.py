"""Errors of the API as ``application/problem+json`` (RFC 9457): which field, and what to send."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from clv.errors import ClvError, PlanError

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20

TITLES = {
    400: "The request cannot be read",
    401: "The request has no valid key",
    403: "The request is not allowed",
    404: "There is no such thing here",
    405: "The method is not allowed here",
    413: "The request is too large",
    414: "The address is too long",
    415: "The request is of another type",
    421: "The request is for another host",
    422: "The request cannot be carried out",
    429: "There are too many requests",
    431: "The headers are too large",
    500: "The server failed",
}
SEND = {
    400: "Send JSON in UTF-8, with numbers of ordinary length and without deep nesting.",
    404: "Paths begin with /v1; /docs and /v1/openapi.json list them.",
    405: "/v1/openapi.json says which methods a path takes.",
    413: "Send less at a time, in several requests.",
    415: "Send JSON with the header Content-Type: application/json.",
}

SEND_OTHER = "See /v1/openapi.json."

log = logging.getLogger("clv.web")


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str = Field(examples=["customers[0].orders[1].amount"])
    detail: str = Field(description="What is wrong.", examples=["Input should be a valid number"])
    send: str = Field(description="What to send instead.")


class Problem(BaseModel):
    """A problem, as RFC 9457 describes one."""

    type: str = Field(examples=["urn:clv:problem:invalid-field"])
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class ProblemError(Exception):
    """A request that cannot be answered, with what to tell the client."""

    def __init__(
        self, status: int, kind: str, detail: str, errors: Sequence[Mapping[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors


@contextmanager
def of_field(field: str) -> Iterator[None]:
    """What is refused within, as a problem of the field that it is about."""
    try:
        yield
    except ClvError as error:
        wrong = {"field": field, "detail": error.message, "send": error.hint or SEND_OTHER}
        raise ProblemError(422, "invalid-field", f"1 wrong: {field}.", [wrong]) from error


def respond(
    status: int, kind: str, detail: str, errors: Sequence[Mapping[str, str]] = ()
) -> Response:
    """A problem as a response."""
    content = {
        "type": f"urn:clv:problem:{kind}",
        "title": TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
        "errors": list(errors),
    }
    # ASCII, as a client may have sent text that is no Unicode
    return Response(json.dumps(content), status, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI shows the problems of a route."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def described(openapi: Mapping[str, Any]) -> dict[str, Any]:
    """``openapi`` with the schema that ``documented`` refers to, and how to send a key."""
    parts = dict(openapi["components"])
    problem_schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = {**parts["schemas"], **problem_schema.pop("$defs"), "Problem": problem_schema}
    return {
        **openapi,
        "components": {**parts, "schemas": schemas, "securitySchemes": KEYS},
        "security": [{name: []} for name in KEYS] + [{}],  # none is asked for on loopback
    }


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClvError, _refused)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http)


def answer_to(error: Exception) -> Response:
    """The answer to an error that no handler met: before the application, or a fault."""
    if isinstance(error, ProblemError):
        return respond(error.status, error.kind, error.detail, error.errors)
    if isinstance(error, HTTPException):
        return _of_status(error)
    return failed(error)


def failed(error: Exception) -> Response:
    """The answer to a fault of the server; the log gets its place, not its data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))
    log.error("%s in %s", type(error).__name__, place)
    return respond(500, "fault", "This is a fault of the server; its log says where.")


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return respond(error.status, error.kind, error.detail, error.errors)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ClvError)
    kind = "infeasible-plan" if isinstance(error, PlanError) else "unusable-input"
    send = error.hint or SEND_OTHER
    wrong = [{"field": "request", "detail": error.message, "send": send}]
    return respond(422, kind, error.message, wrong)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _of_status(error)
    path = getattr(request.scope.get("route"), "path_format", None)
    if error.status_code == 405 and (taken := request.app.openapi()["paths"].get(path)):
        # the framework names the methods of one route of this path, not of all
        response.headers["Allow"] = ", ".join(sorted(method.upper() for method in taken))
    return response


def _of_status(error: HTTPException) -> Response:
    status, detail = error.status_code, str(error.detail)
    about_body = status in (400, 413)
    send = SEND.get(status, detail)
    wrong = [{"field": "body", "detail": detail, "send": send}] if about_body else []
    response = respond(status, f"http-{status}", detail if about_body else send, wrong)
    response.headers.update(error.headers or {})  # such as Allow
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(error_["type"] == "json_invalid" for error_ in errors):
        place, why = errors[0]["loc"][-1], errors[0]["ctx"]["error"]
        return _no_json(400, f"The body is no JSON: {why} at character {place}.")
    if errors[0]["loc"] == ("body",) and isinstance(errors[0].get("input"), bytes):
        return _no_json(415, "The body is not sent as JSON.")
    descriptions = _descriptions(request.scope["route"])
    wrong = [_field_error(error_, descriptions) for error_ in errors[:MOST_ERRORS]]
    more = f", and {len(errors) - MOST_ERRORS} more" if len(errors) > MOST_ERRORS else ""
    names = ", ".join(error_["field"] for error_ in wrong[:3])
    return respond(422, "invalid-field", f"{len(errors)} wrong: {names}{more}.", wrong)


def _no_json(status: int, detail: str) -> Response:
    wrong = {"field": "body", "detail": detail, "send": SEND[status]}
    return respond(status, "no-json", detail, [wrong])


def _field_error(error: Mapping[str, Any], descriptions: Mapping[str, str]) -> dict[str, str]:
    place, *path = error["loc"]
    message, _, hint = str(error["msg"]).removeprefix("Value error, ").partition("\nHint: ")
    send = hint or _send(error["type"], path, message, descriptions)
    return {"field": _spelt(path) or str(place), "detail": message, "send": send}


def _spelt(path: Sequence[int | str]) -> str:
    """``customers[0].orders[1].amount``.

    >>> _spelt(["customers", 0, "amount"])
    'customers[0].amount'
    """
    words = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return words.removeprefix(".")


def _send(
    kind: str, path: Sequence[int | str], message: str, descriptions: Mapping[str, str]
) -> str:
    """What to send: as the message says, and the field's own description."""
    if kind == "extra_forbidden":
        return "Leave it out."
    names = [key for key in path if isinstance(key, str)]
    description = descriptions.get(names[-1]) if names else None
    instruction = message.replace("Input should be", "Send").replace("Input should", "It should")
    return (
        instruction
        if description is None
        else f"{instruction}. {description}"
        if instruction != message
        else description
    )


def _descriptions(route: Any) -> dict[str, str]:
    """By name, what the fields are that a route takes, with an example."""
    descriptions: dict[str, str] = {}
    for taken in (*route.dependant.query_params, *route.dependant.body_params):
        _describe(taken.field_info.annotation, descriptions)
    return descriptions


def _describe(kind: Any, descriptions: dict[str, str]) -> None:
    """Add the fields of a model, and of the models in them."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        for part in get_args(kind):
            _describe(part, descriptions)
        return
    for name, field in kind.model_fields.items():
        example = f" For example {json.dumps(field.examples[0])}." if field.examples else ""
        if field.description:
            descriptions.setdefault(name, field.description + example)
        _describe(field.annotation, descriptions)
