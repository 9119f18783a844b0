"""Forecasts against a holdout, always beside naive ones, and purchases tracked over time.

References
----------
.. [1] Fader, Hardie & Lee 2005, "Counting Your Customers" the Easy Way: tracking plots.
.. [2] Wuebben & v. Wangenheim 2008, Instant Customer Base Analysis: managers' rules that a model
   has to beat, among them the hiatus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.evaluate.metrics import (
    gini,
    mean_absolute_error,
    rank_correlation,
    root_mean_squared_error,
    total_bias,
)
from clv.findings import Finding, finding
from clv.schema import Floats

NAIVE = ("own past rate", "population mean", "recency rule", "same as last period")
"""Names of the naive forecasts. In a holdout table whatever is called so counts as naive."""


@dataclass(frozen=True)
class _Contest:
    """One figure of the table that decides a comparison, and how far it is from perfect."""

    name: str
    column: str
    badness: Callable[[float], float]


CONTESTS = (
    _Contest("ranking", "gini", lambda gini: 1 - gini),
    _Contest("error per customer", "rmse", abs),
    _Contest("total", "bias", abs),
)


def naive_forecasts(
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,
    horizon: float,
    *,
    spend: ArrayLike | None = None,
    last_period: ArrayLike | None = None,
    hiatus: float | None = None,
) -> dict[str, Floats]:
    """What anybody would forecast without a model, from a calibration summary of n customers.

    Parameters
    ----------
    frequency
        x, repeat purchases, shape (n,).
    recency
        t_x, age at the last purchase.
    T
        Age at the end of calibration.
    horizon
        Length of the holdout, in the unit of recency and T.
    spend
        Mean value of a purchase of each customer. With it the forecasts are money, else purchases.
    last_period
        What each customer bought (or spent, with ``spend``) in the last ``horizon`` of calibration.
    hiatus
        After how long without a purchase the recency rule gives a customer up. Unless given: the
        mean gap between purchases, t_x / x, that nine of ten repeat customers stay below.

    Returns
    -------
    dict
        - "own past rate": x / T times the horizon;
        - "population mean": the same for everybody, sum of x over sum of T;
        - "recency rule": own past rate for whoever bought within the hiatus [2]_, else 0;
        - "same as last period": ``last_period``, if given.

    Examples
    --------
    >>> naive_forecasts([4, 2], [19, 2], [20, 20], horizon=10, hiatus=13)["recency rule"]
    array([2., 0.])
    """
    x, t_x, age = (np.asarray(value, dtype=np.float64) for value in (frequency, recency, T))
    amount = np.ones(len(x)) if spend is None else np.asarray(spend, dtype=np.float64)
    past = np.divide(x * amount, age, out=np.zeros(len(x)), where=age > 0) * horizon
    mean = (x * amount).sum() / age.sum() * horizon if age.sum() else 0.0
    active = age - t_x <= (_usual_hiatus(x, t_x) if hiatus is None else hiatus)
    forecasts = {
        "own past rate": past,
        "population mean": np.full(len(x), mean),
        "recency rule": np.where(active, past, 0.0),
    }
    if last_period is not None:
        forecasts["same as last period"] = np.asarray(last_period, dtype=np.float64)
    return forecasts


def holdout_table(actual: ArrayLike, predictions: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Every forecast against what happened, a row each, in the order given.

    Parameters
    ----------
    actual
        Purchases or money of each customer in the holdout, shape (n,).
    predictions
        Forecasts by name, each of shape (n,) in the same order of customers; best
        ``{"BG/NBD": ...} | naive_forecasts(...)``.

    Returns
    -------
    pandas.DataFrame
        forecast, naive (bool), actual_total, predicted_total, bias (share of the actual total),
        mae, rmse, gini (normalised), rank_correlation (Spearman).

    Examples
    --------
    >>> table = holdout_table([0, 3, 1], {"model": [0, 2, 1], "population mean": [1, 1, 1]})
    >>> table[["forecast", "naive", "bias", "mae", "gini"]]
              forecast  naive  bias       mae  gini
    0            model  False -0.25  0.333333   1.0
    1  population mean   True -0.25  1.000000   0.0
    """
    y = np.asarray(actual, dtype=np.float64)
    rows = [
        {
            "forecast": name,
            "naive": name in NAIVE,
            "actual_total": y.sum(),
            "predicted_total": np.asarray(predicted).sum(),
            "bias": total_bias(y, predicted),
            "mae": mean_absolute_error(y, predicted),
            "rmse": root_mean_squared_error(y, predicted),
            "gini": gini(y, predicted),
            "rank_correlation": rank_correlation(y, predicted),
        }
        for name, predicted in predictions.items()
    ]
    return pd.DataFrame(rows)


def verdict(table: pd.DataFrame) -> str:
    """Who wins a holdout table, in words, and plainly so where a naive forecast does.

    Compared are the ranking (Gini), the error per customer (RMSE) and the total (bias). MAE is
    left out: where most customers buy nothing, it is won by forecasting nothing.

    >>> table = holdout_table([0, 3, 1], {"model": [0, 2, 1], "population mean": [1.4, 1.4, 1.4]})
    >>> print(verdict(table))
    A model wins on ranking and error per customer; a naive forecast wins on total.
    Ranking: Gini 1.00 (model) against Gini 0.00 (population mean, naive).
    Error per customer: RMSE 0.58 (model) against RMSE 1.25 (population mean, naive).
    Total: +5% off (population mean, naive) against −25% off (model).
    """
    return "\n".join(map(str, holdout_findings(table)))


def holdout_findings(table: pd.DataFrame) -> list[Finding]:
    """Who wins a holdout table, see ``verdict``: a headline, then each contest in figures."""
    if table["naive"].nunique() < 2:
        raise InputError(
            "a verdict needs at least one model and one naive forecast.",
            hint="holdout_table(actual, {name: forecast} | naive_forecasts(...)).",
        )
    best = {contest: _best_two(contest, table) for contest in CONTESTS}
    # where nothing was bought in the holdout, some contests have no figures
    held = {contest: two for contest, two in best.items() if len(two) == 2}
    by_naive = [contest.name for contest, two in held.items() if two["naive"].iloc[0]]
    by_model = [contest.name for contest in held if contest.name not in by_naive]
    return [_headline(by_model, by_naive), *(_result(*each) for each in held.items())]


def tracking(
    first: ArrayLike,
    repeats: ArrayLike,
    expected_purchases: Callable[[Floats], ArrayLike],
    end: float,
    period: float = 1.0,
) -> pd.DataFrame:
    """Repeat purchases period by period, as they happened and as the model expected them.

    Parameters
    ----------
    first
        Time of each customer's first purchase since a common origin, shape (n,).
    repeats
        Times of all repeat purchases of these customers since that origin, in any order.
    expected_purchases
        E[X(t)] of a new customer of age t: takes and returns an array, in the same time unit. It
        is called once, with the distinct ages.
    end
        Time up to which to track; a last, shorter period is left out.
    period
        Length of a period.

    Returns
    -------
    pandas.DataFrame
        time (end of the period), actual, expected, actual_cumulative, expected_cumulative.

    Examples
    --------
    >>> tracking([0, 1], [0.5, 2.0, 2.5], lambda t: 0.5 * t, end=3)
       time  actual  expected  actual_cumulative  expected_cumulative
    0   1.0       1       0.5                  1                  0.5
    1   2.0       1       1.0                  2                  1.5
    2   3.0       1       1.0                  3                  2.5
    """
    begin: Floats = np.asarray(first, dtype=np.float64)
    starts, customers = np.unique(begin, return_counts=True)
    time = np.arange(1, int(end / period + 1e-9) + 1) * period
    age = np.round(np.maximum(time[:, None] - starts, 0.0), 9)  # differences of floats repeat
    ages: Floats
    ages, where = np.unique(age, return_inverse=True)
    per_customer = np.asarray(expected_purchases(ages), dtype=np.float64) * (ages > 0)
    expected = per_customer[where.reshape(age.shape)] @ customers
    actual = np.searchsorted(np.sort(np.asarray(repeats, dtype=np.float64)), time, side="right")
    return pd.DataFrame(
        {
            "time": time,
            "actual": np.diff(actual, prepend=0),
            "expected": np.diff(expected, prepend=0.0),
            "actual_cumulative": actual,
            "expected_cumulative": expected,
        }
    )


def _usual_hiatus(x: Floats, t_x: Floats) -> float:
    gaps = t_x[x > 0] / x[x > 0]
    return float(np.quantile(gaps, 0.9)) if len(gaps) else 0.0


def _best_two(contest: _Contest, table: pd.DataFrame) -> pd.DataFrame:
    """The best model and the best naive forecast, the better one first; a tie goes to naive."""
    rows = table.assign(badness=table[contest.column].map(contest.badness))
    rows = rows.dropna(subset="badness").sort_values(["badness", "naive"], ascending=[True, False])
    return rows.groupby("naive", sort=False).head(1)


def _result(contest: _Contest, two: pd.DataFrame) -> Finding:
    """The better forecast's figure against the other's."""
    (best, other) = two[contest.column]
    (best_is, other_is) = two["forecast"] + two["naive"].map({True: ", naive", False: ""})
    return finding(
        f"holdout.{contest.column}", best=best, best_is=best_is, other=other, other_is=other_is
    )


def _headline(by_model: list[str], by_naive: list[str]) -> Finding:
    if not by_naive:
        return finding("holdout.model_wins", contests=by_model)
    if not by_model:
        return finding("holdout.naive_wins", contests=by_naive)
    return finding("holdout.each_wins", by_model=by_model, by_naive=by_naive)
