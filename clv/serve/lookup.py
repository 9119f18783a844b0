"""Scores to look up: a file that ``clv score`` wrote, held in DuckDB, one row per customer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from clv.decide.retention import CONSTANTS, SCORES
from clv.errors import ColumnError, InputError
from clv.serve.files import read_table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

STATED = ("model_version", "as_of", "horizon", "currency")
NEEDED = (*SCORES, "clv", *STATED)


@dataclass(frozen=True)
class ScoreBook:
    """The scores of one run.

    Attributes
    ----------
    connection
        DuckDB with the table ``scores``, sorted and indexed by ``key``, the id as text.
    campaign_table
        The columns that ``retention_targets`` and ``gain_curve`` need.
    stated
        Model version, as-of date, horizon and currency of every score.
    customers
        How many there are.
    """

    connection: duckdb.DuckDBPyConnection
    campaign_table: pa.Table
    stated: dict[str, Any]
    customers: int

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read a Parquet or CSV file of scores.

        Raises
        ------
        InputError
            It is no file of scores, it is empty, it is of several runs, or a customer is in it
            twice.
        """
        import duckdb

        table = read_table(path)
        missing = [name for name in NEEDED if name not in table.column_names]
        if missing:
            raise ColumnError(
                f"{path} has no column {', '.join(missing)}.", hint="give what clv score wrote."
            )
        stated = {name: _the_only(table[name].unique().to_pylist(), name, path) for name in STATED}
        connection = duckdb.connect()
        connection.register("given", table)
        sort = "SELECT customer_id::VARCHAR AS key, * FROM given ORDER BY key"
        try:
            connection.execute(f"CREATE TABLE scores AS {sort}")
            connection.execute("CREATE UNIQUE INDEX by_key ON scores (key)")
        except duckdb.ConstraintException as error:
            raise InputError(f"{path} has a customer twice.", hint="score the log anew.") from error
        connection.unregister("given")
        columns = [name for name in (*SCORES, *CONSTANTS) if name in table.column_names]
        return cls(connection, table.select(columns), stated, table.num_rows)

    def find(self, customer_id: str) -> dict[str, Any] | None:
        """All that is known of a customer, or None."""
        found = self.connection.cursor()  # a cursor each: requests may come on several threads
        found.execute("SELECT * EXCLUDE key FROM scores WHERE key = ?", [customer_id])
        names = [column[0] for column in found.description]
        rows = found.fetchall()
        return dict(zip(names, rows[0], strict=True)) if rows else None


def _the_only(values: list[Any], name: str, path: str | os.PathLike[str]) -> Any:
    if len(values) != 1:
        what = "is empty" if not values else f"mixes {len(values)} values of {name}"
        raise InputError(f"{path} {what}.", hint="give the scores of one run.")
    return values[0]
