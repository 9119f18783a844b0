"""What to offer next in totals, and customers who bring customers, as published."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from clv.app.contents.handoffs import NEXT_OFFERS
from clv.web.answers import Answer
from clv.web.v1.reply import answer, borrowed, not_published, routes

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
            raise not_published("offers", "--offers offers.parquet", "clv offers LINES -o {}")
        return answer(request, store.stated, offers=totals, report=report, joint_plan=plan)


@router.get("/referrals", response_model=ReferralsAnswer)
async def referrals(request: Request) -> Any:
    """Customers who bring customers: what that costs and earns, and what is assumed."""
    with borrowed(request) as store:
        document = await run_in_threadpool(store.document, "referrals")
        if not document:
            option = "--referrals referrals.json"
            raise not_published("referrals", option, "clv referrals TABLE --json > {}")
        return answer(request, store.stated, referrals=document)
