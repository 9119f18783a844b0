"""DuckDB is opened in one place, installs nothing, and reads no file that it need not."""

from __future__ import annotations

import ast
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import clv
from clv.io.engine import connect
from clv.store import Store, publish

ROOT = Path(clv.__file__).parent
OPENING = {"connect", "sql", "execute", "query", "from_arrow", "read_parquet", "read_csv"}
LOCKED = ("autoinstall_known_extensions", "autoload_known_extensions")


def opened_in(file: Path) -> bool:
    """Whether code of a file, its docstrings aside, opens DuckDB by itself."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    of_module = [call.func for call in calls if isinstance(call.func, ast.Attribute)]
    return any(
        isinstance(f.value, ast.Name) and f.value.id == "duckdb" and f.attr in OPENING
        for f in of_module
    )


def test_no_other_file_opens_a_connection():
    assert [file.name for file in ROOT.rglob("*.py") if opened_in(file)] == ["engine.py"]


def setting(connection: duckdb.DuckDBPyConnection, name: str) -> object:
    return connection.execute(f"SELECT current_setting('{name}')").fetchall()[0][0]


@pytest.mark.parametrize("closed", [True, False])
def test_nothing_is_installed(closed):
    with connect(closed=closed) as connection:
        assert [setting(connection, name) for name in LOCKED] == [False, False]
        assert setting(connection, "enable_external_access") is not closed


REACHING = (
    "FROM read_csv('{file}')",
    "COPY (SELECT 1) TO '{file}'",
    "ATTACH '{file}.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "FROM secret",
)


@pytest.mark.parametrize("query", REACHING)
def test_an_open_store_reaches_nothing_else(query, tmp_path):
    stated = {"model_version": "v1", "as_of": "2024-03-31", "horizon": "3 years", "currency": "EUR"}
    measures = dict.fromkeys(
        ("clv", "expected_purchases", "churn_probability", "value_at_stake", "days_since_last"), 1.0
    )
    scores = pa.table({"customer_id": ["a"]} | {k: [v] for k, v in (measures | stated).items()})
    publish(scores, tmp_path / "store")
    (tmp_path / "file.csv").write_text("a\n1\n")
    secret = pa.table({"a": [1]})
    assert secret.num_rows == 1
    with (
        Store.open(tmp_path / "store") as store,
        store._cursor() as cursor,
        pytest.raises(duckdb.Error),
    ):
        cursor.execute(query.format(file=tmp_path / "file.csv"))
