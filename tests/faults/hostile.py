"""What nobody should send: texts, numbers, values, files; drawn by a seeded generator.

The suite draws a few of each kind. All of them::

    CLV_FAULTS=10000 python -m pytest tests/faults
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

LONG = "9" * 400
TEXTS = [
    *("", " ", "\t", "\n", "-", "--", ".", "..", "/", "~", "*", "[", "%", "%s%n", "%zz", "#", "="),
    *("NaN", "nan", "inf", "-inf", "Infinity", "1e400", "1e-400", LONG, f"-{LONG}", f"0.{LONG}"),
    *("-1", "0", "0.0", "-0", "1.5", "101", "1,5", "1_000", "0x10", "١٢", "²", "½", "1e308"),
    *("null", "None", "true", "[]", "{}", "[" * 999, "2024-02-30", "0000-00-00", "9999-12-31"),
    *("2024-13-01", "20240131", "yesterday", "-292277022399-01-01", "é日本", "\u202e", "\ufeff"),
    *("x" * 300, "x" * 5000, "a=b", "=", "==", "a=", "=a", "'; DROP TABLE customers; --", '"', "'"),
    *("<script>", "=1+1", "../../etc/passwd", "file:///etc/passwd", "s3://b/k", "models:/"),
    *("models:/none@champion", "http://127.0.0.1:1/", "customer_id", "clv", "date", "amount"),
]
WORDS = [*TEXTS, "\udcff", "a\udc80b"]  # what a command line may hold that is no Unicode
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63, -(2**63), 2**64, int(LONG), -int(LONG), 1e308, -1e308),
    *(float("nan"), float("inf"), float("-inf"), 5e-324, 0.1, -0.0, [], {}, [[]], [None]),
    *({"a": 1}, [1] * 1000, "\ud800", "a\udfffb", "\x00", *TEXTS),
]


def number_of_cases(usual: int) -> int:
    """So many of a kind, or as ``CLV_FAULTS`` says."""
    return int(os.environ.get("CLV_FAULTS", usual))


def draws(kind: str, usual: int) -> Iterator[random.Random]:
    """A generator for each case; a case is found again by its kind and number."""
    first = int(os.environ.get("CLV_FAULTS_FROM", 0))
    for case in range(first, first + number_of_cases(usual)):
        rng = random.Random(f"{kind} {case}")
        rng.case = f"{kind} {case}"  # type: ignore[attr-defined]
        yield rng


def deep(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a value of JSON, the whole of it first."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, part in items:
        yield from places(part, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """The value with another part at a place."""
    if not path:
        return by
    copy = json.loads(json.dumps(value))
    at(copy, path[:-1])[path[-1]] = by
    return copy


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes cut, flipped, doubled or with others put between."""
    if not data:
        return b"\x00"
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    part = rng.choice([b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b'"', b"\r", b"\n", b",", b"[["])
    return rng.choice(
        [
            lambda: data[:start],
            lambda: data[start:],
            lambda: data[:start] + data[end:],
            lambda: data[:start] + part + data[start:],
            lambda: data[:start] + part * 5000 + data[end:],
            lambda: data[:start] + data[start:end] * 2 + data[end:],
            lambda: data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :],
            lambda: data + data,
            lambda: b"\xff" + data,
            lambda: data.decode("latin-1").encode("utf-16"),
            lambda: LONG.encode().join(data.split(b"1", 2)),
        ]
    )()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


NO_FILES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "empty": lambda path: path.touch(),
    "folder": lambda path: path.mkdir(),
    "pipe": _fifo,
    "loop": _loop,
    "link to nothing": _nowhere,
    "device": _device,
    "socket": _socket,
}
CONTENTS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: b"\x00" * 10_000,
    "no text": lambda: bytes(range(256)) * 20,
    "latin": lambda: "customer_id,date,amount\nJürgen,2024-01-01,5\n".encode("latin-1"),
    "wide header": lambda: b"x" * 200_000 + b"\n1\n",
    "many columns": lambda: b",".join(b"c%d" % k for k in range(5000)) + b"\n" + b"," * 4999,
    "no end of quotes": lambda: b'customer_id,date,amount\n"a,2024-01-01,5\n' * 50,
    "header alone": lambda: b"customer_id,date,amount\n",
    "line ends": lambda: b"\r\n" * 1000,
    "deep list": lambda: deep(100_000).encode(),
    "deep object": lambda: (b'{"a":' * 50_000) + b"1" + b"}" * 50_000,
    "deep toml": lambda: b"a = " + deep(20_000).encode(),
    "deep table": lambda: b"[" + b".".join([b"a"] * 20_000) + b"]",
    "surrogate": lambda: b'[{"customer_id": "\\ud800", "date": "2024-01-01", "amount": 5}]',
    "names of nan": lambda: b"NaN,null,inf\n1,2,3\n",
    "long number": lambda: b"a = " + LONG.encode() * 20,
    "no zip": lambda: b"PK\x03\x04" + b"\x00" * 100,
    "no gzip": lambda: b"\x1f\x8b" + b"\x00" * 100,
    "no parquet": lambda: b"PAR1" + b"\x00" * 100 + b"PAR1",
    "null": lambda: b"null",
    "number": lambda: b"1e400",
}
ENDINGS = (".csv", ".csv.gz", ".tsv", ".parquet", ".json", ".jsonl", ".toml", ".xlsx", ".zst", "")
