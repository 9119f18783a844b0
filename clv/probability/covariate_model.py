"""A purchase model whose customers may differ by channel, country or gender beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.findings import Finding
from clv.format import count
from clv.history import History, read_weight
from clv.periods import Unit
from clv.probability.covariate_fit import CovariateFit
from clv.probability.covariates import Asked, PatternCells, PatternHistory
from clv.probability.estimator import Histories, PurchaseModel
from clv.probability.fitted import Engine
from clv.schema import Floats


class CovariateModel(CovariateFit, PurchaseModel):
    """Base of the purchase models that take covariates.

    Parameters
    ----------
    unit, engine
        As in ``BetaGeoNBD``.
    covariates
        Columns of the summary: text is levels, the most frequent being what others stand
        against; numbers act as they are. Or by what they move: ``{"purchases": ["channel"]}``, and
        one multiplier for both, ``{"purchases and leaving": ["gender"]}``.
    effect_sd
        Standard deviation of the normal prior of each effect, the log of a multiplier, with which
        few customers of a level stay near the others; None for maximum likelihood.

    Attributes
    ----------
    coding_
        How columns become effects; None without covariates.
    """

    def __init__(
        self,
        unit: Unit | None = None,
        engine: Engine = "native",
        covariates: Asked = (),
        effect_sd: float | None = None,
    ) -> None:
        super().__init__(unit, engine)
        self.covariates = covariates
        self.effect_sd = effect_sd

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
            raise InputError(f"t has shape {t.shape}, X has {count(len(history))} rows.")
        alive, values = np.empty(len(history)), None
        for z, rows, part in history.parts():
            ordinary, lengths = self._ordinary(z), t[rows] if t.ndim else t
            alive[rows], given_alive = ordinary._given_alive_by_pair(part, lengths, verb)
            if values is None:
                values = np.empty((len(history), *given_alive.shape[1:]))
            values[rows] = given_alive
        return alive, np.empty(0) if values is None else values

    def _ordinary_fit(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Self:
        if self.engine != "native":
            raise InputError(
                f"engine={self.engine!r} has no covariates.", hint="use engine='native'."
            )
        base = type(self)(self.unit).fit(X, sample_weight=sample_weight)
        self.unit_ = base.unit_
        return base

    def _ordinary(self, z: Floats) -> Self:
        ordinary = super()._ordinary(z)
        ordinary.unit = ordinary.unit_ = self.unit_
        return ordinary

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

    def _findings_at(self, cells: Any) -> list[Finding]:
        return self._boundary(self._theta(**self._split()[0]), self._scale(cells))

    def _in_scale(self, observed: Any) -> tuple[Any, Floats]:
        scale = self._scale(observed.together)
        by_time = [scale if name in self.times else 1.0 for name in self.names]
        return observed.scaled(scale), np.array(by_time)
