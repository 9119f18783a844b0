"""Order histories of requests, scored as clean(), summarize() and predict() do, bit by bit."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clv.app.batch import score_log
from clv.app.histories import HistoryScorer, ScoredHistories
from clv.app.requests import ScoreRequest
from clv.churn.model import ChurnModel
from clv.data.summary import summarize
from clv.data.transactions import clean
from clv.errors import InputError, RowError
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.schema import as_frame
from clv.scorer import CustomerScorer
from clv.value.value import Terms
from tests.forecast.made_pool import made_pool

END = dt.date(1997, 9, 30)
A_DAY = {"date": "1997-01-05", "amount": 5.0}
WEEKS = Duration(13, "week")


def scorer_with(churn: ChurnModel) -> CustomerScorer:
    """The published CDNOW parameters (Fader, Hardie & Lee 2005; Fader & Hardie 2013)."""
    return CustomerScorer(
        purchases=BetaGeoNBD.from_params(
            {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}, unit="week"
        ),
        spend=GammaGamma.from_params({"p": 6.25, "q": 3.74, "v": 15.44}),
        churn=churn,
        terms=Terms(0.3, 0.15, Duration(156, "week"), "USD", periods_per_year=52),
        unit="week",
        as_of=str(END),
    )


def with_pool() -> CustomerScorer:
    """With a pooled forecast, which reads more of the summary than the purchase model does."""
    plain = scorer_with(ChurnModel(WEEKS, None, "no labels were used"))
    return replace(plain, churn=ChurnModel(WEEKS, made_pool(WEEKS, plain.spend), "any will do"))


@pytest.fixture(scope="module")
def histories() -> HistoryScorer:
    return HistoryScorer(scorer_with(ChurnModel(WEEKS, None, "no labels were used")))


@pytest.fixture(scope="module")
def learned() -> HistoryScorer:
    return HistoryScorer(with_pool())


MOMENT = st.datetimes(dt.datetime(1997, 1, 1), dt.datetime(1997, 12, 31)).map(
    lambda moment: str(moment.replace(microsecond=0))
)
DAY = st.dates(dt.date(1997, 1, 1), dt.date(1997, 3, 1)).map(str)  # near, so that days meet
CENTS = st.integers(-20_000, 20_000) | st.sampled_from([1000, -1000, 2500, -2500, 0])
ORDER = {"date": MOMENT | DAY, "amount": CENTS.map(lambda cents: cents / 100)}
ID = st.integers(0, 3) | st.sampled_from(["a", "7", "nan", " "])
OPTIONAL = {
    "order_id": ID,
    "product": st.sampled_from(["tea", "pot", 3, "null"]),
    "channel": st.sampled_from(["ads", "shop"]),
}
HISTORY = st.lists(st.fixed_dictionaries(ORDER), min_size=1, max_size=9) | st.lists(
    st.fixed_dictionaries(ORDER, optional=OPTIONAL), min_size=1, max_size=6
)
REQUEST = st.lists(HISTORY, min_size=1, max_size=3)


def request_of(orders_by_customer: list[list[dict[str, Any]]], day: str | None = str(END)) -> Any:
    customers = [
        {"customer_id": f"c{place}", "orders": orders}
        for place, orders in enumerate(orders_by_customer)
    ]
    return ScoreRequest.model_validate({"customers": customers, "as_of": day})


def log_of(request: ScoreRequest) -> pd.DataFrame:
    """The orders as a table with the columns that any of them has."""
    rows = [
        {"customer_id": customer.customer_id} | order.model_dump(exclude_none=True)
        for customer in request.customers
        for order in customer.orders
    ]
    table = pd.DataFrame(rows)
    for name in {"order_id", "product", "channel"} & set(table):
        table[name] = [None if value != value else str(value) for value in table[name]]
    return table.astype({"date": "datetime64[us]"})


def by_batch(request: ScoreRequest, scorer: CustomerScorer, engine: Any) -> ScoredHistories:
    """The same customers by the public functions, one after the other."""
    log, ids = log_of(request), [customer.customer_id for customer in request.customers]
    day = request.as_of or END
    try:
        purchases, report = clean(engine(log), as_of=day)
    except RowError:
        return ScoredHistories([], ids, [])
    summary = summarize(purchases, as_of=day, unit=scorer.unit)
    scores = scorer.predict(scorer.churn.attach(summary, purchases, day, scorer.unit))
    rows = {row["customer_id"]: row for row in as_frame(scores).collect().rows(named=True)}
    return ScoredHistories(
        [rows[id_] for id_ in ids if id_ in rows],
        [id_ for id_ in ids if id_ not in rows],
        [f"{found.reason}: {found.action} ({found.rows:,})" for found in report.findings],
    )


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Dates as days and a missing channel as None on any engine; floats stay, bit by bit."""
    missing = [
        {"channel": None} if row.get("channel", "") != row.get("channel", "") else {}
        for row in rows
    ]
    return [
        {**row, **none, "as_of": pd.Timestamp(row["as_of"]).date()}
        for row, none in zip(rows, missing, strict=True)
    ]


def assert_same(answer: ScoredHistories | InputError, batch: ScoredHistories) -> None:
    assert isinstance(answer, ScoredHistories)
    assert answer.not_scored == batch.not_scored
    assert plain(answer.scores) == plain(batch.scores)
    assert [list(row) for row in answer.scores] == [list(row) for row in batch.scores]
    if batch.scores:  # else clean() has no report but an error
        assert answer.cleaning == batch.cleaning


@settings(max_examples=40, deadline=None)
@given(orders=REQUEST)
@example(orders=[[A_DAY, A_DAY]])
@example(orders=[[A_DAY | {"order_id": 7}] * 2])
@example(orders=[[A_DAY | {"order_id": 7, "product": "tea"}] * 2])
@example(orders=[[A_DAY | {"order_id": 7}, A_DAY]])
@example(orders=[[A_DAY | {"order_id": " "}]])
@example(orders=[[{"date": "1997-01-05", "amount": 0.00004}]])
@example(orders=[[{"date": "1997-01-05", "amount": 2.00005}, A_DAY | {"amount": -1.0}]])
@example(
    orders=[
        [
            {"date": "1997-01-05", "amount": 40.0},
            {"date": "1997-02-05", "amount": 25.0},
            {"date": "1997-02-06", "amount": -30.0},
            {"date": "1997-02-07", "amount": -50.0},
        ]
    ]
)
def test_a_request_is_scored_as_a_batch_is(histories, orders):
    request = request_of(orders)
    (answer,) = histories.score([request])
    assert_same(answer, by_batch(request, histories.scorer, pl.from_pandas))


@settings(max_examples=8, deadline=None)
@given(orders=REQUEST)
def test_with_a_classifier_too(learned, orders):
    request = request_of(orders)
    (answer,) = learned.score([request])
    assert_same(answer, by_batch(request, learned.scorer, pl.from_pandas))


@settings(max_examples=20, deadline=None)
@given(
    requests=st.lists(
        st.tuples(REQUEST, st.sampled_from([str(END), "1997-02-01", "1990-01-01", None])),
        min_size=2,
        max_size=6,
    )
)
def test_each_request_is_answered_as_if_it_had_come_alone(histories, requests):
    together = [request_of(orders, day) for orders, day in requests]
    for request, answer in zip(together, histories.score(together), strict=True):
        (alone,) = histories.score([request])
        assert str(answer) == str(alone)


def random_log(customers: int) -> pd.DataFrame:
    """Orders with lines, refunds, repeats, zero amounts and times of day."""
    rng = np.random.default_rng(7)
    n = 6 * customers
    table = pd.DataFrame(
        {
            "customer_id": rng.integers(0, customers, n),
            "date": pd.Timestamp("1997-01-01") + pd.to_timedelta(rng.integers(0, 290, n), "D"),
            "amount": rng.choice([0.0, 10.0, 24.9, -10.0, -24.9], n, p=[0.05, 0.4, 0.4, 0.1, 0.05]),
            "order_id": [f"o{k}" for k in rng.integers(0, 4 * customers, n)],
        }
    )
    table["date"] += pd.to_timedelta(rng.integers(0, 86_400, n) * (rng.random(n) < 0.5), "s")
    return pd.concat([table, table.sample(customers // 4, random_state=1)])


def test_requests_and_the_command_line_score_a_log_alike(histories, tmp_path: Path):
    log = random_log(300)
    log.to_parquet(tmp_path / "log.parquet")
    written = tmp_path / "scores.parquet"
    score_log(tmp_path / "log.parquet", histories.scorer, written, str(END), duplicates="keep")
    batch = pd.read_parquet(written).set_index("customer_id")
    requests = [
        ScoreRequest.model_validate(
            {"customers": [{"customer_id": int(id_), "orders": orders}], "as_of": str(END)}
        )
        for id_, rows in log.groupby("customer_id")
        for orders in [
            rows[["date", "amount", "order_id"]]
            .assign(date=rows["date"].map(str))
            .to_dict("records")
        ]
    ]
    answers = histories.score(requests)
    scored = [
        row for answer in answers if isinstance(answer, ScoredHistories) for row in answer.scores
    ]
    assert {row["customer_id"] for row in scored} == set(batch.index)
    assert len(scored) > 200
    for row in scored:
        other = batch.loc[row["customer_id"]]
        for name, value in row.items():
            if isinstance(value, float):
                assert value == other[name], name


@pytest.mark.parametrize("engine", [duckdb.from_df, pd.DataFrame], ids=["DuckDB", "pandas"])
def test_whichever_engine_cleans_the_batch(histories, engine):
    """Ages that a reciprocal of 7 would get wrong by a bit, and refunds in part."""
    days = [{"date": str(END - dt.timedelta(days)), "amount": 7.1 * days} for days in range(20, 90)]
    refunds = [{"date": "1997-09-20", "amount": -amount} for amount in (100.0, 142.0, 0.1)]
    request = request_of([[day, *refunds] for day in days])
    assert_same(histories.score([request])[0], by_batch(request, histories.scorer, engine))


def test_each_request_has_the_counts_of_its_own_orders(histories):
    refund = {"date": "1997-03-01", "amount": -5.0}
    requests = [request_of([[A_DAY]]), request_of([[A_DAY, refund]]), request_of([[A_DAY, A_DAY]])]
    assert [answer.cleaning for answer in histories.score(requests)] == [
        [],
        [
            "refund of earlier orders: netted (1)",
            "order refunded in full, so no purchase: dropped (1)",
        ],
        [
            "row equal to another in every column: kept, as two real ones can look alike (1)",
            "further order of one day: joined (1)",
        ],
    ]


def test_lines_sent_twice_are_dropped_where_order_and_product_name_them(histories):
    line = A_DAY | {"order_id": "o1", "product": "tea"}
    (twice,) = histories.score([request_of([[line, line]])])
    (once,) = histories.score([request_of([[line]])])
    assert twice.cleaning == ["row equal to another in every column: dropped (1)"]
    assert twice.scores == once.scores


def test_the_rules_of_the_log_that_the_model_learned_from_hold_for_requests_too(histories):
    training = {"data": {"duplicates": "drop", "zero_amounts": "keep"}}
    other = HistoryScorer(replace(histories.scorer, training=training))
    request = request_of([[A_DAY, A_DAY, {"date": "1997-03-01", "amount": 0.0}]])
    (usual,), (learned,) = histories.score([request]), other.score([request])
    assert [usual.scores[0]["frequency"], learned.scores[0]["frequency"]] == [0, 1]
    assert usual.cleaning == [
        "amount is zero: dropped (1)",
        "row equal to another in every column: kept, as two real ones can look alike (1)",
        "further order of one day: joined (1)",
    ]
    assert learned.cleaning == ["row equal to another in every column: dropped (1)"]


def test_an_order_after_the_models_day_is_the_error_of_its_request_alone(histories):
    late = request_of([[A_DAY | {"date": "1997-10-05"}]], day=None)
    error, answer = histories.score([late, request_of([[A_DAY]], day=None)])
    assert isinstance(error, InputError)
    assert "1997-10-05 lies after 1997-09-30" in str(error)
    assert [row["frequency"] for row in answer.scores] == [0]


@pytest.mark.parametrize("field", ["margin", "quantity", "price"])
def test_what_scoring_would_ignore_is_refused_by_name(field):
    with pytest.raises(ValueError, match=rf"orders\.0\.{field}\n.*Extra inputs are not permitted"):
        request_of([[A_DAY | {field: 1}]])
