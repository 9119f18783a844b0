"""A query stands where a file may stand, and a table where scores are written: through ADBC.

An address is a URI with what is read at its end, as it is typed in SQL::

    postgresql://analyst@db.example.com/shop?query=SELECT * FROM orders WHERE paid
    ${SHOP_DB}?table=orders                    the rest is in the environment, its password too
    postgresql://analyst@db.example.com/shop?sslmode=require&table=mart.scores

No address holds a password: it stands in the environment, as ``PGPASSWORD`` or as ``${NAME}`` in
the address, so no log, run or error can tell it. What a query gives is fetched once by a process,
batch by batch, into a Parquet file of its own; from there on it is that file.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from clv.errors import InputError
from clv.extras import require_extra
from clv.io.changes import process_folder
from clv.io.csv_safe import quoted
from clv.io.engine import connect

if TYPE_CHECKING:
    import pyarrow as pa

DRIVERS = {"postgresql": "adbc_driver_postgresql", "postgres": "adbc_driver_postgresql"}
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)(.*)", re.DOTALL)
VARIABLE = re.compile(r"\$\{(\w+)\}")
FORM = "write it as in postgresql://analyst@db.example.com/shop?query=SELECT * FROM orders"
WHOLE = "-?[0-9]{1,18}"  # numbers that the engine holds as whole ones
AS_IS = {"uuid": "VARCHAR", "timestamptz": "TIMESTAMP"}  # the latter of what we wrote, in UTC
UNREAD = {"money": "numeric", "interval": "text"}
ROWS = 122_880  # of a batch that is written
KEY, UPDATED = "customer_id", "updated_at"


@dataclass(frozen=True)
class DatabaseAddress:
    """A database, and what is read or written there.

    Attributes
    ----------
    text
        As it was typed; it holds no password.
    query
        What is read.
    table
        The table, as schema.table or table; None of a query.
    """

    text: str
    query: str
    table: str | None

    @classmethod
    def parse(cls, text: str | os.PathLike[str]) -> DatabaseAddress | None:
        """The address that ``text`` is; None if it is none, but a path.

        Raises
        ------
        InputError
            It holds a password, names neither query nor table, or is of a place that is not read.

        >>> DatabaseAddress.parse("postgresql://ann@host/shop?table=mart.orders").query
        'SELECT * FROM "mart"."orders"'
        >>> DatabaseAddress.parse("orders.parquet") is None
        True
        """
        match = SCHEME.fullmatch(text := os.fspath(text))
        if match is None and not VARIABLE.match(text):
            return None
        if match:
            slashes = "//" if match[2] == "/" else match[2]  # a path takes one away
            text = f"{match[1]}:{slashes}{match[3]}"
        _refuse_password(text)
        if match and match[1] not in DRIVERS:
            raise InputError(f"nothing is read from {match[1]}: addresses.", hint=f"{FORM}.")
        query, table = _asked(text.partition("?")[2])
        if table is not None:
            query = f"SELECT * FROM {_name(table)}"
        if not query.strip():
            raise InputError("the address says neither query nor table.", hint=f"{FORM}.")
        return cls(text, query, table)

    def opened(self) -> tuple[str, str]:
        """The driver's module, and the URI with what the environment holds."""
        whole = VARIABLE.match(self.text)
        base, _, rest = self.text.partition("?")
        options = [part for part in rest.split("query=")[0].split("&") if part]
        options = [part for part in options if not part.startswith("table=")]
        if whole:
            base = _variable(whole[1]) + base[whole.end() :]
        base = VARIABLE.sub(lambda found: quote(_variable(found[1]), safe=""), base)
        scheme = base.partition(":")[0]
        if scheme not in DRIVERS:
            raise InputError(
                f"{self.text.partition('?')[0]} holds no address of a database.", hint=f"{FORM}."
            )
        joint = "&" if "?" in base else "?"
        return DRIVERS[scheme], base + (joint + "&".join(options) if options else "")

    def __str__(self) -> str:
        return self.text


def fetched(address: DatabaseAddress) -> str:
    """The Parquet file of what the query gives; a process asks once.

    Raises
    ------
    InputError
        The database does not answer, or refuses the query.
    """
    return _fetched(address)


@cache
def _fetched(address: DatabaseAddress) -> str:
    from pyarrow import parquet

    file = process_folder() / f"query-{secrets.token_hex(4)}.parquet"
    with _connected(address) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(address.query)
        batches = cursor.fetch_record_batch()
        kinds = {one.name: _kind(one) for one in batches.schema}
        _refuse_kinds(kinds)
        with parquet.ParquetWriter(file, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    casts = {name: kind for name, kind in kinds.items() if kind in ("numeric", "uuid")}
    casts |= {UPDATED: "timestamptz"} if kinds.get(UPDATED) == "timestamptz" else {}
    return str(_plain(file, casts) if casts else file)


def _kind(column: pa.Field) -> str:
    """What the database calls the type of a column."""
    named = (column.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    return named or str(getattr(column.type, "type_name", ""))


def _refuse_kinds(kinds: Mapping[str, str]) -> None:
    """Types that would be read as something else: money comes as cents, an interval not at all."""
    for name, kind in kinds.items():
        if kind in UNREAD:
            raise InputError(
                f"column {name!r} is of type {kind}, which is not read.",
                hint=f"leave it out, or cast it in the query: {quoted(name)}::{UNREAD[kind]}.",
            )


def _plain(file: Path, kinds: Mapping[str, str]) -> Path:
    """NUMERIC comes as text: whole numbers, as of ids, and others as they are; UUIDs as text."""
    to = file.with_stem(f"{file.stem}-plain")
    tests = (f"bool_and(regexp_full_match({quoted(name)}::VARCHAR, '{WHOLE}'))" for name in kinds)
    with connect(closed=False) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.read_parquet(str(file))
        whole = rows.aggregate(", ".join(tests)).fetchall()[0]
        casts = (
            f"{quoted(name)}::{AS_IS.get(kind) or ('BIGINT' if fits else 'DOUBLE')} "
            f"AS {quoted(name)}"
            for (name, kind), fits in zip(kinds.items(), whole, strict=True)
        )
        rows.project(f"* REPLACE ({', '.join(casts)})").write_parquet(str(to), compression="zstd")
    file.unlink()
    return to


def write_scores(address: DatabaseAddress, file: str | os.PathLike[str]) -> int:
    """Put scores in the place of a table, whole or not at all; how many rows there are.

    They are written beside the table, get customer_id as key and ``updated_at``, and take its name
    in one transaction: who reads meanwhile reads the old table. Whoever could read the old one may
    read the new one. Of two who write at once the later one's stays.

    Parameters
    ----------
    address
        Of the table.
    file
        Parquet.

    Raises
    ------
    InputError
        The database refuses: a customer comes twice, a view reads the table, a right is missing.
    """
    from pyarrow import RecordBatchReader, parquet

    scores = parquet.ParquetFile(file)
    batches = RecordBatchReader.from_batches(scores.schema_arrow, scores.iter_batches(ROWS))
    with _connected(address) as connection, connection.cursor() as cursor:
        _swapped(cursor, written_table(address), batches)
        connection.commit()
    return int(scores.metadata.num_rows)


def written_table(address: DatabaseAddress) -> str:
    """The table of an address to write to; ``InputError`` if it is one of a query."""
    if address.table is None:
        raise InputError(
            "scores are written to a table, not to a query.",
            hint="end the address in ?table=scores, or ?table=schema.scores.",
        )
    return address.table


def _swapped(cursor: Any, table: str, batches: pa.RecordBatchReader) -> None:
    """The steps of one transaction."""
    schema, _, bare = table.rpartition(".")
    stage = f"{bare[:40]}_{secrets.token_hex(6)}"
    place = _name(f"{schema}.{stage}" if schema else stage)
    cursor.adbc_ingest(stage, batches, mode="create", db_schema_name=schema or None)
    cursor.execute(f"ALTER TABLE {place} ADD {UPDATED} timestamptz NOT NULL DEFAULT now()")
    cursor.execute(f"ALTER TABLE {place} ADD PRIMARY KEY ({quoted(KEY)})")
    cursor.execute(f"CREATE INDEX ON {place} ({UPDATED})")
    cursor.execute(f"SELECT pg_advisory_xact_lock(hashtextextended({_text(table)}, 0))")
    cursor.fetchall()
    for grantee, privilege in _granted(cursor, table):
        to = "PUBLIC" if grantee == "PUBLIC" else quoted(grantee)
        cursor.execute(f"GRANT {privilege} ON {place} TO {to}")
    cursor.execute(f"DROP TABLE IF EXISTS {_name(table)}")
    cursor.execute(f"ALTER TABLE {place} RENAME TO {quoted(bare)}")


def _granted(cursor: Any, table: str) -> list[tuple[str, str]]:
    """Who else may do what with the table there is."""
    cursor.execute(
        "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type "
        "FROM pg_class, aclexplode(relacl) "
        f"WHERE oid = to_regclass({_text(_name(table))}) AND grantee <> relowner"
    )
    return [(str(who), str(what)) for who, what in cursor.fetchall()]


@contextmanager
def _connected(address: DatabaseAddress) -> Iterator[Any]:
    """A connection whose work is undone unless it is committed."""
    module, uri = address.opened()
    require_extra("warehouse", "adbc_driver_manager", "adbc_driver_postgresql")
    from adbc_driver_manager import Error

    driver = import_module(f"{module}.dbapi")
    try:
        with driver.connect(uri) as connection:
            yield connection
    except Error as error:
        raise InputError(
            f"the database does not do it: {_reason(error, uri)}",
            hint="check address, query and rights; nothing there was changed.",
        ) from None  # whose text may hold the address with its password


def _reason(error: Exception, uri: str) -> str:
    """The first lines of what a driver says, without what the environment keeps secret."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = " ".join(lines[:2])
    found = re.search(r"://[^:/?#]*:(.*)@", uri)
    for secret in {found[1], unquote(found[1])} if found else ():
        said = said.replace(secret, "***")
    return said.rstrip(".") + "."


def _refuse_password(text: str) -> None:
    """A password that is typed would be in the list of processes and wherever paths are noted."""
    before = text.partition("query=")[0]
    password = before.partition("://")[2].rpartition("@")[0].partition(":")[2]
    if (password and not VARIABLE.fullmatch(password)) or "password=" in before:
        raise InputError(
            "the address of the database holds a password.",
            hint="set it as PGPASSWORD, or write '${NAME}' in its place and set NAME.",
        )


def _asked(options: str) -> tuple[str, str | None]:
    """Query and table of the end of an address."""
    before, asks, query = options.partition("query=")
    tables = [part[6:] for part in before.split("&") if part.startswith("table=")]
    return query if asks else "", unquote(tables[0]) if tables and not asks else None


def _variable(name: str) -> str:
    if not (value := os.environ.get(name, "")):
        raise InputError(
            f"the environment has no {name}, which the address names.", hint=f"set {name}."
        )
    return value


def _name(table: str) -> str:
    return ".".join(quoted(part) for part in table.split("."))


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
