"""Tests on customers of CDNOW, and a simulated campaign whose effect is known."""

import numpy as np
import pytest

import clv
from clv.data.cdnow import cdnow_log

CUTOFF = "1998-03-31"  # 13 weeks before the last day


@pytest.fixture(scope="session")
def cdnow_outcomes():
    """Spend within the last 13 weeks by all 23,570 customers, and CLV as of the day before."""
    log, _ = clv.clean(cdnow_log(sample=False), zero_amounts="keep")
    early = log["date"] <= np.datetime64(CUTOFF)
    summary = clv.summarize(log[early], as_of=CUTOFF, unit="week")
    spend = log[~early].groupby("customer_id")["amount"].sum()
    y = spend.reindex(summary["customer_id"], fill_value=0.0).to_numpy()
    fitted = clv.BetaGeoNBD().fit(summary), clv.GammaGamma().fit(summary)
    return y, clv.customer_value(summary, *fitted, clv.Terms())["clv"].to_numpy()
