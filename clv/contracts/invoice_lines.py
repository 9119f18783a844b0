"""Lines of invoices as rows of subscriptions.

What recurs is the price of a full service period; a proration moves money between two prices
within a period and is no revenue of its own: the price changes on the day on which it begins, to
that of the next full period, or to what the net of its lines amounts to where none follows.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from clv.contracts.billing_tables import TITLES, ContractRecipe, words
from clv.contracts.subscriptions import (
    BACKWARDS,
    FREE,
    LARGEST,
    NEGATIVE,
    NO_AMOUNT,
    NO_CUSTOMER,
    OVERLAP,
    SubscriptionRows,
    customer_of,
    last_day,
    one_of,
    used_rows,
)
from clv.findings import Finding, finding
from clv.intake.role_cells import number_of, text_of, with_day
from clv.intake.sources import Source
from clv.io.queries import sql_text

OTHER = "tax, usage, one-off or refund: does not recur"
PRORATED = "proration, netted to the period it belongs to"
NO_PERIOD = "no service period: does not recur"
RUSH = 5.0  # times as many as usual begin when a table does: they had begun before
KEY = "customer, subscription, currency"  # whose prices follow each other
MANY = 20  # contracts below which the first period of a table says nothing


def read_invoice_lines(source: Source, recipe: ContractRecipe) -> SubscriptionRows:
    """The subscriptions behind lines of invoices, checked.

    Raises
    ------
    InputError
        A column is missing, or a date or an amount can be read in two ways.
    RowError
        No row is left, or more than a tenth have a fault.
    """
    db = source.connection
    _typed(source, recipe).create("lines")
    as_of = recipe.as_of or last_day(db.table("lines"), "date_day, period_start_day")
    rows_in = int(db.table("lines").aggregate("count(*)").fetchall()[0][0])
    notes = list(_inclusive(db))
    _judge(db)
    _spread(db, recipe.grace_days, as_of)
    notes += _undecided(db, recipe.grace_days, as_of)
    db.execute("DROP TABLE full_lines")
    read = used_rows(db, as_of, tuple(notes), TITLES["invoice_lines"], rows_in)
    return _mark_old(db, read)


def _typed(source: Source, recipe: ContractRecipe) -> Any:
    rows = source.rows
    for role in ("date", "period_start", "period_end"):
        rows = with_day(rows, source, recipe, role)
    scale = 1 if recipe.minor_units else 100
    kind = (
        f"regexp_replace(lower(coalesce({text_of(source, recipe, 'type')}, '')), '[^a-z]', '', 'g')"
    )
    flag = f"lower(coalesce({text_of(source, recipe, 'proration')}, 'false'))"
    currency = sql_text((recipe.currency or "").upper())
    if "currency" in recipe.columns:
        currency = f"upper(coalesce({text_of(source, recipe, 'currency')}, ''))"
    customer = customer_of(source, recipe)
    plan = f"coalesce({text_of(source, recipe, 'plan')}, '')"
    return rows.project(
        f"_row, {customer} AS customer, {plan} AS plan, {currency} AS currency, date_day, "
        f"coalesce({text_of(source, recipe, 'subscription_id')}, ({customer})::VARCHAR) "
        "AS subscription, period_start_day, period_end_day, "
        f"round({number_of(source, recipe, 'amount')} * {scale}) AS cents, "
        f"{one_of(kind, words()['type']['other'])} AS other, "
        f"({flag} IN ('true', '1', 'yes', 't', '1.0') "
        f"OR {one_of(kind, words()['type']['proration'])}) AS prorated"
    )


def _inclusive(db: Any) -> list[Finding]:
    """Period ends moved to the day after, where they are the last day of the period."""
    whole = "day(period_start_day) = day(period_end_day{})"
    last, first = db.execute(
        f"SELECT count(*) FILTER ({whole.format(' + 1')}), count(*) FILTER ({whole.format('')}) "
        "FROM lines WHERE NOT other AND NOT prorated"
    ).fetchall()[0]
    if last <= first:
        return []
    db.execute("UPDATE lines SET period_end_day = period_end_day + 1")
    return [finding("contracts.last_days")]


def _judge(db: Any) -> None:
    """The table ``full``: each line with its billing period, and why it is no full period."""
    rules = [
        (NO_CUSTOMER, "customer IS NULL"),
        (OTHER, "other"),
        (NO_AMOUNT, "cents IS NULL OR isnan(cents)"),
        (NEGATIVE, f"abs(cents) > {LARGEST * 100}"),
        (NO_PERIOD, "period_start_day IS NULL OR period_end_day IS NULL"),
        (BACKWARDS, "period_end_day < period_start_day"),
        (NO_PERIOD, "period_end_day = period_start_day"),
        (PRORATED, "prorated OR cents < 0"),
        (FREE, "cents = 0"),
    ]
    cases = " ".join(f"WHEN {rule} THEN {sql_text(why)}" for why, rule in rules)
    months = "datesub('month', period_start_day, period_end_day)"
    days = "(period_end_day - period_start_day)"
    near = f"greatest(1, round({days} / 30.4375))"
    exact = f"{months} > 0 AND period_start_day + to_months({months}::INTEGER) = period_end_day"
    monthly = f"({exact} OR ({days} % 7 <> 0 AND abs({days} - {near} * 30.4375) <= 3))"
    length = f"CASE WHEN {exact} THEN {months} WHEN {monthly} THEN {near} ELSE {days} END"
    db.execute(
        f"CREATE TABLE full_lines AS SELECT *, CASE {cases} END AS why, "
        f"CASE WHEN {monthly} THEN 'month' ELSE 'day' END AS unit, ({length})::INTEGER AS length "
        "FROM lines"
    )
    db.execute("DROP TABLE lines")
    db.execute(
        "UPDATE full_lines SET why = $1 WHERE rowid IN (SELECT place FROM (SELECT rowid AS place, "
        "period_start_day, max(period_end_day) OVER (PARTITION BY customer, subscription, plan, "
        "currency ORDER BY period_start_day, _row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 "
        "PRECEDING) AS reached FROM full_lines WHERE why IS NULL) "
        "WHERE period_start_day < reached)",
        [OVERLAP],
    )


def _spread(db: Any, grace: int, as_of: dt.date) -> None:
    """The table ``judged_rows``: prices with the days from and to which they were in force."""
    db.execute(
        f"CREATE TABLE priced AS SELECT _row, {KEY}, plan, unit, length, cents, period_start_day "
        "AS start, period_end_day AS until, period_end_day > max(period_start_day) OVER (PARTITION "
        f"BY {KEY}) AS latest FROM full_lines WHERE why IS NULL"
    )
    _changes(db, grace)
    db.execute(
        f"CREATE TABLE prices AS SELECT f._row, {KEY}, f.plan, f.unit, f.length, f.cents, f.start, "
        "coalesce(c.day, f.until) AS until, latest AND c.day IS NULL AS latest FROM priced f "
        "LEFT JOIN (SELECT _row, min(day) AS day FROM changes GROUP BY _row) c USING (_row) "
        f"UNION ALL SELECT _row, {KEY}, coalesce(next_plan, to_plan, plan), unit, length, "
        "CASE WHEN next_day IS NULL AND next_cents IS NOT NULL THEN next_cents "
        "WHEN cents + moved < 0.02 * cents THEN 0 ELSE round(cents + moved) END, "
        "day, coalesce(next_day, until), latest AND next_day IS NULL FROM changes"
    )
    db.execute("DELETE FROM prices WHERE until <= start OR cents <= 0")
    _merge(db, grace, as_of)
    for table in ("priced", "changes", "prices"):
        db.execute(f"DROP TABLE {table}")


def _changes(db: Any, grace: int) -> None:
    """The table ``changes``: prorations by the day on which they begin, beside the full period."""
    same = " AND ".join(f"{{0}}.{name} = {{1}}.{name}" for name in KEY.split(", "))
    db.execute(
        f"CREATE TABLE changes AS WITH net AS (SELECT {KEY}, period_start_day AS day, "
        "sum(cents * 1.0 / (period_end_day - period_start_day)) AS a_day, "
        "arg_max(plan, cents) FILTER (cents > 0) AS to_plan, arg_min(plan, cents) AS from_plan "
        f"FROM full_lines WHERE why = {sql_text(PRORATED)} AND period_end_day > period_start_day "
        "GROUP BY ALL), matched AS (SELECT n.day, n.a_day, n.to_plan, p.*, row_number() OVER "
        "(PARTITION BY n.customer, n.subscription, n.currency, n.day ORDER BY p.plan <> "
        f"n.from_plan, p._row) AS place FROM net n JOIN priced p ON {same.format('p', 'n')} "
        "AND p.start <= n.day AND n.day < p.until), "
        "chosen AS (SELECT *, lead(day) OVER w AS next_day, sum(a_day * (until - start)) OVER w AS "
        "moved FROM matched WHERE place = 1 WINDOW w AS (PARTITION BY _row ORDER BY day)), "
        "follows AS (SELECT c._row AS line, c.day AS at_day, arg_min(q.plan, q.plan <> coalesce("
        "c.to_plan, c.plan)) AS next_plan, arg_min(q.cents, q.plan <> coalesce(c.to_plan, "
        f"c.plan)) AS next_cents FROM chosen c JOIN priced q ON {same.format('q', 'c')} "
        f"AND q.start >= c.until AND q.start <= c.until + {grace} GROUP BY ALL) "
        "SELECT chosen.*, next_plan, next_cents FROM chosen LEFT JOIN follows "
        "ON line = _row AND at_day = day"
    )


def _merge(db: Any, grace: int, as_of: dt.date) -> None:
    """What touches at one price becomes one row; what was left out is added with its reason."""
    months = "(CASE unit WHEN 'day' THEN length * 12 / 365.25 ELSE length END)"
    same = f"{KEY}, plan, unit, length"
    due = f"latest AND until + {grace} >= DATE '{as_of}'"
    db.execute(
        "CREATE TABLE judged_rows AS WITH marked AS (SELECT *, coalesce(start <> lag(until) OVER w "
        "OR cents <> lag(cents) OVER w, true) AS fresh FROM prices WINDOW w AS (PARTITION BY "
        f"{same} ORDER BY start)), numbered AS (SELECT *, sum(fresh::INT) OVER (PARTITION BY "
        f"{same} ORDER BY start) AS run FROM marked), merged AS (SELECT min(_row) AS _row, {same}, "
        "cents, min(start) AS start, max(until) AS until, bool_or(latest) AS latest FROM numbered "
        f"GROUP BY {same}, cents, run) SELECT _row, customer, subscription, plan, unit, length, "
        f"cents AS amount, round(cents / {months}) AS mrr, currency, start, CASE WHEN {due} THEN "
        "NULL ELSE until END AS until, false AS leaving, false AS old, NULL::VARCHAR AS why "
        "FROM merged UNION ALL SELECT _row, customer, subscription, plan, unit, length, cents, 0, "
        "currency, period_start_day, period_end_day, false, false, why FROM full_lines "
        "WHERE why IS NOT NULL"
    )


def _undecided(db: Any, grace: int, as_of: dt.date) -> list[Finding]:
    """A word on those whose last period has just ended: the next invoice may be on its way."""
    late = db.execute(
        "SELECT count(*) FROM (SELECT max(period_end_day) AS last FROM full_lines WHERE why IS "
        f"NULL GROUP BY customer) WHERE last <= DATE '{as_of}' AND last + {grace} >= DATE '{as_of}'"
    ).fetchall()[0][0]
    if not late:
        return []
    return [finding("contracts.undecided", customers=int(late), days=grace)]


def _mark_old(db: Any, read: SubscriptionRows) -> SubscriptionRows:
    """Contracts that were there when the table begins: their age is not in it."""
    firsts = (
        "f AS (SELECT customer, min(start) AS first, arg_min(CASE unit WHEN 'month' THEN length * "
        "30.4375 ELSE length END, start) AS days, arg_min(unit, start) AS unit, arg_min(length, "
        "start) AS length FROM spells GROUP BY customer), s AS (SELECT *, min(first) OVER () AS "
        "begins FROM f), g AS (SELECT *, first < CASE unit WHEN 'month' THEN begins + "
        "to_months(length) ELSE begins + length END AS early FROM s)"
    )
    begun, usual = db.execute(
        f"WITH {firsts} SELECT count(*) FILTER (early), count(*) FILTER (NOT early) * avg(days) "
        f"/ nullif(DATE '{read.as_of}' - min(begins) - avg(days), 0) FROM g"
    ).fetchall()[0]
    if begun < MANY or begun <= RUSH * (usual or 0.0):
        return read
    db.execute(
        "UPDATE spells SET old = true WHERE customer IN "
        f"(WITH {firsts} SELECT customer FROM g WHERE early)"
    )
    note = finding("contracts.begun_before", customers=int(begun))
    return SubscriptionRows(
        db.table("spells"), read.left_out, read.rows_in, read.as_of, (*read.notes, note)
    )
