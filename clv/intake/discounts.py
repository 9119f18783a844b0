"""A discount beside the amount, or beside quantity and price: taken off, or in it already.

A total is what was paid, so a discount is in it. Elsewhere the sums say so (gross less discount is
net), or the name (gross sales); where neither does, it is asked, with what each answer would give.
"""

from __future__ import annotations

from collections.abc import Sequence

from clv.findings import finding
from clv.intake.draft import GLANCE, AnswerOption, Draft, Question
from clv.intake.numbers import Mark, amount_sql, look_at_amounts
from clv.intake.recipe import OPEN
from clv.intake.vocabulary import candidates, plain

BEFORE = (
    *("grosssales", "grossrevenue", "grossmerchandise", "beforediscount", "vorrabatt", "listprice"),
    *("fullprice", "originalprice", "originaltotal", "originalamount", "avantremise"),
    *("ventesbrutes", "ventasbrutas", "venditelorde", "antesdedescuento", "primadellosconto"),
)
AFTER = (
    *("total", "paid", "netsales", "netrevenue", "collected", "payable", "charged", "final"),
    *("afterdiscount", "nachrabatt", "gesamt", "endbetrag", "zahlbetrag", "rechnungsbetrag"),
    *("summe", "ttc", "paye", "pagado", "pagato", "pago", "betaald", "totaal", "razem", "totalt"),
)
PARTS_OF_ORDERS = ("line", "item", "position", "subtotal", "zwischen", "soustotal", "subtotaal")
SURE = 0.9  # of the rows with a discount, whose sums show where it stands


def settle_discount(draft: Draft) -> None:
    """A discount: per cent of the amount, money, or in the amount already."""
    named = draft.columns.get("discount")
    if not draft.may_have("discount") or (named and "discount" in draft.fields):
        return
    amount = draft.columns.get("amount")
    if amount == OPEN or not (amount or {"quantity", "price"} <= set(draft.columns)):
        return
    for name in [named] if named else candidates("discount", draft.free):
        options = _discount_options(draft, name)
        if options and amount:
            options = _beside_amount(draft, name, options)
        if options:
            draft.columns["discount"] = name
            _take_discount(draft, name, options)
            return


def _beside_amount(draft: Draft, name: str, options: Sequence[str]) -> tuple[str, ...]:
    """What a discount may be beside an amount; nothing where the amount is less it already."""
    word = plain(draft.columns["amount"])
    if any(part in word for part in BEFORE):
        return ("money",) if "money" in options else tuple(options)
    of_a_part = any(part in word for part in PARTS_OF_ORDERS)
    if any(part in word for part in AFTER) and not of_a_part:
        return ()
    if "money" in options:
        gross, net = gross_and_net(draft, name)
        if net:
            return ("money",)
        if gross:
            draft.reasons["amount"] = f"{gross} less {name}"
            return ()
    return (*options, *(() if "none" in options else ("none",)))


def gross_and_net(draft: Draft, name: str) -> tuple[str, str]:
    """What less the discount is the amount, and what is the amount less it; "" for nothing.

    An amount that is quantity times price has no discount in it either.
    """
    paid, off = _number(draft, draft.columns["amount"]), f"abs({_number(draft, name)})"
    others = [each for each in draft.free if each != name and draft.is_number(each)]
    cells = {each: _number(draft, each) for each in others}
    net = {each: f"{paid} - {off} - {cell}" for each, cell in cells.items()}
    if {"quantity", "price"} <= set(draft.columns):
        names = [draft.columns[role] for role in ("quantity", "price")]
        product = " x ".join(names)
        cells[product] = " * ".join(_number(draft, each) for each in names)
        net[product] = f"{paid} - {cells[product]}"
    if not cells:
        return "", ""
    gross = {each: f"{cell} - {off} - {paid}" for each, cell in cells.items()}
    shares = (
        f"coalesce(avg(coalesce(abs({gap}) < 0.005, false)::INT), 0)"
        for gap in (*gross.values(), *net.values())
    )
    rows = draft.source.rows.limit(GLANCE).filter(f"{off} > 0 AND {paid} <> 0")
    row = rows.aggregate(", ".join(shares)).fetchall()[0]
    fits = [share >= SURE for share in row]
    return (
        next((each for each, fit in zip(gross, fits, strict=False) if fit), ""),
        next((each for each, fit in zip(net, fits[len(gross) :], strict=True) if fit), ""),
    )


def _number(draft: Draft, name: str) -> str:
    """SQL for the number in a column, by the decimal mark of the amounts."""
    column = draft.source.column(name)
    if draft.source.type_of(name) != "VARCHAR":
        return f"{column}::DOUBLE"
    mark: Mark = draft.fields.get("decimal", ".")
    return amount_sql(column, "." if mark == OPEN else mark)


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
    of_100 = ("share",) if most < 1 else ("percent",) if most <= 100 else ()
    says_money = any(word in plain(name) for word in ("amount", "betrag", "montant", "importe"))
    return (*(() if says_money else of_100), "money", "none")


def _speaks_of_percent(name: str) -> bool:
    words = ("percent", "pct", "prozent", "pourcent", "porcent", "procent", "rate", "perc")
    return "%" in name or any(word in plain(name) for word in words)


def _take_discount(draft: Draft, name: str, options: Sequence[str]) -> None:
    """Settle what a discount is, or ask."""
    if "discount" in draft.fields:
        return
    amount = draft.columns.get("amount")
    if len(options) == 1:
        bought = amount or "quantity times price"
        draft.fields["discount"] = options[0]
        draft.reasons["discount"] = f"{bought} less {name}"
        unit = {"percent": "per cent", "share": "a share", "money": "money"}[options[0]]
        draft.notes.append(finding("check.discount", column=name, amount=bought, unit=unit))
        return
    draft.fields["discount"] = OPEN
    meanings = {
        "percent": "per cent of the row (10 is 10%)", "share": "a share of it (0.1 is 10%)",
        "money": "money off the row", "none": f"in {amount or 'the price'} already",
    }  # fmt: skip
    answers = ", ".join(f'{meanings[each]}: "{each}"' for each in options)
    text = f"What is {name} beside {amount or 'quantity and price'}? {answers}."
    choices = tuple(AnswerOption(each) for each in options)
    draft.questions.append(Question("discount", text, choices))
