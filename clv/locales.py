"""In which language and country's way figures are written.

That of the environment variable CLV_LOCALE (en_GB unless it says otherwise), or what ``in_locale``
says for a while.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING

from clv.errors import InputError

if TYPE_CHECKING:
    from babel import Locale

DEFAULT_LOCALE = "en_GB"
_locale: ContextVar[Locale | None] = ContextVar("locale", default=None)


@contextmanager
def in_locale(name: str) -> Iterator[None]:
    r"""Write as people of a language and country do.

    >>> from clv.format import day, large_money, money, percent
    >>> with in_locale("de_DE"):
    ...     money(8415230.4, "EUR"), large_money(8415230.4), percent(0.0314), day("2011-12-09")
    ('8.415.230\xa0€', '8,42\xa0Mio.', '3,1\xa0%', '9. Dezember 2011')
    """
    token = _locale.set(_parsed(name))
    try:
        yield
    finally:
        _locale.reset(token)


@contextmanager
def one_locale() -> Iterator[None]:
    """Write as now throughout: the environment is asked once, and not for each of many figures."""
    token = _locale.set(current_locale())
    try:
        yield
    finally:
        _locale.reset(token)


def current_locale() -> Locale:
    """The locale in which figures are written now."""
    return _locale.get() or _parsed(os.environ.get("CLV_LOCALE") or DEFAULT_LOCALE)


def has_decimal_comma() -> bool:
    """Whether figures are written with a comma before their decimals now.

    >>> with in_locale("de_DE"):
    ...     has_decimal_comma()
    True
    """
    return str(current_locale().number_symbols["latn"]["decimal"]) == ","


@lru_cache
def _parsed(name: str) -> Locale:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(name, sep="-" if "-" in name else "_")
    except (ValueError, UnknownLocaleError) as error:
        raise InputError(
            f"{name!r} is no locale.", hint="set CLV_LOCALE to a language and country, as de_DE."
        ) from error
