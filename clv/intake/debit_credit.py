"""Debit and credit: a marker beside amounts without a sign, or a column for each of the two.

One of them is what was bought, the other pays back. Names or cells that settle which are taken at
their word, and it is said; what they leave open is asked, with what each answer would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clv.findings import finding
from clv.format import counted, number
from clv.intake.column_roles import looks_like
from clv.intake.draft import AnswerOption, Draft, Question, stand_ins
from clv.intake.reading import judged
from clv.intake.recipe import OPEN
from clv.intake.role_cells import number_sql
from clv.intake.vocabulary import candidates, plain, side_of, vocabulary

Sums = Mapping[str, tuple[int, float]]  # rows and money of each side
MOST = 2 / 3  # of rows and of money: whoever has that many is what was bought


def settle_counterpart(draft: Draft) -> None:
    """Two columns for the amounts of one file, such as debit and credit: each row has one."""
    amount = draft.columns.get("amount")
    if not draft.may_have("counterpart") or "counterpart" in draft.columns:
        return
    free = [*draft.free, *([amount] if isinstance(amount, str) else [])]
    pair = _pair(draft, free)
    if pair is None or amount not in (None, OPEN, *pair):
        return
    others = [name for name in candidates("amount", free) if name not in pair]
    if amount not in pair and any(looks_like(draft, "amount", name) for name in others):
        return  # a column of amounts, which has the signs
    amount = amount if amount in pair else pair[0]
    (other,) = (name for name in pair if name != amount)
    draft.columns |= {"amount": amount, "counterpart": other}
    draft.reasons["counterpart"] = f"rows have an amount there or in {amount}"


def _pair(draft: Draft, free: Sequence[str]) -> tuple[str, str] | None:
    """Two columns whose names are the two sides, where hardly a row has both."""
    for sides in (("in", "out"), ("debit", "credit")):
        names = [[name for name in free if side_of(name) == side] for side in sides]
        if any(len(each) != 1 for each in names):
            continue
        one, other = names[0][0], names[1][0]
        if all(draft.is_number(name) or not draft.filled(name) for name in (one, other)):
            cells = (f"{draft.source.column(name)}::VARCHAR" for name in (one, other))
            both = " AND ".join(f"regexp_matches({cell}, '[1-9]')" for cell in cells)
            if len(draft.source.rows.filter(both).limit(2 + draft.rows // 50).fetchall()) < 2:
                return one, other  # but a row of totals has both
    return None


def _settle_columns_of_sides(draft: Draft) -> None:
    """Which of two columns is what was bought: by their names, else by most rows and money."""
    names = (draft.columns["amount"], draft.columns["counterpart"])
    one, other = (
        number_sql(draft.source, draft.recipe(**stand_ins(draft)), role)
        for role in ("amount", "counterpart")
    )
    cells = draft.source.rows.project(f"coalesce({one}, 0) AS a, coalesce({other}, 0) AS b")
    looks = ", ".join(
        f"count(*) FILTER ({side} <> 0), coalesce(sum(abs({side})), 0), coalesce(sum({side}), 0)"
        for side in "ab"
    )
    row = cells.filter("a = 0 OR b = 0").aggregate(looks).fetchall()[0]
    money = {name: row[3 * k : 3 * k + 2] for k, name in enumerate(names)}
    signed = {name: row[3 * k + 2] for k, name in enumerate(names)}
    bought = names[0] if "amount" in draft.stated else _bought(names, money)
    if bought is None:
        _ask_for_minus(draft, " and ".join(names), money)
        return
    back = next(name for name in names if name != bought)
    # what pays back may have a minus of its own, which then stands
    minus = [name for name in names if (signed[name] < 0) == (name == bought) and money[name][0]]
    draft.fields["minus"] = tuple(minus or (() if money[back][0] else (back,)))
    draft.reasons["minus"] = f"{bought} is what was bought"
    _say_sides(draft, " and ".join(names), {bought: money[bought]}, {back: money[back]})


def _bought(names: tuple[str, str], money: Sums) -> str | None:
    """The column of what was bought: money that comes in, or most rows and money."""
    if side_of(names[0]) in ("in", "out"):
        return next(name for name in names if side_of(name) == "in")
    rows, total = (sum(each[k] for each in money.values()) for k in (0, 1))
    most = (name for name in names if money[name][0] >= MOST * rows > 0)
    return next((name for name in most if money[name][1] >= MOST * total), None)


def settle_sides(draft: Draft) -> None:
    """A marker of debit and credit beside amounts without a sign: one of the two takes back."""
    if _in_two_columns(draft):
        if "minus" not in draft.fields:
            _settle_columns_of_sides(draft)
        return
    if draft.columns.get("amount") in (None, OPEN) or not draft.may_have("sign"):
        return
    name = draft.columns.get("sign") or _sides_column(draft)
    if name is not None and "minus" in draft.fields:
        draft.columns["sign"] = name
        return
    if name is None or _have_signs(draft):
        draft.columns.pop("sign", None)
        return
    draft.columns["sign"] = name
    if draft.columns.get("kind") == name:
        del draft.columns["kind"]
    money = _money_by_side(draft)
    minus = _minus(money)
    if minus is None:
        _ask_for_minus(draft, name, _in_capitals(money))
        return
    draft.fields["minus"] = minus
    back = _in_capitals({side: sums for side, sums in money.items() if side in minus})
    bought = _in_capitals({side: sums for side, sums in money.items() if side not in minus})
    draft.reasons["minus"] = f"{_in_words(back)} paid back, {_in_words(bought)} bought"
    _say_sides(draft, name, bought, back)


def _in_two_columns(draft: Draft) -> bool:
    """Whether each side has a column of its own, rather than a marker beside the amount."""
    return bool(draft.columns.get("counterpart"))


def _in_capitals(money: Sums) -> Sums:
    return {side.upper(): sums for side, sums in money.items()}


def _say_sides(draft: Draft, name: str, bought: Sums, back: Sums) -> None:
    """What of a marker, or of two columns, is added, and what is taken off."""
    added, off = _in_words(bought), _in_words(back)
    if _in_two_columns(draft):
        draft.notes.append(finding("check.two_sides", columns=name, added=added, off=off))
    else:
        draft.notes.append(finding("check.sides", column=name, added=added, off=off))


def _sides_column(draft: Draft) -> str | None:
    """The column whose cells are words for debit and credit, or the amount with them behind."""
    amount = draft.columns["amount"]
    if draft.source.type_of(amount) == "VARCHAR" and draft.amounts(amount).sides:
        return str(amount)
    kind = draft.columns.get("kind")
    names: list[str] = [*([kind] if kind else []), *draft.free]
    for name in names:
        if draft.source.type_of(name) == "VARCHAR" and draft.of_sides(name):
            cells = [cell.lower().strip(" .") for cell in draft.cells(name)]
            sure = [cell for cell in cells if len(cell) > 1 or cell in "+-−"]
            named = plain(name) in vocabulary()["columns"]["sign"] or name.strip() in "+/- ±"
            if cells and (named or len(sure) == len(cells) > 1):
                return name
    return None


def _have_signs(draft: Draft) -> bool:
    """Whether amounts have a minus of their own, beside which a marker changes nothing."""
    table = judged(draft.source, draft.recipe(**stand_ins(draft), columns={"sign": None}))
    return bool(table.filter("_gross < 0").limit(1).fetchall())


def _money_by_side(draft: Draft) -> Sums:
    """Rows and money of each marker, in lower case; "" where none stands."""
    table = judged(draft.source, draft.recipe(**stand_ins(draft), minus=()), today=draft.today)
    sums = table.filter("_said IS NOT NULL").aggregate(
        "coalesce(lower(trim(_sign, ' .')), '') AS side, count(*), coalesce(sum(abs(_gross)), 0)"
    )
    return {side: (n, money) for side, n, money in sums.order("2 DESC, 1").fetchall()}


def _minus(money: Sums) -> tuple[str, ...] | None:
    """The markers that take back: a minus, or all but that of most rows and money; None if open."""
    words = vocabulary()["sides"]
    if set(money) <= {*words["plus"], *words["minus"], ""}:
        return tuple(words["minus"])
    rows, total = (sum(each[k] for each in money.values()) for k in (0, 1))
    first = next(iter(money))
    if not (money[first][0] >= MOST * rows and money[first][1] >= MOST * total):
        return None
    others = sorted(side for side in money if side not in (first, ""))
    if not others:  # as of a file without a refund: those of files to come
        others = words["credit" if first in words["debit"] else "debit"]
    return tuple(others)


def _ask_for_minus(draft: Draft, name: str, money: Sums) -> None:
    two = _in_two_columns(draft)
    marks = "are two sides of one amount" if two else "marks amounts without a sign"
    text = (
        f"{name} {marks}: {_in_words(money)}. Which of them takes money back, as a refund does? "
        "Leave payments of invoices out of the file."
    )
    draft.fields["minus"] = OPEN
    choices = tuple(AnswerOption(side) for side in money if side)
    draft.questions.append(Question("minus", text, choices))


def _in_words(money: Sums) -> str:
    parts = (
        f"{counted(n, 'row')} with {side or 'neither'} ({number(total)})"
        for side, (n, total) in money.items()
    )
    return " and ".join(parts) or "none"
