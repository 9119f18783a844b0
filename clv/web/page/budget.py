"""Budget: sliders and locks on a published plan, the best split of the money, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from clv.app.budget_plan import PublishedPlan, Setting, Solved, published, solve
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.channel import Channel
from clv.decide.budget.scenarios import compare
from clv.errors import ClvError, InputError, PlanError
from clv.format import NONE, change, count, large_money, money, sentence, unknown
from clv.report.charts import Cell, Column, Table
from clv.store import Store
from clv.web.page.budget_form import (
    BUDGET,
    OPEN,
    currency_of,
    form,
    form_as_sent,
    link_to,
    read_setting,
    save_link,
    saved_settings,
)
from clv.web.page.curves import channel_figure, frontier_figure, legend
from clv.web.page.frame import Page, Room, room
from clv.web.page.tables import Empty, Headline, link, small

HERE = "This plan"

router = APIRouter()
ROOM = Room("budget", "/budget", "Budget", router)


@router.get("/budget")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "budget.html", content, title="Budget", active="budget")


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows."""
    plan = published(store)
    if plan is None:
        return {"nothing": NOTHING}
    currency = currency_of(plan, store)
    try:
        setting, saved = read_setting(plan, page), saved_settings(page)
        solved = solve(store, plan, setting)
    except (InputError, PlanError) as error:
        refusal = (sentence(error.message), _way_out(error, page))
        return {"nothing": None, "refused": refusal, "saved": (), **form_as_sent(store, plan, page)}
    return {
        "nothing": None,
        "refused": None,
        "saved": saved,
        **form(store, plan, setting, solved.allocation.spend, saved),
        **_shown(store, plan, solved, currency),
        "compared": compared(store, plan, solved, saved, currency),
        "save": save_link(setting, saved),
    }


def _way_out(error: ClvError, page: Page) -> str:
    """What to try on this page; where nobody set anything the plan itself is at fault."""
    names = {name for name, _ in page.address.query}
    if isinstance(error, PlanError) and names & {BUDGET, OPEN}:
        return "Give more budget, hold a channel at another spend, or take a lock off."
    return sentence(error.hint or "")


NOTHING = Empty(
    "No plan was published",
    "Sliders and locks work on a plan: channels with response curves, values, and a budget.",
    "Publish with spend by channel, orders and the model: clv publish --spend --log --model. Or "
    "give a plan as clv allocate takes it: clv publish --plan plan.toml.",
)


def _shown(store: Store, plan: PublishedPlan, solved: Solved, currency: str) -> dict[str, Any]:
    best = solved.allocation
    over = f", values over {best.horizon}" if best.horizon else ""
    figures = [
        channel_figure(channel, best, plan.plan.periods, currency) for channel in solved.channels
    ]
    return {
        "said": _said(solved, currency),
        "findings": best.findings,
        "headlines": headlines(solved, currency),
        "changes": changes(solved, currency, over),
        "figures": figures,
        "legend": legend(figures),
        "frontier": frontier_figure(store, plan, solved, currency),
        "costs": costs(solved, currency),
        "notes": best.notes,
        "residual": f"{best.kkt_residual:.1e}" if best.kkt_residual else "0",
    }


def _said(solved: Solved, currency: str) -> str:
    """What the plan is expected to earn, in a sentence that is also read out."""
    best = solved.allocation
    over = f" over {best.horizon}" if best.horizon else ""
    gain = best.profit_gain
    more = ""
    if gain is not None:
        than = "more" if gain >= 0 else "less"
        more = f", {money(abs(gain), currency)} {than} than today's split"
    return (
        f"{money(solved.spent, currency)} spent so are expected to earn "
        f"{money(best.profit, currency)}{over}{more}."
    )


def headlines(solved: Solved, currency: str) -> list[Headline]:
    """The figures that come first."""
    best = solved.allocation
    gain = best.profit_gain
    against = "today's spend is not known for all channels"
    if gain is not None:
        more = "more" if gain >= 0 else "less"
        against = f"{large_money(abs(gain), currency)} {more} than today's split"
    over = f", over {best.horizon}" if best.horizon else ""
    left = best.unspent or 0.0
    rest = "all of it is spent" if left < 0.5 else f"{money(left, currency)} stay unspent"
    cac = f"at {money(best.portfolio_cac, currency)} each, on average"
    return [
        Headline(
            f"Expected profit{over}", large_money(best.profit, currency), against, "estimated"
        ),
        Headline("Spend", large_money(solved.spent, currency), rest),
        Headline(
            "New customers",
            count(round(best.expected_customers)),
            "none are bought" if best.portfolio_cac is None else cac,
            "estimated",
        ),
        _next_unit(best, currency),
    ]


def _next_unit(best: Allocation, currency: str) -> Headline:
    """The shadow price."""
    label = f"The next {money(100, currency)} would bring"
    if unknown(best.multiplier):
        return Headline(label, NONE, "nothing is left to decide on")
    if best.multiplier <= 1:
        return Headline(label, "less than it costs", "so money stays unspent", "estimated")
    worth = money(100 * best.multiplier, currency)
    return Headline(label, worth, "the shadow price of the budget", "estimated")


CHANGES = (
    Column("Where"),
    Column("Today", "number"),
    Column("Proposed", "number"),
    Column("Change", "number"),
    Column("New customers", "number"),
    Column("CAC", "number"),
    Column("Next CAC", "number"),
    Column("Value : CAC", "number"),
    Column("Why not more or less", "prose"),
)


def changes(solved: Solved, currency: str, over: str) -> Table:
    """What to change, option by option, and in all."""
    best, today = solved.allocation, solved.allocation.current or {}
    locked = dict(solved.setting.held)
    rows = [
        _change(c, solved, today.get(c.name), currency, c.name in locked) for c in solved.channels
    ]
    if best.retention_spend or best.retention_gain or today.get("retention"):
        rows.append(_kept(best, today.get("retention"), currency))
    whole = sum(today.values()) if best.current is not None else None
    rows.append(
        (
            "In all",
            money(whole, currency),
            money(solved.spent, currency),
            _moved(whole, solved.spent, currency),
            count(round(best.expected_customers)),
            money(best.portfolio_cac, currency),
            "",
            _ratio(best.portfolio_ltv_to_cac),
            "",
        )
    )
    return Table(f"What to change{over}", CHANGES, rows, marked=(len(rows) - 1,))


def _change(
    channel: Channel, solved: Solved, today: float | None, currency: str, locked: bool
) -> tuple[Cell, ...]:
    name, best = channel.name, solved.allocation
    spend = best.spend[name]
    return (
        name,
        money(today, currency),
        money(spend, currency),
        _moved(today, spend, currency),
        count(round(best.customers[name])),
        money(best.average_cac[name], currency),
        money(best.marginal_cac[name], currency),
        _ratio(best.ltv_to_cac[name]),
        "locked" if locked else _held(name, best),
    )


def _kept(best: Allocation, today: float | None, currency: str) -> tuple[Cell, ...]:
    who = f"{count(round(best.retention_customers))} customers kept in touch with"
    spend = best.retention_spend
    empty = (NONE, NONE, NONE)
    amounts = (money(today, currency), money(spend, currency), _moved(today, spend, currency))
    return (small("Retention", who), *amounts, *empty, NONE, "")


def _held(name: str, best: Allocation) -> str:
    """What the findings say of a channel that meets a bound."""
    return next(
        (
            sentence(str(finding.values["why"]))
            for finding in best.findings
            if "why" in finding.values and finding.values["channel"] == name
        ),
        "",
    )


def _moved(today: float | None, spend: float, currency: str) -> Cell:
    if today is None:
        return NONE
    step = spend - today
    if abs(step) < 0.5:
        return "none"
    sign = "+" if step > 0 else ""
    share = change(step / today) if today > 0 else "new"
    return small(f"{sign}{money(step, currency)}", share)


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f} : 1"


def costs(solved: Solved, currency: str) -> Table | Empty:
    """What each constraint costs."""
    if not solved.costs:
        return Empty(
            "No constraint costs anything", "Budget, locks and bounds leave the best plan."
        )
    rows = [(sentence(str(c.constraint)), money(c.cost, currency)) for c in solved.costs]
    columns = (Column("Without"), Column("Profit would be higher by", "number"))
    return Table("Each left out by itself, so they do not add up", columns, rows)


def compared(
    store: Store, plan: PublishedPlan, solved: Solved, saved: Sequence[Setting], currency: str
) -> Table | None:
    """The plan on the page beside those that were saved."""
    if not saved:
        return None
    plans, wrong = {HERE: solved.allocation}, []
    headings = [HERE, *(f"Plan {letter}" for letter, _ in zip("ABCD", saved, strict=False))]
    for name, setting in zip(headings[1:], saved, strict=True):
        try:
            plans[name] = solve(store, plan, setting).allocation
        except PlanError:
            wrong.append(name)
    rows = {row["scenario"]: row for row in compare(plans, backend="pyarrow").to_pylist()}
    body: list[list[Cell]] = [
        [label, *(write(rows.get(name, {})) for name in headings)]
        for label, write in _measures(list(rows.values()), currency)
    ]
    body.append(["Held", *(_locks(one, currency) for one in (solved.setting, *saved))])
    body.append(["Saved", "", *(_links(one, solved.setting, saved) for one in saved)])
    caption = "Saved plans are kept in the address of this page alone"
    caption += f"; {', '.join(wrong)} can no longer be met" if wrong else ""
    columns = [Column("Measure"), *(Column(name, "number") for name in headings)]
    return Table(caption, columns, body)


def _measures(rows: Sequence[Mapping[str, Any]], currency: str) -> Iterator[tuple[str, Any]]:
    """A line each: its name, and how a plan's cell is written."""
    amounts = {
        "Budget": "budget",
        "Spent": "spent",
        "Expected profit": "profit",
        "Value": "value",
        "CAC": "portfolio_cac",
    }
    for label, field in amounts.items():
        yield label, lambda row, field=field: money(row.get(field), currency)
    yield "New customers", lambda row: count(_whole(row.get("expected_customers")))
    yield "Value : CAC", lambda row: _ratio(row.get("portfolio_ltv_to_cac"))
    for name in rows[0]:
        if name.startswith("spend: ") and any(row[name] for row in rows):
            label = f"Spend on {name.removeprefix('spend: ')}"
            yield label, lambda row, name=name: money(row.get(name), currency)


def _whole(value: float | None) -> float | None:
    return None if value is None else float(round(value))


def _locks(setting: Setting, currency: str) -> str:
    locked = [f"{name} {money(spend, currency)}" for name, spend in setting.held]
    return ", ".join(locked) or "nothing"


def _links(setting: Setting, shown: Setting, saved: Sequence[Setting]) -> Markup:
    others = [one for one in saved if one != setting]
    return Markup("{} · {}").format(
        link("Open", link_to(setting, saved)), link("Remove", link_to(shown, others))
    )
