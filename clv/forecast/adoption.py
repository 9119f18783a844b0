"""Whether the pool is used: only where it beats the purchase model beyond chance.

It is tried one horizon ago, with what could be learned by then, on purchases that it has not seen.
A log too short for that is judged on other customers of the same days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame

from clv.evaluate import count_placement
from clv.forecast.pool import Pool, fit_pool, levelled
from clv.forecast.windows import Past, Window
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import Floats

ERRORS = 2.0  # standard errors by which the pool has to win
FEWEST = 2  # windows that a trial learns from: from one alone it would be no fair trial


@dataclass(frozen=True, eq=False)
class Adoption:
    """A pool, and whether it is used.

    Attributes
    ----------
    pool
        None where nothing could be learned.
    adopted
        Whether it beats the purchase model beyond chance.
    gain, error
        By how much its mean log score is lower (better), and the standard error over customers;
        NaN where it could not be tried.
    day
        When it was tried.
    reason
        All of it in words.
    """

    pool: Pool | None
    adopted: bool
    gain: float
    error: float
    day: str | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """All but the pool, as JSON values."""
        numbers: Mapping[str, float] = {"gain": self.gain, "error": self.error}
        return {name: None if np.isnan(value) else value for name, value in numbers.items()} | {
            "adopted": self.adopted,
            "day": self.day,
            "reason": self.reason,
        }


def learn_pool(
    log: IntoFrame,
    purchases: PurchaseModel,
    spend: GammaGamma,
    horizon: Duration,
    unit: Unit,
    today: dt.date | None = None,
    total_factor: float = 1.0,
) -> Adoption:
    """Learn a pool from a clean log, and say whether it is better than the purchase model.

    Parameters
    ----------
    log
        A clean log (customer_id, date, amount) of any engine.
    purchases, spend
        Models fitted on its summary as of ``today``.
    horizon
        h, what is forecast.
    unit
        Of the models.
    today
        The last day that is known; the log's last day if not given.
    total_factor
        T* over the sum of what ``purchases`` expects: 1 leaves the total to the purchase model.

    Raises
    ------
    ColumnError, RowError
        The log cannot be used.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.data.summary import summarize
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> log = cdnow_log(sample=True)
    >>> table = summarize(log, unit="week")
    >>> model, spend = BetaGeoNBD(unit="week").fit(table), GammaGamma().fit(table)
    >>> learn_pool(log, model, spend, Duration(13, "week"), "week").adopted
    False
    """
    past = Past.from_log(log, horizon, unit, type(purchases))
    today = today or past.ends[1]
    pool = fit_pool(past, today, purchases, spend, total_factor)
    if pool is None:
        reason = (
            f"the log is too short or too thin to learn from: it takes {1 + 0.8:g} times {horizon} "
            "of it and 50 customers who bought; so the purchase model is used"
        )
        return Adoption(None, False, float("nan"), float("nan"), None, reason)
    window, gain = _trial(past, today)
    mean, error = float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))
    adopted = mean > ERRORS * error
    verdict = (
        f"tried at {window.day}, the pool's log score was {abs(mean):.4f} "
        f"{'better' if mean > 0 else 'worse'} than the purchase model's, ±{error:.4f}"
    )
    outcome = "so it is used" if adopted else "not beyond chance, so the purchase model is used"
    return Adoption(pool, adopted, mean, error, str(window.day), f"{verdict}; {outcome}")


def _trial(past: Past, today: dt.date) -> tuple[Window, Floats]:
    """What every customer's log score gains by the pool of one horizon ago."""
    window = past.before(today)[0]
    pool = levelled(past, window.customers, window.day)
    if pool and len(pool.days) >= FEWEST:
        return window, _gain(pool, window)
    return window, _gain_on_others(past, window)


def _gain_on_others(past: Past, window: Window) -> Floats:
    """The gain on one half of a window's customers by the pool of the other half."""
    half = np.arange(len(window.purchases)) % 2 == 0
    gain = np.zeros(len(half))
    for unseen in (half, ~half):
        other = window.where(unseen)
        pool = levelled(past, other.customers, window.day, windows=[window.where(~unseen)])
        if pool:
            gain[unseen] = _gain(pool, other)
    return gain


def _gain(pool: Pool, window: Window) -> Floats:
    """Log score of the purchase model minus that of the pool, shape (n,)."""
    customers, k = window.customers, np.arange(window.purchases.max() + 1)
    h = pool.horizon.to(pool.unit)
    chances = (
        customers.model.probability_of_purchases(k, h, customers.history),
        pool.forecast(customers).chances(k),
    )
    of_model, of_pool = (count_placement(window.purchases, p)[0] for p in chances)
    return np.asarray(of_model - of_pool)
