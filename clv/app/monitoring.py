"""Is the model still right? From files to a monitor's report, and to a run of MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clv.app.contract_files import contracts_of
from clv.app.registry import load_contracts
from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result
from clv.data.cleaning_report import CleaningReport
from clv.data.days import Day, as_day
from clv.defaults import LEVEL
from clv.errors import InputError
from clv.format import counted
from clv.intake.fingerprint import read_as_trained
from clv.io.files import read_table
from clv.monitoring import MonitorReport, Thresholds, monitor
from clv.monitoring.contracts import monitor_contracts
from clv.score_columns import PLAN
from clv.scorer import CustomerScorer


def watch_log(
    log: str,
    scorer: CustomerScorer,
    *,
    scores: str | None = None,
    scores_now: str | None = None,
    since: Day | None = None,
    as_of: Day | None = None,
    level: float = LEVEL,
    thresholds: Thresholds | None = None,
    anyway: bool = False,
    **rules: Any,
) -> tuple[MonitorReport, CleaningReport]:
    """What came since against what ``scorer`` expected, and what cleaning did to the log.

    Parameters
    ----------
    log
        A file of orders up to today; it is cleaned with ``rules`` as by ``clv check``.
    scores, scores_now
        Files of scores, of then and of today.
    since, as_of
        The first day's eve and the last day of the comparison, see ``since`` and ``until`` of
        :func:`clv.monitoring.monitor`.
    anyway
        Compare a log that does not look like the model's own.

    Raises
    ------
    ColumnError, RowError, InputError
        A file cannot be used, scores are of another day than they are compared on, or there is
        nothing after ``since``.
    """
    orders = read_as_trained(log, scorer.training, as_of=as_of, anyway=anyway, **rules)
    cleaned, report = orders.purchases, orders.report
    then, now = (None if file is None else read_table(file) for file in (scores, scores_now))
    for table in (then, now):
        _require_buyers(table)
    if now is not None:
        _require_day(now, "today", as_of or report.last_date)
    if then is not None and since is not None:
        _require_day(then, "then", since)
    result = monitor(
        scorer,
        cleaned,
        scores_then=then,
        scores_now=now,
        since=since,
        until=as_of,
        thresholds=thresholds,
        common=scorer.common_factor(),
        level=level,
    )
    return result, report


def track_monitor(experiment: str, report: MonitorReport) -> str:
    """Log a report in a run of its own, its verdict as a tag, and give the run's id."""
    stated = ("model_version", "since", "until", "level", "customers", "new_customers")
    values = report.to_dict()
    limits = {f"threshold_{name}": limit for name, limit in values["thresholds"].items()}
    evidence = Evidence(
        params={name: values[name] for name in stated} | limits,
        metrics=report.metrics(),
        tags={"kind": "monitor", "verdict": report.verdict, "model_version": report.model_version},
        files={"monitor.json": values},
        says=str(report),
    )
    return log_result(experiment, f"monitor {report.until}", evidence)


def _require_buyers(scores: Any) -> None:
    """Raise where scores are of subscribers, too: no log of orders knows what came of them."""
    if scores is None or PLAN not in scores.column_names:
        return
    if under_contract := len(scores) - scores[PLAN].null_count:
        raise InputError(
            f"the scores hold {counted(under_contract, 'subscriber')}, of whom a log of orders "
            "knows nothing.",
            hint="give what clv score wrote for the buyers; hold subscribers against their "
            "contracts: clv monitor subscriptions.csv --model what clv contracts --save wrote.",
        )


def _require_day(scores: Any, what: str, day: Day) -> None:
    """Raise unless scores are of the day they are compared on, where they say theirs."""
    if "as_of" not in scores.column_names:
        return
    days = sorted({str(value)[:10] for value in scores["as_of"].unique().to_pylist()})
    expected = str(as_day(day, what))
    if days != [expected]:
        raise InputError(
            f"the scores of {what} are as of {', '.join(days)}, not of {expected}.",
            hint=f"score the log as of {expected}, or leave those scores out.",
        )


def watch_contracts(
    file: str,
    model: str | None,
    thresholds: Thresholds,
    *,
    level: float,
    unused: Sequence[str] = (),
) -> MonitorReport:
    """Hold models of contracts against the table of today; ``unused`` was asked for in vain.

    Raises
    ------
    InputError, ModelError
        No model is named, or the table cannot be used.
    """
    if unused:
        raise InputError(
            f"{', '.join(unused)}: nothing that is held against a table of contracts.",
            hint="leave it out; the model says since when, and renewals alone are compared.",
        )
    if model is None:
        raise InputError(
            "a table of contracts is held against a model of contracts.",
            hint="name it: --model models:/clv-contracts/1, or what clv contracts --save wrote.",
        )
    models = load_contracts(model)
    since = {"observed_from": models.as_of} if models.as_of else {}
    return monitor_contracts(
        contracts_of([file], since), models, thresholds=thresholds, level=level
    )
