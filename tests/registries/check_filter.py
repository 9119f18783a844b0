"""A list and a range that ``added`` declares filter in the store, on the page and in the API."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI

from clv.errors import InputError
from clv.exports.audit import Audit
from clv.periods import Duration
from clv.store import Filter, Store, publish
from clv.store.query_fields import chosen, how_many, in_words
from clv.value.value import Terms
from clv.web.access.who import Access
from clv.web.application import create_app

COUNTRIES, N = ("DE", "FR", None), 90
BOTH = {"countries": ["DE"], "returns_from": ["40"]}


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


def test_the_store_finds_and_counts(folder):
    with Store.open(folder) as store:
        assert store.count(Filter(countries=("DE",))) == 30
        assert store.count(Filter(returns=(0.5, None))) == 40
        assert store.count(chosen(BOTH)) == 16  # c42, c45 ... c87, and c40 is of FR
        assert [row["segment"] for row in store.segments()["country"]] == ["DE", "FR", "unknown"]
    with pytest.raises(InputError, match="returns from 1 to 0 holds nobody"):
        Filter(returns=(1, 0))


def test_addresses_say_it_in_words():
    assert how_many(BOTH) == 2
    assert in_words(BOTH) == ["from DE", "share returned from 40%"]


def test_the_page_offers_it_filters_by_it_and_keeps_it_in_links(ask):
    text = ask("GET", "/customers?countries=DE&returns_from=40").text
    assert ">16 of 90 customers found.<" in text
    assert 'name="countries" value="FR"' in text
    assert 'name="returns_from" type="number"' in text
    assert "countries=DE&amp;returns_from=40" in text  # the headings that sort
    assert "Filter: <span data-text>2 set</span>" in text
    assert ask("GET", "/customers?countrys=DE").status_code == 422


def test_the_api_takes_describes_and_exports_it(ask, app):
    found = ask("GET", "/v1/customers?countries=DE&returns_from=0.4").json()
    assert found["totals"]["customers"] == 16
    assert {row["country"] for row in found["customers"]} == {"DE"}
    assert ask("GET", "/v1/customers?returns_from=1.5").status_code == 422
    described = ask("GET", "/v1/openapi.json").json()
    query = {p["name"]: p for p in described["paths"]["/v1/customers"]["get"]["parameters"]}
    assert query["countries"]["description"] == "Any of these countries."
    assert query["returns_to"]["description"] == "Share of the revenue sent back, 0 to 1, at most."
    body = {"customers": {"countries": ["FR"], "returns_to": 0.2}, "columns": ["customer_id"]}
    file = ask("POST", "/v1/exports", json=body)
    ids = [line.partition(",")[0] for line in file.text.splitlines()[1:]]
    assert ids == ["c1", "c10", "c13", "c16", "c19", "c4", "c7"]
    line = json.loads(app.state.audit.path.read_text().splitlines()[-1])
    assert line["filters"] == {"returns": [None, 0.2], "countries": ["FR"]}
