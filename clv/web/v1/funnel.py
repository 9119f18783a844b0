"""The funnel: from lead to customer, as published."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from clv.web.answers import Answer
from clv.web.v1.reply import answer, borrowed, not_published, routes

router = routes("channels")


class FunnelAnswer(Answer):
    """What ``clv funnel --json`` said: stages, channels and months at equal age, findings."""

    funnel: dict[str, Any]


@router.get("/funnel", response_model=FunnelAnswer)
async def funnel(request: Request) -> Any:
    """How leads become customers: stages, channels and months at equal age, cost and worth."""
    with borrowed(request) as store:
        document = await run_in_threadpool(store.document, "funnel")
        if not document:
            raise not_published("leads", "--funnel funnel.json", "clv funnel LEADS --json > {}")
        return answer(request, store.stated, funnel=dict(document))
