"""What all models share that take covariates over time: a bound summary in place of a summary."""

from __future__ import annotations

from typing import Any, Self

from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.history import History
from clv.probability.changing_summary import ChangingSummary, column
from clv.probability.covariate_model import CovariateModel
from clv.probability.covariates import Asked, Coding


class TakesChanges(CovariateModel):
    """A model that takes a summary bound to changes, see ``with_changes``, in place of one."""

    def fit(self, X: Any, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood, see ``PurchaseModel.fit``."""
        return super().fit(X if self.covariates else self._table(X), y, sample_weight)

    def _changes(self, X: Any) -> bool:
        """Whether a summary is bound to changes, and the model knows of them."""
        return isinstance(X, ChangingSummary) and self.coding_ is not None

    def _read(self, X: Any) -> History:
        return super()._read(self._table(X))

    def _table(self, X: Any) -> IntoFrame:
        """The summary itself."""
        table: IntoFrame = X.table if isinstance(X, ChangingSummary) else X
        return table

    def _ordinary_fit(self, X: Any, sample_weight: ArrayLike | None) -> Self:
        return super()._ordinary_fit(self._table(X), sample_weight)

    def _coding_of(self, X: Any) -> Coding:
        if not isinstance(X, ChangingSummary):
            return super()._coding_of(X)
        return Coding.from_columns(self._asked_of(X), lambda name: column(X, name), self.moves)

    def _asked_of(self, X: ChangingSummary) -> Asked:
        """Which covariates move what."""
        return self.covariates
