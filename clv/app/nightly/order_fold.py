"""New orders taken into a state: most customers' sums grow, a few customers are made anew.

A customer's sums grow where all that is new comes after all that was there, under new order
numbers, and nothing of it is a refund. Who has a refund, a late row, a further line of an old order
or a row sent again is worked out from all of his orders, by the same cleaning as any log.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw

from clv.app.nightly.customer_sums import added, of_days
from clv.app.nightly.state_folder import (
    Night,
    OrderState,
    changing,
    digest_of,
    is_state,
    read_state,
    tables,
    write_rows,
    write_state,
)
from clv.data.columns import NAMES
from clv.data.money import MONEY
from clv.data.reading import read_rows
from clv.data.summary import customer_days
from clv.data.transactions import purchases_of
from clv.errors import InputError
from clv.format import count
from clv.intake.check import read_lines
from clv.intake.reading import CARRIED
from clv.intake.recipe import Recipe
from clv.intake.row_reasons import DUPLICATE, REPEATED, LeftOut
from clv.io.files import file_digest
from clv.io.queries import sql_text

EVER = dt.date(9999, 12, 31)
ORDER = "night, _file, _row"
FEW = 0.25  # of a day's rows, below which those of a night are latecomers
TOTALS = (
    "SELECT (SELECT count(*) FROM new_lines), count(*) FILTER (purchases > 0), sum(purchases), "
    "max(last_day) FROM next_customers"
)


@dataclass(frozen=True)
class FoldReport:
    """What a night's orders did to a state.

    Attributes
    ----------
    rows_in, left_out
        Rows of the files, and those that are no orders, by reason.
    new, grown, made_anew
        Customers seen for the first time; whose sums grew; who were worked out from all orders.
    customers, purchases, as_of
        Of the state as it is now: customers with a purchase, purchases, the last day with one.
    """

    rows_in: int
    left_out: tuple[LeftOut, ...]
    new: int
    grown: int
    made_anew: int
    customers: int
    purchases: int
    as_of: dt.date


def fold_orders(
    folder: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    stated: Mapping[str, Any] | None = None,
) -> FoldReport:
    """Take new orders into a state, or begin one.

    Parameters
    ----------
    folder
        The state; where there is none yet, it begins with these orders.
    files
        The new orders: files, folders or patterns.
    output
        The folder of the state afterwards; the same by default.
    stated
        Fields of the recipe that are decided, where a state begins; ``as_of`` any night.

    Raises
    ------
    InputError
        The orders cannot be read, or a day of them was taken in already.
    """
    place, target = Path(folder), Path(output or folder)
    state = read_state(place) if is_state(place) else None
    if state is None and os.path.realpath(place) != os.path.realpath(target):
        raise InputError(
            f"there is no state in {place}.",
            hint=f"to begin one, name it as --output as well: clv fold {target} ORDERS.",
        )
    with changing(place, target):
        return _fold(state, target, files, dict(stated or {}))


def _fold(
    state: OrderState | None,
    place: Path,
    files: Sequence[str | os.PathLike[str]],
    stated: Mapping[str, Any],
) -> FoldReport:
    source, recipe, log = read_lines(files, _fields(state, stated))
    _require_foldable(recipe)
    night = len(state.nights) + 1 if state else 1
    db = source.connection
    roles = [name for name in CARRIED if recipe.names(name)]
    _load_lines(db, roles, night, recipe)
    channel = "channel" in roles
    if state is None:
        db.execute("CREATE TEMP VIEW lines_of_nights AS FROM new_lines WHERE false")
        db.execute("CREATE TEMP VIEW anew AS SELECT customer_id FROM lines_of_nights")
    else:
        tables(place, state, db)
        _require_same_ids(db)
        _require_new_days(db, roles)
        _find_anew(db, "order_id" in roles)
    channels = _channels(db, state) if channel else []
    _load_days(db, recipe, roles, channels)
    _load_customers(db, night, channel)
    unique = digest_of(
        state.customers if state else "", *(file_digest(Path(file)) for file in source.files)
    )
    names = {kind: f"{kind}-{night:05}-{unique}.parquet" for kind in ("lines", "days", "customers")}
    _write_tables(db, place, names, night)
    ((rows, people, purchases, last),) = db.execute(TOTALS).fetchall()
    if last is None:
        raise InputError("no purchase is left: every order was refunded.")
    read = [Path(file).name for file in source.files]
    taken = Night(read=read, rows=rows, lines=names["lines"], days=names["days"])
    nights = [*(state.nights if state else []), taken]
    grown = OrderState(
        recipe=recipe.model_copy(update={"as_of": None}),
        currency=recipe.currency or (log.currencies[0] if log.currencies else ""),
        as_of=last,
        customers=names["customers"],
        nights=nights,
        channels=channels,
        before=state.customers if state else None,
    )
    write_state(grown, place)
    return FoldReport(log.rows_in, log.left_out, *_whose(db), people, int(purchases), last)


def _write_tables(db: Any, place: Path, names: Mapping[str, str], night: int) -> None:
    """The night's files, in one order of rows: the same orders give the same bytes."""
    write_rows(db, f"FROM new_lines ORDER BY {ORDER}", place / names["lines"])
    days = f"SELECT customer_id, date, amount, {night} AS night FROM new_days"
    write_rows(db, f"{days} ORDER BY date, customer_id", place / names["days"])
    write_rows(db, "FROM next_customers ORDER BY customer_id", place / names["customers"])


def _fields(state: OrderState | None, stated: Mapping[str, Any]) -> dict[str, Any]:
    """How the files are read: as those of the first night, up to the day stated."""
    if state is None:
        return dict(stated)
    if others := sorted(set(stated) - {"as_of"}):
        raise InputError(
            f"{others[0]} is decided: the state reads all orders alike.",
            hint="begin another state to read them otherwise.",
        )
    columns = state.recipe.columns.model_dump()  # one without a name is kept out
    fields = state.recipe.model_dump(exclude={"columns", "as_of"}, exclude_none=True)
    return {**fields, "columns": columns, **stated}


def _require_foldable(recipe: Recipe) -> None:
    if recipe.refund_kinds and recipe.names("refund_of"):
        raise InputError(
            "refunds of these files name an order and no customer: one night cannot tell whose.",
            hint="score all orders at once by clv score.",
        )


def _load_lines(db: Any, roles: Sequence[str], night: int, recipe: Recipe) -> None:
    """``new_lines``: the rows that count, those that repeat another among them."""
    columns = ["_customer AS customer_id", "_at AS date", "_amount AS amount"]
    columns += [f"_{name} AS {name}" for name in roles]
    columns += [f"{night} AS night", "_file", "_row"]
    columns += ["_twin"] if recipe.duplicates == "drop" else []
    repeats = f"'{REPEATED}', '{DUPLICATE}'"
    db.execute(
        f"CREATE TEMP TABLE new_lines AS SELECT {', '.join(columns)} FROM judged "
        f"WHERE _why IS NULL OR _why IN ({repeats})"
    )


def _require_same_ids(db: Any) -> None:
    """Ids of the kind that the state has: a number is no text."""
    kinds = [
        db.table(table).project("customer_id").types[0] for table in ("customers", "new_lines")
    ]
    if len(set(map(str, kinds))) > 1:
        raise InputError(
            f"customer ids of the state are {kinds[0]}, those of the new orders {kinds[1]}.",
            hint="write them alike, as in the first file.",
        )


def _require_new_days(db: Any, roles: Sequence[str]) -> None:
    """No day whose rows are just those that were taken in of it: all, or what one night brought.

    A few rows that came late and come once more are no day: they are rows sent again.
    """
    row = ", ".join(("customer_id", "date", "amount", *roles))
    sums = f"date::DATE AS day, count(*) AS n, sum(hash({row})::HUGEINT) AS digest"
    days = "min(date::DATE), max(date::DATE)"
    span = "DATE '{}' AND DATE '{}'".format(*db.table("new_lines").aggregate(days).fetchall()[0])
    taken = (  # materialized, or the join would be looked at before the largest is
        f"SELECT {sums} FROM lines_of_nights WHERE date::DATE BETWEEN {span} GROUP BY GROUPING "
        f"SETS ((day), (day, night)) QUALIFY n >= {FEW} * max(n) OVER (PARTITION BY day)"
    )
    twice = db.execute(
        f"WITH taken AS MATERIALIZED ({taken}) SELECT DISTINCT day, n FROM taken JOIN "
        f"(SELECT {sums} FROM new_lines GROUP BY day) USING (day, n, digest) ORDER BY day"
    ).fetchall()
    if twice:
        day, rows = twice[0]
        others = f", and {count(len(twice) - 1)} other days" if len(twice) > 1 else ""
        raise InputError(
            f"{day} was taken in already, with the same {count(rows)} rows{others}.",
            hint="give the orders that are new; nothing was done.",
        )


def _find_anew(db: Any, with_order_ids: bool) -> None:
    """``anew``: the customers of the state who are worked out from all of their orders."""
    late = f"round(n.amount * {MONEY}) <= 0 OR n.date::DATE <= c.seen OR c.purchases = 0"
    query = f"SELECT customer_id FROM new_lines n JOIN customers c USING (customer_id) WHERE {late}"
    if with_order_ids:
        query += " UNION SELECT customer_id FROM new_lines SEMI JOIN lines_of_nights "
        query += "USING (customer_id, order_id)"
    db.execute(f"CREATE TEMP TABLE anew AS SELECT DISTINCT customer_id FROM ({query})")


def _channels(db: Any, state: OrderState | None) -> list[str]:
    new = db.execute("SELECT DISTINCT channel FROM new_lines WHERE channel IS NOT NULL").fetchall()
    return sorted({*(state.channels if state else ()), *(channel for (channel,) in new)})


def _load_days(db: Any, recipe: Recipe, roles: Sequence[str], channels: Sequence[str]) -> None:
    """``new_days``: what new lines come to, with all earlier ones of whom is made anew."""
    earlier = "FROM lines_of_nights SEMI JOIN anew USING (customer_id)"
    lines = db.sql(f"FROM new_lines UNION ALL BY NAME {earlier}")
    if recipe.rows == "order_on_each_line":
        lines = _first_of_each(lines, "customer_id, order_id, amount")
    if recipe.duplicates == "drop":
        lines = _first_of_each(lines, "_twin")
    columns = ["customer_id", "date", "amount", *roles]
    written = spelled(channels)
    lines = lines.project(", ".join(written if name == "channel" else name for name in columns))
    names = {name: name for name in columns if name in NAMES}
    rows = read_rows(nw.from_native(lines), names, as_of=EVER, zero_amounts=recipe.zero_amounts)
    usable = rows.filter(nw.col("_reason") == 0)
    purchases, _ = purchases_of(usable, names, recipe.same_day, refunds=True, surveyed=False)
    customer_days(purchases).to_native().query("d", "CREATE TEMP TABLE new_days AS FROM d")


def _first_of_each(lines: Any, same: str) -> Any:
    first = f"row_number() OVER (PARTITION BY {same} ORDER BY {ORDER}) AS _place"
    return lines.project(f"*, {first}").filter("_place = 1").project("* EXCLUDE (_place)")


def spelled(channels: Sequence[str]) -> str:
    """SQL for a channel as it is written: ways that differ in case alone are one, the least."""
    first: dict[str, str] = {}
    for channel in sorted(channels):
        first.setdefault(channel.lower(), channel)
    cases = [f"WHEN {sql_text(low)} THEN {sql_text(way)}" for low, way in first.items()]
    return f"CASE lower(channel) {' '.join(cases)} END AS channel" if cases else "channel"


def _load_customers(db: Any, night: int, channel: bool) -> None:
    """``next_customers``: those of the state as they are, grown, or anew, and new ones.

    Who had orders but has no purchase, as all were refunded, has a row of no purchases.
    """
    db.execute(
        f"CREATE TEMP TABLE sums AS SELECT seen.customer_id, * EXCLUDE (customer_id, seen) "
        f"REPLACE (coalesce(purchases, 0) AS purchases), seen, {night} AS made_in "
        "FROM (SELECT customer_id, max(date::DATE) AS seen FROM new_lines GROUP BY ALL) seen "
        f"LEFT JOIN ({of_days('new_days', channel)}) USING (customer_id)"
    )
    db.execute("CREATE TEMP VIEW IF NOT EXISTS customers AS FROM sums WHERE false")
    grown = "FROM customers c JOIN sums n USING (customer_id) ANTI JOIN anew USING (customer_id)"
    latest = "greatest(seen, (SELECT seen FROM customers c WHERE c.customer_id = s.customer_id))"
    db.execute(
        f"CREATE TEMP TABLE next_customers AS SELECT {added(channel)} {grown} UNION ALL BY NAME "
        "FROM customers ANTI JOIN sums USING (customer_id) UNION ALL BY NAME "
        f"SELECT s.* REPLACE ({latest} AS seen) FROM sums s "
        "WHERE customer_id IN (FROM anew) OR customer_id NOT IN (SELECT customer_id FROM customers)"
    )


def _whose(db: Any) -> tuple[int, int, int]:
    """How many customers are new, have grown, were made anew."""
    counts = db.execute(
        "SELECT count(*), count(*) FILTER (customer_id IN (SELECT customer_id FROM customers)), "
        "count(*) FILTER (customer_id IN (FROM anew)) FROM sums"
    ).fetchall()
    ((all_of_them, there, anew),) = counts
    return all_of_them - there, there - anew, anew
