"""The Gamma-Gamma model of spend (Fader & Hardie 2013): pure functions, then the estimator.

The value of one purchase is Gamma(p, rate nu) with nu ~ Gamma(q, rate v) over customers, whatever
the number of purchases. Shared by all functions: ``theta`` = (p, q, v), v in currency; ``x``
repeat purchases and ``zbar`` their mean value, shape (n,).

References
----------
.. [1] Fader & Hardie (2013), The gamma-gamma model of monetary value, note 025 at brucehardie.com.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self, overload

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike
from scipy import special as sc
from sklearn.utils.validation import check_is_fitted

from clv.defaults import FEWEST_ORDERS, GIANT
from clv.errors import FitError, InputError
from clv.findings import Finding, finding
from clv.history import Levels, read_spend, read_weight
from clv.probability import lifetimes_engine
from clv.probability.boundary import LogLikelihood
from clv.probability.covariates import Asked, PatternCells
from clv.probability.dependence import Dependence
from clv.probability.estimator import SAMPLES
from clv.probability.fitted import Engine
from clv.probability.optimize import Contributions, Optimum, blocks, maximize, sample
from clv.probability.special import digamma_rise, log_rising
from clv.probability.spend_covariates import NEAR_ONE, SpendCovariates
from clv.schema import Floats

STARTS = ((5.0, 3.0, 0.6), (1.0, 1.0, 1.0), (20.0, 10.0, 0.5))  # p, q - 1, v in mean spends


class GammaGammaTheta(NamedTuple):
    """p, q, v."""

    p: float
    q: float
    v: float


@dataclass(frozen=True)
class Spend:
    """Repeat buyers as arrays of shape (n,): purchases > 0, their mean value, how many they are."""

    x: Floats
    zbar: Floats
    count: Floats

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def levels(self) -> Levels:
        """The distinct x, where gamma functions are taken."""
        return Levels.from_column(self.x, self.count)

    def mean(self) -> float:
        """The mean of ``zbar`` over customers."""
        return float(self.count @ self.zbar / self.count.sum())

    def sample(self, size: int) -> Spend:
        """About ``size`` customers with the weights that let them stand for all."""
        rows, weight = sample(self.count, size)
        return Spend(self.x[rows], self.zbar[rows], weight)

    def reweighted(self, weight: Floats) -> Spend:
        """The same customers under other weights; those without one are left out."""
        rows = weight > 0
        return Spend(self.x[rows], self.zbar[rows], weight[rows])


def contributions(theta: GammaGammaTheta, spend: Spend) -> Contributions:
    """The log-likelihood of mean spends and its derivatives by (p, q, v); eq. 1a of [1]_."""
    p, q, v = map(float, theta)
    levels = spend.levels
    px = p * levels.values
    # B(p x, q) by a rise of the larger argument: a difference of log gammas would lose the digits.
    large, small = np.maximum(px, q), np.minimum(px, q)
    by_x = np.zeros((4, len(px)))
    by_x[0] = log_rising(large, small) - sc.gammaln(small)  # 1 / B(p x, q)
    by_x[1], by_x[2] = levels.values * digamma_rise(px, q), digamma_rise(q, px)
    by_row = np.empty((4, len(spend)))
    for rows in blocks(len(spend)):
        x, zbar, part = spend.x[rows], spend.zbar[rows], by_row[:, rows]
        total = x * zbar
        # The shares x zbar / (v + x zbar) and v / (v + x zbar), right where either is tiny.
        log_u, log_rest = -np.log1p(v / total), -np.log1p(total / v)
        part[0] = p * x * log_u + q * log_rest - np.log(zbar)
        part[1], part[2] = x * log_u, log_rest
        part[3] = (q * total / v - p * x) / (total + v)
    return Contributions(levels, spend.count, by_x, by_row)


def log_likelihood(theta: GammaGammaTheta, spend: Spend) -> tuple[float, Floats]:
    """The total log-likelihood of mean spends and its gradient by (p, q, v)."""
    return contributions(theta, spend).total()


def expected_spend(theta: GammaGammaTheta, x: Floats, zbar: Floats) -> Floats:
    """E[M | x, zbar] = p (v + x zbar) / (p x + q - 1); eq. 5 of [1]_. Needs q > 1 where x = 0."""
    p, q, v = theta
    return np.asarray(p * (v + x * zbar) / (p * x + q - 1))


def simulate(theta: GammaGammaTheta, x: Floats, rng: np.random.Generator) -> Floats:
    """Draw the mean spend of x purchases per customer, 0 where x = 0."""
    p, q, v = theta
    nu = rng.gamma(q, 1 / v, size=len(x))
    purchases = np.maximum(x, 1)
    return np.where(x > 0, rng.gamma(p * purchases) / (nu * purchases), 0.0)


class GammaGamma(SpendCovariates):
    """Gamma-Gamma: what one purchase of a customer is worth on average.

    The estimate is the same in any currency unit. q > 1, so that the mean exists; where the data
    ask for less, the mean is held to the one seen and ``report_`` says so.

    Parameters
    ----------
    engine
        "native", or "lifetimes" to fit through that package.
    covariates, effect_sd
        Columns of the summary by which customers spend more or less, such as ``["channel"]``: text
        is levels, the most frequent being what others stand against. "spend[channel=search]" 1.3
        in ``params_`` is 1.3 times its spend. ``effect_sd`` is the standard deviation of a normal
        prior of each effect, None for no prior.

    Attributes
    ----------
    params_, log_likelihood_, report_
        As in ``BetaGeoNBD``; ``report_.customers`` counts the repeat buyers it was fitted on.
    coding_
        How columns become effects; None without covariates.
    dependence_
        ``Dependence`` of spend on frequency; None after ``from_params``.

    Examples
    --------
    >>> import pandas as pd
    >>> model = GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44})
    >>> round(model.expected_spend(), 2)
    35.22
    >>> X = pd.DataFrame({"frequency": [2, 0], "monetary_value": [22.35, 0.0]})
    >>> model.expected_spend(X).round(2)
    array([24.66, 35.22])
    """

    names: ClassVar[tuple[str, ...]] = ("p", "q", "v")
    limits: ClassVar[Mapping[str, float]] = {"q": 1.0}  # where the mean stops to exist
    _theta: ClassVar[Callable[..., Any]] = GammaGammaTheta
    _contributions: ClassVar[Callable[..., Contributions]] = staticmethod(contributions)

    dependence_: Dependence | None

    def __init__(
        self, engine: Engine = "native", covariates: Asked = (), effect_sd: float | None = None
    ) -> None:
        self.engine = engine
        self.covariates = covariates
        self.effect_sd = effect_sd

    def fit(self, X: IntoFrame, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood on the customers with at least one repeat purchase.

        Parameters
        ----------
        X
            A summary with columns frequency and monetary_value, and the covariates. One-time buyers
            are left out here, inside, and only here.
        y
            Ignored; there for scikit-learn.
        sample_weight
            Shape (n,); weight 2 is the row twice.

        Returns
        -------
        The model itself, with ``params_``, ``log_likelihood_``, ``report_`` and ``dependence_``.

        Raises
        ------
        RowError
            A repeat buyer's mean spend is missing or negative. Who paid nothing for all repeat
            purchases, as the model cannot, is left out.
        FitError
            Nobody bought twice.
        """
        if self.covariates:
            return super().fit(X, y, sample_weight)
        self.coding_ = None
        spend = self._observed(X, sample_weight)
        best = self._best(spend)
        self._remember(best)
        findings = self._findings_at(spend)
        self.report_ = self._report(best, len(spend), float(spend.count.sum()), findings)
        return self

    @classmethod
    def from_params(cls, params: Mapping[str, float] | None = None, **named: Any) -> Self:
        """As ``FittedModel.from_params``; q must be above 1, where the mean exists."""
        model = super().from_params(params, **named)
        if model.params_["q"] <= 1:
            raise InputError(
                f"q = {model.params_['q']} is not above 1: the mean spend of a customer does not "
                "exist.",
                hint="fit with this package, which keeps q above 1 and says when that binds.",
            )
        model.dependence_ = None
        return model

    def to_dict(self) -> dict[str, Any]:
        """The fitted model as JSON values: a few numbers, no customer."""
        saved = super().to_dict()
        return saved | {"dependence": self.dependence_.to_dict() if self.dependence_ else None}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The model that ``to_dict`` wrote."""
        model = super().from_dict(saved)
        if saved.get("dependence"):
            model.dependence_ = Dependence.from_dict(saved["dependence"])
        return model

    @overload
    def expected_spend(self, X: None = None) -> float: ...
    @overload
    def expected_spend(self, X: IntoFrame) -> Floats: ...
    def expected_spend(self, X: IntoFrame | None = None) -> float | Floats:
        """Expected value of one purchase: p v / (q - 1) without a history, else eq. 5 of the note.

        Parameters
        ----------
        X
            A summary with columns frequency and monetary_value, and the covariates; None for a
            customer of whom nothing is known.

        Returns
        -------
        One number without X; else an array of shape (n,), in the order of X, where one-time
        buyers get the number of an unknown customer. In the currency of the data.

        Raises
        ------
        ColumnError, RowError
            A column of X is missing, or a repeat buyer's mean spend is missing or negative.
        InputError
            Without X, of a model with covariates: ask ``at(channel=...)``.
        """
        check_is_fitted(self, "params_")
        if X is None:
            return float(expected_spend(self._parameters(), np.array(0.0), np.array(0.0)))
        rows = self._columns(X)
        return expected_spend(self._by_row(rows), *read_spend(rows))

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Any:
        rows = self._columns(X)
        x, zbar = read_spend(rows)
        everybody = Spend(x, zbar, read_weight(sample_weight, len(x)) * (zbar > 0))
        if not everybody.count.any():
            raise FitError(
                "nobody bought twice, so repeat spend cannot be estimated.",
                hint="take a longer observation window, or check that customer ids repeat.",
            )
        if self.coding_ is None:
            return everybody.reweighted(everybody.count)
        patterns = self.coding_.patterns(rows)
        parts = (
            (z, everybody.reweighted(everybody.count * (patterns.of_row == g)))
            for g, z in enumerate(patterns.z)
        )
        return PatternCells(tuple((z, part) for z, part in parts if len(part)))

    def _refit(self, observed: Any, weight: Floats) -> Floats:
        if self.coding_ is not None:
            return super()._refit(observed, weight)
        return _maximize(observed.reweighted(weight)).theta

    def _best(self, spend: Spend) -> Optimum:
        if self.engine == "native":
            return _maximize(spend)
        if self.engine != "lifetimes":
            raise InputError(f"engine={self.engine!r}: use 'native' or 'lifetimes'.")
        estimate = lifetimes_engine.fit_spend(spend.x, spend.zbar, spend.count)
        theta = np.array([estimate[name] for name in self.names])
        value, gradient = log_likelihood(GammaGammaTheta(*theta), spend)
        slope = float(np.max(np.abs(gradient * theta)) / spend.count.sum())
        return Optimum(theta, value, slope, float("nan"), 1, 1)

    def _findings_at(self, cells: Spend) -> list[Finding]:
        """What the fit is at the edge of, and on which assumption the data do not bear it out."""
        x, zbar = cells.x, cells.zbar
        self.dependence_ = Dependence.from_sample(x, zbar, cells.count)
        p, q, _ = self._split()[0].values()
        findings = []
        if np.ptp(zbar) <= 1e-9 * zbar.mean():
            findings.append(finding("fit.one_spend"))
        elif p > 1e4:
            findings.append(finding("fit.spend_constant"))
        elif q > 1e4:
            findings.append(finding("fit.spend_alike"))
        if self._tied or (self.coding_ is None and self._held(cells)):
            findings.append(finding("fit.mean_held", mean=cells.mean()))
        if abs(self.dependence_.correlation) > 0.3:
            findings.append(finding("fit.spend_depends", level=0.95, **vars(self.dependence_)))
        return [*findings, *_giant(cells)]


def _giant(spend: Spend) -> Iterator[Finding]:
    """That one customer's money decides on the mean, if it does."""
    money = spend.x * spend.zbar
    total, most = float(spend.count @ money), float(money.max())
    if total > 0 and spend.count.sum() > FEWEST_ORDERS and most > GIANT * total:
        mean = float(spend.zbar[money.argmax()])
        yield finding("fit.giant", share=most / total, mean=mean)


def _maximize(spend: Spend) -> Optimum:
    """Fit over (p, q - 1, v) with money measured in mean spends, then return to the currency.

    Where that ends with q near 1 the mean spend is next to infinite. It is then tied to the mean
    seen, E[M] = p v / (q - 1) = 1 in these units, and p and q are fitted under that constraint.
    """
    weight = float(spend.count.sum())
    scale = float(spend.count @ spend.zbar) / weight
    scaled = Spend(spend.x, spend.zbar / scale, spend.count)
    sizes = SAMPLES if len(spend.x) > 2 * SAMPLES[-1] else ()

    def search(over: Callable[[Spend], LogLikelihood], k: int) -> Optimum:
        rough = [over(scaled.sample(size)) for size in sizes]
        starts = [start[:k] for start in STARTS]
        return maximize(over(scaled), starts, [1e-12] * k, [1e12] * k, weight, rough)

    best = search(_free_mean, 3)
    if tied := bool(best.theta[1] < NEAR_ONE):
        best = search(_tied_mean, 2)
    p, q_1 = best.theta[:2]
    v = q_1 / p if tied else best.theta[2]
    value = best.log_likelihood - weight * np.log(scale)  # a density per unit of money
    return replace(best, theta=np.array([p, 1 + q_1, v * scale]), log_likelihood=value)


def _free_mean(spend: Spend) -> LogLikelihood:
    """The log-likelihood over (p, q - 1, v)."""
    return lambda theta: log_likelihood(GammaGammaTheta(theta[0], 1 + theta[1], theta[2]), spend)


def _tied_mean(spend: Spend) -> LogLikelihood:
    """The log-likelihood over (p, q - 1), with v such that the mean spend is 1."""

    def over_p_and_q(theta: Floats) -> tuple[float, Floats]:
        p, q_1 = theta
        value, (by_p, by_q, by_v) = log_likelihood(GammaGammaTheta(p, 1 + q_1, q_1 / p), spend)
        return value, np.array([by_p - by_v * q_1 / p**2, by_q + by_v / p])

    return over_p_and_q
