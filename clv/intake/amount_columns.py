"""Columns beside the amount that change it: debit or credit, a discount, an adjusted amount, cents.

What such a column does to an amount is said in a note. Where its cells leave it open, it is asked,
with what each answer would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clv.format import counted, number
from clv.intake.draft import AnswerOption, Draft, Question, listed, stand_ins
from clv.intake.numbers import WHOLE, amount_sql, look_at_amounts
from clv.intake.reading import judged
from clv.intake.recipe import OPEN
from clv.intake.vocabulary import Role, candidates, plain, speaks_of_minor_units, vocabulary

MOST = 2 / 3  # of rows and of money: whoever has that many is what was bought
ADJUSTED = ("adjusted", "corrected", "revised", "amended", "korrigiert", "angepasst")
CENTS = 100  # below it whole numbers are hardly amounts in cents


def settle_adjusted(draft: Draft) -> None:
    """A column that has an amount only where it was adjusted: there it takes the other's place."""
    amount = draft.columns.get("amount")
    if "adjusted" in draft.columns or amount in (None, OPEN) or not _looked_for(draft, "adjusted"):
        return
    paid = plain(amount)
    pairs = {each for word in ADJUSTED for each in (word + paid, paid + word)}
    free = _free(draft)
    fits = [name for name in free if plain(name) in pairs] or candidates("adjusted", free)
    for name in fits:
        share = draft.filled(name)
        if 0 < share < 1 and draft.is_number(name):
            draft.columns["adjusted"] = name
            draft.reasons["adjusted"] = f"in the place of {amount}, where it has an amount"
            rows = counted(round(share * draft.rows), "row")
            draft.notes.append(
                f"{name} has an amount in {rows}, which counts there in the place of {amount}."
            )
            return


def settle_minor_units(draft: Draft) -> None:
    """Cents, pence and the like, by the name of the column; mentioned where nothing says so."""
    role = "amount" if draft.columns.get("amount") else "price"
    name = draft.columns.get(role)
    if "minor_units" in draft.fields or name in (None, OPEN):
        return
    look = draft.amounts(name) if draft.source.type_of(name) == "VARCHAR" else None
    has_decimals = look is not None and {"decimal_dot", "decimal_comma"} & set(look.shapes)
    if speaks_of_minor_units(name) and not has_decimals:
        draft.fields["minor_units"] = True
        draft.reasons["minor_units"] = f"{name} says so"
        draft.notes.append(
            f"{name} is read in the smallest unit of its currency, as its name says: 1250 is "
            "12.50, but of yen 1250."
        )
    elif speaks_of_minor_units(name):
        draft.notes.append(
            f"{name} has decimals, so it is read as whole units though its name speaks of cents; "
            "minor_units = true in [data] divides it by 100."
        )
    elif draft.columns.get("currency") and not has_decimals and _may_be_cents(draft, name):
        draft.notes.append(
            f"{name} has whole numbers alone, as where payment systems write cents. They are read "
            "as they stand; if 1250 means 12.50, write minor_units = true in [data]."
        )


def _may_be_cents(draft: Draft, name: str) -> bool:
    """Whether a column holds whole numbers alone, large enough, of a currency that has cents."""
    codes = {cell.upper() for cell in draft.cells(draft.columns["currency"])}
    text = f"trim({draft.source.column(name)}::VARCHAR)"
    filled = draft.source.rows.filter(f"{text} <> ''")
    looks = f"bool_and(regexp_full_match({text}, '-?[0-9]+')), median(abs(try_cast({text} AS INT)))"
    whole, usual = filled.aggregate(looks).fetchall()[0]
    return bool(whole and (usual or 0) >= CENTS and not codes <= WHOLE)


def settle_discount(draft: Draft) -> None:
    """A discount beside quantity and price: per cent of it, money, or in the price already."""
    named = draft.columns.get("discount")
    if not _looked_for(draft, "discount") or (named and "discount" in draft.fields):
        return
    if draft.columns.get("amount") or not {"quantity", "price"} <= set(draft.columns):
        return
    for name in [named] if named else candidates("discount", _free(draft)):
        if options := _discount_options(draft, name):
            draft.columns["discount"] = name
            _take_discount(draft, name, options)
            return


def _discount_options(draft: Draft, name: str) -> tuple[str, ...]:
    """What the cells of a discount may be; nothing where they are no numbers, or all are 0."""
    text = f"replace({draft.source.column(name)}::VARCHAR, '%', '')"
    look = look_at_amounts(draft.source.rows, text)
    if look.readable < 0.9 or look.mark is None:
        return ()
    cells = f"abs({amount_sql(text, look.mark)}) AS off, {draft.source.column(name)} AS cell"
    signs = "count(*), max(off), count(*) FILTER (contains(cell::VARCHAR, '%'))"
    rows, most, signed = (
        draft.source.rows.project(cells).filter("off > 0").aggregate(signs).fetchall()[0]
    )
    if not rows:
        return ()
    if signed == rows:
        return ("percent",) if most <= 100 else ()
    if _speaks_of_percent(name):
        return ("percent",) if 1 < most <= 100 else ("share", "percent") if most <= 1 else ()
    return (*(("share",) if most < 1 else ("percent",) if most <= 100 else ()), "money", "none")


def _speaks_of_percent(name: str) -> bool:
    words = ("percent", "pct", "prozent", "pourcent", "porcent", "procent", "rate", "perc")
    return "%" in name or any(word in plain(name) for word in words)


def _take_discount(draft: Draft, name: str, options: Sequence[str]) -> None:
    """Settle what a discount is, or ask."""
    if "discount" in draft.fields:
        return
    if len(options) == 1:
        draft.fields["discount"] = options[0]
        draft.reasons["discount"] = f"quantity times price less {name}"
        draft.notes.append(f"{name} is taken off quantity times price as per cent.")
        return
    draft.fields["discount"] = OPEN
    meanings = {
        "percent": "per cent of the row (10 is 10%)", "share": "a share of it (0.1 is 10%)",
        "money": "money off the row", "none": "in the price already",
    }  # fmt: skip
    said = ", ".join(f'{meanings[each]}: "{each}"' for each in options)
    text = f"What is {name} beside quantity and price? {said}."
    choices = tuple(AnswerOption(each) for each in options)
    draft.questions.append(Question("discount", text, choices))


def settle_sides(draft: Draft) -> None:
    """A marker of debit and credit beside amounts without a sign: one of the two takes back."""
    if draft.columns.get("amount") in (None, OPEN) or not _looked_for(draft, "sign"):
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
        _ask_for_minus(draft, name, money)
        return
    draft.fields["minus"] = minus
    taken = _in_words({side: sums for side, sums in money.items() if side in minus})
    added = _in_words({side: sums for side, sums in money.items() if side not in minus})
    draft.reasons["minus"] = f"{taken} paid back, {added} bought"
    draft.notes.append(
        f"{name} gives amounts their sign. Added: {added}. Taken off as refunds: {taken}. Payments "
        "of invoices are no refunds: leave them out of the file."
    )


def _sides_column(draft: Draft) -> str | None:
    """The column whose cells are words for debit and credit, or the amount with them behind."""
    amount = draft.columns["amount"]
    if draft.source.type_of(amount) == "VARCHAR" and draft.amounts(amount).sides:
        return str(amount)
    kind = draft.columns.get("kind")
    names: list[str] = [*([kind] if kind else []), *_free(draft)]
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


def _money_by_side(draft: Draft) -> dict[str, tuple[int, float]]:
    """Rows and money of each marker, in lower case; "" where none stands."""
    table = judged(draft.source, draft.recipe(**stand_ins(draft), minus=()), today=draft.today)
    sums = table.filter("_said IS NOT NULL").aggregate(
        "coalesce(lower(trim(_sign, ' .')), '') AS side, count(*), coalesce(sum(abs(_gross)), 0)"
    )
    return {side: (n, money) for side, n, money in sums.order("2 DESC, 1").fetchall()}


def _minus(money: Mapping[str, tuple[int, float]]) -> tuple[str, ...] | None:
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


def _ask_for_minus(draft: Draft, name: str, money: Mapping[str, tuple[int, float]]) -> None:
    text = (
        f"{name} marks amounts without a sign: {_in_words(money)}. Which of them takes money "
        "back, as a refund does? Leave payments of invoices out of the file."
    )
    draft.fields["minus"] = OPEN
    choices = tuple(AnswerOption(side.upper()) for side in money if side)
    draft.questions.append(Question("minus", text, choices))


def _in_words(money: Mapping[str, tuple[int, float]]) -> str:
    parts = (
        f"{counted(n, 'row')} with {side.upper() or 'neither'} ({number(total)})"
        for side, (n, total) in money.items()
    )
    return " and ".join(parts) or "none"


def _looked_for(draft: Draft, role: Role) -> bool:
    """Whether a role may have a column that nobody named: not of files that are described."""
    described = "format" in draft.fields or {"customer_id", "date"} <= draft.stated
    return role in draft.columns or not (described or role in draft.kept_out)


def _free(draft: Draft) -> list[str]:
    """Columns that are nothing else yet, of one name each."""
    taken = {name for value in draft.columns.values() for name in listed(value)}
    names = draft.source.names
    return [name for name in names if name not in taken and names.count(name) == 1]
