"""Covariates that change over time in Pareto/NBD: its verbs on a ``ChangingSummary``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clv.history import Levels, read_unit, read_weight, same_unit
from clv.probability import changing_forecast as forecast
from clv.probability.changing_base import TakesChanges
from clv.probability.changing_covariates import ChangingCells, Leaving, Paths, contributions
from clv.probability.changing_summary import ChangingSummary, ahead, observed
from clv.probability.optimize import Contributions
from clv.probability.runs import summed
from clv.probability.special import spans, whole_counts
from clv.schema import Floats


class ChangingModel(TakesChanges):
    """A model whose customers may leave at any time: changes move purchases and leaving."""

    def probability_alive(self, X: Any) -> Floats:
        """As ``PurchaseModel.probability_alive``."""
        if not self._changes(X):
            return super().probability_alive(X)
        return self._of_those_alive(X, 0.0, lambda paths: np.zeros(len(paths.R)))[0]

    def discounted_expected_purchases(
        self, t: ArrayLike, delta: ArrayLike, X: Any = None
    ) -> Floats:
        """As ``PurchaseModel.discounted_expected_purchases``."""
        if not self._changes(X):
            return super().discounted_expected_purchases(t, delta, X)
        alive, mean = self._of_those_alive(X, t, forecast.purchases(delta))
        return np.asarray(mean * (alive if mean.ndim == 1 else alive[:, None]))

    def discounted_purchase_pairs(self, t: ArrayLike, delta: float, X: Any) -> Floats:
        """As ``PurchaseModel.discounted_purchase_pairs``."""
        if not self._changes(X):
            return super().discounted_purchase_pairs(t, delta, X)
        return np.multiply(*self._of_those_alive(X, t, forecast.pairs(delta)))

    def probability_of_purchase(self, t: ArrayLike, X: Any) -> Floats:
        """As ``PurchaseModel.probability_of_purchase``."""
        if not self._changes(X):
            return super().probability_of_purchase(t, X)
        return np.multiply(*self._of_those_alive(X, t, forecast.first_purchase))

    def probability_of_purchases(self, k: ArrayLike, t: ArrayLike, X: Any = None) -> Floats:
        """As ``PurchaseModel.probability_of_purchases``."""
        if not self._changes(X):
            return super().probability_of_purchases(k, t, X)
        ks = whole_counts(k)
        alive, given_alive = self._of_those_alive(X, t, forecast.counts(ks.ravel()))
        alive = alive[:, None]
        mixed = (ks.reshape(1, -1) == 0) * (1 - alive) + alive * given_alive
        return np.asarray(mixed[:, 0] if ks.ndim == 0 else mixed)

    def _of_those_alive(
        self, X: ChangingSummary, t: ArrayLike, verb: forecast.Verb
    ) -> tuple[Floats, Floats]:
        """P(alive), and what is expected of those alive in the ``t`` from today on."""
        same_unit(self.unit_, read_unit(X.table))
        coding, values = self._coding(), np.array(list(self.params_.values()))
        theta, multipliers = values[: len(self.names)], values[len(self.names) :]
        effects = coding.effects(multipliers)
        past = observed(X, coding, np.ones(len(X.history)))
        z, runs = ahead(X, coding, spans(t))
        rates, rates_ahead = (np.exp(effects @ each.T) for each in (past.z, z))
        alive, expected, first = [], [], 0
        for part in past.parts:
            last = first + len(part.together)
            now = part.now(theta, rates)
            silent = Leaving.from_paths(now)
            left = summed(now.of[silent.nodes.run], silent.leaves, len(now.R))
            alive.append(silent.stays / (silent.stays + left))
            alpha, beta = now.to_end()
            later = runs.of_customers(first, last)
            expected.append(verb(Paths.of_runs(later, rates_ahead, now.R, alpha, now.s, beta)))
            first = last
        return np.concatenate(alive), np.concatenate(expected)

    def _observed(self, X: Any, sample_weight: ArrayLike | None) -> Any:
        if not isinstance(X, ChangingSummary):
            return super()._observed(X, sample_weight)
        return observed(X, self._coding(), read_weight(sample_weight, len(X.history)))

    def _contributions_at(self, values: Floats, observed: Any) -> Contributions:
        if not isinstance(observed, ChangingCells):
            return super()._contributions_at(values, observed)
        k, coding = len(self.names), self._coding()
        effects = coding.effects(values[k:])
        parts = [contributions(values[:k], effects, part) for part in observed.parts]
        by_row = np.hstack(parts)
        by_multiplier = coding.by_multiplier(by_row[1 + k :], values[k:])
        by_row = np.vstack([by_row[: 1 + k], by_multiplier])
        n, weight = by_row.shape[1], observed.together.count
        one = Levels(np.zeros(1), np.zeros(n, dtype=np.intp), np.array([weight.sum()]))
        return Contributions(one, weight, np.zeros((len(by_row), 1)), by_row)
