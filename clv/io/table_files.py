"""The kinds of files that tables are written to: command line, API and page loop over them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clv.io.changes import disk_errors
from clv.io.csv_safe import quoted, safe_columns

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class TableFile:
    """A kind of file.

    Attributes
    ----------
    name
        In addresses and in the API.
    endings
        Of names of such files; the first is the usual one.
    media_type
        Over HTTP.
    options
        Of DuckDB's COPY.
    label, note
        On the page: what to call it, and whom it is for.
    for_spreadsheets
        Whether people open it in a spreadsheet, which would run formulas; they are made text then.
    """

    name: str
    endings: tuple[str, ...]
    media_type: str
    options: str
    label: str
    note: str
    for_spreadsheets: bool = False

    def copy(self, connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
        """Write what a query gives to ``path``; how many rows there are.

        Raises
        ------
        OSError
            The place cannot be written to.
        """
        place = str(path).replace("'", "''")
        try:
            (rows,) = connection.execute(f"COPY ({query}) TO '{place}' ({self.options})").fetchall()
        except disk_errors() as error:
            raise OSError(str(error).splitlines()[0]) from error
        return int(rows[0])

    def select(self, rows: duckdb.DuckDBPyRelation) -> str:
        """The columns of a table in SQL, cells and names made safe where that is needed."""
        types: Mapping[str, str] = {
            name: str(kind) for name, kind in zip(rows.columns, rows.types, strict=True)
        }
        return safe_columns(types) if self.for_spreadsheets else ", ".join(map(quoted, types))


TABLE_FILES: dict[str, TableFile] = {
    file.name: file
    for file in (
        TableFile(
            name="csv",
            endings=(".csv",),
            media_type="text/csv; charset=utf-8",
            options="FORMAT csv, HEADER",
            label="CSV",
            note="for spreadsheets; cells that would run as a formula are made text",
            for_spreadsheets=True,
        ),
        TableFile(
            name="parquet",
            endings=(".parquet", ".pq"),
            media_type="application/vnd.apache.parquet",
            options="FORMAT parquet, COMPRESSION zstd",
            label="Parquet",
            note="for programs; values as they are",
        ),
    )
}


def table_file(path: str | os.PathLike[str]) -> TableFile | None:
    """The kind of file that a name says; None if it says none.

    >>> table_file("scores.pq").name, table_file("scores.docx")
    ('parquet', None)
    """
    name = Path(path).name
    return next((file for file in TABLE_FILES.values() if name.endswith(file.endings)), None)


def usual_endings() -> str:
    """Those that a user is told of.

    >>> usual_endings()
    '.csv or .parquet'
    """
    return " or ".join(file.endings[0] for file in TABLE_FILES.values())
