"""The audit: one line of JSON per login and plan, beside those of exports, and no customer in any.

Lines are appended with one write each to a file that its owner alone can read, so that several
processes can share it. Exports add theirs by :func:`clv.exports.audit.record_export`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clv.errors import InputError

Event = Literal["login", "logout", "plan"]


@dataclass(frozen=True)
class Audit:
    """Writes to ``path``; without one, nowhere.

    Raises
    ------
    InputError
        The file cannot be written, when the audit is made.
    """

    path: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        try:
            self._append(b"")
        except OSError as error:
            raise InputError(
                f"cannot write the audit to {self.path}: {error.strerror}.",
                hint="give a file in a folder that exists and that the server may write to.",
            ) from error

    def write(
        self,
        event: Event,
        who: str,
        route: str,
        *,
        done: bool = True,
        rows: int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a line.

        Parameters
        ----------
        event, who, route
            What was done, the name of the key it was done with, and the route, not the path.
        done
            Whether it was let happen.
        rows
            How many customers it concerned.
        filters
            What was asked for, as numbers and choices; no names and no ids.
        """
        line = {
            "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "who": who,
            "event": event,
            "route": route,
            "done": done,
            "rows": rows,
            "filters": dict(filters or {}),
        }
        self._append(json.dumps(line, default=str).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        if self.path is None:
            return
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)
