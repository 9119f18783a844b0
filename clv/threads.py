"""How many threads there may be, work on all of them, and one where they would only wait."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clv.errors import InputError

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Piece = TypeVar("Piece")
Done = TypeVar("Done")

CONTAINER = Path("/sys/fs/cgroup/cpu.max")  # microseconds of processor, and in how many of them


def thread_count() -> int:
    """How many threads work side by side: ``CLV_THREADS``, or the processors there are to use.

    A container may have a share of its machine's processors; it counts.

    Raises
    ------
    InputError
        ``CLV_THREADS`` is no whole number from 1 to 1024.
    """
    setting = os.environ.get("CLV_THREADS", "").strip()
    if setting:
        if not (setting.isascii() and setting.isdigit() and 1 <= int(setting[:5]) <= 1024):
            raise InputError(
                f"CLV_THREADS = {setting!r} is no number of threads.", hint="set it to 1, 2, 4, ..."
            )
        return int(setting)
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with suppress(OSError, ValueError):
        share, of = CONTAINER.read_text().split()
        return max(1, min(here or 1, -(-int(share) // int(of))))
    return here or 1


def side_by_side(pieces: Iterable[Piece], work: Callable[[Piece], Done]) -> Iterator[Done]:
    """``work`` on each piece, on as many threads as there may be, in the order of the pieces.

    Only so many pieces are read ahead as are being worked on.

    >>> list(side_by_side([3, 1, 2], lambda number: number**2))
    [9, 1, 4]
    """
    threads = thread_count()
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Done]] = deque()
        for piece in pieces:
            ahead.append(pool.submit(work, piece))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def one_thread() -> AbstractContextManager[Any]:
    """No more than one thread for whatever libraries have pools of them.

    On a busy machine threads that wait cost a hundred times more.
    """
    limits: AbstractContextManager[Any] = _pools().limit(limits=1)
    return limits


@cache
def _pools() -> ThreadpoolController:
    """Found once: to look through the loaded libraries takes longer than to score a customer."""
    import sklearn.ensemble  # noqa: F401 - so that its pool is among them
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
