"""Delta and Iceberg tables: the rows of their present version, through their own libraries.

The folder of one also holds files of rows that were changed or deleted since; its log says which
count. They are written once by a process, batch by batch, into a Parquet file of its own.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.errors import ClvError, InputError
from clv.extras import require_extra
from clv.io.changes import process_folder, written

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = "metadata/*.metadata.json"
IMPORTED = "py-io-impl"  # a property of a table that names code to run


def is_lake_table(folder: Path) -> bool:
    """Whether a folder is a Delta or an Iceberg table.

    >>> is_lake_table(Path("data"))
    False
    """
    return _is_delta(folder) or any(folder.glob(METADATA))


def present_rows(folder: Path) -> str:
    """The Parquet file of the rows of a table's last version; a process reads them once.

    Raises
    ------
    InputError
        The table cannot be read, or its rows cannot be written beside it.
    MissingExtraError
        The library of such tables is not installed.
    """
    return _present_rows(folder.resolve())


@cache
def _present_rows(folder: Path) -> str:
    from pyarrow import parquet

    file = process_folder() / f"{folder.name[:60]}-{secrets.token_hex(4)}.parquet"
    with _readable(folder):
        batches = _of_delta(folder) if _is_delta(folder) else _of_iceberg(folder)
    with written(file), parquet.ParquetWriter(file, batches.schema, compression="zstd") as writer:
        while batch := _next(batches, folder):
            writer.write_batch(batch)
    return str(file)


def _next(batches: pa.RecordBatchReader, folder: Path) -> pa.RecordBatch | None:
    with _readable(folder):
        return next(iter(batches), None)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """What a library has against a table, as an ``InputError``."""
    try:
        yield
    except ClvError:
        raise
    except Exception as error:  # of libraries that ours need not have
        kind = "a Delta" if _is_delta(folder) else "an Iceberg"
        raise InputError(
            f"{folder} is {kind} table, which cannot be read: {_first_line(error)}.",
            hint="read it by its own engine, and save that as Parquet.",
        ) from error


def _is_delta(folder: Path) -> bool:
    return (folder / "_delta_log").exists()


def _of_delta(folder: Path) -> pa.RecordBatchReader:
    require_extra("delta", "deltalake")
    from deltalake import DeltaTable

    rows = DeltaTable(folder).to_pyarrow_dataset()
    return rows.scanner(batch_readahead=2, fragment_readahead=1).to_reader()


def _of_iceberg(folder: Path) -> pa.RecordBatchReader:
    require_extra("iceberg", "pyiceberg")
    from pyiceberg.table import StaticTable

    last = max(folder.glob(METADATA), key=_age)
    if IMPORTED in json.loads(last.read_bytes()).get("properties", {}):
        raise InputError(
            f"{last} names code to run ({IMPORTED}), which is not run.",
            hint="read the table where it is trusted, and save that as Parquet.",
        )
    return batches_of_iceberg(StaticTable.from_metadata(str(last)))


def batches_of_iceberg(table: Any) -> pa.RecordBatchReader:
    """The rows of a ``Table`` of pyiceberg, or of a ``DataScan`` of some of them."""
    scan = table.scan() if hasattr(table, "scan") else table
    return scan.to_arrow_batch_reader()


def _age(metadata: Path) -> tuple[int, float]:
    """Which version metadata describe, as in ``00012-a1b2.metadata.json``; of two the later."""
    number = re.match(r"v?(\d+)", metadata.name)
    return int(number[1]) if number else -1, metadata.stat().st_mtime


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
