"""When a new customer has earned back what it cost to win: payback, and its interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from clv.errors import InputError
from clv.format import number, percent
from clv.periods import Duration, Unit
from clv.schema import Floats

Earned = Callable[[float], float] | tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class Payback:
    """When a new customer has earned back its CAC; ``time`` is None if not ``within``."""

    time: float | None
    unit: Unit
    within: Duration

    def __str__(self) -> str:
        if self.time is None:
            return f"not within {self.within}"
        return f"{number(self.time, 1)} {self.unit}s"


def payback(
    cac: float, earned: Earned, *, within: str | Duration = "3 years", unit: Unit = "week"
) -> Payback:
    """The smallest t with m1 v0 + m E[M] DET(t) >= CAC.

    Parameters
    ----------
    cac
        Cost of one new customer: average or marginal, in currency.
    earned
        Discounted contribution margin that a new customer has brought by age t (first purchase
        included), as a function of t in ``unit``, or as two arrays (t, value) that rise and are
        joined by straight lines. A curve ends where its data end: nothing is extrapolated.
    within
        How far to look, and the horizon to name when it is not paid back.
    unit
        Unit of t, and of the answer.

    Returns
    -------
    Payback
        The time, in ``unit``; None in it where the cost is not earned back within the horizon.

    Raises
    ------
    InputError
        The CAC is negative or infinite, or the two arrays do not rise.

    Examples
    --------
    >>> print(payback(20, lambda t: 10 + 20 * t / (t + 26), within="3 years"))
    26.0 weeks
    >>> print(payback(20, ([0, 10, 20], [10, 14, 16]), within="20 weeks"))
    not within 20 weeks
    """
    if not (math.isfinite(cac) and cac >= 0):
        raise InputError(f"a CAC of {cac} cannot be paid back.", hint="give an amount of money.")
    limit = Duration.parse(within)
    curve, last = _as_function(earned, limit.to(unit))
    if curve(0.0) >= cac:
        return Payback(0.0, unit, limit)
    if not curve(last) >= cac:
        return Payback(None, unit, limit)
    return Payback(float(brentq(lambda t: curve(t) - cac, 0.0, last, xtol=1e-10)), unit, limit)


@dataclass(frozen=True)
class PaybackInterval:
    """When a CAC is earned back, over draws of the curve and of the CAC.

    ``low``, ``median``, ``high`` are the 5, 50 and 95% points in ``unit``, None where that share of
    the draws is not paid back ``within``; ``share`` is the share that is.
    """

    low: float | None
    median: float | None
    high: float | None
    share: float
    unit: Unit
    within: Duration

    def __str__(self) -> str:
        if self.median is None:
            return f"not within {self.within} in {percent(1 - self.share)} of the draws"
        end = number(self.high, 1) if self.high is not None else f"beyond {self.within}"
        return f"{number(self.median, 1)} {self.unit}s (90%: {number(self.low, 1)} to {end})"


def payback_interval(
    cac: ArrayLike,
    age: ArrayLike,
    earned: ArrayLike,
    *,
    within: str | Duration = "3 years",
    unit: Unit = "week",
) -> PaybackInterval:
    """The interval of ``payback``, from draws.

    Parameters
    ----------
    cac
        Cost of one new customer, average or marginal: a number, or draws (n,) such as
        ``cac_draws`` gives.
    age, earned
        Ages (m,) in ``unit`` from 0 up, and what a new customer has earned by then in every draw,
        shape (n, m), such as ``ChannelModels.earned_draws`` gives. Straight lines join the ages.
    within
        How far to look.
    unit
        Unit of the ages, and of the answer.

    Returns
    -------
    PaybackInterval
        The 5, 50 and 95% points in ``unit``, None where a draw is not paid back, and the chance of
        being paid back within the horizon.

    Raises
    ------
    InputError
        Ages and draws do not fit, or a CAC is negative or missing.

    Examples
    --------
    >>> age = np.arange(0, 105.0)
    >>> slow, fast = 10 + 0.2 * age, 10 + 0.4 * age
    >>> print(payback_interval(20, age, [slow, fast], within="104 weeks"))
    37.5 weeks (90%: 26.2 to 48.8)
    """
    limit, t = Duration.parse(within), np.asarray(age, dtype=np.float64)
    curves = np.atleast_2d(np.asarray(earned, dtype=np.float64))
    if t.ndim != 1 or curves.shape[1] != len(t) or len(t) < 2 or (np.diff(t) <= 0).any():
        raise InputError("age and earned do not fit.", hint="age (m,) rises, earned is (n, m).")
    costs = np.asarray(cac, dtype=np.float64)
    if costs.shape not in ((), (1,), (len(curves),)):
        raise InputError("cac and earned do not fit.", hint="give one CAC, or one per curve.")
    cost = np.broadcast_to(costs, len(curves))
    if not np.all(np.isfinite(cost) & (cost >= 0)):
        raise InputError("a CAC is negative or missing.", hint="give amounts of money.")
    times = np.array([_reached(t, curve, c) for curve, c in zip(curves, cost, strict=True)])
    times[times > limit.to(unit)] = np.inf
    points = np.quantile(times, (0.05, 0.5, 0.95), method="linear" if _all(times) else "higher")
    low, median, high = (float(p) if np.isfinite(p) else None for p in points)
    return PaybackInterval(low, median, high, float(np.isfinite(times).mean()), unit, limit)


def cac_draws(
    spend: float, customers: float, phi: float | None, n: int = 400, seed: int = 0
) -> Floats:
    """Draws of a CAC whose count varies phi times as much as a Poisson one, shape (n,).

    >>> draws = cac_draws(900, 50, phi=2.0)
    >>> bool(15 < np.median(draws) < 21)
    True
    """
    if not (spend > 0 and customers > 0):
        raise InputError("a CAC needs spend and customers.")
    scale = phi or 1.0
    rng = np.random.default_rng(seed)
    return np.asarray(spend / (scale * rng.gamma(customers / scale, size=n)))


def _all(times: Floats) -> bool:
    return bool(np.isfinite(times).all())


def _reached(t: Floats, curve: Floats, cost: float) -> float:
    """The first time at which a rising curve reaches ``cost``; infinite if it does not."""
    if curve[0] >= cost:
        return 0.0
    if not curve[-1] >= cost:
        return math.inf
    return float(np.interp(cost, curve, t))


def _earned_by(earned: Callable[[float], float], t: float) -> float:
    try:
        return float(earned(t))
    except Exception as error:  # whatever a function of another's does
        raise InputError(
            f"earned({t:g}) gives no number, but {type(error).__name__}: {error}",
            hint="it takes a time and gives what a new customer has earned by then.",
        ) from error


def _as_function(earned: Earned, limit: float) -> tuple[Callable[[float], float], float]:
    if not isinstance(earned, tuple):
        return partial(_earned_by, earned), limit
    try:
        age, value = (np.asarray(part, dtype=np.float64) for part in earned)
    except (TypeError, ValueError) as error:
        raise InputError(
            "earned holds something else than numbers.", hint="pass (t, value)."
        ) from error
    if age.ndim != 1 or age.shape != value.shape or len(age) == 0:
        raise InputError("earned holds arrays of different shapes.", hint="pass (t, value).")
    if (np.diff(age) <= 0).any() or (np.diff(value) < 0).any():
        raise InputError("the arrays of earned do not rise.", hint="sort by t, accumulate value.")
    return (lambda t: float(np.interp(t, age, value))), min(limit, float(age[-1]))
