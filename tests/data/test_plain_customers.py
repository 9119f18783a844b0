"""The engine's shorter way for customers with one line an order gives what the long way gives."""

import os

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.data import parts
from clv.data.plain_customers import apart, names_rows, repeated
from clv.data.summary import summarize
from clv.data.transactions import clean

ROWS, CUSTOMERS = 1500, 250
CASES = {"no order ids": (None, 10**6), "one row each": (0.0, 10**6), "some lines": (0.05, 800)}


def random_log(seed: int, several: float | None) -> pd.DataFrame:
    """Orders, a share of several lines, some sent twice, some refunded.

    Without order numbers they have no margin and no channel either.
    """
    rng = np.random.default_rng(seed)
    day = np.datetime64("2024-01-01", "s") + rng.integers(0, 90, ROWS).astype("timedelta64[D]")
    amount = rng.choice([5.0, 5.1, 12.37, 80.0], ROWS) + rng.choice([0, 0, 1e-9, 1 / 3], ROWS)
    back = rng.choice([1.0, 0.5], ROWS)
    log = pd.DataFrame(
        {
            "customer_id": rng.integers(0, CUSTOMERS, ROWS),
            "date": day + rng.integers(0, 86_400, ROWS).astype("timedelta64[s]"),
            "amount": np.where(rng.random(ROWS) < 0.1, -amount * back, amount),
            "margin": np.where(rng.random(ROWS) < 0.1, np.nan, amount * 0.3),
            "channel": rng.choice(["web", "shop", "mail"], ROWS),
        }
    )
    if several is None:
        log = log.drop(columns=["margin", "channel"])
    else:
        shared = rng.random(ROWS) < several
        order = np.where(shared, rng.integers(0, 200, ROWS), 1000 + np.arange(ROWS)).astype(str)
        log["order_id"] = np.where(rng.random(ROWS) < 0.05, None, order)
    return pd.concat([log, log.sample(9, random_state=seed)], ignore_index=True)


@pytest.fixture(autouse=True)
def _as_of_many_rows(monkeypatch):
    """The way that is taken of large logs."""
    monkeypatch.setattr("clv.data.transactions.FEW", 0)


@pytest.mark.parametrize(("several", "memory"), CASES.values(), ids=CASES)
def test_the_engine_gives_what_all_rows_in_order_of_time_give(monkeypatch, several, memory):
    """pandas puts all rows in order; DuckDB those alone that refunds touch, in parts."""
    monkeypatch.setattr(parts, "rows_in_memory", lambda: memory)
    log = random_log(int(os.environ.get("CLV_SEED", "1")), several)
    duplicates = None if several else "drop"
    expected, report = clean(log, duplicates=duplicates)
    purchases, of_engine = clean(duckdb.connect().from_df(log), duplicates=duplicates)
    table = purchases.df().sort_values(["customer_id", "date"], ignore_index=True)
    for each in (table, expected):
        each["date"] = pd.to_datetime(each["date"])
    margins = [frame.pop("margin") for frame in (table, expected) if "margin" in frame]
    pd.testing.assert_frame_equal(table, expected, check_exact=True, check_dtype=False)
    if margins:
        np.testing.assert_allclose(*margins, rtol=1e-12)
    assert of_engine.to_dict() == report.to_dict()
    assert len(table) > 700
    once, again = (summarize(purchases, merged=merged).df() for merged in (True, False))
    by_id = [frame.sort_values("customer_id", ignore_index=True) for frame in (once, again)]
    pd.testing.assert_frame_equal(*by_id, check_exact=True)


@pytest.mark.parametrize("kind", [lambda log: log, pl.from_pandas], ids=["pandas", "polars"])
def test_a_short_table_is_cleaned_as_a_long_one(kind, monkeypatch):
    log = kind(random_log(3, 0.05))
    (short, of_short), (long, of_long) = (
        (monkeypatch.setattr("clv.data.transactions.SHORT", most), clean(log))[1]
        for most in (len(log), 0)
    )
    assert short.equals(long)
    assert of_short == of_long


def test_nothing_but_purchases_is_held_after_cleaning_and_what_was_held_before_stays():
    connection = duckdb.connect()
    lines = parts.held(nw.from_native(connection.from_df(random_log(2, 0.05)))).to_native()
    first, second = (clean(lines, duplicates="keep")[0] for _ in range(2))
    sizes = "SELECT estimated_size FROM duckdb_tables() WHERE table_name LIKE 'clv_held_%'"
    filled = [size for (size,) in connection.execute(sizes).fetchall() if size]
    assert sorted(filled) == sorted(map(len, (lines, first, second)))
    assert first.except_(second).fetchall() == []


def test_only_customers_with_order_numbers_twice_are_worked_out_part_by_part():
    log = pd.DataFrame(
        {
            "_raw_customer_id": [1, 1, 2, 2, 3, 3] * 3,
            "_raw_order_id": ["a", "b", "c", "c", "d", "e", *map(str, range(12))],
            "_at": range(18),
            "_amount": [1.0, 2.0, 3.0, 4.0, 5.0, -1.0] + [1.0] * 12,
        }
    )
    frame = nw.from_native(duckdb.connect().from_df(log))
    plain, others = apart(frame, {"order_id": "order_id"})
    assert set(plain.to_native().df()["_raw_customer_id"]) == {1, 3}
    assert set(others.to_native().df()["_raw_customer_id"]) == {2}
    assert repeated(log["_raw_customer_id"].to_numpy(copy=True)).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("numbers", "known"),
    [
        ([1, 2, 3, 70_000_000_000, 70_000_000_001], True),
        ([5, 6, 9, 1, 2, 3], True),  # files in another order
        ([1, 2, 3, 3], False),
        ([1, 4, 9, 4, 5], False),
        ([1, 2, None], False),
        ([7, 5, 3, 1] * 10, False),
        ([], False),
        (["1", "2"], False),
    ],
)
def test_numbers_that_count_up_name_each_row(numbers, known):
    kind = "object" if numbers == ["1", "2"] else "Int64"
    rows = duckdb.connect().from_df(pd.DataFrame({"n": pd.array(numbers, dtype=kind)}))
    assert names_rows(rows, "n") is known


def test_an_order_number_breaks_ties_alike_as_text_and_as_a_number():
    """Two equal orders at one moment, one of them refunded: which stays does not hang on a file."""
    log = pd.DataFrame(
        {
            "customer_id": [1, 1, 1, 2],
            "date": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-05", "2024-01-01"]),
            "amount": [10.0, 10.0, -10.0, 3.0],
            "order_id": [9, 10, 11, 12],
            "channel": ["web", "shop", "web", "web"],
        }
    )
    texts = log.assign(order_id=log["order_id"].astype(str))
    whole, text = (
        clean(duckdb.connect().from_df(frame))[0].order("customer_id").fetchall()
        for frame in (log, texts)
    )
    assert whole == text
    assert whole[0][-1] == clean(texts)[0]["channel"][0]
