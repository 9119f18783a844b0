"""What answers of the API have in common; what each holds beside is said by its route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from clv.score_columns import SCORE_COLUMNS, STATED


def without_constants(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of scores without what the answer already says of all of them."""
    return {name: value for name, value in row.items() if name not in STATED}


def with_score_columns(*names: str) -> Any:
    """A base for the model of a row that has these columns of a table of scores, and others.

    >>> list(with_score_columns("customer_id", "clv").model_fields)
    ['customer_id', 'clv']
    """
    columns = [SCORE_COLUMNS[name] for name in names]
    fields: dict[str, Any] = {}
    for column in columns:
        dtype, lacking = (column.dtype | None, None) if column.optional else (column.dtype, ...)
        fields[column.name] = (dtype, Field(lacking, description=column.description))
    return create_model("ScoreColumns", __config__=ConfigDict(extra="allow"), **fields)


class Answer(BaseModel):
    """What every answer carries."""

    model_config = ConfigDict(extra="forbid")

    model_version: str = Field(description="Version of the model behind it.")
    as_of: str = Field(description="Last day that it takes into account.", examples=["2011-12-09"])
    horizon: str | None = Field(description="How far ahead values count.", examples=["3 years"])
    currency: str | None = Field(description="Of every amount.", examples=["GBP"])


class Statement(BaseModel):
    """Something that a plan or a table says: in words, and in the figures behind them."""

    code: str = Field(description="What is said, whatever the words.", examples=["plan.cheapest"])
    text: str = Field(description="The sentence in English.")
    basis: Literal["measured", "estimated", "assumed"] | None
    values: dict[str, Any] = Field(description="By name, each with its kind and its value.")


CONSTANT = ("channel", *STATED)  # not of every row: a channel if there is one, the rest once


class Score(with_score_columns(*(name for name in SCORE_COLUMNS if name not in CONSTANT))):  # type: ignore[misc]
    """The score of a customer; money as the model card's terms say."""
