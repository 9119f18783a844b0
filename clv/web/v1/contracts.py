"""Subscriptions: the revenue book, who stays, and an annual plan in place of the monthly one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from clv.app.annual import offer_of
from clv.io.json import plain
from clv.web.answers import Answer
from clv.web.problems import ProblemError
from clv.web.v1.reply import answer, borrowed, not_published, routes

router = routes("contracts")


class AnnualQuery(BaseModel):
    """An annual plan."""

    model_config = {"extra": "forbid"}

    price: float | None = Field(
        default=None, gt=0, lt=1e9, description="A month; that of today if not sent."
    )
    discount: float = Field(default=0.2, ge=0, lt=1, description="Share that a year is cheaper.")
    selection: float = Field(
        default=0.0, ge=0, le=1e6, description="Assumed: acceptors leave as under beta + this."
    )
    renewal_rate: float = Field(default=0.6, ge=0, le=1, description="Of the year, assumed.")
    years: int = Field(default=3, ge=1, le=20)


class ContractsAnswer(Answer):
    """What ``clv contracts --document`` wrote; amounts of the book are whole cents."""

    contracts: dict[str, Any]


class AnnualAnswer(Answer):
    """What the plan brings per customer who accepts; what is assumed is named in the findings."""

    annual_plan: dict[str, Any]


@router.get("/contracts", response_model=ContractsAnswer)
async def contracts(request: Request) -> Any:
    """The revenue book, survival and payments of each billing period, and the plans."""
    with borrowed(request) as store:
        document = await run_in_threadpool(_document, store)
        return answer(request, store.stated, contracts=document)


@router.get("/contracts/annual-plan", response_model=AnnualAnswer)
async def value_annual_plan(request: Request, query: Annotated[AnnualQuery, Query()]) -> Any:
    """A year paid at once, for less, over selection and renewal rate."""
    with borrowed(request) as store:
        document = await run_in_threadpool(_document, store)
        monthly = next((p for p in document["periods"] if p["months"] == 1 and p["price"]), None)
        if monthly is None:
            raise ProblemError(404, "no-monthly-plan", "No plan that runs is paid by the month.")
        values = {
            "price": query.price or monthly["price"],
            "discount": 100 * query.discount,
            "selection": query.selection,
            "renewal": 100 * query.renewal_rate,
            "years": float(query.years),
        }
        offer = await run_in_threadpool(offer_of, document, monthly, values)
        return answer(request, store.stated, annual_plan=plain(offer.to_dict()))


def _document(store: Any) -> dict[str, Any]:
    document = store.document("contracts")
    if not document:
        option = "--contracts contracts.json"
        raise not_published("subscriptions", option, "clv contracts TABLE --document {}")
    return dict(document)
