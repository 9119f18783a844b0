"""Whether the pool is used: only where it beats purchase model and base rate beyond chance.

It is tried one horizon ago, with what could be learned by then, on purchases that it has not seen.
A log too short for that is judged on other customers of the same days. Where the log reaches two
horizons back, it is measured how much of a customer's correction is left after one horizon more.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from narwhals.typing import IntoFrame
from scipy.optimize import brentq

from clv.errors import InputError
from clv.evaluate import auc, judge
from clv.forecast.calendar import NO_CALENDAR, Calendar
from clv.forecast.calendar_total import calendar_total
from clv.forecast.inputs import Customers
from clv.forecast.learner import differ
from clv.forecast.pool import Pool, fit_pool
from clv.forecast.windows import BEFORE, BUYERS, Past, Window
from clv.format import day as day_text
from clv.format import number
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.probability.models import title
from clv.schema import Floats

POOLED, PURCHASE_MODEL = "pooled forecast", "P(no purchase in h)"
ERRORS = 2.0  # standard errors by which the pool has to win
FEWEST = 2  # windows that a trial learns from: from one alone it would be no fair trial
SEASONS = 730  # days of a log in which each season came twice: once may have been growth
TOO_GOOD = 0.98  # an AUC above it means that an input knows the future,
EASY = 0.95  # unless the purchase model, which cannot know it, comes this far by itself


@dataclass(frozen=True, eq=False)
class Adoption:
    """A pool, and whether it is used.

    Attributes
    ----------
    pool
        None where nothing could be learned, or where it is not used and was asked for only if so.
    adopted
        Whether it beats purchase model and base rate beyond chance.
    reason
        Why it is used or not, in words.
    gain, error
        By how much its mean log score is lower (better), and the standard error over customers;
        NaN where it could not be tried.
    days, day
        After which windows it learned what followed, the newest first; when it was tried.
    figures
        How well it told then who would not buy, beside the purchase model and simple rules: score,
        chosen, auc, brier, log_loss.
    churn_rate
        The share that did not buy in h after ``day``.
    customers
        As they stand today; those that it learned from.
    """

    pool: Pool | None
    adopted: bool
    reason: str
    gain: float = float("nan")
    error: float = float("nan")
    days: tuple[str, ...] = ()
    day: dt.date | None = None
    figures: tuple[dict[str, Any], ...] = ()
    churn_rate: float | None = None
    customers: Customers | None = None


def learn_pool(
    log: IntoFrame,
    purchases: PurchaseModel,
    spend: GammaGamma,
    horizon: Duration,
    unit: Unit,
    today: dt.date | None = None,
    total_factor: float | None = None,
    calendar: Calendar = NO_CALENDAR,
    only_if_used: bool = False,
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
        T* over the sum of what ``purchases`` expects: 1 leaves the total to the purchase model. If
        not given, that of :func:`~clv.forecast.calendar_total.calendar_total` where the log saw
        each season twice or the firm tells its own, else 1.
    calendar
        What the firm knows itself of seasons and events.
    only_if_used
        Whether a pool that its trial refuses is not learned: the trial has one of its own.

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
    if not purchases.times or getattr(purchases, "covariates", None):
        return Adoption(None, False, f"a pool is not made with {title(purchases)}, so it stays")
    past = Past.from_log(log, horizon, unit, type(purchases))
    today = today or past.ends[1]
    customers = past.customers_at(today, purchases, spend)
    windows = past.before(today)
    if not differ(windows):
        reason = (
            "the log is too short or too thin to learn from: it takes "
            f"{1 + BEFORE:g} times {horizon} "
            f"of it and {BUYERS} customers who bought; so the purchase model is used, unvalidated"
        )
        return Adoption(None, False, reason, customers=customers)
    trial = _Trial.of(past, today, spend)
    adopted, reason = trial.verdict(horizon)
    pool = None
    if adopted or not only_if_used:
        if total_factor is None:
            total_factor = _season(past, today, purchases, calendar)
        pool = fit_pool(past, today, customers, spend, total_factor)
        pool = pool and replace(pool, fade=_fade(past, trial))
    return Adoption(
        pool,
        adopted,
        reason,
        *trial.gained,
        tuple(str(window.day) for window in windows),
        trial.window.day,
        tuple(trial.figures(past, POOLED if adopted else PURCHASE_MODEL)),
        float((trial.window.purchases == 0).mean()),
        customers,
    )


def _season(past: Past, today: dt.date, purchases: PurchaseModel, calendar: Calendar) -> float:
    """T* of calendar time over that of plain time; 1 while neither log nor firm tell it."""
    if (today - past.ends[0]).days < SEASONS and calendar == NO_CALENDAR:
        return 1.0
    try:
        return calendar_total(
            past.log, purchases, past.horizon, cutoff=today, calendar=calendar
        ).factor
    except InputError:  # days, not weeks, of log
        return 1.0


@dataclass(frozen=True, eq=False)
class _Trial:
    """The pool of one horizon ago and what it said of customers, shape (n,) each.

    ``gain`` is by how much each one's log score is better than by the purchase model, ``over_rate``
    than by the base rate: how often which number of purchases came before, whoever it is.
    ``silent`` and ``of_model`` are P(no purchase in h) by the two. ``pool`` is None where it was
    tried on halves of the customers.
    """

    window: Window
    pool: Pool | None
    gain: Floats
    over_rate: Floats
    silent: Floats
    of_model: Floats

    @classmethod
    def of(cls, past: Past, today: dt.date, spend: GammaGamma) -> _Trial:
        """Try what could be learned by the newest window before ``today``."""
        window = past.before(today)[0]
        pool = fit_pool(past, window.day, window.customers, spend)
        known, h = window.customers, past.horizon.to(past.unit)
        of_model = known.model.probability_of_no_purchase(h, known.history)
        if pool and len(pool.days) >= FEWEST:
            earlier = past.before(window.day)
            return cls(window, pool, *_gain(pool, window, earlier), of_model)
        half = np.arange(len(of_model)) % 2 == 0
        gain, over_rate, silent = np.zeros(len(half)), np.zeros(len(half)), of_model.copy()
        for unseen in (half, ~half):
            seen, other = [window.where(~unseen)], window.where(unseen)
            if pool := fit_pool(past, window.day, other.customers, spend, windows=seen):
                gain[unseen], over_rate[unseen], silent[unseen] = _gain(pool, other, seen)
        return cls(window, None, gain, over_rate, silent, of_model)

    @property
    def churned(self) -> Floats:
        """Who did not buy: 1, else 0."""
        return np.where(self.window.purchases == 0, 1.0, 0.0)

    @property
    def gained(self) -> tuple[float, float]:
        """The mean gain and its standard error."""
        return _mean(self.gain)

    def verdict(self, horizon: Duration) -> tuple[bool, str]:
        """Whether the pool is used, and why."""
        ours, model = (auc(self.churned, silent) for silent in (self.silent, self.of_model))
        when = f"the {horizon} after {day_text(self.window.day)}"
        if ours > TOO_GOOD and model <= EASY:
            return False, (
                f"the {POOLED} has AUC {number(ours, 3)} in {when}, which is too good to be true: "
                "a column of the log seems to know what came after; so the purchase model is used."
            )
        mean, error = self.gained
        how = "better" if mean > 0 else "worse"
        verdict = (
            f"tried on {when}, the {POOLED} was {number(abs(mean), 4)} {how}"
            f" in log score than the purchase model, ±{number(error, 4)}"
        )
        if mean <= ERRORS * error:
            return False, f"{verdict}, not better beyond chance, so the purchase model is used."
        over, error = _mean(self.over_rate)
        if over <= ERRORS * error:
            return False, (
                f"{verdict}, but not better beyond chance than the base rate, by "
                f"{number(over, 4)}, ±{number(error, 4)}: it tells no customer from another, so "
                "the purchase model is used."
            )
        return True, f"{verdict}, so it is used."

    def figures(self, past: Past, used: str) -> list[dict[str, Any]]:
        """Scores of who would not buy, best log loss first."""
        history = self.window.customers.history
        scores = {
            POOLED: self.silent,
            PURCHASE_MODEL: self.of_model,
            "time since last purchase": history.T - history.t_x,
            "1 - P(alive)": 1 - self.window.customers.model.probability_alive(history),
        }
        if earlier := past.before(self.window.day):
            rate = float((np.concatenate([w.purchases for w in earlier]) == 0).mean())
            scores["churn rate of the past"] = np.full(len(self.churned), rate)
        rows = [
            {"score": name, "chosen": name == used, **judge(self.churned, score)}
            for name, score in scores.items()
        ]
        return sorted(rows, key=lambda row: (np.isnan(row["log_loss"]), row["log_loss"]))


def _mean(gain: Floats) -> tuple[float, float]:
    """The mean of a gain over customers and its standard error."""
    return float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))


def _gain(pool: Pool, window: Window, seen: list[Window]) -> tuple[Floats, Floats, Floats]:
    """How much better the pool's log score is, and its P(no purchase); (n,) each.

    Than that of the purchase model, and than that of the base rate of the windows seen.
    """
    customers, forecast = window.customers, pool.forecast(window.customers)
    gain, over_rate = np.empty((2, len(customers)))
    counts = np.concatenate([earlier.purchases for earlier in seen])
    for k in np.unique(window.purchases):
        rows = np.flatnonzero(window.purchases == k)
        history = customers.history.where(rows)
        model = customers.model.probability_of_purchases([k], pool.length, history)
        chances = forecast.chances([k], rows)[:, 0]
        gain[rows] = np.log(chances / model[:, 0])
        over_rate[rows] = np.log(chances / _base_rate(counts, k))
    return gain, over_rate, forecast.no_purchase


def _base_rate(counts: Floats, k: float) -> float:
    """The share of customers with k purchases; one more, geometric, for counts that none had."""
    stops = 1 / (1 + counts.mean())
    return float((np.sum(counts == k) + stops * (1 - stops) ** k) / (len(counts) + 1))


def _fade(past: Past, trial: _Trial) -> float | None:
    """What was left of the correction in the second h, from 0 to 1; None where nobody saw one.

    Customers of two horizons ago, their factor f by the pool that saw the first of the two: what
    came in the second is Poisson around E exp(a + fade f), with a level a common to all.
    """
    first = past.usable(trial.window.day - dt.timedelta(past.days)) if trial.pool else None
    if first is None or trial.pool is None:
        return None
    both = past.purchases_within(first.day, 2 * past.days)
    came, known, h = both - first.purchases, first.customers, trial.pool.length
    expected = known.model.conditional_expected_purchases(2 * h, known.history) - known.expected
    f = trial.pool.learner.read(known.X).factor

    def slope(fade: float) -> float:
        weight = expected * np.exp(fade * f)
        return float(came @ f - came.sum() * (weight @ f) / weight.sum())

    if slope(0.0) <= 0:
        return 0.0
    return 1.0 if slope(1.0) >= 0 else float(brentq(slope, 0.0, 1.0, xtol=1e-4))
