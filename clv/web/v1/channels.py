"""Channels: what a new customer costs and is worth, as published, or by a spend table sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import Body as FromBody
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.concurrency import run_in_threadpool

from clv.app.channel_findings import findings, notes, overall
from clv.app.channels import VALUES, figures_of
from clv.app.requests import Body, Money
from clv.errors import InputError
from clv.io.json import plain
from clv.store import Store
from clv.web import problems
from clv.web.answers import Answer, Statement
from clv.web.bodies import LATER, whole
from clv.web.v1.reply import answer, borrowed, routes

MOST_ROWS, MOST_CHANNELS, MOST_PERIODS = 5_000, 50, 400  # worked out in a second or two
NOT_PUBLISHED = (
    "No channels were published. Publish with spend, orders and model: "
    "clv publish scores.parquet --spend spend.csv --log orders.csv --model MODEL --to STORE."
)
EXAMPLE = {
    "spend": [
        {"channel": "search", "period": "2011-10", "spend": 9000, "new_customers": 410},
        {"channel": "search", "period": "2011-11", "spend": 12000, "new_customers": 490},
        {"channel": "social", "period": "2011-10", "spend": 4000, "new_customers": 160},
        {
            "channel": "social",
            "period": "2011-11",
            "spend": 5000,
            "fixed_cost": 500,
            "new_customers": 175,
        },
    ]
}

router = routes("channels")


class ChannelFacts(BaseModel):
    """What is known of a channel; null is not known. Intervals are of 90%."""

    model_config = ConfigDict(extra="allow")

    channel: str
    loaded_spend: float | None = Field(None, description="Media spend and fixed cost.")
    new_customers: float | None = None
    cac: float | None = Field(None, description="Loaded spend per new customer.")
    cac_low: float | None = None
    cac_high: float | None = None
    new_customers_are: str | None = Field(None, description="attributed, or incremental.")
    marginal_cac: float | None = Field(None, description="Of the next customer, media spend alone.")
    marginal_cac_low: float | None = None
    marginal_cac_high: float | None = None
    new_customer_value: float | None = Field(
        None, description="CLV of a NEW customer within the row's horizon, contribution margin."
    )
    new_customer_value_low: float | None = None
    new_customer_value_high: float | None = None
    ltv_to_cac: float | None = Field(None, description="Value over CAC, at the row's horizon.")
    horizon: str | None = Field(None, description="Of value and ratio.", examples=["3 years"])
    payback: float | None = Field(None, description="null: not within the horizon, or not known.")
    payback_unit: str | None = None
    value_basis: str | None = Field(None, description="Whose history the value rests on.")


class ChannelsAnswer(Answer):
    """Channels, and what their figures rest on."""

    channels: list[ChannelFacts]
    paid_cac: float | None = Field(description="All spend per customer of channels with spend.")
    blended_cac: float | None = Field(description="All spend per new customer, unpaid ones too.")
    findings: list[Statement]
    notes: list[Statement]


class SpendRow(Body):
    """A channel in a period."""

    channel: Annotated[str, Field(min_length=1, max_length=200)]
    period: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        description="Its first day or month, or a name.", examples=["2011-11-01", "2011-11"]
    )
    spend: Money = Field(description="Media spend.", examples=[1200])
    fixed_cost: Money = Field(default=0.0, description="Fees, salaries, production.")
    new_customers: Money = Field(description="Customers won, as attributed.", examples=[48])


class SpendBody(Body):
    """A spend table, as ``clv channels`` reads it, with its new customers counted."""

    spend: list[SpendRow] = Field(
        min_length=1,
        max_length=MOST_ROWS,
        description=f"A row per channel and period; at most {MOST_CHANNELS} channels and "
        f"{MOST_PERIODS} periods.",
    )

    @field_validator("spend")
    @classmethod
    def _not_too_many(cls, spend: list[SpendRow]) -> list[SpendRow]:
        many = (("channel", MOST_CHANNELS), ("period", MOST_PERIODS))
        for name, most in many:
            if len({getattr(row, name) for row in spend}) > most:
                raise ValueError(f"Input should have at most {most} values of {name}")
        return spend


@router.get("/channels", response_model=ChannelsAnswer)
async def channels(request: Request) -> Any:
    """CAC, value of a new customer, their ratio and payback by channel, as published."""
    with borrowed(request) as store:
        rows = await run_in_threadpool(published, store)
        if not rows:
            raise problems.ProblemError(404, "no-channels", NOT_PUBLISHED)
        return answer(request, store.stated, **_content(rows, store))


@router.post("/channels", response_model=ChannelsAnswer)
async def value_spend(
    request: Request,
    body: Annotated[SpendBody, LATER, FromBody(openapi_examples={"two": {"value": EXAMPLE}})],
) -> Any:
    """CAC by channel from a spend table, beside what its new customers are worth as published.

    CAC is measured from what is sent, the next customer's CAC estimated from eight periods on.
    Values are those of the published channels of that name, null for others; payback needs the
    orders: ``clv channels --log``.
    """
    body = await whole(body)
    with borrowed(request) as store:
        costs, remarks = await run_in_threadpool(_costs, body)
        content = _content(with_published_value(costs, published(store)), store)
        return answer(request, store.stated, **content | {"notes": content["notes"] + remarks})


def _costs(body: SpendBody) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The costs of each channel, and what they rest on."""
    import pyarrow as pa

    table = pa.Table.from_pylist([row.model_dump() for row in body.spend])
    try:
        with np.errstate(all="raise", under="ignore"):
            figures = figures_of(table)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        with problems.of_field("spend"):
            raise InputError(
                "no arithmetic is up to these numbers.", hint="Send money and customers."
            ) from error
    return plain(figures.table.to_pylist()), [note.to_dict() for note in figures.notes]


def published(store: Store) -> list[dict[str, Any]]:
    """The channels of a store, as ``clv channels --output`` wrote them; none if it has none."""
    table = store.table("channels")
    rows: list[dict[str, Any]] = [] if table is None else plain(table.to_pylist())
    return [row | {"channel": str(row["channel"])} for row in rows if "channel" in row]


def with_published_value(
    costs: Sequence[Mapping[str, Any]], published_rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Costs of channels with the value that a new customer of each has in a published table.

    >>> costs = [{"channel": "search", "cac": 20.0, "incremental_cac": 25.0}]
    >>> known = [{"channel": "search", "new_customer_value": 50.0, "horizon": "1 year"}]
    >>> with_published_value(costs, known)[0]["ltv_to_cac"]
    2.0
    """
    values = {
        row["channel"]: {name: row.get(name) for name in (*VALUES, "horizon", "value_basis")}
        for row in published_rows
    }
    rows = []
    for row in costs:
        value_row = values.get(row["channel"], {})
        value, cac = value_row.get("new_customer_value"), row["incremental_cac"]
        ratio = value / cac if value is not None and cac else None
        rows.append({**row, **value_row, "ltv_to_cac": ratio})
    return rows


def _content(rows: Sequence[Mapping[str, Any]], store: Store) -> dict[str, Any]:
    currency = str(store.terms.get("currency") or "")
    says = [each.to_dict() for each in findings(rows, currency)]
    rests = [each.to_dict() for each in notes(rows)]
    content = {"channels": rows, "findings": says, "notes": rests}
    return content | overall(rows)
