"""The summary that models read, of a state: nothing is added up again but the newest days."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import narwhals as nw

from clv.app.nightly.order_fold import spelled
from clv.app.nightly.state_folder import OrderState, read_state, tables
from clv.data.days import day_number
from clv.data.features import LOG_FEATURES, behaviour_of_sums, in_windows
from clv.data.money import DUST, MONEY
from clv.data.summary import of_customers
from clv.errors import InputError
from clv.intake.fingerprint import require_same_firm
from clv.io.engine import connect
from clv.periods import DAYS
from clv.scorer import CustomerScorer

TOTAL = f"total_whole / {MONEY}::DOUBLE + total_dust * (1 / {DUST}::DOUBLE)"


def state_summary(
    folder: str | os.PathLike[str],
    scorer: CustomerScorer,
    as_of: dt.date | None = None,
    *,
    anyway: bool = False,
) -> tuple[Any, OrderState, int]:
    """The summary of a state for a scorer, as a DuckDB relation; the state, and how many customers.

    Parameters
    ----------
    as_of
        The day as of which customers are scored; the last day with a purchase if not given.
    anyway
        Whether a state counts that does not look like the log that the scorer learned from.

    Raises
    ------
    InputError
        There is no state, its orders go beyond ``as_of``, or they are of another firm.
    """
    place = Path(folder)
    state = read_state(place)
    day = as_of or state.as_of
    if day < state.as_of:
        raise InputError(
            f"the state has orders up to {state.as_of}, beyond {day}.",
            hint="score the orders themselves as of an earlier day.",
        )
    db = connect(closed=False)
    tables(place, state, db)
    require_same_firm(scorer.training, db.table("days"), state.currency, anyway=anyway)
    customers = db.table("customers").filter("purchases > 0")
    channel = f", {spelled(state.channels)}" if state.channels else ""
    whole = customers.project(
        "customer_id, purchases AS _n, first_day AS _first, last_day AS _last, "
        f"{TOTAL} AS _total, first_amount{channel}"
    )
    summary = of_customers(nw.from_native(whole), day, scorer.unit)
    if scorer.churn.pool is not None:
        summary = _with_behaviour(summary, db, customers, scorer, day)
    return summary.to_native(), state, int(customers.aggregate("count(*)").fetchall()[0][0])


def _with_behaviour(
    summary: Any, db: Any, customers: Any, scorer: CustomerScorer, day: dt.date
) -> Any:
    """The summary with what the pooled forecast reads beside it."""
    if any(feature.from_log for feature in LOG_FEATURES.values()):  # it may read all of the days
        days = db.table("days")
        return nw.from_native(scorer.churn.attach(summary.to_native(), days, day, scorer.unit))
    window = round(scorer.churn.horizon.to("day"))
    newest = db.table("days").filter(f"date > DATE '{day}' - {2 * window}")
    counted = in_windows(nw.from_native(newest).with_columns(_day=day_number("date")), day, window)
    recent = counted.group_by("customer_id").agg(nw.col("recent", "earlier").sum())
    sums = customers.project(
        "customer_id, purchases AS _n, (last_day - first_day)::DOUBLE AS _gap, "
        "squared_gaps AS _square, last_gap, last_amount"
    )
    both = nw.from_native(sums).join(recent, on="customer_id", how="left")
    both = both.with_columns(nw.col("recent", "earlier").fill_null(0.0))
    behaviour = behaviour_of_sums(both, DAYS[scorer.unit])
    return summary.join(behaviour, on="customer_id", how="left")
