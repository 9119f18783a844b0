"""From order histories in a request to scores: cleaned, summarised and scored as a batch is."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import narwhals as nw

from clv.app.requests import Customer
from clv.data.features import LOG_FEATURES
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.errors import InputError, RowError
from clv.schema import as_frame
from clv.scorer import CustomerScorer
from clv.web.gather import Row, score_summaries
from clv.web.single import Summary, Unusual, cleaning_lines, summary_of


@dataclass(frozen=True)
class Scored:
    """The answer to a request for scores.

    Attributes
    ----------
    scores
        One record per customer who has a purchase, in the order of the request, with the columns
        of ``CustomerScorer.predict``.
    not_scored
        Ids of the customers who have none.
    cleaning
        What cleaning found, with the number of orders; empty if nothing was left.
    """

    scores: list[Row]
    not_scored: list[str | int]
    cleaning: list[str]


@dataclass(frozen=True)
class Summarised:
    """Histories as summaries, before they are scored.

    Attributes
    ----------
    ids
        Of the customers who have a purchase.
    summaries
        Theirs, in the same order.
    not_scored
        Ids of the customers who have none.
    cleaning
        As in ``Scored``.
    """

    ids: list[str | int]
    summaries: list[Summary]
    not_scored: list[str | int]
    cleaning: list[str]

    def scored(self, rows: Sequence[Row]) -> Scored:
        """The answer, given the rows of scores of ``summaries``."""
        named = [{"customer_id": id_, **row} for id_, row in zip(self.ids, rows, strict=True)]
        return Scored(named, self.not_scored, self.cleaning)


def score_histories(
    customers: Sequence[Customer], scorer: CustomerScorer, as_of: dt.date | None = None
) -> Scored:
    """Score customers from their orders, as of a day.

    Raises
    ------
    InputError
        An order lies after the model's as-of date and no other was given.
    """
    found = summarise(customers, scorer, as_of)
    if found is None:
        return score_by_table(customers, scorer, as_of)
    return found.scored(score_summaries(found.summaries, scorer))


def summarise(
    customers: Sequence[Customer], scorer: CustomerScorer, as_of: dt.date | None = None
) -> Summarised | None:
    """The summaries of customers; None if a history is out of the ordinary.

    Raises
    ------
    InputError
        An order lies after the model's as-of date and no other was given.
    """
    day = _day(customers, scorer, as_of)
    if len({customer.orders[0].order_id is None for customer in customers}) > 1:
        return None  # then the table has order ids, and those without are told apart by time
    found: Counter[str] = Counter()
    window = _window(scorer)
    try:
        each = [summary_of(customer.orders, day, found, window) for customer in customers]
    except Unusual:
        return None
    ids = [customer.customer_id for customer in customers]
    return Summarised(
        [id_ for id_, one in zip(ids, each, strict=True) if one is not None],
        [one for one in each if one is not None],
        [id_ for id_, one in zip(ids, each, strict=True) if one is None],
        cleaning_lines(found) if any(each) else [],
    )


def score_by_table(
    customers: Sequence[Customer], scorer: CustomerScorer, as_of: dt.date | None = None
) -> Scored:
    """What ``score_histories`` gives, by way of ``clean`` and ``summarize``: any history, slowly.

    Raises
    ------
    InputError
        An order lies after the model's as-of date and no other was given.
    """
    day = _day(customers, scorer, as_of)
    try:
        log, report = clean(_log(customers), as_of=day)
    except RowError:  # every row was left out
        return Scored([], [customer.customer_id for customer in customers], [])
    summary: Any = summarize(log, as_of=day, unit=scorer.unit)
    wide = scorer.churn.attach(summary, log, day, scorer.unit)
    rows = as_frame(scorer.predict(wide)).collect().rows(named=True)
    by_place = {row["customer_id"]: row for row in rows}
    ids = {place: customer.customer_id for place, customer in enumerate(customers)}
    return Scored(
        [by_place[place] | {"customer_id": id_} for place, id_ in ids.items() if place in by_place],
        [id_ for place, id_ in ids.items() if place not in by_place],
        [f"{one.reason}: {one.action} ({one.rows:,})" for one in report.findings],
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


def _window(scorer: CustomerScorer) -> int | None:
    """Days of the window over which the churn classifier counts, if it reads what the log knows."""
    classifier = scorer.churn.classifier
    if classifier is None or not set(classifier.inputs) & set(LOG_FEATURES):
        return None
    return round(scorer.churn.horizon.to("day"))


def _day(customers: Sequence[Customer], scorer: CustomerScorer, as_of: dt.date | None) -> dt.date:
    """The day as of which to score: the model's own if none is given, once no order is later."""
    if as_of is not None:
        return as_of
    day = dt.date.fromisoformat(scorer.as_of)
    last = max(order.date for customer in customers for order in customer.orders).date()
    if last > day:
        raise InputError(
            f"an order of {last} lies after {day}, the day as of which the model was trained.",
            hint="send as_of, the day as of which to score.",
        )
    return day
