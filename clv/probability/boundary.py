"""Limits of a model, at which parameters grow without end or vanish: the way there, and back.

The log-likelihood nears a limit as exp(-u) in the log u of parameters, so that a search goes on by
about one at each step, and leaves a part of the slope for the next. A pair of parameters, such as
the a and b of a beta distribution, has a limit in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clv.schema import Floats

LogLikelihood = Callable[[Floats], tuple[float, Floats]]
# The log of a parameter, or of one over it: on the way to a limit; not so; far enough to see which.
FAR, NEAR, STRIDE = np.log(1e4), np.log(100.0), np.log(30.0)
LEAN = np.log(30.0)  # of a parameter by which its pair is better measured from its limit
FLOOR = 1e-9  # the least 1/u that is told from a limit


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


def far_out(x: Floats) -> list[tuple[int, ...]]:
    """Those parameters of a pair, such as r and alpha, that are far out on one side."""
    found = []
    for first in range(0, len(x), 2):
        pair = x[first : first + 2]
        most = pair[np.argmax(np.abs(pair))]
        if abs(most) > FAR:
            found.append(tuple((first + np.flatnonzero(pair * np.sign(most) > NEAR)).tolist()))
    return found


def to_limit(
    objective: LogLikelihood, x: Floats, far: list[int], low: Floats, high: Floats
) -> Floats:
    """The limit of parameters that are far out, if the way there is uphill to its end."""
    side = np.sign(x[far])
    further, limit = x.copy(), x.copy()
    further[far] += side * STRIDE
    room = np.where(side > 0, high[far] - x[far], x[far] - low[far]).min()
    limit[far] += side * max(room - STRIDE / 2, 0.0)
    before = objective(x)[0]
    value, gradient = objective(further)
    uphill = gradient[far] @ side < 0 and value <= before
    return limit if uphill and objective(limit)[0] <= value else x


def moved_in(x: Floats, far: list[int], size: float) -> Floats:
    """Parameters that are far out moved in, until the nearest is of such a size."""
    moved = x.copy()
    moved[far] -= np.sign(x[far]) * (np.abs(x[far]).min() - size)
    return moved
