"""Questions to a store: the same customers as pandas finds, whatever text comes in."""

from __future__ import annotations

import shutil
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.decide.retention.offer import Offer
from clv.decide.retention.plan import retention_targets
from clv.errors import InputError
from clv.store import Filter, Sort, Store, publish

FILTERS = [
    Filter(),
    Filter(prefix="12"),
    Filter(tiers=("top 1%", "5 to 10%")),
    Filter(channels=("search",)),
    Filter(cohorts=("1997-02", "1997-03")),
    Filter(recency=(None, 60)),
    Filter(churn=(0.4, 0.9)),
    Filter(value=(5, None)),
    Filter(eligible=True),
    Filter(eligible=False, channels=("email", "social"), churn=(0.2, 0.95), prefix="1"),
    Filter(channels=("nobody",)),
]
NASTY = [
    "' OR '1'='1",
    "'; DROP TABLE customers; --",
    '"; DELETE FROM documents; --',
    "%",
    "_",
    "\\",
    "?",
    "$1",
    "a\x00b",
    "1) OR (1=1",
    "/* */ UNION SELECT * FROM about",
    "read_csv('/etc/passwd')",
    "\U0001f600\u202e",
    "{where}",
]


@pytest.fixture(scope="module")
def rows(book: Store) -> pd.DataFrame:
    """Every customer of the store."""
    return pd.DataFrame(book.export().read_all().to_pylist())


def expected(rows: pd.DataFrame, chosen: Filter) -> pd.DataFrame:
    """The same choice by pandas."""
    found = rows[rows["customer_id"].astype(str).str.startswith(chosen["prefix"])]
    lists = {"tier": chosen["tiers"], "channel": chosen["channels"], "cohort": chosen["cohorts"]}
    for name, wanted in lists.items():
        found = found[found[name].isin(wanted)] if wanted else found
    limits = {
        "days_since_last": chosen["recency"],
        "churn_probability": chosen["churn"],
        "clv": chosen["value"],
    }
    for name, (low, high) in limits.items():
        found = found if low is None else found[found[name] >= low]
        found = found if high is None else found[found[name] <= high]
    return found if chosen["eligible"] is None else found[found["eligible"] == chosen["eligible"]]


@pytest.mark.parametrize("chosen", FILTERS, ids=str)
def test_search_count_totals_and_export_choose_the_same(book, rows, chosen):
    wanted = expected(rows, chosen).sort_values("rank")
    page = book.search(chosen, size=20)
    assert [row["customer_id"] for row in page.rows] == wanted["customer_id"].tolist()[:20]
    assert page.customers == book.count(chosen) == len(wanted)
    exported = book.export(chosen).read_all()
    assert set(exported["customer_id"].to_pylist()) == set(wanted["customer_id"])
    assert exported["model_version"].unique().to_pylist() in ([], [book.terms["model_version"]])
    totals = book.totals(chosen)
    assert totals.customers == len(wanted)
    assert totals.value == pytest.approx(wanted["clv"].sum())
    assert totals.share == pytest.approx(wanted["clv"].sum() / rows["clv"].sum())
    assert totals.expected_purchases == pytest.approx(wanted["expected_purchases"].sum())
    stake = wanted["churn_probability"] * wanted["value_at_stake"]
    assert totals.at_risk == pytest.approx(stake.sum())


@pytest.mark.parametrize("by", ["clv", "rank", "churn_probability", "first_date", "customer_id"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_follow_the_order_and_hold_everybody_once(book, rows, by, descending):
    chosen = Filter(channels=("search",))
    pages = [
        book.search(chosen, Sort(by, descending), page=number, size=250)
        for number in range(1, book.search(chosen, size=250).pages + 1)
    ]
    found = pd.DataFrame([row for page in pages for row in page.rows])
    assert found["customer_id"].is_unique
    assert len(found) == len(expected(rows, chosen))
    values = found[by]
    assert values.is_monotonic_decreasing if descending else values.is_monotonic_increasing


def test_an_order_by_what_some_lack_ends_with_them(tiny, tmp_path):
    publish(tiny(1, 4, clv_high=[None, 3.0, None, 9.0]), tmp_path)
    with Store.open(tmp_path) as store:
        for descending, first in ((True, [9.0, 3.0]), (False, [3.0, 9.0])):
            found = store.search(sort=Sort("clv_high", descending)).rows
            assert [row["clv_high"] for row in found] == [*first, None, None]


def test_a_page_after_the_last_is_empty(book):
    page = book.search(page=1000, size=1000)
    assert (page.rows, page.customers, page.pages) == ([], book.customers, 3)


@pytest.mark.parametrize("options", [{"page": 0}, {"size": 0}, {"size": 10**6}, {"page": 2**40}])
def test_pages_have_bounds(book, options):
    with pytest.raises(InputError, match="cannot be shown"):
        book.search(**options)


def test_an_export_comes_in_batches_by_id_with_the_terms(book, rows):
    reader = book.export()
    batches = list(reader)
    ids = [str(key) for batch in batches for key in batch["customer_id"].to_pylist()]
    assert ids == sorted(str(key) for key in rows["customer_id"])
    terms = {name: batches[0][name].unique().to_pylist() for name in book.terms}
    assert terms == {name: [value] for name, value in book.terms.items()}


def test_an_export_that_is_broken_off_holds_nothing_up(book):
    for _ in range(20):
        next(iter(book.export()))
    assert book.count(Filter(prefix="1")) > 0


def test_an_empty_export_still_has_columns(book):
    found = book.export(
        Filter(prefix="nobody"), columns=("customer_id", "clv"), terms=()
    ).read_all()
    assert (found.num_rows, found.column_names) == (0, ["customer_id", "clv"])


def test_a_campaign_is_the_same_from_the_store(book, scores):
    offer = Offer(contact_cost=1.0)
    ours = retention_targets(book.scores(), offer, 200.0)
    theirs = retention_targets(scores, offer, 200.0)
    assert ours.summary.to_dict() == theirs.summary.to_dict()
    assert ours.table["customer_id"].to_pylist() == theirs.table["customer_id"].tolist()


@pytest.mark.parametrize("text", NASTY)
def test_text_from_outside_is_only_compared(book, rows, text):
    before = (book.totals(), book.segments(), book.documents)
    for chosen in (Filter(prefix=text), Filter(channels=(text,)), Filter(cohorts=(text, "1997-0"))):
        assert book.count(chosen) == len(book.search(chosen).rows) == 0
        assert book.export(chosen).read_all().num_rows == 0
    with pytest.raises(InputError, match="there is no tier"):
        Filter(tiers=(text,))
    for sort in (Sort(text), Sort(text, descending=False)):
        with pytest.raises(InputError, match="has no column"):
            book.search(sort=sort)
    with pytest.raises(InputError, match="has no column"):
        book.export(columns=(text,))
    answers: list[Any] = [book.customer(text), book.document(text), book.table(text)]
    assert (answers, book.orders_of(text)) == ([None] * 3, [])
    book.check()
    assert (book.totals(), book.segments(), book.documents) == before


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_finds_those_whose_id_begins_so(book, rows, text):
    begins = rows["customer_id"].astype(str).str.startswith(text)
    assert book.count(Filter(prefix=text)) == begins.sum()
    assert (book.customer(text) is not None) == (text in set(rows["customer_id"].astype(str)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefix": "x" * 201},
        {"prefix": "\ud800"},
        {"prefix": 7},
        {"channels": "search"},
        {"channels": ("a",) * 1001},
        {"cohorts": (1997,)},
        {"churn": (float("nan"), None)},
        {"value": (None, float("inf"))},
        {"recency": ("0 OR 1=1", None)},
        {"recency": (90, 30)},
        {"value": 3},
        {"eligible": "true"},
        {"countries": ("DE",)},
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError):
        Filter(**wrong)


def test_text_that_is_not_unicode_is_nobodys_id(book):
    assert (book.customer("\ud800"), book.orders_of("\ud800")) == (None, [])


def test_what_a_store_lacks_is_named(tiny, tmp_path):
    publish(tiny(1), tmp_path)
    with Store.open(tmp_path) as store:
        with pytest.raises(InputError, match=r"no column 'cohort'.\nHint: publish with the order"):
            store.search(Filter(cohorts=("2024-01",)))
        with pytest.raises(InputError, match="no column 'eligible'"):
            store.count(Filter(eligible=True))
        assert store.orders_of("c1") == []


def test_a_filter_that_came_after_the_store_was_published_has_its_choices(book, tmp_path):
    older = tmp_path / "older.duckdb"
    shutil.copy(book.path, older)
    with duckdb.connect(str(older)) as connection:
        connection.execute("DELETE FROM segments WHERE dimension = 'channel'")
    with Store.open(older) as store:
        later, published = store.segments()["channel"], book.segments()["channel"]
    assert [row["segment"] for row in later] == [row["segment"] for row in published]
    for now, then in zip(later, published, strict=True):
        assert now.keys() == then.keys()
        assert now["customers"] == then["customers"]
        assert now["value"] == pytest.approx(then["value"])
