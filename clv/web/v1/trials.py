"""Tests by chance: how many customers one takes, and that of a retention offer nobody tried."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body as FromBody
from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from clv.app.plan_files.offer_terms import SomeShare
from clv.app.requests import Body
from clv.app.retention import campaign
from clv.defaults import TEST_CONTROL_SHARE, TEST_LEVEL, TEST_POWER
from clv.experiments.offer_test import of_campaign
from clv.experiments.planned_test import plan_test
from clv.experiments.rollout import Rollout
from clv.io.json import plain
from clv.web.answers import Answer
from clv.web.v1.reply import answer, borrowed, has_scores, note_plan, routes, served_model
from clv.web.v1.retention import RetentionOffer

router = routes("decisions")

Inside = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, lt=1e12)]
Level = Annotated[float, Field(gt=0, le=0.5)]


class PlanTestQuery(BaseModel):
    """A test of a lift."""

    model_config = {"extra": "forbid"}

    baseline_mean: Positive = Field(description="Outcome of a customer without the test.")
    baseline_sd: Positive = Field(description="Its standard deviation between customers.")
    lift: SomeShare = Field(description="Relative change that is to be seen: 0.1 is 10% more.")
    r2: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Share of its variance that is known before, as by CLV."
    )
    control_share: Inside = Field(default=TEST_CONTROL_SHARE, description="Who is held out.")
    power: Inside = Field(default=TEST_POWER, description="Chance to see a lift that is there.")
    level: Level = Field(default=TEST_LEVEL, description="And one that is not, two-sided.")
    weeks: Positive = Field(default=13.0, description="How long an outcome is counted.")
    arrivals: Positive | None = Field(
        default=None, description="Customers a week who become eligible; else all are there."
    )
    customers: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        default=None, description="Whom the test decides about; with value."
    )
    value: Positive | None = Field(
        default=None, description="What one of them is worth that is lifted, as CLV."
    )
    contact_cost: Annotated[float, Field(ge=0, lt=1e12)] = Field(
        default=0.0, description="What doing it costs per customer."
    )


class PlanTestAnswer(Answer):
    """Customers of both groups, weeks, cost, what it is worth, and the power curve."""

    test: dict[str, Any]


class OfferTestBody(Body):
    """A retention offer to the customers served here who may be contacted."""

    offer: RetentionOffer
    control_share: Inside = Field(default=TEST_CONTROL_SHARE, description="Who is held out.")
    power: Inside = Field(default=TEST_POWER, description="Chance to see the save rate.")
    weeks: Positive = Field(default=13.0, description="The churn horizon.")


@router.get("/test-plan", response_model=PlanTestAnswer)
async def plan_test_by_chance(request: Request, query: Annotated[PlanTestQuery, Query()]) -> Any:
    """How many customers a test by chance takes, how long, and which decision it would change."""
    if not has_scores(request):
        stated = served_model(request).stated
    else:
        with borrowed(request) as store:
            stated = store.stated
    options = query.model_dump(exclude={"customers", "value", "contact_cost"})
    rollout = None
    if query.customers is not None and query.value is not None:
        rollout = Rollout(query.customers, query.value, query.contact_cost)
    planned = plan_test(**options, rollout=rollout, currency=str(stated.get("currency") or ""))
    return answer(request, stated, test=plain(planned.to_dict()))


@router.post("/retention/test-plan", response_model=PlanTestAnswer)
async def plan_offer_test_by_chance(
    request: Request, body: Annotated[OfferTestBody, FromBody(openapi_examples={
        "range": {"value": {"offer": {"contact_cost": 1, "save_rate": [0.05, 0.3]}}}
    })],
) -> Any:  # fmt: skip
    """How to test a retention offer, and what knowing its save rate is worth."""
    offer = body.offer.build()
    with borrowed(request) as store:
        prepared = await run_in_threadpool(campaign, store, offer)
        test = await run_in_threadpool(
            of_campaign,
            prepared,
            offer,
            control_share=body.control_share,
            power=body.power,
            weeks=body.weeks,
        )
        note_plan(request, None, {"control_share": body.control_share, "power": body.power})
        return answer(request, store.stated, test=plain(test.to_dict()))
