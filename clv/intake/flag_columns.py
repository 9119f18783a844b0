"""Columns that say yes of orders that were called off, or of rows that pay back.

A status or a kind of row is what decides; where a file has neither, such a column is taken for it.
Where it has, or where the column says when instead of whether, the rows are counted and said.
"""

from __future__ import annotations

from typing import Literal

from clv.format import counted
from clv.intake.column_roles import is_date
from clv.intake.draft import Draft, listed
from clv.intake.vocabulary import plain, vocabulary
from clv.io.queries import sql_text

FlagKind = Literal["cancelled", "refund", "unsure"]


def settle_flags(draft: Draft) -> None:
    """Take such columns for the status or the kind of row, or say how many rows they mark."""
    taken = {name for value in draft.columns.values() for name in listed(value)}
    for name in draft.source.names:
        flag = _flag_kind(name)
        if flag is None or name in taken or draft.source.names.count(name) > 1:
            continue
        words = vocabulary()["flags"]
        cells = draft.cells(name)
        yes = tuple(cell for cell in cells if plain(cell) in words["yes"])
        no = tuple(cell for cell in cells if plain(cell) in words["no"])
        if len(yes) + len(no) < len(cells):  # a day rather than yes or no
            if flag == "cancelled" and is_date(draft, name):
                _note_rows(draft, name, f"trim({draft.source.column(name)}::VARCHAR) <> ''")
        elif yes and not _take(draft, name, flag, yes, no):
            among = ", ".join(map(sql_text, yes))
            _note_rows(draft, name, f"trim({draft.source.column(name)}::VARCHAR) IN ({among})")


def _flag_kind(name: str) -> FlagKind | None:
    kinds: tuple[FlagKind, ...] = ("cancelled", "refund", "unsure")
    return next((each for each in kinds if plain(name) in vocabulary()["flags"][each]), None)


def _take(
    draft: Draft, name: str, flag: FlagKind, yes: tuple[str, ...], no: tuple[str, ...]
) -> bool:
    """Whether the column now is the status, or the kind of row, of a file that had none."""
    role = "kind" if flag == "refund" else "status"
    if flag == "unsure" or role in {*draft.columns, *draft.kept_out} or "format" in draft.fields:
        return False
    draft.columns[role] = name
    what = "a refund" if role == "kind" else "what is no order"
    draft.reasons[role] = f"{' or '.join(map(repr, yes))} marks {what}"
    out, kept = ("refund_kinds", "counted_kinds")
    if role == "status":
        out, kept = ("leave_out_status", "counted_status")
    draft.fields |= {out: yes, kept: no}
    return True


def _note_rows(draft: Draft, name: str, condition: str) -> None:
    """How many rows the column marks, which count all the same."""
    marked = int(draft.source.rows.filter(condition).aggregate("count(*)").fetchall()[0][0])
    if marked:
        draft.notes.append(
            f"{name} marks {counted(marked, 'row')}, and that alone leaves none out. If they "
            "are no orders, leave them out of the file."
        )
