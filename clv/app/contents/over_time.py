"""How it went: orders month by month, and the figures of each run, for Overview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from clv.app.contents.document import StoreParts
from clv.decide.scores import RISK, STAKE
from clv.errors import InputError
from clv.store import Store

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MONTHS, RUNS = "order_months", "run_figures"
MOST_MONTHS, MOST_RUNS = 60, 60
SOON = 90  # days within which a second order counts as soon

BY_MONTH = f"""
WITH days AS (
    SELECT customer_id, CAST(date AS DATE) AS day, sum(amount) AS amount
    FROM log GROUP BY ALL
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY day) AS number,
        lead(day) OVER (PARTITION BY customer_id ORDER BY day) AS following
    FROM days
)
SELECT strftime(day, '%Y-%m') AS month, sum(amount) AS revenue, count(*) AS orders,
    count(*) FILTER (number = 1) AS first_orders,
    count(DISTINCT customer_id) AS customers,
    count(*) FILTER (number = 1 AND following - day <= {SOON}) AS soon,
    median(following - day) FILTER (number = 1) AS days_to_second,
    max(day) + {SOON} <= DATE '$until' AS complete
FROM numbered GROUP BY month ORDER BY month
"""


def of_months(log: duckdb.DuckDBPyConnection, until: str) -> StoreParts:
    """The document ``order_months``: each month's orders, and who of its first ones came back.

    Parameters
    ----------
    log
        A connection that has the clean orders as ``log``.
    until
        The last day of the orders. Whose 90 days are not over is not told.
    """
    rows = log.sql(BY_MONTH.replace("$until", until)).to_arrow_table().to_pylist()
    months = [
        {
            "month": row["month"],
            "revenue": float(row["revenue"]),
            "orders": row["orders"],
            "customers": row["customers"],
            "first_orders": row["first_orders"],
            "repeat_rate": 1 - row["first_orders"] / row["orders"],
            "soon": row["soon"] / row["first_orders"] if _over(row) else None,
            "days_to_second": row["days_to_second"] if _over(row) else None,
        }
        for row in rows[-MOST_MONTHS:]
    ]
    return StoreParts({MONTHS: months})


def _over(month: dict[str, Any]) -> bool:
    """Whether the first orders of a month, if there are any, have had their 90 days."""
    return bool(month["complete"] and month["first_orders"])


def of_runs(folder: Path, scores: pa.Table) -> StoreParts:
    """The document ``run_figures``: those of the runs before, and of this one, the last of a day.

    Parameters
    ----------
    folder
        Where this run will be published.
    scores
        The new scores.
    """
    now = _figures(scores)
    try:
        last = Store.open(folder)
    except InputError:  # nothing is served there
        return StoreParts({RUNS: [now]})
    with last:
        runs = last.document(RUNS) or []
        same_money = last.terms.get("currency") == _constant(scores, "currency")
    earlier = [run for run in runs if run["as_of"] < now["as_of"]] if same_money else []
    return StoreParts({RUNS: [*earlier[1 - MOST_RUNS :], now]})


def _figures(scores: pa.Table) -> dict[str, Any]:
    risk, stake = scores[RISK], scores[STAKE]
    return {
        "as_of": str(_constant(scores, "as_of"))[:10],
        "model_version": str(_constant(scores, "model_version")),
        "value": float(pc.sum(scores["clv"]).as_py() or 0.0),
        "customers": scores.num_rows,
        "orders": float(pc.sum(scores["expected_purchases"]).as_py() or 0.0),
        "at_risk": float(pc.sum(pc.multiply(risk, stake)).as_py() or 0.0),
        "churn": float(pc.mean(risk).as_py() or 0.0),
    }


def _constant(scores: pa.Table, name: str) -> Any:
    return scores[name][0].as_py() if name in scores.column_names and scores.num_rows else None
