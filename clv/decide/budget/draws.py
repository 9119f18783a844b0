"""The mean of a curve's draws: what a plan that knows its own uncertainty maximises.

The mean of concave curves is concave, so one exact allocation of the mean curves is the plan of
greatest expected profit. It is not the curve of the mean parameters, and not the mean of the plans
that each draw alone would choose.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv.decide.budget.response import Formula, Response
from clv.errors import InputError
from clv.schema import Floats

STEPS = 200  # most that the search for a root takes; 8 are usual
CLOSE = 4e-15  # the rounding of ln n'
LARGEST = 1e300


@dataclass(frozen=True)
class MeanOfDraws(Response):
    """n(s) = the mean over draws j of n_j(s).

    Parameters
    ----------
    draws
        One curve whose parameters are arrays over the draws, of shape (draws,), or after
        ``stack`` of shape (draws, channels).

    Examples
    --------
    >>> from clv.decide.budget.response import Power
    >>> mean = MeanOfDraws(Power(k=np.array([12.0, 20.0]), b=np.array([0.6, 0.5])))
    >>> round(float(mean.customers(10_000)), 1)  # of 3014.3 and 2000
    2507.1
    >>> round(float(mean.spend_at(mean.marginal(10_000))), 6)
    10000.0
    """

    draws: Formula

    @property
    def kind(self) -> Hashable:
        """Means of equally many draws of one class can be stacked."""
        return MeanOfDraws, self.draws.kind, self._shape[0]

    @classmethod
    def stack(cls, curves: Sequence[Self]) -> Self:
        """One curve whose draws have the shape (draws, channels)."""
        if len({curve.kind for curve in curves}) > 1:
            raise InputError(
                "means of different curves, or of unequally many draws, cannot be stacked.",
                hint="estimate the curves of all channels in one call.",
            )
        kind = type(curves[0].draws)
        arrays: dict[str, Any] = {
            name: np.stack([_full(curve, name) for curve in curves], axis=-1)
            for name in kind.parameters()
        }
        return cls(kind(**arrays))

    def customers(self, spend: ArrayLike) -> Floats:
        """The mean of n_j(s)."""
        s = np.asarray(spend, dtype=np.float64)
        return np.asarray(self._beside(s).customers(s).mean(axis=0))

    def marginal(self, spend: ArrayLike) -> Floats:
        """The mean of n_j'(s)."""
        s = np.asarray(spend, dtype=np.float64)
        return np.asarray(self._beside(s).marginal(s).mean(axis=0))

    def spend_at(self, marginal: ArrayLike) -> Floats:
        """The spend at which the mean of n_j' is ``marginal``; it lies between those of the draws.

        The search runs over ln s, or ln (s + a typical spend) where some draws would spend nothing,
        and compares ln n', which is nearly straight there.
        """
        target = np.asarray(marginal, dtype=np.float64)
        target = np.broadcast_to(target, np.broadcast_shapes(target.shape, self._shape[1:]))
        curves = self._beside(target)
        each = np.clip(curves.spend_at(target), 0.0, LARGEST)
        low, high = each.min(axis=0), each.max(axis=0)
        shift = np.where(low > 0, 0.0, each.mean(axis=0)) + (high == 0)

        def excess(z: Floats) -> Floats:
            slope = curves.marginal(np.maximum(np.exp(z) - shift, 0.0)).mean(axis=0)
            return np.asarray(np.log(slope) - np.log(target))

        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = falling_root(excess, np.log(low + shift), np.log(high + shift))
            spend = np.clip(np.exp(z) - shift, low, high)
            spend = np.where(
                curves.marginal(np.zeros_like(target)).mean(axis=0) > target, spend, 0.0
            )
        return np.asarray(np.where(spend >= LARGEST, np.inf, spend))

    def over(self, periods: float) -> MeanOfDraws:
        """The mean of N_j(S)."""
        return MeanOfDraws(self.draws.over(periods), assumed=self.assumed)

    @property
    def _shape(self) -> tuple[int, ...]:
        """(draws,) or (draws, channels)."""
        arrays = [np.shape(getattr(self.draws, name)) for name in self.draws.parameters()]
        return np.broadcast_shapes(*arrays)

    def _beside(self, spend: Floats) -> Formula:
        """The draws with their first axis before all axes of ``spend``."""
        draws, *rest = self._shape
        shape = (draws, *(1,) * (spend.ndim - len(rest)), *rest)
        arrays: dict[str, Any] = {
            name: _full(self, name).reshape(shape) for name in self.draws.parameters()
        }
        return type(self.draws)(**arrays)


def falling_root(f: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where a falling f passes 0 between ``low`` and ``high``, element by element.

    The ends themselves where f does not change sign. Regula falsi with the weights of Anderson &
    Björck (1973), a bisection every fifth step.

    >>> falling_root(lambda x: 2 - x**3, np.array([0.0, 1.5]), np.array([2.0, 3.0])).round(9)
    array([1.25992105, 1.5       ])
    """
    f_low, f_high = f(low), f(high)
    low = np.where(f_high >= 0, high, low)
    high = np.where(f_low <= 0, low, high)
    last = np.zeros(np.shape(low))
    for step in range(1, STEPS):
        with np.errstate(divide="ignore", invalid="ignore"):  # where the ends have met
            x = low + (high - low) * f_low / (f_low - f_high)
        x = np.where((low < x) & (x < high) & (step % 8 > 0), x, (low + high) / 2)
        f_x = f(x)
        above, again = f_x > 0, np.sign(f_x) == last
        f_low, f_high = (
            np.where(above, f_x, f_low * _weight(again, f_x, f_high)),
            np.where(above, f_high * _weight(again, f_x, f_low), f_x),
        )
        last, close = np.sign(f_x), np.abs(f_x) <= CLOSE
        low, high = np.where(above | close, x, low), np.where(above & ~close, high, x)
        if np.all(high - low <= 4e-16 * np.abs(high)):
            break
    return (low + high) / 2


def _weight(again: NDArray[np.bool_], new: Floats, old: Floats) -> Floats:
    """What one end's value is scaled by when the other end has moved twice in a row."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = 1 - new / old
    return np.where(again, np.where(weight > 0, weight, 0.5), 1.0)


def _full(curve: MeanOfDraws, name: str) -> Floats:
    """One parameter, of the full shape of the draws."""
    return np.broadcast_to(np.asarray(getattr(curve.draws, name), dtype=np.float64), curve._shape)
