"""The kinds of files that tables are written to: command line, API and page loop over them."""

from __future__ import annotations

import os
import shutil
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clv.io.changes import disk_errors
from clv.io.csv_safe import quoted, safe_columns
from clv.io.queries import sql_text
from clv.locales import has_decimal_comma

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
    decimal_comma
        Whether numbers have one, and columns are parted by semicolons.
    """

    name: str
    endings: tuple[str, ...]
    media_type: str
    options: str
    label: str
    note: str
    for_spreadsheets: bool = False
    decimal_comma: bool = False

    def local(self) -> TableFile:
        """As the spreadsheets of CLV_LOCALE open it: with decimal commas and semicolons, or as is.

        >>> from clv.locales import in_locale
        >>> with in_locale("de_DE"):
        ...     TABLE_FILES["csv"].local().options, TABLE_FILES["parquet"].local().decimal_comma
        ("FORMAT csv, HEADER, DELIMITER ';'", False)
        """
        if not (self.for_spreadsheets and has_decimal_comma()):
            return self
        return replace(self, options=f"{self.options}, DELIMITER ';'", decimal_comma=True)

    def copy(self, connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
        """Write what a query gives to ``path``; how many rows there are.

        Raises
        ------
        OSError
            The place cannot be written to.
        """
        place = sql_text(str(path))
        try:
            (rows,) = connection.execute(f"COPY ({query}) TO {place} ({self.options})").fetchall()
        except disk_errors() as error:
            raise OSError(str(error).splitlines()[0]) from error
        if self.decimal_comma:
            _mark_as_unicode(path)
        return int(rows[0])

    def select(self, rows: duckdb.DuckDBPyRelation) -> str:
        """The columns of a table in SQL, cells and names made safe where that is needed."""
        types: Mapping[str, str] = {
            name: str(kind) for name, kind in zip(rows.columns, rows.types, strict=True)
        }
        if not self.for_spreadsheets:
            return ", ".join(map(quoted, types))
        return safe_columns(types, decimal_comma=self.decimal_comma)


def _mark_as_unicode(path: Path) -> None:
    """Put a byte order mark first, without which a spreadsheet may read UTF-8 as something else."""
    beside = path.with_name(f"{path.name}.marked")
    with path.open("rb") as plain, beside.open("wb") as marked:
        marked.write(BOM_UTF8)
        shutil.copyfileobj(plain, marked)
    beside.replace(path)


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
