"""How long customers usually wait between purchases, and the churn horizon that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.data.days import day_number
from clv.data.log import read_log
from clv.errors import FitError, UnitError
from clv.format import count, counted
from clv.history import read_history, read_unit
from clv.periods import DAYS, Duration, Unit, as_unit
from clv.schema import Floats, Frame, as_frame, collect, numbers

FEWEST = 30  # gaps that a proposal needs


@dataclass(frozen=True)
class HorizonProposal:
    """A churn horizon, and why.

    Attributes
    ----------
    horizon
        h, for the question "no purchase in the next h?".
    reason
        The gaps that it rests on, in words.
    """

    horizon: Duration
    reason: str


def propose_horizon(data: IntoFrame, unit: Unit = "week") -> HorizonProposal:
    """The churn horizon that the data's own gaps between purchases suggest.

    The 90th percentile of the gaps, kept between 2 and 3 times their median where it lies beyond:
    who is silent for longer than nine in ten gaps, yet not so long that a lapse shows too late.
    It is rounded up to whole units, and is at most half of the time that the data cover: the
    other half is needed to learn from.

    Parameters
    ----------
    data
        A clean log; or a summary, whose mean gap per repeat buyer then stands for the gaps, each
        counted as often as the customer has it.
    unit
        The unit of the horizon.

    Returns
    -------
    Proposal
        The horizon in whole units, and the reason in words.

    Raises
    ------
    FitError
        There are fewer than 30 gaps.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("2024-01-01", periods=60, freq="10D")
    >>> log = pd.DataFrame({"customer_id": 1, "date": days, "amount": 5.0})
    >>> found = propose_horizon(log, unit="day")
    >>> str(found.horizon)
    '20 days'
    >>> found.reason
    'half of the gaps between purchases are shorter than 10 days and nine in ten shorter than 10
     days; 20 days is twice the median gap.'
    """
    gaps, weight, covered = _gaps(data)
    if weight.sum() < FEWEST:
        raise FitError(
            f"the data have {count(weight.sum())} gaps between purchases; "
            f"a horizon takes {FEWEST}.",
            hint="name the churn horizon yourself, from how often customers should buy.",
        )
    median, ninth = (_quantile(gaps, weight, share) for share in (0.5, 0.9))
    days, why = _between(median, ninth)
    if days > covered / 2:
        days, why = covered / 2, "half of the time that the data cover"
    length = max(1, math.ceil(days / DAYS[as_unit(unit)] - 1e-9))
    horizon = Duration(length, as_unit(unit))
    half, most = counted(round(median), "day"), counted(round(ninth), "day")
    return HorizonProposal(
        horizon,
        f"half of the gaps between purchases are shorter than {half} and nine in ten shorter than "
        f"{most}; {horizon} is {why}.",
    )


def with_gaps(days: Frame) -> Frame:
    """Customer-days with ``_day``, their number, and ``_gap``, the days since the one before.

    The gap is null on a customer's first day. PyArrow has no windows over sorted groups: there the
    whole table is sorted, and a row looks at the row before if that is of the same customer.
    """
    numbered = days.with_columns(_day=day_number("date"))
    if not days.implementation.is_pyarrow():
        before = nw.col("_day").shift(1).over("customer_id", order_by="_day")
        return numbered.with_columns(_gap=nw.col("_day") - before)
    rows = numbered.collect().sort("customer_id", "_day")
    same = nw.col("customer_id") == nw.col("customer_id").shift(1)
    return rows.with_columns(
        _gap=nw.when(same).then(nw.col("_day") - nw.col("_day").shift(1))
    ).lazy()


def _between(median: float, ninth: float) -> tuple[float, str]:
    if ninth < 2 * median:
        return 2 * median, "twice the median gap"
    if ninth > 3 * median:
        return 3 * median, "three times the median gap"
    return ninth, "the 90th percentile"


def _gaps(data: IntoFrame) -> tuple[Floats, Floats, float]:
    """Gaps in days, how often each occurs, and the days that the data cover."""
    if "frequency" in as_frame(data).collect_schema().names():
        return _gaps_of_summary(data)
    rows, first, last = read_log(data)
    gaps = with_gaps(rows.select("customer_id", "date").unique()).filter(~nw.col("_gap").is_null())
    counted: Any = gaps.group_by("_gap").agg(_n=nw.len()).collect()
    return numbers(counted, "_gap"), numbers(counted, "_n"), float((last - first).days)


def _gaps_of_summary(summary: IntoFrame) -> tuple[Floats, Floats, float]:
    rows = collect(summary, ("frequency", "recency", "T"), "the summary", ("unit",)).to_native()
    unit = read_unit(rows)
    if unit is None:
        raise UnitError(
            "the summary does not say its time unit, so its gaps have no length.",
            hint='add a column unit, such as "week"; summarize() writes it.',
        )
    history, scale = read_history(rows), DAYS[unit]
    repeat = history.where(history.x > 0)
    return repeat.t_x / repeat.x * scale, repeat.x, float(history.T.max() * scale)


def _quantile(values: Floats, weight: Floats, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weight[order]) >= share * weight.sum()
    return float(values[order][np.argmax(reached)])
