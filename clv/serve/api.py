"""The API: scores and decisions over HTTP, under /v1, described in /v1/openapi.json.

Every answer carries the model version, the as-of date, the horizon and the currency. Every error is
a problem (RFC 9457) that says which field is wrong and what to send. The log names routes, never
customers. Handlers are coroutines, as most answers take about a millisecond; what works on tables
goes to a thread, so that it holds nobody up.
::

    clv serve --scores scores.parquet
    curl localhost:8000/v1/score --json '{"customers": [{"customer_id": "c-17",
        "orders": [{"date": "2011-09-14", "amount": 24.9}]}]}'
"""

from __future__ import annotations

import logging
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clv import __version__
from clv.decide.allocation import Allocation
from clv.decide.retention import retention_targets
from clv.errors import PlanError
from clv.scorer import CustomerScorer
from clv.serve import answers, problems
from clv.serve.bodies import PLAN_EXAMPLE, SCORE_EXAMPLE, PlanBody, ScoreRequest, TargetsQuery
from clv.serve.histories import score_histories
from clv.serve.lookup import ScoreBook
from clv.serve.screen import plain

MAX_BODY = 8 * 2**20  # bytes; 10,000 customers with ten orders each

log = logging.getLogger("clv.serve")
router = APIRouter(prefix="/v1", responses=problems.documented(400, 404, 413, 415, 422))


def create_app(
    scorer: CustomerScorer, scores: str | None = None, *, max_body: int = MAX_BODY
) -> FastAPI:
    """The application that serves one scorer.

    Parameters
    ----------
    scorer
        What new histories are scored by.
    scores
        A file that ``clv score`` wrote, for look-up, targets and retention budgets.
    max_body
        Bytes that a request may have.

    Raises
    ------
    InputError
        The file is no file of scores.
    """
    app = FastAPI(
        title="clv",
        version=__version__,
        description="What is each customer worth, whom to keep, and where to spend.",
        openapi_url=None,  # its pages load scripts from another host; see openapi() below
        redirect_slashes=False,
    )
    app.state.scorer = scorer
    app.state.card, app.state.stated = plain(scorer.card()), _stated(scorer)
    app.state.book = None if scores is None else ScoreBook.open(scores)
    _try(scorer)
    app.include_router(router)
    problems.install(app)
    app.add_middleware(Guard, max_body=max_body)
    return app


class Guard:
    """Limits the body, logs the route and the time taken, and answers what nobody caught."""

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app, self.max_body = app, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begin, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, self._limited(scope, receive), noting)
        except Exception as error:
            if status:
                raise  # the answer has begun: all that is left is to break off
            await problems.failed(error)(scope, receive, noting)
        route = getattr(scope.get("route"), "path", "(no route)")
        taken = 1000 * (time.perf_counter() - begin)
        log.info("%s %s %d %.1f ms", scope["method"], route, status, taken)
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
    book: ScoreBook | None = request.app.state.book
    scores = None if book is None else book.stated | {"customers": book.customers}
    return _answer(request, status="ready", scores=scores)


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
    findings = () if scored.report is None else scored.report.findings
    return _answer(
        request,
        as_of=body.as_of or scorer.as_of,
        scores=[answers.without_constants(row) for row in scored.scores],
        not_scored=scored.not_scored,
        cleaning=[f"{one.reason}: {one.action} ({one.rows:,})" for one in findings],
    )


@router.get("/customers/{customer_id}", response_model=answers.CustomerAnswer, tags=["customers"])
async def customer(request: Request, customer_id: str) -> Any:
    """Look a customer up in the scores that are served."""
    book = _book(request)
    found = book.find(customer_id)
    if found is None:
        raise problems.ProblemError(
            404, "unknown-customer", "The scores served here know no such customer."
        )
    return _answer(request, book, customer=answers.without_constants(found))


@router.get("/targets", response_model=answers.TargetsAnswer, tags=["decisions"])
async def targets(request: Request, query: Annotated[TargetsQuery, Query()]) -> Any:
    """Whom to keep: the best targets of a campaign, and its totals."""
    book = _book(request)
    campaign = await run_in_threadpool(
        retention_targets,
        book.campaign_table,
        query.offer(),
        query.budget,
        control_share=query.control_share,
        seed=query.seed,
    )
    rows = campaign.table.slice(0, query.limit).to_pylist()
    return _answer(
        request,
        book,
        summary=campaign.summary.to_dict(),
        targets=[answers.without_constants(row) for row in rows],
    )


@router.post("/allocate", response_model=answers.AllocationAnswer, tags=["decisions"])
async def allocate(
    request: Request,
    plan: Annotated[PlanBody, Body(openapi_examples={"three": {"value": PLAN_EXAMPLE}})],
) -> Any:
    """Where to spend one budget, on channels and on keeping the customers served here."""
    book = None
    if plan.retention is not None:
        book = _book(request)
        plan.retention.reaching(book.campaign_table)
    best = await run_in_threadpool(_solved, plan)
    stated = {"horizon": plan.horizon, "currency": plan.currency}
    known = {name: value for name, value in stated.items() if value is not None or book is None}
    return _answer(request, book, **known, allocation=best.to_dict())


def _solved(plan: PlanBody) -> Allocation:
    """The best allocation; a plan may hold numbers that no arithmetic is up to."""
    try:
        with np.errstate(all="raise", under="ignore"):
            return plan.allocate()
    except ArithmeticError as error:
        raise PlanError(
            "the numbers of this plan are too large or too small to be worked with.",
            hint="send amounts of money and numbers of customers.",
        ) from error


def _book(request: Request) -> ScoreBook:
    book: ScoreBook | None = request.app.state.book
    if book is None:
        raise problems.ProblemError(
            404, "no-scores", "This server looks no customers up: start it with a file of scores."
        )
    return book


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


def _answer(request: Request, book: ScoreBook | None = None, **content: Any) -> JSONResponse:
    """An answer with what every answer carries: of the scores looked up, or else of the model."""
    stated = request.app.state.stated if book is None else book.stated
    return JSONResponse(plain({**stated, **content}))
