"""Customers matched with their contacts in SQL: consent first, then what can be cleaned.

Everybody asked for stays accounted for: in the list, or left out for one reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clv.errors import RowError
from clv.exports.identifiers import PARTS, country, email
from clv.exports.phones import e164
from clv.io.engine import connect

if TYPE_CHECKING:
    import duckdb

CONSENT = ("ad_user_data", "ad_personalization")

GRANTED = ("true", "granted")

WITHHELD = ("false", "denied", "unspecified", "unknown")

BLANK = "' ' || chr(9) || chr(10) || chr(13) || chr(160)"

# Why somebody is not in the file, the first that holds.
LEFT_OUT = {
    "no contact row": "NOT known",
    "no consent": "NOT granted",
    "no email and no phone": "email_given IS NULL AND phone_given IS NULL",
    "invalid email, no phone": "email IS NULL AND phone_given IS NULL",
    "phone not E.164-able, no email": "phone IS NULL AND email_given IS NULL",
    "invalid email and phone not E.164-able": "email IS NULL AND phone IS NULL",
}

# What is missing of those who are in it.
LEFT_EMPTY = {
    "invalid email": "email IS NULL AND email_given IS NOT NULL",
    "phone not E.164-able": "phone IS NULL AND phone_given IS NOT NULL",
    "country not a two-letter code": "country IS NULL AND country_given IS NOT NULL",
}

# From what the contacts give to what the formats take; a country that is not understood stays out.
CLEANED = """
    located AS (
        SELECT *, CASE WHEN country_given IS NULL THEN {home} ELSE {country} END AS country
        FROM matched
    ), cleaned AS (
        SELECT value, known, granted, email_given, phone_given, country_given, country,
            first_name_given AS first_name, last_name_given AS last_name, zip_given AS zip,
            {email} AS email, e164(phone_given, country) AS phone
        FROM located
    )"""


def matched_people(
    requested: Any, contact_table: Any, home: str | None
) -> duckdb.DuckDBPyConnection:
    """A connection with the table ``people``: the asked, cleaned, and why they are out."""
    from duckdb.func import FunctionNullHandling

    connection = connect(closed=False, alone=True)
    connection.create_function(  # "special": it takes and gives NULL
        "e164", e164, ["VARCHAR", "VARCHAR"], "VARCHAR", null_handling=FunctionNullHandling.SPECIAL
    )
    connection.register("asked", requested)
    connection.register("known", contact_table)
    reasons = " ".join(f"WHEN {sql} THEN '{why}'" for why, sql in LEFT_OUT.items())
    cleaned = CLEANED.format(
        country=country("country_given"),
        home="NULL" if home is None else f"'{home}'",
        email=email("email_given"),
    )
    try:
        _check_ids(connection, "asked", "the customers")
        _check_ids(connection, "known", "the contacts")
        _check_consent(connection, contact_table.column_names)
        connection.execute(f"""
            CREATE TEMP TABLE people AS
            WITH matched AS ({_matched(contact_table.column_names)}), {cleaned}
            SELECT *, CASE {reasons} END AS out FROM cleaned""")
    except BaseException:
        connection.close()
        raise
    return connection


def _matched(names: list[str]) -> str:
    """The SQL of the asked beside what their contact gives; blanks are nothing."""
    consents = [name for name in CONSENT if name in names]
    granted = [f"coalesce({_consented(name)} IN {GRANTED}, false)" for name in consents]
    values = [
        f"nullif(trim(known.{part}::VARCHAR, {BLANK}), '')" if part in names else "NULL::VARCHAR"
        for part in PARTS
    ]
    columns = ", ".join(f"{sql} AS {part}_given" for part, sql in zip(PARTS, values, strict=True))
    return f"""
        SELECT value, known.customer_id IS NOT NULL AS known,
            {" AND ".join(granted) or "true"} AS granted, {columns}
        FROM asked LEFT JOIN known ON asked.customer_id::VARCHAR = known.customer_id::VARCHAR"""


def _consented(name: str) -> str:
    return f"lower(trim(known.{name}::VARCHAR))"


def _check_ids(connection: duckdb.DuckDBPyConnection, table: str, what: str) -> None:
    """No id may be missing or repeated: two rows would disagree on consent."""
    grouped = connection.execute(
        f"SELECT customer_id::VARCHAR AS id, count(*) AS n FROM {table} GROUP BY ALL "
        "HAVING n > 1 OR id IS NULL ORDER BY id NULLS FIRST"
    ).fetchall()
    if grouped and grouped[0][0] is None:
        raise RowError.of(f"customer_id of {what} is missing", grouped[0][1], ["a row without one"])
    if grouped:
        examples = [f"customer_id={id_} in {n} rows" for id_, n in grouped[:3]]
        count = sum(n for _, n in grouped)
        raise RowError.of(
            f"customer_id of {what} is repeated", count, examples, hint="keep one row of each."
        )


def _check_consent(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    for name in CONSENT:
        if name not in names:
            continue
        odd = connection.execute(
            f"SELECT {_consented(name)} AS said, count(*) FROM known "
            f"WHERE said NOT IN {(*GRANTED, *WITHHELD, '')} GROUP BY ALL ORDER BY 2 DESC, 1"
        ).fetchall()
        if odd:
            raise RowError.of(
                f"{name} of the contacts neither gives nor withholds consent",
                sum(count for _, count in odd),
                [repr(answer) for answer, _ in odd[:3]],
                hint="write granted or true, denied or false; nothing counts as withheld.",
            )


def count_people(
    connection: duckdb.DuckDBPyConnection, reasons: Mapping[str, str], out: str | None = None
) -> dict[str, int]:
    """How many people each reason concerns, those of nobody left away."""
    tests = [f"out = '{why}'" if out else f"out IS NULL AND {sql}" for why, sql in reasons.items()]
    counts = ", ".join(f"count(*) FILTER ({test})" for test in tests)
    counts_row = connection.execute(f"SELECT {counts} FROM people").fetchall()[0]
    return {why: int(n) for why, n in zip(reasons, counts_row, strict=True) if n}
