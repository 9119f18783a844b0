"""A channel: what money buys there, what its customers are worth, how far it may move."""

from __future__ import annotations

import math
from dataclasses import dataclass

from clv.decide.budget.channel_problems import channel_problems, raise_all
from clv.decide.budget.response import Response

EDGE = 1e-9  # of a spend, that rounding may add
STEP = (0.5, 2.0)  # how far from what was observed a curve is trusted, unless told otherwise


@dataclass(frozen=True)
class Channel:
    """An acquisition channel that money can be spent on.

    Parameters
    ----------
    name
        Its name, unique in a plan and not "retention".
    response
        New customers against spend, in one period.
    value
        CLV of one NEW customer of this channel (first purchase included), in currency, as
        discounted contribution margin. Not the mean of the existing customers.
    lo, hi
        Bounds of its spend, in currency; equal bounds lock it.
    current
        Today's spend, if known.
    incrementality
        Share of the attributed customers that would not have come anyway, in (0, 1].
    horizon
        Horizon of the value, such as "3 years"; plans do not mix horizons.
    observed
        (least, most) spend in ONE period that the curve was estimated on; ``current`` if None.
    step
        Step caps: how far the plan may go below the least and above the most observed spend, as
        multiples. A side with a bound of its own (``lo`` above 0, ``hi`` finite) has no cap, and
        today's spend always stays allowed. ``(0, inf)`` frees the channel.
    decline
        d in [0, 1): 1% more customers make the next one d% less valuable, starting from today's
        spend, where ``value`` was measured (so it needs ``current``). 0: customers stay as good.

    Raises
    ------
    PlanError
        A number is out of its range; all that are wrong are named.

    Examples
    --------
    >>> from clv.decide.budget.response import Power
    >>> search = Channel("search", Power(k=12, b=0.6), value=60, current=12_000)
    >>> search.bounds()
    (6000.0, 24000.0)
    """

    name: str
    response: Response
    value: float
    lo: float = 0.0
    hi: float = math.inf
    current: float | None = None
    incrementality: float = 1.0
    horizon: str | None = None
    observed: tuple[float, float] | None = None
    step: tuple[float, float] = STEP
    decline: float = 0.0

    def __post_init__(self) -> None:
        raise_all(channel_problems(self))

    def bounds(self, periods: float = 1.0) -> tuple[float, float]:
        """The spend between which a plan for so many periods may choose."""
        today = self.current or 0.0
        observed = (today, today) if self.observed is None else self.observed
        scale = 1.0 if self.observed is None else periods
        if not observed[1] > 0:
            return self.lo, self.hi
        lo, hi = self.lo, self.hi
        if hi == math.inf:
            hi = max(self.step[1] * observed[1] * scale, today, lo)
        if lo == 0:
            lowest = self.step[0] * observed[0] * scale
            lo = min(lowest, hi) if self.current is None else min(lowest, hi, today)
        return lo, hi

    def observed_over(self, periods: float = 1.0) -> tuple[float, float] | None:
        """Least and most that was spent, at the same pace over so many periods.

        >>> from clv.decide.budget.response import Power
        >>> Channel("search", Power(12, 0.6), 60, observed=(50, 90)).observed_over(13)
        (650, 1170)
        """
        if self.observed is None:
            return None
        return self.observed[0] * periods, self.observed[1] * periods


def outside(spend: float, observed: tuple[float, float]) -> bool:
    """Whether a spend lies outside what was observed; to spend nothing is no guess.

    >>> outside(120.0, (40.0, 100.0)), outside(0.0, (40.0, 100.0)), outside(100.0, (40.0, 100.0))
    (True, False, False)
    """
    return spend > 0 and not (1 - EDGE) * observed[0] <= spend <= (1 + EDGE) * observed[1]
