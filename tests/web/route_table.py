"""The routes of an application, those of its routers among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def routes(parts: Any) -> Iterator[Any]:
    for part in parts:
        inner = getattr(part, "original_router", None)
        if hasattr(part, "path_format") and hasattr(part, "methods"):
            yield part
        elif inner is not None:
            yield from routes(inner.routes)
