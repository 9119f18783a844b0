"""Covariates that change over time in BG/NBD and MBG/NBD: they move a customer's clock, exactly.

A customer buys at rate lambda m(t) with m(t) = exp(g'z(t)), and leaves only at a purchase. On the
clock M(t), the integral of m, that is an ordinary customer [1]_: the log-likelihood is that of
(x, M(t_x), M(T)) plus the sum of log m over the repeat purchases, and whatever is asked of the
future is asked on the clock. Discounting stays on the calendar, ``STEP`` days at a time.

References
----------
.. [1] Cox & Isham 1980, Point Processes, section 4.2: change of the time scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.history import History, read_unit, read_weight, same_unit
from clv.probability.changing_base import TakesChanges
from clv.probability.changing_summary import ChangingSummary
from clv.probability.clock_course import ClockCells, ClockCourse, of_histories, unchanging
from clv.probability.covariates import Asked, PatternHistory
from clv.probability.optimize import Contributions
from clv.probability.special import spans
from clv.schema import Floats

STEP = 28  # days within which discounting takes purchases to lie in the middle


class ClockModel(TakesChanges):
    """A model whose customers leave at purchases alone: what changes moves when they buy."""

    def discounted_expected_purchases(
        self, t: ArrayLike, delta: ArrayLike, X: Any = None
    ) -> Floats:
        """As ``PurchaseModel.discounted_expected_purchases``."""
        if not self._changes(X):
            return super().discounted_expected_purchases(t, delta, X)
        time, clock = self._ahead(X, t, bool(np.any(delta)))
        det, history = super().discounted_expected_purchases, self._read(X)
        upto = [det(each, 0.0, history) for each in clock]
        within, middle = np.diff(upto, axis=0, prepend=0.0), _middle(time)
        per = [(within * np.exp(-d * middle)).sum(axis=0) for d in np.atleast_1d(delta)]
        return np.asarray(np.column_stack(per) if np.ndim(delta) else per[0])

    def discounted_purchase_pairs(self, t: ArrayLike, delta: float, X: Any) -> Floats:
        """As ``PurchaseModel.discounted_purchase_pairs``.

        The second of two purchases, at u, counts exp(-delta u), the first one the mean of
        exp(-delta s) over the clock up to u.
        """
        if not self._changes(X):
            return super().discounted_purchase_pairs(t, delta, X)
        time, clock = self._ahead(X, t, bool(delta))
        pairs, history = super().discounted_purchase_pairs, self._read(X)
        upto = [pairs(each, 0.0, history) for each in clock]
        within, discount = np.diff(upto, axis=0, prepend=0.0), np.exp(-delta * _middle(time))
        steps = np.diff(clock, axis=0, prepend=0.0)
        before = np.cumsum(steps * discount, axis=0) - steps * discount / 2
        mean = before / np.maximum(np.cumsum(steps, axis=0) - steps / 2, 1e-300)
        return np.asarray((within * discount * mean).sum(axis=0))

    def probability_of_purchase(self, t: ArrayLike, X: Any) -> Floats:
        """As ``PurchaseModel.probability_of_purchase``."""
        if not self._changes(X):
            return super().probability_of_purchase(t, X)
        return super().probability_of_purchase(self._ahead(X, t)[1][-1], self._read(X))

    def probability_of_purchases(self, k: ArrayLike, t: ArrayLike, X: Any = None) -> Floats:
        """As ``PurchaseModel.probability_of_purchases``."""
        if not self._changes(X):
            return super().probability_of_purchases(k, t, X)
        return super().probability_of_purchases(k, self._ahead(X, t)[1][-1], self._read(X))

    def _read(self, X: Any) -> History:
        if not self._changes(X):
            return super()._read(X)
        same_unit(self.unit_, read_unit(X.table))
        t_x, T = self._clock(of_histories(X, self._coding()))
        return PatternHistory(X.history.x, t_x, T, unchanging(X, self._coding()))

    def _ahead(
        self, X: ChangingSummary, t: ArrayLike, by_step: bool = False
    ) -> tuple[Floats, Floats]:
        """Times ahead, the last of them t, and the clock then, shape (steps, n) each."""
        n = len(X.history)
        end = np.broadcast_to(spans(t), (n,)) / X.day
        X.require_known(X.today + end)
        steps = max(int(np.ceil(end.max(initial=0.0) / STEP)), 1) if by_step else 1
        share = np.arange(1, steps + 1)[:, None] / steps
        days = X.today + np.vstack([np.zeros(n), share * end])
        return share * end * X.day, self._clock(ClockCourse.of_days(X, self._coding(), days))

    def _clock(self, course: ClockCourse) -> Floats:
        effects = self._coding().effects(self._split()[1])
        return course.passed(np.exp(course.z @ effects[0]))

    def _asked_of(self, X: ChangingSummary) -> Asked:
        """What changes moves purchases alone: this model's customers leave at a purchase."""
        asked, (first, *others) = self.covariates, (what for what, _, _ in self.moves)
        if not isinstance(asked, Mapping):
            static = [name for name in asked if name not in X.names]
            return {first: asked} | (dict.fromkeys(others, static) if static else {})
        for what, names in asked.items():
            wrong = [name for name in names if name in X.names and what != first]
            if wrong:
                raise InputError(
                    f"{wrong[0]!r} changes over time, and that moves {first} alone in this model.",
                    hint="in ParetoNBD it moves leaving too.",
                )
        return asked

    def _observed(self, X: Any, sample_weight: ArrayLike | None) -> Any:
        if not isinstance(X, ChangingSummary):
            return super()._observed(X, sample_weight)
        weight = read_weight(sample_weight, len(X.history))
        return ClockCells.of_summary(X, self._coding(), weight)

    def _contributions_at(self, values: Floats, observed: Any) -> Contributions:
        """On the clock, and by g: log m of the purchases, and the clock's move times its slope.

        By time the log-likelihood falls by (r + x) P(left) / (alpha + t_x) and by (r + x) P(alive)
        / (alpha + T).
        """
        if not isinstance(observed, ClockCells):
            return super()._contributions_at(values, observed)
        k, coding, course = len(self.names), self._coding(), observed.course
        g, *others = coding.effects(values[k:])
        rate = np.exp(course.z @ g)
        clock, x = course.passed(rate), observed.together.x
        cells = observed.on_clock(clock)
        ours = super()._contributions_at(values, cells)
        alive, alpha = np.empty(len(x)), np.empty(len(x))
        base = dict(zip(self.names, values, strict=False))
        for (z, part), (_, history) in zip(observed.patterns, cells.patterns, strict=True):
            theta = self._theta(**coding.theta(base, values[k:], z))
            alive[part], alpha[part] = self._probability_alive(theta, history), theta.alpha
        falls = (values[0] + x) * np.array([1 - alive, alive]) / (alpha + clock)
        moved = [(falls * course.passed(rate * z)).sum(axis=0) for z in course.z.T]
        nothing = np.zeros((len(others) * len(g), len(x)))
        by_effect = np.vstack([observed.bought.T - moved, nothing])
        by_row = ours.by_row.copy()
        by_row[0] += observed.bought @ g
        by_row[1 + k :] += coding.by_multiplier(by_effect, values[k:])
        return replace(ours, by_row=by_row)


def _middle(time: Floats) -> Floats:
    """The middle of each step, from times at their ends."""
    return np.asarray(time - np.diff(time, axis=0, prepend=0.0) / 2)
