"""What campaigns check of scores and money, and what they carry along."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from clv.errors import InputError
from clv.schema import reject_rows

WITHIN_WINDOW = "margin within the window"  # as ``UpliftModel.value_source`` calls it
CONSTANTS = (
    "horizon",
    "churn_horizon",
    "annual_discount_rate",
    "margin_rate",
    "currency",
    "unit",
    "as_of",
    "model_version",
)


def limit(budget: float | None) -> float:
    """A budget as a number, infinite for none; ``InputError`` if it is no amount of money."""
    money = np.inf if budget is None else budget
    if not money >= 0:
        raise InputError(f"a budget of {budget} is not an amount of money.")
    return money


def check_customers(rows: nw.DataFrame[Any]) -> None:
    """``RowError`` unless every customer is there once; ``InputError`` if there is none."""
    if len(rows) == 0:
        raise InputError("the scores have no customers.", hint="score a summary first.")
    ids = rows["customer_id"]
    shown: dict[str, Any] = {"customer_id": ids.to_numpy()}
    reject_rows(ids.is_null().to_numpy(), "customer_id is missing", shown)
    if ids.n_unique() < len(rows):
        reject_rows(ids.is_duplicated().to_numpy(), "customer_id is repeated", shown)


def check_one_value(rows: nw.DataFrame[Any]) -> None:
    """``InputError`` where values over several horizons or in several currencies would be added."""
    for name in ("horizon", "currency"):
        if name in rows.columns and rows[name].n_unique() > 1:
            raise InputError(
                f"the scores mix several values of {name}.",
                hint=f"rank customers of one {name} at a time.",
            )
