"""Files, folders and patterns as one table: every column under a plain name, every row numbered.

Headers may hold anything (dots, blanks, line breaks, a name twice), so columns are called c0, c1,
... here, and ``names`` says what people call them. Text stays text: what it means is for the
recipe to say. Parquet keeps its types.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from clv.data.plain_customers import names_rows, repeated
from clv.errors import ColumnError, InputError
from clv.extras import require_extra
from clv.format import count
from clv.intake.below_table import without_lines_below
from clv.intake.datev import DAYS, fiscal_year, full_day
from clv.intake.dialect import HEAD, Dialect, dialect_of
from clv.intake.grouped_reports import named_groups
from clv.io.changes import workspace
from clv.io.databases import DatabaseAddress, fetched
from clv.io.engine import connect
from clv.io.files import file_meant
from clv.io.lake_tables import is_lake_table, present_rows
from clv.io.queries import Query
from clv.io.text_files import regular_file
from clv.schema import as_frame

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

TEXT = (".csv", ".tsv", ".txt", ".tab")
PACKED = (".gz", ".zst")
ARCHIVE = ".zip"
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
FORMATS = "CSV (also .gz, .zst, .zip), Parquet, Excel, JSON lines"
# What databases write for nothing, in files of text.
NULLS = (
    "",
    r"\N",
    *(f"{a}{w}{b}" for a, b in ("()", "<>", "[]", ("", "")) for w in ("NULL", "null")),
)
PATTERN = frozenset("*?[")
LONGEST_NAME = 255  # bytes of a file's name, of every system
MOST_COLUMNS = 1000  # each is looked at
WRAPPER = 6  # fields at most around the list of an API's answer; a record on its own has more

_numbers = itertools.count()  # of the tables that text is read into


@dataclass(frozen=True)
class Stated:
    """What is stated about text files, and need not be looked for; see ``Dialect``."""

    encoding: str | None = None
    separator: str | None = None
    header_line: int | None = None
    sheet: str | None = None


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


def read_source(paths: Sequence[str | os.PathLike[str]], stated: Stated = Stated()) -> Source:
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

    meant = {text: _matches(text) for text in (os.fspath(path) for path in paths)}
    files = tuple(dict.fromkeys(file for matches in meant.values() for file in matches))
    if not files:
        raise InputError("no file is named.", hint="give one or several.")
    connection = connect(closed=False)
    connection.execute("SET TimeZone = 'UTC'")
    with workspace() as folder:  # unpacked text is in the connection's own tables afterwards
        files = tuple(table for file in files for table in _unpacked(file, folder))
        parts = [_part(file, stated, connection, folder) for file in files]
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
    lasting = ([text] if _is_fetched(text) else matches for text, matches in meant.items())
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


def require_rows(source: Source) -> None:
    """Raise ``InputError`` if files have a header, and no row below it."""
    if not source.rows.limit(1).fetchall():
        raise InputError(
            f"{source.files[0]} has a header, and no row below it.",
            hint="check the days and filters that it was exported with.",
        )


def table_source(table: object, what: str, stated: Stated = Stated()) -> Source:
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


def files_of(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """The regular files that the paths mean, in order of name; hidden ones left out."""
    files: list[str] = []
    for path in paths:
        files += _matches(str(path))
    return tuple(dict.fromkeys(files))


def _is_fetched(text: str) -> bool:
    """Whether what is read of an address or a lake's table is a file of this process alone."""
    return DatabaseAddress.parse(text) is not None or is_lake_table(Path(text))


# A row's number, where the engine keeps none: to count in turn takes one thread.
IN_TURN = "row_number() OVER ()"


@dataclass(frozen=True)
class _Part:
    """One file as a query without ``_row``, whose columns are c0, c1, ..."""

    query: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    first_row: int
    dialect: Dialect | None = None
    below: tuple[str, ...] = ()
    place: str = IN_TURN
    headers: int = 0
    groups: int = 0


def _select(part: _Part, names: Sequence[str], types: Sequence[str], number: int) -> str:
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


def _part(file: str, stated: Stated, connection: Any, folder: Path) -> _Part:
    name = Path(file).name.lower()
    bare = name
    for ending in PACKED:
        bare = bare.removesuffix(ending)
    if name.endswith(PARQUET):
        return _parquet(file, connection)
    if name.endswith(SHEETS):
        return _sheet(file, stated, connection)
    if bare.endswith(LINES):
        return _json(file, connection)
    if bare.endswith(TEXT) or bare != name:
        return _text(file, stated, connection, folder)
    raise InputError(
        f"{Path(file).name} is of a format that is not read here.",
        hint=f"give {FORMATS}, as the name's ending says.",
    )


def _unpacked(file: str, folder: Path) -> list[str]:
    """The tables of a zip archive, written to the folder; any other file is itself."""
    if not file.lower().endswith(ARCHIVE):
        return [file]
    target = folder / f"{len(list(folder.iterdir()))}"
    try:
        with ZipFile(file) as archive:
            names = [name for name in sorted(archive.namelist()) if _is_table(Path(name))]
            tables = [archive.extract(name, target) for name in names]
    except (BadZipFile, OSError, RuntimeError, EOFError, zlib.error) as error:
        raise _damaged(file, error) from error
    if not tables:
        raise InputError(f"{file} holds no table.", hint=f"there may be {FORMATS}.")
    return tables


def _is_table(path: Path) -> bool:
    """Whether a name within a folder is that of a table; what engines hide is none."""
    endings = (*PARQUET, *TEXT, *PACKED, *LINES, *SHEETS, ARCHIVE)
    return path.name.lower().endswith(endings) and not any(part[0] in "._" for part in path.parts)


def _parquet(file: str, connection: Any) -> _Part:
    try:
        relation = connection.sql(f"FROM read_parquet({sql_text(file)})")
    except Exception as error:
        raise _damaged(file, error) from error
    names, types = tuple(relation.columns), tuple(map(str, relation.types))
    cells = ", ".join(
        f'"{name.replace(chr(34), chr(34) * 2)}" AS c{place}' for place, name in enumerate(names)
    )
    stripped = tuple(name.strip() for name in names)
    if "file_row_number" in map(str.lower, stripped):
        query = f"SELECT {cells} FROM read_parquet({sql_text(file)})"
        return _Part(query, stripped, types, 1)
    numbered = f"read_parquet({sql_text(file)}, file_row_number = true)"
    query = f"SELECT {cells}, file_row_number FROM {numbered}"
    return _Part(query, stripped, types, 1, place="file_row_number + 1")


def _text(file: str, stated: Stated, connection: Any, folder: Path) -> _Part:
    head = _bytes(file, HEAD)
    dialect = dialect_of(
        head,
        file,
        encoding=stated.encoding,
        separator=stated.separator,
        header_line=stated.header_line,
    )
    plain = _as_utf8(file, dialect.encoding, folder)
    view = f"text_{next(_numbers)}"
    below: tuple[str, ...] = ()
    if (error := _load(view, plain, dialect, connection)) is not None:
        # with the ends of all lines alike, which the engine wants, and without notes below
        copy = plain if plain != file else _as_utf8(file, dialect.encoding, folder, copy=True)
        below = without_lines_below(Path(copy), dialect.separator, len(dialect.names))
        if _load(view, copy, dialect, connection) is not None:
            raise _damaged(file, error) from error
    _complete_days(view, dialect, head, connection)
    part = _of_text(view, dialect.names, dialect.data_line, connection)
    return replace(part, dialect=dialect, below=below)


def _of_text(view: str, names: tuple[str, ...], first_row: int, connection: Any) -> _Part:
    """A table of text without lines that are no rows of it."""
    headers = _without_headers(view, names, connection)
    groups = named_groups(view, names, connection)
    query, types = f"SELECT *, rowid AS place FROM {view}", ("VARCHAR",) * len(names)
    part = _Part(query, names, types, first_row, place="place + 1")
    return replace(part, headers=headers, groups=groups)


def _load(view: str, file: str, dialect: Dialect, connection: Any) -> Exception | None:
    """Read a file of UTF-8 into a table of text; what the engine says where it cannot be read."""
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(dialect.names)))
    nulls = [word for word in NULLS if dialect.escape not in word]
    cells = "*" if nulls == [*NULLS] else r"nullif(COLUMNS(*), '\N')"
    query = (
        f"SELECT {cells} FROM read_csv({sql_text(file)}, auto_detect = false, header = false, "
        f"skip = {dialect.records_above}, columns = {{{columns}}}, quote = '\"', "
        f"delim = {sql_text(dialect.separator)}, escape = {sql_text(dialect.escape)}, "
        f"nullstr = [{', '.join(map(sql_text, nulls))}])"
    )
    try:
        connection.execute(f"CREATE TEMP TABLE {view} AS {query}")
    except Exception as error:
        return error
    return None


def _complete_days(view: str, dialect: Dialect, head: bytes, connection: Any) -> None:
    """Add the year to days that have none, where the file says of which year they are."""
    if not (begins := fiscal_year(head.split(b"\n")[0].decode(dialect.encoding, "replace"))):
        return
    for place, name in enumerate(dialect.names):
        if name.lower() in DAYS:
            day = full_day(f"c{place}", begins)
            connection.execute(f"UPDATE {view} SET c{place} = {day}")


def _without_headers(view: str, names: Sequence[str], connection: Any) -> int:
    """Take lines that repeat the header out of a table, as reports of several pages have them."""
    named = ((k, name) for k, name in enumerate(names) if name != f"(column {k + 1})")
    same = " AND ".join(f"c{k} = {sql_text(name)}" for k, name in named)
    gone = connection.execute(f"DELETE FROM {view} WHERE {same or 'false'}").fetchall()
    return int(gone[0][0])


def _as_utf8(file: str, encoding: str, folder: Path, *, copy: bool = False) -> str:
    """A file of plain UTF-8 with the same lines: itself, or a copy that lives with the source."""
    lone = b"\r" in (start := _bytes(file, 2**16)) and b"\n" not in start
    same = encoding in ("utf-8", "utf-8-sig") and not lone
    if same and not copy and not file.lower().endswith(PACKED):
        return file
    target = folder / f"{len(list(folder.iterdir()))}.csv"
    try:
        with _opened(file) as stream, target.open("w", encoding="utf-8", newline="\n") as out:
            import codecs

            for line in codecs.getreader(encoding)(stream):
                out.write(line.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    except (UnicodeError, EOFError, OSError, zlib.error) as error:
        raise _damaged(file, error) from error
    return str(target)


def _bytes(file: str, size: int = -1) -> bytes:
    """The first bytes of a file, unpacked, or all of them."""
    try:
        with _opened(file) as stream:
            return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(file, error) from error


def _opened(file: str) -> IO[bytes]:
    """The bytes of a file, unpacked."""
    name = file.lower()
    try:
        if name.endswith(".gz"):
            with gzip.open(file) as tried:
                tried.read(1)
            return gzip.open(file)  # type: ignore[return-value]
        if name.endswith(".zst"):
            import pyarrow as pa

            return pa.input_stream(file, compression="zstd")  # type: ignore[no-any-return]
        return Path(file).open("rb")
    except (OSError, EOFError) as error:
        raise _damaged(file, error) from error


def _sheet(file: str, stated: Stated, connection: Any) -> _Part:
    """The sheet with the most rows, or the one stated; cells as the text that people see."""
    require_extra("cli", "python_calamine")
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(file)
        sheets = {name: book.get_sheet_by_name(name) for name in book.sheet_names}
    except (CalamineError, OSError) as error:
        raise _damaged(file, error) from error
    if stated.sheet is not None and stated.sheet not in sheets:
        raise InputError(
            f"{file} has no sheet {stated.sheet!r}.", hint=f"there are {', '.join(sheets)}."
        )
    chosen = stated.sheet or max(sheets, key=lambda name: sheets[name].total_height)
    rows = [[_cell(value) for value in row] for row in sheets[chosen].to_python()]
    return _rows(rows, file, stated, connection)


def _cell(value: Any) -> str:
    """A cell of a sheet as text: whole numbers without a point, days without a midnight."""
    import datetime as dt

    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return str(value.date()) if value.time() == dt.time() else str(value)
    return str(value)


def _rows(rows: list[list[str]], file: str, stated: Stated, connection: Any) -> _Part:
    """Rows of text with a header somewhere near the top, as a registered table."""
    import csv
    import io

    import pyarrow as pa

    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerows(
        [" ".join(cell.split()) for cell in row] for row in rows[:2000]
    )
    text = head.getvalue().encode()[: HEAD - 1]
    dialect = dialect_of(
        text, file, encoding="utf-8", separator=",", header_line=stated.header_line
    )
    width, body = len(dialect.names), rows[dialect.header_line :]
    body = [row for row in body if any(row)]
    columns = {
        f"c{k}": pa.array(
            [row[k] if k < len(row) and row[k] not in NULLS else None for row in body], pa.string()
        )
        for k in range(width)
    }
    return _registered(pa.table(columns), dialect.names, dialect.header_line + 1, connection)


def _json(file: str, connection: Any) -> _Part:
    """JSON lines, or one JSON list: nested objects by dotted names, lists as JSON."""
    import pyarrow as pa

    columns: dict[str, list[str | None]] = {}
    rows = 0
    for rows, record in enumerate(_records(file), start=1):
        for name, value in _flat(record):
            columns.setdefault(name, []).extend([None] * (rows - 1 - len(columns.get(name, []))))
            columns[name].append(value)
    if not columns:
        raise InputError(f"{file} holds no records.", hint="give one JSON object a line.")
    padded = [values + [None] * (rows - len(values)) for values in columns.values()]
    table = pa.table({f"c{k}": pa.array(v, pa.string()) for k, v in enumerate(padded)})
    return _registered(table, tuple(columns), 1, connection)


def _records(file: str) -> Iterator[Mapping[str, Any]]:
    text = _bytes(file)
    try:
        records = _listed(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{file} is not JSON lines: {error}.", hint="give one JSON object a line, or a list."
        ) from error
    for place, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise InputError(f"record {place} of {file} is no object.", hint="give one a line.")
        yield record


def _listed(text: str) -> list[Any]:
    """The records of JSON lines, of one list, or of the one list that an API's answer holds."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if _of_objects(value)]
        return lists[0] if len(lists) == 1 and len(whole) <= WRAPPER else [whole]
    return whole if isinstance(whole, list) else [whole]


def _of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif value is None or isinstance(value, str):
            yield name, value
        else:
            yield name, json.dumps(value, ensure_ascii=False)


def _registered(cells: pa.Table, names: tuple[str, ...], first_row: int, connection: Any) -> _Part:
    view = f"text_{next(_numbers)}"
    connection.register("cells", cells)
    connection.execute(f"CREATE TEMP TABLE {view} AS FROM cells")
    connection.unregister("cells")
    return _of_text(view, names, first_row, connection)


def _matches(text: str) -> list[str]:
    if address := DatabaseAddress.parse(text):
        return [fetched(address)]
    path = Path(text)
    if any(len(part.encode("utf-8", "surrogatepass")) > LONGEST_NAME for part in path.parts):
        raise InputError(f"no file can be called {text[:40]}...", hint="give a shorter path.")
    if text == "-" or (path.exists() and not path.is_dir()):
        return [str(regular_file(path))]
    if path.is_dir():
        return _in_folder(path)
    matches = sorted(glob(text, recursive=True)) if PATTERN & set(text) else []  # noqa: PTH207
    files = [file for file in matches if Path(file).is_file()]
    if not files:
        raise InputError(f"there is no file {text}.", hint=file_meant(path))
    return files


def _in_folder(folder: Path) -> list[str]:
    """The tables of a folder; what engines hide (``_temporary``, ``.crc``) is no part of it."""
    if is_lake_table(folder):
        return [present_rows(folder)]
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if _is_table(file.relative_to(folder)) and file.is_file()
    ]
    parquet = [file for file in files if file.name.lower().endswith(PARQUET)]
    if not files:
        raise InputError(f"the folder {folder} holds no table.", hint=f"there may be {FORMATS}.")
    return [str(file) for file in parquet or files]


def _damaged(file: str, error: Exception) -> InputError:
    """What the engine says of a file, without its settings and its advice on them."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    line = first.partition("Error: ")[2] or first
    reason = next(
        (
            line
            for line in str(error).splitlines()
            if line.startswith("Expected Number") or "unterminated quote" in line
        ),
        "",
    )
    what = f"{line.replace('CSV Error on Line:', 'line')} {reason}".strip().rstrip(". ")
    return InputError(
        f"{file} cannot be read: {what}.", hint="check that the file is whole and of its format."
    )


def sql_text(text: str) -> str:
    """Text as a literal of SQL, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"
