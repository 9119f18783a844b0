"""The naive forecasts of an origin, with a distribution that they would deserve.

A rule of thumb is a mean without a distribution. To give it a fair log score, its counts are spread
as a negative binomial around it, by as much as they spread around the same rule one holdout
earlier; see :class:`clv.evaluate.backtest.spread.Spread`. The means themselves stay as they are.
"""

from __future__ import annotations

import datetime as dt
from functools import partial

import numpy as np
import pandas as pd

from clv.data.summary import summarize
from clv.evaluate import naive_forecasts
from clv.evaluate.backtest.forecast import Forecast
from clv.evaluate.backtest.origin import Known
from clv.evaluate.backtest.spread import Spread
from clv.schema import Floats


def naive(known: Known) -> list[Forecast]:
    """Every naive forecast; one whose spread cannot be learned yet comes without ``chances``."""
    earlier = known.earlier
    tried = naive_means(earlier.known)[0] if earlier else {}
    purchases, money = naive_means(known)
    found = []
    for name, mean in purchases.items():
        chances = None
        if earlier and name in tried and mean.any() and tried[name].any():
            spread = Spread.fit(tried[name], earlier.purchases)
            chances = partial(spread.chances, mean)
        found.append(Forecast(name, True, mean, money[name], chances))
    return found


def naive_means(known: Known) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Purchases and money by rule, see :func:`clv.evaluate.naive_forecasts`."""
    table = known.summary
    x, t_x, T = (table[name].to_numpy(dtype=np.float64) for name in ("frequency", "recency", "T"))
    per_purchase = np.where(x > 0, table["monetary_value"], table["first_amount"])
    counted, spent = last_period(known)
    rules = partial(naive_forecasts, x, t_x, T, known.horizon)
    return rules(last_period=counted), rules(spend=per_purchase, last_period=spent)


def last_period(known: Known) -> tuple[Floats | None, Floats | None]:
    """Purchases and money of each customer in as long a time before the cutoff as lies ahead.

    None where the log does not reach back so far.
    """
    start = known.cutoff - dt.timedelta(known.days)  # a day that is not counted any more
    if start + dt.timedelta(1) < known.first:
        return None, None
    recent = known.log[known.log["date"] > pd.Timestamp(start)]
    if recent.empty:
        return np.zeros(len(known.summary)), np.zeros(len(known.summary))
    seen = summarize(recent, as_of=known.cutoff).set_index("customer_id")
    seen = seen.reindex(known.summary["customer_id"])
    counted = (seen["frequency"] + 1).fillna(0)
    spent = (seen["first_amount"] + seen["frequency"] * seen["monetary_value"]).fillna(0)
    return counted.to_numpy(dtype=np.float64), spent.to_numpy(dtype=np.float64)
