"""What the payments of a contract that are still to come are worth, per unit of its price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clv.probability.contract_formulas import ContractTheta, log_survival
from clv.probability.contract_model import ContractModel
from clv.probability.covariance import draws
from clv.schema import Floats
from clv.value.summed_intervals import LEVELS, NODE_LEVELS

FACTORS = ("clv", "clv_low", "clv_median", "clv_high", "payments", "churn", "stake")
NEXT = ("next_purchases", "next_purchases_low", "next_purchases_high", "next_revenue")
DRAWS = 200  # of parameters, for the intervals
DUST = 1e-12  # of rounding, in a chance
MOST = 2_000_000  # chances at a time
TINY = np.finfo(np.float64).tiny  # so that no chance is nothing over nothing


def unit_values(
    model: ContractModel,
    n: Any,
    days: Floats,
    period: float,
    *,
    delta: float,
    growth: float,
    horizon: float,
    churn_horizon: float,
    prices: Callable[[int], tuple[Floats, Floats]] | None = None,
) -> dict[str, Floats]:
    """The scores of contracts at one unit of price, before margin, each of shape (m,).

    Payment k from now is made with the chance S(n + k) / S(n - 1), ``days`` + k ``period`` ahead.

    Parameters
    ----------
    n
        The renewal that is due next, shape (m,).
    days
        Until then, shape (m,).
    period
        The billing period in days.
    delta, growth
        Continuous, a day: of discounting, and of the price up to the next payment.
    horizon, churn_horizon
        In days.
    prices
        From a number of payments to what the price is at each over that at the first, on average,
        shape (payments,), and what it may be, all equally likely, shape (paths, payments); if not
        given, it grows on.
    """
    each, of_row = np.unique(np.asarray(n, dtype=np.int64), return_inverse=True)
    steps = max(int((horizon - days.min()) // period) + 1, 1) if len(days) else 1
    log_s = log_survival(model._shape(), np.arange(each[0] - 1, each[-1] + steps))
    start = each - each[0]
    index = start[:, None] + np.arange(1, steps + 1)
    stays = np.exp(log_s[index] - log_s[start][:, None])  # (u, steps)
    ahead = period * np.arange(steps)
    grown = np.exp(growth * ahead)
    mean, may_be = (grown, grown[None]) if prices is None else prices(steps)
    discount = np.exp(-delta * ahead) * mean
    worth = np.cumsum(np.exp(-delta * ahead) * may_be, axis=1)
    worth = np.concatenate([np.zeros((len(worth), 1)), worth], axis=1)
    sums = np.concatenate([np.zeros((len(each), 1)), np.cumsum(stays * discount, axis=1)], axis=1)
    counts = np.concatenate([np.zeros((len(each), 1)), np.cumsum(stays, axis=1)], axis=1)
    annuity = np.concatenate([[0.0], np.cumsum(discount)])
    first = np.exp((growth - delta) * days)
    due = np.clip((horizon - days) // period + 1, 0, steps).astype(np.int64)
    risk = np.clip((churn_horizon - days) // period + 1, 0, due).astype(np.int64)
    clv = first * sums[of_row, due]
    within = np.maximum(risk, 1)
    kept = stays[of_row, within - 1]
    if_kept = first * (annuity[within] + (sums[of_row, due] - sums[of_row, within]) / kept)
    if_lost = np.divide(clv - kept * if_kept, 1 - kept, out=clv * 0.0, where=kept < 1)
    values = {
        "clv": clv,
        "payments": counts[of_row, due],
        "churn": np.where(risk > 0, 1 - kept, 0.0),
        "stake": np.where(due >= within, np.maximum(if_kept - if_lost, 0.0), 0.0),
    }
    expected, stays = stays, _doubted(model, stays, start, index, each[0] - 1)
    levels = (*LEVELS, *NODE_LEVELS)
    quantiles = first * _quantiles(stays, worth, of_row, due, levels)
    values |= dict(zip(FACTORS[1:4], quantiles, strict=False))
    paid = np.concatenate([np.zeros((len(each), 1)), np.cumsum(expected * mean, axis=1)], axis=1)
    ends = _quantiles(stays, np.arange(steps + 1.0)[None], of_row, risk, LEVELS[::2])
    soon = counts[of_row, risk], *ends, np.exp(growth * days) * paid[of_row, risk]
    return values | dict(zip(NEXT, soon, strict=True)) | {"nodes": quantiles[3:].T}


def _quantiles(stays: Floats, worth: Floats, of_row: Any, due: Any, levels: Any) -> Floats:
    """Quantiles of what payments are worth, shape (levels, rows).

    ``stays`` is the chance of 1, 2, ... payments by age, shape (u, steps); ``worth`` what 0, 1, 2,
    ... are worth together on each path of the price, shape (paths, steps + 1). Of the payments
    ``due`` at most are made.
    """
    steps, order = stays.shape[1], np.argsort(worth, axis=None, kind="stable")
    value, payments = worth.ravel()[order], order % (steps + 1)
    out = np.empty((len(levels), len(of_row)))
    block = max(1, MOST // len(order))
    for last in np.unique(due):
        rows = np.flatnonzero(due == last)
        ages, place = np.unique(of_row[rows], return_inverse=True)
        chance = np.zeros((len(ages), steps + 1))
        ends = np.ones((len(ages), 1)), stays[ages, :last], np.zeros((len(ages), 1))
        chance[:, : last + 1] = -np.diff(np.concatenate(ends, axis=1), axis=1)
        places = np.empty((len(levels), len(ages)), dtype=np.intp)
        for start in range(0, len(ages), block):
            part = slice(start, start + block)
            reached = np.cumsum(chance[part][:, payments], axis=1) / len(worth)
            places[:, part] = np.array([np.searchsorted(row + DUST, levels) for row in reached]).T
        out[:, rows] = value[np.minimum(places, len(value) - 1)][:, place]
    return out


def _doubted(model: ContractModel, stays: Floats, start: Any, index: Any, age: int) -> Floats:
    """The chances of payments over all that the parameters may be, not at the likeliest alone."""
    if model.covariance_ is None:
        return stays
    theta = ContractTheta(*draws(model, DRAWS).T[..., None])
    survival = np.exp(log_survival(theta, np.arange(age, age + index.max() + 1)))
    total = np.zeros_like(stays)
    for of_draw in np.maximum(survival, TINY):
        total += of_draw[index] / of_draw[start][:, None]
    return total / DRAWS
