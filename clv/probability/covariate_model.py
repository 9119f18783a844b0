"""A purchase model whose customers may differ by channel, country or gender beforehand.

Without covariates it is the ordinary model. With them the parameters in ``params_`` are those of a
customer with z = 0, then the multipliers: "purchases[channel=search]" 1.3 is a purchase rate 1.3
times that of the most frequent channel. An effect is an association: who sent mail to good
customers will find that mail makes good customers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.findings import finding
from clv.history import Cells, History, read_weight
from clv.periods import Unit
from clv.probability.covariates import (
    Coding,
    PatternCells,
    PatternHistory,
    pattern_contributions,
    penalty,
)
from clv.probability.estimator import Histories, PurchaseModel
from clv.probability.fitted import Engine
from clv.probability.optimize import Contributions, maximize
from clv.schema import Floats

FARTHEST = 1e4  # a multiplier beyond it, or below one over it, is no effect but a separation


class CovariateModel(PurchaseModel):
    """Base of the purchase models that take covariates.

    Parameters
    ----------
    unit, engine
        As in ``BetaGeoNBD``.
    covariates
        Columns of the summary: text is levels, the most frequent being what others stand
        against; numbers act as they are.
    effect_sd
        Standard deviation of the normal prior of each effect, the log of a multiplier, with which
        few customers of a level stay near the others; None for maximum likelihood.

    Attributes
    ----------
    coding_
        How columns become effects; None without covariates.
    """

    moves: ClassVar[tuple[tuple[str, str, int], ...]]  # see ``Coding``

    coding_: Coding | None = None

    def __init__(
        self,
        unit: Unit | None = None,
        engine: Engine = "native",
        covariates: Sequence[str] = (),
        effect_sd: float | None = None,
    ) -> None:
        super().__init__(unit, engine)
        self.covariates = covariates
        self.effect_sd = effect_sd

    def fit(self, X: IntoFrame, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood, see ``PurchaseModel.fit``; with covariates, theirs besides."""
        self.coding_ = None
        if not self.covariates:
            return super().fit(X, y, sample_weight)
        if self.engine != "native":
            raise InputError(
                f"engine={self.engine!r} has no covariates.", hint="use engine='native'."
            )
        base = type(self)(self.unit).fit(X, sample_weight=sample_weight)
        self.unit_, self.params_ = base.unit_, base.params_
        self.coding_ = Coding.from_table(X, self.covariates, self.moves)
        observed = self._observed(X, sample_weight)
        theta = self._maximize_with(observed, base)
        self.report_ = self._report_of(theta, observed)
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
            model.covariates = tuple(c.name for c in model.coding_.covariates)
            model.params_ = dict(parameters)
        return model

    def probability_alive(self, X: Histories) -> Floats:
        """As ``PurchaseModel.probability_alive``."""
        history = self._read(X)
        if isinstance(history, PatternHistory):
            return self._given_alive_by_pair(history, 0.0, lambda _, t: np.zeros_like(t))[0]
        return super().probability_alive(history)

    def _given_alive_by_pair(
        self, X: Histories, t: ArrayLike, verb: Callable[[Any, Floats], Floats]
    ) -> tuple[Floats, Floats]:
        """As in ``PurchaseModel``, by the ordinary model of each pattern."""
        history = self._read(X)
        if not isinstance(history, PatternHistory):
            return super()._given_alive_by_pair(history, t, verb)
        t = np.asarray(t, dtype=np.float64)
        if t.ndim and t.shape != (len(history),):
            raise InputError(f"t has shape {t.shape}, X has {len(history):,} rows.")
        alive, values = np.empty(len(history)), None
        for z, rows, part in history.parts():
            ordinary, lengths = self._ordinary(z), t[rows] if t.ndim else t
            alive[rows], given_alive = ordinary._given_alive_by_pair(part, lengths, verb)
            if values is None:
                values = np.empty((len(history), *given_alive.shape[1:]))
            values[rows] = given_alive
        return alive, np.empty(0) if values is None else values

    def _ordinary(self, z: Floats) -> Self:
        base, multipliers = self._split(np.array(list(self.params_.values())))
        moved = self._coding().theta(base, multipliers, z)
        return self.from_params(moved, unit=self.unit_)

    def _split(self, values: Floats) -> tuple[dict[str, float], Floats]:
        """The parameters at z = 0, and the multipliers."""
        k = len(self.names)
        return dict(zip(self.names, map(float, values[:k]), strict=True)), values[k:]

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

    def _just_won(self) -> tuple[float, Any]:
        self._parameters()  # or say why not
        return super()._just_won()

    def _read(self, X: Histories) -> History:
        if self.coding_ is None or isinstance(X, PatternHistory):
            return super()._read(X)
        if isinstance(X, History):
            self._parameters()  # has no covariates: says why not
            return X
        history = super()._read(X)
        return PatternHistory(history.x, history.t_x, history.T, self.coding_.patterns(X))

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Any:
        if self.coding_ is None:
            return super()._observed(X, sample_weight)
        history: Any = self._read(X)
        weight = None if sample_weight is None else read_weight(sample_weight, len(history))
        return PatternCells.from_history(history, weight)

    def _contributions_at(self, values: Floats, observed: Any) -> Contributions:
        if not isinstance(observed, PatternCells):
            return super()._contributions_at(values, observed)

        def of_pattern(moved: dict[str, float], cells: Cells) -> Contributions:
            return self._contributions(self._theta(*moved.values()), cells)

        return pattern_contributions(self._coding(), self.names, of_pattern, values, observed)

    def _refit(self, observed: Any, weight: Floats) -> Floats:
        if not isinstance(observed, PatternCells):
            return super()._refit(observed, weight)
        weighted = observed.weighted(weight)
        base = type(self)(self.unit_)
        base.params_ = self._split(np.array(list(self.params_.values())))[0]
        other = type(self)(self.unit_, covariates=self.covariates, effect_sd=self.effect_sd)
        other.coding_, other.unit_ = self.coding_, self.unit_
        other._maximize_with(weighted, base)
        return np.array(list(other.params_.values()))

    def _maximize_with(self, observed: PatternCells, base: PurchaseModel) -> Any:
        """The optimum from the parameters without covariates, remembered."""
        cells, coding = observed.together, self._coding()
        scale = self._scale(cells)
        scaled, n = observed.scaled(scale), float(cells.count.sum())

        def log_likelihood(values: Floats) -> tuple[float, Floats]:
            value, slope = self._contributions_at(values, scaled).total()
            cost, slope_of_cost = penalty(values[len(self.names) :], self.effect_sd)
            slope[len(self.names) :] -= slope_of_cost
            return value - cost, slope

        by_time = np.array([scale if name in self.times else 1.0 for name in self.names])
        start = np.array([base.params_[name] for name in self.names]) / by_time
        effects = len(coding.names)
        best = maximize(
            log_likelihood,
            [(*start.tolist(), *[1.0] * effects)],
            lower=[1e-12] * len(self.names) + [1 / FARTHEST] * effects,
            upper=[1e12] * len(self.names) + [FARTHEST] * effects,
            weight=n,
        )
        theta = best.theta * np.concatenate([by_time, np.ones(effects)])
        names = (*self.names, *coding.names)
        self.params_ = dict(zip(names, map(float, theta), strict=True))
        value = self._contributions_at(theta, observed).total()[0]
        self.log_likelihood_, self.covariance_ = float(value), None
        return best

    def _report_of(self, best: Any, observed: PatternCells) -> Any:
        cells = observed.together
        base, multipliers = self._split(np.array(list(self.params_.values())))
        findings = self._boundary(self._theta(**base), self._scale(cells))
        names = self._coding().names
        findings += [
            finding("fit.level_apart", level=name)
            for name, m in zip(names, multipliers, strict=True)
            if abs(np.log(m)) > np.log(FARTHEST) - 1e-3
        ]
        return self._report(best, len(cells), float(cells.count.sum()), findings)
