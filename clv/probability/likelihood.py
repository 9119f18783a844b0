"""The log-likelihood of weighted rows, kept apart as computed: once per distinct x, once per row.

A fit asks for the total and its gradient, a covariance or a bootstrap for the share of each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.schema import Floats, Levels


@dataclass(frozen=True)
class Contributions:
    """What each row adds to a log-likelihood (first line) and to its k derivatives (the others).

    Attributes
    ----------
    levels
        The distinct x and their weight.
    weight
        How many customers each row stands for, shape (n,).
    by_level
        What depends on x alone, shape (1 + k, number of levels).
    by_row
        The rest, shape (1 + k, n).
    """

    levels: Levels
    weight: Floats
    by_level: Floats
    by_row: Floats

    def total(self) -> tuple[float, Floats]:
        """The log-likelihood of all rows and its gradient, shape (k,)."""
        value, *gradient = self.by_level @ self.levels.weight + self.by_row @ self.weight
        return float(value), np.array(gradient)

    def of_rows(self) -> tuple[Floats, Floats]:
        """The log-likelihood of one customer of each row (n,), and its gradient (k, n)."""
        value, *gradient = self.by_level[:, self.levels.of_row] + self.by_row
        return value, np.array(gradient)
