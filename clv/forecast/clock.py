"""A clock on which a base buys evenly: a day on which it buys twice as much lasts twice as long.

Purchases come at rate lambda m(t) with m(t) > 0 common to all customers. On the clock
M(t) = integral of m the process is the ordinary one, and whoever leaves does so at a purchase, so a
model of a steady rate is asked on the clock [1]_.

References
----------
.. [1] Cox & Isham 1980, Point Processes, section 4.2: change of the time scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clv.schema import Floats


@dataclass(frozen=True, eq=False)
class Clock:
    """Daily multipliers around a cutoff, which is day 0; beyond them a day lasts a day.

    Attributes
    ----------
    past
        Multipliers of the days that end with the cutoff, oldest first.
    future
        Multipliers of the days after it.
    """

    past: Floats
    future: Floats

    def time(self, day: ArrayLike) -> Floats:
        """The clock's time at the end of a day, in weeks; 0 at the cutoff.

        >>> Clock(np.array([1.0]), np.array([0.0, 2.0])).time([-7, 0, 1, 2, 9]) * 7
        array([-7.,  0.,  0.,  2.,  9.])
        """
        passed = np.concatenate([[0.0], np.cumsum(np.concatenate([self.past, self.future]))])
        first, last = -float(len(self.past)), float(len(self.future))
        days = np.asarray(day, dtype=np.float64)
        inside = np.interp(days, np.arange(first, last + 1), passed - passed[len(self.past)])
        beyond = np.minimum(days - first, 0.0) + np.maximum(days - last, 0.0)
        return np.asarray((inside + beyond) / 7.0)
