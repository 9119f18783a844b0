"""DuckDB as it is opened everywhere: it installs nothing, and reads no file where it need not.

``CLV_MEMORY`` (as in 3GB), ``CLV_THREADS`` and ``CLV_TEMP`` bound what it takes; without them it
goes by the container or the machine. Of the memory it gets half; the rest is for what is made of
it.

A database takes 25 ms of processor to open, as it lists its functions anew: tables in memory are
those of a few open ones, in which each connection has a database of its own, for less than 1 ms.
"""

from __future__ import annotations

import atexit
import itertools
import os
import re
import shutil
import socket
import tempfile
import weakref
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.errors import InputError
from clv.extras import require_extra
from clv.threads import thread_count

if TYPE_CHECKING:
    import duckdb

PLAIN: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allocator_background_threads": True,  # else memory that is free again stays with the process
}
CLOSED: dict[str, Any] = PLAIN | {
    "enable_external_access": False,
    "python_enable_replacements": False,
}

SIZE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(?:([kmgt])i?b?)", re.IGNORECASE)
SPILLED = "clv-spilled"  # what does not fit into memory, by machine and process
_numbers = itertools.count()  # of databases in memory
LEAST = 2**27  # bytes
USUAL = 2**32  # bytes, of which parts of a log may be made where nobody said how many there are
ROW = 2048  # bytes of a quarter of the memory: 500 for each row that is worked on


def connect(
    path: str | Path = ":memory:", *, closed: bool = True, alone: bool = False, **settings: Any
) -> duckdb.DuckDBPyConnection:
    """A connection to a file of DuckDB's, or to tables of its own in memory.

    Parameters
    ----------
    closed
        Whether it reaches that alone: no other file, no variable of Python.
    alone
        Whether it makes functions, which all connections of one open database would have.
    settings
        As ``read_only``, and settings of the engine in ``config``.

    Raises
    ------
    InputError
        ``CLV_MEMORY``, ``CLV_THREADS`` or ``CLV_TEMP`` is none.

    >>> connect().sql("SELECT current_setting('enable_external_access')").fetchall()
    [(False,)]
    """
    require_extra("warehouse", "duckdb")
    config = (CLOSED if closed else PLAIN) | bounds() | settings.pop("config", {})
    if alone or settings or path != ":memory:":
        return _opened(path, config, **settings)
    import duckdb

    key = (os.getpid(), *sorted(config.items()))  # a fork has none of its parent's threads
    try:
        return _beside(_engine(key))
    except duckdb.FatalException:  # an engine that failed stays so for all its connections
        _engine.cache_clear()
        return _beside(_engine(key))


def _opened(path: str | Path, config: dict[str, Any], **settings: Any) -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(path, config=config, **settings)
    with suppress(duckdb.InvalidInputException):  # Jupyter without ipywidgets has none to refuse
        connection.execute("SET enable_progress_bar = false")  # ours says what is done
    return connection


@lru_cache(maxsize=4)
def _engine(key: tuple[Any, ...]) -> duckdb.DuckDBPyConnection:
    """An open database of these settings, kept for those who ask next."""
    return _opened(":memory:", dict(key[1:]))


atexit.register(_engine.cache_clear)


def _beside(engine: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection whose tables and views nobody else sees, and which go when it goes."""
    connection, name = engine.cursor(), f"own_{next(_numbers)}"
    connection.execute(f"ATTACH ':memory:' AS {name}; USE {name}")
    weakref.finalize(connection, _forget, engine, name, os.getpid()).atexit = False
    return connection


def _forget(engine: duckdb.DuckDBPyConnection, name: str, process: int) -> None:
    """Drop what a connection had, but for a fork's copy and an engine that failed."""
    import duckdb

    if process == os.getpid():
        with suppress(duckdb.FatalException), engine.cursor() as connection:
            connection.execute(f"DETACH {name}")


def bounds() -> dict[str, Any]:
    """Memory, threads and the folder for what does not fit, as settings of the engine.

    >>> sorted(bounds())[-1]
    'threads'
    """
    found: dict[str, Any] = {"threads": thread_count(), "temp_directory": str(_temp())}
    if memory := os.environ.get("CLV_MEMORY", "").strip():
        found["memory_limit"] = f"{_bytes(memory) // 2}B"
    return found


def rows_in_memory() -> int:
    """How many rows of a log may be worked on at once outside the engine, by ``CLV_MEMORY``.

    >>> rows_in_memory() >= LEAST // ROW
    True
    """
    memory = os.environ.get("CLV_MEMORY", "").strip()
    return (_bytes(memory) if memory else USUAL) // ROW


def _bytes(memory: str) -> int:
    sizes = SIZE.fullmatch(memory)
    size = int(float(sizes[1]) * 1024 ** " kmgt".index((sizes[2] or " ").lower())) if sizes else 0
    if size < LEAST:
        raise InputError(
            f"CLV_MEMORY = {memory!r} is no amount of memory, or less than 128MB.",
            hint="write it as in CLV_MEMORY=3GB.",
        )
    return size


def _temp() -> Path:
    folder = os.environ.get("CLV_TEMP", "").strip()
    if folder and not Path(folder).is_dir():
        raise InputError(
            f"CLV_TEMP: there is no folder {folder}.", hint="make it, or name another."
        )
    place = Path(folder or tempfile.gettempdir())
    _clear_spilled(place)
    # One of its own, which it makes when it is needed: a closed connection reaches this one, too.
    return place / f"{SPILLED}-{socket.gethostname()}-{os.getpid()}"


@cache
def _clear_spilled(place: Path) -> None:
    """Remove what processes of this machine that were killed had put there, once a process."""
    for folder in place.glob(f"{SPILLED}-{socket.gethostname()}-*"):
        number = folder.name.rpartition("-")[2]
        if number.isdecimal() and not _runs(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
