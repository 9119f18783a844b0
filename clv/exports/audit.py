"""A line per export: who took what, when, by which filter; never whom.

The log is a file of JSON lines, only ever appended to. A line is written by one call, so that
lines of several processes do not mix.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clv.errors import InputError
from clv.exports.file import ExportedFile

SEARCHED = ("customer_id", "customer", "search", "q", "email", "phone", "name")
HIDDEN = "(given, not logged)"


def record_export(
    log: str | os.PathLike[str],
    *,
    who: str,
    destination: str,
    file: ExportedFile,
    filters: Mapping[str, Any] | None = None,
    when: dt.datetime | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Append what was exported to the audit log, and return the record.

    Parameters
    ----------
    log
        The file; it and its folder are made if they are not there, readable by its owner alone.
    who
        The account, never a secret.
    destination
        "csv", "parquet", or an advertiser.
    file
        What was written: rows, columns, size and digest.
    filters
        What the export was narrowed to. What was typed to find one customer is left out.
    when
        Now, in UTC, if not given.
    more
        Counts and names to keep beside it: audience, left_out, consent, model_version, as_of.

    Raises
    ------
    InputError
        The log cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = ExportedFile("top.csv", 10, ("customer_id", "clv"), 120, "ab12")
    >>> row = record_export(f"{folder.name}/audit.jsonl", who="ann", destination="csv", file=file,
    ...     filters={"tier": "top 1%", "search": "bob@example.com"})
    >>> row["filters"]
    {'tier': 'top 1%', 'search': '(given, not logged)'}
    >>> folder.cleanup()
    """
    moment = when or dt.datetime.now(dt.UTC)
    record = {
        "when": moment.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "who": who,
        "destination": destination,
        "filters": {name: _kept(name, value) for name, value in (filters or {}).items()},
        **file.to_dict(),
        **more,
    }
    _append(Path(log), json.dumps(record, ensure_ascii=False, default=str) + "\n")
    return record


def require_log(log: str | os.PathLike[str]) -> None:
    """Raise ``InputError`` if nothing can be added to the log; to be asked before the export."""
    _append(Path(log), "")


def read_audit(log: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of an audit log, oldest first; none if there is no log yet."""
    path = Path(log)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _kept(name: str, value: Any) -> Any:
    typed = name.lower() in SEARCHED or "@" in str(value)
    return HIDDEN if typed and value not in (None, "") else value


def _append(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            data = line.encode()
            if os.write(handle, data) < len(data):
                raise OSError("the disk is full")
        finally:
            os.close(handle)
    except OSError as error:
        raise InputError(
            f"the audit log {path} cannot be written: {error.strerror or error}.",
            hint="nothing should be exported without it: make the place writable.",
        ) from error
