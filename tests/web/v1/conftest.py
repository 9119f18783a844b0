"""A server with keys on a store of the sampled CDNOW customers, and who asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from clv.data.cdnow import cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.exports.audit import Audit
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.store import Store, publish
from clv.value.value import Terms
from clv.web.access.keys import KeyRing, add_key
from clv.web.access.roles import Role
from clv.web.access.who import Access
from clv.web.application import create_app

AS_OF = "1997-09-30"
FORMULA = "=1+1"  # a channel that a spreadsheet would run
CHANNELS = ["email", "search", FORMULA]
PROBLEM = "application/problem+json"
FIGURES = pd.DataFrame(
    {
        "channel": CHANNELS,
        "loaded_spend": [0.0, 900.0, 600.0],
        "new_customers": [50, 30, 10],
        "cac": [np.nan, 30.0, 60.0],
        "incremental_cac": [np.nan, 30.0, 60.0],
        "new_customers_are": ["attributed, not incremental"] * 3,
        "new_customer_value": [20.0, 45.0, 50.0],
        "new_customer_value_low": [15.0, 40.0, np.nan],
        "new_customer_value_high": [25.0, 50.0, np.nan],
        "ltv_to_cac": [np.nan, 1.5, 50 / 60],
        "horizon": ["156 weeks"] * 3,
        "payback": [np.nan, 40.0, np.nan],
        "payback_unit": ["week"] * 3,
    }
)


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
    """Scores at the end of calibration; three of four customers may be contacted."""
    table = scorer.predict(summarize(log, as_of=AS_OF))
    eligible = np.arange(len(table)) % 4 > 0
    reason = np.where(eligible, None, "no consent")
    return table.assign(eligible=eligible, reason=pd.Series(reason, dtype="str"))


@pytest.fixture(scope="session")
def folder(
    scores: pd.DataFrame,
    log: pd.DataFrame,
    scorer: CustomerScorer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    place = tmp_path_factory.mktemp("store")
    publish(scores, place, log=log, card=scorer.card(), tables={"channels": FIGURES})
    return place


@pytest.fixture(scope="session")
def book(folder: Path) -> Any:
    """The store that is served, open."""
    with Store.open(folder) as store:
        yield store


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A key file, and the key of each role."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return file, {str(role): add_key(file, f"{role}-key", role) for role in Role}


@pytest.fixture(scope="session")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="session")
def app(
    scorer: CustomerScorer, folder: Path, keys: tuple[Path, dict[str, str]], audit: Path
) -> FastAPI:
    hosts = frozenset(("localhost", "testserver"))
    access = Access(KeyRing(keys[0]), hosts, audit=Audit(audit))
    return create_app(scorer, store=folder, access=access)


@pytest.fixture(scope="session")
def ask(app: FastAPI, keys: tuple[Path, dict[str, str]]) -> Callable[..., httpx.Response]:
    """``ask("GET", "/v1/segments")``, with the key of a planner unless another role is named."""
    return lambda *asked, **options: request(app, keys[1], *asked, **options)


def request(
    app: FastAPI,
    tokens: dict[str, str],
    method: str,
    path: str,
    role: str | None = "planner",
    **options: Any,
) -> httpx.Response:
    headers = {} if role is None else {"authorization": f"Bearer {tokens[role]}"}

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers, **options)

    return asyncio.run(once())


@pytest.fixture(scope="session")
def refused() -> Callable[..., list[str]]:
    return fields_refused


def fields_refused(response: httpx.Response) -> list[str]:
    """The fields that a problem of 422 names; each says what is wrong and what to send."""
    problem = response.json()
    assert (response.status_code, response.headers["content-type"]) == (422, PROBLEM), problem
    assert problem["errors"]
    assert all(one["field"] and one["detail"] and one["send"] for one in problem["errors"])
    return [one["field"] for one in problem["errors"]]


@pytest.fixture
def last_line(audit: Path) -> Callable[[], dict[str, Any]]:
    """The line that was added to the audit last."""
    return lambda: json.loads(audit.read_text().splitlines()[-1])
