"""Whom to keep: a plan of several offers within one budget, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import Body as FromBody
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.concurrency import run_in_threadpool

from clv.app.contents.handoffs import NEXT_OFFERS
from clv.app.plan_files.offer_terms import Amount, NamedOffer, PartShare
from clv.app.requests import Body, Day, Id, Money
from clv.app.retention import may_contact
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.actions import AnyOffer
from clv.decide.retention.campaign import campaign_day, strata_columns
from clv.decide.retention.campaign_summary import CampaignSummary
from clv.decide.retention.eligibility import Rules
from clv.decide.retention.offer_actions import next_offer_actions, offered_items
from clv.decide.retention.plan import CampaignPlan, plan_campaign
from clv.decide.scores import SILENCE, Scores
from clv.defaults import CONTROL_SHARE, SEED
from clv.errors import InputError
from clv.format import count
from clv.store import Filter, Store
from clv.store.query_fields import for_the_log
from clv.web import problems
from clv.web.answers import Answer, Statement, without_constants
from clv.web.bodies import LATER, whole
from clv.web.v1.chosen import Chosen, require
from clv.web.v1.reply import answer, borrowed, note_plan, routes

MOST_OFFERS, MOST_EXCLUDED, MOST_POINTS = 5, 100_000, 200
EXAMPLE = {
    "offers": [
        {"name": "letter", "contact_cost": 1, "incentive": 5, "save_rate": [0.1, 0.4]},
        {"name": "call", "contact_cost": 6, "capacity": 500},
    ],
    "budget": 2000,
    "control_share": 0.1,
    "customers": {"recency_to": 365},
    "limit": 20,
}

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
    action: str = Field(description="The offer; for the control group the one forgone.")
    propensity: float = Field(description="Chance of having been contacted, for the analysis.")
    date: str = Field(description="Of the campaign.")
    gain_low: float
    gain_high: float
    item: str | None = Field(default=None, description="Of a next offer: what to offer.")


SHOWN = ("first", "limit", "points")  # what of a plan is answered, not what it is


class ProfitInterval(BaseModel):
    """From low to high, and what moves between."""

    low: float
    high: float
    of: str


class CurvePoint(BaseModel):
    """What a budget would gain; customers best first."""

    spent: float
    expected_gain: float
    expected_profit: float
    gain_of_next: float | None = Field(
        description="By the next unit of money; null where customers are treated for nothing."
    )


@dataclass(frozen=True)
class CampaignTotals(CampaignSummary):
    """The totals of a campaign, as JSON has them."""

    findings: tuple[Statement, ...] = ()  # type: ignore[assignment]  # what Finding.to_dict gives


class RetentionAnswer(Answer):
    """A plan: its totals, its best targets, and what other budgets would gain."""

    summary: CampaignTotals
    profit_interval: ProfitInterval | None
    why_no_interval: str | None = Field(description="Where there is no interval.")
    not_eligible: int = Field(description="Customers chosen whom the scores bar from contact.")
    curve: list[CurvePoint] = Field(description="Of the customers who are not held out.")
    targets: list[Target] = Field(description="A part of them; see first and limit.")


class RetentionOffer(NamedOffer):
    """One of the offers of a campaign."""

    contact_cost: Amount = Field(description="Spent on each customer contacted.", examples=[1])
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")] = Field(
        default="offer", description="What to call it; each offer has a name of its own."
    )


class Campaigned(Chosen):
    """The filters of /v1/customers, but for eligible: who must not be contacted never is."""

    model_config = ConfigDict(strict=True)


class RetentionBody(Body):
    """A campaign of one or several offers."""

    offers: list[RetentionOffer] = Field(min_length=1, max_length=MOST_OFFERS)
    incremental_share: PartShare | None = Field(
        default=None,
        description="Beside these the published next offers, of each kind a customer's best, in "
        "one plan: the share of their purchases that is due to an offer, assumed. Without it "
        "there are none.",
    )
    budget: Money | None = Field(
        default=None, description="Money for the campaign; without it everybody who pays."
    )
    control_share: PartShare = Field(
        default=CONTROL_SHARE,
        description="Share held out by chance, to show what the campaign earned.",
    )
    stratify: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description="Hold out the same share of each level of this column, or expected_profit.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=SEED, description="Another seed draws another control group."
    )
    date: Day | None = Field(
        default=None, description="Of the campaign; by default the day after the scores' as_of."
    )
    customers: Campaigned = Field(
        default=Campaigned(), description="Of whom to choose; everybody by default."
    )
    exclude: list[Id] = Field(
        default=[], max_length=MOST_EXCLUDED, description="Ids of customers to leave out."
    )
    bought_within: Annotated[float, Field(ge=0, lt=1e6)] | None = Field(
        default=None, description="Leave out who bought within so many days."
    )
    silent_for: Annotated[float, Field(ge=0, lt=1e6)] | None = Field(
        default=None, description="Leave out who was silent for longer, in days."
    )
    first: Annotated[int, Field(ge=1, le=2**31)] = Field(
        default=1, description="Rank of the first target to return."
    )
    limit: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=100, description="Most targets to return."
    )
    points: Annotated[int, Field(ge=0, le=MOST_POINTS)] = Field(
        default=20, description="Of the curve; 0 leaves it out, which is quicker."
    )

    @field_validator("offers")
    @classmethod
    def _names_differ(cls, offers: list[RetentionOffer]) -> list[RetentionOffer]:
        if len({offer.name for offer in offers}) < len(offers):
            raise ValueError("Input should give each offer a name of its own")
        return offers

    def rules(self) -> Rules:
        """Whom not to contact, beside those whom the scores bar."""
        return Rules(
            exclude=[str(one) for one in self.exclude] or None,
            bought_within=self.bought_within,
            silent_for=self.silent_for,
        )

    def for_the_log(self, chosen: Filter) -> dict[str, Any]:
        """The campaign as numbers and choices; of those excluded, how many they are."""
        options = self.model_dump(exclude={"offers", "customers", "exclude", *SHOWN})
        offers = [offer.model_dump(exclude={"save_rate"}) for offer in self.offers]
        return {**options, "offers": offers, "excluded": len(self.exclude), **for_the_log(chosen)}


@router.post("/retention", response_model=RetentionAnswer)
async def plan_retention(
    request: Request,
    body: Annotated[RetentionBody, LATER, FromBody(openapi_examples={"two": {"value": EXAMPLE}})],
) -> Any:
    """Who should get which offer within one budget, who is held out, and what that earns.

    A control group is drawn first, so that the campaign shows what it earned. Save rates are
    assumed unless a randomised campaign measured them. Whom the scores bar from contact is never
    chosen.
    """
    body = await whole(body)
    stated, content, chosen = await run_in_threadpool(_planned, request, body)
    note_plan(request, len(content["targets"]), body.for_the_log(chosen))
    return answer(request, stated, **content)


def _planned(
    request: Request, body: RetentionBody
) -> tuple[dict[str, Any], dict[str, Any], Filter]:
    with borrowed(request) as store:
        chosen = body.customers.on(store, "customers.")
        scores, barred = _people(store, chosen, body)
        stated, next_offers = store.stated, _next_offers(store, body)
    with problems.of_field("date"):
        campaign_day(scores.as_of, body.date)
    plan = plan_campaign(
        scores,
        _actions(body, scores, next_offers),
        body.budget,
        rules=body.rules(),
        control_share=body.control_share,
        stratify=body.stratify,
        seed=body.seed,
        date=body.date,
    )
    return stated, _told(plan, body, barred, next_offers), chosen


def _next_offers(store: Store, body: RetentionBody) -> Any:
    """The table of next offers, if they are to be in the plan."""
    if body.incremental_share is None:
        return None
    if (table := store.table(NEXT_OFFERS)) is None:
        with problems.of_field("incremental_share"):
            raise InputError(
                "no next offers were published.", hint="clv publish --offers does that."
            )
    return table


def _actions(body: RetentionBody, scores: Scores, next_offers: Any) -> list[AnyOffer]:
    """What keeps customers and, if asked, what may be offered to them."""
    keep: list[AnyOffer] = [offer.build() for offer in body.offers]
    if next_offers is None:
        return keep
    with problems.of_field("incremental_share"):
        return [*keep, *next_offer_actions(scores.rows, next_offers, body.incremental_share)]


def _people(store: Store, chosen: Filter, body: RetentionBody) -> tuple[Scores, int]:
    """The customers chosen who may be contacted, and how many of those chosen may not."""
    with problems.of_field("stratify"):
        strata = strata_columns(body.stratify)
    for name in strata:
        require(store, name, "stratify")
    may = chosen.with_values(**may_contact(store).values)
    barred = store.count(chosen) - store.count(may)
    if not store.count(may):
        with problems.of_field("customers"):
            raise InputError(
                f"nobody of these may be contacted; {count(barred)} are barred by the scores.",
                hint="Widen the filters.",
            )
    return store.scores(may, (SILENCE, *strata)), barred


def _told(plan: CampaignPlan, body: RetentionBody, barred: int, next_offers: Any) -> dict[str, Any]:
    interval, why = _interval(plan.summary)
    summary = plan.summary.to_dict()
    del summary["save_rate_source"]  # each offer has its own
    listed = plan.table.slice(body.first - 1, body.limit)
    rows = listed.to_pylist()
    if next_offers is not None and rows:
        items = offered_items(listed, next_offers)
        rows = [row | {"item": item} for row, item in zip(rows, items, strict=True)]
    return {
        "summary": summary,
        "profit_interval": interval,
        "why_no_interval": why,
        "not_eligible": barred,
        "curve": curve_points(plan.gain_curve, body.points) if body.points else [],
        "targets": [without_constants(row) for row in rows],
    }


def _interval(summary: CampaignSummary) -> tuple[dict[str, Any] | None, str | None]:
    """The interval of the expected profit, or why there is none."""
    low, high = summary.profit_range
    if not summary.audience:
        return None, "Nobody is contacted."
    if low == high:
        return None, (
            "Every save rate is one number, so nothing says how far off it may be: send a range, "
            "such as [0.1, 0.4]."
        )
    of = "If every save rate were at that end of its range at once, so it is wide."
    return {"low": low, "high": high, "of": of}, None


def curve_points(curve: GainCurve, points: int) -> list[dict[str, float]]:
    """A gain curve at ``points`` budgets, close to each other where it is steep.

    >>> curve = GainCurve.from_customers(cost=[10, 10], gain=[50, 30])
    >>> [(at["spent"], at["expected_gain"]) for at in curve_points(curve, 3)]
    [(0.0, 0.0), (5.0, 25.0), (20.0, 80.0)]
    """
    if not len(curve):
        return []
    spent = np.linspace(0.0, 1.0, points) ** 2 * float(curve.spent[-1])
    gained = [curve.gain_at(budget) for budget in spent.tolist()]
    if not np.isfinite(gained).all():
        raise InputError("these offers cost too little to be worked with.", hint="Send money.")
    return [
        {
            "spent": budget,
            "expected_gain": gain,
            "expected_profit": gain - budget,
            "gain_of_next": curve.edges(budget)[1],
        }
        for budget, gain in zip(spent.tolist(), gained, strict=True)
    ]
