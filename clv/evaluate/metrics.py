"""Metrics of a forecast: arrays in, a number or a table out; no model inside.

``actual`` and ``predicted`` have shape (n,),
one entry per customer, in the same order and the same unit (purchases, or money, of the holdout).
Where two customers share a score, every metric that ranks takes the mean over all ways to order
them, so the order of the rows never matters.

References
----------
.. [1] Fader, Hardie & Lee 2005, "Counting Your Customers" the Easy Way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.errors import InputError
from clv.schema import Floats, reject_rows


def total_bias(actual: ArrayLike, predicted: ArrayLike) -> float:
    """By what share the predicted total misses the actual one: 0.1 is 10% too much.

    NaN if nothing happened.

    >>> round(total_bias([0, 2, 8], [1, 2, 8]), 6)
    0.1
    """
    y, f = as_arrays(actual=actual, predicted=predicted)
    return float(f.sum() / y.sum() - 1) if y.sum() else float("nan")


def mean_absolute_error(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of |actual - predicted| over customers.

    Where most customers buy nothing this favours forecasts that are too low; read it beside RMSE.
    """
    y, f = as_arrays(actual=actual, predicted=predicted)
    return float(np.abs(y - f).mean())


def root_mean_squared_error(actual: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean squared difference; best for the forecast that is right on average.

    >>> root_mean_squared_error([0, 4], [3, 0])
    3.5355339059327378
    """
    y, f = as_arrays(actual=actual, predicted=predicted)
    return float(np.sqrt(((y - f) ** 2).mean()))


def gain_curve(actual: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """Share of ``actual`` held by the best customers by ``score``, against their share in number.

    Both arrays begin at 0 and end at 1 (NaN if ``actual`` adds up to nothing); between them a
    straight line stands for customers who share a score.

    >>> gain_curve([6, 2, 2, 0], [9, 5, 5, 1])
    (array([0.  , 0.25, 0.75, 1.  ]), array([0. , 0.6, 1. , 1. ]))
    """
    y, f = as_arrays(actual=actual, score=score)
    _, tie, count = np.unique(-f, return_inverse=True, return_counts=True)
    customers = np.concatenate([[0], np.cumsum(count)]) / len(y)
    held = np.concatenate([[0.0], np.cumsum(np.bincount(tie, weights=y))])
    return customers, held / y.sum() if y.sum() > 0 else np.full(len(held), np.nan)


def gini(actual: ArrayLike, score: ArrayLike, *, normalized: bool = True) -> float:
    """Gini coefficient of the ranking by ``score``: 0 for chance, negative if worse than that.

    Parameters
    ----------
    actual
        What happened, shape (n,); its sum is positive, else the result is NaN.
    score
        What customers are ranked by, best first, shape (n,).
    normalized
        Divide by the Gini of the perfect ranking, so that 1 is the best possible. The raw value
        is twice the area between the gain curve and the diagonal.

    Examples
    --------
    >>> gini([6, 2, 2, 0], [6, 2, 2, 0])
    1.0
    >>> gini([6, 2, 2, 0], [1, 1, 1, 1])
    0.0
    >>> round(gini([6, 2, 2, 0], [9, 5, 5, 1], normalized=False), 6)
    0.45
    """
    raw = _twice_area(*gain_curve(actual, score)) - 1
    if not normalized:
        return raw
    best = _twice_area(*gain_curve(actual, actual)) - 1
    return raw / best if best else float("nan")


def rank_correlation(actual: ArrayLike, score: ArrayLike) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN if either is constant.

    >>> round(rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]), 6)
    0.8
    """
    y, f = (_mean_rank(values) for values in as_arrays(actual=actual, score=score))
    if np.ptp(y) == 0 or np.ptp(f) == 0:
        return float("nan")
    return float(np.corrcoef(y, f)[0, 1])


def decile_table(actual: ArrayLike, predicted: ArrayLike, groups: int = 10) -> pd.DataFrame:
    """Actual against predicted in equal groups of customers, the best predicted first.

    Columns: group (1 = best), customers, predicted_mean, actual_mean, actual_share (of the total).
    """
    y, f = as_arrays(actual=actual, predicted=predicted)
    _, tie, count = np.unique(-f, return_inverse=True, return_counts=True)
    shared = (np.bincount(tie, weights=y) / count)[tie]
    order = np.argsort(-f, kind="stable")
    rows = pd.DataFrame({"group": np.arange(len(y)) * groups // len(y) + 1})
    rows = rows.assign(predicted=f[order], actual=shared[order])
    table = rows.groupby("group", as_index=False).agg(
        customers=("actual", "size"),
        predicted_mean=("predicted", "mean"),
        actual_mean=("actual", "mean"),
    )
    share = table["actual_mean"] * table["customers"] / y.sum() if y.sum() else np.nan
    return table.assign(actual_share=share)


def decile_error(actual: ArrayLike, predicted: ArrayLike, groups: int = 10) -> float:
    """By how much the groups of ``decile_table`` miss, all misses added, as a share of the total.

    0 is perfect calibration; it is at least as large as the bias. NaN if nothing happened.

    >>> decile_error([0, 4, 6, 10], [1, 3, 6, 8], groups=2)
    0.1
    """
    table = decile_table(actual, predicted, groups)
    count, predicted_mean, actual_mean = (
        table[name].to_numpy() for name in ("customers", "predicted_mean", "actual_mean")
    )
    happened = float(count @ actual_mean)
    miss = float(count @ np.abs(predicted_mean - actual_mean))
    return miss / happened if happened else float("nan")


def frequency_table(
    frequency: ArrayLike, actual: ArrayLike, predicted: ArrayLike, top: int = 7
) -> pd.DataFrame:
    """Actual against predicted by number of repeat purchases in calibration, as in [1]_.

    Columns: frequency ("0", ..., "7+"), customers, actual_mean, predicted_mean. Classes without
    customers are left out.

    >>> frequency_table([0, 0, 1, 9], [0, 1, 1, 6], [0.4, 0.4, 1.2, 5.0])
      frequency  customers  actual_mean  predicted_mean
    0         0          2          0.5             0.4
    1         1          1          1.0             1.2
    2        7+          1          6.0             5.0
    """
    x, y, f = as_arrays(frequency=frequency, actual=actual, predicted=predicted)
    rows = pd.DataFrame({"x": np.minimum(x, top).astype(int), "actual": y, "predicted": f})
    table = rows.groupby("x", as_index=False).agg(
        customers=("actual", "size"),
        actual_mean=("actual", "mean"),
        predicted_mean=("predicted", "mean"),
    )
    names = [f"{k}+" if k == top else str(k) for k in table.pop("x")]
    table.insert(0, "frequency", names)
    return table


def log_loss(happened: ArrayLike, probability: ArrayLike) -> float:
    """Mean negative log-likelihood of events (0 or 1) under their predicted probabilities."""
    from sklearn import metrics

    y, f = _events(happened, probability)
    return float(metrics.log_loss(y, f, labels=[0, 1]))


def brier_score(happened: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared difference between event (0 or 1) and predicted probability."""
    y, f = _events(happened, probability)
    return float(((y - f) ** 2).mean())


def auc(happened: ArrayLike, score: ArrayLike) -> float:
    """Chance that an event scores above a non-event; NaN if all or none happened."""
    from sklearn import metrics

    y, f = as_arrays(happened=happened, score=score)
    return float(metrics.roc_auc_score(y, f)) if 0 < y.mean() < 1 else float("nan")


def judge(happened: Floats, score: Floats) -> dict[str, float]:
    """AUC, Brier score and log loss; the last two are NaN for a score that is no probability."""
    figures = {"auc": auc(happened, score)}
    if np.any((score < 0) | (score > 1)):
        return figures | {"brier": float("nan"), "log_loss": float("nan")}
    figures["brier"] = brier_score(happened, score)
    return figures | {"log_loss": log_loss(happened, np.clip(score, 1e-12, 1 - 1e-12))}


def count_log_score(actual: ArrayLike, probability_of: Callable[[int], ArrayLike]) -> float:
    """Mean negative log probability of the counts that occurred; lower is better.

    Parameters
    ----------
    actual
        Purchases of each customer in the holdout, shape (n,), whole numbers.
    probability_of
        ``probability_of(k)`` gives every customer's probability of exactly k purchases, shape
        (n,): ``lambda k: model.probability_of_purchases(k, t, X)``.

    Examples
    --------
    >>> round(count_log_score([0, 1, 0], lambda k: [0.5, 0.25, 0.25][k] * np.ones(3)), 4)
    0.9242
    """
    (y,) = as_arrays(actual=actual)
    score = np.empty(len(y))
    for k in np.unique(y):
        rows = y == k
        with np.errstate(divide="ignore"):  # a count held to be impossible scores infinity
            score[rows] = -np.log(np.asarray(probability_of(int(k)), dtype=float)[rows])
    return float(score.mean())


def as_arrays(**values: ArrayLike) -> tuple[Floats, ...]:
    """The arguments as float arrays of one length, finite, with at least one entry."""
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or any(array.ndim != 1 for array in arrays.values()):
        shapes = ", ".join(f"{name} {shape}" for name, shape in lengths.items())
        raise InputError(f"the arrays have different shapes: {shapes}.", hint="one per customer.")
    if not len(next(iter(arrays.values()))):
        raise InputError("there are no customers to evaluate.")
    for name, array in arrays.items():
        bad = ~np.isfinite(array)
        reject_rows(bad, f"{name} is missing or infinite", {"row": np.arange(len(bad)), **arrays})
    return tuple(arrays.values())


def _events(happened: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    y, f = as_arrays(happened=happened, probability=probability)
    rows = {"row": np.arange(len(y)), "happened": y, "probability": f}
    reject_rows((y != 0) & (y != 1), "an event is neither 0 nor 1", rows)
    reject_rows((f < 0) | (f > 1), "a probability lies outside 0 to 1", rows)
    return y, f


def _twice_area(x: Floats, y: Floats) -> float:
    """Twice the area under a line through points, by trapezia."""
    return float((np.diff(x) * (y[1:] + y[:-1])).sum())


def _mean_rank(values: Floats) -> Floats:
    """Rank from 1, equal values at the mean of their ranks."""
    _, tie, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(count) - (count - 1) / 2)[tie]
    return ranks
