"""``--log-format json``: what a command does as lines of JSON on stderr, for nightly runs.

Each line has event, command and time (UTC): "start"; "step" with its seconds and rows, once it is
done; "progress" every ten seconds; "written" with the file; "warning"; "error" with hint; "end"
with exit_code, seconds, cpu_seconds and peak_mib. Stdout holds nothing but JSON that was asked for.
"""

from __future__ import annotations

import datetime as dt
import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from clv.cli.screen import Screen, Step

EVERY = 10.0  # seconds between two lines of progress
KIB = 1024 if sys.platform == "darwin" else 1  # macOS counts bytes, others KiB


@dataclass(frozen=True)
class JsonLog(Screen):
    """A screen that writes events instead of sentences."""

    quiet: bool = True
    command: str = ""
    began: float = field(default_factory=time.perf_counter)

    def event(self, event: str, **told: Any) -> None:
        """Write one line."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = {"event": event, "command": self.command, "time": now} | told
        print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201

    def written(self, file: object) -> None:
        """Say where a result was written, if it was."""
        if file:
            self.event("written", file=str(file))

    def warn(self, text: str) -> None:
        """Write a warning."""
        self.event("warning", message=text)

    def error(self, message: str, hint: str | None) -> None:
        """Write what went wrong and what to try."""
        self.event("error", message=message, hint=hint)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A long step."""
        with self.progress(what):
            yield

    @contextmanager
    def progress(self, what: str) -> Iterator[Step]:
        """A step; as it goes on, how much of it is done."""
        began = said = time.perf_counter()
        rows: dict[str, int] = {}

        def tell(done: int, total: int) -> None:
            nonlocal said
            rows["rows"] = done
            if time.perf_counter() - said >= EVERY:
                said = time.perf_counter()
                self.event("progress", step=what, rows=done, of=total, seconds=_since(began))

        yield tell
        self.event("step", step=what, seconds=_since(began), **rows)

    def end(self, exit_code: int) -> None:
        """Write how it ended and what it took."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.event(
            "end",
            exit_code=exit_code,
            seconds=_since(self.began),
            cpu_seconds=round(used.ru_utime + used.ru_stime, 3),
            peak_mib=round(used.ru_maxrss / KIB / 1024, 1),
        )


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)
