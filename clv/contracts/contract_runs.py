"""What a customer holds without a gap: one contract, its age in billing periods, and the cells.

Payment t of a contract is due t billing periods after its first. A contract that is over by then,
but for the days of grace, was not renewed; who is still in a period that is paid for is at risk at
its end only, whether or not a cancellation stands in the table already.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from clv.contracts.billing_tables import ContractRecipe, Interval
from clv.contracts.subscriptions import SubscriptionRows, interval_of
from clv.findings import Finding, finding

END = "DATE '9999-12-31'"
SURELY = 10.0  # minus the log of a chance that is none


@dataclass(frozen=True)
class Contracts:
    """Contracts of customers, as of the last day of their table.

    Attributes
    ----------
    rows
        A DuckDB table ``contracts``: customer, unit, length, plan (the first: who moved up had to
        stay for it), plan_now, currency, start, until (NULL while it runs), moved (to another
        billing period), leaving, old, amount (cents a period, of what runs), entered and periods
        (ages in billing periods), decided (renewals that were due by then), churned, active,
        next_day (of the next payment), and, where any customer has several rows, priced (day from
        which today's price is paid) and again (whether another was paid before).
    read
        The rows they are made of.
    observed_from
        The first day that the table knows of; None if it has all contracts from their start.
    notes
        What was joined, netted and assumed.
    several
        Whether any customer has more than a row.
    """

    rows: Any
    read: SubscriptionRows
    observed_from: dt.date | None
    notes: tuple[Finding, ...]
    several: bool = True

    @property
    def as_of(self) -> dt.date:
        """The last day that the table knows of."""
        return self.read.as_of

    @property
    def connection_rows(self) -> Any:
        """The rows in use, gaps within the grace closed: a DuckDB table ``spells``."""
        return self.read.rows

    def cells(self, covariates: Sequence[str] = ()) -> dict[Interval, pd.DataFrame]:
        """By billing period, the table that a model is fitted on, by plan and year of start.

        Columns entered, periods, churned, customers, as ``ShiftedBetaGeometric.fit`` takes them,
        and plan and cohort; and those of covariates, which stand in the column ``kind``.
        """
        more, by = "", ""
        if covariates:
            kinds = [f"kind[{k + 1}] AS k{k}" for k in range(len(covariates))]
            more, by = ", ".join(["", *kinds]), ", kind"
        counts = self.rows.filter("(periods > entered OR NOT churned) AND NOT old").aggregate(
            "unit, length, plan, year(start)::INTEGER AS cohort, entered, periods, churned, "
            f"count(*) AS customers{more}",
            f"unit, length, plan, year(start), entered, periods, churned{by}",
        )
        order = ["unit, length, plan, cohort, entered, periods, churned"]
        order += [f"k{k}" for k in range(len(covariates))]
        table = counts.order(", ".join(order)).df()
        names = {f"k{k}": name for k, name in enumerate(covariates)}
        table = table.drop(columns=[n for n in covariates if n in table]).rename(columns=names)
        groups = table.groupby(["unit", "length"], sort=False)
        return {
            interval_of(*key): group.drop(columns=["unit", "length"]).reset_index(drop=True)
            for key, group in groups
        }


def contract_runs(read: SubscriptionRows, recipe: ContractRecipe, db: Any) -> Contracts:
    """Contracts out of rows of subscriptions.

    Parameters
    ----------
    read
        The rows, in the table ``spells`` of the connection.
    recipe
        Its grace, and the first day that the table knows of.
    db
        The DuckDB connection.
    """
    several, gaps = _close_gaps(db, recipe.grace_days)
    notes = [*read.notes]
    if gaps:
        notes.append(finding("contracts.gaps", gaps=gaps, days=recipe.grace_days))
    moved = _runs(db, several)
    if moved:
        notes.append(finding("contracts.moved", contracts=moved))
    since = recipe.observed_from or _mid_life(db, read.as_of)
    if since is not None and recipe.observed_from is None:
        notes.append(finding("contracts.mid_life", day=since))
    _ages(db, recipe.grace_days, since, read.as_of)
    db.execute(f"DROP {'TABLE' if several else 'VIEW'} runs")
    closed = replace(read, rows=db.table("spells"))
    return Contracts(db.table("contracts"), closed, since, tuple(notes), several)


def _close_gaps(db: Any, grace: int) -> tuple[bool, int]:
    """Whether any customer has several rows, and how many gaps within the grace were closed."""
    rows, customers = db.execute(
        "SELECT count(*), approx_count_distinct(customer) FROM spells"
    ).fetchall()[0]
    if customers > 0.9 * rows:
        customers = db.execute("SELECT count(DISTINCT customer) FROM spells").fetchall()[0][0]
    if customers == rows:
        return False, 0
    db.execute(
        "CREATE TABLE closed AS SELECT * EXCLUDE (until, follows), CASE WHEN until < follows AND "
        f"follows <= until + {grace} AND until = reached THEN follows ELSE until END AS until, "
        f"(until < follows AND follows <= until + {grace} AND until = reached) AS joined FROM ("
        "SELECT *, lead(start) OVER by_start AS follows, "
        f"max(coalesce(until, {END})) OVER by_start AS reached FROM spells "
        "WINDOW by_start AS (PARTITION BY customer ORDER BY start, _row))"
    )
    gaps = db.execute("SELECT count(*) FROM closed WHERE joined").fetchall()[0][0]
    db.execute("DROP TABLE spells")
    db.execute("CREATE TABLE spells AS SELECT * EXCLUDE (joined) FROM closed")
    db.execute("DROP TABLE closed")
    return True, int(gaps)


def _runs(db: Any, several: bool) -> int:
    """The table ``runs``: what touches or overlaps at one billing period; how many moved on."""
    if not several:
        db.execute(
            "CREATE VIEW runs AS SELECT customer, unit, length, plan, plan AS plan_now, currency, "
            "start, until, leaving, old, amount, false AS moved FROM spells"
        )
        return 0
    place = "PARTITION BY customer, unit, length, currency ORDER BY start, _row"
    db.execute(
        "CREATE TABLE runs AS WITH marked AS (SELECT *, coalesce(start > max(coalesce(until, "
        f"{END})) OVER ({place} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS fresh "
        f"FROM spells), numbered AS (SELECT *, sum(fresh::INT) OVER ({place}) AS run FROM marked), "
        f"ended AS (SELECT *, max(coalesce(until, {END})) OVER (PARTITION BY customer, unit, "
        "length, currency, run) AS last FROM numbered), "
        "run AS (SELECT customer, unit, length, currency, arg_min(plan, start) AS plan, "
        f"arg_max(plan, start) AS plan_now, min(start) AS start, "
        f"nullif(max(last), {END}) AS until, max(start) AS priced, max(start) > min(start) AS "
        "again, "
        "bool_and(leaving) FILTER (coalesce(until, last) = last) AS leaving, "
        "bool_or(old) AS old, "
        f"sum(amount) FILTER (coalesce(until, {END}) = last) AS amount "
        "FROM ended GROUP BY customer, unit, length, currency, run) "
        "SELECT *, until IS NOT NULL AND coalesce(lead(start) OVER (PARTITION BY customer ORDER "
        "BY start, until) <= until, false) AS moved FROM run"
    )
    return int(db.execute("SELECT count(*) FROM runs WHERE moved").fetchall()[0][0])


def _mid_life(db: Any, as_of: dt.date) -> dt.date | None:
    """The first day on which a contract ends, if that none ends before it is beyond chance.

    Contracts were exposed, from their first renewal on, a share f of all their time before that
    day. Of k ends, none falls there with the chance (1 - f)^(k - 1).
    """
    (first,) = db.execute(f"SELECT min(until) FROM runs WHERE until <= DATE '{as_of}'").fetchall()[
        0
    ]
    if first is None:
        return None
    days = f"(CASE unit WHEN 'month' THEN length * {365.25 / 12!r} ELSE length END)"
    before, every, ends = db.execute(
        f"SELECT sum(greatest(DATE '{first}' - start - {days}, 0)), sum(greatest(least(coalesce("
        f"until, DATE '{as_of}'), DATE '{as_of}') - start - {days}, 0)), "
        f"count(*) FILTER (until <= DATE '{as_of}') FROM runs"
    ).fetchall()[0]
    if not every or before <= 0:
        return None
    share = min(float(before) / float(every), 1 - 1e-9)
    return first if (ends - 1) * -np.log1p(-share) > SURELY else None


def _steps(day: str) -> str:
    """SQL for the whole billing periods from a contract's start to a day."""
    return (
        f"(CASE unit WHEN 'month' THEN datesub('month', start, {day}) "
        f"ELSE datesub('day', start, {day}) END // length)"
    )


def _due(step: str) -> str:
    """SQL for the day of a payment."""
    return (
        f"(CASE unit WHEN 'month' THEN (start + to_months(({step} * length)::INTEGER))::DATE "
        f"ELSE start + ({step} * length)::INTEGER END)"
    )


def _ages(db: Any, grace: int, since: dt.date | None, as_of: dt.date) -> None:
    """The table ``contracts``: runs with their ages when first and last observed."""
    entered, condition = "0", ""
    if since is not None:
        first = f"DATE '{since}'"
        entered = f"CASE WHEN start < {first} THEN {_steps(first)} ELSE 0 END"
        condition = f"WHERE coalesce(until >= {first}, true)"
    day = f"DATE '{as_of}'"
    db.execute(
        "CREATE TABLE contracts AS WITH aged AS (SELECT *, "
        f"({entered})::INTEGER AS entered, {_steps(day)} AS decided, "
        f"until IS NULL OR until > {day} AS active, "
        # the last payment that the customer was still there for, but for the grace
        f"greatest({_steps(f'(until - {grace})')}, 0) + 1 AS left_before FROM runs {condition}), "
        "ended AS (SELECT *, NOT active AND NOT moved AND left_before <= decided AS churned "
        "FROM aged), "
        "dated AS (SELECT * EXCLUDE (left_before), (CASE WHEN churned THEN left_before "
        "WHEN active THEN decided ELSE least(decided, left_before - 1) END)::INTEGER AS periods "
        "FROM ended) SELECT * EXCLUDE (entered), least(entered, periods) AS entered, "
        f"{_due('(decided + 1)')} AS next_day FROM dated"
    )
