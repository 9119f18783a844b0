"""The folder of a store: its files, the pointer to the one that is served, and the way back."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from clv.errors import InputError
from clv.io.changes import locked, written_beside

POINTER, FILES, SUFFIX = "CURRENT", "stores", ".duckdb"
TIME = "%Y%m%dT%H%M%S.%fZ"
NAME = re.compile(r"[\w.+-]+\.duckdb", re.ASCII)


@dataclass(frozen=True)
class Version:
    """A file of the store.

    Attributes
    ----------
    path
        Where it is.
    model_version
        Of the scores in it, as far as a file's name can say it.
    published
        When, in UTC.
    bytes
        Its size.
    served
        Whether ``CURRENT`` names it.
    """

    path: Path
    model_version: str
    published: datetime
    bytes: int
    served: bool


@dataclass(frozen=True)
class Pointer:
    """What ``CURRENT`` says: the file that is served, and the one to go back to."""

    current: str
    previous: str | None

    @classmethod
    def read(cls, folder: Path) -> Pointer:
        """The pointer of a folder; ``InputError`` if there is none, or none that can be used."""
        try:
            content = json.loads((folder / POINTER).read_text(encoding="utf-8"))
            pointer = cls(content["current"], content["previous"])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"{folder} holds no published store.", hint="run clv publish first."
            ) from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{folder / POINTER} cannot be read: {error!r}.", hint="publish again."
            ) from error
        for name in (pointer.current, pointer.previous):
            if name is not None and not (isinstance(name, str) and NAME.fullmatch(name)):
                raise InputError(f"{folder / POINTER} names no file of the store.")
        return pointer

    def write(self, folder: Path) -> None:
        """Put the pointer in place, whole or not at all, also if the power fails."""
        text = json.dumps({"current": self.current, "previous": self.previous})
        with written_beside(folder / POINTER) as beside:
            beside.write_text(text + "\n", encoding="utf-8")


def new_name(model_version: str) -> str:
    """A name for a file of this model version, published now.

    >>> new_name("2011-12-09-81388f95")[:20]
    '2011-12-09-81388f95-'
    """
    now = datetime.now(timezone.utc).strftime(TIME)  # noqa: UP017
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', model_version)}-{now}{SUFFIX}"


def current_file(where: str | os.PathLike[str]) -> Path:
    """The file that is served from a folder; a file is itself.

    Raises
    ------
    InputError
        There is none.
    """
    path = Path(where)
    return path if path.is_file() else path / FILES / Pointer.read(path).current


def served_file(folder: str | os.PathLike[str]) -> str:
    """The name of the file that is served from a folder; empty where nothing was published yet."""
    return current_file(folder).name if (Path(folder) / POINTER).exists() else ""


def versions(folder: str | os.PathLike[str]) -> list[Version]:
    """The files that are kept, the one that is served first.

    Raises
    ------
    InputError
        The folder holds no store.
    """
    pointer = Pointer.read(Path(folder))
    names = [pointer.current] + ([pointer.previous] if pointer.previous else [])
    return [_version(Path(folder) / FILES / name, name == pointer.current) for name in names]


def rollback(folder: str | os.PathLike[str]) -> Version:
    """Serve the file that was served before; doing so twice changes nothing.

    Raises
    ------
    InputError
        There is no store, none to go back to, or one is being published.
    """
    Pointer.read(Path(folder))  # where there is no store, none is begun
    with alone(folder) as place:
        pointer = Pointer.read(place)
        if pointer.previous is None or not (place / FILES / pointer.previous).is_file():
            raise InputError(
                f"{place} holds no earlier store to go back to.", hint="publish the scores wanted."
            )
        Pointer(pointer.previous, pointer.current).write(place)
    return versions(folder)[0]


def switch(folder: Path, name: str) -> Pointer:
    """Serve ``name`` from now on; what is served now is kept, what was before that is not."""
    before = Pointer.read(folder).current if (folder / POINTER).exists() else None
    pointer = Pointer(name, before)
    pointer.write(folder)
    return pointer


@contextmanager
def alone(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """The folder, for whoever changes it: one at a time, over all processes."""
    place = Path(folder)
    if place.is_file():
        raise InputError(f"{place} is a file.", hint="name the folder of the store.")
    try:
        (place / FILES).mkdir(parents=True, exist_ok=True)
        with locked(place, wait=0):
            yield place
    except BlockingIOError as error:
        raise InputError(
            f"another run is publishing to {place}.", hint="try again when it is done."
        ) from error
    except OSError as error:
        raise InputError(f"{place} cannot be written to: {error.strerror or error}.") from error


def tidy(folder: Path, current: Collection[str | None]) -> None:
    """Remove the files of the store that are not kept, and those that a crash left half written."""
    for file in (folder / FILES).iterdir():
        ours = SUFFIX in file.name and file.is_file()
        if ours and file.name not in current:
            file.unlink()


def _version(path: Path, served: bool) -> Version:
    model, _, time = path.name.removesuffix(SUFFIX).rpartition("-")
    published = datetime.strptime(time, TIME).replace(tzinfo=timezone.utc)  # noqa: UP017
    return Version(path, model, published, path.stat().st_size, served)
