"""Doubt that grows with the horizon: little on steady customers, enough on those who are not."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from clv.data.cdnow import cdnow_log
from clv.evaluate.backtest.growing_doubt import GrowingDoubt, growing_doubt
from clv.evaluate.backtest.long_view import long_view
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.mbg_nbd import ModifiedBetaGeoNBD
from training.long_horizon import simulated

YEAR = dt.date(2020, 12, 30)


def test_the_further_ahead_the_more_doubt_as_the_log_of_how_far():
    doubt = GrowingDoubt((0.2, -0.1), (0.05, 0.05), span=364.0)
    half, same, thrice = (doubt.over(Duration(w, "week")).sd for w in (26, 52, 156))
    assert same / half == pytest.approx(np.log(2) / np.log(1.5))
    assert thrice / same == pytest.approx(2.0)  # log 4 over log 2
    # three assumed misses of 0.1 and two of its own, over a reach of log 2
    beyond = 0.2**2 + 0.1**2 - 2 * 0.05**2
    assert same == pytest.approx(np.log(2) * np.sqrt((3 * 0.1**2 + beyond) / 5))
    assert "so 8.5% is counted over 1 year" in doubt.over(Duration(52, "week")).note.text
    assert GrowingDoubt.from_dict(doubt.to_dict()) == doubt


def test_misses_are_those_of_models_of_earlier_days():
    log = simulated(1, 0.0, customers=1_500)
    doubt = growing_doubt(log, BetaGeoNBD(), last=YEAR)
    assert doubt.span == 364
    assert len(doubt.log_ratios) == 3
    later = pd.concat([log, log.assign(date=pd.Timestamp(YEAR) + pd.Timedelta(days=9))])
    assert growing_doubt(later, BetaGeoNBD(), last=YEAR) == doubt  # nothing after the last day
    assert doubt.over(Duration(52, "week")).sd < 0.12
    assert growing_doubt(log, BetaGeoNBD(), last=dt.date(2020, 1, 20)) is None


@pytest.mark.parametrize("model", [BetaGeoNBD, ModifiedBetaGeoNBD])
def test_a_year_of_cdnow_lies_within_what_its_first_weeks_leave_open(model):
    row = long_view(cdnow_log(sample=True), model()).iloc[-1]
    assert row["weeks"] == 58 or row["weeks"] == 52
    assert row["expected"] < 0.8 * row["actual"]
    assert row["low"] < row["actual"] < row["high"]
