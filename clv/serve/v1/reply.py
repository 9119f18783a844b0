"""What all routes share: where they are, the store served, what answers carry, the audit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from clv.serve import problems
from clv.serve.access.who import Access, visitor
from clv.serve.screen import plain
from clv.serve.store import Store, Stores
from clv.serve.store.intake import STATED
from clv.serve.v1.query import check_query


def routes(tag: str) -> APIRouter:
    """The routes of one resource; each may be refused in any of these ways."""
    refused = problems.documented(400, 401, 403, 404, 413, 414, 415, 421, 422, 429, 431)
    checks = [Depends(check_query)]
    return APIRouter(prefix="/v1", tags=[tag], responses=refused, dependencies=checks)


def answer(
    request: Request, stated: Mapping[str, Any] | None = None, **content: Any
) -> JSONResponse:
    """An answer with what every answer carries: of the scores looked up, or else of the model."""
    known = request.app.state.stated if stated is None else stated
    carried = {name: known[name] for name in STATED}
    return JSONResponse(plain({**carried, **content}))


def borrowed(request: Request) -> AbstractContextManager[Store]:
    """The store that is served, for as long as it is needed."""
    stores: Stores | None = request.app.state.stores
    if stores is None:
        raise problems.ProblemError(
            404, "no-scores", "This server looks no customers up: start it with scores or a store."
        )
    return stores.borrow()


def note_plan(request: Request, rows: int | None, filters: Mapping[str, Any]) -> None:
    """Write down who planned what; no customer is in it."""
    access: Access = request.scope["clv.access"]
    route = request.scope["route"].path
    access.audit.write("plan", visitor(request).name, route, rows=rows, filters=filters)
