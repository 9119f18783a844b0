"""A recipe for files nobody has described: what each column is and why, and what must be asked.

A choice is made where the file itself settles it, by name and by content. Where two readings give
different sums, both are worked out and the user says which: the recipe then holds ``"?"``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clv.errors import ClvError
from clv.format import counted
from clv.intake.formats import formats, recognise
from clv.intake.moments import Moments, look_at_moments, order_by_rows
from clv.intake.numbers import Amounts, look_at_amounts
from clv.intake.reading import judged
from clv.intake.recipe import OPEN, Columns, Recipe
from clv.intake.sources import Source
from clv.intake.vocabulary import (
    Role,
    candidates,
    holds_money,
    meaning_of_kind,
    meaning_of_status,
    plain,
)

SURE = 0.9  # of the filled cells are what a column is taken for
FEW_CELLS = 60  # a status or kind has no more different cells
NUMBERS = ("BIGINT", "INTEGER", "DOUBLE", "FLOAT", "DECIMAL", "SMALLINT", "TINYINT", "HUGEINT")
# Who picks first among columns that could be several things.
ROLES: tuple[Role, ...] = (
    "date", "customer_id", "order_id", "refund", "quantity", "price", "amount", "status", "kind",
    "currency", "product", "channel", "margin",
)  # fmt: skip


@dataclass(frozen=True)
class Choice:
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
    choices: tuple[Choice, ...] = ()


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
    notes: tuple[str, ...]
    unused: tuple[UnusedColumn, ...]


@dataclass
class _Draft:
    """A proposal while it is being made."""

    source: Source
    today: dt.date
    columns: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    looks: dict[str, Any] = field(default_factory=dict)

    def recipe(self, **changes: Any) -> Recipe:
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


def propose(
    source: Source, *, stated: Mapping[str, Any] | None = None, today: dt.date | None = None
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

    Returns
    -------
    Proposal
    """
    given = dict(stated or {})
    draft = _Draft(source, today or dt.date.today())
    _format(draft, given)
    draft.columns |= _columns_stated(given.pop("columns", {}))
    draft.fields |= given
    steps: tuple[Callable[[_Draft], None], ...] = (
        _roles, _decimal, _dates, _statuses, _kinds, _currency, _rows, _duplicates, _customers,
    )  # fmt: skip
    for step in steps:
        step(draft)
    questions = tuple(_with_outcomes(draft, question) for question in draft.questions)
    recipe = draft.recipe()
    return Proposal(
        recipe, draft.reasons, questions, tuple(draft.notes), tuple(_unused(draft, recipe))
    )


def _columns_stated(columns: Any) -> dict[str, Any]:
    """The columns that are stated; one stated as None is kept out."""
    plain_columns = columns.model_dump() if isinstance(columns, Columns) else dict(columns)
    return {role: name for role, name in plain_columns.items() if name != OPEN}


def _format(draft: _Draft, given: dict[str, Any]) -> None:
    name = given.get("format") or recognise(draft.source.names)
    if name is None or name not in formats():
        return
    kind = formats()[name]
    draft.fields |= {"format": name, **kind.data}
    draft.columns |= kind.mapped(draft.source.names)
    draft.reasons |= dict.fromkeys(draft.columns, f"as {kind.title} names it")
    draft.reasons["format"] = f"recognised by its columns: {kind.title}"
    if kind.note:
        draft.notes.append(kind.note)


def _roles(draft: _Draft) -> None:
    """Which column is what, by name and by what its cells look like."""
    used = {name for value in draft.columns.values() for name in _listed(value)}
    if "format" in draft.fields:
        roles: tuple[Role, ...] = tuple(
            role for role in ("date", "customer_id", "amount") if role not in draft.columns
        )
    else:
        roles = tuple(role for role in ROLES if role not in draft.columns)
    for role in roles:
        if role == "amount" and _by_product(draft):
            continue
        free = [name for name in draft.source.names if name not in used]
        fits = [name for name in candidates(role, free) if _looks_like(draft, role, name)]
        if not fits and role == "date":
            fits = _only(name for name in free if _is_date(draft, name))
        if not fits and role == "amount":
            fits = _only(name for name in free if _is_money(draft, name))
        if fits:
            draft.columns[role] = fits[0]
            used.add(fits[0])
            draft.reasons[role] = _why(role, fits, free)
    _ask_for_missing(draft)


def _by_product(draft: _Draft) -> bool:
    """Whether amounts are quantity times price, as no column of amounts is there."""
    if not {"quantity", "price"} <= set(draft.columns):
        return False
    taken = {name for value in draft.columns.values() for name in _listed(value)}
    free = [name for name in draft.source.names if name not in taken]
    named = [name for name in candidates("amount", free) if _looks_like(draft, "amount", name)]
    if not named:
        draft.reasons["quantity"] = "no column of amounts: quantity times price is the amount"
    return not named


def _looks_like(draft: _Draft, role: Role, name: str) -> bool:
    kind = draft.source.type_of(name)
    if role == "date":
        if "date_format" in draft.fields:
            return draft.filled(name) > 0
        return kind == "DATE" or "TIMESTAMP" in kind or draft.moments(name).readable >= SURE
    if role in ("amount", "refund", "quantity", "price", "margin"):
        if kind != "VARCHAR":
            return kind.startswith(NUMBERS)
        return draft.filled(name) > 0 and draft.amounts(name).readable >= SURE
    if role == "status":
        return _speaks(draft.cells(name), meaning_of_status)
    if role == "kind":
        return _speaks(draft.cells(name), meaning_of_kind)
    if role == "currency":
        cells = draft.cells(name)
        return 0 < len(cells) <= FEW_CELLS and all(len(cell) == 3 for cell in cells)
    return draft.filled(name) > 0


def _speaks(cells: Mapping[str, int], meaning: Callable[[str], str]) -> bool:
    """Whether at least half of the cells, and some of their words, are of the vocabulary."""
    if not 0 < len(cells) <= FEW_CELLS:
        return False
    known_rows = sum(n for cell, n in cells.items() if meaning(cell) != "unknown")
    return known_rows * 2 >= sum(cells.values())


def _is_date(draft: _Draft, name: str) -> bool:
    kind = draft.source.type_of(name)
    if kind == "DATE" or "TIMESTAMP" in kind:
        return True
    look = draft.moments(name)
    numbers = sum(look.shapes.get(shape, 0) for shape in ("serial", "epoch", "compact"))
    return look.readable >= 0.95 and not numbers


def _is_money(draft: _Draft, name: str) -> bool:
    kind = draft.source.type_of(name)
    if kind != "VARCHAR":
        return kind.startswith(("DOUBLE", "FLOAT", "DECIMAL"))
    look = draft.amounts(name)
    decimals = look.shapes.get("decimal_dot", 0) + look.shapes.get("decimal_comma", 0)
    return look.readable >= 0.95 and bool(decimals or look.symbols)


def _only(names: Iterator[str]) -> list[str]:
    found = list(names)
    return found if len(found) == 1 else []


def _why(role: Role, fits: Sequence[str], free: Sequence[str]) -> str:
    if fits[0] not in candidates(role, free):
        return "the only column that looks like it"
    others = [name for name in fits[1:] if role in ("amount", "date", "customer_id")]
    beside = f"; not {', '.join(others)}" if others else ""
    return f"by its name and its content{beside}"


def _ask_for_missing(draft: _Draft) -> None:
    asked = {"customer_id": "names the customer", "date": "says when the order was placed"}
    if "amount" not in draft.columns and not {"quantity", "price"} <= set(draft.columns):
        asked["amount"] = "says what was paid"
    for role, what in asked.items():
        if role not in draft.columns:
            draft.columns[role] = OPEN
            choices = tuple(Choice(name) for name in draft.source.names)
            draft.questions.append(Question(f"columns.{role}", f"Which column {what}?", choices))


def _money_columns(draft: _Draft) -> list[str]:
    roles = ("amount", "price", "refund", "margin", "quantity")
    names = [draft.columns[role] for role in roles if draft.columns.get(role) not in (None, OPEN)]
    return [name for name in names if draft.source.type_of(name) == "VARCHAR"]


def _decimal(draft: _Draft) -> None:
    if "decimal" in draft.fields:
        return
    looks = [draft.amounts(name) for name in _money_columns(draft)]
    marks = {look.mark for look in looks if look.mark and _settles(look)}
    unsettled = [look for look in looks if look.mark is None]
    if len(marks) == 1 and not any(look.mixed for look in looks):
        (mark,) = marks
        draft.fields["decimal"] = mark
        draft.reasons["decimal"] = f"as in {_example(looks, mark)}"
    elif unsettled or len(marks) > 1:
        mixed = [look for look in looks if look.mixed]
        draft.fields["decimal"] = OPEN
        text = (
            f"Amounts are written in two ways, such as {mixed[0].examples['decimal_dot']} and "
            f"{mixed[0].examples['decimal_comma']}. Which sign is the decimal mark?"
            if mixed
            else f"Is {unsettled[0].examples.get('either', 'a number') if unsettled else 'it'} "
            "a thousand and more, or a number with three decimals? Which sign is the decimal mark?"
        )
        draft.questions.append(Question("decimal", text, (Choice("."), Choice(","))))


def _settles(look: Amounts) -> bool:
    return bool(look.shapes.get("decimal_dot") or look.shapes.get("decimal_comma"))


def _example(looks: Sequence[Amounts], mark: str) -> str:
    key = "decimal_dot" if mark == "." else "decimal_comma"
    return next(look.examples[key] for look in looks if key in look.examples)


def _dates(draft: _Draft) -> None:
    names = _listed(draft.columns["date"])
    if {"date_order", "date_format"} & set(draft.fields) or OPEN in names:
        return
    if draft.source.type_of(names[0]) != "VARCHAR":
        return
    look = draft.moments(names[0])
    offsets = [zone for zone in look.offsets if zone.strip("+-:0ZzUTCGMutcgm")]
    if offsets and "time_zone" not in draft.fields:
        draft.notes.append(
            f"Times carry offsets such as {offsets[0]}: days are those on the shop's own clock, as "
            "written. Set time_zone to count the days of another place."
        )
    if not look.shapes.get("numeric"):
        return
    order = look.order or (
        order_by_rows(draft.source.rows, draft.source.column(names[0]), draft.today)
        if not (look.first_above_12 and look.second_above_12)
        else None
    )
    if order is not None:
        draft.fields["date_order"] = order
        draft.reasons["date_order"] = f"as in {look.examples['numeric']}"
        return
    draft.fields["date_order"] = OPEN
    text = f"Is {look.examples['numeric']} written with the day or with the month first?"
    draft.questions.append(Question("date_order", text, (Choice("dmy"), Choice("mdy"))))


def _statuses(draft: _Draft) -> None:
    name = draft.columns.get("status")
    if not name:
        return
    cells = draft.cells(name)
    groups: dict[str, list[str]] = {}
    for cell in cells:
        groups.setdefault(meaning_of_status(cell), []).append(cell)
    fields = {
        "leave_out_status": groups.get("cancelled", []),
        "refunded_status": groups.get("refunded", []),
        "pending_status": groups.get("pending", []),
        "unclear_status": groups.get("unknown", []),
    }
    draft.fields |= {key: tuple(v) for key, v in fields.items() if v and key not in draft.fields}
    if unknown := draft.fields.get("unclear_status"):
        text = (
            f"Do orders with the status {' or '.join(map(repr, unknown[:3]))} count as purchases? "
            "Those that do not go to leave_out_status; empty unclear_status then."
        )
        draft.questions.append(
            Question("unclear_status", text, (Choice("count"), Choice("leave out")))
        )
    partly = groups.get("partly_refunded", [])
    if partly and not draft.columns.get("refund"):
        count = sum(cells[cell] for cell in partly)
        draft.notes.append(
            f"{counted(count, 'order')} refunded in part, and no column says how much: counted in "
            "full."
        )


def _kinds(draft: _Draft) -> None:
    name = draft.columns.get("kind")
    if not name:
        return
    cells = draft.cells(name)
    refunds = tuple(cell for cell in cells if meaning_of_kind(cell) == "refund")
    sales = tuple(cell for cell in cells if meaning_of_kind(cell) == "sale")
    others = tuple(cell for cell in cells if cell not in refunds + sales)
    if not sales and draft.fields.get("format") not in ("ga4", "segment"):
        draft.columns.pop("kind")
        return
    draft.fields.setdefault("refund_kinds", refunds)
    draft.fields.setdefault("leave_out_kinds", others)


def _currency(draft: _Draft) -> None:
    if "currency" in draft.fields:
        return
    if name := draft.columns.get("currency"):
        codes = sorted({cell.upper() for cell in draft.cells(name)})
    else:
        looks = (draft.amounts(amount) for amount in _money_columns(draft)[:1])
        codes = sorted({_code(sign) for look in looks for sign in look.symbols})
    if len(codes) == 1:
        draft.fields["currency"] = codes[0]
        draft.reasons["currency"] = "the only one in the file"
    elif codes:
        draft.fields["currency"] = OPEN
        text = f"Amounts are in {' and '.join(codes)}, which cannot be added. Which are to be read?"
        draft.questions.append(Question("currency", text, tuple(Choice(code) for code in codes)))


def _code(sign: str) -> str:
    from clv.intake.numbers import CURRENCY

    bare = sign.strip(" .")
    return CURRENCY.get(bare, CURRENCY.get(bare.lower(), bare.upper()))


def _rows(draft: _Draft) -> None:
    """Whether a row is an order, a line of one, or a line that repeats the order's amount."""
    if "rows" in draft.fields or OPEN in (draft.columns["customer_id"], draft.columns["date"]):
        return
    if not draft.columns.get("order_id") or draft.columns.get("amount") == OPEN:
        return
    table = judged(draft.source, draft.recipe(**_settled(draft), rows="lines"), today=draft.today)
    lines = table.filter("_order_id IS NOT NULL AND coalesce(_gross, 1) > 0")
    every = "_order_id, _customer, _said, _product, _quantity, _price"
    orders = lines.aggregate(
        f"_order_id, count(DISTINCT ({every})) AS n, count(_said) AS said, "
        "count(DISTINCT _gross) AS amounts, sum(_quantity * _price) AS bought, max(_gross) AS most"
    ).filter("n > 1")
    several, blank, alike, bought = orders.aggregate(
        "count(*), count(*) FILTER (said = 1), count(*) FILTER (said > 1 AND amounts = 1), "
        "count(*) FILTER (said > 1 AND abs(bought - most) < 0.005)"
    ).fetchall()[0]
    if not several:
        return
    if blank * 10 >= several * 9:
        draft.fields["rows"] = "order_on_first_line"
        draft.reasons["rows"] = "further lines of an order have no amount"
    elif alike == several and (alike >= 5 or bought * 2 > alike):
        draft.fields["rows"] = "order_on_each_line"
        draft.reasons["rows"] = "all lines of an order have one amount, that of the order"
    elif alike * 2 > several:
        draft.fields["rows"] = OPEN
        text = "Lines of an order have equal amounts. Is it the line's own, or the whole order's?"
        choices = (Choice("lines"), Choice("order_on_each_line"))
        draft.questions.append(Question("rows", text, choices))
    else:
        draft.fields["rows"] = "lines"
        draft.reasons["rows"] = "orders have several rows, whose amounts differ"


def _duplicates(draft: _Draft) -> None:
    if "duplicates" in draft.fields:
        return
    every = ", ".join(f"c{place}" for place in range(len(draft.source.names)))
    twice = draft.source.rows.aggregate(f"{every}, count(*) - 1 AS more").filter("more > 0")
    more = int(twice.aggregate("coalesce(sum(more), 0)").fetchall()[0][0])
    rows = draft.fields.get("rows", "orders")
    has_id = bool(draft.columns.get("order_id"))
    sure = has_id and (rows == "orders" or draft.columns.get("product"))
    draft.fields["duplicates"] = "drop" if sure else "keep"
    if more and sure:
        draft.reasons["duplicates"] = "the same order sent twice: its number says so"
    elif more and rows == "lines":
        draft.fields["duplicates"] = OPEN
        text = f"{more:,} rows repeat another in every column: are they sent twice, or real?"
        draft.questions.append(Question("duplicates", text, (Choice("drop"), Choice("keep"))))
    elif more and not has_id:
        draft.notes.append(
            f"{more:,} rows repeat another in every column. They count, as without an order number "
            'two real ones can look alike; set duplicates = "drop" if they were sent twice.'
        )


def _customers(draft: _Draft) -> None:
    """Placeholders among the customers, and ids that differ only in how they are written."""
    names = _listed(draft.columns["customer_id"])
    if OPEN in names:
        return
    from clv.intake.vocabulary import vocabulary

    cell = f"trim({draft.source.column(names[0])}::VARCHAR)"
    rows = draft.source.rows.filter(f"{cell} <> ''").project(f"{cell} AS id")
    words = ", ".join("'" + w.replace("'", "''") + "'" for w in vocabulary()["rows"]["nobody"])
    found = rows.filter(f"lower(id) IN ({words})").aggregate("id, count(*)").fetchall()
    counted = rows.filter("id IN ('1', '2')").aggregate("count(*)").fetchall()[0][0]
    nobody = tuple(sorted(word for word, _ in found if not (word == "0" and counted)))
    if nobody and "nobody" not in draft.fields:
        draft.fields["nobody"] = nobody
        draft.reasons["nobody"] = "these stand for nobody in particular"
    alike = rows.aggregate("id").filter("regexp_full_match(id, '[0-9.]+([eE][+]?[0-9]+)?')")
    groups = alike.project("id, try_cast(id AS DOUBLE) AS number").filter("number IS NOT NULL")
    same = groups.aggregate("number, count(*) AS n, list(id)[:3] AS ids").filter("n > 1")
    count, example = same.aggregate("count(*), any_value(ids)").fetchall()[0]
    if count:
        draft.notes.append(
            f"{counted(count, 'customer')} may stand under several ids that are one number, such "
            f"as {', '.join(example)}: they stay apart. A spreadsheet may have changed them."
        )


def _settled(draft: _Draft) -> dict[str, Any]:
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


def _with_outcomes(draft: _Draft, question: Question) -> Question:
    """The question with purchases and sum of each choice, the other open fields aside."""
    if question.field.startswith("columns.") or OPEN in map(str, draft.columns.values()):
        return question
    choices = []
    for choice in question.choices:
        changes: dict[str, Any] = {**_settled(draft), question.field: choice.value}
        if question.field == "unclear_status":
            unclear = draft.fields["unclear_status"] if choice.value == "leave out" else ()
            changes["leave_out_status"] = (*draft.fields.get("leave_out_status", ()), *unclear)
            changes["unclear_status"] = ()
        try:
            table = judged(draft.source, draft.recipe(**changes), today=draft.today)
        except ClvError:
            choices.append(choice)
            continue
        orders = table.filter("_why IS NULL AND _amount > 0")
        days = orders.aggregate("count(DISTINCT (_customer, _at::DATE))").fetchall()[0][0]
        total = table.filter("_why IS NULL").aggregate("coalesce(sum(_amount), 0)").fetchall()[0][0]
        choices.append(Choice(choice.value, int(days), round(float(total), 2)))
    return Question(question.field, question.text, tuple(choices))


def _unused(draft: _Draft, recipe: Recipe) -> Iterator[UnusedColumn]:
    """Columns that are not used: money, refunds, status, currency and dates first."""
    used = {name for role in Columns.model_fields for name in recipe.names(role)}
    free = [name for name in draft.source.names if name not in used]
    guesses = {name: _guess(draft, name) for name in free}
    ranks = ("money", "refunds", "a status", "currencies", "dates", "customers")
    order = {name: ranks.index(g) if g in ranks else len(ranks) for name, g in guesses.items()}
    for name in sorted(free, key=order.__getitem__):
        yield UnusedColumn(name, guesses[name])


def _guess(draft: _Draft, name: str) -> str:
    named: dict[str, Role] = {
        "refunds": "refund", "a status": "status", "currencies": "currency", "dates": "date",
        "order numbers": "order_id", "customers": "customer_id",
    }  # fmt: skip
    if draft.source.names.count(name) > 1 or not draft.filled(name):
        return "nothing"
    if holds_money(name):
        return "refunds" if candidates("refund", [name]) else "money"
    for guess, role in named.items():
        if candidates(role, [name]) and _looks_like(draft, role, name):
            return guess
    if draft.source.type_of(name) == "VARCHAR" and "cancel" in plain(name):
        return "a status"
    if _is_date(draft, name):
        return "dates"
    return "money" if _is_money(draft, name) else "other"


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())
