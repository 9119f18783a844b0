"""Phone numbers in E.164: ``+``, the country's calling code, the national number; digits only.

A number that starts with + or 00 says its country. A national one needs the country beside it and
its trunk prefix, as in 0171 for +49 171, where the country writes one. What cannot be read without
a guess is counted, not guessed. The numbering plans are those of ``phonenumbers``, a port of
Google's libphonenumber, and a number counts only if they hold it valid.
"""

from __future__ import annotations

import re

# What people write between digits: spaces, brackets, dots, slashes, dashes, and format characters.
SEPARATORS = re.compile(
    r"[\s()./\-\u00AD\u200B-\u200F\u2010-\u2015\u202A-\u202E\u2060-\u2069\u2212\uFE58\uFE63\uFEFF\uFF0D]+"
)
ABROAD = re.compile(r"[+]|00")
DIGITS = re.compile(r"[+]?[0-9]+")


def e164(phone: str | None, country: str | None = None) -> str | None:
    """The number in E.164; None if it is none, or not certain.

    Parameters
    ----------
    phone
        As somebody wrote it.
    country
        Two letters (ISO 3166-1), which a national number needs.

    Examples
    --------
    >>> e164("0171 / 123 45 67", "DE"), e164("+44 (0)20 7183 8750"), e164("00390612345678")
    ('+491711234567', '+442071838750', '+390612345678')
    >>> e164("171 1234567", "DE"), e164("0171 1234567"), e164("555-1212", "US")
    (None, None, None)
    """
    digits = _digits(phone or "")
    if not DIGITS.fullmatch(digits):  # letters, extensions
        return None
    if ABROAD.match(digits):
        return _valid(ABROAD.sub("+", digits, count=1), None)
    return _national(digits, country) if country else None


def _digits(phone: str) -> str:
    """Without what stands between them; the (0) of an international number is not dialled."""
    digits = SEPARATORS.sub("", phone)
    return SEPARATORS.sub("", phone.replace("(0)", "")) if ABROAD.match(digits) else digits


def _national(digits: str, country: str) -> str | None:
    """A number without + by the plan of its country: with its trunk prefix, or its calling code."""
    import phonenumbers

    number = _valid(digits, country)
    code = phonenumbers.country_code_for_region(country)
    if number is None or number != f"+{code}{digits}":  # a prefix was there, and was left out
        return number
    written = phonenumbers.format_number(
        phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.NATIONAL
    )
    if phonenumbers.normalize_digits_only(written) == digits:
        return number
    # The country writes a trunk prefix and there is none: only its calling code can explain that.
    return _valid(f"+{digits}", None) if digits.startswith(str(code)) else None


def _valid(digits: str, country: str | None) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
