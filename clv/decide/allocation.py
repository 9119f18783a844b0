"""What ``allocate`` returns: the plan, what it brings, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import numpy as np

from clv.decide import findings
from clv.decide.budget import Market, Plan, kkt_residual
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.allocate import Channel

TABLE: dict[str, Any] = {
    "option": nw.String,
    "spend": nw.Float64,
    "current_spend": nw.Float64,
    "new_customers": nw.Float64,
    "value": nw.Float64,
    "profit": nw.Float64,
    "average_cac": nw.Float64,
    "marginal_cac": nw.Float64,
}


@dataclass(frozen=True)
class CurrentPlan:
    """Today's spend per channel and on retention; ``named`` if the latter was stated."""

    spend: Floats
    retention: float
    named: bool

    def fits(self, market: Market, budget: float) -> bool:
        """Whether today's spend respects the bounds and the budget of the new plan."""
        inside = (market.lo <= self.spend) & (self.spend <= market.hi)
        return bool(inside.all()) and self.spend.sum() + self.retention <= budget


@dataclass(frozen=True)
class Allocation:
    """A plan for one period; money in currency, values as discounted contribution margin.

    Parameters
    ----------
    spend, customers, value_by_channel
        By channel name: spend, expected new customers (after the incrementality factor), and
        what these are worth.
    average_cac, marginal_cac
        By channel name: spend per new customer, and the cost of the next one; None without
        customers.
    retention_spend, retention_customers, retention_gain
        What is spent on existing customers, on how many of them (the last may be a fraction),
        and the value it is expected to keep.
    multiplier
        mu: what the next unit of budget buys, 1 if money stays unspent or has no limit.
    expected_customers, value, profit
        Totals: new customers, value bought (retention included), value minus spend.
    budget, unspent
        The budget (None: no limit) and what is left of it (None without a limit).
    current, current_profit, profit_gain
        Today's plan, its profit under the same curves, and how much better this plan is.
    kkt_residual
        Certificate of optimality: the largest relative breach of any optimality condition.
    findings, notes
        In words: what the plan says, and what it rests on.
    """

    spend: dict[str, float]
    customers: dict[str, float]
    value_by_channel: dict[str, float]
    average_cac: dict[str, float | None]
    marginal_cac: dict[str, float | None]
    retention_spend: float
    retention_customers: float
    retention_gain: float
    multiplier: float
    expected_customers: float
    value: float
    profit: float
    budget: float | None
    unspent: float | None
    current: dict[str, float] | None
    current_profit: float | None
    profit_gain: float | None
    kkt_residual: float
    findings: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        channels: Sequence[Channel],
        market: Market,
        plan: Plan,
        budget: float,
        today: CurrentPlan | None,
    ) -> Allocation:
        """Work out what ``plan`` brings and say it in words."""
        names = [c.name for c in channels]
        share = np.array([c.incrementality for c in channels], dtype=np.float64)
        attributed = market.customers(plan.spend)
        customers, value = share * attributed, market.value * attributed
        gain = market.retention.gain_at(plan.retention)
        better = None if today is None else _profit_gain(market, plan, today)
        profit = float((value - plan.spend).sum()) + gain - plan.retention
        average = _ratio(plan.spend, customers)
        marginal = _ratio(np.ones_like(share), share * market.marginal(plan.spend))
        return cls(
            spend=_by_name(names, plan.spend),
            customers=_by_name(names, customers),
            value_by_channel=_by_name(names, value),
            average_cac=_by_name_or_none(names, average),
            marginal_cac=_by_name_or_none(names, marginal),
            retention_spend=plan.retention,
            retention_customers=market.retention.customers_at(plan.retention),
            retention_gain=gain,
            multiplier=plan.mu,
            expected_customers=float(customers.sum()),
            value=float(value.sum()) + gain,
            profit=profit,
            budget=budget if math.isfinite(budget) else None,
            unspent=max(budget - plan.total, 0.0) if math.isfinite(budget) else None,
            current=None if today is None else _current_by_name(names, today),
            current_profit=None if better is None else profit - better,
            profit_gain=better,
            kkt_residual=kkt_residual(market, plan, budget),
            findings=tuple(findings.findings(channels, market, plan, budget, average))
            + findings.against_current(better, today is None or today.fits(market, budget)),
            notes=tuple(findings.notes(channels, market, plan, today is None or today.named)),
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain numbers, strings, lists and dicts that JSON can hold.

        An infinite multiplier (nothing may be spent) becomes None.
        """
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        out["multiplier"] = self.multiplier if math.isfinite(self.multiplier) else None
        return out | {"findings": list(self.findings), "notes": list(self.notes)}

    def to_frame(self, backend: Literal["pandas", "polars", "pyarrow"] = "pandas") -> Any:
        """One row per channel and one for retention, as a pandas, Polars or PyArrow table."""
        today = self.current or {}
        rows = [self._row(name, today.get(name)) for name in self.spend]
        rows.append(self._retention_row(today.get("retention")))
        columns = {name: [row[name] for row in rows] for name in TABLE}
        return nw.from_dict(columns, schema=TABLE, backend=backend).to_native()

    def _row(self, name: str, current: float | None) -> dict[str, Any]:
        spend, value = self.spend[name], self.value_by_channel[name]
        return {
            "option": name,
            "spend": spend,
            "current_spend": current,
            "new_customers": self.customers[name],
            "value": value,
            "profit": value - spend,
            "average_cac": self.average_cac[name],
            "marginal_cac": self.marginal_cac[name],
        }

    def _retention_row(self, current: float | None) -> dict[str, Any]:
        """Retention brings no new customers, so it has no CAC."""
        filled = {
            "option": "retention",
            "spend": self.retention_spend,
            "current_spend": current,
            "value": self.retention_gain,
            "profit": self.retention_gain - self.retention_spend,
        }
        return dict.fromkeys(TABLE) | filled


def _profit_gain(market: Market, plan: Plan, today: CurrentPlan) -> float:
    """Profit above today's, channel by channel, so that equal plans differ by exactly 0."""
    bought = market.value * (market.customers(plan.spend) - market.customers(today.spend))
    kept = market.retention.gain_at(plan.retention) - market.retention.gain_at(today.retention)
    spent = float((plan.spend - today.spend).sum()) + plan.retention - today.retention
    return float(bought.sum()) + kept - spent


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _by_name(names: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _by_name_or_none(names: Sequence[str], values: Floats) -> dict[str, float | None]:
    return {n: None if math.isnan(v) else v for n, v in _by_name(names, values).items()}


def _current_by_name(names: Sequence[str], today: CurrentPlan) -> dict[str, float]:
    return {**_by_name(names, today.spend), "retention": today.retention}
