"""From the order histories of several requests to scores, cleaned and summarised as a batch is.

Requests that come together are one table: cleaned, summarised and scored by one call each, which
costs as much for fifty customers as for one, and handed back request by request.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from clv.app.requests import ScoreRequest
from clv.data.summarizer import LogSummarizer, SummarizedLog
from clv.errors import InputError
from clv.extras import require_extra
from clv.intake.fingerprint import recipe_of
from clv.periods import Duration, Unit
from clv.score_columns import CARRIED
from clv.scorer import CustomerScorer

if TYPE_CHECKING:
    import polars as pl

LAYOUTS = 64  # as-of dates, with and without optional columns, whose queries are kept prepared
RULES = {"duplicates", "zero_amounts"}  # of a recipe that hold for orders in a request
OPTIONAL = ("order_id", "product", "channel")  # of an order; what no order has is no column

Row = dict[str, Any]
Layout = tuple[dt.date, tuple[str, ...]]


@dataclass(frozen=True)
class ScoredHistories:
    """The answer to a request for scores.

    Attributes
    ----------
    scores
        One record per customer who has a purchase, in the order of the request, with the columns
        of ``CustomerScorer.predict``.
    not_scored
        Ids of the customers who have none.
    cleaning
        What cleaning did to the orders of this request, with their number, as ``clean`` says it.
    """

    scores: list[Row]
    not_scored: list[str | int]
    cleaning: list[str]


class HistoryScorer:
    """Scores order histories with one scorer, which is not to change.

    Parameters
    ----------
    scorer
        What scores them.

    Examples
    --------
    >>> from clv.churn.model import ChurnModel
    >>> from clv.periods import Duration
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> from clv.probability.gamma_gamma import GammaGamma
    >>> from clv.value.value import Terms
    >>> scorer = CustomerScorer(
    ...     BetaGeoNBD.from_params(
    ...         {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}, unit="week"),
    ...     GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44}),
    ...     ChurnModel(Duration(13, "week"), None, "no labels"),
    ...     Terms(0.3, 0.15, Duration(156, "week")), "week", "1997-09-30")
    >>> request = ScoreRequest.model_validate({"customers": [{"customer_id": "ann", "orders": [
    ...     {"date": "1997-01-01", "amount": 29.33}, {"date": "1997-01-18", "amount": 29.73},
    ...     {"date": "1997-08-02", "amount": 14.96}]}]})
    >>> (answer,) = HistoryScorer(scorer).score([request])
    >>> round(answer.scores[0]["clv"], 2)
    22.13
    """

    def __init__(self, scorer: CustomerScorer) -> None:
        self.scorer = scorer
        churn, recipe = scorer.churn, recipe_of(scorer.training)
        # the log that the model learned from may have been read by other rules than the usual ones
        rules = {} if recipe is None else recipe.model_dump(include=RULES)
        window = churn.horizon if churn.reads else None
        self._summarizer = partial(_prepared, scorer.unit, window, tuple(rules.items()))

    def score(self, requests: Sequence[ScoreRequest]) -> list[ScoredHistories | InputError]:
        """The answer to each request, the same as if it had come alone, to the last bit.

        An ``InputError`` is the answer to a request with an order after the scorer's as-of date
        that names no other.
        """
        answers: dict[int, ScoredHistories | InputError] = {}
        alike: dict[Layout, list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            try:
                alike[self._layout(request)].append(place)
            except InputError as error:
                answers[place] = error
        for layout, places in alike.items():
            together = self._score_alike(layout, [requests[place] for place in places])
            answers |= zip(places, together, strict=True)
        return [answers[place] for place in range(len(requests))]

    def _layout(self, request: ScoreRequest) -> Layout:
        """The as-of date, and the optional columns that the request's table has."""
        orders = [order for customer in request.customers for order in customer.orders]
        present = (n for n in OPTIONAL if any(getattr(order, n) is not None for order in orders))
        if request.as_of is not None:
            return request.as_of, tuple(present)
        day, last = dt.date.fromisoformat(self.scorer.as_of), max(order.date for order in orders)
        if last.date() > day:
            raise InputError(
                f"an order of {last.date()} lies after {day}, the day as of which the model was "
                "trained.",
                hint="send as_of, the day as of which to score.",
            )
        return day, tuple(present)

    def _score_alike(
        self, layout: Layout, requests: Sequence[ScoreRequest]
    ) -> list[ScoredHistories]:
        """Answers to requests of one layout: customers go by their place among all of them."""
        ids = [customer.customer_id for request in requests for customer in request.customers]
        ends = list(accumulate(len(request.customers) for request in requests))
        summarized = self._summarizer(layout)(_table(requests, layout[1]), len(ids))
        rows = self._rows(summarized, ids)
        answers = []
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            places = range(first, end)
            answers.append(
                ScoredHistories(
                    [rows[place] for place in places if place in rows],
                    [ids[place] for place in places if place not in rows],
                    summarized.cleaning(first, end),
                )
            )
        return answers

    def _rows(self, summarized: SummarizedLog, ids: Sequence[str | int]) -> dict[int, Row]:
        """The scores by customer, with the columns of ``predict``."""
        summary = summarized.summary
        places = summary["customer_id"].tolist()
        if not places:
            return {}
        columns = {"customer_id": [ids[place] for place in places]}
        columns["unit"] = [self.scorer.unit] * len(places)
        carried = {name: summary[name] for name in CARRIED if name in summary} | columns
        columns = {name: _listed(carried[name]) for name in CARRIED if name in carried}
        columns["frequency"] = [int(x) for x in columns["frequency"]]
        scores = self.scorer.predict_columns(summary)
        columns |= {name: values.tolist() for name, values in scores.items()}
        table = zip(*columns.values(), strict=True)
        named = (dict(zip(columns, row, strict=True)) | self.scorer.constants for row in table)
        return dict(zip(places, named, strict=True))


@lru_cache(LAYOUTS)
def _prepared(
    unit: Unit, window: Duration | None, rules: tuple[tuple[str, Any], ...], layout: Layout
) -> LogSummarizer:
    """What summarizes orders of a layout; servers of one process share it."""
    day, optional = layout
    return LogSummarizer(_schema(optional), day, unit, window, **dict(rules))


def _listed(values: Any) -> list[Any]:
    listed: list[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    return listed


def _schema(optional: Sequence[str]) -> dict[str, Any]:
    """The columns of a table of orders, and their Polars types."""
    require_extra("serve", "polars")
    import polars as pl

    schema: dict[str, Any] = {
        "customer_id": pl.Int64,
        "date": pl.Datetime("us"),
        "amount": pl.Float64,
    }
    return schema | dict.fromkeys(optional, pl.String)


def _table(requests: Sequence[ScoreRequest], optional: Sequence[str]) -> pl.DataFrame:
    """The orders of all requests as one table."""
    import polars as pl

    customers = [customer for request in requests for customer in request.customers]
    orders = [order for customer in customers for order in customer.orders]
    places = np.repeat(np.arange(len(customers)), [len(customer.orders) for customer in customers])
    columns: dict[str, Any] = {
        "customer_id": places,
        "date": np.array([order.date for order in orders], dtype="datetime64[us]"),
        "amount": np.array([order.amount for order in orders]),
    }
    for name in optional:
        values = (getattr(order, name) for order in orders)
        columns[name] = [None if value is None else str(value) for value in values]
    return pl.DataFrame(columns, _schema(optional))
