"""What answers of the API have in common; what each holds beside is said by its route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

CONSTANTS = frozenset(("model_version", "as_of", "horizon", "currency"))


def without_constants(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of scores without what the answer already says of all of them."""
    return {name: value for name, value in row.items() if name not in CONSTANTS}


class Answer(BaseModel):
    """What every answer carries."""

    model_config = ConfigDict(extra="forbid")

    model_version: str = Field(description="Version of the model behind it.")
    as_of: str = Field(description="Last day that it knows.", examples=["2011-12-09"])
    horizon: str | None = Field(description="How far ahead values count.", examples=["3 years"])
    currency: str | None = Field(description="Of every amount.", examples=["GBP"])


class Statement(BaseModel):
    """Something that a plan or a table says: in words, and in the figures behind them."""

    code: str = Field(description="What is said, whatever the words.", examples=["plan.cheapest"])
    text: str = Field(description="The sentence in English.")
    basis: Literal["measured", "estimated", "assumed"] | None
    values: dict[str, Any] = Field(description="By name, each with its kind and its value.")


class Score(BaseModel):
    """The score of a customer; money as the model card's terms say."""

    model_config = ConfigDict(extra="allow")

    customer_id: str | int
    frequency: int = Field(description="Repeat purchases.")
    days_since_last: float
    clv: float = Field(description="What is still to come within the horizon, discounted.")
    expected_purchases: float = Field(description="Within the horizon, undiscounted.")
    expected_spend: float = Field(description="Revenue per purchase.")
    probability_alive: float = Field(description="1 for one-time buyers: no churn score.")
    probability_no_purchase: float = Field(description="Within the churn horizon, by the model.")
    churn_probability: float = Field(description="Within the churn horizon.")
    value_at_stake: float = Field(description="What a save within the churn horizon is worth.")
    churn_horizon: str
