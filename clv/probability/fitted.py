"""A fitted model is a few numbers: how they are remembered, given, saved and read back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from clv.defaults import SHORTEST
from clv.errors import InputError, ModelError
from clv.findings import Finding, finding
from clv.periods import DAYS, Unit
from clv.probability.covariance import Covariance, Held, covariance
from clv.probability.fit_report import FitReport
from clv.probability.optimize import Contributions, Optimum
from clv.schema import Floats

if TYPE_CHECKING:  # scikit-learn ships no types, and a base of type Any takes every attribute

    class BaseEstimator:  # noqa: D101
        def get_params(self, deep: bool = True) -> dict[str, Any]: ...  # noqa: D102
        def set_params(self, **params: Any) -> Self: ...  # noqa: D102

else:
    from sklearn.base import BaseEstimator

Engine = Literal["native", "lifetimes"]


class FittedModel(BaseEstimator):
    """Base of all models whose parameters are positive numbers.

    Attributes
    ----------
    params_
        The parameters by name.
    log_likelihood_
        Total log-likelihood, in the data's own unit; NaN after ``from_params``.
    report_
        The ``FitReport``; None after ``from_params``.
    covariance_
        The ``Covariance`` of the parameters, after ``with_covariance``; else None.
    """

    names: ClassVar[tuple[str, ...]]
    limits: ClassVar[Mapping[str, float]] = {}  # what a parameter stays above, if not 0
    _theta: ClassVar[Callable[..., Any]]
    _contributions: ClassVar[Callable[..., Contributions]]

    params_: dict[str, float]
    log_likelihood_: float
    report_: FitReport | None
    covariance_: Covariance | None
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

        Returns
        -------
        The model as if fitted, without a log-likelihood and a report.

        Raises
        ------
        InputError
            A parameter is missing, unknown, or not positive and finite.
        """
        parameters = {**(params or {}), **{k: v for k, v in named.items() if k in cls.names}}
        if set(parameters) != set(cls.names):
            raise InputError(
                f"{cls.__name__} has the parameters {', '.join(cls.names)}; "
                f"got {', '.join(parameters) or 'none'}."
            )
        wrong = [name for name in cls.names if not 0 < parameters[name] < float("inf")]
        if wrong:
            raise InputError(f"{cls.__name__}: {', '.join(wrong)} must be positive and finite.")
        model = cls(**{k: v for k, v in named.items() if k not in cls.names})
        model.params_ = {name: float(parameters[name]) for name in cls.names}
        model.log_likelihood_, model.report_ = float("nan"), None
        model.covariance_ = None
        return model

    def with_covariance(self, X: IntoFrame, sample_weight: ArrayLike | None = None) -> Self:
        """The same model, knowing how sure it is: ``covariance_`` is taken on the table it was
        fitted on, which a fitted model does not keep.

        Parameters
        ----------
        X, sample_weight
            As they were given to ``fit``.

        Returns
        -------
        A copy with ``covariance_``; totals and channels then count the doubt about the parameters.
        """
        check_is_fitted(self, "params_")
        model = copy.copy(self)
        model.covariance_ = covariance(model, X, sample_weight)
        return model

    def to_dict(self) -> dict[str, Any]:
        """The fitted model as JSON values: a few numbers, no customer."""
        check_is_fitted(self, "params_")
        report = self.report_.to_dict() if self.report_ else None
        saved = {"model": type(self).__name__, "parameters": self.params_, "report": report}
        covariance = self.covariance_
        return saved if covariance is None else saved | {"covariance": covariance.to_dict()}

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
        if saved.get("covariance"):
            model.covariance_ = Covariance.from_dict(saved["covariance"])
        return model

    def _remember(self, best: Optimum) -> None:
        self.params_ = dict(zip(self.names, map(float, best.theta), strict=True))
        self.log_likelihood_, self.covariance_ = best.log_likelihood, None

    def _report(
        self, best: Optimum, cells: int, customers: float, findings: Sequence[Finding]
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

    def fit(self, X: IntoFrame, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood on a summary; ``y`` is there for scikit-learn and ignored."""
        raise NotImplementedError

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Any:
        """What a fit sees of a table: the second argument of ``_contributions``."""
        raise NotImplementedError

    def _refit(self, observed: Any, weight: Floats) -> Floats:
        """The parameters that fit what was observed under other weights, shape (k,)."""
        raise NotImplementedError

    def _held(self, observed: Any) -> Held | None:
        """The constraint that the fit was held by, if any."""
        return None

    def _parameters(self) -> Any:
        check_is_fitted(self, "params_")
        return self._theta(*(self.params_[name] for name in self.names))

    def _contributions_at(self, values: Floats, observed: Any) -> Contributions:
        """What each row adds to the log-likelihood at parameters, in the order of ``params_``."""
        return self._contributions(self._theta(*values), observed)

    def _at(self, values: Floats) -> Self:
        """The same model at other parameters, as if these had been known."""
        other = copy.copy(self)
        other.params_ = dict(zip(self.params_, map(float, values), strict=True))
        other.log_likelihood_, other.report_, other.covariance_ = float("nan"), None, None
        return other


def short_histories(longest: float, unit: Unit | None) -> Iterator[Finding]:
    """That nobody was observed for long, where the time unit is known.

    >>> [each.text[:44] for each in short_histories(2.0, "week")], [*short_histories(52.0, "week")]
    (['nobody was observed for more than 14 days: h'], [])
    """
    if unit and (days := longest * DAYS[unit]) < SHORTEST:
        yield finding("fit.short", days=round(days))
