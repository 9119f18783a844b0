"""How sure the value of a new customer is: an interval of the mean, from what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.defaults import LEVEL
from clv.errors import InputError
from clv.findings import Finding, finding
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.value.common_factor import (
    NO_COMMON_FACTOR,
    CommonFactor,
    check_level,
    draw_factors,
    drawn_models,
    shares_of_variance,
)
from clv.value.value import Terms, new_customer_value

NEWCOMERS = 1_000  # draws of what a new customer is worth


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
    reasons: tuple[Finding, ...] = ()


def new_customer_interval(
    purchases: PurchaseModel,
    spend: GammaGamma,
    terms: Terms,
    first_amount: float | None = None,
    first_amount_error: float | None = None,
    first_margin_rate: float | None = None,
    *,
    level: float = LEVEL,
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
    check_level(level)

    def parts_of_value(pair: tuple[Any, ...]) -> tuple[float, float]:
        purchases, spend = pair
        value = new_customer_value(purchases, spend, terms, first_amount, first_margin_rate)
        return value.first_purchase, value.repeat_purchases

    fitted = (purchases, spend)
    at_first, at_repeat = parts_of_value(fitted)
    pairs, reasons = drawn_models(fitted, NEWCOMERS, seed)
    first, repeat = np.array([parts_of_value(pair) for pair in pairs]).T
    rng = np.random.default_rng(seed + 1)
    error = _error_of_first(first_amount, first_amount_error, reasons)
    margin = terms.margin_rate if first_margin_rate is None else first_margin_rate
    factor = draw_factors(common, NEWCOMERS, rng)
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
    mean, parts = at_first + at_repeat, shares_of_variance(variances)
    return NewCustomerInterval(mean, low, high, level, parts, terms, tuple(reasons))


def _error_of_first(amount: float | None, error: float | None, reasons: list[Finding]) -> float:
    """The standard error of the first amount, 0 where it is not one that was measured."""
    if amount is None and error is not None:
        raise InputError("first_amount_error is the error of first_amount: give both.")
    if error is not None and not 0 <= error < np.inf:
        raise InputError(f"first_amount_error = {error} is no standard error.")
    if amount is not None and error is None:
        reasons.append(finding("interval.first_amount_known"))
    return error or 0.0
