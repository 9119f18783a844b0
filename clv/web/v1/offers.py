"""What to offer next in totals, and customers who bring customers, as published."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from clv.app.contents.handoffs import NEXT_OFFERS
from clv.web.answers import Answer
from clv.web.problems import ProblemError
from clv.web.v1.reply import answer, borrowed, routes

router = routes("decisions")


class OffersAnswer(Answer):
    """The offers in totals, how good such were at an earlier day, one plan with keeping."""

    offers: dict[str, Any]
    report: dict[str, Any] | None
    joint_plan: list[dict[str, Any]] | None


class ReferralsAnswer(Answer):
    """What ``clv referrals --json`` said: reward, value, credit, break-even share, K-factor."""

    referrals: dict[str, Any]


@router.get("/offers", response_model=OffersAnswer)
async def offers(request: Request) -> Any:
    """What to offer next: by kind and item, the best offers, and how good such offers were.

    A customer's own offers are in `/v1/customers/{customer_id}`.
    """
    with borrowed(request) as store:
        names = (NEXT_OFFERS, "offer_report", "joint_plan")
        totals, report, plan = [await run_in_threadpool(store.document, name) for name in names]
        if not totals:
            raise ProblemError(
                404,
                "no-offers",
                "No offers were published. Publish with them: clv publish scores.parquet --offers "
                "offers.parquet, which clv offers LINES -o offers.parquet writes.",
            )
        return answer(request, store.stated, offers=totals, report=report, joint_plan=plan)


@router.get("/referrals", response_model=ReferralsAnswer)
async def referrals(request: Request) -> Any:
    """Customers who bring customers: what that costs and earns, and what is assumed."""
    with borrowed(request) as store:
        document = await run_in_threadpool(store.document, "referrals")
        if not document:
            raise ProblemError(
                404,
                "no-referrals",
                "No referrals were published. Publish with them: clv publish scores.parquet "
                "--referrals referrals.json, which clv referrals TABLE --json writes.",
            )
        return answer(request, store.stated, referrals=document)
