"""Rows of subscriptions: each is used, or left out with a reason, counted and named."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from clv.contracts.billing_tables import TITLES, ContractRecipe, Interval, parse_interval, words
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.intake.role_cells import NO_DATE, cases, number_of, text_of, with_day
from clv.intake.row_reasons import LeftOut, require_readable
from clv.intake.sources import Source
from clv.io.queries import sql_text

LARGEST = 1e10  # of an amount, in currency
QUIET = 31  # days without a start or an end before the last day, to say so
INTERVALS = 2000  # different billing periods in one table; more, and the column is none
FAULTS = (
    NO_CUSTOMER := "customer is missing",
    NO_START := "start is missing: how old the contract is cannot be seen",
    BAD_START := "start cannot be read as a date",
    BAD_END := "end cannot be read as a date",
    BACKWARDS := "ends before it starts",
    NO_AMOUNT := "amount is missing or not a number",
    NEGATIVE := "amount is negative or too large",
    BAD_INTERVAL := "billing period cannot be read",
    ENDLESS := "is over by its status, and no day says since when",
    OVERLAP := "overlaps an earlier period of the same subscription",
)
HINTS = {
    NO_START: "find when it began, or leave it out: its age decides how likely it stays.",
    BAD_INTERVAL: 'write month, year, 3 months, or state one for all: interval="month".',
    OVERLAP: "one subscription has one price at a time; end the earlier period first.",
    BACKWARDS: "start and end may be exchanged, or days and months: state date_order.",
}
MEND = "mend these rows in the file, or drop them."
FREE, TRIAL, UNBORN, LATER = (
    "price is zero",
    "trial that was never paid",
    "never began, by its status",
    "starts after the last day of the table",
)


@dataclass(frozen=True)
class SubscriptionRows:
    """The rows that are used, and what was left out.

    Attributes
    ----------
    rows
        A DuckDB table ``spells``: _row, customer, plan, unit, length (of the
        billing period), amount (cents a period), mrr (cents a month), currency, start, until (first
        day without; NULL while it runs), leaving (will not be renewed), old (begun before the
        table).
    left_out
        By reason, with examples of rows.
    rows_in
        Rows of the files.
    as_of
        The last day that they know of.
    notes
        What was assumed in reading.
    """

    rows: Any
    left_out: tuple[LeftOut, ...]
    rows_in: int
    as_of: dt.date
    notes: tuple[Finding, ...] = ()


def read_subscriptions(source: Source, recipe: ContractRecipe) -> SubscriptionRows:
    """The subscriptions of a table, checked.

    Raises
    ------
    InputError
        A column is missing, or a date or an amount can be read in two ways.
    RowError
        No row is left, or more than a tenth have a fault.
    """
    typed, notes = _typed(source, recipe)
    db = source.connection
    typed.create_view("typed")
    last = last_day(db.table("typed"), "start_day, until, cancelled_at_day")
    as_of = recipe.as_of or last
    if (as_of - last).days > QUIET:
        notes = (*notes, finding("contracts.quiet", last=last, day=as_of))
    rules = " ".join(f"WHEN {rule} THEN {sql_text(why)}" for why, rule in _rules(as_of))
    judged = db.table("typed").project(f"*, CASE {rules} END AS why")
    paid = "CASE WHEN trial_end_day > start_day THEN trial_end_day ELSE start_day END"
    judged.project(
        "_row, customer, subscription, plan, unit, length, amount, mrr, currency, "
        f"{paid}::DATE AS start, until::DATE AS until, leaving, false AS old, why"
    ).create("judged_rows")
    db.execute("DROP VIEW typed")
    _mark_overlaps(db)
    return used_rows(db, as_of, notes, TITLES["subscriptions"])


def used_rows(
    db: Any, as_of: dt.date, notes: tuple[Finding, ...], what: str, rows_in: int | None = None
) -> SubscriptionRows:
    """The rows of the table ``judged_rows`` that no reason bars, as the table ``spells``.

    ``rows_in`` are those of the files, where they are not those of the table.

    Raises
    ------
    RowError
        No row is left, or more than a tenth have a fault.
    """
    left_out = _left_out(db)
    rows_in = rows_in or int(db.table("judged_rows").aggregate("count(*)").fetchall()[0][0])
    require_readable(left_out, rows_in, what, FAULTS, lambda why: HINTS.get(why, MEND))
    if left_out:
        db.execute("DELETE FROM judged_rows WHERE why IS NOT NULL")
    for settled in ("subscription", "why"):  # a text of each row is most of what is held
        db.execute(f"ALTER TABLE judged_rows DROP COLUMN {settled}")
    db.execute("ALTER TABLE judged_rows RENAME TO spells")
    return SubscriptionRows(db.table("spells"), left_out, rows_in, as_of, notes)


def last_day(rows: Any, days: str) -> dt.date:
    """The latest of some days that is not yet to come; today if there is none."""
    today = f"DATE '{dt.date.today()}'"
    each = ", ".join(
        f"max({day}) FILTER ({day} <= {today})" for day in (d.strip() for d in days.split(","))
    )
    latest = [day for day in rows.aggregate(each).fetchall()[0] if day is not None]
    return max(latest) if latest else dt.date.today()


def _typed(source: Source, recipe: ContractRecipe) -> tuple[Any, tuple[Finding, ...]]:
    """The rows with the values of every role, as text, days, cents and lengths."""
    rows = source.rows
    for role in ("start", "end", "cancelled_at", "trial_end"):
        rows = with_day(rows, source, recipe, role)
    length, unit, notes = _intervals(source, recipe)
    status = f"regexp_replace(lower({text_of(source, recipe, 'status')}), '[^a-z]', '', 'g')"
    over, unborn = (one_of(status, words()["status"][key]) for key in ("over", "unborn"))
    texts = {role: text_of(source, recipe, role) for role in ("customer_id", "subscription_id")}
    customer = customer_of(source, recipe)
    currency = recipe.currency if "currency" not in recipe.columns else None
    currencies = (
        sql_text((currency or "").upper())
        if currency or "currency" not in recipe.columns
        else (f"upper({text_of(source, recipe, 'currency')})")
    )
    ended = f"coalesce(end_day, CASE WHEN {over} THEN cancelled_at_day END)"
    amount, monthly = _cents(source, recipe)
    months = f"(CASE {unit} WHEN 'day' THEN {length} * {12 / 365.25!r} ELSE {length} END)"
    return rows.project(
        f"_row, {customer} AS customer, {texts['subscription_id']} AS subscription, "
        f"coalesce({text_of(source, recipe, 'plan')}, '') AS plan, {unit} AS unit, "
        f"({length})::INTEGER AS length, coalesce({currencies}, '') AS currency, start_day, "
        f"{ended} AS until, cancelled_at_day, trial_end_day, {over} AS over, {unborn} AS unborn, "
        f"{text_of(source, recipe, 'start', NO_DATE)} IS NOT NULL AS has_start, "
        f"{text_of(source, recipe, 'end', NO_DATE)} IS NOT NULL AND end_day IS NULL AS bad_end, "
        f"(end_day IS NULL AND cancelled_at_day IS NOT NULL AND NOT {over}) AS leaving, "
        + (
            f"round({monthly} * 100 * {months}) AS amount, round({monthly} * 100) AS mrr"
            if monthly
            else f"round({amount} * 100) AS amount, round({amount} * 100 / {months}) AS mrr"
        )
    ), notes


def customer_of(source: Source, recipe: ContractRecipe) -> str:
    """SQL for the customer: whole numbers stay numbers."""
    name = recipe.columns["customer_id"]
    if "INT" in source.type_of(name):
        return source.column(name)
    return text_of(source, recipe, "customer_id")


def one_of(cell: str, listed: list[str]) -> str:
    """SQL: whether a cell is one of some words; false where it is empty."""
    return f"coalesce({cell} IN ({', '.join(map(sql_text, listed))}), false)"


def _cents(source: Source, recipe: ContractRecipe) -> tuple[str, str | None]:
    """SQL for the amount of a period in currency, and for that of a month where it is stated."""
    scale = " / 100" if recipe.minor_units else ""
    if not {"amount", "total", "monthly"} & set(recipe.columns):
        raise InputError(
            "no column says what is paid.",
            hint="name it: columns={'amount': 'Price'}, in currency a billing period.",
        )
    if "monthly" in recipe.columns and not {"amount", "total"} & set(recipe.columns):
        return "0", f"({number_of(source, recipe, 'monthly')}{scale})"
    if "total" in recipe.columns:
        amount = number_of(source, recipe, "total")
    else:
        quantity = number_of(source, recipe, "quantity")
        amount = f"{number_of(source, recipe, 'amount')} * coalesce({quantity}, 1)"
    amount = f"({amount}{scale})"
    if "discount" in recipe.columns:
        text = text_of(source, recipe, "discount")
        off = number_of(source, recipe, "discount")
        share = f"try_cast(replace({text}, '%', '') AS DOUBLE) / 100"
        amount = (
            f"(CASE WHEN ends_with({text}, '%') THEN {amount} * (1 - {share}) "
            f"ELSE {amount} - coalesce({off}, 0){scale} END)"
        )
    return amount, None


def _intervals(source: Source, recipe: ContractRecipe) -> tuple[str, str, tuple[Finding, ...]]:
    """SQL for length and unit of the billing period, and what was assumed."""
    if recipe.interval is not None or "interval" not in recipe.columns:
        interval = parse_interval(recipe.interval or "month")
        if interval is None:
            raise InputError(
                f"interval = {recipe.interval!r} is no billing period.",
                hint="write month, year, quarter, week or 3 months.",
            )
        notes = () if recipe.interval else (finding("contracts.monthly"),)
        return str(interval.length), f"'{interval.unit}'", notes
    cells = [text_of(source, recipe, role) for role in ("interval", "interval_count")]
    pairs = source.rows.project(f"{cells[0]} AS a, {cells[1]} AS b").distinct().limit(INTERVALS)
    lengths, units = dict[str, Any](), dict[str, Any]()
    for text, count in pairs.fetchall():
        interval = parse_interval(text, count) or parse_interval(count, text)  # either is the word
        if interval is not None:
            key = f"{text}|{count or ''}"
            lengths[key], units[key] = interval.length, f"'{interval.unit}'"
    key = f"concat({cells[0]}, '|', coalesce({cells[1]}, ''))"
    return cases(lengths, key), cases(units, key, "NULL::VARCHAR"), ()


def _rules(as_of: dt.date) -> list[tuple[str, str]]:
    """Why a row is not used, in the order of being looked for."""
    return [
        (NO_CUSTOMER, "customer IS NULL"),
        (UNBORN, "unborn"),
        (NO_START, "start_day IS NULL AND NOT has_start"),
        (BAD_START, "start_day IS NULL"),
        (BAD_END, "bad_end"),
        (ENDLESS, "over AND until IS NULL"),
        (BACKWARDS, "until < start_day"),
        (TRIAL, f"trial_end_day > start_day AND least(until, DATE '{as_of}') <= trial_end_day"),
        (LATER, f"start_day > DATE '{as_of}'"),
        (BAD_INTERVAL, "length IS NULL"),
        (NO_AMOUNT, "amount IS NULL OR isnan(amount)"),
        (NEGATIVE, f"amount < 0 OR amount > {LARGEST * 100}"),
        (FREE, "amount = 0"),
    ]


def _mark_overlaps(db: Any) -> None:
    """Rows that begin before an earlier period of their subscription is over."""
    ids, rows = db.execute(
        "SELECT approx_count_distinct(hash(customer, subscription)), count(*) FROM judged_rows "
        "WHERE why IS NULL AND subscription IS NOT NULL"
    ).fetchall()[0]
    exact = "SELECT count(*) FROM (SELECT DISTINCT hash(customer, subscription) FROM judged_rows "
    exact += "WHERE why IS NULL AND subscription IS NOT NULL)"
    if not rows or (ids > 0.9 * rows and db.execute(exact).fetchall()[0][0] == rows):
        return
    db.execute(
        "UPDATE judged_rows SET why = $1 WHERE rowid IN (SELECT place FROM (SELECT rowid AS place, "
        "start, max(coalesce(until, DATE '9999-12-31')) OVER (PARTITION BY customer, subscription "
        "ORDER BY start, _row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached "
        "FROM judged_rows WHERE why IS NULL AND subscription IS NOT NULL) WHERE start < reached)",
        [OVERLAP],
    )


def _left_out(db: Any) -> tuple[LeftOut, ...]:
    counts = db.execute(
        "SELECT why, count(*), coalesce(sum(amount), 0) / 100, list(_row ORDER BY _row)[:3] "
        "FROM judged_rows WHERE why IS NOT NULL GROUP BY why"
    ).fetchall()
    parts = [LeftOut(why, n, round(total, 2), tuple(rows)) for why, n, total, rows in counts]
    return tuple(sorted(parts, key=lambda part: (-part.rows, part.reason)))


def interval_of(unit: str, length: int) -> Interval:
    """The billing period of a row."""
    return Interval("day" if unit == "day" else "month", int(length))
