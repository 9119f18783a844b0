"""Do subscribers leave as the model said? Those who were there then, renewal by renewal since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import norm

from clv.contracts.billing_tables import Interval
from clv.contracts.contract_covariates import attach_covariates
from clv.contracts.contract_fit import PARTS, ContractModels, PeriodModels
from clv.contracts.contract_tables import ContractTable
from clv.defaults import LEVEL
from clv.errors import InputError
from clv.findings import finding
from clv.monitoring.monitor_report import Check, MonitorReport, Thresholds
from clv.probability.contract_model import ContractModel
from clv.probability.covariance import draws, with_parameters
from clv.schema import Floats

DRAWS = 200


def monitor_contracts(
    table: ContractTable,
    models: ContractModels,
    *,
    thresholds: Thresholds | None = None,
    level: float = LEVEL,
) -> MonitorReport:
    """Hold the renewals that a model expected against those that were made since.

    Parameters
    ----------
    table
        The contracts of today, read with ``observed_from`` the day after the model's last.
    models
        Fitted on the contracts of then.
    thresholds
        Its ``total`` is the relative error beyond which customers lost are an alarm, if they are
        outside the interval, too.
    level
        Of the interval: of chance, and of the parameters.

    Raises
    ------
    InputError
        The table holds no customers, or ends before the model's last day.
    """
    limits = thresholds or Thresholds()
    if table.contracts is None or table.as_of is None:
        raise InputError("counts of cohorts hold no customers, so none can be followed.")
    since = dt.date.fromisoformat(models.as_of) if models.as_of else table.as_of
    if table.as_of <= since:
        raise InputError(
            f"the table ends on {table.as_of}, the model was fitted up to {since}.",
            hint="give the contracts as they stand now.",
        )
    rows = _followed(table, models, since)
    checks = tuple(_checks(rows, models, limits, level))
    new = table.contracts.rows.filter(f"start > DATE '{since}'").aggregate("count(*)")
    return MonitorReport(
        models.version,
        str(since),
        str(table.as_of),
        f"{(table.as_of - since).days} days",
        int(rows["n"].sum()),
        int(new.fetchall()[0][0]),
        level,
        checks,
        limits,
        (finding("monitoring.moved"), *models.notes),
    )


def _followed(table: ContractTable, models: ContractModels, since: dt.date) -> Any:
    """Counts of contracts that ran then, by model, age then and renewals due since."""
    part = PARTS[models.by].format("")
    assert table.contracts is not None
    if models.covariates:
        attach_covariates(table, models.covariates)
    running = table.contracts.rows.filter(
        f"NOT moved AND NOT old AND start <= DATE '{since}' AND decided >= entered "
        f"AND coalesce(until > DATE '{since}', true)"
    )
    return running.aggregate(
        f"unit, length, {part} AS part, entered, decided, count(*) AS n, "
        "count(*) FILTER (churned AND periods > entered) AS lost",
        f"unit, length, {part}, entered, decided",
    ).df()


def _checks(rows: Any, models: ContractModels, limits: Thresholds, level: float) -> Iterator[Check]:
    for (unit, length), group in rows.groupby(["unit", "length"]):
        interval = Interval(unit, int(length))
        name, n = f"renewals by the {interval}", int(group["n"].sum())
        period = models.periods.get(interval)
        due = group[group["decided"] > group["entered"]]
        if period is None or due.empty:
            code = "monitoring.no_model" if period is None else "monitoring.none_due"
            says = finding(code, check=name)
            yield Check(name, "no verdict", "relative error", float("nan"), says, n, n)
            continue
        yield _check(name, due, period, limits, level, n)


def _check(
    name: str, due: Any, period: PeriodModels, limits: Thresholds, level: float, n: int
) -> Check:
    expected, variance = 0.0, 0.0
    for part, group in due.groupby("part"):
        model = period.model_of(str(part))
        entered, decided, count = (
            group[column].to_numpy(dtype=np.float64) for column in ("entered", "decided", "n")
        )
        p = _lost(model, entered, decided)
        drawn = [
            count @ _lost(with_parameters(model, theta), entered, decided)
            for theta in draws(model, DRAWS)
        ]
        expected += float(count @ p)
        variance += float(count @ (p * (1 - p))) + float(np.var(drawn))
    actual = float(due["lost"].sum())
    reach = float(norm.ppf((1 + level) / 2)) * variance**0.5
    error = actual / expected - 1 if expected else float("nan")
    off = abs(actual - expected) > reach and abs(error) > limits.total
    span = {"low": expected - reach, "high": expected + reach}
    says = finding("monitoring.left", check=name, actual=actual, expected=expected, **span)
    return Check(
        *(name, "alarm" if off else "ok", "relative error", error, says, n, n - int(actual)),
        alarm_beyond=limits.total,
        expected=expected,
        actual=actual,
        **span,
    )


def _lost(model: ContractModel, entered: Floats, decided: Floats) -> Floats:
    """The chance of not making all renewals up to ``decided``, given there at ``entered``."""
    return np.asarray(1 - model.survival(decided) / model.survival(entered))
