"""Retention: whom an offer would keep, for how much money, and what that is expected to earn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

import numpy as np
from fastapi import APIRouter, Request, Response

from clv.app.retention import Ranking, may_contact, ranking
from clv.decide.retention.campaign import CampaignSummary, Funding
from clv.decide.retention.offer import HOPELESS, NEVER_PAYS, TOO_LITTLE, BetaRate, Offer
from clv.decide.retention.targets import retention_targets
from clv.errors import InputError
from clv.exports.file import write_plain
from clv.findings import Note
from clv.format import count, counted, large_money, money, percent, sentence
from clv.report.charts import Cell, Chart, Column, Series, Table, line_chart, money_axis
from clv.store import Store
from clv.web.access.forms import MOST_FORM
from clv.web.download import KINDS, Made, download
from clv.web.page.frame import Frame, Page, Room, room
from clv.web.page.sliders import SLIDE, WAS, Dial, in_currency, stops
from clv.web.page.tables import Empty, Headline, link, small
from clv.web.problems import ProblemError

FIRST = 0.1  # of what treating everybody would cost: the budget to begin with
CONTROL = 10.0  # percent
DIALS, FIELDS = (
    ("budget", "contact_cost", "incentive", "control"),
    ("source", "save_from", "save_to"),
)
SHOWN = 20  # rows of the list
POINTS = 60  # of the curve

router = APIRouter()
ROOM = Room("retention", "/retention", "Retention", router)


@dataclass(frozen=True)
class Asked:
    """What the form says.

    Attributes
    ----------
    offer, control_share
        The campaign.
    dials
        The form's, but for the budget, whose end depends on the offer.
    save
        The ends of the save rate in percent as typed; empty for the usual one.
    budget
        In currency.
    """

    offer: Offer
    control_share: float
    dials: tuple[Dial, ...]
    save: tuple[str, str]
    budget: Dial


@router.get("/retention")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "retention.html", content, title="Retention", active="retention")


def warm(store: Store) -> None:
    """Rank the customers for the offer that the form begins with, before anybody asks."""
    _asked(store, {})


@router.post("/retention/export")
async def export(request: Request) -> Response:
    """The list as a file: exactly the campaign that the page shows; a line of the audit says so."""
    body = await request.body()
    if len(body) > MOST_FORM:
        raise ProblemError(413, "large-form", f"A form may have {MOST_FORM:,} bytes.")
    try:
        form = dict(parse_qsl(body.decode(), max_num_fields=100))
    except ValueError as error:
        raise ProblemError(400, "no-form", "The request is no form that can be read.") from error
    kind = form.get("kind", "csv")
    if kind not in KINDS:
        raise InputError(f"there is no file of kind {kind[:20]!r}.", hint="use csv or parquet.")
    frame: Frame = request.app.state.frame

    def made(folder: Path) -> Made:
        with frame.stores.borrow() as store:
            asked, _ = _asked(store, form)
            path = folder / f"retention-{store.terms['as_of']}.{kind}"
            file = write_plain(_campaign(store, asked), path)
            return Made(file, dict(_chosen(asked)), store.stated)

    return await download(request, made)


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows; what is wrong with the address is said above the form."""
    if not store.count(may_contact(store)):
        return {"nobody": NOBODY}
    currency, query = str(store.terms.get("currency") or ""), dict(page.address.query)
    try:
        asked, ranked = _asked(store, query)
    except InputError as error:
        refused = (sentence(error.message), sentence(error.hint or ""))
        return {"nobody": None, "refused": refused, "form": _as_typed(store, query)}
    funding = ranked.funding(asked.budget.value)
    found = ranked.summary(funding)
    return {
        "nobody": None,
        "refused": None,
        "form": asked,
        "said": _said(found, currency),
        "headlines": headlines(found, currency),
        "curve": curve(ranked, found, currency),
        "more": _more(found, currency),
        "left_out": left_out(store, found),
        "listed": listed(ranked, funding, currency, page),
        "chosen": _chosen(asked),
        "notes": notes(ranked, found, currency),
    }


NOBODY = Empty(
    "Nobody may be contacted",
    "The scores say that no customer is eligible.",
    "Look at the column eligible of the scores.",
)


def _as_typed(store: Store, query: Mapping[str, str]) -> Asked:
    """The form with what can be read of it; the rest as at first."""
    readable: dict[str, str] = {}
    for name in (*FIELDS, *(dial + end for dial in DIALS for end in ("", SLIDE, WAS))):
        try:
            tried = readable | {name: query.get(name, "")}
            _offer(tried, "")
            Dial("budget", "Budget", 0, 0, 1, 1).read(tried)
        except InputError:
            continue
        readable = tried
    asked, _ = _asked(store, readable)
    return replace(asked, save=_typed(query))


def _asked(store: Store, query: Mapping[str, str]) -> tuple[Asked, Ranking]:
    """What a form asks for, and the customers ranked for it."""
    currency = str(store.terms.get("currency") or "")
    dials, offer = _offer(query, currency)
    share = dials[-1].value / 100
    ranked = ranking(store, offer, share)
    top, step = stops(ranked.whole_cost)
    first = min(math.ceil(FIRST * ranked.whole_cost / step) * step, top)
    unit, hint = in_currency(currency), "At the right end, everybody who is worth it"
    budget = _set(Dial("budget", "Budget", first, 0, top, step, unit, hint), query)
    return Asked(offer, share, dials, _typed(query), budget), ranked


def _offer(query: Mapping[str, str], currency: str) -> tuple[tuple[Dial, ...], Offer]:
    """The dials of the offer, and the offer that they make."""
    dials = _dials(query, currency)
    cost, incentive, _ = (dial.value for dial in dials)
    source: Literal["assumed", "measured"] = (
        "measured" if query.get("source") == "measured" else "assumed"
    )
    return dials, Offer(cost, incentive, _save_rate(*_typed(query)), source)


def _typed(query: Mapping[str, str]) -> tuple[str, str]:
    """The ends of the save rate, as they are in the form."""
    return query.get("save_from", "").strip(), query.get("save_to", "").strip()


def _dials(query: Mapping[str, str], currency: str) -> tuple[Dial, ...]:
    unit = in_currency(currency)
    given = (
        Dial("contact_cost", "Contact cost", 1, 0, 10, 0.25, unit, "For everybody contacted"),
        Dial("incentive", "Incentive", 0, 0, 50, 0.5, unit, "For everybody who redeems it"),
        Dial("control", "Control group", CONTROL, 0, 50, 1, "in %", "Held out by chance"),
    )
    found = tuple(_set(dial, query) for dial in given)
    if found[-1].value >= 100:
        raise InputError("a control group of 100% leaves nobody.", hint="give less, such as 10.")
    return found


def _set(dial: Dial, query: Mapping[str, str]) -> Dial:
    """A dial as the form has it; its slider reaches what was typed."""
    value = dial.read(query)
    top = stops(value)[0] if value > dial.high else dial.high
    step = stops(value)[1] if value > dial.high else dial.step
    return Dial(dial.name, dial.label, value, dial.low, top, step, dial.unit, dial.hint)


def _save_rate(low: str, high: str) -> BetaRate | float | tuple[float, float]:
    """A save rate from its ends in percent; one of them alone is the rate itself."""
    try:
        ends = [float(text) / 100 for text in (low, high) if text]
    except ValueError as error:
        raise InputError(
            f"a save rate from {low[:20]!r} to {high[:20]!r} is no rate.",
            hint="give percentages, such as 10 and 40.",
        ) from error
    if not ends:
        return BetaRate()
    return ends[0] if len(ends) == 1 else (ends[0], ends[1])


def _said(found: CampaignSummary, currency: str) -> str:
    """What was found, in a sentence that is also read out."""
    if not found.audience:
        return "Nobody is worth contacting within this budget."
    return (
        f"{counted(found.audience, 'customer')} to contact for {money(found.cost, currency)}, "
        f"expected to earn {money(found.expected_profit, currency)} beyond the cost."
    )


def headlines(found: CampaignSummary, currency: str) -> list[Headline]:
    """The figures that come first."""
    source: Literal["assumed", "measured"] = (
        "measured" if found.save_rate_source == "measured" else "assumed"
    )
    low, high = (large_money(end, currency) for end in found.profit_range)
    from_, to = (percent(end) for end in found.save_rate_range)
    rates = f"at save rates from {from_} to {to}" if from_ != to else f"at a save rate of {from_}"
    left = "all of it" if not found.unspent else f"{money(found.unspent, currency)} left"
    held = f"{counted(found.control, 'customer')} held out as control"
    even = found.break_even_save_rate
    return [
        Headline(
            "Expected profit",
            large_money(found.expected_profit, currency),
            f"{low} to {high}, {rates}" if from_ != to else rates,
            source,
        ),
        Headline("Audience", count(found.audience), held),
        Headline(
            "Cost",
            large_money(found.cost, currency),
            f"of a budget of {money(found.budget, currency)}; {left}",
        ),
        Headline(
            "Pays above a save rate of",
            percent(even),
            f"taken: {percent(found.save_rate)} of those about to leave"
            if even is not None
            else "nobody is contacted",
            source if even is not None else "",
        ),
    ]


def curve(ranked: Ranking, found: CampaignSummary, currency: str) -> Chart | None:
    """Expected profit at every budget, with the one chosen."""
    spent = ranked.spent
    if not len(spent) or spent[-1] <= 0:
        return None
    budgets = np.unique(np.append(spent[-1] * np.linspace(0, 1, POINTS) ** 2, found.cost))
    at = np.searchsorted(spent, budgets * (1 + 1e-12), side="right")
    profits = np.where(at > 0, ranked.earned[at - 1], 0.0)
    people = np.where(at > 0, ranked.contacted[at - 1], 0)
    title = "What a bigger or smaller budget would earn"
    said = (
        "Expected profit rises with the budget, ever more slowly, up to "
        f"{money(profits[-1], currency)} for {money(spent[-1], currency)}."
    )
    series = [
        Series("expected profit", budgets.tolist(), profits.tolist()),
        Series("this budget", [found.cost], [found.expected_profit], "dots", "2"),
    ]
    x = money_axis(0, float(spent[-1]), currency, "Spent on the campaign")
    y = money_axis(0, float(profits.max()), currency, "Expected profit")
    caption = (
        "Customers who gain most for their cost come first, so every further unit of money earns "
        f"less. Value is counted over {found.horizon}."
    )
    table = _curve_table(budgets, people, profits, found.cost, currency)
    return line_chart(title, said, series, x, y, table, caption)


def _curve_table(budgets: Any, people: Any, profits: Any, cost: float, currency: str) -> Table:
    """Some points of the curve, that of this budget among them."""
    here = int(np.argmin(np.abs(budgets - cost)))
    some = np.unique([*np.linspace(0, len(budgets) - 1, 9).astype(int), here]).tolist()
    rows = [
        (money(budgets[k], currency), count(int(people[k])), money(profits[k], currency))
        for k in some
    ]
    columns = (
        Column("Spent", "number"),
        Column("Customers contacted", "number"),
        Column("Expected profit", "number"),
    )
    caption = "Expected profit by money spent, best customers first"
    return Table(caption, columns, rows, (some.index(here),))


def _more(found: CampaignSummary, currency: str) -> str:
    """What a tenth more money would do."""
    if found.next_budget is None:
        return ""
    if not found.next_audience:
        return "More money would reach nobody else who is worth it."
    return (
        f"A tenth more, {money(found.next_budget, currency)}, would reach "
        f"{counted(found.next_audience, 'more customer')} and earn "
        f"{money(found.next_profit, currency)} beyond its cost."
    )


def left_out(store: Store, found: CampaignSummary) -> Table:
    """Why the others are not contacted."""
    rows: list[tuple[Cell, Cell]] = [
        (sentence(reason), count(number)) for reason, number in _not_eligible(store)
    ]
    rows += [
        (small(sentence(reason), why) if (why := _why(reason)) else sentence(reason), count(number))
        for reason, number in found.not_contacted.items()
    ]
    if found.control:
        why = "Drawn by chance; shows later what the campaign earned."
        rows.append((small("Control group.", why), count(found.control)))
    columns = (Column("Not contacted, because"), Column("Customers", "number"))
    everybody = counted(store.customers, "customer")
    return Table(f"Of {everybody}, why so many are left alone", columns, rows)


def _not_eligible(store: Store) -> Iterator[tuple[str, int]]:
    """By reason, who may not be contacted at all."""
    segments = store.segments()
    barred = [one for one in segments.get("eligible", ()) if one["segment"] != "eligible"]
    reasons = [one for one in segments.get("reason", ()) if one["segment"] != "none"]
    for one in (reasons or barred) if barred else ():
        yield f"may not be contacted: {one['segment']}", one["customers"]


def _why(reason: str) -> str:
    told = {
        HOPELESS: "Saving them costs as much as they bring.",
        NEVER_PAYS: "They are too safe, or worth too little, for any such offer.",
        TOO_LITTLE: "They are safe, or worth too little, at this save rate.",
        "beyond the budget": "They would pay: the next to be reached with more money.",
    }
    return told.get(reason, "")


def listed(ranked: Ranking, funding: Funding, currency: str, page: Page) -> Table:
    """The first customers of the list."""
    shown = ranked.order[: min(funding.stop, SHOWN)]
    people, treatment, linked = ranked.audience, ranked.treatment, page.has("customers")
    rows = []
    for place, at in enumerate(shown.tolist()):
        name = str(people.ids[at].as_py())
        rows.append(
            (
                link(name, f"/customers/{name}") if linked and _plain(name) else name,
                "control" if ranked.control[place] else "treat",  # as the download says
                percent(people.q[at]),
                money(people.stake[at], currency),
                money(treatment.cost[at], currency),
                money(treatment.profit[at], currency),
                percent(treatment.break_even[at]),
            )
        )
    columns = (
        Column("Customer"),
        Column("Group"),
        Column("Churn risk", "number"),
        Column("Value at stake", "number"),
        Column("Cost", "number"),
        Column("Expected profit", "number"),
        Column("Pays above a save rate of", "number"),
    )
    first = f"The first {len(rows)} of {count(funding.stop)}" if rows else "Nobody"
    return Table(
        f"{first}, by gain for the money; of those in control, what they would earn", columns, rows
    )


def _plain(name: str) -> bool:
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum()


def notes(ranked: Ranking, found: CampaignSummary, currency: str) -> list[Note]:
    """What the figures rest on."""
    said = [_on_save_rate(ranked.offer), _on_risk(ranked, found)]
    if found.control:
        forgone = money(found.control_forgone_profit, currency)
        words = f"Leaving the control group alone gives up {forgone}: the price of knowing what the"
        said.append(Note(f"{words} campaign earned.", "estimated"))
    return [*said, SLEEPING_DOGS]


SLEEPING_DOGS = Note(
    "Sleeping dogs, whom a contact would drive away, are not known from scores: one rate is taken "
    "for everybody. A campaign with a control group and clv targets --campaign finds them.",
    "assumed",
)


def _on_save_rate(offer: Offer) -> Note:
    low, high = (percent(end) for end in offer.save_rate_range)
    how = (
        "The save rate comes from a campaign with a control group"
        if offer.save_rate_source == "measured"
        else "Nobody has measured the save rate; the control group of this campaign would"
    )
    rate = f"{percent(offer.mean_save_rate)} of those about to leave are saved ({low} to {high})"
    return Note(f"{how}: {rate}.", offer.save_rate_source)


def _on_risk(ranked: Ranking, found: CampaignSummary) -> Note:
    within = ranked.audience.terms.get("churn_horizon")
    about = f" within {within}" if within else ""
    words = f"Churn risk is the chance of no purchase{about}; value at stake is over"
    return Note(f"{words} {found.horizon}.", "estimated")


def _chosen(asked: Asked) -> list[tuple[str, str]]:
    """The campaign as hidden fields of the download."""
    fields = [(dial.name, dial.number) for dial in (asked.budget, *asked.dials)]
    fields += [("save_from", asked.save[0]), ("save_to", asked.save[1])]
    return [*fields, ("source", asked.offer.save_rate_source)]


def _campaign(store: Store, asked: Asked) -> Any:
    """The whole list with its control group."""
    people = store.campaign_table(may_contact(store))
    share = asked.control_share
    return retention_targets(people, asked.offer, asked.budget.value, control_share=share).table
