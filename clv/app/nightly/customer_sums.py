"""What is known of a customer as sums over days with a purchase, and how the sums of two times add.

Money is in whole ten-thousandths and whole parts of what they leave (``clv.data.money``), so that
adding up night by night gives the same numbers as adding up all at once, to the last bit.
"""

from __future__ import annotations

from clv.data.money import DUST, MONEY

# Of customer-days, each customer's in the order of time.
OF_DAYS = f"""
SELECT customer_id, count(*) AS purchases, min(date) AS first_day, max(date) AS last_day,
    sum(whole) AS total_whole, sum(dust) AS total_dust,
    arg_min(amount, date) AS first_amount, arg_max(amount, date) AS last_amount,
    coalesce(sum(gap * gap), 0)::DOUBLE AS squared_gaps,
    coalesce(arg_max(gap, date), 0)::DOUBLE AS last_gap{{channel}}
FROM (
    SELECT *, round((amount - whole / {MONEY}::DOUBLE) * {DUST}::DOUBLE) AS dust FROM (
        SELECT *, round(amount * {MONEY}) AS whole,
            date - lag(date) OVER (PARTITION BY customer_id ORDER BY date) AS gap
        FROM {{days}}
    )
)
GROUP BY customer_id
"""
CHANNEL = ", arg_min(channel, date) AS channel"

# Sums of later days (n) added to those of a customer (c), none of whose days is as late.
BETWEEN = "(n.first_day - c.last_day)::DOUBLE"
ADDED = {
    "customer_id": "c.customer_id",
    "purchases": "c.purchases + n.purchases",
    "first_day": "c.first_day",
    "last_day": "n.last_day",
    "total_whole": "c.total_whole + n.total_whole",
    "total_dust": "c.total_dust + n.total_dust",
    "first_amount": "c.first_amount",
    "last_amount": "n.last_amount",
    "squared_gaps": f"c.squared_gaps + {BETWEEN} * {BETWEEN} + n.squared_gaps",
    "last_gap": f"CASE WHEN n.purchases > 1 THEN n.last_gap ELSE {BETWEEN} END",
    "seen": "n.seen",
    "made_in": "c.made_in",
}


def of_days(days: str, channel: bool) -> str:
    """SQL for the sums of each customer of a table of customer-days."""
    return OF_DAYS.format(days=days, channel=CHANNEL if channel else "")


def added(channel: bool) -> str:
    """SQL for the columns of customers ``c`` with the sums of later days ``n`` added."""
    columns = ADDED | ({"channel": "c.channel"} if channel else {})
    return ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
