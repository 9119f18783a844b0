"""Values over years held against years: fitted early on, judged by all that the log saw later.

A value over three years rests on more than the next weeks. Where a log is long enough, the purchase
model is fitted on its first part alone, and what it expected of these customers is held against
what came within one, two, three years and to the log's end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from clv.data.summary import split_holdout
from clv.errors import FitError
from clv.evaluate.backtest.growing_doubt import growing_doubt
from clv.evaluate.backtest.origin import day_of, plain
from clv.format import count, percent
from clv.format import day as day_text
from clv.history import read_history
from clv.periods import Duration, Unit
from clv.probability.estimator import PurchaseModel
from clv.probability.gamma_gamma import GammaGamma
from clv.value.totals import total_purchases

FIRST = 1 / 4  # of the log, to learn from,
LEAST = 126  # but so many days
YEAR = 364  # days: whole weeks
YEARS = (1, 2, 3)


def long_view(
    log: Any, purchases: PurchaseModel, unit: Unit = "week", cutoff: dt.date | None = None
) -> pd.DataFrame:
    """How a purchase model's totals over one to three years did on a log.

    Parameters
    ----------
    log
        A clean log: customer_id, date, amount.
    purchases
        Its kind is fitted anew, on what was known at the cutoff; Gamma-Gamma says the money.
    cutoff
        The last day to know; if not given, after a quarter of the log and 18 weeks at least.

    Returns
    -------
    pandas.DataFrame
        A row for each span, none where less than a year came after the cutoff: cutoff, weeks,
        expected and actual repeat purchases of the customers known then, low and high (90%, by the
        parameters, the chance of single customers, and how far totals from days before the cutoff
        were off, see ``growing_doubt``), expected_money and actual_money.

    Raises
    ------
    FitError
        Nobody bought twice before the cutoff.
    """
    rows = plain(log)
    first, last = day_of(rows["date"].min()), day_of(rows["date"].max())
    known = max(round(FIRST * (last - first).days), LEAST)
    cutoff = cutoff or first + dt.timedelta(known)
    rest = (last - cutoff).days
    spans = sorted({min(year * YEAR, rest // 7 * 7) for year in YEARS}) if rest >= YEAR else []
    if not spans:
        return pd.DataFrame()
    table: Any = split_holdout(rows, cutoff, cutoff + dt.timedelta(spans[0]), unit)
    model, spend = type(purchases)(unit=unit).fit(table), GammaGamma().fit(table)
    model, per_purchase = model.with_covariance(table), spend.expected_spend(table)
    doubt, parts = growing_doubt(rows, purchases, unit, cutoff), []
    for days in spans:
        came: Any = split_holdout(rows, cutoff, cutoff + dt.timedelta(days), unit)
        length = Duration(days, "day")
        common = doubt.over(length) if doubt else None
        total = total_purchases(table, model, length, common=common)
        each = model.conditional_expected_purchases(length.to(unit), read_history(table))
        parts.append(
            {
                "cutoff": str(cutoff),
                "weeks": days // 7,
                "expected": total.mean,
                "actual": float(came["holdout_frequency"].sum()),
                "low": total.low,
                "high": total.high,
                "expected_money": float(np.sum(each * per_purchase)),
                "actual_money": float(came["holdout_value"].sum()),
            }
        )
    return pd.DataFrame(parts)


def long_record(log: Any, purchases: PurchaseModel, unit: Unit) -> list[dict[str, Any]]:
    """The rows as JSON values; none where the log or the model does not allow it."""
    if not purchases.times:
        return []
    try:
        return [{str(k): v for k, v in row.items()}
                for row in long_view(log, purchases, unit).to_dict("records")]  # fmt: skip
    except FitError:
        return []


def long_view_in_words(rows: list[Mapping[str, Any]] | None) -> str:
    """What the longest span said, for the card.

    >>> long_view_in_words([])
    'not measured: it takes 18 weeks of log to learn from and a year to judge'
    >>> long_view_in_words([{"cutoff": "1997-07-01", "weeks": 52, "expected": 90.0, "actual": 100.0,
    ...     "low": 80.0, "high": 110.0, "expected_money": 900.0, "actual_money": 1000.0}])
    'fitted on what was known on 1 July 1997, the purchase model expected 90 purchases of these \
customers in the next 52 weeks (90% between 80 and 110), and 100 came; of money it expected 10% \
less than came'
    """
    if not rows:
        return "not measured: it takes 18 weeks of log to learn from and a year to judge"
    longest = rows[-1]
    miss = longest["expected_money"] / max(longest["actual_money"], 1e-9) - 1
    return (
        f"fitted on what was known on {day_text(longest['cutoff'])}, the purchase model expected "
        f"{count(longest['expected'])} purchases of these customers in the next "
        f"{count(longest['weeks'])} weeks (90% between {count(longest['low'])} and "
        f"{count(longest['high'])}), and {count(longest['actual'])} came; of money it expected "
        f"{percent(abs(miss))} {'more' if miss > 0 else 'less'} than came"
    )
