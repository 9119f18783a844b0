"""The churn horizon that the data's own gaps suggest."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.data.cdnow import cdnow_log
from clv.data.gaps import propose_horizon
from clv.data.summary import summarize
from clv.errors import FitError


def clockwork(gaps: list[int], customers: int = 20) -> pd.DataFrame:
    """Customers who all buy with the same gaps, in days."""
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.cumsum([0, *gaps]), unit="D")
    one = pd.DataFrame({"date": days, "amount": 1.0})
    return pd.concat([one.assign(customer_id=i) for i in range(customers)])


@pytest.mark.parametrize(
    ("gaps", "days", "why"),
    [
        ([10] * 20, 20, "twice the median gap"),
        ([10] * 15 + [25] * 5, 25, "the 90th percentile"),
        ([10] * 15 + [90] * 5, 30, "three times the median gap"),
        ([10, 10, 10, 10], 20, "twice the median gap"),
        ([40, 40], 40, "half of the time that the data cover"),
    ],
)
def test_the_horizon_follows_the_gaps(gaps, days, why):
    found = propose_horizon(clockwork(gaps), unit="day")
    assert found.horizon.to("day") == days
    assert why in found.reason


def test_cdnow_gets_two_to_three_median_gaps():
    """Half of the gaps of the CDNOW master log are at most 34 days long (counted in pandas)."""
    log = cdnow_log(sample=False)
    days = log.drop_duplicates(["customer_id", "date"]).sort_values(["customer_id", "date"])
    gaps = days.groupby("customer_id")["date"].diff().dt.days.dropna()
    found = propose_horizon(log, unit="day")
    assert 2 * gaps.median() <= found.horizon.to("day") <= 3 * gaps.median()
    assert f"half of the gaps between purchases are shorter than {gaps.median():.0f} days" in (
        found.reason
    )
    assert propose_horizon(pl.from_pandas(log), unit="day") == found


def test_a_summary_will_do_and_says_much_the_same():
    log = clockwork([10] * 20)
    assert propose_horizon(summarize(log), "day") == propose_horizon(log, "day")


def test_too_few_gaps_are_no_basis():
    with pytest.raises(FitError, match="2 gaps between purchases; a horizon takes 30"):
        propose_horizon(clockwork([5, 5], customers=1))
