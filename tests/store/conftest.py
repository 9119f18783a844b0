"""A published store of the sampled CDNOW customers, and the tables it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clv.data.cdnow import cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.store import Store, publish
from clv.value.value import Terms

AS_OF = "1997-09-30"
CHANNELS = ["email", "search", "social"]


@pytest.fixture(scope="session")
def scorer(published_scorer) -> CustomerScorer:
    """The published CDNOW parameters (Fader, Hardie & Lee 2005; Fader & Hardie 2013)."""
    return published_scorer(
        Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52), AS_OF
    )


@pytest.fixture(scope="session")
def log() -> pd.DataFrame:
    """The clean log to its end; a customer's channel goes by the id."""
    raw = cdnow_log(sample=True)[["customer_id", "date", "amount"]]
    channel = raw["customer_id"].astype(int) % len(CHANNELS)
    cleaned, _ = clean(raw.assign(channel=np.array(CHANNELS)[channel]), zero_amounts="keep")
    return cleaned.assign(date=pd.to_datetime(cleaned["date"]))


@pytest.fixture(scope="session")
def scores(log: pd.DataFrame, scorer: CustomerScorer) -> pd.DataFrame:
    """Scores at the end of calibration; two of three customers may be contacted."""
    table = scorer.predict(summarize(log, as_of=AS_OF))
    eligible = np.arange(len(table)) % 3 > 0
    reason = np.where(eligible, None, "no consent")
    return table.assign(eligible=eligible, reason=pd.Series(reason, dtype="str"))


@pytest.fixture(scope="session")
def folder(
    scores: pd.DataFrame,
    log: pd.DataFrame,
    scorer: CustomerScorer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Where it is published."""
    place = tmp_path_factory.mktemp("store")
    publish(
        scores.sample(frac=1, random_state=1),
        place,
        log=log,
        card=scorer.card(),
        documents={"plan": {"budget": 30_000, "gap": float("nan")}},
        tables={"channels": pd.DataFrame({"channel": CHANNELS, "cac": [1.0, None, 3.0]})},
    )
    return place


@pytest.fixture(scope="session")
def book(folder: Path) -> Iterator[Store]:
    """The store, open."""
    with Store.open(folder) as store:
        yield store


@pytest.fixture
def tiny() -> Callable[..., pd.DataFrame]:
    """Scores of n customers called c0, c1 ... where every figure of money is ``value``."""

    def made(value: float, customers: int = 200, **columns: Any) -> pd.DataFrame:
        table = pd.DataFrame({"customer_id": [f"c{i}" for i in range(customers)]})
        return table.assign(
            days_since_last=10.0,
            clv=value,
            expected_purchases=value,
            churn_probability=0.5,
            value_at_stake=value,
            model_version=f"v{value:g}",
            as_of="2024-03-31",
            horizon="3 years",
            currency="EUR",
        ).assign(**columns)

    return made
