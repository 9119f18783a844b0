"""A fitted model is a few numbers: how they are remembered, given, saved and read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from clv.errors import InputError, ModelError
from clv.probability.optimize import FitReport, Optimum

Engine = Literal["native", "lifetimes"]


class FittedModel(BaseEstimator):  # type: ignore[misc]
    """Base of all models whose parameters are positive numbers.

    Attributes
    ----------
    params_
        The parameters by name.
    log_likelihood_
        Total log-likelihood, in the data's own unit; NaN after ``from_params``.
    report_
        The ``FitReport``; None after ``from_params``.
    """

    names: ClassVar[tuple[str, ...]]
    _theta: ClassVar[Callable[..., Any]]

    params_: dict[str, float]
    log_likelihood_: float
    report_: FitReport | None
    engine: Engine

    @classmethod
    def from_params(cls, params: Mapping[str, float] | None = None, **named: Any) -> Self:
        """A fitted model from known parameters, such as published ones.

        Parameters
        ----------
        params
            The parameters by name; they may as well be given one by one.
        named
            Parameters, and settings of the model such as ``unit``.

        Raises
        ------
        InputError
            A parameter is missing, unknown, or not positive and finite.
        """
        given = {**(params or {}), **{k: v for k, v in named.items() if k in cls.names}}
        if set(given) != set(cls.names):
            raise InputError(
                f"{cls.__name__} has the parameters {', '.join(cls.names)}; "
                f"got {', '.join(given) or 'none'}."
            )
        wrong = [name for name in cls.names if not 0 < given[name] < float("inf")]
        if wrong:
            raise InputError(f"{cls.__name__}: {', '.join(wrong)} must be positive and finite.")
        model = cls(**{k: v for k, v in named.items() if k not in cls.names})
        model.params_ = {name: float(given[name]) for name in cls.names}
        model.log_likelihood_, model.report_ = float("nan"), None
        return model

    def to_dict(self) -> dict[str, Any]:
        """The fitted model as JSON values: a few numbers, no customer."""
        check_is_fitted(self, "params_")
        report = self.report_.to_dict() if self.report_ else None
        return {"model": type(self).__name__, "parameters": self.params_, "report": report}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The model that ``to_dict`` wrote.

        Raises
        ------
        ModelError
            Another kind of model was saved.
        """
        if saved.get("model") != cls.__name__:
            raise ModelError(f"this is a saved {saved.get('model')}, not a {cls.__name__}.")
        model = cls.from_params(saved["parameters"])
        if saved.get("report"):
            model.report_ = FitReport.from_dict(saved["report"])
            model.log_likelihood_ = model.report_.log_likelihood
        return model

    def _remember(self, best: Optimum) -> None:
        self.params_ = dict(zip(self.names, map(float, best.theta), strict=True))
        self.log_likelihood_ = best.log_likelihood

    def _report(
        self, best: Optimum, cells: int, customers: float, findings: Sequence[str]
    ) -> FitReport:
        return FitReport(
            model=type(self).__name__,
            engine=self.engine,
            parameters=self.params_,
            log_likelihood=best.log_likelihood,
            gradient_norm=best.gradient_norm,
            condition=best.condition,
            starts=best.starts,
            starts_agreeing=best.starts_agreeing,
            cells=cells,
            customers=customers,
            findings=tuple(findings),
        )

    def _parameters(self) -> Any:
        check_is_fitted(self, "params_")
        return self._theta(**self.params_)
