"""The API over ASGI: the numbers of the scorer, and a problem for whatever cannot be answered."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.app.batch import score_log
from clv.app.plan_files.plan_file import Plan
from clv.app.requests import PLAN_EXAMPLE, SCORE_EXAMPLE
from clv.data.cdnow import END_OF_CALIBRATION, cdnow_log
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.decide.budget.allocate import allocate
from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import gain_curve, retention_targets
from clv.experiments.offer_test import plan_offer_test
from clv.experiments.planned_test import plan_test
from clv.io.files import write_table
from clv.periods import Duration
from clv.scorer import CustomerScorer
from clv.value.value import Terms
from clv.web import v1
from clv.web.application import create_app

AS_OF = str(END_OF_CALIBRATION)
JSON, PROBLEM = "application/json", "application/problem+json"


class Client:
    """What a client of the API sees, without a network between."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            base = "http://localhost"
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self("POST", path, json=body)


@pytest.fixture(scope="module")
def scorer(published_scorer) -> CustomerScorer:
    """The published CDNOW parameters (Fader, Hardie & Lee 2005; Fader & Hardie 2013)."""
    return published_scorer(
        Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52), AS_OF
    )


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    log, _ = clean(cdnow_log(sample=True)[["customer_id", "date", "amount"]])
    return log


@pytest.fixture(scope="module")
def scores_file(scorer, log, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("api")
    log.to_parquet(folder / "log.parquet")
    score_log(folder / "log.parquet", scorer, folder / "scores.parquet", as_of=AS_OF)
    return str(folder / "scores.parquet")


@pytest.fixture(scope="module")
def client(scorer, scores_file) -> Client:
    return Client(create_app(scorer, scores_file))


@pytest.fixture(scope="module")
def bare(scorer) -> Client:
    return Client(create_app(scorer))


def histories(log: pd.DataFrame, ids: list[int]) -> list[dict[str, Any]]:
    """The log as a client would send it."""
    return [
        {
            "customer_id": id_,
            "orders": [
                {"date": f"{day:%Y-%m-%d}", "amount": amount}
                for day, amount in rows[["date", "amount"]].itertuples(index=False)
            ],
        }
        for id_, rows in log[log["customer_id"].isin(ids)].groupby("customer_id")
    ]


def strict(response: httpx.Response) -> Any:
    """The body as JSON, which knows neither NaN nor infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(response.content, parse_constant=refuse)


def assert_problem(response: httpx.Response, status: int | None = None) -> dict[str, Any]:
    problem = strict(response)
    assert response.headers["content-type"] == PROBLEM
    assert 400 <= response.status_code < 500
    assert status in (None, response.status_code)
    assert problem["status"] == response.status_code
    assert set(problem) == {"type", "title", "status", "detail", "errors"}
    assert all(set(one) == {"field", "detail", "send"} for one in problem["errors"])
    assert all(one["field"] and one["detail"] and one["send"] for one in problem["errors"])
    return problem


def test_published_customer_scored_from_its_orders(client):
    """CDNOW's first customer: x = 2, t_x = 30.43, T = 38.86, zbar = 22.35 (FHL 2005, table 2)."""
    orders = [
        {"date": "1997-01-01", "amount": 29.33},
        {"date": "1997-01-18", "amount": 29.73},
        {"date": "1997-08-02", "amount": 14.96},
    ]
    answer = client.post("/v1/score", {"customers": [{"customer_id": "ann", "orders": orders}]})
    score = answer.json()["scores"][0]
    assert score["customer_id"] == "ann"
    assert score["frequency"] == 2
    assert score["probability_alive"] == pytest.approx(0.7266, abs=2e-4)
    assert score["expected_spend"] == pytest.approx(24.66, abs=0.01)
    assert score["clv"] == pytest.approx(22.12, abs=0.02)


def test_one_number_by_api_scorer_file_and_lookup(client, scorer, scores_file, log):
    ids = log["customer_id"].unique()[::40].tolist()
    body = {"customers": histories(log, ids), "as_of": AS_OF}
    rows = client.post("/v1/score", body).json()["scores"]
    by_api = pd.DataFrame(rows).set_index("customer_id")
    direct = scorer.predict(summarize(log, as_of=AS_OF)).set_index("customer_id").loc[by_api.index]
    batch = pd.read_parquet(scores_file).set_index("customer_id").loc[by_api.index]
    one = client.get(f"/v1/customers/{ids[0]}").json()["customer"]
    for name in ("clv", "churn_probability", "value_at_stake", "expected_purchases"):
        assert by_api[name].tolist() == direct[name].tolist()  # to the last bit
        assert batch[name].tolist() == direct[name].tolist()
        assert one[name] == batch[name].iloc[0]
    assert len(by_api) == len(ids) > 50


def test_a_customer_scores_alike_alone_and_among_others(client, log):
    ids = [1, 2, 5, 9]
    together = client.post("/v1/score", {"customers": histories(log, ids), "as_of": AS_OF})
    for row in together.json()["scores"]:
        body = {"customers": histories(log, [row["customer_id"]]), "as_of": AS_OF}
        (alone,) = client.post("/v1/score", body).json()["scores"]
        assert alone == row


def test_order_of_orders_and_kind_of_id_do_not_matter(client):
    orders = [{"date": f"1997-0{month}-03", "amount": 10.0 * month} for month in (5, 1, 3)]
    ids = ["nan", 0, "0", "tücher", "a b", 2**63 - 1]
    customers = [{"customer_id": id_, "orders": orders[k % 2 :: -1] + orders[k % 2 + 1 :]}
                 for k, id_ in enumerate(ids)]  # fmt: skip
    answer = client.post("/v1/score", {"customers": customers}).json()
    assert [row["customer_id"] for row in answer["scores"]] == ids
    assert len({row["clv"] for row in answer["scores"]}) == 1


def test_refunds_are_netted_and_customers_without_purchase_named(client):
    kept = [{"date": "1997-01-05", "amount": 20.0}]
    undone = [*kept, {"date": "1997-02-05", "amount": -20.0}]
    bodies = [{"customer_id": 1, "orders": kept}, {"customer_id": 2, "orders": undone}]
    answer = client.post("/v1/score", {"customers": bodies}).json()
    assert [row["customer_id"] for row in answer["scores"]] == [1]
    assert answer["not_scored"] == [2]
    assert any("refund" in line for line in answer["cleaning"])
    alone = client.post("/v1/score", {"customers": bodies[1:]})
    assert (alone.status_code, alone.json()["scores"], alone.json()["not_scored"]) == (200, [], [2])


def test_lines_of_one_order_are_one_purchase(client):
    def scored(*days: str) -> dict[str, Any]:
        orders = [{"date": day, "amount": 5.0, "order_id": 7} for day in days]
        body = {"customers": [{"customer_id": 1, "orders": orders}]}
        return client.post("/v1/score", body).json()["scores"][0]

    assert scored("1997-01-05T10:00", "1997-01-05T10:01")["frequency"] == 0


def test_orders_after_the_models_day_need_an_as_of(client):
    orders = [{"date": "1997-01-05", "amount": 20.0}, {"date": "1997-11-05", "amount": 20.0}]
    body: dict[str, Any] = {"customers": [{"customer_id": 1, "orders": orders}]}
    problem = assert_problem(client.post("/v1/score", body), 422)
    assert "as_of" in problem["errors"][0]["send"]
    later = client.post("/v1/score", body | {"as_of": "1997-12-31"}).json()
    assert (later["as_of"], later["scores"][0]["frequency"]) == ("1997-12-31", 1)
    earlier = client.post("/v1/score", body | {"as_of": "1997-06-30"}).json()
    assert earlier["scores"][0]["frequency"] == 0
    assert any("after as_of" in line for line in earlier["cleaning"])


ANSWERS = {
    "/v1/health": v1.server.Status,
    "/v1/ready": v1.server.Ready,
    "/v1/model": v1.server.ModelAnswer,
    "/v1/customers/1": v1.customers.CustomerAnswer,
}


@pytest.mark.parametrize(("path", "kind"), ANSWERS.items())
def test_every_answer_is_as_described_and_carries_its_terms(client, scorer, path, kind):
    response = client.get(path)
    content = strict(response)
    kind.model_validate(content)
    assert (response.status_code, content["model_version"]) == (200, scorer.version)
    terms = [content[name] for name in ("as_of", "horizon", "currency")]
    assert terms == [AS_OF, "156 weeks", "USD"]


def test_targets_are_those_of_the_decision_room(client, scores_file):
    offer = {"contact_cost": 1, "incentive": 2, "save_rate": [0.1, 0.5]}
    response = client.post("/v1/retention", {"offers": [offer], "budget": 100})
    answer = strict(response)
    v1.retention.RetentionAnswer.model_validate(answer)
    table = pd.read_parquet(scores_file)
    campaign = retention_targets(table, Offer(1, 2, (0.1, 0.5)), 100)
    shown = campaign.table.head(100)
    assert [row["customer_id"] for row in answer["targets"]] == shown["customer_id"].tolist()
    gains = [row["expected_gain"] for row in answer["targets"]]
    np.testing.assert_allclose(gains, shown["expected_gain"], rtol=1e-12)
    assert answer["summary"]["expected_profit"] == pytest.approx(campaign.summary.expected_profit)
    assert answer["summary"]["offers"][0]["save_rate_source"] == "assumed"


def test_limit_shortens_the_list_but_not_the_totals(client):
    body = {"offers": [{"contact_cost": 0.5}], "budget": 50}
    some, none = (client.post("/v1/retention", body | {"limit": n}).json() for n in (3, 0))
    assert [row["rank"] for row in some["targets"]] == [1, 2, 3]
    assert (none["targets"], none["summary"]) == ([], some["summary"])


def test_allocation_of_science_case_a2(bare):
    """Science 8, case A2: s = 22307.9315, 7692.0685, 0; mu = 7.87227082."""
    channels = [
        {"name": "search", "value": 60, "response": {"curve": "power", "k": 12, "b": 0.6}},
        {"name": "social", "value": 80, "response": {"curve": "power", "k": 30, "b": 0.45}},
        {
            "name": "video",
            "value": 100,
            "response": {"curve": "michaelis-menten", "V": 900, "K": 20000},
        },
    ]
    plan = {"budget": 30000, "horizon": "3 years", "currency": "EUR", "channels": channels}
    content = strict(bare.post("/v1/allocate", plan))
    v1.allocate.AllocationAnswer.model_validate(content)
    assert (content["horizon"], content["currency"]) == ("3 years", "EUR")
    spend = content["allocation"]["spend"]
    np.testing.assert_allclose(
        [spend["search"], spend["social"], spend["video"]], [22307.9315, 7692.0685, 0], atol=1e-3
    )
    assert content["allocation"]["multiplier"] == pytest.approx(7.87227082, rel=1e-8)


def test_retention_competes_with_the_scores_served(client, scores_file):
    plan = PLAN_EXAMPLE | {"budget": 9000, "currency": "USD", "horizon": "156 weeks"}
    content = client.post("/v1/allocate", plan).json()
    curve = gain_curve(pd.read_parquet(scores_file), Offer(1, 5, (0.1, 0.4)))
    channels = {key: value for key, value in plan.items() if key != "retention"}
    best = allocate(Plan.model_validate(channels).to_channels(), 9000, curve)
    assert best.retention_spend > 0
    assert content["allocation"]["retention_spend"] == pytest.approx(best.retention_spend)
    assert content["allocation"]["profit"] == pytest.approx(best.profit)


def test_infeasible_plans_name_every_reason(bare):
    plan = {key: value for key, value in PLAN_EXAMPLE.items() if key != "retention"}
    problem = assert_problem(bare.post("/v1/allocate", plan | {"budget": 100}), 422)
    assert problem["type"].endswith("infeasible-plan")
    assert "lower bounds add up to £4,000, more than the budget of £100" in problem["detail"]


def test_a_plan_cannot_name_files_of_the_server(client):
    plan = PLAN_EXAMPLE | {"retention": {"contact_cost": 1, "scores": "/etc/passwd"}}
    problem = assert_problem(client.post("/v1/allocate", plan), 422)
    assert problem["errors"][0]["field"] == "retention.scores"


def test_another_currency_or_horizon_than_the_scores_is_refused(client):
    euros = PLAN_EXAMPLE | {"currency": "EUR", "horizon": "156 weeks"}
    assert "USD" in assert_problem(client.post("/v1/allocate", euros), 422)["detail"]
    years = PLAN_EXAMPLE | {"currency": "USD", "horizon": "1 year"}
    assert "horizons" in assert_problem(client.post("/v1/allocate", years), 422)["detail"]


def test_without_scores_there_is_nothing_to_look_up(bare):
    body = {"offers": [{"contact_cost": 1}]}
    for response in (bare.get("/v1/customers/1"), bare.post("/v1/retention", body)):
        assert "start it with" in assert_problem(response, 404)["detail"]


def order(**changes: Any) -> dict[str, Any]:
    return {"date": "1997-01-05", "amount": 20.0} | changes


def one(**changes: Any) -> dict[str, Any]:
    return {"customers": [{"customer_id": "x", "orders": [order()]} | changes]}


WRONG = [
    ({}, "customers"),
    ([], "body"),
    ("text", "body"),
    ({"customers": []}, "customers"),
    ({"customers": {}}, "customers"),
    (one(orders=[]), "customers[0].orders"),
    (one(orders=None), "customers[0].orders"),
    (one(customer_id=None), "customers[0].customer_id"),
    (one(customer_id=""), "customers[0].customer_id"),
    (one(customer_id=True), "customers[0].customer_id"),
    (one(customer_id=1.5), "customers[0].customer_id"),
    (one(customer_id=10**30), "customers[0].customer_id"),
    (one(customer_id="\ud800"), "customers[0].customer_id"),
    (one(orders=[order(amount="20")]), "customers[0].orders[0].amount"),
    (one(orders=[order(amount=None)]), "customers[0].orders[0].amount"),
    (one(orders=[order(amount=10**400)]), "customers[0].orders[0].amount"),
    (one(orders=[order(amount=1e13)]), "customers[0].orders[0].amount"),
    (one(orders=[order(), order(date="05.01.1997")]), "customers[0].orders[1].date"),
    (one(orders=[order(date="1997-02-30")]), "customers[0].orders[0].date"),
    (one(orders=[order(date=853027200)]), "customers[0].orders[0].date"),
    (one(orders=[order(date="0001-01-01")]), "customers[0].orders[0].date"),
    (one(orders=[order(date="1997-01-05T10:00:00+02:00")]), "customers[0].orders[0].date"),
    (one(orders=[order(amonut=1)]), "customers[0].orders[0].amonut"),
    (one() | {"as_of": "soon"}, "as_of"),
    (one() | {"as_of": 1}, "as_of"),
    ({"customers": [one()["customers"][0]] * 2}, "body"),
]


@pytest.mark.parametrize(("body", "field"), WRONG, ids=str)
def test_a_wrong_field_is_named(client, body, field):
    content = json.dumps(body)
    headers = {"content-type": JSON}
    problem = assert_problem(client("POST", "/v1/score", content=content, headers=headers), 422)
    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client, word):
    content = json.dumps(one()).replace("20.0", word)
    headers = {"content-type": JSON}
    problem = assert_problem(client("POST", "/v1/score", content=content, headers=headers), 422)
    assert problem["errors"][0]["field"] == "customers[0].orders[0].amount"


BROKEN = {
    "cut off": (b'{"customers": [', JSON, 400),
    "nothing": (b"", JSON, 422),
    "no unicode": (b'{"customers": "\xff\xfe"}', JSON, 400),
    "deep": (b"[" * 100_000, JSON, 400),
    "long number": (b'{"customers": ' + b"9" * 10_000 + b"}", JSON, 400),
    "form": (b"customers=1", "application/x-www-form-urlencoded", 415),
    "text": (json.dumps(SCORE_EXAMPLE).encode(), "text/plain", 415),
}


@pytest.mark.parametrize(("content", "kind", "status"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("path", ["/v1/score", "/v1/allocate"])
def test_bodies_that_are_no_json(client, path, content, kind, status):
    response = client("POST", path, content=content, headers={"content-type": kind})
    assert_problem(response, status)


@pytest.mark.parametrize("stated", [True, False], ids=["length stated", "chunked"])
def test_large_bodies_are_refused(scorer, stated):
    small = Client(create_app(scorer, max_body=1000))
    body = json.dumps(one(orders=[order()] * 100)).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    content = body if stated else chunks()
    response = small("POST", "/v1/score", content=content, headers={"content-type": JSON})
    assert_problem(response, 413)
    assert small.post("/v1/score", one()).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"contact_cost": None},
        {"contact_cost": "x"},
        {"contact_cost": -1},
        {"contact_cost": float("nan")},
        {"contact_cost": float("inf")},
        {"budget": -1},
        {"budget": float("nan")},
        {"save_rate": 2},
        {"save_rate": 0},
        {"save_rate": [0.4, 0.1]},
        {"save_rate": [0.1, 0.2, 0.3]},
        {"save_rate": float("nan")},
        {"control_share": 1},
        {"seed": 1.5},
        {"seed": 99999999999999999999999},
        {"limit": 100_000},
        {"bugdet": 5},
    ],
    ids=str,
)
def test_wrong_campaigns_are_refused(client, change):
    of_offer = {"contact_cost", "save_rate"} & set(change)
    offer = {"contact_cost": 1} | (change if of_offer else {})
    body = {"offers": [offer]} | ({} if of_offer else change)
    response = post_raw(client, "/v1/retention", body)
    assert response.status_code in (400, 422)  # NaN is no JSON
    assert_problem(response)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/docs", 404),
        ("DELETE", "/v1/score", 405),
        ("GET", "/v1/customers/nobody", 404),
        ("GET", "/v1/customers/1%00", 404),
        ("GET", "/v1/customers/%F0%9F%A6%86", 404),
        ("GET", "/v1/customers/'%20OR%201=1--", 404),
        ("GET", "/v1/customers/..%2F..%2Fetc%2Fpasswd", 404),
    ],
)
def test_what_is_not_there(client, method, path, status):
    assert_problem(client(method, path), status)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/v1/channels", "GET, POST"), ("/v1/score", "POST"), ("/v1/openapi.json", "GET")],
)
def test_another_method_is_told_which_there_are(client, path, allowed):
    assert client("OPTIONS", path).headers["allow"] == allowed


def test_the_log_names_routes_not_customers(client, caplog):
    with caplog.at_level(logging.INFO, logger="clv"):
        client.get("/v1/customers/1")
        client.post("/v1/score", one(customer_id="secret-name"))
    assert "/v1/customers/{customer_id} 200" in caplog.text
    assert "secret-name" not in caplog.text
    assert "customers/1 " not in caplog.text


@pytest.mark.parametrize("customers", [1, 2500], ids=["in a micro-batch", "on a thread"])
def test_a_fault_is_a_problem_and_its_data_stay_out_of_the_log(
    scorer, monkeypatch, caplog, customers
):
    def fail(*_: Any) -> None:
        raise RuntimeError("customer secret-name")

    broken = Client(create_app(scorer))
    monkeypatch.setattr("clv.app.histories.HistoryScorer.score", fail)
    many = [{"customer_id": k, "orders": [order()]} for k in range(customers)]
    response = broken.post("/v1/score", {"customers": many})
    assert (response.status_code, response.headers["content-type"]) == (500, PROBLEM)
    assert "RuntimeError in fail" in caplog.text
    assert "secret-name" not in caplog.text + response.text


def test_openapi_is_json_without_infinity_and_its_references_hold(client):
    described = strict(client.get("/v1/openapi.json"))
    text = json.dumps(described)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(described["components"]["schemas"])
    assert "Problem" in names
    assert {path.split("/")[1] for path in described["paths"]} == {"v1"}
    for example, path in ((SCORE_EXAMPLE, "/v1/score"), (PLAN_EXAMPLE, "/v1/allocate")):
        content = described["paths"][path]["post"]["requestBody"]["content"][JSON]
        assert example in [shown["value"] for shown in content["examples"].values()]
    body = SCORE_EXAMPLE | {"as_of": "2011-12-09"}
    assert client.post("/v1/score", body).status_code == 200


NASTY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
    st.sampled_from(["1997-01-05", "power", "", "\x00", "nan", [], {}, 0, -1, 1e308, 1e-300]),
)
ANYTHING = st.recursive(
    NASTY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)


def fields(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=optional)


def scoring(order: st.SearchStrategy[Any], ids: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    customer = fields({"customer_id": ids, "orders": st.lists(order, min_size=1, max_size=4)}, {})
    customers = st.lists(
        customer, min_size=1, max_size=3, unique_by=lambda c: str(c["customer_id"])
    )
    return fields({"customers": customers, "as_of": st.just("2199-12-31")}, {})


DAY = st.dates(dt.date(1900, 1, 1), dt.date(2199, 12, 31)).map(str)
AMOUNT = st.integers(-(10**11), 10**11).map(lambda cents: cents / 100)
EXTREME_HISTORIES = scoring(
    fields({"date": DAY, "amount": AMOUNT}, {"order_id": st.integers(0, 3)}), st.integers(0, 9)
)
WRONG_HISTORIES = scoring(
    fields({"date": DAY | NASTY, "amount": AMOUNT | NASTY}, {"order_id": NASTY}), NASTY
)


def plans(size: st.SearchStrategy[Any], share: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    curve = st.one_of(
        fields({"curve": st.just("power"), "k": size, "b": share}, {}),
        fields({"curve": st.just("michaelis-menten"), "V": size, "K": size}, {}),
        fields({"curve": st.just("point"), "spend": size, "customers": size}, {"b": share}),
    )
    channel = fields(
        {"value": size, "response": curve},
        {"lo": st.just(0), "hi": size, "current": size, "incrementality": share},
    )
    channels = st.lists(channel, max_size=3).map(
        lambda rows: [row | {"name": f"c{k}"} for k, row in enumerate(rows)]
    )
    offer = fields({"contact_cost": size}, {"incentive": size, "save_rate": share})
    terms = {"horizon": st.just("156 weeks"), "currency": st.just("USD")}
    return fields({"channels": channels}, {"budget": size, "retention": offer, **terms})


SHARE = st.floats(0, 1, exclude_min=True, exclude_max=True)
EXTREME_PLANS = plans(st.floats(1e-300, 1.7e308), SHARE)
USUAL_PLANS = plans(st.floats(0.01, 1e6), st.floats(0.01, 0.99))
WRONG_PLANS = plans(st.floats(1e-300, 1.7e308) | NASTY, SHARE | NASTY)
FUZZ = settings(max_examples=100, deadline=None)


def assert_answered(response: httpx.Response) -> None:
    if response.status_code == 200:
        strict(response)
    else:
        assert_problem(response)


def post_raw(client: Client, path: str, body: Any) -> httpx.Response:
    return client("POST", path, content=json.dumps(body), headers={"content-type": JSON})


@pytest.mark.slow
@FUZZ
@given(body=EXTREME_HISTORIES)
def test_any_history_is_scored(client, body):
    response = post_raw(client, "/v1/score", body)
    content = strict(response)
    assert response.status_code == 200
    v1.score.ScoreAnswer.model_validate(content)
    assert len(content["scores"]) + len(content["not_scored"]) == len(body["customers"])


@pytest.mark.slow
@FUZZ
@given(body=WRONG_HISTORIES | ANYTHING)
def test_any_scoring_body_is_answered(client, body):
    assert_answered(post_raw(client, "/v1/score", body))


@pytest.mark.slow
@FUZZ
@given(body=USUAL_PLANS)
def test_any_plan_is_solved(client, body):
    response = post_raw(client, "/v1/allocate", body)
    assert response.status_code == 200 or "infeasible" in assert_problem(response)["type"]


@pytest.mark.slow
@FUZZ
@given(body=EXTREME_PLANS | WRONG_PLANS | ANYTHING)
def test_any_plan_is_answered(client, body):
    assert_answered(post_raw(client, "/v1/allocate", body))


@pytest.mark.slow
@FUZZ
@given(
    offer=st.dictionaries(
        st.sampled_from(["contact_cost", "incentive", "save_rate", "redemption", "capacity"]),
        st.floats(0, 1.7e308) | st.integers() | NASTY,
    ),
    body=st.dictionaries(
        st.sampled_from(["budget", "control_share", "seed", "limit", "stratify"]),
        st.floats(0, 1.7e308) | st.integers() | NASTY,
    ),
)
def test_any_campaign_is_answered(client, offer, body):
    offer = {"contact_cost": 1} | offer
    assert_answered(post_raw(client, "/v1/retention", {"offers": [offer]} | body))


@pytest.mark.slow
@FUZZ
@given(customer_id=st.text(min_size=1, max_size=20).filter(lambda text: text not in (".", "..")))
def test_any_customer_id_is_answered(client, customer_id):
    from urllib.parse import quote

    path = quote(customer_id, safe="", errors="surrogatepass")
    assert_answered(client.get(f"/v1/customers/{path}"))


def test_two_runs_in_one_file_are_refused(scorer, scores_file, tmp_path):
    from clv.errors import InputError

    table = pd.read_parquet(scores_file)
    other = table.assign(model_version="another")
    write_table(pd.concat([table, other]), tmp_path / "two.parquet")
    with pytest.raises(InputError, match="mix 2 values of model_version"):
        create_app(scorer, str(tmp_path / "two.parquet"))
    write_table(pd.concat([table, table.head(1)]), tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="customer_id is repeated"):
        create_app(scorer, str(tmp_path / "twice.parquet"))
    write_table(table.drop(columns="clv"), tmp_path / "less.parquet")
    with pytest.raises(InputError, match="no column clv"):
        create_app(scorer, str(tmp_path / "less.parquet"))


def test_an_allocation_tells_its_details_when_asked(client):
    plan = {name: value for name, value in PLAN_EXAMPLE.items() if name != "retention"}
    short = client.post("/v1/allocate", plan).json()
    full = client.post("/v1/allocate?details=true", plan).json()
    assert short["details"] is None
    assert full["allocation"] == short["allocation"]
    assert len(full["details"]["frontier"]) > 5
    assert full["details"]["constraint_costs"]


def test_a_test_is_planned_as_in_python(client, scores_file):
    asked = {"baseline_mean": 9.08, "baseline_sd": 44.6, "lift": 0.1, "r2": 0.518}
    test = client.get("/v1/test-plan", params=asked).json()["test"]
    assert test["n_per_arm"] == plan_test(9.08, 44.6, 0.1, r2=0.518).n_per_arm
    decision = {"customers": 90_000, "value": 60, "contact_cost": 2}
    assert client.get("/v1/test-plan", params=asked | decision).json()["test"]["evpi"] > 0
    assert_problem(client.get("/v1/test-plan", params=asked | {"lift": 10}), 422)
    body = {"offer": {"contact_cost": 1, "save_rate": [0.05, 0.3]}}
    found = client.post("/v1/retention/test-plan", body).json()["test"]
    here = plan_offer_test(pd.read_parquet(scores_file), Offer(1, save_rate=(0.05, 0.3)))
    assert found["evpi"] == pytest.approx(here.evpi)
    assert found["customers"] == here.planned.customers
    known = {"offer": {"contact_cost": 1, "save_rate": 0.2}}
    assert_problem(client.post("/v1/retention/test-plan", known), 422)
