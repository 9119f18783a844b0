"""Requests that come at the same time are scored together: a model call costs as much for fifty.

Whoever asks waits for one more turn of the event loop. As long as each turn brings more, the
gathering goes on, and ends with the first that brings none.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np

from clv.data.features import Columns
from clv.history import HISTORY, History
from clv.periods import DAYS, Unit
from clv.scorer import CARRIED, CustomerScorer
from clv.web.single import Summary

MOST = 512  # customers in one call; a call of that size takes a few milliseconds
QUIET = 3  # turns of the loop without anybody new, after which the call is made

Row = dict[str, Any]
Waiting = tuple[Sequence[Summary], "asyncio.Future[list[Row]]"]


class Gathering:
    """Scores of summaries, gathered from all who ask within the same moment."""

    def __init__(self, scorer: CustomerScorer) -> None:
        self.scorer = scorer
        self.constants = _constants(scorer)
        self.waiting: list[Waiting] = []

    async def scores(self, summaries: Sequence[Summary]) -> list[Row]:
        """A row per summary, with the columns of ``CustomerScorer.predict`` but customer_id."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Row]] = loop.create_future()
        self.waiting.append((summaries, answer))
        if len(self.waiting) == 1:
            loop.call_soon(self._turn, loop, 1, 0)
        return await answer

    def _turn(self, loop: asyncio.AbstractEventLoop, seen: int, quiet: int) -> None:
        """Score those who wait, unless more came during the last turns of the loop."""
        now = len(self.waiting)
        quiet = 0 if now > seen else quiet + 1
        if quiet < QUIET and sum(len(summaries) for summaries, _ in self.waiting) < MOST:
            loop.call_soon(self._turn, loop, now, quiet)
            return
        group, self.waiting = self.waiting, []
        _answer(group, self.scorer, self.constants)


def score_summaries(
    summaries: Sequence[Summary], scorer: CustomerScorer, constants: Row | None = None
) -> list[Row]:
    """A row per summary, with the columns of ``CustomerScorer.predict`` but customer_id."""
    if not summaries:
        return []
    constants = _constants(scorer) if constants is None else constants
    arrays, history = _columns(summaries, scorer.unit)
    scored = scorer._scores(arrays, history, arrays["monetary_value"])
    columns = zip(*(values.tolist() for values in scored.values()), strict=True)
    rows = []
    for one, day, values in zip(summaries, arrays["as_of"], columns, strict=True):
        row: Row = {
            "frequency": one.frequency,
            "days_since_last": float(one.as_of - one.last),
            "unit": scorer.unit,
            "as_of": day,
        }
        row.update(zip(scored, values, strict=True))
        row.update(constants)
        rows.append(row)
    return rows


def _answer(group: Sequence[Waiting], scorer: CustomerScorer, constants: Row) -> None:
    """Score the summaries of a group in one call and hand each its own, or the error."""
    try:
        everybody = [one for summaries, _ in group for one in summaries]
        rows = iter(score_summaries(everybody, scorer, constants))
        found: list[list[Row]] = [[next(rows) for _ in summaries] for summaries, _ in group]
    except Exception as error:
        for _, answer in group:
            if not answer.done():  # whoever left has cancelled it
                answer.set_exception(error)
        return
    for (_, answer), own in zip(group, found, strict=True):
        if not answer.done():
            answer.set_result(own)


def _columns(summaries: Sequence[Summary], unit: Unit) -> tuple[Columns, History]:
    """The columns of the summary as arrays, as no table of so few rows is as cheap; the history."""
    first = np.array([one.first for one in summaries])
    last = np.array([one.last for one in summaries])
    as_of = np.array([one.as_of for one in summaries])
    found: dict[str, Any] = {
        "frequency": np.array([one.frequency for one in summaries], dtype=np.float64),
        "recency": (last - first) / DAYS[unit],
        "T": (as_of - first) / DAYS[unit],
        "monetary_value": np.array([one.monetary_value for one in summaries]),
        "first_amount": np.array([one.first_amount for one in summaries]),
        "days_since_last": (as_of - last).astype(np.float64),
        "as_of": [dt.date.fromordinal(one.as_of) for one in summaries],
    }
    told = [one.behaviour for one in summaries if one.behaviour is not None]
    if len(told) == len(summaries):
        found |= {
            "gap_spread": np.array([one.gap_spread for one in told]) / DAYS[unit],
            "last_gap": np.array([one.last_gap for one in told]) / DAYS[unit],
            "last_amount": np.array([one.last_amount for one in told]),
            "recent": np.array([one.recent for one in told], dtype=np.float64),
            "earlier": np.array([one.earlier for one in told], dtype=np.float64),
        }
    return found, History(*(found[name] for name in HISTORY))


def _constants(scorer: CustomerScorer) -> Row:
    """What ``CustomerScorer.predict`` says of everybody alike."""
    import pyarrow as pa

    day = dt.date.fromisoformat(scorer.as_of).toordinal()
    arrays, history = _columns([Summary(1, day - 20, day - 10, day, 10.0, 10.0)], scorer.unit)
    varies = (*CARRIED, *scorer._scores(arrays, history, arrays["monetary_value"]))
    table = pa.table({**arrays, "unit": [scorer.unit]})
    (row,) = scorer.predict(table).to_pylist()
    return {name: value for name, value in row.items() if name not in varies}
