"""Why a customer may leave, in words: what the model says, or else what it looks at."""

from __future__ import annotations

from typing import Any

from clv.app.customer_record import CustomerRecord
from clv.app.order_history import OrderHistory, unit_of
from clv.churn.reasons import WORDS, reason_table, reasons_of_row
from clv.format import counted, days, percent
from clv.periods import Unit
from clv.score_columns import PLAN, SUBSCRIBERS


def churn_words(customer: CustomerRecord) -> str:
    """What the churn risk is, and where it comes from."""
    risk = percent(customer.row["churn_probability"])
    within = f" within {customer.churn}" if customer.churn else ""
    lost = f"{customer.words.lost}{within}" if within else customer.words.lost.rstrip(",")
    source = str((customer.card.get("churn") or {}).get("source") or "")
    by = "purchase model" if source.startswith("P(") else source
    said = f"The chance of {lost} is {risk}{f', by the {by}' if by else ''}."
    alone = customer.row.get("probability_no_purchase")
    if alone is None or percent(alone) == risk:
        return said
    return f"{said} The purchase model alone, which draws the lines above, says {percent(alone)}."


def reasons(customer: CustomerRecord) -> list[str]:
    """Why the risk is what it is: reasons where the model tells them, else what it looks at."""
    if customer.reasons:
        return [str(reason) for reason in customer.reasons]
    if customer.words is SUBSCRIBERS:
        made = counted(customer.row["frequency"], "renewal")
        return [f"{made} made so far, on the plan {customer.row[PLAN]}"]
    if customer.life is None:
        return [f"last order {days(customer.row['days_since_last'])} ago"]
    churn = customer.models.churn
    if customer.model is None or churn is None:
        return inputs(customer.life)
    unit = unit_of(customer.model)
    table = reason_table(churn, _summary(customer.life, unit), customer.model, unit, 2)
    told = reasons_of_row(table.to_pylist()[0], customer.currency)
    return [str(reason) for reason in told] or inputs(customer.life)


def inputs(life: OrderHistory) -> list[str]:
    """What a churn model looks at, in words and without a verdict."""
    n = len(life.day) - 1
    since = life.age - float(life.day[-1])
    seen: dict[str, Any] = {
        "repeats": [n],
        "age": [life.age],
        "since": [since],
        "gap": [float(life.day[-1]) / n if n else life.age],
    }
    return [str(WORDS[topic](seen, 0)) for topic in ("silence", "pace", "age")]


def _summary(life: OrderHistory, unit: Unit) -> Any:
    """The summary's row of this customer."""
    import pyarrow as pa

    now = life.now(unit)
    repeat = life.amount[1:]
    columns: dict[str, Any] = {
        "customer_id": [""],
        "frequency": now.x,
        "recency": now.t_x,
        "T": now.T,
        "monetary_value": [float(repeat.mean()) if len(repeat) else 0.0],
        "first_amount": [float(life.amount[0])],
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()})
