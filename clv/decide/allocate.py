"""One budget for acquisition and retention, allocated exactly.

``allocate`` checks the plan, hands arrays to the solver in ``budget.py`` and returns an
``Allocation``: what to spend where, what it brings, and how good the plan is provably.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clv.decide.allocation import Allocation, CurrentPlan
from clv.decide.feasible import current_problems, raise_all
from clv.decide.modes import Target
from clv.decide.problem import Problem
from clv.decide.response import Response

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

    Examples
    --------
    >>> from clv.decide.response import Power
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

    def bounds(self, periods: float = 1.0) -> tuple[float, float]:
        """The spend between which a plan for so many periods may choose."""
        today = self.current or 0.0
        seen = (today, today) if self.observed is None else self.observed
        scale = 1.0 if self.observed is None else periods
        if not seen[1] > 0:
            return self.lo, self.hi
        lo, hi = self.lo, self.hi
        if hi == math.inf:
            hi = max(self.step[1] * seen[1] * scale, today, lo)
        if lo == 0:
            lowest = self.step[0] * seen[0] * scale
            lo = min(lowest, hi) if self.current is None else min(lowest, hi, today)
        return lo, hi


def allocate(
    channels: Sequence[Channel],
    budget: float | None = None,
    retention: object = None,
    current: Mapping[str, float] | None = None,
    *,
    target: Target | None = None,
    periods: float = 1.0,
) -> Allocation:
    """The plan of greatest expected profit within a budget, or what a target asks for.

    Money goes where its next unit buys most present value, until that is the same everywhere
    (the multiplier mu) or the bounds are met. Below 1 for 1 it stays unspent.

    Parameters
    ----------
    channels
        Acquisition channels; may be empty when there is retention.
    budget
        Money to be spent at most, in currency. None: no limit, the plan of greatest profit.
    retention
        Customers to keep: what ``retention_targets`` or ``gain_curve`` returns, two arrays
        (cost, gain), or a table with these columns. It competes for the same budget; the last
        customer may be funded in part.
    current
        Today's spend by channel name, and under "retention" that on retention (0 if it is not
        named), to compare with. Default: each channel's ``current``, when all of them have one.
    target
        ``MinimumCost``, ``TargetCPA`` or ``TargetLtvToCac``; see ``modes.py``.
    periods
        How many periods the money is for, when the curves are per week, say, and the budget is
        for a quarter. It is spread evenly, so W n(S / W) customers are won; for a power curve
        that is W^(1-b) k S^b. Bounds, ``current`` and retention are for all of them.

    Raises
    ------
    PlanError
        The plan is infeasible or ill-defined; every reason is named, before anything is solved.

    References
    ----------
    Karush-Kuhn-Tucker conditions of a concave programme, e.g. Boyd & Vandenberghe, Convex
    Optimization (2004), section 5.5.

    Examples
    --------
    >>> from clv.decide.response import MichaelisMenten, Power
    >>> channels = [
    ...     Channel("search", Power(k=12, b=0.6), value=60),
    ...     Channel("social", Power(k=30, b=0.45), value=80),
    ...     Channel("video", MichaelisMenten(V=900, K=20_000), value=100),
    ... ]
    >>> keep = ([2000, 3000, 1500, 4000, 2500], [26000, 30000, 9000, 20000, 3000])
    >>> plan = allocate(channels, budget=30_000, retention=keep)
    >>> {name: round(spend) for name, spend in plan.spend.items()}
    {'search': 18331, 'social': 6669, 'video': 0}
    >>> round(plan.retention_spend), round(plan.multiplier, 4)
    (5000, 8.5154)
    >>> print(plan.findings[0])
    The next 1,000 of budget buys about 8,515 of value.

    The same channels, and 5,000 new customers for the least money:

    >>> from clv.decide.modes import MinimumCost
    >>> plan = allocate(channels, target=MinimumCost(5_000))
    >>> {name: round(spend) for name, spend in plan.spend.items()}
    {'search': 14934, 'social': 3405, 'video': 0}
    """
    problem = Problem.of(channels, budget, retention, target, periods)
    return Allocation.of(problem, problem.solve(), current_plan(channels, current))


def current_plan(
    channels: Sequence[Channel], current: Mapping[str, float] | None
) -> CurrentPlan | None:
    """Today's spend in the channels' order, or None when it is not known for all of them."""
    if current is None:
        known = {c.name: c.current for c in channels if c.current is not None}
        if not channels or len(known) < len(channels):
            return None
        current = known
    raise_all(current_problems([c.name for c in channels], current))
    spend = np.array([current[c.name] for c in channels], dtype=np.float64)
    return CurrentPlan(spend, float(current.get("retention", 0.0)), "retention" in current)
