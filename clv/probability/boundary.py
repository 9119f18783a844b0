"""Limits of a model, at which parameters grow without end or vanish: the way there, and back.

The log-likelihood nears a limit as exp(-u) in the log u of parameters, so that a search goes on by
about one at each step, and leaves a part of the slope for the next. A pair of parameters, such as
the a and b of a beta distribution, has a limit in common.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clv.schema import Floats

LogLikelihood = Callable[[Floats], tuple[float, Floats]]
# The log of a parameter, or of one over it: on the way to a limit; not so; far enough to see which.
FAR, NEAR, STRIDE = np.log(1e4), np.log(100.0), np.log(30.0)


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
