"""The revenue book: what recurs from month to month, why it moved, and who stayed.

All amounts are whole cents of one currency a month: a plan's price over its billing period in
months, rounded once. A month's end is its last day, that of the last month the as-of day; what
begins and ends within a month is in none.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from clv.contracts.contract_runs import Contracts
from clv.errors import InputError
from clv.format import counted, money, month
from clv.notebook import InNotebook

MOVEMENTS = ("new", "reactivation", "expansion", "contraction", "churn")
GAINS, LOSSES = MOVEMENTS[:3], MOVEMENTS[3:]
AT_ONCE = 2_000_000  # rows whose customers are followed at a time
MONTH = "date_trunc('month', {})::DATE"


@dataclass(frozen=True)
class RevenueRatios(InNotebook):
    """What of a month's or a year's start was still there at its end.

    Attributes
    ----------
    gross_retention
        GRR: (start - churn - contraction) / start, at most 1.
    net_retention
        NRR: the same with expansion added; customers who are new or came back are in neither.
    quick_ratio
        Revenue won over revenue lost; infinite where none was lost, NaN where nothing moved.
    """

    gross_retention: float
    net_retention: float
    quick_ratio: float


def revenue_ratios(
    start: float,
    *,
    new: float = 0,
    reactivation: float = 0,
    expansion: float = 0,
    contraction: float = 0,
    churn: float = 0,
    with_reactivation: bool = False,
) -> RevenueRatios:
    """Gross and net retention of revenue, and the quick ratio.

    Parameters
    ----------
    start
        Recurring revenue at the start, in any currency.
    new, reactivation, expansion, contraction, churn
        What moved since, each 0 or more.
    with_reactivation
        Whether customers who came back count as won in the quick ratio.

    Returns
    -------
    RevenueRatios
        NaN where there was no revenue at the start.

    Raises
    ------
    InputError
        An amount is negative or missing.

    Examples
    --------
    >>> ratios = revenue_ratios(200_000, churn=6_000, contraction=4_000, expansion=20_000)
    >>> ratios.gross_retention, ratios.net_retention, ratios.quick_ratio
    (0.95, 1.05, 2.0)
    """
    amounts = (start, new, reactivation, expansion, contraction, churn)
    if not all(amount >= 0 for amount in amounts):
        raise InputError(
            f"revenue of {min(amounts)} is negative or missing.",
            hint="give what moved as amounts of 0 or more; churn is what was lost.",
        )
    won = new + expansion + (reactivation if with_reactivation else 0)
    lost = contraction + churn
    nan = float("nan")
    return RevenueRatios(
        (start - lost) / start if start else nan,
        (start - lost + expansion) / start if start else nan,
        won / lost if lost else (float("inf") if won else nan),
    )


@dataclass(frozen=True)
class RevenueBook(InNotebook):
    """Recurring revenue month by month, per currency, in whole cents.

    Attributes
    ----------
    months
        A row per currency and month: currency, month (its first day), start, new, reactivation,
        expansion, contraction, churn, end (cents a month) and customers (at the end).
    cohorts
        A row per currency, cohort (month of the first revenue) and age in months: customers and
        revenue (cents a month) still there.
    year
        By currency, gross and net retention of the customers of twelve months ago; None where the
        table is younger.
    as_of
        The last day.

    Examples
    --------
    >>> from clv.contracts.contract_tables import read_contract_table
    >>> rows = pd.DataFrame({"customer_id": ["ann", "bob"], "interval": "month",
    ...                      "amount": [10.0, 19.99], "start": ["2024-01-15", "2024-02-01"]})
    >>> book: RevenueBook = read_contract_table(rows, as_of="2024-02-29").book()
    >>> book.months[["start", "new", "end"]].values.tolist()
    [[0, 1000, 1000], [1000, 1999, 2999]]
    """

    months: pd.DataFrame
    cohorts: pd.DataFrame
    year: dict[str, RevenueRatios | None]
    as_of: dt.date

    def ratios(self, *, with_reactivation: bool = False) -> pd.DataFrame:
        """``months`` with gross_retention, net_retention and quick_ratio of each.

        Parameters
        ----------
        with_reactivation
            Whether customers who came back count as won in the quick ratio.
        """
        rows = [
            vars(
                revenue_ratios(
                    row["start"],
                    **{name: row[name] for name in MOVEMENTS},
                    with_reactivation=with_reactivation,
                )
            )
            for row in self.months.to_dict("records")
        ]
        return pd.concat([self.months, pd.DataFrame(rows, index=self.months.index)], axis=1)

    @cached_property
    def currencies(self) -> tuple[str, ...]:
        """Each apart: currencies are never added."""
        return tuple(dict.fromkeys(self.months["currency"]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; amounts in whole cents."""
        months = self.months.assign(month=self.months["month"].astype(str))
        cohorts = self.cohorts.assign(cohort=self.cohorts["cohort"].astype(str))
        return {
            "as_of": str(self.as_of),
            "months": months.to_dict("records"),
            "cohorts": cohorts.to_dict("records"),
            "year": {
                c: None
                if r is None
                else {n: getattr(r, n) for n in ("gross_retention", "net_retention")}
                for c, r in self.year.items()
            },
        }

    def __str__(self) -> str:
        lines = []
        for currency in self.currencies:
            last = self.months[self.months["currency"] == currency].iloc[-1]
            moved = ", ".join(f"{name} {money(last[name] / 100, currency)}" for name in MOVEMENTS)
            lines.append(
                f"{month(str(last['month'])[:7])}: {money(last['start'] / 100, currency)} to "
                f"{money(last['end'] / 100, currency)} a month ({moved}), "
                f"{counted(int(last['customers']), 'customer')}"
            )
        return "\n".join(lines)


def book_of(contracts: Contracts, db: Any) -> RevenueBook:
    """The revenue book of contracts; its identity is checked.

    Raises
    ------
    InputError
        The months do not add up to what runs at their ends, which is a fault of this package.
    """
    _level_changes(db, contracts)
    months = _months(db, contracts.as_of)
    _check_identity(months, _running(db, contracts.as_of))
    cohorts = _cohorts(db, contracts.as_of)
    currencies = dict.fromkeys(months["currency"])
    year = {currency: _year(db, currency, contracts.as_of) for currency in currencies}
    db.execute("DROP TABLE level_changes")
    return RevenueBook(months, cohorts, year, contracts.as_of)


def _level_changes(db: Any, contracts: Contracts) -> None:
    """The table ``level_changes``: what moved by currency, cohort, month and kind.

    Customers are followed some at a time, which bounds the memory; who has a single row begins,
    and may end, and nothing is left to follow.
    """
    ended = f"until <= DATE '{contracts.as_of}'"
    first, last = MONTH.format("start"), MONTH.format("until")
    if not contracts.several:
        lives = f"SELECT currency, mrr, {first} AS cohort, {last} AS final, {ended} AS over FROM "
        lives += f"spells WHERE mrr <> 0 AND NOT coalesce({ended} AND {first} = {last}, false)"
        db.execute(
            "CREATE TABLE level_changes AS WITH lives AS (" + lives + ") SELECT currency, cohort, "
            "cohort AS month, 'new' AS kind, sum(mrr)::BIGINT AS amount, count(*) AS n FROM lives "
            "GROUP BY ALL UNION ALL SELECT currency, cohort, final, 'churn', sum(mrr)::BIGINT, "
            "count(*) FROM lives WHERE over GROUP BY ALL"
        )
        return
    moves = (
        "SELECT customer, currency, month, sum(delta)::BIGINT AS delta FROM (SELECT customer, "
        f"currency, {first} AS month, mrr::BIGINT AS delta FROM part UNION ALL "
        f"SELECT customer, currency, {last}, -mrr::BIGINT FROM part WHERE {ended}"
        ") GROUP BY ALL HAVING sum(delta) <> 0"
    )
    follow = (
        f"levels AS (SELECT *, (sum(delta) OVER w)::BIGINT AS "
        f"after, min(month) OVER (PARTITION BY customer, currency) AS cohort FROM ({moves}) "
        "WINDOW w AS (PARTITION BY customer, currency ORDER BY month)) "
        "SELECT currency, cohort, month, kind, sum(abs(delta))::BIGINT AS amount, count(*) AS n "
        "FROM (SELECT *, CASE WHEN after = delta AND month = cohort THEN 'new' WHEN after = delta "
        "THEN 'reactivation' WHEN after = 0 THEN 'churn' WHEN delta > 0 THEN 'expansion' ELSE "
        "'contraction' END AS kind FROM levels) GROUP BY ALL"
    )
    rows = db.execute("SELECT count(*) FROM spells").fetchall()[0][0]
    parts = rows // AT_ONCE + 1
    for k in range(parts):
        into = "INSERT INTO level_changes" if k else "CREATE TABLE level_changes AS"
        part = f"part AS (SELECT * FROM spells WHERE hash(customer) % {parts} = {k})"
        db.execute(f"{into} WITH {part}, {follow}")


def _months(db: Any, as_of: dt.date) -> pd.DataFrame:
    """All months of each currency, with what moved."""
    sums = ", ".join(
        f"coalesce(sum(amount) FILTER (kind = '{name}'), 0)::BIGINT AS {name}" for name in MOVEMENTS
    )
    moved = db.execute(
        f"SELECT currency, month, {sums}, coalesce(sum(CASE kind WHEN 'new' THEN n WHEN "
        "'reactivation' THEN n WHEN 'churn' THEN -n END), 0)::BIGINT AS joined "
        "FROM level_changes GROUP BY currency, month"
    ).df()
    parts = []
    for currency, rows in moved.groupby("currency", sort=True):
        every = pd.date_range(rows["month"].min(), pd.Timestamp(as_of).replace(day=1), freq="MS")
        part = rows.set_index("month").drop(columns="currency").reindex(every, fill_value=0)
        end = (part[[*GAINS]].sum(axis=1) - part[[*LOSSES]].sum(axis=1)).cumsum()
        part = part.assign(
            start=end.shift(fill_value=0), end=end, customers=part["joined"].cumsum()
        )
        parts.append(part.rename_axis("month").reset_index().assign(currency=currency))
    columns = ["currency", "month", "start", *MOVEMENTS, "end", "customers"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _running(db: Any, as_of: dt.date) -> pd.DataFrame:
    """What runs at the end of each month, added up from the rows, not from their movements."""
    running: pd.DataFrame = db.execute(
        "WITH ends AS (SELECT DISTINCT currency, month, "
        f"least(last_day(month), DATE '{as_of}') AS day FROM level_changes), byday AS (SELECT "
        "currency, start AS day, sum(mrr)::BIGINT AS mrr FROM spells GROUP BY ALL UNION ALL "
        "SELECT currency, until, -sum(mrr)::BIGINT FROM spells WHERE until IS NOT NULL GROUP BY "
        "ALL) SELECT ends.currency, month, sum(mrr)::BIGINT AS running FROM ends JOIN byday ON "
        "byday.currency = ends.currency AND byday.day <= ends.day GROUP BY ALL"
    ).df()
    return running


def _check_identity(months: pd.DataFrame, running: pd.DataFrame) -> None:
    """Start and movements are the end, and the end is what runs, to the cent."""
    merged = running.merge(months, on=["currency", "month"], how="left")
    moved = months["start"] + sum(months[n] for n in GAINS) - sum(months[n] for n in LOSSES)
    wrong = merged[merged["running"] != merged["end"]]
    if len(wrong) or not (moved == months["end"]).all():
        raise InputError(
            "the revenue book does not add up"
            + (f" in {wrong.iloc[0]['month']:%Y-%m}" if len(wrong) else "")
            + ".",
            hint="this is a fault of clv: please report it with the table's columns.",
        )


def _cohorts(db: Any, as_of: dt.date) -> pd.DataFrame:
    """Customers and revenue of each cohort that are still there, by age in months."""
    rows = db.execute(
        "SELECT currency, cohort, datediff('month', cohort, month) AS age, sum(CASE kind WHEN "
        "'new' THEN n WHEN 'reactivation' THEN n WHEN 'churn' THEN -n END)::BIGINT AS customers, "
        "sum(CASE WHEN kind IN ('new', 'reactivation', 'expansion') THEN amount ELSE -amount "
        "END)::BIGINT AS revenue FROM level_changes GROUP BY ALL"
    ).df()
    parts = []
    for (currency, cohort), part in rows.groupby(["currency", "cohort"], sort=True):
        oldest = (as_of.year - cohort.year) * 12 + as_of.month - cohort.month
        ages = part.set_index("age")[["customers", "revenue"]].fillna(0)
        ages = ages.reindex(range(oldest + 1), fill_value=0).cumsum().astype("int64")
        parts.append(ages.reset_index().assign(currency=currency, cohort=cohort))
    columns = ["currency", "cohort", "age", "customers", "revenue"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _year(db: Any, currency: str, as_of: dt.date) -> RevenueRatios | None:
    """Retention of the customers of twelve months ago, each compared with today."""
    now = pd.Timestamp(as_of)
    then = (now - pd.DateOffset(months=12)).date()
    runs = "(start <= DATE '{0}' AND coalesce(until > DATE '{0}', true))"
    before, after = runs.format(then), runs.format(as_of)
    start, stayed, end = db.execute(
        f"SELECT sum(a), sum(least(a, b)), sum(b) FROM (SELECT coalesce(sum(mrr) FILTER ({before}),"
        f" 0) AS a, coalesce(sum(mrr) FILTER ({after}), 0) AS b FROM spells WHERE currency = $1 "
        f"AND ({before} OR {after}) GROUP BY customer) WHERE a > 0",
        [currency],
    ).fetchall()[0]
    if not start:
        return None
    return RevenueRatios(float(stayed / start), float(end / start), float("nan"))
