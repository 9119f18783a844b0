"""A proposal while it is being made: what is settled so far, and looks at columns, once each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from clv.intake.moments import Moments, look_at_moments
from clv.intake.numbers import Amounts, look_at_amounts
from clv.intake.recipe import OPEN, Columns, Recipe
from clv.intake.sources import Source

FEW_CELLS = 60  # a status or kind has no more different cells


@dataclass(frozen=True)
class AnswerOption:
    """One way to decide, and what it gives."""

    value: str
    purchases: int | None = None
    amount: float | None = None


@dataclass(frozen=True)
class Question:
    """A decision that only the user can make.

    Attributes
    ----------
    field
        Of the recipe, such as "decimal" or "columns.amount".
    text
        What is unclear, with an example.
    choices
        What may be answered, with purchases and sum of each where they can be worked out.
    """

    field: str
    text: str
    choices: tuple[AnswerOption, ...] = ()


@dataclass
class Draft:
    """A proposal while it is being made."""

    source: Source
    today: dt.date
    columns: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    looks: dict[str, Any] = field(default_factory=dict)
    stated: frozenset[str] = frozenset()  # roles whose column the user names

    def recipe(self, **changes: Any) -> Recipe:
        """The recipe as far as it is settled, with some fields otherwise."""
        columns = {**self.columns, **changes.pop("columns", {})}
        return Recipe(columns=Columns(**columns), **{**self.fields, **changes})

    def amounts(self, name: str) -> Amounts:
        """What a column looks like as amounts, looked at once."""
        key = f"amounts {name}"
        if key not in self.looks:
            self.looks[key] = look_at_amounts(self.source.rows, self.source.column(name))
        return self.looks[key]  # type: ignore[no-any-return]

    def moments(self, name: str) -> Moments:
        """What a column looks like as dates, looked at once."""
        key = f"moments {name}"
        if key not in self.looks:
            text = f"{self.source.column(name)}::VARCHAR"
            self.looks[key] = look_at_moments(self.source.rows, text)
        return self.looks[key]  # type: ignore[no-any-return]

    def cells(self, name: str) -> dict[str, int]:
        """The different cells of a column that has few of them, with their count."""
        cell = f"trim({self.source.column(name)}::VARCHAR)"
        counts = self.source.rows.filter(f"{cell} <> ''").aggregate(
            f"{cell} AS cell, count(*) AS n"
        )
        return dict(counts.order("n DESC, cell").limit(FEW_CELLS + 1).fetchall())

    def filled(self, name: str) -> float:
        """The share of rows in which a column has something."""
        cell = f"trim({self.source.column(name)}::VARCHAR)"
        share = self.source.rows.aggregate(f"avg(CASE WHEN {cell} <> '' THEN 1.0 ELSE 0.0 END)")
        return float(share.fetchall()[0][0] or 0.0)


def stand_ins(draft: Draft) -> dict[str, Any]:
    """Stand-ins for open fields, with which rows can be looked at all the same."""
    stand_ins: dict[str, Any] = {}
    if draft.fields.get("decimal") == OPEN:
        stand_ins["decimal"] = "."
    if draft.fields.get("date_order") == OPEN:
        stand_ins["date_order"] = "dmy"
    if draft.fields.get("rows") == OPEN:
        stand_ins["rows"] = "lines"
    if draft.fields.get("duplicates") == OPEN:
        stand_ins["duplicates"] = "keep"
    if draft.fields.get("currency") == OPEN:
        stand_ins["currency"] = None
    return stand_ins


def listed(value: Any) -> tuple[str, ...]:
    """A column, several or none as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value or ())
