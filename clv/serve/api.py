"""The API: scores and decisions over HTTP, under /v1, described in /v1/openapi.json.

Every answer carries the model version, the as-of date, the horizon and the currency. Every error is
a problem (RFC 9457) that says which field is wrong and what to send. The log names routes, never
customers. Handlers are coroutines, as most answers take about a millisecond; what works on tables
goes to a thread, so that it holds nobody up. Requests pass the guard, which counts and logs, then
the gate, which knows who may see what, then the lane, which answers small scoring requests itself.
::

    clv serve --scores scores.parquet
    curl localhost:8000/v1/score --json '{"customers": [{"customer_id": "c-17",
        "orders": [{"date": "2011-09-14", "amount": 24.9}]}]}'
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from tempfile import mkdtemp
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clv import __version__
from clv.decide.allocation import Allocation
from clv.decide.retention import retention_targets
from clv.errors import PlanError
from clv.scorer import CustomerScorer
from clv.serve import answers, lane, problems
from clv.serve.access import login
from clv.serve.access.gate import Gate
from clv.serve.access.headers import secured
from clv.serve.access.who import Access, visitor
from clv.serve.bodies import PLAN_EXAMPLE, SCORE_EXAMPLE, PlanBody, ScoreRequest, TargetsQuery
from clv.serve.gather import Gathering
from clv.serve.histories import score_histories
from clv.serve.metrics import MEDIA_TYPE, Metrics
from clv.serve.page import mount_page
from clv.serve.plans import work_out
from clv.serve.screen import plain
from clv.serve.store import Store, Stores, publish
from clv.serve.store.intake import STATED

MAX_BODY = 8 * 2**20  # bytes; 10,000 customers with ten orders each

log = logging.getLogger("clv.serve")
router = APIRouter(
    prefix="/v1", responses=problems.documented(400, 401, 403, 404, 413, 415, 422, 429)
)


def create_app(
    scorer: CustomerScorer,
    scores: str | os.PathLike[str] | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    max_body: int = MAX_BODY,
    access: Access | None = None,
) -> FastAPI:
    """The application that serves one scorer.

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
        openapi_url=None,  # its pages load scripts from another host; see openapi() below
        redirect_slashes=False,
    )
    app.state.scorer = scorer
    app.state.card, app.state.stated = plain(scorer.card()), _stated(scorer)
    if scores is not None:
        store = mkdtemp(prefix="clv-")
        weakref.finalize(app, shutil.rmtree, store, ignore_errors=True)
        publish(scores, store)
    app.state.stores = None if store is None else Stores(store, check_every=None)
    app.state.metrics = Metrics({"version": scorer.version, "as_of": scorer.as_of})
    _try(scorer)
    app.include_router(router)
    if access is not None and access.keys is not None:
        app.include_router(login.router)
    problems.install(app)
    if app.state.stores is not None:
        mount_page(app, app.state.stores)
    app.add_middleware(
        lane.Lane, scorer=scorer, stated=app.state.stated, gathering=Gathering(scorer)
    )
    app.add_middleware(Gate, access=access or Access())
    app.add_middleware(Guard, max_body=max_body, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _watching(app: FastAPI) -> AsyncIterator[None]:
    """While the server runs, it looks every second whether another store was published."""
    stores: Stores | None = app.state.stores

    async def look() -> None:
        while stores is not None:
            await asyncio.sleep(1)
            await asyncio.to_thread(stores.refresh)

    looking = asyncio.create_task(look())
    yield
    looking.cancel()
    if stores is not None:
        stores.close()


class Guard:
    """Limits the body, counts and logs by route, guards every answer, and answers faults."""

    def __init__(self, app: ASGIApp, max_body: int, metrics: Metrics) -> None:
        self.app, self.max_body, self.metrics = app, max_body, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begin, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = secured(message["headers"], scope)
            await send(message)

        try:
            await self.app(scope, self._limited(scope, receive), noting)
        except Exception as error:
            if status:
                raise  # the answer has begun: all that is left is to break off
            await problems.answer_to(error)(scope, receive, noting)
        route = scope.get("clv.route") or getattr(scope.get("route"), "path", None) or "(no route)"
        taken = time.perf_counter() - begin
        self.metrics.request(scope["method"], route, status, taken)
        self.metrics.scored += scope.get("clv.scored", 0)
        log.info("%s %s %d %.1f ms", scope["method"], route, status, 1000 * taken)
        return None

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """``receive`` that counts: a length that a client states need not be true."""
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_body:
                raise HTTPException(413, f"A body may have {self.max_body:,} bytes.")
            return message

        return counting


@router.get("/health", response_model=answers.Status, tags=["server"])
async def health(request: Request) -> Any:
    """Whether the server runs."""
    return _answer(request, status="ok")


@router.get("/ready", response_model=answers.Ready, tags=["server"])
async def ready(request: Request) -> Any:
    """Whether it can answer, and what with: the model, and the scores that it looks up."""
    scores = None
    if request.app.state.stores is not None:
        with _borrowed(request) as store:
            served = {"customers": store.customers, "file": store.path.name}
            scores = store.stated | served
    return _answer(request, status="ready", scores=scores)


@router.get("/metrics", tags=["server"], response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Requests, latencies, customers scored and the model, as Prometheus reads them."""
    return Response(request.app.state.metrics.text(), media_type=MEDIA_TYPE)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Any:
    """The description of this API."""
    described = problems.described(request.app.openapi())
    return JSONResponse(plain(described))  # where no bound is infinity, which JSON lacks


@router.get("/model", response_model=answers.ModelAnswer, tags=["model"])
async def model(request: Request) -> Any:
    """The model card: what was learned, from what, on which terms, how far to trust it."""
    return _answer(request, card=request.app.state.card)


@router.post("/score", response_model=answers.ScoreAnswer, tags=["customers"])
async def score(
    request: Request,
    body: Annotated[ScoreRequest, Body(openapi_examples={"one": {"value": SCORE_EXAMPLE}})],
) -> Any:
    """Score customers from their order histories, cleaned and summarised as a batch is."""
    scorer: CustomerScorer = request.app.state.scorer
    scored = await run_in_threadpool(score_histories, body.customers, scorer, body.as_of)
    request.scope["clv.scored"] = len(scored.scores)
    return _answer(
        request,
        as_of=body.as_of or scorer.as_of,
        **lane.content(scored),
    )


@router.get("/customers/{customer_id}", response_model=answers.CustomerAnswer, tags=["customers"])
async def customer(request: Request, customer_id: str) -> Any:
    """Look a customer up in the scores that are served."""
    with _borrowed(request) as store:
        found, stated = store.customer(customer_id), {**store.terms, **store.stated}
    if found is None:
        raise problems.ProblemError(
            404, "unknown-customer", "The scores served here know no such customer."
        )
    row = answers.without_constants({**stated, **found})
    return _answer(request, stated, customer=row)


@router.get("/targets", response_model=answers.TargetsAnswer, tags=["decisions"])
async def targets(request: Request, query: Annotated[TargetsQuery, Query()]) -> Any:
    """Whom to keep: the best targets of a campaign, and its totals."""
    stated, campaign = await run_in_threadpool(_campaign, request, query)
    rows = campaign.table.slice(0, query.limit).to_pylist()
    _audit(request, len(rows), query.model_dump(mode="json", exclude={"save_rate"}))
    return _answer(
        request,
        stated,
        summary=campaign.summary.to_dict(),
        targets=[answers.without_constants(row) for row in rows],
    )


def _campaign(request: Request, query: TargetsQuery) -> tuple[dict[str, Any], Any]:
    """What is stated of the scores, and the campaign on them."""
    with _borrowed(request) as store:
        table, stated = store.campaign_table(), store.stated
    share, seed = query.control_share, query.seed
    return stated, retention_targets(
        table, query.offer(), query.budget, control_share=share, seed=seed
    )


@router.post("/allocate", response_model=answers.AllocationAnswer, tags=["decisions"])
async def allocate(
    request: Request,
    plan: Annotated[PlanBody, Body(openapi_examples={"three": {"value": PLAN_EXAMPLE}})],
    details: Annotated[bool, Query(description="Also what constraints cost, and more.")] = False,
) -> Any:
    """Where to spend one budget, on channels and on keeping the customers served here.

    With details: what each constraint costs, what other budgets would buy, and per channel CAC,
    LTV:CAC and payback; it takes about five times as long.
    """
    of_scores = None
    if plan.retention is not None:
        with _borrowed(request) as store:
            of_scores = store.stated
            plan.retention.reaching(await run_in_threadpool(store.campaign_table))
    best, more = await run_in_threadpool(_solved, plan, details)
    _audit(request, None, {"budget": plan.budget, "horizon": plan.horizon})
    own = {"horizon": plan.horizon, "currency": plan.currency}
    known = {name: value for name, value in own.items() if value is not None or of_scores is None}
    return _answer(request, of_scores, **known, allocation=best.to_dict(), details=more)


def _solved(plan: PlanBody, details: bool) -> tuple[Allocation, dict[str, Any] | None]:
    """The best allocation; a plan may hold numbers that no arithmetic is up to."""
    try:
        with np.errstate(all="raise", under="ignore"):
            if not details:
                return plan.allocate(), None
            planned = work_out(
                plan.to_channels(),
                plan.budget,
                plan.retention_curve(),
                plan.current(),
                target=plan.to_target(),
                periods=plan.periods,
                currency=plan.currency or "",
            )
            return planned.allocation, planned.to_dict()
    except ArithmeticError as error:
        raise PlanError(
            "the numbers of this plan are too large or too small to be worked with.",
            hint="send amounts of money and numbers of customers.",
        ) from error


def _audit(request: Request, rows: int | None, filters: dict[str, Any]) -> None:
    """Write down who planned what."""
    access: Access = request.scope["clv.access"]
    route = request.scope["route"].path
    access.audit.write("plan", visitor(request).name, route, rows=rows, filters=filters)


def _borrowed(request: Request) -> AbstractContextManager[Store]:
    """The store that is served, for as long as it is needed."""
    stores: Stores | None = request.app.state.stores
    if stores is None:
        raise problems.ProblemError(
            404, "no-scores", "This server looks no customers up: start it with scores or a store."
        )
    return stores.borrow()


def _try(scorer: CustomerScorer) -> None:
    """Score an example, so that a fault shows now, and the first client need not wait."""
    example = ScoreRequest.model_validate(SCORE_EXAMPLE)
    score_histories(example.customers, scorer, example.as_of)


def _stated(scorer: CustomerScorer) -> dict[str, Any]:
    """What every answer carries."""
    return {
        "model_version": scorer.version,
        "as_of": scorer.as_of,
        "horizon": str(scorer.terms.horizon),
        "currency": scorer.terms.currency,
    }


def _answer(
    request: Request, stated: Mapping[str, Any] | None = None, **content: Any
) -> JSONResponse:
    """An answer with what every answer carries: of the scores looked up, or else of the model."""
    known = request.app.state.stated if stated is None else stated
    carried = {name: known[name] for name in STATED}
    return JSONResponse(plain({**carried, **content}))
