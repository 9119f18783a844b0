"""An audience for an advertiser: customers joined to their contacts, consent first, then hashed.

Nothing of a person leaves but hashes (and, for Google, country and postcode). Everybody asked for
is accounted for: in the file, or left out for one reason that the report counts.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from narwhals.typing import IntoFrame

from clv.errors import ColumnError, InputError, RowError
from clv.exports.file import ExportedFile, as_arrow, write_query
from clv.exports.formats import FORMATS, Format
from clv.exports.identifiers import PARTS, country, email
from clv.exports.phones import e164
from clv.io.csv_safe import quoted
from clv.io.files import read_log
from clv.schema import as_frame, collect, numbers, reject_rows, require_columns

if TYPE_CHECKING:
    import duckdb

CONSENT = ("ad_user_data", "ad_personalization")
GRANTED = ("true", "granted")
WITHHELD = ("false", "denied", "unspecified", "unknown")
TELLING = re.compile(
    r"churn|risk|lapse|inactive|dormant|win.?back|retention|whale|"
    r"(?<![a-z])(vip|lost|leav|valu|tier|top|best|worst|low|high|poor|rich|segment|score)",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}")

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


@dataclass(frozen=True)
class AudienceReport:
    """What became of everybody who was asked for; no customer is in it.

    Attributes
    ----------
    audience, destination
        The neutral name to give the list there, and whose list it is.
    asked
        Customers asked for: those in the file and those left out.
    file
        What was written.
    left_out
        Customers not in the file, by reason.
    left_empty
        Customers in the file with a cell left empty, by reason.
    consent
        Where it comes from: the contacts' columns, or who confirmed it.
    notes
        What to know before the upload.
    """

    audience: str
    destination: str
    asked: int
    file: ExportedFile
    left_out: Mapping[str, int]
    left_empty: Mapping[str, int]
    consent: str
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        counts = {"left_out": dict(self.left_out), "left_empty": dict(self.left_empty)}
        return vars(self) | {"file": self.file.to_dict(), "notes": list(self.notes)} | counts

    def __str__(self) -> str:
        lines = [
            f"{self.audience} for {self.destination}: {self.file.rows:,} of {self.asked:,} "
            f"customers. Consent: {self.consent}.",
            *(f"  left out, {why}: {count:,}" for why, count in self.left_out.items()),
            *(f"  cell left empty, {why}: {count:,}" for why, count in self.left_empty.items()),
            *(f"  note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def write_audience(
    customers: IntoFrame,
    contacts: IntoFrame,
    destination: str | Format,
    path: str | os.PathLike[str],
    *,
    audience: str | None = None,
    value: str = "clv",
    home_country: str | None = None,
    consent_confirmed_by: str | None = None,
) -> AudienceReport:
    """Write the list of ``customers`` that an advertiser takes, and account for everybody.

    Parameters
    ----------
    customers
        With customer_id, one row each, and for Meta the column ``value``. A filtered table of
        scores, campaign targets, a tier.
    contacts
        customer_id, email and/or phone, [first_name, last_name, country, zip, ad_user_data,
        ad_personalization], all as text and one row each; see ``read_contacts``. Ids are compared
        as text. Somebody needs an e-mail address or a phone number to be in the file; names and
        addresses go along. Two customers with one address stay two rows, which advertisers match
        to one person.
    destination
        "google", "meta" or "tiktok"; see ``clv.exports.formats``.
    path
        A .csv file, replaced whole. Its rows are in the order of the hashes, which tells nothing.
    audience
        What the list will be called there; a neutral name as of ``audience_name`` if not given.
    home_country
        Two letters: the country of contacts that have none, an assumption for their phone number
        and address.
    consent_confirmed_by
        Who answers for it that all have agreed to both uses, where the contacts do not say. Where
        they do, their columns count, whatever is confirmed.

    Raises
    ------
    ColumnError
        A column is missing, among them those of consent, or contacts were read as numbers.
    RowError
        An id is missing or repeated, a value is missing or below 0, or a consent is neither given
        nor withheld.
    InputError
        The name tells something about the people in the list, the destination is unknown, or
        nobody is left.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> scores = pd.DataFrame({"customer_id": [1, 2, 3], "clv": [90.0, 20.0, 5.0]})
    >>> contacts = pd.DataFrame({
    ...     "customer_id": ["1", "2"], "email": ["Ann@example.com", "bob@example.com"],
    ...     "ad_user_data": ["granted", "true"], "ad_personalization": ["granted", "false"],
    ... })
    >>> report = write_audience(scores, contacts, "tiktok", f"{folder.name}/a.csv", audience="a-1")
    >>> report.file.rows, report.left_out
    (1, {'no contact row': 1, 'no consent': 1})
    >>> folder.cleanup()
    """
    form = _format(destination)
    if not str(path).endswith(".csv"):
        raise InputError(f"{form.destination} takes CSV.", hint="end the file's name in .csv.")
    require_neutral(audience)
    asked = _asked(customers, value if form.value else None)
    known = _contacts(contacts)
    consent = _consent(known.column_names, consent_confirmed_by)
    with _people(asked, known, _country(home_country)) as connection:
        left_out = _count(connection, LEFT_OUT, "out")
        if sum(left_out.values()) == asked.num_rows:
            raise InputError(f"nobody is left of {asked.num_rows:,} customers: {_said(left_out)}.")
        columns = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in form.columns.items())
        query = f"SELECT {columns} FROM people WHERE out IS NULL ORDER BY ALL"
        file = write_query(connection, query, path)
        left_empty = _count(connection, LEFT_EMPTY)
    audience = audience or audience_name(f"{form.destination} {file.sha256}", date.today())
    notes = _notes(form, file.rows, home_country)
    return AudienceReport(
        audience, form.destination, asked.num_rows, file, left_out, left_empty, consent, notes
    )


def read_contacts(path: str | os.PathLike[str]) -> duckdb.DuckDBPyRelation:
    """Contacts from a CSV or Parquet file; all of a CSV file as text, so that 0171 keeps its 0."""
    return read_log(path)


def audience_name(of: str, day: date) -> str:
    """A name that says nothing about the people in the list: the month, and four digits of a hash.

    Parameters
    ----------
    of
        What the list is, such as its filter; the same text gives the same name within a month.

    Examples
    --------
    >>> audience_name("tier = top 1%", date(2026, 11, 22))
    'clv-2026-11-5A55'
    """
    return f"clv-{day:%Y-%m}-{hashlib.sha256(of.encode()).hexdigest()[:4].upper()}"


def require_neutral(name: str | None) -> None:
    """Raise ``InputError`` if a name tells what a list's people are thought to be or to do.

    Names of lists are seen by agencies and platforms, and at times by the people in them.

    >>> require_neutral("clv-2026-11-A7F3")
    """
    if name is None:
        return
    hint = "give letters, digits and dashes, as in clv-2026-11-A7F3, or leave the name out."
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name for an audience.", hint=hint)
    if told := TELLING.search(name):
        raise InputError(
            f"the audience name {name!r} tells something about people ({told[0]!r}).", hint=hint
        )


def _format(destination: str | Format) -> Format:
    if isinstance(destination, Format):
        return destination
    if destination not in FORMATS:
        raise InputError(
            f"{destination!r} is no destination.", hint=f"choose one of {', '.join(FORMATS)}."
        )
    return FORMATS[destination]()


def _asked(customers: IntoFrame, value: str | None) -> Any:
    """customer_id and value, checked."""
    import pyarrow as pa

    names = ("customer_id", *([value] if value else []))
    rows = collect(customers, names, "the customers")
    if len(rows) == 0:
        raise InputError("there are no customers to export.", hint="check the filter.")
    worth = np.full(len(rows), np.nan)
    if value:
        worth = numbers(rows, value, "the customers")
        bad = ~(np.isfinite(worth) & (worth >= 0))
        shown = {"customer_id": rows["customer_id"].to_numpy(), value: worth}
        reject_rows(bad, f"{value} is missing or below 0", shown)
    table = as_arrow(rows.to_native(), ["customer_id"], "the customers")
    return table.append_column("value", pa.array(worth))


def _contacts(contacts: IntoFrame) -> Any:
    """The contacts' columns that matter, all as text."""
    frame = as_frame(contacts, "the contacts")
    require_columns(frame, ["customer_id"], "the contacts")
    schema = frame.collect_schema()
    kept = [name for name in (*PARTS, *CONSENT) if name in schema.names()]
    if not {"email", "phone"} & set(kept):
        raise ColumnError("the contacts have neither email nor phone.", hint="name them so.")
    read = [name for name in kept if name in PARTS and schema[name].is_numeric()]
    if read:
        raise ColumnError(
            f"column {read[0]!r} of the contacts holds {schema[read[0]]}, not text.",
            hint="read it as text: as a number it has lost its + or its leading zeros.",
        )
    return as_arrow(contacts, ["customer_id", *kept], "the contacts")


def _consent(names: list[str], confirmed_by: str | None) -> str:
    missing = [name for name in CONSENT if name not in names]
    if not missing:
        return "the contacts' own, to both uses"
    if not (confirmed_by or "").strip():
        raise ColumnError(
            f"the contacts do not say who agreed to advertising: no column {', '.join(missing)}.",
            hint="add it (granted or denied), or say who answers for all having agreed: "
            "consent_confirmed_by=NAME.",
        )
    return f"confirmed by {confirmed_by} for {' and '.join(missing)}"


def _people(asked: Any, known: Any, home: str | None) -> duckdb.DuckDBPyConnection:
    """A connection with the table ``people``: the asked, cleaned, and why they are out."""
    import duckdb
    from duckdb.func import FunctionNullHandling

    connection = duckdb.connect()
    connection.create_function(  # "special": it takes and gives NULL
        "e164", e164, ["VARCHAR", "VARCHAR"], "VARCHAR", null_handling=FunctionNullHandling.SPECIAL
    )
    connection.register("asked", asked)
    connection.register("known", known)
    reasons = " ".join(f"WHEN {sql} THEN '{why}'" for why, sql in LEFT_OUT.items())
    cleaned = CLEANED.format(
        country=country("country_given"),
        home="NULL" if home is None else f"'{home}'",
        email=email("email_given"),
    )
    try:
        _check_ids(connection, "asked", "the customers")
        _check_ids(connection, "known", "the contacts")
        _check_consent(connection, known.column_names)
        connection.execute(f"""
            CREATE TEMP TABLE people AS
            WITH matched AS ({_matched(known.column_names)}), {cleaned}
            SELECT *, CASE {reasons} END AS out FROM cleaned""")
    except BaseException:
        connection.close()
        raise
    return connection


def _matched(names: list[str]) -> str:
    """The SQL of the asked beside what their contact gives; blanks are nothing."""
    said = [name for name in CONSENT if name in names]
    granted = [f"coalesce({_consented(name)} IN {GRANTED}, false)" for name in said]
    given = [
        f"nullif(trim(known.{part}::VARCHAR, {BLANK}), '')" if part in names else "NULL::VARCHAR"
        for part in PARTS
    ]
    columns = ", ".join(f"{sql} AS {part}_given" for part, sql in zip(PARTS, given, strict=True))
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
                [repr(said) for said, _ in odd[:3]],
                hint="write granted or true, denied or false; nothing counts as withheld.",
            )


def _count(
    connection: duckdb.DuckDBPyConnection, reasons: Mapping[str, str], out: str | None = None
) -> dict[str, int]:
    """How many people each reason concerns, those of nobody left away."""
    tests = [f"out = '{why}'" if out else f"out IS NULL AND {sql}" for why, sql in reasons.items()]
    counts = ", ".join(f"count(*) FILTER ({test})" for test in tests)
    found = connection.execute(f"SELECT {counts} FROM people").fetchall()[0]
    return {why: int(n) for why, n in zip(reasons, found, strict=True) if n}


def _country(code: str | None) -> str | None:
    if code is None:
        return None
    if not re.fullmatch("[A-Za-z]{2}", code):
        raise InputError(f"{code!r} is no two-letter country code.", hint="give one such as DE.")
    return code.upper()


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{why} ({count:,})" for why, count in counts.items())


def _notes(form: Format, rows: int, home: str | None) -> tuple[str, ...]:
    notes = []
    if rows < form.fewest:
        notes.append(
            f"{form.destination} asks for at least {form.fewest:,} people; a list of {rows:,} may "
            "not be taken or not be served."
        )
    if home:
        notes.append(f"contacts without a country are taken to be of {home.upper()}: assumed.")
    return (*notes, form.note) if form.note else tuple(notes)
