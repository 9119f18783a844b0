"""What plans, fits, monitors and stores say: records of a code and figures, written in one place.

``finding("plan.next_budget", step=1000, value=8515)`` is a record; ``sentences.toml`` holds the
sentence of each code and, in it, the kind of each value: ``{step:money}``. The sentence is written
when somebody reads it, in the currency of the record and the locale of the reader (``format.py``).
Nobody ever reads a figure out of a sentence.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from clv import format as write
from clv.locales import DEFAULT_LOCALE, in_locale
from clv.spans import span

Provenance = Literal["", "measured", "assumed", "estimated"]
Value: TypeAlias = "float | str | dt.date | Sequence[str] | Finding | None"

CATALOGUE = Path(__file__).with_name("sentences.toml")
# How a value of each kind is written. "count" takes the noun behind it: {n:count customer}.
KINDS: dict[str, Callable[[Any, str], str]] = {
    "money": write.money,
    "return": write.returns,  # value by money spent
    "share": lambda value, _: write.percent(value),
    "change": lambda value, _: write.change(value),
    "ratio": lambda value, _: write.ratio(value),
    "number": lambda value, _: write.number(value),
    "score": lambda value, _: write.number(value, 4),
    "figure": lambda value, _: write.figure(value),
    "difference": lambda value, _: write.difference(value),
    "date": lambda value, _: write.day(value),
    "duration": lambda value, _: span(value),
    "name": lambda value, _: str(value),
    "measure": lambda value, _: write.measure(value),
    "names": lambda value, _: write.listed(value),
    "text": lambda value, _: str(value),
    # a finding in another, which a clause at the beginning makes begin with a capital
    "phrase": lambda value, currency: value.within(currency).text,
    "clause": lambda value, currency: "" if value is None else value.within(currency).text,
}


class Piece(NamedTuple):
    """Words of a sentence and the value behind them; ``name`` is empty at the end."""

    words: str
    name: str
    kind: str
    noun: str

    def written(self, value: Any, currency: str) -> str:
        """The value as people write it."""
        if self.kind == "count":
            return write.counted(value, *self.noun.split("/")) if self.noun else write.count(value)
        return KINDS[self.kind](value, currency)


class Template(NamedTuple):
    """A sentence of the catalogue, and whether its figures are measured, estimated or assumed."""

    pieces: tuple[Piece, ...]
    basis: Provenance


@dataclass(frozen=True)
class Note:
    """A sentence on what figures rest on, and whether that was measured, estimated or assumed."""

    text: str
    chip: Provenance = ""


@dataclass(frozen=True)
class Finding:
    """Something that was found, in figures; ``str`` writes it out.

    Parameters
    ----------
    code
        What it is, as ``sentences.toml`` lists it.
    values
        The figures and names in it.
    currency
        Of its amounts, such as "GBP"; empty if that is not stated.
    chip
        Whether it is measured, estimated or assumed.
    """

    code: str
    values: Mapping[str, Value] = field(hash=False)
    currency: str = ""
    chip: Provenance = ""

    @property
    def text(self) -> str:
        """The sentence."""
        return self._written(template(self.code).pieces)

    @property
    def on_page(self) -> str:
        """The sentence for who looks at the page and types no command, where it has one."""
        return self._written(template(self.code, "page").pieces)

    def _written(self, pieces: Sequence[Piece]) -> str:
        written = "".join(
            piece.words + piece.written(self.values[piece.name], self.currency)
            if piece.name
            else piece.words
            for piece in pieces
        )
        return write.capital(written) if pieces[0].kind == "clause" else written

    def __str__(self) -> str:
        return self.text

    def within(self, currency: str) -> Finding:
        """The same, its amounts being in this currency."""
        return replace(self, currency=currency)

    def based_on(self, basis: str) -> Finding:
        """The same, where the figures themselves say whether they were measured or assumed."""
        return replace(self, chip=cast(Provenance, basis))

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any] | str, currency: str = "") -> Finding:
        """What ``to_dict`` wrote; a sentence that no code stands for any more is only its text.

        >>> saved = finding("plan.unspent", left=1200).to_dict()
        >>> Finding.from_dict(saved, "EUR").text.partition(" of")[0]
        '€1,200'
        """
        if isinstance(saved, str):
            return finding("basis.text", text=saved)
        try:
            names = {piece.name for piece in template(saved["code"]).pieces if piece.name}
        except KeyError:
            names = None
        if names != saved["values"].keys():
            return finding("basis.text", text=saved["text"])
        values = {name: _read(each["value"], currency) for name, each in saved["values"].items()}
        return cls(saved["code"], values, currency, saved["basis"] or "")

    def to_dict(self) -> dict[str, Any]:
        """Code, text, provenance, and each value with its kind, as JSON values."""
        kinds = {piece.name: piece.kind for piece in template(self.code).pieces if piece.name}
        values = {
            name: {"kind": kind, "value": _plain(self.values[name])} for name, kind in kinds.items()
        }
        return {
            "code": self.code, "text": self.text, "basis": self.chip or None, "values": values,
        }  # fmt: skip


def finding(code: str, **values: Value) -> Finding:
    """A finding of the catalogue.

    >>> price = finding("plan.next_budget", step=1000, value=8515.4).within("GBP")
    >>> print(price)
    The next £1,000 of budget would bring about £8,515 of customer value.
    >>> price.to_dict()["values"]["step"]
    {'kind': 'money', 'value': 1000}
    """
    return Finding(code, values, chip=template(code).basis)


def within(findings: Iterable[Finding], currency: str) -> tuple[Finding, ...]:
    """Findings whose amounts are in this currency."""
    return tuple(each.within(currency) for each in findings)


def saved(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON values of a file, whose text is the same whoever writes it."""
    with in_locale(DEFAULT_LOCALE):
        return [each.to_dict() for each in findings]


def sentence_of(saved: Mapping[str, Any] | str, currency: str = "") -> str:
    """The sentence of a finding that a file holds."""
    return write.sentence(Finding.from_dict(saved, currency).text)


def page_sentence_of(saved: Mapping[str, Any] | str, currency: str = "") -> str:
    """The same for who looks at the page."""
    return write.sentence(Finding.from_dict(saved, currency).on_page)


@lru_cache(512)
def template(code: str, wording: Literal["text", "page"] = "text") -> Template:
    """The sentence of a code, in that wording if it has it; ``KeyError`` without such a code."""
    section, _, name = code.partition(".")
    entry = catalogue()[section][name]
    words = {"text": entry} if isinstance(entry, str) else entry
    text, basis = words.get(wording, words["text"]), words.get("basis", "")
    pieces = (
        Piece(words, name or "", *_kind(kind or ""))
        for words, name, kind, _ in Formatter().parse(text)
    )
    return Template(tuple(pieces), cast(Provenance, basis))


@lru_cache(1)
def catalogue() -> dict[str, dict[str, Any]]:
    """All sentences by section and name."""
    return tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))


def _kind(text: str) -> tuple[str, str]:
    kind, _, noun = text.partition(" ")
    return kind, noun


def _read(value: Any, currency: str) -> Value:
    """A value that ``_plain`` made; only a finding is written as a record of its own."""
    return Finding.from_dict(value, currency) if isinstance(value, Mapping) else value


def _plain(value: Value) -> Any:
    if isinstance(value, Finding):
        return value.to_dict()
    if isinstance(value, dt.date):
        return value.isoformat()
    if value is None or isinstance(value, float | int | str):
        return value
    return list(value)
