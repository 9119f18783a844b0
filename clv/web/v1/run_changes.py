"""What changed since the last run, or an earlier one that the store remembers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from clv.app.contents.earlier_runs import earlier_runs, record_since
from clv.monitoring.change_report import change_findings
from clv.store import Store
from clv.web import problems
from clv.web.answers import Answer, Statement
from clv.web.v1.reply import answer, borrowed, routes

router = routes("customers")


class ChangesQuery(BaseModel):
    """The run to compare with."""

    model_config = {"extra": "forbid"}

    since: Annotated[str, Field(max_length=40)] | None = Field(
        default=None,
        description="The day of an earlier run, one of `runs`; the last run if not given.",
        examples=["2011-12-02"],
    )


class MovedCustomer(BaseModel):
    """A customer of both runs whose value moved far."""

    customer_id: str
    before: float
    after: float
    because: str | None = Field(description="The step that moved it most; null over several runs.")


class ChangesAnswer(Answer):
    """Why the customers are worth another sum than at an earlier run."""

    runs: list[str] = Field(
        description="Days of the runs that can be compared with, the last first."
    )
    since: str
    until: str
    model_before: str
    model_after: str
    before: float = Field(description="The value of all customers then.")
    after: float = Field(description="The value of all customers now.")
    amounts: dict[str, float] = Field(
        description="What each step added; in cents they add up to the difference."
    )
    customers_before: int
    customers_after: int
    new: int
    gone: int
    orders: int | None = Field(description="Of the customers of then, since.")
    expected_orders: float | None = Field(description="What the model of then expected of them.")
    movers: list[MovedCustomer]
    sentences: list[Statement]


@router.get("/changes", response_model=ChangesAnswer)
async def changes(request: Request, query: Annotated[ChangesQuery, Query()]) -> Any:
    """What changed since an earlier run, and why: steps that add up to the difference.

    Each step is what scoring again with the model of then gives, with one thing more of what came
    since.
    """
    with borrowed(request) as store:
        record = await run_in_threadpool(_record, store, query.since)
        return answer(request, store.stated, **record)


def _record(store: Store, since: str | None) -> dict[str, Any]:
    if not (runs := earlier_runs(store)):
        raise problems.ProblemError(
            404, "no-earlier-run", "Nothing to compare with: no run was published before this one."
        )
    with problems.of_field("since"):
        record = record_since(store, since)
    sentences = change_findings(record, str(store.terms.get("currency") or ""))
    return {**record, "runs": list(runs), "sentences": [each.to_dict() for each in sentences]}
