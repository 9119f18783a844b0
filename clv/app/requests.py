"""What requests to the API hold. Nothing is converted, unknown fields are refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from clv.app.plan_files.offer_terms import Amount, RetentionTerms
from clv.app.plan_files.plan_file import Plan
from clv.decide.budget.gain_curve import GainCurve
from clv.decide.retention.plan import gain_curve

LARGEST = 1e12  # beyond this an amount is no amount
MOST_CUSTOMERS, MOST_ORDERS = 10_000, 5_000  # in one request, of one customer

SCORE_EXAMPLE = {
    "customers": [
        {
            "customer_id": "c-17",
            "orders": [
                {"date": "2011-03-02", "amount": 40.0},
                {"date": "2011-09-14", "amount": 24.9},
                {"date": "2011-09-20", "amount": -24.9},
            ],
        }
    ],
    "as_of": "2011-12-09",
}
PLAN_EXAMPLE = {
    "budget": 30000,
    "currency": "GBP",
    "horizon": "3 years",
    "channels": [
        {"name": "search", "value": 60, "response": {"curve": "power", "k": 12, "b": 0.6}},
        {
            "name": "social",
            "value": 80,
            "current": 8000,
            "lo": 4000,
            "response": {"curve": "point", "spend": 8000, "customers": 1700},
        },
    ],
    "retention": {"contact_cost": 1, "incentive": 5, "save_rate": [0.1, 0.4]},
}


def _moment(value: object) -> dt.datetime:
    """A day or a moment without time zone, from ISO text alone."""
    try:
        moment = dt.datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ValueError("Input should be a date such as 2011-11-25") from error
    if moment.tzinfo is not None:
        raise ValueError("Input should be a date of the shop's own calendar, without time zone")
    if not 1900 <= moment.year < 2200:
        raise ValueError("Input should be a date between 1900 and 2199")
    return moment


def _id(value: object) -> str | int:
    if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable():
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise ValueError("Input should be a text of 1 to 200 characters or a whole number")


Moment = Annotated[
    dt.datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": r"^(19|20|21)\d\d-\d\d-\d\d"}),
]
Day = Annotated[
    dt.date,
    PlainValidator(lambda value: _moment(value).date()),
    WithJsonSchema({"type": "string", "format": "date"}),
]
Id = Annotated[str | int, PlainValidator(_id, json_schema_input_type=str | int)]
Money = Annotated[float, Field(ge=0, lt=LARGEST)]


class Body(BaseModel):
    """Nothing is converted, unknown fields are refused, nothing changes once read."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Order(Body):
    """One order, or a refund if its amount is negative."""

    date: Moment = Field(description="When it was placed, ISO 8601.", examples=["2011-11-25"])
    amount: Annotated[float, Field(gt=-LARGEST, lt=LARGEST, allow_inf_nan=False)] = Field(
        description="Revenue in the model's currency, negative for a refund.", examples=[24.9]
    )
    order_id: Id | None = Field(
        default=None, description="Lines of one order share it.", examples=["536365"]
    )
    product: Id | None = Field(
        default=None,
        description="What was bought. Beside order_id it tells a line sent twice from two alike; "
        "a churn model that learned from products reads how many a customer has bought.",
        examples=["85123A"],
    )
    channel: Id | None = Field(
        default=None,
        description="Through which channel the customer came; that of the first purchase counts.",
        examples=["search"],
    )


class Customer(Body):
    """A customer with all orders."""

    customer_id: Id = Field(description="Any id; it comes back.", examples=["c-17"])
    orders: list[Order] = Field(
        min_length=1,
        max_length=MOST_ORDERS,
        description="Every order, refunds included, in any sequence.",
    )


class ScoreRequest(Body):
    """Order histories to be scored."""

    customers: list[Customer] = Field(
        min_length=1, max_length=MOST_CUSTOMERS, description="One customer or many."
    )
    as_of: Day | None = Field(
        default=None,
        description="The day as of which to score; later orders are left out. By default the "
        "model's own, after which no order may lie.",
        examples=["2011-12-09"],
    )

    @model_validator(mode="after")
    def _each_once(self) -> ScoreRequest:
        ids = [customer.customer_id for customer in self.customers]
        if len(set(ids)) < len(ids):
            raise ValueError("Input should have each customer_id once, with all its orders")
        return self


class OfferBody(RetentionTerms):
    """A retention offer to the customers of the served scores."""

    contact_cost: Amount = Field(description="Spent on each customer contacted.", examples=[1])

    _scores: Any = PrivateAttr(default=None)

    def reaching(self, scores: Any) -> None:
        """Say to whom the offer is made: a table of scores."""
        self._scores = scores

    def build(self, folder: Path) -> GainCurve:
        """What any budget for this offer would gain; no file is read."""
        share, seed = self.control_share, self.seed
        return gain_curve(self._scores, self.offer(), control_share=share, seed=seed)


class PlanBody(Plan):
    """A budget plan, as ``clv allocate`` reads it, but naming no files."""

    retention: OfferBody | None = None  # type: ignore[assignment] # it is built the same way
