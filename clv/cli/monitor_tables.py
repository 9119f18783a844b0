"""What ``clv monitor`` shows of its report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clv.cli.screen import Screen, above, capitalized, table
from clv.format import percent

if TYPE_CHECKING:
    from rich.text import Text

    from clv.monitoring import Check, MonitorReport


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
    screen.points([_limits_said(report), *map(capitalized, report.notes)])


def _show_totals(screen: Screen, report: MonitorReport, currency: str | None) -> None:
    rows = []
    names = {"value": f"revenue, {currency}" if currency else "revenue"}
    for check in report.checks:
        if check.expected is None:
            continue
        between = f"{check.low:,.0f}–{check.high:,.0f}"
        row = {
            "what": names.get(check.check, check.check),
            "expected": above(f"{check.expected:,.0f}", between),
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
    return [*map(capitalized, told), *([aged] if moved else [])]


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
