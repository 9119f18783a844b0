"""A file that was exported, and the writing of it: beside the old one, then in its place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
from narwhals.typing import IntoFrame

from clv.errors import ColumnError
from clv.io.changes import written_beside
from clv.io.csv_safe import quoted
from clv.io.engine import connect
from clv.io.files import check_output, check_table
from clv.io.table_files import TableFile
from clv.schema import as_frame, require_columns

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class ExportedFile:
    """What was written: where, how much, which columns, and the digest that identifies it."""

    path: str
    rows: int
    columns: tuple[str, ...]
    bytes: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; no customer is in it."""
        return asdict(self) | {"columns": list(self.columns)}


def write_plain(
    table: IntoFrame, path: str | os.PathLike[str], columns: Sequence[str] | None = None
) -> ExportedFile:
    """Write a table as CSV or Parquet, as the suffix says, for people and their own systems.

    Rows and columns stay in order. In CSV, text that a spreadsheet would run is made safe, see
    ``clv.io.csv_safe``; Parquet is read by programs and holds the values as they are.

    Parameters
    ----------
    table
        Any dataframe: scores, scores with tiers, campaign targets, a difference.
    columns
        Which to write, in this order; all if not given.

    Raises
    ------
    ColumnError, InputError
        A column is missing, the suffix is another, or the place cannot be written to.

    Examples
    --------
    >>> import pandas as pd, pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pd.DataFrame({"customer_id": ["=1+1", "ann"], "change": [-2.5, 1.0]})
    >>> written = write_plain(table, f"{folder.name}/list.csv")
    >>> print(pathlib.Path(written.path).read_text(), end="")
    customer_id,change
    '=1+1,-2.5
    ann,1.0
    >>> folder.cleanup()
    """
    check_output(path)
    with connect(closed=False) as connection:
        connection.register("rows", as_arrow(table, columns, "the table"))
        return write_rows(connection, "rows", path)


def write_rows(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    path: str | os.PathLike[str],
    *,
    local: bool = True,
) -> ExportedFile:
    """Write a table of the connection, cells made safe where a spreadsheet may open the file.

    ``local``: numbers as CLV_LOCALE has them, for people; programs want them as they are.
    """
    file = check_table(path).local() if local else check_table(path)
    columns = file.select(connection.table(name))
    return write_query(connection, f"SELECT {columns} FROM {quoted(name)}", path, file)


def write_query(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    path: str | os.PathLike[str],
    kind: TableFile | None = None,
) -> ExportedFile:
    """Write what a query gives as it is, and say what was written."""
    file = kind or check_table(path)
    with written_beside(path) as beside:
        rows = file.copy(connection, query, beside)
        with beside.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = beside.stat().st_size
    columns = tuple(connection.sql(query).columns)
    return ExportedFile(str(path), rows, columns, size, digest)


def as_arrow(table: IntoFrame, columns: Sequence[str] | None, what: str) -> pa.Table:
    """The ``columns`` of any dataframe (all if None) as PyArrow, to be queried."""
    import pyarrow as pa

    frame = as_frame(table, what)
    if columns is not None:
        require_columns(frame, columns, what)
        frame = frame.select(*columns)
    try:
        return nw.DataFrame.to_arrow(frame.collect())
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ColumnError(
            f"a column of {what} mixes types: {str(error).splitlines()[0].rstrip('.')}.",
            hint="make each column all text or all numbers.",
        ) from error
