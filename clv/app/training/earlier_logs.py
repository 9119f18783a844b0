"""The order log as it could be known on an earlier day: later refunds have not undone anything yet.

Of most customers that is what the clean log has up to that day. Only those whose later rows reach
back, by a refund or as lines of an earlier order, are cleaned anew.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from clv.app.data_file import usual_cutoff
from clv.app.training.config import Config
from clv.errors import InputError, RowError
from clv.evaluate.backtest.origin import day_of, plain
from clv.intake.check import FEW, clean_orders


def as_known(raw: Any, log: Any, config: Config, cutoff: dt.date) -> pd.DataFrame:
    """The log as it could be known at a cutoff, then with hindsight: customer_id, date, amount.

    Parameters
    ----------
    raw
        The orders before cleaning, a DuckDB relation.
    log
        The clean log, with hindsight.
    config
        Its ``data`` section says how to clean.
    cutoff
        The last day that is known.

    Raises
    ------
    InputError
        The cutoff is not within the log.
    """
    rows = plain(log)
    first, last = day_of(rows["date"].min()), day_of(rows["date"].max())
    if not first < cutoff < last:
        raise InputError(
            f"the holdout's cutoff {cutoff} is not within the log, {first} to {last}.",
            hint="leave a few usual gaps between purchases on either side of it: try "
            f"{usual_cutoff(first, last)}.",
        )
    later = rows["date"] > pd.Timestamp(cutoff)
    few = raw.limit(FEW + 1).shape[0] <= FEW  # which are soon cleaned
    before = _cleaned(raw, config, cutoff) if few else _before(raw, rows[~later], config, cutoff)
    return pd.concat([before, rows[later]], ignore_index=True)


def _cleaned(raw: Any, config: Config, cutoff: dt.date) -> pd.DataFrame:
    return plain(clean_orders(raw, config.data, as_of=cutoff)[0])


def _before(raw: Any, rows: pd.DataFrame, config: Config, cutoff: dt.date) -> pd.DataFrame:
    """What was known at a cutoff, of the purchases up to it that hindsight has."""
    customers = _reached_back_to(raw, cutoff)
    ids = customers.project("customer_id").fetchnumpy()["customer_id"]
    others = rows[~rows["customer_id"].isin(ids)]
    theirs = raw.filter(f"date::DATE <= DATE '{cutoff}'").join(customers, "customer_id", how="semi")
    try:
        parts = [others, _cleaned(theirs, config, cutoff)] if len(ids) else [others]
    except RowError:  # nothing of theirs was left by then
        parts = [others]
    both = pd.concat(parts, ignore_index=True)
    return both.sort_values(["customer_id", "date"], ignore_index=True)


def _reached_back_to(raw: Any, cutoff: dt.date) -> Any:
    """The customers whose rows after a cutoff may change what they bought before it."""
    after = f"date::DATE > DATE '{cutoff}'"
    customers = raw.filter(f"{after} AND amount < 0").project("customer_id")
    if "order_id" in raw.columns:
        sides = f"customer_id, order_id, bool_or({after}) AS after, bool_and({after}) AS only_after"
        orders = raw.filter("order_id IS NOT NULL").aggregate(sides)
        customers = customers.union(
            orders.filter("after AND NOT only_after").project("customer_id")
        )
    return customers.distinct().set_alias("customers")
