"""One customer: orders, what the model made of them, what is expected, how sure, and what to do."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from clv.app.customer_reasons import churn_words, reasons
from clv.app.customer_record import CustomerRecord
from clv.app.order_history import NextOrder
from clv.findings import Note, Provenance, page_sentence_of
from clv.format import (
    capital,
    count,
    counted,
    day,
    days,
    number,
    percent,
    typed_percent,
)
from clv.score_columns import PLAN, SUBSCRIBERS
from clv.spans import span
from clv.store import Store
from clv.web.page import model_report
from clv.web.page.customer_action import action, offers
from clv.web.page.customer_forecasts import (
    alive,
    coming_figure,
    next_order,
    next_words,
    no_orders,
    worth,
)
from clv.web.page.frame import Page, room
from clv.web.page.tables import Headline, facts
from clv.web.page.timeline import (
    orders_figure,
)

router = APIRouter()


def address(key: str) -> str:
    """Where the page of a customer is.

    >>> address("a/b c")
    '/customers/a%2Fb%20c'
    """
    return f"/customers/{quote(key, safe='')}"


@router.get("/customers/{key:path}")
async def show(request: Request, key: str) -> Response:
    """The page; 404 if nobody has that id."""

    def build(store: Store, page: Page) -> dict[str, Any]:
        return content(store, page, key)

    return await room(request, "customer.html", build, title="Customer", active="customers")


def content(store: Store, page: Page, key: str) -> dict[str, Any]:
    """What the template shows."""
    customer = CustomerRecord.of(store, key)
    coming = next_order(customer)
    return {
        "name": str(customer.row["customer_id"]),
        "lead": lead(customer, store),
        "headlines": headlines(customer, coming),
        "action": action(store, customer, key),
        "offers": offers(store, customer, key),
        "orders": orders_figure(customer.life, customer.currency)
        if customer.life
        else no_orders(customer),
        "alive": alive(customer),
        "next": coming_figure(customer, coming),
        "next_said": next_words(customer, coming),
        "reasons": reasons(customer),
        "reasons_lead": churn_words(customer),
        "worth": worth(customer),
        "details": facts(details(customer, store)),
        "notes": notes(customer),
    }


def lead(customer: CustomerRecord, store: Store) -> str:
    """Who this is, in a sentence."""
    row = customer.row
    parts = [f"Number {count(row['rank'])} of {count(store.customers)} by value ({row['tier']})"]
    if row.get("first_date"):
        parts.append(f"customer since {day(row['first_date'])}")
    if row.get("channel"):
        parts.append(f"first bought through the channel {row['channel']}")
    return "; ".join(parts) + "."


def headlines(customer: CustomerRecord, coming: NextOrder | None) -> list[Headline]:
    """The figures that come first."""
    row = customer.row
    value = Headline(
        f"Value, next {span(customer.terms['horizon'])}",
        customer.headline(row["clv"]),
        _interval(customer, 0.0),
        "estimated",
    )
    churn = customer.churn
    risk = f"{customer.words.lost} within {churn or 'the churn horizon'}"
    return [
        value,
        *_earned(customer),
        _next_headline(customer, coming),
        Headline("Churn risk", percent(row["churn_probability"]), risk, "estimated"),
    ]


def _interval(customer: CustomerRecord, more: float) -> str:
    """The interval of the value, moved by what was earned already."""
    low, high, level = customer.row.get("clv_low"), customer.row.get("clv_high"), customer.level
    if low is None or high is None:
        return "no interval was published"
    return f"{level} between {customer.headline(low + more)} and {customer.headline(high + more)}"


def _earned(customer: CustomerRecord) -> list[Headline]:
    """What came in so far, and both together, in the money of the values."""
    revenue, rate = customer.row.get("historic_revenue"), customer.terms.get("margin_rate")
    if revenue is None:
        return [Headline("Earned so far", "not known", _no_log(customer))]
    orders = counted(int(customer.row["historic_orders"]), "order")
    if rate is None:
        detail = f"revenue of {orders}; no margin is known, so no total"
        return [Headline("Revenue so far", customer.headline(revenue), detail, "measured")]
    earned = revenue * rate
    share = "" if rate == 1 else f"{typed_percent(rate)} of "
    chip: Provenance = (
        model_report.terms_are(customer.card) if customer.card.get("terms") else "measured"
    )
    return [
        Headline(
            "Earned so far",
            customer.headline(earned),
            f"{share}{customer.headline(revenue)} in {orders}",
            chip,
        ),
        Headline(
            "Earned and to come",
            customer.headline(earned + customer.row["clv"]),
            _interval(customer, earned),
            "estimated",
        ),
    ]


def _next_headline(customer: CustomerRecord, coming: NextOrder | None) -> Headline:
    label = "Next order"
    usual = "Next order within"
    if coming is None or customer.life is None:
        silent = customer.row.get("probability_no_purchase")
        within = f" within {customer.churn}" if customer.churn else ""
        if silent is None:
            return Headline(label, "not known", customer.models.why_not or _no_log(customer))
        if customer.words is SUBSCRIBERS:
            condition = f"that all renewals due{within} are made"
            return Headline("Renewal", percent(1 - silent), f"the chance {condition}", "estimated")
        return Headline(label, percent(1 - silent), f"chance of one{within}", "estimated")
    if coming.usual is None:
        horizon = span(customer.terms["horizon"])
        detail = f"not even half of those still customers order within {horizon}"
        return Headline(label, f"beyond {horizon}", detail, "estimated")
    by = customer.life.as_of + dt.timedelta(days=coming.usual)
    alive = percent(customer.row["probability_alive"])
    detail = f"an even chance by {day(by)} if still a customer, which is {alive} likely"
    return Headline(usual, days(coming.usual), detail, "estimated")


def _no_log(customer: CustomerRecord) -> str:
    """Why nothing is known of the past."""
    if customer.words is SUBSCRIBERS:
        return "what was paid under the contract is not in the scores"
    return "no order log was published"


def details(customer: CustomerRecord, store: Store) -> dict[str, str]:
    """The rest of the scores."""
    row, words = customer.row, customer.words
    since = row["days_since_last"]
    before = f"{days(since)} before the" if since else "on the very"
    ago = f"{before} day of the scores"
    coming = number(row["expected_purchases"], 1)
    figures = {
        f"Last {words.order}": f"{day(row['last_date'])}, {ago}" if row.get("last_date") else ago,
        f"{capital(words.orders)} expected": f"{coming} in {span(customer.terms['horizon'])}",
        "Tier and decile": f"{row['tier']}, decile {row['decile']}",
        "At stake": f"{customer.money(row['value_at_stake'])}: what a save would be worth",
    }
    if customer.life is not None and len(customer.life.day) > 1:
        gap = float(customer.life.day[-1]) / (len(customer.life.day) - 1)
        figures["Usually orders every"] = days(gap)
    if row.get("expected_spend") is not None:
        figures[f"Expected per {words.order}"] = (
            f"{customer.money(row['expected_spend'])} of revenue"
        )
    if row.get("clv_median") is not None:
        below = "half of the chances are below" if row["clv_median"] else "in most cases"
        figures["Median value"] = f"{customer.money(row['clv_median'])}: {below}"
    if words is SUBSCRIBERS:
        figures["Plan"] = f"{row[PLAN]}, {counted(row['frequency'], 'renewal')} made"
    elif row.get("probability_alive") is not None:
        figures["Still a customer, P(alive)"] = percent(row["probability_alive"])
    return figures


def notes(customer: CustomerRecord) -> list[Note]:
    """What the page rests on."""
    lines = []
    if customer.card.get("terms"):
        terms = model_report.terms_in_words(customer.card, customer.terms)
        lines.append(Note(f"All values are {terms}.", model_report.terms_are(customer.card)))
    scored = customer.row.get("frequency")
    if customer.life is not None and scored is not None and scored != len(customer.life.day) - 1:
        lines.append(
            Note(
                f"The log has {counted(len(customer.life.day) - 1, 'repeat purchase')} of this "
                f"customer, the scores count {count(scored)}: lines follow the log, values the "
                "scores.",
                "measured",
            )
        )
    report = (customer.card.get("purchases") or {}).get("report") or {}
    said = (page_sentence_of(each, customer.currency) for each in report.get("findings") or ())
    return lines + [Note(each, "estimated") for each in said]
