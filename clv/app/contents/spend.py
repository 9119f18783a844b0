"""What a spend table adds: channels, their response curves, and a plan to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clv.app.channels import ENOUGH, figures_of
from clv.app.contents.document import StoreParts, first_line
from clv.app.contents.plan import checked, document_of
from clv.app.estimates import Estimates, called, to_channels, with_values
from clv.app.plan_gains import DOCUMENT as DRAWS_OF_PLAN
from clv.app.plan_gains import PlanDraws
from clv.decide.acquisition.spend import Periods
from clv.decide.response.curves import ResponseCurves, response_curves
from clv.errors import ClvError
from clv.findings import Finding, finding
from clv.periods import DAYS
from clv.scorer import CustomerScorer

if TYPE_CHECKING:
    import pyarrow as pa

QUARTER = DAYS["year"] / 4  # days that the plan to start from is for, as near as periods allow


def of_spend(
    spend: pa.Table,
    log: Any = None,
    summary: pa.Table | None = None,
    scorer: CustomerScorer | None = None,
    *,
    plan: bool = True,
) -> StoreParts:
    """The tables ``channels`` and ``curves`` and, with orders and model, the document ``plan``.

    Parameters
    ----------
    spend
        channel, period, spend [, fixed_cost] [, new_customers].
    log, summary, scorer
        As :func:`clv.app.channels.figures_of` takes them.
    plan
        Whether one is wanted.

    Raises
    ------
    ClvError
        The spend table cannot be used.
    """
    notes: tuple[Finding, ...] = ()
    if summary is not None and "channel" not in summary.column_names:
        log = summary = None
        notes = (finding("store.no_channels"),)
    contents = StoreParts(
        tables={"channels": figures_of(spend, log, summary, scorer).table}, notes=notes
    )
    try:
        curves = response_curves(spend, None if "new_customers" in spend.column_names else summary)
    except ClvError as error:
        return contents.then(_lacking("store.no_curves", error))
    contents = contents.then(StoreParts(tables={"curves": curves.to_frame("pyarrow")}))
    if summary is None or scorer is None or not plan:
        return contents
    return contents.then(_plan(spend, curves, summary, scorer))


def _lacking(code: str, error: ClvError) -> StoreParts:
    """That something cannot be shown, and why."""
    return StoreParts(notes=(finding(code, why=first_line(error)),))


def _plan(
    spend: pa.Table, curves: ResponseCurves, summary: pa.Table, scorer: CustomerScorer
) -> StoreParts:
    """Today's money for about a quarter, to be split anew, as ``clv allocate`` would."""
    if max(curve.periods for curve in curves.channels) < ENOUGH:
        return StoreParts(notes=(finding("store.no_plan_yet", periods=ENOUGH),))
    periods, terms = _quarter(spend), scorer.terms
    estimates = with_values(Estimates(curves), summary, scorer, terms)
    channels = to_channels(estimates, periods)
    today = sum(channel.current or 0.0 for channel in channels)
    document = document_of(
        channels,
        budget=today,
        currency=terms.currency or None,
        horizon=str(terms.horizon),
        periods=periods,
        period=called(spend),
    )
    try:
        checked(document).allocate()
    except ClvError as error:
        return _lacking("store.no_plan", error)
    draws = PlanDraws.written(channels, estimates.values)
    return StoreParts({"plan": document, DRAWS_OF_PLAN: draws})


def _quarter(spend: pa.Table) -> float:
    """How many periods of a spend table are about a quarter; 1 where they have no dates.

    >>> import pyarrow as pa
    >>> _quarter(pa.table({"period": ["2024-01-01", "2024-01-08", "2024-01-15"]}))
    13.0
    """
    periods = Periods.from_values(spend["period"].to_pylist())
    if not periods.ends:
        return 1.0
    days = sum((end - start).days for start, end in zip(periods.starts, periods.ends, strict=True))
    return float(max(1, round(QUARTER * len(periods.starts) / days)))
