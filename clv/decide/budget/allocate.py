"""One budget for acquisition and retention, allocated exactly.

``allocate`` checks the plan, hands arrays to the solver in ``budget.py`` and returns an
``Allocation``: what to spend where, what it brings, and how good the plan is provably.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from clv.decide.budget.allocation import Allocation, CurrentPlan
from clv.decide.budget.channel import Channel
from clv.decide.budget.channel_problems import raise_all
from clv.decide.budget.modes import Target
from clv.decide.budget.one_period import kind_of_problem
from clv.decide.budget.problem import current_problems


def allocate(
    channels: Sequence[Channel],
    budget: float | None = None,
    retention: object = None,
    current: Mapping[str, float] | None = None,
    *,
    target: Target | None = None,
    periods: float = 1.0,
    currency: str = "",
    period: str = "period",
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
        that is W^(1-b) k S^b. On an S-shaped curve less than its best spend goes into some of
        the periods and nothing into the others, into whole ones where they are few. Bounds,
        ``current`` and retention are for all of them.
    currency
        Of all money, such as "GBP", for the sentences; default: that of the retention curve.
    period
        What one of the periods is called, such as "week", for the sentences.

    Returns
    -------
    Allocation
        Spend by channel and on retention, new customers, value and profit, in currency and for all
        ``periods``; the multiplier, and how good the plan is provably; ``findings`` in words.

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
    >>> from clv.decide.budget.response import MichaelisMenten, Power
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
    The next 1,000 of budget would bring about 8,515 of customer value.

    The same channels, and 5,000 new customers for the least money:

    >>> from clv.decide.budget.modes import MinimumCost
    >>> plan = allocate(channels, target=MinimumCost(5_000))
    >>> {name: round(spend) for name, spend in plan.spend.items()}
    {'search': 14934, 'social': 3405, 'video': 0}
    """
    kind = kind_of_problem(channels, periods)
    problem = kind.from_channels(channels, budget, retention, target, periods, currency)
    problem = replace(problem, period=period)
    return Allocation.from_plan(problem, problem.solve(), current_plan(channels, current))


def current_plan(
    channels: Sequence[Channel], current: Mapping[str, float] | None
) -> CurrentPlan | None:
    """Today's spend in the channels' order, or None when it is not known for all of them."""
    if current is None:
        stated = {c.name: c.current for c in channels if c.current is not None}
        if not len(channels) or len(stated) < len(channels):
            return None
        current = stated
    raise_all(current_problems([c.name for c in channels], current))
    spend = np.array([current[c.name] for c in channels], dtype=np.float64)
    return CurrentPlan(spend, float(current.get("retention", 0.0)), "retention" in current)
