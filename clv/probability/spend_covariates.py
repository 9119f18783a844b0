"""Spend that differs by channel, country or gender beforehand: what covariates add to Gamma-Gamma.

A covariate z multiplies v, and with it all money, by exp(g'z) [1]_: who spends twice as much is the
ordinary customer, counted in coins of half the worth.

References
----------
.. [1] Fader & Hardie, brucehardie.com/notes/045.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.findings import finding
from clv.probability.boundary import LogLikelihood
from clv.probability.covariance import Held
from clv.probability.covariate_fit import CovariateFit
from clv.probability.covariates import PatternCells
from clv.probability.optimize import Optimum
from clv.schema import Floats, collect

NEAR_ONE = 0.05  # q - 1 below which a mean spend of p v / (q - 1) tells nothing


class SpendCovariates(CovariateFit):
    """Base of ``GammaGamma``: its parameters are p, q, v, what it observes is (x, zbar, count)."""

    moves: ClassVar = (("spend", "v", 1),)
    _tied = False  # whether a search holds the mean spend to the one seen

    def _ordinary_fit(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Self:
        if self.engine != "native":
            raise InputError(
                f"engine={self.engine!r} has no covariates.", hint="use engine='native'."
            )
        return super()._ordinary_fit(X, sample_weight)

    def _bounds(self) -> tuple[list[float], list[float]]:
        return [1e-12, 1 + 1e-9, 1e-12], [1e12] * 3

    def _in_scale(self, observed: PatternCells) -> tuple[PatternCells, Floats]:
        scale = observed.together.mean()
        parts = ((z, replace(part, zbar=part.zbar / scale)) for z, part in observed.patterns)
        return PatternCells(tuple(parts)), np.array([1.0, 1.0, scale])

    def _columns(self, X: IntoFrame) -> Any:
        """The columns of a summary that count, collected: a lazy one may change its row order."""
        names = ("frequency", "monetary_value", *self.reads)
        return collect(X, names, "the summary", ("customer_id",)).to_native()

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of a summary by which customers spend more or less."""
        return tuple(c.name for c in self.coding_.covariates) if self.coding_ else ()

    def in_one_coin(self, X: IntoFrame) -> tuple[Self, Floats]:
        """The model of a customer with z = 0, and how much more those of a table spend, (n,).

        In coins worth so much more, each is an ordinary customer of that model: their money is
        divided by this factor before it is asked, and its answers are multiplied.
        """
        coding = self._coding()
        base, multipliers = self._split()
        patterns = coding.patterns(X)
        v = np.array([coding.theta(base, multipliers, z)["v"] for z in patterns.z])
        return self.from_params(base), v[patterns.of_row] / base["v"]

    def average_factor(self, X: IntoFrame) -> float | None:
        """How much more the customers of a table spend than one with z = 0; None if all alike."""
        return float(self.in_one_coin(X)[1].mean()) if self.coding_ else None

    def averaged(self, factor: float | None) -> Self:
        """The model of an average customer, who spends so much more than one with z = 0."""
        if self.coding_ is None or factor is None:
            return self
        base = self._split()[0]
        return self.from_params(base | {"v": base["v"] * factor})

    def with_usual_covariates(self, X: Any) -> Any:
        """A table in pandas, whose customers are as those that others stand against."""
        usual = {c.name: c.usual for c in self.coding_.covariates} if self.coding_ else {}
        return X.assign(**usual)

    def _by_row(self, X: IntoFrame) -> Any:
        """The parameters of each row, which are those of all without covariates."""
        if self.coding_ is None:
            return self._parameters()
        ordinary, factor = self.in_one_coin(X)
        p, q, v = ordinary._parameters()
        return self._theta(p, q, v * factor)

    def _maximize_with(self, observed: Any, base: Mapping[str, float]) -> Optimum:
        self._tied = False
        best = super()._maximize_with(observed, base)
        if best.theta[1] - 1 < NEAR_ONE:
            self._tied = True
            best = super()._maximize_with(observed, base)
        return best

    def _penalized(self, observed: PatternCells) -> LogLikelihood:
        """The log-likelihood of a search; tied, v is what makes the mean spend the one seen.

        A free v is then drawn to that one by a term that is nothing there, so that the search is
        over the same parameters, and as well shaped as without the tie.
        """
        free = super()._penalized(observed)
        if not self._tied:
            return free
        together = observed.together
        mean, weight = together.mean(), float(together.count.sum())

        def log_likelihood(values: Floats) -> tuple[float, Floats]:
            (p, q, v), multipliers = values[:3], values[3:]
            factor, slope_of_factor = self._mean_factor(observed, multipliers)
            held = mean * (q - 1) / (p * factor)
            value, slope = free(np.concatenate([[p, q, held], multipliers]))
            off = np.log(v / held)
            pull = slope[2] * held + weight * off  # the slope by the log of what v is held to
            slope[:2] += -pull / p, pull / (q - 1)
            slope[2] = -weight * off / v
            slope[3:] -= pull * slope_of_factor
            return value - weight * off**2 / 2, slope

        return log_likelihood

    def _mean_factor(self, observed: PatternCells, multipliers: Floats) -> tuple[float, Floats]:
        """The mean of exp(g'z) over customers, and the derivative of its log by the multipliers."""
        coding = self._coding()
        z = np.array([z for z, _ in observed.patterns])
        share = np.array([part.count.sum() for _, part in observed.patterns])
        factor = share * np.exp(z @ coding.effects(multipliers)[0])
        mean_z = (factor @ z / factor.sum())[:, None]
        return float(factor.sum() / share.sum()), coding.by_multiplier(mean_z, multipliers)[:, 0]

    def _held(self, observed: Any) -> Held | None:
        """Where the mean spend was held to the one seen, log v moves with all the others."""
        base, multipliers = self._split()
        if isinstance(observed, PatternCells):
            factor, slope = self._mean_factor(observed, multipliers)
            observed = observed.together
        else:
            factor, slope = 1.0, multipliers
        p, q, v = base.values()
        mean = observed.mean()
        if abs(p * v * factor / ((q - 1) * mean) - 1) > 1e-9:
            return None
        free = 2 + len(multipliers)
        by_others = np.array([-1.0, 1.0, *(-slope * multipliers)])
        variance, total = np.zeros((free + 1, free + 1)), observed.count.sum()
        variance[2, 2] = observed.count @ (observed.zbar - mean) ** 2 / (total * mean) ** 2
        directions = np.insert(np.eye(free), 2, by_others, axis=0)
        return Held(directions, variance, finding("interval.mean_held"))
