"""Is the model still right? What came since the as-of date against what was expected, and drift.

Three questions, each a check with its verdict: did the customers known then buy and spend what the
models expected; are the customers of today like those it learned from; have the scores moved. A
total raises an alarm only outside its interval and beyond a tolerance, drift only beyond a
threshold and beyond chance, and not where customers only grew older. The thresholds are
conventions, and are stated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.typing import IntoFrame

from clv.data.days import Day, as_day
from clv.data.summary import split_holdout, summarize
from clv.defaults import LEVEL
from clv.errors import InputError
from clv.evaluate.drift import Drift, category_drift, drift
from clv.findings import Finding, finding
from clv.monitoring.monitor_report import Check, MonitorReport, Thresholds, Verdict
from clv.periods import Duration
from clv.schema import Floats, as_frame, collect, numbers, require_columns
from clv.scorer import CustomerScorer
from clv.value.common_factor import CommonFactor
from clv.value.total_moments import Total
from clv.value.totals import total_purchases, total_value
from clv.value.value import Terms

INPUTS = ("frequency", "recency", "T", "days_since_last", "monetary_value", "first_amount")
AGEING = ("frequency", "recency", "T", "days_since_last")  # these move as time passes
SCORES = ("clv", "churn_probability")
HISTORY = "customer histories"


def monitor(
    scorer: CustomerScorer,
    log: IntoFrame,
    *,
    scores_then: IntoFrame | None = None,
    scores_now: IntoFrame | None = None,
    training_summary: IntoFrame | None = None,
    since: Day | None = None,
    until: Day | None = None,
    thresholds: Thresholds | None = None,
    common: CommonFactor | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> MonitorReport:
    """Hold what a model expected against the log of today.

    Parameters
    ----------
    scorer
        The model in use. The intervals of totals are as good as what it carries: without the
        covariance of its parameters and without ``common`` they are too narrow, and say so.
    log
        The clean log up to today.
    scores_then
        What was scored at ``since``; without it, neither score drift nor changed histories are
        checked.
    scores_now
        Scores as of ``until``; made here by ``scorer`` if not given.
    training_summary
        What the model learned from; by default the log as of ``scorer.as_of``.
    since, until
        The last day of the forecast's past, that of ``scores_then``, else of the scorer; and the
        last day known, that of the log.
    thresholds
        From where on a difference is watched, and from where on it is an alarm.
    common
        From :func:`clv.value.common_factor.common_factor`: what moves all customers at once.
    level, seed
        Of the intervals of totals: their chance, and the seed of their draws.

    Returns
    -------
    MonitorReport
        The checks, each with what was expected, what came and a verdict ("ok", "watch", "alarm").

    Raises
    ------
    ColumnError, RowError, InputError
        A table cannot be used, or the log has no day after ``since``.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> import pandas as pd
    >>> log = cdnow_log(sample=True)
    >>> past = log[log["date"] <= pd.Timestamp("1997-09-30")]
    >>> scorer = CustomerScorer.fit(past, Terms(0.3), churn_horizon=Duration(13, "week"))
    >>> report = monitor(scorer, log)
    >>> report.elapsed, report.customers, report.new_customers
    ('273 days', 2357, 0)
    >>> purchases = report.checks[0]
    >>> round(purchases.expected), round(purchases.actual), purchases.verdict
    (1653, 1882, 'watch')
    """
    limits = thresholds or Thresholds()
    start = _since(scorer, scores_then, since)
    today: Any = summarize(log, until, unit=scorer.unit)
    end = _constant(today, "as_of")
    _require_newer(start, end)
    window: Any = split_holdout(log, start, until, unit=scorer.unit)
    elapsed = Duration((end - start).days, "day")
    totals = _totals(scorer, window, elapsed, common, level, seed)
    learned: Any = training_summary
    if learned is None:
        learned = summarize(log, as_of=scorer.as_of, unit=scorer.unit)
    checks = [
        *_total_checks(window, totals, limits, scorer.terms.currency or ""),
        *_input_checks(learned, today, limits),
    ]
    if scores_then is not None:
        checks.append(_history_check(scores_then, window, limits))
        now: Any = scorer.predict(today) if scores_now is None else scores_now
        checks.extend(_score_checks(scores_then, now, limits, _same_ages(window, today, limits)))
    customers = _rows(window)
    return MonitorReport(
        model_version=scorer.version,
        since=str(start),
        until=str(end),
        elapsed=str(elapsed),
        customers=customers,
        new_customers=_rows(today) - customers,
        level=level,
        checks=tuple(checks),
        thresholds=limits,
        notes=_notes(scorer, scores_then, start, totals),
    )


def _require_newer(start: date, end: date) -> None:
    if end <= start:
        raise InputError(
            f"there are no orders after {start}, the last day that the model knew: the log ends on "
            f"{end}, so nothing came since that could be compared.",
            hint="give the orders up to today, or an earlier day with --since (since=).",
        )


def _since(scorer: CustomerScorer, scores: IntoFrame | None, since: Day | None) -> date:
    if since is not None:
        return as_day(since, "since")
    if scores is not None and "as_of" in as_frame(scores).collect_schema().names():
        return _constant(scores, "as_of")
    return as_day(scorer.as_of, "as_of")


def _constant(table: IntoFrame, name: str) -> date:
    """The one day that a column holds."""
    values = as_frame(table).select(name).unique().collect()[name].to_list()
    if len(values) != 1:
        raise InputError(
            f"{name} of the scores holds {len(values)} days.", hint="give one run of scores."
        )
    return as_day(str(values[0])[:10], name)


def _rows(table: IntoFrame) -> int:
    return int(as_frame(table).select(nw.len()).collect().item())


def _totals(
    scorer: CustomerScorer,
    window: Any,
    elapsed: Duration,
    common: CommonFactor | None,
    level: float,
    seed: int,
) -> dict[str, Total]:
    """What was expected of the customers known then: purchases, and revenue undiscounted."""
    terms = Terms(1.0, 0.0, elapsed, scorer.terms.currency)
    how: dict[str, Any] = {"level": level, "common": common, "seed": seed}
    return {
        "purchases": total_purchases(window, scorer.purchases, elapsed, **how),
        "value": total_value(window, scorer.purchases, scorer.spend, terms, **how),
    }


def _total_checks(
    window: Any, totals: dict[str, Total], limits: Thresholds, currency: str
) -> Iterator[Check]:
    names = {"purchases": "holdout_frequency", "value": "holdout_value"}
    rows = collect(window, tuple(names.values()), "the log")
    for name, total in totals.items():
        actual = math.fsum(numbers(rows, names[name]))  # in whatever order rows come
        yield _total_check(name, total, actual, limits, currency)


def _total_check(
    name: str, total: Total, actual: float, limits: Thresholds, currency: str
) -> Check:
    error = actual / total.mean - 1 if total.mean else math.nan
    inside = total.low <= actual <= total.high
    beyond = abs(error) > limits.total or not total.mean
    verdict: Verdict = "ok" if inside else "alarm" if beyond else "watch"
    side = "within" if inside else "above" if actual > total.high else "below"
    says = finding(
        f"monitoring.{name}",
        actual=actual,
        expected=total.mean,
        error=error,
        side=finding(f"monitoring.{side}"),
        level=total.level,
        low=total.low,
        high=total.high,
    )
    return Check(
        check=name,
        verdict=verdict,
        measure="relative error",
        value=error,
        finding=says.within(currency),
        alarm_beyond=limits.total,
        expected=total.mean,
        low=total.low,
        high=total.high,
        actual=actual,
        before=total.customers,
        now=total.customers,
    )


def _input_checks(learned: Any, today: Any, limits: Thresholds) -> Iterator[Check]:
    """Drift of each column that both summaries have, and of the channels."""
    old, new = (
        collect(table, ("frequency",), "the summary", INPUTS[1:]) for table in (learned, today)
    )
    for name in INPUTS:
        if name in old.columns and name in new.columns:
            column_drift = drift(_measured(old, name), _measured(new, name))
            yield _drift_check(f"input: {name}", column_drift, limits, alarming=name not in AGEING)
    tables = [as_frame(table) for table in (learned, today)]
    if all("channel" in table.collect_schema().names() for table in tables):
        then, now = (table.select("channel").collect()["channel"].to_list() for table in tables)
        yield _drift_check("input: channel", category_drift(then, now), limits)


def _measured(rows: nw.DataFrame[Any], name: str) -> Floats:
    """A column of a summary; the mean repeat spend of those alone who have one."""
    values = numbers(rows, name, "the summary")
    return values[numbers(rows, "frequency") > 0] if name == "monetary_value" else values


def _score_checks(
    then: IntoFrame, now: IntoFrame, limits: Thresholds, same_ages: bool
) -> Iterator[Check]:
    """Drift of the scores: no alarm where older or younger customers are reason enough for it."""
    for name in SCORES:
        if any(name not in as_frame(table).collect_schema().names() for table in (then, now)):
            continue
        old, new = (numbers(collect(table, (name,), "the scores"), name) for table in (then, now))
        yield _drift_check(f"score: {name}", drift(old, new), limits, alarming=same_ages)


def _same_ages(window: Any, today: Any, limits: Thresholds) -> bool:
    """Whether the customers then and now are of like age, as in a brand that grows steadily."""
    ages = (numbers(collect(table, ("T",), "the summary"), "T") for table in (window, today))
    age_drift = drift(*ages)
    return not age_drift.psi > max(limits.psi_alarm, age_drift.psi_by_chance)


def _drift_check(name: str, drifted: Drift, limits: Thresholds, *, alarming: bool = True) -> Check:
    shifted = drifted.psi > drifted.psi_by_chance
    verdict: Verdict = "ok"
    if math.isnan(drifted.psi):
        verdict = "no verdict"
    elif shifted and drifted.psi > limits.psi_alarm and alarming:
        verdict = "alarm"
    elif shifted and drifted.psi > limits.psi_watch:
        verdict = "watch"
    return Check(
        check=name,
        verdict=verdict,
        measure="PSI",
        value=drifted.psi,
        finding=_drift_finding(name, drifted, verdict, alarming),
        watch_beyond=limits.psi_watch,
        alarm_beyond=limits.psi_alarm if alarming else None,
        ks=drifted.ks,
        before=drifted.before,
        now=drifted.now,
    )


def _drift_finding(name: str, drifted: Drift, verdict: Verdict, alarming: bool) -> Finding:
    column = name.replace("input: ", "").replace("score: ", "score ")
    values: dict[str, Any] = {"column": column, "before": drifted.before, "now": drifted.now}
    if verdict == "no verdict":
        return finding("monitoring.nothing", **values)
    gap = None if drifted.ks is None else finding("monitoring.gap", ks=drifted.ks)
    code = "aged" if verdict == "watch" and not alarming else verdict
    values |= {"psi": drifted.psi, "gap": gap, "chance": float(f"{drifted.psi_by_chance:.1g}")}
    return finding(f"monitoring.{code}", **values)


def _history_check(scores: IntoFrame, window: Any, limits: Thresholds) -> Check:
    """Do log and scores tell the same past? Late or deleted orders would pass for bad forecasts."""
    then, now = (_frequencies(table) for table in (scores, window))
    deleted, late = len(then.keys() - now.keys()), len(now.keys() - then.keys())
    both = then.keys() & now.keys()
    other = sum(then[id_] != now[id_] for id_ in both if then[id_] is not None)
    share = (deleted + late + other) / max(len(then), 1)
    return Check(
        check=HISTORY,
        verdict="alarm" if share > limits.history else "ok",
        measure="share changed",
        value=share,
        finding=finding(
            "monitoring.history", then=len(then), deleted=deleted, late=late, other=other
        ),
        alarm_beyond=limits.history,
        before=len(then),
        now=len(now),
    )


def _frequencies(table: IntoFrame) -> dict[str, float | None]:
    """Repeat purchases by customer id as text; None where the table does not say."""
    require_columns(as_frame(table), ["customer_id"], "the scores")
    rows = collect(table, ("customer_id",), "the scores", ("frequency",))
    ids = [str(id_) for id_ in rows["customer_id"].to_list()]
    if "frequency" not in rows.columns:
        return dict.fromkeys(ids)
    return dict(zip(ids, np.asarray(numbers(rows, "frequency")).tolist(), strict=True))


def _notes(
    scorer: CustomerScorer, scores: IntoFrame | None, start: date, totals: dict[str, Total]
) -> tuple[Finding, ...]:
    notes = list(dict.fromkeys(reason for total in totals.values() for reason in total.reasons))
    if as_day(scorer.as_of, "as_of") > start:
        notes.append(finding("monitoring.saw_the_window", as_of=scorer.as_of, start=start))
    if scores is None:
        notes.append(finding("monitoring.no_scores"))
    elif "model_version" in as_frame(scores).collect_schema().names():
        models = as_frame(scores).select("model_version").unique().collect()["model_version"]
        if (versions := models.to_list()) != [scorer.version]:
            notes.append(finding("monitoring.other_model", models=sorted(map(str, versions))))
    return (*notes, finding("monitoring.refunds"))
