"""What many customers are worth together, and how sure that is: a cohort, a channel, the base.

The total of residual values has three sources of spread, and only the first two follow from the
models:

- **parameters**: the fit is not sure of them, and they move all customers at once. Draws of them,
  see ``clv.probability.uncertainty``;
- **individuals**: what each customer does is chance. Their variances add up, so this matters
  most for a few hundred customers. The variance of a customer's purchases and
  of their discounted money is exact;
- **a common factor**: the season, a recession, a new shop across the street. No model of single
  customers knows it. ``common_factor`` measures it as the log of actual over predicted totals of a
  backtest. On CDNOW, 1,882 purchases came where parameters and individuals allowed about 1,490 to
  1,830.

Draws are taken of the total alone, never of customers: the variance of the individuals enters as
that of a gamma distribution, which is what a sum of many skewed values looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.history import HISTORY, Cells, distinct, read_history, read_spend
from clv.periods import Duration
from clv.probability.estimator import PurchaseModel
from clv.probability.fitted import FittedModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.optimize import sample
from clv.probability.uncertainty import draws, with_parameters
from clv.schema import Floats, as_frame, collect, require_columns
from clv.value.value import Terms, known_unit, new_customer_value

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 200  # of the parameters, each a pass over the cells
SAMPLE = 2_000  # customers on whom the effect of a parameter draw is taken
TOTALS = 20_000  # draws of the total, each a number
LOOSE = 0.5  # relative standard deviation above which a gamma distribution is a rough picture
NEWCOMERS = 1_000  # draws of what a new customer is worth


@dataclass(frozen=True)
class CommonFactor:
    """What moves all customers together and is in no model: a factor on the total.

    The log of the factor is sd times Student's t with ``degrees`` of freedom: with few cutoffs the
    sd is itself unsure, and the tails are heavier.

    Attributes
    ----------
    sd
        Scale of the log of the factor; 0.1 is about 10%.
    degrees
        Cutoffs, and what the prior counts for.
    cutoffs
        How many ratios were measured.
    note
        The same in words, measured and assumed told apart.
    """

    sd: float
    degrees: float
    cutoffs: int
    note: str

    @property
    def variance(self) -> float:
        """Of the log of the factor."""
        return self.sd**2 * self.degrees / (self.degrees - 2)


@dataclass(frozen=True)
class Total:
    """The distribution of a total.

    Attributes
    ----------
    quantity
        What is counted, with its horizon: "purchases over 39 weeks", or the terms of a value.
    mean
        The sum of the customers' expectations, at the fitted parameters.
    low, median, high, level
        The central interval that holds the total with probability ``level``.
    parts
        Which share of the variance (of the log of the total) is that of the parameters, the
        individuals and the common factor; they add up to 1.
    log_sd
        The standard deviation of the log of the total, from all parts.
    customers
        How many the total is of.
    reasons
        What the interval leaves out or assumes, in words.
    """

    quantity: str
    mean: float
    low: float
    median: float
    high: float
    level: float
    log_sd: float
    parts: dict[str, float]
    customers: int
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self) | {"parts": dict(self.parts), "reasons": list(self.reasons)}

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.parts.items() if share)
        lines = [
            f"{self.quantity}, {self.customers:,} customers: {self.mean:,.0f}, "
            f"{self.level:.0%} between {self.low:,.0f} and {self.high:,.0f}",
            f"  of the variance: {shares or 'none'}",
        ]
        return "\n".join([*lines, *(f"  note: {reason}" for reason in self.reasons)])


@dataclass(frozen=True)
class Book(Cells):
    """Distinct histories, how many customers share each, and sums of zbar and its square."""

    spend: Floats
    spend_squared: Floats

    def thin(self, size: int) -> Book:
        """About ``size`` customers, weighted so that they stand for all: a systematic sample."""
        rows, count = sample(self.count, size)
        share = count / self.count[rows]
        sums = (self.spend[rows] * share, self.spend_squared[rows] * share)
        return Book(self.x[rows], self.t_x[rows], self.T[rows], count, *sums)


def common_factor(
    log_ratios: ArrayLike,
    explained: ArrayLike = 0.0,
    prior_sd: float = 0.1,
    prior_cutoffs: float = 3.0,
) -> CommonFactor:
    """How far totals were off in a backtest, as a factor on a new total.

    Parameters
    ----------
    log_ratios
        log(actual total / predicted total), one per cutoff of a backtest, best with holdouts that
        do not overlap and as long as the horizon asked for. Their spread is taken around 0, not
        around their mean: a bias that persists widens the interval, it does not move the forecast.
    explained
        ``log_sd`` of the forecast ``Total`` of each cutoff, made without a common factor: so much
        of an error the models expected themselves. 0 lays all of it on the common factor.
    prior_sd, prior_cutoffs
        An assumption that counts as that many cutoffs with ratios of that size, and keeps one or
        two lucky ones from promising too much.

    Examples
    --------
    >>> factor = common_factor([0.13, -0.05], explained=0.06)
    >>> round(factor.sd, 3), factor.degrees
    (0.092, 5.0)
    >>> print(factor.note)
    common factor of 9.2%: 2 cutoffs with 7.8% beyond what the models expect, and 10% assumed (as 3)
    """
    ratios = np.atleast_1d(np.asarray(log_ratios, dtype=np.float64))
    if ratios.ndim != 1 or not np.isfinite(ratios).all() or len(ratios) == 0:
        raise InputError(
            "log_ratios holds no ratios, or some that are not finite.",
            hint="give log(actual / predicted) per cutoff; without a backtest give common=None.",
        )
    if not (prior_sd > 0 and prior_cutoffs > 2):
        raise InputError("prior_sd must be above 0 and prior_cutoffs above 2.")
    n = len(ratios)
    degrees = n + prior_cutoffs
    beyond = max(float(np.sum(ratios**2 - np.asarray(explained) ** 2)), 0.0)
    sd = float(np.sqrt((prior_cutoffs * prior_sd**2 + beyond) / degrees))
    unexplained = float(np.sqrt(beyond / n))
    note = (
        f"common factor of {sd:.1%}: {n} cutoff{'s' * (n > 1)} with {unexplained:.1%} beyond what "
        f"the models expect, and {prior_sd:.0%} assumed (as {prior_cutoffs:g})"
    )
    return CommonFactor(sd, degrees, n, note)


def total_purchases(
    summary: IntoFrame,
    purchases: PurchaseModel,
    horizon: Duration,
    *,
    level: float = 0.9,
    common: CommonFactor | None = None,
    seed: int = 0,
) -> Total:
    """The purchases of all customers of a summary within a horizon, as a distribution.

    Parameters
    ----------
    summary
        With frequency, recency and T.
    purchases
        Fitted; with the covariance of its parameters, see ``with_covariance``, or the interval
        leaves them out and says so.
    common
        From ``common_factor``; None leaves it out and says so.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_summary
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> X = cdnow_summary()
    >>> model = BetaGeoNBD().fit(X).with_covariance(X)
    >>> total = total_purchases(X, model, Duration(39, "week"), common=common_factor([0.128]))
    >>> round(total.mean), total.low < 1882 < total.high
    (1653, True)
    """
    unit = known_unit(purchases, summary)
    book = _book(collect(summary, HISTORY, "the summary", ("customer_id",)), money=False)
    counting, quantity = _Counting(horizon.to(unit), 0.0), f"purchases over {horizon}"
    return _total(quantity, counting, book, (purchases,), common, level, seed)


def total_value(
    summary: IntoFrame,
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    *,
    level: float = 0.9,
    common: CommonFactor | None = None,
    seed: int = 0,
) -> Total:
    """What all customers of a summary are still worth under the terms, as a distribution.

    Parameters as in ``total_purchases``; the summary with monetary_value too. The mean is the sum
    of ``clv`` of ``customer_value``.

    Raises
    ------
    UnitError
        The time unit of model and summary differ, or neither says it.
    """
    unit = known_unit(purchases, summary)
    names = (*HISTORY, "monetary_value")
    book = _book(collect(summary, names, "the summary", ("customer_id",)), money=True)
    counting = _Counting(terms.horizon.to(unit), terms.delta(unit), terms.margin_rate)
    return _total(str(terms), counting, book, (purchases, spend), common, level, seed)


def totals_by(summary: IntoFrame, by: str, total: Callable[[Any], Total]) -> pd.DataFrame:
    """One row per group of a summary, such as its channels, largest total first.

    Parameters
    ----------
    by
        A column of the summary; customers without a value in it are the group None.
    total
        Takes the part of the summary that is a group, such as
        ``lambda part: total_value(part, purchases, spend, terms)``.

    Returns
    -------
    pandas.DataFrame
        The column ``by``, then the fields of ``Total``, with a column per part of the variance.
    """
    import pandas as pd

    frame = as_frame(summary, "the summary")
    require_columns(frame, [by], "the summary")
    rows = frame.collect()
    records = []
    for name in rows[by].unique().to_list():
        unknown = name is None or name != name  # missing is None or NaN, as the engine has it
        chosen = nw.col(by).is_null() if unknown else nw.col(by) == name
        record = total(rows.filter(chosen).to_native()).to_dict()
        parts = {f"share_{part}": share for part, share in record.pop("parts").items()}
        reasons = " ".join(record.pop("reasons"))
        records.append({by: None if unknown else name} | record | parts | {"reasons": reasons})
    table = pd.DataFrame(records)
    return table.sort_values("mean", ascending=False, ignore_index=True)


@dataclass(frozen=True)
class NewCustomerInterval:
    """What winning one customer is worth on average, and how sure that mean is.

    The interval is of the mean over many such customers, which a CAC is held against; what a
    single customer turns out to be worth spreads far more. ``parts`` and ``reasons`` are as in
    ``Total``, with a part for the mean first purchase.
    """

    new_customer_clv: float
    low: float
    high: float
    level: float
    parts: dict[str, float]
    terms: Terms
    reasons: tuple[str, ...] = ()


def new_customer_interval(
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    first_amount: float | None = None,
    first_amount_error: float | None = None,
    first_margin_rate: float | None = None,
    *,
    level: float = 0.9,
    common: CommonFactor | None = None,
    seed: int = 0,
) -> NewCustomerInterval:
    """The interval of ``new_customer_value`` from the uncertainty of what it rests on.

    Parameters
    ----------
    first_amount, first_margin_rate
        As in ``new_customer_value``.
    first_amount_error
        The standard error of the mean first purchase; None takes it as known, and says so.
    common
        A factor on what repeat purchases bring, from ``common_factor``.

    Raises
    ------
    InputError
        No source of uncertainty is known: neither model carries its covariance, and neither an
        error of the first amount nor a common factor is given.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_summary
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> X = cdnow_summary()
    >>> models = [model.fit(X).with_covariance(X) for model in (BetaGeoNBD(), GammaGamma())]
    >>> value = new_customer_interval(*models, Terms(0.3), 32.99, 0.7)
    >>> round(value.low), round(value.new_customer_clv), round(value.high)
    (33, 36, 40)
    """
    _check_level(level)

    def parts_of_value(pair: tuple[Any, ...]) -> tuple[float, float]:
        purchases, spend = pair
        value = new_customer_value(purchases, spend, terms, first_amount, first_margin_rate)
        return value.first_purchase, value.repeat_purchases

    fitted = (purchases, spend)
    at_first, at_repeat = parts_of_value(fitted)
    pairs, reasons = _drawn(fitted, NEWCOMERS, seed)
    first, repeat = np.array([parts_of_value(pair) for pair in pairs]).T
    rng = np.random.default_rng(seed + 1)
    error = _error_of_first(first_amount, first_amount_error, reasons)
    margin = terms.margin_rate if first_margin_rate is None else first_margin_rate
    factor = _factors(common, NEWCOMERS, rng)
    values = first + margin * error * rng.standard_normal(NEWCOMERS) + repeat * factor
    variances = {
        "parameters": float(np.var(first + repeat)),
        "first_amount": (margin * error) ** 2,
        "common_factor": at_repeat**2 * (common.variance if common else 0.0),
    }
    if not any(variances.values()):
        raise InputError(
            "nothing is known of the uncertainty of this value.",
            hint="fit with .with_covariance(X), or give first_amount_error or common.",
        )
    low, high = map(float, np.quantile(values, [(1 - level) / 2, (1 + level) / 2]))
    reasons.append(common.note if common else NO_COMMON_FACTOR)
    mean, parts = at_first + at_repeat, _shares(variances)
    return NewCustomerInterval(mean, low, high, level, parts, terms, tuple(reasons))


def _error_of_first(amount: float | None, error: float | None, reasons: list[str]) -> float:
    """The standard error of the first amount, 0 where it is not one that was measured."""
    if amount is None and error is not None:
        raise InputError("first_amount_error is the error of first_amount: give both.")
    if error is not None and not 0 <= error < np.inf:
        raise InputError(f"first_amount_error = {error} is no standard error.")
    if amount is not None and error is None:
        reasons.append("the mean first purchase is taken as known: its error was not given.")
    return error or 0.0


NO_COMMON_FACTOR = (
    "what moves all customers at once, such as a season or a recession, is not included: it takes "
    "a backtest, see common_factor()."
)


@dataclass(frozen=True)
class _Counting:
    """What is added up per customer: purchases, or with ``spend`` their discounted margin."""

    length: float
    delta: float
    margin_rate: float = 1.0

    def mean(self, book: Book, purchases: PurchaseModel, spend: GammaGamma | None = None) -> float:
        """The expected total."""
        once = purchases.discounted_expected_purchases(self.length, self.delta, book)
        if spend is None:
            return float(once @ book.count)
        p, q, v = spend._parameters()
        per_purchase = p * (v * book.count + book.x * book.spend) / (p * book.x + q - 1)
        return float(self.margin_rate * once @ per_purchase)

    def variance(
        self, book: Book, purchases: PurchaseModel, spend: GammaGamma | None = None
    ) -> tuple[float, list[str]]:
        """The variance of the total by chance alone, and what it leaves out.

        E[Y^2] = E[M^2] DET(2 delta) + E[M M'] (pairs of purchases), with M, M' two values of one
        customer: nu ~ Gamma(Q, rate v + x zbar) gives E[1/nu^2] = (v + x zbar)^2 / ((Q-1) (Q-2)),
        which exists for Q > 2.
        """
        rates = [self.delta, 2 * self.delta]
        once, twice = purchases.discounted_expected_purchases(self.length, rates, book).T
        pairs = purchases.discounted_purchase_pairs(self.length, self.delta, book)
        if spend is None:
            return float(book.count @ (twice + pairs - once**2)), []
        p, q, v = spend._parameters()
        Q = q + p * book.x
        second = (p * (p + 1) * twice + p**2 * pairs) / ((Q - 1) * np.where(Q > 2, Q - 2, 1.0))
        each = (second - (p * once / (Q - 1)) ** 2) * (Q > 2)
        # (v + x zbar)^2 summed over the customers of a cell
        scale = v**2 * book.count + 2 * v * book.x * book.spend + book.x**2 * book.spend_squared
        endless = float(book.count[Q <= 2].sum())
        reasons = [
            f"the spend of {endless:,.0f} customers has no finite variance (q = {q:.2f}): their "
            "own chance is left out, and the interval ends too low."
        ] * (endless > 0)
        return float(self.margin_rate**2 * scale @ each), reasons


def _book(rows: nw.DataFrame[Any], money: bool) -> Book:
    table: Any = rows.to_native()
    history = read_history(table)
    zbar = read_spend(table)[1] if money else np.zeros(len(history))
    (x, t_x, T), cell = distinct(history.x, history.t_x, history.T)
    count = np.bincount(cell, minlength=len(x)).astype(np.float64)
    once = np.bincount(cell, zbar, len(x)).astype(np.float64)
    squared = np.bincount(cell, zbar**2, len(x)).astype(np.float64)
    return Book(x, t_x, T, count, once, squared)


def _total(
    quantity: str,
    counting: _Counting,
    book: Book,
    models: tuple[Any, ...],
    common: CommonFactor | None,
    level: float,
    seed: int,
) -> Total:
    _check_level(level)
    mean = counting.mean(book, *models)
    variance, endless = counting.variance(book, *models)
    moved, reasons = _by_parameters(counting, book, models, seed)
    variances = {
        "parameters": float(np.var(moved)),
        "individuals": variance / mean**2 if mean else 0.0,
        "common_factor": common.variance if common else 0.0,
    }
    rng = np.random.default_rng(seed + 1)
    totals = mean * rng.choice(np.exp(moved), TOTALS) * _factors(common, TOTALS, rng)
    if individual := variances["individuals"]:
        totals *= rng.gamma(1 / individual, individual, TOTALS)
    if individual > LOOSE**2:
        reasons.append(
            f"chance alone moves this total by {np.sqrt(individual):.0%}: it rests on few "
            "customers, and the interval is a rough picture."
        )
    low, median, high = map(float, np.quantile(totals, [(1 - level) / 2, 0.5, (1 + level) / 2]))
    return Total(
        quantity=quantity,
        mean=mean,
        low=low,
        median=median,
        high=high,
        level=level,
        log_sd=float(np.sqrt(sum(variances.values()))),
        parts=_shares(variances),
        customers=round(float(book.count.sum())),
        reasons=(*reasons, *endless, common.note if common else NO_COMMON_FACTOR),
    )


def _by_parameters(
    counting: _Counting, book: Book, models: tuple[Any, ...], seed: int
) -> tuple[Floats, list[str]]:
    """The log of the expected total under drawn parameters, less that under the fitted ones."""
    drawn, reasons = _drawn(models, DRAWS, seed)
    if len(drawn) > 1 and len(book) > SAMPLE:
        book = book.thin(SAMPLE)
        reasons.append(
            f"the effect of the parameters is taken on {len(book):,} distinct customers, a "
            "systematic sample that stands for all."
        )
    fitted = counting.mean(book, *models)
    if fitted == 0:
        return np.zeros(1), reasons
    return np.log([counting.mean(book, *pair) / fitted for pair in drawn]), reasons


def _drawn(
    models: tuple[FittedModel, ...], n: int, seed: int
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The models at n draws of their parameters, independent of each other, and what is left out.

    Purchases and spend are independent in the models. A model without a covariance stays as it is;
    if that is so of all, they are the one draw.
    """
    reasons, columns = [], []
    for place, model in enumerate(models):
        kind, covariance = type(model).__name__, model.covariance_
        if covariance is None:
            reasons.append(
                f"the parameters of {kind} are taken as known: it carries no covariance, see "
                "with_covariance()."
            )
            columns.append([model] * n)
        else:
            reasons.extend(f"{kind}: {note}" for note in covariance.notes)
            thetas = draws(model, n, seed + 1000 * place)
            columns.append([with_parameters(model, theta) for theta in thetas])
    if all(model.covariance_ is None for model in models):
        return [models], reasons
    return list(zip(*columns, strict=True)), reasons


def _factors(common: CommonFactor | None, n: int, rng: np.random.Generator) -> Floats:
    if common is None:
        return np.ones(n)
    return np.exp(common.sd * rng.standard_t(common.degrees, n))


def _shares(variances: dict[str, float]) -> dict[str, float]:
    total = sum(variances.values())
    return {name: value / total if total else 0.0 for name, value in variances.items()}


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"level = {level} is not between 0 and 1.", hint="give 0.9 for 90%.")
