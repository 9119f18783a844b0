"""What changed since an earlier run, as a page to send: sentences, steps, who moved most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clv.format import capital, day, large_money, money
from clv.monitoring.change_report import change_findings, step_name
from clv.report.charts import Cell, Column, Table
from clv.report.html import Report, Section
from clv.report.plots.change_waterfall import plot_changes
from clv.spans import span

MOVERS = (
    Column("Customer"),
    Column("Value then", "number"),
    Column("Value now", "number"),
    Column("Change", "number"),
    Column("Mostly because of"),
)


def digest_page(record: Mapping[str, Any], terms: Mapping[str, Any]) -> Report:
    """The page of one record of what changed.

    Parameters
    ----------
    record
        What :func:`clv.monitoring.change_report.change_record` gives.
    terms
        Of the run: its currency, horizon and model.
    """
    currency = str(terms.get("currency") or "")
    difference = record["after"] - record["before"]
    more = f"{'+' if difference > 0 else ''}{large_money(difference, currency)}"
    movers = movers_table(record, currency)
    section = Section(
        f"What changed since {day(record['since'])}",
        "The steps add up to the difference, to the cent.",
        change_findings(record, currency),
        [movers] if movers else [],
        [plot_changes(record, currency)],
    )
    over = f"over {span(terms['horizon'])}"
    value = ("Value of the base", large_money(record["after"], currency), over)
    return Report(
        "What changed",
        f"As of {day(record['until'])}, model {record['model_after']}.",
        [value, ("Difference", more, f"since {day(record['since'])}")],
        [section],
    )


def movers_table(
    record: Mapping[str, Any], currency: str, cell: Callable[[str], Cell] = str
) -> Table | None:
    """Who moved most; ``cell`` makes a link of an id. None where nobody moved."""
    rows = [
        (
            cell(row["customer_id"]),
            money(row["before"], currency),
            money(row["after"], currency),
            money(row["after"] - row["before"], currency),
            capital(step_name(row["because"])) if row["because"] else "–",
        )
        for row in record["movers"]
    ]
    return Table("Customers whose value moved most", MOVERS, rows) if rows else None
