"""One SQL statement that gives every customer's scores from a table of orders.

CLV = P(alive | x, t_x, T) D(x, T) m E[M | x, zbar]: P(alive) and the mean spend are elementary, D
is looked up in :func:`clv.warehouse.value_table.value_table`. Powers stay in logs, since databases
raise an error where a number overflows.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from clv.errors import InputError
from clv.io.queries import sql_text
from clv.periods import DAYS
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from clv.scorer import CustomerScorer
from clv.warehouse.dialects import SqlDialect, dialect_of
from clv.warehouse.value_table import require_sql_model

NAME = re.compile(r'[A-Za-z_][\w$]*|"[^"\x00-\x1f]+"|`[^`\x00-\x1f]+`')


@dataclass(frozen=True)
class OrderTable:
    """Where the orders are, as SQL names them.

    Attributes
    ----------
    table
        Of orders as ``clean`` leaves them: refunds netted, no amount below zero.
    customer, date, amount
        Its columns: the customer's id, the day or time of the order, the money.
    pairs
        The table that the looked-up values were loaded to.

    Examples
    --------
    >>> OrderTable("shop.orders", date="ordered_at").date
    'ordered_at'
    """

    table: str = "orders"
    customer: str = "customer_id"
    date: str = "date"
    amount: str = "amount"
    pairs: str = "clv_pairs"

    def __post_init__(self) -> None:
        for field, text in vars(self).items():
            parts = NAME.findall(text)
            dotted = field in ("table", "pairs")
            if not parts or ".".join(parts) != text or (len(parts) > 1 and not dotted):
                raise InputError(
                    f"{text!r} cannot be the name of a {'table' if dotted else 'column'}.",
                    hint="put a name with other signs than letters, digits and _ in quotes.",
                )


def score_query(
    scorer: CustomerScorer,
    orders: OrderTable | None = None,
    dialect: str = "duckdb",
    as_of: dt.date | None = None,
) -> str:
    """The statement, a SELECT with a row for each customer.

    Parameters
    ----------
    scorer
        Whose purchase model is BG/NBD or MBG/NBD, without covariates.
    orders
        Where the orders are; those of ``OrderTable()`` if not given.
    dialect
        A name in ``DIALECTS``.
    as_of
        Last day that counts; the last day of the orders if not given.

    Returns
    -------
    SQL. Its columns are those of ``CustomerScorer.predict`` that have a formula: all but the
    interval and the median of the value. The next churn horizon is the purchase model's.

    Raises
    ------
    InputError
        The purchase model or the dialect is another.

    Examples
    --------
    >>> from clv import Terms
    >>> from clv.data.cdnow import cdnow_log
    >>> scorer = CustomerScorer.fit(cdnow_log(sample=True), Terms(0.3), churn_horizon="13 weeks")
    >>> print(score_query(scorer, dialect="postgres").splitlines()[-1])
    LEFT JOIN clv_pairs AS p ON p.frequency = s.frequency AND p.age_days = s.age_days
    """
    sql, _ = dialect_of(dialect), require_sql_model(scorer)
    parts = {
        "days": _customer_days(orders or OrderTable(), sql),
        "latest": _latest(as_of),
        "counted": _counted(),
        "histories": _histories(scorer, sql),
        "fitted": _parameters(scorer, sql),
        "chances": _chances(scorer),
    }
    common = ",\n".join(f"{name} AS (\n{_indented(sql)}\n)" for name, sql in parts.items())
    return f"WITH {common}\n{_scores(scorer, (orders or OrderTable()).pairs)}"


def check_query(orders: OrderTable | None = None, dialect: str = "duckdb") -> str:
    """A SELECT of what keeps rows from being scored as ``clv score`` would: run it first.

    It counts rows that are no purchases, which the scores would take for something else, and
    customers beyond the table of looked-up values, whose scores would be NULL. All must be 0.

    Examples
    --------
    >>> print(check_query().splitlines()[0])
    WITH days AS (
    """
    where, sql = orders or OrderTable(), dialect_of(dialect)
    days = f"WITH days AS (\n{_indented(_customer_days(where, sql))}\n)"
    most = f"(SELECT MAX(frequency) FROM {where.pairs})"
    oldest = f"(SELECT MAX(age_days) FROM {where.pairs})"
    age = sql.days("MIN(day)", "(SELECT MAX(day) FROM days)")
    return f"""{days}, ages AS (
  SELECT customer_id, COUNT(*) - 1 AS frequency, {age} AS age_days FROM days GROUP BY customer_id
)
SELECT
  (SELECT COUNT(*) FROM {where.table} WHERE {where.customer} IS NULL) AS rows_without_customer,
  (SELECT COUNT(*) FROM {where.table} WHERE {where.date} IS NULL) AS rows_without_date,
  (SELECT COUNT(*) FROM {where.table} WHERE {where.amount} IS NULL) AS rows_without_amount,
  (SELECT COUNT(*) FROM {where.table} WHERE {where.amount} <= 0) AS rows_not_above_zero,
  (SELECT COUNT(*) FROM ages WHERE frequency > {most} OR age_days > {oldest})
    AS customers_beyond_the_table"""


def _customer_days(where: OrderTable, sql: SqlDialect) -> str:
    """All that a customer spent on one day is one purchase."""
    return (
        f"SELECT {where.customer} AS customer_id, CAST({where.date} AS DATE) AS day,\n"
        f"  SUM(CAST({where.amount} AS {sql.double})) AS amount\n"
        f"FROM {where.table}\n"
        f"GROUP BY {where.customer}, CAST({where.date} AS DATE)"
    )


def _latest(as_of: dt.date | None) -> str:
    return f"SELECT DATE '{as_of}' AS day" if as_of else "SELECT MAX(day) AS day FROM days"


def _counted() -> str:
    """Customers with their purchases, their first and last day and what they spent."""
    return (
        "SELECT d.customer_id, COUNT(*) - 1 AS frequency, MIN(d.day) AS first_day,\n"
        "  MAX(d.day) AS last_day, SUM(d.amount) AS total, MAX(u.day) AS as_of\n"
        "FROM days AS d CROSS JOIN latest AS u\n"
        "WHERE d.day <= u.day\n"
        "GROUP BY d.customer_id"
    )


def _histories(scorer: CustomerScorer, sql: SqlDialect) -> str:
    """Repeat purchases x, last one t_x and age T in the model's unit, their mean amount."""
    unit, age = DAYS[scorer.unit], sql.days("c.first_day", "c.as_of")
    recency = sql.days("c.first_day", "c.last_day")
    return (
        f"SELECT c.customer_id, c.frequency, {age} AS age_days, c.as_of,\n"
        f"  {sql.days('c.last_day', 'c.as_of')} AS days_since_last,\n"
        f"  CAST(c.frequency AS {sql.double}) AS x,\n"
        f"  CAST({recency} AS {sql.double}) / {unit!r} AS t_x,\n"
        f"  CAST({age} AS {sql.double}) / {unit!r} AS T,\n"
        "  CASE WHEN c.frequency > 0 THEN (c.total - f.amount) / c.frequency ELSE 0 END AS spend\n"
        "FROM counted AS c\n"
        "JOIN days AS f ON f.customer_id = c.customer_id AND f.day = c.first_day"
    )


def _parameters(scorer: CustomerScorer, sql: SqlDialect) -> str:
    """The fitted numbers, in full precision."""
    r, alpha, a, b = (float(scorer.purchases.params_[name]) for name in ("r", "alpha", "a", "b"))
    p, q, v = (float(scorer.spend.params_[name]) for name in ("p", "q", "v"))
    values = {
        **{"r": r, "alpha": alpha, "a": a, "b": b, "p": p, "q": q, "v": v},
        "h": float(scorer.churn.horizon.to(scorer.unit)),
        "margin_rate": float(scorer.terms.margin_rate),
        "shrink": float(scorer.shrink),
    }
    return "SELECT\n" + ",\n".join(
        f"  CAST({value!r} AS {sql.double}) AS {name}" for name, value in values.items()
    )


def _chances(scorer: CustomerScorer) -> str:
    """P(alive) now and after h of silence, and the expected spend of a purchase.

    The odds of having left are a / (b + n - 1) ((alpha + T) / (alpha + t_x))^(r + x), where n is
    how often a customer could leave: after each repeat purchase, with MBG/NBD after the first too.
    """
    modified = isinstance(require_sql_model(scorer), ModifiedBetaGeoNBD)
    last, nobody = ("m.b + s.x", "") if modified else ("m.b + s.x - 1", "s.x = 0")

    def alive(T: str) -> str:
        log_odds = f"LN(m.a) - LN({last}) + (m.r + s.x) * LN((m.alpha + {T}) / (m.alpha + s.t_x))"
        chance = f"1 / (1 + EXP(LEAST({log_odds}, 700)))"
        return f"CASE WHEN {nobody} THEN 1 ELSE {chance} END" if nobody else chance

    return (
        "SELECT s.*, m.*,\n"
        f"  {alive('s.T')} AS alive,\n"
        f"  {alive('s.T + m.h')} AS alive_after,\n"
        "  m.p * (m.v + s.x * s.spend) / (m.p * s.x + m.q - 1) AS expected_spend\n"
        "FROM histories AS s CROSS JOIN fitted AS m"
    )


def _scores(scorer: CustomerScorer, pairs: str) -> str:
    """The scores, and the terms that they are stated under in every row."""
    value = "s.margin_rate * s.expected_spend"
    clv, buys = f"{value} * s.alive * p.discounted_purchases", "s.alive * p.purchase_chance"
    gain = f"{value} * (s.alive * p.discounted_purchases - s.alive_after * p.purchases_after)"
    stake = f"CASE WHEN {buys} > 0 AND {gain} > 0 THEN s.shrink * ({gain}) / ({buys}) ELSE 0 END"
    has_purchases = "p.purchases IS NOT NULL"
    columns = {
        **{name: f"s.{name}" for name in ("customer_id", "frequency", "days_since_last", "as_of")},
        "clv": clv,
        "expected_purchases": "s.alive * p.purchases",
        "expected_spend": "s.expected_spend",
        "probability_alive": "s.alive",
        "probability_no_purchase": f"1 - {buys}",
        "churn_probability": f"1 - {buys}",
        "value_at_stake": f"CASE WHEN {has_purchases} THEN {stake} END",
    } | {name: _text(value) for name, value in scorer.constants.items() if name != "interval"}
    listed = ",\n".join(f"  {sql} AS {name}" for name, sql in columns.items())
    on = "p.frequency = s.frequency AND p.age_days = s.age_days"
    return f"SELECT\n{listed}\nFROM chances AS s\nLEFT JOIN {pairs} AS p ON {on}"


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else sql_text(str(value))


def _indented(sql: str) -> str:
    return "\n".join(f"  {line}" for line in sql.splitlines())
