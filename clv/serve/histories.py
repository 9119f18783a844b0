"""From order histories in a request to scores: cleaned, summarised and scored as a batch is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import narwhals as nw

from clv.data.report import CleaningReport
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.errors import InputError, RowError
from clv.schema import as_frame
from clv.scorer import CustomerScorer
from clv.serve.bodies import Customer

NOTHING_LEFT = "no purchase is left by as_of: all orders were refunded, worth nothing, or later"


@dataclass(frozen=True)
class Scored:
    """The answer to a request for scores.

    Parameters
    ----------
    scores
        One record per customer who has a purchase, in the order of the request, with the columns
        of ``CustomerScorer.predict``.
    not_scored
        Ids of the customers who have none.
    report
        What cleaning did; None if nothing was left.
    """

    scores: list[dict[str, Any]]
    not_scored: list[str | int]
    report: CleaningReport | None


def score_histories(
    customers: Sequence[Customer], scorer: CustomerScorer, as_of: dt.date | None = None
) -> Scored:
    """Score customers from their orders, as of a day.

    Raises
    ------
    InputError
        An order lies after the model's as-of date and no other was given.
    """
    day = as_of or dt.date.fromisoformat(scorer.as_of)
    if as_of is None:
        _check_known(customers, day)
    try:
        log, report = clean(_log(customers), as_of=day)
    except RowError:  # every row was left out
        return Scored([], [customer.customer_id for customer in customers], None)
    summary: Any = summarize(log, as_of=day, unit=scorer.unit)
    rows = as_frame(scorer.predict(summary)).collect().rows(named=True)
    by_place = {row["customer_id"]: row for row in rows}
    ids = {place: customer.customer_id for place, customer in enumerate(customers)}
    return Scored(
        [by_place[place] | {"customer_id": id_} for place, id_ in ids.items() if place in by_place],
        [id_ for place, id_ in ids.items() if place not in by_place],
        report,
    )


def _log(customers: Sequence[Customer]) -> Any:
    """The orders as a table; customers go by their place, so that any ids may meet in it."""
    orders = [(place, o) for place, customer in enumerate(customers) for o in customer.orders]
    columns: dict[str, list[Any]] = {
        "customer_id": [place for place, _ in orders],
        "date": [order.date for _, order in orders],
        "amount": [order.amount for _, order in orders],
    }
    schema = {"customer_id": nw.Int64(), "date": nw.Datetime("us"), "amount": nw.Float64()}
    if any(order.order_id is not None for _, order in orders):
        ids = [order.order_id for _, order in orders]
        columns["order_id"] = [None if id_ is None else str(id_) for id_ in ids]
        schema["order_id"] = nw.String()
    return nw.from_dict(columns, schema, backend=_engine()).to_native()


@cache
def _engine() -> Literal["polars", "pandas"]:
    """Polars where it is installed, as it is ten times quicker on small tables; else pandas."""
    return "polars" if find_spec("polars") else "pandas"


def _check_known(customers: Sequence[Customer], day: dt.date) -> None:
    last = max(order.date for customer in customers for order in customer.orders).date()
    if last > day:
        raise InputError(
            f"an order of {last} lies after {day}, the day as of which the model was trained.",
            hint="send as_of, the day as of which to score.",
        )
