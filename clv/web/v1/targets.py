"""Whom to keep with one offer: the best targets, as the page shows them; see also retention.py."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from clv.app.requests import TargetsQuery
from clv.app.retention import may_contact
from clv.decide.retention.campaign import CampaignSummary
from clv.decide.retention.targets import RetentionTargets, retention_targets
from clv.web.answers import Answer, without_constants
from clv.web.v1.reply import answer, borrowed, note_plan, routes

router = routes("decisions")


class Target(BaseModel):
    """A customer of a campaign."""

    model_config = ConfigDict(extra="allow")

    rank: int
    customer_id: str | int
    group: str = Field(description="treat, or control: held out, not contacted.")
    churn_probability: float
    value_at_stake: float
    cost: float
    expected_gain: float
    expected_profit: float
    save_rate_source: str = Field(description="assumed or measured.")


class TargetsAnswer(Answer):
    """The best targets, and the totals of the whole campaign."""

    summary: CampaignSummary
    targets: list[Target]


@router.get("/targets", response_model=TargetsAnswer)
async def targets(request: Request, query: Annotated[TargetsQuery, Query()]) -> Any:
    """Whom to keep with one offer: the best targets of a campaign, and its totals."""
    stated, campaign = await run_in_threadpool(_campaign, request, query)
    rows = campaign.table.slice(0, query.limit).to_pylist()
    note_plan(request, len(rows), query.model_dump(mode="json", exclude={"save_rate"}))
    return answer(
        request,
        stated,
        summary=campaign.summary.to_dict(),
        targets=[without_constants(row) for row in rows],
    )


def _campaign(request: Request, query: TargetsQuery) -> tuple[dict[str, Any], RetentionTargets]:
    """What is stated of the scores, and the campaign on them."""
    with borrowed(request) as store:
        table, stated = store.campaign_table(may_contact(store)), store.stated
    share, seed = query.control_share, query.seed
    return stated, retention_targets(
        table, query.offer(), query.budget, control_share=share, seed=seed
    )
