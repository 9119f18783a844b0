"""One customer in plain Python: the numbers of clean() and summarize(), whatever was ordered."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clv.app.requests import Customer, Order
from clv.churn.classifier import BLEND, assemble, fit_parts
from clv.churn.model import ChurnModel
from clv.churn.training_rows import PLAIN
from clv.data.features import LOG_FEATURES, YEAR
from clv.periods import Duration
from clv.probability.bg_nbd import BetaGeoNBD
from clv.probability.gamma_gamma import GammaGamma
from clv.scorer import CustomerScorer
from clv.value.value import Terms
from clv.web.gather import Gathering, score_summaries
from clv.web.histories import score_by_table, score_histories, summarise
from clv.web.single import Unusual, summary_of

END = dt.date(1997, 9, 30)
A_DAY = {"date": "1997-01-05", "amount": 5.0}
WEEKS = Duration(13, "week")


def a_scorer(churn: ChurnModel) -> CustomerScorer:
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


@pytest.fixture(scope="module")
def scorer() -> CustomerScorer:
    return a_scorer(ChurnModel(WEEKS, None, "no labels were used"))


INPUTS = {"plain": PLAIN, "log": (*PLAIN, *LOG_FEATURES), "season": (*PLAIN, *YEAR)}


@pytest.fixture(scope="module", params=INPUTS.values(), ids=INPUTS)
def learned(request) -> CustomerScorer:
    """With a churn classifier, which reads more of the summary than the purchase model does."""
    rng = np.random.default_rng(1)
    X = rng.gamma(2.0, size=(600, len(request.param)))
    churned = (rng.random(600) < 0.5).astype(np.float64)
    blend = assemble(BLEND, request.param, fit_parts(X, churned), X)
    return a_scorer(ChurnModel(WEEKS, blend, "any will do", source=BLEND))


MOMENT = st.datetimes(dt.datetime(1997, 1, 1), dt.datetime(1997, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0)
)
DAY = st.dates(dt.date(1997, 1, 1), dt.date(1997, 3, 1)).map(str)  # near, so that days meet
CENTS = st.integers(-20_000, 20_000) | st.sampled_from([1000, -1000, 2500, -2500, 0])
ORDER = {"date": MOMENT.map(str) | DAY, "amount": CENTS.map(lambda cents: cents / 100)}
ID = st.integers(0, 99) | st.sampled_from(["a", "7", "nan", " "])
HISTORY = st.lists(st.fixed_dictionaries(ORDER), min_size=1, max_size=9) | st.lists(
    st.fixed_dictionaries(ORDER, optional={"order_id": ID}), min_size=1, max_size=3
)
NUMBERED = st.lists(
    st.fixed_dictionaries({**ORDER, "order_id": ID}),
    min_size=1,
    max_size=9,
    unique_by=lambda order: str(order["order_id"]),
)
TWO_NUMBERED = st.lists(NUMBERED, min_size=1, max_size=2)
SIMPLE = st.lists(
    st.fixed_dictionaries({"date": DAY, "amount": st.integers(100, 9000).map(lambda c: c / 100)}),
    min_size=1,
    max_size=6,
)


def customers(histories: list[list[dict[str, Any]]]) -> list[Customer]:
    return [
        Customer.model_validate({"customer_id": f"c{place}", "orders": orders})
        for place, orders in enumerate(histories)
    ]


def assert_same_row(row: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(row) == list(other)
    for name, value in row.items():
        if isinstance(value, float):
            assert value == pytest.approx(other[name], rel=1e-12, abs=1e-300), name
        else:
            assert value == other[name], name


@settings(max_examples=100, deadline=None)
@given(
    histories=st.lists(HISTORY | SIMPLE, min_size=1, max_size=3)
    | st.lists(NUMBERED, min_size=1, max_size=2)
)
@example(histories=[[A_DAY, A_DAY]])
@example(
    histories=[
        [
            {"date": "1997-01-05", "amount": 40.0},
            {"date": "1997-02-05", "amount": 25.0},
            {"date": "1997-02-06", "amount": -30.0},
            {"date": "1997-02-07", "amount": -50.0},
        ]
    ]
)
def test_plain_python_gives_what_the_tables_give(scorer, histories):
    asked = customers(histories)
    plain = summarise(asked, scorer, END)
    if plain is None:
        return  # left to the tables
    by_table = score_by_table(asked, scorer, END)
    quick = plain.scored(score_summaries(plain.summaries, scorer))
    assert quick.not_scored == by_table.not_scored
    assert quick.cleaning == by_table.cleaning
    assert len(quick.scores) == len(by_table.scores)
    for row, other in zip(quick.scores, by_table.scores, strict=True):
        assert_same_row(row, other)


def test_most_histories_take_the_quick_way(scorer):
    """Refunds, several orders on a day and order ids are no reason for tables."""
    orders = [
        {"date": "1997-01-05T10:00", "amount": 20.0, "order_id": 1},
        {"date": "1997-01-05T11:00", "amount": 5.0, "order_id": 2},
        {"date": "1997-03-05", "amount": 15.0, "order_id": "A3"},
        {"date": "1997-03-09", "amount": -15.0, "order_id": "A4"},
        {"date": "1997-04-01", "amount": 0.0, "order_id": "A5"},
        {"date": "1997-12-01", "amount": 9.0, "order_id": "A6"},
    ]
    found = summarise(customers([orders]), scorer, END)
    assert found is not None
    assert found.summaries[0].frequency == 0
    assert found.summaries[0].first_amount == 25.0


@pytest.mark.parametrize(
    "orders",
    [
        [A_DAY | {"order_id": 7}] * 2,
        [
            {"date": "1997-01-05", "amount": 5.0, "order_id": 7},
            {"date": "1997-01-05", "amount": 5.0},
        ],
        [A_DAY | {"order_id": " "}],
        [{"date": "1997-01-05", "amount": 0.00004}],
        [{"date": "1997-01-05", "amount": 2.00005}, {"date": "1997-01-06", "amount": -1.0}],
    ],
    ids=["lines of an order", "some ids", "blank ids", "less than a ten-thousandth", "half of one"],
)
def test_what_is_unusual_is_left_to_the_tables(scorer, orders):
    with pytest.raises(Unusual):
        summary_of([Order.model_validate(order) for order in orders], END, Counter())
    assert summarise(customers([orders]), scorer, END) is None
    assert score_histories(customers([orders]), scorer, END) == score_by_table(
        customers([orders]), scorer, END
    )


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(histories=st.lists(SIMPLE, min_size=1, max_size=4))
def test_with_a_classifier_too(learned, histories):
    asked = customers(histories)
    quick, by_table = score_histories(asked, learned, END), score_by_table(asked, learned, END)
    for row, other in zip(quick.scores, by_table.scores, strict=True):
        assert_same_row(row, other)


def test_requests_of_one_moment_are_scored_in_one_call(scorer, monkeypatch):
    calls = []
    direct = CustomerScorer._scores

    def counting(self: CustomerScorer, summary: Any, history: Any, *known: Any) -> Any:
        calls.append(len(history.x))
        return direct(self, summary, history, *known)

    histories = [[{"date": "1997-01-05", "amount": 5.0 + k}] for k in range(20)]
    found = summarise(customers(histories), scorer, END)
    assert found is not None
    gathering = Gathering(scorer)
    monkeypatch.setattr(CustomerScorer, "_scores", counting)

    async def ask() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(gathering.scores([one]) for one in found.summaries))

    answers = asyncio.run(ask())
    assert calls == [20]
    alone = [score_summaries([one], scorer, gathering.constants)[0] for one in found.summaries]
    for (row,), other in zip(answers, alone, strict=True):
        assert_same_row(row, other)


def test_a_fault_reaches_everybody_who_waits_and_nobody_later(scorer, monkeypatch):
    gathering = Gathering(scorer)
    found = summarise(customers([[{"date": "1997-01-05", "amount": 5.0}]]), scorer, END)
    assert found is not None

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    async def ask(times: int) -> list[Any]:
        waiting = (gathering.scores(found.summaries) for _ in range(times))
        return await asyncio.gather(*waiting, return_exceptions=True)

    with monkeypatch.context() as broken:
        broken.setattr(CustomerScorer, "_scores", fail)
        assert [type(one) for one in asyncio.run(ask(2))] == [RuntimeError, RuntimeError]
    (rows,) = asyncio.run(ask(1))
    assert rows[0]["frequency"] == 0
