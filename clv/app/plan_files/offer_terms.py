"""What an offer costs and how well it may work, as files, requests and options state it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from clv.decide.retention.offer import BetaRate, Offer
from clv.defaults import CONTROL_SHARE, SAVE_RATE_TEXT, SEED
from clv.shares import hint_of_percent, parse_share

RATE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
SAVE_RATE = {
    "anyOf": [
        RATE,
        {"type": "array", "items": RATE, "minItems": 2, "maxItems": 2},
        {
            "type": "object",
            "properties": {"a": POSITIVE, "b": POSITIVE},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    ]
}


def _as_save_rate(value: object) -> BetaRate | float | tuple[float, float]:
    match value:
        case BetaRate() | float() | int():
            rate: BetaRate | float | tuple[float, float] = value
        case {"a": float() | int() as a, "b": float() | int() as b, **rest} if not rest:
            rate = BetaRate(a, b)
        case [float() | int() as low, float() | int() as high]:
            rate = (low, high)
        case _:
            raise ValueError("Input should be 0.25, a range [0.1, 0.4] or { a = 6, b = 14 }")
    try:
        return Offer(contact_cost=0, save_rate=rate).save_rate  # an offer checks its own rate
    except OverflowError as error:
        raise ValueError("a save rate is a number between 0 and 1") from error


def parse_save_rate(text: str | None) -> BetaRate | float | tuple[float, float]:
    """A save rate from "0.3" or "0.1:0.4"; the default from nothing.

    >>> parse_save_rate("0.1:0.4"), parse_save_rate("30%")
    ((0.1, 0.4), 0.3)
    """
    if text is None:
        return BetaRate()
    try:
        rates = [parse_share(part) for part in text.split(":")]
    except ValueError as error:
        raise ValueError(f"{text!r} should be a rate, 0.3 or 30%, or a range 0.1:0.4") from error
    if over := [rate for rate in rates if 1 < rate <= 100]:
        write = f"write {over[0] / 100:g} or {over[0]:g}%"
        raise ValueError(f"a save rate of {over[0]:g} is above 1, which is everybody: {write}")
    return _as_save_rate(rates[0] if len(rates) == 1 else rates)


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _no_percent(value: Any) -> Any:
    if hint := hint_of_percent(value):
        raise ValueError(f"{value:g} should be a fraction\nHint: {hint}")
    return value


Fraction = BeforeValidator(_no_percent)
Share = Annotated[float, Field(ge=0, le=1), Fraction]  # of everybody
PartShare = Annotated[float, Field(ge=0, lt=1), Fraction]  # and somebody is left
SomeShare = Annotated[float, Field(gt=0, le=1), Fraction]  # somebody at least
SaveRate = Annotated[
    Any, PlainValidator(_as_save_rate, json_schema_input_type=Any), WithJsonSchema(SAVE_RATE)
]


class OfferTerms(BaseModel):
    """What a retention offer costs, and how well it is thought to work."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    contact_cost: Amount | None = None
    incentive: Amount = Field(default=0.0, description="Spent on each customer who redeems.")
    save_rate: SaveRate = Field(
        default=BetaRate(),
        description="Share of leavers saved: 0.25, a range [0.1, 0.4], or by default "
        f"{SAVE_RATE_TEXT}.",
    )
    save_rate_source: Literal["assumed", "measured"] = Field(
        default="assumed", description="measured, if a randomised campaign gave the save rate."
    )
    redemption: Share | None = Field(
        default=None, description="Share who redeem; by default the stayers and the saved."
    )
    leavers: Literal["silent", "gone"] = Field(
        default="silent", description="Whom the save rate is a share of: silent, or gone for good."
    )

    def offer(self, **more: Any) -> Offer:
        """The offer of these terms."""
        return Offer(
            self.contact_cost or 0.0,
            self.incentive,
            self.save_rate,
            self.save_rate_source,
            self.redemption,
            leavers=self.leavers,
            **more,
        )


class NamedOffer(OfferTerms):
    """One of several offers."""

    capacity: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(
        default=None, description="Most customers to contact with it."
    )
    name: Annotated[str, Field(min_length=1)] = "offer"

    def build(self) -> Offer:
        """The offer with its name and limits."""
        return self.offer(name=self.name, capacity=self.capacity)


class RetentionTerms(OfferTerms):
    """An offer that competes for a budget, with who is held out."""

    control_share: PartShare = CONTROL_SHARE
    seed: Annotated[int, Field(ge=0, lt=2**63)] = SEED
    current: Amount | None = Field(default=None, description="Today's spend on retention.")
