"""One thread for libraries that would start several, where threads only wait for each other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


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

    return ThreadpoolController()
