"""A store with a column for the filters that are added, and a server of it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from clv.exports.audit import Audit
from clv.periods import Duration
from clv.store import publish
from clv.value.value import Terms
from clv.web.access.who import Access
from clv.web.application import create_app

COUNTRIES, N = ("DE", "FR", None), 90


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Any:
    place = tmp_path_factory.mktemp("store")
    scores = pd.DataFrame({"customer_id": [f"c{i}" for i in range(N)]}).assign(
        days_since_last=10.0,
        clv=np.arange(N, 0.0, -1),
        expected_purchases=1.0,
        churn_probability=0.5,
        value_at_stake=1.0,
        country=pd.Series([COUNTRIES[i % 3] for i in range(N)], dtype=object),
        return_share=np.arange(N) / 100,
        model_version="v1",
        as_of="2024-03-31",
        horizon="3 years",
        currency="EUR",
    )
    publish(scores, place)
    return place


@pytest.fixture(scope="module")
def app(folder, published_scorer, tmp_path_factory) -> FastAPI:
    terms = Terms(0.3, 0.15, Duration(156, "week"), "EUR", periods_per_year=52)
    audit = Audit(tmp_path_factory.mktemp("audit") / "audit.jsonl")
    access = Access(audit=audit)
    app = create_app(published_scorer(terms, "2024-03-31"), store=folder, access=access)
    app.state.audit = audit
    return app


@pytest.fixture(scope="module")
def ask(app) -> Any:
    def send(method: str, path: str, **options: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as to:
                return await to.request(method, path, **options)

        return asyncio.run(once())

    return send
