"""Micro-batches: requests that come at the same time are scored by one call.

A call costs about as much for fifty customers as for one. Whoever asks waits for a few more turns
of the event loop; as long as each brings further requests the batch grows, and it is scored with
the first few that bring none.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from clv.app.histories import HistoryScorer, ScoredHistories
from clv.app.requests import SCORE_EXAMPLE, ScoreRequest
from clv.errors import InputError
from clv.scorer import CustomerScorer

MOST_ORDERS = 2_000  # in a micro-batch, which takes some ten milliseconds then
QUIET_TURNS = 3  # of the event loop without another request, after which the batch is scored

Waiting = tuple[ScoreRequest, "asyncio.Future[ScoredHistories]"]


class MicroBatches:
    """Scores requests for one application, those of the same moment together."""

    def __init__(self, scorer: CustomerScorer) -> None:
        self._small, self._large = HistoryScorer(scorer), HistoryScorer(scorer)
        # an example is scored, so that a fault shows now and the first client need not wait
        example = ScoreRequest.model_validate(SCORE_EXAMPLE)
        day = dt.date.fromisoformat(scorer.as_of)
        self._small.score([example, example.model_copy(update={"as_of": day})])
        self._waiting: list[Waiting] = []
        self._orders = 0

    async def score(self, request: ScoreRequest) -> ScoredHistories:
        """The answer to a request.

        Raises
        ------
        InputError
            An order lies after the scorer's as-of date and the request names no other.
        """
        orders = sum(len(customer.orders) for customer in request.customers)
        if orders > MOST_ORDERS:  # by itself, on a thread, so that it holds nobody up
            (answer,) = await run_in_threadpool(self._large.score, [request])
            return _raised(answer)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ScoredHistories] = loop.create_future()
        self._waiting.append((request, future))
        self._orders += orders
        if len(self._waiting) == 1:
            loop.call_soon(self._turn, loop, 1, 0)
        return await future

    def _turn(self, loop: asyncio.AbstractEventLoop, before: int, quiet: int) -> None:
        """Score those who wait, unless more came during the last turns of the loop."""
        now = len(self._waiting)
        quiet = 0 if now > before else quiet + 1
        if quiet < QUIET_TURNS and self._orders < MOST_ORDERS:
            loop.call_soon(self._turn, loop, now, quiet)
            return
        batch, self._waiting, self._orders = self._waiting, [], 0
        _answer(batch, self._small)


def _answer(batch: Sequence[Waiting], scorer: HistoryScorer) -> None:
    """Score a batch in one call and hand each request its answer, or the error."""
    answers: Sequence[ScoredHistories | Exception]
    try:
        answers = scorer.score([request for request, _ in batch])
    except Exception as error:  # a fault of ours: it reaches everybody who waits, and nobody later
        answers = [error] * len(batch)
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():  # whoever left has cancelled it
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _raised(answer: ScoredHistories | InputError) -> ScoredHistories:
    if isinstance(answer, InputError):
        raise answer
    return answer
