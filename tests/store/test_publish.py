"""What is published is what was given: every figure against its own second computation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clv.decide.acquisition.concentration import concentration
from clv.decide.acquisition.tiers import with_tiers
from clv.errors import ColumnError, InputError, ModelError, RowError
from clv.io.files import write_table
from clv.scorer import CustomerScorer
from clv.store import Store, publish, versions

AS_OF = "1997-09-30"
GIVEN = ("clv", "churn_probability", "value_at_stake", "days_since_last", "channel", "eligible")


def test_a_customer_has_the_scores_and_the_history(book, scores, log):
    known = log[log["date"] <= AS_OF]
    for row in scores.iloc[::400].to_dict("records"):
        found = book.customer(str(row["customer_id"]))
        assert {name: found[name] for name in GIVEN} == {name: row[name] for name in GIVEN}
        own = known[known["customer_id"] == row["customer_id"]]
        assert found["historic_revenue"] == pytest.approx(own["amount"].sum())
        assert found["historic_orders"] == own["orders"].sum()
        assert found["first_date"] == own["date"].min().date()
        assert found["cohort"] == own["date"].min().strftime("%Y-%m")
        orders = pd.DataFrame(book.orders_of(str(row["customer_id"])))
        assert orders["date"].tolist() == sorted(own["date"].dt.date)
        assert orders["amount"].sum() == pytest.approx(own["amount"].sum())


def test_what_is_the_same_for_all_is_said_once(book, scores):
    for name in ("model_version", "horizon", "currency", "as_of", "margin_rate"):
        assert str(book.terms[name]) == str(scores[name].iloc[0]).removesuffix(" 00:00:00")
        assert name not in book.columns
    assert book.customers == len(scores)


def test_tiers_and_deciles_are_shares_of_the_customers_by_value(book, scores):
    rows = pd.DataFrame(book.export().read_all().to_pylist())
    best = rows.sort_values("rank")
    assert best["clv"].is_monotonic_decreasing
    assert best["rank"].tolist() == list(range(1, len(scores) + 1))
    share = best["rank"] / len(scores)
    for tier, low, high in [("top 1%", 0, 0.01), ("25 to 50%", 0.25, 0.5), ("bottom 50%", 0.5, 1)]:
        inside = share[best["tier"] == tier]
        edge = 1 / len(scores)
        assert low - edge < inside.min() - edge <= low + edge
        assert inside.max() == pytest.approx(high, abs=edge)
    sizes = best.groupby("decile").size()
    assert sizes.index.tolist() == list(range(1, 11))
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("n", [1, 3, 99, 101, 230])
def test_store_and_exports_put_everybody_in_the_same_tier(tiny, tmp_path, n):
    scores = tiny(1, n).assign(clv=np.arange(n) % 7.0)  # many ties
    publish(scores, tmp_path)
    with Store.open(tmp_path) as store:
        rows = pd.DataFrame(store.export().read_all().to_pylist()).set_index("customer_id")
    theirs = with_tiers(scores).set_index("customer_id").loc[rows.index]
    assert rows["tier"].tolist() == theirs["tier"].tolist()
    assert rows["decile"].tolist() == theirs["decile"].tolist()


@pytest.mark.parametrize("dimension", ["tier", "decile", "channel", "cohort", "eligible", "reason"])
def test_segments_add_up_as_pandas_does(book, dimension):
    rows = pd.DataFrame(book.export().read_all().to_pylist())
    rows["reason"] = rows["reason"].fillna("none")
    rows["eligible"] = rows["eligible"].map({True: "eligible", False: "not eligible"})
    rows["at_risk"] = rows["churn_probability"] * rows["value_at_stake"]
    grouped = rows.groupby(rows[dimension].astype(str))
    segments = pd.DataFrame(book.segments()[dimension]).set_index("segment")
    assert set(segments.index) == set(grouped.groups)
    sums = grouped.agg(
        customers=("clv", "size"),
        value=("clv", "sum"),
        at_risk=("at_risk", "sum"),
        expected_purchases=("expected_purchases", "sum"),
        mean_churn_probability=("churn_probability", "mean"),
    ).loc[segments.index]
    np.testing.assert_allclose(segments[sums.columns], sums, rtol=1e-9)
    np.testing.assert_allclose(segments["share"], sums["value"] / rows["clv"].sum(), rtol=1e-9)


def test_segments_stand_in_the_order_of_reading(book):
    segments = book.segments()
    names = {dimension: [row["segment"] for row in rows] for dimension, rows in segments.items()}
    assert names["tier"][0] == "top 1%"
    assert names["tier"][-1] == "bottom 50%"
    assert names["decile"] == [str(place) for place in range(1, 11)]
    assert names["cohort"] == ["1997-01", "1997-02", "1997-03"]
    values = [row["value"] for row in segments["channel"]]
    assert values == sorted(values, reverse=True)


def test_recency_is_counted_in_days(book, scores):
    upper = [30, 90, 180, 365, np.inf]
    days = scores["days_since_last"].to_numpy()
    lower = [-np.inf, *upper[:-1]]
    counts = [((days > low) & (days <= high)).sum() for low, high in zip(lower, upper, strict=True)]
    found = [row["customers"] for row in book.segments()["recency"]]
    assert found == [count for count in counts if count]


def test_documents_and_tables_come_back(book, scorer, scores):
    assert book.document("model_card")["version"] == scorer.version
    assert book.document("plan") == {"budget": 30_000, "gap": None}
    assert book.document("concentration")["top_1"] == pytest.approx(concentration(scores).top_1)
    assert book.table("channels").to_pylist()[1] == {"channel": "search", "cac": None}
    assert (book.document("no such"), book.table("no such")) == (None, None)


def test_rows_of_a_table_of_customers_are_found_by_their_id(tiny, tmp_path):
    offers = pd.DataFrame({"customer_id": ["c7", "c1", "c7", "x"], "offer": ["a", "b", "c", "d"]})
    made = publish(tiny(1, 9), tmp_path, tables={"offers": offers, "plain": offers[["offer"]]})
    assert made.notes[-1].text == "Left out of offers: 1 row of customers who were not scored."
    with Store.open(tmp_path) as store:
        assert sorted(row["offer"] for row in store.rows_of("offers", "c7")) == ["a", "c"]
        assert store.rows_of("offers", "c1") == [{"customer_id": "c1", "offer": "b"}]
        for name, key in (("offers", "c2"), ("offers", "x"), ("plain", "c7"), ("none", "c7")):
            assert store.rows_of(name, key) == []
        assert store.rows_of("offers", "\ud800") == []
        assert store.table("offers").column_names == ["customer_id", "offer"]
        assert store.table("plain").num_rows == 4


def test_a_column_of_times_with_a_zone_is_published(tiny, tmp_path):
    scores = pd.DataFrame(tiny(1, 9))
    times = pd.date_range("1997-10-01 10:00", periods=len(scores), freq="h", tz="Europe/Berlin")
    loaded = pa.array(times.to_pydatetime().tolist(), pa.timestamp("us", "Europe/Berlin"))
    publish(pa.Table.from_pandas(scores).append_column("loaded_at", loaded), tmp_path)
    with Store.open(tmp_path) as store:
        row = store.customer("c2")
    assert row is not None
    assert row["loaded_at"] == times[scores["customer_id"].tolist().index("c2")]


def test_a_table_of_other_customers_is_refused(tiny, tmp_path):
    publish(tiny(1, 9), tmp_path)
    for table, said in (
        (pd.DataFrame({"customer_id": ["x", "y"]}), "no customer of the table offers"),
        (pd.DataFrame({"customer_id": ["c1"], "no": [1]}), "has a column no"),
    ):
        with pytest.raises(InputError, match=said):
            publish(tiny(2, 9), tmp_path, tables={"offers": table})
    assert [one.model_version for one in versions(tmp_path)] == ["v1"]


def test_notes_of_the_caller_come_last(tiny, tmp_path):
    made = publish(tiny(1), tmp_path, notes=["Mind the gap."])
    assert [str(note) for note in made.notes[1:]] == ["Mind the gap."]


def test_what_of_the_log_is_not_shown_is_told(book, log):
    late = int((log["date"] > AS_OF).sum())
    (note,) = book.notes
    assert note.text == f"Left out: {late:,} orders after 30 September 1997."
    assert book.orders == len(log) - late


def test_another_log_than_the_one_scored_is_told(scores, log, tmp_path):
    stranger = log.iloc[:1].assign(customer_id=-1)
    one = scores["customer_id"].iloc[0]
    more = log.iloc[:1].assign(customer_id=one, date=pd.Timestamp(AS_OF))
    given = pd.concat([log[log["date"] <= AS_OF], stranger, more])
    published = publish(scores, tmp_path, log=given)
    assert [str(note) for note in published.notes] == [
        "Left out: 1 order of customers who were not scored.",
        "The log has other purchases of 1 customer than were scored.",
    ]


def test_customers_without_orders_are_refused(scores, log, tmp_path):
    gone = scores["customer_id"].iloc[:2]
    with pytest.raises(RowError, match=r"no order in the log in 2 rows, such as customer_id="):
        publish(scores, tmp_path, log=log[~log["customer_id"].isin(gone)])
    assert list((tmp_path / "stores").iterdir()) == []
    under_contract = scores.assign(plan=[*["basic"] * 2, *[None] * (len(scores) - 2)])
    publish(under_contract, tmp_path, log=log[~log["customer_id"].isin(gone)])


def test_files_are_read_and_cleaned(scores, log, tmp_path):
    file = write_table(pa.Table.from_pandas(scores, preserve_index=False), tmp_path / "s.csv")
    lines = log.rename(columns={"amount": "money"}).drop(columns="orders")
    orders = write_table(pa.Table.from_pandas(lines, preserve_index=False), tmp_path / "o.parquet")
    published = publish(
        file,
        tmp_path / "store",
        log=orders,
        columns={"amount": "money"},
        zero_amounts="keep",
    )
    with Store.open(tmp_path / "store") as store:
        assert store.document("data_report")["rows_out"] == published.orders
        assert store.terms["as_of"] == published.as_of == AS_OF
        assert store.customer(str(scores["customer_id"].iloc[0]))["eligible"] is False


def test_rules_without_a_file_to_clean_are_refused(scores, log, tmp_path):
    for given in (log, None):
        with pytest.raises(InputError, match="date_format says how to clean a file"):
            publish(scores, tmp_path, log=given, columns={}, date_format="%d.%m.%Y")


def test_any_kind_of_table_gives_the_same_store(scores, log, tmp_path, book):
    kinds = {"polars": pl.from_pandas, "arrow": pa.Table.from_pandas}
    for name, kind in kinds.items():
        publish(kind(scores), tmp_path / name, log=kind(log))
        with Store.open(tmp_path / name) as store:
            assert store.totals() == book.totals()
            assert store.columns == book.columns
            assert store.customer("1000") == book.customer("1000")
            assert store.orders_of("1000") == book.orders_of("1000")


def test_interval_columns_come_through_and_their_level_is_said_once(tiny, tmp_path):
    table = tiny(5, clv_low=1.0, clv_median=4.0, clv_high=np.nan, interval="80% of customers")
    publish(table, tmp_path)
    with Store.open(tmp_path) as store:
        found = store.customer("c7")
        assert (found["clv_low"], found["clv_median"], found["clv_high"]) == (1.0, 4.0, None)
        assert store.terms["interval"] == "80% of customers"
        types = dict(zip(store.export().schema.names, store.export().schema.types, strict=True))
        assert types["clv_high"] == pa.float64()


def test_ids_that_look_alike_or_odd_stay_apart(tiny, tmp_path):
    ids = ["1", "01", " 1", "'; DROP TABLE customers; --", 'a"b', "ä", "a\u0308", "\U0001f600", ""]
    publish(tiny(1, len(ids)).assign(customer_id=ids), tmp_path)
    with Store.open(tmp_path) as store:
        assert [store.customer(key)["customer_id"] for key in ids] == ids
        assert store.count() == len(ids)


def test_ids_that_became_floats_are_whole_numbers_again(tiny, tmp_path):
    publish(tiny(1, 3).assign(customer_id=[7.0, 8.0, 9.0]), tmp_path)
    with Store.open(tmp_path) as store:
        assert store.customer("8")["customer_id"] == 8


def test_a_customer_without_channel_is_of_an_unknown_one(tiny, tmp_path):
    publish(tiny(1, 3, channel=["search", None, None]), tmp_path)
    with Store.open(tmp_path) as store:
        found = {row["segment"]: row["customers"] for row in store.segments()["channel"]}
        assert found == {"search": 1, "unknown": 2}


def test_a_base_without_value_has_shares_of_nothing(tiny, tmp_path):
    publish(tiny(0), tmp_path)
    with Store.open(tmp_path) as store:
        assert store.document("concentration") is None
        assert {row["share"] for row in store.segments()["tier"]} == {0.0}
        assert store.totals().share == 0.0


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"customer_id": "twice"}, RowError, "customer_id is repeated"),
        ({"customer_id": None}, RowError, "customer_id is missing"),
        ({"clv": np.nan}, RowError, "clv is missing or infinite"),
        ({"days_since_last": -1.0}, RowError, "days_since_last is negative"),
        ({"value_at_stake": np.inf}, RowError, "value_at_stake is missing or infinite"),
        ({"churn_probability": 1.2}, RowError, r"churn_probability is not in \[0, 1\]"),
        ({"churn_probability": "high"}, ColumnError, "holds String, not numbers"),
        ({"rank": 1}, ColumnError, "column rank, which the store works out"),
        ({"eligible": "maybe"}, ColumnError, "'eligible' holds other than true and false"),
    ],
)
def test_scores_that_cannot_be_served_are_refused(tiny, tmp_path, change, error, said):
    with pytest.raises(error, match=said):
        publish(tiny(1).assign(**change), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_two_runs_are_refused(tiny, tmp_path):
    both = pd.concat([tiny(1, 3), tiny(2, 6).iloc[3:]])
    with pytest.raises(InputError, match="mix 2 values of model_version"):
        publish(both, tmp_path)
    with pytest.raises(InputError, match="the scores are empty"):
        publish(both.iloc[:0], tmp_path)
    with pytest.raises(ColumnError, match="have no column currency"):
        publish(tiny(1).drop(columns="currency"), tmp_path)


def test_the_card_of_another_model_is_refused(tiny, tmp_path, scorer: CustomerScorer):
    with pytest.raises(ModelError, match="the scores of v1"):
        publish(tiny(1), tmp_path, card=scorer.card())


@pytest.mark.parametrize("name", ["", "Channels", "a b", 'x" AS SELECT 1; --', "1a", "a" * 80])
def test_names_of_tables_are_plain_words(tiny, tmp_path, name):
    with pytest.raises(InputError, match="cannot name a table"):
        publish(tiny(1), tmp_path, tables={name: tiny(1)})


def test_documents_of_our_own_cannot_be_replaced(tiny, tmp_path):
    with pytest.raises(InputError, match="concentration is made by publish"):
        publish(tiny(1), tmp_path, documents={"concentration": 1})


def test_the_result_says_what_was_published(tiny, tmp_path):
    first, second = publish(tiny(1), tmp_path), publish(tiny(2), tmp_path)
    assert (first.previous, second.previous) == (None, first.path)
    assert second.path == versions(tmp_path)[0].path
    assert (second.model_version, second.customers, second.orders) == ("v2", 200, 0)
    assert second.bytes == second.path.stat().st_size
