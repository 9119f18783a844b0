"""Whether the server runs, what it answers with, what it measured, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from clv.score_columns import STATED
from clv.web import problems
from clv.web.answers import Answer
from clv.web.prometheus import MEDIA_TYPE
from clv.web.v1.reply import PlainJson, answer, borrowed, has_scores, routes, served_model

router = routes("server")


class Status(BaseModel):
    """The server runs; what it says of the model is null where it has none, as before the first."""

    model_config = ConfigDict(extra="forbid")

    model_version: str | None = Field(description="Version of the model behind it.")
    as_of: str | None = Field(description="Last day that it takes into account.")
    horizon: str | None = Field(description="How far ahead values count.", examples=["3 years"])
    currency: str | None = Field(description="Of every amount.", examples=["GBP"])
    status: str = Field(examples=["ok"])


class Ready(Status):
    """The server can answer; ``scores`` says what it looks up, if anything."""

    scores: dict[str, Any] | None


@router.get("/health", response_model=Status)
async def health(request: Request) -> Any:
    """Whether the server runs."""
    return answer(request, _stated(request), status="ok")


@router.get("/ready", response_model=Ready)
async def ready(request: Request) -> Any:
    """Whether it can answer, and what with: the model, and the scores that it looks up."""
    scores = None
    if has_scores(request):
        with borrowed(request) as store:
            served = {"customers": store.customers, "file": store.path.name}
            scores = store.stated | served
    return answer(request, _stated(request), status="ready", scores=scores)


def _stated(request: Request) -> Mapping[str, Any]:
    """What the model states of itself, or nothing of each."""
    model = request.app.state.model
    return dict.fromkeys(STATED) if model is None else model.stated


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Requests, latencies, customers scored and the model, as Prometheus reads them."""
    return Response(request.app.state.metrics.text(), media_type=MEDIA_TYPE)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Any:
    """The description of this API."""
    return PlainJson(problems.described(request.app.openapi()))


class ModelAnswer(Answer):
    """The model card."""

    card: dict[str, Any]


@router.get("/model", response_model=ModelAnswer)
async def model(request: Request) -> Any:
    """The model card: what was learned, from what, on which terms, how far to trust it."""
    return answer(request, card=served_model(request).card)
