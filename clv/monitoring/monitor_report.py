"""The checks of monitoring with their verdicts and thresholds, and the report of all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw

from clv.errors import InputError, MonitorError
from clv.findings import Finding, finding, saved
from clv.format import count, counted
from clv.notebook import InNotebook
from clv.shares import check_share

Verdict = Literal["ok", "watch", "alarm", "no verdict"]
TABLE: dict[str, Any] = {
    "check": nw.String,
    "verdict": nw.String,
    "measure": nw.String,
    "value": nw.Float64,
    "watch_beyond": nw.Float64,
    "alarm_beyond": nw.Float64,
    "expected": nw.Float64,
    "low": nw.Float64,
    "high": nw.Float64,
    "actual": nw.Float64,
    "ks": nw.Float64,
    "before": nw.Int64,
    "now": nw.Int64,
    "finding": nw.String,
}


@dataclass(frozen=True)
class Thresholds:
    """When a check raises an alarm; all are conventions, to be set by who acts on them.

    Attributes
    ----------
    total
        Relative error of a total, on top of being outside its interval.
    psi_watch, psi_alarm
        Population stability index, on top of being beyond chance.
    history
        Share of customers whose past, as the log tells it now, is not that of the scores then.
    """

    total: float = 0.15
    psi_watch: float = 0.1
    psi_alarm: float = 0.25
    history: float = 0.01

    def __post_init__(self) -> None:
        check_share("total", self.total)
        check_share("history", self.history)
        if not 0 < self.psi_watch <= self.psi_alarm:
            raise InputError("a threshold is negative, or psi_watch is above psi_alarm.")


@dataclass(frozen=True)
class Check:
    """One question, its figures and its answer.

    Attributes
    ----------
    check
        "purchases", "value", "customer histories", "input: <column>" or "score: <column>".
    verdict
        "ok", "watch", "alarm", or "no verdict" where there is nothing to compare.
    measure, value
        What is held against the thresholds: "relative error", "PSI" or "share changed".
    finding
        The same in words.
    before, now
        Customers counted then and now.
    watch_beyond, alarm_beyond
        The thresholds; None where a check does not watch, or cannot raise an alarm.
    expected, low, high, actual
        Of totals: purchases, or revenue in the log's currency, undiscounted.
    ks
        Kolmogorov-Smirnov distance, of drift in numbers.
    """

    check: str
    verdict: Verdict
    measure: str
    value: float
    finding: Finding
    before: int
    now: int
    watch_beyond: float | None = None
    alarm_beyond: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    actual: float | None = None
    ks: float | None = None


@dataclass(frozen=True)
class MonitorReport(InNotebook):
    """All checks of one model over one stretch of time.

    Attributes
    ----------
    model_version, since, until, elapsed
        The model, the last day it is asked to forecast from, the last day of the log, and the time
        between.
    customers, new_customers
        Calibration at ``since``, and won after it; the latter are in no forecast of totals.
    level
        Of the intervals.
    checks
        In the order of the questions.
    thresholds
        What the verdicts rest on.
    notes
        What the figures assume or leave out.
    """

    model_version: str
    since: str
    until: str
    elapsed: str
    customers: int
    new_customers: int
    level: float
    checks: tuple[Check, ...]
    thresholds: Thresholds
    notes: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the checks."""
        verdicts = {check.verdict for check in self.checks}
        return "alarm" if "alarm" in verdicts else "watch" if "watch" in verdicts else "ok"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What each check found, alarms first."""
        order = ("alarm", "watch", "no verdict", "ok")
        ordered = sorted(self.checks, key=lambda check: order.index(check.verdict))
        return tuple(
            finding("monitoring.verdict", verdict=check.verdict, what=check.finding).within(
                check.finding.currency
            )
            for check in ordered
        )

    def require_no_alarm(self) -> None:
        """Raise ``MonitorError`` (exit code 8) if a check is past its threshold."""
        alarms = [check.finding for check in self.checks if check.verdict == "alarm"]
        if alarms:
            many = finding("monitoring.past_threshold", alarms=len(alarms), checks=len(self.checks))
            raise MonitorError(
                " ".join(map(str, (many, *alarms))),
                hint="look at the findings; train again on today's log, or mend the log.",
            )

    def metrics(self) -> dict[str, float]:
        """The value of each check under a flat name, finite ones only, for a tracking server.

        Names hold letters, digits, ``_``, ``.`` and ``/``, such as ``monitor/input.T``.
        """
        named = {f"monitor/{c.check.replace(': ', '.').replace(' ', '_')}": c for c in self.checks}
        alarms = sum(check.verdict == "alarm" for check in self.checks)
        values = {name: check.value for name, check in named.items() if math.isfinite(check.value)}
        return values | {"monitor/alarms": float(alarms)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; what cannot be told is None."""
        return vars(self) | {
            "verdict": self.verdict,
            "thresholds": vars(self.thresholds),
            "checks": [_row(check) | {"finding": check.finding.to_dict()} for check in self.checks],
            "notes": saved(self.notes),
        }

    def to_frame(self, backend: Literal["pandas", "polars", "pyarrow"] = "pandas") -> Any:
        """One row per check, as a pandas, Polars or PyArrow table."""
        rows = [_row(check) | {"finding": check.finding.text} for check in self.checks]
        columns = {name: [row[name] for row in rows] for name in TABLE}
        return nw.from_dict(columns, schema=TABLE, backend=backend).to_native()

    def __str__(self) -> str:
        head = (
            f"Model {self.model_version}, {self.elapsed} from {self.since} to {self.until}, "
            f"{counted(self.customers, 'customer')} ({count(self.new_customers)} won since): "
            f"{self.verdict}."
        )
        notes = (f"note: {note}" for note in self.notes)
        return "\n".join([head, *(f"  {line}" for line in (*self.findings, *notes))])


def _row(check: Check) -> dict[str, Any]:
    """The fields of a check; what is no number is None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in vars(check).items()
    }
