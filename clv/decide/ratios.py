"""The ratios people ask for, each with the horizon it holds at: LTV:CAC, payback, marginal CAC.

They describe a plan; they do not choose one. At the profit optimum of a power curve LTV : average
CAC is 1 / b, so "3:1" is right for an elasticity of 1/3 only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from clv.decide.channels import ChannelCosts, cost_per_customer
from clv.decide.response import Response
from clv.errors import InputError
from clv.periods import Duration, Unit
from clv.schema import Floats, collect, column, numbers, same_kind

Earned = Callable[[float], float] | tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class LtvToCac:
    """A new customer's value over the cost of winning one; None without a CAC."""

    ratio: float | None
    horizon: Duration

    def __str__(self) -> str:
        words = "no CAC" if self.ratio is None else f"{self.ratio:.2f} : 1"
        return f"LTV:CAC at {self.horizon}: {words}"


def ltv_to_cac(value: float, cac: float | None, horizon: str | Duration) -> LtvToCac:
    """LTV:CAC at a named horizon.

    Parameters
    ----------
    value
        CLV of a NEW customer over ``horizon``, as discounted contribution margin, in currency.
    cac
        Fully loaded cost per new customer; None, NaN or 0 give no ratio.

    Examples
    --------
    >>> print(ltv_to_cac(36.8176, 20, "156 weeks"))
    LTV:CAC at 156 weeks: 1.84 : 1
    """
    known = cac is not None and math.isfinite(cac) and cac > 0 and math.isfinite(value)
    return LtvToCac(value / cac if known and cac else None, Duration.parse(horizon))


@dataclass(frozen=True)
class Payback:
    """When a new customer has earned back its CAC; ``time`` is None if not ``within``."""

    time: float | None
    unit: Unit
    within: Duration

    def __str__(self) -> str:
        if self.time is None:
            return f"not within {self.within}"
        return f"{self.time:.1f} {self.unit}s"


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


def _as_function(earned: Earned, limit: float) -> tuple[Callable[[float], float], float]:
    if not isinstance(earned, tuple):
        return (lambda t: float(earned(t))), limit
    age, value = (np.asarray(part, dtype=np.float64) for part in earned)
    if age.ndim != 1 or age.shape != value.shape or len(age) == 0:
        raise InputError("earned holds arrays of different shapes.", hint="pass (t, value).")
    if (np.diff(age) <= 0).any() or (np.diff(value) < 0).any():
        raise InputError("the arrays of earned do not rise.", hint="sort by t, accumulate value.")
    return (lambda t: float(np.interp(t, age, value))), min(limit, float(age[-1]))


def marginal_cac(response: Response, spend: float, incrementality: float = 1.0) -> float:
    """Cost of the next (incremental) customer at this spend, 1 / n'(s), in currency.

    >>> from clv.decide.response import Power
    >>> round(marginal_cac(Power(k=12, b=0.6), 22307.9315), 4)
    7.6217
    """
    rate = incrementality * float(response.marginal(spend))
    return 1 / rate if rate > 0 else math.inf


def channel_table(
    costs: ChannelCosts,
    value: Mapping[str, float],
    *,
    horizon: str | Duration,
    earned: Mapping[str, Earned] | None = None,
    responses: Mapping[str, Response] | None = None,
    unit: Unit = "week",
) -> Any:
    """One row per channel over all periods of ``costs``, best LTV:CAC first.

    Parameters
    ----------
    costs
        What ``channel_costs`` returns.
    value
        CLV of a NEW customer over ``horizon`` by channel, as discounted contribution margin.
    horizon
        Horizon of the values, of the ratio and of the search for payback.
    earned
        By channel, what a new customer has earned by age t; see ``payback``.
    responses
        By channel, its response curve per period; marginal CAC is taken at the mean media spend
        of its periods (fixed cost does not move with the next unit).
    unit
        Unit of t in ``earned`` and of the payback column.

    Returns
    -------
    The same kind of frame as the spend table: channel, loaded_spend, new_customers, cac,
    incremental_cac, new_customer_value, ltv_to_cac (on incremental CAC), horizon, payback,
    payback_unit, marginal_cac (incremental). What is not known is null.
    """
    limit = Duration.parse(horizon)
    rows, totals = _totals(costs)
    names = rows["channel"].to_list()
    worth = np.array([value.get(name, np.nan) for name in names], dtype=np.float64)
    back = [
        _payback_or_nan(cac, (earned or {}).get(name), limit, unit)
        for name, cac in zip(names, totals["incremental_cac"].tolist(), strict=True)
    ]
    next_ = [
        _marginal_or_nan((responses or {}).get(name), spend, factor)
        for name, spend, factor in zip(names, totals["mean"], totals["factor"], strict=True)
    ]
    table = rows.with_columns(
        *(column(rows, name, totals[name], nw.Float64) for name in ("cac", "incremental_cac")),
        column(rows, "new_customer_value", worth, nw.Float64),
        column(rows, "ltv_to_cac", worth / totals["incremental_cac"], nw.Float64),
        nw.lit(str(limit)).alias("horizon"),
        column(rows, "payback", np.array(back), nw.Float64),
        nw.lit(unit).alias("payback_unit"),
        column(rows, "marginal_cac", np.array(next_), nw.Float64),
    )
    return same_kind(table.sort("ltv_to_cac", descending=True, nulls_last=True), costs.by_channel)


def _totals(costs: ChannelCosts) -> tuple[nw.DataFrame[Any], dict[str, Floats]]:
    """Channels with their sums over the periods, and the figures that follow from these."""
    amounts = ("spend", "loaded_spend", "new_customers", "incrementality")
    rows = collect(costs.by_channel, ("channel", *amounts), "the channel costs")
    sums = rows.group_by("channel").agg(nw.col(*amounts).sum(), nw.len().alias("periods"))
    sums = sums.sort("channel")
    periods = numbers(sums, "periods")
    factor = numbers(sums, "incrementality") / periods
    cac = cost_per_customer(numbers(sums, "loaded_spend"), numbers(sums, "new_customers"))
    mean = numbers(sums, "spend") / periods
    figures = {"cac": cac, "incremental_cac": cac / factor, "factor": factor, "mean": mean}
    return sums.select("channel", "loaded_spend", "new_customers"), figures


def _payback_or_nan(cac: float, earned: Earned | None, within: Duration, unit: Unit) -> float:
    if earned is None or math.isnan(cac):
        return math.nan
    found = payback(cac, earned, within=within, unit=unit).time
    return math.nan if found is None else found


def _marginal_or_nan(response: Response | None, spend: float, factor: float) -> float:
    return math.nan if response is None else marginal_cac(response, spend, factor)
