"""A file holds exactly whom a search finds; who took it is written down, and no customer."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from clv.web.v1.exports import EXAMPLE

CHOSEN = {"channels": ["=1+1"], "churn_from": 0.1, "eligible": True}


def taken(ask, **body):
    response = ask("POST", "/v1/exports", json=body)
    assert response.status_code == 200, response.text
    return response


def test_the_file_holds_whom_the_search_finds(ask, scores):
    response = taken(ask, customers=CHOSEN, format="parquet")
    table = pd.read_parquet(io.BytesIO(response.content))
    found = ask("GET", "/v1/customers", params=CHOSEN).json()
    assert 0 < len(table) == found["totals"]["customers"]
    assert table["clv"].sum() == pytest.approx(found["totals"]["value"])
    chosen = scores[scores["customer_id"].isin(table["customer_id"])]
    assert len(chosen) == len(table)
    assert set(table["channel"]) == {"=1+1"}  # a program reads what is there
    assert table["model_version"].nunique() == 1
    assert set(table["as_of"]) == {"1997-09-30"}


def test_a_spreadsheet_runs_nothing_of_it(ask):
    response = taken(ask, customers=CHOSEN)
    table = pd.read_csv(io.BytesIO(response.content))
    assert set(table["channel"]) == {"'=1+1"}
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["cache-control"] == "no-store"
    name = 'attachment; filename="customers-1997-09-30-filtered.csv"'
    assert response.headers["content-disposition"] == name


def test_columns_are_chosen_and_terms_stay(ask, scores):
    response = taken(ask, columns=["clv", "customer_id", "clv"])
    table = pd.read_csv(io.BytesIO(response.content))
    assert list(table)[:2] == ["clv", "customer_id"]
    assert {"model_version", "as_of", "horizon", "currency"} < set(table)
    assert len(table) == len(scores)


def test_nobody_found_is_a_file_without_rows(ask):
    assert len(taken(ask, customers={"prefix": "nobody"}).text.splitlines()) == 1


def test_the_audit_says_who_took_what_and_names_nobody(ask, last_line):
    taken(ask, customers={"prefix": "1234", "tiers": ["top 1%"]}, columns=["customer_id"])
    line = last_line()
    assert (line["who"], line["destination"]) == ("planner-key", "csv")
    assert line["filters"]["tiers"] == ["top 1%"]
    assert "1234" not in str(line["filters"])
    assert line["path"] == "customers-1997-09-30-filtered.csv"


def test_a_viewer_takes_nothing_and_nothing_is_written_down(ask, audit):
    before = audit.read_text() if audit.exists() else ""
    assert ask("POST", "/v1/exports", role="viewer", json={}).status_code == 403
    assert ask("POST", "/v1/exports", role=None, json={}).status_code == 401
    assert audit.read_text() == before


def test_the_example_works(ask):
    taken(ask, **EXAMPLE)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "xlsx"}, "format"),
        ({"columns": []}, "columns"),
        ({"columns": ["customer_id", "nobody"]}, "columns[1]"),
        ({"columns": ['clv" FROM customers; --']}, "columns[0]"),
        ({"columns": ["no"]}, "columns[0]"),
        ({"customers": {"tiers": ["gold"]}}, "customers.tiers[0]"),
        ({"customers": {"tiers": "top 1%"}}, "customers.tiers"),
        ({"customers": {"churn_from": "0.5"}}, "customers.churn_from"),
        ({"customers": {"page": 2}}, "customers.page"),
        ({"to": "google"}, "to"),
        ({"path": "/tmp/x.csv"}, "path"),
    ],
    ids=str,
)
def test_a_wrong_body_names_its_field(ask, refused, body, field):
    assert refused(ask("POST", "/v1/exports", json=body)) == [field]


def test_nothing_leaves_without_its_line_in_the_audit(ask, audit):
    kept = audit.rename(audit.with_suffix(".kept"))
    audit.mkdir()  # where nothing can be added to it
    try:
        response = ask("POST", "/v1/exports", json={})
    finally:
        audit.rmdir()
        kept.rename(audit)
    assert response.status_code == 422
    assert "audit" in response.json()["detail"]
