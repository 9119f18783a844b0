"""Plain files: formulas made text, numbers left alone, whole or not at all."""

import csv
import hashlib
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clv.errors import ColumnError, InputError
from clv.exports.file import write_plain

RISKY = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "-", "-1,5", "--1"]
HARMLESS = ["ann", "-12", "-12.5", "12", "a=b", " =1", "", "'=1"]


def cells(path) -> list[list[str]]:
    with Path(path).open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


@pytest.mark.parametrize("text", RISKY)
def test_formulas_are_made_text(tmp_path, text):
    write_plain(pa.table({"a": [text, "x"], "b": ["y", "z"]}), tmp_path / "a.csv")
    assert cells(tmp_path / "a.csv")[1:] == [["'" + text, "y"], ["x", "z"]]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays(tmp_path, text):
    write_plain(pa.table({"a": [text, "x"], "b": ["y", "z"]}), tmp_path / "a.csv")
    assert cells(tmp_path / "a.csv")[1] == [text, "y"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=8), min_size=1, max_size=8))
def test_no_cell_runs_and_no_text_is_lost(tmp_path, texts):
    texts = [text.replace("\x00", "") for text in texts]
    write_plain(pa.table({"a": texts, "n": range(len(texts))}), tmp_path / "a.csv")
    found = [row[0] for row in cells(tmp_path / "a.csv")[1:]]
    assert [cell.removeprefix("'") for cell in found] == [text.removeprefix("'") for text in texts]
    for cell in found:
        number = cell.lstrip("-").replace(".", "").isdigit()
        assert number or not cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))


def test_numbers_days_and_truth_values_stay_what_they_are(tmp_path):
    table = pa.table(
        {
            "n": [-5, 5],
            "x": [-2.5, None],
            "d": pa.array([0, -1], pa.date32()),
            "t": [True, None],
            "m": pa.array(["-1.50", "2.00"]).cast(pa.decimal128(6, 2)),
        }
    )
    write_plain(table, tmp_path / "a.csv")
    assert cells(tmp_path / "a.csv")[1:] == [
        ["-5", "-2.5", "1970-01-01", "true", "-1.50"],
        ["5", "", "1969-12-31", "", "2.00"],
    ]


def test_headings_categories_and_lists_are_text_too(tmp_path):
    table = pa.table({"=cmd": pa.array(["@a", "b"]).dictionary_encode(), "l": [["=1"], [""]]})
    write_plain(table, tmp_path / "a.csv")
    assert cells(tmp_path / "a.csv")[:2] == [["'=cmd", "l"], ["'@a", "['=1']"]]


def test_parquet_holds_the_values_as_they_are_and_the_columns_asked_for(tmp_path):
    table = pd.DataFrame({"customer_id": ["=1"], "clv": [-1.0], "secret": [1]})
    found = write_plain(table, tmp_path / "a.parquet", ["clv", "customer_id"])
    assert pq.read_table(tmp_path / "a.parquet").to_pydict() == {
        "clv": [-1.0],
        "customer_id": ["=1"],
    }
    assert (found.rows, found.columns) == (1, ("clv", "customer_id"))
    assert found.sha256 == hashlib.sha256((tmp_path / "a.parquet").read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "pyarrow", "duckdb"])
def test_any_dataframe_gives_the_same_file(tmp_path, kind):
    table = pa.table({"customer_id": ["b", "a"], "clv": [1.25, 2.5]})
    with duckdb.connect() as connection:
        connection.register("t", table)
        given_ = {
            "pandas": table.to_pandas(),
            "polars": pl.DataFrame({"customer_id": ["b", "a"], "clv": [1.25, 2.5]}),
            "lazy": pl.LazyFrame({"customer_id": ["b", "a"], "clv": [1.25, 2.5]}),
            "pyarrow": table,
            "duckdb": connection.table("t"),
        }[kind]
        found = write_plain(given_, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "customer_id,clv\nb,1.25\na,2.5\n"
    assert found.rows == 2


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    table = pd.DataFrame({"a": [1]})
    with pytest.raises(ColumnError, match="no column b"):
        write_plain(table, path, ["b"])
    with pytest.raises(InputError, match="does not say which kind"):
        write_plain(table, tmp_path / "a.xlsx")
    with pytest.raises(ColumnError, match="mixes types"):
        write_plain(pd.DataFrame({"a": ["x", 1]}, dtype=object), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
