"""The ratios people ask for, each with the horizon it holds at: LTV:CAC, payback, marginal CAC.

They describe a plan; they do not choose one. At the profit optimum of a power curve LTV : average
CAC is 1 / b, so "3:1" is right for an elasticity of 1/3 only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from clv.decide.acquisition.channels import ChannelCosts, cac_interval, cost_per_customer
from clv.decide.acquisition.payback import Earned, payback
from clv.decide.budget.response import Response
from clv.format import kind_of_customers, number
from clv.periods import Duration, Unit
from clv.schema import Floats, collect, column, numbers, same_kind


@dataclass(frozen=True)
class LtvToCac:
    """A new customer's value over the cost of winning one; None without a CAC."""

    ratio: float | None
    horizon: Duration

    def __str__(self) -> str:
        words = "no CAC" if self.ratio is None else f"{number(self.ratio)} : 1"
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
    defined = cac is not None and math.isfinite(cac) and cac > 0 and math.isfinite(value)
    return LtvToCac(value / cac if defined and cac else None, Duration.parse(horizon))


def marginal_cac(response: Response, spend: float, incrementality: float = 1.0) -> float:
    """Cost of the next (incremental) customer at this spend, 1 / n'(s), in currency.

    >>> from clv.decide.budget.response import Power
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
    The same kind of frame as the spend table: channel, loaded_spend, new_customers, cac, cac_low
    and cac_high (90%, see ``channels``), incremental_cac, new_customer_value, ltv_to_cac (on
    incremental CAC), horizon, payback, payback_unit, marginal_cac (incremental),
    ltv_to_marginal_cac, marginal_payback (of the next customer) and new_customers_are
    ("attributed, not incremental" or "incremental"). What is not known is null.

    Raises
    ------
    InputError
        A horizon is no length of time, or a curve in ``earned`` does not rise with age.

    Examples
    --------
    >>> import pandas as pd
    >>> from clv.decide.acquisition.channels import channel_costs
    >>> spend = pd.DataFrame({"channel": ["search", "social"], "period": ["2024-01"] * 2,
    ...                       "spend": [1000.0, 400.0], "new_customers": [50, 10]})
    >>> value = {"search": 60.0, "social": 50.0}
    >>> table = channel_table(channel_costs(spend), value, horizon="1 year")
    >>> table[["channel", "cac", "new_customer_value", "ltv_to_cac"]]
      channel   cac  new_customer_value  ltv_to_cac
    0  search  20.0                60.0        3.00
    1  social  40.0                50.0        1.25
    """
    limit = Duration.parse(horizon)
    rows, totals = _totals(costs)
    names = rows["channel"].to_list()
    values = np.array([value.get(name, np.nan) for name in names], dtype=np.float64)
    back = [
        _payback_or_nan(cac, (earned or {}).get(name), limit, unit)
        for name, cac in zip(names, totals["incremental_cac"].tolist(), strict=True)
    ]
    next_ = [
        _marginal_or_nan((responses or {}).get(name), spend, factor)
        for name, spend, factor in zip(names, totals["mean"], totals["factor"], strict=True)
    ]
    finite_cost = [cost if math.isfinite(cost) else math.nan for cost in next_]
    back_of_next = [
        _payback_or_nan(cost, (earned or {}).get(name), limit, unit)
        for name, cost in zip(names, finite_cost, strict=True)
    ]
    are = [kind_of_customers([share]) for share in totals["factor"].tolist()]
    costs_of = ("cac", "cac_low", "cac_high", "incremental_cac")
    table = rows.with_columns(
        *(column(rows, name, totals[name], nw.Float64) for name in costs_of),
        column(rows, "new_customer_value", values, nw.Float64),
        column(rows, "ltv_to_cac", values / totals["incremental_cac"], nw.Float64),
        nw.lit(str(limit)).alias("horizon"),
        column(rows, "payback", np.array(back), nw.Float64),
        nw.lit(unit).alias("payback_unit"),
        column(rows, "marginal_cac", np.array(next_), nw.Float64),
        column(rows, "ltv_to_marginal_cac", values / np.array(finite_cost), nw.Float64),
        column(rows, "marginal_payback", np.array(back_of_next), nw.Float64),
        column(rows, "new_customers_are", are, nw.String),
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
    loaded, won = numbers(sums, "loaded_spend"), numbers(sums, "new_customers")
    low, high = cac_interval(loaded, won, costs.dispersion)
    figures = {"cac": cac, "incremental_cac": cac / factor, "factor": factor, "mean": mean}
    figures |= {"cac_low": low, "cac_high": high}
    return sums.select("channel", "loaded_spend", "new_customers"), figures


def _payback_or_nan(cac: float, earned: Earned | None, within: Duration, unit: Unit) -> float:
    if earned is None or math.isnan(cac):
        return math.nan
    time = payback(cac, earned, within=within, unit=unit).time
    return math.nan if time is None else time


def _marginal_or_nan(response: Response | None, spend: float, factor: float) -> float:
    return math.nan if response is None else marginal_cac(response, spend, factor)
