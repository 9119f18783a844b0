"""The kinds of table that every function of the data wing takes and gives back."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def _duckdb(table: pa.Table) -> Any:
    return _engine().cursor().from_arrow(table)  # as good as a connection: opening one takes 25 ms


KINDS: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(),
    "pandas-nullable": lambda table: table.to_pandas().convert_dtypes(),
    "pandas-arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
    "polars-lazy": lambda table: pl.from_arrow(table).lazy(),
    "pyarrow": lambda table: table,
    "duckdb": _duckdb,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], Any]:
    """A function from columns (lists, or a PyArrow table) to one kind of table."""

    def build(columns: dict[str, Any] | pa.Table) -> Any:
        return KINDS[request.param](pa.table(columns))

    return build


@pytest.fixture
def records() -> Callable[[Any], list[dict[str, Any]]]:
    """A function from any kind of table to its rows, in an order that does not depend on it."""

    def read(table: Any) -> list[dict[str, Any]]:
        rows = nw.from_native(table).lazy().collect().iter_rows(named=True)
        return sorted(
            ({name: _plain(value) for name, value in row.items()} for row in rows), key=repr
        )

    return read


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """A function from the name of a file to its path among the larger test data."""

    def find(name: str) -> Path:
        if not (SHARED / name).is_file():
            pytest.skip(f"{name} is not beside the repository, in ../shared/data")
        return SHARED / name

    return find


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 9)
    if isinstance(value, dt.datetime):
        return value.date()
    return value.item() if hasattr(value, "item") else value
