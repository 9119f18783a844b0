"""Overview: what the base is worth, who carries it, if the last forecast held, who is eligible.

All of it comes from what the store has added up already: segments and documents, no customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from clv.findings import Note
from clv.format import count, counted, large_money, money, percent, sentence
from clv.report.charts import Cell, Chart, Column, Series, Table, bar, line_chart, share_axis
from clv.store import Store
from clv.web.page import model_report
from clv.web.page.frame import Page, Room, room
from clv.web.page.model_report import outcome_figure
from clv.web.page.overview_answers import brief
from clv.web.page.tables import Address, Empty, Headline, link

Segment = Mapping[str, Any]
ALL = "/customers"  # the room where customers are listed

router = APIRouter()
ROOM = Room("overview", "/", "Overview", router)


@router.get("/")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "overview.html", content, title="Overview", active="overview")


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows."""
    segments, currency = store.segments(), str(store.terms.get("currency") or "")
    documents = {n: store.document(n) for n in ("concentration", "total", "model_card", "monitor")}
    repeat = store.document("repeat_revenue")
    known = model_report.monitored(documents["monitor"])
    before = model_report.last(
        model_report.outcomes(model_report.rolling_of(documents["model_card"]))
    )
    return {
        "store": store,
        "early": page.has("retention"),  # its first look at a store takes longest
        "brief": brief(store, segments, documents, page),
        "headlines": headlines(store, segments, documents, repeat),
        "tiers_lead": _tiers_lead(documents["concentration"], segments["tier"]),
        "tiers": tiers(segments["tier"], currency, page),
        "lorenz": lorenz(segments, documents["concentration"]),
        "outcomes": _outcomes(before, known),
        "eligible": eligible(segments, currency, page),
        "notes": notes(store, documents),
        "reasons": [sentence(one) for one in (documents["total"] or {}).get("reasons", ())],
    }


def headlines(
    store: Store, segments: Mapping[str, Sequence[Segment]], documents: Any, repeat: Any
) -> list[Headline]:
    """The figures that come first."""
    currency = str(store.terms.get("currency") or "")
    top = documents["concentration"]
    shown = [
        _value(store, segments["tier"], documents["total"]),
        Headline("Customers", count(store.customers), _may_contact(segments)),
    ]
    if top:
        lost = f"{large_money(top['at_risk'], currency)} go with them if they leave"
        shown.append(Headline("Held by the top 1%", percent(top["top_1"]), lost, "estimated"))
    risk = sum(one["at_risk"] for one in segments["tier"])
    churn = store.terms.get("churn_horizon")
    within = f"churn within {churn} × value at stake" if churn else "churn × value at stake"
    return [
        *shown,
        _repeat(repeat, documents["model_card"]),
        Headline("Value at risk", large_money(risk, currency), within, "estimated"),
    ]


def _value(store: Store, tiers: Sequence[Segment], total: Any) -> Headline:
    """The value of the base, with its interval or why there is none."""
    currency = str(store.terms.get("currency") or "")
    value = large_money(sum(one["value"] for one in tiers), currency)
    if not total:
        detail = "No interval, because no total was published with these scores."
    elif total["customers"] != store.customers:
        of = counted(total["customers"], "customer")
        detail = f"No interval, because the total that was published is of {of}."
    else:
        low, high = large_money(total["low"], currency), large_money(total["high"], currency)
        detail = f"{total['level']:.0%} between {low} and {high}"
    label = f"Value of the base, next {store.terms['horizon']}"
    return Headline(label, value, detail, "estimated")


def _may_contact(segments: Mapping[str, Sequence[Segment]]) -> str:
    if "eligible" not in segments:
        return "scored; who may be contacted is not known"
    yes = sum(one["customers"] for one in segments["eligible"] if one["segment"] == "eligible")
    return f"{count(yes)} of them may be contacted"


def _repeat(repeat: Any, card: Any) -> Headline:
    """Repeat business: of the revenue where that was published, else of the customers."""
    if repeat:
        who = f"by {count(repeat['repeat_buyers'])} of {count(repeat['customers'])} customers"
        since = f" since {repeat['since']}" if repeat.get("since") else ""
        label = "Revenue from repeat purchases"
        return Headline(label, percent(repeat["share"]), who + since, "measured")
    training = (card or {}).get("training") or {}
    if not training.get("customers") or "repeat_buyers" not in training:
        return Headline("Repeat share", "not known", "neither a card nor a log was published")
    share = training["repeat_buyers"] / training["customers"]
    detail = f"of {count(training['customers'])} customers the model learned from"
    return Headline("Bought again", percent(share), detail, "measured")


def _tiers_lead(top: Any, tiers: Sequence[Segment]) -> str:
    if not top:
        return "No customer has any value still to come."
    lower = [one for one in tiers if one["segment"] == "bottom 50%"]
    half = f", the lower half {percent(lower[0]['share'])}" if lower else ""
    return (
        f"The top 1% bring {percent(top['top_1'])} of the value still to come, the top 20% bring "
        f"{percent(top['top_20'])}{half}."
    )


TIERS = (
    Column("Tier"),
    Column("Share of value", "number"),
    Column("As a bar", "chart"),
    Column("Customers", "number"),
    Column("Value", "number"),
    Column("Per customer", "number"),
    Column("Mean churn risk", "number"),
)


def tiers(found: Sequence[Segment], currency: str, page: Page) -> Table:
    """A row per tier; a tick on the bar shows the share of customers."""
    everybody = sum(one["customers"] for one in found) or 1
    linked = page.has("customers")
    rows = [
        (
            _named(one["segment"], linked),
            percent(one["share"]),
            bar(one["share"], one["customers"] / everybody),
            count(one["customers"]),
            money(one["value"], currency),
            money(one["value"] / one["customers"], currency),
            percent(one["mean_churn_probability"]),
        )
        for one in found
    ]
    return Table("All customers by value; the tick is their share of customers", TIERS, rows)


def _named(tier: str, linked: bool) -> Cell:
    shown = tier[:1].upper() + tier[1:]
    return link(shown, Address(ALL).but(tiers=tier)) if linked else shown


def lorenz(segments: Mapping[str, Sequence[Segment]], top: Any) -> Chart | None:
    """How much of the value the best customers hold, from the sums of tiers and deciles."""
    if not top:
        return None
    points = sorted({(0.0, 0.0), *_carried(segments["tier"]), *_carried(segments["decile"])})
    x, y = [p for p, _ in points], [v for _, v in points]
    share = share_axis("Share of customers, most valuable first")
    value = share_axis("Share of value")
    equal = Series("if all were worth the same", [0, 1], [0, 1], "dash", "6")
    label = "value still to come"
    series = [Series(label, x, y), Series(label, x, y, "dots"), equal]
    title = "How few carry the value"
    said = _tiers_lead(top, segments["tier"])
    rows = [(percent(p), percent(v)) for p, v in points]
    columns = (Column("Best customers", "number"), Column("hold of the value", "number"))
    return line_chart(
        title,
        said,
        series,
        share,
        value,
        Table("Share of all customers, and of all value", columns, rows),
        f"Gini {top['gini']:.2f}: 0 where all are worth the same, 1 where one holds all.",
    )


def _carried(found: Sequence[Segment]) -> list[tuple[float, float]]:
    """Shares of customers and of value up to the end of each segment, the best first."""
    everybody = sum(one["customers"] for one in found) or 1
    points, customers, value = [], 0, 0.0
    for one in found:
        customers, value = customers + one["customers"], value + one["share"]
        points.append((round(customers / everybody, 9), round(min(value, 1.0), 9)))
    return points


def _outcomes(
    before: Sequence[model_report.Outcome], since: Sequence[model_report.Outcome]
) -> Chart | Empty:
    """The last window of the backtest, and what came since."""
    found = [*before, *since]
    if not found:
        return Empty(
            "No forecast has been put to the test",
            "The model was published without a backtest, and nothing was monitored since.",
            "Train with origins in [holdout], or run clv monitor on a newer log.",
        )
    caption = "The model saw nothing after the day named; totals of the customers known then."
    return outcome_figure(found, "Actual against predicted", caption)


ELIGIBLE = (
    Column("May be contacted"),
    Column("Share", "number"),
    Column("As a bar", "chart"),
    Column("Customers", "number"),
    Column("Value", "number"),
)


def eligible(segments: Mapping[str, Sequence[Segment]], currency: str, page: Page) -> Table | Empty:
    """Who may be contacted, and why not."""
    if "eligible" not in segments:
        return Empty(
            "The scores do not say who may be contacted",
            "Until they do, lists and plans count everybody.",
            "Run clv targets with --eligibility, and publish what it wrote: clv publish "
            "--eligibility.",
        )
    answers = {"eligible": ("Yes", {"eligible": "yes"}), "not eligible": ("No", {"eligible": "no"})}
    shown = [(*answers[one["segment"]], one) for one in segments["eligible"]]
    shown += [
        (f"No: {one['segment']}", {"reasons": one["segment"]}, one)
        for one in segments.get("reason", ())
        if one["segment"] != "none"
    ]
    everybody = sum(one["customers"] for one in segments["eligible"]) or 1
    rows = [
        (
            link(said, Address(ALL).but(**those)) if page.has("customers") else said,
            percent(one["customers"] / everybody),
            bar(one["customers"] / everybody, tone="3" if said == "Yes" else "6"),
            count(one["customers"]),
            money(one["value"], currency),
        )
        for said, those, one in shown
    ]
    return Table("All customers who were scored; below No, its reasons", ELIGIBLE, rows)


def notes(store: Store, documents: Mapping[str, Any]) -> list[Note]:
    """What the figures rest on."""
    card, found = documents["model_card"] or {}, []
    if card.get("terms"):
        found.append(Note(f"All money is {card['terms']}.", model_report.terms_are(card)))
    if card.get("value_at_stake"):
        found.append(Note(f"Value at stake: {card['value_at_stake']}.", "assumed"))
    return found + [Note(one) for one in store.notes]
