"""A file that somebody takes away over HTTP: made, written down in the audit, sent, removed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from clv.exports.audit import Audit
from clv.exports.file import ExportedFile, write_query
from clv.io.csv_safe import quoted, safe_columns
from clv.store import Filter, Store
from clv.web.access.who import Access, Visitor

KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@dataclass(frozen=True)
class Made:
    """A file, what it was narrowed to, and of which model and day it is."""

    file: ExportedFile
    filters: Mapping[str, Any]
    stated: Mapping[str, Any]


async def download(request: Request, make: Callable[[Path], Made]) -> Response:
    """The answer that carries a file; nothing leaves without its line in the audit.

    ``make`` writes it into a folder of its own, in a thread; its suffix is one of ``KINDS``.
    """
    folder = tempfile.TemporaryDirectory(prefix="clv-export-")
    try:
        path = await run_in_threadpool(_recorded, request, make, Path(folder.name))
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        path,
        media_type=KINDS[path.suffix[1:]],
        filename=path.name,
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(folder.cleanup),
    )


def _recorded(request: Request, make: Callable[[Path], Made], folder: Path) -> Path:
    access: Access | None = request.scope.get("clv.access")
    who: Visitor | None = request.scope.get("clv.visitor")
    audit = access.audit if access else Audit()
    audit.check()
    made = make(folder)
    path = Path(made.file.path)
    audit.export(
        who.name if who else "",
        path.suffix[1:],
        replace(made.file, path=path.name),
        filters=made.filters,
        **{name: made.stated[name] for name in ("model_version", "as_of")},
    )
    return path


def write_customers(
    store: Store, chosen: Filter, path: Path, columns: Sequence[str] | None = None
) -> ExportedFile:
    """The customers chosen, with the terms in every row; CSV or Parquet by the suffix.

    In CSV, text that a spreadsheet would run is made safe.

    Parameters
    ----------
    columns
        Of the customers; all if not given.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.register("chosen", store.export(chosen, columns=columns))
        given = connection.table("chosen")
        types = {n: str(t) for n, t in zip(given.columns, given.types, strict=True)}
        csv = path.suffix == ".csv"
        names = safe_columns(types) if csv else ", ".join(map(quoted, types))
        return write_query(connection, f"SELECT {names} FROM chosen", path)
