"""Subscriptions: what recurs, who stays, and what an annual plan would do.

The document ``contracts`` is what ``clv contracts --document`` writes. The annual plan is worked
out anew at each move of a dial, from the parameters of the model of monthly contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from clv.app.annual import AnnualOffer, offer_of
from clv.errors import InputError
from clv.format import count, money, number, percent, sentence
from clv.report.charts import (
    Chart,
    Column,
    Series,
    Table,
    heat,
    line_chart,
    money_axis,
    number_axis,
)
from clv.report.contract_report import (
    contract_headlines,
    contract_notes,
    effects_table,
    last_month,
    plan_table,
)
from clv.report.plots.contracts import (
    cohort_table,
    plot_contract_money,
    plot_contract_survival,
    plot_waterfall,
)
from clv.store import Store
from clv.web.page.frame import Page, Room, room
from clv.web.page.sliders import Dial
from clv.web.page.tables import Empty, Headline

router = APIRouter()
ROOM = Room("contracts", "/subscriptions", "Subscriptions", router, needs=("contracts",))
NOTHING = Empty(
    "No subscriptions were published",
    "What recurs and who stays takes a table of subscriptions, or the lines of their invoices.",
    "clv contracts TABLE -o scores.parquet --document contracts.json, then clv publish "
    "scores.parquet --contracts contracts.json.",
)
NO_MONTHLY = Empty(
    "No plan is paid by the month",
    "An annual plan in place of a monthly one needs a monthly one that runs.",
)


@router.get("/subscriptions")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "contracts.html", content, title="Subscriptions", active="contracts")


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows; what is wrong with the address is said above the form."""
    document = store.document("contracts")
    if not document:
        return {"nothing": NOTHING}
    currency = document["currency"]
    plan = {"nothing": None, "annual": annual(document, dict(page.address.query), currency)}
    return plan if page.part else plan | _above_and_below(document, currency)


def _above_and_below(document: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """All but the annual plan, which no dial moves."""
    last = last_month(document)
    cohorts = [r for r in (document["book"] or {}).get("cohorts", ()) if r["currency"] == currency]
    return {
        "headlines": [Headline(*figure) for figure in contract_headlines(document)],
        "waterfall": plot_waterfall(last, currency) if last else None,
        "grids": [cohort_table(cohorts, what) for what in ("customers", "revenue")] if last else [],
        "curves": [plot_contract_survival(period) for period in document["periods"]],
        "money": [
            plot_contract_money(period, document["margin_rate"], currency)
            for period in document["periods"]
            if period["price"]
        ],
        "plans": plan_table(document),
        "effects": effects_table(document),
        "notes": contract_notes(document),
    }


def annual(document: Mapping[str, Any], query: Mapping[str, str], currency: str) -> dict[str, Any]:
    """The annual plan as the dials say it."""
    monthly = next((p for p in document["periods"] if p["months"] == 1 and p["price"]), None)
    if monthly is None:
        return {"empty": NO_MONTHLY}
    dials = _dials(monthly["price"])
    try:
        values = {dial.name: dial.read(query) for dial in dials}
        offer = offer_of(document, monthly, values)
    except InputError as error:
        refused = (sentence(error.message), sentence(error.hint or ""))
        return {"empty": None, "dials": dials, "refused": refused}
    return {
        "empty": None,
        "dials": [_at(dial, values[dial.name]) for dial in dials],
        "refused": None,
        "said": str(offer.findings[0]),
        "rests": [*offer.findings[1:], offer.test],
        "headlines": _headlines(offer, currency),
        "surface": _surface(offer, currency),
        "ages": _ages(offer, currency),
    }


def _dials(price: float) -> list[Dial]:
    return [
        Dial("price", "Price a month", round(price, 2), 0.01, 5 * round(price, 2), 0.5),
        Dial("discount", "Discount on a year", 20, 0, 60, 1, "in %"),
        Dial(
            *("selection", "Selection", 2, 0, 20, 0.5),
            hint="Assumed: 0 if those who accept leave as fast as others, more if they stay longer",
        ),
        Dial("renewal", "Renew the year", 60, 0, 100, 1, "in %", hint="Assumed"),
        Dial("years", "Years that count", 3, 1, 10, 1),
    ]


def _at(dial: Dial, value: float) -> Dial:
    return Dial(
        *(dial.name, dial.label, value, dial.low, dial.high, dial.step, dial.unit), hint=dial.hint
    )


def _headlines(offer: AnnualOffer, currency: str) -> list[Headline]:
    per_head = "for each customer who accepts"
    return [
        Headline("Year one", money(offer.plan.gain_per_acceptor, currency), per_head, "assumed"),
        Headline(
            f"Over {offer.surface.years} years",
            money(offer.gain, currency),
            f"{per_head}, discounted",
            "assumed",
        ),
        Headline(
            "Break-even discount", percent(offer.plan.break_even_discount), "in year one", "assumed"
        ),
        Headline("Cash at once", money(offer.surface.cash_now, currency), "not value", "assumed"),
    ]


def _surface(offer: AnnualOffer, currency: str) -> Table:
    """Gain per acceptor over selection and renewal rate."""
    grid = offer.surface.table.pivot(
        index="selection", columns="renewal_rate", values="gain_per_acceptor"
    )
    gains = grid.to_numpy(dtype=np.float64)
    low, span = float(gains.min()), float(np.ptp(gains)) or 1.0
    rows = [
        (f"{k:g}", *(heat(money(x, currency), (x - low) / span) for x in of_row.tolist()))
        for k, of_row in zip(grid.index.tolist(), gains, strict=True)
    ]
    columns = [
        Column("Selection"),
        *(Column(percent(r), "number") for r in map(float, grid.columns.tolist())),
    ]
    caption = (
        f"Gain per customer who accepts over {offer.surface.years} years, by selection (rows) and "
        "share that renews the year (columns); both are assumed"
    )
    return Table(caption, columns, rows)


def _ages(offer: AnnualOffer, currency: str) -> Chart:
    """Whom to offer it to: the gain of a year by payments made."""
    paid, gain = offer.ages["paid"].tolist(), offer.ages["gain_per_acceptor"].tolist()
    rows = [
        (count(n), number(e, 1), money(g, currency))
        for n, e, g in zip(paid, offer.ages["expected_payments"].tolist(), gain, strict=True)
    ]
    columns = (
        Column("Payments made", "number"),
        Column("Would pay of the next 12", "number"),
        Column("Gain", "number"),
    )
    return line_chart(
        "Whom to offer it to",
        offer.whom.text,
        [
            Series("gain of the year per customer who accepts", paid, gain),
            Series("nothing gained", [paid[0], paid[-1]], [0.0, 0.0], "dash", "6"),
        ],
        number_axis(0, paid[-1], "Payments made so far; new customers at 0"),
        money_axis(min(0.0, *gain), max(0.0, *gain), currency, "Gain"),
        Table("By payments made so far", columns, rows),
        offer.whom.text,
    )
