"""Text, TOML and JSON that people wrote, read strictly: a file, UTF-8, no number without a size."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from stat import S_IFIFO, S_ISDIR, S_ISREG
from typing import Any

from clv.errors import InputError
from clv.format import count

LARGEST = 64 * 2**20  # bytes of a file of settings
WHOLE = 2**1023  # a larger whole number is no number that can be reckoned with


def regular_file(
    path: str | os.PathLike[str], hint: str = "check the path.", what: str = "file"
) -> Path:
    """The path, if it leads to a file whose bytes end.

    Raises
    ------
    InputError
        There is none, or it is a folder, a pipe, a device or a socket: reading might never end.
    """
    try:
        mode = S_IFIFO if str(path) == "-" else Path(path).stat().st_mode
    except FileNotFoundError as error:
        raise InputError(f"there is no {what} {_shown(path)}.", hint=hint) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{_shown(path)} cannot be read: {why}.", hint=hint) from error
    if S_ISDIR(mode):
        raise InputError(f"{_shown(path)} is a folder.", hint="name a file in it.")
    if not S_ISREG(mode):
        raise InputError(
            f"{_shown(path)} is no regular file but a pipe or a device.",
            hint="save what it brings to a file first, as in: cat ... > orders.csv",
        )
    return Path(path)


def read_text(
    path: str | os.PathLike[str], hint: str = "check the path.", what: str = "file"
) -> str:
    """A file of text in UTF-8.

    Raises
    ------
    InputError
        It is no regular file, cannot be read, is no text, or beyond any size of settings.
    """
    file = regular_file(path, hint, what)
    try:
        if file.stat().st_size > LARGEST:
            raise InputError(f"{file} is larger than {count(LARGEST)} bytes.", hint=hint)
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is no text in UTF-8: byte {error.start} is none.", hint="save it as UTF-8."
        ) from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.", hint=hint) from error


def parse_toml(text: str, name: str, hint: str) -> dict[str, Any]:
    """What TOML holds; ``InputError`` if it is none."""
    return _parsed(tomllib.loads, text, name, "TOML", hint)  # type: ignore[no-any-return]


def parse_json(text: str, name: str, hint: str) -> Any:
    """What JSON holds; ``InputError`` if it is none, as NaN and lone surrogates are."""
    return _parsed(_strict_json, text, name, "JSON", hint)


def _strict_json(text: str) -> Any:
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _parsed(parse: Callable[[str], Any], text: str, name: str, kind: str, hint: str) -> Any:
    try:
        value = parse(text)
        _check(value)
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        why = "it is nested too deeply" if deep else str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{name} is no valid {kind}: {why}.", hint=hint) from error
    return value


def _check(value: Any) -> None:
    """``ValueError`` for text that is no Unicode, and numbers that no computer reckons with."""
    parts: Iterable[Any] = ()
    match value:
        case str():
            if not value.isascii():
                value.encode()
        case int():
            if abs(value) > WHOLE:
                raise ValueError(f"the number {str(value)[:20]}... is too large")
        case Mapping():
            parts = [*value, *value.values()]
        case list():
            parts = value
    for part in parts:
        _check(part)


def _shown(path: object) -> str:
    return ascii(str(path))[1:-1] if not str(path).isprintable() else str(path)
