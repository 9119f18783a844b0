"""What ``clv monitor`` shows of its report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from clv.cli.screen import Screen, above, table
from clv.findings import finding
from clv.format import capital, change, count, counted, day, money, percent

if TYPE_CHECKING:
    from rich.text import Text

    from clv.monitoring import Check, MonitorReport


def show_monitor(screen: Screen, report: MonitorReport, currency: str | None = None) -> None:
    """What came against what was expected, what has moved, and what the verdicts rest on."""
    screen.title(f"Model {report.model_version}: {report.verdict}")
    screen.say(
        f"{report.elapsed} from {day(report.since)} to {day(report.until)}; "
        f"{counted(report.customers, 'customer')} known then, {count(report.new_customers)} won "
        f"since. Intervals hold {percent(report.level)}."
    )
    _show_totals(screen, report, currency)
    _show_drifts(screen, report)
    screen.points(_worth_a_look(report.checks))
    screen.say()
    screen.title("What it rests on")
    notes = [capital(str(note)) for note in report.notes]
    screen.points([finding("monitoring.limits", **vars(report.thresholds)), *notes])


def _show_totals(screen: Screen, report: MonitorReport, currency: str | None) -> None:
    rows = []
    names = {"value": f"revenue, {currency}" if currency else "revenue"}
    for check in report.checks:
        if check.expected is None:
            continue
        write = partial(money, currency="") if check.check == "value" else count
        low, high = (write(round(end)) for end in (check.low or 0.0, check.high or 0.0))
        row = {
            "what": names.get(check.check, check.check),
            "expected": above(write(round(check.expected)), f"{low}–{high}"),
            "came": write(round(check.actual or 0.0)),
            "off": change(check.value),
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
    if not rows:
        return  # of contracts renewals alone are compared
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
    findings = [c.finding for c in unsure if c not in ageing or c.verdict == "no verdict"]
    findings += [c.finding for c in checks if c.measure == "share changed" and c.verdict == "ok"]
    findings += [finding("monitoring.all_aged", columns=moved)] if moved else []
    return [capital(str(each)) for each in findings]
