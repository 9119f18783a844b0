"""Customers scored from their orders; what is small and plain is answered by ``lane`` before."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from clv.app.requests import SCORE_EXAMPLE, ScoreRequest
from clv.scorer import CustomerScorer
from clv.web import scoring
from clv.web.answers import Answer, Score
from clv.web.histories import score_histories
from clv.web.v1.reply import answer, routes

router = routes("customers")


class ScoreAnswer(Answer):
    """Scores in the order of the request."""

    scores: list[Score]
    not_scored: list[str | int] = Field(description="Customers with no purchase left.")
    cleaning: list[str] = Field(description="What cleaning found, with the number of orders.")


@router.post("/score", response_model=ScoreAnswer)
async def score(
    request: Request,
    body: Annotated[ScoreRequest, Body(openapi_examples={"one": {"value": SCORE_EXAMPLE}})],
) -> Any:
    """Score customers from their order histories, cleaned and summarised as a batch is."""
    scorer: CustomerScorer = request.app.state.scorer
    scored = await run_in_threadpool(score_histories, body.customers, scorer, body.as_of)
    request.scope["clv.scored"] = len(scored.scores)
    content = scoring.content(scored)
    stated = {**request.app.state.stated, "as_of": body.as_of or scorer.as_of}
    return answer(request, stated, **content)
