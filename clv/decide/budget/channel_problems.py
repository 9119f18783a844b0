"""What is wrong with a channel or a target of a plan, in words; all of it is named at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from clv.arguments import LARGEST
from clv.decide.budget.response import Response
from clv.errors import PlanError
from clv.format import count, money
from clv.shares import hint_of_percent, outside

PER = ("portfolio", "channel", "marginal")  # where a target holds


def raise_all(problems: Iterator[str]) -> None:
    """Raise one ``PlanError`` for all ``problems``, the first five spelt out."""
    listed = list(problems)
    if not listed:
        return
    more = f"; and {count(len(listed) - 5)} more" if len(listed) > 5 else ""
    raise PlanError(
        f"no allocation can satisfy this plan: {'; '.join(listed[:5])}{more}.",
        hint="amounts are in currency, 0 or more; lo <= hi; lower bounds fit in the budget, and so "
        "do step caps (step=(0, 2) lets a channel fall to 0); values share one horizon.",
    )


def channel_problems(channel: Any) -> Iterator[str]:
    """Everything wrong with a channel by itself."""
    name, lo, hi = f"channel {channel.name!r}", channel.lo, channel.hi
    response: object = channel.response
    if not isinstance(response, Response):
        yield f"{name}: its response is a {type(response).__name__}, not a curve"
    if not is_amount(channel.value):
        yield f"{name}: the value of a new customer is {channel.value!r}"
    if not is_amount(lo):
        yield f"{name}: lo is {lo!r}"
    elif not (is_number(hi) and hi >= 0):
        yield f"{name}: hi is {hi!r}"
    elif lo > hi:
        yield f"{name}: lo {money(lo)} is above hi {money(hi)}"
    if channel.current is not None and not is_amount(channel.current):
        yield f"the current spend of {channel.name!r} is {channel.current!r}"
    shares = (("incrementality", "(0, 1]"), ("decline", "[0, 1)"))
    for what, within in shares:
        if outside(share := getattr(channel, what), within):
            percent = hint_of_percent(share).rstrip(".")
            yield f"{name}: {what} is {share!r}, not in {within}" + (percent and f" ({percent})")
    if is_amount(channel.decline) and channel.decline > 0 and not channel.current:
        yield f"{name}: decline needs current, the spend at which its value was measured"
    elif _wins_nobody(channel):
        yield f"{name}: its value was measured at a spend that wins no customers"
    yield from _range_problems(name, "observed", channel.observed)
    yield from _range_problems(name, "step", channel.step)


def target_problems(amount: object, per: str, *, customers: bool = False) -> Iterator[str]:
    """What is wrong with a target by itself."""
    if not (is_amount(amount) and amount):
        what = "customers" if customers else "amount"
        yield f"the {what} of the target is {amount!r}, not a number above 0"
    if per not in PER:
        yield f"the target holds per {per!r}, which is none of {', '.join(PER)}"


def _wins_nobody(channel: Any) -> bool:
    """Whether today's spend, where a value that declines was measured, wins no customers."""
    declines = is_amount(channel.decline) and channel.decline > 0 and is_amount(channel.current)
    if not (declines and isinstance(channel.response, Response)):
        return False
    return not np.all(channel.response.customers(channel.current or 0.0) > 0)


def _range_problems(name: str, field: str, value: object) -> Iterator[str]:
    if value is None:
        return
    low, high = value if isinstance(value, tuple) and len(value) == 2 else (None, None)
    if not (is_amount(low) and is_number(high) and low <= high):  # type: ignore[operator]
        yield f"{name}: {field} is {value!r}, not (low, high)"


def is_number(value: object) -> bool:
    """A number that is not NaN."""
    return isinstance(value, int | float | np.integer | np.floating) and not math.isnan(value)


def is_amount(value: object) -> bool:
    """A number of 0 or more that counts what a company may have."""
    return is_number(value) and 0 <= value <= LARGEST  # type: ignore[operator]
