"""What ``allocate`` returns: the plan, what it brings, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import numpy as np

from clv.decide.budget import allocation_findings
from clv.decide.budget.solver import Market, SpendPlan
from clv.findings import Finding, within
from clv.format import count, money
from clv.notebook import InNotebook, Row
from clv.schema import Floats

if TYPE_CHECKING:
    from clv.decide.budget.problem import AllocationProblem

TABLE: dict[str, Any] = {
    "option": nw.String,
    "spend": nw.Float64,
    "current_spend": nw.Float64,
    "new_customers": nw.Float64,
    "value": nw.Float64,
    "profit": nw.Float64,
    "average_cac": nw.Float64,
    "marginal_cac": nw.Float64,
    "ltv_to_cac": nw.Float64,
}


@dataclass(frozen=True)
class CurrentPlan:
    """Today's spend per channel and on retention; ``named`` if the latter was stated."""

    spend: Floats
    retention: float
    named: bool

    def as_plan(self) -> SpendPlan:
        """Today's spend as a plan among others."""
        return SpendPlan(self.spend, self.retention, 1.0)


@dataclass(frozen=True)
class Allocation(InNotebook):
    """A plan for one period; money in currency, values as discounted contribution margin.

    Parameters
    ----------
    spend, customers, value_by_channel
        By channel name: spend, expected new customers (after the incrementality factor), and
        what these are worth.
    average_cac, marginal_cac
        By channel name: spend per new customer, and the cost of the next one; None without
        customers.
    ltv_to_cac
        By channel name: value bought per unit of money spent, over ``horizon``.
    retention_spend, retention_customers, retention_gain
        What is spent on existing customers, on how many of them (the last may be a fraction),
        and the value it is expected to keep.
    multiplier
        mu: what the next unit of budget buys, 1 if money stays unspent or has no limit.
    target, target_multiplier, target_cost
        What was asked for beside profit, in words; its multiplier lambda, 0 where it does not bind
        (for a number of customers, what the last of them costs); and the profit that it costs.
    expected_customers, value, profit
        Totals: new customers, value bought (retention included), value minus spend.
    portfolio_cac, portfolio_ltv_to_cac
        Over all channels: spend per new customer, and value per unit of spend; None without.
    retention_share
        Share of the spend that goes to existing customers; None if nothing is spent.
    horizon
        Of all values, where it was stated.
    budget, unspent
        The budget (None: no limit) and what is left of it (None without a limit).
    current, current_profit, profit_gain
        Today's plan, its profit under the same curves, and how much better this plan is.
    kkt_residual
        Certificate of optimality: the largest relative breach of any optimality condition.
    findings, notes
        What the plan says, and what it rests on; ``str`` writes each out.
    currency
        Of all money; empty if it was not stated.
    """

    spend: dict[str, float]
    customers: dict[str, float]
    value_by_channel: dict[str, float]
    average_cac: dict[str, float | None]
    marginal_cac: dict[str, float | None]
    ltv_to_cac: dict[str, float | None]
    retention_spend: float
    retention_customers: float
    retention_gain: float
    multiplier: float
    target: str | None
    target_multiplier: float
    target_cost: float | None
    expected_customers: float
    value: float
    profit: float
    portfolio_cac: float | None
    portfolio_ltv_to_cac: float | None
    retention_share: float | None
    horizon: str | None
    budget: float | None
    unspent: float | None
    current: dict[str, float] | None
    current_profit: float | None
    profit_gain: float | None
    kkt_residual: float
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    currency: str = ""

    @classmethod
    def from_plan(
        cls, problem: AllocationProblem, plan: SpendPlan, today: CurrentPlan | None = None
    ) -> Allocation:
        """Work out what ``plan`` brings and say it in words."""
        market, share, currency = problem.market, problem.share, problem.currency
        customers = share * problem.counted.customers(plan.spend)
        value = market.value * market.customers(plan.spend)
        better = None if today is None else _profit_gain(market, plan, today)
        target, target_cost = problem.target, problem.target_cost(plan)
        average = _ratio(plan.spend, customers)
        feasible = today is None or problem.allows(today.as_plan())
        says = allocation_findings.findings(problem, plan, average, target_cost)
        rests_on = allocation_findings.notes(problem, plan, today is None or today.named)
        bounded = math.isfinite(problem.budget)
        return cls(
            **_by_channel(problem, plan, customers, value),
            **_totals(market, plan, customers, value, better),
            multiplier=plan.mu,
            target=None if target is None else str(target.clause.within(currency)),
            target_multiplier=plan.shadow,
            target_cost=target_cost,
            horizon=problem.horizon,
            budget=problem.budget if bounded else None,
            unspent=max(problem.budget - plan.total, 0.0) if bounded else None,
            current=None if today is None else _current_by_name(problem.names, today),
            kkt_residual=problem.residual(plan),
            findings=within(
                (*says, *allocation_findings.against_current(better, feasible)), currency
            ),
            notes=within(rests_on, currency),
            currency=currency,
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain numbers, strings, lists and dicts that JSON can hold.

        An infinite multiplier (nothing may be spent) becomes None.
        """
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        out["multiplier"] = self.multiplier if math.isfinite(self.multiplier) else None
        words = {name: [f.to_dict() for f in out[name]] for name in ("findings", "notes")}
        return out | words | {"currency": self.currency or None}

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.findings, *self.notes)))

    def _table(self) -> tuple[Row, Iterable[Row]]:
        rows = [*map(self._row, self.spend), self._retention_row()]
        amounts = ("spend", "value", "profit")
        return ("option", "new customers", *amounts), [
            (
                row["option"],
                count(row["new_customers"]),
                *(money(row[name], self.currency) for name in amounts),
            )
            for row in rows
        ]

    def to_frame(self, backend: Literal["pandas", "polars", "pyarrow"] = "pandas") -> Any:
        """One row per channel and one for retention, as a pandas, Polars or PyArrow table."""
        today = self.current or {}
        rows = [self._row(name, today.get(name)) for name in self.spend]
        rows.append(self._retention_row(today.get("retention")))
        columns = {name: [row[name] for row in rows] for name in TABLE}
        return nw.from_dict(columns, schema=TABLE, backend=backend).to_native()

    def _row(self, name: str, current: float | None = None) -> dict[str, Any]:
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
            "ltv_to_cac": self.ltv_to_cac[name],
        }

    def _retention_row(self, current: float | None = None) -> dict[str, Any]:
        """Retention brings no new customers, so it has no CAC."""
        filled = {
            "option": "retention",
            "spend": self.retention_spend,
            "current_spend": current,
            "value": self.retention_gain,
            "profit": self.retention_gain - self.retention_spend,
        }
        return dict.fromkeys(TABLE) | filled


def _by_channel(
    problem: AllocationProblem, plan: SpendPlan, customers: Floats, value: Floats
) -> dict[str, Any]:
    """The fields of an allocation that hold a figure by channel."""
    names, share = problem.names, problem.share
    marginal = _ratio(np.ones_like(share), share * problem.counted.marginal(plan.spend))
    return {
        "spend": _by_name(names, plan.spend),
        "customers": _by_name(names, customers),
        "value_by_channel": _by_name(names, value),
        "average_cac": _by_name_or_none(names, _ratio(plan.spend, customers)),
        "marginal_cac": _by_name_or_none(names, marginal),
        "ltv_to_cac": _by_name_or_none(names, _ratio(value, plan.spend)),
    }


def _totals(
    market: Market, plan: SpendPlan, customers: Floats, value: Floats, better: float | None
) -> dict[str, Any]:
    """The fields of an allocation about retention and about all options together."""
    gain, paid = market.retention.gain_at(plan.retention), float(plan.spend.sum())
    won = float(customers.sum())
    profit = float((value - plan.spend).sum()) + gain - plan.retention
    return {
        "retention_spend": plan.retention,
        "retention_customers": market.retention.customers_at(plan.retention),
        "retention_gain": gain,
        "expected_customers": won,
        "value": float(value.sum()) + gain,
        "profit": profit,
        "portfolio_cac": _share(paid, won),
        "portfolio_ltv_to_cac": _share(float(value.sum()), paid),
        "retention_share": _share(plan.retention, plan.total),
        "current_profit": None if better is None else profit - better,
        "profit_gain": better,
    }


def _profit_gain(market: Market, plan: SpendPlan, today: CurrentPlan) -> float:
    """Profit above today's, channel by channel, so that equal plans differ by exactly 0."""
    acquired = market.value * (market.customers(plan.spend) - market.customers(today.spend))
    retained = market.retention.gain_at(plan.retention) - market.retention.gain_at(today.retention)
    spent = float((plan.spend - today.spend).sum()) + plan.retention - today.retention
    return float(acquired.sum()) + retained - spent


def _share(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _by_name(names: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _by_name_or_none(names: Sequence[str], values: Floats) -> dict[str, float | None]:
    return {n: None if math.isnan(v) else v for n, v in _by_name(names, values).items()}


def _current_by_name(names: Sequence[str], today: CurrentPlan) -> dict[str, float]:
    return {**_by_name(names, today.spend), "retention": today.retention}
