"""What it is worth to know one channel's curve and value for certain before money is spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from clv.decide.budget.draws import falling_root
from clv.decide.budget.response import Response
from clv.decide.budget.solver import TINY
from clv.decide.budget.sweep import Sweep, greatest_profit
from clv.decide.budget.whole_periods import OnePeriodHill
from clv.schema import Floats

POINTS = 400  # spends at which a mean curve is tabulated
NOTHING = 1e-9  # of the profit: less than this is the rounding of the table
STEPS, KNOTS = 300, 50  # of money for S-shaped channels, and budgets tried for the others
SMALLEST = 1e-9  # of the budget: spend below which a channel counts as unfunded


def channel_information(sweep: Sweep, names: Sequence[str], budget: float) -> dict[str, float]:
    """EVPPI by channel: the mean over its draws of the best plan that knows this draw and the mean
    of all other channels, less the best plan that knows means only. Never negative.

    The mean curves are tabulated once. By strong duality the value of a plan needs only the
    multiplier, and an error in it matters squared, so the table costs no accuracy to speak of.
    """
    channels, means, slow = _apart(sweep, budget)
    base = _planned(means, slow, None, sweep, np.array([budget]))
    every = np.full(sweep.value.shape[0], budget)
    evppi = {}
    for index, name in enumerate(names):
        here = channels[index]
        if index in slow:
            informed = _planned(means, slow | {index: here}, None, sweep, every)
        else:
            others = {place: mean for place, mean in means.items() if place != index}
            informed = _planned(others, slow, here, sweep, every)
        added = float((informed - base).mean())
        evppi[name] = added if added > NOTHING * abs(float(base[0])) else 0.0
    return evppi


def sample_information(
    sweep: Sweep, index: int, budget: float, spend: float, samples: Sequence[NDArray[np.intp]]
) -> list[float]:
    """What the best plan earns beyond today's best, after each of some samples of one channel.

    A sample leaves some draws of the channel, each as often as it fits; ``spend`` is the channel's
    in today's best plan, the other channels' means stay. Never negative.
    """
    channels, means, slow = _apart(sweep, budget)
    limit, here = np.array([budget]), channels[index]
    base = float(_planned(means, slow, None, sweep, limit)[0])
    at = np.array([spend])
    before, gains = float(here.total_value(at).mean()), []
    for rows in samples:
        left = _some_draws(here, rows)
        if index in slow:
            slow[index] = _mean(left)
        else:
            means[index] = MeanValue.from_sweep(left, budget)
        best = float(_planned(means, slow, None, sweep, limit)[0])
        gains.append(max(best - base - (float(left.total_value(at).mean()) - before), 0.0))
    return gains


@dataclass(frozen=True)
class MeanValue:
    """The mean over draws of what one channel's customers are worth, tabulated by spend.

    ``minus_log_slope`` rises with ``log_spend``, both of shape (points,).
    """

    log_spend: Floats
    minus_log_slope: Floats
    spline: CubicHermiteSpline
    lo: float
    value_at_lo: float
    free: bool

    @classmethod
    def from_sweep(cls, channel: Sweep, budget: float) -> MeanValue:
        """Tabulate a sweep of one channel up to the budget or its upper bound."""
        lo, hi = float(channel.lo[0]), float(channel.hi[0])
        low = max(lo, SMALLEST * budget)
        high = max(min(hi, budget), low * (1 + 1e-6))
        log_spend = np.linspace(np.log(low), np.log(high), POINTS)
        spend = np.exp(log_spend)
        draws, curve = channel.value, channel.curves[0][1]
        slope = np.maximum((draws * curve.marginal(spend)).mean(axis=0), TINY)
        mean_value = (draws * curve.customers(spend)).mean(axis=0)
        at_lo = float((draws * curve.customers(np.array([lo]))).mean())
        spline = CubicHermiteSpline(log_spend, mean_value, slope * spend)
        return cls(log_spend, -np.log(slope), spline, lo, at_lo, lo < hi)

    def spend_at(self, log_mu: Floats) -> Floats:
        """The spend at which the next unit is worth exp(log_mu), within the bounds."""
        spend = np.exp(np.interp(-log_mu, self.minus_log_slope, self.log_spend))
        return np.where(self._funded(log_mu), spend, self.lo)

    def value_at(self, log_mu: Floats) -> Floats:
        """What that spend wins."""
        log_spend = np.interp(-log_mu, self.minus_log_slope, self.log_spend)
        return np.where(self._funded(log_mu), self.spline(log_spend), self.value_at_lo)

    def _funded(self, log_mu: Floats) -> Any:
        return (-log_mu > self.minus_log_slope[0]) & self.free


def _greatest_profit(
    means: Sequence[MeanValue], resolved: Sweep | None, sweep: Sweep, budget: Floats
) -> Floats:
    """As ``sweep.greatest_profit``, with mean curves and at most one channel known per draw."""
    highest = np.full_like(budget, 1.0 - min((m.minus_log_slope[0] for m in means), default=0.0))
    highest = np.maximum(highest, 1.0) + 60  # far above what any draw's first unit is worth

    def spent(log_mu: Floats) -> Floats:
        mu = np.exp(log_mu)
        total = sweep.retention_spend(mu) + sum(mean.spend_at(log_mu) for mean in means)
        return total if resolved is None else total + resolved.spend_at(mu, budget)[:, 0]

    def excess(log_mu: Floats) -> Floats:
        return np.log(np.maximum(spent(log_mu), TINY) / budget)

    log_mu = falling_root(excess, np.zeros_like(budget), highest)
    mu, retention = np.exp(log_mu), sweep.retention_spend(np.exp(log_mu))
    won = sweep.gain(retention) + sum(mean.value_at(log_mu) for mean in means)
    if resolved is not None:
        won = won + resolved.total_value(resolved.spend_at(mu, budget))
    return np.asarray(won - mu * spent(log_mu) + np.where(mu > 1, (mu - 1) * budget, 0.0))


# Channels whose curve is S-shaped within one period stand beside those that are concave.


@dataclass(frozen=True)
class MeanSweep(Sweep):
    """One channel of which nothing but the mean over its rows is known."""


def greatest_profit_of_each(sweep: Sweep, budget: Floats) -> Floats:
    """As ``sweep.greatest_profit``, also where curves are S-shaped, shape (m,)."""
    channels = [_only(sweep, index) for index in range(len(sweep.lo))]
    slow = [channel for channel in channels if _starts_slowly(channel)]
    return best_beside(slow, lambda left: greatest_profit(_without_slow(sweep), left), budget)


def best_beside(slow: Sequence[Sweep], rest: Callable[[Floats], Floats], budget: Floats) -> Floats:
    """The greatest profit of S-shaped channels and of all else, shape (m,).

    Money goes to the S-shaped ones in steps, one channel after the other, and what is left to
    ``rest``, which gives its profit at budgets of shape (m,); between some it is interpolated.
    """
    if not slow:
        return rest(budget)
    limit, floor = float(budget[0]), sum(float(channel.lo[0]) for channel in slow)
    ones = np.ones(len(budget))
    useful = [_useful(channel, limit) - channel.lo[0] for channel in slow]
    money = np.linspace(0, max(min(limit - floor, sum(useful)), 0.0), STEPS)
    earned = np.zeros((1, STEPS))
    for channel in slow:
        earned = _together(earned, _earned(channel, money))
    room_left = np.maximum(limit - floor - money, limit * SMALLEST)
    knots = (
        room_left[-1]
        + max(room_left[0] - room_left[-1], limit * SMALLEST) * np.linspace(0, 1, KNOTS) ** 2
    )
    others = np.column_stack([rest(knot * ones) for knot in knots])
    return np.asarray((earned + PchipInterpolator(knots, others, axis=1)(room_left)).max(axis=1))


def _together(first: Floats, second: Floats) -> Floats:
    """The most that two earn with money together, of what each earns with it alone."""
    shape = np.broadcast_shapes(first.shape, second.shape)
    both = np.full(shape, -np.inf)
    for step in range(shape[1]):
        split = first[:, : shape[1] - step] + second[:, step : step + 1]
        both[:, step:] = np.maximum(both[:, step:], split)
    return both


def _earned(channel: Sweep, money: Floats) -> Floats:
    """What one channel earns with money beyond its least spend, shape (m, steps)."""
    spend = np.minimum(channel.lo + money, channel.hi)
    earned = np.asarray(channel.value * channel.curves[0][1].customers(spend) - spend)
    return earned.mean(axis=0, keepdims=True) if isinstance(channel, MeanSweep) else earned


def _useful(channel: Sweep, limit: float) -> float:
    """The most that any row spends on a channel by itself."""
    rows = len(channel.value)
    return float(channel.spend_at(np.ones(rows), np.full(rows, limit)).max())


def _starts_slowly(channel: Sweep) -> bool:
    return isinstance(channel.curves[0][1], OnePeriodHill)


def _apart(
    sweep: Sweep, budget: float
) -> tuple[list[Sweep], dict[int, MeanValue], dict[int, Sweep]]:
    """Each channel alone; the means of the concave ones; the S-shaped ones at their mean value."""
    channels = [_only(sweep, index) for index in range(len(sweep.lo))]
    slow = {i: _mean(each) for i, each in enumerate(channels) if _starts_slowly(each)}
    means = {
        i: MeanValue.from_sweep(each, budget) for i, each in enumerate(channels) if i not in slow
    }
    return channels, means, slow


def _planned(
    means: Mapping[int, MeanValue],
    slow: Mapping[int, Sweep],
    resolved: Sweep | None,
    sweep: Sweep,
    budget: Floats,
) -> Floats:
    """The greatest profit with mean curves and at most one channel known per draw."""
    concave = list(means.values())
    return best_beside(
        list(slow.values()), lambda b: _greatest_profit(concave, resolved, sweep, b), budget
    )


def _mean(channel: Sweep) -> Sweep:
    """An S-shaped channel of which nothing but the mean over its rows is known."""
    return MeanSweep(**vars(channel))


def _without_slow(sweep: Sweep) -> Sweep:
    """The sweep without its S-shaped channels."""
    groups = [(which, c) for which, c in sweep.curves if not isinstance(c, OnePeriodHill)]
    left = np.concatenate([np.zeros(0, dtype=np.intp), *(which for which, _ in groups)])
    places = np.split(np.arange(len(left)), np.cumsum([len(which) for which, _ in groups])[:-1])
    curves = tuple((place, curve) for place, (_, curve) in zip(places, groups, strict=False))
    return replace(
        sweep, value=sweep.value[:, left], lo=sweep.lo[left], hi=sweep.hi[left], curves=curves
    )


def _only(sweep: Sweep, channel: int) -> Sweep:
    """The sweep with one channel alone."""
    column = slice(channel, channel + 1)
    which, curve = next(group for group in sweep.curves if channel in group[0])
    alone = _column(curve, int(np.flatnonzero(which == channel)[0]))
    return replace(
        sweep, value=sweep.value[:, column], lo=sweep.lo[column], hi=sweep.hi[column],
        curves=((np.array([0]), alone),),
    )  # fmt: skip


def _some_draws(sweep: Sweep, rows: NDArray[np.intp]) -> Sweep:
    """The sweep of one channel with some of its rows."""
    ((which, curve),) = sweep.curves
    names = [f.name for f in fields(curve) if f.name != "assumed"]
    picked: dict[str, Any] = {name: getattr(curve, name)[rows] for name in names}
    return replace(sweep, value=sweep.value[rows], curves=((which, replace(curve, **picked)),))


def _column(curve: Response, place: int) -> Response:
    """One channel of a curve with parameters of shape (draws, channels)."""
    names = [f.name for f in fields(curve) if f.name != "assumed"]
    columns: dict[str, Any] = {name: getattr(curve, name)[:, place : place + 1] for name in names}
    return replace(curve, **columns)
