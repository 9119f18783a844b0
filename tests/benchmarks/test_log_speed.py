"""Orders cleaned and folded, beside the longer way: ``make bench``. Ratios are read."""

import shutil

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from clv.app.nightly.order_fold import fold_orders
from clv.data import transactions
from clv.data.transactions import clean
from clv.simulate.simulated_orders import simulated_orders

CUSTOMERS = 20_000


@pytest.fixture(scope="module")
def log() -> pa.Table:
    """About ten orders a customer, one in 33 refunded."""
    return pa.concat_tables(simulated_orders(CUSTOMERS))


@pytest.mark.parametrize("who", ["ours", "every customer row by row"])
def test_clean(benchmark, monkeypatch, log, who):
    benchmark.group = f"{log.num_rows:,} orders cleaned in DuckDB"
    if who != "ours":
        monkeypatch.setattr(transactions, "apart", lambda lines, _: (None, lines))

    def job() -> int:
        purchases, _ = clean(duckdb.connect().from_arrow(log), duplicates=None)
        return len(purchases)

    assert benchmark.pedantic(job, rounds=3) > 0.9 * log.num_rows


@pytest.mark.parametrize("who", ["ours", "all orders anew"])
def test_fold(benchmark, tmp_path, log, who):
    """The orders of the last day, taken into a state of all others."""
    benchmark.group = f"a night's orders folded into {log.num_rows:,}"
    last = pc.equal(log["date"], pc.max(log["date"]))
    for name, rows in {"earlier": log.filter(pc.invert(last)), "night": log.filter(last)}.items():
        pq.write_table(rows, tmp_path / f"{name}.parquet")
    earlier, night = tmp_path / "earlier.parquet", tmp_path / "night.parquet"
    if who == "ours":
        fold_orders(tmp_path / "state", [earlier], output=tmp_path / "state")

    def setup() -> None:
        shutil.rmtree(tmp_path / "next", ignore_errors=True)

    def job() -> object:
        if who == "ours":
            return fold_orders(tmp_path / "state", [night], output=tmp_path / "next")
        return fold_orders(tmp_path / "next", [earlier, night], output=tmp_path / "next")

    assert benchmark.pedantic(job, setup=setup, rounds=3) is not None
