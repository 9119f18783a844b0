"""What all routes share: where they are, the store served, what answers carry, the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, get_origin

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic_core import to_json

from clv.score_columns import STATED
from clv.store import Store, Stores
from clv.web import problems
from clv.web.access.who import Access, visitor
from clv.web.bodies import JsonRoute


def routes(tag: str) -> APIRouter:
    """The routes of one resource; each may be refused in any of these ways."""
    refused = problems.documented(400, 401, 403, 404, 413, 414, 415, 421, 422, 429, 431)
    checks = [Depends(check_query)]
    return APIRouter(
        prefix="/v1", tags=[tag], responses=refused, dependencies=checks, route_class=JsonRoute
    )


class PlainJson(JSONResponse):
    """JSON without NaN and infinity, which it lacks: they are null."""

    def render(self, content: Any) -> bytes:
        """The content as bytes."""
        return to_json(content, inf_nan_mode="null", fallback=str)


def served_model(request: Request) -> Any:
    """The model that the server was started with; a server of subscribers may have none."""
    if request.app.state.model is None:
        raise problems.ProblemError(
            404, "no-model", "This server scores no orders: it was started without a model."
        )
    return request.app.state.model


def answer(request: Request, stated: Mapping[str, Any] | None = None, **content: Any) -> PlainJson:
    """An answer with what every answer carries: of the scores looked up, or else of the model."""
    constants = served_model(request).stated if stated is None else stated
    carried = {name: constants[name] for name in STATED}
    return PlainJson({**carried, **content})


def has_scores(request: Request) -> bool:
    """Whether there is a store to look customers up in."""
    stores: Stores | None = request.app.state.stores
    return stores is not None and not stores.empty


def borrowed(request: Request) -> AbstractContextManager[Store]:
    """The store that is served, for as long as it is needed."""
    stores: Stores | None = request.app.state.stores
    if stores is None:
        raise problems.ProblemError(
            404, "no-scores", "This server looks no customers up: start it with scores or a store."
        )
    if stores.empty:
        raise problems.ProblemError(404, "no-scores", "Nothing was published yet.")
    return stores.borrow()


def not_published(what: str, option: str, made_by: str) -> problems.ProblemError:
    """The problem of a part that the scores were published without, and how to publish it."""
    name, file = option.split()
    return problems.ProblemError(
        404,
        f"no-{name[2:]}",
        f"No {what} were published. Publish with them: clv publish scores.parquet {option}, which "
        f"{made_by.format(file)} writes.",
    )


def note_plan(request: Request, rows: int | None, filters: Mapping[str, Any]) -> None:
    """Write down who planned what; no customer is in it."""
    access: Access = request.scope["clv.access"]
    route = request.scope["route"].path_format
    access.audit.write("plan", visitor(request).name, route=route, rows=rows, filters=filters)


# What no model of a query checks: parameters that a route does not take, or that come twice.


async def check_query(request: Request) -> None:
    """A problem with the first parameter that would be ignored in silence."""
    lists = _parameters(request.scope["route"])
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in lists:
            raise _problem(name, "This route does not take it.", "Leave it out.")
        if times > 1 and not lists[name]:
            raise _problem(name, f"It is given {times} times.", "Give it once.")


def _parameters(route: Any) -> dict[str, bool]:
    """By name, whether a parameter may be given several times."""
    repeatable: dict[str, bool] = {}
    for taken in route.dependant.query_params:
        fields = getattr(
            taken.field_info.annotation, "model_fields", {taken.alias: taken.field_info}
        )
        repeatable |= {name: get_origin(field.annotation) is list for name, field in fields.items()}
    return repeatable


def _problem(name: str, detail: str, send: str) -> problems.ProblemError:
    field = ascii(name[:40])[1:-1] or "(empty)"
    wrong = {"field": field, "detail": detail, "send": send}
    return problems.ProblemError(422, "invalid-field", f"1 wrong: {field}.", [wrong])
