"""The shipped orders are what data/README.md says, and the uncleaned lines lead to them."""

import datetime as dt
import hashlib
import re
from pathlib import Path

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from clv.data.summary import summarize
from clv.data.transactions import clean

DATA = Path(__file__).resolve().parents[2] / "data"
ORDERS = DATA / "online_retail_orders.parquet"

READERS = {
    "pandas": pd.read_parquet,
    "polars": pl.read_parquet,
    "polars-lazy": pl.scan_parquet,
    "pyarrow": pq.read_table,
    "duckdb": lambda path: duckdb.connect().read_parquet(str(path)),
}


def found(report):
    return {f.reason: (f.rows, f.rows_out, round(f.amount_out, 2)) for f in report.findings}


def test_the_file_is_the_one_described():
    text = (DATA / "README.md").read_text()
    orders = pd.read_parquet(ORDERS)
    assert hashlib.sha256(ORDERS.read_bytes()).hexdigest() in text
    described = re.search(
        r"([\d,]+) orders of ([\d,]+) customers, ([\d,]+) of them cancellations", text
    )
    counts = (len(orders), orders["customer_id"].nunique(), int(orders["is_cancel"].sum()))
    assert tuple(int(n.replace(",", "")) for n in described.groups()) == counts
    assert ((orders["amount"] < 0) == orders["is_cancel"]).all()
    for column in orders.columns:
        assert f"| {column} |" in text


@pytest.mark.parametrize("reader", READERS)
def test_cleaning_the_orders_on_every_kind(reader):
    table, report = clean(READERS[reader](ORDERS))
    assert (report.rows_in, report.purchases, report.customers) == (22_190, 16_563, 4_324)
    refunds = found(report)
    netted = refunds["refund of earlier orders"]
    beyond = refunds["refund of more than the customer's earlier orders"]
    assert netted[0] + beyond[0] == 3_654
    assert report.amount_out == pytest.approx(report.amount_in - beyond[2])
    log = nw.from_native(table).lazy()
    known = log.filter(nw.col("date").cast(nw.Date) <= nw.lit(dt.date(2011, 8, 31)))
    count, money = known.select(nw.len(), nw.col("amount").sum()).collect().row(0)
    summary = nw.from_native(summarize(table, as_of="2011-08-31")).lazy().collect()
    repeats = summary.select(total=nw.col("frequency") * nw.col("monetary_value"))["total"]
    assert (summary["frequency"] + 1).sum() == count
    assert summary["first_amount"].sum() + repeats.sum() == pytest.approx(money)


def test_lines_lead_to_the_same_purchases_as_orders(shared):
    lines = pd.read_parquet(shared("online_retail_lines.parquet"))
    joined, report = clean(lines, duplicates="keep")
    orders, _ = clean(pd.read_parquet(ORDERS))
    assert found(report)["customer id is missing"][0] == 135_080
    assert len(joined) == len(orders)
    for column in ("customer_id", "date", "orders"):
        assert (joined[column] == orders[column]).all()
    # the orders are rounded to the penny, a few prices are not
    assert np.abs(joined["amount"] - orders["amount"]).max() < 0.005


def test_repeated_lines_are_dropped_where_the_product_is_known(shared):
    lines = pl.read_parquet(shared("online_retail_lines.parquet"))
    table, report = clean(lines)
    repeated = found(report)["row equal to another in every column"]
    named = lines.filter(pl.col("CustomerID").is_not_null(), pl.col("UnitPrice") != 0)
    assert repeated[:2] == (len(named) - named.n_unique(),) * 2 == (5_225, 5_225)
    assert table["product"].null_count() == 0
    assert report.rows_in - sum(f.rows_out for f in report.findings) == report.rows_out
