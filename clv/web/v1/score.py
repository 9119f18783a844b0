"""Customers scored from their orders."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Request
from pydantic import Field

from clv.app.requests import SCORE_EXAMPLE, ScoreRequest
from clv.web.answers import Answer, Score, without_constants
from clv.web.bodies import LATER, whole
from clv.web.scoring import MicroBatches
from clv.web.v1.reply import answer, routes, served_model

router = routes("customers")


class ScoreAnswer(Answer):
    """Scores in the order of the request."""

    scores: list[Score]
    not_scored: list[str | int] = Field(description="Customers with no purchase left.")
    cleaning: list[str] = Field(description="What cleaning did, with the number of orders.")


@router.post("/score", response_model=ScoreAnswer)
async def score_customers(
    request: Request,
    body: Annotated[ScoreRequest, LATER, Body(openapi_examples={"one": {"value": SCORE_EXAMPLE}})],
) -> Any:
    """Score customers from their order histories, cleaned and summarised as a batch is."""
    model = served_model(request)
    batches: MicroBatches = model.batches
    stated = model.stated
    body = await whole(body)
    scored = await batches.score(body)
    request.scope["clv.scored"] = len(scored.scores)
    return answer(
        request,
        stated if body.as_of is None else {**stated, "as_of": body.as_of},
        scores=[without_constants(row) for row in scored.scores],
        not_scored=scored.not_scored,
        cleaning=scored.cleaning,
    )
