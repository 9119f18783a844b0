"""What tests of decisions share: every kind of dataframe, and the way back to pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda df: df,
    "polars": pl.from_pandas,
    "lazy polars": lambda df: pl.from_pandas(df).lazy(),
    "pyarrow": lambda df: pa.Table.from_pandas(df, preserve_index=False),
    "duckdb": lambda df: duckdb.from_arrow(pa.Table.from_pandas(df, preserve_index=False)),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[[pd.DataFrame], Any]:
    """A function from pandas to one kind of dataframe."""
    return KINDS[request.param]


@pytest.fixture(scope="session")
def to_pandas() -> Callable[[Any], pd.DataFrame]:
    """A function from any kind of dataframe to pandas."""

    def read(table: Any) -> pd.DataFrame:
        if isinstance(table, pl.LazyFrame):
            table = table.collect()
        if isinstance(table, pd.DataFrame):
            return table
        return table.df() if isinstance(table, duckdb.DuckDBPyRelation) else table.to_pandas()

    return read
