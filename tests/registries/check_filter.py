"""A list and a range that ``added`` declares filter in the store, on the page and in the API."""

from __future__ import annotations

import json

import pytest

from clv.errors import InputError
from clv.store import Filter, Store
from clv.store.query_fields import chosen, how_many, in_words

BOTH = {"countries": ["DE"], "returns_from": ["40"]}


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
