"""A recipe for files nobody has described: what each column is and why, and what must be asked.

A choice is made where the file itself settles it, by name and by content. Where two readings give
different sums, both are worked out and the user says which: the recipe then holds ``"?"``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clv.errors import ClvError, InputError
from clv.findings import Finding, finding
from clv.intake.amount_columns import (
    settle_adjusted,
    settle_included_refund,
    settle_minor_units,
)
from clv.intake.column_roles import guess, settle_roles
from clv.intake.debit_credit import settle_counterpart, settle_sides
from clv.intake.discounts import settle_discount
from clv.intake.draft import AnswerOption, Draft, Question, stand_ins
from clv.intake.flag_columns import settle_cancelled, settle_refund_flags
from clv.intake.formats import formats, recognise
from clv.intake.period_columns import DAY, MONEY
from clv.intake.reading import judged
from clv.intake.recipe import OPEN, Columns, Recipe
from clv.intake.row_meanings import settle_kinds, settle_statuses
from clv.intake.settings import (
    settle_currency,
    settle_customer_column,
    settle_customers,
    settle_dates,
    settle_decimal,
    settle_duplicates,
    settle_rows,
)
from clv.intake.sources import Source, require_rows
from clv.io.settings_errors import OURS_FIRST, unknown_columns

STEPS: tuple[Callable[[Draft], None], ...] = (
    settle_counterpart,
    settle_roles,
    settle_refund_flags,
    settle_adjusted,
    settle_decimal,
    settle_included_refund,
    settle_dates,
    settle_minor_units,
    settle_discount,
    settle_sides,
    settle_statuses,
    settle_cancelled,
    settle_kinds,
    settle_currency,
    settle_rows,
    settle_duplicates,
    settle_customers,
    settle_customer_column,
)


@dataclass(frozen=True)
class UnusedColumn:
    """A column that the recipe does not use, and what it seems to hold."""

    name: str
    holds: str


@dataclass(frozen=True)
class Proposal:
    """A recipe with its reasons.

    Attributes
    ----------
    recipe
        Open where ``questions`` ask.
    reasons
        Why a field is as it is, in a sentence, by the field's name.
    questions
        What must be decided.
    notes
        What the user should know, though nothing depends on an answer.
    unused
        The columns that are not used, those that may touch the sum first.
    """

    recipe: Recipe
    reasons: Mapping[str, str]
    questions: tuple[Question, ...]
    notes: tuple[Finding, ...]
    unused: tuple[UnusedColumn, ...]


def propose(
    source: Source,
    *,
    stated: Mapping[str, Any] | None = None,
    today: dt.date | None = None,
    described: bool = False,
) -> Proposal:
    """A recipe for a source.

    Parameters
    ----------
    source
        From :func:`clv.intake.sources.read_source`.
    stated
        Fields of the recipe that are decided already; ``columns`` may name some roles.
    today
        Later dates speak against a reading; by default the present day.
    described
        Whether ``stated`` is a whole recipe, which has the columns that are used: where it names
        customer and date, none is looked for beside the amount.

    Returns
    -------
    Proposal
    """
    stated_fields = dict(stated or {})
    draft = Draft(source, today or dt.date.today())
    _require_rows_and_say_notes(draft)
    _format(draft, stated_fields)
    _take_stated(draft, stated_fields, described)
    for step in STEPS:
        step(draft)
    questions = tuple(_with_outcomes(draft, question) for question in draft.questions)
    open_columns = {
        q.field.removeprefix("columns."): OPEN for q in questions if "columns." in q.field
    }
    recipe = draft.recipe(columns=open_columns)
    return Proposal(
        recipe, draft.reasons, questions, tuple(draft.notes), tuple(_unused(draft, recipe))
    )


def _require_rows_and_say_notes(draft: Draft) -> None:
    """Refuse a file without rows; name the lines below a table."""
    require_rows(draft.source)
    if draft.source.below:
        lines = ", ".join(repr(line[:60]) for line in draft.source.below[:3])
        n = len(draft.source.below)
        draft.notes.append(finding("check.lines_below", lines=n, examples=lines))
    if groups := draft.source.groups:
        draft.notes.append(finding("check.groups", lines=groups))
    if periods := draft.source.periods:
        draft.columns |= {"date": DAY, "amount": MONEY}
        draft.reasons |= dict.fromkeys(("date", "amount"), f"{periods[0]} and so on are columns")
        draft.notes.append(
            finding("check.periods", columns=len(periods), first=periods[0], last=periods[-1])
        )
    if headers := draft.source.headers:
        draft.notes.append(finding("check.headers", lines=headers))


def _take_stated(draft: Draft, stated_fields: dict[str, Any], described: bool) -> None:
    """What is stated comes before what a format says."""
    columns = _columns_stated(stated_fields.pop("columns", {}))
    draft.columns |= columns
    draft.stated = frozenset(columns)
    draft.described = described and {"customer_id", "date"} <= draft.stated
    draft.columns = {role: name for role, name in draft.columns.items() if name is not None}
    draft.kept_out = frozenset(columns) - frozenset(draft.columns)
    draft.fields |= stated_fields


def _columns_stated(columns: Any) -> dict[str, Any]:
    """The columns that are stated; one stated as None is kept out."""
    is_model = isinstance(columns, Columns)
    plain_columns = columns.model_dump(exclude_none=True) if is_model else dict(columns)
    if unknown := unknown_columns(plain_columns, Columns.model_fields, "a log"):
        raise InputError(f"{unknown}.", hint=OURS_FIRST)
    return {role: name for role, name in plain_columns.items() if name != OPEN}


def _format(draft: Draft, stated_fields: dict[str, Any]) -> None:
    name = stated_fields.get("format") or recognise(draft.source.names)
    if name is None or name not in formats():
        return
    kind = formats()[name]
    draft.fields |= {"format": name, **kind.data}
    draft.columns |= kind.mapped(_with_content(draft))
    draft.reasons |= dict.fromkeys(draft.columns, f"as {kind.title} names it")
    draft.reasons["format"] = f"recognised by its columns: {kind.title}"
    if kind.note:
        draft.notes.append(finding("check.format", note=kind.note))


def _with_content(draft: Draft) -> list[str]:
    """The columns in which anything stands: an export may have a user_id that is always empty."""
    names = draft.source.names
    return [name for name in names if names.count(name) > 1 or draft.filled(name)]


def _with_outcomes(draft: Draft, question: Question) -> Question:
    """The question with purchases and sum of each choice, the other open fields aside."""
    section, _, role = question.field.rpartition(".")
    if OPEN in map(str, draft.columns.values()):
        return question
    choices = []
    for choice in question.choices:
        change = {"columns": {role: choice.value}} if section else {role: choice.value}
        changes: dict[str, Any] = {**stand_ins(draft), **change}
        if question.field.startswith("unclear_"):
            unclear = draft.fields[question.field] if choice.value == "leave out" else ()
            out = question.field.replace("unclear", "leave_out")
            changes |= {out: (*draft.fields.get(out, ()), *unclear), question.field: ()}
        try:
            table = judged(draft.source, draft.recipe(**changes), today=draft.today)
        except ClvError:
            choices.append(choice)
            continue
        orders = table.filter("_why IS NULL AND _amount > 0")
        days = orders.aggregate("count(DISTINCT (_customer, _at::DATE))").fetchall()[0][0]
        total = table.filter("_why IS NULL").aggregate("coalesce(sum(_amount), 0)").fetchall()[0][0]
        choices.append(AnswerOption(choice.value, int(days), round(float(total), 2)))
    return Question(question.field, question.text, tuple(choices))


def _unused(draft: Draft, recipe: Recipe) -> Iterator[UnusedColumn]:
    """Columns that are not used: money, refunds, status, currency and dates first."""
    used = {name for role in Columns.model_fields for name in recipe.names(role)}
    free = [name for name in draft.source.names if name not in used]
    for name in draft.glances.keys() & set(free):  # a guess needs no more than the first rows
        moments, amounts = draft.glances[name]
        draft.looks.setdefault(f"moments {name}", moments)
        draft.looks.setdefault(f"amounts {name}", amounts)
    guesses = {name: guess(draft, name) for name in free}
    ranks = ("money", "refunds", "a status", "currencies", "dates", "customers")
    order = {name: ranks.index(g) if g in ranks else len(ranks) for name, g in guesses.items()}
    for name in sorted(free, key=order.__getitem__):
        yield UnusedColumn(name, guesses[name])
