"""What it is worth to know one channel's curve and value for certain before money is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from clv.decide.budget.draws import falling_root
from clv.decide.budget.response import Response
from clv.decide.budget.solver import TINY
from clv.decide.budget.sweep import Sweep
from clv.schema import Floats

POINTS = 400  # spends at which a mean curve is tabulated
NOTHING = 1e-9  # of the profit: less than this is the rounding of the table
SMALLEST = 1e-9  # of the budget: spend below which a channel counts as unfunded


def channel_information(sweep: Sweep, names: Sequence[str], budget: float) -> dict[str, float]:
    """EVPPI by channel: the mean over its draws of the best plan that knows this draw and the mean
    of all other channels, less the best plan that knows means only. Never negative.

    The mean curves are tabulated once. By strong duality the value of a plan needs only the
    multiplier, and an error in it matters squared, so the table costs no accuracy to speak of.
    """
    channels = [_only(sweep, index) for index in range(len(names))]
    means = [MeanValue.from_sweep(channel, budget) for channel in channels]
    base = _greatest_profit(means, None, sweep, np.array([budget]))
    every = np.full(sweep.value.shape[0], budget)
    evppi = {}
    for index, name in enumerate(names):
        others = means[:index] + means[index + 1 :]
        informed = _greatest_profit(others, channels[index], sweep, every)
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
    channels = [_only(sweep, place) for place in range(len(sweep.lo))]
    means = [MeanValue.from_sweep(channel, budget) for channel in channels]
    limit, here = np.array([budget]), channels[index]
    base = float(_greatest_profit(means, None, sweep, limit)[0])
    at = np.array([spend])
    before, gains = float(here.total_value(at).mean()), []
    for rows in samples:
        left = _some_draws(here, rows)
        means[index] = MeanValue.from_sweep(left, budget)
        best = float(_greatest_profit(means, None, sweep, limit)[0])
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
