"""Overview: what the base is worth, who carries it, if the last forecast held, who is eligible.

All of it comes from what the store has added up already: segments and documents, no customer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from clv.findings import Note, page_sentence_of
from clv.format import count, counted, large_money, money, number, percent
from clv.report.charts import Cell, Chart, Column, Series, Table, bar, line_chart, share_axis
from clv.spans import span
from clv.store import Store
from clv.web.page import model_report
from clv.web.page.frame import Page, Room, room
from clv.web.page.model_report import outcome_figure
from clv.web.page.overview_answers import brief
from clv.web.page.tables import Address, Empty, Headline, link
from clv.web.page.trends import (
    RUN_FIGURES,
    age_of,
    figure_of,
    month_charts,
    month_span,
    run_chart,
    run_span,
)
from clv.web.page.what_changed import what_changed

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
    since = model_report.monitored(documents["monitor"])
    before = model_report.last(
        model_report.outcomes(model_report.rolling_of(documents["model_card"]))
    )
    return {
        "store": store,
        "early": page.has("retention"),  # its first look at a store takes longest
        "changed": what_changed(store, page),
        "old": age_of(str(store.terms["as_of"]), dt.date.today()),
        "runs": run_chart(store, page),
        "run_figures": list(RUN_FIGURES.items()),
        "run_figure": figure_of(page),
        "months": month_charts(store, page),
        "spans": {"months": month_span(store, page), "runs": run_span(store, page)},
        "brief": brief(store, segments, documents, page),
        "headlines": headlines(store, segments, documents, repeat),
        "tiers_lead": _tiers_lead(documents["concentration"], segments["tier"]),
        "tiers": tiers(segments["tier"], currency, page),
        "lorenz": lorenz(segments, documents["concentration"]),
        "outcomes": _outcomes(before, since),
        "eligible": eligible(segments, currency, page),
        "notes": notes(store, documents),
        "reasons": [
            page_sentence_of(reason, currency)
            for reason in (documents["total"] or {}).get("reasons", ())
        ],
    }


def headlines(
    store: Store, segments: Mapping[str, Sequence[Segment]], documents: Any, repeat: Any
) -> list[Headline]:
    """The figures that come first."""
    currency = str(store.terms.get("currency") or "")
    top = documents["concentration"]
    figures = [
        _value(store, segments["tier"], documents["total"]),
        Headline("Customers", count(store.customers), _may_contact(segments)),
    ]
    if top:
        lost = f"{large_money(top['at_risk'], currency)} go with them if they leave"
        share = _held_by_top(top, segments["tier"])
        figures.append(Headline("Held by the top 1%", percent(share), lost, "estimated"))
    risk = sum(tier["at_risk"] for tier in segments["tier"])
    churn = store.terms.get("churn_horizon")
    within = f"churn within {span(churn)} × value at stake" if churn else "churn × value at stake"
    return [
        *figures,
        _repeat(repeat, documents["model_card"]),
        Headline("Value at risk", large_money(risk, currency), within, "estimated"),
    ]


def _value(store: Store, tiers: Sequence[Segment], total: Any) -> Headline:
    """The value of the base, with its interval or why there is none."""
    currency = str(store.terms.get("currency") or "")
    value = large_money(sum(tier["value"] for tier in tiers), currency)
    if not total:
        detail = "No interval, because no total was published with these scores."
    elif total["customers"] != store.customers:
        customers = counted(total["customers"], "customer")
        detail = f"No interval, because the total that was published is of {customers}."
    else:
        low, high = large_money(total["low"], currency), large_money(total["high"], currency)
        detail = f"{percent(total['level'])} between {low} and {high}"
    label = f"Value of the base, next {span(store.terms['horizon'])}"
    return Headline(label, value, detail, "estimated")


def _may_contact(segments: Mapping[str, Sequence[Segment]]) -> str:
    if "eligible" not in segments:
        return "scored; who may be contacted is not known"
    yes = sum(
        segment["customers"] for segment in segments["eligible"] if segment["segment"] == "eligible"
    )
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


def _held_by_top(top: Any, tiers: Sequence[Segment]) -> float:
    """The share of the value of the tier of the top 1%: of whole customers, as its row has it."""
    best = [tier["share"] for tier in tiers if tier["segment"] == "top 1%"]
    return float(best[0] if best else top["top_1"])


def _tiers_lead(top: Any, tiers: Sequence[Segment]) -> str:
    if not top:
        return "No customer has any value still to come."
    lower = [tier for tier in tiers if tier["segment"] == "bottom 50%"]
    half = f", the lower half {percent(lower[0]['share'])}" if lower else ""
    return (
        f"The top 1% bring {percent(_held_by_top(top, tiers))} of the value still to come, the "
        f"top 20% bring {percent(top['top_20'])}{half}."
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


def tiers(segments: Sequence[Segment], currency: str, page: Page) -> Table:
    """A row per tier; a tick on the bar shows the share of customers."""
    everybody = sum(segment["customers"] for segment in segments) or 1
    linked = page.has("customers")
    rows = [
        (
            _named(segment["segment"], linked),
            percent(segment["share"]),
            bar(segment["share"], segment["customers"] / everybody),
            count(segment["customers"]),
            money(segment["value"], currency),
            money(segment["value"] / segment["customers"], currency),
            percent(segment["mean_churn_probability"]),
        )
        for segment in segments
    ]
    return Table("All customers by value; the tick is their share of customers", TIERS, rows)


def _named(tier: str, linked: bool) -> Cell:
    label = tier[:1].upper() + tier[1:]
    return link(label, Address(ALL).but(tiers=tier)) if linked else label


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
    summary = _tiers_lead(top, segments["tier"])
    rows = [(percent(p), percent(v)) for p, v in points]
    columns = (Column("Best customers", "number"), Column("hold of the value", "number"))
    return line_chart(
        title,
        summary,
        series,
        share,
        value,
        Table("Share of all customers, and of all value", columns, rows),
        f"Gini {number(top['gini'])}: 0 where all are worth the same, 1 where one holds all.",
    )


def _carried(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    """Shares of customers and of value up to the end of each segment, the best first."""
    everybody = sum(segment["customers"] for segment in segments) or 1
    points, customers, value = [], 0, 0.0
    for segment in segments:
        customers, value = customers + segment["customers"], value + segment["share"]
        points.append((round(customers / everybody, 9), round(min(value, 1.0), 9)))
    return points


def _outcomes(
    before: Sequence[model_report.Outcome], since: Sequence[model_report.Outcome]
) -> Chart | Empty:
    """The last window of the backtest, and what came since."""
    outcomes = [*before, *since]
    if not outcomes:
        return Empty(
            "No forecast has been put to the test",
            "The model was published without a backtest, and nothing was monitored since.",
            "Train with origins in [holdout], or run clv monitor on a newer log.",
        )
    caption = "The model saw nothing after the day named; totals of the customers known then."
    return outcome_figure(outcomes, "Actual against predicted", caption)


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
    answered = [(*answers[segment["segment"]], segment) for segment in segments["eligible"]]
    answered += [
        (f"No: {segment['segment']}", {"reasons": segment["segment"]}, segment)
        for segment in segments.get("reason", ())
        if segment["segment"] != "none"
    ]
    everybody = sum(segment["customers"] for segment in segments["eligible"]) or 1
    rows = [
        (
            link(answer, Address(ALL).but(**those)) if page.has("customers") else answer,
            percent(segment["customers"] / everybody),
            bar(segment["customers"] / everybody, tone="3" if answer == "Yes" else "6"),
            count(segment["customers"]),
            money(segment["value"], currency),
        )
        for answer, those, segment in answered
    ]
    return Table("All customers who were scored; below No, its reasons", ELIGIBLE, rows)


def notes(store: Store, documents: Mapping[str, Any]) -> list[Note]:
    """What the figures rest on."""
    card, lines = documents["model_card"] or {}, []
    if card.get("terms"):
        lines.append(
            Note(
                f"All money is {model_report.terms_in_words(card, store.terms)}.",
                model_report.terms_are(card),
            )
        )
    if card.get("value_at_stake"):
        lines.append(Note(f"Value at stake: {card['value_at_stake']}.", "assumed"))
    return lines + [Note(note.text, note.chip) for note in store.notes]
