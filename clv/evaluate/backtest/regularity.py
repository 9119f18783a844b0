"""Whether customers buy more regularly than chance would have it."""

from __future__ import annotations

from typing import Any

import numpy as np

from clv.schema import Floats

REGULAR = 1.5  # k of gaps that are Gamma(k), above which timing is no chance: 1 is pure chance
FEWEST = 100  # customers with three purchases that regularity takes


def regularity(log: Any) -> float:
    """K of gaps that are Gamma(k) at every customer's own pace: 1 is chance, more is regular.

    From the last two gaps of each customer: the first over both is Beta(k, k), whose variance is
    1 / (4 (2 k + 1)); Wheat & Morrison 1990. NaN for fewer than ``FEWEST`` customers.

    >>> import pandas as pd
    >>> weekly = pd.DataFrame({"customer_id": np.repeat(np.arange(200), 3), "date":
    ...     pd.to_datetime("2024-01-01") + pd.to_timedelta(np.tile([0, 6, 14], 200), unit="D")})
    >>> regularity(weekly) > 20
    True
    """
    rows = log[["customer_id", "date"]].drop_duplicates().sort_values(["customer_id", "date"])
    day = rows["date"].astype("int64")
    by = day.groupby(rows["customer_id"])
    last, before = (day - by.shift(1)).to_numpy(float), (by.shift(1) - by.shift(2)).to_numpy(float)
    newest = ~rows["customer_id"].duplicated(keep="last").to_numpy() & np.isfinite(before)
    if newest.sum() < FEWEST:
        return float("nan")
    share: Floats = last[newest] / (last + before)[newest]
    return float((1 / (4 * max(((share - 0.5) ** 2).mean(), 1e-6)) - 1) / 2)
