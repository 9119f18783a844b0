"""A worked-out plan as a page that stands alone: what changes, why, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.app.channel_findings import cheapest_and_best
from clv.app.outlook import Outlook, ranged, time_and_range
from clv.app.plans import Planned, side_by_side
from clv.decide.budget.channel import Channel
from clv.findings import Finding, finding
from clv.format import change, figure, listed, percent, whole_number
from clv.report.charts import table_of
from clv.report.html import Report, Section

if TYPE_CHECKING:
    import pyarrow as pa

SCENARIOS = {
    "scenario": "plan",
    "spent": "spend",
    "profit": "profit",
    "profit_above_first": "against the first",
    "expected_customers": "new customers",
    "portfolio_cac": "CAC",
    "portfolio_ltv_to_cac": "LTV:CAC",
    "retention_share": "for retention",
    "multiplier": "next 1 buys",
}
CHANGES = {
    "option": "option",
    "today": "today",
    "proposed": "proposed",
    "change": "change",
    "new_customers": "new customers",
    "value": "value",
    "basis": "basis",
}
NUMBERS = dict.fromkeys(("today", "proposed", "change", "new customers", "value"), float)
FORMATS = {"for retention": percent, "change": change} | dict.fromkeys(
    (
        "spend", "profit", "against the first", "new customers", "today", "proposed", "value",
        "costs",
    ),
    whole_number,
)  # fmt: skip


def plan_page(planned: Planned, beside: Sequence[Planned] = ()) -> Report:
    """The report of a plan; ``beside`` are other plans that it is compared with."""
    terms = planned.estimates.terms
    horizon = f" over {planned.allocation.horizon}" if planned.allocation.horizon else ""
    values = f"Values in {terms}." if terms else f"Values{horizon}, as the plan states them."
    return Report(
        f"Where the money goes: {planned.name}",
        f"{_length(planned)}{values}",
        headlines(planned),
        plan_sections(planned, beside),
    )


def headlines(planned: Planned) -> list[tuple[str, str, str]]:
    """The figures that come first."""
    return [(first.label, first.figure, first.detail) for first in planned.view.headlines]


def plan_sections(planned: Planned, beside: Sequence[Planned] = ()) -> list[Section]:
    """What the plan says, section by section; those without content are left out."""
    sections = [
        _changes(planned),
        _worth(planned),
        _curves(planned),
        _frontier(planned),
        _constraints(planned),
        *_sure(planned),
        _scenarios(planned, beside),
        _basis(planned),
    ]
    return [section for section in sections if section is not None]


def _changes(planned: Planned) -> Section:
    view = planned.view
    rows = [vars(row) | {"change": row.change} for row in (*view.rows, view.total)]
    table = pd.DataFrame(rows)[list(CHANGES)].rename(columns=CHANGES).astype(NUMBERS)
    if view.total.today is None:
        table = table.drop(columns=["today", "change"])
    says = (*planned.allocation.findings, *planned.cautions)
    return Section("What changes", view.lead, says, [table_of(table, _money(planned), FORMATS)])


def _worth(planned: Planned) -> Section | None:
    if not planned.outlook:
        return None
    horizon = planned.allocation.horizon or "horizon not stated"
    back = next((row.payback for row in planned.outlook if row.payback), None)
    rows = []
    for row in planned.outlook:
        columns = {
            "channel": row.channel,
            "CAC": ranged(row.average_cac, row.average_cac_interval),
            "next CAC": ranged(row.marginal_cac, row.marginal_cac_interval),
            "a customer is worth": ranged(row.value, row.value_interval),
            f"LTV:CAC, {horizon}": ranged(row.ltv_to_cac, row.ltv_to_cac_interval),
        }
        if back:
            columns[f"payback, {back.unit}s"] = _time(row)
        rows.append(columns)
    table = pd.DataFrame(rows)
    caption = f"{_money(planned)}; in brackets 90% intervals, as far as anything is drawn"
    return Section(
        "What a new customer costs and is worth",
        _cheapest_and_best(planned.outlook, planned.currency),
        tables=[table_of(table, caption, right=tuple(table.columns[1:]))],
    )


def _time(row: Outlook) -> str:
    median, interval = time_and_range(row.payback)
    return f"{median} ({interval})" if interval else median


def _cheapest_and_best(rows: Sequence[Outlook], currency: str) -> Finding:
    """The channel of the cheapest customers and that of the best, and whether they differ."""
    costs = {row.channel: row.average_cac for row in rows if row.average_cac is not None}
    if not costs:
        return finding("plan.no_customers")
    return cheapest_and_best(costs, {row.channel: row.value for row in rows}).within(currency)


def _curves(planned: Planned) -> Section | None:
    if not planned.channels:
        return None
    from clv.report.plots.spend_curves import channel_chart

    figures = [
        channel_chart(channel, planned.allocation, planned.periods, planned.currency)
        for channel in planned.channels
    ]
    lead = (
        "Each curve flattens: the next customer costs more than the average one. Money moves until "
        "the next unit buys the same value everywhere, or a bound is met."
    )
    if planned.estimates.curves is not None:
        lead += " Bands hold 90% of the draws; what is shaded was observed, beyond it is a guess."
    return Section("What each channel brings", lead, figures=figures)


def _for_all(planned: Planned) -> str:
    if planned.periods == 1:
        return ""
    return f" for {planned.periods:g} {planned.estimates.period}s"


def _frontier(planned: Planned) -> Section:
    from clv.report.plots import plot_frontier

    best = planned.allocation
    rows = planned.frontier.to_pandas()
    spent = sum(best.spend.values()) + best.retention_spend
    today = None
    if best.current is not None and best.current_profit is not None:
        today = (sum(best.current.values()), best.current_profit)
    underspent = rows[rows["spent"] < rows["budget"] * (1 - 1e-9)]
    most = (
        None
        if underspent.empty
        else (float(underspent["spent"].iloc[0]), float(underspent["profit"].iloc[0]))
    )
    chart = plot_frontier(
        rows, planned=(spent, best.profit), today=today, best=most, currency=planned.currency
    )
    lead = finding("plan.frontier_open")
    if most is not None:
        lead = finding("plan.frontier_end", spend=most[0]).within(planned.currency)
    caption = "Profit is value over the horizon less the spend; targets are left out."
    figures = [replace(chart, caption=caption)]
    return Section("What other budgets would bring", lead, figures=figures)


def _constraints(planned: Planned) -> Section:
    asked = () if planned.ratio is None else (planned.ratio,)
    if not planned.costs:
        return Section("What the constraints cost", "No constraint costs anything.", asked)
    rows = pd.DataFrame([{"without": str(c.constraint), "costs": c.cost} for c in planned.costs])
    return Section(
        "What the constraints cost",
        planned.costs[0].words,
        asked,
        [table_of(rows, "Each left out by itself, so they do not add up", FORMATS)],
    )


def _sure(planned: Planned) -> Iterator[Section]:
    uncertainty = planned.uncertainty
    if uncertainty is None:
        return
    rows = pd.DataFrame([{"channel": n, "value": v} for n, v in uncertainty.evppi.items()])
    yield Section(
        "How sure it is, and what to test next",
        uncertainty.findings[0],
        (*uncertainty.findings[1:], *planned.unsure_of),
        [table_of(rows, "What knowing one channel for certain would add on average", FORMATS)],
    )


def _scenarios(planned: Planned, beside: Sequence[Planned]) -> Section:
    rows = side_by_side([planned, *beside]) if beside else planned.scenarios
    table = _shown(rows)
    best = rows.sort_by("profit")["scenario"][-1]  # a column of zeros is not shown
    return Section(
        "Plans side by side",
        f"The greatest profit of these is that of {best}.",
        tables=[
            table_of(table, _money(planned), FORMATS),
            table_of(
                _spends(rows),
                "Spend by option",
                dict.fromkeys(rows["scenario"].to_pylist(), whole_number),
            ),
        ],
    )


def _shown(rows: pa.Table) -> pd.DataFrame:
    table = pd.DataFrame(rows.select(list(SCENARIOS)).to_pydict()).rename(columns=SCENARIOS)
    return table.drop(columns=[n for n in table if not table[n].fillna(0).astype(bool).any()])


def _spends(rows: pa.Table) -> pd.DataFrame:
    """One row per option, one column per plan."""
    plans = rows["scenario"].to_pylist()
    spends = {n.removeprefix("spend: "): rows[n].to_pylist() for n in rows.column_names if ":" in n}
    used = {option: spend for option, spend in spends.items() if any(spend)}
    found = pd.DataFrame(list(used.values()), columns=plans, dtype=np.float64)
    found.insert(0, "option", list(used))
    return found


def _basis(planned: Planned) -> Section:
    rows = [
        {
            "channel": channel.name,
            "curve": _curve_from(planned, channel),
            "value": row.value_from,
            "new customers": row.new_customers_are
            + (f", times {figure(channel.incrementality)}" if channel.incrementality < 1 else ""),
        }
        for channel, row in zip(planned.channels, planned.outlook, strict=True)
    ]
    tables = [table_of(pd.DataFrame(rows), "Channel by channel")] if rows else []
    return Section(
        "What it rests on: measured, assumed, attributed", _resting(planned), planned.notes, tables
    )


def _resting(planned: Planned) -> Finding:
    attributed = [c.name for c in planned.channels if c.incrementality == 1]
    if not attributed:
        return finding("basis.incremental")
    return finding("basis.attributed", channels=attributed)


def _curve_from(planned: Planned, channel: Channel) -> str:
    curves = planned.estimates.curves
    names = () if curves is None else [curve.name for curve in curves.channels]
    if curves is None or channel.name not in names:
        assumed = [name for name in channel.response.assumed if name != "exponent"]
        return f"stated, {listed(assumed)} assumed" if assumed else "stated in the plan"
    curve_row = curves[channel.name]
    return (
        f"estimated from {curve_row.periods} {planned.estimates.period}s, "
        f"{percent(curve_row.own_evidence)} its own evidence"
    )


def _money(planned: Planned) -> str:
    unit = planned.currency or "money"
    return f"In {unit}{_for_all(planned)}"


def _length(planned: Planned) -> str:
    return "" if planned.periods == 1 else f"For {planned.periods:g} {planned.estimates.period}s. "
