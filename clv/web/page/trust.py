"""Trust: how the model did when it was put to the test, what it learned, and what it assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from clv.findings import Finding, page_sentence_of
from clv.format import capital, change, day, number, percent
from clv.score_columns import SUBSCRIBERS
from clv.store import Store
from clv.web.page import accuracy, model_card, model_report
from clv.web.page.frame import Page, Room, room
from clv.web.page.tables import Empty, Headline

Rows = Sequence[Mapping[str, Any]]
UNTESTED = Empty(
    "The model was not put to the test",
    "Its card holds no rolling backtest, so nothing here says how far it was off.",
    "Train with origins in [holdout], then publish again with the new card.",
)

NEAR = 0.1  # as far as a total may be off and still be planned on

router = APIRouter()
ROOM = Room("trust", "/trust", "Trust", router)


@router.get("/trust")
async def show(request: Request) -> Response:
    """The page."""
    return await room(request, "trust.html", content, title="Trust", active="trust")


def content(store: Store, page: Page) -> dict[str, Any]:
    """What the template shows."""
    card = store.document("model_card")
    rolling, monitor = model_report.rolling_of(card), store.document("monitor")
    currency = str(store.terms.get("currency") or "")
    return {
        "verdict": verdict(card, rolling),
        "said": " ".join([*model_report.ranks(card, rolling), *_totals(card, rolling)]),
        "headlines": headlines(card, rolling, monitor),
        "reasons": _reasons(card),
        "verdicts": _verdicts(card, currency),
        "backtests": [
            accuracy.backtest(model_report.means_of(rolling, what), what, card, rolling, currency)
            for what in model_report.WHAT
            if model_report.means_of(rolling, what)
        ],
        "untested": UNTESTED,
        "outcomes": accuracy.outcomes(rolling),
        "coverage": accuracy.coverage(rolling),
        "totals": accuracy.totals_coverage(rolling),
        "calibration": accuracy.calibration(store),
        "churn": accuracy.churn(card),
        "drift": model_card.drift(monitor, currency, store.words is SUBSCRIBERS),
        "drift_notes": [page_sentence_of(n, currency) for n in (monitor or {}).get("notes", ())],
        "data": model_card.data_report(store.document("data_report"), currency),
        "card": model_card.model_card(card, currency, store.terms),
        "learned": model_card.learned(card, currency),
        "findings": model_card.findings(card, currency),
        "notes": model_card.assumptions(store, card, currency),
    }


def verdict(card: Any, rolling: Any) -> str | None:
    """What the values are good for, in one sentence; None of a model that was not tested.

    >>> ours = {"what": "money", "forecast": "BG/NBD", "naive": False, "gini": 0.75, "bias": -0.28}
    >>> rule = {"what": "money", "forecast": "own past rate", "naive": True, "gini": 0.7}
    >>> verdict({"purchase_model": "BG/NBD"}, {"means": [ours, rule]})
    'Good for choosing customers; take totals with care.'
    """
    _, ahead = model_report.ahead_in_ranking(card, rolling)
    ours = model_report.in_use(model_report.means_of(rolling, "money"), card)
    if ours is None or ahead is None or ours.get("bias") is None:
        return None
    near = abs(ours["bias"]) <= NEAR
    if ahead >= 0:
        totals = "for totals" if near else "take totals with care"
        return f"Good for choosing customers{' and ' if near else '; '}{totals}."
    if near:
        return "Good for totals; to choose customers, a simple rule does better."
    return (
        "Take these values with care: a simple rule chooses customers better, and totals are off."
    )


def headlines(card: Any, rolling: Any, monitor: Any) -> list[Headline]:
    """The figures that come first."""
    rows = model_report.means_of(rolling, "money")
    ours = model_report.in_use(rows, card)
    figures = []
    if ours:
        naive = [row for row in rows if row["naive"]]
        figures = [_ranking(ours, naive), _total(ours, naive)]
    held = [row for row in (rolling or {}).get("coverage", ()) if _is_money(row)]
    if held:
        detail = f"of customers' money; {percent(held[0]['nominal'])} were promised"
        figures.append(
            Headline("Intervals that held", percent(held[0]["inside"]), detail, "measured")
        )
    drifted = capital(str(monitor["verdict"])) if monitor else "Not yet known"
    since = f"since {day(monitor['since'])}" if monitor else "nothing was monitored since"
    return [*figures, Headline("Drift", drifted, since)]


def _totals(card: Any, rolling: Any) -> list[str]:
    """How far off totals of money were, and whether a rule without a model was closer."""
    rows = model_report.means_of(rolling, "money")
    ours, rival = (
        model_report.in_use(rows, card),
        model_report.best([r for r in rows if r["naive"]], "bias"),
    )
    if ours is None or rival is None or ours.get("bias") is None:
        return []
    text = f"Its totals of money were {_off(ours['bias'])} on average"
    if abs(rival["bias"]) < abs(ours["bias"]):
        return [f"{text}; a simple rule came closer, {_off(rival['bias'])}: {rival['forecast']}."]
    return [f"{text}, closer than every simple rule."]


def _off(bias: float) -> str:
    """How far off a total was.

    >>> _off(-0.27), _off(0.031), _off(0)
    ('27% too low', '3.1% too high', 'right')
    """
    if abs(bias) < model_report.FEW / 10:
        return "right"
    return f"{percent(abs(bias))} too {'low' if bias < 0 else 'high'}"


def _ranking(ours: Mapping[str, Any], naive: Rows) -> Headline:
    rival = model_report.best(naive, "gini")
    detail = (
        f"1 is perfect; best naive rule {number(rival['gini'])}, {rival['forecast']}"
        if rival
        else ""
    )
    return Headline("Ranking by money, Gini", number(ours["gini"]), detail, "measured")


def _total(ours: Mapping[str, Any], naive: Rows) -> Headline:
    rival = model_report.best(naive, "bias")
    detail = f"best naive rule {change(rival['bias'])}, {rival['forecast']}" if rival else ""
    return Headline("Total money, forecast off by", change(ours["bias"]), detail, "measured")


def _is_money(row: Mapping[str, Any]) -> bool:
    return bool(
        row["what"] == "money of customers" and abs(row["nominal"] - model_report.LEVEL) < 1e-9
    )


def _reasons(card: Any) -> list[str]:
    chosen = ((card or {}).get("training") or {}).get("purchase_model") or {}
    return [Finding.from_dict(line).on_page for line in chosen.get("reasons", ())]


def _verdicts(card: Any, currency: str) -> list[str]:
    holdout = ((card or {}).get("training") or {}).get("holdout") or {}
    verdicts = holdout.get("verdict", {}).values()
    return [page_sentence_of(finding, currency) for findings in verdicts for finding in findings]
