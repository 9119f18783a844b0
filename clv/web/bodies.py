"""Bodies of requests: large ones are read on a thread, so that they hold nobody up.

Reading 4 MB of JSON into records takes a second of the processor. On the event loop nobody else
would be answered meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError, WrapValidator
from starlette.concurrency import run_in_threadpool

LARGE = 64 * 2**10  # bytes, which are read in some milliseconds
UPLOADS = "/jobs"  # what these paths take is streamed to a file
MOST_UPLOAD = 2 * 2**30  # bytes of a file
MOST_IN_FLIGHT = 32 * 2**20  # bytes of all bodies that came, or half came, and are not answered
T = TypeVar("T")


class _LargeObject(dict[str, Any]):
    """An object of JSON that was large as text."""


@dataclass(frozen=True)
class _Unread:
    """A large body that is JSON, and what makes records of it."""

    value: dict[str, Any]
    read: Callable[[Any], Any]


def _later(value: Any, read: Callable[[Any], Any]) -> Any:
    return _Unread(dict(value), read) if isinstance(value, _LargeObject) else read(value)


LATER = WrapValidator(_later)  # of a body that ``whole`` reads


async def whole(body: T) -> T:
    """The body of a request, which is read now if it is large; raises as FastAPI does."""
    if not isinstance(body, _Unread):
        return body
    try:
        return cast("T", await run_in_threadpool(body.read, body.value))
    except ValidationError as error:
        wrong = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(wrong) from error


class _JsonRequest(Request):
    async def json(self) -> Any:
        """The body; of a large one, a large object."""
        content = await self.body()
        if len(content) <= LARGE:
            return await super().json()
        if not hasattr(self, "_json"):
            body = await run_in_threadpool(json.loads, content, object_hook=_as_it_is)
            self._json = _LargeObject(body) if isinstance(body, dict) else body
        return self._json


def _as_it_is(found: dict[str, Any]) -> dict[str, Any]:
    """Nothing, in Python: reading in C alone would let no other thread have a turn."""
    return found


class JsonRoute(APIRoute):
    """A route whose large bodies are read on a thread."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answered = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await answered(_JsonRequest(request.scope, request.receive))

        return handle
