"""Curves that bend upwards first, made concave by a straight line: from above and from below.

Between two spends no concave curve lies closer above such a curve than ``hull``: from the lower one
on the straight line that touches it, then the curve itself. ``tangent`` is below the curve and
meets it at one spend: where it bends upwards the straight line there, else the curve from where it
is concave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv.decide.budget.response import Response
from clv.decide.budget.solver import Market
from clv.schema import Floats

BISECTIONS = 60


@dataclass(frozen=True)
class Straightened:
    """A curve with a straight line in place of its beginning; fields of shape (channels,).

    Parameters
    ----------
    curve
        As it is beyond the line.
    start, level, slope
        The line is ``level`` at the spend ``start`` and rises by ``slope``.
    until
        Where it ends.
    """

    curve: Response
    start: Floats
    level: Floats
    slope: Floats
    until: Floats

    def customers(self, spend: ArrayLike) -> Floats:
        """n(s)."""
        s = np.asarray(spend, dtype=np.float64)
        with np.errstate(invalid="ignore"):  # no line is an infinitely steep one of no length
            line = self.level + np.where(s == self.start, 0.0, self.slope * (s - self.start))
        return np.where(s <= self.until, line, self.curve.customers(s))

    def marginal(self, spend: ArrayLike) -> Floats:
        """n'(s)."""
        s = np.asarray(spend, dtype=np.float64)
        return np.where(s < self.until, self.slope, self.curve.marginal(s))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend with n'(s) = ``marginal``: the end of the line, where that is as steep."""
        slope = np.asarray(marginal, dtype=np.float64)
        beyond = np.maximum(self.curve.spend_at(slope), self.until)
        return np.where(slope < self.slope, beyond, 0.0)


def hull(market: Market) -> Market:
    """The market with the least concave curves above its own, between its bounds."""
    curves: list[tuple[NDArray[np.intp], Any]] = []
    for which, curve in market.curves:
        lo, hi = market.lo[which], market.hi[which]
        curve = curve.within(lo, hi)
        steep = _steep(curve, len(which))
        if not np.any(lo < steep):
            curves.append((which, curve))
            continue
        level, bends = curve.customers(lo), lo < steep
        until = np.where(bends, _touching(curve, lo, hi, steep), lo)
        length = until - lo
        rise = np.where(length > 0, curve.customers(until) - level, np.inf)
        slope = rise / np.where(length > 0, length, 1.0)
        curves.append((which, Straightened(curve, lo, level, slope, until)))
    return replace(market, curves=tuple(curves))


def tangent(market: Market, spend: Floats) -> Market:
    """The market with concave curves below its own that meet them at ``spend``.

    Bounds keep a channel where its curve is as it is at that spend: bending upwards, or concave.
    """
    lo, hi = market.lo.copy(), market.hi.copy()
    curves: list[tuple[NDArray[np.intp], Any]] = []
    for which, curve in market.curves:
        curve = curve.within(market.lo[which], market.hi[which])
        steep, at = _steep(curve, len(which)), spend[which]
        if not np.any(market.lo[which] < steep):
            curves.append((which, curve))
            continue
        up = (at < steep) & (market.lo[which] < steep)
        lo[which] = np.where(up, lo[which], np.clip(steep, lo[which], hi[which]))
        hi[which] = np.where(up, np.minimum(hi[which], steep), hi[which])
        start = np.where(up, at, lo[which])
        slope = np.where(up, curve.marginal(start), np.inf)
        until = np.where(up, hi[which], start)
        curves.append((which, Straightened(curve, start, curve.customers(start), slope, until)))
    return replace(market, lo=lo, hi=hi, curves=tuple(curves))


def _steep(curve: Response, channels: int) -> Floats:
    return np.broadcast_to(curve.convex_until(), channels)


def _touching(curve: Response, lo: Floats, hi: Floats, steep: Floats) -> Floats:
    """Up to where a line from the curve at ``lo`` touches it from above; at most ``hi``.

    There n'(t) (t - lo) = n(t) - n(lo). The left side is larger before and smaller beyond.
    """
    level = curve.customers(lo)

    def short(t: Floats) -> Floats:
        with np.errstate(invalid="ignore"):  # infinitely steep at no spend at all
            return np.asarray(curve.marginal(t) * (t - lo) > curve.customers(t) - level)

    low = np.where(lo < steep, np.minimum(steep, hi), hi)
    high = np.minimum(2 * np.maximum(low, np.finfo(float).tiny), hi)
    while np.any(further := short(high) & (high < hi)):
        low = np.where(further, high, low)
        high = np.where(further, np.minimum(2 * high, hi), high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        before = short(middle)
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return np.asarray(high)
