"""A total in calendar time taken apart: by channel, by cohort, by whatever a summary says."""

from __future__ import annotations

import numpy as np
import pandas as pd
from narwhals.typing import IntoFrame
from scipy.stats import norm

from clv.forecast.calendar_total import CalendarTotal
from clv.history import read_history
from clv.periods import DAYS
from clv.probability.estimator import PurchaseModel
from clv.schema import as_frame, require_columns
from clv.value.value import known_unit


def calendar_total_by(
    total: CalendarTotal, purchases: PurchaseModel, summary: IntoFrame, by: str
) -> pd.DataFrame:
    """What each group of customers will buy, so that the groups add up to the total of all.

    Season and level move everybody alike, so every group has its share of the model's own
    expectation; the chance of single customers counts for more in a small group.

    Parameters
    ----------
    total
        Of all customers of the summary, see ``calendar_total``.
    purchases
        The model fitted on the summary, in its time unit.
    summary
        With frequency, recency, T, and the groups.
    by
        The column that names them, such as "channel".

    Returns
    -------
    pandas.DataFrame
        A row for each group, in order: its name, customers, mean, low, high (purchases in the
        period, with the interval of ``total.level``).

    Raises
    ------
    ColumnError
        The summary has no such column.
    UnitError
        Neither the model nor the summary says its time unit.

    Examples
    --------
    >>> from clv.data.cdnow import cdnow_log
    >>> from clv.data.summary import summarize
    >>> from clv.forecast.calendar_total import calendar_total
    >>> from clv.probability.bg_nbd import BetaGeoNBD
    >>> log = cdnow_log(sample=True)
    >>> X = summarize(log, unit="week")
    >>> X["cohort"] = (X["as_of"] - pd.to_timedelta(7 * X["T"], unit="D")).dt.strftime("%Y-%m")
    >>> model = BetaGeoNBD(unit="week").fit(X)
    >>> total = calendar_total(log, model, "13 weeks")
    >>> groups = calendar_total_by(total, model, X, "cohort")
    >>> groups["cohort"].tolist(), bool(abs(groups["mean"].sum() - total.mean) < 1e-6)
    (['1997-01', '1997-02', '1997-03'], True)
    """
    frame = as_frame(summary, "the summary")
    require_columns(frame, [by], "the summary")
    length = len(total.multipliers) / DAYS[known_unit(purchases, summary)]
    history = read_history(summary)
    mean = purchases.conditional_expected_purchases(length, history)
    pairs = purchases.discounted_purchase_pairs(length, 0.0, history)
    names = frame.select(by).collect()[by].to_numpy()
    rows = pd.DataFrame({by: names, "mean": mean, "chance": mean + pairs - mean**2})
    groups = rows.groupby(by, dropna=False).agg(
        customers=("mean", "size"), mean=("mean", "sum"), chance=("chance", "sum")
    )
    shared = total.log_sd**2 - rows["chance"].sum() / mean.sum() ** 2
    log_sd = np.sqrt(np.maximum(shared, 0.0) + groups.pop("chance") / groups["mean"] ** 2)
    groups["mean"] *= total.mean / mean.sum()
    reach = norm.ppf((1 + total.level) / 2) * log_sd
    low, high = groups["mean"] * np.exp(-reach), groups["mean"] * np.exp(reach)
    return groups.assign(low=low, high=high).reset_index()
