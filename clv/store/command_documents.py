"""Documents of a store that other commands wrote: funnel, next offers, one plan, referrals."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from clv.io.model_folder import Count, Date, SavedFinding, Share, Text

Money = Annotated[float, Field(ge=-1e15, le=1e15)]
Rows = Annotated[float, Field(ge=0, le=1e15)]
Says = list[SavedFinding | Text]


class StoreDocument(BaseModel):
    """A document; what else is in it may be anything."""

    model_config = ConfigDict(strict=True, extra="allow")


class _LeadShare(StoreDocument):
    """A share with its interval."""

    share: Share
    low: Share
    high: Share


class _LeadStage(StoreDocument):
    """A stage of the funnel."""

    stage: Text
    entered: Count
    converted: _LeadShare | None
    median_days: Rows | None
    cost_per_entry: Money | None


class _LeadWorth(StoreDocument):
    worth: Money


class _LeadChannel(StoreDocument):
    """A channel of leads."""

    channel: Text
    leads: Count
    conversion: _LeadShare | None
    why_not: Text
    chance: _LeadShare
    cost_per_win: Money | None
    worth: _LeadWorth | None


class FunnelDocument(StoreDocument):
    """``funnel``: from lead to customer."""

    as_of: Date
    currency: Text | None
    age: Annotated[float, Field(gt=0, le=1e5)]
    stages: Annotated[list[_LeadStage], Field(min_length=1)]
    channels: list[_LeadChannel]
    findings: Says


class _OfferGroup(StoreDocument):
    """The offers of an item."""

    item: str | int
    name: str | int | None
    offers: Count
    chance: Share
    spend: Money
    value: Money
    break_even: Rows | None


class _BestOffer(StoreDocument):
    customer_id: str | int
    item: str | int
    name: str | int | None
    kind: Text
    chance: Share
    spend: Money
    value: Money
    break_even: Rows | None
    because: Text | None


class OffersDocument(StoreDocument):
    """``next_offers``: the table of that name in totals."""

    offers: Count
    customers: Count
    value: Money
    items: list[_OfferGroup]
    best: list[_BestOffer]


class _RankingHits(StoreDocument):
    method: Text
    over: Text
    recall: Share
    recall_se: Rows
    money: Money
    money_se: Rows
    coverage: Share


class _EarlierOffers(StoreDocument):
    cutoff: Date
    horizon: Count
    verdict: SavedFinding | Text
    hits: Annotated[list[_RankingHits], Field(min_length=1)]


class OfferReport(StoreDocument):
    """``offer_report``: how good such offers were at an earlier day."""

    currency: Text | None
    backtest: _EarlierOffers
    notes: Says


class PlannedAction(StoreDocument):
    """A row of ``joint_plan``: an action of one plan of keeping and offering."""

    action: Text
    customers: Count
    cost: Money
    expected_gain: Money
    expected_profit: Money


class _Brought(StoreDocument):
    brought: Count
    referrers: Count
    net: Money


class ReferralDocument(StoreDocument):
    """``referrals``: customers who bring customers."""

    referred: Count
    cac: Money
    value: Money | None
    worth: Money
    saved: Money
    rewards: Money
    break_even: Share | None
    brought: list[_Brought]
    findings: Says
