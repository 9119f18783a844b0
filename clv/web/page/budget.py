"""Budget: sliders and locks on a published plan, the best split of the money, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from clv.app.budget_plan import PublishedPlan, Setting, Solved, published, solve
from clv.app.plan_gains import SplitGain
from clv.app.plan_view import IN_ALL, RETENTION, PlanRow, PlanView, retention_basis
from clv.decide.budget.allocation import Allocation
from clv.decide.budget.gain_curve import as_gain_curve
from clv.decide.budget.plan_gain import PlanGain
from clv.decide.budget.scenarios import compare
from clv.errors import ClvError, InputError, PlanError
from clv.format import NONE, change, count, counted, day, money, percent, ratio, sentence
from clv.report.charts import Cell, Column, Table
from clv.spans import span
from clv.store import Store
from clv.web.page.budget_form import (
    BUDGET,
    MOST,
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
from clv.web.page.saved_plans import SavedPlan, saved_plans
from clv.web.page.saved_plans import router as saved_router
from clv.web.page.tables import Empty, Headline, chip, link, small

HERE = "This plan"

router = APIRouter()
router.include_router(saved_router)
ROOM = Room("budget", "/budget", "Budget", router)


@router.get("/budget")
async def show(request: Request) -> Response:
    """The page."""
    kept = saved_plans(request)

    def shown(store: Store, page: Page) -> dict[str, Any]:
        return {"keeps": kept is not None, **content(store, page, kept or ())}

    return await room(request, "budget.html", shown, title="Budget", active="budget")


def content(store: Store, page: Page, kept: Sequence[SavedPlan] = ()) -> dict[str, Any]:
    """What the template shows; ``kept`` are plans that were saved on the server."""
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
        "compared": compared(store, plan, solved, saved, currency, kept),
        "save": save_link(setting, saved),
        "here": setting.text,
        "kept_plans": [_kept(one, setting, saved) for one in kept],
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
    gains, unsure = solved.market.gains(best)
    retained = retention_basis(as_gain_curve(plan.retention))
    sure = gains[0].sure if gains else None
    view = PlanView.of(best, sure, solved.channels, plan.plan.periods, retained)
    figures = [
        channel_figure(channel, best, plan.plan.periods, currency) for channel in solved.channels
    ]
    return {
        "said": view.lead,
        "findings": best.findings,
        "headlines": [Headline(*first) for first in view.headlines],
        "gains": gains_table(gains, best, currency),
        "unsure": unsure,
        "changes": changes(view, solved, currency, next_money(store, plan, solved)),
        "figures": figures,
        "legend": legend(figures),
        "frontier": frontier_figure(store, plan, solved, currency),
        "costs": costs(solved, currency),
        "notes": best.notes,
    }


GAINS = (
    Column("If the money goes to"),
    Column("More than today's split", "number"),
    Column("90% sure: between", "number"),
    Column("Better than today", "number"),
    Column("Rests on"),
)


def gains_table(gains: Sequence[SplitGain], best: Allocation, currency: str) -> Table | None:
    """With and without retention: the gain over today's split, how sure it is, what it rests on."""
    if not gains:
        return None
    rows = [
        (
            sentence(gain.split).rstrip("."),
            money(gain.expected, currency),
            NONE if gain.sure is None else _between(gain.sure, currency),
            NONE if gain.sure is None else percent(gain.sure.probability_better),
            chip(gain.basis),
        )
        for gain in gains
    ]
    over = f", over {span(best.horizon)}" if best.horizon else ""
    return Table(f"Expected profit above today's split of the money{over}", GAINS, rows)


def _between(sure: PlanGain, currency: str) -> str:
    return " to ".join(money(end, currency) for end in (sure.low, sure.high))


NEXT = 10_000.0  # of budget, and where its best use is


def next_money(store: Store, plan: PublishedPlan, solved: Solved) -> dict[str, float]:
    """Where the next ``NEXT`` of budget would go, by option; nothing where no plan uses it."""
    setting = replace(solved.setting, budget=solved.setting.budget + NEXT)
    try:
        more = PlanView.of(solve(store, plan, setting).allocation)
    except (InputError, PlanError):
        return {}
    before = PlanView.of(solved.allocation)
    rows = zip((*more.rows, more.total), (*before.rows, before.total), strict=True)
    return {row.option: row.proposed - earlier.proposed for row, earlier in rows}


CHANGES = (
    Column("Where"),
    Column("Today", "number"),
    Column("Proposed", "number"),
    Column("Change", "number"),
    Column("Of the next 10,000", "number"),
    Column("New customers", "number"),
    Column("CAC", "number"),
    Column("Next CAC", "number"),
    Column("Value : CAC", "number"),
    Column("Rests on"),
    Column("Why not more or less", "prose"),
)


def changes(view: PlanView, solved: Solved, currency: str, more: Mapping[str, float]) -> Table:
    """What to change, option by option, and in all."""
    best, locked = solved.allocation, dict(solved.setting.held)
    over = f", values over {span(best.horizon)}" if best.horizon else ""
    rows = [
        _change(row, best, currency, row.option in locked, more.get(row.option))
        for row in (*view.rows, view.total)
    ]
    return Table(f"What to change{over}", CHANGES, rows, marked=(len(rows) - 1,))


def _change(
    row: PlanRow, best: Allocation, currency: str, locked: bool, more: float | None
) -> tuple[Cell, ...]:
    contacted = f"{counted(round(best.retention_customers), 'customer')} kept in touch with"
    names = {RETENTION: small("Retention", contacted), IN_ALL: "In all"}
    customers = NONE if row.new_customers is None else count(round(row.new_customers))
    return (
        names.get(row.option, row.option),
        money(row.today, currency),
        small(money(row.proposed, currency), "untried")
        if row.untried
        else money(row.proposed, currency),
        _moved(row, currency),
        money(None if more is None else float(round(more)), currency),
        customers,
        money(row.average_cac, currency),
        money(row.marginal_cac, currency),
        ratio(row.ltv_to_cac),
        chip(row.basis) if row.basis else "",
        _why(row, currency, locked),
    )


def _why(row: PlanRow, currency: str, locked: bool) -> str:
    """What holds a channel there, and what was spent so far where that is another spend."""
    why = "locked" if locked else "" if row.why is None else sentence(str(row.why))
    if not row.untried or row.observed is None:
        return why
    ends = dict.fromkeys(money(end, currency) for end in row.observed)
    so_far = " to ".join(ends) if len(ends) > 1 else f"always {min(ends)}"
    untried = f"Spent so far: {so_far}; its curve is a guess here."
    return f"{sentence(why)} {untried}" if why else untried


def _moved(row: PlanRow, currency: str) -> Cell:
    if row.today is None:
        return NONE
    step = row.proposed - row.today
    if abs(step) < 0.5:
        return "none"
    sign = "+" if step > 0 else ""
    share = "new" if row.change is None else change(row.change)
    return small(f"{sign}{money(step, currency)}", share)


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
    store: Store,
    plan: PublishedPlan,
    solved: Solved,
    saved: Sequence[Setting],
    currency: str,
    kept: Sequence[SavedPlan] = (),
) -> Table | None:
    """The plan on the page beside those that were saved, by the names they are kept under."""
    if not saved:
        return None
    plans, wrong = {HERE: solved.allocation}, []
    names = {one.setting: one.name for one in kept}
    letters = zip("ABCD", saved, strict=False)
    headings = [HERE, *(names.get(one.text, f"Plan {letter}") for letter, one in letters)]
    for name, setting in zip(headings[1:], saved, strict=True):
        try:
            plans[name] = solve(store, plan, setting).allocation
        except (InputError, PlanError):  # of a channel that is gone, too
            wrong.append(name)
    rows = {row["scenario"]: row for row in compare(plans, backend="pyarrow").to_pylist()}
    body: list[list[Cell]] = [
        [label, *(write(rows.get(name, {})) for name in headings)]
        for label, write in _measures(list(rows.values()), currency)
    ]
    body.append(["Held", *(_locks(one, currency) for one in (solved.setting, *saved))])
    body.append(["Saved", "", *(_links(one, solved.setting, saved) for one in saved)])
    caption = "The plan above beside others; those with a letter are in this page's address alone"
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
    yield "Value : CAC", lambda row: ratio(row.get("portfolio_ltv_to_cac"))
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


def _kept(one: SavedPlan, shown: Setting, saved: Sequence[Setting]) -> dict[str, Any]:
    """A plan that was saved, where it opens, and where it stands beside the plan on the page."""
    setting = Setting.parse(one.setting)
    room = setting not in saved and len(saved) < MOST
    return {
        "name": one.name,
        "note": one.note,
        "said": f"saved {day(one.saved)} by {one.owner}",
        "open": link_to(setting, saved),
        "beside": link_to(shown, [*saved, setting]) if room else "",
    }
