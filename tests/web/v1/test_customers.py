"""Customers found by the API are those of the scores that were published."""

from __future__ import annotations

import pytest

MODEL = ("as_of", "horizon", "currency")
INJECTIONS = ["' OR 1=1 --", "x'); DROP TABLE customers; --", '" OR ""="', "%", "_", "\x00", "1; 2"]


def search(ask, **query):
    response = ask("GET", "/v1/customers", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def ids(found):
    return [row["customer_id"] for row in found["customers"]]


def test_the_best_come_first_and_every_answer_says_of_what(ask, scores):
    found = search(ask, size=10)
    best = scores.sort_values(["clv", "customer_id"], ascending=[False, True])
    assert ids(found) == best["customer_id"].head(10).tolist()
    assert [found[name] for name in MODEL] == ["1997-09-30", "156 weeks", "USD"]
    assert found["totals"]["customers"] == len(scores)
    assert found["totals"]["value"] == pytest.approx(scores["clv"].sum())
    assert found["terms"]["churn_horizon"] == "13 weeks"
    assert "currency" not in found["customers"][0]


def test_filters_find_whom_they_name(ask, scores):
    found = search(ask, churn_from=0.2, churn_to=0.6, value_from=5, recency_to=100, eligible=True)
    chosen = scores[
        scores["churn_probability"].between(0.2, 0.6)
        & (scores["clv"] >= 5)
        & (scores["days_since_last"] <= 100)
        & scores["eligible"]
    ]
    assert 0 < len(chosen) == found["totals"]["customers"]
    assert found["totals"]["at_risk"] == pytest.approx(
        (chosen["churn_probability"] * chosen["value_at_stake"]).sum()
    )


def test_lists_are_given_by_repeating_them(ask, scores):
    found = search(ask, tiers=["top 1%", "1 to 5%"], channels=["search", "=1+1"], size=200)
    assert {row["tier"] for row in found["customers"]} == {"top 1%", "1 to 5%"}
    assert {row["channel"] for row in found["customers"]} == {"search", "=1+1"}
    only = scores[scores["channel"].isin(["search", "=1+1"])]
    everybody = search(ask, channels=["search", "=1+1"])
    assert everybody["totals"]["customers"] == len(only)


def test_cohorts_reasons_and_the_start_of_an_id(ask, scores, book):
    assert search(ask, cohorts="1997-02")["totals"]["customers"] == next(
        one["customers"] for one in book.segments()["cohort"] if one["segment"] == "1997-02"
    )
    barred = search(ask, reasons="no consent", eligible=False)
    assert barred["totals"]["customers"] == (~scores["eligible"]).sum()
    begins = search(ask, prefix="11", size=200)
    assert begins["totals"]["customers"] == scores["customer_id"].astype(str).str[:2].eq("11").sum()


def test_pages_hold_everybody_once(ask, scores):
    first = search(ask, sort="churn_probability", order="asc", size=200)
    pages = [search(ask, sort="churn_probability", order="asc", size=200, page=k)
             for k in range(1, first["pages"] + 1)]  # fmt: skip
    found = [row for page in pages for row in page["customers"]]
    assert sorted(row["customer_id"] for row in found) == sorted(scores["customer_id"])
    churn = [row["churn_probability"] for row in found]
    assert churn == sorted(churn)
    assert search(ask, page=10**6)["customers"] == []


@pytest.mark.parametrize("value", INJECTIONS)
@pytest.mark.parametrize("name", ["prefix", "channels", "cohorts", "reasons"])
def test_sql_in_a_filter_is_only_text(ask, name, value):
    assert search(ask, **{name: value})["totals"]["customers"] == 0


@pytest.mark.parametrize("value", INJECTIONS)
@pytest.mark.parametrize(
    "name", ["tiers", "sort", "order", "page", "size", "eligible", "churn_from", "value_to"]
)
def test_sql_where_no_text_belongs_is_refused(ask, refused, name, value):
    (field,) = refused(ask("GET", "/v1/customers", params={name: value}))
    assert field.partition("[")[0] == name


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("size=201", "size"),
        ("size=0", "size"),
        ("page=0", "page"),
        ("page=99999999999999999999", "page"),
        ("churn_from=50", "churn_from"),
        ("churn_from=nan", "churn_from"),
        ("value_from=1e400", "value_from"),
        ("value_from=2&value_to=1", "value_to"),
        ("recency_from=-1", "recency_from"),
        ("tier=top 1%", "tier"),
        ("page=1&page=2", "page"),
        ("sort=nobody", "sort"),
        ("prefix=" + "a" * 201, "prefix"),
    ],
)
def test_a_wrong_query_names_its_field(ask, refused, query, field):
    assert refused(ask("GET", f"/v1/customers?{query}")) == [field]


def test_what_may_be_sent_is_said(ask):
    problem = ask("GET", "/v1/customers?sort=valu").json()
    assert "churn_probability" in problem["errors"][0]["send"]
    problem = ask("GET", "/v1/customers?tiers=best").json()
    assert "bottom 50%" in problem["errors"][0]["send"]


def test_one_customer_is_the_row_that_the_search_shows(ask):
    row = search(ask, size=1)["customers"][0]
    one = ask("GET", f"/v1/customers/{row['customer_id']}", role="viewer").json()["customer"]
    assert row.items() <= one.items()
    assert one["churn_horizon"] == "13 weeks"
