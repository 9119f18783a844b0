"""What a new customer of each segment costs, through the channels that customers come by."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.decide.acquisition.channels import (
    ChannelCosts,
    cac_interval,
    channel_costs,
    cost_per_customer,
)
from clv.decide.acquisition.cohorts import first_purchases
from clv.decide.acquisition.spend import Periods, read_spend
from clv.findings import Finding, finding
from clv.periods import Duration
from clv.schema import as_frame, collect, numbers, same_kind


@dataclass(frozen=True)
class SegmentCosts:
    """CAC by customer segment.

    Parameters
    ----------
    table
        The same kind of frame as the spend table, dearest first: segment, new_customers (all),
        paid_customers (through channels with spend), loaded_spend (what these cost), paid_cac,
        paid_cac_low and _high (90%), blended_cac.
    notes
        What the figures rest on.
    """

    table: Any
    notes: tuple[Finding, ...]


def segment_costs(
    spend: IntoFrame,
    customers: IntoFrame,
    segment: str,
    *,
    period_length: str | Duration | None = None,
) -> SegmentCosts:
    """CAC of each segment, such as a country: every customer costs the CAC of channel and period.

    Parameters
    ----------
    spend
        channel, period, spend [, fixed_cost]; new customers are counted in ``customers``.
    customers
        A summary or a clean log with the columns channel and ``segment``. In a log a customer
        belongs to the segment of the first purchase.
    segment
        The column to tell customers apart by.
    period_length
        Length of a period, inferred from the gaps between their first days by default.

    Returns
    -------
    SegmentCosts
        ``table``, the same kind of frame as ``spend``, the dearest segment first: segment,
        new and paid customers, loaded_spend, paid CAC with its 90% interval and blended CAC, in
        currency per customer; and notes.

    Raises
    ------
    ColumnError, RowError, InputError
        As :func:`clv.decide.acquisition.channels.channel_costs` does.

    Examples
    --------
    >>> import pandas as pd
    >>> spend = pd.DataFrame({
    ...     "channel": ["search", "social"], "period": ["2024-01"] * 2, "spend": [300.0, 100.0],
    ... })
    >>> log = pd.DataFrame({
    ...     "customer_id": range(5),
    ...     "date": pd.to_datetime(["2024-01-03"] * 5),
    ...     "channel": ["search", "search", "social", "social", "organic"],
    ...     "country": ["UK", "DE", "DE", "DE", "UK"],
    ... })
    >>> costs = segment_costs(spend, log, "country", period_length="1 month")
    >>> costs.table[["segment", "new_customers", "loaded_spend", "paid_cac", "blended_cac"]]
      segment  new_customers  loaded_spend    paid_cac  blended_cac
    0      UK            2.0         150.0  150.000000    75.000000
    1      DE            3.0         250.0   83.333333    83.333333
    """
    rows = read_spend(spend)
    length = None if period_length is None else Duration.parse(period_length)
    periods = Periods.from_values(rows["period"].to_list(), length)
    costs = channel_costs(spend, customers, period_length=period_length)
    counted, cost, paid = _by_segment(costs, periods, customers, segment)
    names = sorted(counted)
    n, money, won = (np.array([part[name] for name in names]) for part in (counted, cost, paid))
    low, high = cac_interval(money, won, costs.dispersion)
    table = nw.from_dict(
        {
            "segment": names,
            "new_customers": n,
            "paid_customers": won,
            "loaded_spend": money,
            "paid_cac": cost_per_customer(money, won),
            "paid_cac_low": low,
            "paid_cac_high": high,
            "blended_cac": cost_per_customer(money, n),
        },
        backend=rows.implementation,
    )
    ordered = table.with_columns(nw.col("paid_cac").fill_nan(None)).sort(
        "paid_cac", descending=True, nulls_last=True
    )
    note = finding("acquisition.same_cost")
    return SegmentCosts(same_kind(ordered, spend), (*costs.notes, note))


def _by_segment(
    costs: ChannelCosts, periods: Periods, customers: IntoFrame, segment: str
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """New customers by segment, what they cost, and how many of them came by paid channels."""
    rows = collect(costs.by_channel, ("channel", "period", "cac"), "the channel costs")
    codes = [periods.find(period) for period in rows["period"].to_list()]
    cac = dict(
        zip(zip(rows["channel"].to_list(), codes, strict=True), numbers(rows, "cac"), strict=True)
    )
    counted: dict[str, float] = defaultdict(float)
    cost: dict[str, float] = defaultdict(float)
    paid: dict[str, float] = defaultdict(float)
    for channel, name, day, count in first_purchases(
        as_frame(customers, "the customers"), (segment,)
    ):
        code = periods.containing(day)
        if code is None:
            continue  # before or after the spend table; the notes of channel_costs count these
        each = cac.get((channel, code), np.nan)
        counted[name] += count
        if np.isfinite(each):
            cost[name] += each * count
            paid[name] += count
    return counted, cost, paid
