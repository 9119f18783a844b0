"""What the forms of an upload say: columns and answers, terms; as ``[data]`` and ``[terms]``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from clv.app.training.config import Money
from clv.errors import InputError
from clv.intake.recipe import Columns
from clv.io.settings_errors import settings_of
from clv.web.access.forms import form_body

REPEATS = ("keep", "drop")  # of rows that repeat another
NOBODY, CELLS = "", {"count": "counted", "leave out": "leave_out"}
Pairs = Sequence[tuple[str, str]]


async def pairs_of(request: Request) -> Pairs:
    """The fields of a form, in order; none of one that cannot be read."""
    body = await form_body(request.receive)
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=500)
    except ValueError:
        return []


def column_value(names: Any) -> str:
    """A column, or several that belong together, as the value of an option."""
    return json.dumps(names) if names else NOBODY


def answers_of(pairs: Pairs, check: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What is decided of a file, beside what was decided before.

    Parameters
    ----------
    pairs
        Of the form: ``column.ROLE``, ``answer.FIELD``, and ``cell.FIELD`` for each unclear cell.
    check
        What the page showed.
    before
        The answers of the check that was shown.

    Raises
    ------
    InputError
        A column is none of the file.
    """
    fields = dict(pairs)
    columns = {
        role: _column(fields[f"column.{role}"], check["names"])
        for role in Columns.model_fields
        if f"column.{role}" in fields
    }
    proposed = check["columns"]
    changed = {role: name for role, name in columns.items() if name != proposed.get(role)}
    answers = {
        name.removeprefix("answer."): value
        for name, value in fields.items()
        if name.startswith("answer.") and value
    }
    allowed = {question["field"] for question in check["questions"]}
    allowed |= {"duplicates"} if answers.get("duplicates") in REPEATS else set()
    answers = {name: value for name, value in answers.items() if name in allowed}
    for question, cells in check["unclear"].items():
        decided = [value for name, value in pairs if name == f"cell.{question}"]
        answers |= _of_cells(question, cells, decided, before)
    return {**before, **answers, "columns": {**before.get("columns", {}), **changed}}


def _column(value: str, names: Sequence[str]) -> Any:
    """The column that an option stands for; None for none."""
    try:
        chosen = json.loads(value) if value else None
    except ValueError:
        chosen = value
    parts = chosen if isinstance(chosen, list) else [chosen]
    if chosen is not None and not all(part in names for part in parts):
        raise InputError(f"the file has no column {str(chosen)[:40]!r}.", hint="choose one of it.")
    return chosen


def _of_cells(
    field: str, cells: Sequence[str], decided: Sequence[str], before: Mapping[str, Any]
) -> dict[str, Any]:
    """Cells that were unclear, under what counts and what is left out."""
    answers: dict[str, Any] = {}
    for cell, choice in zip(cells, decided, strict=False):
        if choice in CELLS:
            name = field.replace("unclear", CELLS[choice])
            answers[name] = [*answers.get(name, before.get(name, ())), cell]
    return answers


def terms_of_form(pairs: Pairs) -> dict[str, Any]:
    """The terms that were typed; what was not, stays as it was.

    >>> terms_of_form([("margin", "30"), ("discount", ""), ("currency", "eur")])
    {'margin_rate': 0.3, 'currency': 'EUR'}
    """
    fields = {name: value.strip() for name, value in pairs}
    terms: dict[str, Any] = {}
    for name, field in (("margin", "margin_rate"), ("discount", "annual_discount_rate")):
        if fields.get(name):
            terms[field] = _share(fields[name], name)
    if fields.get("horizon"):
        terms["horizon"] = fields["horizon"]
    if fields.get("currency"):
        terms["currency"] = fields["currency"].upper()
    settings_of(Money, terms, "the form", "correct it in the form, and send it again.")
    return terms


def _share(text: str, name: str) -> float:
    try:
        return float(text.removesuffix("%").replace(",", ".")) / 100
    except ValueError as error:
        raise InputError(f"{name} {text[:20]!r} is no number.", hint="type percent: 30.") from error
