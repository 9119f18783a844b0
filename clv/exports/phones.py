"""Phone numbers in E.164: ``+``, the country's calling code, the national number; digits only.

A number that starts with + or 00 says its country. A national one needs the country beside it and
its trunk prefix left out, as in 0171 for +49 171. Only countries whose numbering plan is below are
read so; what cannot be read without a guess is counted, not guessed. Source: ITU-T E.164 and the
national numbering plans filed with the ITU.
"""

from __future__ import annotations

# Country: calling code, trunk prefix, and how many digits the number after them may have.
PLANS: dict[str, tuple[str, str, int, int]] = {
    "AT": ("43", "0", 4, 13),
    "AU": ("61", "0", 9, 9),
    "BE": ("32", "0", 8, 9),
    "BG": ("359", "0", 7, 9),
    "BR": ("55", "", 10, 11),
    "CA": ("1", "", 10, 10),
    "CH": ("41", "0", 9, 9),
    "CY": ("357", "", 8, 8),
    "CZ": ("420", "", 9, 9),
    "DE": ("49", "0", 6, 13),
    "DK": ("45", "", 8, 8),
    "EE": ("372", "", 7, 8),
    "ES": ("34", "", 9, 9),
    "FI": ("358", "0", 5, 12),
    "FR": ("33", "0", 9, 9),
    "GB": ("44", "0", 9, 10),
    "GR": ("30", "", 10, 10),
    "HR": ("385", "0", 8, 9),
    "HU": ("36", "06", 8, 9),
    "IE": ("353", "0", 7, 9),
    "IS": ("354", "", 7, 7),
    "IT": ("39", "", 6, 11),
    "JP": ("81", "0", 9, 10),
    "LI": ("423", "", 7, 7),
    "LV": ("371", "", 8, 8),
    "MT": ("356", "", 8, 8),
    "MX": ("52", "", 10, 10),
    "NL": ("31", "0", 9, 9),
    "NO": ("47", "", 8, 8),
    "NZ": ("64", "0", 8, 10),
    "PL": ("48", "", 9, 9),
    "PT": ("351", "", 9, 9),
    "RO": ("40", "0", 9, 9),
    "SE": ("46", "0", 7, 9),
    "SI": ("386", "0", 8, 8),
    "SK": ("421", "0", 9, 9),
    "US": ("1", "", 10, 10),
}
SEPARATORS = r"[\s\p{Z}\p{Cf}().\/\p{Pd}]+"


def plans() -> str:
    """The numbering plans as rows of SQL: country, code, trunk, fewest, most.

    >>> plans()[:28]
    "(VALUES ('AT', '43', '0', 4,"
    """
    rows = ", ".join(
        f"('{country}', '{code}', '{trunk}', {fewest}, {most})"
        for country, (code, trunk, fewest, most) in PLANS.items()
    )
    return f"(VALUES {rows}) AS plan(plan_country, code, trunk, fewest, most)"


def written_digits(phone: str) -> str:
    """The SQL of a number without spaces, brackets, dots and dashes, and without a ``(0)``.

    >>> import duckdb
    >>> duckdb.sql("SELECT " + written_digits("'+44 (0)20 7946-0018'")).fetchall()
    [('+442079460018',)]
    """
    abroad = rf"regexp_matches({phone}, '^[\s\p{{Z}}]*(\+|00)')"
    whole = f"CASE WHEN {abroad} THEN replace({phone}, '(0)', '') ELSE {phone} END"
    return f"regexp_replace({whole}, '{SEPARATORS}', '', 'g')"


def e164(digits: str) -> str:
    """The SQL of a number in E.164, beside the columns of ``plans``; NULL if it cannot be told.

    Parameters
    ----------
    digits
        The column of ``written_digits``.

    Examples
    --------
    >>> import duckdb
    >>> given = "(VALUES ('0171234567', 'DE'), ('00390612345678', NULL), ('555', 'US')) AS t(d, c)"
    >>> duckdb.sql(
    ...     f"SELECT {e164('d')} FROM {given} LEFT JOIN {plans()} ON c = plan_country ORDER BY d"
    ... ).fetchall()
    [('+390612345678',), ('+49171234567',), (None,)]
    """
    fits = "BETWEEN fewest AND most"
    trimmed = f"substr({digits}, length(trunk) + 1)"
    number = f"""CASE
        WHEN NOT regexp_full_match({digits}, '[+]?[0-9]+') THEN NULL
        WHEN starts_with({digits}, '+') THEN {digits}
        WHEN starts_with({digits}, '00') THEN '+' || substr({digits}, 3)
        WHEN starts_with({digits}, trunk) AND length({trimmed}) {fits} THEN '+' || code || {trimmed}
        WHEN starts_with({digits}, code) AND length({digits}) - length(code) {fits}
            THEN '+' || {digits}
        END"""
    return f"nullif(regexp_extract({number}, '^[+][1-9][0-9]{{7,14}}$'), '')"
