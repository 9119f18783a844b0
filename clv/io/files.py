"""Tables in files: read through DuckDB, written beside their place and then renamed.

A reader never sees half a file, and no command writes over what it reads.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clv.errors import InputError
from clv.extras import require_extra
from clv.io.changes import written_beside
from clv.io.csv_safe import quoted
from clv.io.databases import DatabaseAddress, fetched, written_table
from clv.io.engine import connect
from clv.io.json import plain
from clv.io.lake_tables import is_lake_table, present_rows
from clv.io.queries import sql_text
from clv.io.table_files import TABLE_FILES, TableFile, table_file, usual_endings
from clv.io.text_files import parse_json, read_text, regular_file

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Kind = Literal["table", "scores", "page", "json"]
PARQUET = TABLE_FILES["parquet"].endings
TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
# Tables are of any of TABLE_FILES; scores are written while they are made, as these two alone.
ENDINGS = {"scores": (".parquet", ".csv", ".pq"), "page": (".html",), "json": (".json",)}
FORMATS = "Parquet (.parquet) or CSV (.csv, .tsv, .csv.gz)"
# Tests of text, and the types they stand for: the first that every value of a column passes.
WHOLE = "regexp_full_match({0}, '-?[0-9]{{1,18}}')"
NUMBER = "try_cast({0} AS DOUBLE) IS NOT NULL"
DAY = "length({0}) = 10 AND try_cast({0} AS DATE) IS NOT NULL"
COMMA = r"-?[0-9]+(,[0-9]+)?([eE][-+]?[0-9]+)?"  # a number with a decimal comma
KINDS = {WHOLE: "BIGINT", NUMBER: "DOUBLE", DAY: "DATE"}
HEADER = 2**22  # characters of a first line
TESTS = 150  # of one query
PATTERN = frozenset("*?[")
CSV_REASON = re.compile(r"Expected Number.*|Invalid unicode.*|.*unterminated quote.*|.*line size.*")


def read_log(path: str | os.PathLike[str]) -> duckdb.DuckDBPyRelation:
    """An order log as a DuckDB table, every column of a CSV file as text.

    Nothing is guessed from text: a customer called 007 stays that, and a date is read by
    ``clean``, which says how many it could not read.

    Parameters
    ----------
    path
        A Parquet or CSV file, a pattern such as ``"orders/*.parquet"``, a folder of Parquet
        files, or the address of a query (``clv.io.databases``).

    Raises
    ------
    InputError
        There is no such file, it is of another format, or it is damaged.
    """
    return _load(path)


def read_table(path: str | os.PathLike[str]) -> pa.Table:
    """A table of numbers, such as scores or spend, as PyArrow; customer ids stay text in CSV.

    An id that ``write_table`` gave an apostrophe keeps it: to join a table to others by such an
    id, keep it as Parquet.

    Raises
    ------
    InputError
        As ``read_log``.
    """
    return read_rows(path).to_arrow_table()


def read_rows(
    path: str | os.PathLike[str], columns: Sequence[str] = ("*",)
) -> duckdb.DuckDBPyRelation:
    """The table of ``read_table``, still in DuckDB, to be queried, or only some of its columns."""
    return _typed(_with_points(_load(path, columns), path))


def write_table(table: Any, path: str | os.PathLike[str]) -> Path:
    """Write a PyArrow table as Parquet or CSV, as the suffix says.

    In CSV, text that a spreadsheet would run as a formula gets an apostrophe before it, see
    ``clv.io.csv_safe``, and numbers are as CLV_LOCALE has them. Parquet is read by programs and
    holds the values as they are.

    Raises
    ------
    InputError
        The suffix is another, or the place cannot be written to.

    Examples
    --------
    >>> import pyarrow as pa, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> scores = pa.table({"customer_id": ["007", "=1+1"], "clv": [12.5, -1.0]})
    >>> print(write_table(scores, f"{folder.name}/scores.csv").read_text(), end="")
    customer_id,clv
    007,12.5
    '=1+1,-1.0
    >>> folder.cleanup()
    """
    file = check_table(path).local()
    with written_beside(path) as beside, connect(closed=False) as connection:
        connection.register("out", table)
        file.copy(connection, f"SELECT {file.select(connection.table('out'))} FROM out", beside)
    return Path(path)


def check_output(
    path: str | os.PathLike[str], *inputs: str | os.PathLike[str], kind: Kind = "table"
) -> Path:
    """``path``, if such a file can be written there without losing one of the ``inputs``.

    Raises
    ------
    InputError
        The suffix is unknown, the place is a folder, or it is what is read from.
    """
    if kind == "scores" and (address := DatabaseAddress.parse(path)):
        written_table(address)
        return Path(path)
    target = Path(path)
    if kind == "table":
        check_table(target)
    elif not target.name.endswith(ENDINGS[kind]):
        raise _no_kind(target, " or ".join(ENDINGS[kind][:2]))
    if target.is_dir():
        raise InputError(f"{target} is a folder.", hint="name a file in it.")
    files = (source for source in inputs if DatabaseAddress.parse(source) is None)
    read = {os.path.realpath(file) for source in files for file in _matches(source)}
    if os.path.realpath(target) in read:
        raise InputError(
            f"{target} is the file that is read.", hint="write to another file; nothing was done."
        )
    return target


def check_table(path: str | os.PathLike[str]) -> TableFile:
    """The kind of file that a name says; ``InputError`` if it says none that is written here."""
    file = table_file(path)
    if file is None:
        raise _no_kind(Path(path), usual_endings())
    return file


def _no_kind(path: Path, endings: str) -> InputError:
    return InputError(
        f"{path.name} does not say which kind of file to write.",
        hint=f"end its name in {endings}.",
    )


def _load(path: str | os.PathLike[str], columns: Sequence[str] = ("*",)) -> duckdb.DuckDBPyRelation:
    require_extra("cli", "duckdb")
    import duckdb

    files = _matches(path)
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise InputError(f"{path} mixes Parquet and CSV.", hint="give files of one format.")
    listed = f"[{', '.join(sql_text(file) for file in files)}]"
    reader = f"read_parquet({listed}, union_by_name = true)"
    if kinds == {"csv"}:
        reader = f"read_csv({listed}, {_csv_options(files[0])})"
    connection = connect(closed=False)
    try:
        connection.execute(f"CREATE TABLE rows AS SELECT {', '.join(columns)} FROM {reader}")
    except duckdb.Error as error:
        raise _unreadable(path, error) from error
    return connection.table("rows")


def _csv_options(file: str) -> str:
    """How to read ``file``, settled by its first line: guessing leaves odd lines out in silence."""
    delimiter, names = _first_line(file)
    twice = sorted({name for name in names if not name or names.count(name) > 1})
    if twice or not names:
        what = f"has no name, or several columns called {twice[0]!r}" if names else "is empty"
        raise InputError(f"the first line of {file} {what}.", hint="name each column once.")
    columns = ", ".join(f"{sql_text(name)}: 'VARCHAR'" for name in names)
    return (
        f"auto_detect = false, header = true, columns = {{{columns}}}, "
        f"delim = '{delimiter}', quote = '\"', escape = '\"', nullstr = ''"
    )


def _first_line(file: str) -> tuple[str, list[str]]:
    """What parts the columns of a CSV file, and their names."""
    opened = gzip.open if file.lower().endswith(".gz") else open
    try:
        with opened(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
            header = lines.readline(HEADER)
        delimiter = max(",;\t|", key=header.count)
        names = next(csv.reader([header], delimiter=delimiter), [])
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise _unreadable(file, error) from error
    return delimiter, names


def _with_points(
    rows: duckdb.DuckDBPyRelation, path: str | os.PathLike[str]
) -> duckdb.DuckDBPyRelation:
    """Numbers with points, where semicolons part the columns and so a comma is a decimal one."""
    file = _matches(path)[0]
    if _kind(file) != "csv" or _first_line(file)[0] != ";":
        return rows
    text = [name for name in rows.columns if name != "customer_id"]
    test = "coalesce(bool_and(regexp_full_match({0}, '{1}')) FILTER ({0} IS NOT NULL), false)"
    tests = ", ".join(test.format(quoted(name), COMMA) for name in text)
    fits = rows.aggregate(tests).fetchall()[0] if text else ()
    casts = [
        f"replace({quoted(name)}, ',', '.') AS {quoted(name)}"
        for name, fit in zip(text, fits, strict=True)
        if fit
    ]
    return rows.project(f"* REPLACE ({', '.join(casts)})") if casts else rows


def _typed(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Columns of text as numbers or days where every value is one; customer ids stay text."""
    text = [
        name
        for name, dtype in zip(rows.columns, rows.types, strict=True)
        if dtype == "VARCHAR" and name != "customer_id"
    ]
    if not text:
        return rows
    passed = "coalesce(bool_and({test}) FILTER ({column} IS NOT NULL), false)"
    names = [quoted(column) for column in text]
    tests = [passed.format(test=t.format(c), column=c) for c in names for t in KINDS]
    passes = [
        fits  # the engine's time grows with the square of what one query tells
        for start in range(0, len(tests), TESTS)
        for fits in rows.aggregate(", ".join(tests[start : start + TESTS])).fetchall()[0]
    ]
    casts = []
    for place, column in enumerate(text):
        fits = passes[place * len(KINDS) : (place + 1) * len(KINDS)]
        kind = next((kind for kind, fit in zip(KINDS.values(), fits, strict=True) if fit), None)
        casts += [f"{quoted(column)}::{kind} AS {quoted(column)}"] if kind else []
    return rows.project(f"* REPLACE ({', '.join(casts)})") if casts else rows


def _matches(path: str | os.PathLike[str]) -> list[str]:
    """The files that ``path`` means: itself, those in the folder, those that fit the pattern."""
    text = str(path)
    if address := DatabaseAddress.parse(text):
        return [fetched(address)]
    if Path(text).is_dir() and is_lake_table(Path(text)):
        return [present_rows(Path(text))]
    if Path(text).is_dir():
        files = sorted(str(file) for file in Path(text).rglob("*.parquet"))
    elif Path(text).exists() or not PATTERN & set(text):
        return [text]
    else:
        files = sorted(glob(text, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute one
    if not files:
        raise InputError(f"no file matches {text}.", hint="check the path.")
    return files


def _kind(file: str) -> str:
    name = Path(file).name.lower()
    regular_file(file, file_meant(Path(file)))
    if name.endswith(PARQUET):
        return "parquet"
    if name.endswith(TEXT):
        return "csv"
    hint = "save the sheet as CSV (UTF-8)." if name.endswith((".xls", ".xlsx")) else None
    raise InputError(
        f"{Path(file).name} is of a format that is not read here.",
        hint=hint or f"give {FORMATS}, as the name's ending says.",
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_meant(path: Path) -> str:
    """A file that may have been meant."""
    import difflib

    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)
    if close:
        return f"did you mean {path.parent / close[0]}?"
    return "check the path." if beside else f"there is no folder {path.parent} either."


def _unreadable(path: str | os.PathLike[str], error: Exception) -> InputError:
    """What DuckDB says, without its settings and its advice on them."""
    reason_text = str(error).splitlines()[0].partition("Error: ")[2] or str(error).splitlines()[0]
    if reason := CSV_REASON.search(str(error)):
        reason_text = f"{reason_text.replace('CSV Error on Line:', 'line')}: {reason[0]}"
    encoding = "unicode" in reason_text.lower()
    return InputError(
        f"{path} cannot be read: {reason_text.rstrip('. ')}.",
        hint="save it as UTF-8." if encoding else "check that the file is whole and of its format.",
    )


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds.

    Raises
    ------
    InputError
        There is no such file, or it is not JSON.
    """
    return parse_json(read_text(path), str(path), "check the path.")


def write_json(value: Any, path: str | os.PathLike[str]) -> Path:
    """Write a value as JSON; what is no number becomes null.

    Raises
    ------
    InputError
        The place cannot be written to.
    """
    with written_beside(path) as beside:
        text = json.dumps(plain(value), indent=2, ensure_ascii=False)
        beside.write_text(text + "\n", encoding="utf-8")
    return Path(path)
