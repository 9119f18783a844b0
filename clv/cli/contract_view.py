"""What the command line shows of contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clv.cli.screen import Screen, table
from clv.contracts.billing_tables import TITLES
from clv.contracts.contract_fit import ContractModels
from clv.contracts.contract_tables import ContractTable
from clv.findings import sentence_of
from clv.format import capital, count, counted, money, number, percent, whole_number
from clv.report.plots.contracts import WORDS

SHOWN_MONTHS = 6


def show_table(screen: Screen, contracts: ContractTable) -> None:
    """What a table of contracts holds, what was left out of it, and what was assumed."""
    rows_in = counted(contracts.rows_in, "row")
    screen.title(f"{capital(TITLES[contracts.recipe.kind])}: {rows_in}")
    screen.pairs(
        {
            **{
                f"paid by the {interval}": counted(int(cells["customers"].sum()), "contract")
                for interval, cells in contracts.cells.items()
            },
            "currencies": ", ".join(code or "not stated" for code in contracts.currencies)
            or "none",
            "last day": str(contracts.as_of or "not stated"),
        }
    )
    if contracts.left_out:
        screen.title("Left out")
        rows = [
            {
                "rows": count(part.rows),
                "amount": money(part.amount),
                "why": f"{part.reason}, as in row {part.examples[0]}",
            }
            for part in contracts.left_out
        ]
        columns = {"rows": "rows", "amount": "amount", "why": "why"}
        screen.show(table(rows, columns, left=("why",)))
    screen.points(contracts.notes)


def show_run(screen: Screen, document: Mapping[str, Any], models: ContractModels) -> None:
    """The book's last months, the models, and the plans."""
    currency = document["currency"]
    if document["book"]:
        screen.title("Recurring revenue, a month")
        months = [row for row in document["book"]["months"] if row["currency"] == currency]
        printed = [
            {"month": row["month"][:7]}
            | {name: whole_number(row[name] / 100) for name in ("start", *WORDS, "end")}
            for row in months[-SHOWN_MONTHS:]
        ]
        headings = {name: WORDS.get(name, (name,))[0] for name in printed[0]}
        screen.show(table(printed, headings, left=("month",)))
        screen.points([sentence_of(each, currency) for each in document["findings"]])
    screen.title(f"Payments of a new customer within {document['horizon']}, discounted")
    rows = [
        {
            "plan": plan["plan"] or "all",
            "paid": period["interval"],
            "customers": count(plan["customers"]),
            "first": percent(plan["first_renewal"]),
            "payments": number(plan["payments"]),
            "interval": f"{number(plan['payments_low'])} to {number(plan['payments_high'])}",
        }
        for period in document["periods"]
        for plan in period["plans"]
    ]
    headings = {"plan": "plan", "paid": "paid by the", "customers": "contracts"}
    headings |= {"first": "first renewal", "payments": "payments", "interval": "90% interval"}
    screen.show(table(rows, headings, left=("plan", "paid")))
    _show_effects(screen, document)
    screen.points(models.findings())
    screen.say(f"Values are in {document['terms']}.")


def _show_effects(screen: Screen, document: Mapping[str, Any]) -> None:
    """By what customers differ, if covariates were named."""
    effects = [
        {"moves": effect["effect"], "paid": period["interval"]}
        | {name: number(effect[name], 2) for name in ("factor", "low", "high")}
        for period in document["periods"]
        for effect in period["effects"]
    ]
    if effects:
        screen.title("How customers differ, against the most frequent value")
        headings = {"moves": "what it moves", "paid": "paid by the", "factor": "factor"}
        headings |= {"low": "90% from", "high": "to"}
        screen.show(table(effects, headings, left=("moves", "paid")))
