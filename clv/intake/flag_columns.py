"""Columns beside the status that say of a row that it is no order, or that it pays back.

A test order is none. One that was called off is none where the file has no status; where a status
lets it count, it is asked, with what each answer would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clv.findings import finding
from clv.format import counted
from clv.format import listed as in_words
from clv.intake.column_roles import UNDONE, is_date, yes_and_no
from clv.intake.draft import FEW_CELLS, GLANCE, AnswerOption, Draft, Question, listed
from clv.intake.recipe import OPEN
from clv.intake.row_meanings import signs
from clv.intake.row_reasons import among, called_off
from clv.intake.vocabulary import candidates, meaning_of_status, plain, vocabulary

GENERAL = ("test", "prueba", "sandbox")  # names that tests of another kind have as well,
FEW = 0.2  # where more than these rows say yes


# What a cell says of a row that is no order, whatever its column is called.
CALLED_OFF = (
    r"(wc-)?(fully )?(cancell?ed|refunded|voided|storniert|erstattet|annul[a-zé]+|anulad[oa]|"
    r"cancelad[oa]|rembours[a-zé]+|reembolsad[oa]|rimborsat[oa]|geannuleerd|terugbetaald|"
    r"anulowan[aeo]|makulerad|annulleret|refunderet)"
)


def settle_refund_flags(draft: Draft) -> None:
    """A column that says yes of refunds is the kind of row, in a file that has no other."""
    for name in draft.free:
        flags = yes_and_no(draft, name) if plain(name) in _names("refund") else None
        if flags is None or not flags[0]:
            continue
        yes, no = flags
        if "kind" in {*draft.columns, *draft.kept_out} or "format" in draft.fields:
            if rows := _marked(draft, name, yes):
                draft.notes.append(finding("check.refunds", column=name, rows=rows))
            continue
        draft.columns["kind"] = name
        draft.reasons["kind"] = f"{' or '.join(map(repr, yes))} marks a refund"
        draft.fields |= {"refund_kinds": yes, "counted_kinds": no}


def settle_cancelled(draft: Draft) -> None:
    """Columns that mark what is no order: left out, asked about, or mentioned."""
    stated = listed(draft.columns.get("cancelled"))
    if stated or not draft.may_have("cancelled"):
        _take(draft, {name: _marks(draft, name) or () for name in stated})
        return
    speaking = _speaking(draft)
    marks = {
        name: cells
        for name in draft.free
        if (cells := _marks(draft, name, name in speaking)) is not None
    }
    if draft.columns.get("refund"):  # which says how much of what was refunded
        marks = {name: cells for name, cells in marks.items() if plain(name) not in _refunds()}
    rows = {name: _marked(draft, name, cells) for name, cells in marks.items()}
    columns = {name: cells for name, cells in marks.items() if rows[name]}
    if not columns:
        return
    draft.columns["cancelled"] = tuple(columns)
    _take(draft, columns)
    asked = [n for n in columns if n in speaking or _is_open(draft, n, rows[n])]
    if asked and "cancelled" not in draft.fields:
        _ask(draft, asked, columns, rows)
        return
    for name in columns:
        draft.notes.append(finding("check.cancelled", column=name, rows=rows[name]))


def _speaking(draft: Draft) -> list[str]:
    """Columns of any other name with words for what is no order, by their first rows."""
    texts = [n for n in draft.free if draft.source.type_of(n) == "VARCHAR"]
    named = {*_names("cancelled"), *_names("test"), *_refunds()}
    texts = [n for n in texts if plain(n) not in named and not candidates("status", [n])]
    if not texts:
        return []
    word = "bool_or(regexp_full_match(lower(trim({0})), '{1}'))"
    tests = ", ".join(word.format(draft.source.column(name), CALLED_OFF) for name in texts)
    (looks,) = draft.source.rows.limit(GLANCE).aggregate(tests).fetchall()
    return [name for name, look in zip(texts, looks, strict=True) if look]


def _is_open(draft: Draft, name: str, rows: int) -> bool:
    """Whether the file does not settle what becomes of the rows that a column marks."""
    if plain(name) in _names("test"):
        return rows > FEW * draft.rows and plain(name) in GENERAL
    return bool(draft.columns.get("status"))


def _refunds() -> list[str]:
    return vocabulary()["columns"]["refund"]


def _names(key: str) -> list[str]:
    return vocabulary()["flags"][key]


def _marks(draft: Draft, name: str, speaking: bool = False) -> tuple[str, ...] | None:
    """The cells that mark what is no order, beside days; None of a column that marks nothing."""
    stated = name in listed(draft.columns.get("cancelled"))
    named = stated or plain(name) in (*_names("cancelled"), *_names("test"))
    if named and (flags := yes_and_no(draft, name)) is not None:
        return flags[0]
    if named and is_date(draft, name):
        return ()
    if stated or speaking or candidates("status", [name]):
        cells = draft.cells(name)
        undone = tuple(cell for cell in cells if meaning_of_status(cell) in UNDONE)
        if speaking:  # rows that pay back are refunds
            undone = tuple(cell for cell in undone if signs(draft, name, cell) != {True})
        return undone if undone and len(cells) <= FEW_CELLS else None
    return None


def _marked(draft: Draft, name: str, cells: Sequence[str]) -> int:
    """How many rows a column marks that the status lets count."""
    status = draft.columns.get("status")
    out = ("leave_out_status", "refunded_status", "pending_status")
    words = [word for key in out for word in draft.fields.get(key, ())]
    decided = f"trim({draft.source.column(status)}::VARCHAR)" if status else "''"
    word, day = called_off(draft.source.column(name), cells)
    rows = draft.source.rows.filter(f"({word} OR {day}) AND NOT {among(decided, words)}")
    return int(rows.aggregate("count(*)").fetchall()[0][0])


def _take(draft: Draft, columns: Mapping[str, Sequence[str]]) -> None:
    """Add the cells that mark to those of the recipe."""
    settled = draft.fields.get("cancelled_cells", ())
    lower = {cell.lower() for cell in settled}
    new = dict.fromkeys(cell for cells in columns.values() for cell in cells)
    if more := [cell for cell in new if cell.lower() not in lower]:
        draft.fields["cancelled_cells"] = (*settled, *more)


def _ask(
    draft: Draft,
    asked: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    rows: Mapping[str, int],
) -> None:
    """Ask whether orders count that one column calls off and the status does not."""
    says = (
        f"{name} says {in_words(columns[name][:3]) if columns[name] else 'a day'} of "
        f"{counted(rows[name], 'row')}"
        for name in asked
    )
    status = draft.columns.get("status")
    beside = f", which {status} lets count" if status else ""
    text = f"{' and '.join(says)}{beside}. Are these purchases all the same?"
    draft.fields["cancelled"] = OPEN
    choices = (AnswerOption("leave out"), AnswerOption("count"))
    draft.questions.append(Question("cancelled", text, choices))
