"""Which column is what, by its name and by what its cells look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from clv.format import listed as listed_in_words
from clv.intake.draft import FEW_CELLS, SURE, AnswerOption, Draft, Question, listed
from clv.intake.moments import Moments
from clv.intake.period_names import periods_among
from clv.intake.recipe import OPEN
from clv.intake.vocabulary import (
    Role,
    candidates,
    currency_codes,
    holds_money,
    is_total,
    meaning_of_kind,
    meaning_of_status,
    plain,
    vocabulary,
)

BY_NAME = "by its name and its content"
UNDONE = ("cancelled", "refunded")  # what a status may mean that leaves an order out
LIKELY = 0.5  # of the first cells, where the others are worth a look
# Who picks first among columns that could be several things.
ROLES: tuple[Role, ...] = (
    "date", "customer_id", "order_id", "refund", "quantity", "price", "amount", "status", "kind",
    "currency", "product", "channel", "margin",
)  # fmt: skip


def settle_roles(draft: Draft) -> None:
    """Which column is what, by name and by what its cells look like."""
    used = {name for value in draft.columns.values() for name in listed(value)}
    if "format" in draft.fields or draft.described:
        roles: tuple[Role, ...] = tuple(
            role for role in ("date", "customer_id", "amount") if role not in draft.columns
        )
    else:
        roles = tuple(role for role in ROLES if role not in draft.columns)
    for role in (role for role in roles if role not in draft.kept_out):
        if role == "amount" and _by_product(draft):
            continue
        free = [name for name in draft.source.names if name not in used]
        fits = [name for name in candidates(role, free) if looks_like(draft, role, name)]
        fits = fits or _by_content(draft, role, free)
        if fits:
            draft.columns[role] = fits[0]
            used.add(fits[0])
            draft.reasons[role] = _why(role, fits, free)
    _ask_for_missing(draft)


def _by_content(draft: Draft, role: Role, free: Sequence[str]) -> list[str]:
    """A column that no name gives away, where only one can be meant."""
    if role == "customer_id":
        return [name for name in free if plain(name) == "id" and _repeats(draft, name)]
    if role == "date":
        return _only(name for name in free if is_date(draft, name))
    if role == "amount" and draft.columns.get("price") and "quantity" not in draft.columns:
        return [draft.columns.pop("price")]  # a price without a quantity is what was paid
    if role == "amount":
        return _only(name for name in free if is_money(draft, name))
    if role == "currency":
        return _of_currencies(draft, free)
    return []


def _of_currencies(draft: Draft, free: Sequence[str]) -> list[str]:
    """Columns of codes of currencies, that of most of them first: several cannot be added.

    A single code, CHE, may also be that of a country; then the name must speak of currencies.
    """
    texts = [n for n in free if draft.source.names.count(n) == 1]
    texts = [n for n in texts if draft.source.type_of(n) == "VARCHAR" and draft.of_three_letters(n)]
    codes = {name: {cell.upper() for cell in draft.cells(name)} for name in texts}
    fits = [
        name
        for name, found in codes.items()
        if found and found <= currency_codes() and (len(found) > 1 or _speaks_of_currency(name))
    ]
    return sorted(fits, key=lambda name: -len(codes[name]))


def _speaks_of_currency(name: str) -> bool:
    return any(word in plain(name) for word in vocabulary()["columns"]["currency"] if len(word) > 4)


def _repeats(draft: Draft, name: str) -> bool:
    """Whether an id stands in several rows, as a customer's does and an order's does not."""
    cell = f"{draft.source.column(name)}::VARCHAR"
    rows, different = draft.source.rows.aggregate(f"count(*), count(DISTINCT {cell})").fetchall()[0]
    return bool(different < 0.9 * rows)


def _by_product(draft: Draft) -> bool:
    """Whether amounts are quantity times price, as no column of amounts is there."""
    if not {"quantity", "price"} <= set(draft.columns):
        return False
    taken = {name for value in draft.columns.values() for name in listed(value)}
    free = [name for name in draft.source.names if name not in taken]
    named = [name for name in candidates("amount", free) if looks_like(draft, "amount", name)]
    if not named:
        draft.reasons["quantity"] = "no column of amounts: quantity times price is the amount"
    return not named


def looks_like(draft: Draft, role: Role, name: str) -> bool:
    """Whether the cells of a column are what its role needs."""
    kind = draft.source.type_of(name)
    if role == "date":
        if "date_format" in draft.fields:
            return draft.filled(name) > 0
        if kind == "DATE" or "TIMESTAMP" in kind:
            return True
        look = draft.moments(name)
        days = set(look.shapes) - {"months", "weeks", "unreadable"}
        # a month beside days is what they were grouped by
        return _are_days(look) and (
            bool(days) or not any(is_date(draft, other) for other in draft.free if other != name)
        )
    if role == "refund":  # a yes or a no is no money
        return draft.is_number(name) and yes_and_no(draft, name) is None
    if role in ("amount", "quantity", "price", "margin"):
        return draft.is_number(name)
    if role == "status":
        return _speaks(draft.cells(name), meaning_of_status) or _is_status(draft, name)
    if role == "kind":
        return _speaks(draft.cells(name), meaning_of_kind)
    if role == "currency":
        cells = draft.cells(name)
        return 0 < len(cells) <= FEW_CELLS and all(len(cell) == 3 for cell in cells)
    return draft.filled(name) > 0


def yes_and_no(draft: Draft, name: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The cells that say yes and those that say no; None of a column that says anything else."""
    cells, flags = draft.cells(name), vocabulary()["flags"]
    yes = tuple(cell for cell in cells if plain(cell.removesuffix(".0")) in flags["yes"])
    no = tuple(cell for cell in cells if plain(cell.removesuffix(".0")) in flags["no"])
    return (yes, no) if len(yes) + len(no) == len(cells) else None


def _are_days(look: Moments) -> bool:
    """Whether cells are dates, but for the name of a line of totals."""
    odd = look.shapes.get("unreadable", 0)
    return look.readable >= SURE or (odd == 1 and is_total(look.examples["unreadable"]))


def _speaks(cells: Mapping[str, int], meaning: Callable[[str], str]) -> bool:
    """Whether at least half of the cells, and some of their words, are of the vocabulary."""
    if not 0 < len(cells) <= FEW_CELLS:
        return False
    known_rows = sum(n for cell, n in cells.items() if meaning(cell) != "unknown")
    return known_rows * 2 >= sum(cells.values())


def _is_status(draft: Draft, name: str) -> bool:
    """Whether a column of words that are not known is the status all the same, to be asked about.

    A word for what is no purchase says so, or the column's name; a state may be a place.
    """
    cells = draft.cells(name)
    if not 1 < len(cells) <= FEW_CELLS:
        return False
    undone = any(meaning_of_status(cell) in UNDONE for cell in cells)
    return undone or any(word in plain(name) for word in ("status", "statut"))


def is_date(draft: Draft, name: str) -> bool:
    """Whether a column holds dates, whatever it is called."""
    kind = draft.source.type_of(name)
    if kind == "DATE" or "TIMESTAMP" in kind:
        return True
    if name in draft.glances and draft.glances[name][0].readable < LIKELY:
        return False
    look = draft.moments(name)
    numbers = sum(
        look.shapes.get(shape, 0) for shape in ("serial", "epoch", "compact", "months", "weeks")
    )
    return look.readable >= 0.95 and not numbers


def is_money(draft: Draft, name: str) -> bool:
    """Whether a column holds amounts, whatever it is called."""
    kind = draft.source.type_of(name)
    if kind != "VARCHAR":
        return kind.startswith(("DOUBLE", "FLOAT", "DECIMAL"))
    if name in draft.glances and draft.glances[name][1].readable < LIKELY:
        return False
    look = draft.amounts(name)
    decimals = look.shapes.get("decimal_dot", 0) + look.shapes.get("decimal_comma", 0)
    return look.readable >= 0.95 and bool(decimals or look.symbols)


def _only(names: Iterator[str]) -> list[str]:
    only = list(names)
    return only if len(only) == 1 else []


def _why(role: Role, fits: Sequence[str], free: Sequence[str]) -> str:
    if fits[0] not in candidates(role, free):
        return "the only column that looks like it"
    others = [name for name in fits[1:] if role in ("amount", "date", "customer_id")]
    beside = f"; not {', '.join(others)}" if others else ""
    return f"{BY_NAME}{beside}"


def _ask_for_missing(draft: Draft) -> None:
    questions = {"customer_id": "names the customer", "date": "says when the order was placed"}
    if "amount" not in draft.columns and not {"quantity", "price"} <= set(draft.columns):
        questions["amount"] = "says what was paid"
    for role, what in questions.items():
        if role not in draft.columns:
            draft.columns[role] = OPEN
            choices = tuple(AnswerOption(name) for name in draft.source.names)
            text = f"Which column {what}?{_of_wide_tables(draft) if role == 'date' else ''}"
            draft.questions.append(Question(f"columns.{role}", text, choices))


def _of_wide_tables(draft: Draft) -> str:
    """What to do where columns are periods: a table of one column a month has no orders."""
    if not (periods := periods_among(draft.source.names)):
        return ""
    return (
        f" {listed_in_words(periods)} look like periods, a column each: write their year into the "
        "names, as in Jan 2024, or export one row an order."
    )


def guess(draft: Draft, name: str) -> str:
    """What a column seems to hold, in a word."""
    named: dict[str, Role] = {
        "refunds": "refund", "a status": "status", "currencies": "currency", "dates": "date",
        "order numbers": "order_id", "customers": "customer_id",
    }  # fmt: skip
    if draft.source.names.count(name) > 1 or not draft.filled(name):
        return "nothing"
    if holds_money(name):
        return "refunds" if candidates("refund", [name]) else "money"
    for guess, role in named.items():
        if candidates(role, [name]) and looks_like(draft, role, name):
            return guess
    if draft.source.type_of(name) == "VARCHAR" and "cancel" in plain(name):
        return "a status"
    if is_date(draft, name):
        return "dates"
    return "money" if is_money(draft, name) else "other"
