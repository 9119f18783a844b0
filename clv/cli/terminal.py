"""What the commands show of cleaning, scores, campaigns and exports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.cli.screen import Formats, Screen, table
from clv.format import capital, count, counted, fine_number, money, number, percent

if TYPE_CHECKING:
    from clv.data.cleaning_report import CleaningReport
    from clv.decide.retention.plan import CampaignPlan
    from clv.exports.audience import AudienceReport
    from clv.exports.run import Export
    from clv.uplift import UpliftModel

TARGETS = {
    "rank": "rank",
    "customer_id": "customer",
    "action": "offer",
    "group": "group",
    "churn_probability": "churn",
    "value_at_stake": "at stake",
    "cost": "cost",
    "expected_gain": "gain",
    "expected_profit": "profit",
    "reason_1": "main reason",
}
POLICIES = {
    "policy": "policy, out of fold",
    "contacted": "contacted",
    "gain": "gain",
    "gain_se": "s.e.",
    "behind": "behind first",
    "behind_se": "s.e.",
}
# Totals of a file of scores, in one pass and without loading it.
TOTALLED = (
    *("customer_id", "clv", "churn_probability", "expected_purchases", "as_of"),
    *("model_version", "churn_horizon", "horizon", "currency"),
)
TOTALS = """
WITH ranked AS (
    SELECT *, row_number() OVER (ORDER BY clv DESC) <= ceil(count(*) OVER () / 10) AS top
    FROM scores
)
SELECT count(*) AS customers, sum(clv) AS total, avg(clv) AS mean, median(clv) AS median,
    sum(clv) FILTER (top) / nullif(sum(clv), 0) AS top_share, avg(churn_probability) AS churn,
    sum(expected_purchases) AS purchases, min(as_of) AS as_of,
    min(model_version) AS model_version, min(churn_horizon) AS churn_horizon,
    min(horizon) AS horizon, min(currency) AS currency,
    count(*) FILTER (regexp_matches(customer_id::VARCHAR, '^''[=+@＝＋－＠\t\r\n-]')) AS marked
FROM ranked
"""


def warn_of_log(screen: Screen, report: CleaningReport) -> None:
    """Warn of a log that was taken anyway, and of orders after today, which move the as-of date."""
    from clv.intake.fingerprint import ANYWAY

    for assumption in report.assumptions:
        if assumption.startswith(ANYWAY):
            screen.warn(assumption)
    if report.last_date > dt.date.today():
        screen.warn(
            f"the log reaches to {report.last_date}, a day that is still to come. "
            "Leave such rows out with --as-of."
        )


def show_cleaning(screen: Screen, report: CleaningReport) -> None:
    """The ledger of cleaning, its examples dimmed below each line."""
    from rich.text import Text

    screen.title(report.heading)
    rows: list[dict[str, Any]] = []
    for words, count_of_rows, amount, examples in report.ledger():
        what = Text(words)
        for example in examples:
            what.append(f"\n{example}", style="dim")
        rows.append({"rows": count_of_rows, "amount": amount, "what": what})
    headings = {"rows": "rows", "amount": "amount", "what": "what happened"}
    screen.show(table(rows, headings, left=("what",)))
    screen.title("Taken as given")
    screen.points(report.assumptions)
    screen.say()


def total_scores(file: Path) -> dict[str, Any]:
    """The totals of a file of scores, worked out in DuckDB."""
    from clv.io.files import read_rows

    totals: Any = read_rows(file, TOTALLED).query("scores", TOTALS)
    row: dict[str, Any] = totals.to_arrow_table().to_pylist()[0]
    return row


def show_scores(screen: Screen, file: Path, terms: str) -> None:
    """The totals of a file of scores."""
    row = total_scores(file)
    currency = row["currency"] or ""
    total, mean, middle = (money(row[name], currency) for name in ("total", "mean", "median"))
    screen.title(
        f"{counted(row['customers'], 'customer')} scored as of {row['as_of']} "
        f"by model {row['model_version']}"
    )
    screen.say()
    screen.pairs(
        {
            f"CLV, next {row['horizon']}": f"{total} in all",
            "per customer": f"{mean} on average, {middle} in the middle",
            "best 10% hold": percent(row["top_share"] or 0.0),
            "purchases to come": number(row["purchases"], 0),
            f"no purchase in {row['churn_horizon']}": f"{percent(row['churn'])} of them expected",
        }
    )
    screen.say()
    screen.say(f"CLV is what is still to come, in {terms}. It is a mean of a skewed distribution.")
    if file.suffix == ".csv" and row["marked"]:
        screen.warn(
            f"{count(row['marked'])} ids start as a formula does, and got an apostrophe in this "
            "file; write .parquet to join by them."
        )


def show_campaign(screen: Screen, campaign: CampaignPlan, top: int) -> None:
    """The best targets and the campaign's totals."""
    summary = campaign.summary
    facts = [f"as of {summary.as_of!s:.10}" if summary.as_of else "", summary.currency or ""]
    over = f"values over {summary.horizon}" if summary.horizon else ""
    screen.title(", ".join(["Retention targets", *filter(None, [*facts, over])]))
    rows = campaign.table.slice(0, top).to_pylist()
    if rows:
        formats: Formats = {"churn_probability": percent, "customer_id": str}
        hidden = {"action"} if len(summary.offers) == 1 else set()
        columns = {k: v for k, v in TARGETS.items() if k in rows[0] and k not in hidden}
        screen.show(table(rows, columns, formats))
        more = campaign.table.num_rows - len(rows)
        if more > 0:
            screen.say(f"and {count(more)} more")
    screen.say()
    screen.points(str(summary).splitlines())
    if summary.not_contacted:
        why = "; ".join(f"{reason} ({count(n)})" for reason, n in summary.not_contacted.items())
        screen.points([f"Not contacted: {why}."])


def show_uplifts(
    screen: Screen, learned: Mapping[str, UpliftModel], versions: Mapping[str, str]
) -> None:
    """What a finished campaign taught of each offer, and how the methods did on it."""
    figures: Formats = dict.fromkeys(POLICIES, fine_number) | {"contacted": percent}
    for name, model in learned.items():
        screen.title(f"What the campaign{'' if name == 'offer' else f' of {name}'} taught")
        screen.points(str(model).splitlines())
        screen.show(table(model.figures, POLICIES, figures))
        if name in versions:
            screen.say(f"Registered: {versions[name]}")
        screen.say()


def show_export(screen: Screen, done: Export) -> None:
    """What was exported, who could not be matched and why, and what changed since."""
    if done.audience is None:
        screen.title(f"{counted(done.file.rows, 'customer')} exported")
    else:
        _show_audience(screen, done.audience)
    if done.since_last is not None:
        screen.say()
        screen.title("Since the last export")
        screen.points([str(done.since_last)])
    screen.say()
    screen.pairs(
        {
            "columns": f"{len(done.file.columns)}",
            "size": f"{count(done.file.bytes)} bytes",
            "SHA-256": done.file.sha256,
        }
    )
    screen.say()


def _show_audience(screen: Screen, report: AudienceReport) -> None:
    """Everybody asked for: in the file, or left out for a reason."""
    screen.title(f"Audience {report.audience} for {report.destination}")
    rows: list[dict[str, Any]] = [{"customers": count(report.asked), "what": "asked for"}]
    for why, n in report.left_out.items():
        rows.append({"customers": count(-n), "what": f"left out: {why}"})
    rows.append({"customers": count(report.file.rows), "what": "in the file"})
    for why, n in report.left_empty.items():
        rows.append({"customers": count(n), "what": f"of these with a cell left empty: {why}"})
    headings = {"customers": "customers", "what": "what became of them"}
    screen.show(table(rows, headings, left=("what",)))
    screen.points([f"Consent: {report.consent}.", *(capital(str(note)) for note in report.notes)])
