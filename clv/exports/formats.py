"""Which columns each advertiser takes, and how they must look; one function per destination.

The rules are those published in November 2026. The details that differ between them: at Gmail,
dots and what follows a + are left out for Google alone; phone numbers keep their + for Google and
TikTok and lose it for Meta; country and postcode are hashed for Meta alone. Titles such as Mrs or
Jr are not to be part of a name anywhere, and are left to whoever keeps the contacts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clv.exports.identifiers import (
    digits,
    hashed,
    mailbox,
    name,
    plain_name,
    plain_postcode,
    postcode,
)


@dataclass(frozen=True)
class ExportFormat:
    """A file that a destination takes.

    Attributes
    ----------
    destination
        Whose it is.
    columns
        Heading and SQL, over cleaned email and country, phone in E.164, and names and zip as given.
    fewest
        Rows below which the destination does not take the list, or has nobody to show ads to.
    value
        Whether the list carries what each customer is worth.
    note
        What to know before the upload.
    """

    destination: str
    columns: Mapping[str, str]
    fewest: int
    value: bool = False
    note: str = ""


def google() -> ExportFormat:
    """Google Customer Match: Email, Phone, First Name, Last Name, Country, Zip.

    SHA-256 of all but country and postcode. E-mail without spaces, in lower case, at gmail.com and
    googlemail.com without dots and without what follows a +; phone in E.164 with +; names trimmed
    and in lower case; country as two letters. A list needs 100 matched users to serve.

    Sources: Google Ads Help, "Formatting guidelines for uploading hashed data" (answer 7476159),
    for the headings; Data Manager API, "Format user data"
    (developers.google.com/data-manager/api/devguides/concepts/formatting), for the cleaning. The
    Google Ads API reference (``OfflineUserAddressInfo``) asks for last names without punctuation;
    the newer Data Manager API does not, and is followed here.

    >>> list(google().columns)
    ['Email', 'Phone', 'First Name', 'Last Name', 'Country', 'Zip']
    """
    columns = {
        "Email": hashed(mailbox("email")),
        "Phone": hashed("phone"),
        "First Name": hashed(name("first_name")),
        "Last Name": hashed(name("last_name")),
        "Country": "country",
        "Zip": f"nullif({postcode('zip')}, '')",
    }
    return ExportFormat(
        "google",
        columns,
        fewest=100,
        note="say on upload that consent was granted: the file itself cannot.",
    )


def meta() -> ExportFormat:
    """Meta customer list with values: email, phone, fn, ln, country, zip, value.

    SHA-256 of all but the value. E-mail trimmed and in lower case, dots at Gmail stay; phone with
    country code, digits only; names in lower case without punctuation, accents stay; country as two
    letters in lower case; postcode without space and dash, the first five digits in the US. The
    value is a number, not below 0. Meta advises at least 100 people.

    Sources: Meta, "Customer Information Parameters"
    (developers.facebook.com/documentation/ads-commerce/conversions-api/parameters) for cleaning
    and hashing; Business Help, "How to format a customer list" (2082575038703844) for the headings
    and "About the customer value column" (1033094474356222).

    >>> list(meta().columns)
    ['email', 'phone', 'fn', 'ln', 'country', 'zip', 'value']
    """
    columns = {
        "email": hashed("email"),
        "phone": hashed(digits("phone")),
        "fn": hashed(plain_name("first_name")),
        "ln": hashed(plain_name("last_name")),
        "country": hashed("lower(country)"),
        "zip": hashed(plain_postcode("zip", "country")),
        "value": "round(value, 2)",
    }
    return ExportFormat("meta", columns, fewest=100, value=True)


def tiktok() -> ExportFormat:
    """TikTok customer file: Email_SHA256, Phone_SHA256.

    E-mail without spaces in lower case; phone in E.164 with +, which its help recommends, though
    its own example of a hash is of digits alone, which it takes too. At least 1,000 rows.

    Source: TikTok Ads Help, "How to create a Custom Audience with a customer file" (September
    2025). "List of supported IDs" (August 2025) would also drop what follows a + in an address;
    the newer page does not.

    >>> list(tiktok().columns)
    ['Email_SHA256', 'Phone_SHA256']
    """
    columns = {"Email_SHA256": hashed("email"), "Phone_SHA256": hashed("phone")}
    return ExportFormat("tiktok", columns, fewest=1_000)


FORMATS: dict[str, Callable[[], ExportFormat]] = {"google": google, "meta": meta, "tiktok": tiktok}
