"""The kinds of filters: how each is checked, asked in SQL, read from an address, and put in words.

A filter itself is one declaration in ``clv.store.filters``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from clv.decide.acquisition.cohorts import UNKNOWN
from clv.errors import InputError
from clv.format import capital, count

Fields = Mapping[str, Sequence[str]]  # what an address or a form holds, by name
Range = tuple[float | None, float | None]
LONGEST, MOST = 200, 1000  # characters of a text, values of a list
ENDS = ("from", "to")
NO_VALUE = "none"  # the segment of customers without a value


@dataclass(frozen=True, kw_only=True)
class FilterField(ABC):
    """What all kinds of filters declare.

    Attributes
    ----------
    name
        In Python, in addresses and in the API.
    column
        Of the customers in the store; None for the id as text.
    label
        On the page's form.
    description, example
        In the description of the API.
    of_contact
        Whether it is about who may be contacted, which a campaign looks after by itself.
    """

    name: str
    column: str | None
    label: str
    description: str
    example: Any = None
    of_contact: bool = False
    empty: ClassVar[Any] = None  # the value that leaves everybody in

    @property
    def parameters(self) -> tuple[str, ...]:
        """Its names in an address."""
        return (self.name,)

    @property
    def audit_name(self) -> str:
        """Its name in the audit, which hides what goes by ``search``."""
        return self.name

    @abstractmethod
    def check(self, value: object) -> None:
        """Raise ``InputError`` unless it can be a value."""

    @abstractmethod
    def conditions(self, value: Any) -> Iterator[tuple[str, list[Any]]]:
        """Conditions in SQL, each with its parameters."""

    @abstractmethod
    def parse(self, fields: Fields) -> Any:
        """The value in an address."""

    @abstractmethod
    def words(self, fields: Fields) -> str:
        """What an address asks for, as a short phrase; it does ask for this."""


@dataclass(frozen=True, kw_only=True)
class StartFilter(FilterField):
    """The id begins with a text, upper and lower case told apart."""

    empty: ClassVar[str] = ""

    @property
    def audit_name(self) -> str:
        """It may be typed to find one customer."""
        return "search"

    def check(self, value: object) -> None:
        """A text."""
        check_text(self.name, value)

    def conditions(self, value: str) -> Iterator[tuple[str, list[Any]]]:
        """By the key, which is sorted."""
        yield "starts_with(key, ?)", [value]

    def parse(self, fields: Fields) -> str:
        """As it was typed."""
        return only_value(fields, self.name)

    def words(self, fields: Fields) -> str:
        """As in "id begins with c-1"."""
        return f"id begins with {self.parse(fields)}"


@dataclass(frozen=True, kw_only=True)
class ListFilter(FilterField):
    """Any of several texts.

    Attributes
    ----------
    phrase
        What stands before the values in a sentence.
    allowed
        The only values that there may be; any if empty.
    missing
        What customers without a value go by. None: they have none, and it is no choice.
    order
        SQL: how the choices are ordered.
    show
        A value as people read it.
    """

    phrase: str
    allowed: Sequence[str] = ()
    missing: str | None = UNKNOWN
    order: str = "sum(clv) DESC"
    show: Callable[[str], str] = str
    empty: ClassVar[tuple[str, ...]] = ()

    def check(self, value: object) -> None:
        """A tuple of texts, all of them allowed."""
        if not isinstance(value, tuple) or len(value) > MOST:
            raise InputError(f"{self.name} is not a tuple of at most {count(MOST)} texts.")
        for text in value:
            check_text(f"an entry of {self.name}", text)
        unknown = [text for text in value if self.allowed and text not in self.allowed]
        if unknown:
            what = f"{self.name.removesuffix('s')} {unknown[0]!r}"
            raise InputError(f"there is no {what}.", hint=f"use {', '.join(self.allowed)}.")

    def conditions(self, value: tuple[str, ...]) -> Iterator[tuple[str, list[Any]]]:
        """One of them."""
        yield f"{self.column} IN ({', '.join('?' * len(value))})", list(value)

    def parse(self, fields: Fields) -> tuple[str, ...]:
        """All that were chosen."""
        return tuple(fields.get(self.name, ()))

    def words(self, fields: Fields) -> str:
        """As in "tier top 1% or 1 to 5%"."""
        return f"{self.phrase} {' or '.join(map(self.show, self.parse(fields)))}"


@dataclass(frozen=True, kw_only=True)
class RangeFilter(FilterField):
    """A number from and to, both included; None leaves a side open.

    Attributes
    ----------
    least, most
        What the number itself may be, for the API.
    unit
        On the form: "%" for a share, which people write in percent, "money" for the currency.
    """

    least: float | None = None
    most: float | None = None
    unit: str = ""
    empty: ClassVar[Range] = (None, None)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Both ends."""
        return tuple(f"{self.name}_{end}" for end in ENDS)

    def check(self, value: object) -> None:
        """A pair of numbers in order."""
        if not isinstance(value, tuple) or len(value) != 2:
            raise InputError(
                f"{self.name} is not a range.", hint="give a pair (from, to); None is open."
            )
        limits = [limit for limit in value if limit is not None]
        if not all(isinstance(limit, (int, float)) and math.isfinite(limit) for limit in limits):
            raise InputError(f"a bound of {self.name} is not a number.")
        if limits != sorted(limits):
            raise InputError(f"{self.name} from {limits[0]:g} to {limits[1]:g} holds nobody.")

    def conditions(self, value: Range) -> Iterator[tuple[str, list[Any]]]:
        """A condition for either end."""
        for limit, sign in zip(value, (">=", "<="), strict=True):
            if limit is not None:
                yield f"{self.column} {sign} ?", [float(limit)]

    def parse(self, fields: Fields) -> Range:
        """Both ends, a share as a share."""
        low, high = (self._number(fields, end) for end in ENDS)
        if low is not None and high is not None and low > high:
            ends = " to ".join(only_value(fields, name) for name in self.parameters)
            raise InputError(f"{capital(self.label)} from {ends} holds nobody.", hint="swap them.")
        return low, high

    def words(self, fields: Fields) -> str:
        """As in "churn risk from 50 to 80%"."""
        texts = zip(ENDS, (only_value(fields, name) for name in self.parameters), strict=True)
        ends = " ".join(f"{end} {text}" for end, text in texts if text)
        return f"{self.label[:1].lower()}{self.label[1:]} {ends}{'%' * (self.unit == '%')}"

    def _number(self, fields: Fields, end: str) -> float | None:
        text = only_value(fields, f"{self.name}_{end}")
        if not text:
            return None
        try:
            value = float(text.replace(",", ""))
        except ValueError as error:
            raise InputError(
                f"{capital(self.label)}, {end}: {text[:40]!r} is not a number.",
                hint="write it as 90 or 12.5.",
            ) from error
        return value / 100.0 if self.unit == "%" else value


@dataclass(frozen=True, kw_only=True)
class FlagFilter(FilterField):
    """Yes or no, and no for who has neither.

    Attributes
    ----------
    choices
        What everybody, yes and no are called on the form.
    phrases
        Yes and no in a sentence.
    """

    choices: tuple[str, str, str] = ("All", "Yes", "No")
    phrases: tuple[str, str]

    def check(self, value: object) -> None:
        """True, False or None."""
        if value not in (None, True, False):
            raise InputError(f"{self.name} is neither true nor false.")

    def conditions(self, value: bool) -> Iterator[tuple[str, list[Any]]]:
        """Unknown is no."""
        yield f"coalesce({self.column}, false) = ?", [bool(value)]

    def parse(self, fields: Fields) -> bool | None:
        """From yes or no."""
        text = only_value(fields, self.name)
        if text and text not in ("yes", "no"):
            raise InputError(f"{self.name} = {text[:40]!r} is neither yes nor no.")
        return text == "yes" if text else None

    def words(self, fields: Fields) -> str:
        """As in "may be contacted"."""
        return self.phrases[0 if self.parse(fields) else 1]


def only_value(fields: Fields, name: str) -> str:
    """The only value of a field; empty if there is none."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise InputError(f"{name} is given {len(values)} times.", hint="give it once.")
    return values[0] if values else ""


def check_text(name: str, value: object) -> None:
    """Raise ``InputError`` unless it is a text of Unicode that is not too long."""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise InputError(f"{name} is not a text of at most {LONGEST} characters.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name} = {printable(value)} is not Unicode text.") from error


def printable(value: object) -> str:
    """A value from outside, to be quoted in a message."""
    return ascii(str(value)[:LONGEST])
