"""The one way to change a file that others may read or write: nothing is half, and nothing is lost.

What is new is written in a folder of its own beside the place (``workspace``), brought to the
disk, and renamed over the old. Who reads a file in order to change it locks its folder meanwhile.
The locks are the kernel's, and end with the process that holds them, however it ends: they tell
what is being written from what the dead left, which goes when next something is written there.
"""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from clv.errors import InputError

SUFFIX, LOCK = ".clvpart", ".lock"
PATIENCE = 30.0  # seconds to wait for another process
HINTS = {
    errno.ENOSPC: "free some space, then run it again.",
    errno.EDQUOT: "free some space, then run it again.",
    errno.EFBIG: "free some space, then run it again.",
}


@contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A place to write to, which replaces ``path`` whole if nothing goes wrong.

    Raises
    ------
    InputError
        It cannot be written, or is no ordinary file.
    """
    with written(path), replacing(path) as beside:
        yield beside


@contextmanager
def replacing(path: str | os.PathLike[str], *, private: bool = False) -> Iterator[Path]:
    """As ``written_beside``, with the system's own errors.

    Parameters
    ----------
    path
        Where the file is to be; its folder is made if need be. A link stays one.
    private
        Whether only the owner may read it.
    """
    target = Path(os.path.realpath(path))  # which bears links that go in circles
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "it is no ordinary file")
    with workspace(target.parent, target.name) as folder:
        beside = folder / target.name
        yield beside
        if private:
            beside.chmod(0o600)
        sync(beside)
        beside.replace(target)
        sync(target.parent)


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[None]:
    """What the system has against writing to ``path``, as an ``InputError`` that says it."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint=HINTS.get(error.errno or 0, "make it writable, or choose another place."),
        ) from error


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Add a line to a file that others add to as well: on the disk and whole, or not at all.

    The file is made with its folder, readable by its owner alone. An empty line only tries it.

    Raises
    ------
    OSError
        It cannot be written.
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        _flock(descriptor, PATIENCE)
        end = os.fstat(descriptor).st_size
        torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"  # by a power cut
        data = (b"\n" if torn else b"") + line.encode("utf-8", "backslashreplace") + b"\n"
        if line and os.write(descriptor, data) < len(data):
            os.ftruncate(descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if line:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: str | os.PathLike[str], wait: float = PATIENCE) -> Iterator[Path]:
    """The folder, made if need be, for whoever changes it: one at a time, over all processes.

    Raises
    ------
    BlockingIOError
        Another process holds it for longer than ``wait`` seconds.
    OSError
        It cannot be made or opened.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    lock = _lock(place, wait)
    try:
        yield place
    finally:
        os.close(lock)


@contextmanager
def workspace(parent: Path | None = None, name: str = "clv") -> Iterator[Path]:
    """A folder of one's own in ``parent``, gone afterwards, as is what the dead left there.

    Parameters
    ----------
    parent
        That of temporary files if not given.
    name
        What it is for.

    Raises
    ------
    OSError
        It cannot be made.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    place.mkdir(parents=True, exist_ok=True)
    clear(place)
    folder, lock = _locked_folder(place, f".{name[:60]}-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@cache
def process_folder() -> Path:
    """Where this process keeps what it fetched, to its end."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(workspace())


def clear(parent: Path) -> None:
    """Remove the workspaces in ``parent`` whose processes ended without doing so."""
    for folder in parent.glob(f".*-*{SUFFIX}"):
        with suppress(OSError):  # it is in use, another's, or gone by now
            if folder.is_dir() and folder.lstat().st_uid == os.getuid():
                lock = _lock(folder, 0)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def disk_errors() -> tuple[type[Exception], ...]:
    """The errors that say that a file or the disk failed, the system's and those of DuckDB."""
    if (duckdb := sys.modules.get("duckdb")) is None:
        return (OSError,)
    names = ("IOException", "OutOfMemoryException", "TransactionException", "FatalException")
    return (OSError, *(getattr(duckdb, name) for name in names))


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked_folder(parent: Path, start: str) -> tuple[Path, int]:
    """A new folder and its lock; another run may take it for a dead one's until it is locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=start, suffix=SUFFIX, dir=parent))
        with suppress(BlockingIOError, FileNotFoundError):
            lock = _lock(folder, 0)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _lock(folder: Path, wait: float) -> int:
    """The descriptor that holds the lock of a folder until it is closed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _flock(descriptor, wait)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # NFS locks no folders, but files in them
        os.close(descriptor)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _flock(descriptor, wait)
        except OSError:
            os.close(descriptor)
            raise
    return descriptor


def _flock(descriptor: int, wait: float) -> None:
    import fcntl  # of Linux and macOS; who only reads needs none

    end = time.monotonic() + wait
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise BlockingIOError(
                    errno.EAGAIN, "another process has been changing it for a while"
                ) from error
        time.sleep(0.02)
