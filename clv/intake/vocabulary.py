"""What columns and cells are called, in several languages: ``vocabulary.toml``, read once."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

Role = Literal[
    "customer_id", "date", "amount", "order_id", "status", "kind", "currency", "refund",
    "quantity", "price", "product", "channel", "margin", "adjusted", "sign", "discount",
    "counterpart", "cancelled",
]  # fmt: skip
Meaning = Literal["counts", "cancelled", "refunded", "partly_refunded", "pending", "unknown"]


@cache
def vocabulary() -> Mapping[str, Mapping[str, list[str]]]:
    """The words of ``vocabulary.toml``, by section and key."""
    return tomllib.loads((files("clv.intake") / "vocabulary.toml").read_text(encoding="utf-8"))


# Letters that are no other one with an accent.
_PLAIN = str.maketrans({"ß": "ss", "ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})


def plain(text: str) -> str:
    """Text in lower case, without accents, blanks and signs.

    >>> plain("N. Revenue"), plain("Währung"), plain("Order #")
    ('nrevenue', 'wahrung', 'order')
    """
    bare = unicodedata.normalize("NFKD", text.lower().translate(_PLAIN))
    return "".join(sign for sign in bare if sign.isalnum())


def candidates(role: Role, names: Sequence[str]) -> list[str]:
    """The names that may stand for a role, the surest first.

    >>> candidates("amount", ["Subtotal", "Total", "Taxes"])
    ['Total', 'Subtotal']
    """
    words = vocabulary()["columns"][role]
    rank = {word: place for place, word in enumerate(words)}
    fits: dict[str, float] = {n: rank[plain(n)] for n in names if plain(n) in rank}
    alone = {n: plain(_IN_BRACKETS.sub("", n)) for n in names if n not in fits}
    fits |= {n: rank[word] + 0.25 for n, word in alone.items() if word in rank}
    if role in MONEY:
        bare = {n: plain(without_minor_units(n)) or role for n in names if n not in fits}
        fits |= {n: rank[word] + 0.5 for n, word in bare.items() if word in rank}
    return sorted(fits, key=fits.__getitem__)


MONEY: tuple[Role, ...] = ("amount", "price", "refund", "margin", "discount", "adjusted")
_IN_BRACKETS = re.compile(r"[(\[][^)\]]*[)\]]\s*$")  # Order Total (inc tax)
_WORDS = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])")


def speaks_of_minor_units(name: str) -> bool:
    """Whether a column's name says that its amounts are cents, pence or the like.

    >>> [speaks_of_minor_units(name) for name in ("amount_cents", "percent", "priceInCents")]
    [True, False, True]
    """
    return without_minor_units(name) != name


def without_minor_units(name: str) -> str:
    """A name without the words that say cents.

    >>> without_minor_units("total (pence)"), without_minor_units("betrag_ct")
    ('total', 'betrag')
    """
    words = _WORDS.findall(_HUMP.sub(" ", name))
    minor = vocabulary()["money"]["minor"]
    if not any(word.lower() in minor for word in words):
        return name
    return " ".join(w for w in words if w.lower() not in (*minor, "in", "unit", "units"))


def is_total(cell: str) -> bool:
    """Whether a cell names a row of totals or averages: a word alone, but for signs around it.

    >>> [is_total(cell) for cell in ("Total:", "** Total général **", "@SUM(A1)", "total-1@x.com")]
    [True, True, False, False]
    """
    words = vocabulary()["rows"]
    return not any(s.isdigit() or s in "@()" for s in cell) and any(
        plain(cell) in words[key] for key in ("totals", "averages")
    )


# What stands around the word for a side of an amount: Sollbetrag, Debit (EUR).
_AROUND = "amount|betrag|umsatz|wert|value|montant|importe|importo|bedrag|valor|eur|usd|gbp|chf"


def side_of(name: str) -> str:
    """Which side of an amount a column holds, by its name: debit, credit, in, out; "" for none.

    >>> [side_of(name) for name in ("Debit (EUR)", "Betrag Haben", "Paid in", "Total")]
    ['debit', 'credit', 'in', '']
    """
    word = re.sub(f"^({_AROUND})|({_AROUND})$", "", plain(name))
    return next((side for side, words in vocabulary()["side_columns"].items() if word in words), "")


def holds_money(name: str) -> bool:
    """Whether a column's name speaks of money: an amount, a refund, a tax, a fee."""
    words = vocabulary()
    money = {*words["money"]["names"], *words["columns"]["amount"], *words["columns"]["refund"]}
    return plain(name) in money or any(plain(name).endswith(word) for word in ("amount", "betrag"))


def meaning_of_status(cell: str) -> Meaning:
    """What a status says of its order.

    >>> [meaning_of_status(cell) for cell in ("Paid", "VOIDED", "wc-on-hold", "Glorp")]
    ['counts', 'cancelled', 'pending', 'unknown']
    >>> meaning_of_status("Delvis återbetald")
    'partly_refunded'
    """
    word = plain(cell.strip().lower().removeprefix("wc-"))
    for meaning in ("counts", "cancelled", "refunded", "partly_refunded", "pending"):
        if word in vocabulary()["status"][meaning]:
            return meaning
    parts = vocabulary()["parts_of_status"].values()
    in_part = all(any(part in word for part in words) for words in parts)
    return "partly_refunded" if in_part else "unknown"


def meaning_of_kind(cell: str) -> Literal["sale", "refund", "other", "unknown"]:
    """What a kind of row says.

    >>> [meaning_of_kind(cell) for cell in ("Payment", "Sales credit note", "Payout", "")]
    ['sale', 'refund', 'other', 'unknown']
    """
    for meaning in ("sale", "refund", "other"):
        if plain(cell) in vocabulary()["kind"][meaning]:
            return meaning
    parts = vocabulary()["parts_of_kind"]
    if any(word in plain(cell) for word in parts["refund"]):
        return "refund"
    return "sale" if any(word in plain(cell) for word in parts["sale"]) else "unknown"


@cache
def currency_codes() -> frozenset[str]:
    """The codes of ISO 4217, those of former currencies too."""
    from babel.numbers import list_currencies

    return frozenset(list_currencies())
