"""Which kind of table a billing system wrote, and how it is read."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator

from clv.errors import InputError
from clv.intake.recipe import Words
from clv.intake.sources import Source
from clv.intake.vocabulary import plain
from clv.io.settings_errors import OURS_FIRST, unknown_columns

Kind = Literal["subscriptions", "invoice_lines", "cohort_counts"]
KINDS: tuple[Kind, ...] = ("cohort_counts", "invoice_lines", "subscriptions")  # pickiest first
TITLES = {
    "subscriptions": "a table of subscriptions",
    "invoice_lines": "lines of invoices",
    "cohort_counts": "counts of active customers by cohort",
}
GRACE = 7  # days without a contract that are no end of it: a card that failed, a late payment
MONTHS = {"month": 1, "quarter": 3, "half": 6, "year": 12}
DAYS = {"day": 1, "week": 7}


class Interval(NamedTuple):
    """A billing period: a length in months, or in days."""

    unit: Literal["month", "day"]
    length: int

    def __str__(self) -> str:
        words = {("month", 12): "year", ("month", 1): "month", ("day", 7): "week"}
        return words.get((self.unit, self.length), f"{self.length} {self.unit}s")

    @property
    def months(self) -> float:
        """Its length in months, of which a year has 12 and 365.25 days."""
        return self.length * (1.0 if self.unit == "month" else 12 / 365.25)


class ContractRecipe(BaseModel):
    """How a table of contracts is read; the fields are those of ``[contracts]``.

    Attributes
    ----------
    kind
        "subscriptions", "invoice_lines" or "cohort_counts".
    columns
        Ours = theirs.
    date_order, decimal
        Of text: day or month first, the decimal mark; found in the file where it settles them.
    minor_units
        Amounts are cents.
    interval
        How often is paid, such as "month" or "1 year", where no column says it.
    currency
        Of the amounts where no column says it; of several, the one that is scored.
    grace_days
        A gap no longer than that is no end of a contract.
    observed_from
        The first day that the table knows of: contracts that ended before are not in it.
    as_of
        The last day that it knows of.
    covariates
        Columns by which customers may differ in how long they stay.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    columns: Mapping[str, str]
    date_order: Literal["dmy", "mdy"] | None = None
    decimal: Literal[".", ",", "both"] | None = None
    minor_units: bool = False
    interval: str | None = None
    currency: str | None = None
    grace_days: int = GRACE
    observed_from: dt.date | None = None
    as_of: dt.date | None = None
    covariates: Words = ()

    @model_validator(mode="after")
    def _columns_are_of_the_kind(self) -> Self:
        if unknown := unknown_columns(self.columns, words()[self.kind], TITLES[self.kind]):
            raise ValueError(unknown)
        return self


@cache
def words() -> Mapping[str, Mapping[str, list[str]]]:
    """``words.toml``, by section and key."""
    return tomllib.loads((files("clv.contracts") / "words.toml").read_text(encoding="utf-8"))


def recognise_contracts(names: Sequence[str]) -> ContractRecipe | None:
    """How a table with these columns is read; None if it is no table of contracts.

    >>> recipe = recognise_contracts(["Customer ID", "Plan", "Interval", "Start (UTC)", "Amount"])
    >>> recipe.kind, recipe.columns["start"]
    ('subscriptions', 'Start (UTC)')
    >>> recognise_contracts(["CustomerID", "InvoiceDate", "Quantity", "UnitPrice"]) is None
    True
    """
    for kind in KINDS:
        columns = _columns(kind, names)
        if all(role in columns for role in words()["needed"][kind]) and _fits(kind, columns):
            return ContractRecipe(kind=kind, columns=columns)
    return None


def _columns(kind: Kind, names: Sequence[str]) -> dict[str, str]:
    theirs = {plain(name).removesuffix("utc"): name for name in reversed(names)}  # "Start (UTC)"
    theirs |= {plain(name): name for name in reversed(names)}
    columns: dict[str, str] = {}
    for role, spellings in words()[kind].items():
        free = [w for w in spellings if w in theirs and theirs[w] not in columns.values()]
        if free:
            columns[role] = theirs[free[0]]
    return columns


def _fits(kind: Kind, columns: Mapping[str, str]) -> bool:
    """Whether a table of subscriptions says how often is paid, or until when."""
    if kind != "subscriptions":
        return True
    started = plain(columns["start"])
    weak = started.startswith("created")  # orders are created, too
    price = {"amount", "total", "monthly"} & set(columns)
    if weak:
        return bool(price) and "interval" in columns
    return bool({"interval", "end", "trial_end"} & set(columns))


def recipe_for(source: Source, stated: Mapping[str, Any] | None = None) -> ContractRecipe:
    """How a source is read: as recognised, with what is stated in its place.

    Raises
    ------
    InputError
        It is no table of contracts, or a stated column is missing.
    """
    fields = {name: value for name, value in (stated or {}).items() if value is not None}
    columns = dict(fields.pop("columns", {}))
    renamed = [name for name in source.names if name not in columns.values()]
    proposed = recognise_contracts([*columns, *renamed])  # stated columns under our names
    if proposed is None:
        raise InputError(
            f"this is no table of contracts; its columns are {', '.join(source.names)}.",
            hint="subscriptions need customer_id, start and interval or end; lines of invoices "
            "service_period_start and service_period_end; counts cohort, period and active. "
            "Name them by columns={'start': 'Begin'}.",
        )
    others = {role: name for role, name in proposed.columns.items() if role not in columns}
    for name in columns.values():
        source.column(name)
    if unknown := unknown_columns(columns, words()[proposed.kind], TITLES[proposed.kind]):
        raise InputError(f"{unknown}.", hint=OURS_FIRST)
    return proposed.model_copy(update={**fields, "columns": {**others, **columns}})


def parse_interval(text: object, count: object = None) -> Interval | None:
    """A billing period out of words, or None.

    >>> parse_interval("3-month"), parse_interval("year", 2)
    (Interval(unit='month', length=3), Interval(unit='month', length=24))
    """
    match = re.fullmatch(r"(?:every|per)?(\d*)(?:x)?(\D+?)", plain(str(text or "")))
    try:
        number = int(float(str(count))) if count not in (None, "") else 1
    except (ValueError, OverflowError):
        return None
    if match is None or not number:
        return None
    many = number * int(match[1] or 1)
    for name, spellings in words()["interval"].items():
        if match[2] in spellings and 0 < many <= 1200:
            if name in DAYS:
                return Interval("day", many * DAYS[name])
            return Interval("month", many * MONTHS[name])
    return None
