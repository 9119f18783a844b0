"""One customer: orders, what the model made of them, what is expected, how sure, and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Request, Response

from clv.app.store_models import StoreModels
from clv.churn.reasons import WORDS, churn_reasons
from clv.decide.retention.offer import Offer, treat
from clv.findings import Note, Provenance
from clv.format import count, counted, day, days, headline_money, money, percent, sentence
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.estimator import PurchaseModel
from clv.report.charts import Chart
from clv.store import Store
from clv.value.predictive import value_quantiles
from clv.value.value import Terms
from clv.web.page import model_report
from clv.web.page.frame import Page, room
from clv.web.page.order_history import Life, NextOrder, unit_of
from clv.web.page.tables import Empty, Headline, facts
from clv.web.page.timeline import (
    alive_figure,
    next_figure,
    orders_figure,
    span_figure,
    worth_figure,
)

Row = Mapping[str, Any]
LEVELS = np.linspace(0.01, 0.98, 98)
NO_LOG = Empty(
    "No orders to show",
    "These scores were published without the order log.",
    "Publish again with the log: clv publish --log.",
)
PLANS = ("targets", "retention_targets", "plan")  # tables in which an action may stand
NOBODY_LEFT = 0.999  # P(alive) above which a line says nothing

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

    def made(store: Store, page: Page) -> dict[str, Any]:
        return content(store, page, key)

    return await room(request, "customer.html", made, title="Customer", active="customers")


@dataclass(frozen=True)
class Known:
    """All that the store knows of one customer, read once.

    Attributes
    ----------
    row
        The scores.
    life
        The days with an order; None without a log.
    models
        Those of the store, with its model card.
    terms
        Those of the store.
    told
        Reasons of the churn risk that were published.
    """

    row: Row
    life: Life | None
    models: StoreModels
    terms: Mapping[str, Any]
    told: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store, key: str) -> Known:
        """``LookupError`` if nobody has the id."""
        row = store.customer(key)
        if row is None:
            raise LookupError("There is no customer with this id in the scores.")
        as_of = dt.date.fromisoformat(str(store.terms["as_of"])[:10])
        life = Life.of(store.orders_of(key), as_of)
        rows = store.rows_of("reasons", key)
        reasons = tuple(v for row in rows for n, v in row.items() if n.startswith("reason_") and v)
        return cls(row, life, store.once(StoreModels.of), store.terms, reasons)

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card."""
        return self.models.card

    @property
    def model(self) -> PurchaseModel | None:
        """The purchase model, if there is one."""
        return self.models.purchases

    @property
    def currency(self) -> str:
        """The currency; empty if none is known."""
        return str(self.terms.get("currency") or "")

    @property
    def churn(self) -> Duration | None:
        """The churn horizon, where one is stated."""
        stated = self.terms.get("churn_horizon")
        return Duration.parse(str(stated)) if stated else None

    def money(self, amount: float | None) -> str:
        """An amount in the store's currency."""
        return money(amount, self.currency)

    def headline(self, amount: float | None) -> str:
        """An amount in the store's currency, shorter where it is very large."""
        return headline_money(amount, self.currency)


def content(store: Store, page: Page, key: str) -> dict[str, Any]:
    """What the template shows."""
    known = Known.of(store, key)
    coming = next_order(known)
    return {
        "known": known,
        "name": str(known.row["customer_id"]),
        "lead": lead(known, store),
        "headlines": headlines(known, coming),
        "action": action(store, known, key),
        "orders": orders_figure(known.life, known.currency) if known.life else NO_LOG,
        "alive": alive(known),
        "next": coming_figure(known, coming),
        "next_said": next_words(known, coming),
        "reasons": published_reasons(store, key) or reasons(known),
        "reasons_lead": churn_words(known),
        "worth": worth(known),
        "details": facts(details(known, store)),
        "notes": notes(known),
    }


def lead(known: Known, store: Store) -> str:
    """Who this is, in a sentence."""
    row = known.row
    told_of = [f"Number {count(row['rank'])} of {count(store.customers)} by value ({row['tier']})"]
    if row.get("first_date"):
        told_of.append(f"customer since {day(row['first_date'])}")
    if row.get("channel"):
        told_of.append(f"came through {row['channel']}")
    return "; ".join(told_of) + "."


def headlines(known: Known, coming: NextOrder | None) -> list[Headline]:
    """The figures that come first."""
    row = known.row
    value = Headline(
        f"Value, next {known.terms['horizon']}",
        known.headline(row["clv"]),
        _interval(known, 0.0),
        "estimated",
    )
    churn = known.churn
    risk = f"no order within {churn}" if churn else "no order within the churn horizon"
    return [
        value,
        *_earned(known),
        _next_headline(known, coming),
        Headline("Churn risk", percent(row["churn_probability"]), risk, "estimated"),
    ]


def _interval(known: Known, more: float) -> str:
    """The interval of the value, moved by what was earned already."""
    low, high, level = known.row.get("clv_low"), known.row.get("clv_high"), _level(known)
    if low is None or high is None:
        return "no interval was published"
    return f"{level} between {known.headline(low + more)} and {known.headline(high + more)}"


def _level(known: Known) -> str:
    level = known.terms.get("interval")
    return f"{level:.0%}" if level else "interval:"


def _earned(known: Known) -> list[Headline]:
    """What came in so far, and both together, in the money of the values."""
    revenue, rate = known.row.get("historic_revenue"), known.terms.get("margin_rate")
    if revenue is None:
        return [Headline("Earned so far", "not known", "no order log was published")]
    orders = counted(int(known.row["historic_orders"]), "order")
    if rate is None:
        detail = f"revenue of {orders}; no margin is known, so no total"
        return [Headline("Revenue so far", known.headline(revenue), detail, "measured")]
    earned = revenue * rate
    share = "" if rate == 1 else f"{100 * rate:.4g}% of "
    chip: Provenance = model_report.terms_are(known.card) if known.card.get("terms") else "measured"
    return [
        Headline(
            "Earned so far",
            known.headline(earned),
            f"{share}{known.headline(revenue)} in {orders}",
            chip,
        ),
        Headline(
            "Earned and to come",
            known.headline(earned + known.row["clv"]),
            _interval(known, earned),
            "estimated",
        ),
    ]


def next_order(known: Known) -> NextOrder | None:
    """When the next order is due; None without orders or a model."""
    if known.model is None or known.life is None:
        return None
    reach = max(1, round(Duration.parse(str(known.terms["horizon"])).to("day")))
    return NextOrder.of(known.model, known.life, unit_of(known.model), reach)


def _next_headline(known: Known, coming: NextOrder | None) -> Headline:
    label = "Next order"
    usual = "Next order within"
    if coming is None or known.life is None:
        silent = known.row.get("probability_no_purchase")
        within = f" within {known.churn}" if known.churn else ""
        if silent is None:
            return Headline(
                label, "not known", known.models.why_not or "no order log was published"
            )
        return Headline(label, percent(1 - silent), f"chance of one{within}", "estimated")
    if coming.usual is None:
        horizon = known.terms["horizon"]
        detail = f"not even half of those still customers order within {horizon}"
        return Headline(label, f"beyond {horizon}", detail, "estimated")
    by = known.life.as_of + dt.timedelta(days=coming.usual)
    alive = percent(known.row["probability_alive"])
    detail = f"half order by {day(by)}, if still customers; the chance of that is {alive}"
    return Headline(usual, days(coming.usual), detail, "estimated")


def next_words(known: Known, coming: NextOrder | None) -> str:
    """When the next order is due, in sentences."""
    if coming is None:
        return ""
    expected = f"{known.row['expected_purchases']:,.1f}"
    told_of = [f"{expected} purchases are expected in the next {known.terms['horizon']}."]
    if known.churn:
        within = round(known.churn.to("day"))
        if within < len(coming.by_day):
            chance = percent(float(coming.by_day[within]))
            told_of.append(f"The chance of at least one within {known.churn} is {chance}.")
    if coming.even is None:
        told_of.append(
            f"The chance of any order stays below 50% for {known.terms['horizon']}: more likely "
            "than not, none comes."
        )
    else:
        told_of.append(f"It is even after {days(coming.even)}.")
    return " ".join(told_of)


def coming_figure(known: Known, coming: NextOrder | None) -> Chart | Empty:
    """The chance of an order by each day."""
    if coming is None or known.life is None:
        return _without(known, "When the next order comes is not drawn")
    window = round(known.churn.to("day")) if known.churn else 91
    reach = min(len(coming.by_day) - 1, max(2 * window, coming.usual or 0, 30))
    within = f"{days(reach)} of {known.terms['horizon']}"
    return next_figure(coming, known.life.as_of, reach, within)


def _without(known: Known, title: str) -> Empty:
    """Why there is no line from the model."""
    if known.life is None:
        return Empty(title, NO_LOG.why, NO_LOG.hint)
    return Empty(title, known.models.why_not, "Publish with the model: clv publish --model.")


def alive(known: Known) -> Chart | Empty:
    """P(alive) over time."""
    model, life = known.model, known.life
    if model is None or life is None:
        return _without(known, "Whether this is still a customer is not drawn")
    if not life.age:
        return Empty(
            "Too early to draw whether this is still a customer",
            f"The first order came on the day of the scores, {day(life.as_of)}.",
        )
    churn = known.churn or Duration(13, "week")
    return alive_figure(life, model, churn.to(unit_of(model)), str(churn), _alive_note(model, life))


def _alive_note(model: PurchaseModel, life: Life) -> str:
    """Where P(alive) says nothing, and why."""
    if isinstance(model, BetaGeoNBD) and len(life.day) == 1:
        return (
            "BG/NBD lets customers leave only after a repeat purchase, so P(alive) of who bought "
            "once is 100%: the chance of an order tells more."
        )
    if float(model.probability_alive(life.now(unit_of(model)))[0]) > NOBODY_LEFT:
        return "P(alive) is close to 100%: the chance of an order tells more."
    return ""


def churn_words(known: Known) -> str:
    """What the churn risk is, and where it comes from."""
    risk = percent(known.row["churn_probability"])
    within = f" within {known.churn}" if known.churn else ""
    source = str((known.card.get("churn") or {}).get("source") or "")
    by = "the purchase model" if source.startswith("P(") else source
    said = f"The chance of no order{within} is {risk}{f', by {by}' if by else ''}."
    alone = known.row.get("probability_no_purchase")
    if alone is None or percent(alone) == risk:
        return said
    return f"{said} The purchase model alone, which draws the lines above, says {percent(alone)}."


def published_reasons(store: Store, key: str) -> list[str]:
    """Why the churn score is what it is, as published with the scores; none if it was not."""
    found = store.rows_of("reasons", key)[:1]
    return [text for row in found for n in (1, 2, 3) if (text := row.get(f"reason_{n}"))]


def reasons(known: Known) -> list[str]:
    """Why the risk is what it is: reasons where the model tells them, else what it looks at."""
    if known.told:
        return list(known.told)
    if known.life is None:
        return [f"last order {days(known.row['days_since_last'])} ago"]
    churn = known.models.churn
    if known.model is None or churn is None:
        return inputs(known.life)
    table = churn_reasons(churn, _summary(known.life, known), known.model, unit_of(known.model))
    found = [table[f"reason_{k}"][0].as_py() for k in (1, 2)]
    return [one for one in found if one] or inputs(known.life)


def inputs(life: Life) -> list[str]:
    """What a churn model looks at, in words and without a verdict."""
    n = len(life.day) - 1
    since = life.age - float(life.day[-1])
    seen: dict[str, Any] = {
        "repeats": [n],
        "age": [life.age],
        "since": [since],
        "gap": [float(life.day[-1]) / n if n else life.age],
    }
    return [WORDS[topic](seen, 0) for topic in ("silence", "pace", "age")]


def _summary(life: Life, known: Known) -> Any:
    """The summary's row of this customer."""
    import pyarrow as pa

    assert known.model is not None
    now = life.now(unit_of(known.model))
    repeat = life.amount[1:]
    columns = {
        "frequency": now.x,
        "recency": now.t_x,
        "T": now.T,
        "monetary_value": [float(repeat.mean()) if len(repeat) else 0.0],
        "first_amount": [float(life.amount[0])],
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def worth(known: Known) -> Chart | Empty:
    """How far the value may lie from its mean."""
    value = _quantiles(known)
    if value is not None:
        return worth_figure(
            LEVELS, value, known.row["clv"], str(known.terms["horizon"]), known.currency
        )
    row = known.row
    ends = [v for n in ("low", "median", "high") if (v := row.get(f"clv_{n}")) is not None]
    if len(ends) < 3:
        return Empty(
            "How sure the value is was not published",
            "The scores have no interval, and there are no orders or no models to work it out.",
            "Publish with the orders and the model: clv publish --log --model.",
        )
    low, median, high = (float(end) for end in ends)
    return span_figure(low, median, high, row["clv"], f"{_level(known)} of chances", known.currency)


def _quantiles(known: Known) -> Any:
    """Quantiles of the value at LEVELS from the models of the card; None without them."""
    terms, model, life = known.terms, known.model, known.life
    spend, rate = known.models.spend, terms.get("annual_discount_rate")
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
        known.currency,
        periods_per_year=known.models.periods_per_year,
    )
    repeat = life.amount[1:]
    zbar = np.array([float(repeat.mean()) if len(repeat) else 0.0])
    history = life.now(unit_of(model))
    return value_quantiles(model, spend, history, zbar, stated, unit_of(model), list(LEVELS))[0]


def action(store: Store, known: Known, key: str) -> dict[str, Any]:
    """What the published plan proposes, and whether the customer may be contacted."""
    row = known.row
    barred, stake = (
        "",
        f"Keeping this customer would be worth {known.money(row['value_at_stake'])}.",
    )
    if "eligible" in row and not row["eligible"]:
        barred = sentence(f"must not be contacted: {row.get('reason') or 'no reason is given'}")
    name = next((name for name in PLANS if name in store.tables), None)
    found = store.rows_of(name, key) if name else []
    pays = _would_pay(known)
    said = f"No list of targets was published with these scores. {stake} {pays}"
    if name:
        said = f"The published list of targets leaves this customer out. {stake} {pays}"
    if barred:
        said = f"Do not contact this customer. {stake}"
    if found:
        said = f"{_proposed(found[0])} {stake}"
    shown = facts(_of_plan(found[0], known)) if found else ""
    return {"barred": barred, "said": said, "facts": shown}


def _would_pay(known: Known) -> str:
    """From which save rate on a plain contact would pay."""
    offer, row = Offer(contact_cost=1), known.row
    found = treat([row["churn_probability"]], [row["value_at_stake"]], offer).break_even[0]
    if not np.isfinite(found):
        return f"No contact that costs {known.money(1)} would pay."
    rate = percent(float(found))
    return (
        f"A contact that costs {known.money(1)} pays if it keeps more than {rate} of such "
        "customers who would leave."
    )


def _proposed(one: Row) -> str:
    """The action in a sentence."""
    offer = f"the offer {one['action']}" if one.get("action") else "the offer"
    if one.get("group") == "control":
        return f"Do nothing: held out as control, to measure what {offer} does."
    return f"Make {offer}." if one.get("action") else "Make the offer of the plan."


def _of_plan(one: Row, known: Known) -> dict[str, str]:
    """What a plan counts on for this customer."""
    names = {
        "cost": "Cost",
        "expected_gain": "Expected gain",
        "expected_profit": "Expected profit",
    }
    shown = {label: known.money(one[n]) for n, label in names.items() if one.get(n) is not None}
    if one.get("rank") is not None:
        shown["Place on the list"] = count(one["rank"])
    if one.get("save_rate_source"):
        shown["The save rate is"] = str(one["save_rate_source"])
    return shown


def details(known: Known, store: Store) -> dict[str, str]:
    """The rest of the scores."""
    row = known.row
    since = row["days_since_last"]
    before = f"{days(since)} before the" if since else "on the very"
    ago = f"{before} day of the scores"
    shown = {
        "Last order": f"{day(row['last_date'])}, {ago}" if row.get("last_date") else ago,
        "Purchases expected": f"{row['expected_purchases']:,.1f} in {known.terms['horizon']}",
        "Tier and decile": f"{row['tier']}, decile {row['decile']}",
        "At stake": f"{known.money(row['value_at_stake'])}: what a save would be worth",
    }
    if known.life is not None and len(known.life.day) > 1:
        gap = float(known.life.day[-1]) / (len(known.life.day) - 1)
        shown["Usually orders every"] = days(gap)
    if row.get("expected_spend") is not None:
        shown["Expected per purchase"] = f"{known.money(row['expected_spend'])} of revenue"
    if row.get("clv_median") is not None:
        below = "half of the chances are below" if row["clv_median"] else "in most cases"
        shown["Median value"] = f"{known.money(row['clv_median'])}: {below}"
    if row.get("probability_alive") is not None:
        shown["Still a customer, P(alive)"] = percent(row["probability_alive"])
    return shown


def notes(known: Known) -> list[Note]:
    """What the page rests on."""
    found = []
    if known.card.get("terms"):
        found.append(
            Note(f"All values are {known.card['terms']}.", model_report.terms_are(known.card))
        )
    scored = known.row.get("frequency")
    if known.life is not None and scored is not None and scored != len(known.life.day) - 1:
        found.append(
            Note(
                f"The log has {counted(len(known.life.day) - 1, 'repeat purchase')} of this "
                f"customer, the scores count {count(scored)}: lines follow the log, values the "
                "scores.",
                "measured",
            )
        )
    findings: Sequence[str] = (
        ((known.card.get("purchases") or {}).get("report") or {}).get("findings")
    ) or ()
    return found + [Note(one, "estimated") for one in findings]
