"""What a summary says of a customer, as numbers for a classifier."""

from __future__ import annotations

import numpy as np
from narwhals.typing import IntoFrame

from clv.schema import (
    HISTORY,
    Floats,
    collect,
    numbers,
    read_history,
    read_spend,
)

FEATURES = (
    "frequency",
    "age",
    "since_last",
    "usual_gap",
    "gaps_silent",
    "first_amount",
    "mean_amount",
)


def features(summary: IntoFrame) -> Floats:
    """The columns ``FEATURES`` of shape (n, 7), from nothing but the summary.

    Counts, times and money are on the scale log(1 + value), so that a linear model can use them.
    A customer without a repeat purchase has no gap yet: the usual gap is then the age, the silence
    one gap, the mean amount the first one.

    >>> import pandas as pd
    >>> one = pd.DataFrame({"frequency": [4], "recency": [20.0], "T": [30.0],
    ...                     "monetary_value": [12.0], "first_amount": [9.0]})
    >>> dict(zip(FEATURES, np.expm1(features(one)[0]).round(2).tolist()))
    {'frequency': 4.0, 'age': 30.0, 'since_last': 10.0, 'usual_gap': 5.0, 'gaps_silent': 2.0,
     'first_amount': 9.0, 'mean_amount': 12.0}
    """
    names = (*HISTORY, "monetary_value", "first_amount")
    rows = collect(summary, names, "the summary")
    history, (x, zbar) = read_history(rows.to_native()), read_spend(rows.to_native())
    first = numbers(rows, "first_amount")
    since = history.T - history.t_x
    gap = np.where(x > 0, history.t_x / np.maximum(x, 1), history.T)
    silent = np.divide(since, gap, out=np.ones_like(since), where=gap > 0)
    mean = np.where(x > 0, zbar, first)
    columns = np.column_stack([x, history.T, since, gap, silent, first, mean])
    return np.asarray(np.log1p(columns))
