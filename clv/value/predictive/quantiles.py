"""Quantiles and probabilities of a customer's purchases and money, from the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame, IntoFrameT
from numpy.typing import NDArray
from scipy import special as sc

from clv.defaults import LEVEL
from clv.errors import InputError
from clv.format import count
from clv.history import HISTORY, History, read_history, read_spend
from clv.periods import Unit
from clv.probability.estimator import Histories, PurchaseModel
from clv.probability.gamma_gamma import GammaGamma, GammaGammaTheta
from clv.schema import Floats, collect, same_kind, with_arrays
from clv.value.common_factor import check_level
from clv.value.predictive.counts import Future, at_least_by_triple, count_curves
from clv.value.predictive.lattice import LOGITS, Lattice, given_purchase, place_of, read, slopes_of
from clv.value.predictive.revenue import money_curves
from clv.value.value import Terms, known_unit, residual_value, stated

FIGURES = 49_152  # taken at a time, customers by levels: they bound the memory


@lru_cache(maxsize=32)
def _lattice(
    kind: type[PurchaseModel],
    params: tuple[tuple[str, float], ...],
    t: float,
    spend: GammaGammaTheta | None = None,
    delta: float = 0.0,
) -> Lattice:
    """The lattice of money, or of counts where ``spend`` is None, kept from call to call."""
    future = Future(kind.from_params(dict(params)), t)
    scale = min((value for name, value in params if name in kind.times), default=None)
    curves = count_curves(future) if spend is None else money_curves(future, spend, delta)
    return Lattice(curves, scale)


def _lattice_of(model: PurchaseModel, t: float, *money: Any) -> Lattice:
    kind: Any = type(model)  # mypy holds classes for unhashable
    return _lattice(kind, tuple(model.params_.items()), t, *money)


@dataclass(frozen=True)
class Mixture:
    """Nothing, or else a curve on a lattice, for each of n customers.

    Attributes
    ----------
    lattice, history
        The curves, and whose they are.
    buys
        P(at least one purchase) of each customer.
    """

    lattice: Lattice
    history: History
    buys: Floats

    def _blocks(self, levels: int) -> Iterator[tuple[NDArray[np.intp], Floats, NDArray[np.intp]]]:
        return self.lattice.blocks(*self.history.pairs, FIGURES // max(levels, 3))

    def quantiles(self, levels: Floats) -> Floats:
        """The curve of each row at its level given some purchase, -inf where u <= P(none)."""
        values = np.empty((len(self.buys), len(levels)))
        for rows, curves, of_curve in self._blocks(len(levels)):
            logit = given_purchase(self.buys[rows], levels)
            values[rows] = read(curves, slopes_of(curves), of_curve[:, None], logit)
        return values

    def at_most(self, log_y: Floats) -> Floats:
        """P(value <= y) of each row, the inverse of ``quantiles``."""
        chance = np.empty(len(self.buys))
        for rows, curves, of_curve in self._blocks(1):
            below = sc.expit(place_of(curves[of_curve], log_y[rows]))
            chance[rows] = 1 - self.buys[rows] * (1 - below)
        return chance


def value_quantiles(
    purchases: PurchaseModel,
    spend: GammaGamma,
    history: History,
    zbar: Floats,
    terms: Terms,
    unit: Unit,
    levels: Sequence[float],
    horizon: float | None = None,
    known: tuple[Floats, Floats] | None = None,
) -> Floats:
    """Quantiles of what each existing customer is still worth, shape (n, len(levels)).

    Parameters
    ----------
    zbar
        Mean value of the repeat purchases, shape (n,), anything where x = 0.
    levels
        In (0, 1). A quantile is 0 where its level is not above P(no purchase).
    horizon
        In ``unit``, replaces that of ``terms``.
    known
        P(some purchase within the horizon) and the mean of what is known of each customer besides,
        as a forecast that learned more has them; the mean over that of ``purchases``. The shape,
        given some purchase, stays.

    Returns
    -------
    Floats
        In the terms' money, as ``residual_value``, which is the mean of this distribution.

    Examples
    --------
    >>> from clv.periods import Duration
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params({"r": .2426, "alpha": 4.4136, "a": .7929, "b": 2.4259})
    >>> spend = GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44})
    >>> ann = History(np.array([2.0]), np.array([30.43]), np.array([38.86]))
    >>> terms = Terms(1.0, 0.15, Duration(156, "week"), periods_per_year=52)
    >>> zbar, levels = np.array([22.35]), [.05, .5, .95]
    >>> value_quantiles(model, spend, ann, zbar, terms, "week", levels).round(1)
    array([[  0. ,  41. , 264.3]])
    """
    levels_ = _checked(levels)
    scale, money = _money(purchases, spend, history, zbar, terms, unit, horizon)
    if known is not None:
        buys, ratio = known
        scale *= ratio * np.divide(money.buys, buys, out=np.ones_like(buys), where=buys > 0)
        money = replace(money, buys=buys)
    return scale[:, None] * np.exp(money.quantiles(levels_))


def value_cdf(
    purchases: PurchaseModel,
    spend: GammaGamma,
    history: History,
    zbar: Floats,
    terms: Terms,
    unit: Unit,
    value: Floats,
    horizon: float | None = None,
) -> tuple[Floats, Floats]:
    """P(V < v) and P(V <= v) per row, of an observed value v in the terms' money, shape (n,).

    They differ at v = 0 only, by P(no purchase): a number drawn evenly between the two is uniform
    over customers if the forecast is right.
    """
    scale, money = _money(purchases, spend, history, zbar, terms, unit, horizon)
    positive = value > 0
    log_y = np.log(np.where(positive, value, 1.0) / scale)
    nothing = np.where(value == 0, 1 - money.buys, 0.0)
    at_most = np.where(positive, money.at_most(log_y), nothing)
    return np.where(positive, at_most, 0.0), at_most


def _money(
    purchases: PurchaseModel,
    spend: GammaGamma,
    history: History,
    zbar: Floats,
    terms: Terms,
    unit: Unit,
    horizon: float | None,
) -> tuple[Floats, Mixture]:
    """The scale of money per row, and the distribution of what is on that scale."""
    length = terms.horizon.to(unit) if horizon is None else horizon
    theta = spend._parameters()
    buys = purchases.probability_of_purchase(length, history)
    total = np.where(history.x > 0, history.x * zbar, 0.0)
    lattice = _lattice_of(purchases, float(length), theta, terms.delta(unit))
    return terms.margin_rate * (theta.v + total), Mixture(lattice, history, buys)


def _checked(levels: Sequence[float]) -> Floats:
    values = np.asarray(levels, dtype=np.float64)
    if values.ndim != 1 or not np.all((values > 0) & (values < 1)):
        raise InputError(
            f"levels = {levels}: give numbers between 0 and 1.", hint="such as [0.05, 0.5, 0.95]."
        )
    return values


def purchase_cdf(
    purchases: PurchaseModel, t: float, X: Histories, k: Floats
) -> tuple[Floats, Floats]:
    """P(N < k) and P(N <= k) of the purchases N in (T, T+t], k one number or one per row.

    A number drawn evenly between the two is uniform over customers if the forecast is right.
    """
    history = purchases._read(X)
    ks = np.broadcast_to(np.asarray(k, dtype=np.float64), (len(history),))
    future, alive = Future(purchases, t), purchases.probability_alive(history)
    below, at_most = (at_least_by_triple(future, history, n) for n in (ks, ks + 1))
    return np.where(ks > 0, 1 - alive * below, 0.0), 1 - alive * at_most


def purchase_quantiles(
    purchases: PurchaseModel, t: float, X: Histories, levels: Sequence[float]
) -> Floats:
    """Quantiles of the purchases N of each customer in (T, T+t], shape (n, len(levels)).

    The smallest whole number k with P(N <= k) >= level; exact: the table gives a first guess only.

    Examples
    --------
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params({"r": .2426, "alpha": 4.4136, "a": .7929, "b": 2.4259})
    >>> ann = History(np.array([2.0]), np.array([30.43]), np.array([38.86]))
    >>> purchase_quantiles(model, 39, ann, [.05, .5, .95])  # P(0) is .445, P(1) .239
    array([[0., 1., 4.]])
    """
    levels_, history, future = _checked(levels), purchases._read(X), Future(purchases, t)
    buys = purchases.probability_of_purchase(t, history)
    alive = purchases.probability_alive(history)
    counts = Mixture(_lattice_of(purchases, float(t)), history, buys)
    guess = np.maximum(np.ceil(np.exp(counts.quantiles(levels_))) - 1, 0.0)
    result = np.zeros((len(history), len(levels_)))
    for j, level in enumerate(levels_):
        rows = np.flatnonzero(buys > 1 - level)
        beyond = (1 - level) / alive[rows]  # N > k may be as likely as this, given alive
        result[rows, j] = _settled(future, history.where(rows), beyond, guess[rows, j])
    return result


def _settled(future: Future, history: History, beyond: Floats, k: Floats) -> Floats:
    """The smallest k with P(N > k | alive) <= beyond, from a guess, by steps that double."""
    low, high = np.full_like(k, -1.0), np.full_like(k, np.inf)  # not enough, and enough
    step, open_ = 1.0, np.arange(len(k))
    while len(open_):
        here = k[open_]
        enough = at_least_by_triple(future, history.where(open_), here + 1) <= beyond[open_]
        high[open_] = np.where(enough, here, high[open_])
        low[open_] = np.where(enough, low[open_], here)
        open_ = open_[high[open_] > low[open_] + 1]
        middle = np.floor((low[open_] + high[open_]) / 2)
        down, up = np.maximum(high[open_] - step, middle), np.minimum(low[open_] + step, middle)
        k[open_] = np.where(k[open_] == high[open_], down, up)
        step *= 2
    return high


def value_interval(
    summary: IntoFrameT,
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    level: float = LEVEL,
) -> IntoFrameT:
    """What each existing customer is still worth, and its central interval: the same kind of frame.

    The mean is far above the median where most of the value lies with the few who stay. The
    parameters count as known.

    Parameters
    ----------
    summary
        Any dataframe, one row per customer: frequency, recency, T, monetary_value, and if there are
        any customer_id and unit.
    purchases, spend
        The fitted models of how often and of how much.
    terms
        Horizon, discount rate, margin and currency.
    level
        Chance that a customer's value lies between ``clv_low`` and ``clv_high``.

    Returns
    -------
    The same kind of frame, in the order of its rows: customer_id (where the summary has it),
    ``clv`` (the mean), ``clv_low``, ``clv_median``, ``clv_high``, in currency; ``purchases_low``,
    ``purchases_median``, ``purchases_high``, ``probability_of_purchase``, all within the horizon;
    then the terms and ``interval`` = level.

    Raises
    ------
    ColumnError, RowError
        A column is missing, or a history is impossible.
    UnitError
        The time unit of model and summary differ, or neither says it.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259, unit="week")
    >>> money = GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
    >>> X = pd.DataFrame({"customer_id": ["ann", "bob"], "frequency": [2, 0], "T": 38.86,
    ...                   "unit": "week", "recency": [30.43, 0.0], "monetary_value": [22.35, 0.0]})
    >>> table = value_interval(X, model, money, Terms(0.3, 0.1))
    >>> table[["customer_id", "clv_low", "clv_median", "clv", "clv_high"]].round()
      customer_id  clv_low  clv_median   clv  clv_high
    0         ann      0.0        13.0  23.0      84.0
    1         bob      0.0         0.0   6.0      30.0
    """
    check_level(level)
    read = (*HISTORY, "monetary_value")
    rows = collect(summary, (*read, *spend.reads), "the summary", ("customer_id", "unit"))
    table: Any = rows.to_native()
    unit, history = known_unit(purchases, table), read_history(table)
    _, zbar = read_spend(table)
    length, levels = terms.horizon.to(unit), ((1 - level) / 2, 0.5, (1 + level) / 2)
    ordinary, coin = spend.in_one_coin(table) if spend.reads else (spend, np.ones(len(zbar)))
    values = value_quantiles(purchases, ordinary, history, zbar / coin, terms, unit, levels)
    values *= coin[:, None]
    count = purchase_quantiles(purchases, length, history, levels)
    mean = residual_value(purchases, spend.expected_spend(table), history, terms, unit)
    names = ("low", "median", "high")
    columns = {
        "clv": mean,
        **{f"clv_{name}": values[:, j] for j, name in enumerate(names)},
        **{f"purchases_{name}": count[:, j] for j, name in enumerate(names)},
        "probability_of_purchase": purchases.probability_of_purchase(length, history),
    }
    valued = with_arrays(rows, columns, **stated(terms), interval=level)
    return same_kind(valued.drop(*read, *spend.reads, "unit", strict=False), summary)


@dataclass(frozen=True)
class ValueDistribution:
    """What one customer is still worth: enough to draw it.

    Attributes
    ----------
    money, at_most
        Amounts above 0, rising, and P(value <= amount).
    nothing
        P(no purchase, and so no value).
    mean
        ``residual_value``.
    """

    money: Floats
    at_most: Floats
    nothing: float
    mean: float
    terms: Terms


def value_distribution(
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    customer: IntoFrame | None = None,
) -> ValueDistribution:
    """The distribution of what a customer is still worth.

    Parameters
    ----------
    purchases, spend
        The fitted models of how often and of how much.
    terms
        Horizon, discount rate, margin and currency.
    customer
        A summary of one row. None is a new customer, who is an existing one of age 0: what follows
        the first purchase, which itself is certain and not included.

    Returns
    -------
    ValueDistribution
        Money and the chance to be worth at most so much, shape (n,) each; the chance of nothing at
        all; and the mean, in currency of discounted contribution margin.

    Raises
    ------
    InputError
        The summary does not have one row.
    UnitError
        The time unit of model and summary differ, or neither says it.

    Examples
    --------
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params(r=0.2426, alpha=4.4136, a=0.7929, b=2.4259, unit="week")
    >>> money = GammaGamma.from_params(p=6.25, q=3.74, v=15.44)
    >>> new = value_distribution(model, money, Terms(0.3, 0.1))
    >>> round(new.mean, 1), round(new.nothing, 2)
    (26.3, 0.42)
    """
    unit = known_unit(purchases, customer)
    zero = np.zeros(1)
    history = History(zero, zero, zero) if customer is None else read_history(customer)
    if len(history) != 1:
        raise InputError(f"the summary has {count(len(history))} customers.", hint="pass one row.")
    zbar = zero if customer is None else read_spend(customer)[1]
    scale, money = _money(purchases, spend, history, zbar, terms, unit, None)
    per_purchase = np.atleast_1d(spend.expected_spend(customer))
    mean = residual_value(purchases, per_purchase, history, terms, unit)
    return ValueDistribution(
        money=scale[0] * np.exp(money.lattice.curves_at(history.x, history.T)[0]),
        at_most=1 - money.buys[0] * sc.expit(-LOGITS),
        nothing=float(1 - money.buys[0]),
        mean=float(mean[0]),
        terms=terms,
    )
