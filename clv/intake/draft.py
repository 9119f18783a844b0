"""A proposal while it is being made: what is settled so far, and looks at columns, once each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from clv.findings import Finding
from clv.intake.moments import Moments, look_at_moments, moments_by_name
from clv.intake.numbers import Amounts, amounts_by_name, look_at_amounts
from clv.intake.recipe import OPEN, Columns, Recipe
from clv.intake.sources import Source
from clv.intake.vocabulary import Role, vocabulary

FEW_CELLS = 60  # a status or kind has no more different cells
SURE = 0.9  # of the filled cells are what a column is taken for
NUMBERS = ("BIGINT", "INTEGER", "DOUBLE", "FLOAT", "DECIMAL", "SMALLINT", "TINYINT", "HUGEINT")
GLANCE, ENOUGH = 2000, 20  # rows of a first look, and filled cells of it that say something


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

    @property
    def hint(self) -> str:
        """Where the answer goes.

        >>> Question("columns.date", "Which column says when the order was placed?").hint
        'add -c date=COLUMN, or write it in [data.columns] of the file that clv init makes.'
        """
        section, _, role = self.field.rpartition(".")
        if section == "columns":
            return (
                f"add -c {role}=COLUMN, or write it in [data.columns] of the file that clv init "
                "makes."
            )
        if section == "" and role.startswith("unclear_"):
            fields = " or ".join(role.replace("unclear", way) for way in ("counted", "leave_out"))
            return f"move the words to {fields} in [data] of the file that clv init writes."
        return f"answer by {self.field} in [data]; clv init writes such a file."


@dataclass
class Draft:
    """A proposal while it is being made."""

    source: Source
    today: dt.date
    columns: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    looks: dict[str, Any] = field(default_factory=dict)
    stated: frozenset[str] = frozenset()  # roles whose column the user names
    kept_out: frozenset[str] = frozenset()  # roles of which he says that no column has them
    described: bool = False  # by a recipe: it names the columns that are used

    def recipe(self, **changes: Any) -> Recipe:
        """The recipe as far as it is settled, with some fields otherwise."""
        columns = {**self.columns, **changes.pop("columns", {})}
        return Recipe(columns=Columns(**columns), **{**self.fields, **changes})

    def amounts(self, name: str) -> Amounts:
        """What a column looks like as amounts, looked at once."""
        key = f"amounts {name}"
        if key not in self.looks:
            first = self._looks_of_all.get(name)
            column = self.source.column(name)
            self.looks[key] = first[1] if first else look_at_amounts(self.source.rows, column)
        return self.looks[key]  # type: ignore[no-any-return]

    def moments(self, name: str) -> Moments:
        """What a column looks like as dates, looked at once."""
        key = f"moments {name}"
        if key not in self.looks:
            first = self._looks_of_all.get(name)
            text = f"{self.source.column(name)}::VARCHAR"
            self.looks[key] = first[0] if first else look_at_moments(self.source.rows, text)
        return self.looks[key]  # type: ignore[no-any-return]

    @property
    def glances(self) -> dict[str, tuple[Moments, Amounts]]:
        """How each column of text looks in the first rows, where enough of it is filled there."""
        return {
            name: look
            for name, look in self._first_looks.items()
            if sum(look[0].shapes.values()) >= ENOUGH
        }

    @cached_property
    def _first_looks(self) -> dict[str, tuple[Moments, Amounts]]:
        """How each column of text that is not empty there looks in the first rows, in one pass."""
        names = [n for n in self.source.names if self.source.names.count(n) == 1]
        columns = {self.source.column(n): n for n in names if self.source.type_of(n) == "VARCHAR"}
        pairs = ", ".join(f"{{'name': '{c}', 'cell': {c}::VARCHAR}}" for c in columns)
        if not columns:
            return {}
        cells = self.source.rows.limit(GLANCE).project(f"unnest([{pairs}]) AS pair")
        cells = cells.project("pair.name AS name, pair.cell AS cell")
        moments, amounts = moments_by_name(cells), amounts_by_name(cells)
        both = moments.keys() & amounts.keys()
        return {columns[name]: (moments[name], amounts[name]) for name in both}

    @cached_property
    def _looks_of_all(self) -> dict[str, tuple[Moments, Amounts]]:
        """The first looks, where the first rows are all."""
        more = self.source.rows.limit(GLANCE + 1).project("1").fetchall()[GLANCE:]
        return {} if more else self._first_looks

    def cells(self, name: str) -> dict[str, int]:
        """The different cells of a column that has few of them, with their count."""
        cell = f"trim({self.source.column(name)}::VARCHAR)"
        counts = self.source.rows.filter(f"{cell} <> ''").aggregate(
            f"{cell} AS cell, count(*) AS n"
        )
        return dict(counts.order("n DESC, cell").limit(FEW_CELLS + 1).fetchall())

    def of_three_letters(self, name: str) -> bool:
        """Whether what a column has in the first rows are words of three letters, as codes are."""
        if "codes" not in self.looks:
            each = (
                f"bool_and(regexp_full_match(trim(c{k}::VARCHAR), '([A-Za-z]{{3}})?'))"
                for k in range(len(self.source.names))
            )
            found = self.source.rows.limit(GLANCE).aggregate(", ".join(each)).fetchall()[0]
            self.looks["codes"] = found
        return bool(self.looks["codes"][int(self.source.column(name)[1:])])

    def of_sides(self, name: str) -> bool:
        """Whether cells of a column are words for debit and credit."""
        words = {word for key in vocabulary()["sides"].values() for word in key}
        look = self._first_looks.get(name)  # a column of other words is soon told by one of them
        first = look and look[1].examples.get("unreadable")
        if not first or first.lower().strip(" .") not in words:
            return False
        return all(cell.lower().strip(" .") in words for cell in self.cells(name))

    @property
    def free(self) -> list[str]:
        """Columns that are nothing else yet, of one name each."""
        taken = {name for value in self.columns.values() for name in listed(value)}
        names = self.source.names
        return [name for name in names if name not in taken and names.count(name) == 1]

    def may_have(self, role: Role) -> bool:
        """Whether a role may have a column that nobody named: not of files that are described."""
        described = "format" in self.fields or self.described
        return role in self.columns or not (described or role in self.kept_out)

    def is_number(self, name: str) -> bool:
        """Whether a column holds numbers."""
        if self.source.type_of(name) != "VARCHAR":
            return self.source.type_of(name).startswith(NUMBERS)
        return self.filled(name) > 0 and self.amounts(name).readable >= SURE

    @cached_property
    def rows(self) -> int:
        """The rows of the source."""
        return int(self.source.rows.aggregate("count(*)").fetchall()[0][0])

    def filled(self, name: str) -> float:
        """The share of rows in which a column has something."""
        return float(self._filled[int(self.source.column(name)[1:])] or 0.0)

    @cached_property
    def _filled(self) -> Sequence[float | None]:
        """That share of every column, in one pass."""
        kinds = enumerate(self.source.types)
        tests = (f"trim(c{k}) <> ''" if t == "VARCHAR" else f"c{k} IS NOT NULL" for k, t in kinds)
        shares = ", ".join(f"avg(CASE WHEN {test} THEN 1.0 ELSE 0.0 END)" for test in tests)
        row: Sequence[float | None] = self.source.rows.aggregate(shares).fetchall()[0]
        return row


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
    if draft.fields.get("minus") == OPEN:
        stand_ins["minus"] = ()
    if draft.fields.get("cancelled") == OPEN:
        stand_ins["cancelled"] = "count"
    if draft.fields.get("discount") == OPEN:
        stand_ins["discount"] = "none"
    return stand_ins


def listed(value: Any) -> tuple[str, ...]:
    """A column, several or none as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value or ())
