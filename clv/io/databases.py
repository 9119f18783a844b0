"""A query stands where a file may stand, and a table where scores are written: through ADBC.

An address is a URI with what is read at its end, as it is typed in SQL::

    postgresql://analyst@db.example.com/shop?query=SELECT * FROM orders WHERE paid
    ${SHOP_DB}?table=orders                    the rest is in the environment, its password too
    postgresql://analyst@db.example.com/shop?sslmode=require&table=mart.scores
    snowflake://analyst@account/shop/public?warehouse=small&table=orders
    bigquery://project/shop?query=SELECT * FROM orders
    duckdb:shop.duckdb?table=orders

No address holds a password: it stands in the environment, as ``PGPASSWORD`` or as ``${NAME}`` in
the address, so no log, run or error can tell it. What a query gives is fetched once by a process,
batch by batch, into a Parquet file of its own; from there on it is that file. How databases differ
stands in ``database_drivers.py``.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from clv.errors import InputError
from clv.extras import require_extra
from clv.io.changes import process_folder
from clv.io.csv_safe import quoted
from clv.io.database_drivers import DRIVERS, DatabaseDriver
from clv.io.engine import connect
from clv.io.queries import sql_text

if TYPE_CHECKING:
    import pyarrow as pa

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/*)(.*)", re.DOTALL)
VARIABLE = re.compile(r"\$\{(\w+)\}")
PASSWORD = re.compile(r"://[^:/?#]*:([^?]*)@")
SECRET = re.compile(
    r"[?&][^=&]*(?:pass(?:word|code)|pwd|secret|token|private_?key)[^=&]*=([^&]+)", re.IGNORECASE
)
FORM = "write it as in postgresql://analyst@db.example.com/shop?query=SELECT * FROM orders"
WHOLE = "-?[0-9]{1,18}"  # numbers that the engine holds as whole ones
AS_IS = {"uuid": "VARCHAR", "timestamptz": "TIMESTAMP"}  # the latter of what we wrote, in UTC
OF_FILES = ("duckdb",)  # whose address is a path
UNREAD = {"money": "numeric", "interval": "text"}
KEY, UPDATED = "customer_id", "updated_at"
UNCHANGED = "nothing there was changed"


@dataclass(frozen=True)
class DatabaseAddress:
    """A database, and what is read or written there.

    Attributes
    ----------
    text
        As it was typed; it holds no password.
    query
        What is read; "" of a table.
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

        >>> DatabaseAddress.parse("postgresql://ann@host/shop?table=mart.orders").sql
        'SELECT * FROM "mart"."orders"'
        >>> DatabaseAddress.parse("orders.parquet") is None
        True
        """
        match = SCHEME.fullmatch(text := os.fspath(text))
        if match and not match[2] and match[1] not in DRIVERS:
            match = None
        if match is None and not VARIABLE.match(text):
            return None
        if match and match[2] == "/" and match[1] not in OF_FILES:
            text = f"{match[1]}://{match[3]}"  # a path takes one away
        _refuse_password(text)
        if match and match[1] not in DRIVERS:
            raise InputError(f"nothing is read from {match[1]}: addresses.", hint=f"{FORM}.")
        query, table = _asked(text.partition("?")[2])
        if not query.strip() and not table:
            raise InputError("the address says neither query nor table.", hint=f"{FORM}.")
        return cls(text, query, table)

    @property
    def sql(self) -> str:
        """What is read, as the database is asked for it."""
        if self.table is None:
            return self.query
        return f"SELECT * FROM {_driver_of(_whole(self.text)).name(self.table)}"

    def opened(self) -> tuple[DatabaseDriver, str]:
        """What is spoken to, and the URI with what the environment holds."""
        base, _, rest = self.text.partition("?")
        options = [part for part in rest.split("query=")[0].split("&") if part]
        options = [part for part in options if not part.startswith("table=")]
        base = _whole(base)
        driver = _driver_of(base)
        joint = "&" if "?" in base else "?"
        uri = base + (joint + "&".join(options) if options else "")
        uri = VARIABLE.sub(lambda found: quote(_variable(found[1]), safe=""), uri)
        password = os.environ.get(driver.password, "") if driver.password else ""
        if password and not PASSWORD.search(uri):
            uri = uri.replace("@", f":{quote(password, safe='')}@", 1)
        return driver, uri

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
    import pyarrow as pa
    from pyarrow import parquet

    file = process_folder() / f"query-{secrets.token_hex(4)}.parquet"
    with _connected(address, read_only=True) as connection, connection.cursor() as cursor:
        cursor.execute(address.sql)
        batches = cursor.fetch_record_batch()
        read_name = address.opened()[0].read_name
        schema = pa.schema([column.with_name(read_name(column.name)) for column in batches.schema])
        kinds = {column.name: _kind(column) for column in schema}
        _refuse_kinds(kinds)
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch.rename_columns(schema.names))
    casts = {name: kind for name, kind in kinds.items() if kind in ("numeric", "uuid")}
    casts |= {UPDATED: "timestamptz"} if kinds.get(UPDATED) == "timestamptz" else {}
    return str(_plain(file, casts) if casts else file)


def _kind(column: pa.Field) -> str:
    """What the database calls the type of a column."""
    from pyarrow import types

    if named := (column.metadata or {}).get(b"POSTGRESQL:type", b""):
        return str(named.decode())
    if types.is_decimal(column.type):
        return "numeric"
    zoned = types.is_timestamp(column.type) and column.type.tz
    return "timestamptz" if zoned else str(getattr(column.type, "type_name", ""))


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
    in one step: who reads meanwhile reads the old table. Whoever could read the old one may
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
    from pyarrow import parquet

    driver, uri = address.opened()
    schema, _, bare = written_table(address).rpartition(".")
    stage = f"{bare[:40]}_{secrets.token_hex(6)}"
    swap, discard = (
        filled(driver, statements, schema, bare, stage)
        for statements in (driver.swap, driver.discard)
    )
    if not driver.has_keys:
        _refuse_repeats(file)
    with _connected(address, read_only=False) as connection, _without(connection, discard):
        driver.load(connection, uri, schema, stage, Path(file))
        _run(connection, swap)
        connection.commit()
    return int(parquet.read_metadata(file).num_rows)


def written_table(address: DatabaseAddress) -> str:
    """The table of an address to write to; ``InputError`` if it is one of a query."""
    if address.table is None:
        raise InputError(
            "scores are written to a table, not to a query.",
            hint="end the address in ?table=scores, or ?table=schema.scores.",
        )
    return address.table


def _refuse_repeats(file: str | os.PathLike[str]) -> None:
    """Customers who come twice, of whom a database without keys would not say a word."""
    with connect(closed=False) as connection:
        rows = connection.read_parquet(os.fspath(file)).aggregate(f"{KEY}, count(*) AS n", KEY)
        twice = rows.filter("n > 1").order(KEY)
        if repeats := twice.limit(3).fetchall():
            raise InputError(
                f"customers come twice in the scores: {', '.join(str(row[0]) for row in repeats)}"
                f"{' ...' if len(repeats) > 2 else ''}.",
                hint="a table of scores has one row a customer; nothing was written.",
            )


def filled(
    driver: DatabaseDriver, statements: Iterable[str], schema: str, bare: str, stage: str
) -> list[str]:
    """Statements of a driver, with the names of the table and of its stage.

    >>> filled(DRIVERS["bigquery"], ["DROP TABLE {stage}"], "mart", "scores", "scores_1")
    ['DROP TABLE `mart`.`scores_1`']
    """
    table, place = (driver.name(f"{schema}.{one}" if schema else one) for one in (bare, stage))
    names = {"table": table, "stage": place, "bare": driver.name(bare)}
    names |= {"table_text": sql_text(table), "stage_text": sql_text(place)}
    names |= {"key": driver.name(KEY), "updated": driver.name(UPDATED)}
    return [statement.format(**names) for statement in statements]


def _run(connection: Any, statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def _without(connection: Any, discard: Iterable[str]) -> Iterator[None]:
    """Nothing of a stage is left; of all that goes wrong, the first is told."""
    from adbc_driver_manager import Error

    try:
        yield
    finally:
        with suppress(Error):
            _run(connection, discard)


@contextmanager
def _connected(address: DatabaseAddress, *, read_only: bool) -> Iterator[Any]:
    """A connection whose work is undone unless it is committed."""
    require_extra("warehouse", "adbc_driver_manager")
    from adbc_driver_manager import Error

    driver, uri = address.opened()
    after = "the table is whole, the old one or the new one" if driver.discard else UNCHANGED
    try:
        with driver.connect(uri, read_only=read_only) as connection:
            yield connection
    except Error as error:
        raise InputError(
            f"{driver.title} does not do it: {_reason(error, uri)}",
            hint=f"check address, query and rights; {UNCHANGED if read_only else after}.",
        ) from None  # whose text may hold the address with its password


def _reason(error: Exception, uri: str) -> str:
    """The first lines of what a driver says, without what the environment keeps secret."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = " ".join(lines[:2])
    for secret in {*PASSWORD.findall(uri), *SECRET.findall(uri)}:
        for form in (secret, unquote(secret)):
            reason = reason.replace(form, "***")
    return reason.rstrip(".!") + "."


def _refuse_password(text: str) -> None:
    """A password that is typed would be in the list of processes and wherever paths are noted."""
    before = text.partition("query=")[0]
    password = before.partition("://")[2].rpartition("@")[0].partition(":")[2]
    typed = [password] if password else []
    if all(VARIABLE.fullmatch(secret) for secret in typed + SECRET.findall(before)):
        return
    raise InputError(
        "the address of the database holds a password.",
        hint="set it as PGPASSWORD or SNOWFLAKE_PASSWORD, or write '${NAME}' in its place and "
        "set NAME.",
    )


def _asked(options: str) -> tuple[str, str | None]:
    """Query and table of the end of an address."""
    before, asks, query = options.partition("query=")
    tables = [part[6:] for part in before.split("&") if part.startswith("table=")]
    return query if asks else "", unquote(tables[0]) if tables and not asks else None


def _whole(base: str) -> str:
    """The beginning of an address, where the environment holds all of it."""
    whole = VARIABLE.match(base)
    return _variable(whole[1]) + base[whole.end() :] if whole else base


def _driver_of(base: str) -> DatabaseDriver:
    """The database of an address; ``InputError`` if there is none of that kind."""
    scheme = _whole(base).partition(":")[0]
    if scheme not in DRIVERS:
        raise InputError(
            f"{base.partition('?')[0]} holds no address of a database.", hint=f"{FORM}."
        )
    return DRIVERS[scheme]


def _variable(name: str) -> str:
    if not (value := os.environ.get(name, "")):
        raise InputError(
            f"the environment has no {name}, which the address names.", hint=f"set {name}."
        )
    return value
