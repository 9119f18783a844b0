"""What differs between databases: how one connects, writes names, and puts a table in place.

Everything else is one way for all of them (``databases.py``). A driver is of ADBC: it hands over
Arrow batches. Where a transaction holds CREATE and DROP as well, a write that fails is undone
by it; where each of them commits by itself, one statement replaces the table, and ``discard``
takes the stage away.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clv.errors import InputError
from clv.extras import require_extra
from clv.io.bigquery_jobs import authorized_session, load_parquet
from clv.io.csv_safe import quoted
from clv.io.engine import PLAIN, bounds
from clv.io.text_files import regular_file

ROWS = 122_880  # of a batch that is written
LOGIN = 15  # seconds in which Snowflake answers a sign-in, unless loginTimeout says otherwise
JWT_KEY = "adbc.snowflake.sql.client_option.jwt_private_key"
OPTION = "adbc.bigquery.sql"


@dataclass(frozen=True)
class DatabaseDriver:
    """A database whose queries are read and to which scores are written.

    Attributes
    ----------
    title
        For people.
    connect
        A connection of Python's DBAPI with Arrow, of a URI with all that the environment holds;
        ``read_only`` where the database can be held to it.
    load
        Makes a table, ``schema.stage``, of a Parquet file; called with connection, URI, schema
        (or ""), stage and file.
    swap
        Statements that put the stage in the place of the table: ``{table}``, ``{stage}``,
        ``{bare}`` (the table without schema), ``{key}`` and ``{updated}`` are names as SQL has
        them, ``{table_text}`` and ``{stage_text}`` those of the tables as text.
    discard
        What takes the stage away where no transaction does.
    stored_name, read_name
        How the database holds a name that is typed, and how one of its columns is read.
    quote
        A name of the database as SQL has it.
    password
        The variable of the environment that holds it, unless the driver reads it by itself.
    has_keys
        Whether a primary key keeps a customer from standing twice.
    """

    title: str
    connect: Callable[..., Any]
    load: Callable[[Any, str, str, str, Path], None]
    swap: tuple[str, ...]
    discard: tuple[str, ...] = ()
    stored_name: Callable[[str], str] = str
    read_name: Callable[[str], str] = str
    quote: Callable[[str], str] = quoted
    password: str = ""
    has_keys: bool = True

    def name(self, table: str) -> str:
        """A table, schema.table or table, as SQL has it.

        >>> DRIVERS["snowflake"].name("mart.scores")
        '"MART"."SCORES"'
        """
        return ".".join(self.quote(self.stored_name(part)) for part in table.split("."))


def _postgresql(uri: str, *, read_only: bool) -> Any:
    require_extra("warehouse", "adbc_driver_manager", "adbc_driver_postgresql")
    from adbc_driver_postgresql import dbapi

    connection = dbapi.connect(uri)
    if read_only:
        connection.execute("SET TRANSACTION READ ONLY").close()
    return connection


def _duckdb(uri: str, *, read_only: bool) -> Any:
    require_extra("warehouse", "adbc_driver_manager", "duckdb")
    from adbc_driver_duckdb import driver_path
    from adbc_driver_manager import dbapi

    path = re.sub("^/+", "/", uri.partition(":")[2].partition("?")[0])
    settings = PLAIN | bounds() | {"path": regular_file(path)}
    settings |= {"access_mode": "READ_ONLY" if read_only else "READ_WRITE"}
    texts = {name: str(value) for name, value in settings.items()}
    return dbapi.connect(driver=driver_path(), entrypoint="duckdb_adbc_init", db_kwargs=texts)


def _snowflake(uri: str, *, read_only: bool) -> Any:
    """Snowflake has no transaction that may only read: a role has rights that are enough."""
    require_extra("snowflake", "adbc_driver_manager", "adbc_driver_snowflake")
    from adbc_driver_snowflake import dbapi

    if "logintimeout=" not in uri.lower():  # the driver would try for five minutes
        uri += f"{'&' if '?' in uri else '?'}loginTimeout={LOGIN}"
    key = os.environ.get("SNOWFLAKE_PRIVATE_KEY_FILE")
    return dbapi.connect(uri, db_kwargs={JWT_KEY: key} if key else {}, autocommit=True)


def _bigquery(uri: str, *, read_only: bool) -> Any:
    """An account that is not let in shows at once: the driver would try again without an end."""
    require_extra("bigquery", "adbc_driver_manager", "adbc_driver_bigquery")
    from adbc_driver_bigquery import dbapi

    authorized_session()
    place, location = _bigquery_place(uri)
    options = {
        f"{OPTION}.auth_type": f"{OPTION}.auth_type.app_default_credentials",
        f"{OPTION}.location": location,
    }
    names = (f"{OPTION}.project_id", f"{OPTION}.dataset_id")
    options |= dict(zip(names, place, strict=False))
    held = {option: value for option, value in options.items() if value}
    return dbapi.connect(db_kwargs=held, autocommit=True)


def _bigquery_place(uri: str) -> tuple[list[str], str]:
    """Project and, if there is one, dataset of an address, and the location of its jobs."""
    parts = urlsplit(uri)
    location = parse_qs(parts.query).get("location", [""])[0]
    return [part for part in (parts.netloc, parts.path.strip("/")) if part], location


def _ingested(connection: Any, uri: str, schema: str, stage: str, file: Path) -> None:
    with connection.cursor() as cursor:
        cursor.adbc_ingest(stage, _batches(file), mode="create", db_schema_name=schema or None)


def _ingested_by_snowflake(connection: Any, uri: str, schema: str, stage: str, file: Path) -> None:
    """Its driver loads into the schema in use alone, and takes names as they are held."""
    from pyarrow import RecordBatchReader

    batches = _batches(file)
    names = [_in_capitals(name) for name in batches.schema.names]
    renamed = (batch.rename_columns(names) for batch in batches)
    types = batches.schema.empty_table().rename_columns(names).schema
    with connection.cursor() as cursor:
        if schema:
            cursor.execute(f"USE SCHEMA {DRIVERS['snowflake'].name(schema)}")
        ready = RecordBatchReader.from_batches(types, renamed)
        cursor.adbc_ingest(_in_capitals(stage), ready, mode="create")


def _loaded_by_bigquery(connection: Any, uri: str, schema: str, stage: str, file: Path) -> None:
    """Its driver has no way to load: a job of BigQuery's own does."""
    place, location = _bigquery_place(uri)
    within = schema.split(".") if schema else []
    target = [*place[: 2 - len(within)], *within, stage]
    if len(target) != 3:
        raise InputError(
            "the address names no dataset of BigQuery to write to.",
            hint="write it as in bigquery://project/dataset?table=scores.",
        )
    load_parquet(file, place[0], target, location)


def _batches(file: Path) -> Any:
    from pyarrow import RecordBatchReader, parquet

    scores = parquet.ParquetFile(file)
    return RecordBatchReader.from_batches(scores.schema_arrow, scores.iter_batches(ROWS))


def _in_capitals(name: str) -> str:
    """Snowflake holds a name that is typed without quotes in capitals."""
    return name.upper() if name.islower() else name


def _in_small_letters(name: str) -> str:
    return name.lower() if name.isupper() else name


def _in_backticks(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


# Who else had rights on the old table has them on the new one; of two writers one waits here.
GRANTS = """DO $clv$ DECLARE held record; BEGIN
PERFORM pg_advisory_xact_lock(hashtextextended({table_text}, 0));
FOR held IN
  SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who, privilege_type
  FROM pg_class, aclexplode(relacl)
  WHERE oid = to_regclass({table_text}) AND grantee <> relowner
LOOP EXECUTE format('GRANT %s ON %s TO %s', held.privilege_type, {stage_text}, held.who);
END LOOP; END $clv$"""

POSTGRESQL = DatabaseDriver(
    "PostgreSQL",
    connect=_postgresql,
    load=_ingested,
    swap=(
        "ALTER TABLE {stage} ADD {updated} timestamptz NOT NULL DEFAULT now()",
        "ALTER TABLE {stage} ADD PRIMARY KEY ({key})",
        "CREATE INDEX ON {stage} ({updated})",
        GRANTS,
        "DROP TABLE IF EXISTS {table}",
        "ALTER TABLE {stage} RENAME TO {bare}",
    ),
)
DUCKDB = DatabaseDriver(
    "DuckDB",
    connect=_duckdb,
    load=_ingested,
    swap=(
        "CREATE OR REPLACE TABLE {table} AS SELECT *, now() AS {updated} FROM {stage}",
        "ALTER TABLE {table} ADD PRIMARY KEY ({key})",
        "DROP TABLE {stage}",
    ),
)
SNOWFLAKE = DatabaseDriver(
    "Snowflake",
    connect=_snowflake,
    load=_ingested_by_snowflake,
    swap=(
        "CREATE OR REPLACE TABLE {table} COPY GRANTS AS "
        "SELECT *, CURRENT_TIMESTAMP() AS {updated} FROM {stage}",
        "ALTER TABLE {table} ADD PRIMARY KEY ({key})",
    ),
    discard=("DROP TABLE IF EXISTS {stage}",),
    stored_name=_in_capitals,
    read_name=_in_small_letters,
    password="SNOWFLAKE_PASSWORD",
    has_keys=False,
)
BIGQUERY = DatabaseDriver(
    "BigQuery",
    connect=_bigquery,
    load=_loaded_by_bigquery,
    swap=(
        "CREATE OR REPLACE TABLE {table} AS "
        "SELECT *, CURRENT_TIMESTAMP() AS {updated} FROM {stage}",
        "ALTER TABLE {table} ADD PRIMARY KEY ({key}) NOT ENFORCED",
    ),
    discard=("DROP TABLE IF EXISTS {stage}",),
    quote=_in_backticks,
    has_keys=False,
)
DRIVERS = {
    "postgresql": POSTGRESQL,
    "postgres": POSTGRESQL,
    "duckdb": DUCKDB,
    "snowflake": SNOWFLAKE,
    "bigquery": BIGQUERY,
}
