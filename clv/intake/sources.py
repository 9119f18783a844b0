"""Files, folders and patterns as one table: every column under a plain name, every row numbered.

Headers may hold anything (dots, blanks, line breaks, a name twice), so columns are called c0, c1,
... here, and ``names`` says what people call them. Text stays text: what it means is for the
recipe to say. Parquet keeps its types.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clv.data.plain_customers import names_rows, repeated
from clv.errors import ColumnError, InputError
from clv.extras import require_extra
from clv.format import count
from clv.intake.dialect import Dialect
from clv.intake.file_paths import files_meant, is_fetched, unpacked
from clv.intake.file_rows import NOTHING_STATED, FileRows, Stated, rows_of_file
from clv.io.changes import workspace
from clv.io.engine import connect
from clv.io.queries import Query
from clv.schema import as_frame

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_COLUMNS = 1000  # each is looked at


@dataclass(frozen=True)
class Source:
    """One table out of one or several files.

    Attributes
    ----------
    rows
        A view with the columns c0, c1, ... and ``_row``: the line of a text file, the row
        of a sheet, else the number of the row.
    names
        What the columns are called in the files, in the same order.
    types
        Their types in DuckDB's words; VARCHAR for all that was text.
    dialect
        Of the first text file; None for other kinds.
    inputs
        What to read again another day: the files, but addresses and tables of a lake as such.
    below
        Lines below the tables of text files that are no rows.
    headers, groups
        Lines that repeat the header between rows, and that name the rows below them.
    periods
        The columns, one a month or the like, whose cells are rows now.
    """

    connection: duckdb.DuckDBPyConnection
    rows: Query
    names: tuple[str, ...]
    types: tuple[str, ...]
    files: tuple[str, ...]
    dialect: Dialect | None
    inputs: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    headers: int = 0
    groups: int = 0
    periods: tuple[str, ...] = ()

    def column(self, name: str) -> str:
        """The plain name of a column, such as c3.

        Raises
        ------
        ColumnError
            There is none of that name, or several.
        """
        places = [place for place, theirs in enumerate(self.names) if theirs == name]
        if len(places) == 1:
            return f"c{places[0]}"
        if places:
            raise ColumnError(
                f"{len(places)} columns are called {name!r}.",
                hint="give each column a name of its own in the file.",
            )
        raise ColumnError(
            f"the file has no column {name!r}.", hint=f"there are {', '.join(self.names)}."
        )

    def type_of(self, name: str) -> str:
        """The type of a column in DuckDB's words."""
        return self.types[int(self.column(name)[1:])]

    @cached_property
    def all_differ(self) -> bool:
        """Whether no row is equal to another in every column: their hashes are soon sorted."""
        cells = [f"c{place}" for place in range(len(self.names))]
        if any(names_rows(self.rows, cell) for cell in cells):
            return True
        hashes = self.rows.project(f"hash({', '.join(cells)}) AS h").fetchnumpy()["h"]
        return not len(repeated(hashes))


def read_source(paths: Sequence[str | os.PathLike[str]], stated: Stated = NOTHING_STATED) -> Source:
    """The rows of files, folders and patterns as one table.

    Parameters
    ----------
    paths
        Files of one kind, folders, patterns such as ``"orders/*.csv"``, or addresses of queries
        (``clv.io.databases``).
    stated
        What is known of text files and sheets.

    Returns
    -------
    Source
        It holds its connection open as long as it lives.

    Raises
    ------
    InputError
        A file is missing, damaged, no regular file, or of a kind that is not read; the headers of
        several files differ.
    """
    require_extra("cli", "duckdb")

    meant = {text: files_meant(text) for text in (os.fspath(path) for path in paths)}
    files = tuple(dict.fromkeys(file for matches in meant.values() for file in matches))
    if not files:
        raise InputError("no file is named.", hint="give one or several.")
    connection = connect(closed=False)
    connection.execute("SET TimeZone = 'UTC'")
    with workspace() as folder:  # unpacked text is in the connection's own tables afterwards
        files = tuple(table for file in files for table in unpacked(file, folder))
        parts = [rows_of_file(file, stated, connection, folder) for file in files]
    names, types = parts[0].names, parts[0].types
    if len(names) > MOST_COLUMNS:
        raise InputError(
            f"{files[0]} has {count(len(names))} columns, more than {count(MOST_COLUMNS)}.",
            hint="is its separator another? Leave out columns that are not needed.",
        )
    for part, file in zip(parts[1:], files[1:], strict=True):
        _check_same(names, part.names, files[0], file)
        if part.types != types:
            types = tuple("VARCHAR" for _ in names)
    queries = [_select(part, names, types, number) for number, part in enumerate(parts)]
    rows = _view(connection, " UNION ALL ".join(queries))
    lasting = ([text] if is_fetched(text) else matches for text, matches in meant.items())
    inputs = tuple(dict.fromkeys(each for some in lasting for each in some))
    below = tuple(line for part in parts for line in part.below)
    return Source(
        *(connection, rows, names, types, files, parts[0].dialect, inputs, below),
        headers=sum(part.headers for part in parts),
        groups=sum(part.groups for part in parts),
    )


def _view(connection: Any, query: str) -> Query:
    """A query under a short name, as it is asked for many times."""
    connection.execute(f"CREATE TEMP VIEW source_rows AS {query}")
    return Query(connection, "FROM source_rows")


def _select(part: FileRows, names: Sequence[str], types: Sequence[str], number: int) -> str:
    """The columns of a file in the order of the first one's, numbered from its first row on."""
    order = list(range(len(names)))
    if part.names != tuple(names):
        order = [part.names.index(name) for name in names]
    cells = [
        f"c{origin}::{kind} AS c{to}" if kind != part.types[origin] else f"c{origin} AS c{to}"
        for to, (origin, kind) in enumerate(zip(order, types, strict=True))
    ]
    counter = f"{part.place} + {part.first_row - 1} AS _row, {number} AS _file"
    return f"SELECT {', '.join(cells)}, {counter} FROM ({part.query})"


def _check_same(names: Sequence[str], other: Sequence[str], first: str, file: str) -> None:
    if sorted(names) != sorted(other):
        differ = sorted(set(names) ^ set(other)) or ["a column twice"]
        raise InputError(
            f"{file} has other columns than {first}: {', '.join(differ[:5])}.",
            hint="give files of one export, or one at a time.",
        )


def require_rows(source: Source) -> None:
    """Raise ``InputError`` if files have a header, and no row below it."""
    if not source.rows.limit(1).fetchall():
        raise InputError(
            f"{source.files[0]} has a header, and no row below it.",
            hint="check the days and filters that it was exported with.",
        )


def table_source(table: object, what: str, stated: Stated = NOTHING_STATED) -> Source:
    """A table as a source: a file, several, or any dataframe.

    Raises
    ------
    InputError, ColumnError
        A file cannot be read, it is no table, or a column mixes kinds of values.
    """
    if isinstance(table, (str, os.PathLike)):
        return read_source([table], stated)
    if isinstance(table, list | tuple):
        return read_source(table, stated)
    arrow = _as_arrow(table, what)
    names = tuple(arrow.column_names)
    connection = connect()
    connection.register("given_rows", arrow.rename_columns([f"c{i}" for i in range(len(names))]))
    numbered = "SELECT *, row_number() OVER () AS _row, 0 AS _file FROM given_rows"
    rows = _view(connection, numbered)
    types = tuple(map(str, rows.relation.types[: len(names)]))
    return Source(connection, rows, names, types, ("the table",), None)


def _as_arrow(table: object, what: str) -> pa.Table:
    import pyarrow as pa

    try:
        arrow = as_frame(table, what).collect().to_arrow()
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise ColumnError(
            f"a column of {what} mixes kinds of values: {error.args[-1]}.",
            hint="make each column text, numbers or dates alone.",
        ) from error
    if not arrow.column_names:
        raise InputError(f"{what} has no columns.", hint="check how it was read.")
    return arrow
