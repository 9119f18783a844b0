"""Tests by chance from files: a baseline to plan on, an assignment, outcomes, results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv.app.campaigns import SINGLE, arms_of
from clv.app.run_evidence import Evidence
from clv.app.run_logging import log_result, plots_as_files
from clv.data.days import as_day
from clv.decide.scores import ID
from clv.defaults import LEVEL
from clv.errors import ColumnError, InputError
from clv.experiments.campaign_roi import CampaignROI, campaign_roi
from clv.experiments.measured_test import MeasuredTest, measure_test
from clv.intake.check import read_files
from clv.io.files import read_table

OUTCOME = "outcome_margin"
MOST_WEEKS = 2000.0


@dataclass(frozen=True)
class OutcomeWindow:
    """From which day outcomes count, for how many days; ``margin_rate`` of what is paid."""

    first: dt.date
    days: int
    margin_rate: float = 1.0

    @property
    def last(self) -> dt.date:
        """The last day that counts."""
        return self.first + dt.timedelta(days=self.days - 1)


@dataclass(frozen=True)
class Baseline:
    """What customers bring within a window without a test, and what was known of it before."""

    customers: int
    mean: float
    sd: float
    r2: float


def margins(
    orders: Sequence[str], customers: Sequence[Any], window: OutcomeWindow, **stated: Any
) -> Any:
    """Margin of each customer within a window, shape (customers,), 0 for whoever bought nothing.

    Raises
    ------
    InputError
        The orders cannot be read, or end before the window does.
    """
    return margins_within(read_files(list(orders), **stated).purchases, customers, window)


def margins_within(purchases: Any, customers: Sequence[Any], window: OutcomeWindow) -> Any:
    """``margins`` of clean orders that were read already, a relation of DuckDB."""
    log = purchases.filter(f"date >= DATE '{window.first}' AND date <= DATE '{window.last}'")
    ends = as_day(str(purchases.aggregate("max(date)").fetchall()[0][0])[:10], "the orders")
    if ends < window.last:
        raise InputError(
            f"the orders end on {ends}, outcomes are counted until {window.last}.",
            hint="wait for the orders of all days, or count fewer weeks for everybody.",
        )
    amount = "margin" if "margin" in log.columns else f"amount * {float(window.margin_rate)}"
    pairs = log.aggregate(f"CAST(customer_id AS VARCHAR), sum({amount})").fetchall()
    sums = {str(who): float(total) for who, total in pairs}
    totals = np.array([sums.get(str(who), 0.0) for who in customers])
    if sums and not totals.any():
        raise InputError(
            "none of the customers of the test bought anything within the window.",
            hint="check that their ids are written as in the orders.",
        )
    return totals


def baseline(scores: str, orders: Sequence[str], weeks: float, **stated: Any) -> Baseline:
    """What the customers of scores brought in the weeks after them, and how well CLV knew it.

    Raises
    ------
    InputError, ColumnError
        The scores say no day or no CLV, or the orders end too early.
    """
    table = read_table(scores)
    for name in (ID, "clv", "as_of"):
        if name not in table.column_names:
            raise ColumnError(f"{scores} has no column {name}.", hint="give what clv score wrote.")
    day = as_day(str(table["as_of"][0].as_py())[:10], "as_of") + dt.timedelta(days=1)
    y = margins(orders, table[ID].to_pylist(), OutcomeWindow(day, _days(weeks)), **stated)
    if not y.std() > 0:
        raise InputError(f"nobody bought anything from {day} on: there is nothing to lift.")
    clv = table["clv"].to_numpy().astype(float)
    r = float(np.corrcoef(clv, y)[0, 1]) if clv.std() > 0 else 0.0
    return Baseline(len(y), float(y.mean()), float(y.std(ddof=1)), max(r, 0.0) ** 2)


def with_outcomes(
    log: pa.Table, orders: Sequence[str], since: str | None, weeks: float, **settings: Any
) -> pa.Table:
    """An assignment with the margin of each customer in the weeks from its first day on.

    ``settings`` are margin_rate and how the orders are read.
    """
    if OUTCOME in log.column_names:
        raise InputError(
            f"the log has a column {OUTCOME} already.", hint="leave the orders or the column out."
        )
    first = as_day(since, "--since") if since else _day_of(log)
    window = OutcomeWindow(first, _days(weeks), settings.pop("margin_rate", 1.0))
    if ID not in log.column_names:
        raise ColumnError(f"the log has no column {ID}.", hint="give what clv plan-test wrote.")
    y = margins(orders, log[ID].to_pylist(), window, **settings)
    with_date = (
        log
        if "date" in log.column_names
        else log.append_column("date", pa.array([first] * log.num_rows))
    )
    return with_date.append_column(OUTCOME, pa.array(y))


def measure(
    log: pa.Table,
    before: str | None,
    *,
    propensity: float | None = None,
    level: float = LEVEL,
    currency: str = "",
) -> dict[str, MeasuredTest]:
    """What a test found, by offer where there were several.

    Raises
    ------
    InputError, ColumnError, RowError, FitError
        As ``measure_test``.
    """
    features = None if before is None else read_table(before)
    currency = currency or _currency_of(log) or _currency_of(features)
    return {
        name: measure_test(arm, features, propensity=propensity, level=level, currency=currency)
        for name, arm in arms_of(log).items()
    }


def _currency_of(table: pa.Table | None) -> str:
    """The one currency that a table states; empty if none or several."""
    if table is None or "currency" not in table.column_names:
        return ""
    stated = set(table["currency"].unique().to_pylist()) - {None, ""}
    return str(stated.pop()) if len(stated) == 1 else ""


def returns(
    tests: Mapping[str, MeasuredTest], cost: float | None, margin_rate: float
) -> dict[str, CampaignROI]:
    """The ROI of each offer whose cost is known."""
    if cost is not None and len(tests) > 1:
        raise InputError(
            "the campaign was of several offers, and one cost is given.",
            hint="write what each customer cost into the column cost of the log.",
        )
    priced = {name: test for name, test in tests.items() if cost is not None or test.cost > 0}
    return {
        name: campaign_roi(test, cost=cost, margin_rate=margin_rate)
        for name, test in priced.items()
    }


def returned_by(
    log: str | None, before: str | None, propensity: float | None = None
) -> dict[str, CampaignROI]:
    """The ROI of a finished campaign, by offer, at the margin rate that the scores of before state.

    Nothing without a log, and of an offer whose costs the log does not say.
    """
    if log is None or before is None:
        return {}
    stated = read_table(before)
    rate = stated["margin_rate"][0].as_py() if "margin_rate" in stated.column_names else 1.0
    return returns(measure(read_table(log), before, propensity=propensity), None, float(rate))


def document_of(
    tests: Mapping[str, MeasuredTest], roi: Mapping[str, CampaignROI]
) -> dict[str, dict[str, Any]]:
    """What was found by offer, as JSON values, each with its ROI where the cost is known."""
    return {
        name: test.to_dict() | ({"roi": roi[name].to_dict()} if name in roi else {})
        for name, test in tests.items()
    }


def track_test(
    experiment: str,
    name: str,
    document: Mapping[str, Any],
    source: str | None = None,
    roi: CampaignROI | None = None,
) -> str:
    """Log a planned or a measured test as an MLflow run of its own, and give the run's id."""
    from clv.report.plots.trials import plot_roi

    returned = {f"roi/{key}": value for key, value in (document.get("roi") or {}).items()}
    figures = {
        key: value
        for key, value in {**document, **returned}.items()
        if isinstance(value, int | float)
    }
    evidence = Evidence(
        params={},
        metrics={key: float(value) for key, value in figures.items() if np.isfinite(value)},
        tags={"kind": "test"},
        files={"test.json": dict(document), **plots_as_files({"roi": roi and plot_roi(roi)})},
        source=Path(source) if source and Path(source).is_file() else None,
    )
    return log_result(experiment, name if name != SINGLE else "test", evidence)


def _days(weeks: float) -> int:
    """Days of so many weeks; ``InputError`` unless they are some, and within a lifetime."""
    if not 1 / 7 <= weeks <= MOST_WEEKS:
        raise InputError(f"weeks = {weeks:g} is no time to count orders over.", hint="give 13.")
    return round(7 * weeks)


def _day_of(log: pa.Table) -> dt.date:
    if "date" not in log.column_names:
        raise InputError(
            "nothing says when the test began.", hint="give --since DATE, or a column date."
        )
    days = pc.unique(log["date"].cast(pa.string())).to_pylist()
    if not days:
        raise InputError("the log of the test has no rows.", hint="give who was treated.")
    if len({str(day)[:10] for day in days}) > 1:
        raise InputError(
            "the test began on several days.",
            hint="count outcomes over equal windows yourself, in a column outcome_margin.",
        )
    return as_day(str(days[0])[:10], "date")
