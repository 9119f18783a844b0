"""Segments: what customers add up to by tier, decile, recency and, where known, channel ..."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from clv.errors import InputError
from clv.store import Store
from clv.web import problems
from clv.web.answers import Answer
from clv.web.v1.reply import answer, borrowed, routes

router = routes("customers")


class SegmentQuery(BaseModel):
    """One dimension, or all."""

    model_config = {"extra": "forbid"}

    dimension: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="One of the dimensions that there are: tier, decile, recency and, where the "
        "scores or the log say, channel, cohort, eligible, reason.",
        examples=["tier"],
    )


class Segment(BaseModel):
    """Customers who are alike in one thing, added up."""

    segment: str
    customers: int
    value: float = Field(description="CLV together.")
    share: float = Field(description="Of the value of all customers.")
    at_risk: float = Field(description="Churn probability times value at stake, added up.")
    expected_purchases: float
    mean_churn_probability: float


class SegmentsAnswer(Answer):
    """All customers by dimension; the segments of each add up to everybody."""

    segments: dict[str, list[Segment]]


@router.get("/segments", response_model=SegmentsAnswer)
async def segments(request: Request, query: Annotated[SegmentQuery, Query()]) -> Any:
    """What customers are worth by tier, decile, recency, channel, cohort, eligibility and reason.

    The segments are also the choices of the filters of /v1/customers.
    """
    with borrowed(request) as store:
        counts = await run_in_threadpool(_counts, store, query.dimension)
        return answer(request, store.stated, segments=counts)


def _counts(store: Store, dimension: str | None) -> dict[str, list[dict[str, Any]]]:
    counts = store.segments()
    if dimension is None:
        return counts
    if dimension not in counts:
        with problems.of_field("dimension"):
            raise InputError(
                "these scores are not counted by that.", hint=f"Send one of {', '.join(counts)}."
            )
    return {dimension: counts[dimension]}
