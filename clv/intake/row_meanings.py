"""Which rows are purchases, by a column of their status or of their kind."""

from __future__ import annotations

from collections.abc import Sequence

from clv.findings import finding
from clv.intake.column_roles import UNDONE
from clv.intake.draft import AnswerOption, Draft, Question
from clv.intake.numbers import negative_sql
from clv.intake.recipe import OPEN
from clv.intake.row_reasons import among
from clv.intake.vocabulary import (
    meaning_of_kind,
    meaning_of_status,
    plain,
    vocabulary,
)

KINDS = {
    "counted_kinds": "sale", "refund_kinds": "refund", "leave_out_kinds": "other",
    "unclear_kinds": "unknown",
}  # fmt: skip
STATUSES = ("counted_status", "leave_out_status", "refunded_status", "pending_status")


def settle_statuses(draft: Draft) -> None:
    """Which statuses stand for no purchase; those of no known meaning are asked."""
    name = draft.columns.get("status")
    if not name:
        return
    cells = draft.cells(name)
    groups: dict[str, list[str]] = {}
    settled = {word.lower() for key in STATUSES for word in draft.fields.get(key, ())}
    for cell in (cell for cell in cells if cell.lower() not in settled):
        groups.setdefault(meaning_of_status(cell), []).append(cell)
    fields = {
        "counted_status": _reversals(draft, name, groups),
        "leave_out_status": groups.get("cancelled", []),
        "refunded_status": groups.get("refunded", []),
        "pending_status": groups.get("pending", []),
        "unclear_status": groups.get("unknown", []),
    }
    for key, words in fields.items():
        if words:
            draft.fields[key] = tuple(dict.fromkeys((*draft.fields.get(key, ()), *words)))
    if unknown := draft.fields.get("unclear_status"):
        text = (
            f"Do orders with the status {' or '.join(map(repr, unknown[:3]))} count as purchases? "
            "Move each to counted_status or to leave_out_status."
        )
        draft.questions.append(
            Question("unclear_status", text, (AnswerOption("count"), AnswerOption("leave out")))
        )
    partly = groups.get("partly_refunded", [])
    if partly and not draft.columns.get("refund"):
        count = sum(cells[cell] for cell in partly)
        draft.notes.append(finding("check.refunded_in_part", orders=count))


def _reversals(draft: Draft, name: str, groups: dict[str, list[str]]) -> list[str]:
    """Takes out those whose rows all pay back: they undo an order that has a row of its own."""
    ends = [cell for meaning in UNDONE for cell in groups.get(meaning, ())]
    undo = [cell for cell in ends if signs(draft, name, cell) == {True}]
    for meaning in UNDONE:
        groups[meaning] = [cell for cell in groups.get(meaning, ()) if cell not in undo]
    if undo:
        draft.notes.append(finding("check.reversals", column=name, statuses=undo[:3]))
    return undo


def settle_kinds(draft: Draft) -> None:
    """Which kinds of row are refunds, and which are no orders."""
    name = draft.columns.get("kind")
    if not name:
        return
    fields = {meaning: key for key, meaning in KINDS.items()}
    settled = {word.lower() for key in KINDS for word in draft.fields.get(key, ())}
    cells = [cell for cell in draft.cells(name) if cell.lower() not in settled]
    groups: dict[str, list[str]] = {}
    for cell in cells:
        meaning = meaning_of_kind(cell)
        if meaning == "unknown" and not _carries_money(draft, name, cell):
            meaning = "other"  # such as a page that was looked at
        groups.setdefault(fields[meaning], []).append(cell)
    _part_payments(groups)
    if groups.get("refund_kinds") and "format" not in draft.fields:
        _count_refunded(draft, name, groups["refund_kinds"])
    if not settled and "counted_kinds" not in groups and "format" not in draft.fields:
        draft.columns.pop("kind")
        return
    for key, words in groups.items():
        if key != "counted_kinds":
            draft.fields[key] = tuple(dict.fromkeys((*draft.fields.get(key, ()), *words)))
    if unclear := draft.fields.get("unclear_kinds"):
        text = (
            f"Do rows of the kind {' or '.join(map(repr, unclear[:3]))} count as purchases? "
            "Move each to counted_kinds, refund_kinds or leave_out_kinds."
        )
        choices = (AnswerOption("count"), AnswerOption("leave out"))
        draft.questions.append(Question("unclear_kinds", text, choices))


def _count_refunded(draft: Draft, kind: str, refunds: Sequence[str]) -> None:
    """Orders refunded in full count where rows of refunds undo them: none is taken off twice."""
    status, words = draft.columns.get("status"), draft.fields.get("refunded_status", ())
    if not status or not words:
        return
    cells = (f"trim({draft.source.column(each)}::VARCHAR)" for each in (kind, status))
    back, undone = (among(cell, of) for cell, of in zip(cells, (refunds, words), strict=True))
    rows = f"count(*) FILTER ({back}), count(*) FILTER ({undone} AND NOT {back})"
    refunded, sold = draft.source.rows.aggregate(rows).fetchall()[0]
    if refunded >= sold:
        draft.fields["counted_status"] = (*draft.fields.get("counted_status", ()), *words)
        del draft.fields["refunded_status"]
        draft.notes.append(finding("check.undone", column=kind, statuses=words[:3]))


def _part_payments(groups: dict[str, list[str]]) -> None:
    """Payments beside invoices are asked about: an invoice and its payment are one purchase."""
    words, counted_kinds = vocabulary()["settling"], groups.get("counted_kinds", [])
    if any(plain(cell) in words["invoice"] for cell in counted_kinds):
        payments = [cell for cell in counted_kinds if plain(cell) in words["payment"]]
        groups["counted_kinds"] = [cell for cell in counted_kinds if cell not in payments]
        if payments:
            groups.setdefault("unclear_kinds", []).extend(payments)


def _carries_money(draft: Draft, name: str, cell: str) -> bool:
    """Whether rows of a kind have an amount other than zero."""
    return draft.columns.get("amount") in (None, OPEN) or bool(signs(draft, name, cell))


def signs(draft: Draft, name: str, cell: str) -> set[bool]:
    """Whether the amounts of rows with that cell are below 0, those of zero left out."""
    amount = draft.columns.get("amount") or draft.columns.get("quantity")
    if not isinstance(amount, str) or amount == OPEN:
        return set()
    names = [amount, *([other] if (other := draft.columns.get("counterpart")) else [])]
    cells = ", ".join(f"{draft.source.column(each)}::VARCHAR" for each in names)
    text = f"concat_ws(' ', {cells})"
    of_cell = f"trim({draft.source.column(name)}::VARCHAR) = '{cell.replace(chr(39), chr(39) * 2)}'"
    rows = draft.source.rows.filter(f"{of_cell} AND regexp_matches({text}, '[1-9]')")
    found = rows.project(f"{negative_sql(text)} AS below").distinct().fetchall()
    return {bool(below) for (below,) in found}
