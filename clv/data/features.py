"""What a summary and a log say of a customer, as numbers to learn from.

Two sets: ``FEATURES`` come from the columns that every summary has; ``LOG_FEATURES`` need columns
that :func:`with_behaviour` adds from the log. Nothing here sees past the summary's as-of date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT

from clv.data.days import Day, as_day
from clv.data.gaps import with_gaps
from clv.data.log import read_log
from clv.data.money import quotient, summed
from clv.errors import InputError
from clv.findings import Finding
from clv.history import HISTORY, History, read_history, read_unit, same_unit
from clv.periods import DAYS, Duration, Unit, as_unit
from clv.schema import (
    Floats,
    Frame,
    as_frame,
    as_given,
    collect,
    numbers,
    reject_rows,
    require_columns,
)

Columns = Mapping[str, Any]  # a summary as arrays of shape (n,), by the names of its columns
MONEY = ("monetary_value", "first_amount")  # columns of every summary, beside its history


@dataclass(frozen=True)
class Feature:
    """A number to learn from; one entry of ``FEATURES`` or ``LOG_FEATURES``.

    Attributes
    ----------
    topic
        What it speaks of: a reason for a churn score adds up the effects of one topic.
    value
        From the columns of a summary and its history, before log(1 + value) is taken.
    columns
        What ``with_behaviour`` adds and ``value`` reads; none where every summary has it.
    from_log
        Makes ``columns`` beside customer_id from the customer-days (customer_id, date, amount,
        _day, _gap in days), the as-of date and the window in days; None where ``_behaviour`` does.
    words
        Says the reason of customer i from the facts, for a topic of which
        :mod:`clv.churn.reasons` has no words yet.
    """

    topic: str
    value: Callable[[Columns, History], Floats]
    columns: tuple[str, ...] = ()
    from_log: Callable[[Frame, dt.date, int], Frame] | None = None
    words: Callable[[Mapping[str, Any], int], Finding] | None = None


def features(summary: IntoFrame | Columns, history: History | None = None) -> Floats:
    """The columns ``FEATURES`` of shape (n, 7), from nothing but the summary.

    Counts, times and money are on the scale log(1 + value), so that a linear model can use them.
    A customer without a repeat purchase has no gap yet: the usual gap is then the age, the silence
    one gap, the mean amount the first one. ``history`` is the summary's, where it was read already;
    the summary may also come as arrays, which are believed to be in order.

    >>> import pandas as pd
    >>> one = pd.DataFrame({"frequency": [4], "recency": [20.0], "T": [30.0],
    ...                     "monetary_value": [12.0], "first_amount": [9.0]})
    >>> dict(zip(FEATURES, np.expm1(features(one)[0]).round(2).tolist()))
    {'frequency': 4.0, 'age': 30.0, 'since_last': 10.0, 'usual_gap': 5.0, 'gaps_silent': 2.0,
     'first_amount': 9.0, 'mean_amount': 12.0}
    """
    columns, history = _read(summary, MONEY, history)
    columns = {**columns, **{name: _money(columns, name) for name in MONEY}}
    return _table(FEATURES, columns, history)


def usual_gap(history: History) -> Floats:
    """Mean time between purchases, in the history's unit; the age of who bought once."""
    return np.where(history.x > 0, history.t_x / np.maximum(history.x, 1), history.T)


def log_features(summary: IntoFrame | Columns, history: History | None = None) -> Floats:
    """The columns ``LOG_FEATURES`` of shape (n, 6), of a summary that ``with_behaviour`` widened.

    On the scale log(1 + value). The spread of the gaps is their standard deviation over their
    mean, 1 (as for purchases at random) for who has fewer than two gaps; the last gap of who
    bought once is the age.
    """
    columns, history = _read(summary, BEHAVIOUR, history)
    return _table(LOG_FEATURES, columns, history)


def _table(entries: Mapping[str, Feature], columns: Columns, history: History) -> Floats:
    values = [feature.value(columns, history) for feature in entries.values()]
    return np.asarray(np.log1p(np.column_stack(values)))


def _since(_: Columns, history: History) -> Floats:
    return history.T - history.t_x


def _gaps_silent(columns: Columns, history: History) -> Floats:
    since, gap = _since(columns, history), usual_gap(history)
    return np.divide(since, gap, out=np.ones_like(since), where=gap > 0)


def _mean_amount(columns: Columns, history: History) -> Floats:
    zbar, first = (np.asarray(columns[name]) for name in MONEY)
    return np.where(history.x > 0, zbar, first)


def _unsteadiness(columns: Columns, history: History) -> Floats:
    gap = usual_gap(history)
    several = (gap > 0) & (history.x > 1)
    return np.divide(columns["gap_spread"], gap, out=np.ones_like(gap), where=several)


def _last_gap(columns: Columns, history: History) -> Floats:
    return np.where(history.x > 0, columns["last_gap"], history.T)


def _last_gap_share(columns: Columns, history: History) -> Floats:
    gap = usual_gap(history)
    return np.divide(_last_gap(columns, history), gap, out=np.ones_like(gap), where=gap > 0)


def _column(name: str) -> Callable[[Columns, History], Floats]:
    return lambda columns, _: np.asarray(columns[name])


# Of every summary: from its history and MONEY.
FEATURES: dict[str, Feature] = {
    "frequency": Feature("pace", lambda _, history: history.x),
    "age": Feature("age", lambda _, history: history.T),
    "since_last": Feature("silence", _since),
    "usual_gap": Feature("pace", lambda _, history: usual_gap(history)),
    "gaps_silent": Feature("silence", _gaps_silent),
    "first_amount": Feature("spend", _column("first_amount")),
    "mean_amount": Feature("spend", _mean_amount),
}
# Of summaries that ``with_behaviour`` widened.
LOG_FEATURES: dict[str, Feature] = {
    "gap_spread": Feature("rhythm", _unsteadiness, ("gap_spread",)),
    "last_gap": Feature("rhythm", _last_gap, ("last_gap",)),
    "last_gap_share": Feature("rhythm", _last_gap_share, ("last_gap",)),
    "last_amount": Feature("spend", _column("last_amount"), ("last_amount",)),
    "recent": Feature("trend", _column("recent"), ("recent",)),
    "earlier": Feature("trend", _column("earlier"), ("earlier",)),
}


def behaviour() -> tuple[str, ...]:
    """The columns that the features of the log read."""
    return tuple(
        dict.fromkeys(name for feature in LOG_FEATURES.values() for name in feature.columns)
    )


BEHAVIOUR = behaviour()


def in_memory(summary: IntoFrame | Columns) -> Any:
    """A summary that can be read again and again: a lazy one as a table, arrays as they are."""
    if isinstance(summary, Mapping):
        return summary
    return as_frame(summary, "the summary").collect().to_native()


def with_behaviour(
    summary: IntoFrameT, log: IntoFrame, as_of: Day, window: str | Duration, unit: Unit = "week"
) -> IntoFrameT:
    """The summary with what only the log knows of each customer, as of the same day.

    Parameters
    ----------
    summary
        A summary of ``log`` as of ``as_of`` in ``unit``.
    log
        The log, of the same engine as the summary; rows after ``as_of`` are left out first.
    window
        The time over which recent purchases are counted: the churn horizon.

    Returns
    -------
    The same kind of table with more columns: ``gap_spread`` (standard deviation of the times
    between purchases, in units), ``last_gap`` (the newest of them), ``last_amount``, ``recent``
    (purchases in the window up to ``as_of``) and ``earlier`` (in the window before it). Gaps are 0
    for who bought once.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.data.summary import summarize
    >>> log = pd.DataFrame({"customer_id": 1, "amount": [9.0, 9.0, 5.0],
    ...     "date": pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-29"])})
    >>> table = with_behaviour(summarize(log), log, "2024-01-29", Duration(2, "week"))
    >>> table[["gap_spread", "last_gap", "last_amount", "recent", "earlier"]]
       gap_spread  last_gap  last_amount  recent  earlier
    0         1.0       3.0          5.0     1.0      1.0
    """
    rows, _, _ = read_log(log)
    end = as_day(as_of, "as_of")
    rows_by_then = rows.filter(nw.col("date") <= nw.lit(end))
    days = summed(rows_by_then, ["customer_id", "date"], ["amount"])
    frame = as_frame(summary, "the summary")
    require_columns(frame, ("customer_id",), "the summary")
    same_unit(as_unit(unit), read_unit(summary))
    length = Duration.parse(window)
    wide = beside_behaviour(frame, days, end, length, as_unit(unit))
    return as_given(wide, summary, "customer_id")


def beside_behaviour(
    summary: Frame, days: Frame, end: dt.date, window: Duration, unit: Unit
) -> Frame:
    """``with_behaviour`` for frames in order: ``days`` has one row per customer and day."""
    gaps = with_gaps(days).with_columns(nw.col("_gap").cast(nw.Float64).fill_null(0.0))
    return _beside(summary, _behaviour(gaps, end, round(window.to("day")), DAYS[unit]))


def _beside(frame: Frame, other: Frame) -> Frame:
    """``frame`` joined by customer; PyArrow would not join its two kinds of text."""
    if frame.implementation.is_pyarrow():
        alike = nw.col("customer_id").cast(frame.collect_schema()["customer_id"])
        frame, other = frame.with_columns(alike), other.with_columns(alike)
    return frame.join(other, on="customer_id", how="left")


def refuse_future(table: IntoFrame, cutoff: dt.date) -> None:
    """Raise ``InputError`` if features of ``table`` were computed from days after the cutoff.

    Parameters
    ----------
    table
        A summary with as_of and days_since_last: its newest day is the later of the as-of date
        and the last purchase.
    """
    rows = collect(table, ("as_of", "days_since_last"), "the features")
    since = numbers(rows, "days_since_last")
    newest = max(rows["as_of"].cast(nw.Date).to_list(), default=cutoff)
    newest += dt.timedelta(days=max(0.0, float(-since.min(initial=0.0))))
    if newest > cutoff:
        raise InputError(
            f"features at the cutoff {cutoff} were computed from data up to {newest}: what a score "
            "is to foretell is already in them.",
            hint=f"summarize the log as of {cutoff}.",
        )


def _read(
    summary: IntoFrame | Columns, names: Sequence[str], history: History | None
) -> tuple[Columns, History]:
    """Columns of numbers and the history of a summary, all read at once."""
    if isinstance(summary, Mapping):
        return summary, history or History(*(summary[name] for name in HISTORY))
    rows = collect(summary, (*HISTORY, *names), "the summary", ("customer_id",))
    columns = {name: numbers(rows, name, "the summary") for name in names}
    return columns, history or read_history(rows.to_native())


def _money(columns: Columns, name: str) -> Floats:
    value: Floats = columns[name]
    bad = ~(np.isfinite(value) & (value >= 0))
    reject_rows(bad, f"{name} is missing or negative", {name: value})
    return value


def _behaviour(days: Frame, end: dt.date, window: int, unit_days: float) -> Frame:
    flagged = in_windows(days, end, window).with_columns(_square=nw.col("_gap") * nw.col("_gap"))
    sums = flagged.group_by("customer_id").agg(
        nw.col("recent", "earlier", "_gap", "_square").sum(),
        _n=nw.len(),
        _last=nw.col("_day").max(),
    )
    last = days.select("customer_id", _last="_day", last_gap="_gap", last_amount="amount")
    whole = sums.join(last, on=["customer_id", "_last"], how="left")
    table = behaviour_of_sums(whole, unit_days)
    for feature in LOG_FEATURES.values():
        if feature.from_log is not None:
            table = _beside(table, feature.from_log(days, end, window))
    return table


def in_windows(days: Frame, end: dt.date, window: int) -> Frame:
    """Customer-days with ``recent`` and ``earlier``: 1 in the window up to ``end``, before it."""
    ago = nw.lit(end.toordinal()) - nw.col("_day")
    return days.with_columns(
        recent=(ago < window).cast(nw.Float64),
        earlier=((ago >= window) & (ago < 2 * window)).cast(nw.Float64),
    )


def behaviour_of_sums(sums: Frame, unit_days: float) -> Frame:
    """What ``with_behaviour`` adds, of one row per customer.

    With recent, earlier, last_gap, last_amount, and of the gaps in days their sum ``_gap`` and that
    of their squares ``_square``; ``_n`` is how many days with a purchase there are.
    """
    whole = sums.with_columns(_gaps=nw.col("_n").cast(nw.Float64) - 1.0)
    several = nw.when(nw.col("_gaps") > 0).then(nw.col("_gaps")).otherwise(nw.lit(1.0))
    mean = nw.col("_gap") / several
    variance = nw.col("_square") / several - mean * mean
    real = nw.when(nw.col("_variance") > 1e-9).then(nw.col("_variance"))  # else it is rounding
    spread = real.otherwise(nw.lit(0.0)).sqrt()
    return whole.with_columns(_variance=variance).select(
        "customer_id",
        "last_amount",
        "recent",
        "earlier",
        gap_spread=quotient(spread, unit_days),
        last_gap=quotient(nw.col("last_gap"), unit_days),
    )
