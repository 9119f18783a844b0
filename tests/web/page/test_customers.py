"""Customers: what is found, added up and exported is what filtering the scores by hand gives."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI

from clv.exports.audit import Audit
from clv.format import count, large_money, percent
from clv.scorer import CustomerScorer
from clv.store import Stores, publish
from clv.web.access.keys import KeyRing, add_key
from clv.web.access.roles import Role
from clv.web.access.who import Access
from clv.web.application import create_app
from clv.web.page import error_page, login_page, mount_page

from .conftest import HOSTILE, Browser, page_of
from .test_rooms import Page
from .test_with_the_api import hidden, log_in

CSV, PARQUET = {"format": "csv"}, {"format": "parquet"}


def first_order(log: pd.DataFrame, scores: pd.DataFrame) -> pd.Series:
    month = log.groupby("customer_id")["date"].min().dt.strftime("%Y-%m")
    return scores["customer_id"].map(month)


def by_hand(query: dict[str, object], scores: pd.DataFrame, log: pd.DataFrame) -> pd.DataFrame:
    """The customers of a query, filtered in pandas, the most valuable first."""
    table = scores.sort_values("clv", ascending=False, kind="stable")
    place = np.arange(len(table))
    kept = np.ones(len(table), dtype=bool)
    ranges = {"churn": "churn_probability", "recency": "days_since_last", "value": "clv"}
    for name, column in ranges.items():
        values = table[column] * (100 if name == "churn" else 1)
        kept &= (values >= float(query.get(f"{name}_from", -np.inf))).to_numpy()
        kept &= (values <= float(query.get(f"{name}_to", np.inf))).to_numpy()
    if "eligible" in query:
        kept &= (table["eligible"] == (query["eligible"] == "yes")).to_numpy()
    if "tiers" in query:
        kept &= place < math.ceil(0.01 * len(table))
    if "reasons" in query:
        kept &= (table["reason"] == query["reasons"]).to_numpy()
    if "prefix" in query:
        kept &= table["customer_id"].astype(str).str.startswith(str(query["prefix"])).to_numpy()
    if "cohorts" in query:
        kept &= first_order(log, table).isin(query["cohorts"]).to_numpy()
    return table[kept]


QUERIES: list[dict[str, object]] = [
    {},
    {"tiers": "top 1%"},
    {"churn_from": "50", "churn_to": "90"},
    {"recency_to": "60", "value_from": "20", "eligible": "yes"},
    {"eligible": "no", "prefix": "1"},
    {"cohorts": ["1997-02", "1997-03"]},
    {"reasons": HOSTILE, "churn_from": "20"},
]


def headline(text: str, label: str) -> str:
    return re.findall(rf"<dt>{re.escape(label)}</dt><dd><b>(.*?)</b>", text)[0]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_what_is_found_adds_up_as_by_hand(
    browse: Browser, scores: pd.DataFrame, log: pd.DataFrame, query: dict[str, object]
) -> None:
    expected = by_hand(query, scores, log)
    answer = browse("/customers?" + urlencode(query, doseq=True))
    assert answer.status_code == 200
    assert headline(answer.text, "Customers") == count(len(expected))
    value = headline(answer.text, "Value, next 3 years")
    assert value == large_money(expected["clv"].sum(), "USD")
    share = expected["clv"].sum() / scores["clv"].sum()
    assert headline(answer.text, "Share of the base") == percent(share)
    at_risk = (expected["churn_probability"] * expected["value_at_stake"]).sum()
    assert headline(answer.text, "Value at risk") == large_money(at_risk, "USD")
    shown = [row[0].removesuffix(f"no contact: {HOSTILE}") for row in Page(answer.text).cells[1:]]
    assert shown == expected["customer_id"].astype(str).tolist()[:50]


def test_pages_hold_everybody_once(browse: Browser, scores: pd.DataFrame) -> None:
    seen: list[str] = []
    address = "/customers?eligible=yes&recency_to=120&sort=days_since_last&order=asc"
    while address:
        text = browse(address).text
        seen += [row[0] for row in Page(text).cells[1:]]
        found = re.findall(r'rel="next" href="([^"]*)"', text)
        address = unescape(found[0]) if found else ""
    chosen = scores[scores["eligible"] & (scores["days_since_last"] <= 120)]
    assert sorted(seen) == sorted(chosen["customer_id"].astype(str))
    days = scores.assign(key=scores["customer_id"].astype(str)).set_index("key")["days_since_last"]
    assert days[seen].is_monotonic_increasing


@pytest.mark.parametrize("column", ["churn_probability", "value_at_stake", "expected_purchases"])
def test_a_heading_sorts_and_says_so(browse: Browser, scores: pd.DataFrame, column: str) -> None:
    page = Page(browse(f"/customers?sort={column}").text)
    best = scores.set_index(scores["customer_id"].astype(str))[column]
    shown = [row[0].removesuffix(f"no contact: {HOSTILE}") for row in page.cells[1:]]
    assert best[shown].tolist() == sorted(scores[column], reverse=True)[:50]
    sorted_by = [a["aria-sort"] for t, a in page.tags if t == "th" and "aria-sort" in a]
    assert [state for state in sorted_by if state != "none"] == ["descending"]


def test_the_form_holds_what_the_address_says(browse: Browser) -> None:
    address = "/customers?tiers=top+1%25&churn_from=2&prefix=1&eligible=yes&sort=clv&order=asc"
    text = browse(address).text
    page = Page(text)
    fields = [a for t, a in page.tags if t == "input"]
    checked = [a["value"] for a in fields if "checked" in a]
    assert checked == ["top 1%"]
    values = {a["name"]: a["value"] for a in fields if a.get("type") != "checkbox"}
    assert (values["prefix"], values["churn_from"]) == ("1", "2")
    assert (values["sort"], values["order"]) == ("clv", "asc")
    assert re.search(r'<option value="yes" selected', text)


WRONG = [
    ("churn_from=abc", "is not a number"),
    ("churn_from=90&churn_to=8", "from 90 to 8 holds nobody"),
    ("value_from=nan", "is not a number"),
    ("value_to=inf", "is not a number"),
    ("tiers=gold", "there is no tier 'gold'"),
    ("channels=email", "this store has no column 'channel'"),
    ("eligible=perhaps", "is neither yes nor no"),
    ("sort=password", "this store has no column 'password'"),
    ("sort=clv;DROP TABLE customers", "this store has no column"),
    ("order=up", "order = 'up' is unknown"),
    ("page=0", "page 0 of 50 rows cannot be shown"),
    ("page=-1", "is not a number"),
    ("page=9" + "9" * 30, "is not a number"),
    ("page=99999", "there is no page 99,999"),
    ("tier=top", "there is no filter 'tier'"),
    ("sort=clv&sort=clv", "sort is given 2 times"),
    ("prefix=" + "a" * 300, "at most 200 characters"),
]


@pytest.mark.parametrize("query", ["utm_source=mail", "fbclid=x&gclid=y", "tiers=top+1%25&ref=1"])
def test_what_others_hang_onto_a_link_is_ignored(browse: Browser, query: str) -> None:
    answer, plain = browse(f"/customers?{query}"), browse(f"/customers?{query.partition('&')[0]}")
    assert answer.status_code == plain.status_code == 200
    assert "there is no filter" not in answer.text


@pytest.mark.parametrize(("query", "said"), WRONG)
def test_a_wrong_address_is_told_what_is_wrong(browse: Browser, query: str, said: str) -> None:
    answer = browse("/customers?" + quote(query, safe="=&"))
    page = Page(answer.text)
    assert answer.status_code == 422
    assert page.open == []
    alert = re.findall(r'<div class="alert"[^>]*>(.*?)</div>', answer.text)[0]
    assert said in unescape(re.sub("<.*?>", "", alert))
    assert "filters" in [a.get("class") for t, a in page.tags if t == "form"]


HARD = ["' OR 1=1 --", "\x00", '"; DROP TABLE customers', HOSTILE, "%", "ÿ\U0001f600", "../../etc"]


@pytest.mark.parametrize("text", HARD)
@pytest.mark.parametrize("name", ["prefix", "tiers", "cohorts", "channels", "sort", "value_from"])
def test_no_text_is_more_than_text(
    browse: Browser, scores: pd.DataFrame, name: str, text: str
) -> None:
    answer = browse("/customers?" + urlencode({name: text}))
    assert answer.status_code in (200, 422)
    assert HOSTILE not in answer.text
    assert Page(answer.text).open == []
    assert headline(browse("/customers").text, "Customers") == count(len(scores))


def test_nobody_found_says_what_was_asked_and_what_to_do(browse: Browser) -> None:
    text = browse("/customers?prefix=zzz&churn_from=5&eligible=no&cohorts=1997-01").text
    told = unescape(text.partition('class="empty"')[2].partition("</div>")[0])
    for said in (
        "id begins with zzz",
        "first order in January 1997",
        "churn risk from 5%",
        "must not be contacted",
        "Widen",
    ):
        assert said in told
    assert "<table" not in text
    assert 'action="/customers/export"' not in text


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_an_export_holds_exactly_what_is_filtered(
    browse: Browser, scores: pd.DataFrame, log: pd.DataFrame, query: dict[str, object]
) -> None:
    expected = by_hand(query, scores, log).sort_values("customer_id", key=lambda c: c.astype(str))
    answer = browse("/customers/export", "POST", data=query | CSV)
    table = pd.read_csv(io.BytesIO(answer.content), dtype={"customer_id": str})
    assert table["customer_id"].tolist() == expected["customer_id"].astype(str).tolist()
    np.testing.assert_allclose(table["clv"], expected["clv"], rtol=1e-12)
    assert set(table["as_of"]) == {"1997-09-30"}
    assert answer.headers["cache-control"] == "no-store"
    assert "attachment" in answer.headers["content-disposition"]
    parquet = browse("/customers/export", "POST", data=query | PARQUET)
    rows = pq.read_table(io.BytesIO(parquet.content))
    ids = [str(one) for one in rows["customer_id"].to_pylist()]
    assert ids == expected["customer_id"].astype(str).tolist()


def test_the_buttons_export_what_the_table_shows(browse: Browser) -> None:
    text = browse("/customers?tiers=top+1%25&eligible=yes&sort=clv&page=1").text
    form = text.partition('action="/customers/export"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', unescape(form)))
    assert fields == {"csrf": "", "format": "csv", "tiers": "top 1%", "eligible": "yes"}
    table = pd.read_csv(io.BytesIO(browse("/customers/export", "POST", data=fields).content))
    assert count(len(table)) == headline(text, "Customers")


def test_cells_that_a_spreadsheet_would_run_are_made_text(bare: Callable[..., Browser]) -> None:
    browse = bare(2, customer_id=["=1+1", "-12"], channel=["@SUM(A1)", "mail"])
    text = browse("/customers/export", "POST", data=CSV).text
    table = pd.read_csv(io.StringIO(text), dtype=str).set_index("customer_id")
    assert table["channel"].to_dict() == {"'=1+1": "'@SUM(A1)", "-12": "mail"}
    rows = pq.read_table(
        io.BytesIO(browse("/customers/export", "POST", data=PARQUET).content)
    ).to_pydict()
    assert sorted(rows["customer_id"]) == ["-12", "=1+1"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"format": "xls"}, 422),
        ({"churn_from": "x"}, 422),
        ({"nonsense": "1"}, 422),
        (b"\xff\xfe", 400),
        (b"prefix=" + b"a" * 300_000, 413),
        (b"&".join([b"tiers=x"] * 3_000), 400),
    ],
)
def test_a_bad_form_exports_nothing(browse: Browser, body: object, status: int) -> None:
    sent = {"data": body} if isinstance(body, dict) else {"content": body}
    answer = browse("/customers/export", "POST", **sent)
    assert answer.status_code == status
    assert "text/html" in answer.headers["content-type"]


def test_scores_alone_are_enough(bare: Callable[..., Browser]) -> None:
    answer = bare(120)("/customers")
    page = Page(answer.text)
    assert answer.status_code == 200
    headings = [cell.strip() for cell in page.cells[0]]
    assert headings == [
        "Customer", "Tier", "Value", "Purchases", "Last order", "Churn", "At stake",
    ]  # fmt: skip
    assert page.cells[1][2:] == ["1", "2.0", "10 days ago", "50%", "1"]
    assert 'name="eligible"' not in answer.text
    assert "Page 1 of 3" in answer.text


@pytest.fixture
def guarded(
    scorer: CustomerScorer, folder: Path, tmp_path: Path
) -> tuple[FastAPI, dict[str, str], Path]:
    """The page behind the gate, a key of each role, and the audit file."""
    keys, audit = tmp_path / "keys.json", tmp_path / "audit.jsonl"
    tokens = {str(role): add_key(keys, f"{role}-key", role) for role in Role}
    access = Access(KeyRing(keys), login_page=login_page, error_page=error_page, audit=Audit(audit))
    app = create_app(scorer, access=access)
    mount_page(app, Stores(folder, check_every=None))
    return app, tokens, audit


def test_a_viewer_looks_and_takes_nothing_along(
    guarded: tuple[FastAPI, dict[str, str], Path],
) -> None:
    app, tokens, audit = guarded
    browse = Browser(app)
    held = {"authorization": f"Bearer {tokens['viewer']}", "accept": "text/html"}
    shown = browse("/customers", headers=held)
    assert shown.status_code == 200
    assert "/customers/export" not in shown.text
    assert "Ask for a key with the role planner" in shown.text
    assert browse("/customers/export", "POST", data=CSV, headers=held).status_code == 403
    assert browse("/customers/export", "POST", data=CSV).status_code == 401
    assert audit.read_text() == ""


def test_an_export_leaves_a_line_without_customers(
    guarded: tuple[FastAPI, dict[str, str], Path],
) -> None:
    app, tokens, audit = guarded
    browse = Browser(app)
    held = {"authorization": f"Bearer {tokens['planner']}"}
    assert "/customers/export" in browse("/customers", headers=held).text
    sent = {"prefix": "12", "tiers": "top 1%", "churn_to": "50"} | CSV
    answer = browse("/customers/export", "POST", data=sent, headers=held)
    assert answer.status_code == 200
    line = json.loads(audit.read_text())
    assert (line["who"], line["destination"]) == ("planner-key", "csv")
    assert line["rows"] == answer.text.count("\n") - 1
    assert line["filters"] == {
        "search": "(given, not logged)",
        "tiers": ["top 1%"],
        "churn": [None, 0.5],
    }
    assert line["path"] == "customers-1997-09-30-filtered.csv"
    assert line["as_of"] == "1997-09-30"


def test_a_browser_that_logged_in_exports_with_its_own_form_only(
    guarded: tuple[FastAPI, dict[str, str], Path],
) -> None:
    app, tokens, audit = guarded
    browse = Browser(app)
    headers = log_in(browse, tokens["planner"])
    logged_in = audit.read_text().count("\n")
    forged = browse("/customers/export", "POST", data=CSV, headers=headers)
    assert forged.status_code == 403
    token = {"csrf": hidden(browse("/customers", headers=headers).text, "csrf")}
    assert browse("/customers/export", "POST", data=CSV | token, headers=headers).status_code == 200
    assert audit.read_text().count("\n") == logged_in + 1


def test_a_folded_form_says_how_many_filters_are_set(browse: Browser) -> None:
    def said(query: str) -> str:
        found = re.search(r"<summary>Filter: <span data-text>(.*?)</span>", browse(query).text)
        assert found is not None
        return found[1]

    assert said("/customers?sort=clv&page=2") == "none set"
    assert said("/customers?churn_from=20&churn_to=90&tiers=top+1%25&tiers=1+to+5%25") == "2 set"


def test_a_reason_can_be_chosen_but_not_that_there_is_none(browse: Browser) -> None:
    page = Page(browse("/customers").text)
    assert [a["value"] for _, a in page.tags if a.get("name") == "reasons"] == [HOSTILE]


def test_many_choices_are_folded_until_one_is_made(bare: Callable[..., Browser]) -> None:
    browse = bare(20, channel=[f"way {k}" for k in range(20)])
    folded = [a for t, a in Page(browse("/customers").text).tags if t == "details"]
    assert folded == [{"class": "fold"}, {"id": "d-channels"}]
    chosen = Page(browse("/customers?channels=way+3&channels=way+17").text)
    folded = [a for t, a in chosen.tags if t == "details"]
    assert folded == [{"class": "fold"}, {"id": "d-channels", "open": None}]
    boxes = [a["value"] for t, a in chosen.tags if a.get("name") == "channels" and "checked" in a]
    assert sorted(boxes) == ["way 17", "way 3"]
    assert {row[0] for row in chosen.cells[1:]} == {"c3", "c17"}


def test_ids_that_are_no_plain_text_lead_to_their_page(tmp_path: Path) -> None:
    ids = ["a/b", "ü x", "50%", HOSTILE, "?q=1#z"]
    scores = pd.DataFrame({"customer_id": ids}).assign(
        days_since_last=1.0, clv=[5.0, 4.0, 3.0, 2.0, 1.0], expected_purchases=1.0,
        churn_probability=0.5, value_at_stake=1.0, model_version="v", as_of="2024-03-31",
        horizon="3 years", currency="EUR",
    )  # fmt: skip
    publish(scores, tmp_path / "s")
    browse = Browser(page_of(tmp_path / "s"))
    text = browse("/customers").text
    links = re.findall(r'<th scope="row"[^>]*><a href="([^"]*)"', text)
    assert len(links) == len(ids)
    for key, to in zip(ids, links, strict=True):
        page = browse(unescape(to))
        assert page.status_code == 200
        heading = re.findall("<h1>(.*?)</h1>", page.text)[0]
        assert unescape(heading) == f"Customer {key}"
