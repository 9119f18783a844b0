"""Published stores of the sampled CDNOW customers, and a browser without a network between."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.evaluate.backtest import RollingOrigin, origins, rolling_record
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.store import Stores, publish
from clv.value.value import Terms
from clv.web import problems
from clv.web.page import mount_page

AS_OF = "1997-09-30"
HOSTILE = '<script>alert("1")</script>'


class Browser:
    """What a browser without a script gets."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            base = "http://localhost"
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())


def page_of(folder: Path, **options: Any) -> FastAPI:
    """An application with the page alone, as it is put into one with an API."""
    app = FastAPI(openapi_url=None)
    problems.install(app)
    mount_page(app, Stores(folder, check_every=0.0), **options)
    return app


@pytest.fixture(scope="session")
def log(cdnow_clean: pd.DataFrame) -> pd.DataFrame:
    cleaned, _ = clean(cdnow_clean[["customer_id", "date", "amount"]], zero_amounts="keep")
    return cleaned.assign(date=pd.to_datetime(cleaned["date"]))


@pytest.fixture(scope="session")
def rolling(log: pd.DataFrame) -> RollingOrigin:
    """Two cutoffs, a quarter after each; the forecasts are judged by ``clv.evaluate.backtest``."""
    cutoffs = [dt.date(1997, 9, 30), dt.date(1997, 12, 30)]
    return RollingOrigin.from_origins(origins(log, cutoffs, 91), with_pool=False)


@pytest.fixture(scope="session")
def scorer(log: pd.DataFrame, rolling: RollingOrigin) -> CustomerScorer:
    known = log[log["date"] <= AS_OF]
    terms = Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52)
    fitted = CustomerScorer.fit(known, terms, churn_horizon=Duration(13, "week"))
    holdout = {"rolling": rolling_record(rolling, "BG/NBD")}
    return replace(fitted, training={**(fitted.training or {}), "holdout": holdout})


@pytest.fixture(scope="session")
def scores(log: pd.DataFrame, scorer: CustomerScorer) -> pd.DataFrame:
    """Every third customer must not be contacted, for a reason that nobody should trust."""
    table = scorer.predict(summarize(log, as_of=AS_OF))
    eligible = np.arange(len(table)) % 3 > 0
    reason = np.where(eligible, None, HOSTILE)
    return table.assign(eligible=eligible, reason=pd.Series(reason, dtype="str"))


@pytest.fixture(scope="session")
def documents(log: pd.DataFrame, scorer: CustomerScorer) -> dict[str, Any]:
    return {"total": scorer.total_value(summarize(log, as_of=AS_OF)).to_dict()}


@pytest.fixture(scope="session")
def folder(
    log: pd.DataFrame,
    scores: pd.DataFrame,
    scorer: CustomerScorer,
    documents: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    place = tmp_path_factory.mktemp("store")
    publish(scores, place, log=log, card=scorer.card(), documents=documents)
    return place


@pytest.fixture(scope="session")
def app(folder: Path) -> FastAPI:
    return page_of(folder)


@pytest.fixture
def browse(app: FastAPI) -> Browser:
    return Browser(app)


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., Browser]:
    """The page of a store of scores alone, without log, card or documents."""

    def made(customers: int = 200, **columns: Any) -> Browser:
        table = pd.DataFrame({"customer_id": [f"c{i}" for i in range(customers)]})
        scores = table.assign(
            days_since_last=10.0,
            clv=1.0,
            expected_purchases=2.0,
            churn_probability=0.5,
            value_at_stake=1.0,
            model_version="v1",
            as_of="2024-03-31",
            horizon="3 years",
            currency="",
        ).assign(**columns)
        publish(scores, tmp_path / "store")
        return Browser(page_of(tmp_path / "store"))

    return made
