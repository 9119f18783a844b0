"""DuckDB is opened in one place, installs nothing, and reads no file that it need not."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import clv
from clv import threads
from clv.errors import InputError
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


def test_memory_and_threads_are_those_of_the_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("CLV_MEMORY", "1GB")
    monkeypatch.setenv("CLV_THREADS", "3")
    monkeypatch.setenv("CLV_TEMP", str(tmp_path))
    for closed in (True, False):
        connection = connect(closed=closed)
        assert setting(connection, "memory_limit") == "512.0 MiB"
        assert setting(connection, "threads") == 3
        assert str(setting(connection, "temp_directory")).startswith(str(tmp_path))


def test_what_does_not_fit_is_spilled(monkeypatch, tmp_path):
    """A sort of 800 MB within 64 MB of the engine's memory."""
    monkeypatch.setenv("CLV_MEMORY", "200MB")
    monkeypatch.setenv("CLV_TEMP", str(tmp_path))
    connection = connect()
    connection.execute(
        "CREATE TABLE sorted AS SELECT hash(i) AS h, i AS a, i AS b FROM range(8_000_000) t(i) "
        "ORDER BY h"
    )
    assert connection.sql("SELECT count(*), sum(a) FROM sorted").fetchall() == [
        (8_000_000, 31_999_996_000_000)
    ]
    assert list(tmp_path.iterdir())  # and not in the folder where the command runs


def test_what_a_killed_process_spilled_is_removed_by_the_next(monkeypatch, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = socket.gethostname()
    dead, ours, elsewhere, other = (
        tmp_path / f"clv-spilled-{host}-{number}"
        for host, number in (
            *((here, ended.pid), (here, os.getppid())),
            *((f"not-{here}", ended.pid), (here, "notes")),
        )
    )
    for folder in (dead, ours, elsewhere, other):
        folder.mkdir()
        (folder / "duckdb_temp_storage-0.tmp").write_bytes(b"0" * 100)
    monkeypatch.setenv("CLV_TEMP", str(tmp_path))
    connect()
    assert sorted(tmp_path.iterdir()) == sorted([ours, elsewhere, other])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLV_MEMORY", "much"),
        ("CLV_MEMORY", "12"),
        ("CLV_MEMORY", "1kb"),
        ("CLV_MEMORY", "-3GB"),
        ("CLV_MEMORY", "nan GB"),
        ("CLV_THREADS", "0"),
        ("CLV_THREADS", "two"),
        ("CLV_THREADS", "9" * 400),
        ("CLV_THREADS", "²"),
        ("CLV_TEMP", "/nowhere/at/all"),
    ],
)
def test_settings_that_are_none_are_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=name):
        connect()
    monkeypatch.setenv(name, "")
    assert connect().sql("SELECT 1").fetchall() == [(1,)]


def test_a_container_s_share_of_the_processors_counts(monkeypatch, tmp_path):
    monkeypatch.delenv("CLV_THREADS", raising=False)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: set(range(8)))
    for said, count in (("250000 100000", 3), ("max 100000", 8), ("50000 100000", 1)):
        (tmp_path / "cpu.max").write_text(said)
        monkeypatch.setattr(threads, "CONTAINER", tmp_path / "cpu.max")
        assert threads.thread_count() == count
