"""A model whose customers may differ by channel, country or plan beforehand: fit, words, JSON.

Without covariates it is the ordinary model. With them the parameters in ``params_`` are those of a
customer with z = 0, then the multipliers: "purchases[channel=search]" 1.3 is a purchase rate 1.3
times that of the most frequent channel. An effect is an association: who sent mail to good
customers will find that mail makes good customers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.findings import Finding, finding
from clv.probability.boundary import LogLikelihood
from clv.probability.covariates import (
    Asked,
    Coding,
    PatternCells,
    covariate_columns,
    pattern_contributions,
    penalty,
)
from clv.probability.fitted import FittedModel
from clv.probability.optimize import Contributions, Optimum, maximize, sample
from clv.schema import Floats

SAMPLE = 3_000  # customers on whom the optimum of many is looked for
FARTHEST = 1e4  # a multiplier beyond it, or below one over it, is no effect but a separation


class CovariateFit(FittedModel):
    """What all models that take covariates share; it stands before the ordinary model as a base.

    Attributes
    ----------
    coding_
        How columns become effects; None without covariates.
    """

    moves: ClassVar[tuple[tuple[str, str, int], ...]]  # see ``Coding``

    covariates: Asked
    effect_sd: float | None
    coding_: Coding | None = None

    def fit(self, X: IntoFrame, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood, see the ordinary model; with covariates, theirs besides."""
        self.coding_ = None
        if not self.covariates:
            return super().fit(X, y, sample_weight)
        coding = self._coding_of(X)
        base = self._ordinary_fit(X, sample_weight)
        self.params_, self.coding_ = base.params_, coding
        observed = self._observed(X, sample_weight)
        best = self._maximize_with(observed, base.params_)
        cells = observed.together
        findings = [*self._findings_at(cells), *self._apart()]
        self.report_ = self._report(best, len(cells), float(cells.count.sum()), findings)
        return self

    def at(self, **covariates: object) -> Self:
        """The ordinary model of customers with these covariates, such as ``channel="search"``.

        Returns
        -------
        A fitted model without covariates, for new customers and whatever else has no table.

        Raises
        ------
        InputError
            A covariate is missing, or has a level that was never seen.
        """
        import pandas as pd

        coding = self._coding()
        names = [covariate.name for covariate in coding.covariates]
        if set(names) != set(covariates):
            raise InputError(
                f"the customers of this model differ by {', '.join(names)}; got "
                f"{', '.join(covariates) or 'nothing'}."
            )
        return self._ordinary(coding.patterns(pd.DataFrame([covariates])).z[0])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with how columns become effects."""
        saved = super().to_dict()
        return saved if self.coding_ is None else saved | {"coding": self.coding_.to_dict()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The model that ``to_dict`` wrote."""
        parameters = saved["parameters"]
        base = {name: value for name, value in parameters.items() if name in cls.names}
        model = super().from_dict({**saved, "parameters": base})
        if "coding" in saved:
            model.coding_ = Coding.from_dict(saved["coding"])
            model.covariates = model.coding_.asked
            model.params_ = dict(parameters)
        return model

    def _ordinary_fit(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Self:
        """The model without covariates, fitted: where the search begins."""
        return type(self)().fit(X, sample_weight=sample_weight)

    def _coding_of(self, X: Any) -> Coding:
        """How the columns that the model was asked for become effects."""
        covariates = self.covariates
        lists = covariates.values() if isinstance(covariates, Mapping) else [covariates]
        rows = covariate_columns(X, list(dict.fromkeys(name for names in lists for name in names)))
        return Coding.from_columns(covariates, rows.__getitem__, self.moves)

    def _ordinary(self, z: Floats) -> Self:
        return self.from_params(self._coding().theta(*self._split(), z))

    def _split(self) -> tuple[dict[str, float], Floats]:
        """The parameters at z = 0, and the multipliers."""
        k, values = len(self.names), list(self.params_.values())
        return dict(zip(self.names, values[:k], strict=True)), np.array(values[k:])

    def _coding(self) -> Coding:
        if self.coding_ is None:
            raise InputError("this model was fitted without covariates.")
        return self.coding_

    def _parameters(self) -> Any:
        if self.coding_ is not None:
            names = ", ".join(f"{c.name}=..." for c in self.coding_.covariates)
            raise InputError(
                "customers of this model differ by covariates: it has no one set of parameters.",
                hint=f"model.at({names}) is the ordinary model of one kind of customer.",
            )
        return super()._parameters()

    def _findings_at(self, cells: Any) -> list[Finding]:
        """What a maximum at the edge of the parameter space means, in words."""
        raise NotImplementedError

    def _bounds(self) -> tuple[list[float], list[float]]:
        """Of the parameters at z = 0, in the search."""
        return [1e-12] * len(self.names), [1e12] * len(self.names)

    def _in_scale(self, observed: Any) -> tuple[Any, Floats]:
        """What was observed as a search takes it, and by what each parameter is then divided."""
        return observed, np.ones(len(self.names))

    def _contributions_at(self, values: Floats, observed: Any) -> Contributions:
        if not isinstance(observed, PatternCells):
            return super()._contributions_at(values, observed)

        def of_pattern(moved: dict[str, float], cells: Any) -> Contributions:
            return self._contributions(self._theta(*moved.values()), cells)

        return pattern_contributions(self._coding(), self.names, of_pattern, values, observed)

    def _refit(self, observed: Any, weight: Floats) -> Floats:
        if self.coding_ is None:
            return super()._refit(observed, weight)
        other = copy.copy(self)
        other._maximize_with(observed.reweighted(weight), self._split()[0])
        return np.array(list(other.params_.values()))

    def _penalized(self, observed: Any) -> LogLikelihood:
        """The log-likelihood with the prior of the effects."""
        k = len(self.names)

        def log_likelihood(values: Floats) -> tuple[float, Floats]:
            value, slope = self._contributions_at(values, observed).total()
            cost, slope_of_cost = penalty(values[k:], self.effect_sd)
            slope[k:] -= slope_of_cost
            return value - cost, slope

        return log_likelihood

    def _maximize_with(self, observed: Any, base: Mapping[str, float]) -> Optimum:
        """The optimum from the parameters without covariates, remembered."""
        effects, count = len(self._coding().names), observed.together.count
        scaled, scale = self._in_scale(observed)
        rough = []
        if len(count) > 2 * SAMPLE:
            rows, stands_for = sample(count, SAMPLE)
            weight = np.zeros(len(count))
            weight[rows] = stands_for
            rough = [self._penalized(scaled.reweighted(weight))]
        start = np.array([base[name] for name in self.names]) / scale
        lower, upper = self._bounds()
        best = maximize(
            self._penalized(scaled),
            [(*start.tolist(), *[1.0] * effects)],
            lower=lower + [1 / FARTHEST] * effects,
            upper=upper + [FARTHEST] * effects,
            weight=float(count.sum()),
            rough=rough,
        )
        theta = best.theta * np.concatenate([scale, np.ones(effects)])
        names = (*self.names, *self._coding().names)
        self.params_ = dict(zip(names, map(float, theta), strict=True))
        value = self._contributions_at(theta, observed).total()[0]
        self.log_likelihood_, self.covariance_ = float(value), None
        return replace(best, theta=theta, log_likelihood=float(value))

    def _apart(self) -> list[Finding]:
        """Levels whose effect is beyond all bounds."""
        return [
            finding("fit.level_apart", level=name)
            for name, m in zip(self._coding().names, self._split()[1], strict=True)
            if abs(np.log(m)) > np.log(FARTHEST) - 1e-3
        ]
