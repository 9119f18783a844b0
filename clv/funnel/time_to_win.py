"""When leads are won, and how many in the end: Kaplan-Meier, and a share who never will be.

A lead that was lost stays among those that were not won: it is known not to have been. Only leads
that are still young leave early, at their age on the last day, which says nothing about them.

References
----------
[1] Kaplan & Meier (1958), J. of the American Statistical Association 53(282).
[2] Boag (1949), J. of the Royal Statistical Society B 11(1): a share is cured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm

from clv.defaults import LEVEL
from clv.schema import Floats

STILL_AHEAD = 0.05  # of the wins, at the age that the oldest leads have, for all to be said seen
OLD_AGE = 0.9  # share of leads that are younger
FEWEST_WINS = 10  # for a share who never buy
FLAT = 1e-9


class ShareWithin(NamedTuple):
    """A share with its interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class ConversionCurve:
    """Kaplan-Meier: the share of leads that are won within so many days.

    Attributes
    ----------
    days
        When leads were won, rising; shape (times,).
    share, spread
        Won by then, and the standard error of log(-log(1 - share)); same shape.
    at_risk
        Leads not won before, and as old; same shape.
    longest
        The longest that a lead was followed, days.

    Examples
    --------
    >>> days, won = np.array([2.0, 5, 9, 9]), np.array([True, False, True, False])
    >>> curve: ConversionCurve = conversion_curve(days, won)
    >>> curve.at(3).share, curve.at(9).share
    (0.25, 0.625)
    """

    days: Floats
    share: Floats
    spread: Floats
    at_risk: Floats
    longest: float

    def at(self, age: float, level: float = LEVEL) -> ShareWithin | None:
        """The share within ``age`` days; None if no lead was followed so long."""
        if age > self.longest:
            return None
        place = np.searchsorted(self.days, age, side="right") - 1
        if place < 0:
            return ShareWithin(0.0, 0.0, 0.0)
        share, spread = float(self.share[place]), float(self.spread[place])
        if not 0 < share < 1:
            return ShareWithin(share, share, share)
        z = float(norm.ppf(0.5 + level / 2))
        ends = -np.expm1(np.log1p(-share) * np.exp(np.array([-z, z]) * spread))
        return ShareWithin(share, float(ends[0]), float(ends[1]))

    def hazard(self, ages: Floats) -> Floats:
        """The cumulative hazard -log(1 - share) at each age; shape of ``ages``."""
        place = np.searchsorted(self.days, ages, side="right")
        steps = np.concatenate([[0.0], -np.log1p(-np.minimum(self.share, 1 - FLAT))])
        return np.asarray(steps[place])


def conversion_curve(days: Floats, won: NDArray[np.bool_]) -> ConversionCurve:
    """Kaplan-Meier with Greenwood's variance [1].

    Parameters
    ----------
    days
        To the win, or to the last day where there was none; shape (leads,).
    won
        Whether it was won; same shape.
    """
    times, wins = np.unique(days[won], return_counts=True)
    at_risk = len(days) - np.searchsorted(np.sort(days), times, side="left")
    survival = np.cumprod(1 - wins / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(wins / (at_risk * (at_risk - wins)))
        spread = np.sqrt(variance) / np.abs(np.log(survival))
    longest = float(days.max()) if len(days) else 0.0
    share = np.asarray(1 - survival, dtype=np.float64)
    return ConversionCurve(times, share, spread, at_risk.astype(np.float64), longest)


@dataclass(frozen=True)
class FinalShare:
    """How many leads are won in the end, where some never are.

    Attributes
    ----------
    share
        Won in the end, with its interval.
    scale, shape
        Of the Weibull distribution of the days until then, given that it comes.
    settled
        Whether the log is long enough to see nearly all of them come.

    Examples
    --------
    >>> FinalShare(ShareWithin(0.1, 0.08, 0.12), 30.0, 1.0, True).median_days
    20.8
    """

    share: ShareWithin
    scale: float
    shape: float
    settled: bool

    @property
    def median_days(self) -> float:
        """Until half of those who are won in the end are."""
        return round(float(self.scale * np.log(2) ** (1 / self.shape)), 1)

    def within(self, ages: Floats | float) -> Any:
        """The share won within each age; shape of ``ages``."""
        return self.share.share * -np.expm1(-((ages / self.scale) ** self.shape))


def final_share(days: Floats, won: NDArray[np.bool_], level: float = LEVEL) -> FinalShare | None:
    """The share won in the end, and how fast: a Weibull mixture with cure [2], by likelihood.

    Parameters
    ----------
    days, won
        As for ``conversion_curve``; whole days, so a win on day d came between d and d + 1.
    level
        Of the interval.

    Returns
    -------
    FinalShare
        None below ten wins.
    """
    if won.sum() < FEWEST_WINS:
        return None
    cells = [np.unique(days[rows], return_counts=True) for rows in (won, ~won)]
    start = np.array([logit(min(0.99, won.mean() * 1.1)), np.log(days[won].mean() + 1), 0.0])
    fits = [
        minimize(_cost, start + np.array([0, 0, bend]), args=(cells,), method="Nelder-Mead",
                 options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 4000})
        for bend in (0.0, 0.5)
    ]  # fmt: skip
    best = min(fits, key=lambda fit: float(fit.fun))
    spread = _spread(best.x, cells)
    z = float(norm.ppf(0.5 + level / 2))
    low, share, high = expit(best.x[0] + z * spread * np.array([-1.0, 0.0, 1.0]))
    ends = ShareWithin(float(share), float(low), float(high))
    final = FinalShare(ends, float(np.exp(best.x[1])), float(np.exp(best.x[2])), False)
    by_old_age = final.within(np.quantile(days[~won], OLD_AGE)) if (~won).any() else share
    settled = bool(by_old_age > (1 - STILL_AHEAD) * share and high - low < share)
    return replace(final, settled=settled)


def _cost(point: Floats, cells: Sequence[tuple[Floats, Any]]) -> float:
    """The negative log-likelihood at (logit of the share, log scale, log shape)."""
    (won_days, won_counts), (open_days, open_counts) = cells
    share, scale, shape = expit(point[0]), np.exp(point[1]), np.exp(np.clip(point[2], -4, 4))

    def by(day: Floats) -> Floats:
        return np.asarray(-np.expm1(-((day / scale) ** shape)))

    within_day = np.maximum(by(won_days + 1) - by(won_days), 1e-300)
    wins = won_counts @ (np.log(share + 1e-300) + np.log(within_day))
    rest = open_counts @ np.log(np.maximum(1 - share * by(open_days + 1), 1e-300))
    return float(-(wins + rest))


def _spread(point: Floats, cells: Sequence[tuple[Floats, Any]], step: float = 1e-3) -> float:
    """The standard error of the first parameter, by the curvature at the maximum."""
    size = len(point)
    bend = np.zeros((size, size))
    unit = np.eye(size) * step
    for i in range(size):
        for j in range(size):
            corners = (
                _cost(point + a * unit[i] + b * unit[j], cells) * a * b
                for a in (1, -1)
                for b in (1, -1)
            )
            bend[i, j] = sum(corners) / (4 * step**2)
    variance = np.linalg.pinv(bend)[0, 0]
    return float(np.sqrt(variance)) if variance > 0 else np.inf
