"""One file of any kind as a table of the engine, whose columns are c0, c1, ..."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from clv.errors import InputError
from clv.extras import require_extra
from clv.format import count
from clv.intake.below_table import without_lines_below
from clv.intake.datev import DAYS, debtors_first, fiscal_year, full_day
from clv.intake.dialect import HEAD, Dialect, dialect_of
from clv.intake.file_paths import FORMATS, LINES, PACKED, PARQUET, SHEETS, TEXT, damaged
from clv.intake.grouped_reports import named_groups
from clv.intake.json_records import flat, records_of
from clv.io.queries import sql_text

if TYPE_CHECKING:
    import pyarrow as pa

# What databases write for nothing, in files of text.
NULLS = (
    "",
    r"\N",
    *(f"{a}{w}{b}" for a, b in ("()", "<>", "[]", ("", "")) for w in ("NULL", "null")),
)
# A row's number, where the engine keeps none: to count in turn takes one thread.
IN_TURN = "row_number() OVER ()"

_numbers = itertools.count()  # of the tables that text is read into


@dataclass(frozen=True)
class Stated:
    """What is stated about text files, and need not be looked for; see ``Dialect``."""

    encoding: str | None = None
    separator: str | None = None
    header_line: int | None = None
    sheet: str | None = None


NOTHING_STATED = Stated()


@dataclass(frozen=True)
class FileRows:
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


def rows_of_file(file: str, stated: Stated, connection: Any, folder: Path) -> FileRows:
    """A file by its ending; what has to be copied to be read lives in ``folder``."""
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


def _parquet(file: str, connection: Any) -> FileRows:
    try:
        relation = connection.sql(f"FROM read_parquet({sql_text(file)})")
    except Exception as error:
        raise damaged(file, error) from error
    names, types = tuple(relation.columns), tuple(map(str, relation.types))
    cells = ", ".join(
        f'"{name.replace(chr(34), chr(34) * 2)}" AS c{place}' for place, name in enumerate(names)
    )
    stripped = tuple(name.strip() for name in names)
    if "file_row_number" in map(str.lower, stripped):
        query = f"SELECT {cells} FROM read_parquet({sql_text(file)})"
        return FileRows(query, stripped, types, 1)
    numbered = f"read_parquet({sql_text(file)}, file_row_number = true)"
    query = f"SELECT {cells}, file_row_number FROM {numbered}"
    return FileRows(query, stripped, types, 1, place="file_row_number + 1")


def _text(file: str, stated: Stated, connection: Any, folder: Path) -> FileRows:
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
            raise damaged(file, error) from error
    _complete_days(view, dialect, head, connection)
    if (swap := debtors_first(view, dialect.names)) is not None:
        connection.execute(swap)
    part = _of_text(view, dialect.names, dialect.data_line, connection)
    return replace(part, dialect=dialect, below=below)


def _of_text(view: str, names: tuple[str, ...], first_row: int, connection: Any) -> FileRows:
    """A table of text without lines that are no rows of it."""
    headers = _without_headers(view, names, connection)
    groups = named_groups(view, names, connection)
    query, types = f"SELECT *, rowid AS place FROM {view}", ("VARCHAR",) * len(names)
    part = FileRows(query, names, types, first_row, place="place + 1")
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
        raise damaged(file, error) from error
    return str(target)


def _bytes(file: str, size: int = -1) -> bytes:
    """The first bytes of a file, unpacked, or all of them."""
    try:
        with _opened(file) as stream:
            return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(file, error) from error


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
        raise damaged(file, error) from error


def _sheet(file: str, stated: Stated, connection: Any) -> FileRows:
    """The sheet with the most rows, or the one stated; cells as the text that people see."""
    require_extra("cli", "python_calamine")
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(file)
        sheets = {name: book.get_sheet_by_name(name) for name in book.sheet_names}
    except (CalamineError, OSError) as error:
        raise damaged(file, error) from error
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


def _rows(rows: list[list[str]], file: str, stated: Stated, connection: Any) -> FileRows:
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


def _json(file: str, connection: Any) -> FileRows:
    """JSON lines, or one JSON list: nested objects by dotted names, lists as JSON."""
    import pyarrow as pa

    columns: dict[str, list[str | None]] = {}
    rows = 0
    for rows, record in enumerate(records_of(file, _bytes(file)), start=1):
        for name, value in flat(record):
            columns.setdefault(name, []).extend([None] * (rows - 1 - len(columns.get(name, []))))
            columns[name].append(value)
    if not columns:
        raise InputError(f"{file} holds no records.", hint="give one JSON object a line.")
    padded = {name: values + [None] * (rows - len(values)) for name, values in columns.items()}
    cells = {
        f"c{k}": _text_cells(name, values, file) for k, (name, values) in enumerate(padded.items())
    }
    table = pa.table(cells)
    return _registered(table, tuple(columns), 1, connection)


def _text_cells(name: str, values: list[str | None], file: str) -> pa.Array:
    """A column of text; ``InputError`` for halves of a pair of code units, which JSON can write."""
    import pyarrow as pa

    try:
        name.encode()
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        bad = [row for row, value in enumerate(values, start=1) if value and not _is_text(value)]
        which = f"record {bad[0]} of {count(len(bad))}" if bad else "its name"
        raise InputError(
            f"{file} holds half a character, such as \\ud800, in {name!a}: {which}.",
            hint="write the file again as UTF-8.",
        ) from error


def _is_text(value: str) -> bool:
    return value == value.encode("utf-8", "replace").decode()


def _registered(
    cells: pa.Table, names: tuple[str, ...], first_row: int, connection: Any
) -> FileRows:
    view = f"text_{next(_numbers)}"
    connection.register("cells", cells)
    connection.execute(f"CREATE TEMP TABLE {view} AS FROM cells")
    connection.unregister("cells")
    return _of_text(view, names, first_row, connection)
