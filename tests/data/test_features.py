"""Features: what they say, that every engine says it, and that none of them sees the future."""

import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from clv.data.features import (
    BEHAVIOUR,
    FEATURES,
    LOG_FEATURES,
    features,
    log_features,
    refuse_future,
    with_behaviour,
)
from clv.data.summary import summarize
from clv.errors import ColumnError, InputError, RowError
from clv.periods import Duration
from clv.simulate import simulate_brand

QUARTER = Duration(13, "week")
CUTOFF = "2024-06-30"


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    orders = simulate_brand(seed=5, customers=400).orders
    return orders[["customer_id", "date", "amount", "channel"]]


def by_hand(log: pd.DataFrame, cutoff: str, window: int) -> pd.DataFrame:
    """The columns of ``with_behaviour``, customer by customer, in plain Python."""
    seen, end, rows = log[log["date"] <= cutoff], pd.Timestamp(cutoff), {}
    for customer, own in seen.groupby("customer_id"):
        spent = own.groupby("date")["amount"].sum()
        gaps = np.diff(spent.index.values).astype("timedelta64[D]").astype(float) / 7
        ago = [(end - day).days for day in spent.index]
        rows[customer] = {
            "gap_spread": gaps.std() if len(gaps) else 0.0,
            "last_gap": gaps[-1] if len(gaps) else 0.0,
            "last_amount": spent.iloc[-1],
            "recent": sum(days < window for days in ago),
            "earlier": sum(window <= days < 2 * window for days in ago),
        }
    return pd.DataFrame(rows).T


def test_behaviour_is_what_a_loop_over_customers_finds(log):
    wide = with_behaviour(summarize(log, CUTOFF), log, CUTOFF, QUARTER)
    expected = by_hand(log, CUTOFF, 91).loc[wide["customer_id"]]
    for name in BEHAVIOUR:
        np.testing.assert_allclose(wide[name], expected[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("engine", ["polars", "polars lazy", "pyarrow", "duckdb"])
def test_every_engine_finds_the_same_behaviour(log, engine):
    plain = with_behaviour(summarize(log, CUTOFF), log, CUTOFF, QUARTER)
    frame = pl.from_pandas(log)
    table = {
        "polars": frame,
        "polars lazy": frame.lazy(),
        "pyarrow": frame.to_arrow(),
        "duckdb": duckdb.from_arrow(frame.to_arrow()),
    }[engine]
    found = with_behaviour(summarize(table, CUTOFF), table, CUTOFF, QUARTER)
    assert type(found) is type(table)
    if engine == "duckdb":
        found = found.pl()
    if engine == "polars lazy":
        found = found.collect()
    rows = pl.DataFrame(found).sort("customer_id")
    for name in BEHAVIOUR:
        np.testing.assert_allclose(rows[name].to_numpy(), plain[name], atol=1e-9, err_msg=name)


def test_what_comes_after_the_as_of_date_changes_no_feature(log):
    later = log["date"] > CUTOFF
    tampered = pd.concat([log[~later], log[later].assign(amount=1e6).iloc[::2]])
    tables = [
        with_behaviour(summarize(one, CUTOFF), one, CUTOFF, QUARTER) for one in (log, tampered)
    ]
    for reads in (features, log_features):
        np.testing.assert_array_equal(reads(tables[0]), reads(tables[1]))


def test_a_summary_that_knows_more_than_the_cutoff_is_refused(log):
    """The classic leak: recency taken at the end of the data."""
    leaking = summarize(log)
    with pytest.raises(InputError, match=r"cutoff 2024-06-30 .* data up to 20\d\d-\d\d-\d\d"):
        refuse_future(leaking, dt.date(2024, 6, 30))
    disguised = leaking.assign(as_of=dt.date(2024, 6, 30), days_since_last=-3.0)
    with pytest.raises(InputError, match="data up to 2024-07-03"):
        refuse_future(disguised, dt.date(2024, 6, 30))
    refuse_future(summarize(log, CUTOFF), dt.date(2024, 6, 30))


def test_features_need_the_summary_columns():
    short = {"frequency": [1], "recency": [1.0], "T": [2.0], "monetary_value": [3.0]}
    with pytest.raises(ColumnError, match="first_amount"):
        features(pd.DataFrame(short))
    with pytest.raises(ColumnError, match="gap_spread"):
        log_features(pd.DataFrame(short))


def test_orders_without_money_are_features_but_a_missing_amount_is_not():
    free = pd.DataFrame(
        {"frequency": [1], "recency": [1.0], "T": [2.0], "monetary_value": 0.0, "first_amount": 0.0}
    )
    assert np.isfinite(features(free)).all()
    with pytest.raises(RowError, match="first_amount is missing or negative in 1 row"):
        features(free.assign(first_amount=np.nan))


def test_features_are_finite_at_the_edges():
    edge = pd.DataFrame(
        {
            "frequency": [0, 0, 50_000],
            "recency": [0.0, 0.0, 9_999.0],
            "T": [0.0, 10_000.0, 10_000.0],
            "monetary_value": [0.0, 0.0, 1e9],
            "first_amount": [1e-6, 1.0, 1e9],
            "gap_spread": [0.0, 0.0, 1e3],
            "last_gap": [0.0, 0.0, 1e4],
            "last_amount": [1e-6, 1.0, 1e9],
            "recent": [1.0, 0.0, 91.0],
            "earlier": [0.0, 0.0, 91.0],
        }
    )
    values = np.column_stack([features(edge), log_features(edge)])
    assert values.shape == (3, len(FEATURES) + len(LOG_FEATURES))
    assert np.isfinite(values).all()


def test_arrays_give_the_features_of_the_table(log):
    wide = with_behaviour(summarize(log, CUTOFF), log, CUTOFF, QUARTER)
    arrays = {name: wide[name].to_numpy() for name in wide.columns}
    np.testing.assert_array_equal(features(arrays), features(wide))
    np.testing.assert_array_equal(log_features(arrays), log_features(wide))
