"""The audit: a line per login, plan and export: who did what, when, by which filter; never to whom.

A file of JSON lines, only ever appended to; lines of several processes do not mix.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clv.errors import InputError
from clv.exports.file import ExportedFile
from clv.io.changes import append_line

Event = Literal["login", "logout", "plan", "export", "upload", "rollback", "segment"]
SEARCHED = ("customer_id", "customer", "search", "q", "email", "phone", "name")
HIDDEN = "(given, not logged)"


@dataclass(frozen=True)
class Audit:
    """Appends to the file ``path``, made with its folder, readable by its owner alone.

    Without a path nothing is written.

    Raises
    ------
    InputError
        The file cannot be written to, when the audit is made and with every line.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> audit = Audit(f"{folder.name}/audit.jsonl")
    >>> line = audit.write("plan", "ann", route="/v1/plan", filters={"search": "bob@example.com"})
    >>> line["filters"], len(read_audit(audit.path))
    ({'search': '(given, not logged)'}, 1)
    >>> folder.cleanup()
    """

    path: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ``InputError`` if nothing can be added; to be asked before what is to be noted."""
        self._append("")

    def write(
        self,
        event: Event,
        who: str,
        *,
        filters: Mapping[str, Any] | None = None,
        when: dt.datetime | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Add a line, and return it.

        Parameters
        ----------
        event, who
            What was done, and by which account; never a secret.
        filters
            What it was narrowed to. What was typed to find one customer is left out.
        when
            Now, in UTC, if not given.
        more
            What else belongs to it: route, done, rows, audience, consent, model_version, as_of.
        """
        moment = when or dt.datetime.now(dt.UTC)
        record = {
            "when": moment.astimezone(dt.UTC).isoformat(timespec="seconds"),
            "who": who,
            "event": event,
            "filters": {name: _without_names(name, v) for name, v in (filters or {}).items()},
            **more,
        }
        self._append(json.dumps(record, ensure_ascii=False, default=str))
        return record

    def export(self, who: str, destination: str, file: ExportedFile, **more: Any) -> dict[str, Any]:
        """Add the line of a file that was taken away: to "csv", "parquet" or an advertiser."""
        return self.write("export", who, destination=destination, **file.to_dict(), **more)

    def _append(self, line: str) -> None:
        if self.path is None:
            return
        try:
            append_line(self.path, line)
        except OSError as error:
            raise InputError(
                f"the audit {self.path} cannot be written: {error.strerror or error}.",
                hint="nothing should be done without it: make the place writable.",
            ) from error


def read_audit(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of an audit, oldest first; none if there is no file yet.

    Raises
    ------
    InputError
        It cannot be read, or a line of it is none of an audit.
    """
    file, records = Path(path), []
    if not file.exists():
        return []
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"the audit {file} cannot be read: {error}.") from error
    for number, line in enumerate(lines, 1):
        try:
            records += [json.loads(line)] if line else []
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {number} of the audit {file} is not JSON: {error}.") from error
    return records


def _without_names(name: str, value: Any) -> Any:
    typed = name.lower() in SEARCHED or "@" in str(value)
    return HIDDEN if typed and value not in (None, "") else value
