"""What databases write differently: dates, numbers, and how a table is loaded from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clv.errors import InputError


@dataclass(frozen=True)
class SqlDialect:
    """A database as far as one statement of scores needs to know it.

    Attributes
    ----------
    name, title
        In options, and for people.
    double
        The type of floating-point numbers.
    days
        SQL of the days from one date to another.
    load
        Statements that fill a table, given its name and its columns with their types, from
        a CSV file with a header.
    """

    name: str
    title: str
    double: str
    days: Callable[[str, str], str]
    load: Callable[[str, str, str], str]


def _created(then: str) -> Callable[[str, str, str], str]:
    """Make the table anew, then what fills it."""

    def load(table: str, columns: str, file: str) -> str:
        statement = f"DROP TABLE IF EXISTS {table};\nCREATE TABLE {table} ({columns});\n"
        return statement + then.format(table=table, file=file)

    return load


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        SqlDialect(
            *("duckdb", "DuckDB", "DOUBLE"),
            days=lambda start, end: f"date_diff('day', {start}, {end})",
            load=_created("COPY {table} FROM '{file}' (FORMAT csv, HEADER);"),
        ),
        SqlDialect(
            *("postgres", "PostgreSQL", "DOUBLE PRECISION"),
            days=lambda start, end: f"({end} - {start})",
            load=_created("\\copy {table} FROM '{file}' WITH (FORMAT csv, HEADER)"),
        ),
        SqlDialect(
            *("snowflake", "Snowflake", "DOUBLE"),
            days=lambda start, end: f"DATEDIFF('day', {start}, {end})",
            load=_created(
                "CREATE OR REPLACE TEMPORARY STAGE clv_stage;\n"
                "PUT 'file://{file}' @clv_stage;\n"
                "COPY INTO {table} FROM @clv_stage FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1);"
            ),
        ),
        SqlDialect(
            *("bigquery", "BigQuery", "FLOAT64"),
            days=lambda start, end: f"DATE_DIFF({end}, {start}, DAY)",
            load=lambda table, columns, file: (
                f"LOAD DATA OVERWRITE {table} ({columns})\n"
                f"FROM FILES (format = 'CSV', skip_leading_rows = 1, uris = ['gs://BUCKET/{file}']);"
                "  -- name the bucket that the file was copied to"
            ),
        ),
        SqlDialect(
            *("databricks", "Databricks", "DOUBLE"),
            days=lambda start, end: f"DATEDIFF({end}, {start})",
            load=_created(
                "COPY INTO {table} FROM '/Volumes/CATALOG/SCHEMA/VOLUME/{file}' FILEFORMAT = CSV\n"
                "FORMAT_OPTIONS ('header' = 'true', 'inferSchema' = 'true');"
                "  -- name the volume that the file was copied to"
            ),
        ),
    )
}


def dialect_of(name: str) -> SqlDialect:
    """The dialect of a name.

    Raises
    ------
    InputError
        It is none of ``DIALECTS``.

    Examples
    --------
    >>> dialect_of("postgres").days("first_day", "last_day")
    '(last_day - first_day)'
    """
    if name not in DIALECTS:
        raise InputError(f"{name!r} is no dialect known here.", hint=f"use {', '.join(DIALECTS)}.")
    return DIALECTS[name]
