"""Columns that know too much: what tells who comes back nearly for sure was not known at the start.

The values are those beside the first order, but a table is often filled in later: a column such as
"orders so far" says at every row what the customer did until the export. Nothing at a first order
tells the future that well. A column that tells it badly looks like an honest one in a single
export; in an earlier export of the same log it stands otherwise beside the same first orders, and
there it is caught, however little it tells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clv.errors import InputError
from clv.evaluate.metrics import auc
from clv.format import count, counted, listed, number
from clv.prospects.first_orders import DERIVED
from clv.schema import Floats

REFUSED = 0.8  # AUC of one column; first orders reach .55 to .7
CHANGED = 0.01  # share of the first orders of both exports; fewer are corrections
FEWEST = 30  # customers who came back, and who did not


def require_no_leak(table: pd.DataFrame, covariates: Sequence[str], came_back: Floats) -> None:
    """Refuse covariates that tell too well who came back.

    Parameters
    ----------
    table
        First orders.
    came_back
        1 for customers with a later order, else 0, shape (n,).

    Raises
    ------
    InputError
        A column alone ranks them with an AUC of .8 or more.

    Examples
    --------
    >>> table = pd.DataFrame({"orders_so_far": [1.0, 3.0] * 40})
    >>> require_no_leak(table, ["orders_so_far"], np.array([0.0, 1.0] * 40))
    Traceback (most recent call last):
    ...
    clv.errors.InputError: orders_so_far tells who bought again (AUC 1.00): that cannot be known...
    """
    if min(came_back.sum(), (1 - came_back).sum()) < FEWEST:
        return
    power = {name: _power(table[name], came_back) for name in covariates}
    leaks = [name for name, reached in power.items() if reached >= REFUSED]
    if leaks:
        reached = ", ".join(number(power[name]) for name in leaks)
        raise InputError(
            f"{listed(leaks)} tells who bought again (AUC {reached}): that cannot be known at the "
            "first order.",
            hint="leave it out, or take what stood there at the hour of the first order.",
        )


def require_unchanged(now: pd.DataFrame, then: pd.DataFrame, covariates: Sequence[str]) -> None:
    """Refuse covariates that an earlier export has otherwise beside the same first orders.

    Parameters
    ----------
    now, then
        First orders of the same log, exported now and at an earlier day.
    covariates
        Their columns; those that every log has from its orders are not looked at.

    Raises
    ------
    InputError
        No first order is in both, or a column changed in more than 1% of them.

    Examples
    --------
    >>> day = pd.Timestamp("2024-01-05")
    >>> then = pd.DataFrame({"customer_id": [1, 2], "first_order": day, "visits": [1.0, 1.0]})
    >>> require_unchanged(then.assign(visits=[1.0, 4.0]), then, ["visits"])
    Traceback (most recent call last):
    ...
    clv.errors.InputError: visits was filled in after the first order: 1 of 2 first orders that...
    """
    keys = ["customer_id", "first_order"]
    both = now.merge(then, on=keys, suffixes=("", " then"))
    if both.empty:
        raise InputError(
            "no first order is in both exports.", hint="take an earlier export of the same log."
        )
    for name in covariates:
        if name in DERIVED:
            continue
        other = both[f"{name} then"]
        changed = ~((both[name] == other) | (both[name].isna() & other.isna()))
        if changed.mean() > CHANGED:
            who = both["customer_id"][changed].iloc[0]
            raise InputError(
                f"{name} was filled in after the first order: {count(changed.sum())} of "
                f"{counted(len(both), 'first order')} that an earlier export has too stand "
                f"otherwise there, as that of customer {who}.",
                hint="leave it out, or take what stood there at the hour of the first order.",
            )


def _power(column: pd.Series, came_back: Floats) -> float:
    """The AUC of a column, whichever way it points; of levels, by how many of each came back."""
    if pd.api.types.is_float_dtype(column):
        reached = auc(came_back, column.to_numpy(dtype=np.float64))
        return max(reached, 1 - reached)
    others = pd.DataFrame({"level": column.astype(str).to_numpy(), "back": came_back})
    by_level = others.groupby("level")["back"]
    size, back = by_level.transform("size"), by_level.transform("sum")
    rest = (back - others["back"]) / (size - 1).clip(lower=1)  # without the customer himself
    return auc(came_back, rest.where(size > 1, came_back.mean()).to_numpy(dtype=np.float64))
