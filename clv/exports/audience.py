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

from clv.errors import ColumnError, InputError
from clv.exports.file import ExportedFile, as_arrow, write_query
from clv.exports.formats import FORMATS, ExportFormat
from clv.exports.identifiers import PARTS
from clv.exports.matching import CONSENT, LEFT_EMPTY, LEFT_OUT, count_people, matched_people
from clv.format import count, counted
from clv.io.csv_safe import quoted
from clv.schema import as_frame, collect, numbers, reject_rows, require_columns

if TYPE_CHECKING:
    pass

TELLING = re.compile(
    r"churn|risk|lapse|inactive|dormant|win.?back|retention|whale|"
    r"(?<![a-z])(vip|lost|leav|valu|tier|top|best|worst|low|high|poor|rich|segment|score)",
    re.IGNORECASE,
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}")


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
            f"{self.audience} for {self.destination}: {count(self.file.rows)} of "
            f"{counted(self.asked, 'customer')}. Consent: {self.consent}.",
            *(f"  left out, {why}: {count(n)}" for why, n in self.left_out.items()),
            *(f"  cell left empty, {why}: {count(n)}" for why, n in self.left_empty.items()),
            *(f"  note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def write_audience(
    customers: IntoFrame,
    contacts: IntoFrame,
    destination: str | ExportFormat,
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
        ad_personalization], all as text and one row each; see ``clv.intake.people``. Ids are
        compared as text. Somebody needs an e-mail address or a phone number to be in the file;
        names and addresses go along. Two customers with one address stay two rows, which
        advertisers match to one person.
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
    requested = _requested(customers, value if form.value else None)
    contact_table = _contacts(contacts)
    consent = _consent(contact_table.column_names, consent_confirmed_by)
    with matched_people(requested, contact_table, _country(home_country)) as connection:
        left_out = count_people(connection, LEFT_OUT, "out")
        if sum(left_out.values()) == requested.num_rows:
            raise InputError(
                f"nobody is left of {count(requested.num_rows)} customers: {_in_words(left_out)}."
            )
        columns = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in form.columns.items())
        query = f"SELECT {columns} FROM people WHERE out IS NULL ORDER BY ALL"
        file = write_query(connection, query, path)
        left_empty = count_people(connection, LEFT_EMPTY)
    audience = audience or audience_name(f"{form.destination} {file.sha256}", date.today())
    notes = _notes(form, file.rows, home_country)
    return AudienceReport(
        audience, form.destination, requested.num_rows, file, left_out, left_empty, consent, notes
    )


def audience_name(content: str, day: date) -> str:
    """A name that says nothing about the people in the list: the month, and four digits of a hash.

    Parameters
    ----------
    content
        What the list is, such as its filter; the same text gives the same name within a month.

    Examples
    --------
    >>> audience_name("tier = top 1%", date(2026, 11, 22))
    'clv-2026-11-5A55'
    """
    return f"clv-{day:%Y-%m}-{hashlib.sha256(content.encode()).hexdigest()[:4].upper()}"


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
    if telling := TELLING.search(name):
        raise InputError(
            f"the audience name {name!r} tells something about people ({telling[0]!r}).", hint=hint
        )


def _format(destination: str | ExportFormat) -> ExportFormat:
    if isinstance(destination, ExportFormat):
        return destination
    if destination not in FORMATS:
        raise InputError(
            f"{destination!r} is no destination.", hint=f"choose one of {', '.join(FORMATS)}."
        )
    return FORMATS[destination]()


def _requested(customers: IntoFrame, value: str | None) -> Any:
    """customer_id and value, checked."""
    import pyarrow as pa

    names = ("customer_id", *([value] if value else []))
    rows = collect(customers, names, "the customers")
    if len(rows) == 0:
        raise InputError("there are no customers to export.", hint="check the filter.")
    values = np.full(len(rows), np.nan)
    if value:
        values = numbers(rows, value, "the customers")
        bad = ~(np.isfinite(values) & (values >= 0))
        columns = {"customer_id": rows["customer_id"].to_numpy(), value: values}
        reject_rows(bad, f"{value} is missing or below 0", columns)
    table = as_arrow(rows.to_native(), ["customer_id"], "the customers")
    return table.append_column("value", pa.array(values))


def _contacts(contacts: IntoFrame) -> Any:
    """The contacts' columns that matter, all as text."""
    frame = as_frame(contacts, "the contacts")
    require_columns(frame, ["customer_id"], "the contacts")
    schema = frame.collect_schema()
    columns = [name for name in (*PARTS, *CONSENT) if name in schema.names()]
    if not {"email", "phone"} & set(columns):
        raise ColumnError("the contacts have neither email nor phone.", hint="name them so.")
    read = [name for name in columns if name in PARTS and schema[name].is_numeric()]
    if read:
        raise ColumnError(
            f"column {read[0]!r} of the contacts holds {schema[read[0]]}, not text.",
            hint="read it as text: as a number it has lost its + or its leading zeros.",
        )
    return as_arrow(contacts, ["customer_id", *columns], "the contacts")


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


def _country(code: str | None) -> str | None:
    if code is None:
        return None
    if not re.fullmatch("[A-Za-z]{2}", code):
        raise InputError(f"{code!r} is no two-letter country code.", hint="give one such as DE.")
    return code.upper()


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{why} ({count(n)})" for why, n in counts.items())


def _notes(form: ExportFormat, rows: int, home: str | None) -> tuple[str, ...]:
    notes = []
    if rows < form.fewest:
        notes.append(
            f"{form.destination} asks for at least {count(form.fewest)} people; a list of "
            f"{count(rows)} may not be taken or not be served."
        )
    if home:
        notes.append(f"contacts without a country are taken to be of {home.upper()}: assumed.")
    return (*notes, form.note) if form.note else tuple(notes)
