"""The difference of two exports against sets and a slow comparison."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.errors import ColumnError, InputError, RowError
from clv.exports.difference import difference


def exports(seed: int = 0, n: int = 400) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)

    def one() -> pd.DataFrame:
        ids = np.sort(rng.choice(2 * n, n, replace=False))
        tiers = rng.choice(["top 1%", "1 to 5%", None], n)
        return pd.DataFrame({"customer_id": ids, "clv": rng.gamma(1, 50, n), "tier": tiers})

    return one(), one()


def test_against_a_slow_comparison():
    before, now = exports()
    found = difference(before, now, tolerance=0.5)
    old, new = (table.set_index("customer_id") for table in (before, now))
    both = old.index.intersection(new.index)
    moved = [i for i in both if abs(new.clv[i] - old.clv[i]) > 0.5 * abs(old.clv[i])]
    tiers = [i for i in both if (old.tier[i] or "") != (new.tier[i] or "")]
    tiers = [i for i in tiers if not (pd.isna(old.tier[i]) and pd.isna(new.tier[i]))]
    assert set(found.added["customer_id"].to_pylist()) == set(new.index) - set(old.index)
    assert set(found.removed["customer_id"].to_pylist()) == set(old.index) - set(new.index)
    assert set(found.changed["customer_id"].to_pylist()) == set(moved) | set(tiers)
    assert (found.tier_changes, found.value_changes) == (len(tiers), len(moved))
    assert found.before - found.removed.num_rows + found.added.num_rows == found.now
    assert json.loads(json.dumps(found.counts()))["changed"] == found.changed.num_rows
    row = found.changed.to_pylist()[0]
    assert row["clv_change"] == pytest.approx(row["clv_now"] - row["clv_before"])


def test_an_export_and_itself():
    before, _ = exports()
    found = difference(pl.DataFrame(before), before.sample(frac=1, random_state=1))
    assert (found.added.num_rows, found.removed.num_rows, found.changed.num_rows) == (0, 0, 0)


def test_a_value_from_and_to_nothing_is_a_change():
    before = pd.DataFrame({"customer_id": ["a", "b", "c"], "clv": [0.0, np.nan, 5.0]})
    now = pd.DataFrame({"customer_id": ["a", "b", "c"], "clv": [1.0, 2.0, np.nan]})
    assert difference(before, now).value_changes == 3


def test_hashed_files_are_told_apart_by_their_hashes():
    before = pl.DataFrame({"Email": ["e1", "e2", None], "Phone": ["p1", None, "p3"]})
    now = pl.DataFrame({"Email": ["e1", "e2", None], "Phone": ["p1", "p2", "p3"]})
    found = difference(before, now, ("Email", "Phone"))
    assert found.added.to_pylist() == [{"Email": "e2", "Phone": "p2"}]
    assert found.removed.to_pylist() == [{"Email": "e2", "Phone": None}]


def test_rows_alike_count_once_and_others_of_one_key_are_refused():
    one = pd.DataFrame({"customer_id": ["a", "a"], "clv": [1.0, 1.0]})
    assert difference(one, one).now == 1
    two = one.assign(clv=[1.0, 2.0])
    with pytest.raises(RowError, match="customer_id of an export is repeated in 2 rows, such as a"):
        difference(one, two)


def test_what_cannot_be_compared():
    before, now = exports()
    with pytest.raises(ColumnError, match="no column Email"):
        difference(before, now, "Email")
    with pytest.raises(InputError, match="tolerance"):
        difference(before, now, tolerance=-1)
