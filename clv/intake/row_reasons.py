"""Why a row of orders is left out: each reason, and when it holds, in SQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from clv.errors import RowError
from clv.format import count, counted
from clv.intake.below_table import note_pattern
from clv.intake.recipe import Recipe
from clv.intake.sources import Source
from clv.intake.vocabulary import vocabulary
from clv.io.queries import sql_text

LARGEST = 1e12  # and beyond this an amount is no amount
MAX_UNREAD = 0.1  # share of rows with a fault before the whole table is refused

# Reasons for leaving a row out that are told apart by what the rows say, and no fault of them.
EMPTY = "empty row"
NOTE = "note, neither a day nor an amount"
TOTALS = "row of totals"
FURTHER = "further line of an order, whose amount stands on the first"
REPEATED = "amount of the whole order, repeated on a further line"
DUPLICATE = "row equal to another in every column"
REFUNDED = "refunded in full"
NOBODY = "placeholder or guest instead of a customer"
LATER = "date is after the as-of day"
NO_CUSTOMER = "customer is missing"
# Reasons that say that a row could not be read: too many of them stop the run.
FAULTS = (
    NO_DATE := "date is missing",
    BAD_DATE := "date cannot be read",
    EPOCH := "date before 1971, as a missing one is written",
    FUTURE := "date is after today",
    NO_AMOUNT := "amount is missing",
    BAD_AMOUNT := "amount is not a number",
    HUGE := "amount is too large to be money",
)


@dataclass(frozen=True)
class LeftOut:
    """Rows that are no part of the log.

    Attributes
    ----------
    reason
        Why.
    rows, amount
        How many, and what they would have added; 0 where they have no amount.
    examples
        Row numbers of a few of them.
    """

    reason: str
    rows: int
    amount: float
    examples: tuple[int, ...]

    @property
    def fault(self) -> bool:
        """Whether the rows could not be read, rather than told apart by what they say."""
        return self.reason in FAULTS


def _of_text(source: Source, names: Sequence[str]) -> bool:
    """Whether words can stand in these columns."""
    return len(names) > 1 or any(source.type_of(name) == "VARCHAR" for name in names)


def require_readable(
    parts: Sequence[LeftOut],
    rows_in: int,
    what: str,
    faults: Collection[str],
    hint: Callable[[str], str],
) -> None:
    """Raise an error if no row is left, or more than a tenth have a fault.

    Parameters
    ----------
    parts, rows_in
        What is left out, and of how many rows.
    what
        What the table holds, as in "the leads".
    faults
        The reasons in ``parts`` that say that a row could not be read.
    hint
        What to do about a reason; of "" where rows are not at fault.

    Raises
    ------
    RowError
        With the rows concerned.
    """
    faulty = [part for part in parts if part.reason in faults]
    bad = sum(part.rows for part in faulty)
    if bad <= MAX_UNREAD * rows_in and sum(part.rows for part in parts) < rows_in:
        return
    listed = "; ".join(
        f"{part.reason}, in {counted(part.rows, 'row')} such as row {part.examples[0]}"
        for part in (faulty or parts)
    )
    share = (
        f"{counted(bad, 'row')} of {count(rows_in)} cannot be used" if faulty else "no row is left"
    )
    raise RowError(
        f"{what}: {share if rows_in else 'there are no rows'}{': ' * bool(listed)}{listed}.",
        hint=hint(faulty[0].reason if faulty else ""),
    )


def reasons_of(source: Source, recipe: Recipe, today: dt.date) -> list[tuple[str, str]]:
    """SQL of a reason and of when it holds, in the order in which they are looked for."""
    total, note = _a_total(source, recipe), _a_note(source, recipe)
    unlabelled = "_customer IS NULL AND _dated IS NULL AND _said IS NOT NULL"
    empty = " AND ".join(
        f"{cell} IS NULL" for cell in ("_customer", "_dated", "_said", "_order_id")
    )
    day = f"DATE '{recipe.as_of or today}'"
    nobody = [*(w.lower() for w in recipe.nobody)]
    rules = [
        (EMPTY, empty),
        (TOTALS, f"({total}) OR ({unlabelled})"),
    ]
    if recipe.rows == "order_on_first_line":
        rules.append((FURTHER, "_said IS NULL AND _order_id IS NOT NULL"))
    rules.append((NOTE, note))
    quoted = [(f"'{reason}'", rule) for reason, rule in rules]
    told_apart = [
        (
            "'status: ' || lower(_status)",
            among("_status", recipe.leave_out_status),
        ),
        *_cancelled(source, recipe),
        (f"'{REFUNDED}'", among("_status", recipe.refunded_status)),
        ("'not paid yet: ' || lower(_status)", among("_status", _unpaid(recipe))),
        ("'kind of row: ' || lower(_kind)", among("_kind", recipe.leave_out_kinds)),
        ("'currency: ' || upper(_currency)", _other_currency(recipe)),
        (f"'{REFUNDED}'", "_gross > 0 AND _refund > 0 AND _amount < 0.00005"),
        (f"'{NOBODY}'", among("_customer::VARCHAR", nobody)),
    ]
    faults = [
        (NO_CUSTOMER, "_customer IS NULL"),
        (NO_DATE, "_dated IS NULL"),
        (BAD_DATE, "_at IS NULL"),
        (EPOCH, "_at < TIMESTAMP '1971-01-01'"),
        (LATER if recipe.as_of else FUTURE, f"_at::DATE > {day}"),
        (NO_AMOUNT, "_said IS NULL"),
        (BAD_AMOUNT, "_gross IS NULL OR isnan(_gross)"),
        (HUGE, f"abs(_gross) >= {LARGEST}"),
    ]
    return [*quoted, *told_apart, *((f"'{reason}'", rule) for reason, rule in faults)]


def _a_total(source: Source, recipe: Recipe) -> str:
    """SQL: whether a cell of text says that the row is a total."""
    words = vocabulary()["rows"]
    places = {"customer_id": "_customer::VARCHAR", "date": "_dated", "order_id": "_order_id"}
    wordy = [cell for role, cell in places.items() if _of_text(source, recipe.names(role))]
    # a word for totals alone: @SUM(A1) and Total-1 are ids
    word = "regexp_replace(lower(strip_accents({0})), '[^a-z]', '', 'g')"
    every = (*words["totals"], *words["averages"])
    total = " OR ".join(  # the quick test first: it spares nearly every row the slow one
        f"CASE WHEN regexp_matches({cell}, '[0-9@()]') THEN false "
        f"ELSE {among(word.format(cell), every if cell == '_dated' else words['totals'])} END"
        for cell in wordy
    )
    if not total:
        return "false"
    if not (named := ", ".join(cell for cell in wordy if cell != "_dated")):
        return total
    text = f"concat_ws(' ', {named})"  # without a day: with one, Max is a customer
    begins = f"regexp_matches(lower({text}), '{BEGINS}') OR {among(word.format(text), every)}"
    return f"{total} OR CASE WHEN _dated IS NULL AND _said IS NOT NULL THEN {begins} ELSE false END"


# How a row of totals begins that says more: Total amount, Summe EUR.
BEGINS = (
    r"^\W*(grand |sub-?|sous-?|zwischen)?"
    r"(totals?|totale|total\w*|sum|summe|suma|summa|soma|gesamt\w*|insgesamt|totaal|razem)\b"
)


def _a_note(source: Source, recipe: Recipe) -> str:
    """SQL: whether a row of text is a note on the file, as exports have them below the table."""
    cells = [f"c{place}" for place in range(len(source.names))]
    if len(cells) < 3 or not _of_text(source, recipe.names("customer_id")):
        return "false"
    filled = " + ".join(f"({cell} IS NOT NULL)::INT" for cell in cells)
    text = f"lower(concat_ws(' ', {', '.join(cells)}))"
    return (
        "CASE WHEN _said IS NOT NULL THEN false "
        f"WHEN _dated IS NULL THEN {filled} <= 2 "
        f"ELSE {filled} <= 3 AND regexp_matches({text}, {sql_text(note_pattern())}) END"
    )


def _cancelled(source: Source, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Rows that a column of its own calls off, with what it says."""
    for name in recipe.names("cancelled") if recipe.cancelled == "leave out" else ():
        cell = source.column(name)
        word, day = called_off(cell, recipe.cancelled_cells)
        yield f"{sql_text(f'{name}: ')} || lower(trim({cell}::VARCHAR))", word
        yield sql_text(f"{name}: a day"), day


def called_off(column: str, cells: Sequence[str]) -> tuple[str, str]:
    """SQL: whether a cell is one of those that mark what is no order, and whether it is a day.

    >>> import duckdb
    >>> [duckdb.execute(f"SELECT {', '.join(called_off('$1', ['True']))}", [t]).fetchall()[0]
    ...  for t in ("true", "no", "2024-05-01", "5.1.24", "0000-00-00")]
    [(True, False), (False, False), (False, True), (False, True), (False, False)]
    """
    text = f"trim({column}::VARCHAR)"
    day = r"(^|[^0-9])(19|20)[0-9]{2}([^0-9]|$)|^[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2}$"
    return among(text, cells), f"coalesce(regexp_matches({text}, '{day}'), false)"


def _unpaid(recipe: Recipe) -> Sequence[str]:
    return () if recipe.pending else recipe.pending_status


def _other_currency(recipe: Recipe) -> str:
    if not recipe.currency:
        return "false"
    return f"coalesce(upper(_currency) <> {sql_text(recipe.currency.upper())}, false)"


def among(cell: str, words: Sequence[str]) -> str:
    """SQL: whether a cell is one of these words, in any case; false where it is empty."""
    if not words:
        return "false"
    listed = ", ".join(sql_text(word.lower()) for word in words)
    return f"(list_position([{listed}], lower({cell})) IS NOT NULL)"
