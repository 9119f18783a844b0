"""Reports in groups: a name in a line of its own, its rows below it without one, then their total.

Accounting systems print sales by customer so. Each row gets the name of its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TOTAL = r"^\W*(total|totals|subtotal|sum|summe|gesamt|gesamtsumme|totale|suma|totaal)\b"


def named_groups(view: str, names: Sequence[str], connection: Any) -> int:
    """Give rows the name of their group, and take the lines of names and totals out.

    Parameters
    ----------
    view
        A table of text, whose columns are c0, c1, ...
    names
        What the columns are called: only a first one without a name can hold groups.

    Returns
    -------
    int
        The number of groups; 0 of any other table, which stays as it is.
    """
    if len(names) < 3 or names[0] != "(column 1)":
        return 0
    others = " AND ".join(f"c{place} IS NULL" for place in range(1, len(names)))
    heading, row = f"c0 IS NOT NULL AND {others}", f"c0 IS NULL AND NOT ({others})"
    total = f"c0 IS NOT NULL AND NOT ({others})"
    of_each = ", ".join(f"count(*) FILTER ({what})" for what in (heading, row, total))
    odd = f"count(*) FILTER ({total} AND NOT regexp_matches(lower(c0), '{TOTAL}'))"
    looks = connection.execute(f"SELECT {of_each}, {odd} FROM {view}").fetchall()[0]
    groups, rows, totals, others_filled = looks
    if not groups or not rows or others_filled or totals > groups + 2:
        return 0
    name = f"last_value(CASE WHEN {heading} THEN c0 END IGNORE NULLS) OVER (ORDER BY rowid)"
    connection.execute(f"DELETE FROM {view} WHERE {total}")
    connection.execute(
        f"UPDATE {view} SET c0 = groups.name FROM (SELECT rowid AS place, {name} AS name "
        f"FROM {view}) AS groups WHERE {view}.rowid = groups.place AND {row}"
    )
    connection.execute(f"DELETE FROM {view} WHERE {others}")
    return int(groups)
