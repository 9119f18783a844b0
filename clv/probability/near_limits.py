"""Newton steps near a limit of a pair of parameters, in coordinates that reach to it.

A sample of the customers may say that a maximum is at a limit and all of them that it is not, or
the reverse. In the logs of the parameters either is a long way; in 1/u of a parameter u it is a
step, as the log-likelihood is nearly a parabola there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clv.probability.boundary import LogLikelihood, to_limit
from clv.schema import Floats

Spread = Callable[[Floats], tuple[float, Floats, Floats]]
LEAN = np.log(30.0)  # of a parameter by which its pair is better measured from its limit
FLOOR = 1e-9  # the least 1/u that is told from a limit
DECREMENT = 1e-16  # of the mean log-likelihood: what a step would gain
FLAT = 1e-9  # curvature by that of the most curved direction, as at a limit


@dataclass(frozen=True)
class NearLimits:
    """Coordinates in which a log-likelihood is nearly a parabola up to the limits that are near.

    Of a pair that leans out together, such as a and b: 1/u of the member that is nearer in, which
    is 0 at the limit, and by how much the log of the other is beyond its own.

    Attributes
    ----------
    leaning
        Of each such pair: the member nearer in, all that lean, and to which side.
    """

    leaning: tuple[tuple[int, tuple[int, ...], float], ...]

    @classmethod
    def of(cls, x: Floats) -> NearLimits:
        """Those of the logs of parameters."""
        leaning = []
        for first in range(0, len(x), 2):
            pair = x[first : first + 2]
            most = pair[np.argmax(np.abs(pair))]
            if abs(most) > LEAN:
                side = float(np.sign(most))
                members = [first + int(k) for k in np.flatnonzero(pair * side > abs(most) / 2)]
                if len(members) > 1:
                    leaning.append((min(members, key=lambda k: abs(x[k])), tuple(members), side))
        return cls(tuple(leaning))

    def measured(self, x: Floats) -> Floats:
        """The coordinates of the logs of parameters."""
        y = x.copy()
        for lead, members, side in self.leaning:
            y[list(members)] -= x[lead]
            y[lead] = np.exp(-side * x[lead])
        return y

    def logs(self, y: Floats) -> Floats:
        """The logs of parameters, none nearer to a limit than can be told from it."""
        x = y.copy()
        for lead, members, side in self.leaning:
            x[lead] = 0.0
            x[list(members)] += -side * np.log(max(y[lead], FLOOR))
        return x

    def slopes(self, x: Floats) -> Floats:
        """The derivatives of the logs by the coordinates, shape (k, k)."""
        by = np.eye(len(x))
        for lead, members, side in self.leaning:
            by[list(members), lead] = -side * np.exp(side * x[lead])
        return by

    def carried(
        self, x: Floats, gradient: Floats, curvature: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """The coordinates of the logs of parameters, with what is by these by those."""
        by = self.slopes(x)
        return self.measured(x), by.T @ gradient, by.T @ curvature @ by

    def pressed(self, y: Floats, slope: Floats) -> list[int]:
        """The pairs, by their place, that are at a limit and would go beyond."""
        return [
            place
            for place, (lead, _, _) in enumerate(self.leaning)
            if y[lead] <= FLOOR * 1.001 and slope[lead] > 0
        ]


def spread_over_logs(spread: Spread, weight: float) -> Spread:
    """Minus the mean log-likelihood, its gradient and the mean product of slopes, by the logs."""

    def over_logs(log_theta: Floats) -> tuple[float, Floats, Floats]:
        theta = np.exp(log_theta)
        value, gradient, products = spread(theta)
        return (
            -value / weight,
            -gradient * theta / weight,
            products * np.outer(theta, theta) / weight,
        )

    return over_logs


def near_limit_steps(
    objective: LogLikelihood, spread: Spread, x: Floats, low: Floats, high: Floats
) -> Floats:
    """Newton steps in coordinates that reach to the limits, and on to those where they end.

    The curvature is the spread of the slopes over customers, which is never negative and which the
    look at all data gives that a step takes anyway, corrected by what the last step showed.
    """
    limits = NearLimits.of(x)
    value, *by_logs = spread(x)
    y, slope, curvature = limits.carried(x, *by_logs)
    for _ in range(20):
        step = _scaled_step(curvature, slope, limits.pressed(y, slope), limits)
        if step @ slope < DECREMENT:
            break
        for share in (1.0, 0.3, 0.1, 0.01):
            tried = np.clip(limits.logs(y - share * step), low, high)
            new_value, *by_logs = spread(tried)
            if new_value <= value + 1e-13:
                break
        else:
            break
        new_y, new_slope, curvature = limits.carried(tried, *by_logs)
        if np.allclose(new_y, y - share * step, rtol=1e-6, atol=0):  # nothing was in the way
            curvature = corrected(curvature, new_y - y, new_slope - slope)
        x, y, value, slope = tried, new_y, new_value, new_slope
    for place in limits.pressed(y, slope):
        x = to_limit(objective, x, list(limits.leaning[place][1]), low, high)
    return x


def _scaled_step(
    curvature: Floats, slope: Floats, pressed: list[int], limits: NearLimits
) -> Floats:
    """The Newton step along what is free, each coordinate in a unit of its own."""
    free = np.delete(np.arange(len(slope)), [limits.leaning[place][0] for place in pressed])
    unit = 1 / np.sqrt(np.maximum(np.diag(curvature)[free], 1e-300))
    curved, axes = np.linalg.eigh(curvature[np.ix_(free, free)] * np.outer(unit, unit))
    bent = curved > FLAT
    step = np.zeros_like(slope)
    along = axes[:, bent]
    step[free] = unit * (along @ ((slope[free] * unit) @ along / curved[bent]))
    return step


def corrected(curvature: Floats, step: Floats, rise: Floats) -> Floats:
    """The curvature as a step showed it to be, by the rule of Broyden, Fletcher and others."""
    along, turned = float(step @ rise), curvature @ step
    if not along > 0:
        return curvature
    return curvature + np.outer(rise, rise) / along - np.outer(turned, turned) / (step @ turned)
