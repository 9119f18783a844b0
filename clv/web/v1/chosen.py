"""Which customers a request is about: the filters of the page, by the same names.

On the page churn is written in percent; here it is a probability, as in the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
)

from clv.errors import InputError
from clv.store import Filter, Store
from clv.store.filter_kinds import (
    LONGEST,
    MOST,
    FilterField,
    FlagFilter,
    ListFilter,
    RangeFilter,
    StartFilter,
)
from clv.store.filters import FILTERS, FROM_LOG, require_column
from clv.web import problems

Text = Annotated[str, Field(max_length=LONGEST)]


def _start(field: StartFilter) -> dict[str, Any]:
    examples = [field.example]
    return {field.name: (Text, Field(default="", description=field.description, examples=examples))}


def _list(field: ListFilter) -> dict[str, Any]:
    def allowed(value: str) -> str:
        if value not in field.allowed:
            raise ValueError(f"Input should be one of {', '.join(field.allowed)}")
        return value

    kind: Any = Text
    if field.allowed:
        schema = {"type": "string", "enum": list(field.allowed)}
        kind = Annotated[str, AfterValidator(allowed), WithJsonSchema(schema)]
    examples = [field.example] if field.example else None
    limits: Any = Field(
        default=[], max_length=MOST, description=field.description, examples=examples
    )
    return {field.name: (list[kind], limits)}


def _range(field: RangeFilter) -> dict[str, Any]:
    number = Annotated[float | None, Field(ge=field.least, le=field.most)]
    return {
        name: (number, Field(default=None, description=f"{field.description}, {end}."))
        for name, end in zip(field.parameters, ("at least", "at most"), strict=True)
    }


def _flag(field: FlagFilter) -> dict[str, Any]:
    return {field.name: (bool | None, Field(default=None, description=field.description))}


FIELDS: dict[type[FilterField], Callable[[Any], dict[str, Any]]] = {
    StartFilter: _start,
    ListFilter: _list,
    RangeFilter: _range,
    FlagFilter: _flag,
}


def _model(name: str, of_contact: bool) -> type[BaseModel]:
    """A model with a field for every filter."""
    fields: dict[str, Any] = {}
    for field in FILTERS.values():
        if of_contact or not field.of_contact:
            fields |= FIELDS[type(field)](field)
    return create_model(name, __base__=_Filters, **fields)


class _Filters(BaseModel):
    """Customers; what is not given does not matter, bounds are included."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator(
        *(f.parameters[1] for f in FILTERS.values() if isinstance(f, RangeFilter)),
        check_fields=False,  # they are those of the models made below
    )
    @classmethod
    def _above_its_start(cls, value: float | None, info: ValidationInfo) -> float | None:
        start = f"{str(info.field_name).removesuffix('_to')}_from"
        least = info.data.get(start)
        if value is not None and least is not None and value < least:
            raise ValueError(f"Input should be {least:g} or more, as {start} is")
        return value

    def on(self, store: Store, within: str = "") -> Filter:
        """The filter of a store; a problem names the field that it has no column for."""
        values: dict[str, Any] = {}
        for name, field in FILTERS.items():
            each = [getattr(self, parameter, None) for parameter in field.parameters]
            if all(value in (None, [], "") for value in each):
                continue
            if field.column is not None:
                require(store, field.column, f"{within}{field.parameters[0]}")
            value = tuple(each) if isinstance(field, RangeFilter) else each[0]
            values[name] = tuple(value) if isinstance(value, list) else value
        return Filter(**values)


class Chosen(_model("Chosen", of_contact=False)):  # type: ignore[misc] # of the list FILTERS
    """Customers; what is not given does not matter, bounds are included."""


class Searched(_model("Searched", of_contact=True)):  # type: ignore[misc]
    """Customers, those who must not be contacted among them."""


def require(store: Store, column: str, field: str) -> None:
    """A problem with ``field`` unless the customers of a store have the column."""
    with problems.of_field(field):
        if column not in (*store.columns, *FROM_LOG):
            raise InputError(
                f"these customers have no column {column!a}.",
                hint=f"Send one of {', '.join(store.columns)}.",
            )
        require_column(column, store.columns)
