"""What speaks against training on orders, and what must be decided once their rows are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from clv.data.cleaning_report import CleaningReport
from clv.data.log_limits import log_limits
from clv.defaults import SHORTEST
from clv.format import counted, percent
from clv.intake.draft import AnswerOption, Question
from clv.intake.reading import OrderLog
from clv.intake.recipe import Recipe
from clv.intake.row_reasons import BAD_AMOUNT, HUGE, LeftOut

FIRST = 100_000  # purchases that are looked at before all are
FEWEST = 100  # repeat customers below which a model's parameters are not settled


def about_future(part: LeftOut, today: dt.date) -> Question:
    """Ask up to which day rows are to be read, where some are dated after today."""
    text = (
        f"{counted(part.rows, 'row')} {'is' if part.rows == 1 else 'are'} dated after today, "
        f"{today}, such as row {part.examples[0]}. Up to which day is it to be read? Set as_of."
    )
    return Question("as_of", text, (AnswerOption(str(today)),))


def about_free_orders(log: OrderLog, recipe: Recipe) -> Question | None:
    """Ask whether orders that all cost nothing count, where nothing says so."""
    if recipe.zero_amounts == "keep" or log.rows.filter("amount <> 0").limit(1).fetchall():
        return None
    outcome = "count(*), count(DISTINCT (customer_id, date::DATE))"
    rows, days = log.rows.aggregate(outcome).fetchall()[0]
    names = recipe.names("amount") or (*recipe.names("quantity"), *recipe.names("price"))
    text = (
        f"Every amount in {' x '.join(names)} is 0, in {counted(rows, 'row')}. If another column "
        "has what was paid, name it: -c amount=COLUMN. If orders without money count, set "
        'zero_amounts = "keep".'
    )
    return Question("zero_amounts", text, (AnswerOption("keep", int(days), 0.0),))


def excess(unread: Sequence[LeftOut], rows: int, amount: float, limit: float) -> Iterator[str]:
    """What is above the limit: the share of the rows that cannot be read, or of the money.

    Amounts that are no numbers are taken for as large as the others.
    """
    count = sum(part.rows for part in unread)
    blind = sum(part.rows for part in unread if part.reason == BAD_AMOUNT)
    money = sum(abs(part.amount) for part in unread if part.reason != HUGE)
    money += blind * abs(amount) / max(rows - count, 1)
    of_rows, of_money = count / max(rows, 1), money / ((money + abs(amount)) or 1.0)
    if count and max(of_rows, of_money) > limit:
        most = max(unread, key=lambda part: part.rows if of_rows > limit else abs(part.amount))
        where = ", ".join(map(str, most.examples))
        yield (
            f"{percent(of_rows)} of the rows, with {percent(of_money)} of the money, cannot be "
            f"read, most because {most.reason} (rows {where})."
        )


def problems(purchases: Any, report: CleaningReport) -> Iterator[str]:
    """Why a clean log is too little, too short or too odd to train on."""
    for some in (purchases.limit(FIRST), purchases):  # those of the first came back in any case
        repeat = some.aggregate("customer_id, count(*) AS n").filter("n > 1")
        several = int(repeat.aggregate("count(*)").fetchall()[0][0])
        if several >= FEWEST:
            break
    else:
        yield (
            f"{counted(several, 'customer')} came back to buy again, and {FEWEST} are needed to "
            "tell how often people do."
        )
    days = (report.last_date - report.first_date).days
    if days < SHORTEST:
        span = counted(days, "day")
        yield f"It spans {span}: {SHORTEST} are needed to hold some back and test a forecast."
    yield from map(str, log_limits(purchases))
