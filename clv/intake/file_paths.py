"""Which files a path, a pattern, a folder, an archive or an address means."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from glob import glob
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from clv.errors import InputError
from clv.io.databases import DatabaseAddress, fetched
from clv.io.files import file_meant
from clv.io.lake_tables import is_lake_table, present_rows
from clv.io.text_files import regular_file

TEXT = (".csv", ".tsv", ".txt", ".tab")
PACKED = (".gz", ".zst")
ARCHIVE = ".zip"
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
FORMATS = "CSV (also .gz, .zst, .zip), Parquet, Excel, JSON lines"
PATTERN = frozenset("*?[")
LONGEST_NAME = 255  # bytes of a file's name, of every system


def files_of(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """The regular files that the paths mean, in order of name; hidden ones left out."""
    files: list[str] = []
    for path in paths:
        files += files_meant(str(path))
    return tuple(dict.fromkeys(files))


def files_meant(text: str) -> list[str]:
    """The files that a path means, or that hold what an address or a lake's table has."""
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


def is_fetched(text: str) -> bool:
    """Whether what is read of an address or a lake's table is a file of this process alone."""
    return DatabaseAddress.parse(text) is not None or is_lake_table(Path(text))


def unpacked(file: str, folder: Path) -> list[str]:
    """The tables of a zip archive, written to the folder; any other file is itself."""
    if not file.lower().endswith(ARCHIVE):
        return [file]
    target = folder / f"{len(list(folder.iterdir()))}"
    try:
        with ZipFile(file) as archive:
            names = [name for name in sorted(archive.namelist()) if _is_table(Path(name))]
            tables = [archive.extract(name, target) for name in names]
    except (BadZipFile, OSError, RuntimeError, EOFError, zlib.error) as error:
        raise damaged(file, error) from error
    if not tables:
        raise InputError(f"{file} holds no table.", hint=f"there may be {FORMATS}.")
    return tables


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


def _is_table(path: Path) -> bool:
    """Whether a name within a folder is that of a table; what engines hide is none."""
    endings = (*PARQUET, *TEXT, *PACKED, *LINES, *SHEETS, ARCHIVE)
    return path.name.lower().endswith(endings) and not any(part[0] in "._" for part in path.parts)


def damaged(file: str, error: Exception) -> InputError:
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
