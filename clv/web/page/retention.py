"""Retention: whom an offer would keep, for how much money, and what that is expected to earn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Request, Response

from clv.app.retention import may_contact, offer_test, profit_by_effects, profit_by_rate
from clv.decide.retention.campaign import Campaign
from clv.decide.retention.campaign_summary import CampaignSummary, OfferTotals
from clv.decide.retention.offer import HOPELESS, NEVER_PAYS, TOO_LITTLE, BetaRate, Offer
from clv.decide.retention.plan import CampaignPlan
from clv.decide.scores import RISK
from clv.errors import InputError
from clv.exports.file import write_plain
from clv.format import NONE, count, counted, large_money, money, percent, sentence
from clv.io.table_files import TABLE_FILES
from clv.report.charts import Cell, Chart, Column, Series, Table, line_chart, money_axis
from clv.report.plots import plot_power
from clv.spans import span
from clv.store import Store
from clv.web.access.forms import MOST_FORM
from clv.web.download import DownloadFile, download, require_kind
from clv.web.page.frame import Frame, Page, Room, room, visitor_of
from clv.web.page.past_campaigns import campaign_names, campaigns_table, list_of, measured_rate
from clv.web.page.retention_form import BY_EFFECTS, BY_RATE, CampaignForm, form_as_typed, read_form
from clv.web.page.retention_lists import campaign_lists, with_what_is_known
from clv.web.page.tables import Empty, Headline, chip, small
from clv.web.problems import ProblemError

POINTS = 60  # of the curve
IN_HEADLINES = ("campaign.audience", "campaign.totals", "campaign.totals_range")

router = APIRouter()
ROOM = Room("retention", "/retention", "Retention", router)


@router.get("/retention")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "retention.html", content, title="Retention", active="retention")


def warm(store: Store) -> None:
    """Plan for the offer that the form begins with, before anybody asks."""
    if store.count(may_contact(store)):
        read_form(store, {})


@router.post("/retention/export")
async def export(request: Request) -> Response:
    """The list as a file: exactly the campaign that the page shows; a line of the audit says so."""
    body = await request.body()
    if len(body) > MOST_FORM:
        raise ProblemError(413, "large-form", f"A form may have {count(MOST_FORM)} bytes.")
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=100))
    except ValueError as error:
        raise ProblemError(400, "no-form", "The request is no form that can be read.") from error
    kind = require_kind(fields.get("kind", "csv"))
    frame: Frame = request.app.state.frame

    def made(folder: Path) -> DownloadFile:
        with frame.stores.borrow() as store:
            if name := fields.get("campaign"):
                file = write_plain(list_of(store, name), folder / f"campaign.{kind}")
                return DownloadFile(file, {"campaign": name}, store.stated)
            form, prepared = read_form(store, fields)
            path = folder / f"retention-{store.terms['as_of']}.{kind}"
            plan = CampaignPlan.within(prepared, form.budget.value)
            best = plan.best().to_arrow()
            table = pa.Table.from_batches(best.to_batches(), best.schema)  # of nobody, too
            file = write_plain(with_what_is_known(store, table, visitor_of(request)), path)
            return DownloadFile(file, dict(form.fields), store.stated)

    return await download(request, made)


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows; what is wrong with the address is said above the form."""
    if not store.once(_reachable):
        return {"nobody": NOBODY}
    currency, query = str(store.terms.get("currency") or ""), dict(page.address.query)
    try:
        form, prepared = read_form(store, query)
    except InputError as error:
        refused = (sentence(error.message), sentence(error.hint or ""))
        return {"nobody": None, "refused": refused, "form": form_as_typed(store, query)}
    plan = CampaignPlan.within(prepared, form.budget.value)
    summary = plan.summary
    says = [f for f in summary.findings if f.code not in IN_HEADLINES]
    return {
        "nobody": None,
        "refused": None,
        "form": form,
        "said": summary.lead,
        "headlines": headlines(summary, form, currency),
        "curve": curve(prepared, summary, currency),
        "left_out": left_out(store, summary),
        "test": test_of(store, form.offer) if form.source == "assumed" else None,
        "campaigns": campaigns_table(store, currency),
        "campaign_names": campaign_names(store),
        "files": list(TABLE_FILES.values()),
        "rates": rates(store, plan, form, currency),
        "rate": f"Counted {_at_rate(summary.offers[0])}." if summary.audience else "",
        "lists": campaign_lists(store, plan, currency, page),
        "chosen": list(form.fields),
        "points": [f for f in says if not f.chip],
        "notes": [f for f in says if f.chip],
    }


def _reachable(store: Store) -> int:
    """How many may be contacted."""
    return store.count(may_contact(store))


NOBODY = Empty(
    "Nobody may be contacted",
    "The scores say that no customer is eligible.",
    "Look at the column eligible of the scores.",
)


def test_of(store: Store, offer: Offer) -> dict[str, Any] | None:
    """What it would take to measure the save rate, if it is assumed."""
    test = offer_test(store, offer)
    if test is None:
        return None
    return {"points": test.findings, "power": plot_power(test.planned)}


def headlines(summary: CampaignSummary, form: CampaignForm, currency: str) -> list[Headline]:
    """The figures that come first: the break-even, and a profit only where a rate was measured."""
    (offer,) = summary.offers
    unspent = "all of it" if not summary.unspent else f"{money(summary.unspent, currency)} left"
    held = f"{counted(summary.control, 'customer')} held out as control"
    figures = [
        _break_even(summary, offer, form),
        Headline("Audience", count(summary.audience), held),
        Headline(
            "Cost",
            large_money(summary.cost, currency),
            f"of a budget of {money(summary.budget, currency)}; {unspent}",
        ),
    ]
    if offer.save_rate_source == "measured":
        ends = " to ".join(large_money(end, currency) for end in summary.profit_range)
        profit = large_money(summary.expected_profit, currency)
        rests = "at the save rate" if offer.save_rate is not None else "by the effects"
        at = f"{ends}, {rests} that {'was' if offer.save_rate is not None else 'were'} measured"
        figures.insert(1, Headline("Expected profit", profit, at, "measured"))
    return figures


def _break_even(summary: CampaignSummary, offer: OfferTotals, form: CampaignForm) -> Headline:
    """From what on the campaign pays: a share of leavers, or of the gain that was measured."""
    if not summary.audience:
        return Headline("Break-even save rate", NONE, "nobody is contacted")
    if offer.save_rate is None:
        must_come = f"of the gain that {offer.name} measured must come for it to pay"
        return Headline("Break-even", percent(summary.break_even_gain), must_come, "estimated")
    must_stay = "of those about to leave must stay for the offer to pay"
    if form.source == BY_RATE:
        must_stay = "of those who have left must come back for the offer to pay"
    even = percent(offer.break_even_save_rate)
    return Headline("Break-even save rate", even, must_stay, "estimated")


def rates(store: Store, plan: CampaignPlan, form: CampaignForm, currency: str) -> Table | None:
    """What the list would earn at a low, a middle and a high save rate, and as was measured."""
    if not plan.summary.audience or RISK not in plan.campaign.scores.measures:
        return None
    offer, chosen = form.offer, form.source in (BY_RATE, BY_EFFECTS)
    if chosen:  # the rates that would be assumed without it
        usual: Any = {"save_rate": BetaRate(), "save_rate_source": "assumed", "leavers": "silent"}
        offer = replace(offer, **usual)
    earned, (low, high) = profit_by_rate(plan, offer), offer.save_rate_range
    rows: list[tuple[Cell, ...]] = [
        (percent(rate), money(earned(rate), currency), chip(offer.save_rate_source))
        for rate in dict.fromkeys((low, offer.mean_save_rate, high))
    ]
    rows += _as_measured(store, plan, form, currency)
    columns = (Column("If it saves", "number"), Column("It earns", "number"), Column("Rests on"))
    caption = "Profit of this list by the share of leavers who stay"
    return Table(caption, columns, rows, (3,) if chosen else ())


def _as_measured(
    store: Store, plan: CampaignPlan, form: CampaignForm, currency: str
) -> Iterator[tuple[Cell, Cell, Cell]]:
    """The rows of what campaigns measured, that which the list is planned by first."""
    if form.source == BY_RATE:
        rate, ends = form.offer.mean_save_rate, _between(form.offer.save_rate_range, percent)
        saved = small(f"{percent(rate)} of those gone", f"{ends}, by {form.rate_by}")
        profit = _earns(plan.summary.expected_profit, plan.summary.profit_range, currency)
        yield saved, profit, chip("measured")
    if form.measured_by is not None:
        mean, *interval = profit_by_effects(store, plan)
        yield _saved(store, form.measured_by), _earns(mean, interval, currency), chip("measured")


def _saved(store: Store, name: str) -> Cell:
    """The share of leavers that the last campaign saved; its effects are by customer."""
    rate = measured_rate(store)
    if rate is None:
        return f"by customer, as {name}"
    interval = _between((rate[1]["low"], rate[1]["high"]), percent)
    return small(percent(rate[1]["mean"]), f"{interval}, by customer, by {rate[0]}")


def _earns(profit: float, ends: Sequence[float], currency: str) -> Cell:
    return small(money(profit, currency), _between(ends, lambda end: money(end, currency)))


def _between(ends: Sequence[float], written: Callable[[float], str]) -> str:
    return " to ".join(map(written, ends))


def curve(prepared: Campaign, summary: CampaignSummary, currency: str) -> Chart | None:
    """Profit at every budget, at the middle save rate, with the one chosen."""
    gains = prepared.gain_curve
    if not len(gains) or gains.spent[-1] <= 0:
        return None
    most = float(gains.spent[-1])
    budgets = np.unique(np.append(most * np.linspace(0, 1, POINTS) ** 2, summary.cost))
    profits = np.array([gains.gain_at(budget) - budget for budget in budgets.tolist()])
    people = [int(gains.customers_at(budget)) for budget in budgets.tolist()]
    title = "What a bigger or smaller budget would earn"
    description = (
        "Expected profit rises with the budget, ever more slowly, up to "
        f"{money(profits[-1], currency)} for {money(most, currency)}."
    )
    series = [
        Series("expected profit", budgets.tolist(), profits.tolist()),
        Series("this budget", [summary.cost], [summary.expected_profit], "dots", "2"),
    ]
    x = money_axis(0, most, currency, "Spent on the campaign")
    y = money_axis(0, float(profits.max()), currency, "Expected profit")
    (offer,) = summary.offers
    rate = _at_rate(offer)
    caption = (
        f"Counted {rate}. Customers who gain most for their cost come first, so every further "
        f"unit of money earns less. Value is counted over {span(summary.horizon)}."
    )
    table = _curve_table(budgets, people, profits, summary.cost, currency)
    return line_chart(title, description, series, x, y, table, caption)


def _at_rate(offer: OfferTotals) -> str:
    """What a profit holds at, with how far that is known."""
    if offer.save_rate is None:
        return f"by the effects that {offer.name} measured"
    return f"at a save rate of {percent(offer.save_rate)}, {offer.save_rate_source}"


def _curve_table(budgets: Any, people: Any, profits: Any, cost: float, currency: str) -> Table:
    """Some points of the curve, that of this budget among them."""
    here = int(np.argmin(np.abs(budgets - cost)))
    points = np.unique([*np.linspace(0, len(budgets) - 1, 9).astype(int), here]).tolist()
    rows = [
        (money(budgets[k], currency), count(people[k]), money(profits[k], currency)) for k in points
    ]
    columns = (
        Column("Spent", "number"),
        Column("Customers contacted", "number"),
        Column("Expected profit", "number"),
    )
    caption = "Expected profit by money spent, best customers first"
    return Table(caption, columns, rows, (points.index(here),))


def left_out(store: Store, summary: CampaignSummary) -> Table:
    """Why the others are not contacted."""
    rows: list[tuple[Cell, Cell]] = [
        (sentence(reason), count(number)) for reason, number in store.once(_not_eligible)
    ]
    rows += [
        (small(sentence(reason), why) if (why := _why(reason)) else sentence(reason), count(number))
        for reason, number in summary.not_contacted.items()
    ]
    if summary.control:
        why = "Drawn by chance; shows later what the campaign earned."
        rows.append((small("Control group.", why), count(summary.control)))
    columns = (Column("Not contacted, because"), Column("Customers", "number"))
    everybody = counted(store.customers, "customer")
    return Table(f"Of {everybody}, why so many are left alone", columns, rows)


def _not_eligible(store: Store) -> list[tuple[str, int]]:
    """By reason, who may not be contacted at all."""
    segments = store.segments()
    barred = [row for row in segments.get("eligible", ()) if row["segment"] != "eligible"]
    reasons = [row for row in segments.get("reason", ()) if row["segment"] != "none"]
    rows = (reasons or barred) if barred else []
    return [(f"may not be contacted: {row['segment']}", row["customers"]) for row in rows]


def _why(reason: str) -> str:
    texts = {
        HOPELESS: "Saving them costs as much as they bring.",
        NEVER_PAYS: "They are too safe, or worth too little, for any such offer.",
        TOO_LITTLE: "They are safe, or worth too little, at this save rate.",
        "beyond the budget": "They would pay: the next to be reached with more money.",
    }
    return texts.get(reason, "")
