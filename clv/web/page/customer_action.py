"""What the plan proposes to do about a customer, and what to offer next."""

from __future__ import annotations

from typing import Any

import numpy as np

from clv.app.contents.handoffs import NEXT_OFFERS
from clv.app.customer_record import CustomerRecord, Row
from clv.decide.retention.offer import Offer, treat
from clv.format import count, percent, sentence
from clv.report.charts import Column, Table
from clv.spans import span
from clv.store import Store
from clv.web.page.tables import facts, with_days

PLANS = ("targets", "retention_targets", "plan")  # tables in which an action may stand


def offers(store: Store, customer: CustomerRecord, key: str) -> Table | None:
    """What to offer next, as ``clv offers`` wrote it; None where nothing was published."""
    rows = sorted(store.rows_of(NEXT_OFFERS, key), key=lambda row: int(row["rank"]))
    if not rows:
        return None
    horizon = rows[0].get("horizon")
    within = f"within {span(horizon)}" if horizon else "within the horizon of the offers"
    figures = [Column(name, "number") for name in ("Chance", "Spend", "Value")]
    columns = (Column("Item"), Column("Kind"), *figures, Column("Because", "prose"))
    cells = [
        (
            str(row.get("name") or row["item"]),
            str(row["kind"]),
            percent(row["chance"]),
            customer.money(row["spend"]),
            customer.money(row["value"]),
            sentence(with_days(str(row["because"]))),
        )
        for row in rows
    ]
    caption = f"Chance of a purchase {within}, offered or not; what an offer adds is not measured"
    return Table(caption, columns, cells)


def action(store: Store, customer: CustomerRecord, key: str) -> dict[str, Any]:
    """What the published plan proposes, and whether the customer may be contacted."""
    row = customer.row
    barred, stake = (
        "",
        f"Keeping this customer would be worth {customer.money(row['value_at_stake'])}.",
    )
    if "eligible" in row and not row["eligible"]:
        barred = sentence(f"must not be contacted: {row.get('reason') or 'no reason is given'}")
    name = next((name for name in PLANS if name in store.tables), None)
    found = store.rows_of(name, key) if name else []
    pays = _would_pay(customer)
    said = f"No list of targets was published with these scores. {stake} {pays}"
    if name:
        said = f"The published list of targets leaves this customer out. {stake} {pays}"
    if barred:
        said = f"Do not contact this customer. {stake}"
    if found:
        said = f"{_proposed(found[0])} {stake}"
    shown = facts(_of_plan(found[0], customer)) if found else ""
    return {"barred": barred, "said": said, "facts": shown}


def _would_pay(customer: CustomerRecord) -> str:
    """From which save rate on a plain contact would pay."""
    offer, row = Offer(contact_cost=1), customer.row
    found = treat([row["churn_probability"]], [row["value_at_stake"]], offer).break_even[0]
    if not np.isfinite(found):
        return f"No contact that costs {customer.money(1)} would pay."
    rate = percent(float(found))
    return (
        f"A contact that costs {customer.money(1)} pays if it keeps more than {rate} of such "
        "customers who would leave."
    )


def _proposed(one: Row) -> str:
    """The action in a sentence."""
    offer = f"the offer {one['action']}" if one.get("action") else "the offer"
    if one.get("group") == "control":
        return f"Do nothing: held out as control, to measure what {offer} does."
    return f"Make {offer}." if one.get("action") else "Make the offer of the plan."


def _of_plan(one: Row, customer: CustomerRecord) -> dict[str, str]:
    """What a plan counts on for this customer."""
    names = {
        "cost": "Cost",
        "expected_gain": "Expected gain",
        "expected_profit": "Expected profit",
    }
    shown = {label: customer.money(one[n]) for n, label in names.items() if one.get(n) is not None}
    if one.get("rank") is not None:
        shown["Place on the list"] = count(one["rank"])
    if one.get("save_rate_source"):
        shown["The save rate is"] = str(one["save_rate_source"])
    return shown
