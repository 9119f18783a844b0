"""Random histories of subscribers, and what they come to month by month, worked out one by one."""

import calendar
import datetime as dt
import random
from collections import defaultdict

LAST = dt.date(2023, 12, 31)
PRICES = {"basic": 999, "plus": 1950, "pro": 4901}
CURRENCIES = ("EUR", "JPY", "USD")


def month_ends(first=(2021, 1), last=(2023, 12)):
    year, month = first
    while (year, month) <= last:
        yield dt.date(year, month, calendar.monthrange(year, month)[1])
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def history(rng: random.Random, customer: str) -> list[dict]:
    """One customer's rows: plan moves, pauses, long returns, now and then a second product."""
    rows, day = [], dt.date(2021, 1, 1) + dt.timedelta(rng.randrange(700))
    currency = rng.choice(CURRENCIES)
    for number in range(rng.randint(1, 5)):
        plan, interval = rng.choice(list(PRICES)), rng.choice(["month", "month", "month", "year"])
        until = day + dt.timedelta(rng.choice([9, 31, 60, 92, 200, 366]))
        runs = until > LAST or rng.random() < 0.2
        rows.append(
            {
                "customer_id": customer,
                "subscription_id": f"{customer}-{number}",
                "plan": plan,
                "interval": interval,
                "amount": PRICES[plan] * (10 if interval == "year" else 1) / 100,
                "currency": currency,
                "quantity": rng.choice([1, 1, 2, 7]),
                "start": day,
                "end": None if runs else until,
            }
        )
        if runs and rng.random() < 0.7:
            break
        day = until + dt.timedelta(rng.choice([0, 0, 3, 7, 8, 45, 120]))
        if day > LAST:
            break
    return rows


def monthly(row) -> int:
    cents = round(row["amount"] * row["quantity"] * 100)
    return cents if row["interval"] == "month" else int(cents / 12 + 0.5)


def movements(histories, grace=7) -> dict:
    """(currency, month end) -> start, new, reactivation, expansion, contraction, churn, end."""
    ends = list(month_ends())
    total = defaultdict(lambda: [0] * 7)
    for rows in histories:
        rows = sorted(rows, key=lambda row: row["start"])
        spans = []
        for row, later in zip(rows, [*rows[1:], None], strict=True):
            until = row["end"]
            reach = max((r["end"] or dt.date.max) for r in rows[: rows.index(row) + 1])
            if until and later and until == reach and until < later["start"]:
                until = later["start"] if (later["start"] - until).days <= grace else until
            spans.append((row["start"], until or dt.date.max, monthly(row)))
        before, ever = 0, False
        for end in ends:
            now = sum(m for start, until, m in spans if start <= end < until)
            cell = total[rows[0]["currency"], end]
            cell[0] += before
            if now > before:
                cell[3 if before else 2 if ever else 1] += now - before
            elif now < before:
                cell[4 if now else 5] += before - now
            cell[6] += now
            before, ever = now, ever or now > 0
    return total
