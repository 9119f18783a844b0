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

from clv.evaluate import naive_forecasts
from clv.evaluate.backtest.forecast import Forecast
from clv.evaluate.backtest.origin import Calibration
from clv.evaluate.backtest.spread import Spread
from clv.schema import Floats


def naive(calibration: Calibration) -> list[Forecast]:
    """Every naive forecast; one whose spread cannot be learned yet comes without ``chances``."""
    earlier = calibration.earlier
    tried = naive_means(earlier.calibration)[0] if earlier else {}
    purchases, money = naive_means(calibration)
    result = []
    for name, mean in purchases.items():
        chances = None
        if earlier and name in tried and mean.any() and tried[name].any():
            spread = Spread.fit(tried[name], earlier.purchases)
            chances = partial(spread.chances, mean)
        result.append(Forecast(name, True, mean, money[name], chances))
    return result


def naive_means(calibration: Calibration) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Purchases and money by rule, see :func:`clv.evaluate.naive_forecasts`."""
    table = calibration.summary
    x, t_x, T = (table[name].to_numpy(dtype=np.float64) for name in ("frequency", "recency", "T"))
    per_purchase = np.where(x > 0, table["monetary_value"], table["first_amount"])
    counted, spent = last_period(calibration)
    rules = partial(naive_forecasts, x, t_x, T, calibration.horizon)
    return rules(last_period=counted), rules(spend=per_purchase, last_period=spent)


def last_period(calibration: Calibration) -> tuple[Floats | None, Floats | None]:
    """Purchases and money of each customer in as long a time before the cutoff as lies ahead.

    None where the log does not reach back so far.
    """
    start = calibration.cutoff - dt.timedelta(
        calibration.days
    )  # a day that is not counted any more
    if start + dt.timedelta(1) < calibration.first:
        return None, None
    recent = calibration.log[calibration.log["date"] > pd.Timestamp(start)]
    if recent.empty:
        return np.zeros(len(calibration.summary)), np.zeros(len(calibration.summary))
    recent = recent.assign(day=recent["date"].dt.normalize())
    bought = recent.groupby("customer_id").agg(days=("day", "nunique"), spent=("amount", "sum"))
    bought = bought.reindex(calibration.summary["customer_id"]).fillna(0).astype(np.float64)
    return bought["days"].to_numpy(), bought["spent"].to_numpy()
