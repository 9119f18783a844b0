"""A total's distribution: what it is drawn from, and the interval that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clv.findings import Finding, finding, saved
from clv.format import count, number, percent
from clv.notebook import InNotebook
from clv.schema import Floats
from clv.value.common_factor import (
    NO_COMMON_FACTOR,
    CommonFactor,
    check_level,
    draw_factors,
    shares_of_variance,
)

TOTALS = 20_000  # draws of the total, each a number
LOOSE = 0.5  # relative standard deviation above which a gamma distribution is a rough picture


@dataclass(frozen=True)
class Total(InNotebook):
    """The distribution of a total.

    Attributes
    ----------
    quantity
        What is counted, with its horizon: "purchases over 39 weeks", or the terms of a value.
    mean
        The sum of the customers' expectations, at the fitted parameters.
    low, median, high, level
        The central interval that holds the total with probability ``level``.
    parts
        Which share of the variance (of the log of the total) is that of the parameters, the
        individuals and the common factor; they add up to 1.
    log_sd
        The standard deviation of the log of the total, from all parts.
    customers
        How many the total is of.
    reasons
        What the interval leaves out or assumes.
    """

    quantity: str
    mean: float
    low: float
    median: float
    high: float
    level: float
    log_sd: float
    parts: dict[str, float]
    customers: int
    reasons: tuple[Finding, ...] = ()

    def times(self, factor: float, reason: Finding) -> Total:
        """The same distribution around another mean, and why."""
        names = ("mean", "low", "median", "high")
        scaled = {name: factor * getattr(self, name) for name in names}
        return replace(self, **scaled, reasons=(*self.reasons, reason))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self) | {"parts": dict(self.parts), "reasons": saved(self.reasons)}

    def __str__(self) -> str:
        shares = ", ".join(
            f"{name} {percent(share)}" for name, share in self.parts.items() if share
        )
        lines = [
            f"{self.quantity}, {count(self.customers)} customers: {number(self.mean, 0)}, "
            f"{percent(self.level)} between {number(self.low, 0)} and {number(self.high, 0)}",
            f"  of the variance: {shares or 'none'}",
        ]
        return "\n".join([*lines, *(f"  note: {reason}" for reason in self.reasons)])


@dataclass(frozen=True, eq=False)
class TotalMoments:
    """What a total is drawn from; intervals of other levels and factors cost draws alone.

    Attributes
    ----------
    quantity, customers
        As in ``Total``.
    mean, individual
        The expected total, and the variance by the chance of single customers over its square.
    moved
        The log of the expected total under drawn parameters, less that under the fitted ones.
    reasons
        What they leave out.
    seed
        Of the draws.
    """

    quantity: str
    mean: float
    individual: float
    moved: Floats
    customers: int
    reasons: tuple[Finding, ...]
    seed: int

    def total(self, level: float, common: CommonFactor | None = None) -> Total:
        """The distribution with its central interval; ``common`` moves all customers at once."""
        check_level(level)
        variances = {
            "parameters": float(np.var(self.moved)),
            "individuals": self.individual,
            "common_factor": common.variance if common else 0.0,
        }
        low, median, high = np.quantile(
            self._draws(common), [(1 - level) / 2, 0.5, (1 + level) / 2]
        )
        few = finding("interval.few_customers", share=float(np.sqrt(self.individual)))
        reasons = (*self.reasons, *[few] * (self.individual > LOOSE**2))
        return Total(
            quantity=self.quantity,
            mean=self.mean,
            low=float(low),
            median=float(median),
            high=float(high),
            level=level,
            log_sd=float(np.sqrt(sum(variances.values()))),
            parts=shares_of_variance(variances),
            customers=self.customers,
            reasons=(*reasons, common.note if common else NO_COMMON_FACTOR),
        )

    def _draws(self, common: CommonFactor | None) -> Floats:
        rng = np.random.default_rng(self.seed + 1)
        totals = self.mean * rng.choice(np.exp(self.moved), TOTALS)
        totals *= draw_factors(common, TOTALS, rng)
        if self.individual:
            # Mean 1, and as variance that of the individuals relative to the mean.
            totals *= rng.gamma(1 / self.individual, self.individual, TOTALS)
        return np.asarray(totals)
