"""What changed since the last export: who came, who went, whose tier or value moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from narwhals.typing import IntoFrame

from clv.errors import ColumnError, InputError, RowError
from clv.exports.file import as_arrow
from clv.format import count, counted, percent
from clv.io.csv_safe import quoted
from clv.io.engine import connect

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class Difference:
    """Two exports compared, as counts and PyArrow tables in the order of the key.

    Attributes
    ----------
    before, now
        Rows of either; rows alike in every column count once.
    added, removed
        The rows, as they are in the export that has them: what an advertiser is to add or remove.
    changed
        Rows in both whose tier differs or whose value moved by more than the tolerance: the key,
        then each of tier and value that both exports have as ``tier_before``, ``tier_now`` and so
        on, and ``value_change``.
    tier_changes, value_changes
        How many of the changed moved to another tier, and beyond the tolerance.
    tolerance
        Relative change of a value up to which it counts as the same.
    """

    before: int
    now: int
    added: pa.Table
    removed: pa.Table
    changed: pa.Table
    tier_changes: int
    value_changes: int
    tolerance: float

    def counts(self) -> dict[str, int | float]:
        """The numbers alone, as JSON values; no customer is in them."""
        return {
            "before": self.before,
            "now": self.now,
            "added": self.added.num_rows,
            "removed": self.removed.num_rows,
            "changed": self.changed.num_rows,
            "tier_changes": self.tier_changes,
            "value_changes": self.value_changes,
            "tolerance": self.tolerance,
        }

    def __str__(self) -> str:
        return (
            f"{counted(self.now, 'row')}, {count(self.before)} before: "
            f"{count(self.added.num_rows)} added, "
            f"{count(self.removed.num_rows)} removed, {count(self.changed.num_rows)} changed "
            f"({count(self.tier_changes)} in tier, {count(self.value_changes)} by more than "
            f"{percent(self.tolerance)} in value)."
        )


def difference(
    before: IntoFrame,
    now: IntoFrame,
    on: str | Sequence[str] = "customer_id",
    *,
    tier: str = "tier",
    value: str = "clv",
    tolerance: float = 0.1,
) -> Difference:
    """Compare an export with the one before it.

    Parameters
    ----------
    on
        The columns that tell rows apart, compared as text; for an advertiser's file its hashes,
        such as ("Email", "Phone").
    tier, value
        Compared where both exports have them.
    tolerance
        Values move a little with every order; less than this, relative to the value before, is no
        change.

    Raises
    ------
    ColumnError, RowError, InputError
        A column is missing, a row is repeated, or the tolerance is below 0.

    Examples
    --------
    >>> import pandas as pd
    >>> before = pd.DataFrame({"customer_id": ["a", "b"], "clv": [100.0, 50.0]})
    >>> now = pd.DataFrame({"customer_id": ["b", "c"], "clv": [80.0, 10.0]})
    >>> found = difference(before, now)
    >>> print(found)
    2 rows, 2 before: 1 added, 1 removed, 1 changed (0 in tier, 1 by more than 10% in value).
    >>> found.changed.to_pylist()
    [{'customer_id': 'b', 'clv_before': 50.0, 'clv_now': 80.0, 'clv_change': 30.0}]
    """
    if not tolerance >= 0:
        raise InputError(f"a tolerance of {tolerance} is below 0.")
    keys = [on] if isinstance(on, str) else list(on)
    tables = {
        "before": as_arrow(before, None, "the last export"),
        "now": as_arrow(now, None, "this export"),
    }
    compared = [
        name
        for name in (tier, value)
        if all(name in table.column_names for table in tables.values())
    ]
    with connect() as connection:
        for name, table in tables.items():
            _keyed(connection, name, table, keys)
        both = connection.sql(_joined(keys, compared, value))
        tests = {
            "tier": _unlike(tier) if tier in compared else "false",
            "value": _beyond(value, tolerance) if value in compared else "false",
        }
        counts = ", ".join(f"count(*) FILTER ({test})" for test in tests.values())
        tiers, values = both.aggregate(counts).fetchall()[0]
        return Difference(
            before=len(connection.table("before")),
            now=len(connection.table("now")),
            added=_only(connection, "now", "before"),
            removed=_only(connection, "before", "now"),
            changed=_in_order(both.filter(" OR ".join(tests.values()))),
            tier_changes=int(tiers),
            value_changes=int(values),
            tolerance=tolerance,
        )


def _keyed(
    connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table, keys: Sequence[str]
) -> None:
    """The table with its key as one text, under ``name``."""
    missing = [key for key in keys if key not in table.column_names]
    if missing or not keys:
        raise ColumnError(
            f"an export has no column {', '.join(missing) or 'to compare by'}.",
            hint="say with on= which columns tell its rows apart.",
        )
    key = " || chr(31) || ".join(f"coalesce({quoted(key)}::VARCHAR, '')" for key in keys)
    connection.register(f"_{name}", table)
    connection.execute(f"CREATE TABLE {name} AS SELECT DISTINCT {key} AS _key, * FROM _{name}")
    twice = connection.execute(
        f"SELECT _key, count(*) FROM {name} GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    ).fetchall()
    if twice:
        examples = [key.replace(chr(31), " ") for key, _ in twice[:3]]
        raise RowError.of(
            f"{', '.join(keys)} of an export is repeated", sum(n for _, n in twice), examples
        )


def _joined(keys: Sequence[str], compared: Sequence[str], value: str) -> str:
    """Rows in both, with what is compared as it was and is."""
    columns = [f"now.{quoted(key)}" for key in keys]
    for name in compared:
        columns += [
            f"{side}.{quoted(name)} AS {quoted(f'{name}_{side}')}" for side in ("before", "now")
        ]
    if value in compared:
        change = f"now.{quoted(value)} - before.{quoted(value)}"
        columns.append(f"{change} AS {quoted(f'{value}_change')}")
    return f"SELECT now._key, {', '.join(columns)} FROM now JOIN before USING (_key)"


def _unlike(tier: str) -> str:
    return f"{quoted(f'{tier}_before')} IS DISTINCT FROM {quoted(f'{tier}_now')}"


def _beyond(value: str, tolerance: float) -> str:
    before, now = quoted(f"{value}_before"), quoted(f"{value}_now")
    moved = f"abs({now} - {before}) > {tolerance} * abs({before})"
    return f"coalesce({moved}, {before} IS DISTINCT FROM {now})"


def _only(connection: duckdb.DuckDBPyConnection, here: str, there: str) -> pa.Table:
    return _in_order(connection.sql(f"SELECT * FROM {here} ANTI JOIN {there} USING (_key)"))


def _in_order(rows: duckdb.DuckDBPyRelation) -> pa.Table:
    return rows.order("_key").project("* EXCLUDE (_key)").to_arrow_table()
