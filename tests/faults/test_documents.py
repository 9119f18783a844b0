"""Documents in a store that somebody changed: refused by name, or shown as what they say.

The suite draws a few. All of them: ``CLV_FAULTS=10000 pytest tests/faults/test_documents.py``.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import clv
from clv.app.contents.offer_totals import offer_totals
from clv.errors import InputError
from clv.evaluate.metrics import frequency_table
from clv.io.json import plain
from clv.store import Store, Stores, publish
from clv.store.documents import DOCUMENTS, checked_document
from clv.web.application import create_app
from tests.web.test_load import PLAN

from .calls import Bench
from .conftest import noting
from .hostile import draws
from .test_model_folders import mutated

PAGES = (
    "/",
    "/trust",
    "/customers",
    "/customers/3",
    "/budget",
    "/retention",
    "/channels",
    "/offers",
)
WAITING = "SELECT content FROM documents WHERE name = ?"
ROLLING = {
    "days": 91.0,
    "cutoffs": ["2024-06-01", "2024-09-01"],
    "misses": {"money": {"log_ratios": [0.1, -0.05], "explained": [0.06, 0.05]}},
    "means": [{"what": "money", "forecast": "BG/NBD", "naive": False, "gini": 0.7, "bias": 0.1}],
    "coverage": [
        {"what": "money of customers", "nominal": 0.9, "inside": 0.88, "n": 40, "randomized": None},
        {"what": "total money", "nominal": 0.9, "inside": 1.0, "n": 2, "randomized": None},
    ],
}


@pytest.fixture(scope="module")
def documents(bench: Bench) -> dict[str, Any]:
    """What publish writes, as JSON has it; made by those who write it."""
    watched = clv.monitor(bench.scorer, bench.clean, since="2024-10-01")
    card = bench.scorer.card() | {"training": {"customers": 40, "holdout": {"rolling": ROLLING}}}
    report = clv.clean(bench.log)[1].to_dict()
    total = bench.scorer.total_value(bench.summary).to_dict()
    found = {"model_card": card, "monitor": watched.to_dict(), "total": total, "plan": PLAN}
    repeat = {"share": 0.75, "customers": 40, "repeat_buyers": 40, "since": None}
    terms = bench.terms.to_dict() | {"unit": "week"}
    leads = bench.calls()["lead_funnel"]
    funnel = leads.function(**leads.arguments).to_dict()
    found |= _of_commands(bench)
    more = {"repeat_revenue": repeat, "terms": terms, "data_report": report, "funnel": funnel}
    return json.loads(json.dumps(plain({**found, **more})))  # type: ignore[no-any-return]


def _of_commands(bench: Bench) -> dict[str, Any]:
    """What the commands of offers and referrals say, and one plan of both."""
    calls = bench.calls()
    made = {name: calls[name] for name in ("next_best_offers", "value_referrals")}
    offers, referrals = (call.function(**call.arguments) for call in made.values())
    action = {"customers": 3, "cost": 3.0, "expected_gain": 9.0, "expected_profit": 6.0}
    return {
        "next_offers": offer_totals(offers.table),
        "offer_report": offers.to_dict(),
        "joint_plan": [{"action": "new", **action}],
        "referrals": referrals.to_dict(),
    }


@pytest.fixture(scope="module")
def place(
    bench: Bench, documents: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    own = ("model_card", "data_report")
    given = {name: one for name, one in documents.items() if name not in own}
    publish(bench.scores, folder, log=bench.clean, card=documents["model_card"], documents=given)
    return folder


@pytest.fixture(scope="module")
def app(place: Path) -> FastAPI:
    return create_app(None, store=place)


@pytest.fixture(scope="module")
def show(app: FastAPI) -> Iterator[Any]:
    with asyncio.Runner() as runner:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        yield lambda path: runner.run(client.get(path))
        runner.run(client.aclose())


def test_every_room_shows_the_right_documents(show: Any) -> None:
    for path in PAGES:
        assert show(path).status_code == 200, path


def test_changed_documents_are_refused_or_shown(
    app: FastAPI, show: Any, documents: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page fails, and none shows a figure that is none."""
    failures: list[str] = []
    changed: dict[str, str] = {}
    right = Store._rows

    def rows(store: Store, query: str, parameters: Any = ()) -> Any:
        if query == WAITING and parameters[0] in changed:
            return [{"content": changed[parameters[0]]}]
        return right(store, query, parameters)

    monkeypatch.setattr(Store, "_rows", rows)
    with app.state.stores.borrow() as store:
        for rng in draws("document", 40):
            name = rng.choice(sorted(documents))
            number = random.Random(rng.random())
            changed.clear()
            changed[name] = json.dumps(mutated(documents[name], number))
            store._once.clear()
            with noting(failures, rng):
                path = rng.choice(PAGES)
                answer = show(path)
                assert answer.status_code < 500, (path, name, changed[name][:300])
                text = re.sub(r"<[^>]*>", " ", answer.text)
                wrong = re.search(r"[^\w](nan|inf|NaN|Infinity)[^\w]", text)
                assert wrong is None, (path, name, wrong, changed[name][:300])
    assert not failures, "\n\n".join(failures)


ROWS = {"calibration", "changes", "joint_plan", "order_months", "run_figures", "campaigns"}  # lists
WRONG = {
    "model_card": ("purchases", {"model": "BetaGeoNBD", "parameters": {"r": "x"}}),
    "concentration": ("top_1", 1.5),
    "total": ("low", 1e300),
    "repeat_revenue": ("share", -1),
    "data_report": ("findings", [{"reason": "none"}]),
    "monitor": ("checks", 5),
    "terms": ("margin_rate", 30),
    "calibration": ("rows", 5),
    "changes": ("customers_before", -1),
    "funnel": ("stages", []),
    "next_offers": ("items", [{"item": "tea", "chance": 2.0}]),
    "offer_report": ("backtest", {}),
    "joint_plan": ("action", 5),
    "referrals": ("break_even", 2.0),
    "order_months": ("repeat_rate", 2.0),
    "run_figures": ("churn", -0.1),
    "campaigns": ("weeks", 0),
    "uplift": ("campaign", 5),
}
OF_CAMPAIGNS = {
    "order_months": [
        {"month": "2024-03", "revenue": 90.0, "orders": 3, "repeat_rate": 0.5}
        | {"soon": 0.2, "days_to_second": 30.0}
    ],
    "run_figures": [
        {"as_of": "2024-12-08", "value": 90.0, "customers": 3, "orders": 2.0}
        | {"at_risk": 9.0, "churn": 0.1}
    ],
    "campaigns": [{"name": "spring", "published_by": "anna", "weeks": 13.0}],
    "uplift": {"campaign": "spring", "model": {}},
}


def test_a_document_nested_too_deeply_is_named() -> None:
    deep: Any = 0.0
    for _ in range(2_000):
        deep = [deep]
    row = {"action": "new", "customers": 3, "cost": 3.0, "expected_gain": 9.0}
    with pytest.raises(InputError, match="joint_plan cannot be used: it is nested too deeply"):
        checked_document("joint_plan", [row | {"expected_profit": deep}])


def test_a_figure_that_nothing_has_is_named(documents: dict[str, Any]) -> None:
    card = json.loads(json.dumps(documents["model_card"]))
    row = {"what": "money", "nominal": 0.9, "inside": 1e308, "n": 40, "randomized": 0.9}
    card["training"]["holdout"]["rolling"]["coverage"] = [row]
    with pytest.raises(InputError, match=r"inside of a row is 1e\+308, which nothing is"):
        checked_document("model_card", card)


def test_each_document_has_something_that_it_cannot_be() -> None:
    assert set(WRONG) == set(DOCUMENTS)


@pytest.mark.parametrize("name", sorted(set(WRONG) - {*ROWS, "concentration", "uplift"}))
def test_a_document_out_of_range_is_not_published(
    documents: dict[str, Any], name: str, tmp_path: Path
) -> None:
    field, value = WRONG[name]
    assert checked_document(name, documents[name]) == documents[name]
    with pytest.raises(InputError, match=f"the document {name} cannot be used: {field}"):
        checked_document(name, documents[name] | {field: value})


@pytest.mark.parametrize("name", sorted(OF_CAMPAIGNS))
def test_documents_of_campaigns_and_of_time_hold_what_they_can(name: str) -> None:
    document: Any = OF_CAMPAIGNS[name]
    field, value = WRONG[name]
    assert checked_document(name, document) == document
    wrong = [document[0] | {field: value}] if name in ROWS else document | {field: value}
    place = f"0.{field}" if name in ROWS else field
    with pytest.raises(InputError, match=rf"the document {name} cannot be used: {place}"):
        checked_document(name, wrong)


def test_a_plan_by_action_has_actions(documents: dict[str, Any]) -> None:
    field, value = WRONG["joint_plan"]
    rows = documents["joint_plan"]
    assert checked_document("joint_plan", rows) == rows
    with pytest.raises(InputError, match=rf"joint_plan cannot be used: 0\.{field}"):
        checked_document("joint_plan", [rows[0] | {field: value}])


def test_changes_are_of_runs_with_a_day() -> None:
    change = {
        **{"since": "2024-12-01", "until": "2024-12-08", "model_before": "1", "model_after": "2"},
        **{"before": 100.0, "after": 110.0, "amounts": {"orders": 10.0}, "movers": []},
        **{"customers_before": 4, "customers_after": 5, "new": 1, "gone": 0},
        **{"orders": None, "expected_orders": None},
    }
    assert checked_document("changes", [change]) == [change]
    with pytest.raises(InputError, match=r"changes cannot be used: 0\.since"):
        checked_document("changes", [change | {"since": "yesterday"}])
    field, value = WRONG["changes"]
    with pytest.raises(InputError, match=rf"changes cannot be used: 0\.{field}"):
        checked_document("changes", [change | {field: value}])


def test_a_calibration_is_the_table_by_past_purchases() -> None:
    rows = frequency_table([0, 1, 9], [0.0, 1.0, 6.0], [0.4, 0.6, 5.5]).to_dict("records")
    assert [row["frequency"] for row in rows] == ["0", "1", "7+"]
    assert checked_document("calibration", rows) == rows
    with pytest.raises(
        InputError, match=r"the document calibration cannot be used: 0\.actual_mean"
    ):
        checked_document("calibration", [rows[0] | {"actual_mean": -1}])


def test_a_store_with_a_changed_document_does_not_take_over(
    bench: Bench, place: Path, documents: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    import duckdb

    with Stores(place, check_every=None) as stores:
        publish(bench.scores, place, documents={"total": documents["total"]})
        (newest,) = [f for f in (place / "stores").iterdir() if f.name == _current(place)]
        with duckdb.connect(newest) as connection:
            connection.execute("UPDATE documents SET content = '{}' WHERE name = 'total'")
        assert not stores.refresh()
        assert "the store stays as it is: the document total of" in caplog.text


def _current(place: Path) -> str:
    with Store.open(place) as store:
        return store.path.name
