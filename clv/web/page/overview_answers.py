"""The first screen in short: who matters, whom to keep, where to spend, how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clv.app.channel_findings import best_for_cost, losing, published
from clv.format import counted, large_money, money, percent
from clv.spans import span
from clv.store import Store
from clv.web.page import model_report
from clv.web.page.channels import ratio
from clv.web.page.frame import Page
from clv.web.page.tables import Address

NO_BREAK = "\u00a0"
Segment = Mapping[str, Any]
Segments = Mapping[str, Sequence[Segment]]


@dataclass(frozen=True)
class OverviewAnswer:
    """What a manager asks first, a short answer, and where to read on.

    ``links`` are (label, address), only to rooms that the visitor may enter.
    """

    question: str
    text: str
    links: Sequence[tuple[str, str]]


def brief(
    store: Store,
    segments: Mapping[str, Sequence[Segment]],
    documents: Mapping[str, Any],
    page: Page,
) -> list[OverviewAnswer]:
    """The four answers, of what was published."""
    currency, tiers = str(store.terms.get("currency") or ""), segments["tier"]
    first = Address("/customers").but(tiers=tiers[0]["segment"])
    texts = [
        ("Who matters", who_matters(tiers, documents["concentration"], currency)),
        ("Whom to keep", whom_to_keep(store, tiers, currency)),
        ("Where to spend", where_to_spend(store, currency)),
        ("How far to trust it", how_far(documents)),
    ]
    links = (
        [("customers", f"See the {tiers[0]['segment']}", first)],
        [
            ("retention", "Plan a campaign", "/retention"),
            ("customers", "Those with most at stake", "/customers?sort=value_at_stake"),
        ],
        [("channels", "Compare channels", "/channels"), ("budget", "Split the budget", "/budget")],
        [("trust", "See all tests", "/trust")],
    )
    return [
        OverviewAnswer(
            question, text, [(label, to) for section, label, to in those if page.has(section)]
        )
        for (question, text), those in zip(texts, links, strict=True)
    ]


def who_matters(tiers: Sequence[Segment], top: Any, currency: str) -> str:
    """How few bring how much."""
    if not top:
        return "Nobody: no customer has any value still to come."
    best = tiers[0]
    who = counted(best["customers"], "customer")
    each = money(best["value"] / best["customers"], currency)
    return (
        f"The {best['segment']}, {who}, bring {percent(best['share'])} of the value still to come: "
        f"{each} each."
    )


def whom_to_keep(store: Store, tiers: Sequence[Segment], currency: str) -> str:
    """What is at risk, and where most of it is."""
    risk = sum(tier["at_risk"] for tier in tiers)
    if not risk:
        return "Nothing is at risk."
    most = max(tiers, key=lambda tier: float(tier["at_risk"]))
    churn = store.terms.get("churn_horizon")
    part = "most of it" if most["at_risk"] > risk / 2 else "the largest part of it"
    return (
        f"Keeping all who would leave{f' within {span(churn)}' if churn else ''} would be worth "
        f"{large_money(risk, currency)}, {part} among the {most['segment']} by value: "
        f"{large_money(most['at_risk'], currency)}. An offer pays for some of them."
    )


def where_to_spend(store: Store, currency: str) -> str:
    """The channel that returns most for its cost, and those that do not earn theirs back."""
    rows = published(store)
    best = best_for_cost(rows)
    if best is None:
        why = "no channel has both a cost and a value" if rows else "no channels were published"
        return f"Not known: {why}."
    over = f" over {span(best['horizon'])}" if best.get("horizon") else ""
    figure, cost = ratio(best["ltv_to_cac"]).replace(" ", NO_BREAK), money(best["cac"], currency)
    sentence = (
        f"A new customer of {best['channel']} brings most for the money: {figure}{over}, at {cost} "
        "each."
    )
    names = losing(rows)
    return (
        f"{sentence} Those of {', '.join(names)} cost more than they bring." if names else sentence
    )


def how_far(documents: Mapping[str, Any]) -> str:
    """What came of the last forecast, and whether the model beats rules that need none."""
    card, monitor = documents["model_card"], model_report.monitored(documents["monitor"])
    rolling = model_report.rolling_of(card)
    sentences = [
        *_came(monitor or model_report.last(model_report.outcomes(rolling))),
        *model_report.ranks(card, rolling),
    ]
    return " ".join(sentences) or "Not known: the model was never put to the test."


def _came(outcomes: Sequence[model_report.Outcome]) -> Iterator[str]:
    """What came in the last window, in one sentence, and whether intervals held."""
    if not outcomes:
        return
    did = {"purchases": "bought", "money": "spent"}
    near = any("than" not in outcome.verdict for outcome in outcomes)
    results = " and ".join(
        f"{did[outcome.what]} {outcome.verdict if near else outcome.off_by}" for outcome in outcomes
    )
    outside = any(outcome.inside is False for outcome in outcomes)
    care = ", outside the interval: take totals with care" if outside else ""
    than = "" if near else " than expected"
    yield f"In the {outcomes[-1].when}, customers {results}{than}{care}."
