"""Where to spend one budget: on channels, and on keeping the customers served here."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import Body, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from clv.app.estimates import Estimates
from clv.app.plans import work_out
from clv.app.requests import PLAN_EXAMPLE, PlanBody
from clv.app.retention import may_contact
from clv.decide.budget.allocation import Allocation
from clv.errors import PlanError
from clv.web.answers import Answer
from clv.web.bodies import LATER, whole
from clv.web.v1.reply import answer, borrowed, note_plan, routes, served_model

router = routes("decisions")


class AllocationAnswer(Answer):
    """The best plan, as ``clv.decide.budget.allocation.Allocation`` describes it."""

    allocation: dict[str, Any]
    details: dict[str, Any] | None = Field(
        None, description="With details=true: what constraints cost, other budgets, the outlook."
    )


@router.post("/allocate", response_model=AllocationAnswer)
async def allocate_budget(
    request: Request,
    plan: Annotated[PlanBody, LATER, Body(openapi_examples={"three": {"value": PLAN_EXAMPLE}})],
    details: Annotated[bool, Query(description="Also what constraints cost, and more.")] = False,
) -> Any:
    """Where to spend one budget, on channels and on keeping the customers served here.

    With details: what each constraint costs, what other budgets would buy, and per channel CAC,
    LTV:CAC and payback; it takes about five times as long.
    """
    plan, of_scores = await whole(plan), None
    if plan.retention is not None:
        with borrowed(request) as store:
            of_scores = store.stated
            table = await run_in_threadpool(store.scores, may_contact(store))
        plan.retention.reaching(table)
    best, more = await run_in_threadpool(_solved, plan, details)
    note_plan(request, None, {"budget": plan.budget, "horizon": plan.horizon})
    of_plan = {"horizon": plan.horizon, "currency": plan.currency}
    stated = served_model(request).stated if of_scores is None else of_scores
    carried = {
        name: value for name, value in of_plan.items() if value is not None or of_scores is None
    }
    return answer(request, {**stated, **carried}, allocation=best.to_dict(), details=more)


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
                estimates=Estimates(period=plan.period),
                currency=plan.currency or "",
            )
            return planned.allocation, planned.to_dict()
    except ArithmeticError as error:
        raise PlanError(
            "the numbers of this plan are too large or too small to be worked with.",
            hint="send amounts of money and numbers of customers.",
        ) from error
