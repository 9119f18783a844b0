"""New customers per channel and period, counted from a summary, an order log or a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.decide.acquisition.spend import Periods, require_day
from clv.errors import ColumnError, InputError
from clv.findings import Finding, finding
from clv.format import counted
from clv.intake.channel_names import one_sided, require_counterparts, spellings
from clv.periods import DAYS, as_unit
from clv.schema import Floats, Frame, as_frame, collect, numbers, require_columns

UNKNOWN = "unknown"


@dataclass(frozen=True)
class NewCustomerCounts:
    """New customers per row of the spend table, and per period in all, unpaid ones included."""

    by_row: Floats
    paid: Floats
    everybody: Floats
    notes: tuple[Finding, ...]


def count_new_customers(
    rows: nw.DataFrame[Any], customers: IntoFrame | None, periods: Periods
) -> NewCustomerCounts:
    """New customers for the checked spend table ``rows``, from it or from ``customers``."""
    names = rows["channel"].to_list()
    counted_in_spend = "new_customers" in rows.columns
    if counted_in_spend and customers is not None:
        raise InputError(
            "new customers are counted twice: in the spend table and in the customers given.",
            hint="drop the column new_customers, or do not pass customers.",
        )
    if not counted_in_spend and customers is None:
        raise ColumnError(
            "the spend table has no column new_customers.",
            hint="add it, or pass customers: a summary or a clean log with a channel, or counts.",
        )
    count: dict[tuple[str, int | None], float] = defaultdict(float)
    counts = (
        zip(names, periods.codes.tolist(), rows["new_customers"].to_list(), strict=True)
        if customers is None
        else _cohorts(customers, periods)
    )
    entries = list(counts)
    theirs = spellings({channel for channel, *_ in entries}, names)
    for channel, code, number in entries:
        count[theirs[channel], code] += number
    if customers is not None:
        _require_met(count, names, numbers(rows, "loaded_spend"))
    return _match(count, names, numbers(rows, "loaded_spend"), periods)


def _require_met(
    count: Mapping[tuple[str, int | None], float], names: Sequence[str], loaded: Floats
) -> None:
    """Raise where names on both sides have no counterpart: then they are not spelled alike."""
    paid = {name for name, cost in zip(names, loaded.tolist(), strict=True) if cost > 0}
    within = {name for (name, code), number in count.items() if code is not None and number}
    silent, unpaid = one_sided(paid, names, {name for name, _ in count}, within)
    if silent and unpaid:
        require_counterparts(
            silent,
            unpaid,
            hint="spell them alike; give channels that cost nothing a row with spend 0.",
        )


def _match(
    count: Mapping[tuple[str, int | None], float],
    names: Sequence[str],
    loaded: Floats,
    periods: Periods,
) -> NewCustomerCounts:
    """Bring counted customers to the rows of the spend table; what finds no row is told."""
    cells = list(zip(names, periods.codes.tolist(), strict=True))
    if len(set(cells)) < len(cells):
        raise InputError("one period of the spend table is written in two ways.")
    by_row = np.array([count.get(cell, 0.0) for cell in cells])
    paying = {name for name, cost in zip(names, loaded.tolist(), strict=True) if cost > 0}
    paid, everybody = np.zeros(len(periods.labels)), np.zeros(len(periods.labels))
    for (channel, code), number in count.items():
        if code is not None:
            everybody[code] += number
            paid[code] += number if channel in paying else 0.0
    stray = float(paid.sum() - by_row[[name in paying for name in names]].sum())
    return NewCustomerCounts(by_row, paid, everybody, tuple(_count_notes(count, paying, stray)))


def _count_notes(
    count: Mapping[tuple[str, int | None], float], paying: set[str], stray: float
) -> Iterator[Finding]:
    if outside := sum(n for (_, code), n in count.items() if code is None):
        yield finding("acquisition.outside", customers=outside)
    if stray > 0:
        yield finding("acquisition.stray", customers=stray)
    unpaid = {c for (c, code), n in count.items() if code is not None and n} - paying
    if unpaid:
        yield finding("acquisition.unpaid", channels=sorted(unpaid))
    else:
        yield finding("acquisition.none_unpaid")


def _cohorts(customers: IntoFrame, periods: Periods) -> Iterator[tuple[str, int | None, float]]:
    """New customers as (channel, index of their period or None, how many).

    ``customers`` is a table of counts (channel, period, new_customers), a summary (channel, T,
    unit, as_of) or a clean log (customer_id, date, channel), told apart by these columns.
    """
    frame = as_frame(customers, "the customers")
    names = frame.collect_schema().names()
    if "new_customers" in names:
        for channel, period, count in _counted(frame):
            yield channel, periods.find(period), count
        return
    periods.require_ends("counting first purchases")
    for channel, day, count in first_purchases(frame):
        yield channel, periods.containing(day), count


def first_purchases(frame: Frame, more: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Channel, the columns ``more``, the first day and how many customers came so.

    ``frame`` is a summary or a clean log; in a log these are the values of the first day.
    """
    keys = ("channel", *more)
    summary = "T" in frame.collect_schema().names()
    return _from_summary(frame, keys) if summary else _from_log(frame, keys)


def _counted(frame: Frame) -> Iterator[tuple[str, object, float]]:
    what = "the table of new customers"
    rows = collect(frame, ("channel", "period", "new_customers"), what)
    counts = numbers(rows, "new_customers", what)
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise ColumnError(f"new_customers of {what} is missing or negative in some rows.")
    return zip(rows["channel"].to_list(), rows["period"].to_list(), counts.tolist(), strict=True)


def _from_summary(frame: Frame, keys: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """The first purchase was T before the end of observation."""
    columns = (*keys, "T", "unit", "as_of")
    require_columns(frame, columns, "the summary")
    for *values, T, unit, as_of, customers in _groups(frame, keys, columns):
        if T is None or not T >= 0:
            raise ColumnError(f"T of the summary is {T} in {counted(customers, 'row')}.")
        day = require_day(as_of) - timedelta(days=round(T * DAYS[as_unit(unit)]))
        yield *values, day, customers


def _from_log(frame: Frame, keys: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """The channel of the first day; with several on that day, the first by name."""
    require_columns(frame, ("customer_id", "date", *keys), "the log")
    log = _named(frame.select("customer_id", "date", *keys), keys)
    first = log.group_by("customer_id").agg(nw.col("date").min().alias("first"))
    on_first = log.join(first, on="customer_id").filter(nw.col("date") == nw.col("first"))
    origin = on_first.group_by("customer_id").agg(nw.col(*keys, "first").min())
    for *values, day, count in _groups(origin, keys, (*keys, "first")):
        yield *values, require_day(day), count


def _groups(
    frame: Frame, texts: tuple[str, ...], columns: tuple[str, ...]
) -> Iterator[tuple[Any, ...]]:
    """Distinct combinations of ``columns`` and how many rows share each."""
    grouped = _named(frame.select(*columns), texts).group_by(*columns).agg(nw.len().alias("_count"))
    return grouped.collect().iter_rows()


def _named(frame: Frame, texts: tuple[str, ...]) -> Frame:
    return frame.with_columns(nw.col(*texts).cast(nw.String).fill_null(UNKNOWN))
