"""API keys: 256 random bits each, shown once; the key file holds their SHA-256 alone.

A key of that many random bits cannot be guessed from its hash, so a slow hash would only slow down
requests. The file has mode 0600 and is changed by one process at a time; a server that runs takes
up its changes within a second. A key file that cannot be read lets nobody in.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from clv.errors import InputError
from clv.io.changes import locked, replacing, written
from clv.io.text_files import regular_file
from clv.web.access.roles import Role

FORMAT = 1
PREFIX = "clv_"  # so that scanners for leaked secrets know one
NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
FRESH = 1.0  # seconds for which the key file is not looked at again


class _KeyEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
    role: str
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    created: str


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    format: int
    keys: list[_KeyEntry]


@dataclass(frozen=True)
class Key:
    """An API key, as the key file knows it.

    Attributes
    ----------
    name, role
        Who it is for, and what they may do.
    digest
        SHA-256 of the key, hexadecimal.
    created
        The day on which it was made, ISO 8601.
    """

    name: str
    role: Role
    digest: str
    created: str


def add_key(path: str | os.PathLike[str], name: str, role: Role) -> str:
    """Make a key, enter its hash in the key file, and return it: it can never be shown again.

    Raises
    ------
    InputError
        The name is taken or no name, or the file is no key file.
    """
    if not re.fullmatch(NAME, name):
        raise InputError(
            f"{name!r} cannot name a key.",
            hint="use up to 64 letters, digits and . _ @ -, as in ann or crm-sync.",
        )
    token = PREFIX + secrets.token_urlsafe(32)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    with _alone(path) as file:
        keys = read_keys(file) if file.exists() else ()
        if any(key.name == name for key in keys):
            raise InputError(f"there is a key {name!r} already.", hint="revoke it first.")
        _write(file, (*keys, Key(name, role, digest_of(token), today)))
    return token


def revoke_key(path: str | os.PathLike[str], name: str) -> Key:
    """Take a key out of the key file; a server that runs refuses it within a second.

    Raises
    ------
    InputError
        There is no such key.
    """
    read_keys(path)  # where there is no key file, no folder is made for one
    with _alone(path) as file:
        keys = read_keys(file)
        revoked = [key for key in keys if key.name == name]
        if not revoked:
            names = ", ".join(key.name for key in keys) or "none"
            raise InputError(f"there is no key {name!r}.", hint=f"keys are {names}.")
        _write(file, [key for key in keys if key.name != name])
    return revoked[0]


def read_keys(path: str | os.PathLike[str]) -> tuple[Key, ...]:
    """The keys of a key file.

    Raises
    ------
    InputError
        It cannot be read, others may write it, or it is no key file.
    """
    file = Path(path)
    regular_file(file, "make one: clv keys add.")
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o022:
            raise InputError(
                f"others may write to {file}, and so give themselves a key.",
                hint=f"run chmod 600 {file}.",
            )
        saved = _KeyFile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(
            f"cannot read the key file {file}: {error.strerror}.", hint="make one: clv keys add."
        ) from error
    except ValidationError as error:
        raise InputError(f"{file} is no key file.", hint="make one: clv keys add.") from error
    if saved.format != FORMAT:
        raise InputError(f"{file} is of format {saved.format}, which this version does not read.")
    return tuple(Key(e.name, Role.parse(e.role), e.sha256, e.created) for e in saved.keys)


def digest_of(token: str) -> str:
    """SHA-256 of a key, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass
class KeyRing:
    """The keys of a file, as they are now.

    Raises
    ------
    InputError
        The file cannot be used, or has no key, when the ring is made.
    """

    path: str | os.PathLike[str]
    _keys: tuple[Key, ...] = field(default=(), init=False, repr=False)
    _signature: tuple[int, ...] = field(default=(), init=False, repr=False)
    _looked: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not read_keys(self.path):
            raise InputError(f"{self.path} has no key.", hint="make one: clv keys add NAME.")

    def find(self, token: str) -> Key | None:
        """The key that was given out as ``token``, or None; takes as long for any token."""
        return self._matching(digest_of(token))

    def named(self, name: str, digest: str) -> Key | None:
        """The key of this name, if it is still the one of this digest."""
        key = self._matching(digest)
        return key if key is not None and key.name == name else None

    def _matching(self, digest: str) -> Key | None:
        matching = None
        for key in self._current():  # all of them: how long it takes tells nothing
            if hmac.compare_digest(key.digest, digest):
                matching = key
        return matching

    def _current(self) -> tuple[Key, ...]:
        now = time.monotonic()
        if self._looked and now - self._looked < FRESH:
            return self._keys
        self._looked = now
        try:
            status = Path(self.path).stat()
            signature = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
            if signature != self._signature:
                self._keys, self._signature = read_keys(self.path), signature
        except (OSError, InputError):
            self._keys, self._signature = (), ()
        return self._keys


@contextmanager
def _alone(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The key file, for whoever changes it: what was read is what is changed."""
    file = Path(path)
    with written(file), locked(Path(os.path.realpath(file)).parent):
        yield file


def _write(file: Path, keys: Iterable[Key]) -> None:
    listed = [
        {"name": key.name, "role": str(key.role), "sha256": key.digest, "created": key.created}
        for key in keys
    ]
    with replacing(file, private=True) as beside:
        text = json.dumps({"format": FORMAT, "keys": listed}, indent=2)
        beside.write_text(text + "\n", encoding="utf-8")
