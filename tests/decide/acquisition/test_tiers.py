"""Tiers against a plain sort, on every kind of frame, in whatever order."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.decide.acquisition.tiers import TIERS, deciles_of, tier_table, tiers_of, with_tiers
from clv.errors import ColumnError, InputError, RowError


def slow_tiers(scores: pd.DataFrame) -> dict[object, tuple[str, int]]:
    """By the definition: each tier takes its share of the list, rounded up, best first."""
    listed = sorted(
        zip(scores["customer_id"], scores["clv"], strict=True),
        key=lambda row: (-row[1], str(row[0])),
    )
    found = {}
    for place, (id_, _) in enumerate(listed):
        tier = next(t for t, p in TIERS.items() if place < np.ceil(p * len(listed) / 100 - 1e-9))
        decile = next(d for d in range(1, 11) if place < np.ceil(d * len(listed) / 10 - 1e-9))
        found[id_] = (tier, decile)
    return found


def as_dict(table: pd.DataFrame) -> dict[object, tuple[str, int]]:
    columns = (table[name].tolist() for name in ("customer_id", "tier", "decile"))
    return {id_: (tier, decile) for id_, tier, decile in zip(*columns, strict=True)}


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=230), st.integers(0, 99))
def test_against_a_plain_sort_with_many_ties(values, seed):
    ids = np.random.default_rng(seed).permutation(len(values))
    scores = pd.DataFrame({"customer_id": ids, "clv": np.array(values, dtype=float)})
    assert as_dict(with_tiers(scores)) == slow_tiers(scores)


@pytest.mark.parametrize("n", [1, 10, 99, 100, 101, 1000, 12_345])
def test_sizes_of_tiers_and_deciles(n):
    table = with_tiers(pl.DataFrame({"customer_id": range(n), "clv": np.arange(n, dtype=float)}))
    sizes = [int((table["tier"] == tier).sum()) for tier in TIERS]
    ends = [-(-n * share // 100) for share in TIERS.values()]
    assert np.cumsum(sizes).tolist() == ends
    deciles = np.bincount(table["decile"].to_numpy(), minlength=11)[1:]
    assert deciles.cumsum().tolist() == [-(-n * d // 10) for d in range(1, 11)]


@pytest.mark.parametrize(
    ("n", "ends"),
    [
        (1, [1, 1, 1, 1, 1, 1]),
        (3, [1, 1, 1, 1, 2, 3]),
        (99, [1, 5, 10, 25, 50, 99]),
        (101, [2, 6, 11, 26, 51, 101]),
    ],
)
def test_a_tier_ends_at_its_share_rounded_up(n, ends):
    places = np.random.default_rng(0).permutation(n)
    tiers = tiers_of(places)[np.argsort(places)].tolist()
    assert [sum(tiers.count(t) for t in list(TIERS)[: k + 1]) for k in range(6)] == ends
    assert tiers == sorted(tiers, key=list(TIERS).index)
    assert deciles_of(places)[np.argmin(places)] == 1
    assert deciles_of(places)[np.argmax(places)] == (10 if n >= 10 else 10 * (n - 1) // n + 1)


def test_the_same_for_every_frame_and_order():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"customer_id": [f"c{i}" for i in range(500)]})
    scores["clv"] = rng.integers(0, 20, 500).astype(float)
    expected = as_dict(with_tiers(scores))
    shuffled = scores.sample(frac=1, random_state=1)
    assert as_dict(with_tiers(shuffled)) == expected
    assert as_dict(with_tiers(pl.DataFrame(scores)).to_pandas()) == expected
    assert as_dict(with_tiers(pl.LazyFrame(scores)).collect().to_pandas()) == expected
    with duckdb.connect() as connection:
        connection.register("scores", scores)
        assert as_dict(with_tiers(connection.table("scores")).df()) == expected
    whole = scores.assign(customer_id=np.arange(500))
    text = whole.assign(customer_id=whole["customer_id"].astype(str))
    numbers, texts = as_dict(with_tiers(whole)), as_dict(with_tiers(text))
    assert {str(id_): tier for id_, tier in numbers.items()} == texts


def test_other_columns_and_the_order_of_rows_stay():
    scores = pl.DataFrame({"note": ["x", "y"], "customer_id": [2, 1], "clv": [1.0, 2.0]})
    assert with_tiers(scores).columns == ["note", "customer_id", "clv", "tier", "decile"]
    assert with_tiers(scores)["customer_id"].to_list() == [2, 1]


def test_the_table_adds_up():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"customer_id": range(1000), "clv": rng.gamma(0.5, 100, 1000)})
    table = pd.DataFrame(tier_table(scores))
    by_pandas = with_tiers(scores).groupby("tier")["clv"].agg(["size", "sum", "mean", "min", "max"])
    by_pandas = by_pandas.loc[table["tier"]]
    assert table["customers"].tolist() == by_pandas["size"].tolist()
    for ours, theirs in {"total": "sum", "mean": "mean", "least": "min", "most": "max"}.items():
        np.testing.assert_allclose(table[ours], by_pandas[theirs])
    assert table["share"].sum() == pytest.approx(1)


def test_a_base_without_value_has_no_shares():
    scores = pd.DataFrame({"customer_id": range(3), "clv": [0.0, 0.0, 0.0]})
    assert {row["share"] for row in tier_table(scores)} == {None}


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        ({"customer_id": [], "clv": []}, InputError, "no customers"),
        ({"customer_id": ["a", "a"], "clv": [1.0, 2.0]}, RowError, "repeated"),
        ({"customer_id": ["a", None], "clv": [1.0, 2.0]}, RowError, "missing"),
        ({"customer_id": ["a", "b"], "clv": [1.0, np.nan]}, RowError, "missing or infinite"),
        ({"customer_id": ["a"], "clv": ["x"]}, ColumnError, "not numbers"),
        ({"customer_id": ["a"]}, ColumnError, "clv"),
    ],
)
def test_tables_that_cannot_be_used(scores, error, message):
    with pytest.raises(error, match=message):
        with_tiers(pd.DataFrame(scores))
