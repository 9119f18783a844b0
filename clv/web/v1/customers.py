"""Customers of the scores served: found by filters, and one looked up by id."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from clv.app.contents.handoffs import NEXT_OFFERS
from clv.app.customer_reasons import churn_words
from clv.app.customer_reasons import reasons as because
from clv.app.customer_record import CustomerRecord
from clv.store import Sort, Store
from clv.store.intake import MEASURES
from clv.web import problems
from clv.web.answers import Answer, with_score_columns, without_constants
from clv.web.v1.chosen import Searched, require
from clv.web.v1.reply import answer, borrowed, routes

MOST_ROWS = 200  # of a page; whoever takes all away may do so by /v1/exports

router = routes("customers")


class SearchQuery(Searched):
    """Which customers, in which order, on which page."""

    sort: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="clv", description="A column of the customers.", examples=["churn_probability"]
    )
    order: Literal["asc", "desc"] = Field(default="desc", description="asc or desc.")
    page: int = Field(default=1, ge=1, le=2**31, description="Counted from 1.")
    size: int = Field(default=50, ge=1, le=MOST_ROWS, description="Customers on a page.")


class ScoredCustomer(with_score_columns("customer_id", *MEASURES)):  # type: ignore[misc]
    """A customer as scored and published, with all further columns of the scores."""

    rank: int = Field(description="By CLV; 1 is the best.")
    tier: str
    decile: int = Field(description="1 is the best tenth by CLV.")


class TotalsOfChosen(BaseModel):
    """What the customers who were found add up to, on all pages."""

    customers: int
    value: float = Field(description="CLV together.")
    share: float = Field(description="Of the value of all customers.")
    expected_purchases: float
    at_risk: float = Field(description="Churn probability times value at stake, added up.")


class CustomersAnswer(Answer):
    """A page of customers; ``terms`` hold for every row."""

    terms: dict[str, Any]
    totals: TotalsOfChosen
    page: int
    pages: int = Field(description="1 if nobody is found.")
    size: int
    customers: list[ScoredCustomer]


class Reasons(BaseModel):
    """Why the churn probability of a customer is what it is, in words."""

    churn: str = Field(description="What it is, and which model says so.")
    because: list[str] = Field(description="The most important first.")


class CustomerAnswer(Answer):
    """One customer of the scores served, with the terms of the scores."""

    customer: ScoredCustomer
    offers: list[dict[str, Any]] = Field(
        description="What clv offers wrote of the customer, the best first; empty without it."
    )
    reasons: Reasons | None = Field(None, description="With reasons=true.")


@router.get("/customers", response_model=CustomersAnswer)
async def search_customers(request: Request, query: Annotated[SearchQuery, Query()]) -> Any:
    """Find customers by tier, channel, cohort, recency, churn, value and id; the best come first.

    A page beyond the last one is empty. For all of them as a file there is POST /v1/exports.
    """
    stated, content = await run_in_threadpool(_search, request, query)
    return answer(request, stated, **content)


def _search(request: Request, query: SearchQuery) -> tuple[dict[str, Any], dict[str, Any]]:
    with borrowed(request) as store:
        require(store, query.sort, "sort")
        chosen, sort = query.on(store), Sort(query.sort, query.order == "desc")
        result = store.search(chosen, sort, page=query.page, size=query.size)
        content = {
            "terms": without_constants(store.terms),
            "totals": asdict(store.totals(chosen)),
            "page": result.page,
            "pages": result.pages,
            "size": result.size,
            "customers": result.rows,
        }
        return store.stated, content


@router.get("/customers/{customer_id:path}", response_model=CustomerAnswer)
async def look_customer_up(
    request: Request,
    customer_id: str,
    reasons: Annotated[bool, Query(description="Also why the churn risk is what it is.")] = False,
) -> Any:
    """Look a customer up in the scores that are served, with what to offer next.

    With reasons: what speaks for the churn risk, in words; it takes some milliseconds more.
    """
    with borrowed(request) as store:
        row, stated = store.customer(customer_id), {**store.terms, **store.stated}
        if row is None:
            raise _unknown()
        offers = store.rows_of(NEXT_OFFERS, customer_id)
        why = await run_in_threadpool(_reasons, store, customer_id) if reasons else None
    found = without_constants({**stated, **row})
    return answer(request, stated, customer=found, offers=offers, reasons=why)


def _reasons(store: Store, customer_id: str) -> dict[str, Any]:
    record = CustomerRecord.of(store, customer_id)
    return {"churn": churn_words(record), "because": because(record)}


def _unknown() -> problems.ProblemError:
    detail, send = "The scores served here know no such customer.", "GET /v1/customers lists all."
    wrong = {"field": "customer_id", "detail": detail, "send": send}
    return problems.ProblemError(404, "unknown-customer", detail, [wrong])
