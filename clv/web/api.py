"""The API: scores and decisions over HTTP, under /v1; ``application.py`` puts the page beside it.

The routes are in ``clv.web.v1``, and described in /v1/openapi.json. Every answer carries the
model version, the as-of date, the horizon and the currency. Every error is a problem (RFC 9457)
that says which field is wrong and what to send. The log names routes, never customers. Handlers
are coroutines, as most answers take about a millisecond; what works on tables goes to a thread, so
that it holds nobody up. Requests pass the guard, which counts and logs, then the gate, which knows
who may see what. ::

    clv serve --scores scores.parquet
    curl localhost:8000/v1/score --json '{"customers": [{"customer_id": "c-17",
        "orders": [{"date": "2011-09-14", "amount": 24.9}]}]}'
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clv import __version__
from clv.format import count
from clv.io.changes import workspace
from clv.io.json import plain
from clv.scorer import CustomerScorer
from clv.store import Store, Stores, publish
from clv.web import api_reference, problems, v1
from clv.web.access import login
from clv.web.access.gate import Gate
from clv.web.access.headers import secured
from clv.web.access.who import Access
from clv.web.bodies import LARGE, MOST_IN_FLIGHT, MOST_UPLOAD, UPLOADS
from clv.web.prometheus import Metrics
from clv.web.scoring import MicroBatches

BUSY = "The server holds as many bytes of other requests as it can."
THREADS = 8  # that work at the same time: each takes its turn before the event loop has the next
MAX_BODY = 8 * 2**20  # bytes; 10,000 customers with ten orders each

log = logging.getLogger("clv.web")


def create_api(
    scorer: CustomerScorer | None,
    scores: str | os.PathLike[str] | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    max_body: int = MAX_BODY,
    access: Access | None = None,
    warm: Callable[[Store], object] | None = None,
    may_be_empty: bool = False,
) -> FastAPI:
    """The API that serves one scorer.

    Parameters
    ----------
    scorer
        What new histories are scored by.
    scores
        A file that ``clv score`` wrote, for look-up, targets and retention budgets; it is published
        to a folder that lives as long as the application.
    store
        In its place the folder that ``clv publish`` writes to: what is published later is served
        from then on.
    max_body
        Bytes that a request may have.
    access
        Who may see what; by default everybody everything, for loopback alone.
    warm
        What to do with a store before it is served, so that its first visitor need not wait.
    may_be_empty
        Whether the folder need not hold a store yet.

    Raises
    ------
    InputError
        The file is no file of scores, or the folder holds no store.
    """
    app = FastAPI(
        lifespan=_watching,
        title="clv",
        version=__version__,
        description="What is each customer worth, whom to keep, and where to spend.",
        generate_unique_id_function=lambda route: route.name,  # what generated clients call
        openapi_url=None,  # its pages load scripts from another host; see api_reference.py
        redirect_slashes=False,
    )
    app.state.metrics = Metrics()
    serve_model(app, scorer)
    if scores is not None:
        stack = ExitStack()
        weakref.finalize(app, stack.close)
        store = stack.enter_context(workspace()) / "store"  # the workspace itself is locked
        publish(scores, store)
    app.state.stores = (
        None
        if store is None
        else Stores(store, check_every=None, warm=warm, may_be_empty=may_be_empty)
    )
    for resource in v1.ROUTES:
        app.include_router(resource.router)
    app.include_router(api_reference.router)
    if access is not None and access.keys is not None:
        app.include_router(login.router)
    problems.install(app)
    app.add_middleware(Gate, access=access or Access())
    app.add_middleware(Guard, max_body=max_body, metrics=app.state.metrics)
    return app


@dataclass(frozen=True)
class ServedModel:
    """What scores, its card, and what every answer says of it."""

    batches: MicroBatches
    card: dict[str, Any]
    stated: dict[str, Any]


def serve_model(app: FastAPI, scorer: CustomerScorer | None) -> None:
    """Score by this model from now on; requests that have begun end with the one before."""
    if scorer is None:  # scores of subscribers are looked up, and no orders scored
        app.state.model = None
        return
    card = plain(scorer.card())
    app.state.model = ServedModel(MicroBatches(scorer), card, _stated(scorer))  # all at once
    app.state.metrics.serves({"version": scorer.version, "as_of": scorer.as_of})
    log.info("the model is now %s", scorer.version)


@asynccontextmanager
async def _watching(app: FastAPI) -> AsyncIterator[None]:
    """While the server runs, it looks every second whether another store was published."""
    stores: Stores | None = app.state.stores
    current_default_thread_limiter().total_tokens = THREADS

    async def look() -> None:
        while stores is not None:
            await asyncio.sleep(1)
            await asyncio.to_thread(stores.refresh)

    looking = asyncio.create_task(look())
    yield
    looking.cancel()
    if stores is not None:
        stores.close()


@dataclass
class _Taken:
    """What came of a body."""

    bytes: int = 0
    held: int = 0  # in memory


class Guard:
    """Limits the body, counts and logs by route, guards every answer, and answers faults."""

    def __init__(self, app: ASGIApp, max_body: int, metrics: Metrics) -> None:
        self.app, self.max_body, self.metrics = app, max_body, metrics
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begin, status, body = time.perf_counter(), 0, _Taken()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = scope["clv.status"] = message["status"]
                message["headers"] = secured(message["headers"], scope)
            await send(message)

        try:
            await self.app(scope, self._limited(receive, body, scope), noting)
        except Exception as error:
            if status:
                raise  # the answer has begun: all that is left is to break off
            await problems.answer_to(error)(scope, receive, noting)
        finally:
            self.in_flight -= body.held
        route = (
            scope.get("clv.route")
            or getattr(scope.get("route"), "path_format", None)
            or "(no route)"
        )
        taken = time.perf_counter() - begin
        self.metrics.request(scope["method"], route, status, taken, scope.get("clv.scored", 0))
        log.info("%s %s %d %.1f ms", scope["method"], route, status, 1000 * taken)
        return None

    def _limited(self, receive: Receive, taken: _Taken, scope: Scope) -> Receive:
        """``receive`` that counts: a length that a client states need not be true."""
        streamed = scope["path"].startswith(UPLOADS)  # to a file, so not held in memory
        most = MOST_UPLOAD if streamed else self.max_body

        async def counting() -> Message:
            message = await receive()
            size = len(message.get("body", b""))
            taken.bytes += size
            if taken.bytes > most:
                raise HTTPException(413, f"A body may have {count(most)} bytes.")
            if streamed:
                return message
            self.in_flight += size
            taken.held += size
            if self.in_flight > MOST_IN_FLIGHT and taken.bytes > LARGE:  # small ones get through
                raise HTTPException(429, BUSY, {"Retry-After": "1"})
            return message

        return counting


def _stated(scorer: CustomerScorer) -> dict[str, Any]:
    """What every answer carries."""
    return {
        "model_version": scorer.version,
        "as_of": scorer.as_of,
        "horizon": str(scorer.terms.horizon),
        "currency": scorer.terms.currency,
    }
