"""Customers under contract: how long they stay, renewal by renewal, from counts of who left when.

Each customer leaves before t renewals with a probability that a Beta distribution spreads over
customers. Shared by all functions: ``theta`` = (alpha, beta, c); ``t`` counts renewals, of which
the one at 0 is the first payment. The shifted-beta-geometric model is the case c = 1, so each
formula stands once.

**Left truncation.** Customers of whom nothing is recorded before age e are those who stayed until
then: what is recorded of them is divided by S(e). Without that, old customers make everybody look
loyal.

References
----------
.. [1] Fader & Hardie (2007), How to project customer retention, Journal of Interactive Marketing
   21(1).
.. [2] Fader, Hardie, Liu, Davin & Steenburgh (2018), "How to project customer retention"
   revisited: the role of duration dependence, Journal of Interactive Marketing 43.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.defaults import LEVEL
from clv.errors import FitError, InputError
from clv.findings import Finding, finding
from clv.format import count
from clv.history import read_weight
from clv.probability.bg_bb import whole
from clv.probability.contract_cells import WHAT, ContractCells, read_contracts
from clv.probability.contract_formulas import (
    ContractTheta,
    contributions,
    log_survival,
    payments,
    residual_payments,
)
from clv.probability.covariance import draws, with_parameters
from clv.probability.covariate_fit import CovariateFit
from clv.probability.covariates import Asked, Coding, Covariate, PatternCells
from clv.probability.fitted import Engine, FittedModel
from clv.probability.optimize import Contributions, Optimum, maximize
from clv.schema import Floats, as_frame, numbers
from clv.shares import hint_of_percent

SLOWEST = 1e-12  # discount rate other than 0
LONGEST = 1_000_000  # billing periods of a finite horizon
LOWER, UPPER = (1e-6, 1e-6, 0.05), (1e6, 1e6, 10.0)  # of alpha, beta, c in a search


class RenewalModel(FittedModel):
    """How long customers stay under contract, all drawn from one distribution.

    Time counts the plan's own billing periods. The first payment is made at 0, renewals at 1, 2,
    and so on; S(t) is the share of customers who make the t-th.
    """

    starts: ClassVar[tuple[tuple[float, ...], ...]]
    _contributions: ClassVar[Callable[..., Contributions]] = staticmethod(contributions)
    engine: Engine = "native"

    def fit(self, X: IntoFrame, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood on counts of who left when, censored and left-truncated.

        Parameters
        ----------
        X
            A row for each group of customers of one age, in any dataframe: ``entered``, their age
            in billing periods when first observed (0 from the start); ``periods``, their age when
            last observed; ``churned``, how many of them left at that renewal, or a flag that all
            did (True and False, or a column of 0 and 1 where a row has several customers);
            ``customers``, how many they are. Who did not leave was still there at ``periods``.
        y
            Ignored; there for scikit-learn.
        sample_weight
            Shape (n,); weight 2 is the row twice.

        Returns
        -------
        The model itself, with ``params_``, ``log_likelihood_`` and ``report_``.

        Raises
        ------
        ColumnError, RowError
            A column is missing, or rows break a rule.
        FitError
            Nobody left, or everybody left at the first renewal that was observed.
        """
        cells = self._observed(X, sample_weight)
        self._require_both(cells)
        best = self._maximize(cells)
        self._remember(best)
        customers = float(cells.count.sum())
        self.report_ = self._report(best, len(cells), customers, self._findings(cells))
        return self

    def survival(self, t: ArrayLike) -> Floats:
        """The share of new customers who make the t-th renewal; S(0) = 1.

        Parameters
        ----------
        t
            Renewals, 0 or more, of which whole ones count.

        Returns
        -------
        An array in the shape of ``t``.

        Raises
        ------
        InputError
            t is negative or missing.
        """
        return np.asarray(np.exp(log_survival(self._shape(), _renewals(t, 0))))

    def retention_rate(self, t: ArrayLike) -> Floats:
        """Of those who made the renewal t - 1, the share who make the t-th: S(t) / S(t-1).

        Parameters
        ----------
        t
            Renewals, 1 or more.

        Returns
        -------
        An array in the shape of ``t``.

        Raises
        ------
        InputError
            t is below 1 or missing.
        """
        n, theta = _renewals(t, 1), self._shape()
        return np.asarray(np.exp(log_survival(theta, n) - log_survival(theta, n - 1)))

    def expected_lifetime(self, horizon: float = np.inf) -> float:
        """How many periods a new customer pays for on average, the first included.

        Parameters
        ----------
        horizon
            Billing periods that count: payments at 0, ..., horizon - 1.

        Returns
        -------
        Periods; infinite for an endless horizon where alpha c <= 1, as too few ever leave.

        Raises
        ------
        InputError
            The horizon is negative, missing or too long.
        """
        return self.discounted_expected_lifetime(0.0, horizon)

    def discounted_expected_lifetime(self, rate: float, horizon: float = np.inf) -> float:
        """DEL: payments of a new customer, the one at 0 counted in full.

        Parameters
        ----------
        rate
            Discount rate per billing period: 0.10 for 10% a year under annual contracts.
        horizon
            Billing periods that count: payments at 0, ..., horizon - 1.

        Returns
        -------
        The sum of S(t) (1 + rate)^-t, in payments; times a margin per payment it is a value.

        Raises
        ------
        InputError
            The rate or the horizon is negative, missing or too long.
        """
        _check_terms(rate, horizon)
        return payments(self._shape(), 0, horizon, rate)

    def discounted_expected_residual_lifetime(
        self, n: ArrayLike, rate: float, horizon: float = np.inf
    ) -> Floats:
        """DERL: payments of a customer whose n-th renewal is due and not yet decided.

        Just after the payment n - 1 the same customer is worth this over (1 + rate).

        Parameters
        ----------
        n
            The renewal that comes next, 1 or more; the customer has paid n times.
        rate
            Discount rate per billing period.
        horizon
            Billing periods that count: renewals n, ..., n + horizon - 1.

        Returns
        -------
        An array in the shape of ``n``: the sum of S(t) / S(n-1) (1 + rate)^(n-t), in payments.

        Raises
        ------
        InputError
            n is below 1, or the rate or the horizon is negative, missing or too long.
        """
        _check_terms(rate, horizon)
        return residual_payments(self._shape(), _renewals(n, 1), horizon, rate)

    def interval(
        self, quantity: Callable[[Self], ArrayLike], level: float = LEVEL, n: int = 400
    ) -> tuple[Floats, Floats]:
        """How sure the parameters are of anything that the model says.

        Parameters
        ----------
        quantity
            A model in, a number or an array out: ``lambda m: m.survival([5, 12])``.
        level
            Chance that the interval holds the truth, in (0, 1).
        n
            How many parameters are drawn from their covariance.

        Returns
        -------
        Lower and upper end, each in the shape of the quantity.

        Raises
        ------
        FitError
            The model carries no covariance; see ``with_covariance``.
        """
        values = np.array([quantity(with_parameters(self, theta)) for theta in draws(self, n)])
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def _shape(self) -> ContractTheta:
        return ContractTheta(*self._parameters())

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> ContractCells:
        return read_contracts(X, sample_weight)

    def _require_both(self, cells: ContractCells) -> None:
        """Some who left, and some who stayed, settle a model."""
        if not cells.churned.any():
            raise FitError(
                "nobody left, so how long customers stay cannot be estimated.",
                hint="take a longer observation window, or check the column churned.",
            )
        if np.all(cells.churned & (cells.periods == cells.entered + 1)):
            raise FitError(
                "everybody left at the first renewal that was observed, so nobody is seen to stay.",
                hint="check the column churned: those still there count as not churned.",
            )

    def _maximize(
        self, cells: ContractCells, starts: tuple[tuple[float, ...], ...] = ()
    ) -> Optimum:
        k = len(self.names)
        kind = type(self)

        def log_likelihood(theta: Floats) -> tuple[float, Floats]:
            return kind._contributions(self._theta(*theta), cells).total()

        total = float(cells.count.sum())
        return maximize(log_likelihood, starts or self.starts, LOWER[:k], UPPER[:k], total)

    def _refit(self, observed: ContractCells, weight: Floats) -> Floats:
        near = tuple(self.params_.values())
        return self._maximize(observed.reweighted(weight), (near,)).theta

    def _findings(self, cells: ContractCells) -> list[Finding]:
        alpha, beta = self.params_["alpha"], self.params_["beta"]
        leaves, both = alpha / (alpha + beta), "alpha and beta"
        findings = []
        if cells.read_as_flag:
            findings.append(finding("fit.read_as_flag"))
        if alpha + beta > 1e4:
            alike = {"parameters": both, "event": "a renewal", "of": " before the first"}
            findings.append(finding("fit.leave_alike_before", chance=leaves, **alike))
        elif alpha + beta < 1e-4:
            when = "before the first renewal"
            findings.append(finding("fit.leave_or_never", parameters=both, share=leaves, when=when))
        if cells.renewals < 2:
            findings.append(finding("fit.one_renewal"))
        return findings


class ContractModel(CovariateFit, RenewalModel):
    """Base of the models of how long customers stay under contract; they may differ by covariates.

    Parameters
    ----------
    covariates
        Columns of the table, such as plan or country: text is levels, the most frequent being what
        others stand against; numbers act as they are.
    effect_sd
        Standard deviation of the normal prior of each effect, the log of a multiplier, with which
        few customers of a level stay near the others; None for maximum likelihood.
    """

    moves: ClassVar = (("leaving", "alpha", 1), ("staying", "beta", 1))

    def __init__(self, covariates: Asked = (), effect_sd: float | None = None) -> None:
        self.covariates = covariates
        self.effect_sd = effect_sd

    def _findings_at(self, cells: Any) -> list[Finding]:
        return self._findings(cells)

    def _bounds(self) -> tuple[list[float], list[float]]:
        k = len(self.names)
        return list(LOWER[:k]), list(UPPER[:k])

    def _coding_of(self, X: Any) -> Coding:
        """By customers, and not by rows, the most frequent level is what others stand against."""
        coding = super()._coding_of(X)
        rows = as_frame(X, WHAT).collect()
        customers = numbers(rows, "customers", WHAT)

        def by_customers(covariate: Covariate) -> Covariate:
            if not covariate.levels:
                return covariate
            texts = np.asarray(list(map(str, rows[covariate.name].to_list())))
            size = {level: customers[texts == level].sum() for level in covariate.levels}
            levels = sorted(covariate.levels, key=lambda level: (-size[level], level))
            return replace(covariate, levels=tuple(levels))

        return replace(coding, covariates=tuple(map(by_customers, coding.covariates)))

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Any:
        if self.coding_ is None:
            return super()._observed(X, sample_weight)
        rows = as_frame(X, WHAT).collect().to_native()  # once: a lazy table may change its order
        patterns = self.coding_.patterns(rows)
        weight = read_weight(sample_weight, len(patterns.of_row))
        parts = (
            (z, read_contracts(rows, weight * (patterns.of_row == g)))
            for g, z in enumerate(patterns.z)
        )
        return PatternCells(tuple((z, cells) for z, cells in parts if len(cells)))


def _renewals(t: ArrayLike, least: int) -> Floats:
    """Whole renewals, checked."""
    renewals = whole(t)
    if not np.all((renewals >= least) & np.isfinite(renewals)):
        raise InputError(
            f"a renewal is below {least}, missing or infinite.",
            hint="the first payment is at 0, renewals are at 1, 2, ...",
        )
    return renewals


def _check_terms(rate: float, horizon: float) -> None:
    if (percent := hint_of_percent(rate)) or not (rate == 0 or SLOWEST <= rate < np.inf):
        hint = "(1 + 0.10) ** (1 / 12) - 1 a month is 10% a year."
        raise InputError(f"rate = {rate} is no discount rate a period.", hint=percent or hint)
    if not (0 <= horizon <= LONGEST or horizon == np.inf):
        raise InputError(
            f"horizon = {horizon} is negative, missing or too long.",
            hint=f"count billing periods, from 0 to {count(LONGEST)}; without a horizon all count.",
        )
