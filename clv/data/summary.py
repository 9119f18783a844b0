"""From a log of purchases to one row per customer: the summary that every model reads.

The same two steps serve calibration and holdout: rows become customer-days (all that a customer
spent on one calendar day is one purchase), customer-days become customers. So the two always add
up to the whole.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrame, IntoFrameT

from clv.data.days import Day, as_day, day_number
from clv.data.log import floats, read_log
from clv.data.money import as_summed, quotient, summed
from clv.errors import InputError
from clv.format import number
from clv.periods import DAYS, Unit, as_unit
from clv.schema import Frame, as_frame, as_given, in_one_piece, numbers, require_columns


def summarize(
    log: IntoFrameT, as_of: Day | None = None, unit: Unit = "week", *, merged: bool = False
) -> IntoFrameT:
    """One row per customer, as seen at the end of the day ``as_of``.

    Parameters
    ----------
    log
        A table with customer_id, date and amount, best from :func:`clv.data.transactions.clean`;
        pandas, Polars, PyArrow, DuckDB or Spark. Rows of one customer on one day count as one
        purchase. With a column ``channel``, the channel of the first purchase comes along.
    as_of
        The last day that is known. Later rows are left out before anything is computed. The last
        day of the log if not given.
    unit
        The unit of recency and T: day, week, month (30.4375 days) or year (365.25 days).
    merged
        Whether each row is all that a customer bought on one day, as ``clean`` leaves a log unless
        told otherwise. Then days need not be added up again, which of a large log takes long.

    Returns
    -------
    The same kind of table, lazy if the log was; eager ones are sorted by customer_id:

    =================  =====================================================================
    customer_id        as in the log
    frequency          repeat purchases, that is days with a purchase minus one
    recency            age at the last purchase, in units (not the time since it)
    T                  age at the end of ``as_of``, in units
    monetary_value     mean amount of the repeat purchases, 0 if there were none
    first_amount       amount of the first purchase
    days_since_last    days from the last purchase to ``as_of``
    channel            of the first purchase, if the log has channels
    unit, as_of        the same in every row
    =================  =====================================================================

    Raises
    ------
    ColumnError
        A column is missing or has the wrong type.
    RowError
        A customer, date or amount is missing, or an amount is negative. A zero amount is taken
        as a purchase without money, as the published CDNOW summary does; ``clean`` drops them.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"customer_id": ["a", "a", "a", "b"], "amount": [10.0, 10.0, 30.0, 5.0],
    ...     "date": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-15", "2024-01-08"])})
    >>> table = summarize(log, as_of="2024-01-29")
    >>> table[["customer_id", "frequency", "recency", "T", "monetary_value", "first_amount"]]
      customer_id  frequency  recency    T  monetary_value  first_amount
    0           a          1      2.0  4.0            30.0          20.0
    1           b          0      0.0  3.0             0.0           5.0
    """
    rows, first, last = read_log(log)
    end = last if as_of is None else as_day(as_of, "as_of")
    _require_begun(first, end)
    days = customer_days(rows.filter(nw.col("date") <= nw.lit(end)), merged=merged)
    return as_given(of_customer_days(days, end, as_unit(unit)), log, "customer_id")


def summary_to_fit(
    log: IntoFrame, unit: Unit, *, merged: bool = False, covariates: bool = True
) -> tuple[nw.DataFrame[Any], str, float]:
    """What models are fitted on, the day it is as of, and the mean of the first amounts.

    In one order, so that one log gives one model, to the last bit. What no model reads is left out,
    and without ``covariates`` what may be one, too: of many millions of customers it would take
    more room than the rest.
    """
    table = as_frame(summarize(log, unit=unit, merged=merged)).sort("customer_id")
    others = () if covariates else ("days_since_last",)
    rows = table.drop("customer_id", "unit", *others).collect()
    as_of, first_amount = str(rows["as_of"][0])[:10], float(numbers(rows, "first_amount").mean())
    others = () if covariates else ("first_amount",)
    return in_one_piece(rows.drop("as_of", *others)), as_of, first_amount


def split_holdout(
    log: IntoFrameT, cutoff: Day, end: Day | None = None, unit: Unit = "week"
) -> IntoFrameT:
    """The summary as of ``cutoff``, beside what the same customers did in (cutoff, end].

    Parameters
    ----------
    log, unit
        As in :func:`summarize`.
    cutoff
        The last day of calibration. Customers who first bought later are not in the result.
    end
        The last day of the holdout; the last day of the log if not given.

    Returns
    -------
    The table of :func:`summarize` with three more columns: ``holdout_frequency`` (days with a
    purchase), ``holdout_value`` (what was spent, in all), ``holdout_duration`` (in units).

    Refunds that ``clean`` netted are known with hindsight: an order before the cutoff that was
    refunded after it is already gone. Where that matters, ``clean(log, as_of=cutoff)`` gives the
    log as it could be known then.

    Raises
    ------
    ColumnError, RowError
        The log cannot be used.
    InputError
        The holdout has no days, or a day cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"customer_id": [1, 1, 1], "amount": [10.0, 10.0, 10.0],
    ...     "date": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-01"])})
    >>> table = split_holdout(log, cutoff="2024-01-15", end="2024-02-12")
    >>> table[["frequency", "holdout_frequency", "holdout_value", "holdout_duration"]]
       frequency  holdout_frequency  holdout_value  holdout_duration
    0          0                  1           20.0               4.0
    """
    rows, first, last = read_log(log)
    start, stop = as_day(cutoff, "cutoff"), last if end is None else as_day(end, "end")
    if stop <= start:
        raise InputError(
            f"the holdout ({start}, {stop}] has no days.",
            hint=f"choose a cutoff before the end; the log reaches to {last}.",
        )
    _require_begun(first, start)
    both = split_customer_days(customer_days(rows), start, stop, as_unit(unit))
    return as_given(both, log, "customer_id")


def margin_rate(log: IntoFrameT) -> float:
    """The contribution margin rate that a log measures: sum of margin over sum of amount.

    Rows without a margin are left out of both sums.

    >>> import pandas as pd
    >>> margin_rate(pd.DataFrame({"amount": [100.0, 50.0, 70.0], "margin": [30.0, 15.0, None]}))
    0.3
    """
    frame = as_frame(log, "the log")
    require_columns(frame, ("amount", "margin"), "the log")
    both_known = floats(frame, "amount", "margin").filter(~nw.col("margin").is_null())
    total = summed(both_known.with_columns(_all=nw.lit(0)), ["_all"], ["amount", "margin"])
    amount, margin = next(total.select("amount", "margin").collect().iter_rows(), (0.0, 0.0))
    if not amount > 0:
        raise InputError(
            "no row of the log has both an amount and a margin.",
            hint="map the margin column in clean(), or state an assumed margin rate.",
        )
    if margin > amount:
        raise InputError(
            f"the margins add up to {number(margin)}, more than the amounts, {number(amount)}.",
            hint="margin is money per order, after the costs that grow with it.",
        )
    return float(margin / amount)


def customer_days(rows: Frame, *, merged: bool = False) -> Frame:
    """One row per customer and day with a purchase: amount, and channel if there is one.

    Rows that are ``merged`` are such already.
    """
    if merged:
        return as_summed(rows, ["amount"])
    # several channels on one day: the first in the alphabet
    channel = [nw.col("channel").min()] if "channel" in rows.collect_schema() else []
    return summed(rows, ["customer_id", "date"], ["amount"], *channel)


def _customers(days: Frame) -> Frame:
    """One row per customer: purchases, first and last day, total spent."""
    dates = {"_first": nw.col("date").min(), "_last": nw.col("date").max()}
    aggregates = [expression.alias(name) for name, expression in {"_n": nw.len(), **dates}.items()]
    return summed(days, ["customer_id"], ["amount"], *aggregates).rename({"amount": "_total"})


def _require_begun(first_day: dt.date, as_of: dt.date) -> None:
    if as_of < first_day:
        raise InputError(
            f"nobody had bought by {as_of}: the log begins on {first_day}.",
            hint="choose a later date.",
        )


def split_customer_days(days: Frame, start: dt.date, stop: dt.date, unit: Unit) -> Frame:
    """What ``split_holdout`` gives for (start, stop], of one row per customer and day."""
    date = nw.col("date")
    later = days.filter(date > nw.lit(start), date <= nw.lit(stop))
    holdout = _customers(later).select(
        "customer_id", holdout_frequency="_n", holdout_value="_total"
    )
    earlier = of_customer_days(days.filter(date <= nw.lit(start)), start, unit)
    return earlier.join(holdout, on="customer_id", how="left").with_columns(
        nw.col("holdout_frequency").fill_null(0).cast(nw.Int64),
        nw.col("holdout_value").fill_null(0.0),
        holdout_duration=nw.lit((stop - start).days / DAYS[unit]),
    )


def of_customer_days(days: Frame, as_of: dt.date, unit: Unit) -> Frame:
    """The summary of a log that has one row per customer and day, none after ``as_of``."""
    channel = ["channel"] if "channel" in days.collect_schema() else []
    first = days.select("customer_id", *channel, _first="date", first_amount="amount")
    whole = _customers(days).join(first, on=["customer_id", "_first"], how="left")
    return of_customers(whole, as_of, unit)


def of_customers(whole: Frame, as_of: dt.date, unit: Unit) -> Frame:
    """The summary of one row per customer: _n, _first, _last, _total, first_amount, channel."""
    channel = ["channel"] if "channel" in whole.collect_schema() else []
    counted = whole.with_columns(
        frequency=nw.col("_n").cast(nw.Int64) - 1,
        _start=day_number("_first"),
        _end=day_number("_last"),
        _repeat=nw.col("_total") - nw.col("first_amount"),
    )
    age = nw.lit(as_of.toordinal()) - nw.col("_start")
    return counted.select(
        "customer_id",
        "frequency",
        recency=quotient((nw.col("_end") - nw.col("_start")).cast(nw.Float64), DAYS[unit]),
        T=quotient(age.cast(nw.Float64), DAYS[unit]),
        monetary_value=nw.when(nw.col("frequency") > 0)
        .then(nw.col("_repeat") / nw.col("frequency"))
        .otherwise(nw.lit(0.0)),
        first_amount="first_amount",
        days_since_last=(nw.lit(as_of.toordinal()) - nw.col("_end")).cast(nw.Float64),
        **{name: nw.col(name) for name in channel},
        unit=nw.lit(unit),
        as_of=nw.lit(as_of).cast(nw.Date),
    )
