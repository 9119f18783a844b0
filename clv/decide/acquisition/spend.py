"""The spend table: channel, period, spend, read once at the door, and the periods it speaks of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import NDArray

from clv.errors import ColumnError, InputError
from clv.intake.channel_names import spellings
from clv.intake.vocabulary import is_total
from clv.periods import Duration
from clv.schema import as_frame, collect, column, numbers, reject_rows, require_columns


@dataclass(frozen=True)
class Periods:
    """The distinct periods of a spend table, in order.

    Parameters
    ----------
    labels
        Each period as text: its first day, or whatever it is called.
    starts, ends
        The first day of each period and the day after it; empty where that is not known.
    codes
        Index into ``labels`` for each row of the spend table.
    """

    labels: tuple[str, ...]
    starts: tuple[date, ...]
    ends: tuple[date, ...]
    codes: NDArray[np.intp]

    @classmethod
    def from_values(cls, values: Sequence[object], length: Duration | None = None) -> Periods:
        """Read the period column; the length is inferred from the gaps unless given."""
        days = [as_day(value) for value in values]
        dated = None not in days
        texts = [str(day) for day in days] if dated else [str(value) for value in values]
        labels = sorted(set(texts))
        starts = sorted({day for day in days if day is not None}) if dated else []
        codes = np.searchsorted(np.array(labels), np.array(texts))
        return cls(tuple(labels), tuple(starts), tuple(_ends(starts, length)), codes)

    def find(self, value: object) -> int | None:
        """Index of the period that starts on, or is called, ``value``; None if there is none."""
        label = str(as_day(value) if self.starts else value)
        return self.labels.index(label) if label in self.labels else None

    def containing(self, day: date) -> int | None:
        """Index of the period that ``day`` falls into; None if there is none."""
        index = bisect_right(self.starts, day) - 1
        return index if index >= 0 and day < self.ends[index] else None

    def require_ends(self, purpose: str) -> None:
        """Raise ``InputError`` unless it is known when each period ends."""
        if not self.ends:
            raise InputError(
                f"{purpose} needs to know when each period begins and ends.",
                hint="give its first day (2024-03-01 or 2024-03), and for a single period its "
                'period_length, such as "1 month".',
            )

    def maturing(self, as_of: date, matures_after: Duration) -> NDArray[np.bool_]:
        """Which periods ended less than ``matures_after`` before ``as_of``."""
        self.require_ends("telling maturing cohorts")
        wait = timedelta(days=matures_after.to("day"))
        return np.array([end + wait > as_of for end in self.ends])


def as_day(value: object) -> date | None:
    """A date from a date, a datetime, "2024-03-01" or "2024-03"; None from anything else.

    >>> as_day("2024-03")
    datetime.date(2024, 3, 1)
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value)
    try:
        return date.fromisoformat(f"{text}-01" if len(text) == 7 else text)
    except ValueError:
        return None


def require_day(value: object) -> date:
    """``as_day``, or ``ColumnError``."""
    day = as_day(value)
    if day is None:
        raise ColumnError(f"{value!r} is not a date.", hint="write it as 2024-03-01.")
    return day


def read_spend(spend: IntoFrame) -> nw.DataFrame[Any]:
    """The checked spend table, one row per channel and period, in order.

    Its columns: channel, period, spend, fixed_cost (0 if there is none), loaded_spend (their
    sum) [, new_customers].
    """
    what, optional = "the spend table", ("fixed_cost", "new_customers")
    require_columns(as_frame(spend, what), ("channel", "period", "spend"), what)
    whole = nw.maybe_reset_index(as_frame(spend, what).collect())
    rows = collect(whole, ("channel", "period", "spend"), what, optional)
    if len(rows) == 0:
        raise InputError(f"{what} is empty.", hint="give channel, period and spend.")
    amounts = [name for name in ("spend", *optional) if name in rows.columns]
    columns = {name: rows[name].to_list() for name in ("channel", "period", *amounts)}
    for name in ("channel", "period"):
        reject_rows(rows[name].is_null().to_numpy(), f"{name} is missing", columns)
    for name in amounts:
        values = numbers(rows, name, what)
        bad = ~(np.isfinite(values) & (values >= 0))
        reject_rows(bad, f"{name} is missing, infinite or negative", columns)
    _require_real(whole, amounts, columns)
    named = spellings(columns["channel"], reversed([_trimmed(n) for n in columns["channel"]]))
    spelled = [named[name] for name in columns["channel"]]
    rows = rows.with_columns(
        nw.col(*amounts).cast(nw.Float64), column(rows, "channel", spelled, nw.String)
    )
    merged = rows.group_by("channel", "period").agg(nw.col(*amounts).sum())
    if "fixed_cost" not in amounts:
        merged = merged.with_columns(nw.lit(0.0).alias("fixed_cost"))
    loaded = (nw.col("spend") + nw.col("fixed_cost")).alias("loaded_spend")
    return merged.with_columns(loaded).sort("channel", "period")


def _trimmed(name: object) -> str:
    return " ".join(str(name).split())


def _require_real(
    whole: nw.DataFrame[Any], amounts: Sequence[str], columns: Mapping[str, Any]
) -> None:
    """Raise if rows of totals stand among channels, or rows with money repeat others in full."""
    totals = [is_total(_trimmed(name)) for name in columns["channel"]]
    if not all(totals):
        reject_rows(
            np.array(totals), "row of totals among the channels", columns, hint="leave them out."
        )
    every = list(zip(*(map(str, whole[name].to_list()) for name in whole.columns), strict=True))
    first = {values: place for place, values in reversed(list(enumerate(every)))}
    money = zip(*(columns[name] for name in amounts), strict=True)
    again = [
        first[values] != k and any(cells)
        for k, (values, cells) in enumerate(zip(every, money, strict=True))
    ]
    reject_rows(
        np.array(again),
        "row repeats another in every column, as one that was sent twice",
        columns,
        hint="drop it; if it is real, add up the rows of a channel and period.",
    )


def _ends(starts: Sequence[date], length: Duration | None) -> Iterator[date]:
    """The day after each period: a step of whole months, or of days, from its start.

    The step is the smallest gap between starts, so a period that is missing altogether does not
    stretch the one before it.
    """
    months = [12 * day.year + day.month for day in starts]
    monthly = all(day.day == 1 for day in starts)
    if length is None and len(starts) < 2:
        return
    if length is None and monthly:
        step = min(b - a for a, b in pairwise(months))
    elif length is not None and length.unit in ("month", "year"):
        step = round(length.to("month"))
    else:
        gaps = [(b - a).days for a, b in pairwise(starts)]
        days = min(gaps) if length is None else round(length.to("day"))
        yield from (day + timedelta(days=days) for day in starts)
        return
    yield from (_months_later(day, step) for day in starts)


def _months_later(day: date, months: int) -> date:
    year, month = divmod(12 * day.year + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, 28))
