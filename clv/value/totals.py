"""What many customers are worth together, and how sure that is: a cohort, a channel, the base.

The total of residual values has three sources of spread, and only the first two follow from the
models:

- **parameters**: the fit is not sure of them, and they move all customers at once. Draws of them,
  see ``clv.probability.covariance``;
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

from clv.defaults import LEVEL
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.history import HISTORY, Cells, distinct, read_history, read_spend
from clv.periods import Duration
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.optimize import sample
from clv.schema import Floats, as_frame, collect, require_columns
from clv.value.common_factor import (
    CommonFactor,
    drawn_models,
)
from clv.value.total_moments import Total, TotalMoments
from clv.value.value import Terms, known_unit

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 200  # of the parameters, each a pass over the cells
SAMPLE = 2_000  # customers on whom the effect of a parameter draw is taken


@dataclass(frozen=True)
class Book(Cells):
    """Distinct histories, how many customers share each, and sums over them: of zbar, its square,
    the coin that each spends in (``SpendCovariates.in_one_coin``), its square, coin times zbar.
    """

    spend: Floats
    spend_squared: Floats
    coins: Floats
    coins_squared: Floats
    coins_spend: Floats

    def thin(self, size: int) -> Book:
        """About ``size`` customers, weighted so that they stand for all: a systematic sample."""
        rows, count = sample(self.count, size)
        share = count / self.count[rows]
        summed = (self.spend, self.spend_squared, self.coins, self.coins_squared, self.coins_spend)
        sums = (each[rows] * share for each in summed)
        return Book(self.x[rows], self.t_x[rows], self.T[rows], count, *sums)


def total_purchases(
    summary: IntoFrame,
    purchases: PurchaseModel,
    horizon: str | Duration,
    *,
    level: float = LEVEL,
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
    >>> from clv.value.common_factor import common_factor
    >>> X = cdnow_summary()
    >>> model = BetaGeoNBD().fit(X).with_covariance(X)
    >>> total = total_purchases(X, model, Duration(39, "week"), common=common_factor([0.128]))
    >>> round(total.mean), total.low < 1882 < total.high
    (1653, True)
    """
    return purchases_moments(summary, purchases, horizon, seed).total(level, common)


def purchases_moments(
    summary: IntoFrame, purchases: PurchaseModel, horizon: str | Duration, seed: int = 0
) -> TotalMoments:
    """What ``total_purchases`` is drawn from, for intervals of several levels and factors."""
    unit, horizon = known_unit(purchases, summary), Duration.parse(horizon)
    book = _book(collect(summary, HISTORY, "the summary", ("customer_id",)))
    counting, quantity = _Counting(horizon.to(unit), 0.0), f"purchases over {horizon}"
    return _moments(quantity, counting, book, (purchases,), seed)


def total_value(
    summary: IntoFrame,
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    *,
    level: float = LEVEL,
    common: CommonFactor | None = None,
    seed: int = 0,
) -> Total:
    """What all customers of a summary are still worth under the terms, as a distribution.

    Parameters
    ----------
    summary
        Any dataframe, one row per customer: frequency, recency, T, monetary_value.
    purchases, spend
        The fitted models; with ``with_covariance`` their parameters' doubt is counted.
    terms
        Horizon, discount rate, margin and currency.
    level
        Chance that the total lies between ``low`` and ``high``.
    common
        From :func:`common_factor`: what moves all customers at once.
    seed
        Of the draws of the parameters.

    Returns
    -------
    Total
        The mean (the sum of ``clv`` of :func:`clv.value.value.customer_value`) and its interval,
        in currency of discounted contribution margin, and which part of the variance is whose.

    Raises
    ------
    ColumnError, RowError
        A column is missing, or a history is impossible.
    UnitError
        The time unit of model and summary differ, or neither says it.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.data.summary import summarize
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> from clv.value.value import Terms
    >>> summary = summarize(cdnow_log(sample=True), as_of="1997-09-30", unit="week")
    >>> purchases = BetaGeoNBD().fit(summary).with_covariance(summary)
    >>> spend = GammaGamma().fit(summary).with_covariance(summary)
    >>> total = total_value(summary, purchases, spend, Terms(0.3))
    >>> round(total.low, -3), round(total.mean, -3), round(total.high, -3)
    (38000.0, 45000.0, 54000.0)
    """
    return value_moments(summary, purchases, spend, terms, seed).total(level, common)


def value_moments(
    summary: IntoFrame, purchases: PurchaseModel, spend: GammaGamma, terms: Terms, seed: int = 0
) -> TotalMoments:
    """What ``total_value`` is drawn from, for intervals of several levels and factors."""
    unit = known_unit(purchases, summary)
    names = (*HISTORY, "monetary_value", *spend.reads)
    rows = collect(summary, names, "the summary", ("customer_id",))
    table: Any = rows.to_native()
    spend, coin = spend.in_one_coin(table) if spend.reads else (spend, 1.0)
    book = _book(rows, read_spend(table)[1], coin)
    counting = _Counting(terms.horizon.to(unit), terms.delta(unit), terms.margin_rate)
    return _moments(str(terms), counting, book, (purchases, spend), seed)


def totals_by(summary: IntoFrame, by: str, total: Callable[[Any], Total]) -> pd.DataFrame:
    """One row per group of a summary, such as its channels, largest total first.

    Parameters
    ----------
    summary
        Any dataframe, one row per customer.
    by
        A column of the summary; customers without a value in it are the group None.
    total
        Takes the part of the summary that is a group, such as
        ``lambda part: total_value(part, purchases, spend, terms)``.

    Returns
    -------
    pandas.DataFrame
        The column ``by``, then the fields of ``Total``, with a column per part of the variance.

    Raises
    ------
    ColumnError
        The summary has no column ``by``; and whatever ``total`` raises.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> model = BetaGeoNBD.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week")
    >>> summary = pd.DataFrame({"country": ["DE", "UK", "UK"], "frequency": [0, 3, 5], "T": 40.0,
    ...                         "recency": [0.0, 38.0, 39.0], "unit": "week"})
    >>> def bought(part):
    ...     return total_purchases(part, model, Duration(1, "year"))
    >>> totals_by(summary, "country", bought)[["country", "mean"]].round(1)
      country  mean
    0      UK   6.6
    1      DE   0.2
    """
    import pandas as pd

    frame = as_frame(summary, "the summary")
    require_columns(frame, [by], "the summary")
    rows = frame.collect()
    if len(rows) == 0:
        raise InputError("the summary is empty.", hint="give a row for each customer.")
    records = []
    for name in rows[by].unique().to_list():
        unknown = name is None or name != name  # missing is None or NaN, as the engine has it
        chosen = nw.col(by).is_null() if unknown else nw.col(by) == name
        part_total: object = total(rows.filter(chosen).to_native())
        if not isinstance(part_total, Total):
            hint = "such as lambda part: total_value(part, ...)."
            raise InputError(f"total gives a {type(part_total).__name__}, no Total.", hint=hint)
        record, texts = vars(part_total).copy(), " ".join(map(str, part_total.reasons))
        parts = {f"share_{part}": share for part, share in record.pop("parts").items()}
        records.append({by: None if unknown else name} | record | parts | {"reasons": texts})
    table = pd.DataFrame(records)
    return table.sort_values("mean", ascending=False, ignore_index=True)


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
        per_purchase = p * (v * book.coins + book.x * book.spend) / (p * book.x + q - 1)
        return float(self.margin_rate * once @ per_purchase)

    def variance(
        self, book: Book, purchases: PurchaseModel, spend: GammaGamma | None = None
    ) -> tuple[float, list[Finding]]:
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
        # (v coin + x zbar)^2 summed over the customers of a cell
        scale = v**2 * book.coins_squared + 2 * v * book.x * book.coins_spend
        scale += book.x**2 * book.spend_squared
        endless = float(book.count[Q <= 2].sum())
        reasons = [finding("interval.endless", customers=endless, q=q)] * (endless > 0)
        return float(self.margin_rate**2 * scale @ each), reasons


def _book(rows: nw.DataFrame[Any], zbar: Any = 0.0, coin: Any = 1.0) -> Book:
    table: Any = rows.to_native()
    history = read_history(table)
    one, zbar, coin = np.broadcast_arrays(np.ones(len(history)), zbar, coin)
    (x, t_x, T), cell = distinct(history.x, history.t_x, history.T)
    columns = (one, zbar, zbar**2, coin, coin**2, coin * zbar)
    return Book(x, t_x, T, *(np.bincount(cell, v, len(x)).astype(np.float64) for v in columns))


def _moments(
    quantity: str, counting: _Counting, book: Book, models: tuple[Any, ...], seed: int
) -> TotalMoments:
    mean = counting.mean(book, *models)
    variance, endless = counting.variance(book, *models)
    moved, reasons = _by_parameters(counting, book, models, seed)
    individual, customers = variance / mean**2 if mean else 0.0, round(float(book.count.sum()))
    return TotalMoments(quantity, mean, individual, moved, customers, (*reasons, *endless), seed)


def _by_parameters(
    counting: _Counting, book: Book, models: tuple[Any, ...], seed: int
) -> tuple[Floats, list[Finding]]:
    """The log of the expected total under drawn parameters, less that under the fitted ones."""
    drawn, reasons = drawn_models(models, DRAWS, seed)
    if len(drawn) > 1 and len(book) > SAMPLE:
        book = book.thin(SAMPLE)
        reasons.append(finding("interval.sampled", customers=len(book)))
    fitted = counting.mean(book, *models)
    if fitted == 0:
        return np.zeros(1), reasons
    return np.log([counting.mean(book, *pair) / fitted for pair in drawn]), reasons
