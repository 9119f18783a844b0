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

from clv.defaults import FEWEST_ORDERS, GIANT
from clv.errors import FitError, InputError
from clv.findings import Finding, finding
from clv.history import Levels, read_spend, read_weight
from clv.probability import lifetimes_engine
from clv.probability.covariance import Held
from clv.probability.estimator import SAMPLES
from clv.probability.fitted import Engine, FittedModel
from clv.probability.optimize import Contributions, LogLikelihood, Optimum, maximize, sample
from clv.probability.special import digamma_rise, log_rising
from clv.schema import Floats

STARTS = ((5.0, 3.0, 0.6), (1.0, 1.0, 1.0), (20.0, 10.0, 0.5))  # p, q - 1, v in mean spends
NEAR_ONE = 0.05  # q - 1 below which a mean spend of p v / (q - 1) tells nothing


class GammaGammaTheta(NamedTuple):
    """p, q, v."""

    p: float
    q: float
    v: float


@dataclass(frozen=True)
class Dependence:
    """How far spend depends on frequency, which the model assumes it does not.

    Attributes
    ----------
    correlation, low, high
        corr(x, zbar) over repeat buyers, with its 95% interval by Fisher's z.
    effect
        Mean value of a purchase over mean value of a customer, minus 1: what money is lost or
        invented when every customer's spend is taken to be independent of how often they buy.
    """

    correlation: float
    low: float
    high: float
    effect: float

    @classmethod
    def from_sample(cls, x: Floats, zbar: Floats, weight: Floats) -> Dependence:
        """Measure it; the correlation is NaN for fewer than 4 customers or no variation."""
        n = float(weight.sum())
        mean = float(weight @ zbar) / n
        effect = float((weight * x) @ zbar / (weight @ x) / mean - 1)
        if n < 4 or np.ptp(x) == 0 or np.ptp(zbar) <= 1e-12 * mean:
            return cls(float("nan"), float("nan"), float("nan"), effect)
        spread = np.cov(x, zbar, aweights=weight)
        r = float(spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]) * (1 - 1e-15))
        z, half = np.arctanh(r), 1.959964 / np.sqrt(n - 3)
        return cls(r, float(np.tanh(z - half)), float(np.tanh(z + half)), effect)

    def to_dict(self) -> dict[str, float | None]:
        """As JSON values, which have no NaN."""
        return {name: value if np.isfinite(value) else None for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, float | None]) -> Dependence:
        """What ``to_dict`` wrote."""
        return cls(**{name: np.nan if value is None else value for name, value in saved.items()})


@dataclass(frozen=True)
class Spend:
    """Repeat buyers as arrays of shape (n,): purchases > 0, their mean value, weight."""

    x: Floats
    zbar: Floats
    weight: Floats

    @cached_property
    def levels(self) -> Levels:
        """The distinct x, where gamma functions are taken."""
        return Levels.from_column(self.x, self.weight)

    def sample(self, size: int) -> Spend:
        """About ``size`` customers with the weights that let them stand for all."""
        rows, weight = sample(self.weight, size)
        return Spend(self.x[rows], self.zbar[rows], weight)


def contributions(theta: GammaGammaTheta, spend: Spend) -> Contributions:
    """The log-likelihood of mean spends and its derivatives by (p, q, v); eq. 1a of [1]_."""
    p, q, v = map(float, theta)
    x, zbar, levels = spend.x, spend.zbar, spend.levels
    px, total = p * levels.values, x * zbar
    # B(p x, q) by a rise of the larger argument: a difference of log gammas would lose the digits.
    large, small = np.maximum(px, q), np.minimum(px, q)
    by_x = np.zeros((4, len(px)))
    by_x[0] = log_rising(large, small) - sc.gammaln(small)  # 1 / B(p x, q)
    by_x[1], by_x[2] = levels.values * digamma_rise(px, q), digamma_rise(q, px)
    # The shares x zbar / (v + x zbar) and v / (v + x zbar), right where either is tiny.
    log_u, log_rest = -np.log1p(v / total), -np.log1p(total / v)
    by_row = np.empty((4, len(x)))
    by_row[0] = p * x * log_u + q * log_rest - np.log(zbar)
    by_row[1], by_row[2] = x * log_u, log_rest
    by_row[3] = (q * total / v - p * x) / (total + v)
    return Contributions(levels, spend.weight, by_x, by_row)


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


class GammaGamma(FittedModel):
    """Gamma-Gamma: what one purchase of a customer is worth on average.

    The estimate is the same in any currency unit. q > 1, so that the mean exists; where the data
    ask for less, the mean is held to the one seen and ``report_`` says so.

    Parameters
    ----------
    engine
        "native", or "lifetimes" to fit through that package.

    Attributes
    ----------
    params_, log_likelihood_, report_
        As in ``BetaGeoNBD``; ``report_.customers`` counts the repeat buyers it was fitted on.
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

    def __init__(self, engine: Engine = "native") -> None:
        self.engine = engine

    def fit(self, X: IntoFrame, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood on the customers with at least one repeat purchase.

        Parameters
        ----------
        X
            A summary with columns frequency and monetary_value. One-time buyers are left out here,
            inside, and only here.
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
        spend = self._observed(X, sample_weight)
        x, zbar, weight = spend.x, spend.zbar, spend.weight
        best, tied = self._best(spend)
        self._remember(best)
        self.dependence_ = Dependence.from_sample(x, zbar, weight)
        findings = self._findings(tied, constant=bool(np.ptp(zbar) <= 1e-9 * zbar.mean()))
        findings += _giant(spend)
        self.report_ = self._report(best, len(x), float(weight.sum()), findings)
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
        """Expected value of one purchase: p v / (q - 1) without a history, else eq. 5 of [1]_.

        Parameters
        ----------
        X
            A summary with columns frequency and monetary_value; None for a customer of whom
            nothing is known.

        Returns
        -------
        One number without X; else an array of shape (n,), in the order of X, where one-time
        buyers get the number of an unknown customer. In the currency of the data.

        Raises
        ------
        ColumnError, RowError
            A column of X is missing, or a repeat buyer's mean spend is missing or negative.
        """
        theta = self._parameters()
        if X is None:
            return float(expected_spend(theta, np.array(0.0), np.array(0.0)))
        return expected_spend(theta, *read_spend(X))

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Spend:
        x, zbar = read_spend(X)
        weight = read_weight(sample_weight, len(x)) * (zbar > 0)
        counted = weight > 0
        if not counted.any():
            raise FitError(
                "nobody bought twice, so repeat spend cannot be estimated.",
                hint="take a longer observation window, or check that customer ids repeat.",
            )
        return Spend(x[counted], zbar[counted], weight[counted])

    def _refit(self, observed: Spend, weight: Floats) -> Floats:
        counted = weight > 0
        spend = Spend(observed.x[counted], observed.zbar[counted], weight[counted])
        return _maximize(spend)[0].theta

    def _held(self, observed: Spend) -> Held | None:
        """Where the mean spend was held to the one seen, log v moves with log p and log(q - 1)."""
        zbar, weight = observed.zbar, observed.weight
        mean = float(weight @ zbar / weight.sum())
        if abs(self.expected_spend() / mean - 1) > 1e-9:
            return None
        error = float(weight @ (zbar - mean) ** 2 / (weight.sum() * mean) ** 2)
        return Held(
            np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]),
            np.diag([0.0, 0.0, error]),
            finding("interval.mean_held"),
        )

    def _best(self, spend: Spend) -> tuple[Optimum, bool]:
        if self.engine == "native":
            return _maximize(spend)
        if self.engine != "lifetimes":
            raise InputError(f"engine={self.engine!r}: use 'native' or 'lifetimes'.")
        estimate = lifetimes_engine.fit_spend(spend.x, spend.zbar, spend.weight)
        theta = np.array([estimate[name] for name in self.names])
        value, gradient = log_likelihood(GammaGammaTheta(*theta), spend)
        slope = float(np.max(np.abs(gradient * theta)) / spend.weight.sum())
        return Optimum(theta, value, slope, float("nan"), 1, 1), False

    def _findings(self, tied: bool, constant: bool) -> list[Finding]:
        p, q, _ = self._parameters()
        findings = []
        if constant:
            findings.append(finding("fit.one_spend"))
        elif p > 1e4:
            findings.append(finding("fit.spend_constant"))
        elif q > 1e4:
            findings.append(finding("fit.spend_alike"))
        if tied:
            findings.append(finding("fit.mean_held", mean=float(self.expected_spend())))
        depends = self.dependence_
        if depends is not None and abs(depends.correlation) > 0.3:
            findings.append(finding("fit.spend_depends", level=0.95, **vars(depends)))
        return findings


def _giant(spend: Spend) -> Iterator[Finding]:
    """That one customer's money decides on the mean, if it does."""
    money = spend.x * spend.zbar
    total, most = float(spend.weight @ money), float(money.max())
    if total > 0 and spend.weight.sum() > FEWEST_ORDERS and most > GIANT * total:
        mean = float(spend.zbar[money.argmax()])
        yield finding("fit.giant", share=most / total, mean=mean)


def _maximize(spend: Spend) -> tuple[Optimum, bool]:
    """Fit over (p, q - 1, v) with money measured in mean spends, then return to the currency.

    Where that ends with q near 1 the mean spend is next to infinite. It is then tied to the mean
    seen, E[M] = p v / (q - 1) = 1 in these units, and p and q are fitted under that constraint.
    The second value says whether that was done.
    """
    weight = float(spend.weight.sum())
    scale = float(spend.weight @ spend.zbar) / weight
    scaled = Spend(spend.x, spend.zbar / scale, spend.weight)
    sizes = SAMPLES if len(spend.x) > 2 * SAMPLES[-1] else ()

    def search(over: Callable[[Spend], LogLikelihood], k: int) -> Optimum:
        rough = [over(scaled.sample(size)) for size in sizes]
        starts = [start[:k] for start in STARTS]
        return maximize(over(scaled), starts, [1e-12] * k, [1e12] * k, weight, rough)

    best = search(_free_mean, 3)
    tied = bool(best.theta[1] < NEAR_ONE)
    if tied:
        best = search(_tied_mean, 2)
    p, q_1 = best.theta[:2]
    v = q_1 / p if tied else best.theta[2]
    value = best.log_likelihood - weight * np.log(scale)  # a density per unit of money
    return replace(best, theta=np.array([p, 1 + q_1, v * scale]), log_likelihood=value), tied


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
