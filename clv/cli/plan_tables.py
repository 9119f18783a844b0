"""What ``clv allocate`` shows of a plan, and of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clv import format as write
from clv.cli.screen import Formats, Screen, above, table
from clv.format import difference, money, whole_number

if TYPE_CHECKING:
    import pyarrow as pa

    from clv.app.plan_view import PlanView
    from clv.app.plans import Planned

CHANGES = {
    "option": "option",
    "today": "today",
    "proposed": "proposed",
    "change": "change",
    "new_customers": "new customers",
    "value": "value",
    "basis": "basis",
}
SCENARIOS = {
    "scenario": "plan",
    "spent": "spend",
    "profit": "profit",
    "profit_above_first": "against first",
    "expected_customers": "new customers",
    "portfolio_ltv_to_cac": "LTV:CAC",
    "multiplier": "next 1 buys",
}


def show_plan(screen: Screen, planned: Planned) -> None:
    """What a plan changes, what its customers cost, what it says, and what it rests on."""
    view = planned.view
    screen.title(str(view.lead))
    _show_changes(screen, view)
    if planned.outlook:
        _show_worth(screen, planned)
    screen.points(planned.findings)
    screen.say()
    if planned.costs:
        screen.title("What the constraints cost, each by itself")
        screen.points([cost.words for cost in planned.costs])
        screen.say()
    if len(planned.scenarios) > 1:
        screen.title("The same with other budgets")
        _show_scenarios(screen, planned.scenarios)
    screen.title("What it rests on")
    screen.points(planned.notes)


def show_comparison(screen: Screen, plans: Sequence[Planned], rows: pa.Table) -> None:
    """Plans side by side: their totals, what each spends where, how sure each is."""
    screen.title(f"{len(plans)} plans side by side")
    _show_scenarios(screen, rows)
    names = [name for name in rows.column_names if name.startswith("spend: ")]
    spends = [
        {"option": name.removeprefix("spend: ")}
        | dict(zip(rows["scenario"].to_pylist(), rows[name].to_pylist(), strict=True))
        for name in names
        if any(rows[name].to_pylist())
    ]
    whole: Formats = dict.fromkeys(rows["scenario"].to_pylist(), whole_number)
    screen.show(table(spends, {"option": "spend"} | {n: n for n in whole}, whole))
    for planned in plans:
        screen.title(planned.name)
        screen.points(planned.findings)


def _show_changes(screen: Screen, view: PlanView) -> None:
    today = view.total.today is not None
    rows = [vars(row) | {"change": row.change} for row in view.rows]
    headings = {k: v for k, v in CHANGES.items() if today or k not in ("today", "change")}
    whole: Formats = dict.fromkeys(("today", "proposed", "new_customers", "value"), whole_number)
    formats = {**whole, "change": write.change}
    screen.show(table(rows, headings, formats, left=["option", "basis"]))


def _show_worth(screen: Screen, planned: Planned) -> None:
    """Figures per channel, each above its dimmed 90% interval."""
    from clv.app.outlook import between, time_and_range

    horizon = planned.allocation.horizon
    back = next((row.payback for row in planned.outlook if row.payback), None)
    headings = {
        "channel": "option",
        "average_cac": "CAC",
        "marginal_cac": "next CAC",
        "value": "worth",
        "ltv_to_cac": f"LTV:CAC, {horizon}" if horizon else "LTV:CAC",
    } | ({"payback": f"payback, {back.unit}s"} if back else {})
    rows = []
    for row in planned.outlook:
        cells: dict[str, Any] = {"channel": row.channel}
        for name in ("average_cac", "marginal_cac", "value", "ltv_to_cac"):
            value, interval = getattr(row, name), getattr(row, f"{name}_interval")
            below = "" if interval is None else between(interval)
            cells[name] = above("–" if value is None else money(float(value)), below)
        cells["payback"] = above(*time_and_range(row.payback))
        rows.append(cells)
    screen.show(table(rows, headings, left=["channel"]))


def _show_scenarios(screen: Screen, rows: pa.Table) -> None:
    whole = dict.fromkeys(("spent", "profit", "expected_customers"), whole_number)
    formats: Formats = {**whole, "profit_above_first": lambda gain: difference(round(gain))}
    screen.show(table(rows.to_pylist(), SCENARIOS, formats, left=["scenario"]))
