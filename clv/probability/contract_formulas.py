"""Formulas of customers under contract: survival, likelihood, and payments to come.

Shared by all functions: ``theta`` = (alpha, beta, c); ``t`` counts renewals, of which the one at 0
is the first payment. See ``contract_model.py`` for what they mean, and where they are from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clv.probability.bg_bb import whole
from clv.probability.contract_cells import ContractCells
from clv.probability.optimize import Contributions
from clv.probability.special import digamma_rise, legendre, log_rising
from clv.schema import Floats

EXACT = 4096  # renewals that are added one by one before the rest is integrated
WIDEST = 200_000  # renewals that are walked through where few of them are wanted


class ContractTheta(NamedTuple):
    """alpha, beta of the chance to leave; c: the chance rises (> 1) or falls with a contract."""

    alpha: float
    beta: float
    c: float = 1.0


def _powered(t: ArrayLike, c: float) -> Floats:
    """t^c, no greater than what can be squared without overflow."""
    with np.errstate(over="ignore"):
        return np.minimum(np.asarray(t, dtype=np.float64) ** c, 1e150)


def log_survival(theta: ContractTheta, t: ArrayLike) -> Floats:
    """Log S(t) = log B(alpha, beta + t^c) / B(alpha, beta); eq. 4 of [2]_, eq. 6 of [1]_.

    It is symmetric in alpha and t^c; the rises are taken by the smaller, which keeps the digits.

    >>> np.exp(log_survival(ContractTheta(1.0, 1.0), [0, 1, 3])).round(3)
    array([1.  , 0.5 , 0.25])
    """
    alpha, beta, c = theta
    u = _powered(t, c)
    small, large = np.minimum(alpha, u), np.maximum(alpha, u)
    return np.asarray(log_rising(beta, small) - log_rising(beta + large, small))


def _survival_slopes(theta: ContractTheta, t: Floats) -> Floats:
    """Log S(t) and its derivatives by alpha, beta, c: shape (4, n)."""
    alpha, beta, c = theta
    u = _powered(t, c)
    both = digamma_rise(alpha + beta, u)
    by_u = -digamma_rise(beta + u, alpha)
    log_t = np.log(np.maximum(t, 1.0))  # t^c does not move with c at 0 and 1
    return np.array([log_survival(theta, t), -both, digamma_rise(beta, u) - both, by_u * u * log_t])


def contributions(theta: ContractTheta, cells: ContractCells) -> Contributions:
    """The log-likelihood of cells and its derivatives by (alpha, beta, c).

    S(t) of those who were still there, S(t-1) - S(t) of those who left at t, each over S(entered).
    """
    at_end = _survival_slopes(theta, cells.periods)
    by_row = at_end.copy()
    event = cells.churned
    before = _survival_slopes(theta, cells.periods[event] - 1)
    step = at_end[:, event] - before
    # log S falls by less than rounding where hardly anybody leaves; it falls still.
    fall = np.clip(-step[0], 1e-300, 700.0)
    by_row[:, event] = before - step / np.expm1(fall)
    by_row[0, event] = before[0] + np.log(-np.expm1(-fall))
    by_entry = -_survival_slopes(theta, cells.levels.values)
    return Contributions(cells.levels, cells.count, by_entry, by_row)


def payments(theta: ContractTheta, first: int, horizon: float, rate: float) -> float:
    """The sum of S(t) / S(first - 1) (1 + rate)^(first - t) over ``horizon`` values of t.

    The first of them is ``first``. Renewals are added one by one; of an endless horizon, the rest
    beyond 4,096 of them is integrated (Euler and Maclaurin), to a relative 1e-13.

    >>> round(payments(ContractTheta(1.0, 1.0), 0, 3, 0.0), 4)  # 1 + 1/2 + 1/3
    1.8333
    """
    delta = float(np.log1p(rate))
    log_base = float(log_survival(theta, first - 1)) if first > 0 else 0.0
    endless = not np.isfinite(horizon)
    steps = np.arange(EXACT if endless else int(whole(horizon)), dtype=np.float64)
    total = float(np.exp(log_survival(theta, first + steps) - log_base - delta * steps).sum())
    return float(total + _rest(theta, first, log_base, delta)) if endless else total


def _rest(theta: ContractTheta, first: int, log_base: float, delta: float) -> float:
    """``payments`` from the ``EXACT``-th on, by the integral and its correction at the start."""
    alpha, beta, c = map(float, theta)
    start = float(first + EXACT)

    def log_worth(t: Floats) -> Floats:
        return log_survival(theta, t) - log_base - delta * (t - first)

    tail_power = c * alpha - 1  # without discounting S(t) falls like a power of t in the end
    if delta == 0 and tail_power <= 0:
        return np.inf
    # By then the discount leaves e^-50, or S(t) is its power law to rounding.
    farthest = min(np.log((1 + alpha) * (alpha + 2 * beta + 1) * 1e15) / c, 600.0)
    end = float(np.log(start + 50 / delta) if delta > 0 else max(np.log(start), farthest))
    u, weight = legendre(256)
    length = float(end - np.log(start))
    t = start * np.exp(length * u)
    integral = length * float(weight @ np.exp(log_worth(t) + np.log(t)))
    if delta == 0:
        last = np.exp(end)
        integral += float(np.exp(log_worth(last) + end)) / tail_power
    powered = float(_powered(start, c))
    slope = -float(digamma_rise(beta + powered, alpha)) * c * powered / start - delta
    return integral + float(np.exp(log_worth(np.asarray(start)))) * (0.5 - slope / 12)


def residual_payments(
    theta: ContractTheta, renewals: Floats, horizon: float, rate: float
) -> Floats:
    """``payments`` from each of some renewals on, with one walk for all of them; same shape.

    Of an endless horizon, what renewal n brings is r_n (1 + what n + 1 brings / (1 + rate)), from
    the last one backwards; of a finite one, S(t) is worked out once for all.

    >>> residual_payments(ContractTheta(1.0, 1.0), np.array([1.0, 2.0]), 2, 0.0).round(4)
    array([0.8333, 1.1667])
    """
    each, of_row = np.unique(renewals, return_inverse=True)
    if not len(each) or each[-1] - each[0] > WIDEST + len(each):
        values = np.array([payments(theta, int(first), horizon, rate) for first in each])
    elif np.isfinite(horizon):
        steps = int(whole(horizon))
        ages = np.arange(each[0] - 1, each[-1] + steps)
        log_s, v = log_survival(theta, ages), np.exp(-np.log1p(rate) * np.arange(steps))
        starts = (each - each[0] + 1).astype(np.intp)
        values = np.array([np.exp(log_s[i : i + steps] - log_s[i - 1]) @ v for i in starts])
    else:
        ages = np.arange(each[0], each[-1] + 1)
        stays = np.exp(log_survival(theta, ages) - log_survival(theta, ages - 1))
        walk = np.empty(len(ages))
        walk[-1] = payments(theta, int(ages[-1]), horizon, rate)
        for i in range(len(ages) - 2, -1, -1):
            walk[i] = stays[i] * (1 + walk[i + 1] / (1 + rate))
        values = walk[(each - each[0]).astype(np.intp)]
    return values[of_row].reshape(renewals.shape)
