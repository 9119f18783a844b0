"""One customer's orders to one row of a summary, in plain Python: for answers in a millisecond.

The rules are those of :func:`clv.data.transactions.clean`, :func:`clv.data.summary.summarize` and
:func:`clv.data.features.with_behaviour`, which take tens of milliseconds for a table of one
customer. What is out of the ordinary (several lines of one order, fractions of a ten-thousandth) is
left to them. Tests hold the two ways against each other on histories made at random.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from clv.app.requests import Order
from clv.data.ledger import OUTCOMES, REDUCED, REFUND, REFUNDED, UNMET
from clv.data.money import MONEY
from clv.data.reading import BLANK

LATER, ZERO, SAME = "date is after as_of", "amount is zero", "row equal to another in every column"
FURTHER = "further order of one day"
ACTIONS = {
    LATER: "dropped",
    ZERO: "dropped",
    SAME: "kept, as two real ones can look alike",
    **{OUTCOMES[code][0]: OUTCOMES[code][1] for code in (REFUND, UNMET, REFUNDED, REDUCED)},
    FURTHER: "joined",
}

Purchase = tuple[dt.datetime, float]  # when, and for how much


class Unusual(Exception):  # noqa: N818 - no error: the other way is taken
    """A history that is left to the way by tables."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What only the log knows of a customer, as :func:`clv.data.features.with_behaviour` says it.

    Attributes
    ----------
    gap_spread, last_gap
        Standard deviation of the days between purchases, and the newest of them.
    last_amount
        Amount of the last purchase.
    recent, earlier
        Purchases in the window up to the as-of date, and in the one before.
    """

    gap_spread: float
    last_gap: int
    last_amount: float
    recent: int
    earlier: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A customer as seen at the end of ``as_of``; days as ``datetime.date.toordinal`` counts them.

    Attributes
    ----------
    frequency
        x, repeat purchases.
    first, last, as_of
        Day of the first and of the last purchase, and the day as of which.
    monetary_value, first_amount
        Mean amount of the repeat purchases (0 without any), amount of the first.
    behaviour
        If it was asked for.
    """

    frequency: int
    first: int
    last: int
    as_of: int
    monetary_value: float
    first_amount: float
    behaviour: Behaviour | None = None


def summary_of(
    orders: Sequence[Order], as_of: dt.date, found: Counter[str], window: int | None = None
) -> Summary | None:
    """The summary of one customer's orders; None if no purchase is left.

    Parameters
    ----------
    found
        Is added to: how many orders met each of the rules that ``cleaning_lines`` tells of.
    window
        Days of the window of ``behaviour``; None leaves it out.

    Raises
    ------
    Unusual
        Cleaning these orders needs the way by tables.

    Examples
    --------
    >>> day = dt.datetime.fromisoformat
    >>> orders = [Order(date="2024-01-01", amount=20.0), Order(date="2024-01-15", amount=30.0)]
    >>> summary_of(orders, dt.date(2024, 1, 29), Counter())
    Summary(frequency=1, first=738886, last=738900, as_of=738914, monetary_value=30.0,
            first_amount=20.0, behaviour=None)
    """
    rows = _usable(orders, as_of, found)
    if any(amount < 0 for _, amount in rows):
        rows = _netted(rows, found)
    spent: dict[int, float] = {}
    for moment, amount in rows:
        day = moment.toordinal()
        spent[day] = spent.get(day, 0.0) + amount
    found[FURTHER] += len(rows) - len(spent)
    return _counted(spent, as_of.toordinal(), window) if spent else None


def cleaning_lines(found: Counter[str]) -> list[str]:
    """What was found, as sentences, in the order in which ``clean`` deals with it.

    >>> cleaning_lines(Counter({"further order of one day": 2}))
    ['further order of one day: joined (2)']
    """
    told = +found
    if found[OUTCOMES[UNMET][0]]:  # a part of those can have met an order, so both are told
        told[OUTCOMES[REFUND][0]] += 0
    return [
        f"{reason}: {action} ({told[reason]:,})"
        for reason, action in ACTIONS.items()
        if reason in told
    ]


def _usable(orders: Sequence[Order], as_of: dt.date, found: Counter[str]) -> list[Purchase]:
    """The orders that count; those after ``as_of`` and those without money do not."""
    _check_ids(orders)
    known = [order for order in orders if order.date.date() <= as_of]
    worth = [order for order in known if order.amount != 0]
    if any(abs(order.amount) < 1 / MONEY for order in worth):
        raise Unusual
    found[LATER] += len(orders) - len(known)
    found[ZERO] += len(known) - len(worth)
    found[SAME] += len(worth) - len({(o.date, o.amount, o.order_id) for o in worth})
    return [(order.date, order.amount) for order in worth]


def _check_ids(orders: Sequence[Order]) -> None:
    """Each order has an id of its own, or none has any: nothing is to be joined."""
    ids = {str(order.order_id) for order in orders if order.order_id is not None}
    if ids and (len(ids) < len(orders) or any(id_.strip().lower() in BLANK for id_ in ids)):
        raise Unusual


def _netted(rows: Sequence[Purchase], found: Counter[str]) -> list[Purchase]:
    """What refunds leave: each undoes the latest earlier order of its amount, else the latest."""
    ordered = sorted((moment, -_cents(amount), amount) for moment, amount in rows)
    cents = [-debit for _, debit, _ in ordered]
    net, sizes = cents.copy(), {-value for value in cents if value < 0}
    for size in sizes:
        _undo(net, [place for place, value in enumerate(cents) if abs(value) == size])
    _undo(net, range(len(net)))
    left = []
    for (moment, _, amount), whole, rest in zip(ordered, cents, net, strict=True):
        if whole != rest or whole < 0:
            found[OUTCOMES[_outcome(whole, rest)][0]] += 1
        if rest > 0:
            left.append((moment, amount if rest == whole else rest / MONEY))
    return left


def _cents(amount: float) -> int:
    """Ten-thousandths, as cleaning compares money; halves of them round one way or the other."""
    scaled = amount * MONEY
    if abs(scaled - math.floor(scaled) - 0.5) < 1e-6:
        raise Unusual
    return round(scaled)


def _undo(net: list[int], places: Iterable[int]) -> None:
    """Let the refunds among ``places`` of ``net`` take back the latest money still there."""
    standing: list[int] = []
    for place in places:
        if net[place] > 0:
            standing.append(place)
        while net[place] < 0 and standing:
            met = min(net[standing[-1]], -net[place])
            net[place] += met
            net[standing[-1]] -= met
            if net[standing[-1]] == 0:
                standing.pop()


def _outcome(cents: int, net: int) -> int:
    if cents < 0:
        return UNMET if net < 0 else REFUND
    return REFUNDED if net == 0 else REDUCED


def _counted(spent: dict[int, float], as_of: int, window: int | None) -> Summary:
    days = sorted(spent)
    x, first_amount = len(days) - 1, spent[days[0]]
    repeat = sum(spent[day] for day in days) - first_amount
    mean = repeat / x if x else 0.0
    if x and not mean > 0:  # lost beside a first purchase a million million times as large
        raise Unusual
    behaviour = None if window is None else _behaviour(days, spent[days[-1]], as_of, window)
    return Summary(x, days[0], days[-1], as_of, mean, first_amount, behaviour)


def _behaviour(days: Sequence[int], last_amount: float, as_of: int, window: int) -> Behaviour:
    gaps = [later - day for day, later in pairwise(days)] or [0]
    mean = sum(gaps) / len(gaps)
    variance = sum(gap * gap for gap in gaps) / len(gaps) - mean * mean
    ago = [as_of - day for day in days]
    return Behaviour(
        gap_spread=math.sqrt(variance) if variance > 1e-9 else 0.0,  # else it is rounding
        last_gap=gaps[-1],
        last_amount=last_amount,
        recent=sum(days < window for days in ago),
        earlier=sum(window <= days < 2 * window for days in ago),
    )
