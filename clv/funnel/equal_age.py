"""Conversion compared at equal age: who is too young is said to be so, and not compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from clv.defaults import LEVEL
from clv.findings import Finding, finding
from clv.funnel.lead_table import LeadTable, days_between
from clv.funnel.time_to_win import ShareWithin, conversion_curve

AGES = (365, 180, 90, 60, 30, 14, 7)  # days, of which one is taken where none is stated
FEWEST = 20  # leads of the age, below which a share says nothing
UNSEEN = 0.001  # chance below which no win among the early leads is no accident


@dataclass(frozen=True)
class LeadGroup:
    """Leads of one channel or of one month, at the age at which all are compared.

    Attributes
    ----------
    name
        The channel, or the month as 2024-03.
    leads, wins
        All of them so far.
    old_enough
        Those that are that old.
    within
        The share of these that were won within that age; None if they are not compared.
    why_not
        Then why.
    median_days
        Until half of those won within that age were; None if none was.

    Examples
    --------
    >>> LeadGroup("fair", 30, 2, 3, None, "only 3 leads are 90 days old", None).within is None
    True
    """

    name: str
    leads: int
    wins: int
    old_enough: int
    within: ShareWithin | None
    why_not: str
    median_days: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        within = None if self.within is None else self.within._asdict()
        return {**asdict(self), "within": within}


def wilson(wins: float, leads: float, level: float = LEVEL) -> ShareWithin:
    """A share with Wilson's interval (J. of the American Statistical Association 22, 1927).

    >>> tuple(round(x, 3) for x in wilson(10, 100, 0.95))
    (0.1, 0.055, 0.174)
    """
    z = float(norm.ppf(0.5 + level / 2))
    share, scale = wins / leads, 1 + z**2 / leads
    middle = (share + z**2 / (2 * leads)) / scale
    half = z / scale * np.sqrt(share * (1 - share) / leads + z**2 / (4 * leads**2))
    return ShareWithin(share, float(max(0.0, middle - half)), float(min(1.0, middle + half)))


def usual_age(table: LeadTable) -> int:
    """The age to compare at: the greatest that half of the leads and of their months have."""
    follow_up = table.follow_up
    youngest = pd.Series(follow_up).groupby(_months(table)).min()
    fits = (a for a in AGES if (follow_up >= a).mean() >= 0.5 and (youngest >= a).mean() >= 0.5)
    return next(fits, AGES[-1])


def by_channel(table: LeadTable, age: float, level: float = LEVEL) -> list[LeadGroup]:
    """Each channel's leads of that age, most leads first."""
    channels = table.leads["channel"].value_counts(sort=False)
    ordered = sorted(channels.index, key=lambda name: (-channels[name], name))
    return [_group(table, name, table.leads["channel"] == name, age, level) for name in ordered]


def by_month(table: LeadTable, age: float, level: float = LEVEL) -> list[LeadGroup]:
    """Each month's leads, compared only if all of them are that old."""
    months, groups = _months(table), []
    for month in sorted(set(months)):
        here = months == month
        group = _group(table, month, here, age, level)
        youngest = int(table.follow_up[here].min())
        if youngest < age:
            why = f"too young: its youngest lead is {youngest} days old, not {age:g}"
            group = LeadGroup(**{**vars(group), "within": None, "why_not": why})
        groups.append(group)
    return groups


def _months(table: LeadTable) -> NDArray[Any]:
    return np.asarray(table.leads["created"].dt.strftime("%Y-%m"))


def _group(table: LeadTable, name: str, here: Any, age: float, level: float) -> LeadGroup:
    part = table.where(np.asarray(here))
    old = part.follow_up >= age
    wait = part.days[old, -1]
    won = wait <= age
    within, why = (
        (wilson(float(won.sum()), float(old.sum()), level), "") if old.sum() else (None, "")
    )
    if old.sum() < FEWEST:
        within, why = None, f"too few: {int(old.sum())} of its leads are {age:g} days old"
    median = float(np.median(wait[won])) if won.any() else None
    return LeadGroup(name, len(old), int(part.won.sum()), int(old.sum()), within, why, median)


def difference(a: LeadGroup, b: LeadGroup) -> ShareWithin | None:
    """How much more of ``a`` than of ``b`` is won, by Newcombe's interval; None if not compared.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17(8), method 10.
    """
    if a.within is None or b.within is None:
        return None
    gap = a.within.share - b.within.share
    low = np.hypot(a.within.share - a.within.low, b.within.high - b.within.share)
    high = np.hypot(a.within.high - a.within.share, b.within.share - b.within.low)
    return ShareWithin(gap, float(gap - low), float(gap + high))


def set_apart_unseen(table: LeadTable) -> tuple[LeadTable, tuple[Finding, ...]]:
    """Leads that came before the table could see a win, set apart.

    Where a CRM began to note wins later than leads, the early leads that were won before that look
    as if they never were. They are set apart if, at the pace of later leads, it is all but
    impossible that none of them was won before the first win of the table.

    Returns
    -------
    The table without them, and a finding that says how many; the same table if there are none.
    """
    first = table.leads["won_at"].min()
    early = (table.leads["created"] < first).to_numpy()
    later = table.where(~early)
    if early.sum() < FEWEST or later.won.sum() < FEWEST:
        return table, ()
    wait = np.where(later.won, later.days[:, -1], later.follow_up)
    curve = conversion_curve(wait, later.won)
    ages = days_between(first, table.leads["created"][early])
    expected = float(-np.expm1(-curve.hazard(ages - 1)).sum())
    if np.exp(-expected) >= UNSEEN:
        return table, ()
    note = finding(
        "funnel.unseen", leads=float(early.sum()), day=first.date(), expected=round(expected)
    )
    return later, (note,)
