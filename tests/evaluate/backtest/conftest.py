"""What the tests of this room share: the sampled CDNOW customers, judged at three cutoffs."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from clv.evaluate.backtest import Origin, RollingOrigin, origins, spaced_cutoffs
from clv.periods import Duration

QUARTER = Duration(13, "week")


@pytest.fixture(scope="session")
def cdnow(cdnow_clean: pd.DataFrame) -> pd.DataFrame:
    rows = cdnow_clean[["customer_id", "date", "amount"]]
    return rows.assign(date=pd.to_datetime(rows["date"]))


@pytest.fixture(scope="session")
def three(cdnow: pd.DataFrame) -> tuple[Origin, ...]:
    """Cutoffs 1997-09-30, 1997-12-30, 1998-03-31, a quarter after each."""
    days, length = spaced_cutoffs(dt.date(1997, 1, 1), dt.date(1998, 6, 30), 3, QUARTER)
    return origins(cdnow, days, length)


@pytest.fixture(scope="session")
def rolling(three: tuple[Origin, ...]) -> RollingOrigin:
    return RollingOrigin.from_origins(three)
