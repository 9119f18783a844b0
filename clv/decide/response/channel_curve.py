"""One channel's response curve with its draws, and the figures that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.decide.budget.channel import STEP, Channel
from clv.decide.budget.draws import MeanOfDraws
from clv.decide.budget.response import Formula
from clv.format import figure
from clv.schema import Floats

LEVELS = (0.05, 0.95)


@dataclass(frozen=True)
class Estimate:
    """A figure of the likeliest curve, and the 5 and 95% points of the draws."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{figure(self.value, 3)} ({figure(self.low, 3)} to {figure(self.high, 3)})"


@dataclass(frozen=True)
class ChannelCurve:
    """One channel's response, per period of the spend table.

    Parameters
    ----------
    name
        Of the channel.
    curve
        The curve of the likeliest parameters; it counts attributed customers.
    draws
        The same with arrays of shape (draws,) for parameters; draw j goes with draw j of every
        other channel of the same estimation.
    current_spend, fixed_cost
        Spend today, and fixed cost, a period.
    observed
        Least and most spend in a period that the curve rests on.
    periods
        In how many periods money was spent.
    incrementality
        Share of the attributed customers that would not have come anyway.
    own_evidence
        Share of what is known of the elasticity that this channel's own data say, 0 to 1; the
        rest is the other channels' and the prior's.
    """

    name: str
    curve: Formula
    draws: Formula
    current_spend: float
    fixed_cost: float
    observed: tuple[float, float]
    periods: int
    incrementality: float
    own_evidence: float

    @property
    def elasticity(self) -> Estimate:
        """By how many % customers grow with 1% more than today's spend."""
        return self._estimate(lambda curve: curve.elasticity(self.current_spend))

    @property
    def average_cac(self) -> Estimate:
        """Today's spend and fixed cost per incremental customer."""
        cost = (self.current_spend + self.fixed_cost) / self.incrementality
        return self._estimate(lambda curve: cost / curve.customers(self.current_spend))

    @property
    def marginal_cac(self) -> Estimate:
        """What the next incremental customer costs at today's spend."""
        share = self.incrementality
        return self._estimate(lambda curve: 1 / (share * curve.marginal(self.current_spend)))

    def _estimate(self, statistic: Callable[[Formula], Floats]) -> Estimate:
        low, high = np.quantile(statistic(self.draws), LEVELS)
        return Estimate(float(statistic(self.curve)), float(low), float(high))

    @property
    def mean(self) -> MeanOfDraws:
        """The mean of the draws: the curve that a plan should maximise."""
        return MeanOfDraws(self.draws, assumed=self.curve.assumed)

    def to_channel(
        self,
        value: float,
        *,
        periods: float = 1.0,
        step: tuple[float, float] = STEP,
        horizon: str | None = None,
    ) -> Channel:
        """The channel as ``allocate`` takes it, with step caps outside the observed spend.

        Parameters
        ----------
        value
            CLV of one new customer of this channel.
        periods
            What ``allocate`` gets as ``periods``: how many of the table's the budget is for.
        step
            How far below the least and above the most observed spend a plan may go.
        """
        return Channel(
            self.name,
            self.mean,
            value,
            current=self.current_spend * periods,
            incrementality=self.incrementality,
            horizon=horizon,
            observed=self.observed,
            step=step,
        )

    def to_dict(self) -> dict[str, Any]:
        """One row of the table: figures with 90% intervals, and what they rest on."""
        return {
            "channel": self.name,
            "curve": type(self.curve).__name__,
            "current_spend": self.current_spend,
            "fixed_cost": self.fixed_cost,
            "new_customers": self.incrementality * float(self.curve.customers(self.current_spend)),
            **_with_interval("elasticity", self.elasticity),
            **_with_interval("average_cac", self.average_cac),
            **_with_interval("marginal_cac", self.marginal_cac),
            "incrementality": self.incrementality,
            "own_evidence": self.own_evidence,
            "periods": self.periods,
            "least_observed": self.observed[0],
            "most_observed": self.observed[1],
            "step_low": self.to_channel(0).bounds()[0],
            "step_high": self.to_channel(0).bounds()[1],
        }


def _with_interval(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
