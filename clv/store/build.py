"""From scores, a log and what else is shown to the tables of one file."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from clv import __version__
from clv.data.days import as_day
from clv.decide.acquisition.concentration import concentration_of
from clv.errors import InputError, RowError
from clv.findings import Finding, finding, saved
from clv.io.json import plain
from clv.score_columns import PLAN
from clv.store.documents import checked_document
from clv.store.filter_kinds import NO_VALUE
from clv.store.filters import list_filters
from clv.store.intake import MEASURES, Run

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

FORMAT = 2
RECENCY = {
    "within 30 days": 30,
    "31 to 90 days": 90,
    "91 to 180 days": 180,
    "181 days to a year": 365,
    "over a year": None,
}
_BUCKETS = "CASE {} END".format(
    " ".join(
        f"ELSE {place}" if days is None else f"WHEN days_since_last <= {days} THEN {place}"
        for place, days in enumerate(RECENCY.values())
    )
)
_RECENCY = f"list_value({', '.join(repr(name) for name in RECENCY)})[1 + {_BUCKETS}]"
# beside the lists among the filters, by the column that they need: what the segments are called,
# and how they are ordered
DIMENSIONS = {
    "decile": ("decile", "min(rank)"),
    "days_since_last": (_RECENCY, "min(days_since_last)"),
    "eligible": ("CASE WHEN eligible THEN 'eligible' ELSE 'not eligible' END", "count(*) DESC"),
}
SEGMENT = """
SELECT '{name}' AS dimension,
    row_number() OVER (ORDER BY {order}, min(({what})::VARCHAR))::INTEGER AS place,
    ({what})::VARCHAR AS segment, count(*) AS customers, sum(clv) AS value,
    coalesce(sum(clv) / nullif((SELECT sum(clv) FROM customers), 0), 0) AS share,
    sum(churn_probability * value_at_stake) AS at_risk,
    sum(expected_purchases) AS expected_purchases, avg(churn_probability) AS mean_churn_probability
FROM customers GROUP BY 3
"""
SEGMENTS = """
CREATE TABLE segments (dimension VARCHAR, place INTEGER, segment VARCHAR, customers BIGINT,
    value DOUBLE, share DOUBLE, at_risk DOUBLE, expected_purchases DOUBLE,
    mean_churn_probability DOUBLE)
"""
ORDERS = """
CREATE TABLE orders AS SELECT no, log.* EXCLUDE key FROM log JOIN scores USING (key)
WHERE date <= ? ORDER BY no, date
"""
HISTORY = """
CREATE TABLE customers AS SELECT scores.*, history.* EXCLUDE no
FROM scores LEFT JOIN (
    SELECT no, min(date) AS first_date, max(date) AS last_date,
        strftime(min(date), '%Y-%m') AS cohort, sum(orders)::BIGINT AS historic_orders,
        sum(amount) AS historic_revenue
    FROM orders GROUP BY no) history USING (no)
ORDER BY no
"""


GIVEN_OF_CUSTOMERS = """
SELECT no, handed_in.* EXCLUDE key FROM handed_in JOIN scores USING (key) ORDER BY no
"""


@dataclass(frozen=True)
class Contents:
    """What goes into a file; a table of customers has their ids as text in ``key``."""

    run: Run
    log: pa.Table | None = None
    documents: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    notes: Sequence[Finding] = ()


def segment_queries(columns: Collection[str]) -> dict[str, str]:
    """How customers with these columns are counted, by the name of each dimension."""
    lists = {
        str(field.column): (f"coalesce({field.column}::VARCHAR, '{NO_VALUE}')", field.order)
        for field in list_filters()
    }
    named = {
        "recency" if needed == "days_since_last" else needed: (what, order)
        for needed, (what, order) in {**DIMENSIONS, **lists}.items()
        if needed in columns
    }
    return {n: SEGMENT.format(name=n, what=what, order=order) for n, (what, order) in named.items()}


def write(connection: duckdb.DuckDBPyConnection, contents: Contents) -> dict[str, Any]:
    """Fill an empty database; what is in it is returned, and kept as the table ``about``."""
    connection.register("scores", contents.run.customers)
    notes = _write_customers(connection, contents)
    connection.execute("CREATE UNIQUE INDEX by_key ON customers (key)")
    connection.execute(SEGMENTS)
    columns = connection.table("customers").columns
    for query in segment_queries(columns).values():
        connection.execute(f"INSERT INTO segments {query}")
    documents = {"concentration": _concentration(contents.run.customers), **contents.documents}
    connection.execute("CREATE TABLE documents (name VARCHAR PRIMARY KEY, content VARCHAR)")
    for name, document in documents.items():
        checked_document(name, document)
        connection.execute("INSERT INTO documents VALUES (?, ?)", [name, as_json(document)])
    notes = [*notes, *_write_tables(connection, contents.tables), *contents.notes]
    about = _about(connection, contents) | {"documents": sorted(documents), "notes": saved(notes)}
    connection.execute("CREATE TABLE about (content VARCHAR)")
    connection.execute("INSERT INTO about VALUES (?)", [as_json(about)])
    return about


def as_json(document: object) -> str:
    """A document as strict JSON."""
    return json.dumps(plain(document), ensure_ascii=False, allow_nan=False)


def _write_customers(connection: duckdb.DuckDBPyConnection, contents: Contents) -> list[Finding]:
    if contents.log is None:
        connection.execute("CREATE TABLE customers AS SELECT * FROM scores ORDER BY no")
        return [finding("store.no_log" if _buyers(connection) else "store.no_log_of_contracts")]
    connection.register("log", contents.log)
    day = as_day(contents.run.terms["as_of"], "as_of")
    connection.execute(ORDERS, [day])
    connection.execute(HISTORY)
    _check_history(connection)
    return _left_out(connection, day)


def _buyers(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether anybody is not under contract."""
    if PLAN not in connection.table("customers").columns:
        return True
    return bool(
        connection.execute(f"SELECT 1 FROM customers WHERE {PLAN} IS NULL LIMIT 1").fetchall()
    )


def _check_history(connection: duckdb.DuckDBPyConnection) -> None:
    """Every customer who was scored has bought something, or is under contract."""
    without = "FROM customers WHERE first_date IS NULL"
    if PLAN in connection.table("customers").columns:
        without += f" AND {PLAN} IS NULL"
    (count,) = connection.execute(f"SELECT count(*) {without}").fetchall()[0]
    if count:
        examples = connection.execute(f"SELECT key {without} LIMIT 3").fetchall()
        raise RowError.of(
            "customers of the scores have no order in the log",
            count,
            [f"customer_id={key}" for (key,) in examples],
            hint="give the log that was scored; ids are compared as text.",
        )


def _left_out(connection: duckdb.DuckDBPyConnection, day: Any) -> list[Finding]:
    """What of the log is not shown, and where it does not fit the scores."""
    late, strange = connection.execute(
        "SELECT count(*) FILTER (date > $1), count(*) FILTER (date <= $1 AND no IS NULL) "
        "FROM log LEFT JOIN (SELECT key, no FROM scores) USING (key)",
        [day],
    ).fetchall()[0]
    notes = []
    if late:
        notes.append(finding("store.orders_late", orders=late, day=day))
    if strange:
        notes.append(finding("store.orders_strange", orders=strange))
    if "frequency" in connection.table("customers").columns:
        (other,) = connection.execute(
            "SELECT count(*) FROM customers JOIN (SELECT no, count(DISTINCT date) - 1 AS repeats "
            "FROM orders GROUP BY no) USING (no) WHERE repeats <> frequency"
        ).fetchall()[0]
        if other:
            notes.append(finding("store.other_purchases", customers=other))
    return notes


def _write_tables(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]
) -> list[Finding]:
    """What was handed in; rows of customers by their number, so that a reader finds them fast."""
    connection.execute("CREATE SCHEMA given")
    notes = []
    for name, table in tables.items():
        connection.register("handed_in", table)
        rows = GIVEN_OF_CUSTOMERS if "key" in table.column_names else "FROM handed_in"
        connection.execute(f'CREATE TABLE given."{name}" AS {rows}')
        connection.unregister("handed_in")
        (count,) = connection.execute(f'SELECT count(*) FROM given."{name}"').fetchall()[0]
        if table.num_rows and not count:
            raise InputError(
                f"no customer of the table {name} is in the scores.",
                hint="give the table that was made from these scores; ids are compared as text.",
            )
        if strangers := table.num_rows - count:
            notes.append(
                finding("store.rows_strange", rows=strangers, table=name.replace("_", " "))
            )
    return notes


def _about(connection: duckdb.DuckDBPyConnection, contents: Contents) -> dict[str, Any]:
    held = "orders" if contents.log is not None else "customers LIMIT 0"
    (orders,) = connection.execute(f"SELECT count(*) FROM (FROM {held})").fetchall()[0]
    limits = ", ".join(f"[min({name}), max({name})]" for name in MEASURES)
    ranges = connection.execute(f"SELECT {limits} FROM customers").fetchall()[0]
    return {
        "format": FORMAT,
        "written_by": f"clv {__version__}",
        "terms": contents.run.terms,
        "customers": contents.run.customers.num_rows,
        "orders": orders,
        "has_log": contents.log is not None,
        "columns": [n for n in connection.table("customers").columns if n not in ("no", "key")],
        "ranges": dict(zip(MEASURES, ranges, strict=True)),
        "tables": sorted(contents.tables),
        "keyed": sorted(n for n, t in contents.tables.items() if "key" in t.column_names),
    }


def _concentration(customers: pa.Table) -> dict[str, Any] | None:
    """How few customers carry the value; None where nobody has any."""
    clv = np.asarray(customers["clv"], dtype=np.float64)
    return asdict(concentration_of(clv, "clv")) if clv.sum() > 0 else None
