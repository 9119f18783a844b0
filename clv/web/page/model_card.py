"""What the model is, on Trust: the data it saw, what it learned, what changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from clv.findings import Finding, Note, page_sentence_of
from clv.format import capital, count, counted, day, figure, money, sentence
from clv.report.charts import Cell, Column, Table
from clv.store import Store
from clv.web.page import model_report
from clv.web.page.tables import Empty, chip, facts, small

CHECKED = {
    "purchases": "Purchases",
    "value": "Revenue",
    "frequency": "Repeat purchases",
    "recency": "Age at the last purchase",
    "T": "Age of customers",
    "days_since_last": "Days since the last purchase",
    "monetary_value": "Mean repeat purchase",
    "first_amount": "First purchase",
    "channel": "Channel",
    "clv": "Value",
    "expected_purchases": "Expected purchases",
    "churn_probability": "Churn risk",
    "value_at_stake": "Value at stake",
}


def drift(monitor: Any, currency: str, of_contracts: bool = False) -> Table | Empty:
    """What the monitor found since the scores were made."""
    if not monitor and of_contracts:
        return Empty(
            "Nothing was compared since",
            "As time passes, renewals should be held against those that the model expected.",
            "Run clv monitor on the contracts as they stand then, with --model, and publish its "
            "report: clv publish --monitor.",
        )
    if not monitor:
        return Empty(
            "Nothing was compared since",
            "As time passes, purchases should be held against the forecast, and customers of "
            "today against those the model learned from.",
            "Run clv monitor on a newer log, and publish its report: clv publish --monitor.",
        )
    cells = [
        (
            _checked(check["check"]),
            chip(check["verdict"]),
            sentence(Finding.from_dict(check["finding"], currency).on_page),
        )
        for check in monitor["checks"]
    ]
    columns = (Column("Check"), Column("Verdict"), Column("Finding", "prose"))
    when = f"{day(monitor['since'])} to {day(monitor['until'])}"
    return Table(f"{when}, {counted(monitor['customers'], 'customer')} known then", columns, cells)


def _checked(check: str) -> Cell:
    """What was checked, in words; below it, whether it goes into the model or comes from it."""
    kind, _, name = check.rpartition(": ")
    label = CHECKED.get(name, capital(name))
    return small(label, {"input": "input", "score": "score"}[kind]) if kind else label


def data_report(report: Any, currency: str) -> Table | Empty:
    """The ledger of cleaning: rows and money read, each change, what is left."""
    if not report:
        return Empty(
            "No data report was published",
            "It says what cleaning found in the log, and what became of it.",
            "Publish with the orders: clv publish --log.",
        )
    changes = [
        (
            small(capital(finding["reason"]), finding["action"]),
            count(finding["rows"]),
            count(-finding["rows_out"]),
            money(-finding["amount_out"], currency),
        )
        for finding in report["findings"]
    ]
    first = (
        "Read from the log",
        count(report["rows_in"]),
        "",
        money(report["amount_in"], currency),
    )
    remainder = (
        "Purchases left",
        count(report["rows_out"]),
        "",
        money(report["amount_out"], currency),
    )
    columns = (
        Column("What"),
        Column("Rows", "number"),
        Column("Left the log", "number"),
        Column("Money", "number"),
    )
    span = f"{day(report['first_date'])} to {day(report['last_date'])}"
    who = (
        f"{counted(report['purchases'], 'purchase')} of {counted(report['customers'], 'customer')}"
    )
    cells = [first, *changes, remainder]
    return Table(f"{who}, {span}", columns, cells, [0, len(cells) - 1])


def model_card(card: Any, currency: str, stated: Mapping[str, Any]) -> Markup | Empty:
    """What was learned, from what, on which terms."""
    if not card:
        return Empty(
            "No model card was published",
            "The scores came without one, so nothing is known of the model behind them.",
            "Publish with the model: clv publish --model.",
        )
    training = card.get("training") or {}
    lines = {
        "Version": str(card["version"]),
        "Trained as of": day(card["as_of"]),
        "Learned from": _learned_from(training),
        "Terms": sentence(model_report.terms_in_words(card, stated)),
        "Purchases": f"{card['purchase_model']}: {_numbers(card['purchases'])}",
        "Spend": f"Gamma-Gamma: {_numbers(card['spend'])}",
        "Churn": sentence(card["churn"]["reason"]),
        "All customers": sentence(training["total"]["text"]) if "total" in training else "",
        "Over years": sentence(card["value_over_years"]) if "value_over_years" in card else "",
        "A new customer": f"is worth {money(card['new_customer_clv'], currency)} from the first "
        f"purchase on (whose amount is {card['first_amount_source']})",
        "Log": _log_of(training),
    }
    return facts({name: text for name, text in lines.items() if text})


def _learned_from(training: Mapping[str, Any]) -> str:
    if "customers" not in training:
        return ""
    again = training.get("repeat_buyers")
    bought = f", {count(again)} of whom bought again" if again is not None else ""
    text = f"{counted(training['customers'], 'customer')}{bought}"
    return f"{text}. {training['judged_on']}" if "judged_on" in training else text


def _log_of(training: Mapping[str, Any]) -> str:
    digest = training.get("log_sha256")
    return f"{training['log']}, SHA-256 {digest[:12]}…" if digest and "log" in training else ""


def _numbers(model: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {figure(value)}" for name, value in model["parameters"].items())


def learned(card: Any, currency: str) -> list[str]:
    """The parameters in words."""
    models = [(card or {}).get("purchases"), (card or {}).get("spend")]
    return [line for model in models if model for line in model_report.parameters(model, currency)]


def findings(card: Any, currency: str) -> list[str]:
    """What the fits found to say of themselves."""
    models = [(card or {}).get("purchases"), (card or {}).get("spend")]
    reports = [(model or {}).get("report") or {} for model in models]
    return [
        page_sentence_of(line, currency)
        for report in reports
        for line in report.get("findings", ())
    ]


def assumptions(store: Store, card: Any, currency: str) -> list[Note]:
    """What was assumed rather than measured, and what was measured."""
    card, notes = card or {}, []
    if card.get("terms"):
        notes.append(
            Note(
                f"Terms: {model_report.terms_in_words(card, store.terms)}.",
                model_report.terms_are(card),
            )
        )
    if card.get("value_at_stake"):
        notes.append(Note(f"Value at stake: {card['value_at_stake']}.", "assumed"))
    if isinstance(card.get("coverage"), str):
        notes.append(Note(f"Coverage of intervals: {card['coverage']}.", "assumed"))
    if card.get("interval"):
        notes.append(Note(f"Intervals of customers: {card['interval']}.", "estimated"))
    report = store.document("data_report") or {}
    notes += [Note(sentence(line), "assumed") for line in report.get("assumptions", ())]
    total = store.document("total") or {}
    notes += [
        Note(page_sentence_of(line, currency), "estimated") for line in total.get("reasons", ())
    ]
    return notes + [Note(note.text, note.chip) for note in store.notes]
