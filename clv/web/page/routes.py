"""The page is put into an application: rooms, static files, the theme, and errors for people."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from clv.errors import ClvError
from clv.store import Stores
from clv.web.access.forms import own_path
from clv.web.page import glossary, static
from clv.web.page.budget import ROOM as BUDGET
from clv.web.page.channels import ROOM as CHANNELS
from clv.web.page.contracts import ROOM as CONTRACTS
from clv.web.page.customers import ROOM as CUSTOMERS
from clv.web.page.frame import THEME_COOKIE, THEMES, Frame, Room, error_page, is_page
from clv.web.page.jobs import ROOM as JOBS
from clv.web.page.offers import ROOM as OFFERS
from clv.web.page.overview import ROOM as OVERVIEW
from clv.web.page.retention import ROOM as RETENTION
from clv.web.page.trust import ROOM as TRUST
from clv.web.problems import ProblemError

YEAR = 365 * 24 * 3600  # seconds
ROOMS = (
    OVERVIEW,
    CUSTOMERS,
    RETENTION,
    OFFERS,
    CONTRACTS,
    CHANNELS,
    BUDGET,
    TRUST,
)  # in the order of the navigation
WITH_UPLOADS = (*ROOMS, JOBS)

router = APIRouter(include_in_schema=False)


def mount_page(
    app: FastAPI,
    stores: Stores,
    *,
    rooms: Sequence[Room] = ROOMS,
) -> None:
    """Add the page to an application; what it has under /v1 stays as it is.

    Parameters
    ----------
    app
        Where ``problems.install`` has run already, if it is to.
    stores
        What is shown: each request sees the store that is current when it begins.
    rooms
        In the order of the navigation.
    """
    app.state.frame = Frame(stores, tuple(rooms))
    for section in rooms:
        app.include_router(section.router, include_in_schema=False)
    app.include_router(router)
    app.include_router(glossary.router)
    app.include_router(static.router)
    _errors_for_people(app)


@router.get("/theme")
async def theme(to: str = "auto", back: str = "/") -> Response:
    """Keep a choice of light or dark in a cookie, and go back."""
    answer = RedirectResponse(own_path(back), 303)
    chosen = to if to in THEMES else "auto"
    if chosen == "auto":
        answer.delete_cookie(THEME_COOKIE, path="/", samesite="lax")
    else:
        answer.set_cookie(THEME_COOKIE, chosen, max_age=YEAR, path="/", samesite="lax")
    return answer


@router.get("/favicon.ico")
async def favicon() -> Response:
    """Where browsers look of their own accord."""
    return RedirectResponse(static.address("icon.svg"), 308)


def _errors_for_people(app: FastAPI) -> None:
    """Pages for errors outside /v1; those of the API go on as they were."""
    for kind in (HTTPException, RequestValidationError, ClvError, ProblemError):
        earlier = app.exception_handlers.get(kind)
        app.add_exception_handler(kind, _either(earlier))


def _either(earlier: Any) -> Callable[[Request, Exception], Any]:
    async def handle(request: Request, error: Exception) -> Response:
        if is_page(request) or earlier is None:
            return error_response(request, error)
        answer = earlier(request, error)
        response: Response = await answer if inspect.isawaitable(answer) else answer
        return response

    return handle


def error_response(request: Request, error: Exception) -> Response:
    """The page for an error."""
    if isinstance(error, HTTPException):
        detail = "" if error.status_code in (401, 403, 404, 405) else str(error.detail)
        return error_page(request, error.status_code, detail, headers=error.headers)
    if isinstance(error, ProblemError):
        return error_page(request, error.status, error.detail)
    if isinstance(error, ClvError):
        return error_page(request, 422, error.message, error.hint or "")
    assert isinstance(error, RequestValidationError)
    wrong = error.errors()[0]
    return error_page(request, 422, f"{wrong['loc'][-1]}: {wrong['msg']}.")
