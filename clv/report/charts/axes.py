"""Axes: from where to where, and round marks that say just where they stand."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from clv.format import figure, month, short_money, symbol, typed_percent

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
MONTHS = (1, 2, 3, 6, 12, 24, 36, 60, 120)  # between the marks of a time axis
DATES = 4  # marks of a time axis
EDGE, ROOM = 0.02, 0.3  # of it: a mark that near its beginning needs that much room to the next
LONG = 10_000  # from here on marks are written in thousands


@dataclass(frozen=True)
class Axis:
    """From where to where, and what is written beside it.

    >>> Axis(0, 50, ((25, "half"),)).place(25), Axis(1, 100, (), log=True).place(10)
    (50.0, 50.0)
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str = ""
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, in percent of the axis."""
        ends = (self.low, value, self.high)
        low, position, high = map(math.log10, ends) if self.log else ends
        return 100 * (position - low) / (high - low) if high > low else 50.0

    def nearby(self, value: float) -> str:
        """A value for the pointer: as a mark if it is one."""
        return next((name for tick, name in self.ticks if tick == value), figure(value))


def axis(
    low: float, high: float, write: Callable[[float], str], label: str = "", *, ticks: int = 5
) -> Axis:
    """An axis that covers low to high, with about so many round marks.

    >>> [text for _, text in axis(0, 87, "{:g}".format).ticks]
    ['0', '25', '50', '75', '100']
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"an axis from {low} to {high} cannot be drawn")
    span = (high - low) or abs(high) or 1.0
    rough = span / max(ticks - 1, 1)
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * lead for lead in STEPS if scale * lead >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    values = [step * k for k in range(first, last + 1)]
    return Axis(values[0], values[-1], tuple((v, write(v)) for v in values), label)


def number_axis(low: float, high: float, label: str = "", *, ticks: int = 5) -> Axis:
    """An axis of counts and means; its marks are written in full up to 9,999.

    >>> [text for _, text in number_axis(0, 4000).ticks]
    ['0', '1,000', '2,000', '3,000', '4,000']
    >>> [text for _, text in number_axis(0, 40_000).ticks]
    ['0', '10k', '20k', '30k', '40k']
    """
    full = max(abs(low), abs(high)) < LONG
    return axis(low, high, (lambda v: figure(v, 6)) if full else short_money, label, ticks=ticks)


def share_axis(label: str = "", low: float = 0.0, high: float = 1.0) -> Axis:
    """An axis of shares, in percent; a half is written where a mark stands on one.

    >>> [text for _, text in share_axis("Chance").ticks]
    ['0%', '25%', '50%', '75%', '100%']
    >>> [text for _, text in share_axis("Came", 0.975, 1.06).ticks]
    ['97.5%', '100%', '102.5%', '105%', '107.5%']
    """
    return axis(low, high, typed_percent, label)


def money_axis(low: float, high: float, currency: str, label: str, *, ticks: int = 5) -> Axis:
    """An axis of money: a sign stands at each mark, a longer name of the currency in the title.

    >>> spend = money_axis(0, 2000, "GBP", "Spend", ticks=3)
    >>> [text for _, text in spend.ticks], spend.label
    (['£0', '£1k', '£2k'], 'Spend')
    >>> spend = money_axis(0, 2000, "CHF", "Spend", ticks=3)
    >>> [text for _, text in spend.ticks], spend.label
    (['0', '1k', '2k'], 'Spend in CHF')
    """
    if currency and symbol(currency) == currency:
        return axis(low, high, short_money, f"{label} in {currency}", ticks=ticks)
    return axis(low, high, lambda v: short_money(v, currency), label, ticks=ticks)


def log_money_axis(low: float, high: float, currency: str, label: str) -> Axis:
    """An axis of money on which each ten times as much is as far; marks at tens, or 1, 2, 5.

    >>> [text for _, text in log_money_axis(0.3, 4000, "EUR", "Value").ticks]
    ['€1', '€10', '€100', '€1k']
    >>> [text for _, text in log_money_axis(20, 400, "EUR", "Value").ticks]
    ['€20', '€50', '€100', '€200']
    """
    sign = currency if symbol(currency) != currency else ""
    tens = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    marks = tens if high / low > 500 else [lead * ten for ten in tens for lead in (1, 2, 5)]
    inside = tuple((v, short_money(v, sign)) for v in marks if low <= v < high)
    named = label if sign == currency else f"{label} in {currency}"
    return Axis(low, high, inside, f"{named}, logarithmic scale", log=True)


def time_axis(first: dt.date, last: dt.date) -> Axis:
    """From one day to another, in days from the first, with a few round dates.

    >>> time_axis(dt.date(2010, 12, 20), dt.date(2011, 12, 9)).ticks
    ((12.0, 'Jan 2011'), (102.0, 'Apr 2011'), (193.0, 'Jul 2011'), (285.0, 'Oct 2011'))
    >>> [text for _, text in time_axis(dt.date(2024, 12, 29), dt.date(2025, 9, 29)).ticks]
    ['Mar 2025', 'May 2025', 'Jul 2025', 'Sept 2025']
    >>> [text for _, text in time_axis(dt.date(2011, 3, 1), dt.date(2011, 3, 25)).ticks]
    ['1 Mar', '9 Mar', '17 Mar', '25 Mar']
    """
    span = max((last - first).days, 1)
    if span < 92:
        places = np.unique(np.linspace(0, span, DATES).round())
        near = [(float(p), first + dt.timedelta(days=int(p))) for p in places]
        return Axis(0.0, float(span), tuple((p, month(str(d), "MMMd")) for p, d in near))
    step = next((s for s in MONTHS if span / (30.4375 * s) < DATES + 1), MONTHS[-1])
    dates = [d for d in _months(first, last, step) if first <= d <= last]
    ticks = [(float((d - first).days), month(str(d), "yMMM")) for d in dates]
    if len(ticks) > 2 and ticks[0][0] < EDGE * span and ticks[1][0] < ROOM * span:
        del ticks[0]  # written from the edge on, it would reach into the next one on a phone
    return Axis(0.0, float(span), tuple(ticks))


def _months(first: dt.date, last: dt.date, step: int) -> Iterator[dt.date]:
    """Every so many months, from January on."""
    for number in range(12 * first.year, 12 * last.year + 12):
        if number % step == 0:
            yield dt.date(number // 12, number % 12 + 1, 1)
