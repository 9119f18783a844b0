"""Which customers a request is about: the filters of the page, by the same names.

On the page churn is written in percent; here it is a probability, as in the scores.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from clv.decide.acquisition.tiers import TIERS
from clv.errors import InputError
from clv.store import Filter, Store
from clv.store.filters import FROM_LOG, LISTS, LONGEST, MOST, RANGES, require_column
from clv.web import problems


def _tier(value: str) -> str:
    if value not in TIERS:
        raise ValueError(f"Input should be one of {', '.join(TIERS)}")
    return value


Tier = Annotated[
    str, AfterValidator(_tier), WithJsonSchema({"type": "string", "enum": list(TIERS)})
]
Name = Annotated[str, Field(max_length=LONGEST)]
Days = Annotated[float | None, Field(ge=0)]
Share = Annotated[float | None, Field(ge=0, le=1)]


class Chosen(BaseModel):
    """Customers; what is not given does not matter, bounds are included."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prefix: Name = Field(default="", description="How the id begins, as text.", examples=["c-1"])
    tiers: list[Tier] = Field(
        default=[], max_length=MOST, description="Any of these tiers.", examples=[["top 1%"]]
    )
    channels: list[Name] = Field(
        default=[], max_length=MOST, description="Any of these channels.", examples=[["search"]]
    )
    cohorts: list[Name] = Field(
        default=[], max_length=MOST, description="Months of the first order.", examples=["2011-03"]
    )
    recency_from: Days = Field(default=None, description="Days since the last order, or more.")
    recency_to: Days = Field(default=None, description="Days since the last order, or fewer.")
    churn_from: Share = Field(default=None, description="Churn probability from, 0 to 1.")
    churn_to: Share = Field(default=None, description="Churn probability up to, 0 to 1.")
    value_from: float | None = Field(default=None, description="CLV from, in the currency.")
    value_to: float | None = Field(default=None, description="CLV up to, in the currency.")

    @field_validator(*(f"{name}_to" for name in RANGES))
    @classmethod
    def _above_its_start(cls, value: float | None, info: ValidationInfo) -> float | None:
        start = f"{str(info.field_name).removesuffix('_to')}_from"
        least = info.data.get(start)
        if value is not None and least is not None and value < least:
            raise ValueError(f"Input should be {least:g} or more, as {start} is")
        return value

    def on(self, store: Store, within: str = "") -> Filter:
        """The filter of a store; a problem names the field that it has no column for."""
        for name, column in (*LISTS.items(), ("eligible", "eligible")):
            if getattr(self, name, None) not in (None, []):
                require(store, column, f"{within}{name}")
        lists = {name: tuple(getattr(self, name, ())) for name in LISTS}
        ranges = {
            name: (getattr(self, f"{name}_from"), getattr(self, f"{name}_to")) for name in RANGES
        }
        return Filter(
            prefix=self.prefix, eligible=getattr(self, "eligible", None), **lists, **ranges
        )


class Searched(Chosen):
    """Customers, those who must not be contacted among them."""

    eligible: bool | None = Field(
        default=None, description="Only those who may (true) or must not (false) be contacted."
    )
    reasons: list[Name] = Field(
        default=[], max_length=MOST, description="Any of these reasons not to be contacted."
    )


def require(store: Store, column: str, field: str) -> None:
    """A problem with ``field`` unless the customers of a store have the column."""
    with problems.of_field(field):
        if column not in (*store.columns, *FROM_LOG):
            raise InputError(
                f"these customers have no column {column!a}.",
                hint=f"Send one of {', '.join(store.columns)}.",
            )
        require_column(column, store.columns)
