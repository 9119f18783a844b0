"""Contact details as the advertisers compare them: cleaned alike on both sides, then hashed.

A hash matches only if every character does, so the cleaning is the whole art. Each function gives
the SQL of a cleaned column, so that a million rows take seconds; ``cleaned`` runs one on a few
values. The rules are those of ``clv.exports.formats``, which cites them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clv.io.engine import connect

SPACE = r"[\s\p{Z}\x{200B}\x{FEFF}]+"
EMAIL = r"""[^@\s,;:"<>()\[\]\\]+@[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)*\.[\p{L}][\p{L}\p{N}-]+"""
PARTS = ("email", "phone", "first_name", "last_name", "country", "zip")


def email(column: str) -> str:
    """Without any space, in lower case; NULL unless it is an address.

    >>> cleaned(email, [" John_Smith@Gmail.com ", "john@", "a@b.com, c@d.com"])
    ['john_smith@gmail.com', None, None]
    """
    bare = lower(_spaces(column, ""))
    return f"CASE WHEN regexp_full_match({bare}, '{EMAIL}') THEN {bare} END"


def mailbox(column: str) -> str:
    """The mailbox behind a cleaned address: at Gmail dots and what follows a + do not count.

    >>> cleaned(mailbox, ["cloudy.sanfrancisco+shopping@gmail.com", "user.name+nyc@example.com"])
    ['cloudysanfrancisco@gmail.com', 'user.name+nyc@example.com']
    """
    box = f"regexp_replace(split_part({column}, '@', 1), '[+].*|[.]', '', 'g')"
    address = f"nullif({box}, '') || '@' || split_part({column}, '@', 2)"
    at_gmail = f"regexp_matches({column}, '@(gmail|googlemail)[.]com$')"
    return f"CASE WHEN {at_gmail} THEN {address} ELSE {column} END"


def name(column: str) -> str:
    """In lower case, one space between words; accents stay.

    >>> cleaned(name, ["  Mary  Ann ", "VALÉRY"])
    ['mary ann', 'valéry']
    """
    return lower(f"trim({_spaces(column, ' ')})")


def plain_name(column: str) -> str:
    """As ``name``, without punctuation; letters of any script stay.

    >>> cleaned(plain_name, ["O'Neill-Smith Jr.", "정"])
    ['oneillsmith jr', '정']
    """
    return rf"regexp_replace({name(column)}, '\p{{P}}', '', 'g')"


def country(column: str) -> str:
    """The two-letter code of ISO 3166-1, in capitals; NULL for anything else. UK is read as GB.

    >>> cleaned(country, ["us ", "uk", "Germany"])
    ['US', 'GB', None]
    """
    code = f"upper({_spaces(column, '')})"
    is_code = f"regexp_full_match({code}, '[A-Z]{{2}}')"
    return f"CASE WHEN {code} = 'UK' THEN 'GB' WHEN {is_code} THEN {code} END"


def postcode(column: str) -> str:
    """Letters and digits, with one space or dash between them at most.

    >>> cleaned(postcode, [" 94303-5300", "wc2h  8lg", "=1+1"])
    ['94303-5300', 'WC2H 8LG', '11']
    """
    letters = rf"regexp_replace({_spaces(column, ' ')}, '[^\p{{L}}\p{{N}} -]', '', 'g')"
    return f"upper(trim({letters}, ' -'))"


def plain_postcode(column: str, code: str) -> str:
    """As ``postcode`` in lower case without space and dash; in the US its first five digits."""
    bare = f"regexp_replace(lower({postcode(column)}), '[ -]', '', 'g')"
    return f"CASE WHEN {code} = 'US' THEN left({bare}, 5) ELSE {bare} END"


def digits(column: str) -> str:
    """A number in E.164 without its +."""
    return f"ltrim({column}, '+')"


def hashed(column: str) -> str:
    """SHA-256 in lower-case hexadecimal digits; NULL where there is nothing to hash.

    >>> cleaned(hashed, ["mary", "", None])
    ['6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec', None, None]
    """
    return f"sha256(nullif({column}, ''))"


def lower(column: str) -> str:
    """In lower case, letters with accents as one character (Unicode NFC)."""
    return f"lower(nfc_normalize({column}))"


def cleaned(rule: Callable[[str], str], values: Sequence[str | None]) -> list[str | None]:
    """What ``rule`` makes of ``values``."""
    with connect() as connection:
        rows = connection.execute(
            f"SELECT {rule('value')} FROM (SELECT unnest(?::VARCHAR[]) AS value)", [list(values)]
        ).fetchall()
    return [row[0] for row in rows]


def _spaces(column: str, by: str) -> str:
    return f"regexp_replace({column}, '{SPACE}', '{by}', 'g')"
