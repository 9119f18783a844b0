"""Columns of a table of contracts as inputs of a classifier, learned from the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.churn.reasons import Facts, Words
from clv.errors import ColumnError, InputError
from clv.findings import Finding, finding
from clv.format import count
from clv.schema import Floats, collect

LEVELS = 30  # values of a text column; one with more is an identifier or free text


@dataclass(frozen=True)
class ContractColumn:
    """How a column becomes inputs: a number on a standard scale, or one input per value.

    Attributes
    ----------
    name
        Of the column.
    middle, spread
        Median and standard deviation of a number; a missing one counts as the median.
    levels
        The values of a text column; empty for a number. A value that is none of them is no input.
    """

    name: str
    middle: float = 0.0
    spread: float = 1.0
    levels: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return tuple(f"{self.name}={level}" for level in self.levels) or (self.name,)

    def encode(self, values: nw.Series[Any]) -> Floats:
        """Its inputs, shape (n, number of inputs)."""
        if self.levels:
            texts = as_texts(values)
            return np.column_stack([texts == level for level in self.levels]).astype(np.float64)
        numbers = as_numbers(values)
        if np.isnan(numbers).all() and any(as_texts(values)):
            raise ColumnError(
                f"column {self.name!r} holds {values.dtype}, but numbers were learned from.",
                hint="convert it to numbers, missing ones left out.",
            )
        filled = np.where(np.isnan(numbers), self.middle, numbers)
        return np.asarray((filled - self.middle) / self.spread)[:, None]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "middle": self.middle,
            "spread": self.spread,
            "levels": list(self.levels),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The column that ``to_dict`` wrote."""
        return cls(saved["name"], saved["middle"], saved["spread"], tuple(saved["levels"]))


def usable_columns(
    rows: nw.DataFrame[Any], without: set[str]
) -> tuple[list[ContractColumn], dict[str, str]]:
    """The columns that can be learned from, and why the others cannot."""
    columns, ignored = [], {}
    for name in rows.columns:
        if name in without:
            continue
        column = _column(rows[name])
        if isinstance(column, str):
            ignored[name] = column
        else:
            columns.append(column)
    if not columns:
        raise InputError("no column is left to learn from.")
    return columns, ignored


def _column(values: nw.Series[Any]) -> ContractColumn | str:
    """How to use a column, or why not."""
    if values.dtype.is_temporal():
        return "a date: turn it into a time since"
    if values.name.lower().endswith("id") and values.n_unique() == len(values):
        return "an identifier"
    number = as_numbers(values)
    if not np.isnan(number).all():
        spread = float(np.nanstd(number))
        if spread == 0:
            return "the same for everybody"
        return ContractColumn(values.name, float(np.nanmedian(number)), spread)
    levels = sorted(set(as_texts(values)))
    if len(levels) > LEVELS:
        return f"{count(len(levels))} different texts: an identifier or free text"
    return (
        ContractColumn(values.name, levels=tuple(levels)) if len(levels) > 1 else "one value only"
    )


def encode_columns(table: IntoFrame, columns: Sequence[ContractColumn]) -> Floats:
    """The inputs of a classifier from all columns, shape (n, number of inputs)."""
    rows = collect(table, [column.name for column in columns], "the table")
    return np.column_stack([column.encode(rows[column.name]) for column in columns])


def topics_of_columns(columns: Sequence[ContractColumn]) -> dict[str, str]:
    """The column that each input is made of."""
    return {name: column.name for column in columns for name in column.inputs}


def describe(column: ContractColumn) -> Words:
    """Words for what a column says of a customer."""
    name, middle = column.name, column.middle

    def level(facts: Facts, i: int) -> Finding:
        value = facts[name][i]
        if not value:
            return finding("churn_reason.not_known", column=name)
        return finding("churn_reason.level", column=name, value=value)

    def number(facts: Facts, i: int) -> Finding:
        value = float(facts[name][i])
        if np.isnan(value):
            return finding("churn_reason.not_known_number", column=name, middle=middle)
        return finding("churn_reason.number", column=name, value=value, middle=middle)

    return level if column.levels else number


def as_numbers(values: nw.Series[Any]) -> Floats:
    """A column as numbers; all NaN if any text in it is neither a number nor blank."""
    if values.dtype == nw.Boolean or not values.dtype.is_numeric():
        try:
            return np.array([float(text) if text else np.nan for text in as_texts(values)])
        except ValueError:
            return np.full(len(values), np.nan)
    return np.asarray(values.cast(nw.Float64).to_numpy(), dtype=np.float64)


def as_texts(values: nw.Series[Any]) -> NDArray[Any]:
    """A column as texts without blanks around them; a missing one is empty."""
    texts = [
        "" if value is None or value != value else str(value).strip() for value in values.to_list()
    ]
    return np.array(texts, dtype=object)
