"""The report on subscribers: what recurs, who stays, and what they bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clv.findings import Finding, Note
from clv.format import NONE, count, money, number, percent, sentence
from clv.report.charts import Column, Table
from clv.report.html import Report, Section
from clv.report.plots.contracts import (
    cohort_table,
    plot_contract_money,
    plot_contract_survival,
    plot_waterfall,
)


def contract_report(document: Mapping[str, Any]) -> Report:
    """The page of a run of ``clv contracts``.

    Parameters
    ----------
    document
        From ``clv.app.contracts.contract_document``.
    """
    subtitle = f"As of {document['as_of'] or 'no day'}, model {document['version']}."
    return Report(
        "Subscribers: what recurs, who stays, what they bring",
        subtitle,
        contract_headlines(document),
        list(_sections(document)),
    )


def contract_headlines(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The figures that come first: label, figure, what it counts."""
    figures = []
    if last := last_month(document):
        amount = money(last["end"] / 100, document["currency"])
        customers = f"{count(last['customers'])} customers, from plan prices"
        figures.append(("Recurring revenue, a month", amount, customers))
        year = document["book"]["year"].get(document["currency"])
        if year:
            kept = percent(year["gross_retention"])
            figures.append(("Gross retention, a year", kept, "of the revenue of a year ago (GRR)"))
            kept = percent(year["net_retention"])
            figures.append(("Net retention, a year", kept, "with what those added (NRR)"))
    for period in document["periods"]:
        named = f"of new customers paid by the {period['interval']}"
        figures.append(("Make the first renewal", percent(period["survival"]["value"][1]), named))
    return figures


def contract_notes(document: Mapping[str, Any]) -> list[Note]:
    """What was joined, netted, assumed and left out, each as a sentence."""
    findings = map(Finding.from_dict, document["notes"])
    return [Note(sentence(each.text), each.chip) for each in findings]


def last_month(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The book's last month in the currency of the scores."""
    months = (document["book"] or {}).get("months", ())
    months_of_currency = [row for row in months if row["currency"] == document["currency"]]
    return months_of_currency[-1] if months_of_currency else None


def plan_table(document: Mapping[str, Any]) -> Table:
    """A row per plan: how it is renewed, and what a new customer pays."""
    columns = (
        Column("Plan"),
        Column("Paid by the"),
        Column("Contracts", "number"),
        Column("Running", "number"),
        Column("First renewal", "number"),
        Column("Twelfth renewal", "number"),
        Column("Payments", "number"),
        Column("Interval, 90%", "number"),
        Column("Own history", "number"),
    )
    rows = [
        (
            plan["plan"] or "all",
            period["interval"],
            count(plan["customers"]),
            count(plan["active"]),
            percent(plan["first_renewal"]),
            percent(plan["twelfth_renewal"]),
            number(plan["payments"]),
            f"{number(plan['payments_low'])} to {number(plan['payments_high'])}",
            NONE if plan["own_share"] is None else percent(plan["own_share"]),
        )
        for period in document["periods"]
        for plan in period["plans"]
    ]
    caption = (
        f"Payments of a new customer within {document['horizon']}, discounted, the first included; "
        "own history is how much of a plan's model is not that of all plans"
    )
    return Table(caption, columns, rows)


def effects_table(document: Mapping[str, Any]) -> Table | None:
    """What covariates do; None without any."""
    rows = [
        (
            effect["effect"],
            period["interval"],
            number(effect["factor"], 2),
            f"{number(effect['low'], 2)} to {number(effect['high'], 2)}",
        )
        for period in document["periods"]
        for effect in period.get("effects", ())
    ]
    columns = (
        Column("What it moves"),
        Column("Paid by the"),
        Column("Factor", "number"),
        Column("Interval, 90%", "number"),
    )
    caption = (
        "How customers differ: leaving above 1 is as if more left at first, staying above 1 as if "
        "they had stayed for longer already; against the most frequent value"
    )
    return Table(caption, columns, rows) if rows else None


def _sections(document: Mapping[str, Any]) -> Iterator[Section]:
    currency = document["currency"]
    if last := last_month(document):
        cohorts = [r for r in document["book"]["cohorts"] if r["currency"] == currency]
        yield Section(
            "What recurs",
            "From plan prices: a year's price counts a twelfth a month; taxes, usage and one-off "
            "charges are not in it.",
            tables=[cohort_table(cohorts, "customers"), cohort_table(cohorts, "revenue")],
            figures=[plot_waterfall(last, currency)],
        )
    figures = []
    for period in document["periods"]:
        figures.append(plot_contract_survival(period))
        if period["price"]:
            figures.append(plot_contract_money(period, document["margin_rate"], currency))
    yield Section(
        "Who stays, and what that brings",
        f"Values are in {document['terms']}.",
        [note.text for note in contract_notes(document)],
        [table for table in (plan_table(document), effects_table(document)) if table],
        figures,
    )
