"""What each command shows of its result."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.app.channel_findings import findings, value_notes
from clv.cli.screen import Formats, Screen, table
from clv.format import money, percent

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.text import Text

    from clv.app.channels import ChannelFigures
    from clv.app.plans import Planned
    from clv.data.report import CleaningReport
    from clv.decide.retention.plan import CampaignPlan
    from clv.exports.audience import AudienceReport
    from clv.exports.run import Export
    from clv.monitoring import Check, MonitorReport
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
CHANGES = {
    "channel": "option",
    "today": "today",
    "proposed": "proposed",
    "change": "change",
    "new_customers": "new customers",
    "value": "value",
}
SCENARIOS = {
    "scenario": "plan",
    "spent": "spend",
    "profit": "profit",
    "profit_above_first": "against first",
    "expected_customers": "new customers",
    "portfolio_ltv_to_cac": "LTV:CAC",
    "multiplier": "next 1 buys",
}
COSTS = {
    "channel": "channel",
    "loaded_spend": "spend",
    "new_customers": "customers",
    "cac": "CAC",
    "marginal_cac": "next CAC",
}
WORTH = {
    "channel": "channel",
    "new_customer_value": "LTV",
    "ltv_to_cac": "LTV:CAC",
    "payback": "payback",
    "own_share": "own history",
}
SEGMENTS = {
    "segment": "segment",
    "new_customers": "customers",
    "paid_customers": "paid for",
    "loaded_spend": "spend",
    "paid_cac": "paid CAC",
    "blended_cac": "blended CAC",
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
    min(horizon) AS horizon, min(currency) AS currency,
    count(*) FILTER (regexp_matches(customer_id::VARCHAR, '^''[=+@＝＋－＠\t\r\n-]')) AS marked
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
    from clv.io.files import read_rows

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
            "best 10% hold": percent(row["top_share"] or 0.0),
            "purchases to come": f"{row['purchases']:,.0f}",
            f"no purchase in {row['churn_horizon']}": f"{percent(row['churn'])} of them expected",
        }
    )
    screen.say()
    screen.say(f"CLV is what is still to come, in {terms}. It is a mean of a skewed distribution.")
    if file.suffix == ".csv" and row["marked"]:
        screen.warn(
            f"{row['marked']:,} ids start as a formula does, and got an apostrophe in this file; "
            "write .parquet to join by them."
        )


def show_campaign(screen: Screen, campaign: CampaignPlan, top: int) -> None:
    """The best targets and the campaign's totals."""
    summary = campaign.summary
    known = [f"as of {summary.as_of}" if summary.as_of else "", summary.currency or ""]
    over = f"values over {summary.horizon}" if summary.horizon else ""
    screen.title(", ".join(["Retention targets", *filter(None, [*known, over])]))
    rows = campaign.table.slice(0, top).to_pylist()
    if rows:
        formats: Formats = {"churn_probability": percent, "customer_id": str}
        hidden = {"action"} if len(summary.offers) == 1 else set()
        shown = {k: v for k, v in TARGETS.items() if k in rows[0] and k not in hidden}
        screen.show(table(rows, shown, formats))
        more = campaign.table.num_rows - len(rows)
        if more > 0:
            screen.say(f"and {more:,} more")
    screen.say()
    screen.points(str(summary).splitlines())
    if summary.not_contacted:
        why = "; ".join(f"{reason} ({count:,})" for reason, count in summary.not_contacted.items())
        screen.points([f"Not contacted: {why}."])


def show_uplifts(
    screen: Screen, learned: Mapping[str, UpliftModel], versions: Mapping[str, str]
) -> None:
    """What a finished campaign taught of each offer, and how the methods did on it."""
    money: Formats = dict.fromkeys(POLICIES, "{:,.3f}".format) | {"contacted": percent}
    for name, model in learned.items():
        screen.title(f"What the campaign{'' if name == 'offer' else f' of {name}'} taught")
        screen.points(str(model).splitlines())
        screen.show(table(model.figures, POLICIES, money))
        if name in versions:
            screen.say(f"Registered: {versions[name]}")
        screen.say()


def show_plan(screen: Screen, planned: Planned) -> None:
    """What a plan changes, what its customers cost, what it says, and what it rests on."""
    best, unit = planned.allocation, planned.currency
    spent = sum(best.spend.values()) + best.retention_spend
    screen.title(
        f"{unit} {spent:,.0f} to spend for {best.expected_customers:,.0f} new customers, "
        f"profit {best.profit:,.0f}".strip()
    )
    _show_changes(screen, planned)
    if planned.outlook:
        _show_worth(screen, planned)
    screen.points(planned.findings)
    screen.say()
    if planned.costs:
        screen.title("What the constraints cost, each by itself")
        screen.points([cost.words for cost in planned.costs])
        screen.say()
    if len(planned.scenarios) > 1:
        screen.title("The same with other budgets")
        _show_scenarios(screen, planned.scenarios)
    screen.title("What it rests on")
    screen.points(planned.notes)


def show_comparison(screen: Screen, plans: Sequence[Planned], rows: pa.Table) -> None:
    """Plans side by side: their totals, what each spends where, how sure each is."""
    screen.title(f"{len(plans)} plans side by side")
    _show_scenarios(screen, rows)
    names = [name for name in rows.column_names if name.startswith("spend: ")]
    spends = [
        {"option": name.removeprefix("spend: ")}
        | dict(zip(rows["scenario"].to_pylist(), rows[name].to_pylist(), strict=True))
        for name in names
        if any(rows[name].to_pylist())
    ]
    whole: Formats = dict.fromkeys(rows["scenario"].to_pylist(), "{:,.0f}".format)
    screen.show(table(spends, {"option": "spend"} | {n: n for n in whole}, whole))
    for planned in plans:
        screen.title(planned.name)
        screen.points(planned.findings)


def _show_changes(screen: Screen, planned: Planned) -> None:
    best, today = planned.allocation, planned.allocation.current
    rows: list[dict[str, Any]] = [
        vars(row) | {"value": best.value_by_channel[row.channel]} for row in planned.outlook
    ]
    if best.retention_gain or (today or {}).get("retention"):
        now = (today or {}).get("retention")
        rows.append(
            {
                "channel": "retention",
                "today": now,
                "proposed": best.retention_spend,
                "change": best.retention_spend / now - 1 if now else None,
                "new_customers": None,
                "value": best.retention_gain,
            }
        )
    headings = {k: v for k, v in CHANGES.items() if today or k not in ("today", "change")}
    whole: Formats = dict.fromkeys(
        ("today", "proposed", "new_customers", "value"), "{:,.0f}".format
    )
    formats = {**whole, "change": "{:+.0%}".format}
    screen.show(table(rows, headings, formats, left=["channel"]))


def _show_worth(screen: Screen, planned: Planned) -> None:
    """Figures per channel, each above its dimmed 90% interval."""
    from clv.app.outlook import between, time_and_range

    horizon = planned.allocation.horizon
    back = next((row.payback for row in planned.outlook if row.payback), None)
    headings = {
        "channel": "option",
        "average_cac": "CAC",
        "marginal_cac": "next CAC",
        "value": "worth",
        "ltv_to_cac": f"LTV:CAC, {horizon}" if horizon else "LTV:CAC",
    } | ({"payback": f"payback, {back.unit}s"} if back else {})
    rows = []
    for row in planned.outlook:
        shown: dict[str, Any] = {"channel": row.channel}
        for name in ("average_cac", "marginal_cac", "value", "ltv_to_cac"):
            value, interval = getattr(row, name), getattr(row, f"{name}_interval")
            below = "" if interval is None else between(interval)
            shown[name] = _above("–" if value is None else money(float(value)), below)
        shown["payback"] = _above(*time_and_range(row.payback))
        rows.append(shown)
    screen.show(table(rows, headings, left=["channel"]))


def _above(text: str, below: str) -> Text:
    """A figure and, dimmed below it, its interval."""
    from rich.text import Text

    found = Text(text)
    return found.append(f"\n{below}", style="dim") if below else found


def _show_scenarios(screen: Screen, rows: pa.Table) -> None:
    whole = dict.fromkeys(("spent", "profit", "expected_customers"), "{:,.0f}".format)
    formats: Formats = {**whole, "profit_above_first": "{:+,.0f}".format}
    screen.show(table(rows.to_pylist(), SCENARIOS, formats, left=["scenario"]))


def show_channels(screen: Screen, found: ChannelFigures) -> None:
    """What each channel costs and is worth, figures above their dimmed 90% intervals."""
    rows = found.table.to_pylist()
    shown = [_with_intervals(row) for row in rows]
    screen.title("What a new customer costs by channel")
    costs = {k: v for k, v in COSTS.items() if k in found.table.column_names}
    whole: Formats = dict.fromkeys(("loaded_spend", "new_customers"), "{:,.0f}".format)
    screen.show(table(shown, costs, whole, left=["channel"]))
    if found.terms:
        screen.title("What a new customer is worth")
        first = rows[0]
        worth = WORTH | {
            "ltv_to_cac": f"LTV:CAC, {first['horizon']}",
            "payback": f"payback, {first['payback_unit']}s",
        }
        screen.show(table(shown, worth, {"own_share": percent}, left=["channel"]))
    if found.segments is not None:
        screen.title("By segment")
        segments = [
            row | {"paid_cac": _ranged(row, "paid_cac", money)}
            for row in found.segments.to_pylist()
        ]
        whole = {**whole, "paid_customers": "{:,.0f}".format}
        screen.show(table(segments, SEGMENTS, whole, left=["segment"]))
    totals = [
        f"{name} CAC {money(cac, found.currency)}: fully loaded spend over {over}."
        for name, cac, over in (
            ("Paid", found.paid_cac, "the customers of channels with spend"),
            ("Blended", found.blended_cac, "all new customers"),
        )
        if cac is not None
    ]
    terms = [] if not found.terms else [f"LTV is the value of a NEW customer, in {found.terms}."]
    says = findings(rows, found.currency) if found.terms else ()
    screen.points([*totals, *terms, *says, *value_notes(rows), *found.base, *found.notes])


def _with_intervals(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose figures stand above their 90% intervals, as far as it has these."""
    shown = dict(row)
    for name in ("cac", "marginal_cac", "new_customer_value"):
        if name in row:
            shown[name] = _ranged(row, name, money)
    if "payback" in row:
        shown["payback"] = _ranged(row, "payback", "{:.0f}".format)
    return shown


def _ranged(row: dict[str, Any], name: str, written: Callable[[float], str]) -> Text:
    """A figure above its interval; an end that is not reached or not known is left open."""
    from clv.app.outlook import short

    value, low, high = (row.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    ends = ["" if end is None or end != end else short(end) for end in (low, high)]
    text = "–" if value is None or value != value else written(value)
    return _above(text, "–".join(ends) if any(ends) else "")


def show_export(screen: Screen, done: Export) -> None:
    """What was exported, who could not be matched and why, and what changed since."""
    if done.audience is None:
        screen.title(f"{done.file.rows:,} customers exported")
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
            "size": f"{done.file.bytes:,} bytes",
            "SHA-256": done.file.sha256,
        }
    )
    screen.say()


def _show_audience(screen: Screen, report: AudienceReport) -> None:
    """Everybody asked for: in the file, or left out for a reason."""
    screen.title(f"Audience {report.audience} for {report.destination}")
    rows: list[dict[str, Any]] = [{"customers": f"{report.asked:,}", "what": "asked for"}]
    for why, count in report.left_out.items():
        rows.append({"customers": f"-{count:,}", "what": f"left out: {why}"})
    rows.append({"customers": f"{report.file.rows:,}", "what": "in the file"})
    for why, count in report.left_empty.items():
        rows.append({"customers": f"{count:,}", "what": f"of these with a cell left empty: {why}"})
    headings = {"customers": "customers", "what": "what became of them"}
    screen.show(table(rows, headings, left=("what",)))
    screen.points([f"Consent: {report.consent}.", *map(_sentence, report.notes)])


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:]


def show_monitor(screen: Screen, report: MonitorReport, currency: str | None = None) -> None:
    """What came against what was expected, what has moved, and what the verdicts rest on."""
    screen.title(f"Model {report.model_version}: {report.verdict}")
    screen.say(
        f"{report.elapsed} from {report.since} to {report.until}; {report.customers:,} customers "
        f"known then, {report.new_customers:,} won since. Intervals hold {report.level:.0%}."
    )
    _show_totals(screen, report, currency)
    _show_drifts(screen, report)
    screen.points(_worth_a_look(report.checks))
    screen.say()
    screen.title("What it rests on")
    screen.points([_limits_said(report), *map(_sentence, report.notes)])


def _show_totals(screen: Screen, report: MonitorReport, currency: str | None) -> None:
    rows = []
    names = {"value": f"revenue, {currency}" if currency else "revenue"}
    for check in report.checks:
        if check.expected is None:
            continue
        between = f"{check.low:,.0f}–{check.high:,.0f}"
        row = {
            "what": names.get(check.check, check.check),
            "expected": _above(f"{check.expected:,.0f}", between),
            "came": f"{check.actual:,.0f}",
            "off": f"{check.value:+.0%}",
        }
        rows.append(row | {"verdict": _verdict(check)})
    headings = {
        "what": "of customers known then",
        "expected": "expected",
        "came": "came",
        "off": "off by",
        "verdict": "verdict",
    }
    screen.show(table(rows, headings, left=("what", "verdict")))


def _show_drifts(screen: Screen, report: MonitorReport) -> None:
    rows = [
        vars(check) | {"what": check.check.removeprefix("input: "), "verdict": _verdict(check)}
        for check in report.checks
        if check.measure == "PSI"
    ]
    headings = {
        "what": "drift",
        "value": "PSI",
        "ks": "largest gap",
        "before": "values then",
        "now": "now",
        "verdict": "verdict",
    }
    screen.show(table(rows, headings, {"ks": percent}, left=("what", "verdict")))


def _verdict(check: Check) -> Text:
    from rich.text import Text

    styles = {"alarm": "bold red", "watch": "yellow", "ok": "green"}
    return Text(check.verdict, style=styles.get(check.verdict, ""))


def _worth_a_look(checks: Sequence[Check]) -> list[str]:
    """What the tables do not say; alarms are told once, as the error that ends the command."""
    ageing = [c for c in checks if c.measure == "PSI" and not c.alarm_beyond]
    moved = [c.check.split(": ")[1] for c in ageing if c.verdict == "watch"]
    unsure = [c for c in checks if c.verdict in ("watch", "no verdict") and c.expected is None]
    told = [c.finding for c in unsure if c not in ageing or c.verdict == "no verdict"]
    told += [c.finding for c in checks if c.measure == "share changed" and c.verdict == "ok"]
    aged = f"{', '.join(moved)}: moved as customers age, which the models allow for. No alarm."
    return [*map(_sentence, told), *([aged] if moved else [])]


def _limits_said(report: MonitorReport) -> str:
    """The thresholds, in words."""
    at = report.thresholds
    return (
        f"Alarm: a total outside its interval and more than {100 * at.total:g}% off; PSI above "
        f"{at.psi_alarm:g} and beyond chance, but of what moves as customers age; another past "
        f"of more than {100 * at.history:g}% of the customers. Watch: a total outside its "
        f"interval; PSI above {at.psi_watch:g} and beyond chance. These are conventions, to be "
        "set by options."
    )
