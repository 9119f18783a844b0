"""What all purchase models share: the scikit-learn shape, tables in, JSON out.

A model file brings its formulas for a new customer and the parameters that turn a customer who is
alive into a new one; everything asked of an existing customer follows from these here, computed
once per distinct (x, T) and looked up for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from clv.errors import FitError, InputError
from clv.findings import Finding
from clv.format import count
from clv.history import (
    Cells,
    History,
    distinct,
    read_cells,
    read_history,
    read_unit,
    require_unit,
    same_unit,
)
from clv.periods import Unit, as_unit
from clv.probability import lifetimes_engine
from clv.probability.fitted import Engine, FittedModel, short_histories
from clv.probability.optimize import Contributions, Optimum, maximize, sample_cells, total_of
from clv.probability.special import integrate_rate, spans, whole_counts
from clv.schema import Floats

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = (2_000, 10_000)  # customers on whom a large fit tries its starts, then follows the best
SHARES = np.linspace(0.005, 0.995, 199)  # of customers, where a rate is tabled
ROWS = 131_072  # of which P(alive) is worked out at a time, in memory that stays in the cache
BLOCK = 8_192  # pairs (x, T) taken through the quadrature at a time
Histories = IntoFrame | History  # a summary, or arrays that were read from one


class PurchaseModel(FittedModel):
    """Base of the purchase models; see ``BetaGeoNBD`` for the parameters.

    In all methods ``t`` is a length in the model's time unit, a number or one per customer (n,),
    and ``X`` a summary (frequency, recency, T; one row per customer) or a :class:`History`. They
    raise ``UnitError``, ``ColumnError`` or ``RowError`` for a summary in another unit, without a
    column, or with impossible histories; what they return, shape (n,), is in the order of ``X``.

    Attributes
    ----------
    params_, log_likelihood_, report_
        As in ``FittedModel``.
    unit_
        The time unit of the data, or None where it was never said.
    """

    times: ClassVar[tuple[str, ...]]  # the names of the parameters that are times
    starts: ClassVar[tuple[tuple[float, ...], ...]]

    _probability_alive: ClassVar[Callable[..., Floats]]
    _given_alive: ClassVar[Callable[..., Any]]
    _latent: ClassVar[Callable[..., dict[str, Any]]]
    _purchase_rate: ClassVar[Callable[..., Floats]]
    _tabled_rate: ClassVar[Callable[..., Floats]]  # the same, for many customers of few x
    _slowing_time: ClassVar[Callable[..., Floats]]
    _probability_of_purchases: ClassVar[Callable[..., Floats]]
    _probability_of_at_least: ClassVar[Callable[..., Floats]]
    _mean_discount: ClassVar[Callable[..., Floats]]

    unit_: Unit | None
    stages: int = 1  # of the time between purchases, which nobody sees; see ``_by_stage``

    def __init__(self, unit: Unit | None = None, engine: Engine = "native") -> None:
        self.unit = unit
        self.engine = engine

    def fit(self, X: IntoFrame, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximum likelihood on the distinct histories of a summary.

        Parameters
        ----------
        X
            A summary with columns frequency, recency, T: all customers, one-time buyers included.
        y
            Ignored; there for scikit-learn.
        sample_weight
            Shape (n,); weight 2 is the row twice.

        Returns
        -------
        The model itself, with ``params_``, ``log_likelihood_`` and ``report_``.

        Raises
        ------
        InputError
            For a summary that is not one, or is in another unit than the model.
        FitError
            If nobody bought twice.
        """
        unit, summary_unit = as_unit(self.unit) if self.unit else None, read_unit(X)
        same_unit(unit, summary_unit)
        cells = read_cells(X, sample_weight)
        if not cells.x.any():
            what = "nobody bought twice, so a purchase rate cannot be told from a dropout."
            hint = "take a longer observation window, or check that customer ids repeat."
            raise FitError(what, hint=hint)
        self.unit_ = unit or summary_unit
        self._check(cells)
        scale = self._scale(cells)
        if self.engine == "native":
            best = self._maximize(cells, scale)
        elif self.engine == "lifetimes":
            best = self._from_lifetimes(cells)
        else:
            raise InputError(f"engine={self.engine!r}: use 'native' or 'lifetimes'.")
        self._remember(best)
        short = short_histories(float(cells.T.max()), self.unit_)
        findings = [*self._boundary(self._parameters(), scale), *short]
        self.report_ = self._report(best, len(cells), float(cells.count.sum()), findings)
        return self

    @classmethod
    def from_params(cls, params: Mapping[str, float] | None = None, **named: Any) -> Self:
        """As ``FittedModel.from_params``; ``unit`` says the time unit of the parameters."""
        model = super().from_params(params, **named)
        model.unit_ = as_unit(model.unit) if model.unit else None
        return model

    def to_dict(self) -> dict[str, Any]:
        """The fitted model as JSON values: a few numbers and their time unit."""
        return super().to_dict() | {"unit": self.unit_}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The model that ``to_dict`` wrote."""
        model = super().from_dict(saved)
        model.unit = model.unit_ = saved["unit"]
        return model

    def probability_alive(self, X: Histories) -> Floats:
        """P(the customer has not left by T), shape (n,).

        Not a churn score: ``probability_of_no_purchase`` also counts those who stay without buying.
        """
        return self._alive_by_block(self._parameters(), self._read(X))

    def expected_purchases(self, t: ArrayLike) -> Floats:
        """E[X(t)]: repeat purchases of a new customer in (0, t], the shape of t."""
        return self.discounted_expected_purchases(t, 0.0)

    def conditional_expected_purchases(self, t: ArrayLike, X: Histories) -> Floats:
        """E[Y(t)]: purchases of each customer in (T, T+t], shape (n,); t a scalar or (n,)."""
        return self.discounted_expected_purchases(t, 0.0, X)

    def discounted_expected_purchases(
        self, t: ArrayLike, delta: ArrayLike, X: Histories | None = None
    ) -> Floats:
        """DET: expected purchases in the next t, each worth exp(-delta s) at time s.

        Parameters
        ----------
        t
            Horizon in the data's unit; infinite is allowed if delta > 0.
        delta
            Continuous discount rate per unit, ``continuous_rate(annual, periods_per_year)``.
            Several at once, as for the discounted and the plain count of purchases, cost little
            more than one and add a last axis.
        X
            Existing customers, counted from their T; None for a new customer, counted from the
            first purchase, which itself is not included.

        Returns
        -------
        Discounted purchases: a number or shape (n,), with a last axis for several rates.

        Raises
        ------
        InputError
            The horizon is infinite and nothing is discounted.
        """
        if X is None:
            stays, theta = self._just_won()
            horizon = np.asarray(t, dtype=np.float64)
            return np.asarray(stays * self._discounted(theta, horizon, delta))

        def det(theta: Any, horizon: Floats) -> Floats:
            return self._discounted(theta, horizon, delta, tabled=True)

        alive, expected = self._given_alive_by_pair(X, t, det)
        expected *= alive if expected.ndim == 1 else alive[:, None]
        return expected

    def discounted_purchase_pairs(self, t: ArrayLike, delta: float, X: Histories) -> Floats:
        """The mean of exp(-delta (s + u)) over ordered pairs of purchases s != u in the next t.

        Summed over the pairs, shape (n,); with delta = 0 it is E[Y (Y - 1)]. With the discounted
        expectation it gives the variance of a customer's purchases and of their value. While a
        customer is one, E[lambda^2 (1 - p) exp(-lambda p u)] is the rate of a pair s < u, which
        depends on u alone: the rate of a purchase now, times that at u of one who buys now.
        """

        def later(theta: Any, horizon: Floats) -> Floats:
            def pairs(rows: NDArray[np.intp], u: Floats) -> Floats:
                before = -np.expm1(-delta * u) / delta if delta else u  # over s, from 0 to u
                return self._tabled_rate(self._rows(theta, rows), u) * before

            return integrate_rate(pairs, self._slowing_time(theta), horizon, delta)

        history = self._read(X)
        # Who buys now has one purchase more, the last of them at T.
        buys_now = replace(history, x=history.x + 1, t_x=history.T)
        alive, rate = self._given_alive_by_pair(
            history, 0.0, lambda params, t: self._purchase_rate(params, t)
        )
        stays, pairs = self._given_alive_by_pair(buys_now, t, later)
        # Ordered pairs: s before u, and u before s.
        return 2 * alive * rate * stays * pairs

    def probability_of_purchase(self, t: ArrayLike, X: Histories) -> Floats:
        """P(at least one purchase in (T, T+t]), shape (n,), exact where it is tiny too."""

        def at_least_one(theta: Any, horizon: Floats) -> Floats:
            return self._probability_of_at_least(theta, 1.0, spans(horizon))

        alive, buys_given_alive = self._given_alive_by_pair(X, t, at_least_one)
        return alive * buys_given_alive

    def probability_of_no_purchase(self, t: ArrayLike, X: Histories) -> Floats:
        """P(no purchase in (T, T+t]), shape (n,): the model's churn score."""
        return 1 - self.probability_of_purchase(t, X)

    def probability_of_purchases(
        self, k: ArrayLike, t: ArrayLike, X: Histories | None = None
    ) -> Floats:
        """P(exactly k purchases in the next t).

        Shape of k and t broadcast for a new customer (X None); for X (n,) if k is a number, else
        (n, len(k)).
        """
        ks = whole_counts(k)
        if X is None:
            stays, theta = self._just_won()
            given_stays = self._probability_of_purchases(theta, ks, spans(t))
            return np.asarray((ks == 0) * (1 - stays) + stays * given_stays)

        def pmf(theta: Any, horizon: Floats) -> Floats:
            wide = self._theta(*(np.asarray(value)[..., None] for value in theta))
            return self._probability_of_purchases(wide, ks.reshape(1, -1), spans(horizon)[:, None])

        alive, given_alive = self._given_alive_by_pair(X, t, pmf)
        alive = alive[:, None]
        mixed = (ks.reshape(1, -1) == 0) * (1 - alive) + alive * given_alive
        return np.asarray(mixed[:, 0] if ks.ndim == 0 else mixed)

    def _discounted(
        self, theta: Any, horizon: Floats, delta: ArrayLike, tabled: bool = False
    ) -> Floats:
        """DET of a new customer who stays: the integral of the discounted purchase rate."""
        rate = self._tabled_rate if tabled else self._purchase_rate
        scale = self._slowing_time(theta)
        return integrate_rate(
            lambda rows, s: rate(self._rows(theta, rows), s), scale, horizon, delta
        )

    def _rows(self, theta: Any, rows: NDArray[np.intp]) -> Any:
        """The parameters of some rows, to meet times of shape (rows, nodes)."""
        columns = (np.asarray(value) for value in theta)
        return self._theta(*(v[rows, None] if v.ndim else v for v in columns))

    def heterogeneity(self, shares: ArrayLike = SHARES) -> pd.DataFrame:
        """How customers differ in the rates that nobody sees: the table of a plot.

        Columns: rate (its name, "purchases per week"), share (of new customers at or below), value.
        """
        import pandas as pd

        unit, shares = self.unit_ or "unit of time", np.asarray(shares, dtype=np.float64)
        latent = self._latent(self._parameters())
        tables = [
            pd.DataFrame(
                {"rate": name.format(unit=unit), "share": shares, "value": distribution.ppf(shares)}
            )
            for name, distribution in latent.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def _just_won(self) -> tuple[float, Any]:
        """A new customer is an existing one of age 0: the chance to stay, and what holds then."""
        theta, start = self._parameters(), np.zeros(1)
        stays = self._probability_alive(theta, History(start, start, start))[0]
        return float(stays), self._given_alive(theta, 0.0, 0.0)

    def _given_alive_by_pair(
        self, X: Histories, t: ArrayLike, verb: Callable[[Any, Floats], Floats]
    ) -> tuple[Floats, Floats]:
        """P(alive) per row, and ``verb`` given alive."""
        history = self._read(X)
        t = np.asarray(t, dtype=np.float64)
        if t.ndim and t.shape != (len(history),):
            raise InputError(f"t has shape {t.shape}, X has {count(len(history))} rows.")
        total: Any = 0.0
        for share, known in self._by_stage(history):
            values = self._by_pair(known, t, verb)
            total = total + values * (share if values.ndim == 1 else share[:, None])
        return self._alive_by_block(self._parameters(), history), total

    def _by_pair(self, history: History, t: Floats, verb: Callable[..., Floats]) -> Floats:
        """``verb`` given alive, computed once per distinct (x, T, t)."""
        if t.ndim:
            (x, T, h), inverse = distinct(history.x, history.T, t)
        else:
            x, T, inverse = history.pairs
            h = np.full(len(x), t)
        theta = self._parameters()
        parts = (slice(i, i + BLOCK) for i in range(0, max(len(x), 1), BLOCK))
        values = [verb(self._given_alive(theta, x[i], T[i]), h[i]) for i in parts]
        return np.concatenate(values)[inverse]

    def _by_stage(self, history: History) -> Iterator[tuple[Floats, History]]:
        """What nobody sees of customers who are alive, where ``_given_alive`` must know it.

        The chance of each case, shape (n,) or (1,), and the histories that stand for it.
        """
        yield np.ones(1), history

    def _alive_by_block(self, theta: Any, history: History) -> Floats:
        """P(alive), shape (n,)."""
        alive = np.empty(len(history))
        for first in range(0, len(history), ROWS):
            part = slice(first, first + ROWS)
            alive[part] = self._probability_alive(theta, history.where(part))
        return alive

    def _read(self, X: Histories) -> History:
        check_is_fitted(self, "params_")
        if isinstance(X, History):
            return X
        require_unit(self.unit_, X)
        history = read_history(X)
        self._check(history)
        return history

    def _check(self, history: History) -> None:
        """Raise what a model has against histories that are in order for all others."""

    def _maximize(self, cells: Cells, scale: float) -> Optimum:
        """Fit with time measured in mean customer ages, then return to the data's unit."""
        scaled = Cells(cells.x, cells.t_x / scale, cells.T / scale, cells.count)
        sizes = SAMPLES if len(cells) > 2 * SAMPLES[-1] else ()
        parts = [self._of(part) for part in (*(sample_cells(scaled, n) for n in sizes), scaled)]
        *rough, of_all = map(total_of, parts)
        k, weight = len(self.names), float(cells.count.sum())
        best = maximize(of_all, self.starts, [1e-12] * k, [1e12] * k, weight, rough, parts)
        theta = best.theta * [scale if name in self.times else 1.0 for name in self.names]
        purchases = float(cells.count @ cells.x)  # each a density per unit of time
        value = best.log_likelihood - purchases * np.log(scale)
        return replace(best, theta=theta, log_likelihood=value)

    def _of(self, cells: Cells) -> Callable[[Floats], Contributions]:
        return lambda theta: self._contributions(self._theta(*theta), cells)

    def _from_lifetimes(self, cells: Cells) -> Optimum:
        estimate = lifetimes_engine.fit_purchases(type(self).__name__, cells)
        theta = np.array([estimate[name] for name in self.names])
        value, gradient = self._of(cells)(theta).total()
        slope = float(np.max(np.abs(gradient * theta)) / cells.count.sum())
        return Optimum(theta, value, slope, float("nan"), 1, 1)

    def _observed(self, X: IntoFrame, sample_weight: ArrayLike | None) -> Cells:
        same_unit(self.unit_, read_unit(X))
        cells = read_cells(X, sample_weight)
        self._check(cells)
        return cells

    def _refit(self, observed: Cells, weight: Floats) -> Floats:
        cells = observed.reweighted(weight)
        return self._maximize(cells, self._scale(cells)).theta

    def _scale(self, cells: Cells) -> float:
        """The unit in which a fit measures time: the mean age."""
        mean_age = float(cells.count @ cells.T / cells.count.sum())
        return mean_age if self.times and mean_age else 1.0

    def _boundary(self, theta: Any, scale: float) -> list[Finding]:
        """What a maximum at the edge of the parameter space means, in words."""
        raise NotImplementedError
