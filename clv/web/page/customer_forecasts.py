"""Forecasts of one customer: when the next order comes, who is still one, what the value may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from clv.app.customer_record import CustomerRecord
from clv.app.order_history import NextOrder, OrderHistory, unit_of
from clv.format import day, days, number, percent
from clv.history import History
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma, expected_spend
from clv.report.charts import Chart
from clv.schema import Floats
from clv.score_columns import BUYERS
from clv.spans import span
from clv.value.predictive import value_quantiles
from clv.value.predictive.customer_scores import known_besides
from clv.value.value import Terms, residual_value
from clv.web.page.tables import Empty
from clv.web.page.timeline import (
    alive_figure,
    next_figure,
    span_figure,
    worth_figure,
)

LEVELS = np.linspace(0.01, 0.98, 98)

OF_CONTRACT = Empty(
    "No orders to show",
    "This customer is under contract: what comes is payments, renewal by renewal.",
    "The room Subscriptions shows who renews.",
)
NO_LOG = Empty(
    "No orders to show",
    "These scores were published without the order log.",
    "Publish again with the log: clv publish --log.",
)

NOBODY_LEFT = 0.999  # P(alive) above which a line says nothing


def no_orders(customer: CustomerRecord) -> Empty:
    """Why there are no orders to show."""
    return NO_LOG if customer.words is BUYERS else OF_CONTRACT


def next_order(customer: CustomerRecord) -> NextOrder | None:
    """When the next order is due; None without orders or a model."""
    if customer.model is None or customer.life is None:
        return None
    reach = max(1, round(Duration.parse(str(customer.terms["horizon"])).to("day")))
    return NextOrder.of(customer.model, customer.life, unit_of(customer.model), reach)


def next_words(customer: CustomerRecord, coming: NextOrder | None) -> str:
    """When the next order is due, in sentences."""
    if coming is None:
        return ""
    expected, horizon = (
        number(customer.row["expected_purchases"], 1),
        span(customer.terms["horizon"]),
    )
    parts = [f"{expected} {customer.words.orders} are expected in the next {horizon}."]
    if customer.churn:
        chance = percent(1 - customer.row["churn_probability"])
        parts.append(f"The chance of at least one within {customer.churn} is {chance}.")
    if coming.even is None:
        parts.append(
            f"The chance of any order stays below 50% for {horizon}: more likely "
            "than not, none comes."
        )
    else:
        parts.append(f"An order within {days(coming.even)} is as likely as not.")
    return " ".join(parts)


def coming_figure(customer: CustomerRecord, coming: NextOrder | None) -> Chart | Empty:
    """The chance of an order by each day."""
    if coming is None or customer.life is None:
        return _without(customer, "When the next order comes is not drawn")
    window = round(customer.churn.to("day")) if customer.churn else 91
    reach = min(len(coming.by_day) - 1, max(2 * window, coming.usual or 0, 30))
    within = f"{days(reach)} of {span(customer.terms['horizon'])}"
    return next_figure(coming, customer.life.as_of, reach, within)


def _without(customer: CustomerRecord, title: str) -> Empty:
    """Why there is no line from the model."""
    if customer.life is None:
        return Empty(title, no_orders(customer).why, no_orders(customer).hint)
    return Empty(title, customer.models.why_not, "Publish with the model: clv publish --model.")


def alive(customer: CustomerRecord) -> Chart | Empty:
    """P(alive) over time."""
    model, life = customer.model, customer.life
    if model is None or life is None:
        return _without(customer, "Whether this is still a customer is not drawn")
    if not life.age:
        return Empty(
            "Too early to draw whether this is still a customer",
            f"The first order came on the day of the scores, {day(life.as_of)}.",
        )
    churn = customer.churn or Duration(13, "week")
    return alive_figure(life, model, churn.to(unit_of(model)), str(churn), _alive_note(model, life))


def _alive_note(model: PurchaseModel, life: OrderHistory) -> str:
    """Where P(alive) says nothing, and why."""
    if isinstance(model, BetaGeoNBD) and len(life.day) == 1:
        return (
            "The BG/NBD model lets customers leave only after a repeat purchase, so whoever bought "
            "once counts as a customer for certain: the chance of an order tells more."
        )
    if float(model.probability_alive(life.now(unit_of(model)))[0]) > NOBODY_LEFT:
        return (
            "The model is nearly certain that this is still a customer: the chance of an order "
            "tells more."
        )
    return ""


def worth(customer: CustomerRecord) -> Chart | Empty:
    """How far the value may lie from its mean."""
    value = _quantiles(customer)
    if value is not None:
        return worth_figure(
            LEVELS, value, customer.row["clv"], span(customer.terms["horizon"]), customer.currency
        )
    row = customer.row
    ends = [v for n in ("low", "median", "high") if (v := row.get(f"clv_{n}")) is not None]
    if len(ends) < 3:
        return Empty(
            "How sure the value is was not published",
            "The scores have no interval, and there are no orders or no models to work it out.",
            "Publish with the orders and the model: clv publish --log --model.",
        )
    low, median, high = (float(end) for end in ends)
    return span_figure(
        low, median, high, row["clv"], f"{customer.level} of chances", customer.currency
    )


def _quantiles(customer: CustomerRecord) -> Any:
    """Quantiles of the value at LEVELS from the models of the card; None without them."""
    terms, model, life = customer.terms, customer.model, customer.life
    spend, rate = customer.models.spend, terms.get("annual_discount_rate")
    if (
        spend is None
        or model is None
        or life is None
        or rate is None
        or not terms.get("margin_rate")
    ):
        return None
    stated = Terms(
        float(terms["margin_rate"]),
        float(rate),
        Duration.parse(str(terms["horizon"])),
        customer.currency,
        periods_per_year=customer.models.periods_per_year,
    )
    repeat = life.amount[1:]
    zbar = np.array([float(repeat.mean()) if len(repeat) else 0.0])
    history = life.now(unit_of(model))
    unit = unit_of(model)
    known = _known(customer, model, spend, history, zbar, stated)
    levels = list(LEVELS)
    return value_quantiles(model, spend, history, zbar, stated, unit, levels, known=known)[0]


def _known(
    customer: CustomerRecord,
    model: PurchaseModel,
    spend: GammaGamma,
    history: History,
    zbar: Floats,
    terms: Terms,
) -> tuple[Floats, Floats] | None:
    """What the pooled forecast behind the scores knew besides the purchase model, if any."""
    if not customer.churn or not (customer.card.get("churn") or {}).get("pool"):
        return None
    unit, row = unit_of(model), customer.row
    per_purchase = expected_spend(spend._parameters(), history.x, zbar)
    return known_besides(
        model.probability_of_purchase(terms.horizon.to(unit), history),
        model.probability_of_no_purchase(customer.churn.to(unit), history),
        np.array([float(row["churn_probability"])]),
        residual_value(model, per_purchase, history, terms, unit),
        np.array([float(row["clv"])]),
    )
