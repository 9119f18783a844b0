"""What each command shows of its result."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.serve.screen import Formats, Screen, figure, share, table

if TYPE_CHECKING:
    from clv.data.report import CleaningReport
    from clv.decide.allocation import Allocation
    from clv.decide.retention import RetentionTargets
    from clv.serve.channels import ChannelFigures

TARGETS = {
    "rank": "rank",
    "customer_id": "customer",
    "group": "group",
    "churn_probability": "churn",
    "value_at_stake": "at stake",
    "cost": "cost",
    "expected_gain": "gain",
    "expected_profit": "profit",
}
ALLOCATION = {
    "option": "option",
    "current_spend": "today",
    "spend": "spend",
    "new_customers": "customers",
    "value": "value",
    "average_cac": "CAC",
    "marginal_cac": "next CAC",
}
CHANNELS = {
    "channel": "channel",
    "loaded_spend": "spend",
    "new_customers": "customers",
    "cac": "CAC",
    "new_customer_value": "LTV",
    "ltv_to_cac": "LTV:CAC",
    "payback": "payback",
}

# Totals of a file of scores, in one pass and without loading it.
TOTALS = """
WITH ranked AS (
    SELECT *, row_number() OVER (ORDER BY clv DESC) <= ceil(count(*) OVER () / 10) AS top
    FROM scores
)
SELECT count(*) AS customers, sum(clv) AS total, avg(clv) AS mean, median(clv) AS median,
    sum(clv) FILTER (top) / nullif(sum(clv), 0) AS top_share, avg(churn_probability) AS churn,
    sum(expected_purchases) AS purchases, min(as_of) AS as_of,
    min(model_version) AS model_version, min(churn_horizon) AS churn_horizon,
    min(horizon) AS horizon, min(currency) AS currency
FROM ranked
"""


def warn_of_future(screen: Screen, report: CleaningReport) -> None:
    """Warn of orders after today: mistyped dates move the as-of date of everything."""
    if report.last_date > dt.date.today():
        screen.warn(
            f"the log reaches to {report.last_date}, a day that is still to come. "
            "Leave such rows out with --as-of."
        )


def show_cleaning(screen: Screen, report: CleaningReport) -> None:
    """The ledger of cleaning, its examples dimmed below each line."""
    from rich.text import Text

    screen.title(
        f"{report.purchases:,} purchases of {report.customers:,} customers, "
        f"{report.first_date} to {report.last_date}"
    )
    rows: list[dict[str, Any]] = [_ledger(report.rows_in, report.amount_in, "read")]
    for finding in report.findings:
        count = "" if finding.rows == finding.rows_out else f" ({finding.rows:,} rows)"
        said = Text(f"{finding.reason}: {finding.action}{count}")
        for example in finding.examples:
            said.append(f"\n{example}", style="dim")
        rows.append(_ledger(-finding.rows_out, -finding.amount_out, said, sign="+"))
    rows.append(_ledger(report.rows_out, report.amount_out, "purchases in the clean log"))
    headings = {"rows": "rows", "amount": "amount", "what": "what happened"}
    screen.show(table(rows, headings, left=("what",)))
    screen.title("Taken as given")
    screen.points(report.assumptions)
    screen.say()


def _ledger(rows: int, amount: float, what: object, sign: str = "") -> dict[str, Any]:
    cents = round(amount, 2)
    return {
        "rows": f"{rows:{sign},}" if rows else "·",
        "amount": f"{cents:{sign},.2f}" if cents else "·",
        "what": what,
    }


def total_scores(file: Path) -> dict[str, Any]:
    """The totals of a file of scores, worked out in DuckDB."""
    from clv.serve.files import read_rows

    totals: Any = read_rows(file).query("scores", TOTALS)
    row: dict[str, Any] = totals.to_arrow_table().to_pylist()[0]
    return row


def show_scores(screen: Screen, file: Path, terms: str) -> None:
    """The totals of a file of scores."""
    row = total_scores(file)
    unit = row["currency"] or ""
    screen.title(
        f"{row['customers']:,} customers scored as of {row['as_of']} "
        f"by model {row['model_version']}"
    )
    screen.say()
    screen.pairs(
        {
            f"CLV, next {row['horizon']}": f"{unit} {row['total']:,.0f} in all".strip(),
            "per customer": f"{row['mean']:,.2f} on average, {row['median']:,.2f} in the middle",
            "best 10% hold": share(row["top_share"] or 0.0),
            "purchases to come": f"{row['purchases']:,.0f}",
            f"no purchase in {row['churn_horizon']}": f"{share(row['churn'])} of them expected",
        }
    )
    screen.say()
    screen.say(f"CLV is what is still to come, in {terms}. It is a mean of a skewed distribution.")


def show_campaign(screen: Screen, campaign: RetentionTargets, top: int) -> None:
    """The best targets and the campaign's totals."""
    summary = campaign.summary
    known = [f"as of {summary.as_of}" if summary.as_of else "", summary.currency or ""]
    over = f"values over {summary.horizon}" if summary.horizon else ""
    screen.title(", ".join(["Retention targets", *filter(None, [*known, over])]))
    rows = campaign.table.slice(0, top).to_pylist()
    if rows:
        formats: Formats = {"churn_probability": share, "customer_id": str}
        screen.show(table(rows, TARGETS, formats))
        more = campaign.table.num_rows - len(rows)
        if more > 0:
            screen.say(f"and {more:,} more")
    screen.say()
    screen.points(str(summary).splitlines())
    if summary.not_contacted:
        why = "; ".join(f"{reason} ({count:,})" for reason, count in summary.not_contacted.items())
        screen.points([f"Not contacted: {why}."])


def show_allocation(screen: Screen, best: Allocation, currency: str) -> None:
    """Spend per option, what it brings, and what the plan says."""
    spent = sum(best.spend.values()) + best.retention_spend
    screen.title(
        f"{currency} {spent:,.0f} to spend for {best.expected_customers:,.0f} new customers, "
        f"profit {best.profit:,.0f}".strip()
    )
    rows = best.to_frame("pyarrow").to_pylist()
    if not best.retention_gain and not (best.current or {}).get("retention"):
        rows = rows[:-1]
    headings = {k: v for k, v in ALLOCATION.items() if k != "current_spend" or best.current}
    whole = dict.fromkeys(("current_spend", "spend", "new_customers", "value"), "{:,.0f}".format)
    screen.show(table(rows, headings, whole))
    screen.points(best.findings)
    screen.say()
    screen.title("What it rests on")
    screen.points(best.notes)


def show_channels(screen: Screen, found: ChannelFigures) -> None:
    """What each channel costs and is worth."""
    screen.title("New customers by channel")
    headings = {k: v for k, v in CHANNELS.items() if k in found.table.column_names}
    rows = found.table.to_pylist()
    formats: Formats = dict.fromkeys(("loaded_spend", "new_customers"), "{:,.0f}".format)
    if rows and "payback" in headings:
        unit = rows[0]["payback_unit"]
        formats = {**formats, "payback": lambda t: f"{t:.0f} {unit}s"}
    screen.show(table(rows, headings, formats))
    costs = [
        f"{name} CAC {figure(cac)}: fully loaded spend over {over}."
        for name, cac, over in (
            ("Paid", found.paid_cac, "the customers of channels with spend"),
            ("Blended", found.blended_cac, "all new customers"),
        )
        if cac is not None
    ]
    screen.points([*costs, *found.notes])
    if found.terms:
        screen.points([f"LTV is the value of a NEW customer, in {found.terms}."])
        screen.points(
            [
                f"LTV of {row['channel']}: {row['value_basis']}."
                for row in rows
                if row["value_basis"] not in (None, "own history")
            ]
        )
