"""Documents of campaigns, months and runs: their types and ranges; see ``documents``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from clv.io.model_folder import Count, Date, Name, Share, Text
from clv.store.command_documents import Money, Rows, StoreDocument


class _RateWithin(StoreDocument):
    """A save rate with its interval."""

    mean: Share
    low: Share
    high: Share


class _BetaWithin(StoreDocument):
    """A save rate as a distribution."""

    a: Annotated[float, Field(gt=0, le=1e12)]
    b: Annotated[float, Field(gt=0, le=1e12)]


class _CampaignResult(StoreDocument):
    """What contacting earned, and whom it kept."""

    earned: Money
    low: Money
    high: Money
    level: Share
    save_rate: _RateWithin | None
    gone_rate: _BetaWithin | None = None


class CampaignRecord(StoreDocument):
    """An entry of ``campaigns``."""

    name: Name
    published_by: Text
    weeks: Annotated[float, Field(gt=0, le=1e4)]
    customers: Count | None = None
    control: Count | None = None
    date: Date | None = None
    awaited: Date | None = None
    cost: Money | None = None
    expected_gain: Money | None = None
    horizon: Text | None = None
    why_not: Text | None = None
    result: _CampaignResult | None = None


class OrderMonth(StoreDocument):
    """An entry of ``order_months``."""

    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    revenue: Money
    orders: Count
    repeat_rate: Share
    soon: Share | None
    days_to_second: Rows | None


class RunFigures(StoreDocument):
    """An entry of ``run_figures``."""

    as_of: Date
    value: Money
    customers: Count
    orders: Rows
    at_risk: Money
    churn: Share


class LearnedUplift(StoreDocument):
    """``uplift``: whom a contact changes, as a campaign taught."""

    campaign: Name
    model: dict[str, Any]
