"""A file that somebody takes away over HTTP: made, written down in the audit, sent, removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from clv.errors import InputError
from clv.exports.audit import Audit
from clv.exports.file import ExportedFile, write_rows
from clv.io.changes import workspace
from clv.io.engine import connect
from clv.io.table_files import TABLE_FILES
from clv.store import Filter, Store
from clv.web.access.who import Access, Visitor


@dataclass(frozen=True)
class DownloadFile:
    """A file, what it was narrowed to, and of which model and day it is."""

    file: ExportedFile
    filters: Mapping[str, Any]
    stated: Mapping[str, Any]


async def download(request: Request, make: Callable[[Path], DownloadFile]) -> Response:
    """The answer that carries a file; nothing leaves without its line in the audit.

    ``make`` writes it into a folder of its own, in a thread, named as one of ``TABLE_FILES``.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(workspace())
        path = await run_in_threadpool(_recorded, request, make, folder)
        sent = stack.pop_all()
    return FileResponse(
        path,
        media_type=TABLE_FILES[path.suffix[1:]].media_type,
        filename=path.name,
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(sent.close),
    )


def _recorded(request: Request, make: Callable[[Path], DownloadFile], folder: Path) -> Path:
    access: Access | None = request.scope.get("clv.access")
    who: Visitor | None = request.scope.get("clv.visitor")
    audit = access.audit if access else Audit()
    audit.check()
    prepared = make(folder)
    path = Path(prepared.file.path)
    audit.export(
        who.name if who else "",
        path.suffix[1:],
        replace(prepared.file, path=path.name),
        filters=prepared.filters,
        **{name: prepared.stated[name] for name in ("model_version", "as_of")},
    )
    return path


def require_kind(kind: str) -> str:
    """The kind of file that a form asks for, if there is one; ``InputError`` otherwise."""
    if kind not in TABLE_FILES:
        raise InputError(
            f"there is no file of kind {kind[:40]!r}.", hint=f"use {' or '.join(TABLE_FILES)}."
        )
    return kind


def write_customers(
    store: Store,
    chosen: Filter,
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    local: bool = True,
) -> ExportedFile:
    """The customers chosen, with the terms in every row, as the suffix says; see ``TABLE_FILES``.

    Parameters
    ----------
    columns
        Of the customers; all if not given.
    local
        Numbers as CLV_LOCALE has them, for people; programs want them as they are.
    """
    with connect(closed=False) as connection:
        connection.register("chosen", store.export(chosen, columns=columns))
        return write_rows(connection, "chosen", path, local=local)
