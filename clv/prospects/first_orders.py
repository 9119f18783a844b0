"""What was known at the first order's hour: one row a customer, nothing of any later order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from narwhals.typing import IntoFrame

from clv.data.days import Day, as_day
from clv.data.log import COLUMNS, read_log
from clv.errors import ColumnError, InputError, RowError
from clv.schema import collect

if TYPE_CHECKING:
    import pandas as pd

AMOUNT, WEEKDAY, MONTH = "amount", "weekday", "month"
DERIVED = (AMOUNT, WEEKDAY, MONTH)  # of every log
NOT_KNOWN = "not known"


def first_orders(
    log: IntoFrame, covariates: Sequence[str] = (AMOUNT,), as_of: Day | None = None
) -> pd.DataFrame:
    """The first order of every customer, with what it says.

    Rows of a customer within the hour of the first one are the first order; where the log has days
    alone, those of the first day. Later rows are not looked at, so that a column that is filled in
    afterwards says what stood beside the first order.

    Parameters
    ----------
    log
        Any dataframe with customer_id, date (with the time of day, where it is known) and amount,
        and the columns that are covariates.
    covariates
        "amount", "weekday" and "month" are of every log; others are columns. Numbers are added up
        over the rows of the order, shares between 0 and 1 averaged; text is a level.
    as_of
        The last day that is known; later rows are left out.

    Returns
    -------
    pandas.DataFrame
        customer_id, first_order (its day), first_amount, and the covariates, in the order of
        customers.

    Raises
    ------
    ColumnError, RowError
        A column is missing, or a number is.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> table = first_orders(cdnow_log(sample=True), ["quantity", "weekday"])
    >>> table[["first_amount", "quantity", "weekday"]].head(1)
       first_amount  quantity    weekday
    0         29.33       2.0  Wednesday
    """
    import pandas as pd

    others = [name for name in dict.fromkeys(covariates) if name not in DERIVED]
    if unusable := [name for name in others if name in ("customer_id", "date")]:
        raise InputError(f"{unusable[0]} is no covariate.", hint="weekday and month are.")
    read_log(log)  # or say what is wrong with it
    rows = collect(log, [*COLUMNS, *others], "the log").to_pandas()
    times = pd.to_datetime(rows["date"])
    if as_of is not None:
        until = (times < pd.Timestamp(as_day(as_of, "as_of")) + pd.Timedelta(days=1)).to_numpy()
        rows, times = rows[until], times[until]
    hour = times.dt.floor("h")
    first = hour == hour.groupby(rows["customer_id"]).transform("min")
    rows = rows[first.to_numpy()].assign(date=times[first].dt.normalize())
    by_customer = rows.groupby("customer_id", sort=True)
    table = by_customer.agg(first_order=("date", "min"), first_amount=("amount", "sum"))
    for name in others:
        table[name] = _of_order(rows, name)
    table[WEEKDAY] = table["first_order"].dt.day_name()
    table[MONTH] = table["first_order"].dt.month_name()
    table[AMOUNT] = table["first_amount"]
    names = ["first_order", "first_amount", *dict.fromkeys(covariates)]
    return table[names].reset_index()


def _of_order(rows: Any, name: str) -> Any:
    """What the rows of first orders say in a column, by customer."""
    import pandas as pd

    cells, customers = rows[name], rows["customer_id"]
    if not pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_bool_dtype(cells):
        if pd.api.types.is_datetime64_any_dtype(cells):
            raise ColumnError(f"the covariate {name!r} holds days.", hint="weekday and month are.")
        return cells.astype("string").groupby(customers).min().fillna(NOT_KNOWN)
    numbers = pd.to_numeric(cells).astype(float)
    if (gaps := ~np.isfinite(numbers.to_numpy())).any():
        examples = [f"customer {who}" for who in customers[gaps].head(3)]
        what = f"{name} of a first order is missing or infinite"
        raise RowError.of(what, int(gaps.sum()), examples, hint="fill it, or leave it out.")
    is_share = bool(numbers.between(0, 1).all())
    return numbers.groupby(customers).agg("mean" if is_share else "sum")
